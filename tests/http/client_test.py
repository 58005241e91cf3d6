#!/usr/bin/env python3
"""What the gateway makes of misbehaving backends, on raw sockets: `client_test.py DIRECTORY_OF_PROGRAMS`.

Each case is what a backend answers to one request, asked for in each strategy. What the client is told of the call must
be the outcome or reason of the case; what another backend said must be there whole, and nothing that nobody asked for.
"""

import gzip
import itertools
import json
import re
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any

sys.dont_write_bytecode = True
from wire import Backend, Closed, Gateway, Wire, gateway, run_all

JSON = b'{"a":1}'
LATE = 1.0  # seconds past the deadline in which a reply must begin, on a machine that does other things, too


@dataclass
class Case:
    name: str
    pieces: list[bytes]
    then: str  # what the backend does with its connection: keep, close, reset, stall
    want: str  # outcomes or reasons, by "|"
    passed: bytes | None = None  # what a merge must have of it


cases: list[Case] = []


def case(name: str, answer: bytes | list[bytes], want: str, then: str = "keep", passed: bytes | None = None) -> None:
    cases.append(Case(name, [answer] if isinstance(answer, bytes) else answer, then, want, passed))


def reply(body: bytes = JSON, fields: bytes = b"", *, line: bytes = b"HTTP/1.1 200 OK", length: bool = True) -> bytes:
    if length:
        fields += b"Content-Length: %d\r\n" % len(body)
    return line + b"\r\nContent-Type: application/json\r\n" + fields + b"\r\n" + body


def chunked(body: bytes, fields: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + fields + b"\r\n" + body
    )


