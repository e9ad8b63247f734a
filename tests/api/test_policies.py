# SPDX-License-Identifier: AGPL-3.0-or-later
"""The second wall: the server's database role with SQL of its own and whatever context it likes reads no more from the tables than the views show to that
context, and writes nothing that the access rules refuse. Policies, force and rights of every table and function are read from the catalog."""
import contextlib

import psycopg2
import pytest

from wardmote_records import unique

SCHEMAS = ("wardmote", "history", "auth")
RANKS = {"viewer": 1, "officer": 2, "manager": 3, "administrator": 4}


class Api:
    """The server's role in a context that it forges."""

    def __init__(self, cluster):
        self.connection = cluster.connect("wardmote_api")

    @contextlib.contextmanager
    def acting(self, role=None, partner_id=None, account_id=None):
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT set_config('wardmote.rank', %s, true), set_config('wardmote.partner', %s, true), set_config('wardmote.account', %s, true)",
                           (str(RANKS.get(role, 0)), partner_id or "", account_id or ""))
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    def count(self, text, values=(), **context):
        """Rows that a statement reads or writes; None where it is refused."""
        with self.acting(**context) as cursor:
            try:
                cursor.execute(text, values)
                return cursor.rowcount
            except psycopg2.Error as error:
                if error.pgcode in ("42501", "WM403"):
                    return None
                raise


@pytest.fixture(scope="module", name="api")
def _api(cluster, server):  # pylint: disable=unused-argument
    api = Api(cluster)
    yield api
    api.connection.close()


@pytest.fixture(scope="module", name="owner")
def _owner(cluster, server):  # pylint: disable=unused-argument
    connection = cluster.connect()
    yield connection
    connection.close()


def rows(connection, text, values=()):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall()


# --- the catalog ---

def test_every_table_is_forced_and_has_policies(owner):
    found = rows(owner, """SELECT c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity, c.relowner::regrole::text,
            EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND 'wardmote_owner'::regrole = ANY (p.polroles)),
            EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND (0 = ANY (p.polroles) OR NOT p.polpermissive))
        FROM pg_class c WHERE c.relnamespace::regnamespace::text = ANY (%s) AND c.relkind IN ('r', 'p', 'f', 'm') ORDER BY 1""", (list(SCHEMAS),))
    assert len(found) > 30
    assert [row for row in found if row[1:] != (True, True, "wardmote_owner", True, False)] == []


def test_nothing_is_granted_to_everybody(owner):
    assert rows(owner, """SELECT c.oid::regclass::text, a.privilege_type FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
        WHERE c.relnamespace::regnamespace::text IN ('wardmote', 'history', 'auth', 'api') AND a.grantee = 0""") == []
    assert rows(owner, """SELECT n.nspname, a.privilege_type FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
        WHERE n.nspname IN ('wardmote', 'history', 'auth', 'api') AND a.grantee = 0""") == []
    assert rows(owner, """SELECT p.oid::regprocedure::text FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace::regnamespace::text IN ('wardmote', 'history', 'auth', 'api') AND a.grantee = 0""") == []
    assert rows(owner, "SELECT has_schema_privilege('wardmote_api', 'public', 'CREATE'), has_database_privilege('wardmote_api', current_database(), 'CREATE')"
                ) == [(False, False)]


def test_the_server_reaches_tables_only_with_policies_for_it(owner):
    """And histories and credentials not at all."""
    found = rows(owner, """SELECT c.oid::regclass::text, c.relnamespace::regnamespace::text, array_agg(DISTINCT k.kind),
            array(SELECT DISTINCT unnest(CASE p.polcmd WHEN '*' THEN '{SELECT,INSERT,UPDATE,DELETE}'::text[] WHEN 'r' THEN '{SELECT}' WHEN 'a' THEN '{INSERT}'
                WHEN 'w' THEN '{UPDATE}' ELSE '{DELETE}' END) FROM pg_policy p WHERE p.polrelid = c.oid AND 'wardmote_api'::regrole = ANY (p.polroles))
        FROM pg_class c CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS k (kind)
        WHERE c.relnamespace::regnamespace::text = ANY (%s) AND c.relkind IN ('r', 'p') AND has_table_privilege('wardmote_api', c.oid, k.kind)
        GROUP BY c.oid""", (list(SCHEMAS),))
    assert found
    for name, schema, kinds, policies in found:
        assert schema == "wardmote", name
        assert set(kinds) <= set(policies), f"{name}: may {kinds}, policies for {policies}"


