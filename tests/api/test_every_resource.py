# SPDX-License-Identifier: AGPL-3.0-or-later
"""The life of a record, for every resource alike: create, read in every format, change, replace, conflict, delete."""
import pytest

from wardmote_suite import committed_document
from wardmote_client import Contract
from wardmote_records import Records, absent_id, unique

CONTRACT = Contract(committed_document())


def resources(having=None):
    """Names of the resources that have an operation: "PUT", "DELETE" or a member of the body."""
    found = []
    for operation in CONTRACT.operations.values():
        name = operation["path"][4:]
        if operation["method"] != "POST" or "/" in name or f"{operation['path']}/{{id}}" not in CONTRACT.document["paths"]:
            continue
        methods = [method.upper() for path in (operation["path"], f"{operation['path']}/{{id}}") for method in CONTRACT.document["paths"][path]]
        members = CONTRACT.resolve(operation["requestBody"]["content"]["application/json"]["schema"])["properties"]
        if having is None or having in methods or having in members:
            found.append(name)
    return found


def reference(schema):
    """A member that refers to other records (and does not say whose the record is), with a value that refers to nothing."""
    for name, member in schema.items():
        if "x-refers" in member and name != "partner_id" and "properties" not in member.get("items", {}):
            kinds = member["type"] if isinstance(member["type"], list) else [member["type"]]
            return name, [absent_id()] if "array" in kinds else absent_id()
    return None


CONTRACT_SCHEMAS = {name: Records(None, CONTRACT).schema(name) for name in resources()}


def documents(resource, method, status, item=False):
    path = f"/v1/{resource}" + ("/{id}" if item else "")
    return str(status) in CONTRACT.document["paths"][path][method]["responses"]


def some_change(records, resource, record):
    """A body of a PATCH that changes a text of the record: its title, else what it says of its source."""
    schema = records.schema(resource)
    for name in ("title", "name", "label"):
        if name in schema:
            return {name: record[name] + " again"}
    return {"source": (record.get("source") or "Recorded") + " again"}


@pytest.mark.parametrize("resource", resources())
def test_create_then_read(administrator, records, resource):
    answer = administrator.post(f"/v1/{resource}", records.body(resource))
    assert answer.status == 201, answer.text()
    record = answer.json()
    assert answer.headers["location"] == f"{administrator.server.url}/v1/{resource}/{record['id']}"
    assert record["version"] == 1
    read = administrator.get(answer.headers["location"])
    assert read.status == 200
    assert {**record, **read.json()} == record
    assert administrator.get(f"/v1/{resource}/{record['id']}", headers={"If-None-Match": read.etag}).status == 304


@pytest.mark.parametrize("resource", resources())
def test_list_finds_it_and_is_validated(administrator, records, resource):
    record = records.make(resource)
    answer = administrator.get(f"/v1/{resource}", params={"id": record["id"]})
    assert [item["id"] for item in answer.json()["items"]] == [record["id"]]
    again = administrator.get(f"/v1/{resource}", params={"id": record["id"]}, headers={"If-None-Match": answer.etag})
    assert again.status == 304 and again.body == b""
    assert administrator.get(f"/v1/{resource}.csv", params={"id": record["id"]}).status == 200


@pytest.mark.parametrize("resource", [name for name in resources()
                                      if "application/geo+json" in CONTRACT.document["paths"][f"/v1/{name}"]["get"]["responses"]["200"]["content"]])
def test_places_as_geojson(administrator, records, resource):
    record = records.make(resource)
    collection = administrator.get(f"/v1/{resource}.geojson", params={"id": record["id"]})
    assert collection.media_type == "application/geo+json"
    assert [feature["id"] for feature in collection.json()["features"]] == [record["id"]]
    feature = administrator.get(f"/v1/{resource}/{record['id']}", headers={"Accept": "application/geo+json"})
    assert feature.json()["type"] == "Feature" and feature.json()["id"] == record["id"]


