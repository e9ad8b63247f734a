# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is left of a person after an erasure: in no answer, no table, no history, no stored answer, no fresh dump at once; in no file of the tables after what
docs/operations.md tells the administrator to run."""
import itertools
import subprocess
import uuid

import pytest

import wardmote_suite
import wardmote_server
from vault import PERSONS, Texts, Vault, new_mark, write
from wardmote_client import Contract
from wardmote_records import absent_id

CONTRACT = Contract(wardmote_suite.committed_document())
ANY = {"If-Match": "*"}


@pytest.fixture(scope="module", name="vault")
def _vault(contract):
    vault = Vault(contract, wardmote_suite.COVERAGE)
    yield vault
    vault.close()


def clean_up(vault):
    """The statements of docs/operations.md, as printed there, as the role that is named there; autovacuum is off here, so that nothing else cleans."""
    text = (wardmote_suite.ROOT / "docs/operations.md").read_text(encoding="utf-8").split("### After an erasure")[1]
    script = text.split("```sql\n")[1].split("```")[0]
    assert "VACUUM" in script
    done = subprocess.run([f"{vault.cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", vault.cluster.uri("postgres")], input=script, text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def live_a_life(vault, mark):
    """A person who was made, enrolled, signed in, was renamed twice and had keys used for it: (record, client)."""
    home = vault.administrator.get("/v1/me").json()["partner_id"]
    person = vault.administrator.post("/v1/accounts", {"partner_id": home, "kind": "person", "role": "viewer", "name": f"{mark} the first",
                                                       "login": f"{mark}@first.example.org"}, headers={"Idempotency-Key": f"{mark}-key"})
    assert person.status == 201
    person = person.json()
    path = f"/v1/accounts/{person['id']}"
    password = f"a password of {mark}"
    for change in ({"name": f"{mark} the second"}, {"login": f"{mark}@second.example.org"}, {"name": f"{mark} the third", "role": "officer"}):
        assert vault.administrator.patch(path, change, headers=ANY).status == 200
    grant = vault.public.post("/v1/sessions/enrolments", {"code": person["enrolment_code"], "password": password})
    assert grant.status == 200
    assert vault.public.post("/v1/sessions", {"login": f"{mark}@second.example.org", "password": password}).status == 200
    for _ in range(3):
        assert vault.public.post("/v1/sessions", {"login": f"{mark}@second.example.org", "password": "not the password"}).status == 401
    mine = vault.public.as_token(grant.json()["access_token"])
    assert mine.post("/v1/communities", {"name": "Made by a person", "kind": "interest"}, headers={"Idempotency-Key": str(uuid.uuid4())}).status == 201
    assert vault.administrator.post(f"{path}/enrolments", headers={"Idempotency-Key": f"{mark}-code"}).status == 201
    return person, mine


def every_answer(vault, record_id, resource):
    """All that an administrator can read about the record, in every way."""
    path = f"/v1/{resource}/{record_id}"
    for target, parameters in itertools.product((path, f"/v1/{resource}", f"{path}/history", "/v1/changes", f"{path}.csv", f"/v1/{resource}.csv"), ({}, {"as_of": None})):
        if parameters and target.endswith(("history", "changes")):
            continue
        yield vault.administrator.get(target, params={"as_of": vault.moment} if parameters else {"limit": 500} if target.count("/") == 2 else None)


def now(vault):
    (moment,), = vault.sql("""SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
    return moment


def test_nothing_is_left_of_an_erased_person(vault):
    mark = new_mark("ersd")
    person, mine = live_a_life(vault, mark)
    vault.moment = now(vault)
    vault.sql("ANALYZE")
    before = vault.tables_with(mark)
    # The control: the person was where persons are, statistics of the planner included.
    assert {"wardmote.account", "history.account", "wardmote.idempotency", "pg_catalog.pg_statistic"} <= set(before), before
    assert mark in vault.dump()
    assert vault.administrator.post(f"/v1/accounts/{person['id']}/erasure").status == 204

    assert mine.get("/v1/me").status == 401
    for answer in every_answer(vault, person["id"], "accounts"):
        assert answer.status == 200 and mark not in answer.text(), answer.text()
    assert set(vault.tables_with(mark)) <= {"pg_catalog.pg_statistic"}
    assert mark not in vault.dump()
    assert vault.sql("SELECT count(*) FROM auth.throttle WHERE key LIKE 'login:%%' AND key LIKE '%%' || encode(sha256(convert_to(%s, 'UTF8')), 'hex')",
                     f"{mark}@second.example.org") == [(0,)]
    for table in ("auth.password", "auth.secret", "auth.session", "auth.enrolment"):
        assert vault.sql(f"SELECT count(*) FROM {table} WHERE account_id = %s", person["id"]) == [(0,)], table
    assert vault.outlets_with(mark) == []

    # On the disk dead rows and statistics have it until the administrator's clean-up, the write-ahead log until it is overwritten.
    left = vault.relations_with(mark)
    assert {"wardmote.account", "history.account"} <= left, "the control: dead rows are where they are looked for"
    vault.sql("VACUUM ANALYZE wardmote.account")
    vault.sql("VACUUM ANALYZE history.account")
    vacuumed = vault.relations_with(mark) - {"pg_wal"}
    assert {"wardmote.account", "history.account"} & vacuumed, "docs say that a plain VACUUM leaves the bytes"
    clean_up(vault)
    assert vault.tables_with(mark) == {}
    assert vault.relations_with(mark) <= {"pg_wal"}
    print(f"before: {before}; on the disk after the erasure: {sorted(left)}, after VACUUM: {sorted(vacuumed)}")