def test_the_servers_role_is_an_ordinary_one(owner):
    assert rows(owner, "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname IN ('wardmote_api', 'wardmote_owner')"
                ) == [(False,) * 5] * 2
    assert rows(owner, "SELECT FROM pg_auth_members WHERE member = 'wardmote_api'::regrole") == []


def test_functions_with_the_owners_rights_fix_their_search_path(owner):
    """Or whoever calls them chooses whose functions and tables they mean."""
    assert rows(owner, """SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.prosecdef AND p.pronamespace::regnamespace::text IN ('wardmote', 'auth', 'api')
        AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s IN ('search_path=pg_catalog', 'search_path=pg_catalog, public'))""") == []
    # What makes and rewrites tables, or blanks histories, is for migrations and the functions of the owner.
    assert rows(owner, """SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'wardmote'::regnamespace AND has_function_privilege('wardmote_api', p.oid, 'EXECUTE')
        AND p.proname IN ('protect', 'track', 'refers', 'redact', 'force_policies', 'make_history_table', 'make_dependants', 'make_version_view')""") == []


# --- rows ---

@pytest.fixture(scope="module", name="made")
def _made(records, partner, other, administrator):
    """A record of each resource in each state of visibility, and the things by resource."""
    things = {}
    for resource in records.owned_resources():
        maker = administrator if records.operation(resource)["x-role"] == "administrator" else partner.manager
        for visibility in ("private", "shared", "public"):
            for grants in ([], [{"partner_id": other.id, "right": "read"}], [{"partner_id": other.id, "right": "write"}]):
                records.make(resource, maker, visibility=visibility, grants=grants)
        things[resource] = resource.replace("-", "_").removesuffix("ies") + "y" if resource.endswith("ies") else resource.replace("-", "_").removesuffix("s")
    return things


def contexts(partner, other, host):
    yield {}
    for partner_id in (partner.id, other.id, host["partner_id"]):
        for role in RANKS:
            yield {"role": role, "partner_id": partner_id}
    # A rank without a partner, and a partner without a rank: what no account has.
    yield {"role": "administrator"}
    yield {"partner_id": partner.id}


def test_the_tables_show_no_more_than_the_views(api, owner, made, partner, other, host):
    things = [row[0] for row in rows(owner, """SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'api'::regnamespace AND c.relkind = 'v'
        AND to_regclass('wardmote.' || quote_ident(c.relname)) IS NOT NULL AND has_table_privilege('wardmote_api', 'wardmote.' || quote_ident(c.relname), 'SELECT')""")]
    assert set(made.values()) <= set(things) and {"partner", "account"} <= set(things)
    compared = 0
    for context in contexts(partner, other, host):
        for thing in things:
            with api.acting(**context) as cursor:
                cursor.execute(f"SELECT id FROM wardmote.{thing} EXCEPT SELECT id FROM api.{thing}")
                assert cursor.fetchall() == [], (thing, context)
                cursor.execute(f"SELECT id FROM api.{thing} EXCEPT SELECT id FROM wardmote.{thing}")
                assert cursor.fetchall() == [], (thing, context)
                cursor.execute(f"SELECT count(*) FROM api.{thing}")
                compared += cursor.fetchone()[0]
    assert compared > 500


