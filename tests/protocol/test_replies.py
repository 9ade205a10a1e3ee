from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinker_lite import errors
from tinker_lite.http import Headers
from tinker_lite.protocol.archive import archive_location
from tinker_lite.protocol.replies import (
    MAX_SHOWN,
    Reply,
    body_text,
    connection_error,
    read_reply,
    status_error,
)
from tinker_lite.protocol.samples import with_sequence_ids
from tinker_lite.types import (
    CheckpointArchiveUrlResponse,
    HealthResponse,
    SampledSequence,
    SampleResponse,
    UntypedAPIFuture,
)

URL = "https://h/api/v1/training_runs/r/checkpoints/weights/a/archive"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def reply(
    status: int, body: bytes = b"", *, n_retries: int = 0, headers: dict[str, str] | None = None
) -> Reply:
    """The answer to a request for capabilities."""
    return Reply(
        status=status,
        headers=Headers((headers or {}).items()),
        body=body,
        method="GET",
        url="https://h/api/v1/x",
        n_retries=n_retries,
    )


# Errors of a status


@pytest.mark.parametrize(
    ("body", "shown", "parsed"),
    [
        pytest.param(b'{"detail":"no run"}', "no run", {"detail": "no run"}, id="a detail"),
        pytest.param(b'{"x":1}', '{"x":1}', {"x": 1}, id="JSON without a detail"),
        pytest.param(b'{"detail":[1]}', '{"detail":[1]}', {"detail": [1]}, id="a list"),
        pytest.param(b"<html>no</html>", "<html>no</html>", "<html>no</html>", id="no JSON"),
        pytest.param(b"", "(empty body)", "", id="nothing"),
        pytest.param(b'"\xff"', '"\ufffd"', '"\ufffd"', id="no Unicode"),
    ],
)
def test_a_status_error_says_what_came_back(body: bytes, shown: str, parsed: object) -> None:
    """What was asked, the status and the server's own words; the parsed body is a field."""
    error = status_error(reply(404, body, n_retries=2), "service.x")
    assert type(error) is errors.NotFoundError
    assert str(error) == (
        f"Error code: 404 - {shown} (service.x: GET https://h/api/v1/x after 2 retries)"
    )
    assert (error.body, error.status_code) == (parsed, 404)
    assert "retries" not in str(status_error(reply(404), "service.x"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://new/api?token=hush", "to https://new/api; set base_url"),
        ("/elsewhere", "to /elsewhere; set base_url"),
        ("http://[bad", "to <malformed URL>; set base_url"),
    ],
)
def test_a_redirect_says_where_to(location: str, shown: str) -> None:
    """It is not followed, since the key must not go elsewhere; the text says what to set."""
    error = status_error(reply(301, b"moved", headers={"Location": location}), "service.x")
    assert shown in str(error)
    assert "hush" not in str(error)
    assert "base_url" not in str(status_error(reply(301), "service.x"))


def test_a_status_error_holds_no_secret_header() -> None:
    """The head that travels with an error has neither cookies nor the body."""
    answer = reply(500, b"secret", headers={"Set-Cookie": "hush", "Retry-After": "1"})
    error = status_error(answer, "service.x")
    assert isinstance(error.response, Reply)
    assert error.response.headers == Headers([("retry-after", "1")])
    assert error.response.body == b""


@given(st.binary() | st.integers(1, 10**5).map(lambda n: b"[" * n), st.integers(300, 599))
def test_any_refusal_becomes_an_error(body: bytes, status: int) -> None:
    """Whatever its body, and the text stays short."""
    error = status_error(reply(status, body), "service.x")
    assert error.status_code == status
    if not body.startswith(b'{"detail"'):
        assert len(str(error)) < MAX_SHOWN + 100


def test_long_bodies_are_cut() -> None:
    """Bodies can hold whole prompts; enough is shown to understand."""
    assert body_text(b"x" * 200) == "x" * 200
    assert body_text(b"x" * 201) == "x" * 200 + "..."
    assert body_text(b"") == "(empty body)"


def test_a_reply_shows_what_was_asked_but_no_body() -> None:
    """Success is any 2xx."""
    assert repr(reply(204, b"secret")) == "Reply(GET https://h/api/v1/x -> 204, <6 bytes>)"
    oks = [reply(status).ok for status in (199, 200, 299, 300)]
    assert oks == [False, True, True, False]
    assert reply(204).status_code == 204


# Errors of a connection


@pytest.mark.parametrize(
    ("error", "cls"),
    [
        (errors.ConnectError("refused"), errors.APIConnectionError),
        (
            errors.TransportTimeout("late", phase="read", may_have_arrived=True),
            errors.APITimeoutError,
        ),
        (errors.ProtocolError("bad", may_have_arrived=True), errors.APIConnectionError),
    ],
    ids=["refused", "timeout", "no HTTP"],
)
def test_a_connection_error_says_what_was_tried(
    error: errors.TransportError, cls: type[errors.APIConnectionError]
) -> None:
    """Operation, place and number of attempts, and whether the request may have arrived."""
    found = connection_error(
        error, operation="service.x", method="GET", url="https://me:hush@h/x?s=hush", n_retries=2
    )
    assert type(found) is cls
    what = "answer that can be used" if isinstance(error, errors.ProtocolError) else "answer"
    text = f"service.x: no {what} to GET https://h/x in 3 attempts. {error}"
    assert str(found).startswith(text)
    assert found.may_have_arrived is error.may_have_arrived
    refused = isinstance(error, errors.ConnectError)
    assert ("TINKER_BASE_URL" in str(found)) is refused, "advice where it helps"


