#!/usr/bin/env python3
"""Whether replies come by their deadline on the real clock while one of three backends misbehaves.

Each case has an endpoint with a deadline and three calls, of which the third hangs, drips, never ends, is reset or
refused. Every reply must have the two healthy parts fresh and the third stale or constant (`fallback`), and its last
byte must have come by the deadline plus 5 ms; where the third call fails at once, within 5 ms.

Then the same with one backend hanging at half of saturation: what a closed loop over many connections gets through is
saturation; at half of that rate p99.9 of the reply time must be at most the deadline + 5 ms, and none may be above the
deadline + 20 ms.

The machine's own jitter is measured in the same seconds: on each CPU used, a thread that does nothing but sleep notes how
late it was woken; at half of saturation on the gateway's only, as the load generator goes before all others on its own.
The latest wake-up of a case is added to the limit of that case, the control's p99.9 to that of p99.9.
"""

import argparse
import dataclasses
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pages
from processes import ROOT, Processes, StartError, free_port

GRACE_MS, MOST_MS = 5.0, 20.0
HANGING = 2  # of CASES: the case for half of saturation
FALLBACK = {"constant": True}


@dataclasses.dataclass(frozen=True)
class Case:
    """How the third backend behaves: its query, and whether the gateway has to wait for the deadline to know."""

    name: str
    query: str = ""
    waits: bool = True
    refuses: bool = False
    hangs_on_accept: bool = False
    healthy: bool = False

    @property
    def third_backend(self) -> str:
        return "nobody" if self.refuses else "mute" if self.hangs_on_accept else "recs"


CASES = [
    Case("healthy", healthy=True),
    Case("hang after accept", hangs_on_accept=True),
    Case("hang after header", "?hang=header"),
    Case("hang inside body", "?hang=body"),
    Case("1 byte each 300 ms", "?drip_ms=300&drip_bytes=1"),
    Case("endless body", "?endless=1"),
    Case("reset inside body", "?reset=body", waits=False),
    Case("refused", refuses=True, waits=False),
]


class Control:
    """Measures, while its `with` block runs, how late this machine wakes a sleeper on each of `cpus`."""

    def __init__(self, cpus: list[int]) -> None:
        self.late_ms: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(cpu,)) for cpu in cpus]

    def __enter__(self) -> "Control":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.late_ms.sort()

    def _run(self, cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})  # of this thread only
        while not self._stop.is_set():
            due = time.monotonic() + 0.005
            time.sleep(0.005)
            self.late_ms.append(max(0.0, (time.monotonic() - due) * 1e3))

    def percentile(self, percent: float) -> float:
        return self.late_ms[min(len(self.late_ms) - 1, int(len(self.late_ms) * percent / 100))]


def config(backends: list[str], nobody: int, deadline_ms: int) -> dict[str, Any]:
    servers = {"users": backends[0], "orders": backends[1], "recs": backends[2], "mute": backends[3],
               "nobody": f"127.0.0.1:{nobody}"}
    return {
        "version": 1,
        "backends": {name: {"servers": [f"http://{address}"]} for name, address in servers.items()},
        "endpoints": [{
            "path": f"/case/{number}",
            "deadline": f"{deadline_ms}ms",
            "calls": [
                {"name": "user", "backend": "users", "path": "/users/1", "required": True},
                {"name": "orders", "backend": "orders", "path": "/orders?user=1"},
                {"name": "recs", "backend": case.third_backend, "path": f"/recs/1{case.query}",
                 "fallback": FALLBACK},
            ],
        } for number, case in enumerate(CASES)],
    }


