# SPDX-License-Identifier: AGPL-3.0-or-later
"""Plans at a million rows of every resource: each order that a list offers and each filter or condition that its descriptor calls selective is answered by an index, and
what is sorted was chosen by an index and is at most 10,000 rows. Other filters have a short time in the lane of reads (tests/api/test_effort.py)."""
import urllib.parse

import pytest

import million
import wardmote_server
from wardmote_client import Client, Contract
from wardmote_records import Records

MOST_SORTED = 10_000
MEMBER = "00000000-0000-0000-0000-00000000000a"
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
KEYS = {"text": "m", "date": "2026-01-01", "timestamptz": "2026-01-01T00:00:00Z", "integer": "5"}
VALUES = {"uuid": MEMBER, "ref": MEMBER, "refs": MEMBER, "text": "x"}
CALLERS = ((0, ""), (2, MEMBER))


def callers(shape):
    """Accounts are shown to members only."""
    return CALLERS[1:] if shape["name"] == "accounts" else CALLERS


@pytest.fixture(name="planner")
def _planner():
    shapes = million.shapes()
    cluster = wardmote_server.Cluster("-c autovacuum=off")
    cluster.setup()
    make_first_records(cluster, shapes)
    connection = cluster.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; SET TimeZone = 'UTC'")
        for shape in shapes:
            million.multiply(cursor, shape)
        cursor.execute("CHECKPOINT")
        for shape in shapes:
            million.stretch(cursor, cluster.folder, f"wardmote.{shape['thing']}")
    planner = million.Planner(cluster, shapes)
    planner.owner = connection.cursor()
    yield planner
    planner.close()
    connection.close()
    cluster.close()


def make_first_records(cluster, shapes):
    keys = wardmote_server.make_keys(cluster)
    host = wardmote_server.make_administrator(cluster)
    server = wardmote_server.Server(cluster, keys)
    anonymous = Client(server, None, None)
    administrator = anonymous.as_token(anonymous.token_for(host["client_id"], host["client_secret"]))
    records = Records(administrator, Contract(anonymous.get("/openapi.json").json()))
    for shape in shapes:
        if shape["name"] != "accounts":
            records.item(f"/v1/{shape['name']}/{{id}}")
    server.close()


def faults_of(nodes):
    """What a million rows would make slow."""
    faults = []
    for node in nodes:
        if node["Node Type"] == "Seq Scan":
            faults.append(f"all of {node['Relation Name']} is read")
        if node["Node Type"] in ("Sort", "Incremental Sort") and node["Plans"][0]["Plan Rows"] > MOST_SORTED:
            faults.append(f"{node['Plans'][0]['Plan Rows']} rows are sorted")
    return faults


def walked(nodes):
    """Index scans that go on until a page is full: nothing but a Limit ends them."""
    return [node for node in nodes if node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan") and node["Plan Rows"] > MOST_SORTED
            and not any(around["Node Type"] == "Limit" for around in node["around"])]


def orders(shape):
    return [sign + sort["name"] for sort in shape["sorts"] for sign in ("", "-")]


def seen_by(shape, field, rank):
    """Some fields are their owner's alone, and some members'."""
    return field["audience"] == 0 or rank > 0 and shape["name"] != "accounts"


def of_orders(planner, shape):
    """Each order is that of an index, from its beginning and after a cursor."""
    faults = []
    for rank, partner in callers(shape):
        for sort in shape["sorts"]:
            for order, keys in [(sign + sort["name"], keys) for sign in ("", "-") for keys in ((), (KEYS[sort["type"]], LAST_ID))]:
                nodes = planner.plan(f"/v1/{shape['name']}?sort={order}", rank, partner, keys)
                found = faults_of(nodes) + [f"{node['Index Name']} is walked to its end" for node in walked(nodes)]
                if keys and not any("ROW(" in node.get("Index Cond", "") for node in nodes):
                    found.append("no index begins after the cursor")
                faults += [f"{shape['name']} by {order} of {rank}{' after a cursor' if keys else ''}: {fault}" for fault in found]
    return faults


def conditions(nodes, thing):
    """Of each scan of the table, what its index is asked."""
    scans = [node for node in nodes if node.get("Relation Name") == thing]
    return [" ".join(part.get("Index Cond", "") for part in nodes if part is scan or scan in part["around"]) for scan in scans]


