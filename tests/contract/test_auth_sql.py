# SPDX-License-Identifier: AGPL-3.0-or-later
"""The functions and policies of migrations 0003 and 0004, called as the server's role on a private cluster."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import uuid

import psycopg2
import psycopg2.errors
import pytest

from wardmote_suite import until

MIGRATIONS = sorted((pathlib.Path(__file__).parents[2] / "migrations").glob("000[1-4]_*.sql"))
BIN = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))
ARGON = "$argon2id$v=19$m=19456,t=2,p=1$"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def as_postgres(*command):
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def cluster():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wm-auth-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
    as_postgres(BIN / "initdb", "-D", folder / "pg", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
    as_postgres(BIN / "pg_ctl", "-D", folder / "pg", "-w", "-l", folder / "log", "-o", f"-c listen_addresses='' -k {folder} -c fsync=off", "start")
    try:
        yield folder
    finally:
        as_postgres(BIN / "pg_ctl", "-D", folder / "pg", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def database(cluster):
    with connect(cluster, "postgres", "postgres") as admin, admin.cursor() as cursor:
        cursor.execute("CREATE ROLE wardmote_owner LOGIN; CREATE ROLE wardmote_api LOGIN")
        cursor.execute("CREATE DATABASE wardmote OWNER wardmote_owner")
    with connect(cluster, "postgres") as admin, admin.cursor() as cursor:
        cursor.execute("CREATE EXTENSION postgis SCHEMA public")
    with connect(cluster, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("SET search_path = pg_catalog, public")
        for migration in MIGRATIONS:
            cursor.execute(migration.read_text())
    return cluster


class Connection:
    """Autocommit connection that is closed at the end of its with."""

    def __init__(self, raw):
        self.raw = raw
        raw.autocommit = True

    def __enter__(self):
        return self.raw

    def __exit__(self, *_):
        self.raw.close()


def connect(folder, user, name="wardmote"):
    return Connection(psycopg2.connect(host=str(folder), user=user, dbname=name, options="-c TimeZone=UTC -c search_path=pg_catalog,public"))


class Caller:
    """One segment of the server: act-as, then one statement, in one transaction."""

    def __init__(self, folder, account=None, partner=None, rank=0):
        self.folder, self.account, self.partner, self.rank = folder, account, partner, rank

    def run(self, text, parameters=(), credential=""):
        with connect(self.folder, "wardmote_api") as raw:
            raw.autocommit = False
            with raw.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('wardmote.account', %s, true), set_config('wardmote.partner', %s, true),"
                    " set_config('wardmote.rank', %s, true), set_config('wardmote.credential', %s, true)",
                    (self.account or "", self.partner or "", str(self.rank), credential),
                )
                cursor.execute(text, parameters)
                rows = cursor.fetchall() if cursor.description else cursor.rowcount
            raw.commit()
            return rows

    def call(self, function, *parameters, credential=""):
        """The uniform row: (status, body as Python, link); None for no row."""
        rows = self.run(f"SELECT status, body, etag, link FROM auth.{function}({', '.join(['%s'] * len(parameters))})", parameters, credential)
        if not rows:
            return None
        assert len(rows) == 1
        status, body, etag, link = rows[0]
        assert etag is None
        return status, None if body is None else json.loads(body), link

    def create(self, kind, role, partner=None, credential=None, login=None):
        secret = credential or f"wm_{uuid.uuid4().hex}"
        login = login or (f"user-{uuid.uuid4().hex}" if kind == "person" else None)
        account, client = self.run(
            "INSERT INTO wardmote.account (partner_id, kind, role, name, login) VALUES (%s, %s, %s, 'Somebody', %s) RETURNING id, client_id",
            (partner or self.partner, kind, role, login),
            sha(secret),
        )[0]
        return Account(account, client, secret, login, partner or self.partner)


class Account:
    def __init__(self, identifier, client, secret, login, partner):
        self.id, self.client, self.secret, self.login, self.partner = identifier, client, secret, login, partner


RANKS = {"viewer": 1, "officer": 2, "manager": 3, "administrator": 4}


@pytest.fixture(scope="module")
def host(database):
    """The host partner with its first administrator, made the way `wardmote account create` does."""
    with connect(database, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("INSERT INTO wardmote.partner (name, kind, host) VALUES ('Host', 'council', true) RETURNING id")
        partner = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO wardmote.account (partner_id, kind, role, name) VALUES (%s, 'service', 'administrator', 'First') RETURNING id", (partner,)
        )
        return Caller(database, cursor.fetchone()[0], partner, 4)


@pytest.fixture(scope="module")
def anybody(database):
    return Caller(database)


def make_partner(host):
    return host.run("INSERT INTO wardmote.partner (name, kind) VALUES (%s, 'voluntary') RETURNING id", (f"Partner {uuid.uuid4()}",))[0][0]


def caller_of(host, account, role):
    return Caller(host.folder, account.id, account.partner, RANKS[role])


@pytest.fixture
def other(host):
    """Another partner with a person who is its manager."""
    partner = make_partner(host)
    return caller_of(host, host.create("person", "manager", partner), "manager")


@pytest.fixture
def person(host, anybody):
    """A person of the host with the password "right"."""
    account = host.create("person", "officer")
    status, body, _ = anybody.call("enrol_finish", sha(account.secret), ARGON + "right", "192.0.2.1", sha(uuid.uuid4().hex), 3600)
    assert status == 200 and body["account"] == account.id
    return account


def log_in(anybody, person, refresh, password="right"):
    status, body, _ = anybody.call("login_begin", person.login, "192.0.2.7")
    assert status == 200
    matched = body["hash"] == ARGON + password
    return anybody.call("login_finish", body["account"], body["hash"], matched, person.login, "192.0.2.7", sha(refresh), 3600)


def acts(folder, account, epoch, session=None):
    rows = Caller(folder).run(
        "SELECT a.partner_id, a.rank FROM api.acting a WHERE a.id = %s AND a.epoch = %s"
        " AND (%s::uuid IS NULL OR EXISTS (SELECT FROM api.acting_session s WHERE s.id = %s::uuid AND s.account_id = a.id))",
        (account, epoch, session, session),
    )
    return bool(rows)


# --- tables and rights ---


def test_credentials_are_out_of_reach(database):
    with connect(database, "wardmote_api") as api, api.cursor() as cursor:
        for table in ("secret", "password", "session", "refresh", "enrolment", "throttle"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(f"SELECT * FROM auth.{table}")


def test_every_credential_table_is_forced(database):
    with connect(database, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'auth'::regnamespace"
            " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        )
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'history'::regnamespace AND relname IN ('account', 'partner')")
        assert cursor.fetchone() == (2,)


def test_the_server_may_call_only_doors(database):
    with connect(database, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'auth'::regnamespace AND has_function_privilege('wardmote_api', p.oid, 'EXECUTE')"
            " ORDER BY 1"
        )
        names = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'auth'::regnamespace AND prosecdef ORDER BY 1")
        assert names == [row[0] for row in cursor.fetchall()]
        assert "session_open" not in names and "password_store" not in names


def test_partners_are_public_and_run_by_administrators(host, other, anybody):
    assert anybody.run("SELECT count(*) FROM api.partner")[0][0] >= 2
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        other.run("INSERT INTO wardmote.partner (name, kind) VALUES ('Mine', 'other')")
    assert other.run("UPDATE wardmote.partner SET name = 'Mine'") == 0
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        host.run("INSERT INTO wardmote.partner (name, kind, host) VALUES ('Second host', 'council', true)")
    with pytest.raises(psycopg2.errors.CheckViolation):
        host.run("UPDATE wardmote.partner SET status = 'suspended' WHERE host")


def test_partner_tree_has_no_cycle(host):
    above, below = make_partner(host), make_partner(host)
    assert host.run("UPDATE wardmote.partner SET parent_id = %s WHERE id = %s", (above, below)) == 1
    with pytest.raises(psycopg2.errors.CheckViolation) as error:
        host.run("UPDATE wardmote.partner SET parent_id = %s WHERE id = %s", (below, above))
    assert error.value.diag.constraint_name == "partner_parent_id_cycle"


@pytest.mark.parametrize(
    ("rank", "role", "allowed"),
    [
        (2, "viewer", False),
        (3, "viewer", True),
        (3, "manager", True),
        (3, "administrator", False),
        (4, "manager", True),
        (4, "administrator", True),
    ],
)
def test_who_creates_which_account_at_home(host, rank, role, allowed):
    caller = Caller(host.folder, host.account, host.partner, rank)
    if allowed:
        assert caller.create("service", role).client.startswith("wmc_")
    else:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            caller.create("service", role)


def test_managers_stay_at_home(host, other):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        other.create("service", "viewer", host.partner)
    assert other.create("service", "manager").id


def test_administrators_help_until_there_is_a_manager(host):
    partner = make_partner(host)
    host.create("service", "manager", partner)
    officer = host.create("person", "officer", partner)
    manager = host.create("person", "manager", partner)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        host.create("person", "officer", partner)
    assert host.run("UPDATE wardmote.account SET disabled = true WHERE id = %s", (officer.id,)) == 0
    # The manager leaves: the partner would be without help.
    assert caller_of(host, manager, "manager").run("UPDATE wardmote.account SET disabled = true WHERE id = %s", (manager.id,)) == 1
    assert host.create("person", "manager", partner).id


def test_administrators_belong_to_the_host(host):
    with pytest.raises(psycopg2.Error) as error:
        host.create("person", "administrator", make_partner(host))
    assert error.value.pgcode in ("42501", "WM403")


def test_who_sees_which_account(host, other):
    officer = other.create("person", "officer")
    mine = lambda caller: {row[0] for row in caller.run("SELECT id FROM api.account")}
    assert mine(caller_of(host, officer, "officer")) == {officer.id}
    assert mine(other) == {other.account, officer.id}
    assert {other.account, officer.id, host.account} <= mine(host)
    assert mine(Caller(host.folder)) == set()
    # The table, which the server may read for its own writes, shows no more than the view.
    assert {row[0] for row in caller_of(host, officer, "officer").run("SELECT id FROM wardmote.account")} == {officer.id}


# --- acting ---


@pytest.mark.parametrize(
    "change", ["role = 'viewer'", "scopes = '{partners:read}'", "disabled = true", "epoch = epoch + 1"], ids=["role", "scopes", "disabled", "epoch"]
)
def test_a_change_of_rights_voids_tokens(host, change):
    account = host.create("service", "officer")
    assert acts(host.folder, account.id, 1)
    assert host.run(f"UPDATE wardmote.account SET {change} WHERE id = %s", (account.id,)) == 1
    assert not acts(host.folder, account.id, 1)


def test_a_change_of_name_does_not(host):
    account = host.create("service", "officer")
    host.run("UPDATE wardmote.account SET name = 'Renamed', epoch = 0 WHERE id = %s", (account.id,))
    assert acts(host.folder, account.id, 1)


def test_suspending_a_partner_voids_its_tokens_for_good(host, other):
    account = other.create("service", "officer")
    assert acts(host.folder, account.id, 1)
    host.run("UPDATE wardmote.partner SET status = 'suspended' WHERE id = %s", (other.partner,))
    assert not acts(host.folder, account.id, 1)
    assert Caller(host.folder).call("client_credentials", account.client, sha(account.secret))[0] == 401
    host.run("UPDATE wardmote.partner SET status = 'active' WHERE id = %s", (other.partner,))
    assert not acts(host.folder, account.id, 1)
    status, body, _ = Caller(host.folder).call("client_credentials", account.client, sha(account.secret))
    assert status == 200 and acts(host.folder, account.id, body["epoch"])


def test_accounts_of_a_suspended_partner_start_suspended(host):
    partner = make_partner(host)
    host.run("UPDATE wardmote.partner SET status = 'left' WHERE id = %s", (partner,))
    account = host.create("service", "officer", partner)
    assert not acts(host.folder, account.id, 1)


def stored(host, text, *values):
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall()


def test_what_ends_with_an_account(host, anybody, person):
    """Its open sessions and its open codes: no other account's, and what ended before stays as it was."""
    neighbour, gone = host.create("person", "officer"), host.create("person", "officer")
    sessions = "SELECT id, revoked_at FROM auth.session WHERE account_id = %s ORDER BY id"
    codes = "SELECT sha256, used_at FROM auth.enrolment WHERE account_id = %s ORDER BY sha256"
    assert anybody.call("enrol_finish", sha(gone.secret), ARGON + "right", "192.0.2.9", sha(uuid.uuid4().hex), 3600)[0] == 200
    first = log_in(anybody, gone, uuid.uuid4().hex)[1]["session"]
    log_in(anybody, gone, uuid.uuid4().hex)
    assert caller_of(host, gone, "officer").call("session_end", gone.id, first)[0] == 204
    assert host.call("enrolment_create", gone.id, credential=sha(uuid.uuid4().hex))[0] == 201
    before, used, others = stored(host, sessions, gone.id), stored(host, codes, gone.id), (stored(host, sessions, person.id), stored(host, codes, neighbour.id))
    host.run("UPDATE wardmote.account SET disabled = true WHERE id = %s", (gone.id,))
    after = stored(host, sessions, gone.id)
    assert all(revoked is not None for _, revoked in after)
    assert [row for row in before if row[1] is not None] == [row for row in after if row in before], "one that had ended ended when it did"
    assert stored(host, codes, gone.id) == [row for row in used if row[1] is not None] != [], "a code that was used is remembered, an open one is gone"
    assert (stored(host, sessions, person.id), stored(host, codes, neighbour.id)) == others
    assert any(revoked is None for _, revoked in others[0]) and others[1]


