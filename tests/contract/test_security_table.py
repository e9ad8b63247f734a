# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/security.md names a test for each row of its tables of attacks: each row is there, and each test."""
import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"BOLA": 10, "AUTH": 23, "PROP": 5, "RES": 6, "FUNC": 3, "FLOW": 3, "SSRF": 1, "CONF": 4, "INV": 2, "UNS": 1}
# What there is nothing of yet that could be attacked.
WITHOUT = {"FLOW-2", "FLOW-3"}


def table():
    """{row: [tests]}"""
    text = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([A-Z]+-\d+) \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    rows = {row: re.findall(r"`([^`]+)`", tests) for row, tests in found}
    assert len(rows) == len(found), "a row is there twice"
    return rows


@functools.cache
def source(path):
    return (ROOT / "tests" / path).read_text(encoding="utf-8")


def test_every_row_is_there():
    assert set(table()) == {f"{item}-{number}" for item, most in ROWS.items() for number in range(1, most + 1)}


def test_every_row_names_tests_that_exist():
    for row, tests in table().items():
        assert bool(tests) != (row in WITHOUT), row
        for test in tests:
            path, name = test.split("::")
            pattern = rf"^static void {name}\(void \*\*state\)" if path.endswith(".c") else rf"^def {name}\("
            assert re.search(pattern, source(path), re.MULTILINE), f"{row}: {test}"


def test_every_test_of_a_row_is_named():
    """A test whose name begins with a row's belongs to it."""
    named = {test.split("::")[1] for tests in table().values() for test in tests}
    for path in ("api/test_owasp.py", "api/test_token_table.py"):
        for name in re.findall(r"^def (test_[a-z]+_\d+_\w+)\(", source(path), re.MULTILINE):
            assert name in named, name
