# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every operation of the document x every caller x every kind of record, against the model that reads docs/access.md: the status, that nothing hidden is
told in any header or body, and that nothing was changed. Writes are rehearsed (dry_run), so that each caller finds the same records."""
import secrets

import pytest

from access_model import Caller, Target, leaks, may_create, natives, route, table
from wardmote_suite import committed_document
from wardmote_client import Client, Contract
from wardmote_records import absent_id, unique

CONTRACT = Contract(committed_document())
OPERATIONS = CONTRACT.operations
ROUTES = {name: route(operation) for name, operation in OPERATIONS.items()}
RESOURCES = sorted({resource for resource, _ in table()})
CREATED = [resource for resource in RESOURCES if "post" in CONTRACT.document["paths"][f"/v1/{resource}"]]
ANY = {"If-Match": "*"}
REHEARSAL = {"dry_run": "true"}
# What an allowed request is answered: gates and dependants may speak against it, access does not. Other words of a record: OTHERS.
ALLOWED = {"read": {200}, "change": {200}, "delete": {204, 409}, "transitions": {200, 409}, "secrets": {201, 204, 409}, "enrolments": {201, 409}, "erasure": {204},
           "lineage-imports": {422}}
OTHERS = {200, 201, 202}


def test_every_operation_is_in_the_tables():
    unknown = [name for name, where in ROUTES.items() if where is None and name not in natives()]
    assert not unknown, f"not in docs/access.md: {unknown}"
    assert not [name for name in natives() if name not in OPERATIONS]
    # PUT is create or change.
    assert {(where.resource, where.operation) for where in ROUTES.values() if where and where.operation != "put"} == set(table())


class Scene:
    """Three partners and the host, an account of each role in each, and records of the first (or the host) in every state of visibility."""

    def __init__(self, server, records, host, coverage):
        self.server = server
        self.records = records
        self.coverage = coverage
        self.owner, self.grantee, self.third = records.partner(), records.partner(), records.partner()
        self.host_id = host["partner_id"]
        self.administrator = Caller("administrator", self.client(records.administrator), "administrator", self.host_id, host["account_id"])
        self.callers = [Caller("anonymous", self.client(), "anonymous", None), self.administrator]
        for name, partner in (("owner", self.owner), ("grantee", self.grantee), ("third", self.third)):
            self.callers += [self.caller(f"{role} of {name}", getattr(partner, role), role, partner.id) for role in ("viewer", "officer", "manager")]
        self.callers += [self.caller(f"{role} of host", records.account(self.host_id, role), role, self.host_id) for role in ("officer", "manager")]
        self.person = records.person(self.owner.id, "manager")  # from now on the owner's accounts are its own business
        self.targets = {}

    def client(self, like=None):
        return Client(self.server, None, None, like.token if like else None)

    def caller(self, name, like, role, partner_id, scopes=None):
        client = self.client(like)
        return Caller(name, client, role, partner_id, client.get("/v1/me").json()["account_id"] if role != "anonymous" else None, scopes)

    def scoped(self, *scopes):
        record = self.records.account_record(self.owner.id, "manager", list(scopes), by=self.owner.manager)
        client = self.records.administrator
        return self.caller(f"manager of owner with {' '.join(scopes)}", client.as_token(client.token_for(record["client_id"], record["client_secret"])),
                           "manager", self.owner.id, scopes)

    # --- targets ---

    def of(self, resource):
        if resource not in self.targets:
            makers = {"partners": self._partners, "accounts": self._accounts}
            otherwise = self._owned if resource in CREATED else self._made_otherwise
            self.targets[resource] = makers.get(resource, lambda: otherwise(resource))()
        return self.targets[resource]

    def _partners(self):
        return [Target("partners", self.owner.record, partner_id=self.owner.id, visibility="public"),
                Target("partners", self.records.administrator.get(f"/v1/partners/{self.host_id}").json(), partner_id=self.host_id, visibility="public")]

    def _accounts(self):
        def mark(record, partner_id, by=None, **more):
            text = f"CANARY-{secrets.token_hex(16)}"
            answer = (by or self.records.administrator).patch(f"/v1/accounts/{record['id']}", {"name": text}, headers=ANY)
            assert answer.status == 200, answer.text()
            return Target("accounts", answer.json(), partner_id=partner_id, role=record["role"], scopes=record["scopes"], marks=(text,), **more)

        made = [mark(self.records.account_record(self.owner.id, role, by=self.owner.manager), self.owner.id, self.owner.manager)
                for role in ("viewer", "manager")]
        made.append(mark(self.records.account_record(self.owner.id, "officer", ["accounts:write"], by=self.owner.manager), self.owner.id, self.owner.manager))
        made.append(mark(self.person, self.owner.id, self.owner.manager))
        made += [mark(self.records.account_record(self.host_id, role), self.host_id) for role in ("officer", "administrator")]
        made.append(mark(self.records.account_record(self.third.id, "officer"), self.third.id, orphaned=True))
        made.append(mark(self.records.person(self.grantee.id, "viewer"), self.grantee.id, orphaned=True))
        return made

    def _owned(self, resource):
        administered = self.records.operation(resource)["x-role"] == "administrator"
        maker = self.records.administrator if administered else self.owner.manager
        partner_id = self.host_id if administered else self.owner.id
        made = [self._record(resource, maker, partner_id, visibility, right)
                for visibility in ("private", "shared", "public") for right in (None, "read", "write")]
        if resource == "codes":
            made.append(self._record(resource, self.records.administrator, None, "public", None))
        return made

    def _made_otherwise(self, resource):
        """What no POST makes is as its maker makes it."""
        record = self.records.item(f"/v1/{resource}/{{id}}", self.owner.manager)
        return [Target(resource, record, partner_id=record["partner_id"], visibility=record["visibility"])]

    def _record(self, resource, maker, partner_id, visibility, right):
        mark, owner_mark = (f"CANARY-{secrets.token_hex(16)}" for _ in range(2))
        members = {"visibility": visibility, "source": mark, "external_id": owner_mark, "partner_id": partner_id}
        if right is not None:
            members["grants"] = [{"partner_id": self.grantee.id, "right": right}]
        if "notes" in self.records.schema(resource):
            members["notes"] = owner_mark + " in words"
        record = self.records.make(resource, maker, **members)
        return Target(resource, record, partner_id=partner_id, visibility=visibility, right=right, grantee=self.grantee.id if right else None,
                      marks=(mark,), owner_marks=(owner_mark,))

    # --- requests ---

    def ask(self, name, caller, path, method, resource, *, json_body=None, headers=None, params=None):
        """The answer; documented, and without a word that the caller may not read."""
        answer = caller.client.request(method, path, json_body=json_body, headers=headers, params=params)
        assert str(answer.status) in OPERATIONS[name]["responses"], f"{caller} {method} {path}: {answer.status} {answer.text()[:300]}"
        found = leaks(caller, self.of(resource), answer)
        assert not found, f"{caller} {method} {path} reads {found}: {answer.text()[:600]}"
        self.coverage.add(name, answer.status, answer)
        return answer


@pytest.fixture(scope="module", name="scene")
def _scene(server, records, host):
    from wardmote_suite import COVERAGE  # the one that the whole run shares
    return Scene(server, records, host, COVERAGE)


@pytest.fixture(name="unchanged")
def _unchanged(cluster):
    """Holds the rows of every table of records, their histories and their credentials before and after."""
    def digest():
        with cluster.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('wardmote', 'history')"
                           " OR (schemaname, tablename) IN (('auth', 'secret'), ('auth', 'password'), ('auth', 'enrolment')) ORDER BY 1")
            found = {}
            for (name,) in cursor.fetchall():
                if name in ("wardmote.fresh", "wardmote.feed", "wardmote.personal_read") or ".import" in name:
                    continue  # the sequencer moves rows from one to the other in its own time; reads are noted; an allowed import is noted, and comes to nothing
                others = " WHERE t.resource <> 'imports'" if name == "wardmote.change" else ""
                cursor.execute(f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {name} t{others}")
                found[name] = cursor.fetchone()
            return found

    return digest


def scoped_callers(scene, resource):
    other = "risks" if resource != "risks" else "codes"
    return [scene.scoped(f"{resource}:read"), scene.scoped(f"{resource}:write"), scene.scoped(f"{other}:read", f"{other}:write")]


def item_request(where, target):
    """(json_body, headers, params) of one request for a record."""
    documented = next(operation for operation in OPERATIONS.values() if (operation["method"], operation["path"]) == (where.method, where.path))
    params = CONTRACT.required_query(documented)
    if "dry_run" in {parameter["name"] for parameter in CONTRACT.resolve(documented.get("parameters", []))}:
        params.update(REHEARSAL)
    if where.operation == "read":
        return None, None, params or None
    body = {"change": {"name": f"Another {target.id}"} if target.resource == "accounts" else {"source": f"Another {target.id}"},
            "transitions": {"to": "planned"}, "secrets": {} if where.method == "POST" else None}.get(where.operation)
    media = next(iter(documented.get("requestBody", {}).get("content", {"application/json": None})))
    if media in ("application/geo+json", "text/csv"):
        return None, {"Content-Type": media}, params
    conditional = where.operation in ("change", "delete", "transitions")
    return body, ANY if conditional else None, params or None


@pytest.mark.parametrize("resource", RESOURCES)
def test_operations_on_a_record(scene, unchanged, resource):
    """The status is the model's; the answer for a record that the caller does not see is that for one that does not exist."""
    targets, callers = scene.of(resource), scene.callers + scoped_callers(scene, resource)
    before, wrong = unchanged(), []
    for name, where in ROUTES.items():
        if where is None or where.resource != resource or not where.item:
            continue
        for caller in callers:
            for target in targets:
                body, headers, params = item_request(where, target)
                path = where.path.replace("{id}", target.id)
                answer = scene.ask(name, caller, path, where.method, resource, json_body=body, headers=headers, params=params)
                refusal = target.answer(caller, where.operation, where.method)
                wanted = {refusal} if refusal else ALLOWED.get(where.operation, OTHERS)
                if answer.status not in wanted:
                    wrong.append(f"{caller} {where.method} {where.path} of {target}: {answer.status}, not {wanted}")
    assert not wrong, "\n".join(wrong)
    assert unchanged() == before


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_invisible_is_answered_as_the_absent(scene, resource):
    """Byte for byte, header for header, with the caller's own request id; also for what is wrong with the request."""
    def bytes_of(where, caller, identifier, **request):
        headers = {"X-Request-Id": "the-same-for-both", **(request.pop("headers", None) or {})}
        answer = caller.client.request(where.method, where.path.replace("{id}", identifier), headers=headers, **request)
        # The path is the caller's own; the date and what is left of a limit differ between any two requests.
        return (answer.status, {key: value for key, value in answer.headers.items() if key not in ("date", "ratelimit")},
                answer.body.replace(identifier.encode(), b"ID"))

    for where in filter(None, ROUTES.values()):
        if where.resource != resource or not where.item:
            continue
        for caller in scene.callers + [scene.scoped(f"{resource}:read")]:
            hidden = next((target for target in scene.of(resource) if not target.is_visible(caller)), None)
            if hidden is None:
                continue
            body, headers, params = item_request(where, hidden)
            requests = [{"json_body": body, "headers": headers, "params": params}, {"json_body": body, "params": params},
                        {"json_body": {"unknown": 1} if body is not None else None, "headers": headers}]
            if where.method == "GET":
                requests += [{"headers": {"If-None-Match": f'"{hidden.record["version"]}-0000000000000000", *'}},
                             {"params": {"as_of": "2999-01-01T00:00:00Z"}}, {"params": {"fields": "id"}}]
            else:
                requests.append({"json_body": body, "headers": {"If-Match": f'"{hidden.record["version"]}-0000000000000000"'}})
            for request in requests:
                assert bytes_of(where, caller, hidden.id, **request) == bytes_of(where, caller, absent_id(), **request), (caller.name, where, request)


