#!/usr/bin/env python3
"""Checks one rule about the sources: `lint.py RULE`, from the top of the tree.

Exit status: 0 kept, 1 broken (one FILE:LINE: message a fault on standard error), 77 cannot be checked here.
A rule must first find what it forbids in its own bad example, and nothing in its good one.
"""

import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from cpp_text import co_await_faults, code_only, line_of

MAX_LINES = 400
LONG_FILES = {}  # path: why it may be longer

# What each module may include of ours, and which third-party headers it must not know.
LAYERS = {
    "concurrency": ({"concurrency"}, ("boost/beast", "nlohmann", "prometheus", "spdlog")),
    "backends/demo": ({"concurrency", "backends"}, ("prometheus", "spdlog")),
    "backends": ({"concurrency", "backends"}, ("nlohmann", "prometheus", "spdlog")),
    "gateway": ({"concurrency", "backends", "gateway"}, ()),
    "examples": ({"concurrency"}, ("boost/beast", "nlohmann", "prometheus", "spdlog")),
    "loadtest": ({"loadtest"}, ()),
    "tests": ({"concurrency", "backends", "gateway", "loadtest", "tests", "support"}, ()),  # support is in tests/
}
MODULES = {"concurrency", "backends", "examples", "gateway", "loadtest", "tests"}
UMBRELLAS = {
    "boost/asio.hpp",
    "boost/asio/ssl.hpp",
    "boost/beast.hpp",
    "boost/beast/core.hpp",
    "boost/beast/http.hpp",
    "boost/beast/websocket.hpp",
    "bits/stdc++.h",
}
HEAVY = re.compile(r"nlohmann/(?!json_fwd\.hpp)|prometheus/|boost/beast[./]|spdlog/")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
CPP = (".cpp", ".hpp")


def includes(text):
    for match in INCLUDE.finditer(text):
        yield line_of(text, match.start()), match.group(1), match.group(2)


def layers(path, text):
    module = next(name for name in LAYERS if path.startswith(name + "/"))
    ours, foreign = LAYERS[module]
    for line, kind, name in includes(text):
        top = name.split("/")[0]
        if kind == '"' and ("/" not in name or top not in LAYERS["tests"][0]):
            yield line, f'"{name}" is not written as "module/file.hpp"'
        elif top in LAYERS["tests"][0] and top not in ours:
            yield line, f"{module} must not include {name}"
        elif name.startswith(foreign):
            yield line, f"{module} must not know {name}"


def umbrella_includes(_path, text):
    for line, _, name in includes(text):
        if name in UMBRELLAS:
            yield line, f"{name} includes everything: name what is used"


def heavy_headers(path, text):
    for line, _, name in includes(text):
        if HEAVY.match(name) and "/detail/" not in path:
            yield line, f"{name} in a header: JSON, Prometheus, Beast and spdlog belong in .cpp files or detail/"


def headers(_path, text):
    lines = text.splitlines()
    if not lines or not re.match(r"//\s*\S.{10,}", lines[0]):
        yield 1, "the first line must be a comment that says what the header is for"
    if "#pragma once" not in lines:
        yield 1, "#pragma once is missing"


def co_await_operands(_path, text):
    code = code_only(text)
    for position, fault in co_await_faults(code):
        yield line_of(
            code, position
        ), f"{fault}: g++ 12 miscompiles many; name it, or use parentheses"


def sleeps(_path, text):
    for match in re.finditer(
        r"\bthis_thread::sleep\w*|namespace\s+std::this_thread|\b(u|nano)sleep\s*\(|(?<![\w>])::sleep\s*\(|time\.sleep\(",
        code_only(text),
    ):
        yield line_of(text, match.start()), f"{match.group().strip('(')}: tests wait for events or on virtual time"


def fixed_ports(_path, text):
    named = re.finditer(r"(?:--(?:listen|admin)\W{1,6}|connect_to\(\")[\w.\[\]:]*:[1-9]\d*", text)
    built = re.finditer(
        r"\btcp::endpoint[^;\n]*(?:loopback|any|v[46]|127\.0\.0\.1|::1)\W[^;\n]*,\s*[1-9]\d*\s*[)}]", text
    )
    for match in (*named, *built):
        yield line_of(text, match.start()), f"a fixed port in {match.group()}: listen on port 0"


