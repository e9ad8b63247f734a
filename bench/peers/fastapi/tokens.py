# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bearer tokens: ES256, by the keys of a JWKS file. A token that was verified is kept until it expires."""
import dataclasses
import json
import pathlib
import time

import jwt

KEPT = 10000
LEEWAY_SECONDS = 30
REQUIRED = ["sub", "epoch", "exp", "partner"]


@dataclasses.dataclass(slots=True)
class Caller:
    until: float
    partner: str
    scopes: list | None
    values: tuple  # of act.sql, or with a session of act_session.sql


class Tokens:
    def __init__(self, jwks_file, issuer, audience):
        keys = json.loads(pathlib.Path(jwks_file).read_text(encoding="utf-8"))["keys"]
        self._keys = {key["kid"]: jwt.PyJWK(key).key for key in keys}
        self._issuer = issuer
        self._audience = audience
        self._kept = {}  # in the order in which they came: the oldest go first

    def caller(self, token):
        """Who a token stands for, or None."""
        found = self._kept.get(token)
        if found is not None and found.until > time.time():
            return found
        self._kept.pop(token, None)
        try:
            found = self._verify(token)
        except (jwt.InvalidTokenError, KeyError):
            return None
        if len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[token] = found
        return found

    def _verify(self, token):
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["ES256"], issuer=self._issuer, audience=self._audience, leeway=LEEWAY_SECONDS,
                            options={"require": REQUIRED})
        if claims["token_use"] != "access":
            raise jwt.InvalidTokenError("not an access token")
        scope = claims.get("scope")
        # A token with no scope at all still counts as narrowed.
        values = (claims["sub"], claims["epoch"], "" if scope is None else scope or "-", *([claims["sid"]] if "sid" in claims else []))
        return Caller(claims["exp"] + LEEWAY_SECONDS, claims["partner"], None if scope is None else scope.split(), values)
