# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table of RFC 8725 (docs/security.md) at the socket: tokens forged with the server's own key, each wrong in one way. All get 401, and no statement
reaches the database. tests/unit/test_auth_token.c has the same and more below the socket, with the reason of each refusal."""
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import re
import shutil
import signal
import threading
import time
import urllib.request
import uuid

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

import wardmote_server
from wardmote_client import Client

NOW = int(time.time())
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def ecdsa(key, text, digest=hashes.SHA256()):
    size = (key.curve.key_size + 7) // 8
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(digest)))
    return b64(r.to_bytes(size, "big") + s.to_bytes(size, "big"))


class Forge:
    """The key of the server, and a good token to take apart."""

    def __init__(self, folder, token):
        path, = pathlib.Path(folder).glob("*.pem")
        self.pem = re.sub(rb"(?m)^sign-from:.*\n", b"", path.read_bytes())
        self.key = serialization.load_pem_private_key(self.pem, None)
        self.kid = path.stem
        self.good = token
        self.header, self.claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])

    def public_pem(self):
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def parts(self, header=None, claims=None):
        """Members replaced, or left out where the value is ...; a text is taken as it is."""
        def merged(base, change):
            if isinstance(change, (bytes, str)):
                return change.encode() if isinstance(change, str) else change
            return json.dumps({name: value for name, value in {**base, **(change or {})}.items() if value is not ...}).encode()
        return f"{b64(merged(self.header, header))}.{b64(merged(self.claims, claims))}"

    def token(self, header=None, claims=None, sign=None):
        text = self.parts(header, claims)
        return f"{text}.{(sign or (lambda text: ecdsa(self.key, text)))(text)}"

    def hmac(self, header, secret):
        return self.token(header, sign=lambda text: b64(hmac.new(secret, text.encode(), hashlib.sha256).digest()))


@pytest.fixture(scope="module", name="site")
def _site(cluster, host, anonymous):
    """A server whose database does nothing but what these tests ask of it, with one key."""
    folder = f"{cluster.folder}/keys-table"
    wardmote_server.run(["key", "create", "--key-dir", folder])
    server = wardmote_server.Server(cluster, folder)
    public = Client(server, anonymous.contract, anonymous.coverage)
    yield Site(public, Forge(folder, public.token_for(host["client_id"], host["client_secret"])))
    server.close()


class Site:
    def __init__(self, public, forge):
        self.public, self.forge, self.sent = public, forge, 0

    def jobs(self):
        with urllib.request.urlopen(f"{self.public.server.admin_url}/metrics", timeout=10) as answer:
            return int(re.search(r"^wardmote_db_jobs_total (\d+)$", answer.read().decode(), re.MULTILINE).group(1))

    def ask(self, token):
        """From an address that has not failed often yet."""
        self.sent += 1
        return self.public.as_token(token, source=f"127.44.{self.sent // 40 // 250}.{1 + self.sent // 40 % 250}").get("/v1/me")

    def settled(self):
        """The count of what the database was asked. A worker publishes its counters five times a second, while it has something to do."""
        jobs = None
        while jobs != (jobs := self.jobs()):
            for _ in range(3):
                time.sleep(0.15)  # three requests without the database, in different publications
                assert self.public.get("/").status == 200
        return jobs

    def refused(self, *tokens):
        before = self.settled()
        for token in tokens:
            answer = self.ask(token)
            assert answer.status == 401, (answer.status, token[:200], answer.text()[:300])
            assert answer.headers["www-authenticate"].startswith("Bearer") and 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert token not in answer.text()
        assert self.settled() == before, "a forged token reached the database"

    def accepted(self, *tokens):
        for token in tokens:
            assert self.ask(token).status == 200, token


def test_the_forge_is_faithful(site):
    site.accepted(site.forge.good, site.forge.token(), site.forge.token(claims={"jti": str(uuid.uuid4())}))


def test_auth_1_no_algorithm(site):
    f = site.forge
    site.refused(*(f.parts({"alg": name}) + "." for name in ("none", "None", "NONE", "")), *(f.token({"alg": name}) for name in ("none", "nOnE", None, 1, ["ES256"])))


def test_auth_2_other_spellings(site):
    site.refused(*(site.forge.token({"alg": name}) for name in ("NoNe", "es256", "Es256", "rs256", " ES256", "ES256 ", "ES256\0")))


def test_auth_3_the_public_key_as_a_secret(site):
    f = site.forge
    for secret in (f.public_pem(), f.public_pem().strip(), f.pem, b""):
        site.refused(f.hmac({"alg": "HS256"}, secret), f.hmac({"alg": "ES256"}, secret), f.hmac({"alg": "HS256", "kid": ...}, secret))


def test_auth_4_another_algorithm_with_the_same_key(site):
    f = site.forge
    wide = ec.generate_private_key(ec.SECP384R1())
    big = rsa.generate_private_key(65537, 2048)
    rs256 = lambda text: b64(big.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))  # pylint: disable=unnecessary-lambda-assignment
    site.refused(f.token({"alg": "ES384"}), f.token({"alg": "ES384"}, sign=lambda text: ecdsa(f.key, text, hashes.SHA384())),
                 f.token(sign=lambda text: ecdsa(f.key, text, hashes.SHA384())), f.token({"alg": "ES384"}, sign=lambda text: ecdsa(wide, text)),
                 f.token(sign=lambda text: ecdsa(wide, text)), f.token({"alg": "RS256"}, sign=rs256), f.token(sign=rs256),
                 *(f.token({"alg": name}) for name in ("RS512", "PS256", "EdDSA", "ES512", "ES256K")))


def test_auth_5_key_names(site):
    f = site.forge
    names = ("", "unknown", "../../etc/passwd", "' OR 1=1--", "cursor.key", f.kid + ".pem", f.kid[:-1], f.kid + " ", f.kid.upper(), None, 1, [f.kid], "a" * 2000, ...)
    stranger = ec.generate_private_key(ec.SECP256R1())
    site.refused(*(f.token({"kid": name}) for name in names), *(f.token({"kid": name}, sign=lambda text: ecdsa(stranger, text)) for name in ("", "unknown", f.kid)),
                 *(f.parts({"kid": name}) + "." + b64(b"\0" * 64) for name in ("", "unknown", f.kid, ...)))


@pytest.mark.parametrize("make", [lambda: rsa.generate_private_key(65537, 2048), lambda: rsa.generate_private_key(65537, 1024),
                                  lambda: ec.generate_private_key(ec.SECP384R1()), lambda: ec.generate_private_key(ec.SECP256K1())],
                         ids=["RSA-2048", "RSA-1024", "P-384", "secp256k1"])
def test_auth_6_weak_and_other_keys_are_not_loaded(site, cluster, make):
    """A folder with a key of another kind is refused as a whole: by the start, by a reload (test_watching.py) and by `key create`."""
    folder = pathlib.Path(f"{cluster.folder}/keys-{uuid.uuid4().hex[:8]}")
    shutil.copytree(site.public.server.keys, folder)
    pem = make().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "other.pem").write_bytes(b"sign-from: 1\n" + pem)
    (folder / "other.pem").chmod(0o600)
    with pytest.raises(RuntimeError, match="other.pem"):
        wardmote_server.run(["key", "create", "--key-dir", str(folder)])


def test_auth_7_signatures(site):
    f = site.forge
    text, signature = f.good.rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "==")
    flipped = [b64(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:]) for at in (0, 31, 32, 63)]
    other = f.token(claims={"jti": str(uuid.uuid4())}).rsplit(".", 1)[1]
    site.refused(*(f"{text}.{bad}" for bad in (*flipped, other, "", "AA", b64(raw[:-1]), b64(raw + b"\0"), b64(b"\0" * 64))))


def test_auth_8_one_token_has_one_spelling(site):
    good = site.forge.good
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bent = good[:-1] + alphabet[alphabet.index(good[-1]) + 1]
    header, payload, signature = good.split(".")
    standard = "AA+/" + signature[4:]
    site.refused(*(good + tail for tail in ("!!!!", "==", "=", ".x", ".", ",", "%3D")), bent, f"{header}=.{payload}.{signature}", f"{header}.{payload}==.{signature}",
                 f"{header}.{payload}.{standard}", f"{header}..{signature}", f".{payload}.{signature}", f"{good}.{good}")


def test_auth_9_values_at_the_edge(site):
    f = site.forge
    text, signature = f.good.rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    pairs = ((0, 0), (0, s), (r, 0), (N, s), (r, N), (N + 1, s), (1, 1), (2 ** 256 - 1, 2 ** 256 - 1))
    site.refused(*(f"{text}." + b64(a.to_bytes(32, "big") + b.to_bytes(32, "big")) for a, b in pairs), f"{text}." + b64(raw + raw), f"{text}." + b64(raw[:32]))


def test_auth_10_payloads(site):
    f = site.forge
    text = json.dumps(f.claims)
    bodies = (text[:-1] + f',"sub":"{f.claims["sub"]}"}}', text[:-1] + ',"s\\u0075b":"x"}', text.encode()[:-1] + b',"x":"\xff"}', text[:-1] + ',"x":"a\\u0000b"}', "[" + text + "]",
              "null", '"' + f.good + '"', f.good, "", "{", text + text, "\ufeff" + text)
    site.refused(*(f.token(claims=body) for body in bodies), "a.b.c.d.e", f"{f.good}.{f.good.split('.')[0]}.AA", f.token({"cty": "JWT"}, claims='"' + f.good + '"'),
                 f.token({"enc": "A128GCM", "alg": "dir"}))


def test_auth_11_issuer_and_subject(site):
    f = site.forge
    site.refused(*(f.token(claims={"iss": value}) for value in ("https://other.example", f.claims["iss"] + "/", f.claims["iss"].upper(), "", None, 1, [f.claims["iss"]], ...)),
                 *(f.token(claims={"sub": value}) for value in ("", "unknown", 1, None, [f.claims["sub"]], f.claims["sub"].upper(), f.claims["sub"] + " ", ...)))
    # A subject of the right form that nobody has is asked of the database, and refused by it.
    assert site.ask(f.token(claims={"sub": str(uuid.uuid4())})).status == 401


def test_auth_12_audience(site):
    f, ours = site.forge, site.forge.claims["aud"]
    site.refused(*(f.token(claims={"aud": value}) for value in (..., None, "", "https://other.example", [], ["https://other.example"], [ours, 1], {ours: 1}, ours + "/", True)))
    site.accepted(f.token(claims={"aud": [ours]}), f.token(claims={"aud": ["https://other.example", ours]}))


def test_auth_13_expiry(site):
    f = site.forge
    bad = (..., None, NOW - 3600, NOW - 31, str(NOW + 600), NOW + 600.5, -1, 0, 2 ** 63 - 1, 1e300, True, [NOW + 600], f.claims["iat"])
    site.refused(*(f.token(claims={"exp": value}) for value in bad), f.token(claims=json.dumps(f.claims).replace(str(f.claims["exp"]), "1e999")))


def test_auth_14_not_before_and_issued(site):
    f = site.forge
    for name in ("nbf", "iat"):
        site.refused(*(f.token(claims={name: value}) for value in (NOW + 3600, str(NOW), NOW + 0.5, None, ..., -1, 2 ** 63 - 1)))


def test_auth_15_a_key_from_the_header_is_not_fetched(site):
    """jku, x5u, jwk, x5c: refused, and the listener that they name sees no connection. So does one that any other field names."""
    seen = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            seen.append(self.path)
            self.send_error(404)
        do_POST = do_HEAD = do_GET

    listener = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listener.server_port}/keys"
        f = site.forge
        numbers = f.key.public_key().public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
        site.refused(*(f.token({**extra, **kid}) for kid in ({}, {"kid": "unknown"}, {"kid": url}) for extra in
                       ({"jku": url}, {"x5u": url}, {"jwk": jwk}, {"x5c": ["MII"]}, {"x5t": "a"}, {"iss": url})), f.token(claims={"iss": url}))
        client = site.public.as_token(f.good)
        for field in ("Referer", "Origin", "X-Forwarded-Host", "X-Original-URL", "X-Callback-Url", "Link"):
            client.get("/v1/partners", headers={field: url})
        made = client.post("/v1/consultations", {"title": "An address", "take_part_url": url, "source": url, "take_part_how": url})
        assert made.status == 201 and client.get(f"/v1/consultations/{made.json()['id']}", params={"as_of": made.json()["created_at"]}).status == 200
        assert client.post("/v1/partners", {"name": url, "kind": "other", "website": url}).status == 201
        time.sleep(0.2)  # so that what was to be fetched later would have been
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
    assert seen == []


def test_auth_16_critical_members(site):
    f = site.forge
    extras = ({"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"crit": ["b64"], "b64": False}, {"zip": "DEF"}, {"unknown": 1})
    site.refused(*(f.token(extra) for extra in extras), f.token('{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"%s"}' % f.kid))


def test_auth_17_another_class_of_token(site):
    f = site.forge
    site.refused(*(f.token(claims={"token_use": value}) for value in ("refresh", "id", "", None, 1, ["access"], ...)),
                 *(f.token({"typ": value}) for value in ("JWT", "jwt", "JWE", "", None, "logout+jwt", ...)), "wmr_" + "A" * 43, "wms_" + "A" * 43)


def test_auth_18_another_installation(site, server, administrator):
    """The same accounts, another key folder and issuer: a token of the one is nobody's at the other."""
    assert administrator.get("/v1/me").status == 200 and server.url != site.public.server.url
    site.refused(administrator.token, site.forge.token(claims={"iss": server.url, "aud": server.url}))
    assert administrator.as_token(site.forge.good, source="127.44.250.1").get("/v1/me").status == 401


