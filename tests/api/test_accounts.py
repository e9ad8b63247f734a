# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who runs which accounts, what starts with them, and how they end."""
import uuid

import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


def service(**members):
    return {"kind": "service", "role": "viewer", "name": unique("Tool"), **members}


# --- what an account starts with ---

def test_a_service_starts_with_a_secret_shown_once(partner, anonymous):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = service()
    made = partner.manager.post("/v1/accounts", body, headers=key)
    assert made.status == 201 and made.headers["cache-control"] == "no-store"
    record = made.json()
    assert anonymous.token_for(record["client_id"], record["client_secret"])
    replayed = partner.manager.post("/v1/accounts", body, headers=key)
    assert replayed.status == 201 and replayed.headers["idempotency-replayed"] == "true"
    assert replayed.json()["client_secret"] is None and replayed.json()["id"] == record["id"]
    shown = partner.manager.get(f"/v1/accounts/{record['id']}").json()
    assert "client_secret" not in shown and "enrolment_code" not in shown


def test_a_dry_run_makes_nothing(partner):
    answer = partner.manager.post("/v1/accounts", service(), params={"dry_run": "true"})
    assert answer.status == 201 and answer.json()["client_secret"] is None
    assert partner.manager.get(f"/v1/accounts/{answer.json()['id']}").status == 404


def test_faults_come_together(administrator):
    answer = administrator.post("/v1/accounts", service(login="tool", scopes=["risks:read", "risks:read", "all"]))
    assert answer.status == 422
    assert answer.codes() == [("/login", "not_allowed"), ("/scopes/1", "duplicate"), ("/scopes/2", "unknown_scope")]
    person = administrator.post("/v1/accounts", {"kind": "person", "role": "viewer", "name": "Somebody"})
    assert person.codes() == [("/login", "required")]


@pytest.mark.parametrize("login", ["Ada@example.org", "with space", "tab\there"])
def test_logins_have_a_form(administrator, login):
    answer = administrator.post("/v1/accounts", {"kind": "person", "role": "viewer", "name": "Somebody", "login": login})
    assert answer.status in (400, 422) and [place for place, _ in answer.codes()] == ["/login"]


def test_a_login_is_taken_once(administrator, records, partner):
    login = unique("taken") + "@example.org"
    body = {"kind": "person", "role": "viewer", "name": "Somebody", "login": login}
    assert partner.manager.post("/v1/accounts", body).status == 201
    refused = partner.manager.post("/v1/accounts", body)
    assert refused.status == 409 and [place for place, _ in refused.codes()] == ["/login"]


# --- who may ---

@pytest.mark.parametrize(("caller", "role", "status"), [
    ("viewer", "viewer", 403), ("officer", "viewer", 403), ("manager", "viewer", 201), ("manager", "officer", 201), ("manager", "manager", 201),
])
def test_who_makes_accounts_at_home(partner, caller, role, status):
    assert getattr(partner, caller).post("/v1/accounts", service(role=role)).status == status


def test_nobody_makes_administrators_elsewhere(partner, administrator):
    for caller in (partner.manager, administrator):
        answer = caller.post("/v1/accounts", service(role="administrator", partner_id=partner.id))
        assert answer.status in (403, 422)


def test_managers_stay_at_home(partner, other):
    assert partner.manager.post("/v1/accounts", service(partner_id=other.id)).status == 403
    theirs = other.manager.post("/v1/accounts", service()).json()["id"]
    assert partner.manager.get(f"/v1/accounts/{theirs}").status == 404
    assert partner.manager.patch(f"/v1/accounts/{theirs}", {"name": "Mine"}, headers=ANY).status == 404
    assert partner.manager.post(f"/v1/accounts/{theirs}/secrets", {}).status == 404
    assert partner.manager.post(f"/v1/accounts/{theirs}/enrolments").status == 404
    assert partner.manager.post(f"/v1/accounts/{theirs}/erasure").status == 404


