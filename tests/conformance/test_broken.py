"""Each transport that is broken on purpose fails exactly the cases that name its fault."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.conformance import broken
from tests.rules.sources import ROOT, bare_environment, fresh_interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.slow  # a run of the whole kit is mostly waiting, so a few run at a time

AT_ONCE = 3
PATIENCE_S = 2.0
MAIN = "from tinker_lite.cli import main; main()"


def results(name: str, folder: Path) -> dict[str, str]:
    """Run the whole kit over a factory; the reason of each failure."""
    file = folder / f"{name}.json"
    done = subprocess.run(
        [
            *fresh_interpreter(MAIN),
            *("conformance", "transport", f"{broken.__name__}:{name}"),
            *("--json", str(file), "--patience", str(PATIENCE_S)),
        ],
        cwd=ROOT,
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert file.exists(), done.stdout + done.stderr
    told: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    assert told["counts"]["passed"] > 120
    assert done.returncode == (1 if told["counts"]["failed"] else 0)
    return {one["case"]: one["reason"] for one in told["results"] if one["outcome"] == "failed"}


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[str, Future[dict[str, str]]]]:
    """A run for each factory."""
    folder = tmp_path_factory.mktemp("runs")
    names = [factory.__name__ for factory in broken.FAILS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(results, name, folder) for name in names}


@pytest.mark.parametrize("factory", broken.FAILS, ids=lambda factory: factory.__name__)
def test_it_fails_its_cases_and_no_others(
    factory: type[broken.Whole], runs: Mapping[str, Future[dict[str, str]]]
) -> None:
    """The cases that fail are those listed beside the factory; all others pass."""
    failures = runs[factory.__name__].result(timeout=550)
    assert set(failures) == broken.FAILS[factory], failures


def test_every_promise_is_broken_by_somebody() -> None:
    """The docstrings name the promises, 1 to 8."""
    promises = {(factory.__doc__ or "")[:9] for factory in broken.FAILS}
    assert {f"Promise {number}" for number in range(1, 9)} <= promises
