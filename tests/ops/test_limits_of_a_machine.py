# SPDX-License-Identifier: AGPL-3.0-or-later
"""bench/limits, which finds what an installation carries: its search against a machine of a known limit, and the program against a server."""
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess

import pytest

import wardmote_server
from wardmote_suite import ROOT

PROGRAM = ROOT / "bench/limits"


@pytest.fixture(scope="module", name="limits")
def _limits():
    loader = importlib.machinery.SourceFileLoader("limits", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("limits", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("limit", [49, 50, 99, 100, 777, 1234, 18081])
def test_the_search(limits, limit):
    asked = []

    def tried(rate):
        asked.append(rate)
        return rate <= limit, rate

    found = limits.highest(tried)
    if limit < limits.FIRST_RATE:
        assert found is None
        return
    rate, seen = found
    assert rate == seen <= limit < rate + max(2, limit / 8) and len(asked) < 20


@pytest.mark.parametrize("more, held", [({}, True), ({"statuses": {"200": 990, "503": 10}}, False), ({"broken": 1}, False), ({"late": 1}, False),
                                        ({"good": {"n": 980, "p99_ms": 9.0}}, False), ({"good": {"n": 1000, "p99_ms": 101.0}}, False)])
def test_what_holds(limits, more, held):
    found = {"seconds": 10.0, "statuses": {"200": 1000}, "broken": 0, "late": 0, "good": {"n": 1000, "p99_ms": 9.0}, **more}
    assert limits.holds(found, 100, 100) is held


def test_a_server(limits, server, tmp_path):  # pylint: disable=unused-argument
    (tmp_path / "partners").write_text("GET /v1/partners?limit=1\n\n", encoding="utf-8")
    (tmp_path / "nothing").write_text("GET /v1/nothing\n\n", encoding="utf-8")
    build = pathlib.Path(wardmote_server.binary()).resolve().parents[2]
    done = subprocess.run([PROGRAM, "--build", build, "--seconds", "0.2", "--p99", "3000", f"127.0.0.1:{server.port}", tmp_path / "partners", tmp_path / "nothing"],
                          capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # load's end frees nothing
    assert done.returncode == 1, "404 is no good answer"
    assert re.search(r"^\d{4}-\d\d-\d\d, \d+ cores of .*: `bench/limits --build ", done.stdout, re.M), done.stdout + done.stderr
    assert re.search(r"^\| partners \| [\d,]+ \| \d+\.\d ms \|$", done.stdout, re.M) and "| nothing | less than 50: answers {'404': 10} | 0.0 ms |" in done.stdout, done.stdout
