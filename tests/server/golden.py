"""Recorded exchanges with the real Clair 2.0.7 (spec/golden-v1): read, sent again, compared."""
import gzip
import json
import re
import sqlite3
import time
from dataclasses import dataclass, field

from serving import Answer, exchange

TOKEN = re.compile(rb'"NextPage":"([^"]+)"')
BIG = re.compile(r"^(.*?)a+… \((\d+) bytes in all\)$")


@dataclass
class Exchange:
    file: str
    number: int  # in its file, from 1
    request: bytes
    answer: Answer
    notes: list = field(default_factory=list)


def split_body(lines):
    """Head and body; a newline that a body really has is written as \\n and a line break."""
    at = lines.index("") if "" in lines else len(lines)
    body = lines[at + 1:]
    while body and body[-1] == "":
        body.pop()
    text = "".join(line[:-2] + "\n" if line.endswith("\\n") else line for line in body)
    return lines[:at], text


def read(folder, number, port):
    """The exchanges of one file; 127.0.0.1:16098, where layers were fetched from, becomes our port."""
    path = next(folder.glob(f"{number:02}-*.txt"))
    text = path.read_text().replace("127.0.0.1:16098", f"127.0.0.1:{port}")
    found = []
    for i, part in enumerate(text.split(">>> request\n")[1:], 1):
        sent, received = part.split("<<< response\n")
        head, body = split_body(sent.split("\n"))
        if (big := BIG.match(body)):
            end = '"}}}'
            body = big[1] + "a" * (int(big[2]) - len(big[1]) - len(end)) + end
        head = [re.sub(r"^Content-Length: .*", f"Content-Length: {len(body.encode())}", line) for line in head]
        status_line, *lines = received.split("\n")
        version, status, reason = status_line.split(" ", 2)
        headers, content = split_body(lines)
        notes = [h for h in headers if h.startswith("(")]
        headers = [tuple(h.split(": ", 1)) for h in headers if not h.startswith("(")]
        content = "" if content == "(empty body)" else content
        if not any("un-gzipped" in note for note in notes):  # our port may have other digits
            headers = [(k, str(len(content.encode())) if k == "Content-Length" and content else v) for k, v in headers]
        answer = Answer(int(status), reason, headers, content.encode(), version)
        found.append(Exchange(path.name, i, ("\r\n".join(head) + "\r\n\r\n" + body).encode(), answer, notes))
    assert found, path
    return found


def send(x, server):
    port = server.health_port if x.file.startswith(("01", "02")) else server.port
    return exchange(port, x.request)


def headers_of(a, gzipped):
    """As a set, as the specification says; dates differ, and so may the size of what another gzip packed."""
    return sorted((k, v) for k, v in a.headers if k != "Date" and not (gzipped and k == "Content-Length"))


def content(a):
    body = gzip.decompress(a.body) if a.header("Content-Encoding") == "gzip" and a.body[:2] == b"\x1f\x8b" else a.body
    body = TOKEN.sub(b'"NextPage":"a token"', body)
    if body.startswith(b'{"Notification"'):
        return notification(body)
    if not body.startswith((b'{"Layer"', b'{"Vulnerability"')) or not (b'"Features"' in body or b'"FixedIn"' in body):
        return body
    value = json.loads(body)  # the old server's order of features was random
    (owner,) = value.values()
    for features in (owner.get("Features"), owner.get("FixedIn")):
        (features or []).sort(key=lambda f: (f["Name"], f["Version"]))
    assert body.endswith(b"}\n")
    return value


def notification(body):
    """Without what is another one each time: name, times, numbers of layers but for their order."""
    assert body.endswith(b"}}\n")
    value = json.loads(body)["Notification"]
    order = list(value)  # of its fields
    for key in ("Name", "Page"):
        assert value.pop(key)
    value |= {key: "a time" for key in ("Created", "Notified", "Deleted") if int(value.get(key, 0)) > 1_500_000_000}
    for side in (value.get("Old"), value.get("New")):
        layers = (side or {}).get("OrderedLayersIntroducingVulnerability", [])
        assert [v["Index"] for v in layers] == sorted({v["Index"] for v in layers})
        if side:
            side["Vulnerability"].get("FixedIn", []).sort(key=lambda f: f["Name"])
        for v in layers:
            v["Index"] = "a number"
    return order, value


