"""How training passes and large results travel, in protobuf or in JSON, learnt from answers.

Servers of every generation (protocol sections 2.6, 3.9, 12.1 and 12.3): the oldest and some
self-hosted ones know JSON only, the hosted one takes passes and gives their results in protobuf
only, others know both. The rules:

* A pass goes in protobuf until a server has shown what it takes. If that first contact is refused
  with 404, 415, 422 or 500, the same pass is offered in JSON; what is accepted is kept to.
* A 500 is ambiguous: the server may choke on the form, be in trouble, or have accepted the pass
  while the answer was lost. If the other form is not understood either, both are offered again
  after a delay. If it is understood and refused, the first form is offered once more: a pass that
  was accepted is accepted again, by its number.
* Once a form is known, 500 is trouble and nothing else; 404, 415 and 422 have the other form
  offered once, since a server may have been exchanged.
* A server that answers a poll for protobuf with JSON is offered JSON first from then on.
* A result is read by its content type, whatever was asked for.
* A pass in JSON is dense: CSR tensors are newer than JSON passes.

Nothing is learnt where the caller has chosen one form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from tinker_lite.protocol.endpoint import Form
from tinker_lite.protocol.replies import JSON, PROTOBUF, has_protobuf

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Learned", "Next", "accepted_form", "after_refusals", "pass_forms"]

# Told apart by what they say of the form: nothing that could be meant for the content, maybe.
_NOT_UNDERSTOOD = frozenset({404, 405, 415})
_REFUSALS = frozenset({404, 415, 422})

# other: the other form, at once. again: the first form once more, at once. wait: begin anew, after
# the delay that a 500 has. usual: as for any call. first, second: that answer is final.
Next: TypeAlias = Literal["other", "again", "wait", "usual", "first", "second"]


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
    known = learned.passes or ("json" if learned.results == "json" else "protobuf")
    return ("json", "protobuf") if known == "json" else ("protobuf", "json")


def after_refusals(statuses: Sequence[int], *, is_known: bool) -> Next:
    """What comes after the answers to the offers of one round.

    Args:
        statuses: The last one of each offer: of the first form, of the other one, and of the first
            once more.
        is_known: The server has accepted the first form before.
    """
    refusals = _REFUSALS if is_known else {*_REFUSALS, 500}
    first, *others = statuses
    if not others:
        return "other" if first in refusals else "usual"
    if len(others) == 2:
        return "second" if others[1] == 500 else "usual"
    second = others[0]
    if first == 500 and is_known:  # found by another pass while this one looked elsewhere
        return "wait"
    if 500 in {first, second} and not is_known:
        understood = next((s for s in statuses if s != 500 and s not in _NOT_UNDERSTOOD), None)
        if understood is None:
            return "wait"
        if first == 500:
            return "again"
    # What refuses the form says less than what refuses the content; of equals the first counts.
    return "first" if _vagueness(first) <= _vagueness(second) else "second"


def _vagueness(status: int) -> int:
    return 2 if status in {415, 500} else 1 if status in _NOT_UNDERSTOOD else 0


def accepted_form(choice: Literal["auto"] | Form, learned: Learned, result: object) -> str:
    """The Accept header of a poll for a result of this type."""
    if choice == "json" or not has_protobuf(result):
        return JSON
    return JSON if choice == "auto" and learned.results == "json" else PROTOBUF
