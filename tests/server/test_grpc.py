"""gRPC as grpcio speaks it, and as nobody should, with a server that says back what it is asked (tests/unit/grpc_peer.c)."""
import gzip
import os
import queue
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import grpc
import pytest
from test_hostile_clients import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RESET, SETTINGS, WINDOW, frame
from test_tls import Authority

PEER = Path(os.environ.get("ECLAIR", "build/eclair")).resolve().parent / "tests/unit/grpc_peer"
PATIENCE = 60
Code = grpc.StatusCode

pytestmark = pytest.mark.skipif(not PEER.exists() and "CI" not in os.environ, reason="built without tests")


class Peer:
    def __init__(self, idle_ms=0, *tls):
        self.process = subprocess.Popen([PEER, str(idle_ms), *tls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=lambda: [self.lines.put(line.strip()) for line in self.process.stdout], daemon=True)
        self.reader.start()

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def expect(self, line):
        """What it says next, but for other things."""
        while self.lines.get(timeout=PATIENCE) != line:
            pass

    def memory(self):
        """In KiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0])

    def close(self):
        """It must end well, with nothing from a sanitizer."""
        self.process.stdin.close()
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        errors = self.process.stderr.read()
        assert (code, errors) == (0, "")


@pytest.fixture
def start():
    peers = []

    def make(*args):
        peers.append(Peer(*args))
        return peers[-1]

    yield make
    for p in peers:
        p.close()


@pytest.fixture
def peer(start):
    return start()


@pytest.fixture
def channel(peer):
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}", [("grpc.max_receive_message_length", -1)]) as c:
        yield c


def call(channel, method, message=b"", **more):
    return channel.unary_unary(f"/t/{method}")(message, **{"timeout": PATIENCE, **more})


def fails(code, run, *args, **more):
    with pytest.raises(grpc.RpcError) as e:
        got = run(*args, **more)
        list(got)
    assert e.value.code() == code, e.value
    return e.value.details()


# ---- grpcio ----


def test_unary(channel):
    for size in (0, 1, 2047, 16384, 65536, 4 << 20):
        message = os.urandom(size)
        assert call(channel, "Echo", message) == message
    assert fails(Code.RESOURCE_EXHAUSTED, call, channel, "Echo", b"x" * ((4 << 20) + 1)) == "grpc: received message larger than max"
    assert fails(Code.UNIMPLEMENTED, call, channel, "Else") == "no such method"
    assert call(channel, "Echo", b"still here") == b"still here"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_compression(channel, compression):
    for message in (b"", b"x" * 1000000, os.urandom(10000)):
        assert call(channel, "Echo", message, compression=compression) == message
    assert fails(Code.UNIMPLEMENTED, call, channel, "Echo", b"x" * 100000, compression=grpc.Compression.Deflate)


def test_status(channel):
    for code in Code:
        n = code.value[0]
        if n:
            text = f"{n}: 100 % of “ö\n"
            assert fails(code, call, channel, "Fail", f"{n} {text}".encode()) == text
    assert fails(Code.UNKNOWN, call, channel, "Fail", b"99 what")


def test_many_at_once(channel):
    run = channel.unary_unary("/t/Echo")
    calls = [(i, run.future(b"%d" % i, timeout=PATIENCE)) for i in range(500)]
    assert all(c.result() == b"%d" % i for i, c in calls)


def test_deadline_and_cancel(start):
    """Both are the client's own; what runs goes on."""
    peer = start()
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}") as channel:
        fails(Code.DEADLINE_EXCEEDED, call, channel, "Wait", timeout=0.1)
        future = channel.unary_unary("/t/Wait").future(b"")
        peer.expect("waits")
        peer.expect("waits")
        future.cancel()
        peer.expect("told /t/Wait 0")
        assert call(channel, "Echo", b"x") == b"x"
        peer.tell("open")
        peer.expect("done")
        peer.expect("done")


def test_chat(channel):
    words = queue.Queue()
    replies = channel.stream_stream("/t/Chat")(iter(words.get, None), timeout=PATIENCE)
    for word in (b"a", b"", b"x" * 60000):  # each is answered before the next is sent
        words.put(word)
        assert next(replies) == word
    words.put(None)
    assert list(replies) == []
    assert replies.code() == Code.OK
    replies = channel.stream_stream("/t/Chat", )(iter([b"a", b"bye", b"b"]), timeout=PATIENCE)
    assert next(replies) == b"a"
    assert fails(Code.FAILED_PRECONDITION, lambda: replies) == "good bye"
    assert call(channel, "Echo", b"x") == b"x"


