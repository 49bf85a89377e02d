#!/usr/bin/python3
"""A loopback HTTP server for mirrors, with faults on demand.

    feedserver.py --root DIR [--port 0] [--port-file FILE]

GET /PATH gives DIR/PATH with ETag, Last-Modified, If-None-Match, If-Modified-Since, Range and If-Range.
GET /fault/MODE/PATH does the same with one fault; what happens "once" happens at the first request of a URL:

    truncate-N          every answer ends after N bytes of what it promised
    chunked-truncate-N  the same without Content-Length: the last chunk is missing
    drop-N-then-resume  once ended after N bytes
    no-range            once ended half way; Range is ignored
    no-validator        once ended half way; no ETag, no Last-Modified
    weak                once ended half way; the ETag is weak, no Last-Modified
    changed-in-between  once ended half way; then the content and its validators are others
    changed-no-range    the same, and Range is ignored
    wrong-range         once ended half way; then a part that begins elsewhere
    dribble             a byte every 20 ms
    stall-N             once silent after N bytes, with the connection open
    hang                never answers
    503-K[-S]           (or another status) the first K requests fail, with Retry-After: S
    ignore-conditional  never 304
    redirect            302 to /PATH
    redirect-file       302 to file:///etc/hostname
    redirect-loop       302 to itself
    big-headers         headers without end
    s3                  403 for what is not there
    late                404 with its text a moment after the headers

GET /control/fault/MODE/PREFIX does so from then on for all that begins with /PREFIX, /control/fault/none for nothing any more.
GET /control/log gives the requests since the last /control/reset, one a line: path, If-None-Match, Range, If-Range.
GET /control/answers gives how many had which status, "304 17".
GET /control/connections gives how many connections had their first other request since then.
"""
import argparse
import email.utils
import hashlib
import http.server
import pathlib
import re
import socket
import sys
import threading
import time
import urllib.parse

STALL_S = 30