def test_suspending_touches_no_other(host, other):
    """Accounts of other partners stay as they are, and so do those that are suspended already: no version of theirs, no epoch."""
    mine, theirs = make_partner(host), other.create("service", "officer")
    account = host.create("service", "officer", mine)
    state = "SELECT suspended, epoch, version FROM wardmote.account WHERE id = %s"
    before = stored(host, state, theirs.id)
    for status, suspended in (("suspended", True), ("left", True), ("active", False)):
        host.run("UPDATE wardmote.partner SET status = %s WHERE id = %s", (status, mine))
        [(found, epoch, version)] = stored(host, state, account.id)
        assert found == suspended and (epoch, version) == ((2, 2) if suspended else (3, 3)), status
        assert stored(host, state, theirs.id) == before


# --- client credentials ---


def test_client_credentials(host, anybody):
    account = host.create("service", "officer")
    status, body, _ = anybody.call("client_credentials", account.client, sha(account.secret))
    assert status == 200
    assert body == {
        "account": account.id, "partner": host.partner, "role": "officer", "kind": "service", "epoch": 1,
        "client_id": account.client, "scopes": None, "session": None,
    }
    assert anybody.call("client_credentials", account.client, sha("wrong"))[0] == 401
    assert anybody.call("client_credentials", "wmc_nobody", sha(account.secret))[0] == 401
    another = host.create("service", "officer")
    assert anybody.call("client_credentials", another.client, sha(account.secret))[0] == 401


