# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote setup` and `wardmote migrate`: a superuser runs one script once, everything else needs none."""
import contextlib
import json
import os
import pathlib
import subprocess
import time

import psycopg2
import pytest

from wardmote_server import binary, run

PASSWORDS = "\\set owner_password 'own-er'\n\\set api_password 'a''pi'\n"


def psql(cluster, script, role="postgres"):
    return subprocess.run([f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", cluster.uri(role, "postgres")], input=script, text=True,
                          capture_output=True, timeout=120, check=False)


def command(*arguments, **environment):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment})


def ask(cluster, database, text, role="postgres"):
    with contextlib.closing(cluster.connect(role, database)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall() if cursor.description else None


@pytest.fixture(name="database")
def _database(cluster, request):
    """A database of this test's own, as its administrator leaves it."""
    name = "ops_" + request.node.name.lower().replace("[", "_").replace("]", "")[:50]
    done = psql(cluster, run(["setup", "--database-name", name]))
    assert done.returncode == 0, done.stderr
    yield name
    ask(cluster, "postgres", f'DROP DATABASE "{name}" WITH (FORCE)')


# --- setup ---

def test_setup_makes_no_superuser_and_opens_nothing_to_others(cluster, database):
    rows = ask(cluster, database, "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolcanlogin FROM pg_roles "
                                  "WHERE rolname LIKE 'wardmote%' ORDER BY 1")
    assert rows == [("wardmote_api", False, False, False, False, True), ("wardmote_owner", False, False, False, False, True)]
    assert ask(cluster, database, "SELECT has_database_privilege('public', current_database(), 'CONNECT'), "
                                  "has_schema_privilege('wardmote_api', 'public', 'CREATE'), "
                                  "has_database_privilege('wardmote_api', current_database(), 'CREATE')") == [(False, False, False)]
    assert ask(cluster, database, "SELECT pg_encoding_to_char(encoding), datcollate, pg_get_userbyid(datdba) FROM pg_database "
                                  "WHERE datname = current_database()") == [("UTF8", "C.UTF-8", "wardmote_owner")]


def test_setup_may_be_repeated_and_sets_passwords_only_when_given(cluster, database):
    stored = "SELECT rolname, rolpassword IS NOT NULL FROM pg_authid WHERE rolname LIKE 'wardmote%' ORDER BY 1"
    script = run(["setup", "--database-name", database])
    try:
        assert psql(cluster, PASSWORDS + script).returncode == 0
        assert ask(cluster, database, stored) == [("wardmote_api", True), ("wardmote_owner", True)]
        assert psql(cluster, script).returncode == 0
        assert ask(cluster, database, stored) == [("wardmote_api", True), ("wardmote_owner", True)]
    finally:
        ask(cluster, "postgres", "ALTER ROLE wardmote_owner PASSWORD NULL")
        ask(cluster, "postgres", "ALTER ROLE wardmote_api PASSWORD NULL")


def test_setup_prints_sql_and_nothing_else():
    done = command("setup")
    assert done.returncode == 0 and done.stderr == "" and "CREATE EXTENSION IF NOT EXISTS postgis" in done.stdout


@pytest.mark.parametrize("name", ["", "a b", 'a"; DROP', "Upper", "x" * 64])
def test_setup_refuses_names_that_need_quoting(name):
    done = command("setup", "--database-name", name)
    assert done.returncode == 2 and done.stdout == ""


# --- migrate ---

def test_migrate_needs_no_superuser_and_says_what_it_did(cluster, database):
    owner = cluster.uri("wardmote_owner", database)
    before = command("migrate", "--status", "--database", owner)
    assert before.returncode == 3 and "0001_core" in before.stdout and "pending" in before.stdout
    done = command("migrate", WARDMOTE_DATABASE=owner)
    assert done.returncode == 0, done.stderr
    assert "0001_core applied" in done.stdout
    again = command("migrate", "--database", owner)
    assert again.returncode == 0 and ", 0 applied now" in again.stdout
    for role in ("wardmote_owner", "wardmote_api"):  # the server, too, has to see whether it fits
        after = command("migrate", "--status", "--database", cluster.uri(role, database))
        assert after.returncode == 0 and "pending" not in after.stdout
    assert ask(cluster, database, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN "
                                  "('wardmote', 'history', 'api', 'auth', 'meta') AND pg_get_userbyid(relowner) <> 'wardmote_owner'") == [(0,)]


def test_what_the_administrator_forgot_is_named_at_once(cluster):
    ask(cluster, "postgres", "CREATE DATABASE ops_bare")
    try:
        done = command("migrate", "--database", cluster.uri("postgres", "ops_bare"))
    finally:
        ask(cluster, "postgres", "DROP DATABASE ops_bare WITH (FORCE)")
    assert done.returncode == 1
    for part in ("wardmote_owner", "postgis", "wardmote setup"):
        assert part in done.stderr


def test_a_database_that_is_not_named_or_not_there():
    done = command("migrate")
    assert done.returncode == 1 and "--database" in done.stderr
    done = command("migrate", "--database", "postgresql://u:hunter2@127.0.0.1:1/x")
    assert done.returncode == 1 and "hunter2" not in done.stderr


def test_a_migration_changed_after_it_was_applied_is_refused(cluster, database):
    owner = cluster.uri("wardmote_owner", database)
    assert command("migrate", "--database", owner).returncode == 0
    ask(cluster, database, "UPDATE meta.migration SET checksum = 'other' WHERE number = 1")
    done = command("migrate", "--database", owner)
    assert done.returncode == 1 and "0001_core was changed" in done.stderr


# --- the runner, with migrations of its own ---

@pytest.fixture(name="demo")
def _demo(cluster, database):
    """demo(): starts the runner; demo(wait=True): and waits for its end."""
    program = pathlib.Path(binary()).parents[2] / "tests/ops/migrate_demo"

    def start(*arguments, wait=True):
        process = subprocess.Popen([program, cluster.uri("wardmote_owner", database), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        if not wait:
            return process
        process.output, process.errors = process.communicate(timeout=60)
        return process

    return start


def permit(cluster, database):
    with contextlib.suppress(psycopg2.errors.DuplicateTable):
        ask(cluster, database, "CREATE TABLE demo.permission AS SELECT 1", "wardmote_owner")


def test_a_failing_migration_leaves_nothing_and_names_its_place(cluster, database, demo):
    first = demo()
    assert first.returncode == 1
    assert first.errors.startswith("0003_fails_until_told: 42P01:") and "(line 2)" in first.errors
    assert "0002_index applied" in first.output
    assert ask(cluster, database, "SELECT count(*) FROM demo.item WHERE id = 0") == [(0,)]
    assert ask(cluster, database, "SELECT number FROM meta.migration ORDER BY 1") == [(1,), (2,)]
    assert demo("status").returncode == 2  # pending
    permit(cluster, database)
    second = demo()
    assert second.returncode == 0 and "0003_fails_until_told applied" in second.output and "0001_items" not in second.output


def test_statements_outside_a_transaction_run_one_by_one(cluster, database, demo):
    demo()
    assert ask(cluster, database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'demo.item_name'::regclass") == [(True,)]


def test_a_lock_that_is_not_free_is_tried_again_and_blocks_nobody_for_long(cluster, database, demo):
    demo()
    permit(cluster, database)
    with contextlib.closing(psycopg2.connect(cluster.uri("wardmote_owner", database))) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM demo.item")  # holds its lock until the end of its transaction
        process = demo(wait=False)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "a lock was not free" in line:
                break
        assert any("0004_column" in line for line in lines), lines
        for _ in range(8):  # of other readers, some come behind an attempt that waits: it gives way before PostgreSQL looks for deadlocks
            ask(cluster, database, "SET statement_timeout = '3s'; SELECT count(*) FROM demo.item", "wardmote_owner")
        reader.rollback()
    assert process.wait(60) == 0
    assert "0004_column applied" in process.stdout.read()
    process.stdout.close()
    process.stderr.close()


def test_many_at_once_apply_each_migration_once(cluster, database, demo):
    begun = [demo(wait=False) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in begun]
    text = "".join(output for output, _ in outputs)
    assert text.count("0001_items applied") == 1 and text.count("0002_index applied") == 1
    assert all("0003_fails_until_told" in errors for _, errors in outputs)


def test_who_waits_for_the_lock_holds_no_snapshot(cluster, database, demo):
    """A session that waited inside a statement would have one, and CREATE INDEX CONCURRENTLY would wait for it for ever."""
    with contextlib.closing(cluster.connect("wardmote_owner", database)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('wardmote.migrate', 0))")
        process = demo(wait=False)
        assert "waiting for another migration" in process.stdout.readline()
        begun = time.monotonic()
        cursor.execute("CREATE SCHEMA early")
        cursor.execute("CREATE TABLE early.item (id integer)")
        cursor.execute("SET statement_timeout = '20s'")
        cursor.execute("CREATE INDEX CONCURRENTLY ON early.item (id)")
        assert time.monotonic() - begun < 20
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended('wardmote.migrate', 0))")
    process.communicate(timeout=60)
    assert process.returncode == 1  # the demo's own failing migration: it went on


# --- account create ---

def test_the_first_administrators(cluster, database):
    owner = cluster.uri("wardmote_owner", database)
    run(["migrate", "--database", owner])
    base = ["account", "create", "--partner", "Host", "--kind", "council", "--database", owner]
    service = json.loads(run([*base, "--service", "Setup"]))
    person = json.loads(run([*base, "--login", "Ann@example.org", "--name", "Ann"]))
    assert service["client_id"] and service["client_secret"] and "code" not in service
    assert person["code"] and "client_secret" not in person
    assert person["partner_id"] == service["partner_id"]
    assert ask(cluster, database, "SELECT kind, role, login FROM wardmote.account ORDER BY kind") == [
        ("person", "administrator", "ann@example.org"), ("service", "administrator", None)]
    dump = subprocess.run([f"{cluster.bin}/pg_dump", "--data-only", cluster.uri("postgres", database)], capture_output=True, text=True, timeout=60,
                          check=True).stdout
    assert service["client_secret"] not in dump and person["code"] not in dump


def test_the_host_has_one_name(cluster, database):
    owner = cluster.uri("wardmote_owner", database)
    run(["migrate", "--database", owner])
    run(["account", "create", "--partner", "Host", "--kind", "council", "--service", "A", "--database", owner])
    done = command("account", "create", "--partner", "Other", "--kind", "council", "--service", "B", "--database", owner)
    assert done.returncode == 1 and '"Host"' in done.stderr
    done = command("account", "create", "--partner", "Host", "--kind", "circus", "--service", "B", "--database", owner)
    assert done.returncode == 0  # the host exists: its kind is not asked for again
    assert ask(cluster, database, "SELECT count(*) FROM wardmote.partner") == [(1,)]


@pytest.mark.parametrize("arguments", [[], ["delete"], ["create"], ["create", "--partner", "P", "--kind", "council"],
                                       ["create", "--partner", "P", "--kind", "council", "--service", "S", "--login", "L", "--name", "N"],
                                       ["create", "--partner", "P", "--kind", "council", "--login", "L"]])
def test_an_account_needs_all_its_parts(arguments):
    assert command("account", *arguments).returncode == 2
