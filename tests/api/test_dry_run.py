# SPDX-License-Identifier: AGPL-3.0-or-later
"""dry_run=true on every write: the same answer as the write would get, and nothing of it stays: no record, no version, no key, no change in the feed."""
import pytest

from wardmote_suite import committed_document
from wardmote_client import Contract
from wardmote_records import unique

CONTRACT = Contract(committed_document())
DRY = {"dry_run": "true"}
ANY = {"If-Match": "*"}


def takes_dry_run(operation):
    parameters = [CONTRACT.resolve(parameter) for parameter in operation.get("parameters", [])]
    return any(parameter["name"] == "dry_run" for parameter in parameters)


def by_method(method):
    return sorted(operation["path"].split("/")[2] for operation in CONTRACT.operations.values()
                  if operation["method"] == method and operation["path"].count("/") == (2 if method == "PUT" else 3) and takes_dry_run(operation))


@pytest.fixture(scope="module", name="feed")
def _feed(cluster):
    """Counts what a write would leave: rows of the change log, stored answers."""
    connection = cluster.connect("postgres")

    def count():
        with connection.cursor() as cursor:
            cursor.execute("SELECT (SELECT count(*) FROM wardmote.change), (SELECT count(*) FROM wardmote.idempotency)")
            return cursor.fetchone()

    yield count
    connection.close()


def test_every_write_of_records_takes_it():
    without = {operation["operationId"] for operation in CONTRACT.operations.values()
               if operation["method"] in ("POST", "PUT", "PATCH", "DELETE") and not takes_dry_run(operation)}
    imports = {operation["operationId"] for operation in CONTRACT.operations.values() if CONTRACT.is_import(operation)}
    assert imports and imports <= without, "a file is looked at after the answer"
    assert {name for name in without - imports if "session" not in name and "token" not in name} == {"put_my_password", "search_personal_data"}, "a search writes nothing"


@pytest.mark.parametrize("resource", by_method("PATCH"))
def test_of_a_change(administrator, records, feed, resource):
    record = records.make(resource)
    path = f"/v1/{resource}/{record['id']}"
    name = next(name for name in ("title", "name", "label", "source") if name in record)
    before = feed()
    answer = administrator.patch(path, {name: "Dry"}, headers=ANY, params=DRY)
    assert answer.status == 200, answer.text()
    assert answer.json()[name] == "Dry"
    assert administrator.get(path).json()[name] == record[name]
    assert administrator.get(path).json()["version"] == record["version"]
    assert feed() == before
    assert administrator.patch(path, {name: "Dry"}, headers={"If-Match": '"99-0"'}, params=DRY).status == 412
    assert administrator.patch(path, {name: "Dry"}, params=DRY).status == 428
    assert administrator.patch(path, {name: ""}, headers=ANY, params=DRY).status == 400


@pytest.mark.parametrize("resource", by_method("DELETE"))
def test_of_a_deletion(administrator, records, feed, resource):
    record = records.make(resource, **({"visibility": "private"} if resource == "consultations" else {}))
    path = f"/v1/{resource}/{record['id']}"
    before = feed()
    answer = administrator.delete(path, headers=ANY, params=DRY)
    assert (answer.status, answer.body) == (204, b""), answer.text()
    assert administrator.get(path).json()["version"] == record["version"]
    assert feed() == before
    assert administrator.delete(path, headers={"If-Match": '"99-0"'}, params=DRY).status == 412
    assert administrator.delete(path, headers=ANY).status == 204


@pytest.mark.parametrize("resource", by_method("PUT"))
def test_of_a_replacement(administrator, records, feed, resource):
    reference = {"external_id": unique("dry")}
    body = records.body(resource)
    body.pop("external_id", None)
    before = feed()
    assert administrator.put(f"/v1/{resource}", body, params={**reference, **DRY}).status == 201
    assert feed() == before
    assert administrator.put(f"/v1/{resource}", body, params=reference).status == 201
    before = feed()
    answer = administrator.put(f"/v1/{resource}", body, params={**reference, **DRY})
    assert answer.status == 200 and feed() == before, answer.text()


