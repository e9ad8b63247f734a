# SPDX-License-Identifier: AGPL-3.0-or-later
"""Each wall of the database by itself, for every table that there is, with the walls before it taken down where they would hide it: what a policy admits row
by row, what a reference holds, whose versions a view shows, and what the server's role may touch at all."""
import contextlib
import json
import uuid

import psycopg2
import pytest

from wardmote_records import absent_id, unique

ANY = {"If-Match": "*"}
RANKS = {"viewer": 1, "officer": 2, "manager": 3, "administrator": 4}
REFUSED = ("42501", "WM403")
PUBLIC, SHARED = (str(uuid.UUID(int=n)) for n in (1, 2))


class Wall:
    """A superuser's connection that becomes the server's role, in a context that it forges, within a transaction that is always rolled back."""

    def __init__(self, cluster):
        self.connection = cluster.connect("postgres")
        self.owner = cluster.connect()

    @contextlib.contextmanager
    def acting(self, *before, role=None, partner_id=None, account_id=None, server=True, **settings):
        """`before` are statements that take other walls down first."""
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN; SET LOCAL search_path = pg_catalog, public")
            for text in before:
                cursor.execute(text)
            values = {"rank": str(RANKS.get(role, 0)), "partner": partner_id or "", "account": account_id or "", **settings}
            for name, value in values.items():
                cursor.execute("SELECT set_config(%s, %s, true)", (f"wardmote.{name}", value))
            cursor.execute("SET LOCAL ROLE " + ("wardmote_api" if server else "wardmote_owner"))
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    def rows(self, text, values=()):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()


def attempt(cursor, text, values=()):
    """Rows that a statement wrote; None where access refuses it. That a constraint refuses it means that access did not."""
    cursor.execute("SAVEPOINT attempt")
    try:
        cursor.execute(text, values)
        return cursor.rowcount
    except psycopg2.Error as error:
        if error.pgcode[:2] == "23":
            return 1
        if error.pgcode in REFUSED:
            return None
        raise
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT attempt")


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.connection.close()
    wall.owner.close()


def owned_things(wall):
    return [name for (name,) in wall.rows("""SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'writers'
        WHERE c.relnamespace = 'wardmote'::regnamespace AND c.relkind = 'r' ORDER BY 1""")]


def thing_of(resource):
    return (resource[:-3] + "y" if resource.endswith("ies") else resource[:-1]).replace("-", "_")


class Scene:
    """Of each thing a record in each state, the owner's and (where there are such) nobody's; and who they are."""

    def __init__(self, records, partner, other, host, administrator):
        self.partner, self.other, self.host = partner.id, other.id, host["partner_id"]
        self.administered, self.rows = {}, {}
        for resource in records.owned_resources():
            thing = thing_of(resource)
            self.administered[thing] = records.operation(resource)["x-role"] == "administrator"
            maker = administrator if self.administered[thing] else partner.manager
            self.rows[thing] = [records.make(resource, maker, visibility=visibility, grants=grants)["id"] for visibility, grants in (
                ("private", []), ("private", [{"partner_id": other.id, "right": "read"}]), ("private", [{"partner_id": other.id, "right": "write"}]),
                ("shared", []), ("public", []))]
        self.rows["code"].append(records.make("codes", administrator, partner_id=None, visibility="public", maps_to=None)["id"])

    def contexts(self):
        yield {}
        yield {"role": "administrator"}
        yield {"partner_id": self.partner}
        for partner_id in (self.partner, self.other, self.host):
            for role in RANKS:
                yield {"role": role, "partner_id": partner_id}

    def owns(self, thing, owner, context):
        """May this caller make, and delete, records of this owner?"""
        rank = RANKS.get(context.get("role"), 0)
        if self.administered[thing] or owner is None:
            return rank >= 4
        return rank >= 2 and context.get("partner_id") == owner


@pytest.fixture(scope="module", name="scene")
def _scene(records, partner, other, host, administrator):
    return Scene(records, partner, other, host, administrator)


# --- policies, row by row ---

def test_every_thing_is_tried(wall, scene):
    assert sorted(scene.rows) == owned_things(wall)


def test_what_may_be_deleted(wall, scene):
    for context in scene.contexts():
        for thing, ids in scene.rows.items():
            with wall.acting(**context) as cursor:
                cursor.execute(f"SELECT id, partner_id FROM api.{thing} WHERE id = ANY (%s::uuid[])", (ids,))
                seen = dict(cursor.fetchall())
                for identifier in ids:
                    allowed = identifier in seen and scene.owns(thing, seen[identifier], context)
                    # Without a look at the row, so that the policy of reading hides nothing: a condition on no column of it.
                    assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == int(allowed), (thing, context)


