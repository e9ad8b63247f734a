# SPDX-License-Identifier: AGPL-3.0-or-later
"""The descriptors say what the tables are: column, type, nullability, length, values, references, the indexes of sorts and filters; and each table is forced,
has its view, its history and its policies. Every test names all that is wrong at once."""
import json
import os
import re
import subprocess

import pytest

import wardmote_server

TYPES = {"uuid": "uuid", "ref": "uuid", "text": "text", "url": "text", "enum": "text", "bool": "boolean", "date": "date", "time": "time without time zone",
         "timestamp": "timestamp with time zone", "refs": "uuid[]", "codes": "text[]", "texts": "text[]", "objects": "jsonb", "object": "jsonb",
         "geometry": "geometry(MultiPolygon,4326)", "point": "geometry(Point,4326)"}
URL_MAX = 2000

# Bounds of what the server alone writes, or that another rule keeps: no CHECK repeats them.
UNBOUNDED = {("consultation", "grants"), ("risk", "score")}

# Constraints over several columns, or over what no field shows: their faults name no field.
OF_NO_FIELD = {"membership", "host_active", "host_unique", "owner", "person_login", "outside_identity", "epoch", "epoch_finite"}


@pytest.fixture(scope="module", name="shapes")
def _shapes():
    dump = os.environ.get("WARDMOTE_TEST_CATALOG_DUMP") or os.path.join(os.path.dirname(wardmote_server.binary()), "../../tests/contract/catalog_dump")
    return json.loads(subprocess.run([dump], capture_output=True, text=True, timeout=60, check=True).stdout)


@pytest.fixture(scope="module", name="db")
def _db(cluster):
    connection = cluster.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = pg_catalog, public")
        yield cursor
    connection.close()


def rows(db, text, *parameters):
    db.execute(text, parameters)
    return db.fetchall()


def columns(db, relation):
    """{name: (type, may be null, generation expression)}"""
    return {row[0]: row[1:] for row in rows(db, """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, CASE a.attgenerated WHEN 's' THEN pg_get_expr(d.adbin, d.adrelid) END
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped""", relation)}


def checks(db, thing, column):
    """Texts of the CHECK constraints over this column alone."""
    return [row[0] for row in rows(db, """
        SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = %s::regclass AND c.contype = 'c' AND a.attname = %s""", f"wardmote.{thing}", column)]


def indexes(db, thing, schema="wardmote"):
    """(method, [column, ...], unique) of each index; a column that is an expression is None."""
    return [(method, names, unique) for method, names, unique in rows(db, """
        SELECT m.amname, ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (n, at)
                LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n AND k.n > 0 ORDER BY k.at), x.indisunique
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam WHERE x.indrelid = %s::regclass""", f"{schema}.{thing}")]


def fields_of(shapes):
    return [(shape["thing"], field) for shape in shapes for field in shape["fields"]]


def test_each_field_is_a_column_of_its_type(shapes, db):
    faults = []
    for shape in shapes:
        thing = shape["thing"]
        for relation in (f"wardmote.{thing}", f"api.{thing}", f"api.{thing}_version"):
            have = columns(db, relation)
            for field in shape["fields"]:
                if field["name"] not in have:
                    faults.append(f"{relation}.{field['name']} is missing")
                elif field["type"] == "int":
                    if have[field["name"]][0] not in ("integer", "bigint"):
                        faults.append(f"{relation}.{field['name']} is {have[field['name']][0]}")
                elif field["type"] == "decimal":
                    if not re.fullmatch(rf"numeric\(\d+,{field['scale']}\)", have[field["name"]][0]):
                        faults.append(f"{relation}.{field['name']} is {have[field['name']][0]}, not numeric with {field['scale']} decimals")
                elif have[field["name"]][0] != TYPES[field["type"]]:
                    faults.append(f"{relation}.{field['name']} is {have[field['name']][0]}, not {TYPES[field['type']]}")
    assert faults == []


def test_a_column_is_null_only_where_the_field_may_be(shapes, db):
    faults = []
    for shape in shapes:
        have = columns(db, f"wardmote.{shape['thing']}")
        faults += [f"{shape['thing']}.{field['name']}: field {field['nullable']}, column {have[field['name']][1]}"
                   for field in shape["fields"] if field["nullable"] != have[field["name"]][1]]
    assert faults == []


def test_lengths_and_ranges_are_those_of_the_descriptor(shapes, db):
    faults = []
    for thing, field in fields_of(shapes):
        most = URL_MAX if field["type"] == "url" else field["max"]
        if most == 0 or field["readonly"] or field["type"] not in ("text", "url", "int", "decimal", "refs", "codes", "texts", "objects"):
            continue
        limits = {int(number) for text in checks(db, thing, field["name"]) for number in re.findall(r"<= \(?'?(\d+)", text)}
        if most not in limits and (thing, field["name"]) not in UNBOUNDED and field["name"] != "grants":
            faults.append(f"{thing}.{field['name']}: at most {most}, the table says {sorted(limits)}")
    assert faults == []


def test_closed_lists_are_those_of_the_descriptor(shapes, db):
    faults = []
    for thing, field in fields_of(shapes):
        if field["type"] == "enum":
            values = {value for text in checks(db, thing, field["name"]) for value in re.findall(r"'([^']*)'", text)}
            if values != set(field["values"]):
                faults.append(f"{thing}.{field['name']}: {sorted(values ^ set(field['values']))} differ")
    assert faults == []


