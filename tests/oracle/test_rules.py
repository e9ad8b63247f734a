# SPDX-License-Identifier: AGPL-3.0-or-later
"""RESTler's four rules for every resource: what was deleted is not used, what failed leaves nothing, a record is only where it belongs, names of one partner
are no names of another. And what the sequences found, by itself."""
import pytest

from wardmote_suite import committed_document
from wardmote_client import Contract
from wardmote_records import absent_id, unique

CONTRACT = Contract(committed_document())
ANY = {"If-Match": "*"}
BY_ID = sorted((operation["method"], operation["path"]) for operation in CONTRACT.operations.values() if "{id}" in operation["path"])
# Records of a resource in another form.
FORMS = {"/ogc/collections": "localities", "/hsds/services": "service-entries", "/hsds/organizations": "partners"}
RESOURCES = sorted({path.split("/")[2] for _, path in BY_ID if path.startswith("/v1/")})
OWNED = [resource for resource in RESOURCES if resource not in ("accounts", "partners") and "delete" in CONTRACT.document["paths"][f"/v1/{resource}/{{id}}"]]
BODIES = {"PATCH": {"source": "Another"}, "POST": {"to": "planned"}}


def send(client, method, path, identifier):
    """One operation by id, as it would be sent about a record that is there."""
    body = {"name": "Another"} if method == "PATCH" and "/accounts/" in path else {} if path.endswith("/secrets") and method == "POST" else BODIES.get(method)
    operation = next(operation for operation in CONTRACT.operations.values() if (operation["method"], operation["path"]) == (method, path))
    headers = {"X-Request-Id": "the-same-for-both", **(ANY if method in ("PATCH", "DELETE") or path.endswith("/transitions") else {})}
    target, params = CONTRACT.path(operation, id=identifier), CONTRACT.required_query(operation)
    if CONTRACT.is_import(operation):
        return client.request(method, target, body=b"", params=params, headers={"Content-Type": next(iter(operation["requestBody"]["content"])), **headers})
    if path.endswith(("/enrolments", "/erasure")):
        body = None
    return client.request(method, target, json_body=body, params=params, headers=headers)


def resource_of(path):
    return next((resource for prefix, resource in FORMS.items() if path.startswith(prefix)), path.split("/")[2])


def bare(answer, identifier):
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "ratelimit")}
    return answer.status, headers, answer.body.replace(identifier.encode(), b"ID")


def maker(records, partner, resource):
    return records.administrator if records.operation(resource)["x-role"] == "administrator" else partner.manager


@pytest.mark.parametrize("resource", OWNED)
def test_what_was_deleted_is_as_absent_as_what_never_was(records, partner, other, anonymous, resource):
    """By every operation, for the owner and for others, though they saw it; only its owner has its history."""
    client = maker(records, partner, resource)
    # A consultation that was ever shared or public is cancelled, not deleted.
    record = records.make(resource, client, visibility="private" if resource == "consultations" else "public")
    answer = client.delete(f"/v1/{resource}/{record['id']}", headers=ANY)
    assert answer.status == 204, answer.text()
    for caller in (client, partner.viewer, other.manager, anonymous):
        for method, path in BY_ID:
            if resource_of(path) != resource:
                continue
            ghost = absent_id()
            gone, never = send(caller, method, path, record["id"]), send(caller, method, path, ghost)
            if path.endswith("/history") and (caller is client or (caller is partner.viewer and client is partner.manager)):
                assert gone.status == 200 and gone.json()["items"][0]["operation"] == "delete"
            else:
                assert bare(gone, record["id"]) == bare(never, ghost), (method, path)
        assert caller.get(f"/v1/{resource}", params={"id": record["id"], "count": "exact"}).json()["count"] == 0


@pytest.mark.parametrize("resource", OWNED)
def test_what_failed_leaves_nothing(records, partner, other, resource):
    """Refused for its form, for what it refers to, for whose it would be: no record, no reference that is taken, no key that is used up."""
    client = maker(records, partner, resource)
    reference, key = unique("reference"), unique("key")
    body = records.body(resource, client, external_id=reference)
    foreign = {"partner_id": absent_id()} if client is records.administrator else {"partner_id": other.id}
    for wrong in ({"no_such_member": 1}, {"grants": [{"partner_id": absent_id(), "right": "read"}]}, foreign, {"visibility": "secret"}):
        answer = client.post(f"/v1/{resource}", {**body, **wrong}, headers={"Idempotency-Key": key})
        assert 400 <= answer.status < 500, answer.text()
        assert client.get(f"/v1/{resource}", params={"external_id": reference, "count": "exact"}).json()["count"] == 0
    made = client.post(f"/v1/{resource}", body, headers={"Idempotency-Key": key})
    assert made.status == 201 and "idempotency-replayed" not in made.headers


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_record_is_only_where_it_belongs(records, partner, resource):
    """Under the path of any other resource it is as absent as anything."""
    identifier = partner.id if resource == "partners" else records.account_record(partner.id, "viewer")["id"] if resource == "accounts" else None
    identifier = identifier or (records.make(resource, maker(records, partner, resource), visibility="public") if resource in OWNED else
                                records.item(f"/v1/{resource}/{{id}}"))["id"]
    for method, path in BY_ID:
        if resource_of(path) == resource:
            continue
        ghost = absent_id()
        assert bare(send(records.administrator, method, path, identifier), identifier) == bare(send(records.administrator, method, path, ghost), ghost), path


@pytest.mark.parametrize("resource", [resource for resource in OWNED if resource not in ("partnerships", "boundary-sets", "localities", "risk-scales")])
def test_the_names_of_one_partner_are_free_for_another(records, partner, other, resource):
    """Else a refusal would tell what another has in private."""
    reference = unique("reference")
    body = records.body(resource, partner.manager, external_id=reference, visibility="private")
    assert partner.manager.post(f"/v1/{resource}", body).status == 201
    theirs = {**records.body(resource, other.manager, visibility="private"), "external_id": reference, **({"code": body["code"]} if "code" in body else {})}
    answer = other.manager.post(f"/v1/{resource}", theirs)
    assert answer.status == 201, answer.text()


# --- what the sequences found ---

def test_who_sees_an_account_sees_its_past(records, administrator):
    """Administrators saw only the last version of other partners' accounts, and nothing as of a moment before it."""
    home = records.partner()
    account = records.account_record(home.id, "officer", by=home.manager)
    path = f"/v1/accounts/{account['id']}"
    assert home.manager.patch(path, {"name": "Renamed"}, headers=ANY).status == 200
    for client in (home.manager, administrator):
        history = client.get(f"{path}/history").json()["items"]
        assert [(item["version"], item["changed"]) for item in history] == [(2, ["name"]), (1, None)]
        for target, params in ((path, {}), ("/v1/accounts", {"id": account["id"]})):
            then = client.get(target, params={**params, "as_of": account["created_at"]}).json()
            assert (then if target == path else then["items"][0])["name"] == account["name"]
    assert home.officer.get(f"{path}/history").status == 404
