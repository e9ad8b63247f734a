# SPDX-License-Identifier: AGPL-3.0-or-later
"""An installation of which everything is looked at: a database that logs all it can, a server that says all it can, and marks whose bytes can be found
wherever they got to. What is written is made from /openapi.json, so that a new field is covered without a line here."""
import itertools
import json
import os
import pathlib
import re
import secrets
import subprocess
import threading
import urllib.request

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records

# The most talkative a database can be without being changed: every statement with its parameters and time, every detail of an error.
TALKATIVE = ("-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track=all -c log_statement=all -c log_min_duration_statement=0 "
             "-c log_parameter_max_length=-1 -c log_parameter_max_length_on_error=-1 -c log_error_verbosity=verbose "
             "-c track_activity_query_size=65536 -c log_min_messages=debug1 -c autovacuum=off")


def new_mark(kind):
    """Bytes that occur nowhere by chance; lower case, so that every kind of text takes them."""
    return f"{kind}{secrets.token_hex(5)}"


class _Server(wardmote_server.Server):
    """The password of the database is in its URI, in a file."""

    def _arguments(self):
        arguments = super()._arguments()
        at = arguments.index("--database")
        return [*arguments[:at], *arguments[at + 2:]]

    def start(self):
        path = pathlib.Path(f"{self.cluster.folder}/uri")
        path.write_text(self.cluster.uri("wardmote_api").replace("wardmote_api@", f"wardmote_api:{self.cluster.api_password}@"), encoding="utf-8")
        path.chmod(0o600)
        os.environ["WARDMOTE_DATABASE_FILE"] = str(path)
        try:
            super().start()
        finally:
            del os.environ["WARDMOTE_DATABASE_FILE"]


class Vault:
    """`contract` and `coverage` are those of the suite."""

    def __init__(self, contract, coverage, **settings):
        self.cluster = wardmote_server.Cluster(TALKATIVE)
        self.cluster.api_password = new_mark("dbpw")
        self.cluster.setup(api_password=self.cluster.api_password)
        self.keys = wardmote_server.make_keys(self.cluster)
        self.host = wardmote_server.make_administrator(self.cluster)
        self.server = _Server(self.cluster, self.keys, log_level="debug", server_timing="true", trusted_proxies="127.0.0.0/8", **settings)
        self.public = Client(self.server, contract, coverage)
        self.administrator = self.public.as_token(self.public.token_for(self.host["client_id"], self.host["client_secret"]))
        self.records = Records(self.administrator, contract)
        self.sql("CREATE EXTENSION pg_stat_statements")

    def close(self):
        try:
            self.server.close()
        finally:
            self.cluster.close()

    # --- the database as a superuser sees it ---

    def sql(self, text, *values, database="wardmote"):
        """Rows; in a session of its own, which logs nothing of what is looked for."""
        connection = self.cluster.connect("postgres", database)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_messages = panic; "
                               "SET pg_stat_statements.track = 'none'")
                cursor.execute(text, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def tables(self):
        """Every table of ours, and the statistics that ANALYZE keeps of their values."""
        rows = self.sql("SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE c.relkind = 'r' AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'public') "
                        "OR c.oid IN ('pg_statistic'::regclass, 'pg_statistic_ext_data'::regclass)) ORDER BY 1")
        return [name for name, in rows]

    def tables_with(self, mark):
        """{table: rows} of those in whose rows, as text, the mark is."""
        tables = self.tables()
        counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table} t WHERE t::text LIKE %s" for table in tables)
        return {table: count for table, count in self.sql(counts, *[f"%{mark}%"] * len(tables)) if count}

    def dump(self):
        """A fresh dump, as text."""
        done = subprocess.run([f"{self.cluster.bin}/pg_dump", "-U", "postgres", "-h", self.cluster.folder, "wardmote"], capture_output=True, timeout=300,
                              check=True)
        assert b"CREATE TABLE wardmote.account" in done.stdout
        return done.stdout.decode()

    def files_with(self, *marks):
        """The files below the data folder that hold one of the marks, after a checkpoint has written everything."""
        self.sql("CHECKPOINT")
        pattern = re.compile(b"|".join(re.escape(mark.encode()) for mark in marks))
        found = set()
        for folder, _, names in os.walk(f"{self.cluster.folder}/data"):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if pattern.search(pathlib.Path(path).read_bytes()):
                        found.add(os.path.relpath(path, f"{self.cluster.folder}/data"))
                except FileNotFoundError:
                    continue  # removed by the database meanwhile
        return found

    def relations_with(self, *marks):
        """The same as names: {"wardmote.account", "pg_wal"}."""
        named = set()
        for path in self.files_with(*marks):
            parts = path.split("/")
            if parts[0] != "base":
                named.add(parts[0])
                continue
            rows = self.sql("SELECT c.oid::regclass::text FROM pg_class c WHERE pg_relation_filenode(c.oid) = %s", int(parts[2].split("_")[0].split(".")[0]))
            named.add(rows[0][0] if rows else path)
        return named

    # --- what an operator sees ---

    def admin(self, path):
        with urllib.request.urlopen(f"{self.server.admin_url}{path}", timeout=10) as answer:
            return f"{answer.headers}\n{answer.read().decode()}"

    def outlets(self):
        """{name: text} of everything that is not an answer of the API."""
        found = {
            "log": self.server.log(),
            "log of the database": pathlib.Path(f"{self.cluster.folder}/log").read_text(encoding="utf-8", errors="replace"),
            "pg_stat_activity": json.dumps(self.sql("SELECT query, application_name FROM pg_stat_activity")),
            "pg_stat_statements": json.dumps(self.sql("SELECT query FROM pg_stat_statements")),
            "changes": json.dumps(self.sql("SELECT c::text FROM wardmote.change c")),
            "settings": wardmote_server.run(["config"], env={**os.environ, "WARDMOTE_DATABASE_FILE": f"{self.cluster.folder}/uri"}),
        }
        for path in ("/livez", "/readyz", "/metrics"):
            found[path] = self.admin(path)
        # Controls: each has what it must have, so that nothing is looked for in an empty place.
        assert '"message":"request"' in found["log"] and "duration:" in found["log of the database"] and "wardmote_http_requests_total" in found["/metrics"]
        assert "set_config" in found["pg_stat_statements"] and "wardmote.community" in found["pg_stat_statements"]
        return found

    def outlets_with(self, *marks):
        return sorted({name for name, text in self.outlets().items() if any(mark in text for mark in marks)})


