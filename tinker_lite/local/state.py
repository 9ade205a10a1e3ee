"""What the service knows while it runs: sessions, models, samplers, and who works for them.

Every change to the registries is made under ``State.lock``; work on a model's weights happens on
the training thread alone, and sampling on a thread of its own, from snapshots.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tinker_lite.local.archives import ArchiveLinks
from tinker_lite.local.exchange import Call, Refusal, Reply, json_reply
from tinker_lite.local.jobs import perform
from tinker_lite.local.promises import Key, Ledger, Promise
from tinker_lite.local.snapshots import Snapshots, Weights
from tinker_lite.local.turns import Turns
from tinker_lite.local.workers import Job, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tinker_lite.local.adapted import AdaptedModel
    from tinker_lite.local.base_models import BaseModel
    from tinker_lite.local.settings import ServiceSettings
    from tinker_lite.local.store import Store
    from tinker_lite.types import LoraConfig

__all__ = ["Handlers", "Model", "Sampler", "Session", "State", "fingerprint", "now"]

Handlers: TypeAlias = "Mapping[str, Callable[[State, Call], Reply | Promise]]"
"""Who answers which endpoint, by the endpoint's name."""


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def fingerprint(call: Call, content: bytes | None = None) -> bytes:
    """What two requests have in common when one repeats the other; by default the whole content."""
    digest = hashlib.sha256(call.endpoint.name.encode())
    digest.update(call.content if content is None else content)
    return digest.digest()


@dataclass
class Session:
    """A client's session; it lives until it is finished, whether or not its heart beats."""

    session_id: str
    user_metadata: Mapping[str, str]
    display_name: str | None
    finished: str | None = None


@dataclass
class Sampler:
    """A sampling session: a name for some weights."""

    sampler_id: str
    session_id: str
    weights: Weights
    model_path: str | None = None
    is_ephemeral: bool = False


@dataclass
class Model:
    """A model under training.

    Attributes:
        adapted: The weights, once the training thread has made them; gone with the session.
        failure: Why it could not be made, or was let go of, if so.
        inflight: Samplers that follow the latest weights saved for them.
    """

    model_id: str
    session_id: str
    base: BaseModel
    lora: LoraConfig
    user_metadata: Mapping[str, str] | None
    last_request_time: datetime = field(default_factory=now)
    turns: Turns[Job] = field(default_factory=Turns[Job])
    adapted: AdaptedModel | None = None
    failure: str | None = None
    inflight: list[Sampler] = field(default_factory=list[Sampler])

    def trained(self) -> AdaptedModel:
        """The weights; for the training thread.

        Raises:
            ValueError: There are none, since making them failed or the session is over.
        """
        if self.adapted is None:
            reason = self.failure or "its session is finished"
            raise ValueError(f"model_id: model {self.model_id} is not there: {reason}")
        return self.adapted


class State:
    """The registries and the two threads of one service."""

    def __init__(self, settings: ServiceSettings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.lock = threading.RLock()
        self.ledger = Ledger(settings)
        self.links = ArchiveLinks(settings.archive_s)
        self.snapshots = Snapshots(settings.max_snapshots)
        self.trainer = Worker("tinker-lite-training")
        self.sampling = Worker("tinker-lite-sampling")
        self.sessions: dict[str, Session] = {}
        self.models: dict[str, Model] = {}
        self.samplers: dict[str, Sampler] = {}

    def close(self) -> None:
        """Stop both threads and fail what is pending."""
        self.trainer.close()
        self.sampling.close()
        self.ledger.close()

    # Look-ups.

    def session(self, session_id: str) -> Session:
        """A session that is still open.

        Raises:
            Refusal: 404 if there is none, 410 if it is finished.
        """
        session = self.sessions.get(session_id)
        if session is None:
            raise Refusal(404, f"session_id: there is no session {session_id!r}.")
        if session.finished is not None:
            raise Refusal(
                410,
                f"session_id: session {session_id} is finished ({session.finished}); "
                "start another.",
            )
        return session

    def model(self, model_id: str) -> Model:
        """A model of an open session.

        Raises:
            Refusal: 404 if there is none, 410 if its session is finished.
        """
        model = self.models.get(model_id)
        if model is None:
            raise Refusal(
                404,
                f"model_id: there is no model {model_id!r} here. Models live as long as the "
                "service; a checkpoint of an earlier one can be loaded.",
            )
        self.session(model.session_id)
        return model

    # Work.

    def submit_training(
        self,
        model: Model,
        seq_id: int | None,
        identity: bytes,
        work: Callable[[], object],
    ) -> Reply:
        """Queue work on a model's weights in the order of its requests' numbers.

        Raises:
            Refusal: 400 if the number was used for something else, 410 if its result is forgotten.
        """
        key: Key | None = None if seq_id is None else ("seq_id", f"model {model.model_id}", seq_id)
        with self.lock:
            repeated = self.ledger.repeated(key, identity)
            if repeated is not None:
                return json_reply(repeated.submission)
            self.session(model.session_id)
            if seq_id is not None and model.turns.is_used(seq_id):
                raise Refusal(410, f"seq_id: request {seq_id} was done and its result is gone.")
            promise = self.ledger.promise(key, identity)
            model.last_request_time = now()
            self._start(model, model.turns.arrive(seq_id, partial(perform, promise, work)))
        return json_reply(promise.submission)

    @contextmanager
    def counting_refusals(self, model: Model, seq_id: int | None) -> Generator[None]:
        """Count a request's number as used if the block refuses it (protocol section 4.8)."""
        try:
            yield
        except ValueError as error:
            self._refused(model, seq_id)
            raise Refusal(400, str(error)) from error
        except Refusal:
            self._refused(model, seq_id)
            raise

    def _refused(self, model: Model, seq_id: int | None) -> None:
        if seq_id is not None:
            with self.lock:
                self._start(model, model.turns.refuse(seq_id))

    def _start(self, model: Model, jobs: list[Job]) -> None:
        for job in jobs:
            self.trainer.submit(job)
        if model.turns.is_waiting:
            self._watch_gap(model)

    def _watch_gap(self, model: Model) -> None:
        n_arrived = model.turns.n_arrived

        def give_up() -> None:
            with self.lock:
                # Another arrival has brought a watch of its own, with fresh patience.
                if model.turns.n_arrived == n_arrived:
                    self._start(model, model.turns.give_up())

        self.trainer.submit_later(self.settings.gap_patience_s, give_up)

    def release(self, session_id: str) -> None:
        """Let go of a finished session's weights once the work already accepted is done."""
        for model in self.models.values():
            while model.session_id == session_id and model.turns.is_waiting:
                for job in model.turns.give_up():
                    self.trainer.submit(job)
        self.trainer.submit(partial(self._free_models, session_id))

    def _free_models(self, session_id: str) -> None:
        with self.lock:
            for model in self.models.values():
                if model.session_id == session_id:
                    model.adapted = None
            samplers = [s for s in self.samplers.values() if s.session_id == session_id]
        self.sampling.submit(partial(self._free_samplers, samplers))

    def _free_samplers(self, samplers: list[Sampler]) -> None:
        for sampler in samplers:
            if sampler.is_ephemeral:
                self.delete_weights(sampler.weights)

    def delete_weights(self, weights: Weights) -> None:
        """Remove weights without a name, from memory and disk."""
        self.snapshots.drop(weights)
        if weights.files is not None:
            self.store.delete_ephemeral(weights.files)
