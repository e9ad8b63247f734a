# SPDX-License-Identifier: AGPL-3.0-or-later
"""SQL in every parameter, field and member of every operation: texts that would end a literal, and sqlmap. No answer is a 5xx or undocumented, sqlmap finds
nothing, and the database's log stays free of errors that only a statement put together from text can cause (its classes 42 and 22)."""
import copy
import csv
import io
import json
import re
import shutil
import subprocess
import urllib.parse

import pytest
import wardmote_server
from generated_values import SQL
from generated_world import World, fresh
from wardmote_client import Contract
from wardmote_long import LONG, pick, rng
from wardmote_records import absent_id

pytest_plugins = ["generated_site"]
CONTRACT = Contract(json.loads((wardmote_server.ROOT / "api/openapi.json").read_text(encoding="utf-8")))
POSITIONS = pick(8, 1000000)      # of one operation
PAYLOADS = pick(2, len(SQL))      # in one position
OPERATIONS = [pytest.param(operation, id=name) for name, operation in CONTRACT.operations.items()]
# sqlmap takes its time: by default one of each kind of position.
SQLMAP = OPERATIONS if LONG else [pytest.param(CONTRACT.operations["get_community"], id="get_community")]
SQLMAP_SECONDS = pick(300, 3600)
SLOW = {"create_session", "create_session_by_enrolment", "put_my_password"}


@pytest.fixture(scope="module", name="world")
def _world(site):
    return World(site)


class Base:
    """A request of an operation that is in order, and the places in it where a text can be put."""

    def __init__(self, world, operation):
        self.operation = operation
        self.resource = operation["path"].split("/")[2] if operation["path"].startswith("/v1/") else ""
        self.parameters = CONTRACT.resolve(operation.get("parameters", []))
        self.content = CONTRACT.resolve(operation.get("requestBody", {})).get("content", {})
        self.media_type = next(iter(self.content), None)
        self.schema = self.content[self.media_type]["schema"] if self.content else {}
        world.top_up(self.resource)
        self.ids = world.ids_of(operation) or [absent_id()]
        self.records, self.world = world.records, world

    def positions(self):
        return [(parameter["in"], parameter["name"]) for parameter in self.parameters] + [("body", name) for name in self.schema.get("properties", {})] + (
            [("cell", "first"), ("cell", "last")] if self.media_type == "text/csv" else [])

    def body(self):
        if self.operation["path"] == f"/v1/{self.resource}" and self.operation["method"] in ("POST", "PUT") and self.resource != "sessions":
            return self.records.body(self.resource)
        example = copy.deepcopy(self.content[self.media_type].get("example") or {})
        return {} if self.operation["method"] == "PATCH" else example

    def request(self, where, name, text):
        """(target, headers, body)"""
        path = CONTRACT.path(self.operation, **{"id": self.ids[-1], **({name: quoted(text)} if where == "path" else {})})
        query = {**CONTRACT.required_query(self.operation), **(self.world.import_query(self.operation) if CONTRACT.is_import(self.operation) else {})}
        if "external_id" in query:
            query["external_id"] = fresh("sql")
        headers = {"If-Match": "*"} if "428" in self.operation["responses"] else {}
        body = self.body() if self.content else None
        if where == "query":
            query[name] = text
        elif where == "header":
            headers[name] = text
        elif where == "body":
            body[name] = text
        elif where == "cell":
            body = with_cell(body, name, text)
        if body is not None:
            headers["Content-Type"] = self.media_type
            body = body if isinstance(body, str) else json.dumps(body) if "json" in self.media_type else "&".join(f"{key}={quoted(value)}" for key, value in body.items())
        target = path + ("?" + "&".join(f"{key}={quoted(value)}" for key, value in query.items()) if query else "")
        return target, headers, body


def with_cell(table, which, text):
    """A table whose last line has the text in one of its cells."""
    *lines, last = list(csv.reader(table.splitlines()))
    last[0 if which == "first" else -1] = text
    whole = io.StringIO()
    csv.writer(whole).writerows([*lines, last])
    return whole.getvalue()