def test_scopes_are_told_and_none_is_not_all(host, anybody):
    account = host.create("service", "officer")
    host.run("UPDATE wardmote.account SET scopes = '{risks:read,codes:read}' WHERE id = %s", (account.id,))
    assert anybody.call("client_credentials", account.client, sha(account.secret))[1]["scopes"] == "risks:read codes:read"
    host.run("UPDATE wardmote.account SET scopes = '{}' WHERE id = %s", (account.id,))
    assert anybody.call("client_credentials", account.client, sha(account.secret))[1]["scopes"] == ""


def test_rotation_leaves_the_old_secret_for_its_grace(host, anybody):
    account, second, third = host.create("service", "officer"), uuid.uuid4().hex, uuid.uuid4().hex
    works = lambda secret: anybody.call("client_credentials", account.client, sha(secret))[0] == 200
    status, body, link = host.call("secret_rotate", account.id, 3600, credential=sha(second))
    assert status == 201 and body["client_id"] == account.client and link == f"/v1/accounts/{account.id}"
    assert works(account.secret) and works(second) and acts(host.folder, account.id, 1)
    # At most two work at a time.
    host.call("secret_rotate", account.id, 3600, credential=sha(third))
    assert not works(account.secret) and works(second) and works(third)
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("UPDATE auth.secret SET expires_at = now() WHERE account_id = %s AND expires_at IS NOT NULL", (account.id,))
    assert not works(second) and works(third)


