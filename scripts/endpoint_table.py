"""Write the table of the endpoints for people, from the table that the code reads.

    python -m scripts.endpoint_table

A test holds ``docs/endpoints.md`` against it.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from tinker_lite import Tinker
from tinker_lite.engine.options import CallOptions
from tinker_lite.local.service import NOT_SERVED
from tinker_lite.protocol.endpoints import ENDPOINTS, PROTOCOL_VERSION, Endpoint

DOCUMENT = Path(__file__).parent.parent / "docs" / "endpoints.md"

HEAD = f"""\
# Endpoints

Written by `python -m scripts.endpoint_table` from `tinker_lite.protocol.endpoints`; do not edit.

Each is a method of `Tinker` and `AsyncTinker` under the name in the first column: `client.models.get_info(request)`.
"Arguments" are those of the method, before the options that all methods take. `request` is the body: a struct of the type
named there, or a mapping of its fields. Paths are below `/api/v1`. A *future* is what a submission answers at once;
`client.result(row, future)` waits for what it comes to. "Versions" says which generations of the official client call it;
the rows are those of {PROTOCOL_VERSION}, and older ones that services of today need not have. Failures are repeated as the
client's settings say, unless it says otherwise: *once* is one attempt, *poll* is left to the loop that polls, *paced*
leaves back-pressure (429) to the caller. Rows with a *no* under `local:` are not served by the embedded service.

| name | arguments | request | body | answer | comes to | attempts | limit | versions | `local:` |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501  # lines of the document, whose width is 120


def document() -> str:
    """The whole document."""
    with Tinker(base_url="local:") as client:
        return HEAD + "".join(_line(row, _arguments(client, row.name)) for row in ENDPOINTS)


def _arguments(client: Tinker, name: str) -> str:
    """The parameters of a method without the options of every call."""
    resource, _, method = name.partition(".")
    signature = inspect.signature(getattr(getattr(client, resource), method))
    own = [p for p in signature.parameters.values() if p.name not in CallOptions.__annotations__]
    return ", ".join(str(p.replace(annotation=p.empty)) for p in own)


def _line(row: Endpoint, arguments: str) -> str:
    answer = "a future" if row.result is not None else _name(row.response)
    if row.answers_by_redirect:
        answer = "a redirect"
    attempts = "" if row.retry == "standard" else row.retry
    cells = [
        f"`{row.name}`",
        f"`{arguments}`" if arguments else "",
        _place(row),
        _name(row.request),
        answer,
        _name(row.result),
        attempts,
        f"{row.timeout_s:g} s",
        row.versions,
        "no" if row.name in NOT_SERVED else "",
    ]
    return f"| {' | '.join(cells)} |\n"


def _place(row: Endpoint) -> str:
    place = f"`{row.method} {row.path}`"
    return f"{place}; as protobuf `{row.protobuf_path}`" if row.protobuf_path else place


def _name(type_: type | None) -> str:
    return "" if type_ is None else f"`{type_.__name__}`"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
