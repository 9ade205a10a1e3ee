"""``Tinker`` and ``AsyncTinker``: single calls to the service, each a row of the endpoint table.

The blocking one runs everything on the calling thread, with no event loop and no other thread. Both
drive the same coroutines; only the driver differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tinker_lite.config import Config, resolve
from tinker_lite.engine.call import CallIO, R, perform, prepare, raise_for_status
from tinker_lite.engine.retrieval import decoded_result, retrieve
from tinker_lite.engine.transports import (
    as_async,
    default_async,
    default_blocking,
    is_async,
    one_transport,
)
from tinker_lite.engine.world import AnyioIO, BlockingIO, drive
from tinker_lite.errors import ConfigError
from tinker_lite.protocol.endpoints import BY_NAME, Endpoint
from tinker_lite.protocol.replies import Reply, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinker_lite.http import AnyTransport, Timeout, Transport
    from tinker_lite.proxies import ProxiesTypes, Proxy
    from tinker_lite.tls import CertTypes, VerifyTypes
    from tinker_lite.types import UntypedAPIFuture
    from tinker_lite.wire.urls import QueryValue

__all__ = ["AsyncTinker", "Tinker"]

T = TypeVar("T")


async def _reply(
    config: Config,
    io: CallIO[R],
    name: str,
    body: object,
    path: Mapping[str, str] | None,
    query: Mapping[str, QueryValue] | None,
    headers: Mapping[str, str] | None,
) -> Reply:
    call = prepare(config, _row(name), body, path=path, query=query, headers=headers)
    return raise_for_status(await perform(call, config, io), name)


async def _result(
    config: Config, io: CallIO[R], name: str, type_: type[T], future: UntypedAPIFuture
) -> T:
    body = await retrieve(future.request_id, _row(name), config, io)
    return decoded_result(body, type_, future.request_id, name)


def _row(name: str) -> Endpoint:
    if name not in BY_NAME:
        raise ValueError(
            f"There is no endpoint {name!r}; tinker_lite.protocol.endpoints lists them."
        )
    return BY_NAME[name]


class Tinker:
    """Blocking single calls, on the calling thread.

    Args:
        base_url: Where the service is; see ``ServiceClient``.
        api_key: The credential.
        transport: A blocking transport; the default one fits ``base_url``. It stays yours to close.
        http_client: Another name for ``transport``.
        timeout: Seconds for one attempt, or a ``Timeout``.
        max_retries: How often a failed call is repeated.
        default_headers: Sent with every call.
        proxy: A proxy for everything: ``http://[user:password@]host[:port]``, ``https://`` or,
            with the extra ``socks``, ``socks5h://``.
        proxies: Proxies by ``http``, ``https``, ``all`` or ``scheme://host[:port]``; None as a
            value is no proxy. Without either, ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and
            ``NO_PROXY`` count.
        trust_env: False leaves those four variables out of account.
        verify: Whom to trust: True, what the system trusts; a file or folder of certificate
            authorities; an ``ssl.SSLContext``; False, everybody.
        cert: A client certificate: a file, (certificate, key) or (certificate, key, password).

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
        proxy: str | Proxy | None = None,
        proxies: ProxiesTypes | None = None,
        trust_env: bool = True,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
    ) -> None:
        transport = one_transport(transport, http_client)
        self._config = resolve(
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
            has_transport=transport is not None,
        )
        if transport is not None and is_async(transport):
            raise ConfigError(
                "Tinker needs a blocking transport; give this one to AsyncTinker or ServiceClient."
            )
        self._owns_transport = transport is None
        self._transport = default_blocking(self._config) if transport is None else transport
        self._io = BlockingIO(self._transport)

    def reply(
        self,
        name: str,
        body: object = None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a call and return its answer undecoded.

        Args:
            name: The endpoint's name in the table, such as ``"models.get_info"``.
            body: The request struct or plain values.
            path: Values for the placeholders of the path.
            query: Query parameters; None values are dropped.
            headers: Headers of this call.

        Raises:
            APIStatusError: The status is no success; the leaf says which.
            APIConnectionError: No answer came.
        """
        return drive(_reply(self._config, self._io, name, body, path, query, headers))

    def call(
        self,
        name: str,
        type_: type[T],
        body: object = None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Make a call and return its answer as ``type_``; other arguments are those of ``reply``.

        Raises:
            APIResponseValidationError: The answer does not fit ``type_``.
        """
        reply = self.reply(name, body, path=path, query=query, headers=headers)
        return read_reply(reply, type_, name)

    def result(self, name: str, type_: type[T], future: UntypedAPIFuture) -> T:
        """Wait for the result of a submission.

        Args:
            name: The submission's endpoint.
            type_: The result's type.
            future: What the submission answered.

        Raises:
            RequestFailedError: The operation failed on the server.
            RetrievalError: The result cannot be had.
        """
        return drive(_result(self._config, self._io, name, type_, future))

    def close(self) -> None:
        """Close the transport, unless it is yours."""
        if self._owns_transport:
            self._transport.close()

    def __enter__(self) -> Tinker:
        """Use the client as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the client."""
        self.close()


class AsyncTinker:
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
        proxy: str | Proxy | None = None,
        proxies: ProxiesTypes | None = None,
        trust_env: bool = True,
        verify: VerifyTypes = True,
        cert: CertTypes | None = None,
    ) -> None:
        transport = one_transport(transport, http_client)
        self._config = resolve(
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
            has_transport=transport is not None,
        )
        self._owns_transport = transport is None
        self._transport = default_async(self._config) if transport is None else as_async(transport)
        self._io = AnyioIO(self._transport)

    async def reply(
        self,
        name: str,
        body: object = None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Async form of ``Tinker.reply``; same arguments, result and errors."""
        return await _reply(self._config, self._io, name, body, path, query, headers)

    async def call(
        self,
        name: str,
        type_: type[T],
        body: object = None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Async form of ``Tinker.call``; same arguments, result and errors."""
        reply = await self.reply(name, body, path=path, query=query, headers=headers)
        return read_reply(reply, type_, name)

    async def result(self, name: str, type_: type[T], future: UntypedAPIFuture) -> T:
        """Async form of ``Tinker.result``; same arguments, result and errors."""
        return await _result(self._config, self._io, name, type_, future)

    async def aclose(self) -> None:
        """Close the transport, unless it is yours."""
        if self._owns_transport:
            await self._transport.aclose()

    async def __aenter__(self) -> AsyncTinker:
        """Use the client as an async context manager that closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client."""
        await self.aclose()
