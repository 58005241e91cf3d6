"""What Sluice costs as backends, endpoints, connections, workers and bodies grow; its memory and its start."""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pages
from measure import Sample, digits, measure, median, spread
from peers import Running, Setting, sluice_config, start_floor, start_sluice_with
from processes import Processes, StartError, cpu_ns, family, free_port, rss_bytes

KIB, MIB = 1024, 1024 * 1024


class Growth:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        cpus = sorted(os.sched_getaffinity(0), reverse=True)
        self.gateway_cpu, self.load_cpu, self.backend_cpu = cpus[0], cpus[1 % len(cpus)], cpus[min(2, len(cpus) - 1)]
        # 2 curves of 3, 4 of endpoints, 5 + 4 of connections, 2 of workers, 6 of bodies; what starting takes comes on top.
        budget = options.minutes * 60 - 60 - 12 * options.rounds
        self.unit = min(2.0, max(0.2, budget / (options.rounds * 30)))

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.options.began:6.0f} s  {text}", file=sys.stderr)

    def backends(self, processes: Processes, count: int, size: int) -> list[str]:
        command = [str(self.options.bin / "sluice-cheap-backend"), "--size", str(size)] + ["--listen", "127.0.0.1:0"] * count
        return processes.start(command, self.backend_cpu, announces=count)[1]

    def rounds(self, peer: Running, *options: str, path: str = "/", connections: int = 64,
               made: int = 0) -> list[Sample]:
        """Longer for many connections (`made` to backends), so that making them counts little."""
        seconds = self.unit * (1 + (connections + made) / 2500)
        url = f"http://127.0.0.1:{peer.port}{path}"
        return [measure(self.options.bin, self.load_cpu, url, peer.pid, "--connections", str(connections), "--duration",
                        f"{seconds:.2f}s", "--timeout", "10s", *options) for _ in range(self.options.rounds)]

    def by_backends(self) -> str:
        rows: list[list[str]] = []
        points: dict[str, list[tuple[float, float]]] = {"sluice": [], "floor": []}
        for count in (1, 10, 50):
            with Processes() as processes:
                addresses = self.backends(processes, count, 200)
                setting = Setting(processes, self.options.bin, self.gateway_cpu, addresses)
                own = self.rounds(start_sluice_with(setting, sluice_config(addresses, 10_000)), made=64 * count)
                floor = self.rounds(start_floor(setting), made=64 * count)
                cpu, base = [s.cpu_us for s in own], [s.cpu_us for s in floor]
                self.say(f"{count} backends: {median(cpu):.1f} us")
                points["sluice"].append((count, median(cpu)))
                points["floor"].append((count, median(base)))
                rows.append([str(count), spread(cpu), digits(median(cpu) / count), digits(median(base)),
                             digits(median(cpu) / median(base))])
        image = self.plot("growth-backends", "CPU per request by backends asked, 200 B each", "backends", "µs", points)
        return f"### Backends an endpoint asks\n\n{image}\n\n" + pages.table(
            ["backends", "µs a request", "µs a call", "floor µs", "× floor"], rows)

    def plot(self, name: str, title: str, x: str, y: str, series: dict[str, list[tuple[float, float]]]) -> str:
        return "" if self.options.no_page else pages.lines(name, title, x, y, series)

    def by_endpoints(self) -> str:
        rows: list[list[str]] = []
        points: list[tuple[float, float]] = []
        for count in (10, 100, 1000, 10_000):
            with Processes() as processes:
                addresses = self.backends(processes, 1, 200)
                config = sluice_config(addresses, 10_000)
                config["endpoints"] = [{"path": f"/service{i}/items/{{id}}", "deadline": "10s", "calls": [
                    {"name": "part0", "backend": "part0", "path": "/items/{id}"}]} for i in range(count)]
                began = time.monotonic()
                peer = start_sluice_with(Setting(processes, self.options.bin, self.gateway_cpu, addresses), config)
                started = (time.monotonic() - began) * 1e3
                memory = rss_bytes(family(peer.pid))
                samples = self.rounds(peer, path=f"/service{count - 1}/items/{{n%1000}}")
                cpu = [s.cpu_us for s in samples]
                self.say(f"{count} endpoints: {median(cpu):.1f} us, {memory / MIB:.1f} MiB, start {started:.0f} ms")
                points.append((count, median(cpu)))
                rows.append([f"{count:,}", spread(cpu), digits(memory / MIB), digits(started)])
        image = self.plot("growth-endpoints", "CPU per request by endpoints configured", "endpoints", "µs", {"sluice": points})
        heads = ["endpoints", "µs a request", "RSS MiB", "listening after ms"]
        return f"### Endpoints\n\n{image}\n\n" + pages.table(heads, rows)

    def by_connections(self) -> str:
        rows: list[list[str]] = []
        points: dict[str, list[tuple[float, float]]] = {"sluice": [], "floor": []}
        with Processes() as processes:
            addresses = self.backends(processes, 1, 200)
            config = sluice_config(addresses, 10_000)
            config["limits"] = {"max_connections": 20_000, "header_timeout": "120s", "keepalive_timeout": "120s"}
            setting = Setting(processes, self.options.bin, self.gateway_cpu, addresses)
            for count in (1, 10, 100, 1000, 10_000):
                peer = start_sluice_with(setting, config)
                samples = self.rounds(peer, connections=count)
                cpu = [s.cpu_us for s in samples]
                self.say(f"{count} connections: {median(cpu):.1f} us")
                points["sluice"].append((count, median(cpu)))
                base = 0.0
                if count <= 1000:  # it has a connection to the backend for each of a client: too many open files
                    base = median([s.cpu_us for s in self.rounds(start_floor(setting), connections=count)])
                    points["floor"].append((count, base))
                rows.append([f"{count:,}", spread(cpu), digits(base) if base else "", digits(median(cpu) / base) if base else "",
                             digits(median([s.rate for s in samples])), digits(median([s.p99_us for s in samples]) / 1e3)])
            idle = self.idle_memory(start_sluice_with(setting, config))
        image = self.plot("growth-connections", "CPU per request by busy connections, N = 1", "connections", "µs", points)
        heads = ["connections, all busy", "µs a request", "floor µs", "× floor", "replies/s", "p99 ms"]
        return f"### Connections\n\n{image}\n\n{pages.table(heads, rows)}\n\n{idle}"

    def idle_memory(self, peer: Running, count: int = 10_000) -> str:
        """Growth of RSS for each connection that has only been opened, and for each that has had a reply."""
        pids, opened = family(peer.pid), []
        before = rss_bytes(pids)
        try:
            for _ in range(count):
                opened.append(socket.create_connection(("127.0.0.1", peer.port), 5))
            time.sleep(0.5)
            fresh = (rss_bytes(pids) - before) / count
            request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            for connection in opened:
                connection.sendall(request)
                if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    raise StartError("a connection that was idle got no reply")
            used = (rss_bytes(pids) - before) / count
        finally:
            for connection in opened:
                connection.close()
        self.say(f"idle: {fresh / KIB:.1f} KiB a connection, {used / KIB:.1f} KiB after a reply")
        return (f"An idle connection takes {fresh / KIB:.1f} KiB of RSS, one that has had a reply {used / KIB:.1f} KiB "
                f"({count:,} connections; aim: at most 16 KiB: {'kept' if max(fresh, used) <= 16 * KIB else 'missed'}).")

    def by_workers(self) -> str:
        rows = []
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[-2:])
        for workers in (1, 2):
            with Processes() as processes:
                addresses = self.backends(processes, 3, 200)
                cpu = self.gateway_cpu if workers == 1 else cpus
                setting = Setting(processes, self.options.bin, cpu, addresses, workers=workers)
                peer = start_sluice_with(setting, sluice_config(addresses, 10_000))
                logged = cpu_ns([peer.pid], "access log")
                samples = self.rounds(peer, connections=128)
                logged = cpu_ns([peer.pid], "access log") - logged
                replies = sum(phase["replies"] for s in samples for phase in s.report["phases"])
                self.say(f"{workers} workers: {median([s.rate for s in samples]):.0f}/s")
                rows.append([str(workers), spread([s.cpu_us for s in samples]), digits(logged / 1e3 / replies),
                             spread([s.rate for s in samples]), f"{median([s.busy for s in samples]):.0%}"])
        return ("### Workers\n\nN = 3, 200 B, 128 connections. Where the machine has two CPUs, the second worker shares its "
                "CPU with load generator and backends: the CPU per request counts, not the rate.\n\n"
                + pages.table(["workers", "µs a request", "of that the access log's thread", "replies/s", "CPU used"], rows))

    def by_bodies(self) -> str:
        rows: list[list[str]] = []
        points: dict[str, list[tuple[float, float]]] = {"sluice": [], "sluice proxy": [], "floor": []}
        for size in (KIB, 16 * KIB, 128 * KIB, MIB, 4 * MIB, 8 * MIB):
            with Processes() as processes:
                addresses = self.backends(processes, 1, size)
                config = sluice_config(addresses, 10_000)
                for backend in config["backends"].values():
                    backend["max_response"] = "16MiB"
                setting = Setting(processes, self.options.bin, self.gateway_cpu, addresses)
                connections = 64 if size < MIB else 4
                peer = start_sluice_with(setting, config)
                merge = [s.cpu_us for s in self.rounds(peer, connections=connections)]
                proxy = [s.cpu_us for s in self.rounds(peer, path="/part/0", connections=connections)]
                floor = [s.cpu_us for s in self.rounds(start_floor(setting), connections=connections)]
                self.say(f"{size} B: {median(merge):.0f} us, proxy {median(proxy):.0f} us, floor {median(floor):.0f} us")
                for name, cpu in (("sluice", merge), ("sluice proxy", proxy), ("floor", floor)):
                    points[name].append((size / KIB, median(cpu)))
                name = f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"
                rows.append([name, spread(merge), digits(median(merge) * 1e3 / size), spread(proxy),
                             digits(median(floor)), digits(median(merge) / median(floor))])
        image = self.plot("growth-bodies", "CPU per request by the size of the body, N = 1", "KiB", "µs", points)
        return f"### Bodies\n\nN = 1; 4 connections from 1 MiB on, else 64.\n\n{image}\n\n" + pages.table(
            ["body", "merge: µs", "ns a byte", "proxy: µs", "floor µs", "merge × floor"], rows)

    def start_up(self) -> str:
        times, memory = [], []
        program = self.options.bin / "sluice"
        with Processes() as processes:
            addresses = self.backends(processes, 3, 200)
            config = processes.directory / "sluice.json"
            config.write_text(json.dumps(sluice_config(addresses, 10_000)))
            for _ in range(11):
                port = free_port()
                began = time.monotonic()
                process = subprocess.Popen([str(program), "serve", str(config), "--listen", f"127.0.0.1:{port}", "--admin",
                                            f"127.0.0.1:{free_port()}", "--threads", "1"], stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL)
                try:
                    times.append(first_reply(port, began))
                    memory.append(rss_bytes([process.pid]) / MIB)
                finally:
                    process.terminate()
                    process.wait()
        self.say(f"start: {median(times):.1f} ms, {median(memory):.1f} MiB")
        return ("### Start and memory\n\n" + pages.table(["", "found", "aim", ""], [
            ["from the start of the process to the end of the first merged reply, ms", spread(times), "50",
             "kept" if median(times) < 50 else "missed"],
            ["RSS after that, MiB", spread(memory), "20", "kept" if median(memory) < 20 else "missed"]]))


def first_reply(port: int, began: float) -> float:
    """Milliseconds since `began` until a reply has come."""
    while time.monotonic() < began + 10:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if connection.recv(65536).startswith(b"HTTP/1.1 200"):
                    return (time.monotonic() - began) * 1e3
        except OSError:
            time.sleep(0.0005)
    raise StartError("sluice gave no reply within 10 s")


def run(options: argparse.Namespace) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    growth = Growth(options)
    parts: list[Callable[[], str]] = [growth.start_up, growth.by_backends, growth.by_endpoints, growth.by_connections,
                                      growth.by_workers, growth.by_bodies]
    texts = [part() for part in parts]
    text = (f"## As things grow\n\n`./run compare --growth` (here {(time.monotonic() - options.began) / 60:.1f} minutes) on "
            f"{pages.machine()}. One worker on one CPU, closed loop of 64 connections, {options.rounds} rounds of "
            f"{growth.unit:.1f} s; medians with minimum and maximum.\n\n" + "\n\n".join(texts))
    if options.no_page:
        print(text)
    else:
        pages.write_section("growth", text)
        print(f"compare: wrote {pages.PAGE}", file=sys.stderr)
    return 0
