# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who is there in tests of the doors to the credential tables, each with one row of every kind: what is good, what was used, what ended, what is over. And what
became of these rows, told by name."""
import hashlib
import uuid

ADDRESS = "192.0.2.77"
HOUR = "interval '1 hour'"
HOME, AWAY = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("home", "away"))
PEOPLE = {"ann": (HOME, "officer"), "ben": (HOME, "officer"), "max": (HOME, "manager"), "cat": (AWAY, "officer")}
SERVICES = {"sol": (HOME, "officer"), "sue": (HOME, "officer"), "sam": (AWAY, "officer")}
ID = {name: str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in (*PEOPLE, *SERVICES, "nobody")}
SESSIONS = ("open", "second", "ended", "over", "old")
SESSION = {f"{name}-{state}": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}-{state}")) for name in PEOPLE for state in SESSIONS}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def password(name):
    return f"$argon2id$v=19$m=19456,t=2,p=1${name}"


def login(name):
    return f"{name}@doors.example"


def attempts(kind, *parts):
    return f"{kind}:{sha(chr(10).join(parts))}"


def rows(table, columns, values):
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join(values)}"


def people():
    """[statement]: persons with a password, sessions, tokens and codes in every state."""
    ended = {"open": "NULL", "second": "NULL", "ended": f"now() - {HOUR}", "over": "NULL", "old": "now() - interval '40 days'"}
    expires = {"over": f"now() - {HOUR}"}
    tokens = [(f"{name}-{state}", f"{name}-{state}", f"now() + {HOUR}", "NULL") for name in PEOPLE for state in SESSIONS]
    for name in PEOPLE:
        tokens += [(f"{name}-late", f"{name}-open", "now()", "NULL"), (f"{name}-used", f"{name}-open", f"now() + {HOUR}", "now()"),
                   (f"{name}-ended-used", f"{name}-ended", f"now() + {HOUR}", "now()")]
    codes = [(name, state, expiry, used) for name in PEOPLE for state, expiry, used in (
        ("code", f"now() + {HOUR}", "NULL"), ("code-used", f"now() + {HOUR}", f"now() - {HOUR}"), ("code-late", "now()", "NULL"))]
    return [
        rows("wardmote.account", "id, partner_id, kind, role, name, login", [f"('{ID[name]}', '{home}', 'person', '{role}', '{name}', '{login(name)}')"
                                                                              for name, (home, role) in PEOPLE.items()]),
        rows("auth.password", "account_id, hash, set_at", [f"('{ID[name]}', '{password(name)}', now() - {HOUR})" for name in PEOPLE]),
        rows("auth.session", "id, account_id, created_at, last_used_at, expires_at, revoked_at", [
            f"('{SESSION[f'{name}-{state}']}', '{ID[name]}', now() - {HOUR}, now() - {HOUR}, {expires.get(state, 'now() + ' + HOUR)}, {ended[state]})"
            for name in PEOPLE for state in SESSIONS]),
        rows("auth.refresh", "sha256, session_id, expires_at, used_at", [f"('{sha(token)}', '{SESSION[session]}', {expiry}, {used})" for token, session, expiry, used in tokens]),
        rows("auth.enrolment", "sha256, account_id, expires_at, used_at", [f"('{sha(f'{name}-{state}')}', '{ID[name]}', {expiry}, {used})" for name, state, expiry, used in codes])]


def services():
    return [
        rows("wardmote.account", "id, partner_id, kind, role, name", [f"('{ID[name]}', '{home}', 'service', '{role}', '{name}')" for name, (home, role) in SERVICES.items()]),
        rows("auth.secret", "sha256, account_id, expires_at", [f"('{sha(f'{name}-{state}')}', '{ID[name]}', {expiry})" for name in SERVICES for state, expiry in (
            ("secret", "NULL"), ("graced", f"now() + {HOUR}"), ("late", "now()"))])]


def counted():
    """Failed attempts of each, and what is kept of answers."""
    keys = [attempts("address", ADDRESS), attempts("address", "192.0.2.78")]
    for name in PEOPLE:
        keys += [attempts("login", login(name)), attempts("login here", login(name), ADDRESS), attempts("password", ID[name]), attempts("password here", ID[name], ADDRESS)]
    return [rows("auth.throttle", "key, count, until", [f"('{key}', 5, now() + interval '5 minutes')" for key in keys]),
            rows("wardmote.idempotency", "partner_id, method, path, key, hash, status, record_id", [f"('{HOME}', 'POST', '/', '{name}', '', 201, '{ID[name]}')"
                                                                                                  for name in (*PEOPLE, *SERVICES)])]


CAST = [f"INSERT INTO wardmote.partner (id, name, kind) VALUES ('{HOME}', 'Home', 'other'), ('{AWAY}', 'Away', 'other')", *people(), *services(), *counted()]

LABELS = {**{value: name for name, value in ID.items()}, **{value: name for name, value in SESSION.items()}, **{name: name for name in ID},
          **{sha(f"{name}-{state}"): f"{name}-{state}" for name in (*PEOPLE, *SERVICES)
             for state in (*SESSIONS, "late", "used", "ended-used", "code", "code-used", "code-late", "secret", "graced")},
          attempts("address", ADDRESS): "address", attempts("address", "192.0.2.78"): "another address",
          **{attempts("login", login(name)): f"{name}'s login" for name in PEOPLE}, **{attempts("login here", login(name), ADDRESS): f"{name}'s login here" for name in PEOPLE},
          **{attempts("password", ID[name]): f"{name}'s password" for name in PEOPLE},
          **{attempts("password here", ID[name], ADDRESS): f"{name}'s password here" for name in PEOPLE}}
KEYS = {"auth.secret": "sha256", "auth.password": "account_id", "auth.session": "id", "auth.refresh": "sha256", "auth.enrolment": "sha256", "auth.throttle": "key",
        "wardmote.account": "id", "wardmote.idempotency": "key"}
OF_COURSE = {"updated_at", "updated_by", "version"}


def state(cursor):
    """{(table, key): row} of all that doors may touch, whoever's it is."""
    cursor.execute("SELECT current_user")
    role = cursor.fetchone()[0]
    cursor.execute("RESET ROLE")
    found = {}
    for table, key in KEYS.items():
        cursor.execute(f"SELECT {key}::text, to_jsonb(t) FROM {table} t")
        found.update({(table, name): row for name, row in cursor.fetchall()})
    cursor.execute(f"SET LOCAL ROLE {role}")
    return found


def changes(before, after):
    """{"session ann-open: revoked_at", "refresh ann-late: gone", "refresh: new"}"""
    told = set()
    for table, key in before.keys() | after.keys():
        old, new = before.get((table, key)), after.get((table, key))
        if old == new:
            continue
        kind = table.split(".")[1]
        name = f"{kind} {LABELS.get(key, 'of another')}"
        if old is None:
            told.add(f"{kind}: new")
        elif new is None:
            told.add(f"{name}: gone")
        else:
            columns = sorted(column for column in old if old[column] != new[column] and column not in OF_COURSE)
            told.add(f"{name}: {' '.join(columns)}")
    return told
