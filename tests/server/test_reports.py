"""Answers that are kept in memory: the same bytes as at first, and never those of before a change, whoever makes it."""
import helpers
import make_images as mi


def tracker(fixed):
    row = {"status": "resolved", "urgency": "low", "fixed_version": fixed}
    return {"demo": {"CVE-2024-1": {"description": "one", "releases": {"bookworm": row}}}}


def both(server, name):
    """A report twice: made, and given again."""
    first, again = (server.get(f"/v1/layers/{name}?features&vulnerabilities") for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    return first


def fixes(answer):
    return [v.get("FixedBy") for f in answer.json()["Layer"]["Features"] for v in f.get("Vulnerabilities", [])]


def test_reports(serve, files, database, tmp_path):
    feed = helpers.write_mirror(tmp_path / "mirror", tracker("2.0-1"))
    assert helpers.eclair("update", "debian", "--mirror", feed, "--db", database).code == 0
    server = serve()
    base, top = files.folder / "base", files.folder / "top"
    base.write_bytes(mi.tar([("etc/os-release", mi.os_release())]))
    top.write_bytes(mi.tar([("var/lib/dpkg/status", mi.dpkg_status([("demo", "1.0-1", None)]))]))
    server.post_chain(["a", "b"], [base, top])
    assert fixes(both(server, "b")) == ["2.0-1"]
    plain = server.get("/v1/layers/b?features")  # another question
    assert fixes(plain) == [] and plain.body == server.get("/v1/layers/b?features").body

    helpers.write_mirror(feed, tracker("3.0-1"))
    assert helpers.eclair("update", "debian", "--mirror", feed, "--db", database).code == 0  # another process
    assert fixes(both(server, "b")) == ["3.0-1"]

    # the same contents under another parent: its name stands in AddedBy
    assert server.request("DELETE", "/v1/layers/a").status == 200
    assert both(server, "b").status == 404
    server.post_chain(["other", "b"], [base, top])
    answer = both(server, "b").json()["Layer"]
    assert answer["ParentName"] == "other" and answer["Features"][0]["AddedBy"] == "b"
