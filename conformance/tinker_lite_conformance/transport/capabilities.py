"""What transports may lack: declared by the candidate, with a reason each, and never guessed.

A case says what it needs, with ``needs``; a case that takes the fixture ``kit`` needs sockets. A
case that needs what the candidate lacks is not applicable to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["CAPABILITIES", "Case", "check_names", "needs", "needs_of", "reason_to_skip"]

Case = TypeVar("Case", bound=Callable[..., Any])

CAPABILITIES: Mapping[str, str] = {
    "sockets": "It speaks HTTP/1.1 over TCP connections of its own.",
    "streams_uploads": "A block of a request body goes out before the next is asked for.",
    "proxies": "It goes through an HTTP proxy, over TLS if the proxy's URL says so.",
    "unix_sockets": "It reaches services behind http+unix URLs.",
    "http2": "It offers HTTP/2 in the TLS handshake and speaks HTTP/1.1 where that is chosen.",
    "trio": "Its async form runs on trio as well as on asyncio.",
    "bounded_pool": "It bounds the connections to a host; requests wait in turn, within pool_s.",
    "phase_limits": "Connecting, sending and reading have limits of their own; errors name them.",
    "tls_limit": "The TLS handshake has a limit of its own too.",
    "total_limit": "total_s ends an exchange that goes on and on.",
    "bounded_heads": "max_head_bytes bounds the head of an answer, and up to there all is read.",
    "strict_framing": "Framing is read by the letter: odd but legal works, all else is an error.",
    "exact_requests": "Requests go out as given: target, order of headers, nothing added.",
    "guards_requests": "What cannot be put into HTTP/1.1 is refused before anything is sent.",
    "interim_answers": "Answers with 1xx are passed over, up to a bound.",
    "early_answers": "An answer that comes before the request is out ends the sending.",
    "checked_tls_end": "A TLS stream that breaks off is not taken for one that ended.",
    "watches_idle": "A kept connection that ended, or on which anything came, is not used.",
    "reports_reuse": "Errors say whether the connection had served before, and what was sent.",
    "closes_running": "Closing the transport ends the requests that are under way.",
}


def needs(*names: str) -> Callable[[Case], Case]:
    """Say of a case, or of a class of cases, which capabilities it needs.

    Raises:
        ValueError: A name is not in ``CAPABILITIES``.
    """
    check_names(names)

    def mark(case: Case) -> Case:
        for one in (case, *vars(case).values()):
            if inspect.isfunction(one):
                one.__dict__["needs"] = (*one.__dict__.get("needs", ()), *names)
        return case

    return mark


def needs_of(case: Callable[..., Any]) -> tuple[str, ...]:
    """The capabilities that a case needs, in the order of the table."""
    named = set(vars(case).get("needs", ()))
    if "kit" in inspect.signature(case).parameters:
        named.add("sockets")
    return tuple(name for name in CAPABILITIES if name in named)


def reason_to_skip(case: Callable[..., Any], lacks: Mapping[str, str]) -> str | None:
    """Why a case is not applicable to a candidate; None if it is."""
    for name in needs_of(case):
        if name in lacks:
            return f"lacks {name}: {lacks[name]}"
    return None


def check_names(names: Iterable[str]) -> None:
    """Refuse a misspelt capability, which would silently change what is tested.

    Raises:
        ValueError: A name is not in ``CAPABILITIES``.
    """
    unknown = [name for name in names if name not in CAPABILITIES]
    if unknown:
        raise ValueError(
            f"There is no capability called {unknown[0]!r}; there are {', '.join(CAPABILITIES)}."
        )
