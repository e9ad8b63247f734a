# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tokens and sessions: programs with a secret, people with a password, and how each of them ends."""
import base64
import json

import pytest

import wardmote_server
from wardmote_records import absent_id, unique

PASSWORD = "correct horse battery staple"


class Person:
    """Somebody who has enrolled. `client` acts with the access token."""

    def __init__(self, anonymous, record, grant):
        self.record = record
        self.login = record["login"]
        self.id = record["id"]
        self.refresh_token = grant["refresh_token"]
        self.client = anonymous.as_token(grant["access_token"])


@pytest.fixture(name="person")
def _person(anonymous, records, partner):
    record = records.person(partner.id, "officer")
    answer = anonymous.post("/v1/sessions/enrolments", {"code": record["enrolment_code"], "password": PASSWORD})
    assert answer.status == 200, answer.text()
    return Person(anonymous, record, answer.json())


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def refresh(anonymous, token):
    return anonymous.form("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token})


def login(anonymous, person, password=PASSWORD):
    return anonymous.post("/v1/sessions", {"login": person.login, "password": password})


# --- programs ---

@pytest.mark.parametrize("way", ["basic", "body"])
def test_client_credentials(anonymous, records, partner, way):
    account = records.account_record(partner.id, "viewer")
    fields, headers = {"grant_type": "client_credentials"}, {}
    if way == "basic":
        headers["Authorization"] = "Basic " + base64.b64encode(f"{account['client_id']}:{account['client_secret']}".encode()).decode()
    else:
        fields.update(client_id=account["client_id"], client_secret=account["client_secret"])
    answer = anonymous.form("/oauth/token", fields, headers=headers)
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert token["token_type"] == "Bearer" and token["expires_in"] == wardmote_server.TOKEN_SECONDS and "refresh_token" not in token
    assert claims(token["access_token"])["token_use"] == "access"
    assert {"iss", "aud", "exp", "nbf", "iat", "sub", "jti", "client_id"} <= set(claims(token["access_token"]))
    me = anonymous.as_token(token["access_token"]).get("/v1/me").json()
    assert (me["account_id"], me["role"], me["partner_id"]) == (account["id"], "viewer", partner.id)


@pytest.mark.parametrize("fields, status, error", [
    ({}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "wmc_nobody", "client_secret": "wms_nothing"}, 401, "invalid_client"),
    ({"grant_type": "refresh_token", "refresh_token": "wmr_nothing"}, 400, "invalid_grant"),
])
def test_refusals_have_the_form_of_oauth(anonymous, fields, status, error):
    answer = anonymous.form("/oauth/token", fields)
    assert (answer.status, answer.json()["error"]) == (status, error), answer.text()


def test_wrong_basic_credentials_get_a_challenge(anonymous):
    answer = anonymous.form("/oauth/token", {"grant_type": "client_credentials"}, headers={"Authorization": "Basic bm86Ym9keQ=="})
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic ")


def test_a_token_may_have_less_than_the_account(anonymous, records, partner):
    account = records.account_record(partner.id, "officer", scopes=["communities:read", "communities:write"])
    fields = {"grant_type": "client_credentials", "client_id": account["client_id"], "client_secret": account["client_secret"]}
    token = anonymous.form("/oauth/token", {**fields, "scope": "communities:read"}).json()
    assert token["scope"] == "communities:read"
    client = anonymous.as_token(token["access_token"])
    assert client.get("/v1/communities").status == 200
    assert client.post("/v1/communities", {"name": "No", "kind": "interest"}).status == 403
    assert anonymous.form("/oauth/token", {**fields, "scope": "risks:write"}).json()["error"] == "invalid_scope"


def test_both_secrets_work_while_one_is_rotated(anonymous, records, partner):
    account = records.account_record(partner.id, "officer", by=partner.manager)
    path = f"/v1/accounts/{account['id']}/secrets"
    key = {"Idempotency-Key": unique("rotate")}
    first = partner.manager.post(path, {}, headers=key)
    assert first.status == 201 and first.json()["client_secret"] != account["client_secret"]
    replay = partner.manager.post(path, {}, headers=key)
    assert replay.json()["client_secret"] is None and replay.headers["idempotency-replayed"] == "true"
    assert partner.manager.post(path, {"grace_seconds": 1}, headers=key).status == 422
    for secret in (account["client_secret"], first.json()["client_secret"]):
        assert anonymous.token_for(account["client_id"], secret)
    last = partner.manager.post(path, {"grace_seconds": 0}).json()
    fields = {"grant_type": "client_credentials", "client_id": account["client_id"]}
    for secret in (account["client_secret"], first.json()["client_secret"]):
        assert anonymous.form("/oauth/token", {**fields, "client_secret": secret}).status == 401
    assert anonymous.token_for(account["client_id"], last["client_secret"])