def quoted(text):
    return urllib.parse.quote(str(text), safe="*")


def check(world, site):
    assert site.strange_errors() == []
    assert site.complaints() == []
    if world.callers["administrator"].get("/v1/me").status != 200:
        world.again("administrator")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_texts_that_would_end_a_literal(site, world, operation):
    random = rng(f"sql {operation['operationId']}")
    base = Base(world, operation)
    positions = base.positions()
    limit = 2 if operation["operationId"] in SLOW else POSITIONS
    for where, name in random.sample(positions, min(len(positions), limit)):
        for text in random.sample(SQL, min(PAYLOADS, 4 if operation["operationId"] in SLOW else PAYLOADS)):
            target, headers, body = base.request(where, name, text)
            client = site.public if operation["path"].startswith("/oauth") else world.callers["administrator"]
            answer = client.request(operation["method"], target, headers=headers, body=body.encode() if body is not None else None)
            assert answer.status < 500, f"{where} {name}: {text}: {answer.text()}"
            if CONTRACT.is_import(operation) and answer.status < 300:
                world.records.settled(answer, client)
    check(world, site)


def raw_request(site, base, client):
    """The request as sqlmap reads it: an asterisk in each place to try."""
    target, headers, _ = base.request(None, None, "")
    marked = [f"{name}=1*" for where, name in base.positions() if where == "query" and not (name == "external_id" and "external_id=" in target)]
    path, _, query = target.partition("?")
    if "{id}" in base.operation["path"]:
        path = path.replace(base.ids[-1], base.ids[-1] + "*")
    lines = [f"{base.operation['method']} {path}?{'&'.join([query + '*'] * bool(query) + marked)} HTTP/1.1".replace("? HTTP", " HTTP"),
             f"Host: {site.server.host}:{site.server.port}", "Accept: application/json"]
    if client.token:
        lines.append(f"Authorization: Bearer {client.token}")
    for where, name in base.positions():
        if where == "header" and name != "If-None-Match":  # sqlmap leaves it out, being about caches: the texts above try it
            headers.setdefault(name, '"a"' if "Match" in name else "key")
    lines += [f"{name}: {value if name == 'Content-Type' else value.rstrip('*') + 'a*'}" for name, value in headers.items()]
    if not base.content:
        return "\r\n".join(lines) + "\r\n\r\n"
    body = base.body()
    members = {name: body.get(name, "a") for name in base.schema.get("properties", {})}
    text = json.dumps({name: f"{value}*" if isinstance(value, str) else "1*" for name, value in members.items()})
    if "json" not in base.media_type:
        text = "&".join(f"{name}={quoted(str(value))}*" for name, value in members.items())
    return "\r\n".join(lines) + "\r\n\r\n" + text


@pytest.mark.parametrize("operation", SQLMAP)
def test_sqlmap_finds_nothing(site, world, operation, tmp_path):
    assert shutil.which("sqlmap"), "sqlmap is not installed"
    base = Base(world, operation)
    client = site.public if operation["path"].startswith("/oauth") else world.callers["administrator"]
    text = raw_request(site, base, client)
    (tmp_path / "request").write_text(text, encoding="utf-8", newline="")
    command = ["sqlmap", "-r", str(tmp_path / "request"), "--batch", "--ignore-stdin", "--disable-coloring", "--flush-session", "--output-dir", str(tmp_path / "out"), "--dbms", "PostgreSQL",
               "--technique", pick("BEU", "BEUST"), "--level", "1", "--risk", pick("1", "2"), "--time-sec", "2", "--timeout", "20", "--ignore-code",
               "400,401,403,404,405,406,409,412,413,414,415,422,428,431"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SQLMAP_SECONDS, check=False, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    told = done.stdout + done.stderr
    # "Appears to be injectable" is a candidate, which sqlmap then examines: an answer that differed for another reason (a record of another test) is a false positive.
    assert not re.search(r"is vulnerable|identified the following injection point", told), told[-5000:]
    assert told.count("does not seem to be injectable") == text.count("*"), f"not each place was tried: {told[-5000:]}"
    check(world, site)