class Watch:
    """Looks at pg_stat_activity all the while."""

    def __init__(self, vault):
        self.seen = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(vault,))

    def _look(self, vault):
        connection = vault.cluster.connect("postgres")
        with connection.cursor() as cursor:
            while not self._ended.wait(0.02):  # as often as it costs little; nothing hangs on it
                cursor.execute("SELECT query FROM pg_stat_activity WHERE usename = 'wardmote_api'")
                self.seen.update(row[0] for row in cursor.fetchall())
        connection.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


# --- texts in every field ---

# What a record must say before it may name a person.
PERSONS = {"community-groups": {"public_role": True}, "map-items": {"kind": "key_player_individual", "public_role": True}}


def is_free(schema):
    """Does the field take any text?"""
    kinds = schema.get("type", [])
    text = "string" in ([kinds] if isinstance(kinds, str) else kinds)
    return text and not {"enum", "x-refers", "x-code-list", "readOnly"} & set(schema) and schema.get("format") in (None, "uri") \
        and not schema.get("pattern", "").startswith("^([01]")


class Texts:
    """Marked texts, one per field; `where` says which is whose."""

    def __init__(self, mark):
        self.mark = mark
        self.where = {}
        self._numbers = itertools.count()

    def text(self, place, schema):
        text = f"{self.mark}-{next(self._numbers):x}"
        text = f"https://{text}.example.org/" if schema.get("format") == "uri" else text
        assert len(text) <= schema.get("maxLength", 4096), place
        self.where[text] = place
        return text

    def fill(self, place, schema, body):
        """`body` with a text in every field that takes one, members of lists included."""
        filled = dict(body)
        for name, field in schema.items():
            here = f"{place}.{name}"
            if is_free(field):
                filled[name] = self.text(here, field)
            elif "array" in str(field.get("type")) and "x-code-list" not in field and "x-refers" not in field and is_free(field.get("items", {})):
                filled[name] = [self.text(here, field["items"])]
            elif filled.get(name) and "properties" in field.get("items", {}):
                filled[name] = [self.fill(here, field["items"]["properties"], row) for row in filled[name]]
        return filled


def write(texts, place, schema, body, send):
    """Sends the filled body; fields that this state of a record refuses are left out and named. (answer, refused)"""
    filled, refused = texts.fill(place, schema, body), set()
    for _ in range(4):
        answer = send(filled)
        if answer.status < 400:
            return answer, refused
        names = {fault["pointer"].split("/")[1] for fault in answer.json().get("errors", []) if fault.get("pointer")}
        assert names and answer.status in (400, 422), answer.text()
        assert not any(text in answer.text() for text in texts.where), f"a problem repeats what was sent: {answer.text()}"
        refused |= names
        for name in names:
            gone = filled.pop(name, None)
            for text in gone if isinstance(gone, list) else [gone]:
                texts.where.pop(text if isinstance(text, str) else None, None)
            if name in body:
                filled[name] = body[name]
    raise AssertionError(answer.text())
