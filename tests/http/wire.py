"""Raw HTTP/1.1 on loopback: the gateway as a process, backends as threads, replies as their bytes come."""

import contextlib
import json
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 30.0  # for what must come; seconds


@dataclass
class Message:
    first_line: str
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.first_line.split(" ")[1])


class Closed(Exception):
    """The other side has closed; `rest` is what it had sent of a message."""

    def __init__(self, rest: bytes):
        super().__init__(f"closed after {rest!r}")
        self.rest = rest


class Wire:
    """One connection. Reads strictly: what is not framed as HTTP/1.1 wants it is an error."""

    def __init__(self, connection: socket.socket):
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        """What is not taken, as the other side has closed, is no error: what it had to say can still be read."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def drip(self, pieces: list[bytes]) -> None:
        """Piece by piece, each a while after the one before, until an answer comes."""
        for piece in pieces:
            self.send(piece)
            if select.select([self.socket], [], [], 0.001)[0]:
                break

    def more(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def line(self, end: bytes = b"\r\n") -> bytes:
        while end not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(end, 1)
        return line

    def read(self, *, is_reply: bool, method: str = "GET") -> Message:
        """The next message whole."""
        lines = self.line(b"\r\n\r\n").decode("latin1").split("\r\n")
        message = Message(lines[0])
        for name, value in (line.split(":", 1) for line in lines[1:]):
            message.headers.setdefault(name.lower(), []).append(value.strip())
        if is_reply and (method == "HEAD" or message.status < 200 or message.status in (204, 304)):
            return message
        if "transfer-encoding" in message.headers:
            assert message.headers["transfer-encoding"] == ["chunked"], message
            while size := int(self.line().split(b";")[0], 16):
                message.body += self.take(size)
                assert self.take(2) == b"\r\n"
            while self.line():
                pass
        elif "content-length" in message.headers:
            (length,) = message.headers["content-length"]
            message.body = self.take(int(length))
        elif is_reply:
            with contextlib.suppress(Closed):
                while True:
                    self.more()
            message.body, self.buffer = self.buffer, b""
        return message


class Backend:
    """Serves every connection on a thread of its own, by `serve`, until the connection fails or `serve` returns."""

    def __init__(self, serve: Callable[[Wire], None]):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(Closed, OSError):
            self.serve(Wire(connection))


class Gateway:
    """`sluice serve` with these settings, on a free port."""

    def __init__(self, directory: str, settings: dict[str, Any]):
        self.folder = tempfile.TemporaryDirectory()
        file = pathlib.Path(self.folder.name) / "sluice.json"
        file.write_text(json.dumps({"version": 1, "listen": "127.0.0.1:0", "access_log": "off", **settings}))
        command = [str(pathlib.Path(directory) / "sluice"), "serve", str(file)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"listening on (\S+):(\d+)", line):
                self.address = (found.group(1), int(found.group(2)))
                break
        else:
            raise RuntimeError("".join(self.said))
        threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True).start()

    def connect(self) -> Wire:
        return Wire(socket.create_connection(self.address, PATIENCE))

    def end(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.folder.cleanup()


@contextlib.contextmanager
def gateway(directory: str, settings: dict[str, Any]) -> Iterator[Gateway]:
    running = Gateway(directory, settings)
    try:
        yield running
    finally:
        code = running.end()
    if code != 0:
        raise RuntimeError(f"the gateway ended with {code}: " + "".join(running.said))


def run_all(cases: list[Any], check: Callable[[Any], str | None], parallel: int = 16) -> int:
    """Prints what is wrong with each case; the number of cases with which something is."""
    lock = threading.Lock()
    rest = list(reversed(cases))
    wrong = 0

    def work() -> None:
        nonlocal wrong
        while True:
            with lock:
                if not rest:
                    return
                case = rest.pop()
            try:
                why = check(case)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other cases go on
                why = repr(error)
            if why is not None:
                with lock:
                    wrong += 1
                    print(f"FAIL {case.name}: {why}", flush=True)

    workers = [threading.Thread(target=work) for _ in range(parallel)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{len(cases)} cases, {wrong} failed")
    return wrong
