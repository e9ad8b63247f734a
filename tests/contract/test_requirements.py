# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/places-requirements.md says what serves each requirement and which tests show it: the operations, parameters, fields and tests are there."""
import functools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([A-Z]+-[A-Z0-9-]*[0-9]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = 66


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def table():
    """[(requirement, [what serves it], [tests])]"""
    text = (ROOT / "docs/places-requirements.md").read_text(encoding="utf-8")
    return [(row, quoted(served), quoted(tests)) for row, _, served, tests in ROW.findall(text)]


@functools.cache
def document():
    return json.loads((ROOT / "api/openapi.json").read_text(encoding="utf-8"))


@functools.cache
def operations():
    """{operation: names of its parameters}"""
    shared = document()["components"]["parameters"]
    return {operation["operationId"]: {(shared[given["$ref"].split("/")[-1]] if "$ref" in given else given)["name"] for given in operation.get("parameters", [])}
            for path in document()["paths"].values() for method, operation in path.items() if method in ("get", "post", "put", "patch", "delete")}


@functools.cache
def source(path):
    return (ROOT / "tests" / path).read_text(encoding="utf-8")


def missing(served):
    """What the document does not have of an operation with parameters, or of a field of a record."""
    if "." in served.split("?")[0]:
        schema, field = served.split(".")
        return [] if field in document()["components"]["schemas"].get(schema, {}).get("properties", {}) else [served]
    name, *parameters = re.split("[?&]", served)
    return [served] if name not in operations() else [f"{name}?{parameter}" for parameter in parameters if parameter not in operations()[name]]


def test_every_requirement_is_there_once():
    rows = [row for row, _, _ in table()]
    assert len(rows) == len(set(rows)) == ROWS
    text = (ROOT / "docs/places-requirements.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| [A-Z]+-", text, re.MULTILINE)) == ROWS, "a row has another form"


@pytest.mark.parametrize("row, served", [(row, served) for row, served, _ in table()], ids=[row for row, _, _ in table()])
def test_what_serves_it_exists(row, served):
    assert served, row
    assert [gap for each in served for gap in missing(each)] == [], row


@pytest.mark.parametrize("row, tests", [(row, tests) for row, _, tests in table()], ids=[row for row, _, _ in table()])
def test_its_tests_exist(row, tests):
    assert tests, row
    for test in tests:
        path, name = test.split("::")
        assert (ROOT / "tests" / path).exists() and re.search(rf"^def {name}\(", source(path), re.MULTILINE), f"{row}: {test}"