def test_what_is_deleted_unseen(wall, scene):
    """The policy of deleting alone: where every row could be read, those of others stay."""
    for thing in scene.rows:
        for context in ({"role": "manager", "partner_id": scene.other}, {"role": "viewer", "partner_id": scene.partner}, {}):
            with wall.acting(f"CREATE POLICY all_read ON wardmote.{thing} FOR SELECT TO wardmote_api USING (true)", f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER USER",
                             **context) as cursor:
                for identifier in scene.rows[thing]:
                    assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == 0, (thing, context)
        if scene.administered[thing]:
            with wall.acting(f"CREATE POLICY all_read ON wardmote.{thing} FOR SELECT TO wardmote_api USING (true)", f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER USER",
                             f"UPDATE wardmote.{thing} SET partner_id = '{scene.partner}' WHERE id = '{scene.rows[thing][0]}'", role="administrator",
                             partner_id=scene.host) as cursor:
                assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (scene.rows[thing][0],)) == 0, "an administrator deletes what it does not see"
                assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (scene.rows[thing][0],)) == 0, "or changes it"


def test_what_may_be_made(wall, scene):
    for thing, ids in scene.rows.items():
        stored = wall.rows(f"SELECT to_jsonb(t) FROM wardmote.{thing} t WHERE id = %s", (ids[3],))[0][0]
        columns = ", ".join(f'"{name}"' for (name,) in wall.rows("""SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0
            AND NOT attisdropped AND attgenerated = ''""", (f"wardmote.{thing}",)))
        for context in scene.contexts():
            for owner in (scene.partner, scene.other, scene.host) + ((None,) if thing == "code" else ()):
                for visibility in ("shared", "private"):
                    row = {**stored, "id": str(uuid.uuid4()), "partner_id": owner, "external_id": None, "visibility": visibility, "grants": []}
                    allowed = scene.owns(thing, owner, context)
                    if scene.administered[thing]:  # nobody makes what it could not see
                        allowed = allowed and context.get("partner_id") is not None and (visibility == "shared" or owner == context["partner_id"])
                    with wall.acting(**context) as cursor:
                        made = attempt(cursor, f"INSERT INTO wardmote.{thing} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::wardmote.{thing}, %s)",
                                       (json.dumps(row),))
                        assert made == (1 if allowed else None), (thing, context, owner, visibility)


def test_what_a_record_may_become(wall, scene):
    """Behind the trigger that guards owner and grants: what is written must again be the writer's to write."""
    for thing, ids in scene.rows.items():
        before = (f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER a_guard",)
        context = {"role": "administrator", "partner_id": scene.host} if scene.administered[thing] else {"role": "officer", "partner_id": scene.partner}
        taken = f"UPDATE wardmote.{thing} SET partner_id = '{scene.other}', visibility = 'private', grants = '[]' WHERE id = '{ids[4]}'"
        with wall.acting(*before, f"CREATE POLICY all_read ON wardmote.{thing} FOR SELECT TO wardmote_api USING (true)", **context) as cursor:
            assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (ids[4],)) == 1, thing
            assert attempt(cursor, taken) is None, thing
        if scene.administered[thing]:  # that only the administrator's rank lets it is one thing, that it must see it another
            with wall.acting(*before, f"CREATE POLICY all_changed ON wardmote.{thing} FOR UPDATE TO wardmote_api USING (true) WITH CHECK (false)", role="manager",
                             partner_id=scene.host) as cursor:
                assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (ids[4],)) is None, thing


def test_the_host_stays_the_host(wall, scene, partner):
    administrator = {"role": "administrator", "partner_id": scene.host}
    with wall.acting(**administrator) as cursor:
        assert attempt(cursor, "DELETE FROM wardmote.partner WHERE id = %s", (scene.host,)) == 0
        assert attempt(cursor, "INSERT INTO wardmote.partner (name, kind, host) VALUES ('Second host', 'council', true)") is None
        assert attempt(cursor, "INSERT INTO wardmote.partner (name, kind) VALUES ('Another', 'council')") == 1
        assert attempt(cursor, "UPDATE wardmote.partner SET host = NOT host WHERE id = %s", (partner.id,)) is None
        assert attempt(cursor, "UPDATE wardmote.partner SET host = NOT host WHERE id = %s", (scene.host,)) is None
    for context in scene.contexts():
        if context.get("role") != "administrator":
            with wall.acting(**context) as cursor:
                assert attempt(cursor, "INSERT INTO wardmote.partner (name, kind) VALUES ('Another', 'council')") is None, context
                assert attempt(cursor, "UPDATE wardmote.partner SET name = name") == 0, context
                assert attempt(cursor, "DELETE FROM wardmote.partner WHERE id = %s", (partner.id,)) == 0, context
    # And what is changed must be the changer's to change afterwards, too: a wall that no statement of ours comes to.
    with wall.acting("CREATE POLICY all_changed ON wardmote.partner FOR UPDATE TO wardmote_api USING (true) WITH CHECK (false)", role="manager",
                     partner_id=partner.id) as cursor:
        assert attempt(cursor, "UPDATE wardmote.partner SET name = name WHERE id = %s", (partner.id,)) is None