def test_rotation_without_grace_ends_everything(host, anybody):
    account, new = host.create("service", "officer"), uuid.uuid4().hex
    host.call("secret_rotate", account.id, 0, credential=sha(new))
    assert anybody.call("client_credentials", account.client, sha(account.secret))[0] == 401
    assert anybody.call("client_credentials", account.client, sha(new))[0] == 200
    assert not acts(host.folder, account.id, 1)


def test_who_rotates(host, other):
    account, person = host.create("service", "officer"), host.create("person", "officer")
    assert other.call("secret_rotate", account.id, 0, credential=sha("x")) is None
    assert host.call("secret_rotate", str(uuid.uuid4()), 0, credential=sha("x")) is None
    assert caller_of(host, account, "officer").call("secret_rotate", account.id, 0, credential=sha("x"))[0] == 403
    assert host.call("secret_rotate", other.create("service", "viewer").id, 0, credential=sha("x"))[0] == 403
    assert host.call("secret_rotate", person.id, 0, credential=sha("x"))[0] == 409


# --- people ---


def test_login(host, anybody, person):
    status, body, _ = log_in(anybody, person, f"refresh-{person.id}")
    assert status == 200 and body["kind"] == "person" and body["epoch"] == 2 and body["client_id"] == "wardmote"
    assert acts(host.folder, person.id, 2, body["session"])
    assert log_in(anybody, person, f"other-{person.id}", "wrong")[0] == 401


def test_an_unknown_login_looks_known(anybody):
    status, body, _ = anybody.call("login_begin", f"nobody-{uuid.uuid4()}", "192.0.2.8")
    assert (status, body) == (200, {"account": None, "hash": None})
    assert anybody.call("login_finish", None, None, True, "nobody", "192.0.2.8", sha("never"), 60)[0] == 401


def test_a_hash_that_changed_meanwhile_is_no_login(anybody, person):
    _, body, _ = anybody.call("login_begin", person.login, "192.0.2.7")
    assert anybody.call("login_finish", body["account"], ARGON + "older", True, person.login, "192.0.2.7", sha("never"), 60)[0] == 401


def test_logins_are_throttled_by_login_and_address(anybody, person):
    """Who guesses from one place locks that place out, not the login's owner."""
    for _ in range(10):
        assert anybody.call("login_begin", person.login.upper(), f"{person.id}-1")[0] == 200
    for _ in range(80):
        status, _, wait = anybody.call("login_begin", person.login, f"{person.id}-1")
        assert status == 429 and 0 < int(wait) <= 900
    assert anybody.call("login_begin", person.login, f"{person.id}-2")[0] == 200


def test_logins_are_throttled_by_login(anybody, person):
    """From many places together there is a limit too."""
    for n in range(100):
        assert anybody.call("login_begin", person.login.upper(), f"{person.id}-{n // 10}")[0] == 200
    status, _, wait = anybody.call("login_begin", person.login, f"{person.id}-99")
    assert status == 429 and 0 < int(wait) <= 900


