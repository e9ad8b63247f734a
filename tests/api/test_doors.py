# SPDX-License-Identifier: AGPL-3.0-or-later
"""The doors to the credential tables, the functions of schema auth: for each, in every state that a credential can be in, what it answers, and which rows of whom
it touches; all others stay as they are. The walls in front (a session that ends with its account, a code that is deleted) are taken down where they would hide one."""
import json

import psycopg2
import pytest

from doors_cast import ADDRESS, AWAY, CAST, HOME, ID, SESSION, attempts, changes, login, password, sha, state
from wall import Wall

ANN = {"role": "officer", "partner_id": HOME, "account_id": ID["ann"]}
MANAGER = {"role": "manager", "partner_id": HOME, "account_id": ID["max"]}
NEW, FRESH = sha("a new token"), password("fresh")
NO_TRIGGERS = "SET LOCAL session_replication_role = replica"
TRIGGERS = "SET LOCAL session_replication_role = origin"


@pytest.fixture(scope="module", name="wall")
def _wall(cluster, server):  # pylint: disable=unused-argument
    wall = Wall(cluster)
    yield wall
    wall.close()


def call(cursor, function, *arguments):
    """(status, body, link); (404, None, None) for no row."""
    cursor.execute(f"SELECT status, body, link FROM auth.{function}({', '.join(['%s'] * len(arguments))})", arguments)
    found = cursor.fetchall()
    assert len(found) <= 1
    status, body, link = found[0] if found else (404, None, None)
    return status, body and json.loads(body), link


def told(text):
    return {part.strip() for part in text.split(",") if part.strip()}


LOGIN = "throttle ann's login: gone, throttle ann's login here: gone, throttle address: count"
OPENED = "session: new, refresh: new, session ann-over: gone, refresh ann-over: gone, session ann-old: gone, refresh ann-old: gone"
DOORS = [
    # refreshing
    ({}, ("refresh", sha("ann-open"), NEW, 60), 200, "refresh ann-open: used_at, refresh ann-late: gone, refresh: new, session ann-open: expires_at last_used_at"),
    ({}, ("refresh", sha("ann-used"), NEW, 60), 400, "session ann-open: revoked_at"),
    *(({}, ("refresh", sha(token), NEW, 60), 400, "") for token in ("ann-ended-used", "ann-late", "ann-ended", "ann-over", "unknown")),
    # ending
    ({}, ("revoke", sha("ann-open")), 200, "session ann-open: revoked_at"),
    *(({}, ("revoke", sha(token)), 200, "") for token in ("ann-ended", "unknown")),
    (ANN, ("session_end", ID["ann"], SESSION["ann-open"]), 204, "session ann-open: revoked_at"),
    (ANN, ("session_end", ID["ann"], SESSION["ben-open"]), 404, ""),
    (ANN, ("session_end", ID["ann"], SESSION["ann-ended"]), 404, ""),
    (ANN, ("my_sessions_end",), 204, "session ann-open: revoked_at, session ann-second: revoked_at, session ann-over: revoked_at"),
    # signing in
    ({}, ("client_credentials", "wmc_" + ID["sol"].replace("-", ""), sha("sol-secret")), 200, ""),
    ({}, ("client_credentials", "wmc_" + ID["sol"].replace("-", ""), sha("sol-graced")), 200, ""),
    *(({}, ("client_credentials", "wmc_" + ID["sol"].replace("-", ""), sha(secret)), 401, "") for secret in ("sol-late", "sue-secret", "unknown")),
    ({}, ("login_finish", ID["ann"], password("ann"), True, login("ann"), ADDRESS, NEW, 60), 200, f"{LOGIN}, {OPENED}"),
    ({}, ("login_finish", ID["ann"], password("ann"), False, login("ann"), ADDRESS, NEW, 60), 401, ""),
    ({}, ("login_finish", ID["ann"], password("ben"), True, login("ann"), ADDRESS, NEW, 60), 401, ""),
    ({}, ("login_finish", ID["sol"], password("ann"), True, login("ann"), ADDRESS, NEW, 60), 401, ""),
    ({}, ("enrol_begin", sha("ann-code"), ADDRESS), 200, "throttle address: count"),
    *(({}, ("enrol_begin", sha(code), ADDRESS), 422, "throttle address: count") for code in ("ann-code-used", "ann-code-late", "unknown")),
    ({}, ("enrol_finish", sha("ann-code"), FRESH, ADDRESS, NEW, 60), 200, f"{LOGIN}, {OPENED}, account ann: epoch, password ann: hash set_at, session ann-open: revoked_at,"
     "session ann-second: revoked_at, enrolment ann-code: used_at, enrolment ann-code-late: used_at"),
    *(({}, ("enrol_finish", sha(code), FRESH, ADDRESS, NEW, 60), 422, "") for code in ("ann-code-used", "ann-code-late", "unknown")),
    # a password of one's own
    (ANN, ("password_begin", ADDRESS), 200, "throttle address: count, throttle ann's password: count"),
    (ANN, ("password_change", password("ann"), FRESH, SESSION["ann-open"], ADDRESS), 204,
     "password ann: hash set_at, account ann: epoch, session ann-second: revoked_at, session ann-over: revoked_at, enrolment ann-code: used_at, enrolment ann-code-late: used_at,"
     "throttle ann's password: gone, throttle ann's password here: gone, throttle address: count"),
    *((ANN, ("password_change", password(name), FRESH, SESSION["ann-open"], ADDRESS), 409, "") for name in ("ben", "older")),
    ({**MANAGER, "account_id": ID["sol"]}, ("password_change", password("ann"), FRESH, SESSION["ann-open"], ADDRESS), 409, ""),
    # managing
    (MANAGER, ("secret_rotate", ID["sol"], 60), 201, "secret sol-secret: expires_at, secret sol-graced: gone, secret sol-late: gone, secret: new"),
    (MANAGER, ("secret_rotate", ID["sol"], 0), 201, "secret sol-secret: gone, secret sol-graced: gone, secret sol-late: gone, secret: new, account sol: epoch"),
    (MANAGER, ("enrolment_create", ID["ann"]), 201, "enrolment ann-code: gone, enrolment ann-code-late: gone, enrolment: new"),
    ({"role": "administrator", "partner_id": AWAY}, ("enrolment_create", ID["max"]), 201,
     "enrolment max-code: gone, enrolment max-code-late: gone, enrolment: new, account max: recovered_at"),
    (MANAGER, ("erase", ID["sol"]), 204, "secret sol-secret: gone, secret sol-graced: gone, secret sol-late: gone, idempotency sol: gone,"
     "account sol: disabled epoch erased_at name"),
]