def of_filter(planner, shape, target, caller, columns):
    """What is wrong with the plan of a filter that an index on one of these columns is to answer."""
    nodes = planner.plan(target, *caller)
    asked = conditions(nodes, shape["thing"])
    found = faults_of(nodes) + ([] if asked else ["the table is not read"])
    # What was granted to the caller is few rows, known by an index of its own.
    found += [f"the index is asked {text or 'nothing'}" for text in asked if not any(column in text for column in columns) and "readers" not in text]
    return [f"{target} of {caller[0]}: {fault}" for fault in found]


def of_selective_filters(planner, shape):
    faults = []
    for caller in callers(shape):
        for field in [field for field in shape["fields"] if field["selective"] and (field["audience"] == 0 or caller[0] > 0)]:
            columns = {field["name"], *(sort["column"] for sort in shape["sorts"] if sort["name"] == field["name"])}
            for order in [sign + sort["name"] for sort in shape["sorts"] for sign in ("", "-")]:
                target = f"/v1/{shape['name']}?{field['name']}={VALUES[field['type']]}&sort={order}"
                faults += of_filter(planner, shape, target, caller, columns)
    return faults


# What an index can be asked for a condition by place.
PLACES = {"geometry", "point", "locality_ids", "codes", "id"}


def of_selective_clauses(planner, shape):
    faults = []
    clauses = {clause["name"]: clause for clause in shape["clauses"]}
    for clause in [clause for clause in clauses.values() if clause["selective"]]:
        given = [clause] + ([clauses[clause["needs"]]] if "needs" in clause else [])
        asked = "&".join(f"{each['name']}={urllib.parse.quote(each['example'])}" for each in given)
        for caller in callers(shape):
            for order in [sign + sort["name"] for sort in shape["sorts"] for sign in ("", "-")]:
                faults += of_filter(planner, shape, f"/v1/{shape['name']}?{asked}&sort={order}", caller, PLACES)
    return faults


def of_ranges(planner, shape):
    """A range of what the list is sorted by begins where it begins in the index."""
    faults = []
    types = {field["name"]: field for field in shape["fields"]}
    for sort in [sort for sort in shape["sorts"] if types[sort["name"]]["filter"] and types[sort["name"]]["type"] in ("date", "timestamp", "int")]:
        field, start = types[sort["name"]], KEYS[sort["type"]]
        if field["type"] == "int":
            start = max(int(start), field["min"])  # a year is none below 1990
        for order in (sort["name"], "-" + sort["name"]):
            target = f"/v1/{shape['name']}?{sort['name']}.gte={start}&sort={order}"
            faults += of_filter(planner, shape, target, CALLERS[1], {sort["column"]})
    return faults


def test_lists_at_a_million_rows(planner):
    """In one test, since the model takes longer to make than to ask."""
    assert sum(len(shape["sorts"]) for shape in planner.shapes) > 30 and sum(field["selective"] for shape in planner.shapes for field in shape["fields"]) > 40
    for check in (of_orders, of_selective_filters, of_selective_clauses, of_ranges):
        assert [fault for shape in planner.shapes for fault in check(planner, shape)] == [], check.__name__
    the_checks_see_what_is_wrong(planner)


def the_checks_see_what_is_wrong(planner):
    consultations = [shape for shape in planner.shapes if shape["name"] == "consultations"][0]
    assert of_filter(planner, consultations, "/v1/consultations?trigger=develop_policy", CALLERS[0], {"trigger"}) != []
    planner.owner.execute("DROP INDEX wardmote.consultation_by_title, wardmote.consultation_round_of_id_idx, wardmote.consultation_by_close_on")
    orders = "\n".join(of_orders(planner, consultations))
    assert "by title of 0: " in orders and "by -close_on of 2 after a cursor: " in orders and "by open_on" not in orders
    filters = "\n".join(of_selective_filters(planner, consultations))
    assert "?title=x" in filters and f"?round_of_id={MEMBER}" in filters and "?external_id" not in filters
    ranges = "\n".join(of_ranges(planner, consultations))
    assert "close_on.gte" in ranges and "open_on.gte" not in ranges
    localities = [shape for shape in planner.shapes if shape["name"] == "localities"][0]
    planner.owner.execute("DROP INDEX wardmote.locality_geometry")
    places = "\n".join(of_selective_clauses(planner, localities))
    assert all(f"/v1/localities?{name}=" in places for name in ("point", "near", "postcode", "within", "touches")) and "scheme_code" not in places
