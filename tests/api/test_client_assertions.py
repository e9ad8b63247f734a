# SPDX-License-Identifier: AGPL-3.0-or-later
"""Clients that prove themselves by a signature (RFC 7523): their keys, good and bad assertions, and that each counts once."""
import base64
import concurrent.futures
import hashlib
import hmac
import math

import pytest

from wardmote_client import Client
from wardmote_oauth import ALGORITHMS, BEARER, Key, ahead, assertion, b64, number, proof
from wardmote_records import absent_id, unique

TOKEN = "/oauth/token"
ANY = {"If-Match": "*"}
KEYS = {name: Key(name, f"{name} {number}") for number, name in enumerate(ALGORITHMS)}


@pytest.fixture(scope="module", name="service")
def _service(partner):
    """An account with a key for each algorithm, and no secret."""
    answer = partner.manager.post("/v1/accounts", {"kind": "service", "role": "officer", "name": unique("Signs"),
                                                   "jwks": {"keys": [key.jwk for key in KEYS.values()]}})
    assert answer.status == 201 and answer.json()["client_secret"] is None, answer.text()
    return answer.json()


def ask(anonymous, fields):
    return anonymous.form(TOKEN, {"grant_type": "client_credentials", **fields})


def refused(answer, status=401, error="invalid_client"):
    assert (answer.status, answer.json()["error"]) == (status, error), answer.text()
    assert answer.headers["cache-control"] == "no-store" and "www-authenticate" not in answer.headers and "access_token" not in answer.text()
    return answer.json()["error_description"]


# --- good ones ---

@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm(anonymous, server, service, algorithm):
    answer = ask(anonymous, proof(assertion(KEYS[algorithm], service["client_id"], server.url)))
    assert answer.status == 200 and set(answer.json()) == {"access_token", "token_type", "expires_in"}
    assert answer.headers["cache-control"] == "no-store"
    assert anonymous.as_token(answer.json()["access_token"]).get("/v1/me").json()["account_id"] == service["id"]


@pytest.mark.parametrize(("header", "claims"), [
    ({"typ": ...}, {}), ({"typ": "client-authentication+jwt"}, {}), ({"x5t": "abc", "unknown": 1}, {"unknown": {"a": []}}),
    ({}, {"iat": ...}), ({}, {"nbf": ahead(-5)}), ({}, {"nbf": ahead(20), "iat": ahead(20)}), ({}, {"exp": ahead(-15)}), ({}, {"exp": ahead(290)}),
])
def test_what_may_differ(anonymous, server, service, header, claims):
    """Also clocks that are up to 30 seconds apart."""
    key = KEYS["ES256"]
    assert ask(anonymous, proof(assertion(key, service["client_id"], server.url, header, claims))).status == 200
    fields = proof(assertion(key, service["client_id"], [server.url]))
    assert ask(anonymous, {**fields, "client_id": service["client_id"], "scope": "risks:read"}).json()["scope"] == "risks:read"


def test_ed25519_has_two_names(anonymous, server, service):
    assert ask(anonymous, proof(assertion(KEYS["EdDSA"], service["client_id"], server.url, {"alg": "Ed25519"}))).status == 200


def test_the_only_key_needs_no_name(anonymous, server, partner, service):
    key = Key("ES256", "only")
    one = partner.manager.post("/v1/accounts", {"kind": "service", "role": "viewer", "name": unique("One"), "jwks": {"keys": [key.jwk]}}).json()
    assert ask(anonymous, proof(assertion(key, one["client_id"], server.url, {"kid": ...}))).status == 200
    refused(ask(anonymous, proof(assertion(KEYS["ES256"], service["client_id"], server.url, {"kid": ...}))))


# --- bad ones: header, claims, and what the answer says ---

