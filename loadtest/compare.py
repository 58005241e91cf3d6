#!/usr/bin/env python3
"""CPU per request of gateways that fan out to N backends and merge their JSON, as a ratio to the floor.

All run in one go, interleaved, each gateway alone on one CPU, load generator and backends on another, on loopback.
"""

import argparse
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from processes import ROOT, Processes, StartError, cpu_ns, family, free_port


class Absent(Exception):
    """A peer that is not on this machine; the text says why."""


@dataclasses.dataclass
class Peer:
    """A running gateway."""

    name: str
    port: int
    pid: int  # of its first process


@dataclasses.dataclass
class Sample:
    """What one round of one peer gave."""

    cpu_us: float  # per request
    rate: float  # requests per second
    p50_us: float
    p99_us: float
    busy: float  # share of its CPU that the gateway used


Start = Callable[[Processes, pathlib.Path, int, list[str]], Peer]


def start_floor(processes: Processes, binaries: pathlib.Path, cpu: int, backends: list[str]) -> Peer:
    calls = [f"part{i}={backend}/part/{i}" for i, backend in enumerate(backends)]
    process, addresses = processes.start([str(binaries / "sluice-floor"), *calls], cpu, announces=1)
    return Peer("floor", int(addresses[0].rpartition(":")[2]), process.pid)


NGINX_CONFIG = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  {upstreams}
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 16 16k;
    proxy_buffer_size 16k;
    proxy_max_temp_file_size 0;
    {locations}
    location / {{
      content_by_lua_block {{
        local parts = {{ ngx.location.capture_multi({{ {captures} }}) }}
        local reply = {{}}
        for i, part in ipairs(parts) do
          reply[2 * i - 1] = (i == 1 and '{{"part' or ',"part') .. (i - 1) .. '":'
          reply[2 * i] = part.body
        end
        reply[#reply + 1] = '}}'
        local size = 0
        for _, piece in ipairs(reply) do size = size + #piece end
        ngx.header.content_length = size
        ngx.print(reply)
      }}
    }}
  }}
}}
"""


def start_nginx_lua(processes: Processes, binaries: pathlib.Path, cpu: int, backends: list[str]) -> Peer:
    """nginx with Lua that concatenates what the backends sent, unchecked (`capture_multi`)."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    modules = pathlib.Path("/usr/lib/nginx/modules")
    if not nginx or not (modules / "ngx_http_lua_module.so").exists():
        raise Absent("not installed (Debian packages nginx, libnginx-mod-http-lua)")
    port = free_port()
    directory = processes.directory / f"nginx-{port}"
    directory.mkdir()
    numbers = range(len(backends))
    config = directory / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(
        modules=modules, directory=directory, port=port, user="user root;" if os.geteuid() == 0 else "",
        upstreams="\n".join(f"upstream part{i} {{ server {backends[i]}; keepalive 1024; "
                            "keepalive_requests 1000000000; }" for i in numbers),
        locations="\n".join(f"location = /part/{i} {{ internal; proxy_pass http://part{i}; }}" for i in numbers),
        captures=", ".join(f'{{"/part/{i}"}}' for i in numbers)))
    process, _ = processes.start([nginx, "-e", f"{directory}/nginx.log", "-p", str(directory), "-c", str(config)], cpu)
    processes.await_port(process, port)
    return Peer("nginx-lua", port, process.pid)


def start_sluice(processes: Processes, binaries: pathlib.Path, cpu: int, backends: list[str]) -> Peer:
    """Sluice as it is used: JSON validated, headers, metrics and access log on (the log goes to /dev/null)."""
    program = binaries / "sluice"
    if not program.exists():
        raise Absent(f"{program} is not built")
    port = free_port()
    config = processes.directory / f"sluice-{port}.json"
    numbers = range(len(backends))
    config.write_text(json.dumps({
        "version": 1,
        "backends": {f"part{i}": {"servers": [f"http://{backends[i]}"]} for i in numbers},
        "endpoints": [{
            "path": "/",
            "deadline": "10s",
            "calls": [{"name": f"part{i}", "backend": f"part{i}", "path": f"/part/{i}", "required": True}
                      for i in numbers],
        }],
    }))
    process, _ = processes.start([str(program), "serve", str(config), "--listen", f"127.0.0.1:{port}",
                                  "--admin", f"127.0.0.1:{free_port()}", "--threads", "1"], cpu)
    processes.await_port(process, port)
    return Peer("sluice", port, process.pid)


STARTS: dict[str, Start] = {"floor": start_floor, "nginx-lua": start_nginx_lua, "sluice": start_sluice}


