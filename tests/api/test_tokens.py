# SPDX-License-Identifier: AGPL-3.0-or-later
"""The token endpoint and what a token is good for: OAuth's forms, scopes, revocation, and that rights end at the next request."""
import base64
import json

import pytest

import wardmote_server

TOKEN = "/oauth/token"


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.fixture(name="service")
def _service(records, partner):
    return records.account_record(partner.id, "officer", by=partner.manager)


def grant(anonymous, service, **fields):
    return anonymous.form(TOKEN, {"grant_type": "client_credentials", **fields}, headers=basic(service["client_id"], service["client_secret"]))


# --- getting a token ---

def test_secret_by_header_or_in_the_body(anonymous, service):
    for answer in (grant(anonymous, service),
                   anonymous.form(TOKEN, {"grant_type": "client_credentials", "client_id": service["client_id"],
                                          "client_secret": service["client_secret"]})):
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
        assert answer.json()["expires_in"] == wardmote_server.TOKEN_SECONDS


def test_claims(anonymous, service, server):
    token = grant(anonymous, service).json()["access_token"]
    keys = anonymous.get("/.well-known/jwks.json").json()["keys"]
    assert part(token, 0) == {"alg": "ES256", "typ": "at+jwt", "kid": keys[0]["kid"]}
    claims = part(token, 1)
    assert claims["iss"] == claims["aud"] == server.url
    assert (claims["sub"], claims["client_id"], claims["partner"]) == (service["id"], service["client_id"], service["partner_id"])
    assert claims["exp"] - claims["iat"] == wardmote_server.TOKEN_SECONDS and claims["nbf"] == claims["iat"]
    assert (claims["token_use"], claims["role"], claims["kind"], claims["epoch"]) == ("access", "officer", "service", 1)
    assert "scope" not in claims and "sid" not in claims
    assert not {"name", "login"} & set(claims)


@pytest.mark.parametrize(("fields", "status", "error"), [
    ({}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "wmc_none", "client_secret": "x"}, 401, "invalid_client"),
    ({"grant_type": "refresh_token"}, 400, "invalid_request"),
    ({"grant_type": "refresh_token", "refresh_token": "wmr_none"}, 400, "invalid_grant"),
])
def test_errors_have_the_form_of_oauth(anonymous, fields, status, error):
    answer = anonymous.form(TOKEN, fields)
    assert answer.status == status
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers or status == 401


def test_a_wrong_secret_by_basic_is_challenged(anonymous, service):
    answer = anonymous.form(TOKEN, {"grant_type": "client_credentials"}, headers=basic(service["client_id"], "wrong"))
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic ")


def test_two_ways_at_once_are_refused(anonymous, service):
    assert grant(anonymous, service, client_secret=service["client_secret"]).json()["error"] == "invalid_request"


# --- scopes ---

def test_a_token_can_ask_for_less(anonymous, service):
    answer = grant(anonymous, service, scope="risks:read codes:read")
    assert answer.json()["scope"] == "risks:read codes:read"
    narrow = anonymous.as_token(answer.json()["access_token"])
    assert narrow.get("/v1/risks").status == 200
    refused = narrow.get("/v1/communities")
    assert refused.status == 403 and 'scope="communities:read"' in refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert narrow.post("/v1/communities", {"name": "x", "kind": "interest"}).status == 403


@pytest.mark.parametrize("scope", ["nothing:read", "risks:delete", "risks:read  codes:read", " risks:read"])
def test_unknown_scopes_are_refused(anonymous, service, scope):
    answer = grant(anonymous, service, scope=scope)
    assert answer.status == 400 and answer.json()["error"] == "invalid_scope"


def test_a_token_cannot_ask_for_more(anonymous, records, partner):
    service = records.account_record(partner.id, "officer", scopes=["risks:read"], by=partner.manager)
    assert grant(anonymous, service).json()["scope"] == "risks:read"
    assert grant(anonymous, service, scope="risks:read").status == 200
    assert grant(anonymous, service, scope="risks:write").json()["error"] == "invalid_scope"


def test_what_is_included_is_read(records, partner):
    community = partner.officer.post("/v1/communities", {"name": "Known to us", "kind": "interest"}).json()
    record = partner.officer.post("/v1/consultations", {"title": "Included", "community_ids": [community["id"]]}).json()
    narrow = records.account(partner.id, "officer", ["consultations:read"])
    wide = records.account(partner.id, "officer", ["consultations:read", "communities:read"])
    for path in ("/v1/consultations?limit=500", f"/v1/consultations/{record['id']}"):
        answer = narrow.get(path, params={"include": "communities"})
        assert answer.status == 403 and answer.json()["type"].endswith("/problems/insufficient-scope")
        assert 'scope="communities:read"' in answer.headers["www-authenticate"]
        assert narrow.get(path).status == 200
        assert "Known to us" in wide.get(path, params={"include": "communities"}).text()