BAD = [
    ({"alg": "none"}, {}, "alg"), ({"alg": "HS256"}, {}, "alg"), ({"alg": "es256"}, {}, "alg"), ({"alg": "ES384"}, {}, "alg"), ({"alg": ...}, {}, "alg"),
    ({"typ": "at+jwt"}, {}, "typ"), ({"typ": 1}, {}, "typ"), ({"crit": ["exp"]}, {}, "crit"), ({"b64": True}, {}, "crit"), ({"zip": "DEF"}, {}, "crit"),
    ({"jku": "http://127.0.0.1:1/"}, {}, "crit"), ({"jwk": KEYS["ES256"].jwk}, {}, "crit"), ({"x5u": "http://127.0.0.1:1/"}, {}, "crit"), ({"x5c": []}, {}, "crit"),
    ({"kid": 1}, {}, "kid"), ({"kid": ""}, {}, "kid"), ({"kid": "x" * 129}, {}, "kid"), ('{"alg":"ES256","alg":"ES256"}', {}, "compact"), ("[]", {}, "compact"),
    ({}, {"iss": ...}, "iss"), ({}, {"sub": ...}, "iss"), ({}, {"sub": "wmc_other"}, "iss"), ({}, {"iss": "wmc_other"}, "iss"), ({}, {"iss": 1, "sub": 1}, "iss"),
    ({}, {"aud": ...}, "aud"), ({}, {"aud": "https://elsewhere.example"}, "aud"), ({}, {"aud": []}, "aud"), ({}, {"aud": None}, "aud"), ({}, {"aud": {"a": 1}}, "aud"),
    ({}, {"jti": ...}, "jti"), ({}, {"jti": ""}, "jti"), ({}, {"jti": 5}, "jti"), ({}, {"jti": "j" * 256}, "jti"),
    ({}, {"exp": ...}, "exp"), ({}, {"exp": "1795000060"}, "exp"), ({}, {"exp": 1795000060.5}, "exp"), ({}, {"exp": -1}, "exp"), ({}, {"exp": 2**63 - 1}, "exp"),
    ({}, {"exp": ahead(-120)}, "exp is over"), ({}, {"exp": ahead(900)}, "5 minutes"), ({}, {"nbf": ahead(300)}, "nbf"), ({}, {"nbf": "now"}, "nbf"),
    ({}, {"iat": ahead(300)}, "iat"), ({}, {"iat": True}, "iat"), ({}, '{"iss":"a","iss":"a"}', "compact"), ({}, "[]", "compact"),
]


@pytest.mark.parametrize(("header", "claims", "why"), BAD)
def test_bad_assertions(anonymous, server, service, header, claims, why):
    """What the text alone shows is told, alike for a client that does not exist."""
    told = refused(ask(anonymous, proof(assertion(KEYS["ES256"], service["client_id"], server.url, header, claims))))
    assert why in told
    if not isinstance(claims, str) and not {"iss", "sub"} & set(claims):
        assert refused(ask(anonymous, proof(assertion(KEYS["ES256"], "wmc_" + "0" * 32, server.url, header, claims)))) == told


def test_the_audience_is_the_issuer_alone(anonymous, server, service, start_server):
    audiences = ([server.url, "https://elsewhere.example"], [server.url, server.url], server.url + "/", server.url + TOKEN, [[server.url]], server.url.upper())
    for audience in audiences:
        assert "aud" in refused(ask(anonymous, proof(assertion(KEYS["ES256"], service["client_id"], audience))))
    lenient = Client(start_server(assertion_to_endpoint="true"), None, None)
    url = lenient.server.url
    assert ask(lenient, proof(assertion(KEYS["ES256"], service["client_id"], url + TOKEN))).status == 200
    assert ask(lenient, proof(assertion(KEYS["ES256"], service["client_id"], url))).status == 200
    assert "aud" in refused(ask(lenient, proof(assertion(KEYS["ES256"], service["client_id"], [url, url + TOKEN]))))