# --- references ---

def references(wall):
    return wall.rows("SELECT thing, column_name, member, other, is_array FROM wardmote.reference ORDER BY 1, 2, 4")


def named(member, is_array, identifier):
    if member is not None:
        return json.dumps([{member: identifier, "right": "read"}]), "jsonb"
    return ("{%s}" % identifier, "uuid[]") if is_array else (identifier, "uuid")


def test_nothing_refers_to_nothing(wall, scene, records):
    """Written past all checks of the statements, by the owner of the tables: the reference itself refuses, and holds what it names."""
    tried = 0
    for thing, column, member, other, is_array in references(wall):
        value, kind = named(member, is_array, absent_id())
        # Other triggers of the table would speak first; a reference of many is a trigger itself.
        alone = () if is_array else (f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER USER",)
        with wall.acting(*alone, server=False) as cursor:
            cursor.execute(f"SELECT id FROM wardmote.{thing} ORDER BY id DESC LIMIT 1")
            identifier = cursor.fetchone()[0]
            with pytest.raises(psycopg2.errors.ForeignKeyViolation):
                cursor.execute(f"UPDATE wardmote.{thing} SET {column} = %s::{kind} WHERE id = %s", (value, identifier))
        # A target of its own, which nothing else holds.
        resource = next((name for name in records.owned_resources() if thing_of(name) == other), other + "s")
        target = records.make(resource, visibility="public")["id"] if resource in records.owned_resources() else records.partner().id
        value, kind = named(member, is_array, target)
        with wall.acting(*alone, "ALTER TABLE wardmote.account DISABLE TRIGGER USER", f"DELETE FROM wardmote.account WHERE partner_id = '{target}'", server=False) as cursor:
            cursor.execute(f"UPDATE wardmote.{thing} SET {column} = %s::{kind} WHERE id = %s", (value, identifier))
            with pytest.raises(psycopg2.errors.ForeignKeyViolation):
                cursor.execute(f"DELETE FROM wardmote.{other} WHERE id = %s", (target,))
        with wall.acting("ALTER TABLE wardmote.account DISABLE TRIGGER USER", f"DELETE FROM wardmote.account WHERE partner_id = '{target}'", server=False) as cursor:
            cursor.execute(f"DELETE FROM wardmote.{other} WHERE id = %s", (target,))
            assert cursor.rowcount == 1, "what nobody names can go"
        tried += 1
    assert tried > 20


def test_what_depends_is_counted(wall, records, host):
    """wardmote.dependants_*: each reference that names a record, seen or not, and none that does not."""
    for thing, column, member, other, is_array in references(wall):
        resource = next((name for name in records.owned_resources() if thing_of(name) == other), other + "s")
        target = records.make(resource, visibility="public")["id"] if resource in records.owned_resources() else records.partner().id
        value, kind = named(member, is_array, target)
        with wall.acting(f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER USER", server=False) as cursor:
            cursor.execute(f"SELECT field, n FROM wardmote.dependants_{other}(%s)", (target,))
            before = dict(cursor.fetchall())
            cursor.execute(f"SELECT id FROM wardmote.{thing} WHERE id <> %s AND coalesce({column}::text, '') NOT LIKE %s ORDER BY id DESC LIMIT 1", (target, f"%{target}%"))
            cursor.execute(f"UPDATE wardmote.{thing} SET {column} = %s::{kind} WHERE id = %s", (value, cursor.fetchone()[0]))
            cursor.execute(f"SELECT resource, field, n FROM wardmote.dependants_{other}(%s)", (target,))
            after = cursor.fetchall()
            assert {(field, n) for _, field, n in after} - set(before.items()) != set(), (thing, column)
            cursor.execute(f"SELECT n FROM wardmote.dependants_{other}(%s)", (absent_id(),))
            assert cursor.fetchall() == [], (thing, column)
    assert host


# --- versions ---

LIFE = (("private", None), ("private", "read"), ("shared", None), ("public", None))


def test_whose_versions_each_view_shows(wall, records, partner, other, host, administrator):
    """Of a record that was private, granted, shared and then public each reader sees the versions that it could see then; once it is hidden or deleted none."""
    third = records.partner()
    for resource in records.owned_resources():
        thing, administered = thing_of(resource), records.operation(resource)["x-role"] == "administrator"
        owner, client = (host["partner_id"], administrator) if administered else (partner.id, partner.manager)
        record = records.make(resource, client, visibility="private", grants=[])
        for visibility, right in LIFE[1:]:
            body = {"visibility": visibility, "grants": [{"partner_id": other.id, "right": right}] if right else []}
            with wall.owner.cursor() as cursor:
                cursor.execute(f"UPDATE wardmote.{thing} SET visibility = %s, grants = %s WHERE id = %s", (body["visibility"], json.dumps(body["grants"]), record["id"]))
        guard = f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER a_guard"
        steps = [("as it is", ()), ("hidden", (guard, f"UPDATE wardmote.{thing} SET visibility = 'private' WHERE id = '{record['id']}'")),
                 ("deleted", (f"DELETE FROM wardmote.{thing} WHERE id = '{record['id']}'",))]
        wanted = {"as it is": {None: (1, 0), third.id: (2, 1), other.id: (3, 2), owner: (4, 3)}, "hidden": {None: (0, 0), third.id: (0, 0), other.id: (0, 0), owner: (5, 4)},
                  "deleted": {None: (0, 0), third.id: (0, 0), other.id: (0, 0), owner: (5, 5)}}
        for name, before in steps:
            for reader, (versions, past) in wanted[name].items():
                with wall.acting(*before, role="manager" if reader else None, partner_id=reader) as cursor:
                    cursor.execute(f"SELECT (SELECT count(*) FROM api.{thing}_version WHERE id = %(id)s), (SELECT count(*) FROM api.{thing}_past WHERE id = %(id)s)",
                                   {"id": record["id"]})
                    assert cursor.fetchone() == (versions, past), (thing, name, reader)


# --- rights ---

# What the server's role may call: the doors, and what its statements and the views are made of.
CALLED = {
    "auth": "client_credentials enrol_begin enrol_finish enrolment_create erase login_begin login_finish my_sessions my_sessions_end password_begin password_change"
            " refresh revoke secret_rotate session_end sweep",
    "wardmote": "again claim_key code_uses consultation_gates consultation_moves consultation_place csv ctx_account ctx_partner ctx_rank forget_keys granted has_manager"
                " key_lifetime may_administer may_manage may_write moved_on owns risk_register_scored risk_scale_has risk_scale_lost risk_scale_misses role_rank"
                " sequence_changes today uuid7 within_scopes",
    "api": ""}


def test_what_the_servers_role_may_touch(wall):
    """Tables that have policies for it and no other; views to read; functions of the list above; no schema of histories; nothing to make."""
    written = wall.rows("""SELECT c.oid::regclass::text, k.kind FROM pg_class c CROSS JOIN unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS k (kind)
        WHERE c.relnamespace = 'api'::regnamespace AND has_table_privilege('wardmote_api', c.oid, k.kind)""")
    assert written == [], "views are for reading: through one a statement writes with its owner's rights"
    touched = wall.rows("""SELECT c.relname, k.kind FROM pg_class c CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS k (kind)
        WHERE c.relnamespace::regnamespace::text IN ('wardmote', 'history', 'auth') AND c.relkind IN ('r', 'p') AND has_table_privilege('wardmote_api', c.oid, k.kind)
            AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND 'wardmote_api'::regrole = ANY (p.polroles)
                AND p.polcmd IN ('*', CASE k.kind WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w' WHEN 'DELETE' THEN 'd' END))""")
    assert touched == []
    assert wall.rows("SELECT has_table_privilege('wardmote_api', 'wardmote.idempotency', 'UPDATE'), has_table_privilege('wardmote_api', 'wardmote.account', 'DELETE')"
                     ) == [(False, False)]
    for schema, names in CALLED.items():
        called = {name for (name,) in wall.rows("""SELECT proname FROM pg_proc WHERE pronamespace = %s::regnamespace
            AND has_function_privilege('wardmote_api', oid, 'EXECUTE') AND proname NOT LIKE 'dependants\\_%%'""", (schema,))}
        assert called == set(names.split()), schema
    assert wall.rows("""SELECT n.nspname, has_schema_privilege('wardmote_api', n.oid, 'USAGE'), has_schema_privilege('wardmote_api', n.oid, 'CREATE') FROM pg_namespace n
        WHERE n.nspname IN ('wardmote', 'history', 'auth', 'api', 'public') ORDER BY 1""") == [
            ("api", True, False), ("auth", True, False), ("history", False, False), ("public", True, False), ("wardmote", True, False)]
