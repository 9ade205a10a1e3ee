from __future__ import annotations

import copy
import pickle
import re
from typing import TypeVar, get_args

import msgspec
import pytest

from tinker_lite import errors
from tinker_lite.errors import TimeoutPhase, TinkerError, TransportError, status_error_class
from tinker_lite.http import Headers
from tinker_lite.protocol.replies import Reply

E = TypeVar("E", bound=TinkerError)


class ForeignResponse(msgspec.Struct):
    """A response of another library: all that a status error needs, and the request it answers."""

    status_code: int
    request: str


REPLY = Reply(status=418, headers=Headers([("Retry-After", "1")]), body=b"{}", url="http://h/x")
TRANSPORT_LEAVES = [
    errors.TransportError,
    errors.ConnectionLost,
    errors.TruncatedBody,
    errors.ProtocolError,
    errors.LimitExceeded,
    errors.InvalidRequest,
    errors.TransportClosed,
]
STATUS_CLASSES = [
    errors.APIStatusError,
    errors.BadRequestError,
    errors.AuthenticationError,
    errors.BillingError,
    errors.PermissionDeniedError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.UnprocessableEntityError,
    errors.RateLimitError,
    errors.InternalServerError,
]
EXAMPLES: list[TinkerError] = [
    errors.TinkerError("plain"),
    errors.ConfigError("set the key"),
    errors.DecodeError("at `$.a`"),
    errors.StreamAlreadyConsumed("read twice"),
    errors.APIError("failed", "GET /x", body={"detail": "no"}),
    *(cls("Error code: 418", REPLY, {"detail": "no"}) for cls in STATUS_CLASSES),
    errors.APIResponseValidationError(REPLY, "[]", "does not fit"),
    errors.APIConnectionError(None, "no answer", may_have_arrived=False),
    errors.APITimeoutError(None, "too late", may_have_arrived=False),
    errors.RetrievalError("gone", "r-1", "training.forward"),
    errors.RequestFailedError("failed", "r-1", "user", "training.forward"),
    errors.ResultExpiredError("expired", "r-1", "sampling.asample"),
    *(cls("lost", may_have_arrived=True, reused_connection=True) for cls in TRANSPORT_LEAVES),
    errors.ConnectError("refused", reused_connection=True),
    errors.TransportTimeout("late", phase="tls", may_have_arrived=False, reused_connection=True),
]


def all_classes(base: type[TinkerError] = TinkerError) -> set[type[TinkerError]]:
    """A class and everything below it that the library defines."""
    below = {sub for cls in base.__subclasses__() for sub in all_classes(cls)}
    return {base, *below}


def name_of(error: TinkerError) -> str:
    """The id of an example."""
    return type(error).__name__


