# SPDX-License-Identifier: AGPL-3.0-or-later
"""The OpenAPI document: generated, current, whole, and usable by the tools of those who integrate."""
import json
import os
import pathlib
import subprocess

import pytest

import wardmote_server
from wardmote_client import Contract, sample, typed
from wardmote_suite import ROOT, committed_document

WEB = ROOT / "tests/web"


def tool(*command, environment=None, cwd=WEB):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "REDOCLY_TELEMETRY": "off", **(environment or {})})
    assert done.returncode == 0, f"{command[0]}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module", name="node_modules")
def _node_modules():
    """The tools of the lock file; installed when they are not there or older than it."""
    stamp = WEB / "node_modules/.package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        tool("npm", "ci")
    return WEB / "node_modules/.bin"


def each_operation(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


# --- generated and current ---

@pytest.mark.parametrize("command, name", [("openapi", "openapi.json"), ("problems", "problems.md")])
def test_committed_copy_is_current(command, name):
    assert (ROOT / "api" / name).read_text(encoding="utf-8") == wardmote_server.run([command]), f"run: wardmote {command} > api/{name}"


def test_rendering_is_stable(tmp_path):
    """The tool of the build makes the same each time, and marks every place of an address."""
    tool_path = pathlib.Path(wardmote_server.binary()).parent / "../../describe"
    for name in ("one", "two"):
        tool(tool_path, tmp_path / name)
    text = (tmp_path / "one").read_text(encoding="utf-8")
    assert text == (tmp_path / "two").read_text(encoding="utf-8")
    assert text.replace("http://base.invalid", "http://127.0.0.1:8080") == (ROOT / "api/openapi.json").read_text(encoding="utf-8").removesuffix("\n")
    assert text.count("http://base.invalid") > 2 and "127.0.0.1:8080" not in text


def test_server_serves_the_same_document_with_its_own_address(server, anonymous):
    answer = anonymous.get("/openapi.json")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.1"
    committed = (ROOT / "api/openapi.json").read_text(encoding="utf-8").replace("http://127.0.0.1:8080", server.url)
    assert answer.json() == json.loads(committed)


# --- whole ---

def test_document_names_no_dialect():
    """swagger-ui shows a warning for it."""
    assert "jsonSchemaDialect" not in committed_document()


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for _, operation in each_operation(committed_document())]
    assert len(ids) == len(set(ids))


def test_every_operation_says_who_may_and_how_it_fails():
    for name, operation in each_operation(committed_document()):
        assert operation["x-role"] in ("anonymous", "viewer", "officer", "manager", "administrator"), name
        assert {"400", "429", "500", "503"} <= set(operation["responses"]), name
        assert operation["summary"] and operation["description"], name
        if operation["x-role"] != "anonymous":
            assert operation["security"] and {} not in operation["security"], name


def test_every_scope_is_declared():
    document = committed_document()
    declared = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"]
    used = {scope for _, operation in each_operation(document) for way in operation["security"] for scope in way.get("oauth2", [])}
    assert used == set(declared)


def test_inputs_are_closed_and_bounded():
    """No object of a request takes members that nobody named, and every text and list has its limit."""
    def look(schema, where):
        if schema.get("properties", {}).get("type", {}).get("const") == "FeatureCollection":
            return  # a file: its features are read one by one, under caps of their own
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "object" in kinds and "coordinates" not in schema.get("properties", {}):
            assert schema.get("additionalProperties") is False or where.startswith("POST /oauth"), where
        if "string" in kinds:
            assert "maxLength" in schema or "enum" in schema, where
        if "array" in kinds:
            assert "maxItems" in schema, where
        for name, part in schema.get("properties", {}).items():
            look(part, f"{where}/{name}")
        for key in ("items",):
            if key in schema:
                look(schema[key], f"{where}/{key}")

    document = committed_document()
    for name, operation in each_operation(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"]
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
            look(schema, name)


def test_personal_data_says_why_and_how_long():
    found = 0
    for name, schema in committed_document()["components"]["schemas"].items():
        for member, part in schema.get("properties", {}).items():
            if "x-personal-data" in part:
                found += 1
                assert part["x-personal-data"]["purpose"] and part["x-personal-data"]["retention"], f"{name}.{member}"
    assert found > 0
    listed = wardmote_server.run(["privacy"])
    assert listed.count("\n| accounts | ") >= 2


def test_requests_can_be_made_from_the_document():
    """Tests of every operation fill paths and parameters from it: each has an example, or a schema that one follows from."""
    contract = Contract(committed_document())
    for name, operation in contract.operations.items():
        assert "{" not in contract.path(operation, id="x"), name
        for parameter in contract.resolve(operation.get("parameters", [])):
            if parameter["in"] == "query":
                value = typed(parameter["schema"], sample(parameter))
                assert list(contract.validator((name, parameter["name"]), parameter["schema"]).iter_errors(value)) == [], (name, parameter["name"], value)
    tile = {"path": "/t/{id}/{z}/{y}.mvt", "parameters": [{"name": "z", "in": "path", "example": 10}, {"name": "y", "in": "path", "example": 335}]}
    assert contract.path(tile, id="a b") == "/t/a b/10/335.mvt" and contract.path(tile, id="c", z=0) == "/t/c/0/335.mvt"


# --- the tools of others ---

def test_spectral_with_the_owasp_rules(node_modules):
    tool(str(node_modules / "spectral"), "lint", "-r", "spectral.yaml", "--fail-severity=hint", str(ROOT / "api/openapi.json"))


def test_redocly(node_modules):  # pylint: disable=unused-argument
    tool("node", "redocly.mjs", str(ROOT / "api/openapi.json"))


def test_typescript_client_compiles_and_works(node_modules, server, host, anonymous, tmp_path):
    document = tmp_path / "openapi.json"
    document.write_bytes(anonymous.get("/openapi.json").body)
    schema = pathlib.Path(WEB / "schema.d.ts")
    tool(str(node_modules / "openapi-typescript"), str(document), "-o", str(schema), "--default-non-nullable=false")
    tool(str(node_modules / "tsc"), "-p", ".")
    assert "ok" in tool("node", "build/client.test.js", environment={
        "WARDMOTE_TEST_URL": server.url, "WARDMOTE_TEST_CLIENT_ID": host["client_id"], "WARDMOTE_TEST_CLIENT_SECRET": host["client_secret"]})
