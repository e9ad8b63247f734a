# SPDX-License-Identifier: AGPL-3.0-or-later
"""A marked secret and a marked person go in through every place that takes one, and are looked for wherever they could come out: answers to others, problems,
both logs, metrics, the admin listener, statistics views, change rows, the files of the database."""
import base64
import itertools
import json
import pathlib
import re
import subprocess
import urllib.parse
import uuid

import pytest

import wardmote_suite
import wardmote_server
from vault import PERSONS, Texts, Vault, Watch, is_free, new_mark, write
from wardmote_client import Contract
from wardmote_long import pick, rng

CONTRACT = Contract(wardmote_suite.committed_document())
ANY = {"If-Match": "*"}
# Texts that a record takes in a certain state only (a transition below writes the first), and one that must be a code.
NOT_FREE = {("consultations", "cancelled_reason"), ("activities", "cancelled_reason"), ("codes", "maps_to"),
            ("communities", "basis")}


@pytest.fixture(scope="module", name="vault")
def _vault(contract):
    vault = Vault(contract, wardmote_suite.COVERAGE)
    yield vault
    vault.close()


def answers_of(answer):
    """All of an answer, as it went over the wire."""
    return "\n".join([*(f"{name}: {value}" for name, value in answer.headers.items()), answer.text()])


# --- secrets ---

def body_schema(operation):
    content = CONTRACT.resolve(operation.get("requestBody", {})).get("content", {})
    return (next(iter(content)), CONTRACT.resolve(next(iter(content.values()))["schema"]).get("properties", {})) if content else (None, {})


HEADERS = ("Authorization", "Idempotency-Key", "Cookie", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "Forwarded", "If-Match", "If-None-Match", "Accept",
           "Accept-Language", "Content-Type", "traceparent", "tracestate", "X-Api-Key", "Range")


def places(operation):
    """Every place of an operation that a text can be put into: (kind, name)."""
    parameters = CONTRACT.resolve(operation.get("parameters", []))
    _, schema = body_schema(operation)
    yield from ((parameter["in"], parameter["name"]) for parameter in parameters)
    yield from (("body", name) for name in schema)
    yield from (("header", name) for name in HEADERS)
    yield from (("query", name) for name in ("access_token", "client_secret", "no_such"))
    yield ("body", "no_such")


def send(client, operation, kind, name, mark):
    """The operation with the mark in one place, and nothing else that makes sense."""
    path = CONTRACT.path(operation, **{"id": str(uuid.uuid4()), **({name: mark} if kind == "path" else {})})
    query = {name: mark} if kind == "query" else None
    media_type, _ = body_schema(operation)
    headers = {"If-Match": "*"}
    body = None
    if media_type == "application/x-www-form-urlencoded":
        body = urllib.parse.urlencode({"grant_type": "client_credentials", **({name: mark} if kind == "body" else {})}).encode()
    elif media_type is not None:
        body = json.dumps({"no_such_member": 1, **({name: mark} if kind == "body" else {})}).encode()  # never a record to keep
    if media_type:
        headers["Content-Type"] = media_type
    if kind == "header":
        headers[name] = f"Bearer {mark}" if name == "Authorization" else mark
    return client.request(operation["method"], path, params=query, body=body, headers=headers)


def some(draw, choices):
    """All in the long run; in the usual one six of each operation, the places of credentials first."""
    first = [place for place in choices if place[1] in ("Authorization", "Idempotency-Key", "access_token", "password", "client_secret", "code", "token")][:2]
    return pick(first + draw.sample([place for place in choices if place not in first], 4), choices)


