"""Everything that can be called, by resource or by HTTP method, seen through one face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from tinker_lite.clients.faces import (
    Async,
    AsyncRaw,
    AsyncStreamed,
    Blocking,
    BlockingRaw,
    BlockingStreamed,
    Resource,
    Views,
)
from tinker_lite.clients.resources.administration import APIKeys, Audit, Billing
from tinker_lite.clients.resources.checkpoints import Checkpoints
from tinker_lite.clients.resources.futures import Futures
from tinker_lite.clients.resources.models import Models
from tinker_lite.clients.resources.sampling import Sampling
from tinker_lite.clients.resources.service import Service
from tinker_lite.clients.resources.sessions import Sessions
from tinker_lite.clients.resources.telemetry import Telemetry
from tinker_lite.clients.resources.training import Training
from tinker_lite.clients.resources.training_runs import TrainingRuns
from tinker_lite.clients.resources.weights import Weights
from tinker_lite.clients.verbs import Verb

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tinker_lite.clients.responses import APIResponse, AsyncAPIResponse
    from tinker_lite.engine.options import CallOptions, VerbOptions
    from tinker_lite.protocol.endpoints import Method
    from tinker_lite.wire.files import RequestFiles

__all__ = ["Endpoints"]

F = TypeVar("F")
T = TypeVar("T")


class Endpoints(Resource[F]):
    """The resources of a client and its verbs.

    ``with_raw_response`` gives the same with whole answers, ``with_streaming_response`` with
    context managers over unread ones.
    """

    with_raw_response: Views[Endpoints[BlockingRaw], Endpoints[AsyncRaw]] = Views("raw")
    with_streaming_response: Views[Endpoints[BlockingStreamed], Endpoints[AsyncStreamed]] = Views(
        "streamed"
    )

    def seen_by(self, face: object) -> object:
        """The same with another face; what a client is besides stays behind."""
        return Endpoints(face)

    @property
    def get(self) -> Verb[F]:
        """``GET`` a path; see ``Verb``."""
        return Verb("GET", self.face)

    @property
    def post(self) -> Verb[F]:
        """``POST`` to a path; see ``Verb``."""
        return Verb("POST", self.face)

    @property
    def put(self) -> Verb[F]:
        """``PUT`` to a path; see ``Verb``."""
        return Verb("PUT", self.face)

    @property
    def patch(self) -> Verb[F]:
        """``PATCH`` a path; see ``Verb``."""
        return Verb("PATCH", self.face)

    @property
    def delete(self) -> Verb[F]:
        """``DELETE`` a path; see ``Verb``."""
        return Verb("DELETE", self.face)

    @overload
    def request(
        self: Endpoints[Blocking],
        method: str,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> T: ...
    @overload
    def request(
        self: Endpoints[Async],
        method: str,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        files: RequestFiles | None = None,
        **options: Unpack[CallOptions],
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def request(
        self: Endpoints[BlockingRaw], method: str, path: str, **how: Unpack[VerbOptions]
    ) -> APIResponse[Any]: ...
    @overload
    def request(
        self: Endpoints[AsyncRaw], method: str, path: str, **how: Unpack[VerbOptions]
    ) -> Coroutine[Any, Any, AsyncAPIResponse[Any]]: ...
    @overload
    def request(self, method: str, path: str, **how: Unpack[VerbOptions]) -> Any: ...
    def request(self, method: str, path: str, **how: Any) -> Any:
        """Make a call with any method, such as ``HEAD`` or ``OPTIONS``; see ``Verb``.

        Raises:
            ValueError: The method is none.
        """
        if not (method.isascii() and method.replace("-", "").isalpha()):
            raise ValueError(f"The method {method!r} must be a word, such as 'HEAD'.")
        return Verb(cast("Method", method.upper()), self.face)(path, **how)

    @property
    def service(self) -> Service[F]:
        """The service itself."""
        return Service(self.face)

    @property
    def sessions(self) -> Sessions[F]:
        """Sessions as the service keeps them."""
        return Sessions(self.face)

    @property
    def models(self) -> Models[F]:
        """Models."""
        return Models(self.face)

    @property
    def training(self) -> Training[F]:
        """Passes and steps."""
        return Training(self.face)

    @property
    def weights(self) -> Weights[F]:
        """Saving and loading."""
        return Weights(self.face)

    @property
    def sampling(self) -> Sampling[F]:
        """Samples."""
        return Sampling(self.face)

    @property
    def futures(self) -> Futures[F]:
        """Results of submissions."""
        return Futures(self.face)

    @property
    def training_runs(self) -> TrainingRuns[F]:
        """Training runs."""
        return TrainingRuns(self.face)

    @property
    def checkpoints(self) -> Checkpoints[F]:
        """Checkpoints."""
        return Checkpoints(self.face)

    @property
    def audit(self) -> Audit[F]:
        """The audit log."""
        return Audit(self.face)

    @property
    def billing(self) -> Billing[F]:
        """Costs."""
        return Billing(self.face)

    @property
    def api_keys(self) -> APIKeys[F]:
        """The client's API key."""
        return APIKeys(self.face)

    @property
    def telemetry(self) -> Telemetry[F]:
        """Telemetry."""
        return Telemetry(self.face)
