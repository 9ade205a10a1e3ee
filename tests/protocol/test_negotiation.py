from __future__ import annotations

import pytest

from tinker_lite.config import WireChoice
from tinker_lite.protocol.endpoint import Form
from tinker_lite.protocol.negotiation import Learned, accepted_form, is_refusal, pass_forms
from tinker_lite.types import ForwardBackwardOutput, OptimStepResponse, SampleResponse


@pytest.mark.parametrize(
    ("choice", "learned", "forms"),
    [
        ("auto", Learned(), ("protobuf", "json")),
        ("auto", Learned(results="protobuf"), ("protobuf", "json")),
        ("auto", Learned(results="json"), ("json", "protobuf")),
        ("auto", Learned(passes="json"), ("json",)),
        ("auto", Learned(passes="protobuf", results="json"), ("protobuf",)),
        ("json", Learned(passes="protobuf"), ("json",)),
        ("protobuf", Learned(passes="json", results="json"), ("protobuf",)),
    ],
)
def test_passes_are_offered_in_what_is_known(
    choice: WireChoice, learned: Learned, forms: tuple[Form, ...]
) -> None:
    """Protobuf first, unless results have come as JSON; what was accepted, or chosen, alone."""
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


def test_what_may_be_a_refusal_of_the_form() -> None:
    """Unknown route, unknown type, unreadable body, and the 500 of a server that chokes on it."""
    found = [status for status in range(200, 600) if is_refusal(status)]
    assert found == [404, 415, 422, 500]