def test_each_sort_has_an_index(shapes, db):
    faults = []
    for shape in shapes:
        have, lead = columns(db, f"wardmote.{shape['thing']}"), ["audience"] if shape["owned"] else []
        names = [index[1][:len(lead) + 2] for index in indexes(db, shape["thing"]) if index[0] == "btree"]
        for sort in shape["sorts"]:
            column = have[sort["column"]]
            if column[1] or column[0].replace("timestamp with time zone", "timestamptz") != sort["type"]:
                faults.append(f"{shape['thing']} sorts by {sort['column']}: {column}")
            if [*lead, sort["column"], "id"] not in names:
                faults.append(f"{shape['thing']} sorts by {sort['column']} without an index")
    assert faults == []


def test_what_was_granted_is_found_by_an_index(shapes, db):
    faults = [f"{schema}.{shape['thing']}" for shape in shapes if shape["owned"] for schema in ("wardmote", "history")
              if ("gin", ["readers"], False) not in indexes(db, shape["thing"], schema)]
    assert faults == []


def test_text_sorts_in_the_order_of_people(shapes, db):
    faults = []
    for shape in shapes:
        for sort in shape["sorts"]:
            if sort["type"] == "text":
                found = rows(db, """SELECT c.collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
                    WHERE a.attrelid = %s::regclass AND a.attname = %s""", f"wardmote.{shape['thing']}", sort["column"])
                if found != [("und-x-icu",)]:
                    faults.append(f"{shape['thing']}.{sort['column']}: {found}")
    assert faults == []


def test_filters_over_references_and_lists_have_an_index(shapes, db):
    faults = []
    for thing, field in fields_of(shapes):
        if not field["filter"] or field["type"] not in ("ref", "refs", "codes"):
            continue
        method = "btree" if field["type"] == "ref" else "gin"
        if not any(index[0] == method and index[1][:1] == [field["name"]] for index in indexes(db, thing)):
            # A method is never selective: nearly every record has one of a handful.
            if field["name"] != "methods":
                faults.append(f"{thing}.{field['name']}")
    assert faults == []


def test_search_covers_the_fields_that_say_so(shapes, db):
    faults = []
    for shape in shapes:
        said = {field["name"] for field in shape["fields"] if field["search"]}
        expression = columns(db, f"wardmote.{shape['thing']}").get("search", (None, None, ""))[2]
        names = {field["name"] for field in shape["fields"] if re.search(rf"\b{field['name']}\b", expression)}
        if names != said:
            faults.append(f"{shape['thing']}: q= would search {sorted(names)}, the descriptor says {sorted(said)}")
        if said and not any(index[0] == "gin" and index[1] == ["search"] for index in indexes(db, shape["thing"])):
            faults.append(f"{shape['thing']}: search has no index")
    assert faults == []


def test_references_are_registered(shapes, db):
    thing_of = {shape["name"]: shape["thing"] for shape in shapes}
    said = {(thing, field["name"], field.get("member"), thing_of[field["refers"]]) for thing, field in fields_of(shapes) if "refers" in field}
    assert said == set(rows(db, "SELECT thing, column_name, member, other FROM wardmote.reference"))


def test_the_place_of_each_constraint_is_known(shapes, db):
    """A fault of the last wall names its field by the constraint's name."""
    faults = []
    for shape in shapes:
        prefix = shape["thing"] + "_"
        names = [field["name"] for field in shape["fields"]]
        for (name,) in rows(db, "SELECT conname::text FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'p'", f"wardmote.{shape['thing']}"):
            rest = name.removeprefix(prefix)
            if not name.startswith(prefix) or not (rest in OF_NO_FIELD or any(rest == field or rest.startswith(field + "_") for field in names)):
                faults.append(name)
    assert faults == []


def test_uniqueness_is_announced(shapes, db):
    """R_UNIQUE is what makes the document say that PUT can answer 409; only what a partner owns has a PUT."""
    faults = []
    for shape in (shape for shape in shapes if shape["owned"]):
        own = [index for index in indexes(db, shape["thing"]) if index[2] and index[1] not in (["id"], ["partner_id", "external_id"])]
        if bool(own) != shape["unique"]:
            faults.append(f"{shape['thing']}: {own}")
    assert faults == []


def test_each_table_is_walled_in(shapes, db):
    faults = []
    for thing in (shape["thing"] for shape in shapes):
        for schema in ("wardmote", "history"):
            found = rows(db, "SELECT relrowsecurity, relforcerowsecurity, relowner::regrole::text FROM pg_class WHERE oid = to_regclass(%s)",
                         f"{schema}.{thing}")
            if found != [(True, True, "wardmote_owner")]:
                faults.append(f"{schema}.{thing}: {found}")
        for view in (thing, thing + "_version"):
            if rows(db, "SELECT relkind::text, relowner::regrole::text FROM pg_class WHERE oid = to_regclass(%s)", f"api.{view}") != [("v", "wardmote_owner")]:
                faults.append(f"api.{view} is no view of the owner")
        commands = {row[0] for row in rows(db, """SELECT cmd FROM pg_policies WHERE schemaname = 'wardmote' AND tablename = %s
            AND 'wardmote_api' = ANY (roles)""", thing)}
        if not {"SELECT", "INSERT", "UPDATE"} <= commands:
            faults.append(f"{thing} has policies for {sorted(commands)}")
        if rows(db, "SELECT has_table_privilege('wardmote_api', %s, 'SELECT')", f"history.{thing}") != [(False,)]:
            faults.append(f"history.{thing} can be read around its view")
        if not rows(db, "SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'z_track'", f"wardmote.{thing}"):
            faults.append(f"{thing} is not tracked")
    assert faults == []
