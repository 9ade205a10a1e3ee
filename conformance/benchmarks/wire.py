"""The codecs on what training moves: 128 examples of 4,096 tokens, there and back.

Run ``python conformance/benchmarks/wire.py`` where the project is installed (``pip install -e .``)
with numpy. Beside them run the protobuf package on the same bytes, where it is installed, and the
JSON codec on the same structs. To read logprobs means to have an array for each example.

Each piece of work has processes of its own. Processor time is the least of several runs, since
other work on the machine only adds. Memory is the most that was held at once beyond what was there
before: by Python (tracemalloc), and by the whole process where the system is Linux, since protobuf
keeps its messages outside Python's memory.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from benchmarks.memory import peak_bytes, reset_peak

from tinker_lite import types as t
from tinker_lite.wire import protobuf as pb
from tinker_lite.wire.json import decode_json, encode_json
from tinker_lite.wire.protobuf.schema import MESSAGES, Field

if TYPE_CHECKING:
    from collections.abc import Callable

N_DATUMS, N_TOKENS, N_TIMES = 128, 4096, 15
N_SAMPLES, N_SAMPLED = 64, 2048
JOB_LIMIT_S = 120.0
# Numbers of the protobuf package's own description of types; an enum is read as an int32.
FOREIGN_TYPES = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13, "enum": 5,
}  # fmt: skip
MB = 1e6


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a piece of work takes.

    Attributes:
        cpu_ms: Milliseconds of processor time, least of several.
        python_mb: Most megabytes that Python held for it, result included.
        process_mb: Growth of the resident set, or None where it is not known.
        body_mb: Megabytes of the body that is written or read.
    """

    cpu_ms: float
    python_mb: float
    process_mb: float | None
    body_mb: float


# The size of a body, and what is done with it.
Work: TypeAlias = "tuple[int, Callable[[], object]]"


def measured(work: Work) -> Figures:
    """One piece of work: memory first, before anything was freed that could be used again."""
    size_bytes, run = work
    gc.collect()
    reset_peak()
    before = peak_bytes()
    result = run()
    after = peak_bytes()
    del result
    tracemalloc.start()
    result = run()
    _, traced_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    times_s: list[float] = []
    for _ in range(N_TIMES):
        del result
        start_s = time.thread_time()
        result = run()  # noqa: F841  kept, so that freeing it is not measured
        times_s.append(time.thread_time() - start_s)
    return Figures(
        cpu_ms=min(times_s) * 1e3,
        python_mb=traced_bytes / MB,
        process_mb=None if before is None or after is None else (after - before) / MB,
        body_mb=size_bytes / MB,
    )


def request() -> t.ForwardBackwardRequest:
    """A batch for a policy gradient, of distinct numbers."""
    random = np.random.default_rng(0)

    def datum() -> t.Datum:
        tokens: list[int] = random.integers(0, 150_000, N_TOKENS + 1).tolist()
        floats = random.exponential(size=(3, N_TOKENS)).astype(np.float32)
        inputs = {
            "target_tokens": np.array(tokens[1:]),
            "weights": floats[0],
            "logprobs": -floats[1],
            "advantages": floats[2],
        }
        return t.Datum(t.ModelInput.from_ints(tokens[:-1]), inputs)

    data = [datum() for _ in range(N_DATUMS)]
    passed = t.ForwardBackwardInput(data=data, loss_fn="importance_sampling")
    return t.ForwardBackwardRequest(forward_backward_input=passed, model_id="M", seq_id=1)


def output() -> t.ForwardBackwardOutput:
    """Logprobs of that batch."""
    random = np.random.default_rng(1)
    rows = -random.exponential(size=(N_DATUMS, N_TOKENS))
    return t.ForwardBackwardOutput(
        loss_fn_output_type="ArrayRecord",
        loss_fn_outputs=[{"logprobs": t.TensorData.from_numpy(row)} for row in rows],
        metrics={"loss:sum": 1.0},
    )


def samples() -> t.SampleResponse:
    """64 sequences of 2,048 tokens."""
    random = np.random.default_rng(2)
    sequences = [
        t.SampledSequence(
            stop_reason="stop",
            tokens=random.integers(0, 150_000, N_SAMPLED).tolist(),
            logprobs=(-random.exponential(size=N_SAMPLED)).tolist(),
        )
        for _ in range(N_SAMPLES)
    ]
    return t.SampleResponse(sequences=sequences)


def works() -> dict[str, Work]:
    """Every piece of work, in the order in which it is shown."""
    batch, result, sampled = request(), output(), samples()
    sent = bytes(pb.encode_forward_backward_request(batch))
    came = bytes(pb.encode_forward_backward_output(result))
    drawn = bytes(pb.encode_sample_response(sampled))
    plain, plain_came = encode_json(batch), encode_json(result)
    n_sent, n_came, n_drawn, n_plain = map(len, (sent, came, drawn, plain))
    return {
        "write a batch": (n_sent, lambda: pb.encode_forward_backward_request(batch)),
        "write a batch, send its blocks": (
            n_sent,
            lambda: sum(map(len, pb.encode_forward_backward_request(batch))),
        ),
        "read a batch": (n_sent, lambda: pb.decode_forward_backward_request(sent)),
        "write logprobs": (n_came, lambda: pb.encode_forward_backward_output(result)),
        "read logprobs": (n_came, lambda: pb.decode_forward_backward_output(came)),
        "write samples": (n_drawn, lambda: pb.encode_sample_response(sampled)),
        "read samples": (n_drawn, lambda: pb.decode_sample_response(drawn)),
        **foreign_works(batch, sent, came),
        "JSON: write a batch": (n_plain, lambda: encode_json(batch)),
        "JSON: read a batch": (n_plain, lambda: decode_json(plain, t.ForwardBackwardRequest)),
        "JSON: read logprobs": (
            len(plain_came),
            lambda: decode_json(plain_came, t.ForwardBackwardOutput),
        ),
    }