@pytest.mark.parametrize("context, door, status, touched", DOORS, ids=[f"{door[0]}-{number}" for number, (_, door, _, _) in enumerate(DOORS)])
def test_what_a_door_touches(wall, context, door, status, touched):
    with wall.acting(*CAST, credential=sha("a new credential"), **context) as cursor:
        before = state(cursor)
        assert call(cursor, *door)[0] == status
        assert changes(before, state(cursor)) == told(touched)


def test_what_erasure_touches(wall):
    """All that there is of a person, and nothing of anybody else; a second time nothing."""
    with wall.acting(*CAST, **MANAGER) as cursor:
        before = state(cursor)
        assert call(cursor, "erase", ID["ann"])[0] == 204
        after = state(cursor)
        found = changes(before, after)
        kept = {"throttle ann's login here", "throttle ann's password", "throttle ann's password here"}
        rows = {line.split(": ")[0] for line in changes(before, {}) if " ann" in line} - kept
        assert {line for line in found if line.endswith(": gone")} == {f"{row}: gone" for row in rows if row != "account ann"}
        assert found - {f"{row}: gone" for row in rows} == {"account ann: disabled epoch erased_at login name"}
        assert len(rows) == 20
        assert call(cursor, "erase", ID["ann"])[0] == 204 and state(cursor) == after


def test_the_oldest_session_makes_room(wall):
    """Of the own ones that are open: neither those that ended nor anybody else's count."""
    more = "INSERT INTO auth.session (account_id, last_used_at, expires_at) SELECT id, now() - interval '1 minute', now() + interval '1 hour'" \
           f" FROM generate_series(1, %s), unnest('{{%s}}'::uuid[]) id"
    for others, gone in ((17, ""), (18, "session ann-open: revoked_at")):
        cast = [*CAST, f"UPDATE auth.session SET last_used_at = now() - interval '2 hours' WHERE id = '{SESSION['ann-open']}'", more % (others, ID["ann"]), more % (30, ID["ben"]),
                f"INSERT INTO auth.session (account_id, expires_at, revoked_at) SELECT '{ID['ann']}', now() + interval '1 hour', now() FROM generate_series(1, 30)"]
        with wall.acting(*cast) as cursor:
            before = state(cursor)
            assert call(cursor, "login_finish", ID["ann"], password("ann"), True, login("ann"), ADDRESS, NEW, 60)[0] == 200
            assert changes(before, state(cursor)) == told(f"{LOGIN}, {OPENED}, {gone}")


