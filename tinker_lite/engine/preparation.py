"""From what a caller says to a call: URL, headers, body, limits.

``Args`` is a call as a value, which knows no client and no colour. ``prepared`` makes a ``Call`` of
it with a client's defaults; it waits only where files are looked at or read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, get_args

import msgspec
from msgspec.structs import replace

from tinker_lite.config import Config, RetryConfig
from tinker_lite.engine.bodies import Encoded, PassRequest, as_pass, encoded_body
from tinker_lite.engine.call import (
    IDEMPOTENCY_KEY,
    Call,
    built_in_headers,
    service_url,
)
from tinker_lite.engine.options import (
    CallOptions,
    HeaderValue,
    check_options,
    merged_body,
    merged_headers,
    merged_query,
)
from tinker_lite.engine.servers import Servers
from tinker_lite.errors import ConfigError, InvalidRequest
from tinker_lite.http import Timeout, parse_target
from tinker_lite.protocol.endpoints import SUBMISSIONS, Row
from tinker_lite.protocol.negotiation import accepted_form
from tinker_lite.wire.annotations import record_of
from tinker_lite.wire.files import RequestFiles
from tinker_lite.wire.multipart import encode_form, file_body
from tinker_lite.wire.not_given import NOT_GIVEN
from tinker_lite.wire.transform import atransform
from tinker_lite.wire.urls import ArrayFormat, QueryValue, join_url, render_path, with_query

if TYPE_CHECKING:
    from tinker_lite.engine.call_io import CallIO, R
    from tinker_lite.protocol.endpoint import Form

__all__ = ["Args", "Defaults", "is_pass", "prepared", "with_pass"]

A = TypeVar("A")

_OCTETS = "application/octet-stream"
_BOUNDARY = re.compile(r"multipart/form-data\s*;\s*boundary=\"?([^\";]+)\"?\s*", re.IGNORECASE)


class Args(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """One call, as a value: nothing has been sent.

    Attributes:
        row: The endpoint.
        target: A path below the base URL, or a whole URL; in place of the row's path.
        path: Values for the placeholders of the row's path.
        query: Query parameters of the method; None values are not given.
        headers: Headers of the method.
        body: The body: a struct, plain values, bytes as they are, or None.
        files: Files, which make the body a form.
        options: What the caller changed.

    Raises:
        TypeError: There is no such option.
    """

    row: Row[A]
    target: str = ""
    path: Mapping[str, str] = {}
    query: Mapping[str, QueryValue] = {}
    headers: Mapping[str, HeaderValue] = {}
    body: object = None
    files: RequestFiles | None = None
    options: CallOptions = {}

    def __post_init__(self) -> None:
        """Refuse what type checkers would: a misspelt option must not be lost."""
        check_options(self.options)


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What every call of a client begins with.

    Attributes:
        config: Base URL, credential, headers, limits.
        query: Query parameters of every call.
        arrays: How lists stand in a query.
        servers: What the servers have shown of themselves; copies of a client share it.
    """

    config: Config
    servers: Servers = msgspec.field(default_factory=Servers)
    query: Mapping[str, QueryValue] = {}
    arrays: ArrayFormat = "comma"

    def __post_init__(self) -> None:
        """Refuse what would fail at the first query with a list only."""
        if self.arrays not in get_args(ArrayFormat):
            raise ConfigError(
                f"array_format is {self.arrays!r}; it must be one of {get_args(ArrayFormat)}."
            )


async def prepared(
    args: Args[Any],
    defaults: Defaults,
    io: CallIO[R],
    *,
    stays_open: bool = False,
    form: Form = "json",
) -> Call:
    """Settle a call.

    Args:
        args: What the caller says.
        defaults: The client's.
        io: The world, for files.
        stays_open: The body of the answer is read by the caller, who may take any time over it:
            limits given as a number then bound the silence only.
        form: What the body is encoded as; only what ``is_pass`` has a choice.

    Raises:
        TypeError: The body has no JSON form, or takes no ``extra_body``.
        ValueError: A path value is empty or malformed.
        OSError: A file cannot be read.
    """
    config, row, options = defaults.config, args.row, args.options
    url, is_ours = _url(args, defaults, form)
    body, described = await _encoded(args, io, form)
    headers = built_in_headers(config, row).merged(described)
    # The client's own headers may hold secrets too, so another origin sees none of them.
    headers = headers.merged(config.default_headers) if is_ours else headers.without_secrets()
    headers = merged_headers(headers, args.headers)
    polled = SUBMISSIONS.get(headers.get("x-tinker-request-type", ""))
    if polled is not None:
        shown = defaults.servers.shown_by(config.base_url)
        headers = headers.merged([("Accept", accepted_form(config.wire, shown, polled.result))])
    headers = merged_headers(headers, options.get("extra_headers") or {})
    if form == "protobuf" or _is_form(described):  # which nobody else can describe
        headers = headers.merged(described)
    if key := options.get("idempotency_key"):
        headers = headers.merged([(IDEMPOTENCY_KEY, key)])
    return Call(
        endpoint=row,
        method=row.method,
        url=url,
        headers=headers,
        body=body,
        timeout=_timeout(args, config, stays_open),
        retry=_retry(config, options.get("max_retries")),
        max_response_bytes=config.max_response_bytes,
        is_keyed=is_ours and not _is_omitted(IDEMPOTENCY_KEY, options),
    )