def test_chat_in_gzip(channel):
    chat = channel.stream_stream("/t/Chat")
    assert list(chat(iter([b"x" * 60000, b"y"]), compression=grpc.Compression.Gzip, timeout=PATIENCE)) == [b"x" * 60000, b"y"]
    fails(Code.RESOURCE_EXHAUSTED, chat, iter([b"x" * 70000]), compression=grpc.Compression.Gzip, timeout=PATIENCE)
    fails(Code.RESOURCE_EXHAUSTED, chat, iter([b"x" * 70000]), timeout=PATIENCE)
    fails(Code.RESOURCE_EXHAUSTED, chat, iter([b"x" * 10000] * 30), timeout=PATIENCE)


def test_watch_lasts(start):
    """It is silent for longer than anybody else may be, then told things, and ended by its client."""
    peer = start(1000)
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}") as channel:
        silent = channel.unary_stream("/t/Watch")(b"w")
        assert next(silent) == b"w"
        loud = channel.unary_stream("/t/Tick")(b"t")
        assert [next(loud) for _ in range(4)] == [b"t", b"tick", b"tick", b"tick"]
        assert silent.is_active()
        silent.cancel()
        peer.expect("told /t/Watch 0")
        fails(Code.DEADLINE_EXCEEDED, channel.unary_stream("/t/Watch"), b"w", timeout=0.2)
        loud.cancel()


def test_stop_ends_streams(start):
    peer = start()
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}") as channel:
        watch = channel.unary_stream("/t/Watch")(b"w", timeout=PATIENCE)
        chat = channel.stream_stream("/t/Chat")(iter(queue.Queue().get, None), timeout=PATIENCE)
        assert next(watch) == b"w"
        running = channel.unary_unary("/t/Wait").future(b"r")
        peer.expect("waits")
        peer.tell("stop")
        assert fails(Code.UNAVAILABLE, lambda: watch) == "the server stops"
        assert fails(Code.UNAVAILABLE, lambda: chat) == "the server stops"
        assert not running.done()
        peer.tell("open")
        assert running.result(PATIENCE) == b"r"
        peer.expect("stopped")


