"""A case of the tables: what a client sends, and what it must get. And how to write one down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wire import Message

Check = Callable[[list[Message], list[dict[str, Any]]], object]


@dataclass
class Case:
    name: str
    pieces: list[bytes]
    want: str
    methods: tuple[str, ...] = ("GET",)
    check: Check | None = None  # of the replies, and what the backend was sent for those with 200; falsy: wrong
    half: bool = False  # the client closes its side
    then: bytes = b""  # sent when an interim reply is there


cases: list[Case] = []


def case(name: str, raw: bytes | list[bytes], want: str, **more: Any) -> None:
    """A list is sent piece by piece."""
    cases.append(Case(name, [raw] if isinstance(raw, bytes) else raw, want, **more))


def request(
    target: bytes = b"/m", fields: bytes = b"", body: bytes = b"", *, method: bytes = b"GET",
    version: bytes = b"HTTP/1.1", host: bytes = b"Host: x\r\n",
) -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n" + body


def post(fields: bytes, body: bytes, target: bytes = b"/m") -> bytes:
    return request(target, fields, body, method=b"POST")


def drip(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def got(name: str, *values: str) -> Check:
    """The backend was sent these values of a header."""
    return lambda _, seen: seen[0]["headers"].get(name, []) == list(values)


def got_target(*targets: str) -> Check:
    return lambda _, seen: seen[0]["target"] in targets


def got_body(body: str) -> Check:
    return lambda _, seen: seen[0]["body"] == body


def said(name: str, *values: str) -> Check:
    """The last reply has these values of a header."""
    return lambda replies, _: replies[-1].headers.get(name, []) == list(values)


LENGTH3 = b"Content-Length: 3\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CONTINUE = b"Expect: 100-continue\r\n"
