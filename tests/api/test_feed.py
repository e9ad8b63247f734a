# SPDX-License-Identifier: AGPL-3.0-or-later
"""The view of the change feed against its rule, row by row: every way in which a record can have been visible before a change, after it and now, for every reader.
The rows are written by hand, within a transaction that is rolled back."""
import itertools
import json
import uuid

import pytest

from wall import RANKS, Wall

PUBLIC, SHARED = (f"00000000-0000-0000-0000-00000000000{digit}" for digit in (1, 2))
MINE, THEIRS, ME = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("mine", "theirs", "me"))
# Who sees a record: (audience, readers). None: there is no record yet, or no more.
STATES = {"none": None, "public": (PUBLIC, []), "shared": (SHARED, []), "mine": (MINE, []), "theirs": (THEIRS, []), "granted": (THEIRS, [MINE])}
READERS = [{}, {"role": "administrator"}, *({"role": role, "partner_id": partner, "account_id": ME} for partner in (MINE, THEIRS) for role in RANKS)]


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.close()


def sees(reader, seen_by):
    if seen_by is None:
        return False
    audience, readers = seen_by
    partner = reader.get("partner_id")
    return audience == PUBLIC or (partner is not None and (audience in (SHARED, partner) or partner in readers))


def heard(before, after):
    return None if not before and not after else "delete" if not after else "update" if before else "create"


def write(cursor, changes):
    """Changes of records, and their positions; a change with None for its position is not in the feed."""
    cursor.execute("RESET ROLE")
    for version, change in enumerate(changes, 1):
        (before, before_readers), (after, after_readers) = change.get("before") or (None, None), change.get("after") or (None, None)
        cursor.execute("""INSERT INTO wardmote.change (at, partner_id, resource, record_id, version, operation, fields, audience_before, audience_after, readers_before, readers_after)
            VALUES (now(), %s, %s, %s, %s, %s, '{}', %s, %s, %s::uuid[], %s::uuid[]) RETURNING seq""",
                       (change.get("partner_id"), change["resource"], change["id"], version, change["operation"], before, after, before_readers, after_readers))
        if change.get("told", True):
            cursor.execute("INSERT INTO wardmote.feed (change) VALUES (%s)", (cursor.fetchone()[0],))


def told(cursor, reader, ids):
    """{id: [operation]} as the view tells it to a reader."""
    for name, value in (("rank", str(RANKS.get(reader.get("role"), 0))), ("partner", reader.get("partner_id", "")), ("account", reader.get("account_id", ""))):
        cursor.execute("SELECT set_config(%s, %s, true)", (f"wardmote.{name}", value))
    cursor.execute("SET LOCAL ROLE wardmote_api")
    cursor.execute("SELECT record_id, operation FROM api.change WHERE record_id = ANY (%s::uuid[]) ORDER BY position", (list(ids),))
    found = {}
    for identifier, operation in cursor.fetchall():
        found.setdefault(identifier, []).append(operation)
    cursor.execute("RESET ROLE")
    return found


def test_who_hears_what_of_a_record(wall):
    cases = {str(uuid.uuid4()): case for case in itertools.product(STATES, STATES, (None, *STATES)) if case[:2] != ("none", "none")}
    changes = []
    for identifier, (before, after, now) in cases.items():
        row = {"resource": "communities", "id": identifier, "partner_id": MINE}
        changes.append({**row, "before": STATES[before], "after": STATES[after], "operation": "create" if before == "none" else "delete" if after == "none" else "update"})
        if now is not None:  # a later change, which has no position yet, says who sees the record now
            changes.append({**row, "before": STATES[after], "after": STATES[now], "operation": "update", "told": False})
    # One more record that is nobody's and one that is not in the feed at all: their rows belong to no other.
    changes.append({"resource": "communities", "id": str(uuid.uuid4()), "before": None, "after": STATES["public"], "operation": "create", "told": False})
    with wall.acting() as cursor:
        write(cursor, changes)
        for reader in READERS:
            wanted = {}
            for identifier, (before, after, now) in cases.items():
                operation = heard(sees(reader, STATES[before]), sees(reader, STATES[after]))
                if operation == "delete" or (operation and sees(reader, STATES[after if now is None else now])):
                    wanted[identifier] = [operation]
            assert told(cursor, reader, cases) == wanted, reader


def test_who_hears_what_of_an_account(wall):
    """Whoever sees the account, though there is no visibility: itself, managers of its partner, administrators. Its version before is not asked."""
    cases = {str(uuid.uuid4()): (partner, operation) for partner in (MINE, THEIRS) for operation in ("create", "update", "delete")}
    cases[ME] = (THEIRS, "update")
    with wall.acting() as cursor:
        write(cursor, [{"resource": "accounts", "id": identifier, "partner_id": partner, "operation": operation, "before": (THEIRS, None), "after": (THEIRS, None)}
                       for identifier, (partner, operation) in cases.items()])
        for reader in READERS:
            rank, partner_id = RANKS.get(reader.get("role"), 0), reader.get("partner_id")
            wanted = {identifier: ["create" if operation == "create" else "update"] for identifier, (partner, operation) in cases.items()
                      if rank >= 4 or (rank >= 3 and partner == partner_id) or identifier == reader.get("account_id")}
            assert told(cursor, reader, cases) == wanted, json.dumps(reader)
