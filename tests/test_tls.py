from __future__ import annotations

import logging
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tinker_lite.errors import ConfigError, ConnectError
from tinker_lite.tls import TLSSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tinker_lite.tls import CertTypes


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority of the test's own."""
    return trustme.CA()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate in a file."""
    path = tmp_path / "authority.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return path


def test_the_default_trusts_the_system_and_checks_host_names() -> None:
    """A context that verifies, TLS 1.2 at least, and tells a cut stream from an end."""
    context = TLSSettings().context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert not context.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def test_a_file_is_trusted_alone(authority_file: Path) -> None:
    """Exactly its authorities, not the system's too."""
    for path in (authority_file, str(authority_file)):
        context = TLSSettings(path).context()
        assert context.cert_store_stats()["x509_ca"] == 1
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_folder_is_trusted(authority_file: Path) -> None:
    """A folder is taken as one of hashed certificates."""
    context = TLSSettings(authority_file.parent).context()
    assert context.cert_store_stats()["x509_ca"] == 0  # they are read when a handshake needs them
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_no_verification_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    """``verify=False`` verifies nothing, and a warning says so once."""
    settings = TLSSettings(verify=False)
    assert caplog.records == []
    with caplog.at_level(logging.WARNING, "tinker_lite"):
        context = settings.context()
        settings.context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert [record.message for record in caplog.records] == [
        "TLS certificates are not verified (verify=False): whoever stands between can read the "
        "API key."
    ]


def test_a_context_is_taken_as_it_is() -> None:
    """It stays its owner's."""
    context = ssl.create_default_context()
    options = context.options
    assert TLSSettings(context).context() is context
    assert context.options == options


def test_the_context_is_made_once_for_all_threads() -> None:
    """All who share the settings share the context."""
    settings = TLSSettings()
    contexts: list[ssl.SSLContext] = []
    threads = [
        threading.Thread(target=lambda: contexts.append(settings.context())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(contexts) == 8
    assert len(set(map(id, contexts))) == 1


def test_settings_are_shared_as_they_are() -> None:
    """Settings given in place of ``verify`` are not made anew."""
    settings = TLSSettings()
    assert TLSSettings.of(settings) is settings
    assert TLSSettings.of(True) is not settings
    with pytest.raises(ConfigError, match="cert: it belongs to the TLSSettings"):
        TLSSettings.of(settings, "cert.pem")


@pytest.fixture
def client_files(authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """A client's certificate and key: together, apart, and the key under the password hunter2."""
    issued = authority.issue_cert("client.example")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    contents = {
        "both": issued.private_key_and_cert_chain_pem.bytes(),
        "cert": issued.cert_chain_pems[0].bytes(),
        "key": issued.private_key_pem.bytes(),
        "locked": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")
        ),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def test_a_client_certificate_is_loaded(client_files: dict[str, Path]) -> None:
    """One file with both, or certificate and key apart, with the key's password if it has one."""
    both, cert, key, locked = client_files.values()
    certs: list[CertTypes] = [both, str(both), (cert, str(key)), (cert, locked, "hunter2")]
    for one in certs:
        assert TLSSettings(cert=one).context().verify_mode is ssl.CERT_REQUIRED


def test_a_wrong_password_is_not_shown(client_files: dict[str, Path]) -> None:
    """The text names the file only."""
    cert, locked = client_files["cert"], client_files["locked"]
    with pytest.raises(ConnectError, match=r"cert: .*cert cannot be loaded") as refused:
        TLSSettings(cert=(cert, locked, "hunter3")).context()
    assert refused.value.may_have_arrived is False
    assert "hunter3" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"verify": "/nowhere.pem"}, "verify: there is no file or folder '/nowhere.pem'"),
        ({"verify": 1.5}, "verify is a float"),
        ({"verify": None}, "verify is a NoneType"),
        ({"cert": "/nowhere.pem"}, "cert: there is no file or folder '/nowhere.pem'"),
        ({"cert": ()}, "cert: give a path"),
        ({"cert": (1, 2)}, "cert: give a path"),
        ({"cert": ("a", "b", "c", "d")}, "cert: give a path"),
        ({"cert": "x", "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
         "cert: load the certificate into the SSLContext"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], reason: str) -> None:
    """When they are given, by name."""
    with pytest.raises(ConfigError, match=reason):
        TLSSettings(**options)


def test_files_that_cannot_be_read_are_named(authority_file: Path, tmp_path: Path) -> None:
    """What is in them is looked at when the first handshake needs it."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConnectError, match=r"verify: .*empty\.pem holds no certificates"):
        TLSSettings(empty).context()
    with pytest.raises(ConnectError, match=r"cert: .*authority\.pem cannot be loaded"):
        TLSSettings(cert=(authority_file, authority_file)).context()


def test_an_empty_store_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim image without certificates gets a text that names the remedy, not a handshake error.

    OpenSSL reads the two variables.
    """
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    with pytest.raises(ConnectError, match=r"trusts no certificate authority .*ca-certificates"):
        TLSSettings().context()


def test_the_systems_variables_are_heeded(
    monkeypatch: pytest.MonkeyPatch, authority_file: Path
) -> None:
    """``SSL_CERT_FILE`` names the store."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    assert TLSSettings().context().cert_store_stats()["x509_ca"] == 1