def plain(fields: bytes, body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + fields + b"\r\n" + body


CHUNKS = b"7\r\n" + JSON + b"\r\n0\r\n\r\n"


def interim() -> None:
    for status, want in ((100, "fresh"), (102, "fresh"), (103, "fresh"), (199, "fresh"), (101, "invalid")):
        line = b"HTTP/1.1 %d Wait\r\n" % status
        case(f"{status} before", line + b"Link: </a>\r\n\r\n" + reply(), want)
        case(f"{status} and the end", line + b"\r\n", "reset" if status != 101 else "invalid", "close")
        case(f"{status} and silence", line + b"\r\n", "timeout" if status != 101 else "invalid", "stall")
    wait = b"HTTP/1.1 100 Continue\r\n\r\n"
    case("100 five times", wait * 5 + reply(), "fresh")
    case("100 a thousand times", wait * 1000 + reply(), "invalid")
    case("100 without end", wait * 10000, "invalid", "stall")
    case("100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" + reply(), "fresh|invalid")
    case("a large 103", b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 20000 + b"\r\n\r\n" + reply(), "too_large")


def framing() -> None:
    case("plain", reply(), "fresh")
    case("chunks", chunked(CHUNKS), "fresh")
    case("to the end", reply(length=False), "fresh", "close")
    case("to the end, reset", reply(length=False), "reset", "reset")
    case("to the end, which does not come", reply(length=False), "timeout", "stall")
    case("half of JSON to the end", reply(b'{"a":', length=False), "invalid", "close")
    case("HTTP/1.0 to the end", reply(line=b"HTTP/1.0 200 OK", length=False), "fresh", "close")
    case("HTTP/1.0 kept alive", reply(fields=b"Connection: keep-alive\r\n", line=b"HTTP/1.0 200 OK"), "fresh")
    case(
        "HTTP/1.0 kept alive to the end",
        reply(fields=b"Connection: keep-alive\r\n", line=b"HTTP/1.0 200 OK", length=False), "fresh", "close",
    )
    case("HTTP/1.0 in chunks", chunked(CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"), "fresh|invalid", "close")
    for name, end, want in (
        ("the end", "close", "reset"),
        ("a reset", "reset", "reset"),
        ("silence", "stall", "timeout"),
    ):
        case(f"less than said, then {name}", reply()[:-2], want, end)
        case(f"chunks without the last, then {name}", chunked(CHUNKS[:-5]), want, end)
        case(f"chunks without the last line, then {name}", chunked(CHUNKS[:-2]), want, end)
        case(f"half a chunk, then {name}", chunked(b'7\r\n{"a'), want, end)
        case(f"half a head, then {name}", b"HTTP/1.1 200 OK\r\nX: y\r\n", want, end)
        case(f"nothing, then {name}", b"", want, end)
        for size in (1, 5, 9, 12, 16, 20, 40, 60, len(reply()) - 1):
            case(f"{size} bytes, then {name}", reply()[:size], want, end)
    case("more than said", reply() + b"evil", "fresh")
    case("two replies", reply() + reply(b'{"evil":1}'), "fresh")
    case("a reply behind chunks", chunked(CHUNKS) + reply(b'{"evil":1}'), "fresh")
    case("an interim reply behind", reply() + b"HTTP/1.1 100 Continue\r\n\r\n", "fresh")
    for value, want in (
        (b"7, 7", "invalid"), (b"+7", "invalid"), (b"-7", "invalid"), (b"0x7", "invalid"), (b"7a", "invalid"),
        (b"", "invalid"), (b"9" * 20, "invalid|too_large"), (b"99999999999", "too_large"), (b"7.0", "invalid"),
        (b" 7 ", "fresh"), (b"07", "fresh|invalid"), (b"7\0", "invalid"), (b"7 7", "invalid"),
    ):
        case(f"Content-Length: {value!r}", plain(b"Content-Length: " + value + b"\r\n", JSON), want)
    case("the same length twice", plain(b"Content-Length: 7\r\n" * 2, JSON), "fresh|invalid")
    case("two lengths", plain(b"Content-Length: 7\r\nContent-Length: 8\r\n", JSON + b"x"), "invalid")
    case("a length and chunks", chunked(CHUNKS, b"Content-Length: 7\r\n"), "fresh|invalid")
    for value, want in (
        (b"gzip", "invalid"), (b"gzip, chunked", "invalid"), (b"chunked, gzip", "invalid"),
        (b"chunked, chunked", "invalid"), (b"identity", "fresh|invalid"), (b"xchunked", "invalid"),
        (b"\x0bchunked", "invalid"), (b"CHUNKED", "fresh"), (b"", "fresh|invalid"),
    ):
        case(f"Transfer-Encoding: {value!r}", plain(b"Transfer-Encoding: " + value + b"\r\n", CHUNKS), want, "close")
    for name, body in (
        ("an extension", b'7;a=b;c="d"\r\n' + JSON + b"\r\n0\r\n\r\n"), ("a leading zero", b"0" + CHUNKS),
        ("a trailer", CHUNKS[:-2] + b"X: y\r\n\r\n"), ("two chunks", b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'),
    ):
        case(f"chunks with {name}", chunked(body), "fresh")
    for body in (
        b"g\r\n", b"-1\r\n", b"0x7\r\n" + JSON, b"7\n" + JSON + b"\n0\n\n", b"7\r\n" + JSON + b"X\r\n0\r\n\r\n",
        b"F" * 18, b" 7\r\n" + JSON, b"\r\n", b"7\r\n" + JSON + b"\r\n0\r\nbad\r\n\r\n", b"7;\0\r\n" + JSON,
        b"7\r\n" + JSON + b"\r\n\r\n", b"8\r\n" + JSON + b"\r\n0\r\n\r\n", b"6\r\n" + JSON + b"\r\n0\r\n\r\n",
        CHUNKS[:-2] + b" folded\r\n\r\n", b"7;" + b"x" * 5000, CHUNKS[:-2] + b"X: " + b"y" * 5000,
    ):
        case(f"bad chunks {body[:24]!r}", chunked(body), "invalid", "stall")
    case("a chunk of 1 GiB", chunked(b'40000000\r\n{"a":1'), "too_large", "stall")
    case("closes afterwards", reply(fields=b"Connection: close\r\n"), "fresh", "close")
    case("says close and does not", reply(fields=b"Connection: close\r\n"), "fresh")
    case("reset afterwards", reply(), "fresh|reset", "reset")
    case("byte by byte", [bytes([byte]) for byte in reply()], "fresh")


def heads() -> None:
    for line, want in (
        (b"HTTP/1.1 200", "fresh"), (b"HTTP/1.1 200 ", "fresh"), (b"HTTP/1.1 200 \xff\xfe", "fresh"),
        (b"HTTP/1.1 200 O\tK", "fresh"), (b"HTTP/1.1  200 OK", "invalid"), (b"HTTP/1.1 20 OK", "invalid"),
        (b"HTTP/1.1 2000 OK", "invalid"), (b"HTTP/1.1 abc OK", "invalid"), (b"HTTP/1.1 000 OK", "invalid"),
        (b"HTTP/1.1 099 OK", "invalid"), (b"HTTP/1.1 600 OK", "invalid|status"), (b"HTTP/1.1 -20 OK", "invalid"),
        (b"HTTP/1.1 999 OK", "invalid|status"), (b"http/1.1 200 OK", "invalid"), (b"HTTP/1.1 200OK", "invalid"),
        (b"HTTP 1.1 200 OK", "invalid"), (b"ICY 200 OK", "invalid"), (b"HTTP/1.1\t200\tOK", "invalid"),
        (b"HTTP/2.0 200 OK", "invalid"), (b"HTTP/1.2 200 OK", "fresh|invalid"), (b"HTTP/1.1 200 O\0K", "invalid"),
        (b" HTTP/1.1 200 OK", "invalid"), (b"HTTP/1.1 2 0 0", "invalid"), (b"HTTP/1.1 +200 OK", "invalid"),
        (b"HTTP/1.1 0x200 OK", "invalid"), (b"HTTP/1.10 200 OK", "invalid"), (b"GET / HTTP/1.1", "invalid"),
    ):
        case(f"line {line!r}", reply(line=line), want)
    for field, want in (
        (b"X: a\r\n b", "fresh|invalid"), (b"X : a", "fresh|invalid"), (b"X: a\0b", "invalid"), (b"Xabc", "invalid"),
        (b"X: a\rb", "invalid"), (b"X: a\x01b", "invalid"), (b": a", "invalid"), (b"X: a\nY: b", "fresh|invalid"),
        (b"X Y: a", "invalid"), (b"X: \xff", "fresh"), (b"X:", "fresh"), (b"Content-Type: text/html", "fresh"),
        (b"Connection: Content-Type, keep-alive", "fresh"), (b"X: " + b"a" * 15000, "fresh"),
        (b"X: " + b"a" * 20000, "too_large"), (b"A: b\r\n" * 9999 + b"A: b", "too_large"),
        (b"\r\n".join(b"X%d: a" % i for i in range(1000)), "too_large"),
    ):
        case(f"field {field[:30]!r}", reply(fields=field + b"\r\n"), want)
    case("LF for CRLF", reply().replace(b"\r\n", b"\n"), "fresh|invalid")
    case("an empty line before", b"\r\n" + reply(), "fresh|invalid")
    case("a field without end", [b"HTTP/1.1 200 OK\r\nX: ", *[b"a" * 10000] * 20], "too_large", "stall")
    case("fields without end", [b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n" * 1000] * 20], "too_large", "stall")
    for garbage in (
        b"hello", b"SSH-2.0-x\r\n", bytes(range(256)), b"\x15\x03\x01\x00\x02\x02\x46", b"{}", b"<html>", b"\0",
    ):
        case(f"garbage {garbage[:12]!r}", garbage, "invalid", "stall")


def statuses() -> None:
    case("204", plain(b"", line=b"HTTP/1.1 204 No Content"), "fresh")
    case("204 with a body", plain(b"Content-Length: 4\r\n", b"evil", b"HTTP/1.1 204 No Content"), "fresh")
    case(
        "204 in chunks",
        plain(b"Transfer-Encoding: chunked\r\n", b"4\r\nevil\r\n0\r\n\r\n", b"HTTP/1.1 204 No Content"),
        "fresh|invalid",
    )
    case("205", plain(b"Content-Length: 0\r\n", line=b"HTTP/1.1 205 Reset"), "fresh")
    case("206", reply(line=b"HTTP/1.1 206 Partial"), "status")
    case("301", plain(b"Location: /\r\nContent-Length: 0\r\n", line=b"HTTP/1.1 301 Moved"), "status")
    case("304", plain(b'ETag: "a"\r\n', line=b"HTTP/1.1 304 Not Modified"), "status")
    case("304 with a body", plain(b"Content-Length: 4\r\n", b"evil", b"HTTP/1.1 304 Not Modified"), "status")
    case("500", reply(line=b"HTTP/1.1 500 X"), "status")
    case("500 whose body does not end", plain(b"Content-Length: 100\r\n", b"abc", b"HTTP/1.1 500 X"), "status", "stall")
    case("400 without end", [plain(b"", line=b"HTTP/1.1 400 X"), *[b"a" * 10000] * 5], "status", "stall")
    case("408 on its own", plain(b"Connection: close\r\n", line=b"HTTP/1.1 408 Late"), "status", "close")
    case("an empty body", plain(b"Content-Length: 0\r\n"), "fresh")
    case("an empty body to the end", plain(b"Connection: close\r\n"), "fresh", "close")
    case("no chunk but the last", chunked(b"0\r\n\r\n"), "fresh")


def bodies() -> None:
    good = (
        b"null", b"true", b"0", b"-0", b"1e400", b"1.10", b"123456789012345678901234567890", b'""',
        b'"\\u00e9\\ud83d\\ude00"', b"[]", b" [1 , 2]\n", b'{"a":1,"a":2}', b'"\xf0\x9f\x98\x80"',
        b"[" * 512 + b"]" * 512, b'"\\ud800"', b'{"":0}', b"-1E-2",
    )
    bad = (
        b"  \r\n ", b'{"a":1,}', b"{}{}", b"\xef\xbb\xbf{}", b'"\xff"', b"[" * 513 + b"]" * 513, b"[" * 100000,
        b"<html>", b"[1,]", b"[1 2]", b"01", b"1.", b".5", b"+1", b"1e", b"NaN", b"Infinity", b"nul", b"True", b"'a'",
        b'"a', b'"\n"', b'"\\x"', b'"\\u12"', b"{1:2}", b'{"a"}', b'{"a":}', b"{,}", b"[}", b"]", b"1 2", b"/**/1",
        b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\x00"', b"\x00", b"1\x00", b'{"a":1}x', b"-",
        b"--1", b"0x1", b"1_000", b"undefined", b"[1,,2]", b'"\t"', b"\x0c1", b"\xa01",
    )
    for body in good:
        case(f"JSON {body[:20]!r}", reply(body), "fresh", passed=body.strip())
        bytewise = [reply(body)[: -len(body)], *[bytes([byte]) for byte in body[:40]], body[40:]]
        case(f"JSON {body[:20]!r} byte by byte", bytewise, "fresh", passed=body.strip())
    for body in bad:
        case(f"no JSON {body[:20]!r}", reply(body), "invalid")
    case("JSON as text", plain(b"Content-Type: text/plain\r\nContent-Length: 7\r\n", JSON), "fresh")
    packed = gzip.compress(JSON)
    coded = b"Content-Encoding: %b\r\n"
    for name, body, coding, want in (
        ("gzip", packed, b"gzip", "fresh"), ("x-gzip", packed, b"x-gzip", "fresh"), ("GZIP", packed, b"GZIP", "fresh"),
        ("two gzips", gzip.compress(JSON[:3]) + gzip.compress(JSON[3:]), b"gzip", "fresh|invalid"), ("identity", JSON, b"identity", "fresh"),
        ("gzip cut", packed[:-3], b"gzip", "invalid"), ("gzip and more", packed + b"xx", b"gzip", "invalid"),
        ("gzip with a wrong sum", packed[:-8] + b"\0" * 8, b"gzip", "invalid"), ("no gzip", JSON, b"gzip", "invalid"),
        ("gzip of no JSON", gzip.compress(b"{"), b"gzip", "invalid"), ("br", JSON, b"br", "invalid"), ("deflate", JSON, b"deflate", "invalid"),
        ("gzip twice", gzip.compress(packed), b"gzip, gzip", "invalid"), ("an empty gzip", b"", b"gzip", "fresh|invalid"),
        ("a gzip of 100 MiB", gzip.compress(b"[" + b" " * (100 << 20) + b"1]"), b"gzip", "too_large"),
    ):  # fmt: skip
        case(name, reply(body, coded % coding), want)
    case("9 MiB", reply(b'"' + b"a" * (9 << 20) + b'"'), "too_large")
    case("chunks of 12 MiB", [chunked(b""), *[b"100000\r\n" + b" " * (1 << 20) + b"\r\n"] * 12], "too_large", "stall")
    case("without end", [reply(b"[", length=False), *[b"1," * 50000] * 100], "too_large", "stall")


STRATEGIES = ("merge", "with", "first", "proxy")


def settings(backend: str) -> dict[str, Any]:
    misbehaving = {"name": "x", "backend": "b", "path": "/case/{n}"}
    good = {"name": "good", "backend": "g", "path": "/good/{id}"}
    # Time enough for what comes, little for what does not.
    ways = {"slow": "400ms", "now": "20s"}
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("merge", {"calls": [misbehaving]}), ("with", {"calls": [good, misbehaving]}),
        ("first", {"strategy": "first", "calls": [misbehaving]}),
        ("proxy", {"strategy": "proxy", "stream_idle_timeout": "1s", "calls": [misbehaving]}),
    ]
    return {
        "threads": 2,
        "backends": {name: {"servers": [backend]} for name in ("b", "g")},
        "endpoints": [{"path": f"/{way}/{name}/{{n}}/{{id}}", "deadline": deadline, **shape}
                      for way, deadline in ways.items() for name, shape in shapes],
    }  # fmt: skip


def serve(wire: Wire) -> None:
    while True:
        target = wire.read(is_reply=False).first_line.split(" ")[1]
        if target.startswith("/good/"):
            wire.send(reply(json.dumps({"id": int(target[6:])}).encode()))
            continue
        one = cases[int(target[6:])]
        wire.drip(one.pieces)
        if one.then == "close":
            return
        if one.then == "reset":
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if one.then == "stall":
            while True:
                wire.more()


numbers = itertools.count()


def run(server: Gateway, strategy: str, index: int) -> str | None:
    one = cases[index]
    number = next(numbers)
    way = "slow" if one.want == "timeout" else "now"
    begun = time.monotonic()
    wire = server.connect()
    with wire.socket:
        wire.send(b"GET /%b/%b/%d/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                  % (way.encode(), strategy.encode(), index, number))  # fmt: skip
        while not wire.buffer:
            wire.more()
        if way == "slow" and time.monotonic() - begun > 0.4 + LATE:
            return f"{strategy}: late, {time.monotonic() - begun:.3f} s"
        try:
            answer = wire.read(is_reply=True)
        except Closed as closed:  # the middle of a stream
            return None if strategy == "proxy" else f"{strategy}: cut off, {closed.rest[:100]!r}"
    if b"evil" in answer.body and strategy != "proxy":
        return f"{strategy}: passed on what nobody asked for, {answer.body[:200]!r}"
    if strategy == "proxy":
        return None
    calls = answer.headers.get("sluice-calls", [""])[0]
    _, _, told = ("," + calls).replace(" ", "").partition(",x=")
    reason = re.search(r";reason=([a-z_]+)", told)
    outcome = reason.group(1) if reason else told.split(";")[0]
    if outcome not in one.want.split("|") and not (strategy == "first" and outcome == "fresh"):  # any body will do
        return f"{strategy}: want {one.want}, got {calls}"
    if strategy == "with" and b'"good":{"id": %d}' % number not in answer.body:
        return f"with: the other is not there, {answer.status} {answer.body[:200]!r}"
    if strategy == "merge" and one.passed is not None and answer.body != b'{"x":' + one.passed + b"}":
        return f"merge: not what was sent, {answer.body[:200]!r}"
    return None


def run_in_all(server: Gateway, one: Case) -> str | None:
    index = cases.index(one)
    return "; ".join(filter(None, (run(server, strategy, index) for strategy in STRATEGIES))) or None


def main() -> int:
    for table in (interim, framing, heads, statuses, bodies):
        table()
    chosen = [one for one in cases if len(sys.argv) < 3 or sys.argv[2] in one.name]
    with gateway(sys.argv[1], settings(Backend(serve).url)) as server:
        return 1 if run_all(chosen, lambda one: run_in_all(server, one)) else 0


if __name__ == "__main__":
    sys.exit(main())
