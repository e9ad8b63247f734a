# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rules that only the database knows, at the statement, at the commit and on the command line: 409 that names the field, nothing stored; and an end of the
backend in the middle of its commit, of which nobody knows what it did."""
import contextlib
import subprocess

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records
from wardmote_suite import COVERAGE

RULES = """
ALTER TABLE wardmote.community ADD CONSTRAINT community_name_plain CHECK (name <> 'field');
ALTER TABLE wardmote.community ADD CONSTRAINT community_names CHECK (name <> 'no field');
ALTER TABLE wardmote.community ADD CONSTRAINT a_rule CHECK (name <> 'no thing');
ALTER TABLE wardmote.community ADD CONSTRAINT communityname CHECK (name <> 'no underscore');
ALTER TABLE wardmote.community ADD CONSTRAINT community_kind_of EXCLUDE (kind WITH =) WHERE (name = 'one of a kind');
ALTER TABLE wardmote.locality ADD CONSTRAINT locality_population_as_at_rule CHECK (name <> 'the longer name');
CREATE TABLE wardmote.holder (community uuid CONSTRAINT holder_community REFERENCES wardmote.community (id));
CREATE FUNCTION wardmote.late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.name = 'late' THEN
    RAISE EXCEPTION 'too late' USING ERRCODE = '23514', CONSTRAINT = 'community_name_late';
  ELSIF NEW.name = 'gone' THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON wardmote.community DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wardmote.late();
CREATE FUNCTION wardmote.forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no such account' USING ERRCODE = '23514', DETAIL = 'its name is forbidden';
END $$;
CREATE TRIGGER forbid BEFORE INSERT ON wardmote.account FOR EACH ROW WHEN (NEW.name = 'forbidden') EXECUTE FUNCTION wardmote.forbid();
"""
DATABASE = "broken_rules"


def ask(cluster, text, *parameters):
    with contextlib.closing(cluster.connect(database=DATABASE)) as connection, connection.cursor() as cursor:
        cursor.execute(text, parameters or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module", name="broken")
def _broken(cluster, keys, contract):
    cluster.setup(DATABASE)
    host = wardmote_server.make_administrator(cluster, DATABASE)
    ask(cluster, RULES)
    server = wardmote_server.Server(cluster, keys, DATABASE)
    public = Client(server, contract, COVERAGE)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    yield Records(administrator, contract)
    server.close()


def create(broken, name, **members):
    return broken.administrator.post("/v1/communities", {"name": name, "kind": "interest", **members})


@pytest.mark.parametrize("name, pointer, code", [
    ("field", "/name", "constraint"), ("no field", "", "constraint"), ("no thing", "", "constraint"), ("no underscore", "", "constraint"),
    ("late", "/name", "constraint"),
])
def test_a_rule_of_the_table_is_a_conflict(broken, cluster, name, pointer, code):
    before = ask(cluster, "SELECT count(*) FROM wardmote.community")
    answer = create(broken, name)
    assert answer.status == 409 and answer.headers["content-type"] == "application/problem+json"
    assert [(row.get("pointer"), row["code"]) for row in answer.json()["errors"]] == [(pointer, code)]
    assert ask(cluster, "SELECT count(*) FROM wardmote.community") == before
    assert create(broken, f"after {name}").status == 201


def test_of_two_fields_the_one_with_the_longer_name_is_meant(broken):
    good = broken.make("localities")
    body = {"name": "the longer name", "boundary_set_id": good["boundary_set_id"], "code": "longer"}
    answer = broken.administrator.post("/v1/localities", body)
    assert answer.status == 409 and [row["pointer"] for row in answer.json()["errors"]] == ["/population_as_at"]


def test_what_excludes_another_is_not_unique(broken):
    assert create(broken, "one of a kind").status == 201
    answer = create(broken, "one of a kind")
    assert answer.status == 409 and [(row["pointer"], row["code"]) for row in answer.json()["errors"]] == [("/kind", "not_unique")]


def test_what_others_refer_to_is_in_use(broken, cluster):
    record = create(broken, "held")
    ask(cluster, "INSERT INTO wardmote.holder VALUES (%s)", record.json()["id"])
    answer = broken.administrator.delete(f"/v1/communities/{record.json()['id']}", headers={"If-Match": "*"})
    assert answer.status == 409 and [row["code"] for row in answer.json()["errors"]] == ["in_use"]
    assert broken.administrator.get(f"/v1/communities/{record.json()['id']}").status == 200


def test_a_backend_that_ends_in_its_commit_leaves_the_outcome_open(broken, cluster):
    answer = create(broken, "gone")
    assert answer.status == 503 and answer.json()["outcome"] == "unknown"
    assert ask(cluster, "SELECT count(*) FROM wardmote.community WHERE name = 'gone'") == [(0,)]
    assert create(broken, "after gone").status in (201, 503)


def test_a_command_says_what_the_database_said(broken, cluster):
    done = subprocess.run([wardmote_server.binary(), "account", "create", "--partner", "Host Council", "--kind", "council", "--service", "forbidden", "--database",
                           cluster.uri("wardmote_owner", DATABASE)], capture_output=True, text=True, timeout=60, check=False)
    assert broken and done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("wardmote account create: 23514: no such account; its name is forbidden")