def with_pass(args: Args[Any], config: Config) -> Args[Any]:
    """The same with a struct for the body, if that can be encoded in either form; see ``is_pass``.

    Plain values with names that the struct does not know, and bodies with additions, stay JSON.

    Raises:
        TypeError: The client may send protobuf only, and the body has none.
    """
    if not args.row.protobuf_path or config.wire == "json" or is_pass(args):
        return args
    body = args.body
    if isinstance(body, Mapping) and not args.options.get("extra_body"):
        wanted = cast("type[PassRequest]", args.row.request)
        request = as_pass(cast("object", body), wanted)
        if request is not None:
            return replace(args, body=request)
    if config.wire == "protobuf":
        raise TypeError(
            f"{args.row.name}: with wire='protobuf' the body must be a training pass, without "
            "extra_body and without fields that protobuf has no place for."
        )
    return args


def is_pass(args: Args[Any]) -> bool:
    """Whether the call is a training pass that can be encoded in either form."""
    is_plain = args.files is None and not args.options.get("extra_body")
    return is_plain and isinstance(args.body, PassRequest)


def _url(args: Args[Any], defaults: Defaults, form: Form) -> tuple[str, bool]:
    """Where the call goes, and whether that is the client's own service."""
    base_url = service_url(defaults.config)
    given = {name: value for name, value in args.query.items() if value is not None}
    extra = args.options.get("extra_query")
    if not args.target:
        url = join_url(base_url, render_path(args.row.path_for(form), **args.path))
        is_ours = True
    elif args.target.startswith("/"):
        url, is_ours = base_url.rstrip("/") + args.target, True
    else:
        url, is_ours = args.target, _is_same_origin(args.target, base_url)
    query = merged_query(defaults.query if is_ours else {}, given, extra)
    return with_query(url, query, defaults.arrays), is_ours


def _is_same_origin(url: str, base_url: str) -> bool:
    try:
        return parse_target(url).origin == parse_target(base_url).origin
    except InvalidRequest:  # the transport says what is wrong with it
        return False


async def _encoded(args: Args[Any], io: CallIO[R], form: Form) -> Encoded:
    """The body, and the headers that describe it."""
    if is_pass(args):
        return encoded_body(args.body, form)
    extra = args.options.get("extra_body")
    body = None if args.body is NOT_GIVEN else args.body
    if _is_raw(body):
        merged_body(body, extra)
        if args.files is not None:
            raise TypeError("files make the body a form, whose fields are a mapping, not bytes.")
        return await _raw(body, io)
    if body is None and args.row.request is not None and not extra:
        raise TypeError(f"{args.row.name} needs a {args.row.request.__name__}, not None.")
    # A struct of the row mostly goes as it is, since looking for marks costs more than encoding it.
    if body is not None and (type(body) is not args.row.request or record_of(type(body)).is_marked):
        body = await atransform(body, args.row.request or object, io.run)
    body = merged_body(body, extra)
    if args.files is None and not _is_form((args.options.get("extra_headers") or {}).items()):
        return (b"", []) if body is None else encoded_body(body)
    fields = encode_form(body, args.files or {}, boundary=_boundary(args.options))
    measured = await io.run(fields.measure)
    return measured, measured.headers()


def _is_raw(body: object) -> bool:
    is_file = isinstance(body, PathLike) or callable(getattr(body, "read", None))
    return is_file or isinstance(body, bytes | bytearray | memoryview)


async def _raw(body: Any, io: CallIO[R]) -> Encoded:
    """Bytes as they are, and files as they lie on disk."""
    if not isinstance(body, bytes | bytearray | memoryview):
        streamed = await io.run(lambda: file_body(body, _OCTETS))
        return streamed, streamed.headers()
    return bytes(cast("bytes", body)), [("Content-Type", _OCTETS)]


def _is_form(headers: Iterable[tuple[str, object]]) -> bool:
    """Whether the content type among headers is that of forms."""
    return any(
        name.lower() == "content-type" and str(value).lower().startswith("multipart/form-data")
        for name, value in headers
    )


def _boundary(options: CallOptions) -> str | None:
    """The caller's own boundary, if its Content-Type names one."""
    for name, value in (options.get("extra_headers") or {}).items():
        if name.lower() == "content-type" and isinstance(value, str):
            match = _BOUNDARY.fullmatch(value)
            return match[1] if match else None
    return None


def _timeout(args: Args[Any], config: Config, stays_open: bool) -> Timeout:
    asked = args.options.get("timeout", NOT_GIVEN)
    if isinstance(asked, Timeout):
        return asked
    if asked is NOT_GIVEN:
        timeout = config.timeout or Timeout.of(args.row.timeout_s)
    else:
        timeout = Timeout.of(asked)
    was_number = stays_open and timeout == Timeout.of(timeout.total_s)
    return replace(timeout, total_s=None) if was_number else timeout


def _retry(config: Config, max_retries: int | None) -> RetryConfig:
    return config.retry if max_retries is None else replace(config.retry, max_retries=max_retries)


def _is_omitted(name: str, options: CallOptions) -> bool:
    extra = options.get("extra_headers") or {}
    return any(key.lower() == name.lower() and not isinstance(extra[key], str) for key in extra)