@pytest.mark.parametrize("resource", RESOURCES)
def test_lists(scene, resource):
    """In every format, by id, in a walk and in a count: exactly what the caller sees."""
    wrong = []
    targets = scene.of(resource)
    wanted = ",".join(target.id for target in targets)
    name = f"list_{resource.replace('-', '_')}"
    for caller in scene.callers + scoped_callers(scene, resource):
        least = 401 if not any(table()[resource, "read"][caller.role] - {"-"}) else None
        refusal = least or (None if caller.has_scope(resource, "GET") else 403)
        for path, parameters in ((f"/v1/{resource}", {"count": "exact"}), (f"/v1/{resource}.csv", {}), (f"/v1/{resource}", {"fields": "id"}),
                                 (f"/v1/{resource}", {"as_of": "2999-01-01T00:00:00Z"}), (f"/v1/{resource}", {"sort": "-updated_at"})):
            answer = scene.ask(name, caller, path, "GET", resource, params={"id": wanted, **parameters})
            if refusal is not None or answer.status != 200:
                if answer.status != refusal:
                    wrong.append(f"{caller} lists {path} {parameters}: {answer.status}, not {refusal}")
                continue
            text = answer.text().rsplit('"links":', 1)[0]  # which name what was asked for
            got = {target.id for target in targets if target.id in text}
            seen = {target.id for target in targets if target.is_visible(caller)}
            if got != seen:
                wrong.append(f"{caller} lists {path} {parameters}: {len(got)} of {len(seen)}")
            if "count" in parameters and answer.json()["count"] != len(seen):
                wrong.append(f"{caller} counts {answer.json()['count']} of {len(seen)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("resource", CREATED)
def test_creating(scene, records, unchanged, resource):
    """For the own partner and for another: POST, and where there is one PUT under a new external_id."""
    scene.of(resource)  # made before anything is held against it
    orphans = {scene.third.id, scene.grantee.id}
    administered = records.operation(resource)["x-role"] == "administrator"
    managers = {partner.id: partner.manager for partner in (scene.owner, scene.grantee, scene.third)}
    callers = scene.callers + scoped_callers(scene, resource)
    bodies = [records.body(resource, None if administered else managers.get(caller.partner_id)) for caller in callers]
    before, wrong = unchanged(), []
    for caller, body in zip(callers, bodies):
        if resource == "accounts" and caller.scopes is not None:
            body["scopes"] = list(caller.scopes)  # it can give no more
        for partner_id in {caller.partner_id, scene.owner.id, scene.third.id} - {None}:
            named = {**body, **({"partner_id": partner_id} if resource != "partners" else {}), **({"code": unique("code")} if "code" in body else {})}
            if "visibility" in records.schema(resource):
                named["visibility"] = "shared"  # private ones of others are beyond administrators, too: see test_access.py
            refusal = may_create(caller, resource, partner_id, partner_id in orphans)
            if resource == "partners":
                refusal = may_create(caller, resource, None)
            requests = [("POST", REHEARSAL)]
            if "put" in CONTRACT.document["paths"][f"/v1/{resource}"]:
                requests.append(("PUT", {**REHEARSAL, "external_id": unique("new")}))
            for method, params in requests:
                name = CONTRACT.document["paths"][f"/v1/{resource}"][method.lower()]["operationId"]
                answer = scene.ask(name, caller, f"/v1/{resource}", method, resource, json_body=named, params=params)
                # What the body refers to may be hidden from the caller or not be its own: that is said only to who may create.
                if answer.status not in ({refusal} if refusal else {201}):
                    wrong.append(f"{caller} {method} for {'itself' if partner_id == caller.partner_id else 'another'}: {answer.status}, not"
                                 f" {refusal or 201}: {answer.text()[:300]}")
    assert not wrong, "\n".join(wrong)
    assert unchanged() == before


@pytest.mark.parametrize("resource", [resource for resource in RESOURCES if "put" in CONTRACT.document["paths"][f"/v1/{resource}"]])
def test_putting_over_the_record_of_another(scene, records, unchanged, resource):
    """A PUT that names the owner and its reference: refused alike whether there is a hidden record or none."""
    fields = {name: value for name, value in records.body(resource).items() if name not in ("visibility", "grants")}
    targets = [target for target in scene.of(resource) if target.owner_marks]
    before, wrong = unchanged(), []
    for target in targets:
        body = {**fields, "partner_id": target.partner_id}
        for caller in scene.callers:
            def put(external_id, caller=caller, body=body):
                return scene.ask(f"put_{OPERATIONS_OF[resource]}", caller, f"/v1/{resource}", "PUT", resource, json_body=body,
                                 params={**REHEARSAL, "external_id": external_id}, headers={"X-Request-Id": "the-same-for-both"})

            answer = put(target.owner_marks[0])
            refusal = target.answer(caller, "change", "PUT")
            if refusal == 404:
                refusal = may_create(caller, resource, target.partner_id)
                absent = put(unique("absent"))
                if (answer.status, answer.body) != (absent.status, absent.body) and refusal is not None:
                    wrong.append(f"{caller} PUT over {target}: {answer.text()} is not {absent.text()}")
            if answer.status not in ({refusal} if refusal else {200, 409, 422}):
                wrong.append(f"{caller} PUT over {target}: {answer.status}, not {refusal or '200, 409 or 422'}: {answer.text()[:300]}")
    assert not wrong, "\n".join(wrong)
    assert unchanged() == before


OPERATIONS_OF = {where.resource: name[4:] for name, where in ROUTES.items() if where is not None and where.operation == "put"}


# --- operations about no record ---

# Of those that look at the body before they ask who is calling.
BODIES = {"put_my_password": {"current_password": "not the password at all", "new_password": "not the password either"}, "search_personal_data": {"text": "Nobody at all"}}

@pytest.mark.parametrize("name", sorted(natives()))
def test_operations_about_no_record(scene, records, name):
    """The anonymous get 401 where the table says so; a token that ended gets 401 wherever the database is asked."""
    operation = OPERATIONS[name]
    about = {"id": records.item(operation["path"])["id"]} if "{id}" in operation["path"] else {}
    path, params = CONTRACT.path(operation, **about), CONTRACT.required_query(operation)
    body = BODIES.get(name)
    anonymous = scene.callers[0].client.request(operation["method"], path, json_body=body, params=params)
    assert (anonymous.status == 401) == (not natives()[name]), anonymous.text()
    role = operation["x-role"] if operation["x-role"] != "anonymous" else "viewer"
    record = records.account_record(scene.host_id if role == "administrator" else scene.third.id, role)
    client = scene.client(records.administrator.as_token(records.administrator.token_for(record["client_id"], record["client_secret"])))
    alive = client.request(operation["method"], path, json_body=body, params=params)
    assert alive.status not in (401, 403) or operation["path"].startswith(("/oauth/", "/v1/sessions")), alive.text()
    assert str(alive.status) in operation["responses"]
    assert records.administrator.patch(f"/v1/accounts/{record['id']}", {"disabled": True}, headers=ANY).status == 200
    ended = client.request(operation["method"], path, json_body=body, params=params)
    asks = operation["method"] == "GET" and "504" in operation["responses"]
    assert (ended.status == 401) if asks or not natives()[name] else (ended.status == alive.status), ended.text()


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_token_that_ended_is_refused_everywhere(scene, records, resource):
    """Also where the anonymous may read: who shows a token is told that it does not hold."""
    record = records.account_record(scene.third.id, "manager")
    client = scene.client(records.administrator.as_token(records.administrator.token_for(record["client_id"], record["client_secret"])))
    assert client.get("/v1/me").status == 200
    assert records.administrator.patch(f"/v1/accounts/{record['id']}", {"disabled": True}, headers=ANY).status == 200
    target = scene.of(resource)[-1]
    for where in filter(None, ROUTES.values()):
        if where.resource != resource:
            continue
        body, headers, params = item_request(where, target) if where.item or where.operation == "imports" else (None, None, None)
        if where.operation in ("create", "put"):
            body, params = records.body(resource), {"external_id": unique("ended")} if where.operation == "put" else None
        answer = client.request(where.method, where.path.replace("{id}", target.id), json_body=body, headers=headers, params=params)
        # A collection that only administrators add to refuses a manager's token as it stands, before the database is asked.
        administered = where.operation == "postcode-imports" or (
            where.operation in ("create", "put") and records.operation(resource)["x-role"] == "administrator")
        assert answer.status == (403 if administered else 401), (where, answer.text())
