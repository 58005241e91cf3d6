"""Bodies of requests, and several requests on one connection."""

from cases import CHUNKED, CONTINUE, LENGTH3, Check, case, drip, got, got_body, post, request


def lengths() -> None:
    case("a body", post(LENGTH3, b"abc"), "200", check=got_body("abc"))
    case("an empty body", post(b"Content-Length: 0\r\n", b""), "200")
    case("no body", post(b"", b""), "200|411")
    case("a length in tabs", post(b"Content-Length:\t3\t\r\n", b"abc"), "200", check=got_body("abc"))
    case("leading zeros", post(b"Content-Length: 003\r\n", b"abc"), "200|400~")
    case("2^63", post(b"Content-Length: 9223372036854775808\r\n", b"abc"), "413!")
    for value in (
        b"+3", b"-3", b"0x3", b"3a", b"3 3", b"3,3", b"3, 3", b"", b" ", b"3;x", b"1e1", b"9" * 30, b'"3"', b"3.0",
        b"18446744073709551616", b"\xb2", b"3\x0b", b"\x0b3", b"3\0", b"\xef\xbc\x93", b"3_0", b"0b11", b"0o3",
    ):
        case(f"Content-Length: {value!r}", post(b"Content-Length: " + value + b"\r\n", b"abc"), "400!")
    for name, both in (
        ("the same twice", LENGTH3 * 2), ("two lengths", LENGTH3 + b"Content-Length: 4\r\n"),
        ("a length and chunks", LENGTH3 + CHUNKED), ("chunks and a length", CHUNKED + LENGTH3),
        ("a length and gzip", LENGTH3 + b"Transfer-Encoding: gzip\r\n"),
        ("a length before a space", b"Content-Length : 3\r\n"),
        ("a length in small letters beside", b"content-length: 4\r\n" + LENGTH3),
        ("a folded length", b"Content-Length:\r\n 3\r\n"), ("a bare LF", b"A: b\n" + LENGTH3),
        ("HTTP/1.1 in a value of CR", b"A: b\r" + LENGTH3),
    ):
        case(name, post(both, b"abc"), "400!")
        case(f"{name}, GET", request(fields=both, body=b"abc"), "400!")
        case(f"{name}, stream", post(both, b"abc", b"/p/x"), "400!")
    for value in (
        b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"chunked, chunked", b"chunked;x", b"xchunked",
        b'"chunked"', b"chunked,", b",chunked", b"", b"chunked\x0b", b"\x0bchunked", b"chunked, identity",
        b"identity, chunked", b"chunked\0", b"cow", b"chun ked", b"chunked x", b"\xffchunked", b"chunke", b"'chunked'",
    ):
        case(f"Transfer-Encoding: {value!r}", post(b"Transfer-Encoding: " + value + b"\r\n", b"0\r\n\r\n"), "400|501!")
    case("chunked twice", post(CHUNKED * 2, b"0\r\n\r\n"), "400|501!")
    case("chunked and identity", post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"), "400|501!")
    for field in (
        b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
        b"A: b\r\n Transfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding\0: chunked",
        b"A: b\nTransfer-Encoding: chunked", b"A: b\rTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\n",
        b"\x0bTransfer-Encoding: chunked",
    ):
        case(f"{field!r}", post(field + b"\r\n" + LENGTH3, b"0\r\n\r\n"), "400!")
    case(
        "an underscore is no hyphen", post(b"Transfer_Encoding: chunked\r\n" + LENGTH3, b"abc"), "200",
        check=got_body("abc"),
    )
    case("chunked in HTTP/1.0", request(fields=CHUNKED, body=b"0\r\n\r\n", method=b"POST", version=b"HTTP/1.0"), "400!")
    case(
        "chunked, HTTP/1.0 kept alive",
        request(fields=CHUNKED + b"Connection: keep-alive\r\n", body=b"0\r\n\r\n", method=b"POST", version=b"HTTP/1.0"),
        "400!",
    )
    for method in ("GET", "HEAD", "DELETE", "PUT"):
        first = request(fields=LENGTH3, body=b"abc", method=method.encode())
        case(f"a body of {method}", first + request(), "200 200", methods=(method, "GET"))
        chunks = request(fields=CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n", method=method.encode())
        case(f"chunks of {method}", chunks + request(), "200 200", methods=(method, "GET"))
        case(f"a stream of {method}", chunks.replace(b"/m", b"/p/x") + request(), "200 200", methods=(method, "GET"))
    case("a body for nobody", post(LENGTH3, b"abc", b"/nowhere"), "404!")
    case("a body in the wrong way", post(LENGTH3, b"abc", b"/one"), "405!")
    case("chunks in the wrong way", post(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", b"/one"), "405!")


# The body of a request in chunks, and whether it is good: 1 yes, 0 no, None either.
CHUNKS: list[tuple[bytes, int | None]] = [
    (b"3\r\nabc\r\n0\r\n\r\n", 1), (b"3;a=b\r\nabc\r\n0\r\n\r\n", 1), (b'3;a="b;\\"c"\r\nabc\r\n0\r\n\r\n', 1),
    (b"3;a;b=c\r\nabc\r\n0;x\r\n\r\n", 1), (b"3;\r\nabc\r\n0\r\n\r\n", None), (b"3 ;a\r\nabc\r\n0\r\n\r\n", None),
    (b"3 \r\nabc\r\n0\r\n\r\n", None), (b"3\t\r\nabc\r\n0\r\n\r\n", None), (b"03\r\nabc\r\n0\r\n\r\n", None),
    (b"3\r\nabc\r\n00\r\n\r\n", None), (b"0" * 21 + b"3\r\nabc\r\n0\r\n\r\n", None),
    (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 1), (b"3\r\nabc\r\n0\r\nA: b\r\n\r\n", 1), (b"3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n", 1),
    (b"3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n", None), (b"3\r\nabc\r\n0\r\nHost: y\r\n\r\n", None),
    (b"3\r\nabc\r\n0\r\nTransfer-Encoding: x\r\n\r\n", None), (b'3;a="b\tc"\r\nabc\r\n0\r\n\r\n', None),
    (b"0x3\r\nabc\r\n0\r\n\r\n", 0), (b"+3\r\nabc\r\n0\r\n\r\n", 0), (b"-3\r\nabc\r\n0\r\n\r\n", 0),
    (b" 3\r\nabc\r\n0\r\n\r\n", 0), (b"g\r\nabc\r\n0\r\n\r\n", 0), (b"\r\nabc\r\n0\r\n\r\n", 0), (b";a\r\nabc\r\n0\r\n\r\n", 0),
    (b"3\nabc\n0\n\n", 0), (b"3\r\nabc\n0\r\n\r\n", 0), (b"3\nabc\r\n0\r\n\r\n", 0), (b"3\r\nabcd\r\n0\r\n\r\n", 0),
    (b"3\r\nabc0\r\n\r\n", 0), (b"4\r\nabc\r\n0\r\n\r\n", 0), (b"2\r\nabc\r\n0\r\n\r\n", 0), (b"3;a\nb\r\nabc\r\n0\r\n\r\n", 0),
    (b"3;\0\r\nabc\r\n0\r\n\r\n", 0), (b"3;a\rb\r\nabc\r\n0\r\n\r\n", 0), (b"3\r\r\nabc\r\n0\r\n\r\n", 0),
    (b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n', 0), (b"3\x0b\r\nabc\r\n0\r\n\r\n", 0), (b"3\0\r\nabc\r\n0\r\n\r\n", 0),
    (b"F" * 17 + b"\r\nabc", 0), (b"10000000000000003\r\nabc\r\n0\r\n\r\n", 0), (b"3_0\r\nabc\r\n0\r\n\r\n", 0),
    (b"3,\r\nabc\r\n0\r\n\r\n", 0), (b"3.0\r\nabc\r\n0\r\n\r\n", 0), (b"3h\r\nabc\r\n0\r\n\r\n", 0), (b"\xb3\r\nabc\r\n0\r\n\r\n", 0),
    (b"3\r\nabc\r\n0\r\nA\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\nA: b\n\r\n", 0), (b"3\r\nabc\r\n0\r\nA : b\r\n\r\n", 0),
    (b"3\r\nabc\r\n0\r\n B: c\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n", 0), (b"3\r\nabc\r\n0\n\r\n", 0),
    (b"3\r\nabc\r\n0\r\n\n", 0), (b"3\r\nabc\r\n0\r\nA: b\0\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\n: b\r\n\r\n", 0),
    (b"3\r\nabc\r\n0\r\nGET / HTTP/1.1\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\r\n\r\n", 0),
    (b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\nA: " + b"x" * 5000 + b"\r\n\r\n", 0),
]  # fmt: skip


def chunks() -> None:
    case("CHUNKED", post(b"Transfer-Encoding: CHUNKED\r\n", b"3\r\nabc\r\n0\r\n\r\n"), "200", check=got_body("abc"))
    for digits in (b"A", b"a", b"0a"):
        case(
            f"{digits!r} digits", post(CHUNKED, digits + b"\r\n0123456789\r\n0\r\n\r\n"), "200",
            check=got_body("0123456789"),
        )
    for body, good in CHUNKS:
        want = {1: "200", 0: "400!", None: "200|400~"}[good]
        check: Check = lambda _, seen: not seen or seen[0]["body"] == "abc"
        for target in (b"/m", b"/p/x"):
            case(f"{body[:40]!r} {target!r}", post(CHUNKED, body, target), want, check=check)
        if len(body) < 100:
            case(f"{body!r} byte by byte", [post(CHUNKED, b""), *drip(body)], want, check=check)
        if good:
            case(
                f"{body!r} before another", post(CHUNKED, body) + request(b"/m?a=b"), "200 200",
                methods=("POST", "GET"), check=lambda _, seen: seen[1]["target"] == "/a?a=b",
            )
    # Refused at once, although more may come.
    for body in (
        b"g", b"3x", b"3\n", b"3\rx", b"3\r\nabcd", b"3\r\nabc\rx", b"3\r\nabc\n", b"-", b"\r", b" ", b"3\r\nabc\r\ng",
        b"3\r\nabc\r\n0x", b"0\n", b"0\rx", b"0\r\n\n", b"0\r\n\rx", b"x" * 5000,
    ):
        for target in (b"/m", b"/p/x"):
            case(f"{body[:20]!r} at once {target!r}", post(CHUNKED, body, target), "400!")
        if len(body) < 100:
            case(f"{body!r} at once, byte by byte", [post(CHUNKED, b""), *drip(body)], "400!")


def expectations() -> None:
    for target in (b"/m", b"/p/x"):
        first = post(CONTINUE + LENGTH3, b"", target)
        case(f"100-continue {target!r}", first, "100 200", then=b"abc", methods=("POST",), check=got_body("abc"))
        case(
            f"100-continue with the body {target!r}", first + b"abc", "100? 200", methods=("POST",),
            check=got_body("abc"),
        )
        case(
            f"100-continue of chunks {target!r}",
            post(CONTINUE + CHUNKED, b"", target), "100 200", then=b"3\r\nabc\r\n0\r\n\r\n", methods=("POST",),
            check=got_body("abc"),
        )
        case(f"100-continue too large {target!r}", post(CONTINUE + b"Content-Length: 99999\r\n", b"", target), "413!")
        case(
            f"100-continue is not forwarded {target!r}", first, "100 200", then=b"abc", methods=("POST",),
            check=got("expect"),
        )
    case("100-Continue", post(b"Expect: 100-Continue\r\n" + LENGTH3, b""), "100 200", then=b"abc", methods=("POST",))
    case(
        "HTTP/1.0 gets no 100",
        [request(fields=CONTINUE + LENGTH3, method=b"POST", version=b"HTTP/1.0"), b"abc"],
        "200!",
    )
    case("100-continue without a body", post(CONTINUE, b""), "200", methods=("POST",))
    case("100-continue of an empty body", post(CONTINUE + b"Content-Length: 0\r\n", b""), "200", methods=("POST",))
    case("100-continue of GET", request(fields=CONTINUE), "200")
    for value in (b"x", b"100-continue, x", b"200-ok", b"100-continue;q=1", b"100"):
        case(f"Expect: {value!r}", post(b"Expect: " + value + b"\r\n" + LENGTH3, b"abc"), "417!")
    case("100-continue for nobody", post(CONTINUE + LENGTH3, b"", b"/nowhere"), "404!")
    case("100-continue in the wrong way", post(CONTINUE + LENGTH3, b"", b"/one"), "405!")


def many_requests() -> None:
    case(
        "HEAD", request(method=b"HEAD"), "200", methods=("HEAD",),
        check=lambda r, _: int(r[0].headers["content-length"][0]) > 0,
    )
    case("HEAD of first", request(b"/f", method=b"HEAD"), "200", methods=("HEAD",))
    case(
        "HEAD of a stream", request(b"/p/x", method=b"HEAD"), "200", methods=("HEAD",),
        check=lambda r, _: r[0].headers["x-line"] == ["HEAD /p/x HTTP/1.1"],
    )
    case("HEAD of chunks", request(b"/chunked", method=b"HEAD") + request(), "200 200", methods=("HEAD", "GET"))
    case("HEAD of nothing", request(b"/nowhere", method=b"HEAD"), "404", methods=("HEAD",))
    case("HEAD and GET", request(method=b"HEAD") + request(), "200 200", methods=("HEAD", "GET"))
    case("three", request() * 3, "200 200 200")
    case("fifty", request() * 50, " ".join(["200"] * 50))
    case(
        "in order", b"".join(request(b"/m?n=%d" % i) for i in range(9)), " ".join(["200"] * 9),
        check=lambda _, seen: [one["target"] for one in seen] == [f"/a?n={i}" for i in range(9)],
    )
    case(
        "a stream between", request() + request(b"/chunked") + request(b"/p/x") + request(), "200 200 200 200",
        check=lambda r, _: r[1].body == b"abcdef",
    )
    case("404 between", request() + request(b"/nowhere") + request(), "200 404 200")
    case("a bad one ends it", request() + b"BAD\r\n\r\n" + request(), "200 400!")
    case("close ends it", request(fields=b"Connection: close\r\n") + request(), "200!")
    case("HTTP/1.0 ends it", request(version=b"HTTP/1.0") + request(), "200!")
    case("GET behind a body", post(LENGTH3, b"abc") + request(), "200 200", methods=("POST", "GET"))
    case("an empty line behind a body", post(LENGTH3, b"abc\r\n") + request(), "200 200", methods=("POST", "GET"))
    case("an empty line between", request() + b"\r\n" + request(), "200 200")
    case("garbage behind a body", post(LENGTH3, b"abc") + b"GARBAGE\r\n\r\n", "200 400!", methods=("POST", "GET"))
    case(
        "a longer body than said", post(LENGTH3, b"abcGET /m HTTP/1.1\r\nHost: x\r\n\r\n"), "200 200",
        methods=("POST", "GET"),
    )
    case(
        "a request in a body", post(b"Content-Length: 30\r\n", request(b"/one").ljust(30)[:30]), "200",
        methods=("POST",), check=lambda _, seen: len(seen) == 1 and seen[0]["body"].startswith("GET /one"),
    )
    case("404 with the client's end", request(b"/nowhere"), "404!", half=True)
    case("half a head and the end", b"GET /m HT", "!", half=True)
    case("half a body and the end", post(b"Content-Length: 5\r\n", b"abc"), "!", half=True)
    case("nothing and the end", b"", "!", half=True)
    case("a slow head", b"GET /m HTTP/1.1\r\nHo", "408!")
    case("a slow body", post(b"Content-Length: 5\r\n", b"abc", b"/soon"), "408!")
    case("a body that never comes", post(CONTINUE + LENGTH3, b"", b"/soon"), "100 408!", methods=("POST",))
    case("a slow chunk", post(CHUNKED, b"5\r\nabc", b"/soon"), "408!")
    case("a slow body of a stream", post(b"Content-Length: 5\r\n", b"abc", b"/soon/p"), "408!")