def check_body(port: int, number: int, case: Case) -> str:
    """Looks at one whole reply; what is wrong with it, or nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/case/{number}")
        parts = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"no reply to look at: {error!r}"
    finally:
        connection.close()
    if not isinstance(parts, dict) or not parts.get("user") or not parts.get("orders"):
        return f"a healthy part is not there: {json.dumps(parts)[:200]}"
    if case.healthy == (parts.get("recs") == FALLBACK):
        return f"the third part is not what it should be: {json.dumps(parts.get('recs'))[:200]}"
    return ""


def run_case(options: argparse.Namespace, port: int, number: int, cpus: list[int]) -> dict[str, Any]:
    case = CASES[number]
    problem = check_body(port, number, case)
    third = "recs=fresh" if case.healthy else "recs=stale|fallback"
    command = ["taskset", "-c", str(cpus[-1]), str(options.bin / "sluice-load"), f"http://127.0.0.1:{port}/case/{number}",
               "--json", "-", "--rate", str(options.rate), "--requests", str(options.requests), "--connections", "32",
               "--timeout", "5s", "--expect-result", "complete" if case.healthy else "degraded",
               "--expect-call", "user=fresh", "--expect-call", "orders=fresh", "--expect-call", third,
               "--expect-text", '"user":', "--expect-text", '"orders":']
    with Control(cpus) as control:
        run = subprocess.run(command, text=True, capture_output=True)
    if not run.stdout:
        raise StartError(run.stderr)
    report = json.loads(run.stdout)
    latency = {key: report["latency_us"][key] / 1e3 for key in ("min", "p50", "p99", "p99.9", "max")}
    jitter = {"p50": control.percentile(50), "p99": control.percentile(99), "p99.9": control.percentile(99.9),
              "max": control.percentile(100)}
    limit = (options.deadline if case.waits else 0) + GRACE_MS + jitter["max"]
    bad = report["sent"] - report["good"]
    if bad or sum(report["errors"].values()):
        errors = {kind: count for kind, count in report["errors"].items() if count}
        problem = problem or f"{bad} of {report['sent']} replies: {errors}, the first: {report['first_problem']}"
    elif latency["max"] > limit:
        problem = problem or f"late: {latency['max']:.2f} ms, limit {limit:.2f} ms"
    return {"case": case.name, "replies": report["replies"], "latency_ms": latency, "control_late_ms": jitter,
            "limit_ms": limit, "outcomes": report["calls"], "problem": problem}


def run_load(options: argparse.Namespace, port: int, *more: str) -> dict[str, Any]:
    """sluice-load on the endpoint whose third backend hangs; its report."""
    cpu = max(sorted(os.sched_getaffinity(0))[:2])
    # Before the backends that share its CPU, if we may: when it sends late, or sees late what has come, that is no fault
    # of the gateway.
    first = ["chrt", "--fifo", "1"]
    if subprocess.run([*first, "true"], capture_output=True).returncode != 0:
        first = []
    command = [*first, "taskset", "-c", str(cpu), str(options.bin / "sluice-load"), f"http://127.0.0.1:{port}/case/{HANGING}",
               "--json", "-", "--connections", "1000", "--timeout", "5s", "--expect-result", "degraded", "--expect-call",
               "user=fresh", "--expect-call", "orders=fresh", *more]
    run = subprocess.run(command, text=True, capture_output=True)
    if not run.stdout:
        raise StartError(run.stderr)
    return dict(json.loads(run.stdout))


def run_at_half(options: argparse.Namespace, port: int, cpus: list[int]) -> dict[str, Any]:
    saturated = run_load(options, port, "--duration", f"{max(2.0, options.load_seconds / 4):.1f}s")
    saturation = saturated["rate"] * saturated["good"] / max(1, saturated["replies"])
    rate = max(1, int(saturation / 2))
    with Control(cpus[:1]) as control:  # of the gateway: the load generator goes before all others on its own
        report = run_load(options, port, "--rate", str(rate), "--duration", f"{options.load_seconds}s")
    latency = {key: report["latency_us"][key] / 1e3 for key in ("min", "p50", "p99", "p99.9", "max")}
    jitter = {"p50": control.percentile(50), "p99": control.percentile(99), "p99.9": control.percentile(99.9),
              "max": control.percentile(100)}
    limits = {"p99.9": options.deadline + GRACE_MS + jitter["p99.9"], "max": options.deadline + MOST_MS + jitter["max"]}
    errors = {kind: count for kind, count in report["errors"].items() if count}
    problem = f"errors: {errors}, the first: {report['first_problem']}" if errors else ""
    for key, limit in limits.items():
        if latency[key] > limit:
            problem = problem or f"{key} is {latency[key]:.2f} ms, limit {limit:.2f} ms"
    return {"saturation": saturation, "rate": rate, "replies": report["replies"], "latency_ms": latency,
            "control_late_ms": jitter, "sent_late_ms": {key: report["lag_us"][key] / 1e3 for key in ("p99.9", "max")},
            "since_sent_ms": {key: report["since_sent_us"][key] / 1e3 for key in ("p99.9", "max")},
            "limit_ms": limits, "remarks": report["remarks"], "problem": problem}


COLUMNS = ("min", "p50", "p99", "p99.9", "max")


def describe_half(half: dict[str, Any]) -> str:
    limit, control, late = half["limit_ms"], half["control_late_ms"], half["sent_late_ms"]
    return (f"{half['rate']}/s, half of the {half['saturation']:.0f}/s that a closed loop over 1000 connections gets through; "
            f"{half['replies']} replies, limits: p99.9 {limit['p99.9']:.2f} ms, longest {limit['max']:.2f} ms; the control "
            f"was woken late by p99.9 {control['p99.9']:.2f}, at most {control['max']:.2f} ms, the load generator sent late by "
            f"p99.9 {late['p99.9']:.2f}, at most {late['max']:.2f} ms; counted from when they were sent, replies took p99.9 "
            f"{half['since_sent_ms']['p99.9']:.2f}, at most {half['since_sent_ms']['max']:.2f} ms")


def print_table(rows: list[dict[str, Any]], half: dict[str, Any] | None, deadline_ms: int) -> None:
    print(f"deadline {deadline_ms} ms; latency of whole replies, and how late the control was woken, in ms\n")
    print(f"{'case':<20}{'replies':>8}" + "".join(f"{name:>9}" for name in COLUMNS) +
          f"{'limit':>9} | control{'p99':>6}{'p99.9':>8}{'max':>8}")
    for row in rows:
        latency, control = row["latency_ms"], row["control_late_ms"]
        print(f"{row['case']:<20}{row['replies']:>8}" + "".join(f"{latency[name]:>9.2f}" for name in COLUMNS) +
              f"{row['limit_ms']:>9.2f} | {control['p99']:>13.2f}{control['p99.9']:>8.2f}{control['max']:>8.2f}"
              f"  {'FAILED' if row['problem'] else 'ok'}")
    for row in rows:
        if row["problem"]:
            print(f"{row['case']}: {row['problem']}")
    if half:
        print(f"\none of three backends hangs, {describe_half(half)}")
        print("".join(f"{name:>9} {half['latency_ms'][name]:.2f}" for name in COLUMNS) + f"  {half['problem'] or 'ok'}")
        for remark in half["remarks"]:
            print(f"note: {remark}")


def page_section(rows: list[dict[str, Any]], half: dict[str, Any] | None, options: argparse.Namespace) -> str:
    found = [[row["case"], str(row["replies"]), *(f"{row['latency_ms'][name]:.2f}" for name in COLUMNS),
              f"{row['control_late_ms']['max']:.2f}", f"{row['limit_ms']:.2f}", "late" if row["problem"] else "kept"]
             for row in rows]
    text = ["## Deadlines while a backend misbehaves", f"`./run deadlines --page` on {pages.machine()}. Deadline "
            f"{options.deadline} ms, three backends of which the third misbehaves, {options.rate:g} requests per second; "
            "milliseconds until the last byte of the reply. The limit is the deadline (where the gateway has to wait for it) + "
            f"{GRACE_MS:g} ms + the longest that a thread which does nothing but sleep was woken late in the same seconds "
            "(control)."]
    text.append(pages.table(["third backend", "replies", *COLUMNS, "control", "limit", ""], found))
    if half:
        text.append(f"Under load: {describe_half(half)}.")
        text.append(pages.table([*COLUMNS, ""], [[*(f"{half['latency_ms'][name]:.2f}" for name in COLUMNS),
                                                  "missed: " + half["problem"] if half["problem"] else "kept"]]))
    return "\n\n".join(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are")
    parser.add_argument("--requests", type=int, default=300, help="of each case (%(default)s)")
    parser.add_argument("--rate", type=float, default=20, help="requests per second (%(default)s)")
    parser.add_argument("--deadline", type=int, default=100, help="of each endpoint, in ms (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the gateway (%(default)s)")
    parser.add_argument("--load-seconds", type=float, default=20, help="at half of saturation; 0: leave it out (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--page", action="store_true", help="write the result into docs/performance.md, too")
    options = parser.parse_args()
    for program in ("sluice", "sluice-backend", "sluice-load"):
        if not (options.bin / program).exists():
            print(f"deadlines: {options.bin / program} is not built", file=sys.stderr)
            return 1
    cpus = sorted(os.sched_getaffinity(0))[:2]
    rows, half = [], None
    try:
        with Processes() as processes, socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound but not listening: refuses, and nobody else gets the port
            backends = []
            for seed in ("1", "2", "3", "4"):
                command = [str(options.bin / "sluice-backend"), "--listen", "127.0.0.1:0", "--seed", seed]
                if seed == "4":
                    command += ["--fault", "hang=accept"]
                backends += processes.start(command, cpus[-1], announces=1)[1]
            file = processes.directory / "sluice.json"
            file.write_text(json.dumps(config(backends, nobody.getsockname()[1], options.deadline)))
            port = free_port()
            gateway, _ = processes.start([str(options.bin / "sluice"), "serve", str(file), "--listen",
                                          f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}", "--threads",
                                          str(options.threads)], cpus[0])
            processes.await_port(gateway, port)
            for number, case in enumerate(CASES):
                print(f"{case.name} ...", file=sys.stderr)
                rows.append(run_case(options, port, number, cpus))
            if options.load_seconds > 0:
                print("half of saturation ...", file=sys.stderr)
                half = run_at_half(options, port, cpus)
    except (StartError, OSError) as error:
        print(f"deadlines: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"deadline_ms": options.deadline, "grace_ms": GRACE_MS, "rows": rows, "half": half}))
    else:
        print_table(rows, half, options.deadline)
    if options.page:
        pages.write_section("deadlines", page_section(rows, half, options))
    return 1 if any(row["problem"] for row in rows + ([half] if half else [])) else 0


if __name__ == "__main__":
    sys.exit(main())