@pytest.mark.parametrize("error", EXAMPLES, ids=name_of)
def test_an_error_survives_pickling_and_copying(error: TinkerError) -> None:
    """Class, text and every field come back, also from constructors that take keywords only."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_every_error_class_is_among_the_examples_and_in_the_docstring() -> None:
    """No class is left untested, and the tree at the top of the module shows each one."""
    ours = {cls for cls in all_classes() if cls.__module__ == errors.__name__}
    assert {type(example) for example in EXAMPLES} == ours
    drawn = set(re.findall(r"\w+", errors.__doc__ or ""))
    assert {cls.__name__ for cls in ours} <= drawn
    assert {cls.__name__ for cls in ours} <= set(errors.__all__)


def test_notes_survive_pickling() -> None:
    """What was added to an error on its way stays with it."""
    error = errors.RetrievalError("gone", "r-1")
    error.add_note("while training")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while training"]


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        pytest.param(400, errors.BadRequestError, id="400 is a bad request"),
        pytest.param(401, errors.AuthenticationError, id="401 is about the credential"),
        pytest.param(402, errors.BillingError, id="402 is about billing"),
        pytest.param(403, errors.PermissionDeniedError, id="403 is about permission"),
        pytest.param(404, errors.NotFoundError, id="404 is not found"),
        pytest.param(405, errors.APIStatusError, id="405 has no leaf"),
        pytest.param(408, errors.APIStatusError, id="408 has no leaf"),
        pytest.param(409, errors.ConflictError, id="409 is a conflict"),
        pytest.param(418, errors.APIStatusError, id="418 has no leaf"),
        pytest.param(422, errors.UnprocessableEntityError, id="422 does not fit the endpoint"),
        pytest.param(425, errors.APIStatusError, id="425 has no leaf"),
        pytest.param(429, errors.RateLimitError, id="429 is the rate limit"),
        pytest.param(302, errors.APIStatusError, id="an unfollowed redirect has no leaf"),
        pytest.param(500, errors.InternalServerError, id="500 is the server's fault"),
        pytest.param(529, errors.InternalServerError, id="529 is the server's fault"),
    ],
)
def test_each_status_has_its_class(status: int, cls: type[errors.APIStatusError]) -> None:
    """The class that callers catch follows from the status alone (protocol section 1.8)."""
    assert status_error_class(status) is cls


@pytest.mark.parametrize("cls", STATUS_CLASSES, ids=lambda cls: cls.__name__)
def test_a_status_error_takes_the_response_of_another_library(
    cls: type[errors.APIStatusError],
) -> None:
    """Positional or by keyword, with any response that has a status code."""
    response = ForeignResponse(status_code=418, request="GET /x")
    error = cls("text", response=response, body=None)
    assert (error.message, error.status_code, error.request) == ("text", 418, "GET /x")
    assert (error.response, error.body, str(error)) == (response, None, "text")
    assert isinstance(error, errors.APIError)


@pytest.mark.parametrize(
    "cls",
    [
        errors.RetrievalError,
        errors.RequestFailedError,
        errors.ResultExpiredError,
        errors.ConfigError,
        errors.DecodeError,
    ],
    ids=lambda cls: cls.__name__,
)
def test_handlers_for_value_errors_still_catch(cls: type[TinkerError]) -> None:
    """Callers of older clients catch ``(TinkerError, ValueError)`` or either."""
    with pytest.raises(ValueError, match="text"):
        raise cls("text")
    with pytest.raises(TinkerError, match="text"):
        raise cls("text")


def test_a_failed_operation_tells_whose_fault_it_is() -> None:
    """Message, request id and category are fields, in the order older callers give them."""
    error = errors.RequestFailedError("bad batch", "r-7", "user")
    assert (error.message, error.request_id, error.category) == ("bad batch", "r-7", "user")
    assert error.operation == ""
    assert errors.RequestFailedError("x").category == "unknown"


def test_a_timeout_is_a_connection_error() -> None:
    """Whoever catches connection errors catches timeouts; both say what may have happened."""
    error = errors.APITimeoutError()
    assert isinstance(error, errors.APIConnectionError)
    assert (str(error), error.may_have_arrived) == ("Request timed out.", True)
    assert str(errors.APIConnectionError()) == "Connection error."


def test_a_refused_connection_cannot_have_delivered_anything() -> None:
    """Only a failure to connect is certain, unless it says otherwise, that nothing arrived."""
    assert errors.ConnectError("refused").may_have_arrived is False
    for cls in TRANSPORT_LEAVES:
        with pytest.raises(TypeError, match="may_have_arrived"):
            cls("lost")  # type: ignore[call-arg]  # what is tested


@pytest.mark.parametrize("phase", get_args(TimeoutPhase))
def test_a_transport_timeout_names_its_phase(phase: TimeoutPhase) -> None:
    """The field says which of the six limits ran out."""
    error = errors.TransportTimeout("late", phase=phase, may_have_arrived=True)
    assert error.phase == phase
    assert isinstance(error, TransportError)


def test_a_validation_error_has_a_text_of_its_own() -> None:
    """Without a message it still says what is wrong, and keeps the status."""
    error = errors.APIResponseValidationError(REPLY)
    assert "does not fit" in str(error)
    assert (error.status_code, error.response) == (418, REPLY)
