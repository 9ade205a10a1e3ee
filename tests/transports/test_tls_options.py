"""Whom both transports trust, and how they show themselves: a local authority, real handshakes."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tinker_lite.errors import ConfigError, ConnectError, ConnectionLost, TransportError
from tinker_lite.http import Request
from tinker_lite.tls import TLSSettings
from tinker_lite_conformance.transport.adversary import Adversary, Peer, ok
from tinker_lite_conformance.transport.bench import BOUNDED
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["urllib3", "h11 on asyncio", "h11 on trio"]
ORGANIZATION, UNIT = "tinker-lite", "tests"
PASSWORD = "of the key"


@cache
def authority() -> trustme.CA:
    """The authority of this run."""
    return trustme.CA(organization_name=ORGANIZATION, organization_unit_name=UNIT)


def trust(context: ssl.SSLContext) -> None:
    """Let a context trust the authority."""
    context.load_verify_locations(cadata=authority().cert_pem.bytes().decode())


def server_context(*names: str, demands_certificate: bool = False) -> ssl.SSLContext:
    """A server with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority().issue_cert(*names).private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    if demands_certificate:
        trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """The authority's certificate in a file."""
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def ca_folder(tmp_path: Path) -> Path:
    """The authority's certificate in a folder, under the name that OpenSSL looks for."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    authority().cert_pem.write_to_path(str(folder / f"{subject_hash()}.0"))
    return folder


def subject_hash() -> str:
    """OpenSSL's hash of the authority's name: SHA-1 over its parts in lower case, in DER."""

    def der(tag: int, *parts: bytes) -> bytes:
        data = b"".join(parts)
        return bytes((tag, len(data))) + data

    def part(number: int, text: str) -> bytes:
        oid = der(0x06, bytes((0x55, 0x04, number)))
        return der(0x31, der(0x30, oid, der(0x0C, text.lower().encode())))

    digest = hashlib.sha1(part(10, ORGANIZATION) + part(11, UNIT)).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def answer(peer: Peer) -> None:
    """Answer every request."""
    while peer.request():
        peer.send(ok(b"here"))


def fetch(kind: str, *urls: str, **options: Any) -> list[bytes]:
    """The bodies of these URLs, through one transport."""
    requests = [Request(method="GET", url=url, timeout=BOUNDED) for url in urls]
    if kind == "urllib3":
        with Urllib3Transport(**options) as transport:
            return [transport.send(request).read() for request in requests]

    async def run() -> list[bytes]:
        async with H11Transport(**options) as transport:
            return [await (await transport.send(request)).read() for request in requests]

    return anyio.run(run, backend=kind.removeprefix("h11 on "))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_authorities(kind: str, ca_file: Path) -> None:
    """A path to a file of authorities is trusted, as text and as Path."""
    with Adversary(answer, tls=server_context("127.0.0.1")) as server:
        for verify in (ca_file, str(ca_file)):
            assert fetch(kind, server.url(), verify=verify) == [b"here"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_authorities(kind: str, ca_folder: Path) -> None:
    """A path to a folder of authorities is trusted."""
    with Adversary(answer, tls=server_context("127.0.0.1")) as server:
        assert fetch(kind, server.url(), verify=ca_folder) == [b"here"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_is_taken_as_it_is(kind: str) -> None:
    """A caller's own context decides alone, and is not changed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust(context)
    before = (context.options, context.verify_mode, context.check_hostname)
    with Adversary(answer, tls=server_context("127.0.0.1")) as server:
        assert fetch(kind, server.url(), verify=context) == [b"here"]
    assert (context.options, context.verify_mode, context.check_hostname) == before


@pytest.mark.parametrize("kind", KINDS)
def test_trusting_everybody(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """verify=False takes any certificate, for any name, and says once what that means."""
    with (
        Adversary(answer, tls=server_context("elsewhere.invalid")) as server,
        caplog.at_level(logging.WARNING, "tinker_lite"),
    ):
        urls = (server.url(), server.url(host="localhost"))
        assert fetch(kind, *urls, verify=False) == [b"here", b"here"]
    assert [record.getMessage() for record in caplog.records] == [
        "TLS certificates are not verified (verify=False): whoever stands between can read the "
        "API key."
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_authority(kind: str) -> None:
    """By default an authority that the system does not know is refused, and the text says why."""
    with Adversary(answer, tls=server_context("127.0.0.1")) as server:
        with pytest.raises(ConnectError, match=r"name its file in verify= or SSL_CERT_FILE") as no:
            fetch(kind, server.url())
        assert no.value.may_have_arrived is False
        assert server.requests == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("certified", "host"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "localhost"), ("*.localhost", "localhost")],
)
def test_the_host_is_checked(kind: str, certified: str, host: str, ca_file: Path) -> None:
    """A certificate of a trusted authority for another host is refused."""
    with Adversary(answer, tls=server_context(certified)) as server:
        with pytest.raises(ConnectError, match=rf"certificate.*{host}") as refused:
            fetch(kind, server.url(host=host), verify=ca_file)
        assert refused.value.may_have_arrived is False
        assert server.requests == []


