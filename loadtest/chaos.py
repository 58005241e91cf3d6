#!/usr/bin/env python3
"""Whether every reply is there, right, in time and true while three backends are killed, frozen, restarted and broken.

Clients ask a gateway for endpoints of all strategies (chaos_judge.py), some of them hang up early; meanwhile, one scene
after the other,

  faults   backends hang, drip, break off, send garbage, errors or too much, are killed or frozen; the gateway reloads
  flap     they come and go several times a second
  purge    as faults, and the store is purged: nothing older may come back
  restart  the gateway is killed, or ended, while all backends are gone: cache_file has the stale data

A reply must have the right data of the right user, as old as it says and within its windows, and come by its deadline
plus 5 ms and what the machine was late by itself; its headers, the access log and the metrics must agree. What is stored
must never be missing from one.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import re
import signal
import sys
import time
from typing import Any

from chaos_judge import ENDPOINTS, IDS, USERS, Judge, Reply, deadline, outcomes_of
from processes import ROOT, Processes, StartError, free_port

GRACE_MS = 5.0
CLIENTS = 16
ASKED = ["merge", "merge", "first", "quorum", "users", "short", "dependent", "each", "proxy", "proxy"]
FAULTS = [
    "hang=accept", "hang=header", "hang=head", "hang=body", "drip_ms=30;drip_bytes=1;drip_from=body",
    "drip_ms=20;drip_bytes=1;drip_from=head", "reset=header", "reset=body", "reset=accept", "close=body", "garbage=head",
    "garbage=body", "not_json=1", "endless=1", "wrong_length=+10", "wrong_length=-10", "status=500", "status=503",
    "error_rate=0.5", "latency_ms=20..400", "latency_ms=lognormal(40,1.0)", "latency_ms=100", "latency_ms=250",
    "bytes=9000000", "chunked=1", "no_keepalive=1", "no_date=1", "header=Set-Cookie:u=1", "header=Cache-Control:no-store",
    "header=Cache-Control:max-age=0",
]


class Client:
    """One connection, kept while it lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str, headers: dict[str, str], method: str = "GET",
                  body: str = "") -> tuple[int, dict[str, str], bytes]:
        """Raises OSError, EOFError (asyncio.IncompleteReadError) or TimeoutError when no whole reply comes."""
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._streams[1].write((f"{method} {target} HTTP/1.1\r\nHost: chaos\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
                                f"{body}").encode())
        try:
            status, fields, content = await asyncio.wait_for(self._read(self._streams[0]), 5)
        except BaseException:
            self.close()
            raise
        if fields.get("connection") == "close":
            self.close()
        return status, fields, content

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None

    @staticmethod
    async def _read(stream: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
        first, *lines = (await stream.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        fields: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            name = name.lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
        content = b""
        if "content-length" in fields:
            content = await stream.readexactly(int(fields["content-length"]))
        elif "transfer-encoding" in fields:
            while size := int((await stream.readline()), 16):
                content += (await stream.readexactly(size + 2))[:-2]
            await stream.readline()
        elif first.split()[1] not in ("204", "304"):
            content = await stream.read()
        return int(first.split()[1]), fields, content


class Backend:
    def __init__(self, processes: Processes, options: argparse.Namespace, cpu: int) -> None:
        self.port = free_port()
        self._start = lambda: processes.start([str(options.bin / "sluice-backend"), "--listen", f"127.0.0.1:{self.port}"],
                                              cpu, announces=1)[0]
        self._process = self._start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)

    def heal(self) -> None:
        """Lets it go on, or starts it again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
        else:
            self._process = self._start()

    async def spoil(self, fault: str) -> None:
        client = Client(self.port)
        await client.get("/-/faults", {}, "PUT", fault)
        client.close()


class Gateway:
    def __init__(self, processes: Processes, options: argparse.Namespace, backends: dict[str, int], cpus: list[int]) -> None:
        self.port, self.admin = free_port(), free_port()
        self.is_up, self.since, self.starts = False, 0.0, 0
        self._processes, self._cpus, self._options = processes, cpus, options
        self.log = processes.directory / f"access-{self.port}.log"
        self._file = processes.directory / f"sluice-{self.port}.json"
        self._file.write_text(json.dumps({
            "version": 1, "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin}", "threads": 2,
            "cache_file": str(processes.directory / f"cache-{self.port}"), "cache_flush": "1s",
            "backends": {name: {"servers": [f"http://127.0.0.1:{port}"], "connect_timeout": "100ms"}
                         for name, port in backends.items()},
            "endpoints": [{"path": f"/{name}/{{id}}", "name": name, **endpoint} for name, endpoint in ENDPOINTS.items()]}))
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            command = [str(self._options.bin / "sluice"), "serve", str(self._file)]
            self._process, _ = self._processes.start(command, ",".join(map(str, self._cpus)), output=log)
        self._processes.await_port(self._process, self.port)
        self.is_up, self.since, self.starts = True, time.time(), self.starts + 1

    def end(self, number: signal.Signals) -> int:
        self.is_up = False
        self._process.send_signal(number)
        return self._process.wait(60)

    async def admin_call(self, method: str, target: str) -> str:
        client = Client(self.admin)
        status, _, body = await client.get(target, {}, method)
        client.close()
        if status >= 400:
            raise StartError(f"{method} {target}: status {status}: {body!r}")
        return body.decode()


class Scene:
    """One run: a gateway and its backends, clients, what happens to them, and what was wrong."""

    def __init__(self, name: str, options: argparse.Namespace, processes: Processes) -> None:
        cpus = sorted(os.sched_getaffinity(0))[:2]
        self.name, self.options, self.random, self.judge = name, options, random.Random(options.seed), Judge()
        self.backends = [Backend(processes, options, cpus[-1]) for _ in range(3)]
        self.gateway = Gateway(processes, options, dict(zip("abc", (b.port for b in self.backends))), cpus)
        self.faults: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self.results: collections.Counter[str] = collections.Counter()
        self.deeds: collections.Counter[str] = collections.Counter()
        self.late_ms = [0.0]  # by how much this process was woken late
        self.over_ms: list[tuple[float, str, str]] = []  # how long after its deadline each reply came
        self.told: dict[str, tuple[int, str, str]] = {}  # what the header of each reply said
        self.cut: set[str] = set()
        self.is_over = False

    def blame(self, fault: str, example: object) -> None:
        kind = re.sub(r"\d+(\.\d+)?", "N", fault)
        self.faults[kind] += 1
        self.examples.setdefault(kind, f"{fault}: {example}")

    async def ask(self, client: Client, endpoint: str, number: int, user: str) -> None:
        request_id = f"r{len(self.judge.sent)}"
        self.judge.sent[request_id] = sent = time.time()
        was_up, sent_at = self.gateway.is_up, time.monotonic()
        headers = {"X-Request-Id": request_id, **({"X-User": user} if endpoint == "users" else {})}
        try:
            status, fields, body = await client.get(f"/{endpoint}/{number}", headers)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            if endpoint == "proxy":
                self.cut.add(request_id)  # the access log must say so
            elif was_up and self.gateway.is_up and sent > self.gateway.since:
                self.blame("no reply", f"{request_id} {endpoint} {error!r}")
            return
        came_at = time.monotonic()
        reply = Reply(endpoint, number, user, request_id, sent, time.time(), status, fields, body)
        self.told[request_id] = (status, fields["sluice-result"], fields["sluice-calls"])
        self.results[fields["sluice-result"]] += 1
        for fault in self.judge.faults(reply):
            self.blame(f"{endpoint}: {fault}", f"{request_id} {status} {fields} {body[:500]!r}")
        if endpoint != "proxy":  # whose deadline is that of the head
            self.over_ms.append(((came_at - sent_at - deadline(endpoint)) * 1e3, f"{endpoint}: late", request_id))

    async def keep_asking(self) -> None:
        client = Client(self.gateway.port)
        while not self.is_over:
            await asyncio.sleep(self.random.expovariate(self.options.rate / CLIENTS))
            await self.ask(client, self.random.choice(ASKED), self.random.randrange(IDS), f"u{self.random.randrange(USERS)}")
        client.close()

    async def hang_up_early(self) -> None:
        while not self.is_over:
            await asyncio.sleep(self.random.expovariate(20))
            request_id = f"r{len(self.judge.sent)}"
            self.judge.sent[request_id] = time.time()
            target = f"/{self.random.choice(ASKED)}/{self.random.randrange(IDS)}"
            client = Client(self.gateway.port)
            headers = {"X-Request-Id": request_id, "X-User": f"u{self.random.randrange(USERS)}"}
            try:
                await asyncio.wait_for(client.get(target, headers), self.random.choice([0.001, 0.01, 0.05, 0.1]))
            except (OSError, EOFError, ValueError, asyncio.TimeoutError):
                pass
            client.close()

    async def watch_the_machine(self) -> None:
        while not self.is_over:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            self.late_ms.append((time.monotonic() - due) * 1e3)

    async def warm_up(self) -> None:
        for number in range(IDS):
            _, _, body = await Client(self.backends[0].port).get(f"/orders?user={number}&limit=3", {})
            self.judge.orders[number] = [order["id"] for order in json.loads(body)]
        client = Client(self.gateway.port)
        for endpoint in ENDPOINTS:
            for number in range(IDS):
                for user in range(USERS if endpoint == "users" else 1):
                    await self.ask(client, endpoint, number, f"u{user}")
        client.close()
        await asyncio.sleep(1.5)  # it is written to cache_file, too
        self.judge.is_warm = self.name != "purge"

    async def disturb(self) -> None:
        backend, hold = self.random.choice(self.backends), self.random.choice([0.1, 0.3, 1, 2, 4])
        deed = self.random.choices(["kill", "freeze", "all", "spoil", "reload", "purge", "restart"],
                                   [4, 4, 2, 8, 1, 6 if self.name == "purge" else 0, 3 if self.name == "restart" else 0])[0]
        if self.name == "flap":
            deed, hold = self.random.choice(["kill", "freeze"]), self.random.uniform(0.1, 0.3)
        self.deeds[deed] += 1
        if deed == "reload":
            await self.gateway.admin_call("POST", "/-/reload")
        elif deed == "purge":
            await self.purge()
        elif deed == "restart":
            await self.restart()
        elif deed == "spoil":
            await backend.spoil(self.random.choice(FAULTS))
            await asyncio.sleep(hold)
            backend.kill()
        else:
            for chosen in self.backends if deed == "all" else [backend]:
                chosen.freeze() if deed == "freeze" or self.random.random() < (deed == "all") / 2 else chosen.kill()
            await asyncio.sleep(hold)
        for each in self.backends:
            each.heal()
        if self.name == "flap":
            await asyncio.sleep(self.random.uniform(0.1, 0.3))

    async def purge(self) -> None:
        began = time.time()
        query = self.random.choice(["", "", "?backend=a", "?backend=b&prefix=/echo"])
        await self.gateway.admin_call("DELETE", "/api/v1/cache" + query)
        if not query:
            self.judge.purged = (began, time.time())

    async def restart(self) -> None:
        for backend in self.backends:
            backend.kill()
        await asyncio.sleep(1.5)
        number = self.random.choice([signal.SIGTERM, signal.SIGKILL])
        code = await asyncio.to_thread(self.gateway.end, number)
        if code != (0 if number == signal.SIGTERM else -number):
            self.blame(f"{number.name}: exit code", code)
        await asyncio.to_thread(self.gateway.start)
        await asyncio.sleep(2)

    async def run(self) -> None:
        await self.warm_up()
        tasks = [asyncio.create_task(work()) for work in
                 [self.watch_the_machine, self.hang_up_early, *[self.keep_asking] * CLIENTS]]
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end:
            await self.disturb()
        self.is_over = True
        await asyncio.gather(*tasks)
        for over, fault, request_id in self.over_ms:
            if over > GRACE_MS + max(self.late_ms):
                self.blame(fault, f"{request_id} by {over:.1f} ms")
        metrics = await self.gateway.admin_call("GET", "/metrics")
        if (code := self.gateway.end(signal.SIGTERM)) != 0:
            self.blame("exit code", code)
        self.compare_with_log([json.loads(line) for line in self.gateway.log.read_text().splitlines()], metrics)
        for backend in self.backends:
            backend.kill()

    def compare_with_log(self, lines: list[dict[str, Any]], metrics: str) -> None:
        """Of each reply the access log must say what its header said; the metrics count what the log has."""
        requests: collections.Counter[tuple[str, ...]] = collections.Counter()
        calls: collections.Counter[tuple[str, ...]] = collections.Counter()
        for line in lines:
            status, result, request_id = line["status"], line.get("result", ""), line.get("request_id", "")
            # Of a status that is not registered, as that of a client which went away, the metrics say `other`.
            requests[line["endpoint"] or "", "other" if status == 499 else str(status), result] += 1
            of_log = [(call["name"], call["outcome"], call.get("reason", ""), str(call.get("age", "")))
                      for call in line.get("calls", [])]
            calls.update((line["endpoint"], *call[:3]) for call in of_log)
            if request_id in self.cut:
                self.cut.remove(request_id)
                if result != "failed" and status != 499:
                    self.blame("cut off, yet not logged as failed", line)
            if request_id not in self.told:
                continue
            header_status, header_result, header = self.told.pop(request_id)
            of_header = [(name, call["outcome"], call.get("reason", ""), call.get("age", ""))
                         for name, call in outcomes_of(header).items()]
            if (status, result, of_log) != (header_status, header_result, of_header):
                self.blame("the access log says something else", f"{line}, but {header_status} {header_result} {header}")
        if self.gateway.starts > 1:  # a process that is killed takes its counts and last lines along
            return
        for request_id in [*self.told, *self.cut]:
            self.blame("not in the access log", request_id)
        for name, counted, labels in (("requests", requests, ("endpoint", "code", "result")),
                                      ("calls", calls, ("endpoint", "call", "outcome", "reason"))):
            for series, value in re.findall(rf"^sluice_{name}_total{{(.*)}} (\d+)$", metrics, re.MULTILINE):
                pairs = dict(re.findall(r'(\w+)="([^"]*)"', series))
                counted[tuple(pairs.get(label, "") for label in labels)] -= int(value)
            for labels_of, difference in counted.items():
                if difference:
                    self.blame("metrics and access log differ", f"{labels_of} by {difference}")

    def report(self) -> None:
        wrong = sum(self.faults.values())
        print(f"{self.name:<9}{sum(self.results.values())} replies {dict(self.results)}, {dict(self.deeds)}; the latest "
              f"{max(self.over_ms)[0]:.1f} ms after its deadline, the machine's own jitter {max(self.late_ms):.1f} ms; "
              f"{f'{wrong} FAULTS' if wrong else 'ok'}")
        for kind, count in self.faults.most_common():
            print(f"  {count} x {self.examples[kind][:1500]}")


def main() -> int:
    scenes = ("faults", "flap", "purge", "restart")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {', '.join(scenes)}; all")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where the programs are")
    parser.add_argument("--seconds", type=float, default=60, help="of each scene (%(default)s)")
    parser.add_argument("--rate", type=float, default=120, help="requests per second (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens (%(default)s)")
    options = parser.parse_args()
    if unknown := set(options.scenes) - set(scenes):
        parser.error(f"no scene {', '.join(sorted(unknown))}")
    wrong = 0
    try:
        for name in options.scenes or scenes:
            with Processes() as processes:
                scene = Scene(name, options, processes)
                asyncio.run(scene.run())
                scene.report()
                wrong += sum(scene.faults.values())
    except (StartError, OSError, EOFError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
