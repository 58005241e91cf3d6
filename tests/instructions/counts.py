#!/usr/bin/env python3
"""Instructions that whole requests and the pieces of their path take, counted by callgrind, compared with counts.json.

Fails when a count has grown by more than 5 %: then either the change is to be made cheaper, or counts.json, whose history
tells how the cost came about, is to be changed with it (--write). Counts depend on the compiler and the libraries, so
they are kept by machine; on one that is not in the file nothing is compared.
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
COUNTS = HERE / "counts.json"
sys.path.insert(0, str(HERE.parent.parent / "loadtest"))
from processes import Processes, free_port  # noqa: E402

SKIPPED = 77
GROWTH = 1.05
WARM, MANY = 50, 250  # requests of the two runs; start-up and the first connections are in both
CASES = {"merge of 3, 200 B": (3, 200, "merge"), "merge of 3, 64 KiB": (3, 65536, "merge"),
         "merge of 10, 200 B": (10, 200, "merge"), "proxy, 200 B": (1, 200, "proxy")}


def endpoint(strategy: str, backends: int) -> dict[str, Any]:
    calls = [{"name": f"part{i}", "backend": f"part{i}", "path": f"/part/{i}"} for i in range(backends)]
    return {"path": "/", "deadline": "60s", "strategy": strategy, "calls": calls}


def total(out: pathlib.Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError("callgrind gave no total")
    return int(found[1])


def load(binaries: pathlib.Path, port: int, requests: int) -> bool:
    """Whether all of so many requests, one at a time, had good replies."""
    command = [str(binaries / "sluice-load"), f"http://127.0.0.1:{port}/", "--connections", "1", "--requests",
               str(requests), "--timeout", "60s"]
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def instructions(binaries: pathlib.Path, backends: int, size: int, strategy: str, requests: int) -> int:
    """Of a whole run with so many requests, one at a time."""
    with Processes() as processes:
        listen = ["--listen", "127.0.0.1:0"] * backends
        _, addresses = processes.start([str(binaries / "sluice-cheap-backend"), "--size", str(size), *listen], 0,
                                       announces=backends)
        port = free_port()
        config = processes.directory / "sluice.json"
        config.write_text(json.dumps({
            "version": 1,
            "backends": {f"part{i}": {"servers": [f"http://{addresses[i]}"]} for i in range(backends)},
            "endpoints": [endpoint(strategy, backends)],
        }))
        out = processes.directory / "callgrind.out"
        gateway, _ = processes.start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                                      str(binaries / "sluice"), "serve", str(config), "--listen", f"127.0.0.1:{port}",
                                      "--admin", f"127.0.0.1:{free_port()}", "--threads", "1"], 0)
        processes.await_port(gateway, port, 60)
        # Somebody listens before requests are served, and lets go of who has come too early.
        if not any(load(binaries, port, 1) for _ in range(20)):
            raise ValueError("the gateway does not reply")
        if not load(binaries, port, requests):
            raise ValueError("not all replies are good")
        gateway.send_signal(signal.SIGTERM)
        gateway.wait(60)
        return total(out)


def instructions_of_piece(binaries: pathlib.Path, piece: str, rounds: int) -> int:
    with Processes() as processes:
        out = processes.directory / "callgrind.out"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(binaries / "gateway_pieces"),
                        piece, str(rounds)], check=True, stderr=subprocess.DEVNULL)
        return total(out)


def measure_pieces(binaries: pathlib.Path) -> dict[str, int]:
    """Each once it is warm."""
    counts = {}
    pieces = subprocess.run([str(binaries / "gateway_pieces")], check=True, capture_output=True, text=True).stdout
    for piece in pieces.splitlines():
        few, many = (instructions_of_piece(binaries, piece, rounds) for rounds in (WARM, MANY))
        counts[piece] = round((many - few) / (MANY - WARM))
        print(f"{piece}: {counts[piece]}", flush=True)
    return counts


def measure(binaries: pathlib.Path) -> dict[str, int]:
    counts = measure_pieces(binaries)
    for name, (backends, size, strategy) in CASES.items():
        few, many = (instructions(binaries, backends, size, strategy, requests) for requests in (WARM, MANY))
        counts[name] = round((many - few) / (MANY - WARM))
        print(f"{name}: {counts[name]}", flush=True)
    return counts


def grown(counts: dict[str, int], known: dict[str, int]) -> list[str]:
    """What to object to."""
    return [f"{name}: {count} instructions, {count / known[name] - 1:.1%} more than the {known[name]} of counts.json"
            for name, count in counts.items() if name in known and count > known[name] * GROWTH]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="where the programs are")
    parser.add_argument("--machine", default="", help="distribution, compiler and what else counts depend on")
    parser.add_argument("--count", action="store_true", help="only count, and print that")
    parser.add_argument("--write", action="store_true", help="keep what is counted in counts.json")
    options = parser.parse_args()
    if grown({"x": 106}, {"x": 100}) == [] or grown({"x": 104}, {"x": 100}) != []:
        raise AssertionError("the comparison cannot fail")
    if options.count:
        measure(options.bin)
        return 0
    kept = json.loads(COUNTS.read_text())
    if not options.write and options.machine not in kept:
        print(f"counts.json has none of {options.machine}")
        return SKIPPED
    if shutil.which("valgrind") is None:
        print("valgrind is not installed")
        return SKIPPED
    counts = measure(options.bin)
    if options.write:
        kept[options.machine] = counts
        COUNTS.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
        return 0
    problems = grown(counts, kept[options.machine])
    print("\n".join(problems) or "nothing to object to")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
