"""Programs that a measurement starts: pinned, waited for, their CPU time read, and all of them stopped at the end."""

import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO

ROOT = pathlib.Path(__file__).resolve().parent.parent


class StartError(Exception):
    """A program that did not come up; the text says which and what it said."""


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on just now, for programs that cannot choose one themselves."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Processes:
    """Runs programs until the `with` block ends, however it ends. `directory` is theirs and goes with them."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._logs: dict[int, pathlib.Path] = {}  # what each process says on standard error
        self._temporary = tempfile.TemporaryDirectory(prefix="sluice-loadtest-")
        self.directory = pathlib.Path(self._temporary.name)

    def __enter__(self) -> "Processes":
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: sys.exit(128 + received))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        self._temporary.cleanup()

    def start(self, command: list[str], cpu: int | str, announces: int = 0,
              output: IO[str] | None = None) -> tuple[subprocess.Popen[str], list[str]]:
        """Starts `command` on one CPU, or on a list of them; returns it and the addresses of its first `announces`
        `listening on` lines. Without such its output is dropped, or goes to `output`."""
        log = self.directory / f"{len(self._running)}-{pathlib.Path(command[0]).name}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(["taskset", "-c", str(cpu), *command], text=True, stderr=errors,
                                       stdout=subprocess.PIPE if announces else output or subprocess.DEVNULL)
        self._running.append(process)
        self._logs[process.pid] = log
        addresses = []
        for _ in range(announces):
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("listening on "):
                raise StartError(f"{command[0]}: expected 'listening on', got {line!r} {log.read_text()!r}")
            addresses.append(line.split()[2])
        return process, addresses

    def await_port(self, process: subprocess.Popen[str], port: int, seconds: float = 10) -> None:
        """Waits until somebody listens on 127.0.0.1:`port`. Raises StartError when the process ends, or in the end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        log = self._logs[process.pid]
        raise StartError(f"{log.stem} does not listen on port {port}: {log.read_text().strip()[-500:]}")


def family(pid: int) -> list[int]:
    """`pid` and its children."""
    pids = [pid]
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if parent == pid:
            pids.append(int(stat.parent.name))
    return pids


def rss_bytes(pids: list[int]) -> int:
    """Memory of the processes that is in RAM (VmRSS)."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_ns(pids: list[int], name: str | None = None) -> int:
    """User and system time that all threads of the processes have had, or those called `name`, in nanoseconds."""
    threads = [path for pid in pids for path in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if name in (None, (path / "comm").read_text().strip())]
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