def test_keepalive(start):
    """Pings of a client that has nothing to say are no reason to send it away."""
    peer = start()
    options = [("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_timeout_ms", 5000), ("grpc.keepalive_permit_without_calls", 1),
               ("grpc.http2.max_pings_without_data", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}", options) as channel:
        watch = channel.unary_stream("/t/Tick")(b"w")
        assert [next(watch) for _ in range(4)][0] == b"w"
        assert watch.is_active()
        watch.cancel()


def test_tls(start, tmp_path):
    ca = Authority(tmp_path, "ca")
    cert, key = ca.sign("server")
    mine = ca.sign("client", usage="clientAuth")
    peer = start(0, cert, key, ca.cert)
    secrets = grpc.ssl_channel_credentials(ca.cert.read_bytes(), mine[1].read_bytes(), mine[0].read_bytes())
    with grpc.secure_channel(f"localhost:{peer.port}", secrets) as channel:
        message = os.urandom(1 << 20)
        assert call(channel, "Echo", message) == message
        assert fails(Code.NOT_FOUND, call, channel, "Fail", b"5 not here") == "not here"
        replies = channel.stream_stream("/t/Chat")(iter([b"a", b"b"]), timeout=PATIENCE)
        assert list(replies) == [b"a", b"b"]
    with grpc.secure_channel(f"localhost:{peer.port}", grpc.ssl_channel_credentials(ca.cert.read_bytes())) as channel:
        fails(Code.UNAVAILABLE, call, channel, "Echo")


# ---- bytes ----


# "grpc-status" as HPACK's Huffman code has it; so short a value is sent as it is
STATUS = bytes.fromhex("889acac8b21234da8f")
NO_TABLE, NO_WINDOW = struct.pack(">HI", 1, 0), struct.pack(">HI", 4, 0)


def literal(name, value):
    """HPACK: neither indexed nor compressed, so short strings only, or long ones of up to 16 KiB."""

    def text(b):
        return bytes([len(b)]) + b if len(b) < 127 else b"\x7f" + bytes([(len(b) - 127) & 127 | 128, (len(b) - 127) >> 7]) + b

    return b"\0" + text(name) + text(value)


def head(path, *more):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", path), (b"content-type", b"application/grpc"), *more]
    return b"".join(literal(*f) for f in fields)


def message(data, flag=0, size=None):
    return struct.pack(">BI", flag, len(data) if size is None else size) + data


def unary(stream, path, body, *more):
    return frame(HEADERS, END_HEADERS, stream, head(path, *more)) + b"".join(
        frame(DATA, 0, stream, body[i:i + 16384]) for i in range(0, len(body), 16384)) + frame(DATA, END_STREAM, stream)


class Wire:
    """Frames as they are. What it is sent is acknowledged."""

    def __init__(self, port, settings=NO_TABLE, room=1 << 30):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings) + (frame(WINDOW, 0, 0, struct.pack(">I", room)) if room else b""))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def take(self, n):
        while len(self.rest) < n:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.rest += more
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def next(self):
        """kind, flags, stream, payload; None at the end."""
        top = self.take(9)
        body = self.take(int.from_bytes(top[:3], "big")) if top else None
        return None if body is None else (top[3], top[4], int.from_bytes(top[5:], "big"), body)

    def wait(self, kind, stream=None):
        while f := self.next():
            if f[0] == kind and stream in (None, f[2]):
                return f
        return None

    def status(self, stream):
        """grpc-status, "reset CODE", or None at the end."""
        while f := self.next():
            if f[2] == stream and f[0] == RESET:
                return f"reset {int.from_bytes(f[3], 'big')}"
            if f[2] == stream and f[0] == HEADERS and STATUS in f[3]:
                assert f[1] & END_STREAM
                value = f[3].split(STATUS)[1]
                return int(value[1:1 + value[0]])
        return None

    def closed(self):
        while self.next():
            pass
        return True


@pytest.fixture
def wire(peer):
    wires = []

    def make(**more):
        wires.append(Wire(peer.port, **more))
        return wires[-1]

    yield make
    for w in wires:
        w.socket.close()
    # whatever they did, others are served
    with grpc.insecure_channel(f"127.0.0.1:{peer.port}") as c:
        assert call(c, "Echo", b"x") == b"x"


BOMB = gzip.compress(b"\0" * 10000000)


@pytest.mark.parametrize("body, encoding, status", [
    (message(b"abc"), None, 0),
    (message(b""), b"gzip", 0),
    (message(gzip.compress(b"abc"), 1), b"gzip", 0),
    (b"", None, 13),
    (b"\0\0", None, 13),
    (message(b"abc", size=4), None, 13),
    (message(b"abc", size=2), None, 13),
    (message(b"abc") * 2, None, 13),
    (message(b"abc", size=0xffffffff), None, 8),
    (message(b"abc", size=0xffffffff) + b"x" * (5 << 20), None, 8),
    (message(b"abc", 2), None, 13),
    (message(b"abc", 0xff), b"gzip", 13),
    (message(b"abc", 1), None, 13),
    (message(b"abc", 1), b"identity", 13),
    (message(b"abc", 1), b"gzip", 13),
    (message(gzip.compress(b"abc")[:-5], 1), b"gzip", 13),
    (message(b"abc", 1), b"br", 12),
    (message(BOMB, 1), b"gzip", 8),
], ids=range(18))
def test_frames(wire, body, encoding, status):
    w = wire()
    w.send(unary(1, b"/t/Echo", body, *([(b"grpc-encoding", encoding)] if encoding else [])))
    assert w.status(1) == status
    w.send(unary(3, b"/t/Echo", message(b"next")))
    assert w.status(3) == 0


@pytest.mark.parametrize("timeout", [b"", b"1", b"S", b"1s", b"-1S", b"1.5S", b"123456789S", b"\xff\xff"])
def test_no_timeout(wire, timeout):
    w = wire()
    w.send(unary(1, b"/t/Echo", message(b"abc"), (b"grpc-timeout", timeout)))
    assert w.status(1) == 0


