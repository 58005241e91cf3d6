#!/usr/bin/env python3
"""Commands, exit codes, signals and reload of `sluice`, and of `sluice-backend`, as real processes."""

import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

BIN = pathlib.Path(sys.argv.pop(1))


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN / arguments[0]), *arguments[1:]], capture_output=True, text=True, timeout=60)


class Process:
    """A program that says in its output where it listens."""

    def __init__(self, *arguments: str, stream: str):
        self.process = subprocess.Popen(
            [str(BIN / arguments[0]), *arguments[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.stream = getattr(self.process, stream)

    def wait_for(self, pattern: str) -> str:
        for line in self.stream:
            found = re.search(pattern, line)
            if found:
                return found.group(1)
        raise AssertionError(f"{self.process.args} ended without {pattern!r}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


def get(address: str, target: str, method: str = "GET"):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request(method, target)
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return reply, body


def config(backend: str, **endpoint) -> dict:
    return {
        "version": 1,
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "threads": 2,
        "backends": {"users": {"servers": [f"http://{backend}"]}},
        "endpoints": [
            {
                "path": "/user/{id}",
                "calls": [{"name": "user", "backend": "users", "path": "/users/{id}"}],
                **endpoint,
            }
        ],
    }


class Commands(unittest.TestCase):
    def test_help_and_version_succeed(self):
        for program in ("sluice", "sluice-backend", "sluice-load"):
            self.assertEqual(run(program, "--help").returncode, 0, program)
            self.assertRegex(run(program, "--version").stdout, r"\d+\.\d+\.\d+")

    def test_bad_usage_is_2_and_says_what_is_wrong(self):
        for arguments in (
            [],
            ["fly"],
            ["check"],
            ["serve", "a", "b"],
            ["serve", "a", "--threads", "x"],
            ["serve", "a", "--listen", "x"],
            ["demo", "--twice"],
            ["schema", "x"],
            ["explain"],
            ["explain", "a", "b", "c"],
            ["explain", "a", "--admin", "x"],
        ):
            done = run("sluice", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, arguments)

    def test_check_names_the_place_of_a_mistake(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "bad.json"
            file.write_text('{\n  "version": 1,\n  "endpionts": []\n}\n')
            done = run("sluice", "check", str(file))
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{file}:3:3: /endpionts: ", done.stderr)
            self.assertIn('"endpoints"', done.stderr)
            problems = json.loads(run("sluice", "check", str(file), "--json").stdout)
            self.assertIn((3, "/endpionts"), [(problem["line"], problem["pointer"]) for problem in problems])
            self.assertEqual(run("sluice", "serve", str(file)).returncode, 1)

    def test_check_takes_ten_thousand_endpoints(self):
        large = config("192.0.2.1:1")
        (endpoint,) = large["endpoints"]
        large["endpoints"] = [{**endpoint, "path": f"/area{i % 100}/thing{i}/{{id}}"} for i in range(10_000)]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "large.json"
            file.write_text(json.dumps(large))
            self.assertEqual(run("sluice", "check", str(file)).returncode, 0)

    def test_explain_says_what_a_client_gets(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "sluice.json"
            file.write_text(json.dumps(config("192.0.2.1:1")))
            text = run("sluice", "explain", str(file), "/user/{id}")
            self.assertEqual(text.returncode, 0, text.stderr)
            self.assertIn("504 failed", text.stdout)
            self.assertLessEqual(max(map(len, text.stdout.splitlines())), 100)
            (endpoint,) = json.loads(run("sluice", "explain", str(file), "--json").stdout)["endpoints"]
            self.assertEqual(
                [(scene["backend"], scene["state"], scene["status"]) for scene in endpoint["scenes"]],
                [(None, "well", 200), ("users", "down", 502), ("users", "slow", 504)],
            )
            unknown = run("sluice", "explain", str(file), "/usr/{id}")
            self.assertEqual(unknown.returncode, 2)
            self.assertIn('did you mean "/user/{id}"?', unknown.stderr)
            file.write_text("{}")
            self.assertEqual(run("sluice", "explain", str(file)).stderr, run("sluice", "check", str(file)).stderr)

    def test_schema_is_json(self):
        self.assertIn("$schema", json.loads(run("sluice", "schema").stdout))


class Serving(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = pathlib.Path(self.folder.name) / "sluice.json"
        self.backend = Process("sluice-backend", "--listen", "127.0.0.1:0", stream="stdout")
        self.addCleanup(self.stop, self.backend)
        self.users = self.backend.wait_for(r"listening on (\S+)")

    def stop(self, process: Process):
        if process.process.poll() is None:
            process.end(signal.SIGKILL)
        process.process.stdout.close()
        process.process.stderr.close()

    def serve(self, settings: dict) -> Process:
        self.file.write_text(json.dumps(settings))
        process = Process("sluice", "serve", str(self.file), stream="stderr")
        self.addCleanup(self.stop, process)
        self.address = process.wait_for(r"listening on (\S+)")
        self.admin = process.wait_for(r"admin port on (\S+)")
        return process

    def test_serves_and_ends_with_0_on_sigterm(self):
        gateway = self.serve(config(self.users))
        reply, body = get(self.address, "/user/7")
        self.assertEqual((reply.status, json.loads(body)["user"]["id"]), (200, 7))
        self.assertEqual(reply.getheader("Sluice-Result"), "complete")
        self.assertEqual(get(self.admin, "/readyz")[0].status, 200)
        self.assertEqual(run("sluice", "healthcheck", f"http://{self.admin}/readyz").returncode, 0)
        self.assertIn("sluice_requests_total", get(self.admin, "/metrics")[1])
        self.assertEqual(gateway.end(), 0)
        self.assertEqual(run("sluice", "healthcheck", f"http://{self.admin}/readyz").returncode, 1)

    def test_a_reload_swaps_the_configuration_and_a_bad_file_changes_nothing(self):
        gateway = self.serve(config(self.users))
        self.assertEqual(get(self.address, "/user/7")[0].status, 200)
        self.file.write_text("{")
        reply, body = get(self.admin, "/-/reload", "POST")
        self.assertEqual(reply.status, 422)
        self.assertIn(f"{self.file}:1:", body)
        self.assertEqual(get(self.address, "/user/7")[0].status, 200)
        self.file.write_text(json.dumps(config(self.users, path="/person/{id}")))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for(r"(reload: done)")
        self.assertEqual(get(self.address, "/person/7")[0].status, 200)
        self.assertEqual(get(self.address, "/user/7")[0].status, 404)
        metrics = get(self.admin, "/metrics")[1]
        self.assertIn('sluice_config_reloads_total{result="success"} 1', metrics)
        self.assertIn('sluice_config_reloads_total{result="failure"} 1', metrics)

    def test_a_second_gateway_on_the_address_is_an_error(self):
        self.serve(config(self.users))
        done = run("sluice", "serve", str(self.file), "--listen", self.address)
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.address, done.stderr)

    def test_the_access_log_has_a_json_line_for_each_request(self):
        gateway = self.serve(config(self.users))
        get(self.address, "/user/7")
        get(self.address, "/nowhere")
        gateway.process.send_signal(signal.SIGTERM)
        out, _ = gateway.process.communicate(timeout=60)
        lines = {line["status"]: line for line in map(json.loads, out.splitlines())}  # two workers: in either order
        self.assertEqual(sorted(lines), [200, 404])
        self.assertEqual(lines[200]["calls"][0]["outcome"], "fresh")


class CacheFile(unittest.TestCase):
    """What survives a restart, a kill, and a place that cannot be written."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = pathlib.Path(self.folder.name) / "sluice.json"
        self.cache = pathlib.Path(self.folder.name) / "cache"

    def stop(self, process: Process):
        if process.process.poll() is None:
            process.end(signal.SIGKILL)
        process.process.stdout.close()
        process.process.stderr.close()

    def backend(self, *faults: str) -> Process:
        flags = [word for fault in faults for word in ("--fault", fault)]
        process = Process("sluice-backend", "--listen", "127.0.0.1:0", *flags, stream="stdout")
        self.addCleanup(self.stop, process)
        self.users = process.wait_for(r"listening on (\S+)")
        return process

    def serve(self, says: str, **settings) -> str:
        """Starts a gateway with a cache_file, and returns what its log has to `says`."""
        whole = config(self.users) | {"cache_file": str(self.cache), "access_log": "off"} | settings
        whole["endpoints"][0]["calls"][0]["cache"] = {"stale_if_error": "1h"}
        self.file.write_text(json.dumps(whole))
        self.gateway = Process("sluice", "serve", str(self.file), stream="stderr")
        self.addCleanup(self.stop, self.gateway)
        said = self.gateway.wait_for(says)
        self.address = self.gateway.wait_for(r"listening on (\S+)")
        self.admin = self.gateway.wait_for(r"admin port on (\S+)")
        return said

    def writes(self, result: str) -> int:
        line = rf'^sluice_cache_file_writes_total{{result="{result}"}} (\d+)$'
        return int(re.search(line, get(self.admin, "/metrics")[1], re.MULTILINE).group(1))

    def test_a_restart_in_an_outage_still_serves_stored_data_whose_age_goes_on(self):
        backend = self.backend("header=Age:100")
        self.serve("(not there yet)")
        fresh = get(self.address, "/user/7")[1]
        self.assertEqual(self.gateway.end(), 0)
        backend.end(signal.SIGKILL)
        for _ in range(2):  # what was only read is written again
            self.assertEqual(self.serve(r"cache_file .*: (.*) read"), "1 entries")
            reply, body = get(self.address, "/user/7")
            self.assertEqual((reply.status, body), (200, fresh))
            self.assertEqual(reply.getheader("Sluice-Result"), "degraded")
            outcome = re.fullmatch(r"user=stale;ms=\d+;age=(\d+);reason=connect", reply.getheader("Sluice-Calls"))
            self.assertGreaterEqual(int(outcome.group(1)), 100)
            self.assertEqual(self.gateway.end(), 0)

    def test_what_was_purged_does_not_come_back_after_a_kill(self):
        self.backend()
        self.serve("(not there yet)", cache_flush="1d")
        get(self.address, "/user/1")
        for query in ("?prefix=/users", "?bakend=users", "?backend=users&prefx=/", "?backend=", "?backend"):
            self.assertEqual(get(self.admin, "/api/v1/cache" + query, "DELETE")[0].status, 400, query)
        seen = 0
        for prefix, removed in (("/users/%2531", 0), ("%2Fusers/%31", 1)):  # decoded once
            answer = get(self.admin, "/api/v1/cache?backend=users&prefix=" + prefix, "DELETE")[1]
            self.assertEqual(answer, f'{{"removed":{removed}}}\n')
            seen += 1
            while self.writes("success") < seen:
                pass
        self.gateway.end(signal.SIGKILL)
        self.assertEqual(self.serve(r"cache_file \S*: (.*)"), "0 entries read")

    def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_file(self):
        self.backend("bytes=100000")
        self.serve("(not there yet)", cache_flush="100ms")
        for user in range(300):
            self.assertEqual(get(self.address, f"/user/{user}")[0].status, 200)
        seen = self.writes("success")
        while self.writes("success") < seen + 2:  # a write that began after the last request is over
            self.assertEqual(self.writes("failure"), 0)
        for _ in range(5):
            while not self.cache.with_name("cache.tmp").exists():
                self.assertIsNone(self.gateway.process.poll())
            self.assertEqual(self.gateway.end(signal.SIGKILL), -signal.SIGKILL)
            self.assertEqual(self.serve(r"cache_file \S*: (.*)", cache_flush="100ms"), "300 entries read")

    def test_a_second_signal_leaves_the_file_of_before(self):
        self.backend("hang=head")
        self.serve("(not there yet)", drain_delay="1h")
        self.gateway.process.send_signal(signal.SIGTERM)
        self.gateway.wait_for("(draining)")
        self.assertEqual(self.gateway.end(), 128 + signal.SIGTERM)
        self.assertFalse(self.cache.exists())

    def test_a_place_that_cannot_be_written_is_logged_and_counted_and_nothing_else(self):
        self.backend()
        self.cache = self.file / "cache"  # a file is no folder
        self.serve("error (cache_file .*): starting with nothing stored", cache_flush="100ms")
        while self.writes("failure") < 3:
            self.assertEqual(get(self.address, "/user/7")[0].status, 200)
        self.gateway.process.send_signal(signal.SIGTERM)
        _, log = self.gateway.process.communicate(timeout=60)
        self.assertEqual(self.gateway.process.returncode, 0)
        self.assertEqual(len(re.findall("error cache_file .*: Not a directory", log)), 1, log)

    def test_a_file_of_somebody_else_is_left_alone(self):
        self.backend()
        self.cache.write_text("a letter")
        self.serve("error (cache_file .* is not a cache of sluice): starting with nothing stored")
        self.assertEqual(get(self.address, "/user/7")[0].status, 200)
        self.assertEqual(self.gateway.end(), 0)
        self.assertEqual(self.cache.read_text(), "a letter")

    def test_a_new_place_takes_effect_after_a_restart(self):
        self.backend()
        self.serve("(not there yet)")
        whole = json.loads(self.file.read_text()) | {"cache_file": str(self.cache) + "2"}
        self.file.write_text(json.dumps(whole))
        self.gateway.process.send_signal(signal.SIGHUP)
        self.gateway.wait_for('(a new "cache_file" takes effect after a restart)')
        self.gateway.wait_for("(reload: done)")
        self.assertEqual(self.gateway.end(), 0)
        self.assertTrue(self.cache.exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
