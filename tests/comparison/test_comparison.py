from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.comparison.differences import (
    ABSENT,
    SENT,
    Difference,
    Row,
    differences,
    read_table,
    unsettled,
)
from tests.comparison.recording_server import Recorded
from tests.comparison.runs import GENERATIONS, recording_path, run_official, run_ours
from tests.comparison.traffic import HEARTBEAT, Traffic, traffic

# Fixtures take the settings of proxies away, which pip may need; how it runs is not to be measured.
ENVIRONMENT_AT_START = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
# For the custom loss: the release that the other tests use, so that it need not be fetched again.
TORCH = "torch==2.13.0"
PYTHON = Path("bin", "python")
NO_INDEX = re.compile(r"\(from versions: none\)|connection|timed out", re.IGNORECASE)


def recorded(generation: str) -> Traffic:
    """The checked-in recording."""
    found: Traffic = json.loads(recording_path(generation).read_text(encoding="utf-8"))
    return found


@pytest.mark.timeout(60)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_difference_is_explained(generation: str) -> None:
    """We send what the official SDK sends but for the rows of the table, each of which is seen."""
    theirs = recorded(generation)
    del theirs[HEARTBEAT]  # this program ends before the first beat; the slow test waits for it
    unexplained, idle = unsettled(
        differences(theirs, run_ours(generation)), read_table(), generation
    )
    assert unexplained == []
    assert idle == []


@pytest.fixture(scope="module")
def long_runs() -> Iterator[Callable[[str], Traffic]]:
    """The runs that install packages or wait for a heartbeat, all begun at once.

    Each is named by who speaks, as ``ours 0.38.0``; asking for one waits for it.
    """

    def official(generation: str) -> Traffic:
        return run_official(generation, made.result()[generation])

    # Not a folder of pytest, which would keep the gigabyte for its next three runs.
    with TemporaryDirectory() as folder, ThreadPoolExecutor(max_workers=5) as pool:
        made = pool.submit(official_environments, Path(folder))
        begun: dict[str, Future[Traffic]] = {}
        for generation in GENERATIONS:
            begun[f"ours {generation}"] = pool.submit(run_ours, generation, awaited=[HEARTBEAT])
            begun[f"official {generation}"] = pool.submit(official, generation)
        yield lambda name: begun[name].result()


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_our_heartbeat_is_theirs(generation: str, long_runs: Callable[[str], Traffic]) -> None:
    """The first heartbeat of a session differs by rows of the table only."""
    theirs, ours = recorded(generation), long_runs(f"ours {generation}")
    found = differences({HEARTBEAT: theirs[HEARTBEAT]}, {HEARTBEAT: ours[HEARTBEAT]})
    unexplained, _ = unsettled(found, read_table(), generation)
    assert found != []
    assert unexplained == []


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_official_sdk_still_sends_what_is_recorded(
    generation: str, long_runs: Callable[[str], Traffic]
) -> None:
    """The release, fresh from the package index, sends field by field what is checked in."""
    assert differences(recorded(generation), long_runs(f"official {generation}")) == []


def official_environments(folder: Path) -> dict[str, str]:
    """The interpreters of new environments, one for each release of the official SDK.

    The older release finds the packages of the newer one's environment after its own: both need
    them, and torch alone is a gigabyte.
    """
    newer, older = folder / "newer", folder / "older"
    install(newer, "tinker==0.38.0", TORCH)
    install(older, "--no-deps", "tinker==0.6.3")
    [own], [shared] = (list(one.glob("lib/python*/site-packages")) for one in (older, newer))
    (own / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")
    return {"0.38.0": str(newer / PYTHON), "0.6.3": str(older / PYTHON)}


def install(environment: Path, *packages: str) -> None:
    """Make an environment with these packages; skip the test where no index has them."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / PYTHON)]
    options = ["--quiet", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", *options, "--retries", "1", "--timeout", "20", *packages],
        env=ENVIRONMENT_AT_START,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    if done.returncode != 0 and NO_INDEX.search(done.stderr):
        pytest.skip(f"No package index gives {' '.join(packages)}: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]


# The comparison itself.

SAME: Traffic = {"POST /a": {"request": {"headers": {"x": "1"}, "body": {"n": [1, {"m": 2}]}}}}


def with_body(body: object) -> Traffic:
    """The same request with another body."""
    return {"POST /a": {"request": {"headers": {"x": "1"}, "body": body}}}


@pytest.mark.parametrize(
    ("ours", "field", "their_value", "our_value"),
    [
        pytest.param(with_body({"n": [1, {"m": 3}]}), "body.n[1].m", "2", "3", id="a value"),
        pytest.param(with_body({"n": [True, {"m": 2}]}), "body.n[0]", "1", "true", id="a type"),
        pytest.param(with_body({"n": [1]}), "body.n[1]", '{"m": 2}', ABSENT, id="a short list"),
        pytest.param(with_body({}), "body.n", '[1, {"m": 2}]', ABSENT, id="a field"),
        pytest.param(with_body([]), "body", '{"n": [1, {"m": 2}]}', "[]", id="a kind"),
        pytest.param({}, "request", SENT, ABSENT, id="a whole request"),
    ],
)
def test_a_difference_names_its_field(
    ours: Traffic, field: str, their_value: str, our_value: str
) -> None:
    """Any one change is found, in both directions, with the place and both values."""
    found = Difference("POST /a", "request", field, their_value, our_value)
    assert differences(SAME, ours) == [found]
    swapped = Difference("POST /a", "request", field, our_value, their_value)
    assert differences(ours, SAME) == [swapped]


def test_an_empty_list_is_no_empty_object() -> None:
    """Values of different kinds differ though neither has anything in it."""
    found = Difference("POST /a", "request", "body", "{}", "[]")
    assert differences(with_body({}), with_body([])) == [found]


def test_a_repeat_is_told_from_a_new_request() -> None:
    """Requests about one thing are numbered, and so are the idempotency keys they came under."""
    uuids = ["0" * 8 + f"-0000-0000-0000-00000000000{n}" for n in (1, 1, 2)]
    body = b'{"model_id": "m", "seq_id": 4, "rate": 1.0}'
    sent = [
        Recorded(
            "POST",
            "/b?c=1",
            {"content-type": "application/json", "x-idempotency-key": f"k-{u}"},
            body,
        )
        for u in uuids
    ]
    found = traffic(sent)["POST /b"]
    assert list(found) == ["m seq_id 4", "m seq_id 4, time 2", "m seq_id 4, time 3"]
    keys = [one["headers"]["x-idempotency-key"] for one in found.values()]
    assert keys == [{"form": "k-<uuid>", "number": n} for n in (1, 1, 2)]
    assert found["m seq_id 4"]["query"] == {"c": "1"}
    assert found["m seq_id 4"]["body"] == {"model_id": "m", "rate": 1, "seq_id": 4}


def test_equal_traffic_has_no_difference() -> None:
    """Numbers are compared as JSON compares them: 1 is 1.0."""
    assert differences(SAME, with_body({"n": [1.0, {"m": 2}]})) == []


def test_rows_must_explain_and_be_seen() -> None:
    """A row for another field is idle and explains nothing; other releases do not matter."""
    row = Row(("1",), "POST /*", "*", "body.n[0]", "1", "*", "because")
    other = row._replace(field="body.n[1].m")
    found = differences(SAME, with_body({"n": [5, {"m": 2}]}))
    assert unsettled(found, [row], "1") == ([], [])
    assert unsettled(found, [other], "1") == (found, [other])
    assert unsettled(found, [other], "2") == (found, [])