def test_everybody_sees_the_own_account_only(partner):
    for client in (partner.viewer, partner.officer):
        mine = client.get("/v1/me").json()["account_id"]
        assert [item["id"] for item in client.pages("/v1/accounts")] == [mine]
        assert client.get(f"/v1/accounts/{mine}").status == 200
        assert client.patch(f"/v1/accounts/{mine}", {"role": "manager"}, headers=ANY).status == 403
        assert client.post(f"/v1/accounts/{mine}/secrets", {}).status == 403
    assert {item["partner_id"] for item in partner.manager.pages("/v1/accounts")} == {partner.id}


def test_administrators_help_until_a_person_manages(records, administrator):
    partner = records.partner()
    officer = records.account_record(partner.id, "officer")
    manager = records.person(partner.id, "manager")
    assert administrator.post("/v1/accounts", service(partner_id=partner.id)).status == 403
    assert administrator.patch(f"/v1/accounts/{officer['id']}", {"role": "viewer"}, headers=ANY).status == 403
    assert administrator.post(f"/v1/accounts/{officer['id']}/secrets", {}).status == 403
    # Recovery: a code for the manager, and it shows.
    assert administrator.post(f"/v1/accounts/{manager['id']}/enrolments").status == 201
    seen = partner.manager.get(f"/v1/accounts/{manager['id']}").json()
    assert seen["recovered_at"] is not None and seen["version"] == manager["version"] + 1
    changes = partner.manager.get("/v1/changes", params={"limit": 500}).json()["items"]
    assert partner.manager.get(f"/v1/accounts/{manager['id']}/history").json()["items"][0]["changed"] == ["recovered_at"]
    assert all(change["resource"] != "accounts" or change["id"] != administrator.get("/v1/me").json()["account_id"] for change in changes)


def test_the_last_administrator_stays(administrator, records):
    me = administrator.get("/v1/me").json()
    others = [item for item in administrator.pages("/v1/accounts", params={"role": "administrator", "disabled": "false"})
              if item["id"] != me["account_id"]]
    for account in others:
        assert administrator.patch(f"/v1/accounts/{account['id']}", {"role": "manager"}, headers=ANY).status == 200
    for change in ({"disabled": True}, {"role": "manager"}):
        answer = administrator.patch(f"/v1/accounts/{me['account_id']}", change, headers=ANY)
        assert answer.status == 409 and answer.codes()[0][1] == "last_administrator"


# --- secrets ---

def test_rotation_with_grace(partner, anonymous):
    record = partner.manager.post("/v1/accounts", service()).json()
    path = f"/v1/accounts/{record['id']}/secrets"
    key = {"Idempotency-Key": str(uuid.uuid4())}
    rotated = partner.manager.post(path, {}, headers=key)
    assert rotated.status == 201 and rotated.json()["client_secret"] != record["client_secret"]
    for secret in (record["client_secret"], rotated.json()["client_secret"]):
        assert anonymous.token_for(record["client_id"], secret)
    replayed = partner.manager.post(path, {}, headers=key)
    assert replayed.status == 201 and replayed.json()["client_secret"] is None


def test_rotation_without_grace_ends_tokens(partner, anonymous):
    record = partner.manager.post("/v1/accounts", service()).json()
    client = anonymous.as_token(anonymous.token_for(record["client_id"], record["client_secret"]))
    assert partner.manager.post(f"/v1/accounts/{record['id']}/secrets", {"grace_seconds": 0}).status == 201
    assert client.get("/v1/me").status == 401
    refused = anonymous.form("/oauth/token", {"grant_type": "client_credentials", "client_id": record["client_id"],
                                              "client_secret": record["client_secret"]})
    assert refused.status == 401


