# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/data-protection.md: its commands are run as printed, in one shell, on an installation of its own, and what they print is what the page shows. The record
of processing comes from the descriptors, and every text of every descriptor has its decision."""
import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import psycopg2
import pytest

import wardmote_server
from wardmote_dev import Dev
from wardmote_suite import committed_document

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/data-protection.md").read_text(encoding="utf-8")
END = "--- end of step ---"
PERSON = ("sam example", "sam.example", "960 002", "960 003")


def steps():
    """(commands, shown output), each pair of blocks of the page."""
    return re.findall(r"^```sh\n(.*?)^```\n+^```\n(.*?)^```$", PAGE, re.M | re.S)


def shows(shown, printed):
    """`...` on a line of its own stands for any number of lines."""
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in shown.splitlines())
    return re.fullmatch(pattern, printed) is not None


@pytest.fixture(scope="module", name="dev")
def _dev():
    base = pathlib.Path(tempfile.mkdtemp(prefix="wmprivacy-", dir="/tmp"))
    base.chmod(0o755)
    dev = Dev(base / "dev")
    (dev.folder / "wardmote").symlink_to(wardmote_server.binary())
    yield dev
    assert dev.stop() == 0
    shutil.rmtree(base)


def run_page(dev):
    script = "".join(f"{commands}\necho '{END}'\n" for commands, _ in steps())
    script = script.replace("/tmp/", f"{dev.folder}/").replace("var/dev", str(dev.folder)).replace("http://127.0.0.1:8080", dev.state["url"])
    done = subprocess.run(["bash", "-u"], input=script, capture_output=True, text=True, timeout=180, check=False, cwd=ROOT,
                          env={**os.environ, "PATH": f"{dev.folder}:{os.environ['PATH']}"})
    assert done.returncode == 0 and not done.stderr, (done.stderr, done.stdout)
    return done.stdout.split(END + "\n")[:-1]


def test_what_is_shown_is_compared():
    """The comparison itself can fail."""
    assert shows("a\n...\nz\n", "a\nb\nz\n") and not shows("a\n", "b\n") and not shows("a\n", "a\nb\n") and not shows("", "a\n")
    assert len(steps()) == PAGE.count("\n```sh\n") >= 10, "each block of commands is followed by what it prints"


def test_the_requests_of_a_person_are_answered_as_written(dev):
    """Each step as the page shows it; afterwards no table of the installation has the person in any row."""
    printed = run_page(dev)
    wrong = [f"{commands}\nthe page shows:\n{shown}\nbut it printed:\n{output}" for (commands, shown), output in zip(steps(), printed) if not shows(shown, output)]
    assert not wrong and len(printed) == len(steps()), "\n".join(wrong)
    bundle = dev.folder / "bundle"
    assert "rang twice" in "".join(path.read_text(encoding="utf-8") for path in bundle.glob("consultations-*.json")), "the control: the search can see"
    assert tables_with(dev, PERSON) == {} and tables_with(dev, ["allotments"]), "the person is gone, the records are there"


def tables_with(dev, texts):
    """{table: rows} of those in whose rows, as text, one of these is; as the owner, who sees every row."""
    connection = psycopg2.connect(dev.state["database_owner"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('wardmote', 'history', 'auth') ORDER BY 1")
        tables = [name for name, in cursor.fetchall()]
        assert {"wardmote.contact", "history.contact", "wardmote.idempotency", "auth.session"} <= set(tables)
        wanted = " OR ".join(["t::text ILIKE %s"] * len(texts))
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table} t WHERE {wanted}" for table in tables), [f"%{text}%" for text in texts] * len(tables))
        found = {table: n for table, n in cursor.fetchall() if n}
    connection.close()
    return found


# --- the record of processing ---

@pytest.fixture(scope="module", name="fields")
def _fields():
    return json.loads(wardmote_server.run(["privacy", "--json"]))["fields"]


def test_every_text_has_its_decision(fields):
    undecided = [f"{row['resource']}.{row['field']}" for row in fields if row["personal"] not in ("yes", "perhaps", "by id", "no")]
    assert not undecided, f"say with .names in the descriptor whether these can name somebody: {undecided}"


def is_free(schema):
    kinds = schema.get("type", [])
    text = "string" in ([kinds] if isinstance(kinds, str) else kinds)
    return text and "enum" not in schema and schema.get("format") in (None, "uri") and not schema.get("pattern", "").startswith("^([01]")


def texts_of(name, schema):
    """Every text of a schema, members of lists included."""
    for member, part in schema.get("properties", {}).items():
        item = part.get("items", {})
        if is_free(part) or (is_free(item) and "x-code-list" not in part and "x-refers" not in part):
            yield name, member
        for inner, deep in item.get("properties", {}).items():
            if is_free(deep):
                yield name, f"{member}.{inner}"


def test_the_record_has_every_text_of_the_api(fields):
    """The other way round: what the OpenAPI document offers as a text is in the record."""
    document, listed = committed_document(), {(row["resource"], row["field"]) for row in fields}
    found = set()
    for path, item in document["paths"].items():
        resource = path.removeprefix("/v1/")
        if path.startswith("/v1/") and "/" not in resource and "post" in item and (name := body_of(item["post"])) in document["components"]["schemas"]:
            found |= set(texts_of(resource, document["components"]["schemas"][name]))
    assert len(found) > 100 and found <= listed, found - listed


def body_of(operation):
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("$ref", "").rsplit("/", 1)[-1]


def test_each_personal_field_says_all_that_article_30_asks(fields):
    for row in fields:
        if row["personal"] == "yes":
            assert all(row[name] for name in ("what", "subjects", "purpose", "basis", "seen_by", "kept", "stored_in", "ended_by")), row
    assert {row["field"] for row in fields if row["reads_noted"] == "yes" and row["resource"] == "contacts"} == {"name", "phone", "email"}


def test_csv_and_the_copy_in_docs(fields):
    rows = list(csv.DictReader(io.StringIO(wardmote_server.run(["privacy", "--csv"]))))
    assert rows == [{name: value or "" for name, value in row.items()} for row in fields]
    assert (ROOT / "docs/record-of-processing.md").read_text(encoding="utf-8") == wardmote_server.run(["privacy"]), "wardmote privacy > docs/record-of-processing.md"


def test_where_the_record_says_that_fields_are_stored_they_are(dev, fields):
    connection = psycopg2.connect(dev.state["database_owner"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_schema || '.' || table_name || '.' || column_name FROM information_schema.columns WHERE table_schema IN ('wardmote', 'history')")
        columns = {name for name, in cursor.fetchall()}
    connection.close()
    missing = {place for row in fields for place in row["stored_in"].split(", ") if place not in columns}
    assert not missing, missing
