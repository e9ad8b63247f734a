# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/security-model.md names a test for each limit, and each is there; numbers of things in docs/security.md are as many as there are."""
import functools
import json
import re
import subprocess
import sys

import pytest

from wardmote_suite import ROOT

MODEL = (ROOT / "docs/security-model.md").read_text(encoding="utf-8")
PROOFS = (ROOT / "docs/security.md").read_text(encoding="utf-8")
LIMITS = [line.split(" | ") for line in MODEL.split("\n## The limits")[1].splitlines() if line.startswith("| ") and not line.startswith("| limit ")]


@functools.cache
def source(path):
    return (ROOT / "tests" / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0].strip("| "))
def test_a_limit(row):
    assert len(row) == 5, "limit, value, what is beyond it, test, figure"
    tests = re.findall(r"`([^`]+)::(\w+)`", row[3])
    assert tests
    for path, name in tests:
        assert re.search(rf"^def {name}\(", source(path), re.M), f"{path}::{name}"


def test_there_are_limits():
    assert len(LIMITS) >= 20


def said(pattern):
    found = re.findall(pattern, PROOFS)
    assert len(found) == 1, pattern
    return int(found[0].replace(",", ""))


def tracked(folder):
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", folder], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def test_numbers_of_things():
    assert said(r"`tests/wire/corpus\.json` holds (\d+) raw requests") == len(json.loads(source("wire/corpus.json")))
    assert said(r"More than ([\d,]+) stored inputs run as unit tests") < len(tracked("tests/fuzz/corpus"))
    assert said(r"every parameter, (\d+) header fields") == len(re.findall(r'"[^"]+"', source("privacy/test_canaries.py").split("HEADERS = (")[1].split(")")[0]))
    assert said(r"draws (\d+) mutants of the database") == int(re.search(r"^SAMPLE = (\d+)$", source("mutants/test_mutants.py"), re.M)[1])


def test_numbers_of_damages_and_of_what_is_equivalent():
    script = ("import sys; sys.path[:0] = sys.argv[1:]\n"
              "import equivalent, oracle_model, test_auditor\n"
              "print(len(test_auditor.DAMAGES) + len(test_auditor.FORGERIES) + 1, len(equivalent.PROOFS), len(oracle_model.KINDS))")
    folders = [str(ROOT / "tests" / name) for name in ("", "faults", "oracle", "mutants")]
    done = subprocess.run([sys.executable, "-c", script, *folders], capture_output=True, text=True, timeout=60, check=True)
    damages, proofs, kinds = map(int, done.stdout.split())
    assert said(r"damages tables and journal in (\d+) ways") == damages
    assert sum(map(int, re.findall(r"(\d+) more (?:is|are) equivalent", PROOFS))) <= proofs
    assert "fourteen resources" in PROOFS and kinds == 14


def test_every_fuzz_target_has_its_row():
    part = PROOFS.split("\n## Parsers\n")[1].split("\n## ")[0]
    named = {name for line in part.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert named == {path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c")}
