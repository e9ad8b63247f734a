# SPDX-License-Identifier: AGPL-3.0-or-later
"""Each wall of the database by itself, for every table that there is, with the walls before it taken down where they would hide it: what a policy admits row
by row, what a reference holds, whose versions a view shows, and what the server's role may touch at all."""
import json
import uuid

import psycopg2
import pytest

from wall import RANKS, Wall, attempt
from wardmote_suite import committed_document
from wardmote_client import Contract
from wardmote_records import Records, absent_id, unique


def thing_of(resource):
    return (resource[:-3] + "y" if resource.endswith("ies") else resource[:-1]).replace("-", "_")


COMMITTED = Records(None, Contract(committed_document()))
RESOURCES = {thing_of(resource): resource for resource in COMMITTED.owned_resources()}
ADMINISTERED = {thing for thing, resource in RESOURCES.items() if COMMITTED.operation(resource)["x-role"] == "administrator"}
each_thing = pytest.mark.parametrize("thing", sorted(RESOURCES))


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.close()


class Scene:
    """Of each thing a record in each state, the owner's and (where there are such) nobody's; and who they are."""

    def __init__(self, records, partner, other, host, administrator):
        self.partner, self.other, self.host = partner.id, other.id, host["partner_id"]
        self.rows = {}
        for thing, resource in RESOURCES.items():
            maker = administrator if thing in ADMINISTERED else partner.manager
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

    @staticmethod
    def owns(thing, owner, context):
        """May this caller make, and delete, records of this owner?"""
        rank = RANKS.get(context.get("role"), 0)
        if thing in ADMINISTERED or owner is None:
            return rank >= 4
        return rank >= 2 and context.get("partner_id") == owner


@pytest.fixture(scope="module", name="scene")
def _scene(records, partner, other, host, administrator):
    return Scene(records, partner, other, host, administrator)


def columns_of(wall, thing):
    return ", ".join(f'"{name}"' for (name,) in wall.rows("""SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        AND attgenerated = '' ORDER BY attnum""", (f"wardmote.{thing}",)))


def insert(cursor, wall, thing, row):
    columns = columns_of(wall, thing)
    return attempt(cursor, f"INSERT INTO wardmote.{thing} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::wardmote.{thing}, %s)", (json.dumps(row),))


# --- policies, row by row ---

def all_read(thing):
    return f"CREATE POLICY all_read ON wardmote.{thing} FOR SELECT TO wardmote_api USING (true)"


def no_triggers(thing):
    return f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER USER"


def test_every_thing_is_tried(wall):
    read_only = {thing_of(prefix.removeprefix("/v1/")) for prefix in COMMITTED.makers if prefix.startswith("/v1/")}
    assert sorted({*RESOURCES, *read_only}) == [name for (name,) in wall.rows("""SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'writers'
        WHERE c.relnamespace = 'wardmote'::regnamespace AND c.relkind = 'r' ORDER BY 1""")]


@each_thing
def test_what_may_be_deleted(wall, scene, thing):
    for context in scene.contexts():
        ids = scene.rows[thing]
        with wall.acting(**context) as cursor:
            cursor.execute(f"SELECT id, partner_id FROM api.{thing} WHERE id = ANY (%s::uuid[])", (ids,))
            seen = dict(cursor.fetchall())
            for identifier in ids:
                allowed = identifier in seen and scene.owns(thing, seen[identifier], context)
                assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == int(allowed), context


@each_thing
def test_what_is_deleted_unseen(wall, scene, thing):
    """The policy of deleting alone: where every row could be read, those of others stay. So does what an administrator does not see."""
    for context in ({"role": "manager", "partner_id": scene.other}, {"role": "viewer", "partner_id": scene.partner}, {}):
        with wall.acting(all_read(thing), no_triggers(thing), **context) as cursor:
            for number, identifier in enumerate(scene.rows[thing]):
                assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == 0, context
                granted = number == 2 and thing not in ADMINISTERED and context.get("partner_id") == scene.other
                assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (identifier,)) == int(granted), context
    if thing in ADMINISTERED:
        identifier = scene.rows[thing][0]
        given_away = f"UPDATE wardmote.{thing} SET partner_id = '{scene.partner}' WHERE id = '{identifier}'"
        with wall.acting(all_read(thing), no_triggers(thing), given_away, role="administrator", partner_id=scene.host) as cursor:
            assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == 0
            assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (identifier,)) == 0
        shared = f"UPDATE wardmote.{thing} SET visibility = 'shared' WHERE id = '{identifier}'"
        with wall.acting(all_read(thing), no_triggers(thing), shared, role="administrator") as cursor:
            assert attempt(cursor, f"DELETE FROM wardmote.{thing} WHERE id = %s", (identifier,)) == 0, "who is of no partner sees nothing shared"
            assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (identifier,)) == 0