def client_certificates(folder: Path) -> dict[str, object]:
    """One client certificate in every form that is taken."""
    leaf = authority().issue_cert("client@example.invalid")
    both, chain, key, locked = (
        folder / f"{name}.pem" for name in ("both", "chain", "key", "locked")
    )
    leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    leaf.private_key_pem.write_to_path(str(key))
    opened = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(PASSWORD.encode())
    locked.write_bytes(opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return {
        "one file": both,
        "two files": (chain, str(key)),
        "a locked key": (str(chain), locked, PASSWORD),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["one file", "two files", "a locked key"])
def test_a_client_certificate(kind: str, form: str, ca_file: Path, tmp_path: Path) -> None:
    """A server that demands a certificate gets the client's."""
    cert = client_certificates(tmp_path)[form]
    tls = server_context("127.0.0.1", demands_certificate=True)
    with Adversary(answer, tls=tls) as server:
        assert fetch(kind, server.url(), verify=ca_file, cert=cert) == [b"here"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_client_certificate(kind: str, ca_file: Path) -> None:
    """A server that demands a certificate and gets none ends the request, which it never sees."""
    tls = server_context("127.0.0.1", demands_certificate=True)
    with Adversary(answer, tls=tls) as server:
        with pytest.raises(TransportError) as refused:  # its reason may be lost with the connection
            fetch(kind, server.url(), verify=ca_file)
        assert isinstance(refused.value, ConnectError | ConnectionLost)
        assert server.requests == []


@pytest.mark.parametrize("make", [Urllib3Transport, H11Transport])
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"verify": "/nowhere/ca.pem"}, "verify: there is no file or folder '/nowhere/ca.pem'"),
        ({"cert": "/nowhere/cert.pem"}, "cert: there is no file or folder '/nowhere/cert.pem'"),
        ({"verify": ssl.create_default_context(), "cert": __file__}, "cert: load the certificate"),
        ({"verify": 1.5}, "verify is a float"),
        ({"cert": (__file__, __file__, "password", "more")}, "cert: give a path"),
    ],
)
def test_what_makes_no_sense(
    make: Callable[..., object], options: dict[str, Any], named: str
) -> None:
    """Settings that cannot be meant are refused when the transport is made."""
    with pytest.raises(ConfigError, match=named):
        make(**options)


@pytest.mark.parametrize("kind", KINDS)
def test_no_context_without_https(kind: str, tmp_path: Path) -> None:
    """A file is not read before https needs it; one without certificates is named then."""
    path = tmp_path / "nonsense.pem"
    path.write_text("no certificates")
    with Adversary(answer) as plain, Adversary(answer, tls=server_context("127.0.0.1")) as secure:
        assert fetch(kind, plain.url(), verify=path) == [b"here"]
        with pytest.raises(ConnectError, match=r"nonsense\.pem holds no certificates") as refused:
            fetch(kind, secure.url(), verify=path)
        assert refused.value.may_have_arrived is False


@pytest.mark.parametrize("kind", KINDS)
def test_the_context_is_made_once(kind: str, ca_file: Path) -> None:
    """All connections, also of several transports with the same settings, share one context."""
    settings = TLSSettings(verify=ca_file)
    tls = server_context("127.0.0.1", "localhost")
    with Adversary(answer, tls=tls) as one, Adversary(answer, tls=tls) as other:
        assert fetch(kind, one.url(), verify=settings) == [b"here"]
        ca_file.unlink()  # nobody reads it again
        urls = (one.url(), other.url(), other.url(host="localhost"))
        assert fetch(kind, *urls, verify=settings) == [b"here"] * 3


def test_threads_share_one_context(ca_file: Path) -> None:
    """Threads that need the context in the same moment get the same one."""
    settings = TLSSettings(verify=ca_file)
    start = threading.Barrier(8)

    def get() -> ssl.SSLContext:
        start.wait(10)
        return settings.context()

    with ThreadPoolExecutor(8) as threads:
        made = [threads.submit(get) for _ in range(8)]
        assert len({id(one.result(10)) for one in made}) == 1


PROGRAM = """
import sys
import anyio
from tinker_lite.errors import ConnectError
from tinker_lite.http import Request
from tinker_lite_h11 import H11Transport
from tinker_lite_urllib3 import Urllib3Transport

async def fetch(request):
    async with H11Transport() as transport:
        return await (await transport.send(request)).read()

request = Request(method="GET", url=sys.argv[2])
try:
    if sys.argv[1] == "urllib3":
        with Urllib3Transport() as transport:
            print(transport.send(request).read().decode())
    else:
        print(anyio.run(fetch, request, backend=sys.argv[1].removeprefix("h11 on ")).decode())
except ConnectError as error:
    print(error)
"""


def run_program(kind: str, url: str, **variables: str) -> str:
    """What a program of its own gets from the URL, with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, url],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment(kind: str, ca_file: Path, ca_folder: Path, tmp_path: Path) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR name the trusted authorities; with neither there are none."""
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nothing.pem").touch()
    no_file, no_folder = str(tmp_path / "nothing.pem"), str(tmp_path / "nobody")
    with Adversary(answer, tls=server_context("127.0.0.1")) as server:
        run = partial(run_program, kind, server.url())
        assert run(SSL_CERT_FILE=str(ca_file), SSL_CERT_DIR=no_folder) == "here"
        assert run(SSL_CERT_FILE=no_file, SSL_CERT_DIR=str(ca_folder)) == "here"
        refused = run(SSL_CERT_FILE=no_file, SSL_CERT_DIR=no_folder)
        assert "The system trusts no certificate authority" in refused
        assert "Install its ca-certificates package" in refused
