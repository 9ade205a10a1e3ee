from __future__ import annotations

import pytest

from tinker_lite.config import WireChoice
from tinker_lite.protocol.endpoint import Form
from tinker_lite.protocol.negotiation import (
    Learned,
    Next,
    accepted_form,
    after_refusals,
    pass_forms,
)
from tinker_lite.types import ForwardBackwardOutput, OptimStepResponse, SampleResponse


@pytest.mark.parametrize(
    ("choice", "learned", "forms"),
    [
        ("auto", Learned(), ("protobuf", "json")),
        ("auto", Learned(results="protobuf"), ("protobuf", "json")),
        ("auto", Learned(results="json"), ("json", "protobuf")),
        ("auto", Learned(passes="json"), ("json", "protobuf")),
        ("auto", Learned(passes="protobuf", results="json"), ("protobuf", "json")),
        ("json", Learned(passes="protobuf"), ("json",)),
        ("protobuf", Learned(passes="json", results="json"), ("protobuf",)),
    ],
)
def test_passes_are_offered_in_what_is_known(
    choice: WireChoice, learned: Learned, forms: tuple[Form, ...]
) -> None:
    """What was accepted first, or what results have come as, or protobuf; what was chosen alone."""
    assert pass_forms(choice, learned) == forms


@pytest.mark.parametrize("result", [ForwardBackwardOutput, SampleResponse])
@pytest.mark.parametrize(
    ("choice", "learned", "accept"),
    [
        ("auto", Learned(), "application/x-protobuf"),
        ("auto", Learned(passes="json"), "application/x-protobuf"),
        ("auto", Learned(results="json"), "application/json"),
        ("json", Learned(results="protobuf"), "application/json"),
        ("protobuf", Learned(results="json"), "application/x-protobuf"),
    ],
)
def test_large_results_are_asked_for_in_protobuf(
    result: type, choice: WireChoice, learned: Learned, accept: str
) -> None:
    """Unless the server has shown that it gives JSON, or JSON was chosen."""
    assert accepted_form(choice, learned, result) == accept


@pytest.mark.parametrize("choice", ["auto", "json", "protobuf"])
def test_other_results_are_json(choice: WireChoice) -> None:
    """There is no message for them."""
    assert accepted_form(choice, Learned(), OptimStepResponse) == "application/json"


@pytest.mark.parametrize(
    ("statuses", "what"),
    [
        # The first form is refused, maybe for being what it is.
        ((404,), "other"),
        ((415,), "other"),
        ((422,), "other"),
        ((500,), "other"),
        ((400,), "usual"),
        ((401,), "usual"),
        ((503,), "usual"),
        # Neither is taken: what refuses the content says more.
        ((422, 415), "first"),
        ((415, 422), "second"),
        ((404, 422), "second"),
        ((404, 404), "first"),
        ((415, 415), "first"),
        ((422, 400), "first"),
        ((415, 403), "second"),
        ((422, 500), "first"),
        # The server may be in trouble.
        ((500, 500), "wait"),
        ((500, 415), "wait"),
        ((500, 404), "wait"),
        ((500, 405), "wait"),
        ((415, 500), "wait"),
        # The first offer may have been accepted, and its answer lost.
        ((500, 400), "again"),
        ((500, 409), "again"),
        ((500, 422), "again"),
        ((500, 422, 500), "second"),
        ((500, 409, 400), "usual"),
        ((500, 409, 503), "usual"),
    ],
)
def test_what_comes_after_refusals_of_a_first_contact(
    statuses: tuple[int, ...], what: Next
) -> None:
    """Each combination that decides something."""
    assert after_refusals(statuses, is_known=False) == what


@pytest.mark.parametrize(
    ("statuses", "what"),
    [
        ((500,), "usual"),
        ((400,), "usual"),
        ((415,), "other"),
        ((422,), "other"),
        ((404,), "other"),
        ((422, 415), "first"),
        ((404, 500), "first"),
        ((415, 500), "first"),
        ((500, 415), "wait"),
        ((500, 400), "wait"),
    ],
)
def test_what_comes_after_a_known_form_is_refused(statuses: tuple[int, ...], what: Next) -> None:
    """500 is trouble; the rest is looked into once, since the server may be another one now."""
    assert after_refusals(statuses, is_known=True) == what