def token(a):
    """The one that leads to the next page; None without."""
    found = TOKEN.search(gzip.decompress(a.body) if a.header("Content-Encoding") == "gzip" and a.body[:2] == b"\x1f\x8b" else a.body)
    return found[1] if found else None


class Tokens:
    """Page tokens of the recording, and what they are here."""

    def __init__(self):
        self.known = {}

    def learn(self, x, got):
        if token(x.answer) and token(got):
            self.known[token(x.answer)] = token(got)

    def replace(self, request):
        for theirs, ours in self.known.items():
            request = request.replace(theirs, ours).replace(theirs.replace(b"=", b"%3D"), ours.replace(b"=", b"%3D"))
        return request


def compare(x, got, without=lambda value: value):
    """What differs, as a list of words; empty when nothing does."""
    want, gzipped = x.answer, any("un-gzipped" in note for note in x.notes)
    differs = []
    if got.status != want.status:  # 422 has another reason phrase since RFC 9110; clients read the number
        differs.append(f"status {got.status}, not {want.status}")
    want_content = content(want)
    changed = without(want_content) != want_content
    if headers_of(got, gzipped or changed) != headers_of(want, gzipped or changed):
        differs.append(f"headers {headers_of(got, gzipped)}, not {headers_of(want, gzipped)}")
    if content(got) != without(want_content):
        differs.append(f"body {content(got)!r}, not {without(want_content)!r}")
    return differs


def is_server(database):
    return "=" in str(database) or "://" in str(database)


def rows(database, statement):
    if is_server(database):
        import psycopg2
        with psycopg2.connect(str(database)) as db, db.cursor() as c:
            c.execute("SET search_path = eclair")
            c.execute(statement)
            return c.fetchall()
    with sqlite3.connect(database) as db:
        found = db.execute(statement).fetchall()
    db.close()
    return found


def execute(database, statement, *values):
    """Behind the server's back; `?` for the values. The number of rows."""
    if is_server(database):
        import psycopg2
        with psycopg2.connect(str(database)) as db, db.cursor() as c:
            c.execute("SET search_path = eclair")
            c.execute(statement.replace("?", "%s"), values)
            return c.rowcount
    with sqlite3.connect(database) as db:
        rows = db.execute(statement, values).rowcount
    db.close()
    return rows


def notifications(database):
    """[(name, id before, id after)] in order."""
    found = rows(database, "SELECT n.name, b.name, a.name FROM notification n LEFT JOIN advisory b ON b.id = n.before"
                           " LEFT JOIN advisory a ON a.id = n.after ORDER BY n.id")
    return [(name, *(bytes(v).decode() if v is not None else None for v in ids)) for name, *ids in found]


def notification_of(database, change, seconds=60):
    """The name of the first of that change: a thread of the server makes it."""
    end = time.monotonic() + seconds
    while not (ours := [name for name, *ids in notifications(database) if tuple(ids) == change]):
        assert time.monotonic() < end, (change, notifications(database))
        time.sleep(0.1)
    return ours[0]


def make_old(database, name):
    """As the recording did: the stored layer says that an older engine made it."""
    assert execute(database, "UPDATE named_layer SET engine = 1 WHERE name = ?", name.encode()) == 1


def hold(replay, files, exceptions, at_least):
    """All exchanges of some files, replayed in order: what differs is what `exceptions` says of (file, exchange), and each of those is one."""
    used, count, faults = set(), 0, []
    for number in files:
        for x, differs in replay(number):
            kinds = {d.split()[0] for d in differs}
            allowed, _ = exceptions.get((number, x.number), (set(), ""))
            if kinds != allowed:
                faults.append(f"{x.file}, exchange {x.number}: {differs}")
            used |= {(number, x.number)} if allowed else set()
            count += 1
    assert not faults, "\n".join(faults)
    assert used == set(exceptions), "an exception that is none"
    assert count >= at_least, count
