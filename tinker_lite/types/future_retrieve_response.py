"""``FutureRetrieveResponse``: everything that asking for a result may answer."""

from __future__ import annotations

from typing import TypeAlias

from tinker_lite.types.custom_loss import CreateCustomLossResponse
from tinker_lite.types.external_weights import SaveWeightsExternalResponseInternal
from tinker_lite.types.futures import RequestFailedResponse, TryAgainResponse
from tinker_lite.types.models import CreateModelResponse, UnloadModelResponse
from tinker_lite.types.sampling import SampleResponse
from tinker_lite.types.training import ForwardBackwardOutput, OptimStepResponse
from tinker_lite.types.weights import (
    LoadWeightsResponse,
    SaveWeightsForSamplerResponseInternal,
    SaveWeightsResponse,
)

__all__ = ["FutureRetrieveResponse"]

# Which one it is follows from the awaited operation, not from the answer (protocol section 4.2).
FutureRetrieveResponse: TypeAlias = (
    TryAgainResponse
    | RequestFailedResponse
    | CreateModelResponse
    | UnloadModelResponse
    | ForwardBackwardOutput
    | OptimStepResponse
    | CreateCustomLossResponse
    | SaveWeightsResponse
    | SaveWeightsForSamplerResponseInternal
    | SaveWeightsExternalResponseInternal
    | LoadWeightsResponse
    | SampleResponse
)
