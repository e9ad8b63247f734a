# SPDX-License-Identifier: AGPL-3.0-or-later
"""Gates of the program that hardly anybody comes to: each was missing once in a copy of the program (tests/mutants), and no test had noticed."""
import contextlib

import pytest

from wardmote_client import Client
from wardmote_records import unique


def test_who_asks_for_what_there_is_not_is_counted_too(start_server, contract, anonymous, fresh_address):
    client = Client(start_server(rate_anonymous=5), contract, anonymous.coverage, source=fresh_address)
    statuses = [client.get("/v1/nowhere").status for _ in range(10)]
    assert statuses[0] == 404 and statuses[-1] == 429


@pytest.mark.parametrize("parameter, value", [("include", "communities"), ("count", "exact")])
def test_a_table_has_no_place_for_it(partner, parameter, value):
    assert partner.viewer.get("/v1/consultations", params={parameter: value}).status == 200
    answer = partner.viewer.get("/v1/consultations.csv", params={parameter: value})
    assert answer.status == 400 and answer.codes() == [(parameter, "not_in_format")]


def test_what_is_only_made_is_not_replaced(partner):
    name, body = unique("made"), {"name": unique("Made"), "kind": "interest"}
    statuses = [partner.officer.put("/v1/communities", body, params={"external_id": name}, headers={"If-None-Match": "*"}).status for _ in range(2)]
    assert statuses == [201, 412]


def test_too_many_guesses_at_the_own_password(anonymous, records, partner, fresh_address):
    """A stolen token is no licence to guess."""
    person = records.person(partner.id, "viewer")
    code = {"code": person["enrolment_code"], "password": "the first of passwords"}
    grant = anonymous.post("/v1/sessions/enrolments", code).json()["access_token"]
    client = anonymous.as_token(grant, source=fresh_address)
    statuses = [client.put("/v1/me/password", {"current_password": f"a guess number {number}", "new_password": "another of passwords"}).status for number in range(11)]
    assert statuses[-1] == 429 and 429 not in statuses[:10], statuses


def test_a_table_for_the_anonymous_has_no_column_of_others(anonymous, partner):
    assert partner.officer.post("/v1/consultations", {"title": unique("Table"), "visibility": "public"}).status == 201
    columns = [set(client.get("/v1/consultations.csv").text().split("\r\n")[0].split(",")) for client in (anonymous, partner.viewer)]
    hidden = {"notes", "grants", "external_id", "planned_hours", "created_by"}
    assert hidden <= columns[1] and not hidden & columns[0]


@pytest.mark.parametrize("beside", [{"name.contains": "a"}, {"updated_at.gte": "2020-01-01T00:00:00Z"}, {"kind": "interest"}])
def test_a_filter_on_an_owners_field_lists_own_records_whatever_is_beside_it(partner, other, beside):
    """Or one could ask whose record has this reference, and filter its answers away."""
    name = unique("beside")
    made = partner.officer.post("/v1/communities", {"name": f"a {name}", "kind": "interest", "visibility": "public", "external_id": name})
    assert made.status == 201
    params = {"external_id": name, **beside}
    assert [item["id"] for item in partner.viewer.get("/v1/communities", params=params).json()["items"]] == [made.json()["id"]]
    assert other.viewer.get("/v1/communities", params=params).json()["items"] == []


@contextlib.contextmanager
def answering(cluster, function, text):
    """The database's function answers something else for a while."""
    owner = cluster.connect()
    with owner.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(%s::regproc), prosrc FROM pg_proc WHERE oid = %s::regproc", (function, function))
        whole, body = cursor.fetchone()
        cursor.execute("SET check_function_bodies = off")
        cursor.execute(whole.replace(body, text))
        try:
            yield
        finally:
            cursor.execute(whole)
            owner.close()


def test_what_is_no_grant_gives_no_token(cluster, anonymous, records, partner, fresh_address):
    """Where the database answered in no form of ours."""
    record = records.account_record(partner.id, "viewer")
    client = anonymous.as_token(None, source=fresh_address)
    with answering(cluster, "auth.grant_body", "SELECT '{\"account\": 1}'"):
        form = {"grant_type": "client_credentials", "client_id": record["client_id"], "client_secret": record["client_secret"]}
        assert client.form("/oauth/token", form).status == 500
    assert client.token_for(record["client_id"], record["client_secret"])
    person = records.person(partner.id, "viewer")
    ask = {"login": person["login"], "password": "any password at all"}
    with answering(cluster, "auth.login_begin", "BEGIN RETURN QUERY SELECT 200, '[]', NULL::text, NULL::text; END"):
        assert client.post("/v1/sessions", ask).status == 500
    assert client.post("/v1/sessions", ask).status == 401


