"""Promised results: who waits for them, how long they are kept, and which requests are repeats.

A result can be fetched again, since an answer may be lost on its way (protocol section 4.2). Once
many newer ones have been fetched it is forgotten, which is answered with 410.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from tinker_lite.local.exchange import Refusal, Reply, json_reply, result_reply
from tinker_lite.types import RequestFailedResponse, TryAgainResponse, UntypedAPIFuture

if TYPE_CHECKING:
    from tinker_lite.local.settings import ServiceSettings

__all__ = ["Key", "Ledger", "Promise"]

# What a client numbers its requests by, so that a repeat is known: (kind, owner, number).
Key: TypeAlias = tuple[str, str, int]
Waiter: TypeAlias = Callable[[], object]


class Promise:
    """A result that is there or will be.

    Args:
        request_id: Its name.
        key: What the client numbered the request by, if it did.
        fingerprint: What a repeat under the same number must equal.
    """

    def __init__(self, request_id: str, key: Key | None, fingerprint: bytes) -> None:
        self.request_id, self.key, self.fingerprint = request_id, key, fingerprint
        self.submission = UntypedAPIFuture(request_id=request_id)
        self.size_bytes = 0
        self._outcome: object = None
        self._is_done = False
        self._waiters: list[Waiter] = []
        self._lock = threading.Lock()

    @property
    def is_done(self) -> bool:
        """Whether the result, or the failure, is there."""
        return self._is_done

    def finish(self, outcome: object, size_bytes: int = 0) -> None:
        """Keep the promise with a result or a ``RequestFailedResponse``; the first one counts."""
        with self._lock:
            if self._is_done:
                return
            self._outcome, self.size_bytes, self._is_done = outcome, size_bytes, True
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    def add_waiter(self, wake: Waiter) -> None:
        """Have ``wake`` called once, from any thread, when the promise is kept or if it is."""
        with self._lock:
            if not self._is_done:
                self._waiters.append(wake)
                return
        wake()

    def remove_waiter(self, wake: Waiter) -> None:
        """Forget a waiter; harmless if it has been called."""
        with self._lock:
            self._waiters = [waiter for waiter in self._waiters if waiter != wake]

    def reply(self, accept: str = "") -> Reply:
        """The answer to a question for the result, as things stand.

        Args:
            accept: The media types that the caller takes.
        """
        if self._is_done:
            return result_reply(self._outcome, accept)
        return json_reply(TryAgainResponse(request_id=self.request_id, queue_state="active"), 408)


class Ledger:
    """All promises that can be asked for."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        # Ids of an earlier life of a lasting store must not be mistaken for ours.
        self._prefix = uuid.uuid4().hex[:12]
        self._n_made = 0
        self._promises: dict[str, Promise] = {}
        self._by_key: dict[Key, Promise] = {}
        self._fetched: dict[str, Promise] = {}  # in order of first fetching
        self._fetched_bytes = 0
        self._lock = threading.Lock()

    def repeated(self, key: Key | None, fingerprint: bytes) -> Promise | None:
        """Return the promise made for this very request before.

        Raises:
            Refusal: 400 if the number was used for another request. It is not 409, which clients
                take for a clash that passes (protocol section 13.10).
        """
        with self._lock:
            promise = None if key is None else self._by_key.get(key)
        if promise is not None and key is not None and promise.fingerprint != fingerprint:
            kind, owner, number = key
            raise Refusal(
                400, f"{kind} {number} of {owner} was used for a different request already."
            )
        return promise

    def promise(self, key: Key | None, fingerprint: bytes) -> Promise:
        """Make a promise."""
        with self._lock:
            self._n_made += 1
            promise = Promise(f"{self._prefix}-{self._n_made}", key, fingerprint)
            self._promises[promise.request_id] = promise
            if key is not None:
                self._by_key[key] = promise
        return promise

    def find(self, request_id: str) -> Promise:
        """Return a promise by its name.

        Raises:
            Refusal: 404 if there never was one, 410 if it has been forgotten.
        """
        with self._lock:
            promise = self._promises.get(request_id)
        if promise is not None:
            return promise
        prefix, _, number = request_id.rpartition("-")
        if prefix == self._prefix and number.isdigit() and int(number) <= self._n_made:
            raise Refusal(
                410, f"The result of request {request_id} was fetched long ago and is gone."
            )
        raise Refusal(404, f"There is no request {request_id!r}; it may be one of another service.")

    def fetched(self, promise: Promise) -> None:
        """Note that a result was handed out, and forget the oldest of those if they are many."""
        with self._lock:
            if promise.request_id in self._fetched or promise.request_id not in self._promises:
                return
            self._fetched[promise.request_id] = promise
            self._fetched_bytes += promise.size_bytes
            while self._too_many():
                self._forget(next(iter(self._fetched.values())))

    def _too_many(self) -> bool:
        n_kept, settings = len(self._fetched), self._settings
        return n_kept > settings.min_kept_results and (
            n_kept > settings.max_kept_results or self._fetched_bytes > settings.max_kept_bytes
        )

    def _forget(self, promise: Promise) -> None:
        del self._fetched[promise.request_id], self._promises[promise.request_id]
        self._fetched_bytes -= promise.size_bytes
        if promise.key is not None:
            self._by_key.pop(promise.key, None)

    def close(self) -> None:
        """Fail whatever is still pending."""
        with self._lock:
            pending = [promise for promise in self._promises.values() if not promise.is_done]
        for promise in pending:
            promise.finish(
                RequestFailedResponse(error="The service was closed.", category="server")
            )
