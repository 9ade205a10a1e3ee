"""A candidate by its name: the factory that makes it, and what the factory declares.

A factory is any callable that takes ``Options`` and gives a transport. It may have two attributes:
``lacks``, capabilities that the transport lacks with a reason each, and ``probe``, the ``Request``
that a transport without sockets answers with a 2xx status and a body.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import anyio

from tinker_lite.http import Request

from .capabilities import check_names
from .options import Options

__all__ = ["Candidate", "check_form", "load_candidate"]


class Candidate(NamedTuple):
    """What is to be proved.

    Attributes:
        target: Its name, ``module:attribute``.
        make: The factory.
        lacks: What it declares to lack, with reasons.
        probe: What it answers without sockets, or None.
    """

    target: str
    make: Callable[[Options], Any]
    lacks: Mapping[str, str]
    probe: Request | None


def load_candidate(target: str) -> Candidate:
    """Import a factory.

    Args:
        target: ``module:attribute``.

    Raises:
        ValueError: There is none of that name, or its declaration makes no sense; the text is for
            whoever wrote it.
    """
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise ValueError(f"{target!r} is not of the form module:attribute, as in mypkg:factory.")
    try:
        make = pkgutil.resolve_name(target)
    except ModuleNotFoundError as error:
        raise ValueError(f"There is no module {error.name!r} to import for {target!r}.") from error
    except AttributeError as error:
        raise ValueError(f"The module {module!r} has no {attribute!r}.") from error
    except Exception as error:
        raise ValueError(f"Importing {module!r} failed: {_shown(error)}.") from error
    complaint = _complaint(make)
    if complaint:
        raise ValueError(f"{target}{complaint}")
    return Candidate(target, make, getattr(make, "lacks", {}), getattr(make, "probe", None))


def _complaint(make: object) -> str:
    """What is wrong with a factory or its declaration, or ""."""
    lacks: object = getattr(make, "lacks", {})
    probe: object = getattr(make, "probe", None)
    if not callable(make):
        return " is not callable; it must take Options and give a transport."
    if not isinstance(lacks, Mapping) or not all(
        isinstance(reason, str) and reason
        for reason in cast("Mapping[object, object]", lacks).values()
    ):
        return ".lacks must map each capability that is lacking to a reason."
    check_names(cast("Mapping[str, str]", lacks))
    if probe is not None and not isinstance(probe, Request):
        return ".probe is no tinker_lite.http.Request."
    if "sockets" in lacks and probe is None:
        return (
            " lacks sockets, so its factory needs an attribute 'probe': a Request that it answers "
            "with a 2xx status and a body."
        )
    return ""


def check_form(candidate: Candidate, *, is_async: bool) -> None:
    """Make the transport once, and see that it has the form it is said to have.

    Raises:
        ValueError: The factory fails, or what it makes is no transport of that form.
    """

    async def check() -> None:
        try:
            transport = candidate.make(Options())
        except Exception as error:
            raise ValueError(f"{candidate.target}(Options()) failed: {_shown(error)}.") from error
        problem = _problem(transport, is_async=is_async)
        if problem is not None:
            raise ValueError(f"{candidate.target} gives {type(transport).__name__}, {problem}")
        if is_async:
            await transport.aclose()
        else:
            transport.close()

    anyio.run(check)


def _problem(transport: object, *, is_async: bool) -> str | None:
    sends_async = inspect.iscoroutinefunction(getattr(transport, "send", None))
    if sends_async and not is_async:
        return "an async transport: add --async."
    if is_async and not sends_async and callable(getattr(transport, "close", None)):
        return "a blocking transport: leave out --async."
    for name in ("send", "aclose" if is_async else "close"):
        if not callable(getattr(transport, name, None)):
            return f"which has no {name}()."
    return None


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")
