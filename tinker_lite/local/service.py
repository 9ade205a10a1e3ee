"""The embedded service: from a request to an answer, without HTTP."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tinker_lite.errors import ConfigError
from tinker_lite.http import Headers
from tinker_lite.local.checkpoint_calls import CHECKPOINT_HANDLERS
from tinker_lite.local.exchange import Call, Refusal, Reply, ServiceClosed
from tinker_lite.local.future_calls import FUTURE_HANDLERS
from tinker_lite.local.model_calls import MODEL_HANDLERS
from tinker_lite.local.routing import Router
from tinker_lite.local.sampling_calls import SAMPLING_HANDLERS
from tinker_lite.local.saving_calls import SAVING_HANDLERS
from tinker_lite.local.service_calls import SERVICE_HANDLERS
from tinker_lite.local.session_calls import SESSION_HANDLERS
from tinker_lite.local.settings import ServiceSettings
from tinker_lite.local.state import Handlers, State
from tinker_lite.local.store import Store
from tinker_lite.local.store_lock import StoreLock
from tinker_lite.local.training_calls import TRAINING_HANDLERS
from tinker_lite.protocol.endpoints import ENDPOINTS, Endpoint

if TYPE_CHECKING:
    from tinker_lite.local.promises import Promise

__all__ = ["HANDLERS", "NOT_SERVED", "LocalService"]

logger = logging.getLogger("tinker_lite.local")


HANDLERS: Handlers = {
    **SERVICE_HANDLERS,
    **SESSION_HANDLERS,
    **MODEL_HANDLERS,
    **TRAINING_HANDLERS,
    **SAVING_HANDLERS,
    **SAMPLING_HANDLERS,
    **CHECKPOINT_HANDLERS,
    **FUTURE_HANDLERS,
}

# Rows of the endpoint table that this service leaves out, each with its reason; they are 404.
NOT_SERVED: frozenset[str] = frozenset(
    {
        # Clients do without these, or they are for accounts, which there are none of here.
        "service.auth_token",
        "service.create_custom_loss",
        "service.join_sampling_session",
        "sessions.search",
        "sessions.set_project",
        "sessions.trace_export",
        "models.copy_weights",
        "weights.save_external",
        "futures.retrieve_multi",
        "checkpoints.publish",
        "checkpoints.unpublish",
        "checkpoints.set_ttl",
        "checkpoints.external_weights_urls",
        "audit.log",
        "billing.usage_events",
        "billing.checkpoint_storage",
        "api_keys.get",
        "api_keys.revoke",
    }
)

# Where archive links lead. Not part of the protocol: a hosted service points at its storage there.
_ARCHIVE = Endpoint(name="local.archive", method="GET", path="/archives/{token}")


class LocalService:
    """The Tinker protocol answered in this process by a small language model.

    It is a real service for development, tests and teaching: it trains, samples and saves. It is
    not for production: one process, one training thread, models of bytes with under a million
    weights, no accounts (whoever reaches it may use all of it), and whatever is not in a
    checkpoint is gone when it closes. For the same requests in the same order it gives the same
    numbers on the same machine.

    Nothing runs until the first submission; then up to two daemon threads do, one that trains and
    one that samples.

    Args:
        data_dir: Folder of a lasting store, made if needed and held against other processes;
            None is a temporary folder that goes when the service closes.
        settings: Numbers other than the usual ones.

    Attributes:
        data_dir: The folder in use.
        settings: The numbers in use.

    Raises:
        ConfigError: The folder cannot be used, or another process holds it.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        settings: ServiceSettings | None = None,
    ) -> None:
        self.settings = settings or ServiceSettings()
        self._router = Router([*(e for e in ENDPOINTS if e.name not in NOT_SERVED), _ARCHIVE])
        self._is_temporary = data_dir is None
        self.data_dir = _prepared(data_dir)
        # Two services on one temporary folder cannot happen, since its name is fresh.
        self._lock = None if self._is_temporary else StoreLock(self.data_dir)
        self._pid, self._is_closed = os.getpid(), False
        self._state = State(self.settings, Store(self.data_dir, is_lasting=not self._is_temporary))

    @property
    def is_closed(self) -> bool:
        """Whether it answers no more."""
        return self._is_closed

    def begin(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
        *,
        origin: str = "",
    ) -> Reply | Promise:
        """Take a request, and answer it unless it asks for a result that may still be pending.

        Args:
            method: The HTTP method.
            path: The URL's path, percent-encoded as it came; anything may stand before ``/api/v1``.
            query: The URL's query without the question mark.
            headers: The request headers.
            body: The whole body.
            origin: Scheme and host under which the caller reaches the service, for links to it.

        Returns:
            The answer, or the promise whose ``answer`` is to be asked for when it is kept or the
            caller's patience ends.

        Raises:
            ServiceClosed: The service was closed, or opened before a fork by the parent.
        """
        self._check_open()
        try:
            endpoint, values, prefix = self._router.find(method, path)
            call = Call(
                endpoint=endpoint,
                values=values,
                query=dict(parse_qsl(query)),
                headers=headers or Headers(),
                body=body,
                base_url=origin + prefix,
            )
            return HANDLERS[endpoint.name](self._state, call)
        except Refusal as refusal:
            return refusal.reply()
        except Exception as error:
            logger.exception("%s %s failed", method, path)
            return Refusal(500, f"{type(error).__name__}: {error}").reply()

    def answer(self, promise: Promise, headers: Headers | None = None) -> Reply:
        """Answer a question for a result, as things stand.

        Args:
            promise: What ``begin`` returned.
            headers: The headers of that request.
        """
        if promise.is_done:
            self._state.ledger.fetched(promise)
        return promise.reply("" if headers is None else headers.get("accept", ""))

    def handle(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> Reply:
        """Answer a request, waiting for a pending result as long as a poll is held.

        Arguments and errors are those of ``begin``.
        """
        answer = self.begin(method, path, query, headers, body)
        if isinstance(answer, Reply):
            return answer
        kept = threading.Event()
        answer.add_waiter(kept.set)
        kept.wait(self.settings.poll_s)
        answer.remove_waiter(kept.set)
        return self.answer(answer, headers)

    def _check_open(self) -> None:
        if self._pid != os.getpid():
            raise ServiceClosed(
                f"The embedded service was opened by process {self._pid}, before a fork; make a "
                "new client in this process."
            )
        if self._is_closed:
            raise ServiceClosed("The embedded service is closed.")

    def close(self) -> None:
        """Finish the job under way, drop the others, and let go of the folder; idempotent."""
        if self._is_closed or self._pid != os.getpid():
            return
        self._is_closed = True
        self._state.close()
        if self._lock is not None:
            self._lock.close()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    def disown(self) -> None:
        """In the child of a fork: let go of the lock, which stays the parent's."""
        if self._lock is not None:
            self._lock.close()
        self._lock = None

    def __enter__(self) -> LocalService:
        """Use the service as a context manager that closes it."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the service."""
        self.close()


def _prepared(data_dir: str | os.PathLike[str] | None) -> Path:
    if data_dir is None:
        return Path(tempfile.mkdtemp(prefix="tinker-lite-"))
    folder = Path(data_dir).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The data folder {folder} cannot be made: {error}.") from error
    return folder