def test_signatures(anonymous, server, service):
    """Another key, another algorithm of the same key, a public key as secret, a bent signature, none: one answer, which says nothing of the client."""
    client, answers = service["client_id"], set()
    good = assertion(KEYS["ES256"], client, server.url)
    head, body, signature = good.split(".")
    secret = KEYS["RS256"].jwk["n"].encode()
    hs256 = b64(b'{"alg":"RS256","kid":"RS256 0"}') + "." + body
    bad = [assertion(KEYS["ES256"], client, server.url, signed_by=Key("ES256")), f"{head}.{body}.", f"{head}.{body}.{signature[40:80]}{signature[:40]}{signature[80:]}",
           f"{hs256}.{b64(hmac.new(secret, hs256.encode(), hashlib.sha256).digest())}", assertion(KEYS["RS256"], client, server.url, {"kid": KEYS["PS256"].kid}),
           assertion(KEYS["PS256"], client, server.url, {"alg": "RS256"}), assertion(KEYS["ES256"], client, server.url, {"kid": "none"}),
           assertion(KEYS["ES256"], client, server.url, {"kid": "' OR 1=1--"}), assertion(KEYS["ES256"], "wmc_nobody", server.url),
           assertion(KEYS["EdDSA"], client, server.url, {"kid": KEYS["ES256"].kid}), f"{head}.{body}.{b64(bytes(64))}"]
    for token in bad:
        answers.add(refused(ask(anonymous, proof(token))))
    assert len(answers) == 1
    for token in (good + "=", good + ".", " " + good, good.replace(".", "..", 1), good + "A" * 4096, "a.b.c"):
        refused(ask(anonymous, proof(token)), *((400, "invalid_request") if len(token) > 4096 else ()))
    assert ask(anonymous, proof(good)).status == 200


def test_one_way_of_proving(anonymous, server, service):
    client = service["client_id"]
    good = proof(assertion(KEYS["ES256"], client, server.url))
    basic = {"Authorization": "Basic " + base64.b64encode(f"{client}:x".encode()).decode()}
    refused(ask(anonymous, {**good, "client_id": client, "client_secret": "x"}), 400, "invalid_request")
    refused(anonymous.form(TOKEN, {"grant_type": "client_credentials", **good}, headers=basic), 400, "invalid_request")
    refused(ask(anonymous, {**good, "client_id": "wmc_other"}), 400, "invalid_request")
    refused(ask(anonymous, {"client_assertion": good["client_assertion"]}), 400, "invalid_request")
    refused(ask(anonymous, {"client_assertion_type": BEARER}), 400, "invalid_request")
    refused(ask(anonymous, {**good, "client_assertion_type": BEARER[:-1]}), 400, "invalid_request")
    assert ask(anonymous, good).status == 200  # none of these was its use


# --- once ---

def test_an_assertion_counts_once(anonymous, server, service, start_server, cluster):
    token = assertion(KEYS["ES256"], service["client_id"], server.url)
    assert ask(anonymous, proof(token)).status == 200
    told = refused(ask(anonymous, proof(token)))
    elsewhere = start_server(issuer=server.url, audience=server.url)
    assert refused(ask(Client(elsewhere, None, None), proof(token))) == told  # another process
    # So does its jti, of this client alone.
    jti = {"jti": unique("jti")}
    assert ask(anonymous, proof(assertion(KEYS["ES256"], service["client_id"], server.url, None, jti))).status == 200
    refused(ask(anonymous, proof(assertion(KEYS["RS256"], service["client_id"], server.url, None, jti))))
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auth.assertion")
        before, = cursor.fetchone()
        cursor.execute("UPDATE auth.assertion SET until = now() - interval '1 second' WHERE sha256 = encode(sha256(convert_to(%s, 'UTF8')), 'hex')",
                       (f"{service['client_id']}\n{jti['jti']}",))
        assert cursor.rowcount == 1
        cursor.execute("SELECT wardmote.forget_clients()")
        cursor.execute("SELECT count(*) FROM auth.assertion")
        assert cursor.fetchone()[0] < before


def test_a_race_has_one_winner(server, service):
    for _ in range(5):
        fields = proof(assertion(KEYS["ES256"], service["client_id"], server.url))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = sorted(answer.status for answer in pool.map(lambda _: ask(Client(server, None, None), fields), range(8)))
        assert statuses == [200] + [401] * 7


# --- keys ---

def with_keys(partner, *keys, **members):
    return partner.manager.post("/v1/accounts", {"kind": "service", "role": "officer", "name": unique("Keys"), "jwks": {"keys": list(keys)}, **members})