def test_a_login_that_spells_another_and_its_place_counts_for_neither(anybody, person):
    """A login may hold a line break: what is counted by login and address has names of its own."""
    for _ in range(10):
        assert anybody.call("login_begin", f"{person.login}\n{person.id}-7", f"{person.id}-8")[0] == 200
    assert anybody.call("login_begin", person.login, f"{person.id}-7")[0] == 200


def test_a_good_login_starts_anew(anybody, person):
    for round_ in range(3):
        for _ in range(8):
            anybody.call("login_begin", person.login, f"{person.id}-200")
        assert log_in(anybody, person, f"anew-{person.id}-{round_}")[0] == 200


def test_logins_are_throttled_by_address(anybody):
    address = str(uuid.uuid4())
    for n in range(100):
        assert anybody.call("login_begin", f"guess-{address}-{n}", address)[0] == 200
    assert anybody.call("login_begin", "another", address)[0] == 429
    assert anybody.call("enrol_begin", sha("guess"), address)[0] == 429


def test_enrolment_is_for_once(host, anybody):
    account = host.create("person", "viewer")
    code = sha(account.secret)
    assert anybody.call("enrol_begin", code, "192.0.2.3")[0] == 200
    assert anybody.call("enrol_finish", code, ARGON + "a", "192.0.2.3", sha(f"{account.id}-1"), 60)[0] == 200
    assert anybody.call("enrol_begin", code, "192.0.2.3")[0] == 422
    assert anybody.call("enrol_finish", code, ARGON + "b", "192.0.2.3", sha(f"{account.id}-2"), 60)[0] == 422
    assert anybody.call("enrol_begin", sha("unknown"), "192.0.2.3")[0] == 422


def test_an_enrolment_code_ends(host, anybody):
    account = host.create("person", "viewer")
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("SELECT expires_at - created_at FROM auth.enrolment WHERE account_id = %s", (account.id,))
        assert cursor.fetchone()[0].total_seconds() == 72 * 3600
        cursor.execute("UPDATE auth.enrolment SET expires_at = now() WHERE account_id = %s", (account.id,))
    assert anybody.call("enrol_begin", sha(account.secret), "192.0.2.3")[0] == 422
    assert anybody.call("enrol_finish", sha(account.secret), ARGON + "b", "192.0.2.3", sha(account.id), 60)[0] == 422


def test_a_new_code_resets_the_password(host, anybody, person):
    old_session = log_in(anybody, person, f"reset-{person.id}")[1]["session"]
    status, body, _ = host.call("enrolment_create", person.id, credential=sha(f"code-{person.id}"))
    assert status == 201 and body["account_id"] == person.id
    assert log_in(anybody, person, f"still-{person.id}")[0] == 200
    assert anybody.call("enrol_finish", sha(f"code-{person.id}"), ARGON + "fresh", "192.0.2.3", sha(f"fresh-{person.id}"), 60)[0] == 200
    assert log_in(anybody, person, f"gone-{person.id}")[0] == 401
    assert log_in(anybody, person, f"here-{person.id}", "fresh")[0] == 200
    assert not acts(host.folder, person.id, 3, old_session)


def test_recovery_of_a_manager_shows(host, other):
    before = other.run("SELECT recovered_at, version FROM api.account WHERE id = %s", (other.account,))[0]
    assert before == (None, 1)
    assert host.call("enrolment_create", other.account, credential=sha(uuid.uuid4().hex))[0] == 201
    after = other.run("SELECT recovered_at, version, updated_by FROM api.account WHERE id = %s", (other.account,))[0]
    assert after[0] is not None and after[1] == 2 and after[2] == host.account
    Caller(host.folder).run("SELECT wardmote.sequence_changes()")
    assert other.run("SELECT count(*) FROM api.change WHERE record_id = %s AND operation = 'update'", (other.account,)) == [(1,)]
    # Only a manager's, and only by an administrator.
    officer = other.create("person", "officer")
    assert host.call("enrolment_create", officer.id, credential=sha(uuid.uuid4().hex))[0] == 403
    assert other.call("enrolment_create", officer.id, credential=sha(uuid.uuid4().hex))[0] == 201
    assert other.call("enrolment_create", host.account, credential=sha(uuid.uuid4().hex)) is None


def test_change_of_password(host, anybody, person):
    kept = log_in(anybody, person, f"kept-{person.id}")[1]["session"]
    ended = log_in(anybody, person, f"ended-{person.id}")[1]["session"]
    me = caller_of(host, person, "officer")
    status, body, _ = me.call("password_begin", "192.0.2.9")
    assert status == 200 and body == {"account": person.id, "hash": ARGON + "right"}
    assert me.call("password_change", ARGON + "stale", ARGON + "new", kept, "192.0.2.9")[0] == 409
    assert me.call("password_change", ARGON + "right", ARGON + "new", kept, "192.0.2.9")[0] == 204
    assert not acts(host.folder, person.id, 2, kept)
    assert acts(host.folder, person.id, 3, kept) and not acts(host.folder, person.id, 3, ended)
    assert anybody.call("refresh", sha(f"kept-{person.id}"), sha(f"kept2-{person.id}"), 60)[0] == 200
    assert log_in(anybody, person, f"new-{person.id}", "new")[0] == 200