def fetch_json(port: int, path: str) -> object:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def measure(options: argparse.Namespace, peer: Peer, cpu: int) -> Sample:
    command = ["taskset", "-c", str(cpu), str(options.bin / "sluice-load"), f"http://127.0.0.1:{peer.port}/", "--json", "-",
               "--connections", str(options.connections), "--duration", f"{options.seconds}s"]
    pids = family(peer.pid)
    before = cpu_ns(pids)
    run = subprocess.run(command, text=True, capture_output=True)
    used = cpu_ns(pids) - before
    if run.returncode != 0:
        raise StartError(f"{peer.name}: {run.stderr}{run.stdout}")
    report = json.loads(run.stdout)
    return Sample(used / 1e3 / report["replies"], report["rate"], report["latency_us"]["p50"],
                  report["latency_us"]["p99"], used / 1e9 / report["elapsed_s"])


def compare_at(options: argparse.Namespace, size: int, cpus: list[int],
               absent: dict[str, str]) -> dict[str, list[Sample]]:
    """All rounds for one size of body: peer -> its samples, one a round."""
    gateway_cpu, load_cpu, backend_cpu = cpus[0], cpus[1 % len(cpus)], cpus[min(2, len(cpus) - 1)]
    with Processes() as processes:
        listen = ["--listen", "127.0.0.1:0"] * options.backends
        _, backends = processes.start([str(options.bin / "sluice-cheap-backend"), "--size", str(size), *listen],
                                      backend_cpu, announces=options.backends)
        body = fetch_json(int(backends[0].rpartition(":")[2]), "/")
        peers = []
        for name in options.peers:
            try:
                peer = STARTS[name](processes, options.bin, gateway_cpu, backends)
            except Absent as reason:
                absent[name] = str(reason)
                continue
            if fetch_json(peer.port, "/") != {f"part{i}": body for i in range(options.backends)}:
                raise StartError(f"{name}: its reply is not the merged bodies")
            peers.append(peer)
        samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
        for turn in range(options.rounds):
            for peer in peers[turn % len(peers):] + peers[:turn % len(peers)]:
                samples[peer.name].append(measure(options, peer, load_cpu))
                print(f"{size} B, round {turn + 1} of {options.rounds}: {peer.name} "
                      f"{samples[peer.name][-1].cpu_us:.1f} us", file=sys.stderr)
        return samples


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def row(size: int, name: str, samples: list[Sample], floor: list[Sample]) -> dict[str, Any]:
    ratios = [sample.cpu_us / base.cpu_us for sample, base in zip(samples, floor)]
    return {"body_bytes": size, "peer": name, "cpu_us": summary([sample.cpu_us for sample in samples]),
            "ratio": summary(ratios), **{key: statistics.median(getattr(sample, key) for sample in samples)
                                         for key in ("rate", "p50_us", "p99_us", "busy")}}


def print_table(rows: list[dict[str, Any]], absent: dict[str, str]) -> None:
    def spread(value: dict[str, float], digits: int) -> str:
        return f"{value['median']:.{digits}f} ({value['min']:.{digits}f}-{value['max']:.{digits}f})"

    print(f"{'body':>8}  {'peer':<10} {'CPU us/request':>22} {'ratio to floor':>20} {'req/s':>8} {'p50 ms':>8} "
          f"{'p99 ms':>8} {'busy':>6}")
    for line in rows:
        print(f"{line['body_bytes']:>8}  {line['peer']:<10} {spread(line['cpu_us'], 1):>22} "
              f"{spread(line['ratio'], 2):>20} {line['rate']:>8.0f} {line['p50_us'] / 1e3:>8.2f} "
              f"{line['p99_us'] / 1e3:>8.2f} {line['busy']:>6.0%}")
    for name, reason in absent.items():
        print(f"absent: {name}: {reason}")


def sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are")
    parser.add_argument("--sizes", type=sizes, default="200,4096,65536", help="bytes of each backend's body (%(default)s)")
    parser.add_argument("--peers", default=",".join(STARTS), help="which gateways, the floor first (%(default)s)")
    parser.add_argument("--backends", type=int, default=3, help="N (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each gateway and size (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of each round (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="closed loop (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    if options.peers[0] != "floor" or not set(options.peers) <= set(STARTS):
        parser.error(f"--peers: expected floor first, then any of {', '.join(STARTS)}; got {','.join(options.peers)}")
    cpus = sorted(os.sched_getaffinity(0), reverse=True)
    absent: dict[str, str] = {}
    rows = []
    try:
        for size in options.sizes:
            samples = compare_at(options, size, cpus, absent)
            rows += [row(size, name, samples[name], samples["floor"]) for name in samples]
    except (StartError, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"backends": options.backends, "connections": options.connections, "cpus": len(cpus),
                          "rows": rows, "absent": absent}))
    else:
        print_table(rows, absent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