@pytest.mark.parametrize("resource", resources())
def test_patch_changes_and_makes_a_version(administrator, records, resource):
    record = records.make(resource)
    path = f"/v1/{resource}/{record['id']}"
    etag = administrator.get(path).etag
    change = some_change(records, resource, record)
    answer = administrator.patch(path, change, headers={"If-Match": etag})
    assert answer.status == 200, answer.text()
    assert answer.json()["version"] == 2 and answer.json().items() >= change.items()
    assert administrator.patch(path, change, headers={"If-Match": etag}).status == 412
    history = administrator.get(f"{path}/history")
    assert [version["version"] for version in history.json()["items"]] == [2, 1]
    assert history.json()["items"][0]["changed"] == list(change)
    assert administrator.get(f"{path}/history", headers={"If-None-Match": history.etag}).status == 304


@pytest.mark.parametrize("resource", resources("PUT"))
def test_put_by_external_id(administrator, records, resource):
    reference_id = unique("put/ me")
    body = records.body(resource)
    body.pop("external_id", None)
    first = administrator.put(f"/v1/{resource}", body, params={"external_id": reference_id})
    assert first.status == 201, first.text()
    same = administrator.put(f"/v1/{resource}", body, params={"external_id": reference_id})
    assert same.status == 200 and same.etag == first.etag and same.json()["version"] == 1
    changed = administrator.put(f"/v1/{resource}", {**body, **some_change(records, resource, first.json())}, params={"external_id": reference_id})
    assert changed.status == 200 and changed.json()["version"] == 2
    late = administrator.put(f"/v1/{resource}", body, params={"external_id": reference_id}, headers={"If-Match": first.etag})
    assert late.status == 412


@pytest.mark.parametrize("resource", resources("DELETE"))
def test_delete_leaves_a_tombstone(administrator, records, resource):
    record = records.make(resource)
    path = f"/v1/{resource}/{record['id']}"
    assert administrator.delete(path, headers={"If-Match": '"9-0000000000000000"'}).status == 412
    assert administrator.delete(path, headers={"If-Match": "*"}, params={"dry_run": "true"}).status == 204
    answer = administrator.delete(path, headers={"If-Match": "*"})
    assert answer.status == 204, answer.text()
    assert administrator.get(path).status == 404


# --- what needs data ---

@pytest.mark.parametrize("resource", [name for name in resources() if documents(name, "post", 422)])
def test_reference_to_nothing(administrator, records, resource):
    schema = records.schema(resource)
    if "grants" in schema:
        name, value, expected = "grants", [{"partner_id": absent_id(), "right": "read"}], "not_found"
    elif reference(schema):
        (name, value), expected = reference(schema), "not_found"
    else:
        name, value, expected = "scopes", ["nothing:read"], "unknown_scope"
    answer = administrator.post(f"/v1/{resource}", records.body(resource, **{name: value}))
    assert answer.status == 422, answer.text()
    assert any(place.startswith(f"/{name}") and code == expected for place, code in answer.codes()), answer.text()


@pytest.mark.parametrize("resource", [name for name in resources("grants") if reference(CONTRACT_SCHEMAS[name])])
def test_every_missing_reference_is_named_at_once(administrator, records, resource):
    name, value = reference(records.schema(resource))
    answer = administrator.post(f"/v1/{resource}", records.body(resource, grants=[{"partner_id": absent_id(), "right": "read"}], **{name: value}))
    assert answer.status == 422, answer.text()
    assert {place.split("/")[1] for place, code in answer.codes() if code == "not_found"} == {"grants", name}


@pytest.mark.parametrize("resource", [name for name in resources() if documents(name, "patch", 422, item=True)])
def test_patch_with_a_reference_to_nothing(administrator, records, resource):
    record = records.make(resource)
    schema = {name: member for name, member in records.patch_schema(resource).items() if "Cannot be changed" not in member["description"]}
    if "grants" in schema:
        change = {"grants": [{"partner_id": absent_id(), "right": "read"}]}
    elif reference(schema):
        change = dict([reference(schema)])
    else:
        change = {"scopes": ["nothing:read"]}
    answer = administrator.patch(f"/v1/{resource}/{record['id']}", change, headers={"If-Match": "*"})
    assert answer.status == 422, answer.text()


