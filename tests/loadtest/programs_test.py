"""The load test programs as they are used: `programs_test.py DIRECTORY_OF_PROGRAMS`. Real processes on free ports."""

import argparse
import dataclasses
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import xml.dom.minidom

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "loadtest"))
import chaos_judge
import compare_page
import pages
from measure import Results, Sample
from processes import Processes

BINARIES = pathlib.Path(sys.argv.pop())


def load(*arguments):
    return subprocess.run([BINARIES / "sluice-load", *arguments], text=True, capture_output=True, timeout=60)


def get(address, path="/"):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


class Programs(unittest.TestCase):
    def setUp(self):
        self.processes = Processes()
        self.addCleanup(self.processes.__exit__, None, None, None)

    def start(self, name, *arguments, announces=1):
        cpu = sorted(os.sched_getaffinity(0))[0]
        return self.processes.start([str(BINARIES / name), *arguments], cpu, announces=announces)[1]

    def test_the_floor_merges_what_all_backends_say_whatever_their_number_and_size(self):
        for size in (200, 70_000):
            backends = self.start("sluice-cheap-backend", "--size", str(size), *["--listen", "127.0.0.1:0"] * 10, announces=10)
            body = json.loads(get(backends[0])[1])
            for count in (1, 3, 10):
                calls = [f"part{i}={address}/x" for i, address in enumerate(backends[:count])]
                floor = self.start("sluice-floor", *calls)[0]
                status, merged = get(floor)
                self.assertEqual(status, 200)
                self.assertEqual(json.loads(merged), {f"part{i}": body for i in range(count)})
                run = load(f"http://{floor}/", "--requests", "200", "--connections", "20", "--expect-json", "--json", "-")
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                report = json.loads(run.stdout)
                self.assertEqual((report["sent"], report["good"]), (200, 200))
                self.assertEqual(report["body_bytes"], 200 * len(merged))

    def test_a_scenario_is_run_reported_and_judged(self):
        backend = self.start("sluice-cheap-backend", "--size", "200")[0]
        with tempfile.TemporaryDirectory() as folder:
            scenario, page, figures = (pathlib.Path(folder) / name for name in ("s.json", "r.html", "r.json"))
            scenario.write_text(json.dumps({
                "name": "two phases", "target": "http://127.0.0.1:1",
                "requests": [{"path": "/{n}", "weight": 3}, {"name": "post", "method": "POST", "path": "/", "body": {"a": 1}}],
                "phases": [{"name": "a", "duration": "100ms", "rate": 500}, {"name": "b", "duration": "100ms", "rate": 1000}],
                "limits": {"max": "30s"}}))
            run = load("--scenario", str(scenario), f"http://{backend}", "--html", str(page), "--json", str(figures))
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            report = json.loads(figures.read_text())
            self.assertEqual([phase["good"] for phase in report["phases"]], [50, 100])
            self.assertEqual(sum(request["good"] for request in report["requests"]), 150)
            self.assertIn("two phases", page.read_text())
            scenario.write_text(scenario.read_text().replace("30s", "1ns"))
            run = load("--scenario", str(scenario), f"http://{backend}")
            self.assertEqual(run.returncode, 1)
            self.assertIn("FAILED the longest latency is", run.stdout)
            scenario.write_text('{\n  "target": 3\n}')
            run = load("--scenario", str(scenario))
            self.assertEqual(run.returncode, 2)
            self.assertIn(f"{scenario}:2:13: /target: expected a string, got 3", run.stderr)

    def test_a_reply_that_belongs_to_another_request_is_noticed(self):
        backend = self.start("sluice-cheap-backend", "--size", "200")[0]
        for check in (["--expect-text", "\"n\":{n}"], ["--expect-request-id"]):
            run = load(f"http://{backend}/", "--requests", "5", *check)
            self.assertEqual(run.returncode, 1)
            self.assertIn("FAILED 5 errors (100 %), at most 0 allowed", run.stdout)


