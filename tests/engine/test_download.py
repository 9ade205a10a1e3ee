from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.engine.scripted import BASE_URL, ScriptedService, path_of, refusal
from tinker_lite import APIConnectionError, APIFuture, NotFoundError, ServiceClient
from tinker_lite.errors import ConnectionLost
from tinker_lite.http import AsyncResponse, Request
from tinker_lite.testing import AsyncFakeTransport, FakeReply

TINKER_PATH = "tinker://S:train:0/weights/a"
ARCHIVE = "/training_runs/S:train:0/checkpoints/weights/a/archive"
SIGNED = "https://storage.invalid/bucket/a.tar?signature=secret"
CHUNKS = (b"first ", b"second ", b"third")
WHOLE = b"".join(CHUNKS)


class Storage:
    """A transport: the scripted service, and a storage host that streams an archive.

    Args:
        n_chunks: How many chunks come before what ``end`` does.
        end: ``""`` ends the body, ``"lost"`` breaks it off, ``"stalled"`` sends nothing more.
        status: What the storage host answers with.
        declared: Content-Length, or None to leave it out.
    """

    def __init__(
        self, n_chunks: int = 3, end: str = "", *, status: int = 200, declared: int | None = None
    ) -> None:
        self.service = ScriptedService()
        self.service.script(ARCHIVE, FakeReply(status=302, headers=(("Location", SIGNED),)))
        self.fetched: list[Request] = []
        self.stalled = anyio.Event()
        self.n_closed = 0
        self._inner = AsyncFakeTransport(self.service)
        self._n_chunks = n_chunks
        self._end = end
        self._status = status
        self._declared = declared

    async def send(self, request: Request) -> AsyncResponse:
        """Answer as the service or as the storage host, by the URL."""
        if request.url.startswith(BASE_URL):
            return await self._inner.send(request)
        self.fetched.append(request)
        length = [] if self._declared is None else [("Content-Length", str(self._declared))]
        body = Chunks(self._n_chunks, self._end, self.stalled)
        return AsyncResponse(self._status, length, body, close=self._close)

    async def _close(self) -> None:
        self.n_closed += 1

    async def aclose(self) -> None:
        """Close the service's part."""
        await self._inner.aclose()


class Chunks(AsyncIterator[bytes]):
    """The body that ``Storage`` describes."""

    def __init__(self, n_chunks: int, end: str, stalled: anyio.Event) -> None:
        self._left = iter(CHUNKS[:n_chunks])
        self._end = end
        self._stalled = stalled

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for chunk in self._left:
            return chunk
        if self._end == "lost":
            raise ConnectionLost("reset", may_have_arrived=True)
        if self._end == "stalled":
            self._stalled.set()
            await anyio.sleep_forever()
        raise StopAsyncIteration


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def download(
    storage: Storage, target: Path, progress: list[tuple[int, int | None]] | None = None
) -> Path:
    """Download through a REST client on the running loop."""
    async with ServiceClient.open(base_url=BASE_URL, api_key="tml-k", transport=storage) as client:
        return await start(client, target, progress)


def start(
    client: ServiceClient, target: Path, progress: list[tuple[int, int | None]] | None = None
) -> APIFuture[Path]:
    """The download as a future."""
    notes: list[tuple[int, int | None]] = [] if progress is None else progress
    rest = client.create_rest_client()
    return rest.download_checkpoint_archive(
        TINKER_PATH, target, lambda done, size: notes.append((done, size))
    )


async def test_an_archive_is_streamed_to_its_file(tmp_path: Path) -> None:
    """The file appears whole, progress is told, and no part is left."""
    storage, target = Storage(declared=len(WHOLE)), tmp_path / "a.tar"
    progress: list[tuple[int, int | None]] = []
    assert await download(storage, target, progress) == target
    assert target.read_bytes() == WHOLE
    assert names(tmp_path) == ["a.tar"]
    assert progress == [(6, len(WHOLE)), (13, len(WHOLE)), (len(WHOLE), len(WHOLE))]
    assert storage.n_closed == 1


async def test_the_storage_host_never_sees_the_key(tmp_path: Path) -> None:
    """The service does; the signed URL is asked without any credential."""
    storage = Storage()
    await download(storage, tmp_path / "a.tar")
    (asked,) = [r for r in storage.service.requests if path_of(r) == ARCHIVE]
    assert asked.headers.get("x-api-key") == "tml-k"
    (fetched,) = storage.fetched
    assert fetched.url == SIGNED
    assert "x-api-key" not in fetched.headers
    assert "tml-k" not in repr(fetched.headers.items())


async def test_a_size_that_is_not_declared_is_no_error(tmp_path: Path) -> None:
    """Progress then has no total."""
    progress: list[tuple[int, int | None]] = []
    await download(Storage(), tmp_path / "a.tar", progress)
    assert progress[-1] == (len(WHOLE), None)


@pytest.mark.parametrize("end", ["lost", ""], ids=["the connection breaks", "the body is short"])
async def test_a_broken_download_leaves_nothing(tmp_path: Path, end: str) -> None:
    """Neither a part nor a file that looks whole; an existing file stays as it was."""
    storage, target = Storage(2, end, declared=len(WHOLE)), tmp_path / "a.tar"
    target.write_bytes(b"old")
    with pytest.raises(
        APIConnectionError, match=r"download: .*GET https://storage\.invalid/bucket"
    ):
        await download(storage, target)
    assert names(tmp_path) == ["a.tar"]
    assert target.read_bytes() == b"old"
    assert storage.n_closed == 1


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """The part is gone when the future is cancelled, and the response is closed."""
    storage = Storage(1, "stalled")
    async with ServiceClient.open(base_url=BASE_URL, transport=storage) as client:
        future = start(client, tmp_path / "a.tar")
        await storage.stalled.wait()
        [part] = names(tmp_path)
        assert part.endswith(".part")
        future.cancel()
        with anyio.fail_after(5):
            await future.exception_async()
        assert future.cancelled()
        assert names(tmp_path) == []
    assert storage.n_closed == 1


async def test_a_refusal_of_the_storage_is_an_error_of_its_status(tmp_path: Path) -> None:
    """The text has the public URL, never the signature."""
    with pytest.raises(NotFoundError, match="404") as caught:
        await download(Storage(1, status=404), tmp_path / "a.tar")
    assert "storage.invalid/bucket/a.tar" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert names(tmp_path) == []


async def test_a_refusal_of_the_service_is_an_error_of_its_status(tmp_path: Path) -> None:
    """An unknown checkpoint is not found, and the storage is not asked."""
    storage = Storage()
    async with ServiceClient.open(base_url=BASE_URL, transport=storage) as client:
        await start(client, tmp_path / "a.tar")
        storage.service.script(ARCHIVE, refusal(404, "no such checkpoint"))
        with pytest.raises(NotFoundError, match="no such checkpoint"):
            await start(client, tmp_path / "b.tar")
    assert len(storage.fetched) == 1


async def test_a_wrong_path_is_refused_at_the_call(tmp_path: Path) -> None:
    """A malformed ``tinker://`` path never becomes a future."""
    async with ServiceClient.open(base_url=BASE_URL, transport=Storage()) as client:
        rest = client.create_rest_client()
        with pytest.raises(ValueError, match="weights/a"):
            rest.download_checkpoint_archive("weights/a", tmp_path / "a.tar")
        with pytest.raises(FileNotFoundError, match="missing"):
            await rest.download_checkpoint_archive(TINKER_PATH, tmp_path / "missing" / "a.tar")
