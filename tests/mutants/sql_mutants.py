# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mutants of the database, read from its catalog: each policy, each condition of a view, each condition of a function that a request reaches, each trigger and
foreign key, and each right that the server's role does not have. A new table brings its mutants along. Each is a statement that weakens one wall, and one
that puts it back, so that they take turns on one database."""
import collections
import hashlib
import re

import expressions

SCHEMAS = ("wardmote", "history", "auth", "api")
# What is reached and decides nothing about access: what is written down of a change, the rules of a consultation's life, forms of values, tidying.
NO_WALLS = re.compile(r"track_\w+|stamp|consultation_\w+|risk_scale_has|uuid7|today|sweep|forget_keys|sequence_changes|plural|prune|position|box|around|public_url|axes_swapped")
Mutant = collections.namedtuple("Mutant", "id group apply revert")


class Catalog:
    def __init__(self, connection):
        self.connection = connection
        with connection.cursor() as cursor:
            cursor.execute("SET search_path = pg_catalog; SET check_function_bodies = off")

    def rows(self, text, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall()


def label(text, edit):
    """What identifies an edit in a report: the condition itself, on one line; a long one is cut, and told from its like by a sum."""
    part = " ".join(text[edit.start:edit.end].split())
    sum_ = hashlib.sha256(f"{edit.start}:{part}".encode()).hexdigest()[:6]
    return f"{part if len(part) <= 90 else part[:87] + '...'} -> {edit.value} #{sum_}"


# --- policies ---

def policies(catalog):
    """Each policy dropped; each condition in it taken for true; each table no longer forced, or without policies at all."""
    for table, name, roles, command, using, check in catalog.rows("""
            SELECT c.oid::regclass::text, quote_ident(p.polname), (SELECT string_agg(quote_ident(r.rolname), ', ') FROM pg_roles r WHERE r.oid = ANY (p.polroles)),
                CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace::regnamespace::text = ANY (%s) ORDER BY 1, 2""", list(SCHEMAS)):
        parts = [("USING", using), ("WITH CHECK", check)]
        whole = "".join(f" {clause} ({text})" for clause, text in parts if text is not None)
        yield Mutant(f"policy {name} on {table}: dropped", "policies", [f"DROP POLICY {name} ON {table}"],
                     [f"CREATE POLICY {name} ON {table} FOR {command} TO {roles}{whole}"])
        for clause, text in parts:
            if text is None or text == "true":
                continue
            row = [expressions.Edit(0, len(text), "true")] + expressions.edits(text)
            for edit in {expressions.bare(text, edit): edit for edit in row}:
                yield Mutant(f"policy {name} on {table}, {clause}: {label(text, edit)}", "policies",
                             [f"ALTER POLICY {name} ON {table} {clause} ({expressions.apply(text, edit)})"],
                             [f"ALTER POLICY {name} ON {table} {clause} ({text})"])
    for (table,) in catalog.rows("SELECT c.oid::regclass::text FROM pg_class c WHERE c.relrowsecurity AND c.relnamespace::regnamespace::text = ANY (%s) ORDER BY 1",
                                 list(SCHEMAS)):
        yield Mutant(f"table {table}: not forced", "policies", [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"], [f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"])
        yield Mutant(f"table {table}: policies off", "policies", [f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"], [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"])


# --- views ---

def views(catalog):
    """Each condition in each view that the server reads."""
    for name, text in catalog.rows("""SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c
            WHERE c.relkind = 'v' AND c.relnamespace = 'api'::regnamespace ORDER BY 1"""):
        text = text.rstrip().rstrip(";")
        for edit in expressions.edits(text):
            yield Mutant(f"view {name}: {label(text, edit)}", "views", [f"CREATE OR REPLACE VIEW {name} AS {expressions.apply(text, edit)}"],
                         [f"CREATE OR REPLACE VIEW {name} AS {text}"])


# --- functions, triggers, references ---

def reached(catalog):
    """Functions that a request can reach: those that the server's role may call, those of triggers, and what these, views and policies call."""
    found = {oid: (name, body) for oid, name, body in catalog.rows("""
        SELECT p.oid, p.proname, p.prosrc FROM pg_proc p WHERE p.pronamespace::regnamespace::text IN ('wardmote', 'auth') AND p.prokind = 'f'""")}
    chosen = {oid for (oid,) in catalog.rows("""
        SELECT p.oid FROM pg_proc p WHERE p.pronamespace::regnamespace::text IN ('wardmote', 'auth') AND (p.prorettype = 'trigger'::regtype
            OR has_function_privilege('wardmote_api', p.oid, 'EXECUTE')
            OR EXISTS (SELECT FROM pg_depend d WHERE d.refobjid = p.oid AND d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass)))""")}
    while True:
        called = set(re.findall(r"\b(?:wardmote|auth)\.(\w+)\(", "\n".join(found[oid][1] for oid in chosen)))
        more = {oid for oid, (name, _) in found.items() if name in called} - chosen
        if not more:
            return {oid for oid in chosen if not NO_WALLS.fullmatch(found[oid][0])}
        chosen |= more