def test_people_have_no_secrets_and_programs_no_codes(partner, records, person):
    service = records.account_record(partner.id, "officer", by=partner.manager)
    assert partner.manager.post(f"/v1/accounts/{person.id}/secrets", {}).codes() == [("/kind", "not_a_service")]
    assert partner.manager.post(f"/v1/accounts/{service['id']}/enrolments").codes() == [("/kind", "not_a_person")]


def test_a_disabled_account_is_out_at_once(administrator, records, partner):
    account = records.account_record(partner.id, "officer", by=partner.manager)
    client = administrator.as_token(administrator.token_for(account["client_id"], account["client_secret"]))
    assert client.get("/v1/me").status == 200
    assert partner.manager.patch(f"/v1/accounts/{account['id']}", {"disabled": True}, headers={"If-Match": "*"}).status == 200
    assert client.get("/v1/me").status == 401
    fields = {"grant_type": "client_credentials", "client_id": account["client_id"], "client_secret": account["client_secret"]}
    assert administrator.as_token(None).form("/oauth/token", fields).status == 401


def test_managers_run_the_accounts_of_their_partner_only(partner, other, records):
    account = records.account_record(partner.id, "officer", by=partner.manager)
    path = f"/v1/accounts/{account['id']}"
    assert other.manager.get(path).status == 404
    assert other.manager.patch(path, {"name": "No"}, headers={"If-Match": "*"}).status == 404
    assert partner.officer.get(path).status == 404
    body = {"kind": "service", "role": "administrator", "name": "No"}
    assert partner.manager.post("/v1/accounts", body).status in (403, 422)
    body = {"kind": "service", "role": "officer", "name": "No", "partner_id": other.id}
    assert partner.manager.post("/v1/accounts", body).status == 403


def test_logins_are_unique(partner, records, person):
    body = {"kind": "person", "role": "viewer", "name": "Twin", "login": person.login}
    answer = partner.manager.post("/v1/accounts", body)
    assert answer.status == 409 and answer.codes() == [("/login", "not_unique")]
    twin = records.person(partner.id, "viewer")
    answer = partner.manager.patch(f"/v1/accounts/{twin['id']}", {"login": person.login}, headers={"If-Match": "*"})
    assert answer.status == 409


def test_refused_token_forms(anonymous, fresh_address, person):
    client = anonymous.as_token(None, source=fresh_address)
    good = person.client.token
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for token in (f"{none}.{body}.", f"{head}.{body}.{signature[:-2]}AA", f"{head}.{body}", good + "x", "x" * 5000):
        assert client.as_token(token).get("/v1/me").status == 401, token[:40]
    assert client.get("/v1/me", headers={"Authorization": f"Basic {good}"}).status == 401
    assert client.get("/v1/me", headers={"Authorization": f"bearer {good}"}).status == 200


# --- people ---

def test_enrolment_works_once(anonymous, records, partner):
    record = records.person(partner.id, "viewer")
    body = {"code": record["enrolment_code"], "password": PASSWORD}
    assert anonymous.post("/v1/sessions/enrolments", {**body, "password": "too short"}).codes() == [("/password", "length")]
    assert anonymous.post("/v1/sessions/enrolments", body).status == 200
    assert anonymous.post("/v1/sessions/enrolments", body).codes() == [("/code", "invalid_code")]


def test_log_in_in_any_case(anonymous, person):
    answer = login(anonymous, type("P", (), {"login": person.login.upper()}))
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert anonymous.as_token(answer.json()["access_token"]).get("/v1/me").json()["account_id"] == person.id


def test_wrong_password_and_unknown_login_are_answered_alike(anonymous, person):
    wrong = login(anonymous, person, "not the password")
    unknown = anonymous.post("/v1/sessions", {"login": unique("nobody"), "password": PASSWORD})
    assert wrong.status == unknown.status == 401
    assert [answer.json()[member] for answer in (wrong, unknown) for member in ("type", "detail")][:2] == [unknown.json()[m] for m in ("type", "detail")]


@pytest.mark.parametrize("scope", ["nothing:read", "risks:read  codes:read"])
def test_asking_for_a_scope_that_is_none_costs_no_session(anonymous, person, scope):
    answer = anonymous.form("/oauth/token", {"grant_type": "refresh_token", "refresh_token": person.refresh_token, "scope": scope})
    assert answer.status == 400 and answer.json()["error"] == "invalid_scope"
    assert refresh(anonymous, person.refresh_token).status == 200