def test_a_secret_in_a_wrong_place_comes_out_nowhere(vault):
    """Every parameter, header field and member of every operation, by a stranger and by an administrator: in no answer, no log, no file."""
    mark, draw = new_mark("scrt"), rng("secrets in wrong places")
    callers = pick([vault.administrator], [vault.administrator, vault.public])
    n = 0
    with Watch(vault) as watch:
        for operation, client in itertools.product(CONTRACT.operations.values(), callers):
            if operation["operationId"].startswith(("delete_my", "delete_current")):
                continue
            for kind, name in some(draw, list(places(operation))):
                answer = send(client, operation, kind, name, mark)
                n += 1
                # A list links to itself as it was asked for; a problem repeats nothing.
                text = answers_of(answer).replace(urllib.parse.urlencode({name: mark}), "") if answer.status < 400 else answers_of(answer)
                assert mark not in text, (operation["operationId"], kind, name, text)
    assert n >= pick(500, 5000)
    assert vault.outlets_with(mark) == []
    assert not any(mark in text for text in watch.seen) and watch.seen
    assert vault.files_with(mark) == set()
    print(f"{n} requests with a secret in a wrong place")


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def life_of_secrets(vault):
    """Every secret that there is, used in every way in which it is used; what it was."""
    client, manager = vault.public.as_token(None, source="127.44.0.1"), vault.administrator  # its own address: wrong passwords are counted by address
    home = manager.get("/v1/me").json()["partner_id"]
    told = {"a password": new_mark("pass") + " of a person", "the next password": new_mark("pass") + " of later", "a wrong password": new_mark("pass") + " wrong",
            "an idempotency key": new_mark("idem"), "the database's password": vault.cluster.api_password}
    service = manager.post("/v1/accounts", {"partner_id": home, "kind": "service", "role": "officer", "name": "Tool"},
                           headers={"Idempotency-Key": told["an idempotency key"]}).json()
    told["a client secret"] = service["client_secret"]
    rotated = manager.post(f"/v1/accounts/{service['id']}/secrets", {}, headers={"Idempotency-Key": told["an idempotency key"]}).json()
    told["a rotated secret"] = rotated["client_secret"]
    for secret in (told["a client secret"], told["a rotated secret"]):
        answer = client.form("/oauth/token", {"grant_type": "client_credentials"}, headers=basic(service["client_id"], secret))
        told[f"an access token of {secret[:8]}"] = answer.json()["access_token"]
    client.form("/oauth/token", {"grant_type": "client_credentials", "client_id": service["client_id"], "client_secret": told["a client secret"]})
    person = vault.records.person(home, "viewer", login=new_mark("login") + "@example.org")
    told["an enrolment code"] = person["enrolment_code"]
    enrolled = client.post("/v1/sessions/enrolments", {"code": person["enrolment_code"], "password": told["a password"]}).json()
    again = client.post("/v1/sessions", {"login": person["login"], "password": told["a password"]}).json()
    assert client.post("/v1/sessions", {"login": person["login"], "password": told["a wrong password"]}).status == 401
    refreshed = client.form("/oauth/token", {"grant_type": "refresh_token", "refresh_token": again["refresh_token"]}).json()
    for name, grant in (("enrolled", enrolled), ("again", again), ("refreshed", refreshed)):
        told[f"refresh token {name}"], told[f"access token {name}"] = grant["refresh_token"], grant["access_token"]
    mine = client.as_token(refreshed["access_token"])
    assert mine.put("/v1/me/password", {"current_password": told["a wrong password"], "new_password": told["the next password"]}).status in (401, 403, 409, 422)
    assert mine.put("/v1/me/password", {"current_password": told["a password"], "new_password": told["the next password"]}).status == 204
    code = manager.post(f"/v1/accounts/{person['id']}/enrolments", headers={"Idempotency-Key": told["an idempotency key"]}).json()
    told["a second code"] = code["enrolment_code"]
    assert client.form("/oauth/revoke", {"token": refreshed["refresh_token"]}).status == 200
    return told


