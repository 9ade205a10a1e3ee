"""``Tinker`` and ``AsyncTinker``: single calls to the service.

The blocking one runs everything on the calling thread, with no event loop and no other thread. Both
drive the same coroutines; only the driver differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from tinker_lite._version import PROTOCOL_VERSION
from tinker_lite.clients.defaults import ClientOptions, changed
from tinker_lite.clients.endpoints import Endpoints
from tinker_lite.clients.faces import Async, Blocking
from tinker_lite.config import resolve
from tinker_lite.engine.answer import Caller
from tinker_lite.engine.preparation import Defaults
from tinker_lite.engine.retrieval import retrieve
from tinker_lite.engine.transports import (
    as_async,
    default_async,
    default_blocking,
    is_async,
    one_transport,
)
from tinker_lite.engine.world import AnyioIO, BlockingIO, drive
from tinker_lite.errors import ConfigError
from tinker_lite.http import public_url
from tinker_lite.protocol.endpoints import Submission
from tinker_lite.safety import MAX_RESPONSE_BYTES
from tinker_lite.types import UntypedAPIFuture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.config import WireChoice
    from tinker_lite.engine.call_io import CallIO
    from tinker_lite.http import (
        AnyTransport,
        AsyncResponse,
        AsyncTransport,
        Response,
        Timeout,
        Transport,
    )
    from tinker_lite.proxies import ProxiesTypes, Proxy
    from tinker_lite.tls import CertTypes, VerifyTypes
    from tinker_lite.wire.urls import ArrayFormat, QueryValue

__all__ = ["AsyncTinker", "Tinker"]

R = TypeVar("R")


async def _result(caller: Caller[Any], row: Submission[R], future: UntypedAPIFuture) -> R:
    given = (("submission", row, Submission), ("future", future, UntypedAPIFuture))
    for name, value, kind in given:
        if not isinstance(cast("object", value), kind):
            raise TypeError(
                f"{name} is {value!r}; give the row, such as endpoints.MODELS_CREATE, and then "
                "the UntypedAPIFuture that it was answered with."
            )
    caller.check_open(row.name)
    return await retrieve(future.request_id, row, caller.defaults, caller.io)


def _shown(client: object, caller: Caller[Any]) -> str:
    return f"{type(client).__name__}({public_url(caller.defaults.config.base_url)!r})"


class Tinker(Endpoints[Blocking]):
    """Blocking single calls, on the calling thread.

    Every endpoint is a method of a resource: ``client.models.get_info(request)``. Paths that are
    none go through ``get``, ``post``, ``put``, ``patch``, ``delete`` and ``request``. All take the
    options of ``CallOptions``, and all are there once more under ``with_raw_response`` and
    ``with_streaming_response``.

    Args:
        base_url: Where the service is; see ``ServiceClient``.
        api_key: The credential.
        transport: A blocking transport; the default one fits ``base_url``. It stays yours to close.
        http_client: Another name for ``transport``.
        timeout: Seconds for one attempt, or a ``Timeout``.
        max_retries: How often a failed call is repeated.
        default_headers: Sent with every call.
        default_query: Query parameters of every call.
        array_format: How lists stand in a query: joined by ``comma``, or ``repeat`` their name, or
            so with ``brackets``.
        proxy: A proxy for everything: ``http://[user:password@]host[:port]``, ``https://`` or,
            with the extra ``socks``, ``socks5h://``.
        proxies: Proxies by ``http``, ``https``, ``all`` or ``scheme://host[:port]``; None as a
            value is no proxy. Without either, ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and
            ``NO_PROXY`` count.
        trust_env: False leaves those four variables out of account.
        verify: Whom to trust: True, what the system trusts; a file or folder of certificate
            authorities; an ``ssl.SSLContext``; False, everybody.
        cert: A client certificate: a file, (certificate, key) or (certificate, key, password).
        wire: How training passes and large results travel: ``auto``, in protobuf where the server
            takes it and in JSON otherwise, learnt from its answers; ``json``; or ``protobuf``.
        sdk_version: The generation of the protocol that the client says it speaks.
        max_response_bytes: Largest body that is read whole, as it comes and as it unpacks.

    Raises:
        ConfigError: A setting is missing or cannot work, or the transport is async.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        transport: Transport | None = None,
        http_client: Transport | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, QueryValue] | None = None,
        array_format: ArrayFormat = "comma",
        proxy: str | Proxy | None = None,
        proxies: ProxiesTypes | None = None,
        trust_env: bool = True,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        wire: WireChoice = "auto",
        sdk_version: str = PROTOCOL_VERSION,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        transport = one_transport(transport, http_client)
        config = resolve(
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            proxy=proxy,
            proxies=proxies,
            trust_env=trust_env,
            verify=verify,
            cert=cert,
            wire=wire,
            sdk_version=sdk_version,
            max_response_bytes=max_response_bytes,
            has_transport=transport is not None,
        )
        if transport is not None and is_async(transport):
            raise ConfigError(
                "Tinker needs a blocking transport; give this one to AsyncTinker or ServiceClient."
            )
        defaults = Defaults(config=config, query=dict(default_query or {}), arrays=array_format)
        used = default_blocking(config) if transport is None else transport
        self._start(used, defaults, BlockingIO(used), owns=transport is None)

    def _start(
        self, transport: Transport, defaults: Defaults, io: CallIO[Response], *, owns: bool
    ) -> None:
        self._transport = transport
        self._owns_transport = owns
        self._caller: Caller[Response] = Caller(defaults, io)
        self._is_closed = False
        super().__init__(Blocking(self._caller))

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """A client over the same transport with some things changed; see ``ClientOptions``.

        The transport stays this client's, or its owner's, to close.

        Raises:
            ValueError: Headers, or the query, are both to be added to and replaced.
            ConfigError: A new setting cannot work.
        """
        copy = type(self).__new__(type(self))
        defaults = changed(self._caller.defaults, **changes)
        copy._start(self._transport, defaults, self._caller.io, owns=False)  # noqa: SLF001
        return copy

    copy = with_options

    def result(self, submission: Submission[R], future: UntypedAPIFuture) -> R:
        """Wait for the result of a submission.

        Args:
            submission: The submission's row, such as ``endpoints.MODELS_CREATE``.
            future: What the submission answered.

        Raises:
            RequestFailedError: The operation failed on the server.
            RetrievalError: The result cannot be had.
        """
        return drive(_result(self._caller, submission, future))

    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._is_closed

    def __repr__(self) -> str:
        """Class and base URL, without secrets."""
        return _shown(self, self._caller)

    def close(self) -> None:
        """Close the transport, unless it is not this client's; there are no calls afterwards."""
        self._is_closed = self._caller.is_closed = True
        if self._owns_transport:
            self._transport.close()

    def __enter__(self) -> Self:
        """Use the client as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the client."""
        self.close()