@pytest.mark.parametrize("resource", resources("PUT"))
def test_put_with_a_reference_to_nothing(administrator, records, resource):
    body = records.body(resource, grants=[{"partner_id": absent_id(), "right": "read"}])
    body.pop("external_id", None)
    answer = administrator.put(f"/v1/{resource}", body, params={"external_id": unique("put")})
    assert answer.status == 422, answer.text()


# --- conflicts ---

@pytest.mark.parametrize("resource", [name for name in resources("external_id") if documents(name, "post", 409)])
def test_external_id_is_unique(administrator, records, resource):
    taken = unique("taken")
    records.make(resource, external_id=taken)
    answer = administrator.post(f"/v1/{resource}", records.body(resource, external_id=taken))
    assert answer.status == 409, answer.text()
    assert answer.codes() == [("/external_id", "not_unique")]
    further = records.make(resource)
    answer = administrator.patch(f"/v1/{resource}/{further['id']}", {"external_id": taken}, headers={"If-Match": "*"})
    assert answer.status == 409, answer.text()


@pytest.mark.parametrize("resource", [name for name in resources("code") if name in resources("PUT") and documents(name, "put", 409)
                                      and name != "risk-registers"])
def test_put_of_a_code_that_is_taken(administrator, records, resource):
    taken = records.make(resource, code=unique("taken"))
    body = records.body(resource, **{name: taken[name] for name in ("code", "list", "boundary_set_id", "risk_register_id") if name in taken})
    body.pop("external_id", None)
    answer = administrator.put(f"/v1/{resource}", body, params={"external_id": unique("put")})
    assert answer.status == 409, answer.text()


def users(records, resource):
    """(resource, member, is a list) of what refers to records of this one, be it by id or by code."""
    for name in resources():
        for member, schema in records.schema(name).items():
            by_code = resource == "codes" and schema.get("x-code-list") == "topic"
            if by_code or (schema.get("x-refers") == resource and member != "partner_id"):
                yield name, member, "array" in schema["type"]


@pytest.mark.parametrize("resource", [name for name in resources("DELETE") if documents(name, "delete", 409, item=True)])
def test_record_in_use_is_not_deleted(administrator, records, resource):
    name, member, is_list = next(users(records, resource))
    members = {"visibility": "public"} if "visibility" in records.schema(resource) else {}
    if resource == "codes":
        members.update(list="topic", partner_id=None)
    target = records.make(resource, **members)
    value = target["code"] if resource == "codes" else target["id"]
    together = {key: target[key] for key in ("boundary_set_id",) if name == resource and key in target}
    records.make(name, **{member: [value] if is_list else value, **together})
    answer = administrator.delete(f"/v1/{resource}/{target['id']}", headers={"If-Match": "*"})
    assert answer.status == 409, answer.text()
    assert administrator.get(f"/v1/{resource}/{target['id']}").status == 200


# --- retries ---

@pytest.mark.parametrize("resource", resources())
def test_same_key_gives_the_same_answer(administrator, records, resource):
    key, body = unique("key"), records.body(resource)
    first = administrator.post(f"/v1/{resource}", body, headers={"Idempotency-Key": key})
    again = administrator.post(f"/v1/{resource}", body, headers={"Idempotency-Key": key})
    assert (first.status, again.status) == (201, 201), again.text()
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert again.json()["id"] == first.json()["id"]
    for name, value in again.json().items():
        assert value == first.json().get(name) or name in ("client_secret", "note"), name
    other = administrator.post(f"/v1/{resource}", {**body, **some_change(records, resource, first.json())}, headers={"Idempotency-Key": key})
    assert other.status == 422
    assert other.json()["type"].endswith("/problems/key-reused")


@pytest.mark.parametrize("resource", resources())
def test_dry_run_stores_nothing(administrator, records, resource):
    body = records.body(resource)
    answer = administrator.post(f"/v1/{resource}", body, params={"dry_run": "true"})
    assert answer.status == 201, answer.text()
    assert administrator.get(f"/v1/{resource}/{answer.json()['id']}").status == 404
    assert administrator.post(f"/v1/{resource}", {}, params={"dry_run": "true"}).status == 400
