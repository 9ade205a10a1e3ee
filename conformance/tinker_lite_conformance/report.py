"""The outcome of a run as values: what the command shows, and writes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

__all__ = ["Outcome", "Report", "Result", "judge"]


class Outcome(Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    EXPECTED = "xfailed"
    UNEXPECTED = "xpassed"
    NOT_APPLICABLE = "not applicable"

    @property
    def is_good(self) -> bool:
        """Whether a run with it can be a success."""
        return self not in {Outcome.FAILED, Outcome.UNEXPECTED}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a run.

    Attributes:
        case: Its number.
        sentence: What must hold.
        source: The rule behind it.
        needs: The capabilities that it needs.
        outcome: What became of it.
        reason: Why it failed, was expected to fail, or is not applicable.
        details: The traceback of a failure.
        seconds: How long it took, over all its inputs and event loops.
    """

    case: str
    sentence: str
    source: str
    needs: tuple[str, ...]
    outcome: Outcome
    reason: str = ""
    details: str = ""
    seconds: float = 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Attributes:
        kit: ``transport``.
        version: The version of tinker-lite that the kit belongs to.
        candidate: The factory, as ``module:attribute``.
        form: ``blocking`` or ``async``.
        backends: The event loops of an async candidate.
        capabilities: Each capability, and None or the reason why it is lacking.
        counts: How many cases have each outcome.
        results: Every case that was asked for, by number.
    """

    kit: str
    version: str
    candidate: str
    form: str
    backends: tuple[str, ...]
    capabilities: Mapping[str, str | None]
    counts: Mapping[str, int]
    results: tuple[Result, ...]

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @property
    def is_good(self) -> bool:
        """Whether every applicable case passed or failed as expected, and one did pass."""
        return all(one.outcome.is_good for one in self.results) and any(
            one.outcome is Outcome.PASSED for one in self.results
        )


def judge(*, failed: bool, passed: bool, expected: bool) -> Outcome:
    """The outcome of a case from those of its inputs.

    Args:
        failed: One of its inputs failed.
        passed: One of them passed.
        expected: It is in the list of expected failures.
    """
    if failed:
        return Outcome.EXPECTED if expected else Outcome.FAILED
    if passed:
        return Outcome.UNEXPECTED if expected else Outcome.PASSED
    return Outcome.NOT_APPLICABLE