def test_secrets_in_their_places_leave_no_trace(vault):
    """No log, no metric, no view of statements, no table and no other file of the database has one in clear."""
    with Watch(vault) as watch:
        told = life_of_secrets(vault)
    for path in pathlib.Path(vault.keys).glob("*.pem"):
        lines = [line for line in path.read_text(encoding="ascii").splitlines() if len(line) == 64]
        told[f"a signing key, line {lines[0][:4]}"] = lines[0]
    told["the sealing key"] = pathlib.Path(vault.keys, "cursor.key").read_bytes().hex()
    assert len(told) >= 17 and len(set(told.values())) == len(told)
    # Of a token the payload is what could be recognised without its signature.
    marks = [value.split(".")[1] if value.startswith("eyJ") else value for value in told.values()]
    for name, text in vault.outlets().items():
        assert [what for what, mark in zip(told, marks) if mark in text] == [], name
    assert not any(mark in text for mark in marks for text in watch.seen)
    assert vault.files_with(*marks) == set()
    dump = vault.dump()
    assert not any(mark in dump for mark in marks)


def test_passwords_of_roles_are_not_in_the_databases_log(vault):
    """`wardmote setup` may be run again with a password; the talkative log of this database has none of it."""
    password = new_mark("dbpw")
    vault.cluster.setup(api_password=password)
    vault.cluster.setup(api_password=vault.cluster.api_password)
    assert vault.outlets_with(password) == []
    assert vault.files_with(password) == set()


# --- persons, and every text that a partner writes ---

def resources_in_order(vault):
    return [name for name in vault.records.resources() if name not in ("accounts", "partners")]


def made_everywhere(vault, texts, owner):
    """A private record of every resource with a text in every field, and a change of every field: {resource: record}."""
    records, missed = {}, set()
    for resource in resources_in_order(vault):
        by = owner.manager if vault.records.operation(resource)["x-role"] != "administrator" else vault.administrator
        schema = vault.records.schema(resource)
        body = vault.records.body(resource, by, **({"visibility": "private"} if "visibility" in schema else {}), **PERSONS.get(resource, {}))
        answer, refused = write(texts, resource, schema, body, lambda filled: by.post(f"/v1/{resource}", filled))  # pylint: disable=cell-var-from-loop
        missed |= {(resource, name) for name in refused}
        record = answer.json()
        patch_schema = {name: field for name, field in vault.records.patch_schema(resource).items() if is_free(field) and (resource, name) not in missed}
        write(texts, resource, patch_schema, {}, lambda filled: by.patch(f"/v1/{resource}/{record['id']}", filled, headers=ANY))  # pylint: disable=cell-var-from-loop
        records[resource] = (by, record)
    assert missed <= NOT_FREE, missed
    return records


def readings(contract, records):
    """Every way to read: (path, parameters, Accept)."""
    for operation in contract.operations.values():
        if operation["method"] != "GET":
            continue
        parts = operation["path"].strip("/").split("/")
        resource = parts[1] if len(parts) > 1 else None
        ids = [records[resource][1]["id"]] if resource in records and "{id}" in operation["path"] else [str(uuid.uuid4())]
        for record_id in ids:
            path = contract.path(operation, id=record_id)
            names = {parameter["name"] for parameter in contract.resolve(operation.get("parameters", [])) if parameter["in"] == "query"}
            required = contract.required_query(operation)
            yield path, {**required, **({"limit": 500} if "limit" in names else {})}
            if "as_of" in names:
                yield path, {"as_of": records["communities"][1]["created_at"]}
                yield path + ".csv", {}
            if "include" in names:
                include = next(p for p in contract.resolve(operation["parameters"]) if p["name"] == "include")["schema"]
                yield path, {"include": ",".join(include.get("items", include).get("enum", [])[:5])}


def followed(client):
    """Everything that the feed tells."""
    items, cursor = [], None
    while True:
        answer = client.get("/v1/changes", params={"limit": 500, **({"after": cursor} if cursor else {})}).json()
        items += answer["items"]
        if not answer["items"]:
            return items
        cursor = answer["cursor"]


