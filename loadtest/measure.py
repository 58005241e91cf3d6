"""One round of load on one gateway: CPU per request, rate, latencies."""

import dataclasses
import http.client
import json
import pathlib
import statistics
import subprocess
from typing import Any

from processes import StartError, cpu_ns, family


class MeasureError(StartError):
    """A round in which something was not as expected; the text says what."""


@dataclasses.dataclass
class Sample:
    """What one round gave."""

    cpu_us: float  # of the gateway, per reply, those of a warm-up included
    rate: float  # replies per second
    good_rate: float  # and of those as expected
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    busy: float  # share of one CPU that the gateway used
    errors: int
    remarks: list[str]
    report: dict[str, Any]


@dataclasses.dataclass
class Results:
    """What was measured; `cells` by backends and bytes of each body, then by peer: a sample a round."""

    cells: dict[tuple[int, int], dict[str, list[Sample]]] = dataclasses.field(default_factory=dict)
    latency: dict[tuple[int, int], dict[str, list[Sample]]] = dataclasses.field(default_factory=dict)
    latency_rate: dict[tuple[int, int], int] = dataclasses.field(default_factory=dict)
    overload: dict[str, dict[int, Sample]] = dataclasses.field(default_factory=dict)
    faults: dict[str, dict[str, Sample]] = dataclasses.field(default_factory=dict)
    failed: list[str] = dataclasses.field(default_factory=list)  # what fell out of which cell, and why
    absent: dict[str, str] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)


def measure(binaries: pathlib.Path, cpu: int | str, url: str, pid: int, *options: str, may_fail: bool = False) -> Sample:
    """Runs sluice-load with `options` on `cpu` while the CPU time of `pid` and its children is taken."""
    command = ["taskset", "-c", str(cpu), str(binaries / "sluice-load"), url, "--json", "-", *options]
    pids = family(pid)
    before = cpu_ns(pids)
    run = subprocess.run(command, text=True, capture_output=True)
    used = cpu_ns(pids) - before
    if not run.stdout:
        raise MeasureError(run.stderr.strip())
    report: dict[str, Any] = json.loads(run.stdout)
    if run.returncode != 0 and not may_fail:
        raise MeasureError("; ".join([*report["failed"], report["first_problem"]]))
    latency, elapsed = report["latency_us"], max(report["elapsed_s"], 1e-9)
    replies = sum(phase["replies"] for phase in report["phases"])
    return Sample(used / 1e3 / max(1, replies), report["rate"], report["good"] / elapsed, latency["p50"], latency["p99"],
                  latency["p99.9"], latency["max"], used / 1e9 / max(report["run_s"], 1e-9),
                  sum(report["errors"].values()), report["remarks"], report)


def fetch(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise StartError(f"port {port}, {path}: status {reply.status}: {body[:200]!r}")
        return body
    finally:
        connection.close()


def median(values: list[float]) -> float:
    return statistics.median(values)


def digits(value: float) -> str:
    """Three significant digits, never in exponents."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values: list[float]) -> str:
    """`median (min–max)`."""
    return f"{digits(median(values))} ({digits(min(values))}–{digits(max(values))})"