@pytest.mark.parametrize("column", [None, "disabled", "suspended"])
def test_who_may_not_act_gets_nothing(wall, column):
    """Though sessions, codes and secrets were left."""
    marked = [NO_TRIGGERS, f"UPDATE wardmote.account SET {column} = true WHERE id IN ('{ID['ann']}', '{ID['sol']}')", TRIGGERS] if column else []
    doors = [(("client_credentials", "wmc_" + ID["sol"].replace("-", ""), sha("sol-secret")), 401), (("refresh", sha("ann-open"), NEW, 60), 400),
             (("login_finish", ID["ann"], password("ann"), True, login("ann"), ADDRESS, NEW, 60), 401), (("enrol_begin", sha("ann-code"), ADDRESS), 422),
             (("enrol_finish", sha("ann-code"), FRESH, ADDRESS, NEW, 60), 422)]
    for door, refused in doors:
        with wall.acting(*CAST, *marked) as cursor:
            before = state(cursor)
            assert call(cursor, *door)[0] == (refused if column else 200), door
            if column and door[0] != "enrol_begin":
                assert changes(before, state(cursor)) == set()
    with wall.acting(*CAST, *marked) as cursor:
        body = call(cursor, "login_begin", login("ann").upper(), ADDRESS)[1]
        assert body == {"account": None if column else ID["ann"], "hash": None if column else password("ann")}
        cursor.execute("SELECT count(*) FROM api.acting WHERE id IN (%s, %s)", (ID["ann"], ID["sol"]))
        assert cursor.fetchone()[0] == (0 if column else 2)


def test_a_service_does_not_sign_in_as_a_person(wall):
    """Though it had a login."""
    named = ["ALTER TABLE wardmote.account DROP CONSTRAINT account_person_login", f"UPDATE wardmote.account SET login = 'sol@doors.example' WHERE id = '{ID['sol']}'"]
    with wall.acting(*CAST, *named) as cursor:
        assert call(cursor, "login_begin", "sol@doors.example", ADDRESS)[1] == {"account": None, "hash": None}


def test_who_may_act_is_told_of_the_account(wall):
    with wall.acting(*CAST) as cursor:
        assert call(cursor, "enrol_begin", sha("ann-code"), ADDRESS)[1] == {"account": ID["ann"]}
        assert call(cursor, "login_begin", "nobody@doors.example", ADDRESS)[1] == {"account": None, "hash": None}
        cursor.execute("SELECT id FROM api.acting_session WHERE account_id = %s", (ID["ann"],))
        assert {row[0] for row in cursor.fetchall()} == {SESSION["ann-open"], SESSION["ann-second"]}
    with wall.acting(*CAST, **ANN) as cursor:
        assert call(cursor, "password_begin", ADDRESS)[1] == {"account": ID["ann"], "hash": password("ann")}
        assert {item["id"] for item in call(cursor, "my_sessions", SESSION["ann-open"])[1]["items"]} == {SESSION["ann-open"], SESSION["ann-second"]}
    with wall.acting(*CAST, **{**ANN, "account_id": ID["sol"]}) as cursor:
        assert call(cursor, "password_begin", ADDRESS)[0] == 409


@pytest.mark.parametrize("count, until, wait, touched", [(100, "5 minutes", True, "count"), (99, "5 minutes", False, "count"), (100, "-1 minute", False, "count until")])
@pytest.mark.parametrize("door", [("login_begin", "nobody@doors.example", ADDRESS), ("enrol_begin", sha("ann-code"), ADDRESS), ("password_begin", ADDRESS)], ids=lambda door: door[0])
def test_attempts_are_counted_for_a_while(wall, door, count, until, wait, touched):
    key = attempts("address", ADDRESS)
    with wall.acting(*CAST, f"UPDATE auth.throttle SET count = {count}, until = now() + interval '{until}' WHERE key = '{key}'", **ANN) as cursor:
        before = state(cursor)
        status, _, link = call(cursor, *door)
        assert status == (429 if wait else 200)
        after = state(cursor)
        assert f"throttle address: {touched}" in changes(before, after)
        assert after["auth.throttle", key]["count"] == (1 if touched == "count until" else count + 1)
        if wait:
            assert 1 <= int(link) <= 300
        if touched == "count until":
            cursor.execute("RESET ROLE; SELECT until = now() + interval '15 minutes' FROM auth.throttle WHERE key = %s", (key,))
            assert cursor.fetchone()[0]


SELF = {name: {"role": "officer", "partner_id": HOME, "account_id": ID[name]} for name in ID}
ADMINISTRATOR = {"role": "administrator", "partner_id": AWAY}