def test_what_is_private_is_in_no_answer_to_others(vault):
    texts = Texts(new_mark("prsn"))
    owner, other = vault.records.partner(), vault.records.partner()
    with Watch(vault) as watch:
        records = made_everywhere(vault, texts, owner)
        cancelled = owner.officer.post("/v1/consultations", {"title": "To be cancelled", "visibility": "private"}).json()
        reason = texts.text("consultations.cancelled_reason", {})
        assert owner.officer.post(f"/v1/consultations/{cancelled['id']}/transitions", {"to": "cancelled", "reason": reason}, headers=ANY).status == 200
        records["consultations-cancelled"] = (owner.manager, cancelled)
        assert len(texts.where) > 95
        shown, n = set(), 0
        for path, parameters in readings(vault.public.contract, records):
            resource = path.split("/")[2].split(".")[0] if path.startswith("/v1/") and path.count("/") > 1 else None
            maker = records[resource][0] if resource in records else owner.manager
            strangers = pick([vault.public, other.manager], [vault.public, other.manager, other.officer, other.viewer])
            for client in (*strangers, *([vault.administrator] if maker is not vault.administrator else [])):
                answer = client.get(path, params=parameters)
                n += 1
                found = {texts.where.get(text, text) for text in re.findall(re.escape(texts.mark) + "(?:-[0-9a-f]+)?", answers_of(answer))}
                # an administrator's own records are no secret to it: what is about all records shows them
                hidden = {place for place in found if client is not vault.administrator or records.get(place.split(".")[0], (None,))[0] is not vault.administrator}
                assert not hidden, (path, parameters, hidden)
            own = maker.get(path, params=parameters).text()
            shown |= {text for text in texts.where if text in own}
        # The owner is shown each of them somewhere: what was looked for is there.
        assert {place for text, place in texts.where.items() if text not in shown} <= {"consultations.cancelled_reason"}
        for client in (other.manager, vault.public):
            heard = json.dumps(followed(client))
            assert heard.count('"create"') > 0 and not any(record["id"] in heard for _, record in records.values())
    assert vault.outlets_with(texts.mark) == []
    assert not any(texts.mark in text for text in watch.seen)
    print(f"{len(texts.where)} texts, {n} readings by others")


def test_what_the_database_refuses_is_not_in_its_log(vault):
    """Unique keys, checks and references that fail in the database name what was sent, in the detail of its message."""
    mark = new_mark("prsn")
    owner = vault.records.partner()
    person = {"kind": "person", "role": "viewer", "name": f"{mark} name", "login": f"{mark}@example.org"}
    assert owner.manager.post("/v1/accounts", person).status == 201
    assert owner.manager.post("/v1/accounts", person).status == 409
    code = {"name": f"{mark} partner", "kind": "voluntary", "code": mark}
    assert vault.administrator.post("/v1/partners", code).status == 201
    assert vault.administrator.post("/v1/partners", code).status == 409
    for body in ({"name": f"{mark} x", "kind": "interest", "locality_id": str(uuid.uuid4())},):
        assert owner.officer.post("/v1/communities", body).status == 422
    reference = {"name": f"{mark} y", "kind": "interest", "external_id": mark}
    assert owner.officer.post("/v1/communities", reference).status == 201
    assert owner.officer.post("/v1/communities", reference).status == 409
    ring = [[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]
    scale = vault.records.shared("boundary-sets")["id"]
    area = {"boundary_set_id": scale, "code": mark, "name": mark, "boundary": {"type": "Polygon", "coordinates": [ring]}}
    assert vault.administrator.post("/v1/localities", area).status in (400, 422)
    done = wardmote_fails(["account", "create", "--partner", "Host Council", "--kind", "council", "--login", f"{mark}@example.org", "--name", mark, "--database",
                           vault.cluster.uri("wardmote_owner")])
    assert done.returncode == 1
    log = vault.outlets()["log of the database"]
    assert "duplicate key value violates unique constraint" in log, "the control: such errors are in this log"
    assert vault.outlets_with(mark) == []


def wardmote_fails(arguments):
    return subprocess.run([wardmote_server.binary(), *arguments], capture_output=True, text=True, timeout=60, check=False)
