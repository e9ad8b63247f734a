# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a client may ask about tokens (RFC 7662), the end of one token (RFC 7009), and the metadata that leads there (RFC 8414)."""
import base64
import json

import pytest

from wardmote_client import Client
from wardmote_oauth import Key, assertion, proof
from wardmote_records import unique

INTROSPECT, REVOKE, TOKEN = "/oauth/introspect", "/oauth/revoke", "/oauth/token"
INACTIVE = {"active": False}
ANY = {"If-Match": "*"}


def credentials(account):
    return {"client_id": account["client_id"], "client_secret": account["client_secret"]}


def part(token, index):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[index] + "=="))


class Cast:
    """An account of each role of two partners and the host, a token of each, and a person's session."""

    def __init__(self, anonymous, records, host):
        self.anonymous, self.records = anonymous, records
        self.partner, self.other = records.partner(), records.partner()
        self.host = {**host, "id": host["account_id"]}
        self.accounts = {(name, role): records.account_record(partner.id, role)
                         for name, partner in (("partner", self.partner), ("other", self.other)) for role in ("viewer", "officer", "manager")}
        self.reader = records.account_record(self.partner.id, "manager", ["accounts:read"])
        self.blind = records.account_record(self.partner.id, "manager", ["consultations:read"])

    def token(self, account, **fields):
        answer = self.anonymous.form(TOKEN, {"grant_type": "client_credentials", **credentials(account), **fields})
        assert answer.status == 200, answer.text()
        return answer.json()["access_token"]

    def person(self, role="officer"):
        made = self.records.person(self.partner.id, role)
        grant = self.anonymous.post("/v1/sessions/enrolments", {"code": made["enrolment_code"], "password": "a password that is long"}).json()
        return made, grant

    def ask(self, caller, token, **fields):
        answer = self.anonymous.form(INTROSPECT, {"token": token, **credentials(caller), **fields})
        assert answer.status == 200 and answer.headers["cache-control"] == "no-store" and answer.media_type == "application/json", answer.text()
        return answer.json()


@pytest.fixture(scope="module", name="cast")
def _cast(anonymous, records, host):
    return Cast(anonymous, records, host)


# --- what is told ---

def test_an_active_token(cast, server):
    account = cast.accounts["partner", "officer"]
    token = cast.token(account, scope="risks:read codes:read")
    claims = part(token, 1)
    told = cast.ask(account, token, token_type_hint="access_token")
    assert told == {"active": True, "token_type": "Bearer", "scope": "risks:read codes:read", "client_id": account["client_id"], "sub": account["id"],
                    "iss": server.url, "aud": server.url, "exp": claims["exp"], "iat": claims["iat"], "nbf": claims["nbf"], "jti": claims["jti"],
                    "partner": account["partner_id"], "role": "officer"}
    assert "scope" not in cast.ask(account, cast.token(account))


def test_a_person_has_a_username(cast):
    made, grant = cast.person()
    told = cast.ask(cast.reader, grant["access_token"])
    assert told["username"] == made["login"] and told["client_id"] == "wardmote" and told["sub"] == made["id"]
    # A refresh token is for this server alone: nobody is to take it for an access token.
    assert cast.ask(cast.reader, grant["refresh_token"], token_type_hint="refresh_token") == INACTIVE


def test_who_is_told(cast):
    """As with reading accounts: the own token; managers those of their partner, administrators all; a client with scopes needs accounts:read."""
    everybody = {**cast.accounts, ("host", "administrator"): cast.host}
    tokens = {name: cast.token(account) for name, account in everybody.items()}
    for (home, role), caller in everybody.items():
        for (other_home, other_role), token in tokens.items():
            may = (home, role) == (other_home, other_role) or role == "administrator" or (role == "manager" and home == other_home)
            told = cast.ask(caller, token)
            assert told["active"] == may and (may or told == INACTIVE), (home, role, other_home, other_role)
    officers = tokens["partner", "officer"]
    assert cast.ask(cast.reader, officers)["active"] and cast.ask(cast.blind, officers) == INACTIVE
    assert cast.ask(cast.reader, tokens["other", "officer"]) == INACTIVE
    assert cast.ask(cast.blind, cast.token(cast.blind))["active"]


def test_whatever_else_is_inactive(cast, server):
    account = cast.accounts["partner", "officer"]
    token = cast.token(account)
    head, body, signature = token.split(".")
    for bad in ("x", "wms_" + "A" * 43, "a.b.c", f"{head}.{body}.", f"{head}.{body}.{signature[1:]}A", token + "x", account["client_secret"], "é" * 100,
                assertion(Key("ES256"), account["client_id"], server.url)):
        assert cast.ask(account, bad) == INACTIVE, bad


@pytest.mark.parametrize("end", ["disabled", "role", "secrets", "session", "erased", "revoked"])
def test_what_has_ended_is_inactive(cast, end):
    manager = cast.partner.manager
    if end == "session":
        _, grant = cast.person()
        token = grant["access_token"]
        assert cast.ask(cast.reader, token)["active"]
        assert cast.anonymous.form(REVOKE, {"token": grant["refresh_token"]}).status == 200
    else:
        account = cast.records.account_record(cast.partner.id, "officer")
        token, path = cast.token(account), f"/v1/accounts/{account['id']}"
        assert cast.ask(cast.reader, token)["active"]
        statuses = {"disabled": lambda: manager.patch(path, {"disabled": True}, headers=ANY), "role": lambda: manager.patch(path, {"role": "viewer"}, headers=ANY),
                    "secrets": lambda: manager.post(path + "/secrets", {"grace_seconds": 0}), "erased": lambda: manager.post(path + "/erasure"),
                    "revoked": lambda: cast.anonymous.form(REVOKE, {"token": token})}
        assert statuses[end]().status in (200, 201, 204)
    assert cast.ask(cast.reader, token) == INACTIVE
    assert cast.anonymous.as_token(token).get("/v1/me").status == 401