def test_what_does_not_fit_the_kind(administrator, records):
    host = administrator.get("/v1/me").json()["partner_id"]
    person, tool = records.person(host, "viewer"), records.account_record(host, "viewer")
    assert administrator.post(f"/v1/accounts/{person['id']}/secrets", {}).status == 409
    assert administrator.post(f"/v1/accounts/{tool['id']}/enrolments").status == 409
    assert administrator.post(f"/v1/accounts/{tool['id']}/secrets", {"grace_seconds": 604801}).status == 400


# --- the end ---

def test_accounts_are_not_deleted(administrator, records):
    host = administrator.get("/v1/me").json()["partner_id"]
    answer = administrator.request("DELETE", f"/v1/accounts/{records.account_record(host, 'viewer')['id']}")
    assert answer.status == 405 and "DELETE" not in answer.headers["allow"]


def test_erasure_leaves_no_name(administrator, records, cluster):
    host = administrator.get("/v1/me").json()["partner_id"]
    person = records.person(host, "viewer", login=unique("canary") + "@example.org")
    path = f"/v1/accounts/{person['id']}"
    assert administrator.patch(path, {"role": "officer"}, headers=ANY).status == 200
    assert administrator.post(f"{path}/erasure").status == 204
    assert administrator.post(f"{path}/erasure").status == 204
    shown = administrator.get(path).json()
    assert shown["disabled"] and shown["erased_at"] is not None and shown["login"] is None
    for answer in (administrator.get(path), administrator.get(f"{path}/history"), administrator.get("/v1/accounts", params={"limit": 500}),
                   administrator.get(path, params={"as_of": person["created_at"]})):
        assert answer.status == 200
        assert person["login"] not in answer.text() and person["name"] not in answer.text()
    with cluster.connect() as database, database.cursor() as cursor:
        for table in ("wardmote.account", "history.account", "wardmote.idempotency", "wardmote.change"):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", (f"%{person['login']}%",))
            assert cursor.fetchone() == (0,), table
    assert administrator.patch(path, {"disabled": False}, headers=ANY).status == 403
    assert administrator.post(f"{path}/enrolments").status == 403


def test_personal_fields_are_flagged(contract):
    fields = contract.resolve(contract.document["components"]["schemas"]["Account"])["properties"]
    assert {name for name, field in fields.items() if "x-personal-data" in field} == {"name", "login", "issuer", "subject"}


# --- scopes narrow what a program can hand on ---

@pytest.fixture(name="narrow")
def _narrow(partner, anonymous):
    """A manager's program whose token covers accounts alone."""
    made = partner.manager.post("/v1/accounts", service(role="manager", scopes=["accounts:read", "accounts:write"]))
    assert made.status == 201
    return anonymous.as_token(anonymous.token_for(made.json()["client_id"], made.json()["client_secret"]))


def test_a_narrow_token_gives_no_account_more_than_itself(narrow):
    for scopes in (None, ["risks:read"], ["accounts:read", "risks:read"]):
        answer = narrow.post("/v1/accounts", service(scopes=scopes))
        assert answer.status == 422 and answer.codes() == [("/scopes", "not_allowed")]
    assert narrow.post("/v1/accounts", service(scopes=["accounts:read"])).status == 201


def test_a_narrow_token_takes_over_no_wider_account(narrow, partner):
    wide = partner.manager.post("/v1/accounts", service()).json()["id"]
    person = partner.manager.post("/v1/accounts", {"kind": "person", "role": "viewer", "name": "Somebody",
                                                   "login": unique("wide") + "@example.org"}).json()["id"]
    assert narrow.post(f"/v1/accounts/{wide}/secrets", {}).status == 403
    assert narrow.post(f"/v1/accounts/{person}/enrolments").status == 403
    renamed = narrow.patch(f"/v1/accounts/{wide}", {"name": "Renamed"}, headers=ANY)
    assert renamed.status == 200
    widened = narrow.post("/v1/accounts", service(scopes=["accounts:read"])).json()["id"]
    assert narrow.patch(f"/v1/accounts/{widened}", {"scopes": None}, headers=ANY).status == 422