@each_thing
def test_what_may_be_made(wall, scene, thing):
    stored = wall.rows(f"SELECT to_jsonb(t) FROM wardmote.{thing} t WHERE id = %s", (scene.rows[thing][3],))[0][0]
    for context in scene.contexts():
        for owner in (scene.partner, scene.other, scene.host) + ((None,) if thing == "code" else ()):
            for visibility in ("public", "shared", "private"):
                row = {**stored, "id": str(uuid.uuid4()), "partner_id": owner, "external_id": None, "visibility": visibility, "grants": []}
                allowed = scene.owns(thing, owner, context)
                if thing in ADMINISTERED:  # nobody makes what it could not see
                    allowed = allowed and (visibility == "public" or (visibility == "shared" and "partner_id" in context) or owner == context.get("partner_id"))
                with wall.acting(**context) as cursor:
                    assert insert(cursor, wall, thing, row) == (1 if allowed else None), (context, owner, visibility)


@each_thing
def test_what_a_record_may_become(wall, scene, thing):
    """Behind the trigger that guards owner and grants: what is written must again be the writer's to write."""
    identifier = scene.rows[thing][4]
    context = {"role": "administrator", "partner_id": scene.host} if thing in ADMINISTERED else {"role": "officer", "partner_id": scene.partner}
    with wall.acting(all_read(thing), no_triggers(thing), **context) as cursor:
        assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (identifier,)) == 1
        assert attempt(cursor, f"UPDATE wardmote.{thing} SET partner_id = %s, visibility = 'private', grants = '[]' WHERE id = %s", (scene.other, identifier)) is None
    if thing in ADMINISTERED:
        changes = f"CREATE POLICY all_changed ON wardmote.{thing} FOR UPDATE TO wardmote_api USING (true) WITH CHECK (false)"
        for context in ({"role": "manager", "partner_id": scene.host}, {"role": "manager"}):
            with wall.acting(all_read(thing), no_triggers(thing), changes, **context) as cursor:
                assert attempt(cursor, f"UPDATE wardmote.{thing} SET source = 'x' WHERE id = %s", (identifier,)) is None
        with wall.acting(all_read(thing), no_triggers(thing), changes, role="administrator") as cursor:
            assert attempt(cursor, f"UPDATE wardmote.{thing} SET visibility = 'shared' WHERE id = %s", (identifier,)) is None
            assert attempt(cursor, f"UPDATE wardmote.{thing} SET visibility = 'public' WHERE id = %s", (identifier,)) == 1


@each_thing
def test_the_guard_holds_by_itself(wall, scene, thing):
    """Where policies let everybody read and change: whose a record is never changes, who sees it is its owner's business, grants are a manager's; but
    administrators do as they like with what they run."""
    everything = [all_read(thing), f"CREATE POLICY all_changed ON wardmote.{thing} FOR UPDATE TO wardmote_api USING (true) WITH CHECK (true)",
                  f"CREATE POLICY all_made ON wardmote.{thing} FOR INSERT TO wardmote_api WITH CHECK (true)"]
    identifier, owner = scene.rows[thing][4], scene.host if thing in ADMINISTERED else scene.partner
    stored = wall.rows(f"SELECT to_jsonb(t) FROM wardmote.{thing} t WHERE id = %s", (identifier,))[0][0]
    grants = json.dumps([{"partner_id": scene.other, "right": "read"}])
    wanted = [  # who, and may it change the owner, the visibility, the grants; make a record with grants
        ("officer", owner, (False, True, False, False)), ("manager", owner, (False, True, True, True)), ("manager", scene.other, (False, False, False, True)),
        ("administrator", scene.other, (True,) * 4 if thing in ADMINISTERED else (False, False, False, True))]
    for role, partner_id, allowed in wanted:
        with wall.acting(*everything, role=role, partner_id=partner_id) as cursor:
            update = f"UPDATE wardmote.{thing} SET %s WHERE id = '{identifier}'"
            found = [attempt(cursor, update % change) for change in ("source = 'x'", f"partner_id = '{scene.other}'", "visibility = 'private'", f"grants = '{grants}'")]
            row = {**stored, "id": str(uuid.uuid4()), "external_id": None, **({"code": unique("guard")} if "code" in stored else {})}
            found += [insert(cursor, wall, thing, {**row, "grants": json.loads(grants)}), insert(cursor, wall, thing, row)]
            assert found == [1, *(1 if may else None for may in allowed), 1], (role, partner_id)