def test_keys_are_public_and_good(partner):
    good = KEYS["ES256"].jwk
    rsa = KEYS["RS256"].jwk
    bad = [
        ({**good, "d": "secret"}, "/jwks/keys/0/d", "private_key"), ({**rsa, "p": "a", "q": "b"}, "/jwks/keys/0/q", "private_key"),
        ({"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0"}, "/jwks/keys/0/k", "private_key"),
        ({**good, "alg": "RS256"}, "/jwks/keys/0/kty", "not_allowed"), ({**good, "x": "A" * 43}, "/jwks/keys/0/x", "not_a_key"),
        ({**good, "crv": "Ed25519"}, "/jwks/keys/0/crv", "not_allowed"), ({**good, "x": "!" * 43}, "/jwks/keys/0/x", "format"),
        ({**good, "n": rsa["n"]}, "/jwks/keys/0/n", "not_allowed"), ({**rsa, "e": "AQAC"}, "/jwks/keys/0/e", "format"), ({**rsa, "e": "AAAD"}, "/jwks/keys/0/e", "format"),
        ({**rsa, "n": "A" * 342}, "/jwks/keys/0/n", "format"), (Key("RS256", bits=1024).jwk, "/jwks/keys/0/n", "length"), ({**rsa, "n": "B" * 684}, "/jwks/keys/0/n", "length"),
        ({**good, "kid": ""}, "/jwks/keys/0/kid", "length"), ({**good, "use": "enc"}, "/jwks/keys/0/use", "not_a_value"),
        ({name: value for name, value in good.items() if name != "kid"}, "/jwks/keys/0/kid", "required"), ({**good, "jwks_uri": "https://e.example"}, "/jwks/keys/0/jwks_uri", "unknown_field"),
    ]
    for jwk, pointer, code in bad:
        answer = with_keys(partner, jwk)
        assert answer.status == 400, (jwk, answer.text())
        assert pointer in [fault[0] for fault in answer.codes()], (pointer, code, answer.codes())
        if code in ("private_key", "not_a_key", "not_allowed", "format"):
            assert (pointer, code) in answer.codes(), (jwk, answer.codes())
    assert with_keys(partner, good, {**KEYS["RS256"].jwk, "kid": good["kid"]}).codes() == [("/jwks/keys/1/kid", "duplicate")]
    assert with_keys(partner).status == 400 and with_keys(partner, *[{**good, "kid": str(i)} for i in range(11)]).status == 400
    assert with_keys(partner, *[{**good, "kid": str(i)} for i in range(10)]).status == 201
    long = math.prod(KEYS[name].private.public_key().public_numbers().n for name in ("RS256", "PS256"))  # what makes a modulus is not asked
    assert with_keys(partner, {**rsa, "n": number(long)}).status == 201
    assert partner.manager.post("/v1/accounts", {"kind": "person", "role": "viewer", "name": "P", "login": unique("p"), "jwks": {"keys": [good]}}).codes() == \
        [("/jwks", "not_allowed")]


def test_the_database_takes_no_private_key(cluster, service):
    with cluster.connect() as connection, connection.cursor() as cursor:
        for jwks in ('{"keys":[{"kty":"EC","alg":"ES256","kid":"a","d":"x"}]}', '{"keys":[]}', '{"keys":[{"kty":"oct","alg":"HS256","kid":"a"}]}', '[]', '{"keys":[1]}',
                     '{"keys":[{"kty":"EC","alg":"ES256","kid":"a"},{"kty":"EC","alg":"ES256","kid":"a"}]}', '{"keys":[{"kty":"EC","alg":"ES256"}]}'):
            cursor.execute("SELECT coalesce(wardmote.public_jwks(%s), false)", (jwks,))
            assert not cursor.fetchone()[0], jwks
        cursor.execute("SELECT wardmote.public_jwks(jwks) FROM wardmote.account WHERE id = %s", (service["id"],))
        assert cursor.fetchone()[0]


