"""A running `eclair serve`, and how tests talk to it: raw sockets, so that what goes over the wire is what a test says."""
import http.server
import json
import random
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import helpers


def free_ports(count):
    """Ports that are free now, of those that the system gives to nobody who does not ask for them: they stay so until they are wanted."""
    held = []
    while len(held) < count:
        try:
            held.append(socket.create_server(("127.0.0.1", random.randrange(10240, 32000))))
        except OSError:
            pass
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


@dataclass
class Answer:
    status: int
    reason: str
    headers: list  # (name, value) in their order
    body: bytes
    http: str = "HTTP/1.1"
    trailers: list = field(default_factory=list)  # as headers

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def json(self):
        return json.loads(self.body)


class Listener:
    """A port of this machine: carry(connection) in a thread for each."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(connection,), daemon=True).start()

    def carry(self, connection):
        raise NotImplementedError

    def close(self):
        self.listener.close()


def read_answer(f, head_only=False):
    http_version, status, reason = f.readline().decode().rstrip("\r\n").split(" ", 2)
    headers = []
    while (line := f.readline().decode().rstrip("\r\n")):
        name, value = line.split(":", 1)
        headers.append((name, value.strip()))
    a = Answer(int(status), reason, headers, b"", http_version)
    if head_only:
        pass
    elif a.header("Transfer-Encoding") == "chunked":
        while (size := int(f.readline().split(b";")[0], 16)):
            a.body += f.read(size)
            assert f.readline() == b"\r\n"
        while (line := f.readline().decode().rstrip("\r\n")):
            name, value = line.split(":", 1)
            a.trailers.append((name, value.strip()))
    elif a.header("Content-Length") is not None:
        a.body = f.read(int(a.header("Content-Length")))
        assert len(a.body) == int(a.header("Content-Length")), "the answer is cut"
    else:
        a.body = f.read()
    return a


def exchange(port, request, timeout=120):
    """Bytes of one request, the answer to it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(request)
        with s.makefile("rb") as f:
            return read_answer(f, request.startswith(b"HEAD "))


def request(port, method, target, body=b"", headers=(), timeout=120):
    lines = [f"{method} {target} HTTP/1.1", "Host: clair.example:6060", "Connection: close", *headers]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return exchange(port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body, timeout)


class Server:
    """`database`: a path, or a connection string."""

    def __init__(self, folder, database, cwd=None, more="", api="", env=None, replica=None, flags=()):
        self.folder, self.database, self.cwd, self.env = Path(folder), str(database), cwd, env or {}
        self.flags = flags
        self.replica = f"      readsource: {replica}\n" if replica else ""
        self.api, self.more = api, more  # YAML: more of the section `api`, and more sections
        self.port, self.health_port = free_ports(2)
        self.process = None
        self.log = self.folder / "log"

    def config(self):
        kind = "pgsql" if "=" in self.database or "://" in self.database else "sqlite"
        updater = "" if "updater:" in self.more else "  updater:\n    interval: 0\n"
        path = self.folder / "config.yaml"
        path.write_text(f"clair:\n  database:\n    type: {kind}\n    options:\n      source: {self.database}\n{self.replica}"
                        f"  api:\n    addr: 127.0.0.1:{self.port}\n    healthaddr: 127.0.0.1:{self.health_port}\n"
                        + self.api + updater + self.more)
        return path

    def start(self, wait=True):
        self.launch()
        for _ in range(3):  # somebody else may have got a port meanwhile
            if not wait or self.is_there():
                break
            assert "address already in use" in self.text(), f"the server ended with {self.process.returncode}: {self.text()}"
            self.log.unlink()
            self.port, self.health_port = free_ports(2)
            self.launch()
        if wait:
            self.wait()
        return self

    def is_there(self):
        """False: it has ended."""
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.health_port), timeout=5).close()
                return True
            except ConnectionRefusedError:
                time.sleep(0.002)
        return False

    def launch(self):
        env = helpers.environment(ECLAIR_NOW=None, **self.env)
        env.pop("ECLAIR_NOW", None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([helpers.ECLAIR, "serve", "-config", self.config(), *self.flags], cwd=self.cwd, env=env,
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.text()}"
            try:
                return [socket.create_connection(("127.0.0.1", p), timeout=5).close() for p in (self.port, self.health_port)]
            except ConnectionRefusedError:
                assert time.monotonic() < end, self.text()
                time.sleep(0.002)

    def text(self):
        return self.log.read_text(errors="replace")

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def events(self):
        return [line["Event"] for line in self.lines()]

    def stop(self, code=0):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == code, self.text()
        assert helpers.gone(self.process.pid), "processes are left"

    def kill(self):
        self.process.kill()
        self.process.wait()
        assert helpers.gone(self.process.pid), "processes are left"

    # ---- REST v1 ----

    def request(self, method, target, body=b"", headers=(), timeout=120):
        return request(self.port, method, target, body, headers, timeout)

    def get(self, target, **more):
        return self.request("GET", target, **more)

    def health(self):
        return request(self.health_port, "GET", "/health")

    def post(self, name, path, parent=None, form="Docker", headers=None, timeout=120):
        layer = {"Name": name, "Path": str(path), "Format": form}
        layer |= {"ParentName": parent} if parent else {}
        layer |= {"Headers": headers} if headers else {}
        return self.request("POST", "/v1/layers", json.dumps({"Layer": layer}).encode(), timeout=timeout)

    def layer(self, name):
        a = self.get(f"/v1/layers/{name}?vulnerabilities")
        assert a.status == 200, (a, self.text())
        return a.json()["Layer"]

    def post_chain(self, names, paths):
        """Layers on each other."""
        for i, (name, path) in enumerate(zip(names, paths)):
            a = self.post(name, path, names[i - 1] if i else None)
            assert a.status == 201, (name, a, self.text())


class Files:
    """A folder over loopback HTTP; `requests` are (path with query, headers)."""

    def __init__(self, folder):
        self.requests = []
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __init__(self, *args):
                super().__init__(*args, directory=str(folder))

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                outer.answer(self)

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass  # clients vanish in some tests

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        http.server.SimpleHTTPRequestHandler.do_GET(handler)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