def test_the_host_stays_the_host(wall, scene, partner):
    with wall.acting(role="administrator", partner_id=scene.host) as cursor:
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

def references(wall, thing):
    found = wall.rows("SELECT column_name, member, other, is_array FROM wardmote.reference WHERE thing = %s ORDER BY 1, 3", (thing,))
    assert found
    return found


def named(member, is_array, identifier):
    if member is not None:
        return json.dumps([{member: identifier, "right": "read"}]), "jsonb"
    return ("{%s}" % identifier, "uuid[]") if is_array else (identifier, "uuid")


def one_of_two(cursor, thing):
    """A reference that may only be there instead of another one is tried alone."""
    cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%%num_nonnulls%%'", (f"wardmote.{thing}",))
    for (name,) in cursor.fetchall():
        cursor.execute(f"ALTER TABLE wardmote.{thing} DROP CONSTRAINT {name}")


def copied(cursor, wall, scene, thing):
    """A record of its own, which nothing refers to and which is gone with the transaction."""
    identifier = str(uuid.uuid4())
    if thing == "partner":
        cursor.execute("INSERT INTO wardmote.partner (id, name, kind) VALUES (%s, 'Copied', 'other')", (identifier,))
        return identifier
    row = wall.rows(f"SELECT to_jsonb(t) FROM wardmote.{thing} t WHERE id = %s", (scene.rows[thing][4],))[0][0]
    columns = columns_of(wall, thing)
    cursor.execute(f"INSERT INTO wardmote.{thing} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::wardmote.{thing}, %s)",
                   (json.dumps({**row, "id": identifier, "external_id": None, **({"code": unique("copied")} if "code" in row else {})}),))
    return identifier


REFERRING = sorted([*RESOURCES, "partner", "account"])


@pytest.mark.parametrize("thing", REFERRING)
def test_nothing_refers_to_nothing(wall, scene, partner, thing):
    """Written past all checks of the statements, by the owner of the tables: the reference itself refuses, and holds what it names."""
    identifier = scene.rows[thing][3] if thing in RESOURCES else partner.id
    if thing == "account":
        identifier = wall.rows("SELECT id FROM wardmote.account WHERE partner_id = %s LIMIT 1", (partner.id,))[0][0]
    for column, member, other, is_array in references(wall, thing):
        # Other triggers of the table would speak first; a reference of many is a trigger itself.
        alone = () if is_array else (no_triggers(thing),)
        update = f"UPDATE wardmote.{thing} SET {column} = %s::{'jsonb' if member else 'uuid[]' if is_array else 'uuid'} WHERE id = %s"
        with wall.acting(*alone, server=False) as cursor:
            one_of_two(cursor, thing)
            for value in [named(member, is_array, absent_id())[0]]:
                with pytest.raises(psycopg2.errors.ForeignKeyViolation):
                    cursor.execute(update, (value, identifier))
        with wall.acting(*alone, server=False) as cursor:
            one_of_two(cursor, thing)
            target = copied(cursor, wall, scene, other)
            cursor.execute("SAVEPOINT made")
            cursor.execute(f"DELETE FROM wardmote.{other} WHERE id = %s", (target,))
            assert cursor.rowcount == 1, "what nobody names can go"
            cursor.execute("ROLLBACK TO SAVEPOINT made")
            cursor.execute(update, (named(member, is_array, target)[0], identifier))
            with pytest.raises(psycopg2.errors.ForeignKeyViolation):
                cursor.execute(f"DELETE FROM wardmote.{other} WHERE id = %s", (target,))


