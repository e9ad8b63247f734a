# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may do what: the table of docs/access.md, held against the server for every resource, role, visibility and grant."""
import functools

import pytest

from conftest import ROOT, committed_document
from wardmote_client import Contract
from wardmote_records import absent_id, unique

ROLES = ("anonymous", "viewer", "officer", "manager", "administrator")
STALE = {"If-Match": '"999999-0000000000000000"'}


@functools.cache
def table():
    """{(resource, operation): {role: cell}}"""
    rows = {}
    for line in (ROOT / "docs/access.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 7 and cells[0] not in ("resource", "---"):
            rows[cells[0], cells[1]] = dict(zip(ROLES, cells[2:]))
    return rows


def owned():
    """Resources whose records have an owner and a visibility."""
    document = Contract(committed_document())
    return [name for name, operation in table() if operation == "create" and f"put_{name}" != ""
            and "put" in document.document["paths"][f"/v1/{name}"]]


class Caller:
    def __init__(self, client, role, partner_id, grants=()):
        self.client = client
        self.role = role
        self.partner_id = partner_id
        self.grants = grants


class Case:
    """One record, and who else it is open to."""

    def __init__(self, record, visibility, right=None, grantee=None):
        self.record = record
        self.visibility = visibility
        self.right = right
        self.grantee = grantee

    def __str__(self):
        return self.visibility + (f" with {self.right}" if self.right else "")

    def is_own(self, caller):
        return caller.partner_id == self.record["partner_id"]

    def is_visible(self, caller):
        if self.visibility == "public" or self.is_own(caller):
            return True
        if caller.role == "anonymous":
            return False
        return self.visibility == "shared" or caller.partner_id == self.grantee

    def is_allowed(self, caller, cell):
        kinds = [kind.strip() for kind in cell.split(",")]
        return ("all" in kinds or (("own" in kinds or "own+grant" in kinds) and self.is_own(caller))
                or ("own+grant" in kinds and self.right == "write" and caller.partner_id == self.grantee))


@pytest.fixture(scope="module", name="callers")
def _callers(anonymous, administrator, partner, other, records, host):
    third = records.partner()
    callers = [Caller(anonymous, "anonymous", None), Caller(administrator, "administrator", host["partner_id"])]
    for owner in (partner, other, third):
        callers += [Caller(getattr(owner, role), role, owner.id) for role in ("viewer", "officer", "manager")]
    return callers


@pytest.fixture(scope="module", name="cases")
def _cases(administrator, partner, other, records):
    """Records of one partner (of the host, where only administrators make them): each visibility, and private ones open to the second partner."""
    made = {}

    def of(resource):
        if resource in made:
            return made[resource]
        by_administrator = records.operation(resource)["x-role"] == "administrator"
        maker = administrator if by_administrator else partner.manager
        made[resource] = [Case(records.make(resource, maker, visibility=visibility), visibility)
                          for visibility in ("private", "shared", "public")]
        for right in ("read", "write"):
            record = records.make(resource, maker, visibility="private", grants=[{"partner_id": other.id, "right": right}])
            made[resource].append(Case(record, "private", right, other.id))
        return made[resource]

    return of


def refused(caller, case):
    """What a change is answered that the caller may not make."""
    if caller.role == "anonymous":
        return 401
    return 403 if case.is_visible(caller) else 404


@pytest.mark.parametrize("resource", owned())
def test_reading(callers, cases, resource):
    wrong = []
    for case in cases(resource):
        for caller in callers:
            expected = 200 if case.is_visible(caller) else 404
            path = f"/v1/{resource}/{case.record['id']}"
            listed = caller.client.get(f"/v1/{resource}", params={"id": case.record["id"]}).json()["items"]
            table_of = caller.client.get(f"/v1/{resource}.csv", params={"id": case.record["id"]}).text().count("\r\n") - 1
            got = (caller.client.get(path).status, caller.client.get(f"{path}/history").status, len(listed), table_of)
            if got != (expected, expected, int(expected == 200), int(expected == 200)):
                wrong.append(f"{caller.role} reads {case}: {got}")
    assert not wrong, wrong


@pytest.mark.parametrize("resource", owned())
@pytest.mark.parametrize("operation, method", [("change", "PATCH"), ("delete", "DELETE")])
def test_changing(callers, cases, resource, operation, method):
    """Who may make the change is told that the version is another; so nothing changes for the next caller."""
    wrong = []
    for case in cases(resource):
        for caller in callers:
            cell = table()[resource, operation][caller.role]
            may = case.is_allowed(caller, cell) and case.is_visible(caller)
            expected = 412 if may else refused(caller, case)
            body = {} if method == "PATCH" else None
            answer = caller.client.request(method, f"/v1/{resource}/{case.record['id']}", json_body=body, headers=STALE)
            if answer.status != expected:
                wrong.append(f"{caller.role}{' of the owner' if case.is_own(caller) else ''} {method} {case}: {answer.status}, not {expected}")
    assert not wrong, wrong


@pytest.mark.parametrize("resource", owned())
def test_creating(callers, records, resource):
    wrong = []
    for caller in callers:
        cell = table()[resource, "create"][caller.role]
        expected = 401 if caller.role == "anonymous" else 403 if cell == "-" else 201
        by = caller.client if expected == 201 else None
        answer = caller.client.post(f"/v1/{resource}", records.body(resource, by), params={"dry_run": "true"})
        if answer.status != expected:
            wrong.append(f"{caller.role}: {answer.status}, not {expected}: {answer.text()[:200]}")
    assert not wrong, wrong


@pytest.mark.parametrize("resource", owned())
def test_invisible_and_absent_are_answered_with_the_same_bytes(callers, cases, resource):
    def bytes_of(caller, method, identifier, suffix=""):
        headers = {**STALE, "X-Request-Id": "the-same-for-both"}
        body = {} if method == "PATCH" else None
        answer = caller.client.request(method, f"/v1/{resource}/{identifier}{suffix}", json_body=body, headers=headers)
        fields = {name: value for name, value in answer.headers.items() if name not in ("date", "ratelimit")}
        return answer.status, fields, answer.body

    for case in cases(resource):
        for caller in callers:
            if case.is_visible(caller):
                continue
            for method, suffix in (("GET", ""), ("GET", "/history"), ("PATCH", ""), ("DELETE", "")):
                assert bytes_of(caller, method, case.record["id"], suffix) == bytes_of(caller, method, absent_id(), suffix)


def test_every_resource_is_in_the_table(records):
    named = {resource for resource, _ in table()}
    assert named == set(records.resources())


# --- beyond the table ---

def make(partner, **members):
    answer = partner.manager.post("/v1/communities", {"name": unique("Access"), "kind": "interest", **members})
    assert answer.status == 201, answer.text()
    return answer.json()


def change(client, record, **members):
    return client.patch(f"/v1/communities/{record['id']}", members, headers={"If-Match": "*"})


def test_a_grant_to_write_is_no_right_to_visibility_grants_owner_or_deletion(partner, other):
    record = make(partner, grants=[{"partner_id": other.id, "right": "write"}])
    assert change(other.officer, record, name="Changed by another").status == 200
    assert change(other.manager, record, visibility="public").status == 403
    assert change(other.manager, record, grants=[]).status in (400, 403)
    assert other.manager.delete(f"/v1/communities/{record['id']}", headers={"If-Match": "*"}).status == 403


def test_officers_set_visibility_and_managers_grants(partner, other):
    record = make(partner)
    assert change(partner.officer, record, visibility="shared").status == 200
    assert change(partner.officer, record, grants=[{"partner_id": other.id, "right": "read"}]).status == 403
    assert change(partner.manager, record, grants=[{"partner_id": other.id, "right": "read"}]).status == 200


def test_nobody_gives_a_record_away(partner, other):
    record = make(partner)
    answer = change(partner.manager, record, partner_id=other.id)
    assert answer.status == 422 and answer.codes() == [("/partner_id", "create_only")]
    foreign = partner.manager.post("/v1/communities", {"name": unique("Access"), "kind": "interest", "partner_id": other.id})
    assert foreign.status == 403


def test_publishing_a_record_does_not_publish_its_drafts(partner, other, anonymous):
    record = make(partner, name="Draft with a secret")
    path = f"/v1/communities/{record['id']}"
    assert change(partner.officer, record, name="Public name", visibility="public").status == 200
    for client in (anonymous, other.manager):
        versions = client.get(f"{path}/history").json()["items"]
        assert [version["version"] for version in versions] == [2]
        assert versions[0]["changed"] is None
        assert "Draft" not in client.get(f"{path}/history").text()
        assert client.get(path, params={"as_of": record["created_at"]}).status == 404
        listed = client.get("/v1/communities", params={"as_of": record["created_at"], "id": record["id"]})
        assert listed.json()["items"] == []
    own = partner.viewer.get(f"{path}/history").json()["items"]
    assert [version["version"] for version in own] == [2, 1]
    assert own[0]["changed"] == ["visibility", "name"]


def test_hiding_a_record_hides_its_past(partner, other):
    record = make(partner, visibility="public")
    assert change(partner.officer, record, visibility="private").status == 200
    path = f"/v1/communities/{record['id']}"
    assert other.manager.get(path).status == 404
    assert other.manager.get(f"{path}/history").status == 404
    assert other.manager.get(path, params={"as_of": record["created_at"]}).status == 404


def test_a_scope_only_narrows(records, partner):
    reader = records.account(partner.id, "officer", scopes=["communities:read"])
    record = make(partner)
    assert reader.get(f"/v1/communities/{record['id']}").status == 200
    assert change(reader, record, name="No").status == 403
    answer = reader.get("/v1/activities")
    assert answer.status == 403
    assert 'error="insufficient_scope", scope="activities:read"' in answer.headers["www-authenticate"]


def test_embedded_records_are_only_those_that_the_caller_sees(partner, other):
    hidden = make(partner, visibility="private")
    shown = make(partner, visibility="shared")
    body = {"title": unique("Access"), "visibility": "shared", "community_ids": [hidden["id"], shown["id"]]}
    consultation = partner.officer.post("/v1/consultations", body).json()
    path = f"/v1/consultations/{consultation['id']}"
    own = partner.viewer.get(path, params={"include": "communities"}).json()
    foreign = other.viewer.get(path, params={"include": "communities"}).json()
    assert [item["id"] for item in own["communities"]] == [hidden["id"], shown["id"]]
    assert [item["id"] for item in foreign["communities"]] == [shown["id"]]


def test_a_reference_to_what_one_cannot_see_is_one_to_nothing(partner, other):
    hidden = make(partner, visibility="private")
    faults = []
    for target in (hidden["id"], absent_id()):
        answer = other.officer.post("/v1/consultations", {"title": unique("Access"), "community_ids": [target]})
        assert answer.status == 422
        faults.append([{**fault, "detail": fault["detail"].replace(target, "")} for fault in answer.json()["errors"]])
    assert faults[0] == faults[1]


def test_a_suspended_partner_is_out_at_once(administrator, records):
    gone = records.partner()
    assert gone.officer.get("/v1/me").status == 200
    path = f"/v1/partners/{gone.id}"
    assert administrator.patch(path, {"status": "suspended"}, headers={"If-Match": "*"}).status == 200
    assert gone.officer.get("/v1/me").status == 401
    assert administrator.patch(path, {"status": "active"}, headers={"If-Match": "*"}).status == 200
    assert gone.officer.get("/v1/me").status == 401, "a token that ended does not come back"
    assert records.account(gone.id, "officer").get("/v1/me").status == 200


def test_a_change_of_role_counts_from_the_next_request(administrator, records, partner):
    record = records.account_record(partner.id, "officer", by=partner.manager)
    client = administrator.as_token(administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.get("/v1/me").json()["role"] == "officer"
    assert partner.manager.patch(f"/v1/accounts/{record['id']}", {"role": "viewer"}, headers={"If-Match": "*"}).status == 200
    assert client.get("/v1/me").status == 401
    client = administrator.as_token(administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.post("/v1/communities", {"name": unique("Access"), "kind": "interest"}).status == 403
