"""T-95 to T-97: services behind unix sockets."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tinker_lite.errors import ConnectError
from tinker_lite.http import Request
from tinker_lite_conformance.transport.capabilities import needs
from tinker_lite_conformance.transport.peer import Peer, ok

from .framing import say_always

if TYPE_CHECKING:
    from tinker_lite_conformance.transport.bench import Kit

__all__ = ["UnixSocketCases"]


def echo(peer: Peer) -> None:
    """Answer with the body that came."""
    while received := peer.request():
        peer.send(ok(received.body))


# A mark on the class would count for every class that inherits it.
on_unix = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="this machine has no unix sockets"
)


@needs("unix_sockets")
class UnixSocketCases:
    """URLs of the form ``http+unix://%2Frun%2Fx.sock/path``."""

    @on_unix
    @pytest.mark.parametrize("name", ["s", "a b%2F+:@?#", "\u00e9"], ids=["plain", "odd", "UTF-8"])
    async def test_t95_round_trip(self, kit: Kit, name: str) -> None:
        """T-95: bodies go both ways over a kept unix connection, whatever the file is called.

        Source: seam, promise 2.
        """
        async with kit.bench(echo, listen="unix", socket_name=name) as bench:
            assert await (await bench.get("/a%20b?c=d")).read() == b""
            for body in (b"small", b"large" * 100_000):
                reply = await bench.subject.send(bench.request("POST", "/", body=body))
                assert await reply.read() == body
            lines = [received.line for received in bench.server.requests]
            assert lines == ["GET /a%20b?c=d HTTP/1.1", *(["POST / HTTP/1.1"] * 2)]
            assert {h for one in bench.server.requests for h in one.values("host")} == {"localhost"}
            assert bench.server.n_connections == 1

    @on_unix
    @pytest.mark.parametrize("fault", ["no file", "no listener"])
    async def test_t96_unreachable(self, kit: Kit, fault: str) -> None:
        """T-96: a socket that is not there is an error of connecting that names it.

        Source: seam, promise 5.
        """
        with tempfile.TemporaryDirectory(prefix="kit") as folder:
            path = str(Path(folder, "gone.sock"))
            if fault == "no listener":
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(path)
            async with kit.bench(say_always(ok(b"next")), listen="unix") as bench:
                url = f"http+unix://{quote(path, safe='')}/"
                with pytest.raises(ConnectError, match=r"gone\.sock") as refused:
                    await bench.subject.send(Request(method="GET", url=url))
                assert refused.value.may_have_arrived is False
                assert await (await bench.get()).read() == b"next"

    @on_unix
    @needs("proxies")
    async def test_t97_no_proxy(self, kit: Kit) -> None:
        """T-97: a unix socket is reached directly, also where a proxy is set for everything.

        Source: seam, promise 3.
        """
        with kit.proxy(say_always(ok(b"proxy"))) as proxy:
            async with kit.bench(
                say_always(ok(b"direct")), listen="unix", proxy=proxy.url()
            ) as bench:
                assert await (await bench.get()).read() == b"direct"
            assert proxy.n_connections == 0
