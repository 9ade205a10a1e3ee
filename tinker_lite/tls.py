"""What a client trusts and how it shows itself over TLS; part of the configuration."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tinker_lite.errors import ConfigError, ConnectError

if TYPE_CHECKING:
    import ssl

__all__ = ["CertTypes", "TLSSettings", "VerifyTypes"]

logger = logging.getLogger("tinker_lite")

_Path: TypeAlias = str | os.PathLike[str]
# True trusts what the system trusts, False trusts everybody, a path is a file or a folder of
# certificate authorities, and a context is taken as it is. (In quotes, so that ssl is not loaded.)
VerifyTypes: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"
# One file with certificate and key, or both apart, with the key's password as a third element.
CertTypes: TypeAlias = _Path | tuple[_Path, _Path] | tuple[_Path, _Path, str]


class TLSSettings:
    """TLS settings, and the context they make: at first use, once, for all who share them.

    The system's own store is used by default; OpenSSL itself heeds ``SSL_CERT_FILE`` and
    ``SSL_CERT_DIR``. A context of the caller's own is not changed: one that lets a cut stream pass
    for an orderly end (``ssl.OP_IGNORE_UNEXPECTED_EOF``, on in Python's own) leaves a body that
    ends with its connection open to truncation.

    Args:
        verify: Whom to trust: True, the system's authorities; a file or folder of them; a context;
            False verifies nothing.
        cert: The client's own certificate: one file, or (certificate, key), or (certificate, key,
            password).

    Raises:
        ConfigError: A file does not exist, or ``cert`` comes with a context.
    """

    def __init__(self, verify: VerifyTypes = True, cert: CertTypes | None = None) -> None:
        if not isinstance(verify, bool | str | os.PathLike) and not hasattr(verify, "wrap_bio"):
            raise ConfigError(
                f"verify is a {type(verify).__name__}; give True, False, a path or an SSLContext."
            )
        if cert is not None and hasattr(verify, "wrap_bio"):
            raise ConfigError("cert: load the certificate into the SSLContext given as verify.")
        if isinstance(verify, str | os.PathLike):
            _check_path("verify", verify)
        self._verify = verify
        self._cert = None if cert is None else _ClientCert.of(cert)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    @classmethod
    def of(cls, verify: VerifyTypes | TLSSettings, cert: CertTypes | None = None) -> TLSSettings:
        """The settings themselves where they are given, or new ones; see the constructor."""
        if not isinstance(verify, TLSSettings):
            return cls(verify, cert)
        if cert is not None:
            raise ConfigError("cert: it belongs to the TLSSettings given as verify.")
        return verify

    def context(self) -> ssl.SSLContext:
        """The context; reading the certificates takes about 25 ms, so it is made once.

        Raises:
            ConnectError: A file cannot be read, or the system has no certificate authorities.
        """
        context = self._context
        if context is None:
            with self._lock:
                context = self._context = self._context or self._made()
        return context

    def _made(self) -> ssl.SSLContext:
        import ssl

        if not isinstance(self._verify, bool | str | os.PathLike):
            return self._verify
        context = _trusting(self._verify)
        # OpenSSL 3 under Python calls a cut TLS stream an orderly end; a body that ends with the
        # connection would then be short without anyone noticing (RFC 9112 section 9.8).
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        context.set_alpn_protocols(["http/1.1"])
        if self._cert is not None:
            self._cert.load_into(context)
        return context


def _trusting(verify: bool | _Path) -> ssl.SSLContext:
    import ssl

    if isinstance(verify, bool):
        context = ssl.create_default_context()
        if verify:
            _refuse_empty(context)
        else:
            logger.warning(
                "TLS certificates are not verified (verify=False): whoever stands between can "
                "read the API key."
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    path = os.fspath(verify)
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError too
        raise ConnectError(
            f"verify: {path} holds no certificates that can be read ({error})."
        ) from None


def _refuse_empty(context: ssl.SSLContext) -> None:
    """An image without certificates fails every handshake, with a text that names no cause."""
    import ssl

    paths = ssl.get_default_verify_paths()
    # Those in a folder are read when a handshake needs them, and so are not counted.
    in_folder = bool(paths.capath) and any(Path(paths.capath).iterdir())
    if not in_folder and not context.cert_store_stats()["x509_ca"]:
        raise ConnectError(
            f"The system trusts no certificate authority (looked at {paths.openssl_cafile} and "
            f"{paths.openssl_capath}). Install its ca-certificates package, or name a file in "
            "SSL_CERT_FILE or verify=."
        )


class _ClientCert(NamedTuple):
    """A certificate, its key where that is apart, and the key's password."""

    cert_file: str
    key_file: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, cert: CertTypes) -> _ClientCert:
        """From what a caller gave, checked."""
        given: tuple[object, ...] = cert if isinstance(cert, tuple) else (cert,)
        parts = [str(part) for part in given if isinstance(part, str | os.PathLike)]
        if len(parts) != len(given) or not 1 <= len(parts) <= len(cls._fields):
            raise ConfigError(
                "cert: give a path, (certificate, key) or (certificate, key, password)."
            )
        for file in parts[:2]:
            _check_path("cert", file)
        return cls(*parts)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Make the context show it."""
        try:
            context.load_cert_chain(*self)
        except OSError as error:  # ssl.SSLError too
            raise ConnectError(f"cert: {self.cert_file} cannot be loaded ({error}).") from None


def _check_path(name: str, path: _Path) -> None:
    if not Path(path).exists():
        raise ConfigError(f"{name}: there is no file or folder {os.fspath(path)!r}.")