def test_a_key_beside_a_secret_and_instead_of_it(anonymous, server, partner, records):
    account = records.account_record(partner.id, "officer", by=partner.manager)
    path, key, other = f"/v1/accounts/{account['id']}", Key("ES256", "a"), Key("EdDSA", "b")
    change = lambda jwks: partner.manager.patch(path, {"jwks": jwks}, headers=ANY)
    secret = {"client_id": account["client_id"], "client_secret": account["client_secret"]}
    signed = lambda by: ask(anonymous, proof(assertion(by, account["client_id"], server.url)))
    assert change({"keys": [key.jwk]}).json()["jwks"] == {"keys": [key.jwk]}
    assert ask(anonymous, secret).status == 200
    token = anonymous.as_token(signed(key).json()["access_token"])
    # A further key ends nothing; one that is taken away ends what was obtained.
    assert change({"keys": [key.jwk, other.jwk]}).status == 200 and token.get("/v1/me").status == 200 and signed(other).status == 200
    assert change({"keys": [other.jwk]}).status == 200 and token.get("/v1/me").status == 401
    refused(signed(key))
    token = anonymous.as_token(signed(other).json()["access_token"])
    assert partner.manager.delete(path + "/secrets", params={"dry_run": "true"}).status == 204 and ask(anonymous, secret).status == 200
    assert partner.manager.delete(path + "/secrets").status == 204 and token.get("/v1/me").status == 401
    refused(ask(anonymous, secret))
    assert partner.manager.delete(path + "/secrets").status == 204 and signed(other).status == 200
    assert [entry["changed"] for entry in partner.manager.get(path + "/history").json()["items"]][1:4] == [["jwks"]] * 3
    assert change(None).json()["jwks"] is None
    refused(signed(other))
    assert partner.manager.post(path + "/erasure").status == 204


def test_who_may_set_keys(anonymous, server, administrator, other, records):
    partner = records.partner()
    account = records.account_record(partner.id, "officer", by=partner.manager)
    path, body = f"/v1/accounts/{account['id']}", {"jwks": {"keys": [KEYS["ES256"].jwk]}}
    assert anonymous.patch(path, body, headers=ANY).status == 401
    own = anonymous.as_token(anonymous.token_for(account["client_id"], account["client_secret"]))
    assert own.patch(path, body, headers=ANY).status == 403 and own.delete(path + "/secrets").status == 403
    for stranger in (other.manager, other.officer):
        assert stranger.patch(path, body, headers=ANY).status == 404 and stranger.delete(path + "/secrets").status == 404
    person = records.person(partner.id, "manager")  # from now on the partner's accounts are its own business
    assert partner.manager.delete(f"/v1/accounts/{person['id']}/secrets").codes() == [("/kind", "not_a_service")]
    assert administrator.patch(path, body, headers=ANY).status == 403 and administrator.delete(path + "/secrets").status == 403
    assert partner.manager.delete(f"/v1/accounts/{absent_id()}/secrets").status == 404
    # A token with scopes gives no key, and ends no secret, of an account that may do more.
    narrow = records.account_record(partner.id, "manager", ["accounts:read", "accounts:write"], by=partner.manager)
    client = anonymous.as_token(anonymous.token_for(narrow["client_id"], narrow["client_secret"]))
    assert client.patch(path, body, headers=ANY).codes() == [("/jwks", "not_allowed")] and client.delete(path + "/secrets").status == 403
    assert client.patch(f"/v1/accounts/{narrow['id']}", body, headers=ANY).status == 200
    assert partner.manager.patch(path, body, headers=ANY).status == 200
    assert ask(anonymous, proof(assertion(KEYS["ES256"], account["client_id"], server.url))).status == 200


def test_an_account_that_may_not_act_gets_nothing(anonymous, server, partner):
    key = Key("EdDSA")
    account = with_keys(partner, key.jwk).json()
    assert partner.manager.patch(f"/v1/accounts/{account['id']}", {"disabled": True}, headers=ANY).status == 200
    refused(ask(anonymous, proof(assertion(key, account["client_id"], server.url))))


def test_a_replayed_creation_shows_nothing(partner):
    body = {"kind": "service", "role": "officer", "name": unique("Replayed"), "jwks": {"keys": [KEYS["ES256"].jwk]}}
    key = {"Idempotency-Key": unique("key")}
    first, again = (partner.manager.post("/v1/accounts", body, headers=key) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true" and first.json() == again.json() and first.json()["client_secret"] is None