class ChaosJudge(unittest.TestCase):
    """Requests r0 (at 100 s) and r1 (at 103 s): r1 gets what r0 brought for `a`, as a backend fails, the rest anew."""

    def faults(self, user="", **changes):
        judge = chaos_judge.Judge()
        judge.is_warm, judge.purged = True, changes.pop("purged", None)
        judge.sent = {"r0": 100.0, "r1": 103.0}
        calls = changes.pop("calls", "a=stale;ms=400;age=3;reason=timeout, b=fresh;ms=2, c=fallback;ms=1;reason=connect")
        parts = {name: {"target": f"/echo?k={name}7", "headers": [["X-Request-Id", source], *([["X-User", user]] if user else [])]}
                 for name, source in (("a", "r0"), ("b", "r1"))}
        parts.update({"c": [], **changes.pop("parts", {})})
        headers = {"sluice-result": "degraded", "sluice-calls": calls, "cache-control": "no-store", "age": "3"}
        headers.update(changes.pop("headers", {}))
        reply = chaos_judge.Reply("merge", 7, "", "r1", 103.0, 103.4, changes.pop("status", 200), headers,
                                  json.dumps(parts).encode())
        return ", ".join(judge.faults(reply))

    def test_a_true_reply_is_without_fault(self):
        self.assertEqual(self.faults(), "")

    def test_what_is_not_true_is_named(self):
        other = {"target": "/echo?k=a8", "headers": [["X-Request-Id", "r0"]]}
        said = "a=stale;ms=400;age=%s;reason=timeout, b=fresh;ms=2, c=fallback;ms=1"
        for expected, fault in (
            ("age 0, but it is", self.faults(calls=said % 0, headers={"age": "0"})),
            ("age 9, but it is", self.faults(calls=said % 9, headers={"age": "9"})),
            ("Age is not 3", self.faults(headers={"age": "2"})),
            ("served beyond 3601 s", self.faults(calls=said % 3700, headers={"age": "3700"})),
            ("served beyond 3 s", self.faults(calls="a=cached;age=4, b=fresh, c=fallback", headers={"age": "4"})),
            ("fresh, but 2.6 s old", self.faults(calls="a=fresh;ms=1, b=fresh;ms=2, c=fallback;ms=1")),
            ("older than the purge", self.faults(purged=(102.0, 102.5))),
            ("the answer to /echo?k=a8", self.faults(parts={"a": other})),
            ("the answer to a request 'r9'", self.faults(parts={"a": {**other, "headers": [["X-Request-Id", "r9"]]}})),
            ("the data of 'u1'", self.faults(user="u1")),
            ("not the fallback", self.faults(parts={"c": [1]})),
            ("the body has", self.faults(parts={"d": []})),
            ("the result is not degraded", self.faults(headers={"sluice-result": "complete"})),
            ("yet no no-store", self.faults(headers={"cache-control": "max-age=5"})),
            ("although it is stored", self.faults(calls="a=missing;ms=1, b=fresh;ms=2, c=missing;ms=1", status=502,
                                                  headers={"sluice-result": "failed"})),
            ("the calls are not", self.faults(calls="a=stale;age=3, c=fallback")),
        ):
            with self.subTest(expected):
                self.assertIn(expected, fault)


class Pages(unittest.TestCase):
    def test_a_section_is_written_anew_and_the_rest_of_the_page_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            pages.PAGE = pathlib.Path(folder) / "page.md"
            pages.PAGE.write_text("# Title\n\nBy hand.\n")
            pages.write_section("a", "old \\1")
            pages.write_section("b", "other")
            pages.write_section("a", "new \\g<0>")
            text = pages.PAGE.read_text()
            self.assertIn("# Title\n\nBy hand.\n", text)
            self.assertEqual((text.count("new \\g<0>"), text.count("other"), text.count("old")), (1, 1, 0))

    def test_the_comparison_names_every_cell_in_which_a_peer_is_cheaper(self):
        def sample(cpu_us):
            report = {"sent": 10, "good": 10, "replies": 10, "errors": {"unsent": 0}}
            return Sample(cpu_us, 1000, 1000, 500, 900, 950, 990, 0.5, 0, [], report)

        results = Results()
        results.cells[3, 4096] = {"floor": [sample(10), sample(20)], "sluice": [sample(14), sample(28)],
                                  "nginx+Lua raw": [sample(13), sample(26)], "Go maps": [sample(90), sample(200)]}
        results.latency[3, 4096] = {"floor": [sample(10)], "sluice": [sample(14)]}
        results.latency_rate[3, 4096] = 1000
        results.cells[10, 4096] = {"floor": [sample(10)], "sluice": [dataclasses.replace(sample(14), rate=2000)]}
        results.overload = {"sluice": {2: sample(14), 4: sample(14)}}
        results.faults = {"hangs": {"sluice": sample(14)}}
        results.absent = {"KrakenD": "not there"}
        options = argparse.Namespace(sizes=[4096], backends=[3], rounds=2, unit=1, connections=64, began=time.monotonic())
        with tempfile.TemporaryDirectory() as folder:
            pages.PLOTS = pathlib.Path(folder)
            images = compare_page.plots(results, [3], [4096])
            for plot in ("cpu.svg", "latency.svg"):
                xml.dom.minidom.parse(str(pages.PLOTS / plot))
        text = compare_page.section(results, options, images)
        self.assertIn("| sluice | validates | 21.0 (14.0–28.0) | 1.40 (1.40–1.40) | 50% |", text)
        self.assertIn("- nginx+Lua raw (concatenates, unchecked): 1.08 times at N = 3, 4 KiB\n", text)
        self.assertNotIn("- Go maps", text)
        self.assertIn("| sluice | 2000 | 50% |", text)
        self.assertIn("Absent: KrakenD (not there).", text)


if __name__ == "__main__":
    unittest.main(verbosity=1)