def length(path, text):
    count = text.count("\n")
    if count > MAX_LINES and path not in LONG_FILES:
        yield MAX_LINES, f"{count} lines: more than {MAX_LINES} ask to be two files"


def marks(_path, text):
    for match in re.finditer(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b", text):
        yield line_of(text, match.start()), f"{match.group()}: finish it or file it"


ASYNC = "Task<> f() {\n  %s\n}\n"
# rule: (file name patterns, folders, path of the examples, bad examples, good examples)
RULES = {
    layers: (
        CPP,
        MODULES,
        "backends/x.cpp",
        [
            '#include "gateway/router.hpp"\n',
            "#include <gateway/router.hpp>\n",
            '#include "pool.hpp"\n',
            '#include "../gateway/router.hpp"\n',
            "#include <nlohmann/json.hpp>\n",
            '#include "loadtest/x.hpp"\n',
        ],
        ['#include "backends/pool.hpp"\n#include "concurrency/task.hpp"\n#include <boost/beast/http/error.hpp>\n'],
    ),
    umbrella_includes: (
        CPP,
        MODULES,
        "gateway/x.cpp",
        ["#include <boost/asio.hpp>\n", "# include <boost/beast/http.hpp>\n"],
        ["#include <boost/asio/ip/tcp.hpp>\n", "// not #include <boost/asio.hpp>\n"],
    ),
    heavy_headers: (
        (".hpp",),
        MODULES,
        "gateway/x.hpp",
        [
            "#include <nlohmann/json.hpp>\n",
            "#include <prometheus/registry.h>\n",
            "#include <spdlog/spdlog.h>\n",
            "#include <boost/beast/http/fields.hpp>\n",
        ],
        ["#include <nlohmann/json_fwd.hpp>\n#include <boost/asio/ip/tcp.hpp>\n"],
    ),
    headers: (
        (".hpp",),
        MODULES,
        "gateway/x.hpp",
        ["#pragma once\n", "// Routes requests to endpoints.\n", "\n// Routes requests to endpoints.\n#pragma once\n"],
        ["// Routes requests to endpoints.\n#pragma once\n"],
    ),
    co_await_operands: (
        CPP,
        MODULES,
        "gateway/x.cpp",
        [
            ASYNC % "co_await call(Options{1, 2});",
            ASYNC % "co_await call({.retries = 1});",
            ASYNC % "if (co_await call(x, [name] { return name; })) return;",
            ASYNC % "auto r = co_await\n      call(x, [&](int i) { return i; });",
            ASYNC % "co_await wait(Timer{});",
            ASYNC % "co_await wait(ctx, {});",
            ASYNC % "Pair p{1, co_await g()};",
            ASYNC % "use({co_await g(), 2});",
            ASYNC % "h(a, [](int) { return 1; }, {2});\n co_await g({1});",
            ASYNC % "if (!co_await sleep(ctx, 1ms)) co_return;",
            ASYNC % "while (co_await call(x)) {\n    f();\n  }",
        ],
        [
            ASYNC % "co_await receive({});",
            ASYNC % "Options o{1, 2};\n  co_await call(std::move(o));",
            ASYNC % "co_return Reply{co_await_count};",
            ASYNC % "if ((co_await call(x)).has_value()) {\n    list = {1, 2};\n  }",
            ASYNC % "if (co_await call(x) == 1) {\n    list = {1, 2};\n  }",
            ASYNC % "co_await call(x[i], y[0][1]);",
            ASYNC % "co_await call([](int i) { return Pair{i, 1}; });",
            ASYNC % "co_await say(\"{}\", 1, '{');",
            ASYNC % "// co_await call({1});\n  for (;;) { co_await g(); }",
            ASYNC % "auto run = [&]() -> Task<> { co_await g(); };",
            ASYNC % "try { co_await g(); } catch (...) {}\n  if (a) { b(); } else { co_await g(); }",
        ],
    ),
    sleeps: (
        (".cpp", ".hpp", ".py"),
        {"tests"},
        "tests/x.cpp",
        ["std::this_thread::sleep_for(10ms);\n", "usleep(5);\n", "  ::sleep(1);\n", "this_thread::sleep_until(t);\n"],
        ["co_await sleep(ctx, 10ms);\n", "co_await concurrency::sleep_until(ctx, t);\n", "// not usleep(1)\n"],
    ),
    fixed_ports: (
        (".cpp", ".hpp", ".py", ".sh"),
        {"tests"},
        "tests/x.cpp",
        [
            'run("sluice", "--listen", "127.0.0.1:8080");\n',
            "sluice serve x --admin [::1]:9901\n",
            "tcp::endpoint(address_v4::loopback(), 8080)\n",
            'tcp::endpoint{make_address("127.0.0.1"), 80}\n',
        ],
        [
            'run("sluice", "--listen", "127.0.0.1:0");\n',
            "tcp::endpoint(address_v4::loopback(), 0)\n",
            '{"listen": "0.0.0.0:8080"}\n',
        ],
    ),
    length: (
        (".cpp", ".hpp", ".py", ".sh", "run"),
        MODULES | {".ci", "run"},
        "gateway/x.cpp",
        ["x\n" * (MAX_LINES + 1)],
        ["x\n" * MAX_LINES],
    ),
    marks: (
        (".cpp", ".hpp", ".py", ".sh", ".txt", ".md", ".json", ".yaml", ".yml", "Dockerfile", "run"),
        MODULES | {".ci", "docker", "docs", "run", "README.md", "CMakeLists.txt"},
        "gateway/x.cpp",
        ["// TO" "DO: later\n", "x = 1; // FIX" "ME\n"],
        ["// methods.\n"],
    ),
}


def examples(rule):
    _, _, path, bad, good = RULES[rule]
    for text in bad:
        if not list(rule(path, text)):
            yield f"lint.py: {rule.__name__} does not find the fault in:\n{text}"
    for text in good:
        for _, message in rule(path, text):
            yield f"lint.py: {rule.__name__} wrongly says '{message}' of:\n{text}"


def files(suffixes, folders):
    """The project's files in `folders`, without these rules, whose examples break them."""
    for top in sorted(map(pathlib.Path, folders)):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.name.endswith(suffixes) and path.parent.name != "lint":
                yield path


def check(rule):
    suffixes, folders, *_ = RULES[rule]
    faults = list(examples(rule))
    for path in files(suffixes, folders):
        for line, message in rule(path.as_posix(), path.read_text(encoding="utf-8")):
            faults.append(f"{path.as_posix()}:{line}: {message}")
    return faults


def check_format():
    tool = shutil.which("clang-format-19")
    if not tool:
        print("SKIPPED: clang-format-19 is not installed, and other versions format otherwise")
        sys.exit(77)
    command = [tool, "--dry-run", "-Werror"]
    badly = subprocess.run(
        [*command, "--assume-filename=x.cpp"], input="int  main( ){}\n", stderr=subprocess.DEVNULL, text=True
    )
    if badly.returncode == 0:
        return ["lint.py: clang-format finds nothing wrong with a badly formatted file"]
    found = subprocess.run([*command, *files(CPP, MODULES)], capture_output=True, text=True)
    badly_formatted = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error", found.stderr, re.MULTILINE)))
    return [f"{path}: not formatted: ./run format" for path in badly_formatted] or [found.stderr] * (
        found.returncode != 0
    )


def main():
    rules = {rule.__name__: rule for rule in RULES}
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if not pathlib.Path("concurrency").is_dir():
        sys.exit("lint.py: run it from the top of the tree")
    if name != "format" and name not in rules:
        sys.exit(f"usage: lint.py {'|'.join([*rules, 'format'])}")
    faults = check_format() if name == "format" else check(rules[name])
    print("\n".join(faults) or f"{name}: nothing to object to", file=sys.stderr if faults else sys.stdout)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
