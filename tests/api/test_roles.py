# SPDX-License-Identifier: AGPL-3.0-or-later
"""The gate before everything else: whoever lacks the role or the scope for an operation is told so whatever else is wrong with the request, and nothing of it
is looked at. The roles are those of docs/access.md."""
import pytest

from access_model import ROLES, natives, route, table
from wardmote_suite import committed_document
from wardmote_client import Client, Contract
from wardmote_records import absent_id, unique

CONTRACT = Contract(committed_document())
OPERATIONS = CONTRACT.operations
RESOURCES = sorted({resource for resource, _ in table()})
CREATED = [resource for resource in RESOURCES if "post" in CONTRACT.document["paths"][f"/v1/{resource}"]]
# Wrong in every way that comes after: no JSON, of no type that is taken, without If-Match, with a parameter that nobody knows.
REHEARSAL = {"dry_run": "true"}
HOPELESS = {"body": b"{", "headers": {"Content-Type": "text/plain"}, "params": {"no_such_parameter": "1"}}


def least(where):
    """The first role that may at all; PUT is create or change."""
    cells = [table()[where.resource, operation] for operation in (("create", "change") if where.operation == "put" else (where.operation,))]
    return next(rank for rank, role in enumerate(ROLES) if any(row[role] != {"-"} for row in cells))


class Gate:
    """Accounts of one partner, tokens that lack the scopes of reading or of writing, and a record of each resource that all of them see."""

    def __init__(self, server, records, partner, host):
        self.server, self.records, self.partner, self.host_id = server, records, partner, host["partner_id"]
        self.ids = {}
        self.homes = {}
        # What only administrators may do takes an administrator's token with too few scopes.
        self.narrow_administrator = self.narrow(self.host_id, "administrator")

    def narrow(self, partner_id, role):
        return {way: self.client(self.records.account(partner_id, role, [f"{name}:{way}" for name in RESOURCES])) for way in ("read", "write")}

    def home(self, resource):
        """(clients by rank, narrow managers) of a partner that sees the record: where only administrators make such for their own partner, of the host."""
        words = set().union(*(table()[resource, "read"].values()))
        partner_id = self.host_id if resource not in CREATED and words <= {"own", "-"} else self.partner.id
        if partner_id not in self.homes:
            made = [self.client(self.records.account(partner_id, role)) for role in ("viewer", "officer", "manager")]
            self.homes[partner_id] = [self.client(), *made], self.narrow(partner_id, "manager")
        return self.homes[partner_id]

    def client(self, like=None):
        return Client(self.server, None, None, like.token if like else None)

    def shown(self, resource, client):
        if resource == "accounts":  # the one that each sees
            return client.get("/v1/me").json()["account_id"] if client.token else absent_id()
        if resource == "partners":
            return self.partner.id
        if resource not in self.ids:
            self.ids[resource] = self.records.item(f"/v1/{resource}/{{id}}")["id"]
        return self.ids[resource]

    def ask(self, name, client, identifier=None):
        operation = OPERATIONS[name]
        path = CONTRACT.path(operation, id=identifier or "")
        hopeless = HOPELESS if "requestBody" in operation else {"params": HOPELESS["params"]}
        return client.request(operation["method"], path, **hopeless)


@pytest.fixture(scope="module", name="gate")
def _gate(server, records, partner, host):
    return Gate(server, records, partner, host)


@pytest.mark.parametrize("name", sorted(name for name, operation in OPERATIONS.items() if route(operation)))
def test_role_and_scope_come_first(gate, name):
    where = route(OPERATIONS[name])
    clients, narrow_managers = gate.home(where.resource)
    for rank, client in enumerate(clients):
        answer = gate.ask(name, client, gate.shown(where.resource, client))
        refused = 401 if rank == 0 else 403
        assert (answer.status == refused) == (rank < least(where)), (ROLES[rank], answer.status, answer.text())
        if 0 < rank < least(where):
            assert not answer.json().get("errors"), "what is wrong with the request is not told"
            if not where.item:
                assert answer.json()["type"].endswith("/forbidden")
            if where.item:
                assert gate.ask(name, client, absent_id()).status == 404
    narrow = narrow_managers if least(where) <= ROLES.index("manager") else gate.narrow_administrator
    lacking, having = (narrow[way] for way in (("write", "read") if where.method == "GET" else ("read", "write")))
    answer = gate.ask(name, lacking, gate.shown(where.resource, lacking))
    assert answer.status == 403 and not answer.json().get("errors"), answer.text()
    if not where.item:
        assert answer.json()["type"].endswith("/insufficient-scope")
    assert gate.ask(name, having, gate.shown(where.resource, having)).status not in (401, 403)


@pytest.mark.parametrize("name", sorted(natives()))
def test_an_account_comes_first(gate, name):
    assert (gate.ask(name, gate.client()).status == 401) == (not natives()[name])


# --- fields ---

ANY = {"If-Match": "*"}