def test_guessing_ones_own_password_is_throttled(host, person):
    me = caller_of(host, person, "officer")
    for n in range(10):
        assert me.call("password_begin", f"203.0.113.{n}")[0] == 200
    assert me.call("password_begin", "203.0.113.99")[0] == 429


def test_a_service_has_no_password(host):
    account = host.create("service", "officer")
    assert caller_of(host, account, "officer").call("password_begin", "192.0.2.9")[0] == 409


# --- sessions ---


def test_refresh_rotates(host, anybody, person):
    session = log_in(anybody, person, f"r0-{person.id}")[1]["session"]
    for n in range(3):
        status, body, _ = anybody.call("refresh", sha(f"r{n}-{person.id}"), sha(f"r{n + 1}-{person.id}"), 3600)
        assert status == 200 and body["session"] == session
    assert acts(host.folder, person.id, 2, session)


def test_reuse_ends_the_family(host, anybody, person):
    session = log_in(anybody, person, f"u0-{person.id}")[1]["session"]
    bystander = log_in(anybody, person, f"b0-{person.id}")[1]["session"]
    assert anybody.call("refresh", sha(f"u0-{person.id}"), sha(f"u1-{person.id}"), 3600)[0] == 200
    assert anybody.call("refresh", sha(f"u0-{person.id}"), sha(f"u2-{person.id}"), 3600)[0] == 400
    assert anybody.call("refresh", sha(f"u1-{person.id}"), sha(f"u3-{person.id}"), 3600)[0] == 400
    assert not acts(host.folder, person.id, 2, session) and acts(host.folder, person.id, 2, bystander)


def test_of_many_refreshes_at_once_one_works_and_the_family_ends(host, anybody, person):
    session = log_in(anybody, person, f"m-{person.id}")[1]["session"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: anybody.call("refresh", sha(f"m-{person.id}"), sha(f"m{n}-{person.id}"), 60)[0], range(8)))
    assert sorted(answers) == [200] + [400] * 7
    assert not acts(host.folder, person.id, 2, session)


