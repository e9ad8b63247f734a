# SPDX-License-Identifier: AGPL-3.0-or-later
"""A database in which the planner sees a million rows of every resource. Of each there are a few thousand, made from one valid record, so that statistics are
real; then files are stretched (their new pages are holes, which take no room) and the catalog says what a million rows would make it say. Plans can be
asked for there, and nothing else: it takes seconds where a million rows of each would take hours."""
import json
import os
import subprocess

import wardmote_server

ROWS, SAMPLE = 1_000_000, 3000
PAGE = 8192
SEGMENT_PAGES = 131072  # a relation's first file


def path_of(program):
    return os.environ.get("WARDMOTE_TEST_" + program.upper()) or os.path.join(os.path.dirname(wardmote_server.binary()), "../../tests/contract", program)


def shapes():
    return json.loads(subprocess.run([path_of("catalog_dump")], capture_output=True, text=True, timeout=60, check=True).stdout)


def value(field):
    """The field's value in row n, as SQL over the first row t; None: that of the first."""
    name, kind = field["name"], field["type"]
    drawn = f"md5('{name}' || n)::uuid"
    of_few = f"md5('{name}' || power(n % 61, 2)::int)::uuid"
    rules = {"id": drawn, "partner_id": of_few, "visibility": "(ARRAY['public', 'public', 'public', 'shared', 'private'])[1 + n % 5]",
             "created_at": "t.created_at - n * interval '1 hour'", "updated_at": "t.updated_at - n * interval '1 hour'", "external_id": "'X-' || n"}
    if name in rules:
        return rules[name]
    if kind == "text" and field["filter"]:
        return f"left(coalesce(t.\"{name}\", 'x'), 20) || '~' || n"  # not what the first record may be named
    if kind == "date":
        return f't."{name}" + n'
    if kind == "ref":
        return drawn if field["selective"] else of_few
    if kind == "refs":
        return f"ARRAY[{drawn}]"
    return None


def drop_rules(cursor, table):
    """The checks over several columns: rows made column by column do not meet them, and a plan does not hang on them."""
    cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c' AND cardinality(conkey) > 1", (table,))
    for name, in cursor.fetchall():
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def multiply(cursor, shape):
    """SAMPLE rows from the one that is there."""
    table = f"wardmote.{shape['thing']}"
    drop_rules(cursor, table)
    fields = {field["name"]: value(field) for field in shape["fields"]}
    cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
                   " AND attidentity = ''", (table,))
    columns = [row[0] for row in cursor.fetchall()]
    unique = {"host": "false"}
    values = [fields.get(column) or unique.get(column) or f't."{column}"' for column in columns]
    cursor.execute(f"SELECT count(*) FROM {table}")
    assert cursor.fetchone()[0] > 0, f"{table} has no record to make others from"
    names = ", ".join(f'"{column}"' for column in columns)
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM (SELECT * FROM {table} LIMIT 1) t, generate_series(1, {SAMPLE}) AS n")
    cursor.execute(f"ANALYZE {table}")


def stretch(cursor, folder, table):
    """Makes the table and its indexes as long as ROWS rows would."""
    cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,))
    factor = ROWS / cursor.fetchone()[0]
    cursor.execute("SELECT oid, pg_relation_filepath(oid), pg_relation_size(oid) FROM pg_class WHERE oid = %s::regclass"
                   " UNION ALL SELECT indexrelid, pg_relation_filepath(indexrelid), pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = %s::regclass",
                   (table, table))
    for oid, path, size in cursor.fetchall():
        pages = min(SEGMENT_PAGES - 1, max(2, int(size / PAGE * factor)))
        os.truncate(f"{folder}/data/{path}", max(size, pages * PAGE))
        cursor.execute("UPDATE pg_class SET reltuples = reltuples * %s, relpages = %s WHERE oid = %s", (factor, pages, oid))


class Planner:
    """Plans of the real statements, as the lane of reads makes them."""

    def __init__(self, cluster, shapes_of_all):
        self.shapes = shapes_of_all
        self.owner = None  # a cursor that may change the model
        self.driver = subprocess.Popen([path_of("sql_driver"), "all"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.connection = cluster.connect("wardmote_api")
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET TimeZone = 'UTC'; SET search_path = pg_catalog, public; SET jit = off; SET max_parallel_workers_per_gather = 0")

    def statement(self, target, caller=0, keys=()):
        self.driver.stdin.write(json.dumps({"method": "GET", "target": target, "caller": caller, "keys": keys}) + "\n")
        self.driver.stdin.flush()
        made = json.loads(self.driver.stdout.readline())
        assert "text" in made, f"{target}: {made}"
        return made

    def plan(self, target, caller=0, partner="", keys=()):
        """The nodes of its plan, outer ones first, each with the key "path": those around it."""
        made, cursor = self.statement(target, caller, keys), self.cursor
        cursor.execute("BEGIN READ ONLY")
        cursor.execute("SELECT set_config('wardmote.partner', %s, true), set_config('wardmote.rank', %s, true), set_config('plan_cache_mode', %s, true)",
                       (partner, str(caller), "force_generic_plan"))
        cursor.execute("PREPARE asked AS " + made["text"])
        literals = ", ".join(cursor.mogrify("%s", (parameter,)).decode() for parameter in made["parameters"])
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{f'({literals})' if literals else ''}")
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("ROLLBACK")
        cursor.execute("DEALLOCATE asked")
        return list(_nodes(plan, ()))

    def close(self):
        self.connection.close()
        self.driver.stdin.close()
        assert self.driver.wait(30) == 0


def _nodes(node, around):
    node["around"] = around
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child, (*around, node))
