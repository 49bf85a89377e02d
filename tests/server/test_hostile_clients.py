"""Clients that are slow, stuck or hostile, all at once: whoever behaves is served meanwhile, and memory stays.
ECLAIR_HOSTILE_SECONDS says how long [8]."""
import os
import random
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import helpers
import make_images
import pytest
from serving import request
from test_tls import Authority, api, run

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)

SECONDS = float(os.environ.get("ECLAIR_HOSTILE_SECONDS", 8))
CLIENTS = 64
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # of 512 bytes that do not come
BIG = b"/v1/layers/big?features"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4


def get(stream, path=b"/v1/layers/x", flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, b"\x82\x86\x04" + bytes([len(path)]) + path)


class Attack:
    """What each kind does with one connection, until `over`; an error is the server's right."""

    def __init__(self, server, client_context):
        self.server, self.context = server, client_context
        self.over = threading.Event()
        self.begun = dict.fromkeys(self.kinds(), 0)
        self.threads = []

    def kinds(self):
        return [k for k in dir(self) if k.startswith(("any_", "tls_" if self.context else "plain_"))]

    def raw(self, **more):
        s = socket.socket()
        for option, value in more.items():
            s.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
        s.settimeout(2)
        s.connect(("127.0.0.1", self.server.port))
        return s

    def open(self, protocol="http/1.1", **more):
        s = self.raw(**more)
        if not self.context:
            return s
        self.context.set_alpn_protocols([protocol])
        return self.context.wrap_socket(s)

    def http2(self, **more):
        s = self.open("h2", **more)
        s.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return s

    def drip(self, s, begin, byte=b"x", pause=0.1):
        s.sendall(begin)
        while not self.over.wait(pause):
            s.sendall(byte)

    def sip(self, s, pause=0.1):
        while not self.over.wait(pause) and s.recv(1):
            pass

    # ---- kinds ----

    def any_silence(self):
        self.raw()
        self.over.wait()

    def any_junk(self):
        s = self.raw()
        s.sendall(random.randbytes(random.randrange(1, 5000)))
        s.recv(1000)

    def any_junk_within(self):
        s = self.open()
        s.sendall(random.randbytes(20000))
        self.sip(s)

    def any_slow_head(self):
        self.drip(self.open(), b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")

    def any_slow_body(self):
        self.drip(self.open(), b"POST /v1/layers HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")

    def any_slow_upload(self):
        self.drip(self.open(), b"PUT /v1/blobs/sha256:" + b"0" * 64 + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")

    def any_junk_upload(self):
        s = self.open()
        s.sendall(b"POST /v1/blobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.over.is_set():
            s.sendall(b"8000\r\n" + random.randbytes(0x8000) + b"\r\n")

    def any_upload_left(self):
        s = self.open()
        s.sendall(b"POST /v1/blobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + random.randbytes(random.randrange(300000)))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def any_http2_slow_uploads(self):
        s = self.http2()
        for i in range(1, 200, 2):
            s.sendall(frame(HEADERS, END_HEADERS, i, b"\x83\x86\x04\x09/v1/blobs"))
        while not self.over.wait(0.1):
            s.sendall(frame(DATA, 0, 1, b"x"))

    def any_http2_beyond_the_window(self):
        s = self.http2()
        s.sendall(frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x04\x09/v1/blobs"))
        while not self.over.is_set():
            s.sendall(frame(DATA, 0, 1, bytes(16000)))

    def any_half_open(self):
        s = self.open()
        s.sendall(b"GET /v1/lay")
        s.shutdown(socket.SHUT_WR)
        self.over.wait(1)

    def any_slow_reader(self):
        s = self.open(SO_RCVBUF=2048)
        s.sendall(b"GET " + BIG + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        self.sip(s)

    def any_deaf(self):
        s = self.open(SO_RCVBUF=2048)
        while not self.over.wait(0.01):
            s.sendall(b"GET " + BIG + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    def any_vanishing(self):
        s = self.open()
        s.sendall(b"GET " + BIG + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def any_http2_slow_preface(self):
        s = self.open("h2")
        for byte in PREFACE * 2:
            s.sendall(bytes([byte]))
            if self.over.wait(0.2):
                return

    def any_http2_junk(self):
        s = self.http2()
        s.sendall(b"".join(frame(random.randrange(12), random.randrange(256), random.randrange(9), random.randbytes(random.randrange(50)))
                           for _ in range(200)))
        self.sip(s)

    def any_http2_slow_head(self):
        s = self.http2()
        s.sendall(get(1, flags=0))
        while not self.over.wait(0.1):
            s.sendall(frame(CONTINUATION, 0, 1, b"\0\1a\1b"))

    def any_http2_slow_body(self):
        s = self.http2()
        for i in range(1, 200, 2):
            s.sendall(frame(HEADERS, END_HEADERS, i, b"\x83\x86\x84"))
        while not self.over.wait(0.1):
            s.sendall(frame(DATA, 0, 1, b"x"))

    def any_http2_continuations(self):
        s = self.http2()
        s.sendall(get(1, flags=0))
        while not self.over.is_set():
            s.sendall(frame(CONTINUATION, 0, 1, b"\0\1a\x7f" + b"\xff" * 10 + b"x" * 3000))

    def any_http2_resets(self):
        s = self.http2()
        for i in range(1, 1 << 20, 2):
            s.sendall(get(i, BIG) + frame(RESET, 0, i, b"\0\0\0\x08"))
            if self.over.is_set():
                return

    def any_http2_pings(self):
        s = self.http2()
        while not self.over.is_set():
            s.sendall(frame(PING, 0, 0, b"12345678") * 100)

    def any_http2_settings(self):
        s = self.http2()
        while not self.over.is_set():
            s.sendall(frame(SETTINGS, 0, 0, b"\0\4\0\1\0\0") * 100)

    def any_http2_no_window(self):
        s = self.open("h2")
        s.sendall(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + b"".join(get(i, BIG) for i in range(1, 100, 2)))
        while not self.over.wait(0.2):
            s.sendall(frame(WINDOW, 0, 1, b"\0\0\0\1"))

    def any_http2_slow_reader(self):
        s = self.http2(SO_RCVBUF=2048)
        s.sendall(frame(SETTINGS, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(WINDOW, 0, 0, b"\x7f\0\0\0") + b"".join(get(i, BIG) for i in range(1, 20, 2)))
        self.sip(s)

    def tls_hello_never_finished(self):
        self.drip(self.raw(), HELLO, b"\0", 0.3)

    def tls_hello_alone(self):
        s = self.raw()
        s.sendall(b"\x16")
        self.over.wait()

    def tls_handshake_left(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self.context.wrap_bio(incoming, outgoing).do_handshake()
        except ssl.SSLWantReadError:
            pass
        s = self.raw()
        s.sendall(outgoing.read())
        self.over.wait()  # with the server's part of it unread

    def tls_junk_record(self):
        s = self.raw()
        s.sendall(b"\x16\x03\x01\x40\x00" + random.randbytes(0x4000))
        s.recv(1000)

    def tls_plain(self):
        s = self.raw()
        s.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTPS server" in s.recv(1000)

    # ---- all at once ----

    def repeat(self, kind):
        while not self.over.is_set():
            self.begun[kind] += 1
            try:
                getattr(self, kind)()
            except OSError:  # refused, reset, timed out; also ssl.SSLError
                pass
            self.over.wait(0.05)

    def __enter__(self):
        kinds = self.kinds()
        self.threads = [threading.Thread(target=self.repeat, args=(kinds[i % len(kinds)],), daemon=True) for i in range(CLIENTS)]
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join(30)
        assert not any(t.is_alive() for t in self.threads)
        assert all(self.begun.values()), self.begun


def memory(server):
    """MiB, of the server alone."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024


def sockets(server):
    count = 0
    for f in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            count += os.readlink(f).startswith("socket:")
        except FileNotFoundError:
            pass
    return count


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_hostile_clients(serve, tmp_path, kind):
    ca = Authority(tmp_path, "ca")
    # what is freed is not kept by the sanitizer, so that memory can be told
    server = serve(api=api(ca.sign("server")) if kind == "tls" else "", env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
    context = ssl._create_unverified_context() if kind == "tls" else None
    url = f"http{'s' if kind == 'tls' else ''}://localhost:{server.port}"
    layer = tmp_path / "big.tar"
    layer.write_bytes(make_images.tar([("etc/os-release", make_images.os_release()), (
        "var/lib/dpkg/status", make_images.dpkg_status([(f"package-{i}", "1.0-1", None) for i in range(6000)]))]))
    post = f'{{"Layer": {{"Name": "big", "Path": "{layer}", "Format": "Docker"}}}}'
    run("curl", "-sSf", "--cacert", ca.cert, "-d", post, f"{url}/v1/layers")
    end, served, before = time.monotonic() + SECONDS, 0, None
    with Attack(server, context):
        while time.monotonic() < end or served < 4:
            assert request(server.health_port, "GET", "/health", timeout=30).status == 200
            flag = ["--http1.1", "--http2" if kind == "tls" else "--http2-prior-knowledge"][served % 2]
            r = run("curl", "-sS", "-m", 30, flag, "--cacert", ca.cert, "-w", "%{http_code}", "-o", tmp_path / "answer", f"{url}/v1/layers/big")
            assert r.stdout == b"200", (r.stdout, (tmp_path / "answer").read_bytes()[:300])
            served += 1
            if not before and time.monotonic() > end - SECONDS * 2 / 3:
                before = memory(server)
        after = memory(server)
    # the thread sanitizer remembers what was done to memory, for each thread
    assert after - before < 100 or b"__tsan_init" in Path(helpers.ECLAIR).read_bytes(), f"{before} MiB became {after} MiB"
    limit = time.monotonic() + 60
    while sockets(server) > 20:  # listeners, and what the last clients leave
        assert time.monotonic() < limit, sockets(server)
        time.sleep(0.1)
    print(f"{kind}: {served} served, {before} to {after} MiB")