def test_a_scheme_that_is_none_opens_nothing(partner, anonymous):
    assert partner.viewer.get("/v1/me").status == 200
    for scheme in ("Bearex", "Beare", "Token "):
        assert anonymous.get("/v1/me", headers={"Authorization": f"{scheme} {partner.viewer.token}"}).status == 401, scheme


def test_a_put_by_another_changes_what_it_sees_and_leaves_the_rest(partner, other):
    name = unique("put")
    grants = [{"partner_id": other.id, "right": "write"}]
    made = partner.manager.put("/v1/consultations", {"title": "Before", "notes": "ours", "grants": grants, "everyone": True}, params={"external_id": name})
    assert made.status == 201, made.text()
    put = other.officer.put("/v1/consultations", {"title": "After", "partner_id": partner.id}, params={"external_id": name})
    assert put.status == 200, put.text()
    found = partner.manager.get(f"/v1/consultations/{made.json()['id']}").json()
    assert (found["title"], found["everyone"], found["notes"], found["grants"]) == ("After", False, "ours", grants)


def test_accounts_are_counted_each_for_itself(start_server, contract, anonymous, records, partner, fresh_address):
    server = start_server(rate_anonymous=6, rate_account=9)
    client = Client(server, contract, anonymous.coverage, source=fresh_address)
    accounts = [records.account_record(partner.id, "viewer") for _ in range(2)]
    for account in accounts:
        caller = client.as_token(client.token_for(account["client_id"], account["client_secret"]))
        assert caller.get("/v1/partners").headers["ratelimit-policy"] == '"account";q=9;w=60'
        assert {caller.get("/v1/partners").status for _ in range(7)} == {200}
    assert client.get("/v1/partners").headers["ratelimit-policy"] == '"address";q=6;w=60'


def test_a_path_that_is_none_is_no_absent_record(anonymous):
    assert [anonymous.get(path).status for path in ("/v1/communities/", "/v1//communities", "/v1/nowhere")] == [400, 400, 404]


def test_answers_to_writes_are_not_stored(partner):
    assert partner.officer.post("/v1/communities", {"name": unique("Stored"), "kind": "interest"}).headers["cache-control"] == "no-store"


def test_who_reads_could_not_write(cluster, anonymous, records, partner, other):
    """A statement that would write, within a read, is refused by the database: whoever reads, by token or in a session."""
    made = partner.officer.post("/v1/communities", {"name": unique("Read"), "kind": "interest", "visibility": "public"})
    person = records.person(partner.id, "officer")
    entered = anonymous.post("/v1/sessions/enrolments", {"code": person["enrolment_code"], "password": "a password of the reader"}).json()
    path = f"/v1/communities/{made.json()['id']}"
    readers = [anonymous, other.viewer, partner.officer, anonymous.as_token(entered["access_token"])]
    text = ("SELECT nullif(current_setting(CASE current_setting('transaction_read_only') WHEN 'on' THEN 'wardmote.partner' "
            "ELSE 'wardmote.may_write' END), '')::uuid")  # there is no such setting
    with answering(cluster, "wardmote.ctx_partner", text):
        for reader in readers:
            for asked in (path, "/v1/communities", f"{path}/history"):
                assert reader.get(asked).status == 200, asked
        for writer in readers[2:]:  # who writes comes by the same function
            assert writer.patch(path, {"name": unique("Written")}, headers={"If-Match": made.headers["etag"]}).status == 500
    assert readers[-1].patch(path, {"name": unique("Written")}, headers={"If-Match": made.headers["etag"]}).status == 200


def test_the_host_stays_and_stays_active(administrator):
    path = f"/v1/partners/{administrator.get('/v1/me').json()['partner_id']}"
    answer = administrator.patch(path, {"status": "suspended"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/status", "state")])
    answer = administrator.delete(path, headers={"If-Match": "*"})
    assert answer.status == 409 and ("", "host") in answer.codes()


def test_an_administrator_elsewhere_is_refused_with_the_reason(administrator, partner):
    body = {"kind": "service", "role": "administrator", "name": unique("Elsewhere"), "partner_id": partner.id}
    answer = administrator.post("/v1/accounts", body)
    assert (answer.status, answer.codes()) == (422, [("/role", "not_allowed")])


def test_who_one_is_is_oneself(records, partner):
    accounts = [records.account(partner.id, "manager").get("/v1/me").json()["account_id"] for _ in range(2)]
    assert len({*accounts, partner.manager.get("/v1/me").json()["account_id"]}) == 3


def test_a_manager_of_the_host_changes_none_of_its_administrators(administrator, records):
    me = administrator.get("/v1/me").json()
    manager = records.account(me["partner_id"], "manager")
    assert manager.get(f"/v1/accounts/{me['account_id']}").status == 200
    assert manager.patch(f"/v1/accounts/{me['account_id']}", {"name": "Mine"}, headers={"If-Match": "*"}).status == 403
