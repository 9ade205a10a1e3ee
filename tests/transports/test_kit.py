"""The kit itself: numbered, sourced, declared, and able to see what it looks for."""

from __future__ import annotations

import asyncio
import inspect
import re
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.rules.sources import ROOT
from tinker_lite_conformance.transport import (
    CAPABILITIES,
    AsyncTransportCases,
    Options,
    TransportCases,
)
from tinker_lite_conformance.transport.capabilities import needs, needs_of, reason_to_skip
from tinker_lite_conformance.transport.catalogue import catalogue, entry_of
from tinker_lite_conformance.transport.subject import drive

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = dict(inspect.getmembers(AsyncTransportCases, inspect.iscoroutinefunction))
ENTRIES = catalogue(AsyncTransportCases)


def test_every_case_has_a_number_a_sentence_and_a_source() -> None:
    """The docstring of a case is its entry in the list of rules; the number is in its name too."""
    assert len(ENTRIES) >= 120
    for name, case in CASES.items():
        number = entry_of(case).number
        assert name.startswith(f"test_{number.lower().replace('-', '')}_"), name


def test_a_case_without_a_source_is_refused() -> None:
    """The list takes no case that does not say what it rests on."""

    def case() -> None:
        """T-999: something holds."""

    with pytest.raises(ValueError, match=r"case has no number, one sentence and a source"):
        entry_of(case)


def test_no_number_is_given_twice() -> None:
    """Numbers name cases for good, and the list is in their order."""
    numbers = [int(entry.number[2:]) for entry in ENTRIES]
    assert numbers == sorted(set(numbers))


def test_no_case_hides_another() -> None:
    """Two classes of cases never use the same name, of which one would be lost."""
    owners = [vars(base) for base in AsyncTransportCases.__mro__]
    for name in CASES:
        assert sum(name in owner for owner in owners) == 1, name


@pytest.mark.parametrize("promise", range(1, 9))
def test_every_promise_of_the_seam_has_a_case(promise: int) -> None:
    """The sources name each promise at least once."""
    sources = " ".join(entry.source for entry in ENTRIES)
    assert re.search(rf"seam, promises? (\d and )?{promise}\b", sources)


def test_both_forms_have_the_same_cases() -> None:
    """What an async transport must do, a blocking one must do too, with the same needs."""
    assert catalogue(TransportCases) == ENTRIES


def test_every_capability_is_needed_by_a_case() -> None:
    """A capability that no case needs would be a question without a meaning; trio is a loop."""
    needed = {name for entry in ENTRIES for name in entry.needs}
    assert needed | {"trio"} == set(CAPABILITIES)
    assert all(sentence.endswith(".") for sentence in CAPABILITIES.values())


def test_the_guide_lists_the_capabilities() -> None:
    """docs/conformance.md has the table as it is here."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)) == CAPABILITIES


def test_a_case_that_takes_the_kit_needs_sockets() -> None:
    """The signature says it; the cases that a transport in process can run take the prober."""
    in_process = [entry.number for entry in ENTRIES if "sockets" not in entry.needs]
    assert in_process == [entry.number for entry in ENTRIES if int(entry.number[2:]) >= 200]
    assert len(in_process) >= 15


def test_needs_add_up_and_stay_in_the_order_of_the_table() -> None:
    """A case has its own needs and those of its class."""

    @needs("proxies")
    class Cases:
        @needs("trio", "http2")
        def case(self) -> None: ...

    assert needs_of(Cases.case) == ("proxies", "http2", "trio")
    assert reason_to_skip(Cases.case, {"trio": "no"}) == "lacks trio: no"
    assert reason_to_skip(Cases.case, {"sockets": "none"}) is None


@pytest.mark.parametrize(
    "misspell",
    [
        lambda: needs("proxy"),
        lambda: type("Cases", (TransportCases,), {"lacks": {"proxy": "none"}}),
    ],
    ids=["of a case", "of a candidate"],
)
def test_a_misspelt_capability_is_refused(misspell: Callable[[], object]) -> None:
    """It would silently change what is tested."""
    with pytest.raises(ValueError, match="no capability called 'proxy'; there are sockets, "):
        misspell()


def test_options_default_to_the_choice_of_the_transport() -> None:
    """A case names only what it is about."""
    assert Options() == (None, None, None)
    context = ssl.create_default_context()
    assert Options(verify=context).verify is context


def test_a_blocking_case_that_suspends_is_a_defect() -> None:
    """Over a blocking transport nothing may wait for a loop, and the driver says so."""

    async def case() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for an event loop"):
        drive(case())