def functions(catalog):
    """Each condition in each function that a request reaches, true and false. Those that answer yes or no are taken for yes, too; those with the owner's rights
    lose their fixed search path."""
    for oid, name, body, definition, boolean, definer in catalog.rows("""
            SELECT p.oid, p.oid::regprocedure::text, p.prosrc, pg_get_functiondef(p.oid), p.prorettype = 'boolean'::regtype AND l.lanname = 'sql', p.prosecdef
            FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.oid = ANY (%s) ORDER BY 2""", list(reached(catalog))):
        at = definition.index(body)
        for edit in expressions.edits(body, boolean):
            mutated = definition[:at] + expressions.apply(body, edit) + definition[at + len(body):]
            yield Mutant(f"function {name}: {label(body, edit)}", "functions", [mutated], [definition])
        if definer:
            yield Mutant(f"function {name}: search path of its caller", "functions", [f"ALTER FUNCTION {name} RESET search_path"], [definition])


def guards(catalog):
    """Each trigger off, each foreign key dropped."""
    for table, name in catalog.rows("""SELECT c.oid::regclass::text, quote_ident(t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE NOT t.tgisinternal AND c.relnamespace::regnamespace::text = ANY (%s) ORDER BY 1, 2""", list(SCHEMAS)):
        yield Mutant(f"trigger {name} on {table}: off", "references", [f"ALTER TABLE {table} DISABLE TRIGGER {name}"], [f"ALTER TABLE {table} ENABLE TRIGGER {name}"])
    for table, name, text in catalog.rows("""SELECT k.conrelid::regclass::text, quote_ident(k.conname), pg_get_constraintdef(k.oid) FROM pg_constraint k
            WHERE k.contype = 'f' AND k.connamespace::regnamespace::text = ANY (%s) ORDER BY 1, 2""", list(SCHEMAS)):
        yield Mutant(f"reference {name} of {table}: dropped", "references", [f"ALTER TABLE {table} DROP CONSTRAINT {name}"],
                     [f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}"])


# --- rights ---

def rights(catalog):
    """Each right on a table, view, function or schema that the server's role does not have, given to it; what the role itself is not, made of it."""
    for relation, kind in catalog.rows("""
            SELECT c.oid::regclass::text, k.kind FROM pg_class c CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS k (kind)
            WHERE c.relnamespace::regnamespace::text = ANY (%s) AND c.relkind IN ('r', 'v') AND NOT has_table_privilege('wardmote_api', c.oid, k.kind)
            ORDER BY 1, 2""", list(SCHEMAS)):
        yield Mutant(f"right {kind} on {relation}: granted", "rights", [f"GRANT {kind} ON {relation} TO wardmote_api"], [f"REVOKE {kind} ON {relation} FROM wardmote_api"])
    for (name,) in catalog.rows("""SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace::regnamespace::text = ANY (%s)
            AND NOT has_function_privilege('wardmote_api', p.oid, 'EXECUTE') ORDER BY 1""", list(SCHEMAS)):
        yield Mutant(f"right EXECUTE on {name}: granted", "rights", [f"GRANT EXECUTE ON FUNCTION {name} TO wardmote_api"],
                     [f"REVOKE EXECUTE ON FUNCTION {name} FROM wardmote_api"])
        yield Mutant(f"right EXECUTE on {name}: everybody's", "rights", [f"GRANT EXECUTE ON FUNCTION {name} TO PUBLIC"], [f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC"])
    for name, kind in catalog.rows("""SELECT n.nspname, k.kind FROM pg_namespace n CROSS JOIN unnest('{USAGE,CREATE}'::text[]) AS k (kind)
            WHERE n.nspname = ANY (%s) AND NOT has_schema_privilege('wardmote_api', n.oid, k.kind) ORDER BY 1, 2""", list(SCHEMAS) + ["public"]):
        yield Mutant(f"right {kind} on schema {name}: granted", "rights", [f"GRANT {kind} ON SCHEMA {name} TO wardmote_api"],
                     [f"REVOKE {kind} ON SCHEMA {name} FROM wardmote_api"])
    for role in ("wardmote_api", "wardmote_owner"):
        for attribute in ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"):
            yield Mutant(f"role {role}: {attribute}", "rights", [f"ALTER ROLE {role} {attribute}"], [f"ALTER ROLE {role} NO{attribute}"])
    yield Mutant("role wardmote_api: member of the owner", "rights", ["GRANT wardmote_owner TO wardmote_api"], ["REVOKE wardmote_owner FROM wardmote_api"])


def every(connection):
    catalog = Catalog(connection)
    found = [mutant for kind in (policies, views, functions, guards, rights) for mutant in kind(catalog)]
    assert len({mutant.id for mutant in found}) == len(found)
    return found