@pytest.mark.parametrize("thing", REFERRING)
def test_what_depends_is_counted(wall, scene, partner, thing):
    """wardmote.dependants_*: each reference that names a record, and none that does not; none of a record to itself. Of what the caller does not see: only that it is there."""
    identifier = scene.rows[thing][3] if thing in RESOURCES else partner.id
    if thing == "account":
        identifier = wall.rows("SELECT id FROM wardmote.account WHERE partner_id = %s LIMIT 1", (partner.id,))[0][0]
    for column, member, other, is_array in references(wall, thing):
        with wall.acting(no_triggers(thing), server=False, role="administrator", partner_id=partner.id) as cursor:
            one_of_two(cursor, thing)
            target = copied(cursor, wall, scene, other)

            def counted(cursor=cursor, other=other, target=target):
                cursor.execute(f"SELECT field, n FROM wardmote.dependants_{other}(%s)", (target,))
                return cursor.fetchall()

            assert counted() == [], "it is named by nothing"
            value, kind = named(member, is_array, target)
            cursor.execute(f"UPDATE wardmote.{thing} SET {column} = %s::{kind} WHERE id = %s", (value, identifier))
            assert counted() == [(column, 1)]
            cursor.execute("SELECT set_config('wardmote.rank', '0', true), set_config('wardmote.partner', '', true), set_config('wardmote.account', '', true)")
            cursor.execute(f"SELECT count(*) FROM api.{thing} WHERE id = %s", (identifier,))
            seen = cursor.fetchone() == (1,) or thing == "partner"  # everybody sees partners
            assert counted() == [(column, 1) if seen else (None, None)], "of a stranger"
        if other == thing:
            alone = f"ALTER TABLE wardmote.{thing} DROP CONSTRAINT IF EXISTS {thing}_{column}_self"
            with wall.acting(alone, no_triggers(thing), server=False) as cursor:
                value, kind = named(member, is_array, identifier)
                cursor.execute(f"UPDATE wardmote.{thing} SET {column} = %s::{kind} WHERE id = %s", (value, identifier))
                cursor.execute(f"SELECT count(*) FROM wardmote.dependants_{thing}(%s) WHERE resource = %s AND field = %s", (identifier, RESOURCES.get(thing, f"{thing}s"), column))
                assert cursor.fetchone() == (0,), "of itself"


def test_trees_and_scales_hold_by_themselves(wall, records, administrator, partner):
    """Past the statements' own checks: no circle of localities, no score beside its scale, no scale taken from under scores."""
    upper, lower = (records.make("localities", administrator)["id"] for _ in range(2))
    steps = [{"value": value, "label": str(value)} for value in (1, 2, 3)]
    scale, spare = (records.make("risk-scales", administrator, visibility="public", likelihood=steps, impact=steps)["id"] for _ in range(2))
    register = records.make("risk-registers", partner.manager, risk_scale_id=scale)["id"]
    records.make("risk-registers", partner.manager, risk_scale_id=spare)  # in which nothing is scored
    risk = records.make("risks", partner.manager, risk_register_id=register, likelihood=2, impact=3)["id"]
    few = json.dumps(steps[:1])
    refused = [
        (f"UPDATE wardmote.locality SET parent_id = '{upper}' WHERE id = '{lower}'", f"UPDATE wardmote.locality SET parent_id = '{lower}' WHERE id = '{upper}'"),
        ("SELECT", f"UPDATE wardmote.risk SET likelihood = 4 WHERE id = '{risk}'"),
        ("SELECT", f"UPDATE wardmote.risk SET impact = 4 WHERE id = '{risk}'"),
        ("SELECT", f"UPDATE wardmote.risk_scale SET likelihood = '{few}' WHERE id = '{scale}'"),
        ("SELECT", f"UPDATE wardmote.risk_scale SET impact = '{few}' WHERE id = '{scale}'"),
        ("SELECT", f"UPDATE wardmote.risk_register SET risk_scale_id = '{spare}' WHERE id = '{register}'")]
    for before, text in refused:
        with wall.acting(server=False) as cursor:
            cursor.execute(before)
            with pytest.raises(psycopg2.errors.CheckViolation):
                cursor.execute(text)
    allowed = [f"UPDATE wardmote.risk SET likelihood = 3, impact = 1 WHERE id = '{risk}'", f"UPDATE wardmote.risk_scale SET likelihood = '{few}' WHERE id = '{spare}'",
               f"UPDATE wardmote.risk SET likelihood = NULL, impact = NULL WHERE id = '{risk}'; UPDATE wardmote.risk_register SET risk_scale_id = '{spare}' WHERE id = '{register}'",
               f"UPDATE wardmote.locality SET parent_id = '{upper}' WHERE id = '{lower}'"]
    for text in allowed:
        with wall.acting(server=False) as cursor:
            cursor.execute(text)


# --- versions ---

LIFE = (("private", None), ("private", "read"), ("shared", None), ("public", None))