def test_no_scope_is_not_every_scope(anonymous, records, partner):
    service = records.account_record(partner.id, "officer", scopes=[], by=partner.manager)
    client = anonymous.as_token(grant(anonymous, service).json()["access_token"])
    assert client.get("/v1/risks").status == 403
    assert client.get("/v1/me").json()["scopes"] == []


# --- the end of rights ---

@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "viewer"}, {"scopes": ["risks:read"]}])
def test_a_change_takes_effect_on_the_next_request(anonymous, partner, service, change):
    client = anonymous.as_token(grant(anonymous, service).json()["access_token"])
    assert client.get("/v1/me").status == 200
    assert partner.manager.patch(f"/v1/accounts/{service['id']}", change, headers={"If-Match": "*"}).status == 200
    refused = client.get("/v1/me")
    assert refused.status == 401 and 'error="invalid_token"' in refused.headers["www-authenticate"]
    # Public records are no way round it.
    assert client.get("/v1/partners").status == 401


def test_suspending_a_partner_ends_its_tokens(anonymous, administrator, records):
    partner = records.partner()
    path = f"/v1/partners/{partner.id}"
    assert partner.officer.get("/v1/me").status == 200
    assert administrator.patch(path, {"status": "suspended"}, headers={"If-Match": "*"}).status == 200
    assert partner.officer.get("/v1/me").status == 401
    assert administrator.patch(path, {"status": "active"}, headers={"If-Match": "*"}).status == 200
    assert partner.officer.get("/v1/me").status == 401


def test_a_disabled_account_is_nobody_whatever_it_asks_for(anonymous, administrator, records):
    """Also where a policy or constraint would have spoken against nobody's statement."""
    home = administrator.get("/v1/me").json()["partner_id"]
    account = records.account_record(home, "administrator")
    client = anonymous.as_token(anonymous.token_for(account["client_id"], account["client_secret"]))
    assert client.get("/v1/me").status == 200
    assert administrator.patch(f"/v1/accounts/{account['id']}", {"disabled": True}, headers={"If-Match": "*"}).status == 200
    for path, body in (("/v1/partners", {"name": "Nobody's", "kind": "voluntary"}),
                       ("/v1/accounts", {"kind": "service", "role": "viewer", "name": "Nobody's"})):
        answer = client.post(path, body)
        assert answer.status == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"], answer.text()


def test_a_token_in_the_query_is_no_token(anonymous, service):
    token = grant(anonymous, service).json()["access_token"]
    assert anonymous.get("/v1/me", params={"access_token": token}).status in (400, 401)


@pytest.mark.parametrize("scheme", ["Basic", "bearer ", "Token", "Bearer  "])
def test_other_schemes_are_no_token(anonymous, service, scheme):
    token = grant(anonymous, service).json()["access_token"]
    answer = anonymous.get("/v1/me", headers={"Authorization": f"{scheme} {token}"})
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Bearer")


def test_a_forged_token_is_refused(anonymous, service):
    token = grant(anonymous, service).json()["access_token"]
    header, payload, signature = token.split(".")
    claims = {**part(token, 1), "role": "administrator"}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for text in (f"{header}.{forged}.{signature}", f"{unsigned}.{forged}.", f"{token}=", f"{token}.x", payload):
        assert anonymous.as_token(text).get("/v1/me").status == 401


# --- documents ---

def test_metadata(anonymous, server):
    document = anonymous.get("/.well-known/oauth-authorization-server").json()
    assert document["issuer"] == server.url
    assert document["token_endpoint"] == f"{server.url}/oauth/token"
    assert document["grant_types_supported"] == ["client_credentials", "refresh_token"]
    assert {"accounts:write", "consultations:read"} <= set(document["scopes_supported"])
    assert all(url.startswith(server.url) for name, url in document.items() if name.endswith(("_uri", "_endpoint")))


def test_jwks_shows_no_private_part(anonymous):
    answer = anonymous.get("/.well-known/jwks.json")
    assert answer.status == 200 and "max-age" in answer.headers["cache-control"]
    for key in answer.json()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