def test_other_types(wire):
    w = wire()
    for i, (kind, status) in enumerate([(b"application/grpc+proto", 0), (b"application/grpc;x=y", 0), (b"application/grpc-web", None)]):
        fields = head(b"/t/Echo").replace(literal(b"content-type", b"application/grpc"), literal(b"content-type", kind))
        w.send(frame(HEADERS, END_HEADERS, 2 * i + 1, fields) + frame(DATA, END_STREAM, 2 * i + 1, message(b"abc")))
        if status is None:
            assert w.wait(DATA, 2 * i + 1)[3] == b"{}"
        else:
            assert w.status(2 * i + 1) == status


def test_wrong_length(wire):
    """More or less than content-length says is the stream's fault, no more."""
    w = wire()
    w.send(unary(1, b"/t/Echo", message(b"abc"), (b"content-length", b"7")))
    assert w.status(1) == "reset 1"
    w.send(unary(3, b"/t/Echo", message(b"abc"), (b"content-length", b"9")))
    assert w.status(3) == "reset 1"
    w.send(unary(5, b"/t/Echo", message(b"abc"), (b"content-length", b"8")))
    assert w.status(5) == 0


def test_late_answer(start):
    """The time that a client gives is its server's too."""
    peer = start(1000)
    w = Wire(peer.port)
    w.send(unary(1, b"/t/Wait", message(b"abc"), (b"grpc-timeout", b"100m")))
    assert w.status(1) == 4
    peer.tell("open")
    peer.expect("done")
    w.socket.close()


def flood(wire, one, more=b""):
    w = wire()
    w.send(more)
    for i in range(2000):
        if not w.send(one(i) if callable(one) else one * 100):
            break
    assert w.closed()


@pytest.mark.parametrize("attack", [
    frame(DATA, 0, 1, b"x" * 16385),
    frame(HEADERS, END_HEADERS, 2, head(b"/t/Echo")),
    frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
    frame(CONTINUATION, END_HEADERS, 1, b"x"),
    frame(SETTINGS, 0, 0, b"x"),
    frame(WINDOW, 0, 0, b"\0\0\0\0"),
    frame(PING, 0, 0, b"short"),
    b"GET / HTTP/1.1\r\n\r\n",
], ids=range(8))
def test_bad_connection(wire, attack):
    w = wire()
    w.send(attack)
    assert w.closed()


def test_floods(wire):
    flood(wire, frame(SETTINGS, 0, 0))
    flood(wire, frame(PING, 0, 0, b"12345678"))
    flood(wire, frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 1000)), frame(HEADERS, 0, 1, head(b"/t/Echo")))
    flood(wire, frame(CONTINUATION, 0, 1), frame(HEADERS, 0, 1, head(b"/t/Echo")))
    for path in (b"/t/Wait", b"/t/Watch"):
        flood(wire, lambda i: frame(HEADERS, END_HEADERS, 2 * i + 1, head(path)) + frame(RESET, 0, 2 * i + 1, b"\0\0\0\x08"))


def test_large_headers(wire):
    w = wire()
    many = [(b"x-%d" % i, b"y" * 10000) for i in range(5)]
    fields = head(b"/t/Echo", *many)
    w.send(frame(HEADERS, 0, 1, fields[:16384]) + b"".join(frame(CONTINUATION, 0, 1, fields[i:i + 16384]) for i in range(16384, len(fields), 16384)))
    w.send(frame(CONTINUATION, END_HEADERS, 1) + frame(DATA, END_STREAM, 1, message(b"abc")))
    assert w.wait(DATA, 1)[3] == b"too many headers\n"
    w.send(unary(3, b"/t/Echo", message(b"abc")))
    assert w.status(3) == 0


def begin(path, stream=1):
    return frame(HEADERS, END_HEADERS, stream, head(path))