def test_a_token_that_is_over_is_inactive(cast, start_server):
    short = Client(start_server(access_token_seconds=10, issuer=cast.anonymous.server.url, audience=cast.anonymous.server.url), None, None)
    token = short.form(TOKEN, {"grant_type": "client_credentials", **credentials(cast.accounts["partner", "officer"])}).json()["access_token"]
    elsewhere = Client(start_server(), None, None)  # another issuer
    asked = {"token": token, **credentials(cast.accounts["partner", "officer"])}
    assert short.form(INTROSPECT, asked).json()["active"] is True
    assert elsewhere.form(INTROSPECT, asked).json() == INACTIVE


# --- who asks ---

def test_a_client_proves_itself(cast, server, anonymous):
    account, token = cast.accounts["partner", "officer"], cast.token(cast.accounts["partner", "officer"])
    basic = {"Authorization": "Basic " + base64.b64encode(f"{account['client_id']}:{account['client_secret']}".encode()).decode()}
    assert anonymous.form(INTROSPECT, {"token": token}, headers=basic).json()["active"]
    key = Key("ES256")
    signer = cast.partner.manager.post("/v1/accounts", {"kind": "service", "role": "manager", "name": unique("S"), "jwks": {"keys": [key.jwk]}}).json()
    fields = proof(assertion(key, signer["client_id"], server.url))
    assert anonymous.form(INTROSPECT, {"token": token, **fields}).json()["active"]
    wrong = [({"token": token, **fields}, 401, "invalid_client"), ({"token": token}, 401, "invalid_client"), ({"token": token, "client_id": "a"}, 401, "invalid_client"),
             ({"token": token, "client_id": account["client_id"], "client_secret": "wms_wrong"}, 401, "invalid_client"),
             ({"token": token, **credentials(account), **fields}, 400, "invalid_request"), (credentials(account), 400, "invalid_request"),
             ({"token": "x" * 4097, **credentials(account)}, 400, "invalid_request")]
    for asked, status, error in wrong:
        answer = anonymous.form(INTROSPECT, asked)
        assert (answer.status, answer.json()["error"]) == (status, error), answer.text()
    bearer = anonymous.form(INTROSPECT, {"token": token}, headers={"Authorization": f"Bearer {token}"})
    assert bearer.status == 401 and bearer.headers["www-authenticate"].startswith("Basic ")


def test_it_is_bounded(start_server, cast):
    few = Client(start_server(rate_anonymous=3), None, None, source="127.9.8.7")
    statuses = [few.form(INTROSPECT, {"token": "x", **credentials(cast.reader)}).status for _ in range(5)]
    assert statuses[:3] == [200] * 3 and statuses[-1] == 429


# --- revocation ---

def test_one_token_ends_and_no_other(cast, anonymous, start_server, cluster):
    account = cast.accounts["partner", "viewer"]
    one, two = (anonymous.as_token(cast.token(account)) for _ in range(2))
    assert one.get("/v1/me").status == two.get("/v1/me").status == 200
    assert anonymous.form(REVOKE, {"token": one.token, **credentials(account)}).status == 200
    assert one.get("/v1/me").status == 401 and two.get("/v1/me").status == 200
    assert anonymous.form(REVOKE, {"token": one.token}).status == 200  # again
    assert anonymous.form(REVOKE, {"token": two.token, "client_id": account["client_id"], "client_secret": "wms_wrong"}).status == 401
    assert two.get("/v1/me").status == 200
    elsewhere = Client(start_server(issuer=anonymous.server.url, audience=anonymous.server.url), None, None)
    assert elsewhere.as_token(one.token).get("/v1/me").status == 401 and elsewhere.as_token(two.token).get("/v1/me").status == 200
    with cluster.connect() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE auth.revoked SET until = now() - interval '1 second' WHERE jti = %s", (part(one.token, 1)["jti"],))
        assert cursor.rowcount == 1
        cursor.execute("SELECT wardmote.forget_clients()")
        cursor.execute("SELECT count(*) FROM auth.revoked WHERE jti = %s", (part(one.token, 1)["jti"],))
        assert cursor.fetchone() == (0,)


def test_metadata_names_the_ways(anonymous, server):
    told = anonymous.get("/.well-known/oauth-authorization-server").json()
    ways, algorithms = ["client_secret_basic", "client_secret_post", "private_key_jwt"], ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
    assert told["introspection_endpoint"] == server.url + INTROSPECT and told["revocation_endpoint"] == server.url + REVOKE
    assert told["token_endpoint_auth_methods_supported"] == told["revocation_endpoint_auth_methods_supported"] == ways + ["none"]
    assert told["introspection_endpoint_auth_methods_supported"] == ways
    for endpoint in ("token", "introspection", "revocation"):
        assert told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] == algorithms