def test_auth_19_a_key_that_was_taken_away(cluster, host, anonymous):
    """Its tokens end with the reload; test_tokens.py has disabled accounts, suspended partners and ended sessions."""
    folder = pathlib.Path(f"{cluster.folder}/keys-taken")
    wardmote_server.run(["key", "create", "--key-dir", str(folder)])
    server = wardmote_server.Server(cluster, str(folder))
    try:
        public = Client(server, anonymous.contract, anonymous.coverage)
        old = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
        assert old.get("/v1/me").status == 200
        stolen, = folder.glob("*.pem")
        wardmote_server.run(["key", "rotate", "--key-dir", str(folder)])
        stolen.unlink()
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 5
        while old.get("/v1/me").status == 200 and time.monotonic() < deadline:
            time.sleep(0.02)  # between two looks; the deadline is what is promised
        assert old.get("/v1/me").status == 401
        assert public.as_token(public.token_for(host["client_id"], host["client_secret"])).get("/v1/me").status == 200
    finally:
        server.close()


def test_auth_20_long_tokens(site):
    for size, statuses in ((4097, {401}), (8193, {401, 431}), (65536, {401, 431}), (600000, {401, 431})):
        bare = Client(site.public.server, None, None, token=site.forge.good + "A" * (size - len(site.forge.good)), source="127.44.251.1")
        try:
            assert bare.get("/v1/me").status in statuses, size
        except ConnectionError:
            assert size > 60000, "closed while a field as long as this was still being sent"
    site.accepted(site.forge.good)


def test_auth_22_a_token_in_the_query_is_not_logged(site):
    token = site.forge.token(claims={"jti": str(uuid.uuid4())})
    client = site.public.as_token(None)
    for path in ("/v1/me", "/v1/partners", "/v1/consultations", "/nowhere"):
        for name in ("access_token", "token", "authorization"):
            assert client.get(path, params={name: token}).status in (400, 401, 404)
    log = site.public.server.log()
    assert '"message":"request"' in log and not any(part in log for part in token.split("."))