def test_a_connection_error_reads_well() -> None:
    """One attempt is not several, and a place that the transport named is not named again."""
    lost = errors.ConnectionLost("GET http://h/x: reset.", may_have_arrived=True)
    found = connection_error(lost, operation="x", method="GET", url="http://h/x", n_retries=0)
    assert str(found) == "x: no answer in 1 attempt. GET http://h/x: reset."


# Answers that fit and answers that do not


def test_an_answer_is_read_as_its_type() -> None:
    """Whatever its content type says."""
    html = {"content-type": "text/html"}
    assert read_reply(reply(200, b'{"status":"ok"}', headers=html), HealthResponse, "x") == (
        HealthResponse(status="ok")
    )


def test_an_answer_that_does_not_fit_says_where() -> None:
    """Operation, place, status, and the path of the wrong value; the body is cut."""
    answer = reply(200, b'{"status":5}')
    with pytest.raises(errors.APIResponseValidationError, match=r"at `\$\.status`") as caught:
        read_reply(answer, HealthResponse, "service.health_check")
    assert "service.health_check: GET https://h/api/v1/x answered 200" in str(caught.value)
    assert (caught.value.body, caught.value.status_code) == ('{"status":5}', 200)
    assert isinstance(caught.value.__cause__, errors.DecodeError)


def test_a_web_page_in_place_of_an_answer_is_called_one() -> None:
    """A base URL that points at a website is a common mistake."""
    page = reply(200, b"\n<!doctype html>")
    with pytest.raises(errors.APIResponseValidationError, match="web page: does base_url"):
        read_reply(page, HealthResponse, "service.health_check")


# Archives: protocol section 2.9


@pytest.mark.parametrize(
    ("headers", "url", "expires"),
    [
        pytest.param(
            {"Location": "https://s/a?sig=1", "Expires": "Thu, 01 Jan 2026 01:00:00 GMT"},
            "https://s/a?sig=1",
            datetime(2026, 1, 1, 1, tzinfo=UTC),
            id="with an expiry",
        ),
        pytest.param(
            {"location": "https://s/a", "Expires": "0"},
            "https://s/a",
            datetime(2026, 1, 1, 0, 15, tzinfo=UTC),
            id="with an expiry that is no date",
        ),
        pytest.param(
            {"location": "/download/a?sig=1"},
            "https://h/download/a?sig=1",
            datetime(2026, 1, 1, 0, 15, tzinfo=UTC),
            id="relative, without an expiry",
        ),
    ],
)
def test_an_archive_is_where_the_redirect_leads(
    headers: dict[str, str], url: str, expires: datetime
) -> None:
    """Fifteen minutes are taken for granted when the server does not say."""
    found = archive_location(reply(302, headers=headers), URL, NOW)
    assert found == CheckpointArchiveUrlResponse(url=url, expires=expires)


def test_an_archive_may_be_named_in_json() -> None:
    """Some servers answer with a body in place of a redirect."""
    raw = b'{"url":"https://s/a","expires":"2026-01-01T00:00:00Z"}'
    assert archive_location(reply(200, raw), URL, NOW) == (
        CheckpointArchiveUrlResponse(url="https://s/a", expires=NOW)
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(302), "answered 302 without a Location"),
        (reply(200, b"{}"), "missing required field `url`"),
    ],
)
def test_an_archive_without_a_place_is_an_error(answer: Reply, text: str) -> None:
    """The error says what was missing."""
    with pytest.raises(errors.APIResponseValidationError, match=f"checkpoints.archive.*{text}"):
        archive_location(answer, URL, NOW)


# Names of sequences: protocol section 2.10


@pytest.mark.parametrize(
    ("given_ids", "ids"),
    [
        pytest.param(["a", "b"], ["a", "b"], id="given with the submission"),
        pytest.param(None, ["r:0", "r:1"], id="made up when an older server gives none"),
        pytest.param(["a"], ["r:0", "r:1"], id="made up when there are too few"),
        pytest.param(["a", "b", "c"], ["r:0", "r:1"], id="made up when there are too many"),
    ],
)
def test_sequences_are_named_by_position(given_ids: list[str] | None, ids: list[str]) -> None:
    """Nothing else of the response changes."""
    response = SampleResponse(
        sequences=[SampledSequence(stop_reason="stop", tokens=[i]) for i in (1, 2)],
        prompt_cache_hit_tokens=3,
    )
    future = UntypedAPIFuture(request_id="r", sample_sequence_ids=given_ids)
    named = with_sequence_ids(response, future)
    assert [s.sequence_id for s in named.sequences] == ids
    assert [s.tokens for s in named.sequences] == [[1], [2]]
    assert named.prompt_cache_hit_tokens == 3
    assert [s.sequence_id for s in response.sequences] == ["", ""]
