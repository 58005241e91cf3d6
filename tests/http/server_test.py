#!/usr/bin/env python3
"""What the gateway takes and refuses of clients, on raw sockets: `server_test.py DIRECTORY_OF_PROGRAMS [PART_OF_NAME]`.

Each case is what a client sends, and the statuses that it gets: `200 404`. `|` separates what will do, `?` is behind what
may be left out. Behind the last, `!` says that the connection closes, `~` that it may; else the next request on it is
answered.
"""

import json
import socket
import sys
from typing import Any

sys.dont_write_bytecode = True
import body_cases
import head_cases
from cases import Case, cases, request
from wire import Backend, Closed, Gateway, Message, Wire, gateway, run_all

TABLES = (
    *(head_cases.request_lines, head_cases.targets, head_cases.limits, head_cases.hosts, head_cases.fields),
    *(body_cases.lengths, body_cases.chunks, body_cases.expectations, body_cases.many_requests),
)


def settings(backend: str) -> dict[str, Any]:
    def endpoint(path: str, methods: str, to: str, **more: Any) -> dict[str, Any]:
        call = {"name": "a", "backend": "b", "path": to, **more.pop("call", {})}
        return {
            "path": path, "methods": methods.split(), "deadline": "20s", "max_body": "64KiB", "calls": [call], **more,
        }

    everything = {"forward": {"headers": ["*"], "query": ["*"]}}
    most = "GET POST PUT DELETE"
    return {
        "threads": 2,
        "backends": {"b": {"servers": [backend]}},
        "limits": {"header_timeout": "3s"},
        "endpoints": [
            endpoint("/m", most, "/a", call=everything), endpoint("/one", "GET", "/a"), endpoint("/post", "POST", "/a"),
            endpoint("/seg/{id}", "GET", "/s/{id}?q={query.q}"), endpoint("/rest/{x...}", "GET", "/r/{x}"),
            endpoint("/p/{x...}", most + " PATCH", "/p/{x}", strategy="proxy", call=everything),
            endpoint("/chunked", "GET", "/chunked", strategy="proxy"), endpoint("/f", "GET", "/a", strategy="first"),
            endpoint("/soon", "POST", "/a", deadline="500ms"),
            endpoint("/soon/p", "POST", "/a", strategy="proxy", deadline="500ms"),
        ],
    }


def serve(wire: Wire) -> None:
    """Tells as JSON what it was sent."""
    while True:
        message = wire.read(is_reply=False)
        method, target, _ = message.first_line.split(" ")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Line: {message.first_line}\r\n"
        body = json.dumps(
            {"target": target, "headers": message.headers, "body": message.body.decode("latin1")}
        ).encode()
        if target == "/chunked":
            head += "Transfer-Encoding: chunked\r\n\r\n"
            body = b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        else:
            head += f"Content-Length: {len(body)}\r\n\r\n"
        wire.send(head.encode() + (b"" if method == "HEAD" else body))


def fault_of(reply: Message) -> str | None:
    """What is wrong with any reply of that kind."""
    if reply.status < 200:
        return None
    if "date" not in reply.headers:
        return "no Date"
    if reply.status == 204 and "content-length" in reply.headers:
        return "a Content-Length in a 204"
    if reply.status >= 400 and reply.headers.get("content-type") != ["application/problem+json"]:
        return f"a {reply.status} that is no problem+json"
    if reply.status >= 400 and reply.body and json.loads(reply.body)["status"] != reply.status:
        return "a problem that tells another status"
    if reply.status == 405 and "allow" not in reply.headers:
        return "a 405 without Allow"
    return None


def seen_in(reply: Message) -> list[dict[str, Any]]:
    if reply.status != 200 or not reply.body.startswith(b"{"):
        return []
    told = json.loads(reply.body)
    return [told.get("a", told)]


def converse(wire: Wire, one: Case, want: str) -> tuple[list[Message], str | None]:
    """The replies that are wanted, or what came instead."""
    replies: list[Message] = []
    words = want.split()
    while words:
        method = one.methods[min(sum(reply.status >= 200 for reply in replies), len(one.methods) - 1)]
        try:
            reply = wire.read(is_reply=True, method=method)
        except Closed as closed:
            return replies, f"want {want}, got {[r.status for r in replies]}, then the end, {closed.rest[:80]!r}"
        replies.append(reply)
        if words[0].endswith("?") and str(reply.status) != words[0][:-1]:
            words.pop(0)
        if str(reply.status) not in words.pop(0).rstrip("?").split("|"):
            return replies, f"want {want}, got {[r.status for r in replies]} {reply.body[:200]!r}"
        if why := fault_of(reply):
            return replies, why
        if reply.status < 200:
            wire.send(one.then)
    return replies, None


def end(wire: Wire, one: Case, last: Message | None) -> str | None:
    """What is wrong with how the connection goes on."""
    says_so = last is not None and last.headers.get("connection") == ["close"]
    if one.want.endswith("!"):
        if last and not says_so and not one.half:
            return "closes without saying so"
        try:
            wire.more()
        except Closed as closed:
            return f"more behind the last reply: {closed.rest[:200]!r}" if closed.rest else None
        return f"more behind the last reply: {wire.buffer[:200]!r}"
    if one.want.endswith("~") and says_so:
        return None
    wire.send(request(b"/nowhere"))
    try:
        status = wire.read(is_reply=True).status
    except Closed:
        return "closes"
    return None if status == 404 else f"the next request got {status}"


def run(server: Gateway, one: Case) -> str | None:
    wire = server.connect()
    with wire.socket:
        wire.drip(one.pieces)
        if one.half:
            wire.socket.shutdown(socket.SHUT_WR)
        replies, why = converse(wire, one, one.want.rstrip("!~"))
        why = why or end(wire, one, replies[-1] if replies else None)
    if why:
        return why
    seen = [told for reply in replies for told in seen_in(reply)]
    if one.check and not one.check(replies, seen):
        return f"wrong: {[(r.status, r.headers) for r in replies]} {seen}"
    return None


def main() -> int:
    for table in TABLES:
        table()
    if len(sys.argv) > 2:
        cases[:] = [one for one in cases if sys.argv[2] in one.name]
    with gateway(sys.argv[1], settings(Backend(serve).url)) as server:
        return 1 if run_all(cases, lambda one: run(server, one)) else 0


if __name__ == "__main__":
    sys.exit(main())
