"""How training passes and large results travel, in protobuf or in JSON, learnt from answers.

Servers of every generation (protocol sections 2.6, 3.9, 12.1 and 12.3): the oldest and some
self-hosted ones know JSON only, the hosted one takes passes and gives their results in protobuf
only, others know both. The rules:

* A pass goes in protobuf until a server has shown what it takes. If that first contact is refused
  with 404, 415, 422 or 500, the same pass is offered in JSON; what is accepted is kept to. A form
  that was accepted once and is refused with 415 later is forgotten.
* A server that answers a poll for protobuf with JSON is offered JSON first from then on.
* A result is read by its content type, whatever was asked for.
* An offer in JSON is dense: CSR tensors are newer than JSON passes.

Nothing is learnt where the caller has chosen one form.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tinker_lite.protocol.endpoint import Form
from tinker_lite.protocol.replies import JSON, PROTOBUF, has_protobuf

__all__ = ["Learned", "accepted_form", "is_refusal", "pass_forms"]

_REFUSALS = frozenset({404, 415, 422, 500})


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What a server has shown.

    Attributes:
        passes: The form of a pass that it has accepted.
        results: The form of results that it gives when asked for protobuf.
    """

    passes: Form | None = None
    results: Form | None = None


def pass_forms(choice: Literal["auto"] | Form, learned: Learned) -> tuple[Form, ...]:
    """The forms in which to offer a pass, in order."""
    if choice != "auto":
        return (choice,)
    if learned.passes is not None:
        return (learned.passes,)
    return ("json", "protobuf") if learned.results == "json" else ("protobuf", "json")


def is_refusal(status: int) -> bool:
    """Whether a first contact in this form may have failed because of the form."""
    return status in _REFUSALS


def accepted_form(choice: Literal["auto"] | Form, learned: Learned, result: object) -> str:
    """The Accept header of a poll for a result of this type."""
    if choice == "json" or not has_protobuf(result):
        return JSON
    return JSON if choice == "auto" and learned.results == "json" else PROTOBUF
