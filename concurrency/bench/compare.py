#!/usr/bin/env python3
"""Runs the benchmarks of concurrency/ and the same in Go in turns, and prints one table.

`compare.py [--rounds N] [--time SECONDS] [--go PROGRAM] [--filter REGEX] CONCURRENCY_BENCH`

Rows on one thread are pinned to one core (GOMAXPROCS=1) and give CPU time, so that other work on the machine counts
little; rows across threads give wall time. The ratio is ours to Go's within one round, the median of all rounds.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# The row, ours, Go's; the same name stands for both. In the order of the table.
ROWS = [
    ("channel, unbuffered: ping-pong of two coroutines", "ChannelPingPong"),
    ("channel, buffered: one way", "ChannelStream"),
    ("channel, buffered: send, receive", "ChannelSendReceive"),
    ("the same under a context (Go: select with Done)", "ChannelSendReceiveContext"),
    ("channel: try_send, try_receive", "ChannelTry"),
    ("select of two, both ready", "SelectReady"),
    ("select of three that parks, ping-pong", "SelectParking"),
    ("select with default", "SelectDefault"),
    ("mutex: lock, unlock", "MutexUncontended"),
    ("mutex: hand-over to who waits (Go: channel of one)", "MutexHandOver"),
    ("rwlock: rlock, runlock", "RwLockRead"),
    ("semaphore: acquire, release", "Semaphore"),
    ("wait group: add, done, wait", "WaitGroup"),
    ("once, done: is_done (Go: Do)", "OnceDone"),
    ("once, done: call under a context (Go: closed channel, Done)", "OnceDoneContext"),
    ("context: with_cancel, cancel", "ContextCancel"),
    ("context: with_timeout, cancel", "ContextTimeout"),
    ("context: value at depth 5", "ContextValueDepth5"),
    ("errgroup of 3 tasks", "ErrGroup3"),
    ("spawn a task, wait for it (ours: a group)", "SpawnAndWait"),
    ("timer: reset, stop", "TimerArmCancel"),
    ("singleflight, alone, under a context (Go: DoChan, Done)", "SingleFlight"),
    ("snapshot: read (Go: atomic.Value)", "SnapshotRead"),
    ("map of 1024: read (Go: sync.Map)", "CowMapRead"),
    ("map of 1024: write (Go: sync.Map)", "CowMapWrite"),
    ("map of 1024: publish a version (Go: copy)", "CowMapWriteVersion"),
    ("pool: get, put", "PoolGetPut"),
    ("two threads: ping-pong", "ThreadsPingPong"),
    ("two threads: buffered stream", "ThreadsStream"),
    ("two threads: contended mutex", "ThreadsMutex"),
    ("two threads: contended thin mutex", "ThreadsThinMutex", "ThreadsMutex"),
    ("two threads: snapshot read beside a writer", "ThreadsSnapshotRead"),
]


def build_go(go, directory):
    """The test binary. Debian's packages of x/sync are found as GOPATH finds them."""
    source = pathlib.Path(directory, "src", "bench")
    source.parent.mkdir()
    source.symlink_to(HERE / "go")
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": f"{directory}:/usr/share/gocode", "GOFLAGS": ""}
    env |= {"GOCACHE": f"{directory}/cache", "GOTOOLCHAIN": "local"}
    binary = f"{directory}/go-bench"
    subprocess.run([go, "test", "-c", "-o", binary, "."], cwd=source, env=env, check=True)
    return binary


def pinned(threads):
    return [] if threads else ["taskset", "-c", str(max(os.sched_getaffinity(0)))]


def run_ours(binary, seconds, name, threads):
    command = [*pinned(threads), binary, "--benchmark_format=json", f"--benchmark_min_time={seconds}"]
    found = subprocess.run([*command, f"--benchmark_filter=^{name}(/|$)"], capture_output=True, text=True, check=True)
    result = json.loads(found.stdout)["benchmarks"][0]
    return result["real_time" if threads else "cpu_time"], result["allocs"]


def run_go(binary, seconds, name, threads):
    command = [*pinned(threads), binary, "-test.run=^$", f"-test.bench=^Benchmark{name}$", "-test.benchmem"]
    env = os.environ if threads else {**os.environ, "GOMAXPROCS": "1"}
    found = subprocess.run([*command, f"-test.benchtime={seconds}s"], capture_output=True, text=True, check=True, env=env)
    unit = "ns/op" if threads else "cpu-ns/op"
    value = re.search(rf"([\d.]+) {unit}", found.stdout)
    allocs = re.search(r"(\d+) allocs/op", found.stdout)
    return float(value[1]), float(allocs[1])


def number(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--time", type=float, default=0.1, help="seconds a row and round")
    parser.add_argument("--go", default="/usr/bin/go")
    parser.add_argument("--filter", default="", help="only rows whose names match")
    parser.add_argument("program", help="concurrency_bench")
    arguments = parser.parse_args()

    version = subprocess.run([arguments.go, "version"], capture_output=True, text=True, check=True).stdout
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = re.search(r"model name\s*: (.*)", info.read())
    print(f"{cpu[1] if cpu else 'unknown processor'}, {os.cpu_count()} cores; {version.strip()}; {arguments.rounds} rounds\n")
    print("| row | Go ns/op | ours ns/op | ours / Go (min–max) | Go allocs/op | ours allocs/op |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as directory:
        go_binary = build_go(arguments.go, directory)
        for title, name, *other in ROWS:
            if not re.search(arguments.filter, name):
                continue
            threads = name.startswith("Threads")
            go, ours = [], []
            for _ in range(arguments.rounds):
                go.append(run_go(go_binary, arguments.time, other[0] if other else name, threads))
                ours.append(run_ours(arguments.program, arguments.time, name, threads))
            ratios = [our[0] / their[0] for our, their in zip(ours, go)]
            middle = [number(statistics.median(r[0] for r in side)) for side in (go, ours)]
            allocs = [f"{statistics.median(r[1] for r in side):.2f}".rstrip("0").rstrip(".") for side in (go, ours)]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            print(f"| {title} | {middle[0]} | {middle[1]} | {ratio} | {allocs[0]} | {allocs[1]} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
