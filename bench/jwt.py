#!/usr/bin/python3
"""What a verified request costs beside the direct one, in the same run: wrk against the API, and against a verifier in front of it (RS256, 2048 bits,
keys of a registry, a fresh token for each request)."""
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measure import ROOT
from serve import new_server, wrk

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/e2e"), str(ROOT / "tests/server")]
from jwtproxy import Registry, claims_for, jwk, make_token, private_pem, rsa_key  # noqa: E402
from serving import free_ports  # noqa: E402

SECONDS = 1  # a token is good once: more would want too many of them
LUA = """
local tokens, at = {}, 0
for line in io.lines("%s") do tokens[#tokens + 1] = "Bearer " .. line end
function request()
    at = at + 1
    if at > #tokens then at = 1 end
    return wrk.format("GET", nil, { ["Authorization"] = tokens[at] })
end
"""


def sign(work):
    pem, audience, count = work
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    key = load_pem_private_key(pem, None)
    return [make_token(key, claims_for(audience, exp=int(time.time()) + 290)) for _ in range(count)]


def tokens(key, audience, count, folder, name):
    parts = 8
    with ProcessPoolExecutor(2) as pool:
        made = [t for part in pool.map(sign, [(private_pem(key), audience, count // parts)] * parts) for t in part]
    file, script = folder / f"{name}.tokens", folder / f"{name}.lua"
    file.write_text("\n".join(made) + "\n")
    script.write_text(LUA % file)
    return script


def section(port, api, registry):
    return ("jwtproxy:\n  signer_proxy:\n    enabled: false\n  verifier_proxies:\n"
            f"  - listen_addr: 127.0.0.1:{port}\n    verifier:\n      upstream: http://127.0.0.1:{api}\n"
            f"      audience: http://127.0.0.1:{port}\n      key_server:\n        type: keyregistry\n        options:\n"
            f"          registry: {registry}\n")


def main():
    goals = []
    key, registry = rsa_key(), Registry()
    registry.keys["quay", "mykey"] = jwk(key, "mykey")
    port, = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "db").mkdir()
        server = new_server("jwt", folder / "db" / "eclair.db")
        server.more = section(port, server.port, registry.url)
        server.start()
        audience, path = f"http://127.0.0.1:{port}", "/v1/namespaces"
        pairs = []
        for i in range(3):
            script = tokens(key, audience, 12000, folder, f"one{i}")
            direct = wrk(f"http://127.0.0.1:{server.port}{path}", SECONDS, 1, script)
            proxied = wrk(audience + path, SECONDS, 1, script)
            pairs.append((direct[1], proxied[1]))
        direct, proxied = (sorted(x)[1] for x in zip(*pairs))
        rate = wrk(audience + path, SECONDS, 16, tokens(key, audience, 20000, folder, "rate"))
        straight = wrk(f"http://127.0.0.1:{server.port}{path}", SECONDS, 16)
        server.stop()
    print(f"direct     p50 {direct:7.3f} ms on one connection; {straight[0]:9,.0f} requests/s on 16")
    print(f"verified   p50 {proxied:7.3f} ms on one connection; {rate[0]:9,.0f} requests/s on 16, p99 {rate[2]:.2f} ms")
    goals.append(("a verified request adds at the median", f"{proxied - direct:.3f} ms", "0.3 ms", proxied - direct <= 0.3))
    goals.append(("verified requests a second, two cores", f"{rate[0]:,.0f}", "3,000", rate[0] >= 3000))
    for what, got, want, good in goals:
        print(f"{'ok  ' if good else 'MISS'} {what}: {got} (goal {want})")
    return not all(g[3] for g in goals)


if __name__ == "__main__":
    sys.exit(main())
