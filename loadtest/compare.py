#!/usr/bin/env python3
"""Sluice beside other gateways: CPU per request as a ratio to the floor, latency at a fixed rate, overload, bad backends.

All run in one go, in turns, each gateway alone on one CPU, load generator and backends on others, on loopback. With
`--growth`: what Sluice costs as backends, endpoints, connections, workers and bodies grow. Writes docs/performance.md.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from typing import Any

import compare_page
import growth
from measure import MeasureError, Results, Sample, fetch, measure, median
from peers import PEERS, Absent, Running, Setting
from processes import ROOT, Processes, StartError

FAULTS = {"hangs": "hang=header", "drips": "status=200;drip_ms=100;drip_bytes=1;drip_from=body"}
FAULT_DEADLINE_MS = 500
FAULT_RATE = 100
OVERLOAD_SECONDS = 3
WARM_UP = "300ms"  # in which connections are made, to the backends, too


def loosely(value: object) -> object:
    """`value` with `[]` for `{}`, which Lua cannot tell apart."""
    if isinstance(value, dict):
        return {key: loosely(member) for key, member in value.items()} or []
    return [loosely(item) for item in value] if isinstance(value, list) else value


class Comparison:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.results = Results()
        cpus = sorted(os.sched_getaffinity(0), reverse=True)
        self.gateway_cpu, self.load_cpu, self.backend_cpu = cpus[0], cpus[1 % len(cpus)], cpus[min(2, len(cpus) - 1)]

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.options.began:6.0f} s  {text}", file=sys.stderr)

    def seconds(self, share: float = 1) -> str:
        return f"{max(0.2, self.options.unit * share):.2f}s"

    def start_backends(self, processes: Processes, count: int, size: int) -> list[str]:
        command = [str(self.options.bin / "sluice-cheap-backend"), "--size", str(size)] + ["--listen", "127.0.0.1:0"] * count
        return processes.start(command, self.backend_cpu, announces=count)[1]

    def start_peers(self, processes: Processes, backends: list[str], deadline_ms: int = 10_000,
                    checks: bool = True) -> dict[str, Running]:
        """Those wanted that can run with so many backends, each seen to give the right reply."""
        setting = Setting(processes, self.options.bin, self.gateway_cpu, backends, deadline_ms)
        body = fetch(int(backends[0].rpartition(":")[2]), "/") if checks else b""
        merged = {f"part{i}": json.loads(body) for i in range(len(backends))} if checks else {}
        running: dict[str, Running] = {}
        for peer in PEERS:
            if peer.name not in self.options.peers or (len(backends) > 1 and not peer.merges):
                continue
            try:
                running[peer.name] = peer.start(setting)
                self.results.versions.setdefault(peer.name, peer.version(self.options.bin))
            except Absent as reason:
                self.results.absent[peer.name] = str(reason)
                continue
            if checks:
                reply = fetch(running[peer.name].port, running[peer.name].path)
                if (loosely(json.loads(reply)) != loosely(merged)) if peer.merges else (reply != body):
                    raise StartError(f"{peer.name}: its reply is not what the backends said: {reply[:200]!r}")
        return running

    def measure(self, peer: Running, *options: str, may_fail: bool = False) -> Sample:
        url = f"http://127.0.0.1:{peer.port}{peer.path}"
        return measure(self.options.bin, self.load_cpu, url, peer.pid, *options, may_fail=may_fail)

    def run(self) -> Results:
        for backends in self.options.backends:
            for size in self.options.sizes:
                self.compare_at(backends, size)
        self.bad_backends()
        return self.results

    def compare_at(self, count: int, size: int) -> None:
        with Processes() as processes:
            running = self.start_peers(processes, self.start_backends(processes, count, size))
            cell: dict[str, list[Sample]] = {name: [] for name in running}
            self.results.cells[count, size] = cell
            for turn in range(self.options.rounds):
                names = list(running)
                for name in names[turn % len(names):] + names[:turn % len(names)]:
                    try:
                        sample = self.measure(running[name], "--connections", str(self.options.connections), "--duration",
                                              self.seconds(), "--timeout", "15s")
                    except MeasureError as error:
                        if name == "floor":
                            raise
                        self.say(f"N = {count}, {size} B: {name} failed: {error}")
                        self.results.failed.append(f"{name} at N = {count}, {size} B: {error}")
                        del running[name], cell[name]
                        continue
                    cell[name].append(sample)
                    self.say(f"N = {count}, {size} B, round {turn + 1}: {name} {sample.cpu_us:.1f} us")
            if count == 3 or (count == 1 and size == 200):
                self.latency_at(count, size, running)
            if count == 10 and size == 4096:  # so that the generator of four times as much is not what is measured
                self.overload(running)

    def latency_at(self, count: int, size: int, running: dict[str, Running]) -> None:
        """The same rate for all: half of what Sluice did."""
        cell = self.results.cells[count, size]
        reference = "sluice" if "sluice" in cell else "floor"
        rate = max(1, int(median([sample.rate for sample in cell[reference]]) / 2))
        self.results.latency_rate[count, size] = rate
        rows: dict[str, list[Sample]] = {name: [] for name in running}
        self.results.latency[count, size] = rows
        for turn in range(max(1, self.options.rounds - 1)):
            for name in list(running)[turn:] + list(running)[:turn]:
                rows[name].append(self.measure(running[name], "--rate", str(rate), "--connections", "256", "--duration",
                                               self.seconds(1.5), "--warm-up", WARM_UP, "--timeout", "2s", may_fail=True))
                self.say(f"N = {count}, {size} B, {rate}/s: {name} p99 {rows[name][-1].p99_us / 1e3:.1f} ms")

    def overload(self, running: dict[str, Running]) -> None:
        """Over as many connections for all; the floor has one to each backend for each of them."""
        for name, peer in running.items():
            capacity = median([sample.rate for sample in self.results.cells[10, 4096][name]])
            self.results.overload[name] = {}
            for factor in (2, 4):
                # Without a warm-up, whose backlog would be worked off first, uncounted.
                sample = self.measure(peer, "--rate", str(int(capacity * factor)), "--connections", "1500", "--duration",
                                      f"{OVERLOAD_SECONDS}s", "--timeout", "2s", may_fail=True)
                self.results.overload[name][factor] = sample
                self.say(f"{factor}x overload: {name} {sample.good_rate / capacity:.0%} of its own rate")
                time.sleep(0.2)  # what was queued is worked off before the next

    def bad_backends(self) -> None:
        for title, fault in FAULTS.items():
            with Processes() as processes:
                backends = self.start_backends(processes, 2, 200)
                bad = [str(self.options.bin / "sluice-backend"), "--listen", "127.0.0.1:0", "--fault", fault]
                backends += processes.start(bad, self.backend_cpu, announces=1)[1]
                running = self.start_peers(processes, backends, FAULT_DEADLINE_MS, checks=False)
                rows = self.results.faults[title] = {}
                for name, peer in running.items():
                    if name == "floor":  # which knows no deadline
                        continue
                    rows[name] = self.measure(peer, "--rate", str(FAULT_RATE), "--connections", "500", "--duration",
                                              self.seconds(1.5), "--timeout", "3s", "--expect-json", "--expect-text",
                                              '"part1":{', may_fail=True)
                    self.say(f"a backend {title}: {name} p99 {rows[name].p99_us / 1e3:.0f} ms, {rows[name].errors} errors")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def plan(options: argparse.Namespace) -> None:
    """How long a round may last, so that all ends in time."""
    merging = sum(1 for peer in PEERS if peer.merges and peer.name in options.peers and peer.name != "KrakenD")
    passing = sum(1 for peer in PEERS if not peer.merges and peer.name in options.peers)
    cells = sum((merging + (passing if count == 1 else 0)) * len(options.sizes) for count in options.backends)
    latencies = (merging * len(options.sizes) + merging + passing) * max(1, options.rounds - 1)
    bad, overloads = merging * len(FAULTS), merging * 2
    rounds = cells * options.rounds + 1.5 * (latencies + bad)
    fixed = (0.35 * (cells * options.rounds + bad) + latencies + 3 * bad  # starts, warm-ups, timeouts
             + (OVERLOAD_SECONDS + 2) * overloads + 4 * len(options.sizes) * len(options.backends))
    options.unit = min(3.0, max(0.2, (options.minutes * 60 - fixed) / rounds))


def to_json(results: Results, options: argparse.Namespace) -> dict[str, Any]:
    def plain(samples: dict[str, list[Sample]]) -> dict[str, Any]:
        keys = ("cpu_us", "rate", "good_rate", "p50_us", "p99_us", "p999_us", "max_us", "busy", "errors")
        return {name: [{key: getattr(sample, key) for key in keys} for sample in rows] for name, rows in samples.items()}

    def cells(of: dict[tuple[int, int], dict[str, list[Sample]]]) -> list[dict[str, Any]]:
        return [{"backends": count, "body_bytes": size, "peers": plain(samples)} for (count, size), samples in of.items()]

    return {"connections": options.connections, "seconds": options.unit, "versions": results.versions,
            "absent": results.absent, "cpu": cells(results.cells), "latency": cells(results.latency),
            "overload": {name: plain({str(k): [v] for k, v in rows.items()}) for name, rows in results.overload.items()},
            "faults": {name: plain({k: [v] for k, v in rows.items()}) for name, rows in results.faults.items()}}


def main() -> int:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are")
    parser.add_argument("--growth", action="store_true", help="what Sluice costs as things grow, instead of the peers")
    parser.add_argument("--minutes", type=float, default=12, help="no longer than this, about (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="short rounds, few cells, no page: does it work?")
    parser.add_argument("--sizes", type=numbers, default="200,4096,65536", help="bytes of each backend's body (%(default)s)")
    parser.add_argument("--backends", type=numbers, default="1,3,10", help="N (%(default)s)")
    parser.add_argument("--peers", default=",".join(names), help="which gateways, the floor first (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each gateway and cell (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="closed loop (%(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file, too")
    parser.add_argument("--no-page", action="store_true", help="print the section; do not write docs/performance.md")
    options = parser.parse_args()
    options.began = time.monotonic()
    options.peers = options.peers.split(",")
    if options.peers[0] != "floor" or not set(options.peers) <= set(names):
        parser.error(f"--peers: expected floor first, then any of {', '.join(names)}; got {','.join(options.peers)}")
    if options.quick:
        options.minutes, options.rounds, options.no_page = 0.1, 1, True
        options.sizes, options.backends = options.sizes[:2], options.backends[:2]
    for program in ("sluice-load", "sluice-floor", "sluice-cheap-backend", "sluice-backend"):
        if not (options.bin / program).exists():
            print(f"compare: {options.bin / program} is not built", file=sys.stderr)
            return 1
    (ROOT / "build/peers").mkdir(parents=True, exist_ok=True)
    try:
        if options.growth:
            return growth.run(options)
        plan(options)
        results = Comparison(options).run()
    except (StartError, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(to_json(results, options)))
    compare_page.write(results, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