@pytest.mark.parametrize("door, target, context, mark, status", [
    # who sees the account and may not manage it; who does not see it
    *((door, target, SELF[target], None, 403) for door, target in (("secret_rotate", "sol"), ("enrolment_create", "ann"), ("enrolment_create", "max"), ("erase", "ann"))),
    *((door, target, {**MANAGER, "partner_id": AWAY}, None, 404) for door, target in (("secret_rotate", "sol"), ("enrolment_create", "ann"), ("erase", "ann"))),
    *((door, "nobody", MANAGER, None, 404) for door in ("secret_rotate", "enrolment_create", "erase")),
    # administrators of another partner, which has a manager of its own
    *((door, target, ADMINISTRATOR, None, 403) for door, target in (("secret_rotate", "sol"), ("enrolment_create", "ann"), ("erase", "ann"), ("erase", "max"))),
    ("enrolment_create", "max", ADMINISTRATOR, None, 201),
    # a token with few scopes
    ("secret_rotate", "sol", {**MANAGER, "scopes": "accounts:write"}, None, 403), ("enrolment_create", "ann", {**MANAGER, "scopes": "accounts:write"}, None, 403),
    ("enrolment_create", "max", {**ADMINISTRATOR, "scopes": "accounts:write"}, None, 403),
    ("secret_rotate", "sol", {**MANAGER, "scopes": "accounts:write risks:read"}, "scopes = '{risks:read}'", 201),
    # states
    ("secret_rotate", "sol", MANAGER, "erased_at = now()", 403), ("enrolment_create", "ann", MANAGER, "erased_at = now()", 403),
    ("secret_rotate", "ann", MANAGER, None, 409), ("enrolment_create", "sol", MANAGER, None, 409),
    ("enrolment_create", "ann", MANAGER, "disabled = true", 409), ("enrolment_create", "ann", MANAGER, "suspended = true", 409),
])
def test_who_opens_a_door_for_whom(wall, door, target, context, mark, status):
    marked = [NO_TRIGGERS, f"UPDATE wardmote.account SET {mark} WHERE id = '{ID[target]}'", TRIGGERS] if mark else []
    with wall.acting(*CAST, *marked, credential=sha("a new credential"), **context) as cursor:
        before = state(cursor)
        assert call(cursor, door, ID[target], *([60] if door == "secret_rotate" else []))[0] == status
        assert bool(changes(before, state(cursor))) == (status == 201)


def test_the_last_administrator_stays(wall, host):
    """Those who are disabled, and those who are no administrators, are none that could help."""
    home = host["partner_id"]
    alone = [NO_TRIGGERS, "UPDATE wardmote.account SET disabled = true WHERE role = 'administrator'",
             f"UPDATE wardmote.account SET role = 'administrator', partner_id = '{home}', disabled = id <> '{ID['ann']}' WHERE id IN ('{ID['ann']}', '{ID['ben']}')", TRIGGERS]
    context = {"role": "administrator", "partner_id": home, "account_id": ID["ann"]}
    for target, more, status in (("ann", (), 409), ("ben", (), 204), ("ann", (NO_TRIGGERS, f"UPDATE wardmote.account SET disabled = false WHERE id = '{ID['ben']}'", TRIGGERS), 204)):
        with wall.acting(*CAST, *alone, *more, **context) as cursor:
            before = state(cursor)
            assert call(cursor, "erase", ID[target])[0] == status
            assert bool(changes(before, state(cursor))) == (status == 204)


def test_others_than_active_administrators_may_end_where_there_is_none(wall, host):
    home = host["partner_id"]
    alone = [NO_TRIGGERS, "UPDATE wardmote.account SET disabled = true WHERE role = 'administrator'",
             f"UPDATE wardmote.account SET role = 'administrator', partner_id = '{home}', disabled = true WHERE id = '{ID['ben']}'", TRIGGERS]
    with wall.acting(*CAST, *alone, server=False) as cursor:
        for name, change in (("ann", "disabled = true"), ("ben", "role = 'viewer'")):
            cursor.execute(f"UPDATE wardmote.account SET {change} WHERE id = '{ID[name]}'")
            assert cursor.rowcount == 1


@pytest.mark.parametrize("table, column", [("secret", "account_id"), ("password", "account_id"), ("session", "account_id"), ("enrolment", "account_id"), ("refresh", "session_id")])
def test_credentials_are_somebodys(wall, table, column):
    """None of nobody is made, and they go with whom they are of."""
    other = "auth.session" if column == "session_id" else "wardmote.account"
    owner = SESSION["ann-open"] if column == "session_id" else ID["sol" if table == "secret" else "ann"]
    with wall.acting(*CAST, "RESET ROLE") as cursor:
        cursor.execute("RESET ROLE")
        count = f"SELECT count(*) FROM auth.{table} WHERE {column} = '{owner}'"
        cursor.execute(count)
        assert cursor.fetchone()[0] > 0
        cursor.execute("SAVEPOINT made")
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            cursor.execute(f"UPDATE auth.{table} SET {column} = '{ID['nobody']}' WHERE {column} = '{owner}'")
        cursor.execute(f"ROLLBACK TO SAVEPOINT made; DELETE FROM {other} WHERE id = '{owner}'")
        cursor.execute(count)
        assert cursor.fetchone()[0] == 0
