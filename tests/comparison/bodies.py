"""Request bodies in one readable form: plain JSON values.

A protobuf body is read with the protobuf package and a definition of its own, not with our codec,
so that a slip of ours would show. Arrays of bytes become lists of numbers, and a tensor looks as it
does in JSON.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from tests.comparison.recording_server import Recorded
from tests.wire.protobuf_foreign import foreign

__all__ = ["read_body"]

DTYPES: dict[int, tuple[str, str]] = {1: ("float32", "<f4"), 2: ("int64", "<i8")}


def read_body(request: Recorded) -> dict[str, Any]:
    """The fields of a body; none where it is empty.

    Raises:
        ValueError: The body is in a form that no client is known to send.
    """
    if not request.body:
        return {}
    kind = request.headers.get("content-type")
    if kind == "application/json":
        fields: dict[str, Any] = json.loads(request.body)
        return fields
    if kind != "application/x-protobuf" or "content-encoding" in request.headers:
        raise ValueError(f"{request.target} came as {kind}")
    message: Any = foreign("ForwardBackwardRequest")
    message.ParseFromString(request.body)
    size_bytes = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size_bytes:
        raise ValueError(f"{request.target} has fields that the definition of its message has not")
    return _pass(message)


def _pass(message: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model_id": message.model_id,
        "seq_id": message.seq_id,
        "data": [_datum(one) for one in message.data],
        "loss_fn": message.loss_fn,
        "forward_only": message.forward_only,
        "loss_fn_config": dict(message.loss_fn_config),
        "loss_fn_config_v2": {
            key: {value.WhichOneof("value"): getattr(value, value.WhichOneof("value"))}
            for key, value in message.loss_fn_config_v2.items()
        },
    }
    return fields


def _datum(message: Any) -> dict[str, Any]:
    tensors = message.loss_fn_inputs
    fields: dict[str, Any] = {
        "model_input": [_chunk(one) for one in message.model_input],
        "loss_fn_inputs": {name: _tensor(tensors[name]) for name in sorted(tensors)},
    }
    for name in ("model_input_spans", "loss_fn_input_spans"):
        if getattr(message, name):
            fields[name] = [_span(one) for one in getattr(message, name)]
    return fields


def _span(message: Any) -> dict[str, Any]:
    kind = message.WhichOneof("span")
    span = getattr(message, kind)
    return {
        "kind": kind,
        "sequence_id": span.sequence_id,
        "offset": span.offset,
        "length": span.length,
    }


def _chunk(message: Any) -> dict[str, Any]:
    kind = message.WhichOneof("chunk")
    chunk = getattr(message, kind)
    fields: dict[str, Any] = {"type": kind}
    for field, value in chunk.ListFields():
        if field.name == "tokens":
            fields["tokens"] = np.frombuffer(value, "<i4").tolist()
        elif isinstance(value, bytes):
            fields[field.name] = base64.b64encode(value).decode()
        else:
            fields[field.name] = value if isinstance(value, str | int) else str(value)
    return fields


def _tensor(message: Any) -> dict[str, Any]:
    name, code = DTYPES[message.dtype]
    fields: dict[str, Any] = {"dtype": name, "shape": list(message.shape)}
    if message.WhichOneof("encoding") == "sparse_csr":
        sparse = message.sparse_csr
        fields["data"] = np.frombuffer(sparse.values, code).tolist()
        fields["sparse_crow_indices"] = np.frombuffer(sparse.crow_indices, "<i8").tolist()
        fields["sparse_col_indices"] = np.frombuffer(sparse.col_indices, "<i8").tolist()
    else:
        fields["data"] = np.frombuffer(message.dense, code).tolist()
    return fields