def erase(vault, resource, record_id, fields):
    return subprocess.run([wardmote_server.binary(), "erase", "--resource", resource, "--id", record_id, "--fields", ",".join(fields), "--database",
                           vault.cluster.uri("wardmote_owner")], capture_output=True, text=True, timeout=60, check=False)


def test_every_field_that_can_hold_a_person_can_be_erased(vault):
    """`wardmote erase` on every resource and each of its texts: those that the record of processing names, and those that hold a person by mistake."""
    mark = new_mark("ersd")
    owner = vault.records.partner()
    erased = set()
    for resource in vault.records.resources():
        if resource == "accounts":
            continue
        by = owner.manager if vault.records.operation(resource)["x-role"] != "administrator" else vault.administrator
        schema, texts = vault.records.schema(resource), Texts(mark)
        body = vault.records.body(resource, by, **({"visibility": "private"} if "visibility" in schema else {}), **PERSONS.get(resource, {}))
        key = {"Idempotency-Key": str(uuid.uuid4())}
        made, _ = write(texts, resource, schema, body, lambda filled: by.post(f"/v1/{resource}", filled, headers=key))  # pylint: disable=cell-var-from-loop
        path = f"/v1/{resource}/{made.json()['id']}"
        fields = {place.split(".", 1)[1] for place in texts.where.values()}
        erased |= {(resource, field) for field in fields}
        changed = {name: f"{mark} changed" for name in fields & set(vault.records.patch_schema(resource)) & {"name", "title", "label", "description"}}
        assert by.patch(path, changed, headers=ANY).status == 200, resource
        vault.moment = now(vault)
        assert vault.tables_with(mark).keys() >= {"wardmote.idempotency"}, resource
        done = erase(vault, resource, made.json()["id"], sorted(fields))
        assert done.returncode == 0 and done.stdout.startswith(("1 ", "2 ")), (resource, done.stderr)
        assert vault.tables_with(mark) == {}, resource
        for target in (path, f"/v1/{resource}", f"{path}/history"):
            answer = by.get(target, params={"limit": 500} if target.count("/") == 2 else None)
            assert answer.status == 200 and mark not in answer.text(), (target, answer.text())
        assert mark not in by.get(path, params={"as_of": vault.moment}).text()
    personal = {(resource, name) for resource in vault.records.resources() if resource != "accounts"
                for name, field in vault.records.schema(resource).items() if "x-personal-data" in field}
    assert personal and personal <= erased
    assert mark not in vault.dump()
    print(f"{len(erased)} fields of {len({resource for resource, _ in erased})} resources")


def test_the_past_of_a_deleted_record_can_be_erased(vault):
    mark = new_mark("ersd")
    owner = vault.records.partner()
    made = owner.officer.post("/v1/consultations", {"title": "Deleted later", "visibility": "private", "contact": f"{mark} 01603 555 000"}).json()
    assert owner.officer.delete(f"/v1/consultations/{made['id']}", headers=ANY).status == 204
    assert set(vault.tables_with(mark)) == {"history.consultation"}
    assert mark in owner.manager.get(f"/v1/consultations/{made['id']}", params={"as_of": made["created_at"]}).text()
    assert erase(vault, "consultations", made["id"], ["contact"]).returncode == 0
    assert vault.tables_with(mark) == {}
    shown = owner.manager.get(f"/v1/consultations/{made['id']}", params={"as_of": made["created_at"]})
    assert shown.status == 200 and shown.json()["contact"] is None and shown.json()["title"] == "Deleted later"


@pytest.mark.parametrize("resource, fields, why", [
    ("accounts", ["name"], "POST /v1/accounts/{id}/erasure"), ("nothing", ["name"], "no such resource"), ("communities", ["no_such"], "not each of these fields is a text"),
    ("consultations", ["partners"], "not each of these fields is a text"), ("communities", ["name.first"], "not each of these fields is a text"),
    ("communities", ["visibility"], "not each of these fields is a text"), ("communities", ["id"], "not each of these fields is a text"), ("communities", ["partner_id"], "not each of these fields is a text"),
    ("communities", ["search"], "not each of these fields is a text"), ("communities", ["name"], "no such record"), ("communities", ["name; DROP TABLE x"], "not each of these fields is a text"),
])
def test_what_cannot_be_erased(vault, resource, fields, why):
    done = erase(vault, resource, absent_id(), fields)
    assert done.returncode == 1 and why in done.stderr, done.stderr


@pytest.mark.parametrize("arguments", [[], ["--resource", "communities"], ["--resource", "communities", "--id", absent_id()], ["--nonsense", "x"]])
def test_a_command_line_that_lacks_something(arguments):
    done = subprocess.run([wardmote_server.binary(), "erase", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "wardmote erase --resource NAME" in done.stderr


def test_who_may_erase(vault):
    """The role of the server may not; a request has no way to it."""
    with pytest.raises(wardmote_server.psycopg2.errors.InsufficientPrivilege):
        connection = vault.cluster.connect("wardmote_api")
        try:
            connection.cursor().execute("SELECT wardmote.erase('communities', %s, '{name}')", (absent_id(),))
        finally:
            connection.close()