@pytest.mark.parametrize("frames, status", [
    (frame(DATA, 0, 1, b"\0") + frame(DATA, 0, 1, message(b"bye")[1:]), 9),
    (frame(DATA, 0, 1, message(b"bye") * 3), 9),
    (frame(DATA, END_STREAM, 1, message(b"a", size=2)), 13),
    (frame(DATA, END_STREAM, 1, b"\0\0"), 13),
    (frame(DATA, 0, 1, b"\2"), 13),
    (frame(DATA, 0, 1, message(b"a", 1)), 13),
    (frame(DATA, 0, 1, message(b"", size=65537)), 8),
    (frame(DATA, END_STREAM, 1), 0),
], ids=range(8))
def test_stream_frames(wire, frames, status):
    """It ends, and its server does not wait for its client to end it, too."""
    w = wire()
    w.send(begin(b"/t/Chat") + frames)
    assert w.status(1) == status
    if not frames[4] & END_STREAM and status == 9:
        assert w.wait(RESET, 1)[3] == b"\0\0\0\0"
    w.send(unary(3, b"/t/Echo", message(b"next")))
    assert w.status(3) == 0


def test_nothing_taken(peer):
    """What is asked on a stream waits until its client takes what is there."""
    w = Wire(peer.port, settings=NO_TABLE + NO_WINDOW)
    before = peer.memory()
    w.send(begin(b"/t/Much") + frame(DATA, 0, 1, message(b"100000") * 1000) * 5)
    w.send(unary(3, b"/t/Fail", message(b"5")))  # needs no window; its answer is behind what happened
    assert w.status(3) == 5
    assert peer.memory() - before < 30000
    want, got = 100005 * 100, 0
    w.send(frame(WINDOW, 0, 1, struct.pack(">I", want)))
    while got < want:
        got += len(w.wait(DATA, 1)[3])
    assert got == want
    w.socket.close()
    peer.expect("told /t/Much 0")


def test_nothing_ever_taken(start):
    peer = start(1000)
    w = Wire(peer.port, settings=NO_TABLE + NO_WINDOW)
    w.send(begin(b"/t/Tick") + frame(DATA, 0, 1, message(b"t")))
    assert w.status(1) == "reset 8"
    w.socket.close()


def test_too_many_streams(peer):
    wires = [Wire(peer.port) for _ in range(9)]
    for w in wires[:8]:
        w.send(b"".join(begin(b"/t/Watch", 2 * i + 1) for i in range(128)))
        assert w.wait(HEADERS, 255)
    wires[8].send(begin(b"/t/Watch"))
    assert wires[8].status(1) == 8
    wires[0].send(frame(RESET, 0, 1, b"\0\0\0\x08"))
    peer.expect("told /t/Watch 0")
    wires[8].send(begin(b"/t/Watch", 3) + frame(DATA, 0, 3, message(b"w")))
    assert wires[8].wait(DATA, 3)[3] == message(b"w")
    for w in wires:
        w.socket.close()


def test_ends_of_streams_are_no_flood(wire):
    """A client that has enough of a stream that lived resets it, for there is no other way."""
    w = wire()
    w.send(b"".join(begin(b"/t/Tick", 2 * i + 1) for i in range(128)))
    ticked = set()
    while len(ticked) < 128:
        ticked.add(w.wait(DATA)[2])
    w.send(b"".join(frame(RESET, 0, 2 * i + 1, b"\0\0\0\x08") for i in range(128)))
    w.send(unary(257, b"/t/Echo", message(b"next")))
    assert w.status(257) == 0


# ---- trailers of others ----


def test_trailer(peer):
    """As spec/golden-v3/10-ancestry-post-errors.txt."""
    with socket.create_connection(("127.0.0.1", peer.port), PATIENCE) as s:
        s.sendall(b"GET /trailer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        top, body = s.makefile("rb").read().split(b"\r\n\r\n", 1)
    names = [line.split(b":")[0] for line in top.split(b"\r\n")[1:]]
    assert sorted(names) == sorted([b"Content-Type", b"Trailer", b"Date", b"Connection", b"Transfer-Encoding"])
    assert b"\r\nTrailer: Grpc-Trailer-Content-Type\r\n" in top
    assert body == b"2\r\n{}\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n"


def test_trailer_over_http2(wire):
    w = wire()
    w.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head(b"/trailer").replace(literal(b":method", b"POST"), b"\x82").replace(b"/grpc", b"/json")))
    kinds = []
    while not kinds or not kinds[-1][1] & END_STREAM:
        f = w.next()
        kinds += [f] if f[2] == 1 else []
    assert [(k[0], k[1] & END_STREAM) for k in kinds] == [(HEADERS, 0), (DATA, 0), (HEADERS, END_STREAM)]
    assert kinds[1][3] == b"{}"
