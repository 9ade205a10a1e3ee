"""A run of the kit as values: outcomes, expected failures, declarations and their mistakes."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.conformance import broken
from tinker_lite.http import Request
from tinker_lite_conformance.report import Outcome, judge
from tinker_lite_conformance.running import Plan, run_transport_cases
from tinker_lite_conformance.transport.candidates import load_candidate
from tinker_lite_h11 import H11Transport

if TYPE_CHECKING:
    from tinker_lite_conformance.report import Report
    from tinker_lite_conformance.transport import Options

HERE = "tests.conformance.test_running"
NOT_CALLABLE = "a text"


def asynchronous(options: Options) -> H11Transport:
    """A good async transport, said to be for asyncio only."""
    return H11Transport(verify=options.verify or True)


asynchronous.__dict__["lacks"] = {"trio": "it is for asyncio", "proxies": "left out"}


def offering(options: Options) -> H11Transport:
    """An async transport that offers HTTP/2, which it does not speak."""
    context = ssl.create_default_context()
    if options.verify is not None:
        context.load_verify_locations(
            cadata=b"".join(options.verify.get_ca_certs(binary_form=True))
        )
    context.set_alpn_protocols(["h2", "http/1.1"])
    return H11Transport(verify=context)


def not_offering(options: Options) -> H11Transport:
    """An async transport that says it offers HTTP/2, and does not."""
    return H11Transport(verify=options.verify or True)


def failing(_options: Options) -> object:
    """A factory that fails."""
    raise LookupError("no such thing")


def empty(_options: Options) -> object:
    """A factory whose product is no transport."""
    return object()


def misspelt(_options: Options) -> object:
    """A factory that lacks what nobody knows."""
    return object()


misspelt.__dict__["lacks"] = {"proxy": "left out"}


def unreasoned(_options: Options) -> object:
    """A factory that gives no reason."""
    return object()


unreasoned.__dict__["lacks"] = ["proxies"]


def mute(_options: Options) -> object:
    """A factory without sockets that answers nothing."""
    return object()


mute.__dict__["lacks"] = {"sockets": "it is in process"}


def misled(_options: Options) -> object:
    """A factory whose probe is none."""
    return object()


misled.__dict__["probe"] = "GET /"


def run(name: str, *only: str, **settings: Any) -> Report:
    """Run a few cases over a broken transport."""
    return run_transport_cases(Plan(f"{broken.__name__}:{name}", only=only, **settings))


def outcomes(report: Report) -> dict[str, Outcome]:
    """The outcome of each case."""
    return {one.case: one.outcome for one in report.results}


def test_cases_that_pass_fail_and_do_not_apply() -> None:
    """Each case that was asked for has an outcome, a reason where it needs one, and its entry."""
    report = run("NamesItself", "T-98", "T-13", "T-40")
    assert outcomes(report) == {
        "T-13": Outcome.FAILED,
        "T-40": Outcome.PASSED,
        "T-98": Outcome.NOT_APPLICABLE,
    }
    failed, passed, skipped = report.results
    assert re.fullmatch(
        r"AssertionError: assert .*user-agent.* \(sending\.py, line \d+\)", failed.reason
    )
    assert "user-agent" in failed.details
    assert failed.source == "seam, promise 8"
    assert (passed.reason, passed.details) == ("", "")
    assert skipped.reason == "lacks http2: it speaks HTTP/1.1 only"
    assert (report.form, report.backends) == ("blocking", ())
    assert not report.is_good


def test_each_test_is_told_as_it_ends() -> None:
    """Somebody who watches sees each input of a case, in the order of the cases."""
    steps: list[tuple[int, int, str, bool | None]] = []

    def note(n_done: int, n_total: int, case: str, passed: bool | None) -> None:
        steps.append((n_done, n_total, case, passed))

    plan = Plan("tests.conformance.broken:NamesItself", only=("T-98", "T-13", "T-41"))
    run_transport_cases(plan, note)
    assert steps == [
        (1, 6, "T-13", False),
        (2, 6, "T-13", False),
        (3, 6, "T-41", True),
        (4, 6, "T-41", True),
        (5, 6, "T-41", True),
        (6, 6, "T-98", None),
    ]


def test_expected_failures() -> None:
    """A failure that is expected is no failure; a success that is not expected is one."""
    good = run("NamesItself", "T-13", "T-40", xfails={"T-13": "it likes its name"})
    assert outcomes(good) == {"T-13": Outcome.EXPECTED, "T-40": Outcome.PASSED}
    assert good.results[0].reason == "it likes its name"
    assert good.is_good
    stale = run("NamesItself", "T-40", "T-98", xfails={"T-40": "", "T-98": ""})
    assert outcomes(stale) == {"T-40": Outcome.UNEXPECTED, "T-98": Outcome.NOT_APPLICABLE}
    assert not stale.is_good


def test_a_run_in_which_nothing_applies_proves_nothing() -> None:
    """To be good, a run needs a case that passed."""
    report = run("Whole", "T-98")
    assert outcomes(report) == {"T-98": Outcome.NOT_APPLICABLE}
    assert not report.is_good


@pytest.mark.parametrize(
    ("failed", "passed", "expected", "outcome"),
    [
        (True, True, False, Outcome.FAILED),
        (True, True, True, Outcome.EXPECTED),
        (False, True, False, Outcome.PASSED),
        (False, True, True, Outcome.UNEXPECTED),
        (False, False, False, Outcome.NOT_APPLICABLE),
        (False, False, True, Outcome.NOT_APPLICABLE),
    ],
)
def test_one_failing_input_fails_its_case(
    failed: bool, passed: bool, expected: bool, outcome: Outcome
) -> None:
    """A case has as many tests as inputs and loops, and one outcome."""
    assert judge(failed=failed, passed=passed, expected=expected) is outcome


def test_an_async_candidate_runs_on_its_loops() -> None:
    """The report names the loops; a loop that the candidate cannot do is not held against it."""
    plan = Plan(f"{HERE}:asynchronous", is_async=True, only=("T-40", "T-80"))
    report = run_transport_cases(plan)
    assert outcomes(report) == {"T-40": Outcome.PASSED, "T-80": Outcome.NOT_APPLICABLE}
    assert (report.form, report.backends) == ("async", ("asyncio", "trio"))
    assert report.capabilities["trio"] == "it is for asyncio"
    assert report.capabilities["sockets"] is None
    assert report.is_good


def test_http2_is_seen_where_it_is_offered() -> None:
    """None of our transports offers it; one whose TLS context does passes the case for it."""
    good = run_transport_cases(Plan(f"{HERE}:offering", is_async=True, only=("T-98",)))
    assert outcomes(good) == {"T-98": Outcome.PASSED}
    silent = run_transport_cases(Plan(f"{HERE}:not_offering", is_async=True, only=("T-98",)))
    assert outcomes(silent) == {"T-98": Outcome.FAILED}


def test_the_report_as_json() -> None:
    """It tells the kit, its version, the candidate, its capabilities and each case."""
    told = msgspec.json.decode(run("Whole", "T-40").to_json())
    assert (told["kit"], told["candidate"]) == ("transport", "tests.conformance.broken:Whole")
    assert told["capabilities"]["http2"] == "it speaks HTTP/1.1 only"
    assert told["counts"] == {
        "passed": 1,
        "failed": 0,
        "xfailed": 0,
        "xpassed": 0,
        "not applicable": 0,
    }
    [result] = told["results"]
    assert (result["case"], result["outcome"], result["needs"]) == ("T-40", "passed", ["sockets"])


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("no_colon", r"'no_colon' is not of the form module:attribute, as in mypkg:factory\."),
        (":f", r"':f' is not of the form"),
        ("no_such_module:f", r"There is no module 'no_such_module' to import for"),
        (f"{HERE}:nope", r"The module 'tests\.conformance\.test_running' has no 'nope'\."),
        (f"{HERE}:NOT_CALLABLE", r"is not callable; it must take Options"),
        (f"{HERE}:misspelt", r"no capability called 'proxy'"),
        (f"{HERE}:unreasoned", r"lacks must map each capability .* to a reason"),
        (f"{HERE}:mute", r"lacks sockets, so its factory needs an attribute 'probe'"),
        (f"{HERE}:misled", r"probe is no tinker_lite\.http\.Request"),
        (f"{HERE}:failing", r"failing\(Options\(\)\) failed: LookupError: no such thing\."),
        (f"{HERE}:empty", r"gives object, which has no send\(\)\."),
        (f"{HERE}:asynchronous", r"gives H11Transport, an async transport: add --async\."),
    ],
)
def test_a_wrong_candidate_is_told_what_is_wrong(target: str, complaint: str) -> None:
    """Nothing runs, and the text is for whoever wrote the factory."""
    with pytest.raises(ValueError, match=complaint):
        run_transport_cases(Plan(target))


def test_a_blocking_candidate_is_not_taken_for_an_async_one() -> None:
    """The form is said, and checked."""
    with pytest.raises(ValueError, match="a blocking transport: leave out --async"):
        run("Whole", is_async=True)


def test_a_case_that_is_not_there_is_refused() -> None:
    """A number that no case has is a mistake in the command or the file, and named."""
    with pytest.raises(ValueError, match=r"There is no case T-7, T-999\."):
        run("Whole", "T-40", "T-999", xfails={"T-7": ""})


def test_a_declaration_is_read_from_the_factory() -> None:
    """What a factory lacks, and the request that it can answer, are attributes of it."""
    candidate = load_candidate(f"{HERE}:declaring")
    assert candidate.make is declaring
    assert candidate.lacks == {"sockets": "it is in process"}
    assert candidate.probe == PROBE


PROBE = Request(method="GET", url="http://probe.invalid/")


def declaring(_options: Options) -> object:
    """A factory that declares everything."""
    return object()


declaring.__dict__["lacks"] = {"sockets": "it is in process"}
declaring.__dict__["probe"] = PROBE
