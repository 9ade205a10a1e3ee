"""``ServiceClient``: where every program starts."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from tinker_lite._version import PROTOCOL_VERSION
from tinker_lite.clients.rest_client import RestClient
from tinker_lite.clients.sampling_client import SamplingClient
from tinker_lite.clients.training_client import TrainingClient
from tinker_lite.config import Config, resolve
from tinker_lite.engine.creation import NewModel, SavedModel, create_from_state, create_lora
from tinker_lite.engine.farewell import wait_briefly, wait_briefly_async
from tinker_lite.engine.runtime import Runtime, shared_runtime, task_runtime
from tinker_lite.engine.session import FinishReason, Session
from tinker_lite.engine.training import CreatedModel, TrainingOperations
from tinker_lite.engine.transports import as_async, default_async, one_transport
from tinker_lite.protocol.validation import check_tinker_path, own_metadata
from tinker_lite.safety import MAX_RESPONSE_BYTES
from tinker_lite.types import GetServerCapabilitiesResponse, LoraConfig
from tinker_lite.types.models import OptimizerConfig, adamw

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from types import TracebackType

    from tinker_lite.config import WireChoice
    from tinker_lite.engine.future import APIFuture
    from tinker_lite.http import AnyTransport, Timeout
    from tinker_lite.proxies import ProxiesTypes, Proxy
    from tinker_lite.tls import CertTypes, VerifyTypes

__all__ = ["ServiceClient"]


class ServiceClient:
    """The way to a Tinker service, hosted, self-hosted or embedded.

    Nothing is sent before the first operation. Clients made by one service client share its session
    and its transport. Use it as it is, with ``with`` or ``async with`` (which end the session), or
    with ``async with ServiceClient.open()`` to run everything on your own event loop without any
    thread.

    Args:
        user_metadata: Text by name, stored with the session.
        project_id: The session's project; ``TINKER_PROJECT_ID`` when not given.
        base_url: Where the service is; ``TINKER_BASE_URL`` when not given. ``local:`` is the
            embedded service with a temporary store, ``local:PATH`` the same with a lasting one.
        api_key: The credential; ``TINKER_API_KEY`` when not given. The embedded service needs none.
        display_name: The session's name for people.
        transport: Sends every request; the default one fits ``base_url``. It stays yours to close.
        http_client: Another name for ``transport``.
        timeout: Seconds for one attempt of a call, or a ``Timeout``.
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
        wire: How training passes and large results travel: ``auto``, in protobuf where the server
            takes it and in JSON otherwise, learnt from its answers; ``json``; or ``protobuf``.
        sdk_version: The generation of the protocol that the client says it speaks.
        max_response_bytes: Largest body that is read whole, as it comes and as it unpacks.

    Raises:
        ConfigError: A setting is missing or cannot work; the text names it.
    """

    def __init__(
        self,
        user_metadata: Mapping[str, str] | None = None,
        project_id: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        display_name: str | None = None,
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
        wire: WireChoice = "auto",
        sdk_version: str = PROTOCOL_VERSION,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        own_transport = one_transport(transport, http_client)
        config = resolve(
            base_url=base_url,
            api_key=api_key,
            project_id=project_id,
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
            has_transport=own_transport is not None,
        )
        self._session = _session(
            config,
            shared_runtime(),
            own_transport,
            user_metadata,
            display_name,
        )

    @classmethod
    def open(
        cls,
        user_metadata: Mapping[str, str] | None = None,
        project_id: str | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[ServiceClient]:
        """A service client whose operations are tasks of the running event loop; no thread is used.

        Args and errors are those of the constructor. Inside the block use ``await``: a blocking
        ``result()`` would wait for its own loop and raises. What still runs when the block ends is
        cancelled.
        """
        return _on_own_loop(cls(user_metadata, project_id, **options))

    def host_on(self, runtime: Runtime) -> None:
        """Run this client's operations on another runtime.

        Raises:
            RuntimeError: It has begun to work on the one it has.
        """
        self._session.move_to(runtime)

    # Training clients.

    def create_lora_training_client(
        self,
        base_model: str,
        rank: int = 32,
        seed: int | None = None,
        train_mlp: bool = True,
        train_attn: bool = True,
        train_unembed: bool = True,
        user_metadata: Mapping[str, str] | None = None,
        optimizer: OptimizerConfig | None = None,
    ) -> TrainingClient:
        """A client that trains fresh LoRA adapters on a base model, usable at once.

        Args:
            base_model: Name of the base model.
            rank: Rank of the adapters.
            seed: Seed of their first values.
            train_mlp: Whether the MLP layers get adapters.
            train_attn: Whether the attention layers get adapters.
            train_unembed: Whether the unembedding gets an adapter.
            user_metadata: Text by name, stored with the training run.
            optimizer: Which optimiser family; None is AdamW.

        Raises:
            ValueError: Nothing is to be trained, or the rank is below 1; nothing was sent.

        Source: endpoint row ``models.create``.
        """
        return self._create_lora(
            base_model, rank, seed, train_mlp, train_attn, train_unembed, user_metadata, optimizer
        )

    async def create_lora_training_client_async(
        self,
        base_model: str,
        rank: int = 32,
        seed: int | None = None,
        train_mlp: bool = True,
        train_attn: bool = True,
        train_unembed: bool = True,
        user_metadata: Mapping[str, str] | None = None,
        optimizer: OptimizerConfig | None = None,
    ) -> TrainingClient:
        """Async form of ``create_lora_training_client``; waits until the model exists."""
        return await self._create_lora(
            base_model, rank, seed, train_mlp, train_attn, train_unembed, user_metadata, optimizer
        )

    def _create_lora(
        self,
        base_model: str,
        rank: int,
        seed: int | None,
        train_mlp: bool,
        train_attn: bool,
        train_unembed: bool,
        user_metadata: Mapping[str, str] | None,
        optimizer: OptimizerConfig | None,
    ) -> TrainingClient:
        if not base_model:
            raise ValueError("create_lora_training_client: base_model is empty.")
        lora = LoraConfig(
            rank=rank,
            seed=seed,
            train_mlp=train_mlp,
            train_attn=train_attn,
            train_unembed=train_unembed,
        )
        model = NewModel(base_model, lora, own_metadata(user_metadata), dict(optimizer or adamw()))
        session = self._session
        return self._training(
            lambda model_seq_id: create_lora(session, model, model_seq_id),
            f"creating a LoRA model on {base_model}",
        )

    def create_training_client_from_state(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: str | None = None,
    ) -> TrainingClient:
        """A client that goes on training saved weights with a fresh optimiser, usable at once.

        Args:
            path: A ``tinker://`` path of training weights.
            base_model: Another, compatible base model.
            user_metadata: Text by name, stored with the training run.
            weights_access_token: Lets another account's weights be read.

        Source: endpoint row ``weights.load``.
        """
        return self._from_state(
            path, base_model, user_metadata, weights_access_token, with_optimizer=False
        )

    async def create_training_client_from_state_async(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: str | None = None,
    ) -> TrainingClient:
        """Async form of ``create_training_client_from_state``; waits until the model exists."""
        return await self._from_state(
            path, base_model, user_metadata, weights_access_token, with_optimizer=False
        )

    def create_training_client_from_state_with_optimizer(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: str | None = None,
    ) -> TrainingClient:
        """A client that goes on training saved weights and optimiser state, usable at once.

        Args are those of ``create_training_client_from_state``.

        Source: endpoint row ``weights.load``.
        """
        return self._from_state(
            path, base_model, user_metadata, weights_access_token, with_optimizer=True
        )

    async def create_training_client_from_state_with_optimizer_async(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: str | None = None,
    ) -> TrainingClient:
        """Async form of the above; same arguments, and it waits until the model exists."""
        return await self._from_state(
            path, base_model, user_metadata, weights_access_token, with_optimizer=True
        )

    def _from_state(
        self,
        path: str,
        base_model: str | None,
        user_metadata: Mapping[str, str] | None,
        weights_access_token: str | None,
        *,
        with_optimizer: bool,
    ) -> TrainingClient:
        check_tinker_path(path, "create_training_client_from_state")
        saved = SavedModel(
            path, base_model, own_metadata(user_metadata), weights_access_token, with_optimizer
        )
        session = self._session
        return self._training(
            lambda model_seq_id: create_from_state(session, saved, model_seq_id),
            f"creating a model from {path}",
        )

    def _training(
        self, create: Callable[[int], Awaitable[CreatedModel]], operation: str
    ) -> TrainingClient:
        return TrainingClient(TrainingOperations(self._session, create, operation))

    # Sampling, and looking at things.

    def create_sampling_client(
        self, model_path: str | None = None, base_model: str | None = None
    ) -> SamplingClient:
        """A client that samples from saved weights or a base model, usable at once.

        Args:
            model_path: A ``tinker://`` path of sampler weights.
            base_model: Name of a base model.

        Raises:
            ValueError: Neither is given, or the path is no ``tinker://`` path.

        Source: endpoint row ``service.create_sampling_session``.
        """
        return SamplingClient.open(self._session, model_path=model_path, base_model=base_model)

    async def create_sampling_client_async(
        self, model_path: str | None = None, base_model: str | None = None
    ) -> SamplingClient:
        """Async form of ``create_sampling_client``; waits until it can sample."""
        return await SamplingClient.open(
            self._session, model_path=model_path, base_model=base_model
        )

    def create_rest_client(self) -> RestClient:
        """A client for training runs and checkpoints on the same connection."""
        return RestClient(session=self._session)

    def get_server_capabilities(self) -> GetServerCapabilitiesResponse:
        """The base models on offer; asks each time, blocking.

        Source: endpoint row ``service.get_server_capabilities``.
        """
        return self._capabilities().result()

    async def get_server_capabilities_async(self) -> GetServerCapabilitiesResponse:
        """Async form of ``get_server_capabilities``; same result and errors."""
        return await self._capabilities()

    def _capabilities(self) -> APIFuture[GetServerCapabilitiesResponse]:
        return RestClient(session=self._session).get_server_capabilities()

    # The end.

    def close(self, status: FinishReason = "success", detail: str | None = None) -> APIFuture[None]:
        """End the session: queued operations are sent, then the service is told.

        Args:
            status: How the program ended.
            detail: A sentence for people.

        Returns:
            A future that is done when the service knows.
        """
        return self._session.close(status, detail)

    def __enter__(self) -> ServiceClient:
        """Use the client as a context manager that ends its session."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the session with success, error or interruption, and wait for it."""
        closing = self.close(_reason(error), None if error is None else type(error).__name__)
        if error is None:
            closing.result()
        else:
            wait_briefly(closing)

    async def __aenter__(self) -> ServiceClient:
        """Use the client as an async context manager that ends its session."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the session with success, error or interruption, and wait for it."""
        closing = self.close(_reason(error), None if error is None else type(error).__name__)
        if error is None:
            await closing
            return
        await wait_briefly_async(closing)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Refuse pickling and copying: a session belongs to one process."""
        raise TypeError("A ServiceClient cannot be pickled or copied; make one in each process.")


def _session(
    config: Config,
    runtime: Runtime,
    transport: AnyTransport | None,
    user_metadata: Mapping[str, str] | None,
    display_name: str | None,
) -> Session:
    return Session(
        config,
        default_async(config) if transport is None else as_async(transport),
        runtime,
        owns_transport=transport is None,
        user_metadata=user_metadata,
        display_name=display_name,
    )


def _reason(error: BaseException | None) -> FinishReason:
    if error is None:
        return "success"
    return "errored" if isinstance(error, Exception) else "interrupted"


@asynccontextmanager
async def _on_own_loop(client: ServiceClient) -> AsyncGenerator[ServiceClient]:
    async with task_runtime() as runtime:
        client.host_on(runtime)
        async with client:
            yield client