def test_what_the_data_forbid_is_found(administrator, partner, records):
    missing = "01976f3a-1111-7000-8000-00000000dead"
    answer = partner.officer.post("/v1/consultations", {"title": "Dry", "community_ids": [missing]}, params=DRY)
    assert (answer.status, answer.codes()) == (422, [("/community_ids/0", "not_found")])
    used = records.make("risk-scales")
    register = records.make("risk-registers", risk_scale_id=used["id"])
    answer = administrator.delete(f"/v1/risk-scales/{used['id']}", headers=ANY, params=DRY)
    assert (answer.status, answer.codes()) == (409, [("", "in_use")])
    assert administrator.delete(f"/v1/risk-registers/{register['id']}", headers=ANY, params=DRY).status == 204
    assert administrator.delete(f"/v1/risk-scales/{used['id']}", headers=ANY).status == 409, "the register is still there"
    reference = unique("taken")
    assert partner.officer.post("/v1/communities", {"name": "Dry", "kind": "interest", "external_id": reference}).status == 201
    answer = partner.officer.post("/v1/communities", {"name": "Dry", "kind": "interest", "external_id": reference}, params=DRY)
    assert (answer.status, answer.codes()) == (409, [("/external_id", "not_unique")])


def test_who_may_not_write_may_not_try(partner, other):
    body = {"name": unique("Dry"), "kind": "interest"}
    assert partner.viewer.post("/v1/communities", body, params=DRY).status == 403
    record = partner.officer.post("/v1/communities", {**body, "visibility": "shared"}).json()
    path = f"/v1/communities/{record['id']}"
    for client in (partner.viewer, other.manager):
        assert client.patch(path, {"name": "Dry"}, headers=ANY, params=DRY).status == 403
        assert client.delete(path, headers=ANY, params=DRY).status == 403
    hidden = partner.officer.post("/v1/communities", body).json()
    assert other.manager.patch(f"/v1/communities/{hidden['id']}", {"name": "Dry"}, headers=ANY, params=DRY).status == 404
    assert other.manager.delete(f"/v1/communities/{hidden['id']}", headers=ANY, params=DRY).status == 404


def test_a_key_is_not_used_up(partner, feed):
    headers, body = {"Idempotency-Key": unique("key")}, {"name": unique("Dry"), "kind": "interest"}
    before = feed()
    tried = [partner.officer.post("/v1/communities", body, headers=headers, params=DRY) for _ in range(2)]
    assert [answer.status for answer in tried] == [201, 201] and feed() == before
    assert all("idempotency-replayed" not in answer.headers for answer in tried)
    other_body = partner.officer.post("/v1/communities", {**body, "name": "Another"}, headers=headers, params=DRY)
    assert other_body.status == 201
    first = partner.officer.post("/v1/communities", body, headers=headers)
    assert first.status == 201 and "idempotency-replayed" not in first.headers
    assert partner.officer.get(f"/v1/communities/{first.json()['id']}").status == 200


def test_a_secret_is_not_issued(anonymous, partner, records, feed):
    before = feed()
    made = partner.manager.post("/v1/accounts", {"kind": "service", "role": "viewer", "name": "Dry"}, params=DRY)
    assert made.status == 201 and made.json()["client_secret"] is None, made.text()
    assert feed() == before
    account = records.account_record(partner.id, "viewer")
    before = feed()
    rotated = partner.manager.post(f"/v1/accounts/{account['id']}/secrets", {}, params=DRY)
    assert rotated.status == 201 and rotated.json()["client_secret"] is None, rotated.text()
    assert feed() == before
    assert anonymous.token_for(account["client_id"], account["client_secret"])


def test_an_enrolment_and_an_erasure_that_are_not_made(anonymous, partner, records):
    person = records.person(partner.id, "viewer")
    path = f"/v1/accounts/{person['id']}"
    tried = partner.manager.post(f"{path}/enrolments", params=DRY)
    assert tried.status == 201 and tried.json()["enrolment_code"] is None, tried.text()
    assert partner.manager.post(f"{path}/erasure", params=DRY).status == 204
    assert partner.manager.get(path).json()["login"] == person["login"]
    kept = anonymous.post("/v1/sessions/enrolments", {"code": person["enrolment_code"], "password": "a long enough password"})
    assert kept.status == 200, kept.text()


def test_it_is_true_or_false(partner):
    body = {"name": unique("Dry"), "kind": "interest"}
    for value in ("yes", "1", "TRUE", ""):
        assert partner.officer.post("/v1/communities", body, params={"dry_run": value}).codes() == [("dry_run", "type")]
    assert partner.officer.post("/v1/communities?dry_run=true&dry_run=false", body).codes() == [("dry_run", "duplicate")]
    assert partner.officer.get("/v1/communities", params=DRY).codes() == [("dry_run", "unknown_parameter")]
    made = partner.officer.post("/v1/communities", body, params={"dry_run": "false"})
    assert partner.viewer.get(f"/v1/communities/{made.json()['id']}").status == 200
