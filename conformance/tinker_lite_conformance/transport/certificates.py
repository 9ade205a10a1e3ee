"""Certificates for the cases over TLS, made anew in each run."""

from __future__ import annotations

import ssl
from functools import cache
from typing import NamedTuple

import trustme

__all__ = ["Certificates", "make_certificates"]


class Certificates(NamedTuple):
    """TLS contexts of a server and its clients.

    Attributes:
        server: Has a certificate for localhost, 127.0.0.1 and ::1.
        http1: The same certificate, and ALPN that chooses HTTP/1.1.
        http2: The same, and ALPN that chooses HTTP/2.
        elsewhere: Has one of the same authority for another host.
        trusting: A client that trusts the authority.
        wary: A client that does not.
    """

    server: ssl.SSLContext
    http1: ssl.SSLContext
    http2: ssl.SSLContext
    elsewhere: ssl.SSLContext
    trusting: ssl.SSLContext
    wary: ssl.SSLContext


@cache
def make_certificates() -> Certificates:
    """One authority for the whole run; making keys takes time."""
    authority = trustme.CA()
    trusting = _strict_client()
    trusting.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    here = authority.issue_cert("localhost", "127.0.0.1", "::1")
    return Certificates(
        server=_server(here),
        http1=_server(here, "http/1.1"),
        http2=_server(here, "h2"),
        elsewhere=_server(authority.issue_cert("elsewhere.invalid")),
        trusting=trusting,
        wary=_strict_client(),
    )


def _strict_client() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Python lets OpenSSL 3 call a cut stream an orderly end; a strict client wants to know.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def _server(certificate: trustme.LeafCert, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if protocols:
        context.set_alpn_protocols(protocols)
    with certificate.private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    return context
