"""A Quay for tests, in TLS: its registry of keys, layers for who has the token of this layer, and /secscan/notify behind its own verifier."""
import json

import jwt
import keys

SCANNER = "security_scanner"
OWN = "quay-own-key"


class Quay(keys.Registry):
    """`told` are the names of notifications, `refused` why a request got 403. Layers: path -> (its token, bytes)."""

    def __init__(self, tls):
        super().__init__(tls=tls)
        self.told, self.refused, self.nonces, self.layers = [], [], set(), {}
        self.add("quay", OWN)

    def route(self, handler, parts, body):
        if parts[1] == "keys":
            return super().route(handler, parts, body)
        if handler.path in self.layers:
            token, data = self.layers[handler.path]
            return handler.answer(200, data) if handler.headers["Authorization"] == token else handler.answer(401)
        if (handler.command, handler.path) == ("POST", "/secscan/notify"):
            return self.take_notification(handler, body)
        return handler.answer(404)

    def pending(self):
        return [kid for (service, kid), row in list(self.keys.items()) if service == SCANNER and row["status"] == 409]

    def approve(self, kid):
        self.keys[SCANNER, kid]["status"] = 200

    def sign(self, origin):
        """What stands before its requests puts this in, for each one anew."""
        return "Authorization: Bearer " + keys.token(keys.SHARED, "quay", origin, OWN)

    # ---- the verifier before /secscan (spec/clair-jwt.md 6, 8) ----

    def verify(self, authorization):
        scheme, token = authorization.split(" ")
        assert scheme == "Bearer", scheme
        kid = jwt.get_unverified_header(token)["kid"]
        row = self.keys.get((SCANNER, kid))
        assert row and row["status"] == 200, f"no approved key {kid}"
        key = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(row["jwk"]))
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=self.origin, issuer=SCANNER,
                            options={"require": ["exp", "nbf", "iat", "jti", "aud", "iss"]})
        assert isinstance(claims["aud"], str) and claims["exp"] - claims["iat"] <= 300, claims
        assert claims["jti"] not in self.nonces, "replayed"
        self.nonces.add(claims["jti"])

    def take_notification(self, handler, body):
        try:
            self.verify(handler.headers["Authorization"] or "")
        except (AssertionError, ValueError, KeyError, jwt.PyJWTError) as e:
            self.refused.append(repr(e))
            return handler.answer(403)
        self.told.append(json.loads(body)["Notification"]["Name"])
        return handler.answer(200, b"Okay")
