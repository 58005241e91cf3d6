"""Heads of requests: lines, targets, limits, fields."""

from cases import CHUNKED, LENGTH3, case, drip, got, got_body, got_target, post, request, said


def request_lines() -> None:
    case("plain", request(), "200")
    case("unlike HTTP/1.0, without Connection", request(), "200", check=said("connection"))
    case("HTTP/1.0", b"GET /m HTTP/1.0\r\n\r\n", "200!")
    case("HTTP/1.0 with Host", request(version=b"HTTP/1.0"), "200!")
    case(
        "HTTP/1.0 kept alive", b"GET /m HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200",
        check=said("connection", "keep-alive"),
    )
    case("HTTP/1.0 kept alive, twice", b"GET /m HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" * 2, "200 200")
    case("HTTP/1.0 with a body", b"POST /m HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "200!", check=got_body("abc"))
    case(
        "HTTP/1.0 stream", request(b"/chunked", version=b"HTTP/1.0"), "200!",
        check=lambda replies, _: replies[0].body == b"abcdef" and "transfer-encoding" not in replies[0].headers,
    )
    case("HTTP/1.0 stream kept alive", request(b"/chunked", b"Connection: keep-alive\r\n", version=b"HTTP/1.0"), "200!")
    case("HTTP/1.1 stream", request(b"/chunked"), "200", check=said("transfer-encoding", "chunked"))
    case("HTTP/0.9", b"GET /m\r\n", "400!")
    case("HTTP/0.9 with an empty line", b"GET /m\r\n\r\n", "400!")
    case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400|505!")
    for version, want in (
        (b"HTTP/2.0", "505!"), (b"HTTP/3.0", "505!"), (b"HTTP/1.2", "200|505~"), (b"HTTP/0.9", "400|505!"),
        (b"HTTP/1.10", "400!"), (b"HTTP/01.1", "400!"), (b"HTTP/1.", "400!"), (b"HTTP/.1", "400!"), (b"HTTP/1", "400!"),
        (b"HTTP/11", "400!"), (b"HTTP/1,1", "400!"), (b"http/1.1", "400!"), (b"Http/1.1", "400!"),
        (b"HTTP /1.1", "400!"), (b"HTTP/ 1.1", "400!"), (b"HTTP/1.1 ", "400!"), (b"HTTP/1.1\t", "400!"),
        (b"HTTP/1.1x", "400!"), (b"HTTP/1.1\x0b", "400!"), (b"HTTPS/1.1", "400!"), (b"FTP/1.1", "400!"),
        (b"HTTP/A.B", "400!"), (b"HTTP/-1.1", "400!"), (b"SIP/2.0", "400!"),
    ):
        case(f"version {version!r}", request(version=version), want)
    for line in (
        b"GET  /m HTTP/1.1", b"GET /m  HTTP/1.1", b"GET\t/m\tHTTP/1.1", b"GET\x0b/m HTTP/1.1", b"GET /m\x0cHTTP/1.1",
        b" GET /m HTTP/1.1", b"\tGET /m HTTP/1.1", b"GET /m x HTTP/1.1", b"GET HTTP/1.1", b"GET", b"/m HTTP/1.1",
        b"HTTP/1.1", b"GET/m HTTP/1.1", b"G@T /m HTTP/1.1", b"GE(T /m HTTP/1.1", b"GET: /m HTTP/1.1",
        b'"GET" /m HTTP/1.1', b"GET\0 /m HTTP/1.1", b"G\xc3\x89T /m HTTP/1.1", b"GET\xa0/m HTTP/1.1",
        b"GET /m\xa0HTTP/1.1",
    ):
        case(f"line {line!r}", line + b"\r\nHost: x\r\n\r\n", "400!")
    case("empty lines before", b"\r\n\r\n" + request(), "200")
    case("many empty lines before", b"\r\n" * 20 + request(), "200|400~")
    case("only empty lines", b"\r\n" * 20, "400!")
    for lead in (b"\n", b"\r", b"\r\r\n", b" \r\n"):
        case(f"{lead!r} before", lead + request(), "400!")
    case("LF", b"GET /m HTTP/1.1\nHost: x\n\n", "400!")
    case("LF in the head", b"GET /m HTTP/1.1\r\nHost: x\n\r\n", "400!")
    case("LF at the end of the head", b"GET /m HTTP/1.1\r\nHost: x\r\n\n", "400!")
    case("CR", b"GET /m HTTP/1.1\rHost: x\r\r", "400|408!")
    case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400!")
    case("NULs", b"\0\0\0\0", "400!")
    case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "400!")
    case("byte by byte", drip(request(fields=b"A: b\r\n")), "200", check=got("a", "b"))
    case("a small method", request(method=b"get"), "405|501")
    case("an unknown method", request(method=b"FOO"), "405|501")
    case("an unknown method at no endpoint", request(b"/nowhere", method=b"FOO"), "404|501")
    case("a long method", request(method=b"A" * 300), "400|405|414|501~")
    case("a huge method", request(method=b"A" * 20000), "400|414|431|501!")
    case(
        "another method", request(method=b"PATCH", fields=b"Content-Length: 0\r\n"), "405",
        check=said("allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    )
    case(
        "HEAD where no GET is", request(b"/post", method=b"HEAD"), "405", methods=("HEAD",),
        check=said("allow", "POST, OPTIONS"),
    )
    for target in (b"/m", b"/p/x"):
        case(f"TRACE {target!r}", request(target, method=b"TRACE"), "405|501")
    for target in (b"x:80", b"/m", b"[::1]:443"):
        case(f"CONNECT {target!r}", request(target, method=b"CONNECT"), "400|405|501!")
    case("OPTIONS *", request(b"*", method=b"OPTIONS"), "200|204", check=lambda r, _: "allow" in r[0].headers)
    case(
        "OPTIONS of a server", request(b"http://x", method=b"OPTIONS"), "200|204",
        check=lambda r, _: "allow" in r[0].headers,
    )
    case(
        "OPTIONS of an endpoint", request(method=b"OPTIONS"), "200|204",
        check=said("allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    )
    case("OPTIONS of nothing", request(b"/nowhere", method=b"OPTIONS"), "404")
    case("OPTIONS with a body", request(fields=LENGTH3, body=b"abc", method=b"OPTIONS"), "200|204~")
    case("GET *", request(b"*"), "400!")


def targets() -> None:
    case("absolute", request(b"http://x/m?a=b"), "200", check=got_target("/a?a=b"))
    case(
        "absolute, its host counts", request(b"http://h/m", host=b"Host: other\r\n"), "200|400~",
        check=lambda _, seen: not seen or seen[0]["headers"]["x-forwarded-host"] == ["h"],
    )
    case("absolute without Host", request(b"http://h/m", host=b""), "400!")
    case("absolute, HTTPS", request(b"https://x/m"), "200|400|421~")
    case("absolute, upper case", request(b"HTTP://x/m"), "200")
    case("absolute without a path", request(b"http://x"), "404")
    case("absolute with a query only", request(b"http://x?a"), "404")
    case("absolute with a port", request(b"http://x:8080/m"), "200")
    for target in (
        b"ftp://x/m", b"http:///m", b"http://u@x/m", b"http://u:p@x/m", b"http:/m", b"http:m", b"://x/m", b"m", b"x:80",
        b"?a", b"http://x y/m", b"http://x#f", b"http://[::1/m", b"http://x:y/m", b"//x@/m#", b"",
    ):
        case(f"target {target!r}", request(target), "400!")
    case("an empty segment", request(b"//m"), "404")
    case("a slash at the end", request(b"/m/"), "404")
    case("an empty query", request(b"/m?"), "200", check=got_target("/a"))
    for target in (b"/m#x", b"/m?a#x", b"/#"):
        case(f"fragment {target!r}", request(target), "400!")
    for byte in b'"<>\\^`{|}':
        case(f"{byte:#x} in the query", request(b"/m?a=%c" % byte), "200|400~")
    for code in (0, 1, 7, 8, 9, 0x0B, 0x1F, 0x7F, 0x80, 0xA0, 0xFF):
        case(f"{code:#x} in the query", request(b"/m?a=" + bytes([code])), "400!")
        case(f"{code:#x} in the path", request(b"/seg/" + bytes([code])), "400!")
    for escape in (b"%", b"%2", b"%zz", b"%g0", b"%%32"):
        case(f"{escape!r} in the query", request(b"/m?a=" + escape), "200|400~")
        case(f"{escape!r} in the path", request(b"/seg/a" + escape), "200|400|404~")
    case("an encoded literal", request(b"/%6d"), "200")
    case("an encoded slash", request(b"/seg/a%2fb"), "200", check=got_target("/s/a%2Fb", "/s/a%2fb"))
    case("an encoded slash separates nothing", request(b"/seg%2fa"), "404")
    case("an encoded percent is decoded once", request(b"/seg/a%252fb"), "200", check=got_target("/s/a%252fb"))
    case(
        "an encoded line break", request(b"/seg/a%0d%0ab"), "200|400~",
        check=lambda _, seen: not seen or seen[0]["target"] == "/s/a%0D%0Ab",
    )
    case("an encoded NUL", request(b"/seg/a%00b"), "200|400~")
    for path in (b"/seg/..", b"/seg/.", b"/seg/%2e%2e", b"/seg/%2E", b"/seg/.%2e"):
        case(f"dots {path!r}", request(path), "400|404~")
    for path in (b"/rest/a/../b", b"/rest/..", b"/rest/a/%2e%2e/b", b"/p/a/../b", b"/p/%2e%2e", b"/p/a/%2e./b"):
        case(
            f"dots {path!r}", request(path), "200|400|404~",
            check=lambda _, seen: not seen or "/.." not in seen[0]["target"].lower().replace("%2e", "."),
        )
    case("dots into an endpoint", request(b"/x/../m"), "200|400|404~")
    for query, sent in (
        (b"q=1&q=2", "q=1"), (b"q=a%26b", "q=a%26b"), (b"q=a%3Db", "q=a%3Db"), (b"q=%23", "q=%23"),
        (b"q=a+b", "q=a%20b"), (b"q=a%2Bb", "q=a%2Bb"), (b"q=%C3%A9", "q=%C3%A9"), (b"%71=1", "q=1"), (b"q=", "q="),
        (b"q", "q="), (b"&&q=1", "q=1"),
    ):
        case(f"query {query!r}", request(b"/seg/a?" + query), "200", check=got_target("/s/a?" + sent))
    for query in (b"", b"Q=1", b"qq=1", b"=1", b"q%00=1"):
        case(f"query {query!r}", request(b"/seg/a?" + query), "200", check=got_target("/s/a"))
    case("a query goes on as it is", request(b"/m?b=2&a=1&a=%7e&c"), "200", check=got_target("/a?b=2&a=1&a=%7e&c"))


def limits() -> None:
    for size, want in ((8191, "200"), (8192, "200"), (8193, "414!"), (20000, "414!")):
        case(f"target of {size}", request(b"/m?" + b"a" * (size - 3)), want)
    case("a target without end", b"GET /" + b"a" * 40000, "414!")
    rest = len(request(fields=b"A: \r\n"))
    for size, want in ((16383, "200"), (16384, "200"), (16385, "431!")):
        case(f"head of {size}", request(fields=b"A: " + b"b" * (size - rest) + b"\r\n"), want)
    case("a field without end", b"GET /m HTTP/1.1\r\nA: " + b"a" * 40000, "431!")
    case("a name without end", b"GET /m HTTP/1.1\r\n" + b"a" * 40000, "431!")
    case("fields without end", b"GET /m HTTP/1.1\r\n" + b"A: b\r\n" * 8000, "431!")
    for count, want in ((127, "200"), (128, "431!")):
        case(f"{count} fields", request(fields=b"".join(b"A%d: b\r\n" % i for i in range(count))), want)
    case("a body of max_body", post(b"Content-Length: 65536\r\n", b"a" * 65536), "200")
    case("a body above max_body", post(b"Content-Length: 65537\r\n", b"a" * 65537), "413!")
    case("a body far above max_body", post(b"Content-Length: 1000000\r\n", b"a" * 1000000), "413!")
    case("chunks of max_body", post(CHUNKED, b"10000\r\n" + b"a" * 65536 + b"\r\n0\r\n\r\n"), "200")
    case("a chunk above max_body", post(CHUNKED, b"10001\r\n" + b"a" * 65537 + b"\r\n0\r\n\r\n"), "413!")
    case("chunks above max_body", post(CHUNKED, b"8000\r\n" + b"a" * 32768 + b"\r\n8001\r\n" + b"a" * 32769), "413!")
    case("a chunk of 1 GiB", post(CHUNKED, b"40000000\r\nabc"), "413!")
    case("a stream above max_body", post(b"Content-Length: 65537\r\n", b"", b"/p/x"), "413!")
    case("chunks of one byte", post(CHUNKED, b"1\r\na\r\n" * 2000 + b"0\r\n\r\n"), "200")


def hosts() -> None:
    case("no Host", request(host=b""), "400!")
    case("two Hosts", request(fields=b"Host: x\r\n"), "400!")
    case("two different Hosts", request(fields=b"host: y\r\n"), "400!")
    case("an empty Host", request(host=b"Host:\r\n"), "200|400~")
    for host in (
        b"a b", b"a,b", b"a/b", b"u@a", b"a?b", b"a#b", b"[::1", b"::1", b"a:b", b"a:1:2", b"a\\b", b'"a"', b"<a>",
        b"a:-1", b"a:+1", b"a:1a", b"[::1]x", b"[::1]]", b"[]", b"[x]", b"http://a", b"a\tb", b"a\xe9", b"a|b", b":80",
        b"a^b", b"{a}",
    ):
        case(f"Host {host!r}", request(host=b"Host: " + host + b"\r\n"), "400!")
    for host in (b"a", b"a:80", b"a:", b"[::1]", b"[::1]:80", b"127.0.0.1:1", b"A_b", b"xn--a.example.", b"\ta\t"):
        case(f"Host {host!r}", request(host=b"Host: " + host + b"\r\n"), "200")


def fields() -> None:
    for line in (
        b"A : b", b"A\t: b", b"Abc", b": b", b":", b"A b: c", b" A: b", b"\tA: b", b"A: b\0c", b"A\0: b", b"A: b\rc",
        b"A: b\r", b"A\r: b", b"\xc3\xa9: b", b"A: b\nB: c", b"A: b\x0b", b"A\x0b: b", b"=: b\x00",
    ):
        case(f"field {line!r}", request(fields=line + b"\r\n"), "400!")
    case("a folded line", request(fields=b"A: b\r\n c\r\n"), "400!")
    case("a line folded by a tab", request(fields=b"A: b\r\n\tc\r\n"), "400!")
    case("a fold of spaces", request(fields=b"A: b\r\n \r\n"), "400!")
    case("a fold behind the first line", b"GET /m HTTP/1.1\r\n Host: x\r\n\r\n", "400!")
    for code in (1, 8, 0x0B, 0x0C, 0x1F, 0x7F):
        case(f"{code:#x} in a value", request(fields=b"A: b" + bytes([code]) + b"c\r\n"), "400!")
    for byte in b'()<>@,;\\"/[]?={} ':
        case(f"{byte:#x} in a name", request(fields=b"A%cB: b\r\n" % byte), "400!")
    for byte in b"!#$%&'*+-.^`|~09":
        case(f"{byte:#x} in a name", request(fields=b"A%cB: b\r\n" % byte), "200", check=got("a%cb" % byte, "b"))
    case("a value in UTF-8", request(fields=b"A: \xc3\xa9\r\n"), "200", check=got("a", "Ã©"))
    case("a value in no UTF-8", request(fields=b"A: \xff\r\n"), "200", check=got("a", "ÿ"))
    case("an empty value", request(fields=b"A:\r\n"), "200", check=got("a", ""))
    case("white space around a value", request(fields=b"A: \t b\tc \t \r\n"), "200", check=got("a", "b\tc"))
    case("two lines of a name", request(fields=b"A: b\r\nB: x\r\na: c\r\n"), "200", check=got("a", "b", "c"))
    for value in (
        b"close", b"Close", b"keep-alive, close", b"close, x", b"x,close", b" ,close,",
        b"keep-alive\r\nConnection: close",
    ):
        case(
            f"Connection: {value!r}", request(fields=b"Connection: " + value + b"\r\n"), "200!",
            check=said("connection", "close"),
        )
    for value in (b"keep-alive", b"closed", b"", b"x"):
        case(f"Connection: {value!r}", request(fields=b"Connection: " + value + b"\r\n"), "200")
    for value in (b'"close"', b"close;x", b"a b"):
        case(f"Connection: {value!r}", request(fields=b"Connection: " + value + b"\r\n"), "200|400~")
    case(
        "a named header is not forwarded", request(fields=b"Connection: X-Drop\r\nX-Drop: 1\r\nX-Keep: 1\r\n"), "200",
        check=lambda _, seen: "x-drop" not in seen[0]["headers"] and seen[0]["headers"]["x-keep"] == ["1"],
    )
    for target in (b"/m", b"/p/x"):
        for name in (
            b"Content-Length", b"Host", b"Via", b"X-Forwarded-For", b"traceparent", b"X-Request-Id", b"Content-Type",
        ):
            case(
                f"Connection names {name!r} on {target!r}",
                post(b"Connection: " + name + b"\r\nContent-Type: a/b\r\n" + LENGTH3, b"abc", target),
                "200",
                check=lambda _, seen: (
                    seen[0]["body"] == "abc"
                    and seen[0]["headers"]["x-forwarded-for"] == ["127.0.0.1"]
                    and len(seen[0]["headers"]["host"]) == 1
                    and len(seen[0]["headers"]["via"]) == 1
                ),
            )
        case(
            f"hop-by-hop fields on {target!r}",
            request(
                target,
                b"Keep-Alive: 3\r\nTE: trailers\r\nUpgrade: h2c\r\nTrailer: x\r\nProxy-Authorization: x\r\n"
                b"Proxy-Connection: close\r\nHTTP2-Settings: AAMA\r\nConnection: HTTP2-Settings\r\n",
            ),
            "200",
            check=lambda _, seen: (
                not {
                    "keep-alive", "te", "upgrade", "trailer", "proxy-authorization", "proxy-connection",
                    "http2-settings", "connection",
                }
                & set(seen[0]["headers"])
            ),
        )
        case(
            f"WebSocket on {target!r}", request(target, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), "200",
            check=got("upgrade"),
        )
        case(
            f"underscores on {target!r}", request(target, b"X_Forwarded_For: 1\r\nContent_Length: 7\r\n"), "200",
            check=lambda _, seen: not any("_" in name for name in seen[0]["headers"]),
        )
        case(f"Via on {target!r}", request(target, b"Via: 1.0 a\r\n"), "200", check=got("via", "1.0 a, 1.1 sluice"))
        case(
            f"X-Forwarded-For on {target!r}", request(target, b"X-Forwarded-For: 6.6.6.6\r\n"), "200",
            check=got("x-forwarded-for", "127.0.0.1"),
        )
    for name in (b"Range", b"If-None-Match", b"If-Modified-Since", b"Accept-Encoding"):
        case(
            f"{name!r} does not reach a merge", request(fields=name + b": x\r\n"), "200",
            check=got(name.decode().lower()),
        )
        case(
            f"{name!r} reaches a proxy", request(b"/p/x", name + b": x\r\n"), "200",
            check=got(name.decode().lower(), "x"),
        )
    for value in (b"abc", b"-1", b"1.5", b"", b"99999999999999999999", b"0x10", b"500\r\nX-Request-Timeout-Ms: 400"):
        case(f"deadline {value!r}", request(fields=b"X-Request-Timeout-Ms: " + value + b"\r\n"), "200")
    case("an Accept that cannot be met", request(fields=b"Accept: image/png\r\n"), "200")