def fields_of(resource):
    """{name: its schema} of the record."""
    content = CONTRACT.document["paths"][f"/v1/{resource}/{{id}}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return CONTRACT.resolve(content)["properties"]


def audiences_of(resource, *audiences):
    return {name for name, schema in fields_of(resource).items() if schema.get("x-audience", "public") in audiences}


def owner_of(resource, records, partner, administrator):
    return administrator if records.operation(resource)["x-role"] == "administrator" else partner.manager


OWNED = [resource for resource in RESOURCES if "put" in CONTRACT.document["paths"][f"/v1/{resource}"]]


@pytest.mark.parametrize("resource", OWNED)
def test_fields_are_for_their_audience(records, partner, other, administrator, anonymous, resource):
    """Those of the owner, of signed-in accounts and of anybody, in each representation; and a question about another's is none."""
    record = records.make(resource, owner_of(resource, records, partner, administrator), visibility="public")
    path = f"/v1/{resource}/{record['id']}"
    private, accounts = audiences_of(resource, "owner"), audiences_of(resource, "partner")
    assert private >= {"grants", "external_id", "created_by", "updated_by"}
    for client, hidden in ((anonymous, private | accounts), (other.manager, private)):
        listed = client.get(f"/v1/{resource}", params={"id": record["id"]}).json()["items"][0]
        version = client.get(f"{path}/history").json()["items"][0]["record"]
        for shown in (client.get(path).json(), listed, version):
            assert not hidden & set(shown), hidden & set(shown)
        for name in hidden if client is anonymous else ():
            assert client.get(path, params={"fields": name}).status == 400, name
    own = owner_of(resource, records, partner, administrator).get(path).json()
    assert private | accounts <= set(own)


@pytest.mark.parametrize("resource", CREATED)
def test_what_the_server_sets(records, partner, administrator, resource):
    """Is set by nobody else, on creating and on changing."""
    maker = administrator if resource == "partners" else owner_of(resource, records, partner, administrator)
    record = records.make(resource, maker)
    creates = records.schema(resource)
    for name, schema in fields_of(resource).items():
        if not schema.get("readOnly"):
            continue
        value = record.get(name)
        assert name not in creates
        answer = maker.patch(f"/v1/{resource}/{record['id']}", {name: value}, headers=ANY)
        assert answer.status == 400, (name, answer.text())
        answer = maker.post(f"/v1/{resource}", {**records.body(resource, maker), name: value}, params={"dry_run": "true"})
        assert answer.status == 400, (name, answer.text())


@pytest.mark.parametrize("resource", CREATED)
def test_what_is_set_once(records, partner, other, administrator, resource):
    maker = administrator if resource == "partners" else owner_of(resource, records, partner, administrator)
    once = {name: schema for name, schema in records.patch_schema(resource).items() if "Cannot be changed" in schema.get("description", "")}
    record = records.make(resource, maker, **({"visibility": "public"} if resource in OWNED else {}))
    for name, schema in once.items():
        if "x-refers" in schema:
            value = other.id if schema["x-refers"] == "partners" else records.make(schema["x-refers"], maker, visibility="public")["id"]
        elif isinstance(record[name], bool):
            value = not record[name]
        else:
            value = next(item for item in schema.get("enum", [f"{record[name]}x"]) if item != record[name])
        answer = maker.patch(f"/v1/{resource}/{record['id']}", {name: value}, headers=ANY)
        assert answer.status == 422 and (f"/{name}", "create_only") in answer.codes(), (name, answer.text())
    assert once or resource == "partners"


@pytest.mark.parametrize("resource", [resource for resource in OWNED if table()[resource, "change"]["officer"] == {"-"}])
def test_administrators_set_every_field_of_what_they_run(records, partner, administrator, resource):
    """Whosever it is: what only the owner sees, too, by PATCH and by PUT."""
    name = unique("run")
    grants = [{"partner_id": partner.id, "right": "read"}]
    body = records.body(resource, partner_id=partner.id, visibility="public")
    made = administrator.put(f"/v1/{resource}", body, params={"external_id": name})
    assert made.status == 201, made.text()
    changed = administrator.patch(f"/v1/{resource}/{made.json()['id']}", {"grants": grants}, headers=ANY)
    assert changed.status == 200, changed.text()
    assert partner.viewer.get(f"/v1/{resource}/{made.json()['id']}").json()["grants"] == grants
    put = administrator.put(f"/v1/{resource}", {**body, "grants": []}, params={"external_id": name})
    assert put.status == 200, put.text()
    assert partner.viewer.get(f"/v1/{resource}/{made.json()['id']}").json()["grants"] == []


# --- references ---

@pytest.mark.parametrize("resource, member, target", [("activities", "consultation_id", "consultations"), ("risks", "risk_register_id", "risk-registers")])
def test_a_part_is_put_only_into_what_one_may_write(records, partner, other, resource, member, target):
    """To see the whole is not enough: on creating, on putting and, where it may be changed at all, on changing."""
    whole, granted = (records.make(target, partner.manager, visibility="shared", grants=grants)["id"]
                      for grants in ([], [{"partner_id": other.id, "right": "write"}]))
    own = records.make(target, other.manager)["id"]
    refused = (422, [(f"/{member}", "not_writable")])
    body = records.body(resource, other.manager)
    for identifier, right in ((whole, refused), (granted, (201, [])), (own, (201, []))):
        for answer in (other.officer.post(f"/v1/{resource}", {**body, member: identifier}, params=REHEARSAL),
                       other.officer.put(f"/v1/{resource}", {**body, member: identifier}, params={**REHEARSAL, "external_id": "part"})):
            assert (answer.status, answer.codes() if answer.status == 422 else []) == right, answer.text()
    if member == "consultation_id":
        record = records.make(resource, other.manager, **{member: own})
        answer = other.officer.patch(f"/v1/{resource}/{record['id']}", {member: whole}, headers=ANY)
        assert (answer.status, answer.codes()) == refused
