# SPDX-License-Identifier: AGPL-3.0-or-later
"""The suite of the API behind PgBouncer, and with transactions by name: a slice in the usual run, all of it in the long one. By hand:
WARDMOTE_TEST_POOLER=1 scripts/test tests/api, WARDMOTE_TEST_TRANSACTIONS=explicit scripts/test tests/api."""
import os
import re
import subprocess
import sys

import pytest

from wardmote_long import LONG, pick
from wardmote_suite import ROOT

SLICE = ["tests/api/test_idempotency.py", "tests/api/test_conditional.py"]
SUITE = ["tests/api", "tests/privacy", "tests/oracle"]


@pytest.mark.parametrize("asked", [{"WARDMOTE_TEST_POOLER": "1"}, {"WARDMOTE_TEST_TRANSACTIONS": "explicit"},
                                   {"WARDMOTE_TEST_POOLER": "1", "WARDMOTE_TEST_TRANSACTIONS": "explicit"}][:pick(2, 3)], ids=" ".join)
def test_the_suite(asked):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(pick(0, 2)), *(SUITE if LONG else SLICE)]
    done = subprocess.run(command, cwd=ROOT, env={**environment, "WARDMOTE_LONG": "", **asked}, capture_output=True, text=True, check=False)
    last = done.stdout.rstrip().rsplit("\n", 1)[-1]
    print(f"\n{asked}: {last}")
    assert done.returncode == 0, done.stdout[-20000:]
    assert int(re.search("([0-9]+) passed", last)[1]) > pick(20, 4000)