def test_a_token_that_goes_while_it_waits_refreshes_nothing(host, anybody, person):
    """Another refresh, which holds the session, tidies it away."""
    session = log_in(anybody, person, f"w-{person.id}")[1]["session"]
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        owner.autocommit = False
        cursor.execute("SELECT FROM auth.session WHERE id = %s FOR UPDATE", (session,))
        cursor.execute("DELETE FROM auth.refresh WHERE session_id = %s", (session,))
        waiting = pool.submit(anybody.call, "refresh", sha(f"w-{person.id}"), sha(f"w1-{person.id}"), 60)
        until(lambda: stored(host, "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] > 0)
        owner.commit()
        assert waiting.result(30)[0] == 400
    assert anybody.call("refresh", sha(f"w1-{person.id}"), sha(f"w2-{person.id}"), 60)[0] == 400


@contextlib.contextmanager
def begun(caller, text, parameters):
    """A segment whose commit is still to come: while its rows are yielded nobody sees what it did."""
    with connect(caller.folder, "wardmote_api") as raw, raw.cursor() as cursor:
        raw.autocommit = False
        cursor.execute("SELECT set_config('wardmote.account', %s, true), set_config('wardmote.partner', %s, true), set_config('wardmote.rank', %s, true)",
                       (caller.account or "", caller.partner or "", str(caller.rank)))
        cursor.execute(text, parameters)
        yield cursor.fetchall() if cursor.description else []
        raw.commit()


def meanwhile(host, pool, work, *parameters):
    """Begins what another does, and waits until it is done or waits itself."""
    other = pool.submit(work, *parameters)
    until(lambda: other.done() or stored(host, "SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] > 0)
    return other


def ended(host, account):
    host.run("UPDATE wardmote.account SET disabled = true WHERE id = %s", (account.id,))
    return True


def password_changed(host, account):
    return caller_of(host, account, "officer").call("password_change", ARGON + "right", ARGON + "new", None, "192.0.2.9")[0] == 204


@pytest.mark.parametrize("what", [ended, password_changed])
def test_no_session_outlives_what_ends_sessions_while_it_begins(host, anybody, person, what):
    """Who knows a password must not keep a session by signing in at the moment in which it is changed."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with begun(anybody, "SELECT status FROM auth.login_finish(%s, %s, true, %s, '192.0.2.7', %s, 3600)",
                   (person.id, ARGON + "right", person.login, sha(f"late-{person.id}"))) as rows:
            assert rows == [(200,)]
            other = meanwhile(host, pool, what, host, person)
        assert other.result(30)
    host.run("UPDATE wardmote.account SET disabled = false WHERE id = %s", (person.id,))
    assert anybody.call("refresh", sha(f"late-{person.id}"), sha(f"later-{person.id}"), 3600)[0] == 400


@pytest.mark.parametrize("what", [ended, password_changed])
def test_no_session_begins_behind_what_ends_sessions(host, anybody, person, what):
    """The other way round: it waits for the end, and then it is no sign-in."""
    change = {ended: "UPDATE wardmote.account SET disabled = true WHERE id = %(id)s",
              password_changed: "SELECT auth.password_change(%(old)s, %(new)s, NULL, '192.0.2.9')"}[what]
    acting = host if what is ended else caller_of(host, person, "officer")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with begun(acting, change, {"id": person.id, "old": ARGON + "right", "new": ARGON + "new"}):
            other = meanwhile(host, pool, anybody.call, "login_finish", person.id, ARGON + "right", True, person.login, "192.0.2.7", sha(f"behind-{person.id}"), 3600)
        assert other.result(30)[0] == 401


def test_no_enrolment_outlives_the_end_of_its_account(host, anybody):
    account = host.create("person", "officer")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with begun(anybody, "SELECT status FROM auth.enrol_finish(%s, %s, '192.0.2.3', %s, 3600)",
                   (sha(account.secret), ARGON + "right", sha(f"late-{account.id}"))) as rows:
            assert rows == [(200,)]
            other = meanwhile(host, pool, ended, host, account)
        assert other.result(30)
    host.run("UPDATE wardmote.account SET disabled = false WHERE id = %s", (account.id,))
    assert anybody.call("refresh", sha(f"late-{account.id}"), sha(f"later-{account.id}"), 3600)[0] == 400


def test_no_password_outlives_the_erasure_of_its_account(host, anybody):
    account = host.create("person", "officer")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with begun(anybody, "SELECT status FROM auth.enrol_finish(%s, %s, '192.0.2.3', %s, 3600)", (sha(account.secret), ARGON + "right", sha(f"kept-{account.id}"))):
            other = meanwhile(host, pool, host.call, "erase", account.id)
        assert other.result(30)[0] == 204
    assert stored(host, "SELECT count(*) FROM auth.password WHERE account_id = %s", account.id) == [(0,)]


def test_a_code_that_is_replaced_while_it_waits_enrols_nobody(host, anybody):
    account = host.create("person", "officer")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with begun(host, "SELECT set_config('wardmote.credential', %s, true); SELECT status FROM auth.enrolment_create(%s)", (sha("new"), account.id)) as rows:
            assert rows == [(201,)]
            other = meanwhile(host, pool, anybody.call, "enrol_finish", sha(account.secret), ARGON + "right", "192.0.2.3", sha(f"old-{account.id}"), 3600)
        assert other.result(30)[0] == 422
    assert stored(host, "SELECT count(*) FROM auth.password WHERE account_id = %s", account.id) == [(0,)]


@pytest.mark.parametrize("change", ["disabled = true", "role = 'viewer'"])
def test_of_two_administrators_who_end_each_other_one_stays(host, change):
    first, second = host.create("service", "administrator"), host.create("service", "administrator")
    others = host.run("UPDATE wardmote.account SET disabled = true WHERE role = 'administrator' AND NOT disabled AND id <> ALL (%s::uuid[]) RETURNING id",
                      ([first.id, second.id],))
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            text = f"UPDATE wardmote.account SET {change} WHERE id = %s"
            with begun(caller_of(host, first, "administrator"), text, (second.id,)):
                other = meanwhile(host, pool, caller_of(host, second, "administrator").run, text, (first.id,))
            with pytest.raises(psycopg2.errors.CheckViolation):
                other.result(30)
        assert stored(host, "SELECT role, disabled FROM wardmote.account WHERE id = %s", first.id) == [("administrator", False)]
    finally:
        caller_of(host, first, "administrator").run("UPDATE wardmote.account SET disabled = false WHERE id = ANY (%s::uuid[])", ([row[0] for row in others],))
        host.run("UPDATE wardmote.account SET disabled = true WHERE id = ANY (%s::uuid[])", ([first.id, second.id],))


def test_refresh_ends_with_its_time_and_its_account(host, anybody, person):
    log_in(anybody, person, f"t-{person.id}")
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("UPDATE auth.refresh SET expires_at = now() WHERE sha256 = %s", (sha(f"t-{person.id}"),))
    assert anybody.call("refresh", sha(f"t-{person.id}"), sha(f"t1-{person.id}"), 60)[0] == 400
    log_in(anybody, person, f"d-{person.id}")
    host.run("UPDATE wardmote.account SET disabled = true WHERE id = %s", (person.id,))
    host.run("UPDATE wardmote.account SET disabled = false WHERE id = %s", (person.id,))
    assert anybody.call("refresh", sha(f"d-{person.id}"), sha(f"d1-{person.id}"), 60)[0] == 400
    assert anybody.call("refresh", sha("unknown"), sha(f"d2-{person.id}"), 60)[0] == 400


def test_revocation_and_log_out(host, anybody, person):
    first = log_in(anybody, person, f"v1-{person.id}")[1]["session"]
    second = log_in(anybody, person, f"v2-{person.id}")[1]["session"]
    assert anybody.call("revoke", sha("unknown"))[0] == 200
    assert anybody.call("revoke", sha(f"v1-{person.id}"))[0] == 200
    assert not acts(host.folder, person.id, 2, first) and acts(host.folder, person.id, 2, second)
    assert anybody.call("session_end", host.account, second) is None
    assert anybody.call("session_end", person.id, second)[0] == 204
    assert not acts(host.folder, person.id, 2, second)
    assert anybody.call("session_end", person.id, second) is None


def test_my_sessions(host, anybody, person):
    me = caller_of(host, person, "officer")
    session = log_in(anybody, person, f"s-{person.id}")[1]["session"]
    status, body, _ = me.call("my_sessions", session)
    assert status == 200 and [item["current"] for item in body["items"]].count(True) == 1
    assert body["items"][0]["id"] == session and body["links"] == []
    assert me.call("my_sessions_end")[0] == 204
    assert me.call("my_sessions", session)[1]["items"] == []
    assert not acts(host.folder, person.id, 2, session)


def test_open_sessions_are_bounded(host, anybody, person):
    for n in range(25):
        assert log_in(anybody, person, f"many-{n}-{person.id}")[0] == 200
    items = caller_of(host, person, "officer").call("my_sessions", None)[1]["items"]
    assert len(items) == 20
    assert anybody.call("refresh", sha(f"many-24-{person.id}"), sha(f"more-{person.id}"), 60)[0] == 200
    assert anybody.call("refresh", sha(f"many-0-{person.id}"), sha(f"less-{person.id}"), 60)[0] == 400


# --- erasure ---


def test_erasure_blanks_row_history_and_stored_answers(host, anybody):
    name = f"Canary {uuid.uuid4()}"
    account = host.create("person", "officer", login=f"canary-{uuid.uuid4()}")
    host.run("UPDATE wardmote.account SET name = %s WHERE id = %s", (name, account.id))
    host.run("UPDATE wardmote.account SET role = 'viewer' WHERE id = %s", (account.id,))
    anybody.call("enrol_finish", sha(account.secret), ARGON + "x", "192.0.2.3", sha(account.id), 60)
    host.run(
        "INSERT INTO wardmote.idempotency (method, path, key, hash, status, body, record_id) VALUES ('POST', '/v1/accounts', %s, 'h', 201, %s, %s)",
        (account.id, name, account.id),
    )
    assert caller_of(host, account, "viewer").call("erase", account.id)[0] == 403
    assert host.call("erase", account.id)[0] == 204
    assert host.call("erase", account.id)[0] == 204
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('wardmote', 'history', 'auth', 'api')")
        for schema, table in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {schema}.{table} t WHERE t::text LIKE %s OR t::text LIKE %s", (f"%{name}%", f"%{account.login}%"))
            assert cursor.fetchone() == (0,), (schema, table)
        cursor.execute("SELECT count(*) FROM history.account WHERE id = %s", (account.id,))
        assert cursor.fetchone()[0] >= 4
        for table in ("password", "session", "enrolment", "secret"):
            cursor.execute(f"SELECT count(*) FROM auth.{table} WHERE account_id = %s", (account.id,))
            assert cursor.fetchone() == (0,), table
    assert host.run("UPDATE wardmote.account SET disabled = false WHERE id = %s", (account.id,)) == 0
    assert host.call("enrolment_create", account.id, credential=sha("again"))[0] == 403


def test_history_of_accounts_is_for_who_sees_them(host, other):
    officer = other.create("person", "officer")
    other.run("UPDATE wardmote.account SET name = 'Second' WHERE id = %s", (officer.id,))
    versions = "SELECT count(*) FROM api.account_version WHERE id = %s"
    assert other.run(versions, (officer.id,)) == [(2,)]
    assert caller_of(host, officer, "officer").run(versions, (officer.id,)) == [(2,)]
    assert caller_of(host, officer, "officer").run(versions, (other.account,)) == [(0,)]
    assert Caller(host.folder).run(versions, (officer.id,)) == [(0,)]


def test_sweep_removes_only_what_is_over(host, anybody, person):
    session = log_in(anybody, person, f"sweep-{person.id}")[1]["session"]
    with connect(host.folder, "wardmote_owner") as owner, owner.cursor() as cursor:
        cursor.execute("INSERT INTO auth.throttle VALUES ('login:old', 1, now() - interval '1 minute')")
        cursor.execute("INSERT INTO auth.session (account_id, expires_at) VALUES (%s, now() - interval '1 minute') RETURNING id", (person.id,))
        old = cursor.fetchone()[0]
        anybody.run("SELECT auth.sweep()")
        cursor.execute("SELECT count(*) FROM auth.throttle WHERE key = 'login:old'")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT id FROM auth.session WHERE id IN (%s, %s)", (session, old))
        assert cursor.fetchall() == [(session,)]