class Content:
    """What one answer is made of."""

    def __init__(self, file):
        self.body = file.read_bytes()
        self.etag = '"%s"' % hashlib.sha256(self.body).hexdigest()[:32]
        self.modified = email.utils.formatdate(int(file.stat().st_mtime), usegmt=True)

    def change(self):
        self.body = bytes(reversed(self.body))
        self.etag = '"changed"'
        self.modified = email.utils.formatdate(1, usegmt=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a kept connection would wait for the client's acknowledgement of the headers
    lock = threading.Lock()
    seen = {}  # URL -> requests so far
    log = []
    faults = {}  # prefix -> mode
    answers = {}  # status -> how many
    connections = 0
    counted = False  # an instance is one connection
    root = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = urllib.parse.unquote(self.path)
        if path.startswith("/control/"):
            return self.control(path)
        with self.lock:
            self.log.append("\t".join([path] + [self.headers.get(n, "-") for n in ("If-None-Match", "Range", "If-Range")]))
            Handler.connections += not self.counted
            self.counted = True
            count = self.seen.get(path, 0)
            self.seen[path] = count + 1
        fault = re.fullmatch(r"/fault/([^/]+)(/.*)", path)
        mode, path = fault.groups() if fault else (next((m for p, m in self.faults.items() if path.startswith(p)), ""), path)
        if not self.before(mode, path, count):
            self.serve(mode, path, count)

    def control(self, path):
        with self.lock:
            if path == "/control/reset":
                self.log.clear()
                self.seen.clear()
                self.answers.clear()
                Handler.connections = 0
            fault = re.fullmatch(r"/control/fault/([^/]+)(/.*)?", path)
            if fault and fault[2]:
                self.faults[fault[2]] = fault[1]
            elif fault:
                self.faults.clear()
            body = "".join(line + "\n" for line in self.log).encode()
            if path == "/control/connections":
                body = b"%d\n" % self.connections
            if path == "/control/answers":
                body = "".join(f"{status} {count}\n" for status, count in self.answers.items()).encode()
        self.plain(200, body)

    def send_response(self, code, message=None):
        if not self.path.startswith("/control/"):
            with self.lock:
                self.answers[code] = self.answers.get(code, 0) + 1
        super().send_response(code, message)

    def plain(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "late" in self.path:
            time.sleep(0.02)
        self.wfile.write(body)

    def before(self, mode, path, count):
        """Faults that need no content. True when the request is answered."""
        status = re.fullmatch(r"(\d{3})-(\d+)(?:-(\d+))?", mode)
        if status and count < int(status[2]):
            self.plain(int(status[1]), b"busy\n", **({"Retry_After": status[3]} if status[3] else {}))
        elif mode == "hang":
            self.silence()
        elif mode == "redirect":
            self.plain(302, Location=path)
        elif mode == "redirect-file":
            self.plain(302, Location="file:///etc/hostname")
        elif mode == "redirect-loop":
            self.plain(302, Location=self.path)
        elif mode == "big-headers":
            self.plain(200, **{"X_%d" % i: "x" * 1000 for i in range(200)})
        else:
            return False
        return True

    def silence(self):
        self.wfile.flush()
        self.connection.settimeout(STALL_S)
        try:
            self.connection.recv(1)  # returns when the client gives up
        except OSError:
            pass
        self.close_connection = True

    def content(self, mode, path, count):
        file = (self.root / path.lstrip("/")).resolve()
        if not file.is_relative_to(self.root) or not file.is_file():
            return None
        c = Content(file)
        if mode.startswith("changed") and count:
            c.change()
        if mode.startswith("truncate-") or mode == "dribble":
            c.etag, c.modified = '"another"', None  # file than the one that came whole
        if mode == "no-validator":
            c.etag = c.modified = None
        if mode == "weak":
            c.etag, c.modified = "W/" + c.etag, None
        return c

    def unchanged(self, c):
        if "If-None-Match" in self.headers:
            return self.headers["If-None-Match"] == c.etag
        return c.modified and self.headers.get("If-Modified-Since") == c.modified

    def range_from(self, mode, c):
        """The first byte wanted, or None for all of it."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        strong = [v for v in (c.etag, c.modified) if v and not v.startswith("W/")]
        if not wanted or mode.endswith("no-range") or (condition and condition not in strong):
            return None
        return int(wanted[1])

    def serve(self, mode, path, count):
        c = self.content(mode, path, count)
        if c is None:
            return self.plain(403 if mode == "s3" else 404, b"not found\n")
        if mode != "ignore-conditional" and self.unchanged(c):
            self.send_response(304)
            self.validators(c)
            return self.end_headers()
        start = self.range_from(mode, c)
        if start is not None and start >= len(c.body):
            return self.plain(416, Content_Range="bytes */%d" % len(c.body))
        body = c.body[start or 0:]
        if start is None:
            self.send_response(200)
        else:
            shown = start + 1 if mode == "wrong-range" else start
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (shown, len(c.body) - 1, len(c.body)))
        self.validators(c)
        self.body(mode, body, count)

    def validators(self, c):
        for name, value in (("ETag", c.etag), ("Last-Modified", c.modified)):
            if value:
                self.send_header(name, value)

    def body(self, mode, body, count):
        cut = self.cut(mode, len(body), count)
        if mode == "dribble":
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for i in range(len(body)):
                self.wfile.write(body[i:i + 1])
                time.sleep(0.02)
            return
        if mode.startswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part = body[:cut]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None and mode.startswith("stall"):
            self.silence()
        elif cut is not None:
            self.close_connection = True

    @staticmethod
    def cut(mode, size, count):
        """After how many bytes the answer ends; None = whole."""
        number = re.search(r"-(\d+)", mode)
        if re.match(r"(chunked-)?truncate-", mode):
            return int(number[1])
        if count:
            return None
        if mode.startswith(("drop-", "stall-")):
            return int(number[1])
        if mode in ("no-range", "no-validator", "weak", "changed-in-between", "changed-no-range", "wrong-range"):
            return size // 2
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, socket.timeout)):
            super().handle_error(request, client_address)


def main():
    p = argparse.ArgumentParser(description="loopback HTTP server for mirrors, with faults")
    p.add_argument("--root", type=pathlib.Path, required=True)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--port-file", type=pathlib.Path)
    args = p.parse_args()
    Handler.root = args.root.resolve()
    server = Server(("127.0.0.1", args.port), Handler)
    if args.port_file:
        part = args.port_file.with_suffix(".part")
        part.write_text("%d\n" % server.server_port)
        part.rename(args.port_file)
    else:
        print(server.server_port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