def test_no_context_writes_what_it_does_not_see(api, made, partner, other, host):
    """An UPDATE without a condition touches visible rows only, and of those only what the role may."""
    for context in contexts(partner, other, host):
        rank, partner_id = RANKS.get(context.get("role"), 0), context.get("partner_id")
        for resource, thing in made.items():
            administered = resource in ("partnerships", "boundary-sets", "localities", "risk-scales")
            with api.acting(**context) as cursor:
                cursor.execute(f"SELECT id, partner_id, writers FROM api.{thing}")
                visible = cursor.fetchall()
            if administered:
                allowed = {row[0] for row in visible} if rank >= 4 else set()
            else:
                allowed = {identifier for identifier, owner_id, writers in visible
                           if (rank >= 2 and partner_id is not None and (owner_id == partner_id or partner_id in (writers or "")))
                           or (rank >= 4 and owner_id is None)}
            assert api.count(f"UPDATE wardmote.{thing} SET source = source", **context) == len(allowed), (thing, context)


@pytest.mark.parametrize("column, value", [("visibility", "public"), ("partner_id", None), ("grants", None)])
def test_a_grant_gives_no_right_to_what_is_the_owners(api, partner, other, column, value):
    answer = partner.manager.post("/v1/communities", {"name": unique("Policy"), "kind": "interest", "grants": [{"partner_id": other.id, "right": "write"}]})
    value = value or (other.id if column == "partner_id" else "[]")
    context = {"role": "manager", "partner_id": other.id}
    assert api.count("UPDATE wardmote.community SET name = 'mine' WHERE id = %s", (answer.json()["id"],), **context) == 1
    assert api.count(f"UPDATE wardmote.community SET {column} = %s WHERE id = %s", (value, answer.json()["id"]), **context) is None
    assert api.count("DELETE FROM wardmote.community WHERE id = %s", (answer.json()["id"],), **context) == 0
    assert api.count("UPDATE wardmote.community SET grants = %s WHERE id = %s", ('[{"partner_id": "%s", "right": "read"}]' % other.id, answer.json()["id"]),
                     role="officer", partner_id=partner.id) is None


@pytest.mark.parametrize("role", ["viewer", "officer", "manager", "administrator"])
def test_records_are_made_for_the_own_partner_only(api, partner, other, host, role):
    insert = "INSERT INTO wardmote.community (name, kind, visibility, partner_id) VALUES ('Policy', 'interest', 'private', %s)"
    home = host["partner_id"] if role == "administrator" else partner.id
    assert api.count(insert, (other.id,), role=role, partner_id=home) is None
    assert api.count(insert, (home,), role=role, partner_id=home) == (None if role == "viewer" else 1)
    assert api.count("INSERT INTO wardmote.boundary_set (code, name, visibility, partner_id) VALUES (%s, 'Policy', 'private', %s)", (unique("p"), other.id),
                     role=role, partner_id=home) is None


def test_accounts_are_out_of_reach_of_forgery_within_the_rules(api, partner, other, host):
    account = "INSERT INTO wardmote.account (partner_id, kind, role, name) VALUES (%s, 'service', %s, 'Policy')"
    assert api.count(account, (partner.id, "manager"), role="manager", partner_id=partner.id) == 1
    for values, context in (((partner.id, "administrator"), {"role": "manager", "partner_id": partner.id}),
                            ((other.id, "viewer"), {"role": "manager", "partner_id": partner.id}),
                            ((partner.id, "administrator"), {"role": "administrator", "partner_id": host["partner_id"]}),
                            ((partner.id, "viewer"), {"role": "officer", "partner_id": partner.id}),
                            ((host["partner_id"], "administrator"), {"role": "manager", "partner_id": host["partner_id"]})):
        assert api.count(account, values, **context) is None, (values, context)
    assert api.count("UPDATE wardmote.account SET role = 'administrator' WHERE partner_id = %s", (host["partner_id"],), role="manager",
                     partner_id=host["partner_id"]) in (0, None)
    assert api.count("DELETE FROM wardmote.account", role="administrator", partner_id=host["partner_id"]) is None
    assert api.count("UPDATE wardmote.partner SET host = true WHERE id = %s", (partner.id,), role="administrator", partner_id=host["partner_id"]) is None