class AsyncTinker(Endpoints[Async]):
    """The async form of ``Tinker``: same arguments and methods, on the running event loop.

    A blocking transport is accepted too; it runs in worker threads.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        transport: AnyTransport | None = None,
        http_client: AnyTransport | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, QueryValue] | None = None,
        array_format: ArrayFormat = "comma",
        proxy: str | Proxy | None = None,
        proxies: ProxiesTypes | None = None,
        trust_env: bool = True,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
        wire: WireChoice = "auto",
        sdk_version: str = PROTOCOL_VERSION,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        transport = one_transport(transport, http_client)
        config = resolve(
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            proxy=proxy,
            proxies=proxies,
            trust_env=trust_env,
            verify=verify,
            cert=cert,
            wire=wire,
            sdk_version=sdk_version,
            max_response_bytes=max_response_bytes,
            has_transport=transport is not None,
        )
        defaults = Defaults(config=config, query=dict(default_query or {}), arrays=array_format)
        used = default_async(config) if transport is None else as_async(transport)
        self._start(used, defaults, AnyioIO(used), owns=transport is None)

    def _start(
        self,
        transport: AsyncTransport,
        defaults: Defaults,
        io: CallIO[AsyncResponse],
        *,
        owns: bool,
    ) -> None:
        self._transport = transport
        self._owns_transport = owns
        self._caller: Caller[AsyncResponse] = Caller(defaults, io)
        self._is_closed = False
        super().__init__(Async(self._caller))

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Async form of ``Tinker.with_options``; same arguments and errors."""
        copy = type(self).__new__(type(self))
        defaults = changed(self._caller.defaults, **changes)
        copy._start(self._transport, defaults, self._caller.io, owns=False)  # noqa: SLF001
        return copy

    copy = with_options

    async def result(self, submission: Submission[R], future: UntypedAPIFuture) -> R:
        """Async form of ``Tinker.result``; same arguments, result and errors."""
        return await _result(self._caller, submission, future)

    def is_closed(self) -> bool:
        """Whether ``aclose`` was called."""
        return self._is_closed

    def __repr__(self) -> str:
        """Class and base URL, without secrets."""
        return _shown(self, self._caller)

    async def aclose(self) -> None:
        """Close the transport, unless it is not this client's; there are no calls afterwards."""
        self._is_closed = self._caller.is_closed = True
        if self._owns_transport:
            await self._transport.aclose()

    close = aclose

    async def __aenter__(self) -> Self:
        """Use the client as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client."""
        await self.aclose()
