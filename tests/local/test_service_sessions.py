from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.local.service_driver import TINY, Driver, sample_body, step_body
from tinker_lite.errors import ConfigError, TransportClosed
from tinker_lite.local import LocalService, ServiceSettings, open_service
from tinker_lite.local.promises import Promise
from tinker_lite.wire.json import encode_json


def test_the_service_says_what_it_offers(driver: Driver) -> None:
    """Health, capabilities and client settings need no session."""
    assert driver.get("/healthz") == {"status": "ok"}
    models = driver.get("/get_server_capabilities")["supported_models"]
    assert models[0] == {
        "model_name": TINY,
        "max_context_length": 256,
        "trainable": True,
        "sampleable": True,
    }
    for path in ("/client/config", "/client/dynamic_config"):
        assert driver.post(path, {"sdk_version": "0.38.0"}) == {}


def test_a_finished_session_takes_no_more(driver: Driver) -> None:
    """After the end of a session its requests get 410 and the first reason given."""
    session_id = driver.session()
    model_id = driver.model(session_id)
    accepted = driver.step(model_id, 1)
    driver.post("/session_heartbeat", {"session_id": session_id})
    for reason in ("success", "errored"):
        driver.post(f"/sessions/{session_id}/finish", {"reason": {"type": reason}, "detail": None})
    for path, body in {
        "/session_heartbeat": {"session_id": session_id},
        "/optim_step": step_body(model_id, 2),
        "/get_info": {"model_id": model_id},
        "/create_sampling_session": {
            "session_id": session_id,
            "sampling_session_seq_id": 0,
            "base_model": TINY,
        },
    }.items():
        assert "finished (success)" in driver.refused(410, path, body)
    assert "metrics" in driver.result(accepted)


def test_a_finished_session_leaves_nothing_ephemeral(driver: Driver) -> None:
    """Weights saved for a sampling session alone go with the session that made them."""
    session_id = driver.session()
    model_id = driver.model(session_id)
    saved = driver.save_for_sampler(model_id, 1, sampling_session_seq_id=0)
    folder = driver.service.data_dir / "ephemeral"
    assert len(list(folder.iterdir())) == 1
    pending = driver.post("/asample", sample_body(saved["sampling_session_id"]))
    driver.post(f"/sessions/{session_id}/finish", {"reason": {"type": "success"}})
    assert "sequences" in driver.result(pending)
    driver.result(driver.step(driver.model(), 1))  # training thread: the session is let go of
    driver.sample(None, base_model=TINY)  # sampling thread: so are its files
    assert list(folder.iterdir()) == []


def test_an_unknown_session_is_not_found(driver: Driver) -> None:
    """Requests for a session that never was name it."""
    for path, body in {
        "/session_heartbeat": {"session_id": "nobody"},
        "/sessions/nobody/finish": {"reason": {"type": "success"}},
    }.items():
        assert "'nobody'" in driver.refused(404, path, body)


def test_unknown_paths_and_methods(driver: Driver) -> None:
    """There is a difference between no such path, and a path with another method."""
    driver.refused(404, "/no/such", {})
    assert "GET" in driver.refused(405, "/healthz", {})
    assert driver.send("POST", "/healthz").headers.get("allow") == "GET"
    driver.refused(404, "http://local.invalid/healthz", method="GET")
    assert driver.get("http://local.invalid/pre/fix/api/v1/healthz") == {"status": "ok"}


def test_a_session_says_what_it_holds(driver: Driver) -> None:
    """Its models, samplers and names are told, also once it is finished."""
    body = {"sdk_version": "0.38.0", "user_metadata": {"a": "b"}, "display_name": "mine"}
    session_id = driver.post("/create_session", body)["session_id"]
    model_id = driver.model(session_id)
    saved = driver.save_for_sampler(model_id, 1, sampling_session_seq_id=0)
    driver.model()
    expected = {
        "training_run_ids": [model_id],
        "sampler_ids": [saved["sampling_session_id"]],
        "user_metadata": {"a": "b"},
        "display_name": "mine",
    }
    assert driver.get(f"/sessions/{session_id}") == expected
    driver.post(f"/sessions/{session_id}/finish", {"reason": {"type": "success"}})
    assert driver.get(f"/sessions/{session_id}") == expected
    assert "'nobody'" in driver.refused(404, "/sessions/nobody", method="GET")


def test_sessions_are_listed_newest_first(driver: Driver) -> None:
    """In pages, as their limit and offset say."""
    ids = [driver.session() for _ in range(3)]
    assert driver.get("/sessions")["sessions"] == ids[::-1]
    assert driver.get("/sessions?limit=1&offset=1")["sessions"] == [ids[1]]
    assert "limit" in driver.refused(400, "/sessions?limit=x", method="GET")