def foreign_works(batch: t.ForwardBackwardRequest, sent: bytes, came: bytes) -> dict[str, Work]:
    """The protobuf package on the same bytes; nothing where it is not installed."""
    try:
        make = foreign_messages()
    except ImportError:
        return {}

    def parsed(name: str, raw: bytes) -> object:
        message = make(name)
        message.MergeFromString(raw)
        return message

    return {
        "protobuf: write a batch": (len(sent), lambda: foreign_bytes(batch, make)),
        "protobuf: parse a batch": (len(sent), lambda: parsed("ForwardBackwardRequest", sent)),
        "protobuf: parse logprobs": (len(came), lambda: parsed("ForwardBackwardOutput", came)),
        "protobuf: read logprobs": (len(came), lambda: foreign_logprobs(came, make)),
    }


def foreign_bytes(request: t.ForwardBackwardRequest, make: Callable[[str], Any]) -> bytes:
    """A batch by the protobuf package, from the same structs."""
    message = make("ForwardBackwardRequest")
    passed = request.forward_backward_input
    message.model_id, message.seq_id, message.loss_fn = request.model_id, 1, passed.loss_fn
    for datum in passed.data:
        to = message.data.add()
        tokens = np.asarray(datum.model_input.to_ints(), np.int32)
        to.model_input.add().encoded_text.tokens = tokens.tobytes()
        for name, tensor in datum.loss_fn_inputs.items():
            field = to.loss_fn_inputs[name]
            field.dense = tensor.buffer.tobytes()
            field.dtype = 1 if tensor.dtype == "float32" else 2
            field.shape.extend(tensor.shape)
    raw: bytes = message.SerializeToString()
    return raw


def foreign_logprobs(came: bytes, make: Callable[[str], Any]) -> list[np.ndarray[Any, Any]]:
    """Each example's logprobs as an array, by the protobuf package."""
    message = make("ForwardBackwardOutput")
    message.MergeFromString(came)
    cut: list[np.ndarray[Any, Any]] = []
    for record in message.loss_fn_outputs:
        column = record.fields["logprobs"]
        flat = np.frombuffer(column.data, np.float32)
        offsets: list[int] = np.frombuffer(column.offsets, np.int64).tolist()
        cut.extend(flat[start // 4 : end // 4] for start, end in pairwise(offsets))
    return cut


def foreign_messages() -> Callable[[str], Any]:
    """Makes messages of the protobuf package, from our schema.

    Raises:
        ImportError: The package is not installed.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="b.proto", package="b", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            describe(field, message)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())

    def make(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"b.{name}"))()

    return make


def describe(field: Field, message: Any) -> None:
    """Add a field to a message's description; oneofs and optional scalars become plain."""
    to = message.field.add(name=field.name, number=field.number, label=1)
    kind = f".b.{field.kind}"
    if field.label == "map":
        words = [word.capitalize() for word in field.name.split("_")]
        entry = message.nested_type.add(name="".join([*words, "Entry"]))
        entry.options.map_entry = True
        describe(Field(1, "key", "string"), entry)
        describe(Field(2, "value", field.kind), entry)
        kind = f".b.{message.name}.{entry.name}"
    if field.label in {"map", "repeated"}:
        to.label = 3
    if field.kind in FOREIGN_TYPES and field.label != "map":
        to.type = FOREIGN_TYPES[field.kind]
    else:
        to.type, to.type_name = 11, kind


def main() -> None:
    """Print the table, or what a process was started to measure."""
    all_works = works()
    if sys.argv[1:]:
        figures = measured(all_works[sys.argv[1]])
        sys.stdout.write(msgspec.json.encode(figures).decode())
        return
    sys.stdout.write(f"{'':<32}{'CPU ms':>10}{'Python MB':>12}{'process MB':>12}{'body MB':>10}\n")
    for name in all_works:
        sys.stdout.write(f"{name:<32}{line(measured_alone(name))}\n")


def line(figures: Figures) -> str:
    """The figures as columns."""
    process = "-" if figures.process_mb is None else f"{figures.process_mb:.1f}"
    memory = f"{figures.python_mb:>12.2f}{process:>12}"
    return f"{figures.cpu_ms:>10.2f}{memory}{figures.body_mb:>10.2f}"


def measured_alone(name: str) -> Figures:
    """One piece of work, in a process for its time and one for its memory.

    In the second glibc gives large freed blocks back, which costs time: it would keep them for
    later otherwise, and they would hide what is used anew.
    """
    threshold = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    timed, weighed = (
        msgspec.json.decode(
            subprocess.run(  # noqa: S603  this very file
                [sys.executable, __file__, name],
                stdout=subprocess.PIPE,
                env=os.environ | settings,
                timeout=JOB_LIMIT_S,
                check=True,
            ).stdout,
            type=Figures,
        )
        for settings in ({}, threshold)
    )
    return msgspec.structs.replace(weighed, cpu_ms=timed.cpu_ms)


if __name__ == "__main__":
    main()
