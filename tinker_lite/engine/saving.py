"""The body of an answer as a file, which appears when it is whole."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tinker_lite.engine.call_io import CallIO, R
    from tinker_lite.engine.streaming import PieceSource

__all__ = ["save_body"]

# Large enough that system calls and hops between threads cost nothing beside the copying.
WRITE_BYTES = 2**20
# Characters, of up to 4 bytes each, of a wanted name that has up to 255 bytes.
MAX_NAME = 48


async def save_body(
    body: PieceSource, io: CallIO[R], path: str | os.PathLike[str], chunk_size: int | None = None
) -> None:
    """Write a body to a file beside the one wanted, which it replaces in the end.

    Args:
        body: The body; it is asked for here.
        io: The world; writing does not hold up an event loop.
        path: The file wanted; its folder has to be there.
        chunk_size: Bytes to collect for one write.

    Raises:
        OSError: The file cannot be written.
        StreamAlreadyConsumed: The body has been handed out.
        APIConnectionError: The body broke off; nothing is left behind.
    """
    destination = Path(path)
    # Not all of a long name: the suffix needs room too.
    part = destination.with_name(f".{destination.name[:MAX_NAME]}.{io.new_id()}.part")
    files: list[IO[bytes]] = []
    is_given_up = False

    def open_part() -> IO[bytes]:
        files.append(part.open("xb"))
        if is_given_up:  # a cancelled task does not wait for this thread
            _discard(files, part)
        return files[0]

    body.begin()
    try:
        file = await io.run(open_part)
        await _copy(body, io, file, chunk_size or WRITE_BYTES)
        await io.run(partial(_finish, file, part, destination))
    except BaseException:
        is_given_up = True
        # At once and here: a task that is being cancelled cannot wait for a thread.
        _discard(files, part)
        await body.close()
        raise


def _discard(files: list[IO[bytes]], part: Path) -> None:
    for file in files:
        file.close()
        part.unlink(missing_ok=True)


async def _copy(body: PieceSource, io: CallIO[R], file: IO[bytes], write_bytes: int) -> None:
    held: list[bytes] = []
    n_held = 0
    while (piece := await body.next()) is not None:
        held.append(piece)
        n_held += len(piece)
        if n_held >= write_bytes:
            await io.run(partial(file.write, b"".join(held)))
            held, n_held = [], 0
    if held:
        await io.run(partial(file.write, b"".join(held)))


def _finish(file: IO[bytes], part: Path, destination: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.replace(destination)