def test_refresh_rotates_and_reuse_ends_the_session(anonymous, person):
    second = refresh(anonymous, person.refresh_token).json()
    client = anonymous.as_token(second["access_token"])
    assert client.get("/v1/me").status == 200 and person.client.get("/v1/me").status == 200
    assert refresh(anonymous, person.refresh_token).json()["error"] == "invalid_grant"
    assert client.get("/v1/me").status == 401
    assert refresh(anonymous, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_log_out(anonymous, person):
    assert person.client.delete("/v1/sessions/current").status == 204
    assert person.client.get("/v1/me").status == 401
    assert refresh(anonymous, person.refresh_token).status == 400


def test_a_program_has_no_session_to_log_out_of(partner):
    assert partner.viewer.delete("/v1/sessions/current").status == 404


def test_my_sessions(anonymous, person):
    further = anonymous.as_token(login(anonymous, person).json()["access_token"])
    items = person.client.get("/v1/me/sessions").json()["items"]
    assert len(items) == 2 and [item["current"] for item in items].count(True) == 1
    assert further.delete("/v1/me/sessions").status == 204
    assert further.get("/v1/me").status == 401 and person.client.get("/v1/me").status == 401


def test_revocation(anonymous, person):
    assert anonymous.form("/oauth/revoke", {"token": person.refresh_token}).status == 200
    assert person.client.get("/v1/me").status == 401
    assert anonymous.form("/oauth/revoke", {"token": "wmr_nothing"}).status == 200
    assert anonymous.form("/oauth/revoke", {}).status == 400


def test_change_of_password(anonymous, person):
    further = anonymous.as_token(login(anonymous, person).json()["access_token"])
    path, new = "/v1/me/password", "another long sentence"
    wrong = person.client.put(path, {"current_password": "not the password", "new_password": new})
    assert wrong.status == 422 and wrong.codes() == [("/current_password", "wrong_password")]
    assert person.client.put(path, {"current_password": PASSWORD, "new_password": new}).status == 204
    assert further.get("/v1/me").status == 401
    assert login(anonymous, person).status == 401
    assert login(anonymous, person, new).status == 200
    assert refresh(anonymous, person.refresh_token).status == 200


def test_a_program_has_no_password(partner):
    assert partner.viewer.put("/v1/me/password", {"current_password": "x", "new_password": PASSWORD}).status == 409


def test_a_new_code_resets_the_password(anonymous, partner, person):
    answer = partner.manager.post(f"/v1/accounts/{person.id}/enrolments")
    assert answer.status == 201
    assert login(anonymous, person).status == 200, "the old one works until then"
    new = {"code": answer.json()["enrolment_code"], "password": "a completely new sentence"}
    assert anonymous.post("/v1/sessions/enrolments", new).status == 200
    assert login(anonymous, person).status == 401


def test_an_enrolment_is_replayed_without_its_code(partner, person):
    key = {"Idempotency-Key": unique("code")}
    first = partner.manager.post(f"/v1/accounts/{person.id}/enrolments", headers=key)
    again = partner.manager.post(f"/v1/accounts/{person.id}/enrolments", headers=key)
    assert first.json()["enrolment_code"] and again.json()["enrolment_code"] is None


def test_a_key_of_an_enrolment_is_not_good_for_another_dry_run(partner, person):
    answer = partner.manager.post(f"/v1/accounts/{person.id}/enrolments", params={"dry_run": "true"})
    assert answer.status == 201 and answer.json()["enrolment_code"] is None


def test_erasure_blanks_a_person_here_and_in_the_past(anonymous, partner, person):
    path = f"/v1/accounts/{person.id}"
    assert partner.manager.patch(path, {"name": "Married Name"}, headers={"If-Match": "*"}).status == 200
    assert partner.manager.post(f"{path}/erasure", params={"dry_run": "true"}).status == 204
    assert partner.manager.get(path).json()["login"] == person.login
    assert partner.manager.post(f"{path}/erasure").status == 204
    everything = partner.manager.get(path).text() + partner.manager.get(f"{path}/history").text()
    for trace in (person.login, person.record["name"], "Married Name"):
        assert trace not in everything
    assert partner.manager.get(path).json()["erased_at"] is not None
    assert login(anonymous, person).status == 401
    assert partner.manager.post(f"{path}/enrolments").status == 403


def test_an_administrator_helps_a_foreign_manager_back_in_and_it_shows(administrator, anonymous, records):
    owner = records.partner()
    record = records.person(owner.id, "manager")
    grant = anonymous.post("/v1/sessions/enrolments", {"code": record["enrolment_code"], "password": PASSWORD})
    manager = Person(anonymous, record, grant.json())
    body = {"partner_id": owner.id, "kind": "service", "role": "officer", "name": "No more"}
    assert administrator.post("/v1/accounts", body).status == 403, "the partner has a manager of its own now"
    assert administrator.post(f"/v1/accounts/{manager.id}/enrolments").status == 201
    assert manager.client.get(f"/v1/accounts/{manager.id}").json()["recovered_at"] is not None


def test_the_last_administrator_stays(administrator, host):
    path = f"/v1/accounts/{host['account_id']}"
    for change in ({"disabled": True}, {"role": "viewer"}):
        answer = administrator.patch(path, change, headers={"If-Match": "*"}, params={"dry_run": "true"})
        if answer.status == 200:
            others = administrator.get("/v1/accounts", params={"role": "administrator", "disabled": "false"}).json()["items"]
            assert len(others) > 1
        else:
            assert answer.status == 409


def test_unknown_accounts(partner):
    for path in ("secrets", "enrolments", "erasure"):
        assert partner.manager.post(f"/v1/accounts/{absent_id()}/{path}", {} if path == "secrets" else None).status == 404