@pytest.mark.parametrize("table", ["wardmote.change", "wardmote.fresh", "wardmote.feed", "wardmote.reference", "history.community", "history.account", "auth.secret",
                                   "auth.password", "auth.session", "auth.refresh", "auth.enrolment", "auth.throttle"])
def test_records_of_what_happened_and_credentials_cannot_be_touched(api, host, table):
    context = {"role": "administrator", "partner_id": host["partner_id"]}
    for text in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
        assert api.count(text, **context) is None, text


def test_stored_answers_are_the_partners_own(api, partner, other):
    key = unique("key")
    assert partner.officer.post("/v1/communities", {"name": "Policy", "kind": "interest"}, headers={"Idempotency-Key": key}).status == 201
    stored = "SELECT FROM wardmote.idempotency WHERE key = encode(sha256(%s), 'hex')"
    assert api.count(stored, (key,), role="officer", partner_id=partner.id) == 1
    assert api.count(stored, (key,), role="officer", partner_id=other.id) == 0
    assert api.count(stored, (key,)) == 0
    insert = "INSERT INTO wardmote.idempotency (partner_id, method, path, key, hash, status) VALUES (%s, 'POST', '/v1/communities', %s, '', 201)"
    assert api.count(insert, (partner.id, unique("key")), role="officer", partner_id=other.id) is None


def test_the_versions_of_what_is_hidden_are_in_no_view(api, partner, other, host):
    record = partner.manager.post("/v1/communities", {"name": unique("Policy"), "kind": "interest"}).json()
    assert partner.manager.patch(f"/v1/communities/{record['id']}", {"visibility": "public"}, headers={"If-Match": "*"}).status == 200
    for view, own, others in (("community_version", 2, 1), ("community_past", 1, 0)):
        text = f"SELECT FROM api.{view} WHERE id = %s"
        assert api.count(text, (record["id"],), role="viewer", partner_id=partner.id) == own, view
        for context in ({}, {"role": "manager", "partner_id": other.id}, {"role": "administrator", "partner_id": host["partner_id"]}):
            assert api.count(text, (record["id"],), **context) == others, (view, context)


def test_notes_of_reads_are_of_others_records(api, partner, other):
    """One's own reads of one's own records are none, and only what has such fields is noted."""
    text = "INSERT INTO wardmote.personal_read (resource, record_id, owner_id) VALUES (%s, %s, %s)"
    context = {"role": "viewer", "partner_id": other.id, "account_id": other.viewer.get("/v1/me").json()["account_id"]}
    record = "019a7d2c-3c1e-7c55-9b1e-0d3c1f6a2b10"
    assert api.count(text, ("contacts", record, partner.id), **context) == 1
    assert api.count(text, ("contacts", record, other.id), **context) is None
    assert api.count(text, ("risks", record, partner.id), **context) is None


def test_an_import_fails_for_its_own_account_alone(api, owner, partner):
    account = partner.manager.get("/v1/me").json()["account_id"]
    ((made,),) = rows(owner, "INSERT INTO wardmote.import (partner_id, visibility, kind, state, bytes, settings)"
                             " VALUES (%s, 'private', 'postcodes', 'queued', 1, '{}') RETURNING id", (partner.id,))
    owner.commit()
    text = "SELECT wardmote.import_fail(%s, %s, %s, 'No reason')"
    state = "SELECT state FROM wardmote.import WHERE id = %s"
    with api.connection.cursor() as cursor:
        cursor.execute(text, (made, account, "failed"))
        api.connection.commit()
        assert rows(owner, state, (made,)) == [("queued",)]
    rows(owner, "UPDATE wardmote.import SET state = 'failed' WHERE id = %s RETURNING 1", (made,))
    owner.commit()