def test_compression_is_asked_for_by_setting() -> None:
    """The service tells clients to compress passes when it is set to."""
    with LocalService(settings=ServiceSettings(proto_compress_fwdbwd=True)) as service:
        driver = Driver(service)
        asked = {"sdk_version": "0.38.0"}
        assert driver.post("/client/config", asked) == {"proto_compress_fwdbwd": True}
        assert driver.post("/client/dynamic_config", asked) == {}


def test_telemetry_is_accepted_whatever_it_is(driver: Driver) -> None:
    """Old clients send a refused batch for ever, so that none is."""
    batch: dict[str, Any] = {"events": [], "session_id": "nobody"}
    for body in (batch, b"{"):
        assert driver.post("/telemetry", body) == {"status": "accepted"}


@pytest.mark.parametrize("missing", ["numpy", "safetensors"])
def test_what_must_be_installed_is_said(missing: str) -> None:
    """Without the packages of the extra, the import says which extra to install."""
    program = f"import sys; sys.modules[{missing!r}] = None; import tinker_lite.local"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("install tinker-lite[local].")


def test_a_closed_service_answers_no_more() -> None:
    """Closing ends the threads and removes the temporary store; twice is harmless."""
    before = set(threading.enumerate())  # other tests share the process's own service
    service = LocalService()
    driver = Driver(service)
    driver.result(driver.step(driver.model(), 1))
    driver.sample(None, base_model=TINY)
    assert {t.name for t in set(threading.enumerate()) - before}
    service.close()
    service.close()
    assert not service.data_dir.exists()
    assert {t.name for t in set(threading.enumerate()) - before} == set()
    with pytest.raises(TransportClosed, match="service is closed"):
        driver.send("GET", "/healthz")


def test_pending_requests_fail_when_the_service_closes() -> None:
    """A poll that waits while the service closes is told so at once."""
    service = LocalService()
    driver = Driver(service)
    held = driver.step(driver.model(), 2)
    body = encode_json({"request_id": held["request_id"]})
    promise = service.begin("POST", "/api/v1/retrieve_future", body=body)
    assert isinstance(promise, Promise)
    told = threading.Event()
    promise.add_waiter(told.set)
    assert not told.is_set()
    service.close()
    assert told.is_set()
    assert b"The service was closed." in service.answer(promise).body


def test_a_process_has_one_temporary_service() -> None:
    """Opening twice gives the same service until it is closed; another path another one."""
    first = open_service()
    assert open_service() is first
    first.close()
    second = open_service()
    assert second is not first
    second.close()


def test_a_folder_has_one_service_per_process(tmp_path: Path) -> None:
    """The same folder by another spelling is the same service."""
    first = open_service(tmp_path / "store")
    assert open_service(str(tmp_path / "x" / ".." / "store")) is first
    first.close()


def test_a_folder_is_held_against_others(tmp_path: Path) -> None:
    """A second process, or a second service, is told which process holds the folder."""
    with LocalService(tmp_path):
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            LocalService(tmp_path)
        program = "import sys, tinker_lite.local as l; l.open_service(sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        assert other.returncode == 1
        assert f"in use by process {os.getpid()}" in other.stderr
    LocalService(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A data folder below a file is a setting to fix, not a crash."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/store cannot be made"):
        LocalService(tmp_path / "file" / "store")


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    """The folder of a process that ended without closing can be opened."""
    program = "import sys, os, tinker_lite.local as l; l.open_service(sys.argv[1]); os._exit(9)"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=15, check=False)
    LocalService(tmp_path).close()


FORKED = """
import os, sys
from tinker_lite.errors import ConfigError, TransportClosed
from tinker_lite.http import Request
from tinker_lite.local import LocalTransport, open_service

temporary, lasting = open_service(), open_service(sys.argv[1])
transport = LocalTransport(temporary)
ask = Request(method="GET", url="http://local.invalid/api/v1/healthz")
assert transport.send(ask).status == 200
if os.fork() == 0:
    try:
        transport.send(ask)
    except TransportClosed as error:
        assert "fork" in str(error)
    else:
        raise AssertionError
    try:
        open_service(sys.argv[1])
    except ConfigError as error:
        assert f"process {os.getppid()}" in str(error)
    else:
        raise AssertionError
    own = open_service()
    assert own.data_dir != temporary.data_dir
    assert LocalTransport(own).send(ask).status == 200
    print(own.data_dir)
    sys.exit(0)
pid, status = os.wait()
assert status == 0, status
assert temporary.data_dir.exists()
assert transport.send(ask).status == 200
print(temporary.data_dir)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_gets_services_of_its_own(tmp_path: Path) -> None:
    """The child cannot use what it inherited; both clean up their own temporary store."""
    ran = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    folders = [Path(line) for line in ran.stdout.split()]
    assert len(set(folders)) == 2
    assert [folder for folder in folders if folder.exists()] == []