@each_thing
def test_whose_versions_each_view_shows(wall, records, partner, other, host, administrator, thing):
    """Of a record that was private, granted, shared and then public each reader sees the versions that it could see then; once it is hidden or deleted none."""
    third = str(uuid.uuid4())  # any other partner
    owner, client = (host["partner_id"], administrator) if thing in ADMINISTERED else (partner.id, partner.manager)
    record = records.make(RESOURCES[thing], client, visibility="private", grants=[])
    with wall.owner.cursor() as cursor:
        for visibility, right in LIFE[1:]:
            grants = json.dumps([{"partner_id": other.id, "right": right}] if right else [])
            cursor.execute(f"UPDATE wardmote.{thing} SET visibility = %s, grants = %s WHERE id = %s", (visibility, grants, record["id"]))
    guard = f"ALTER TABLE wardmote.{thing} DISABLE TRIGGER a_guard"
    columns, gone = columns_of(wall, thing), uuid.uuid4()  # who deleted a record of its own sees the past of that one
    copy = {"id": str(gone), "partner_id": other.id, "external_id": None, **({"code": unique("gone")} if "code" in columns else {})}
    deleted = (f"INSERT INTO wardmote.{thing} ({columns}) SELECT {columns} FROM jsonb_populate_record((SELECT t FROM wardmote.{thing} t WHERE id = '{record['id']}'), '{json.dumps(copy)}')",
               f"DELETE FROM wardmote.{thing} WHERE id = '{gone}'")
    hidden = {None: (0, 0), third: (0, 0), other.id: (0, 0)}
    steps = [((), {None: (1, 0), third: (2, 1), other.id: (3, 2), owner: (4, 3)}),
             ((guard, f"UPDATE wardmote.{thing} SET visibility = 'private' WHERE id = '{record['id']}'"), {**hidden, owner: (5, 4)}),
             ((f"DELETE FROM wardmote.{thing} WHERE id = '{record['id']}'",), {**hidden, owner: (5, 5)})]
    for before, wanted in steps:
        for reader, counts in wanted.items():
            with wall.acting(*deleted, *before, role="manager" if reader else None, partner_id=reader) as cursor:
                cursor.execute(f"SELECT (SELECT count(*) FROM api.{thing}_version WHERE id = %(id)s), (SELECT count(*) FROM api.{thing}_past WHERE id = %(id)s)",
                               {"id": record["id"]})
                assert cursor.fetchone() == counts, (before, reader)


# --- rights ---

# What the server's role may call: the doors, and what its statements and the views are made of.
CALLED = {
    "auth": "client_assertion client_credentials client_key enrol_begin enrol_finish enrolment_create erase introspect login_begin login_finish my_sessions my_sessions_end password_begin password_change"
            " refresh revoke revoke_token secret_rotate secrets_end session_end sweep",
    "wardmote": "again claim_key code_uses consultation_gates consultation_moves consultation_place ctx_account ctx_partner ctx_rank expect_timeline forget_keys granted"
                " has_manager key_lifetime may_administer may_manage may_write moved_on owns risk_register_scored risk_scale_has risk_scale_lost risk_scale_misses role_rank"
                " sequence_changes today uuid7 within_scopes around axes_swapped box may_read position prune prune_next public_jwks public_url descendants"
                " localities_at localities_meeting localities_near national postcode_key postcode_point simplified matched matches overlap_step sharing"
                " import_apply import_begin import_fail import_stage import_touch"
                " may_fill locality_and_above hsds_id hsds_organization hsds_contacts hsds_service_areas hsds_attributes hsds_locations hsds_service hsds_page"
                " bare era find_words has_column import_analyse is_at_home is_other_shape loosely plural search_statement searched too_wide"
                " area_of ogc_box ogc_days ogc_describe ogc_extent ogc_features ogc_link ogc_shape tile_box url_segment web_shape in_force lacks last_day",
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
        assert called == set(names.split()), (schema, called ^ set(names.split()))
    assert wall.rows("""SELECT n.nspname, has_schema_privilege('wardmote_api', n.oid, 'USAGE'), has_schema_privilege('wardmote_api', n.oid, 'CREATE') FROM pg_namespace n
        WHERE n.nspname IN ('wardmote', 'history', 'auth', 'api', 'public') ORDER BY 1""") == [
            ("api", True, False), ("auth", True, False), ("history", False, False), ("public", True, False), ("wardmote", True, False)]
