# SPDX-License-Identifier: AGPL-3.0-or-later
"""The suite notices when a check is missing: in the usual run a draw of the mutants of the database, in the long run all of them, the program's too."""
import json
import os
import pathlib
import re
import subprocess

import wardmote_long

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "run"
SAMPLE = 20


def test_the_suite_notices_missing_checks():
    command = [str(RUN), "all"] if wardmote_long.LONG else [str(RUN), "sql", "--sample", str(SAMPLE), "--jobs", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=wardmote_long.pick(1500, 12 * 3600))
    print(done.stdout[-8000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    killed, of = map(int, re.search(r"^score: (\d+) of (\d+) mutants killed", done.stdout, re.M).groups())
    assert killed == of >= SAMPLE


def test_no_order_is_for_owners_only():
    """What one of the proofs in equivalent.py rests on."""
    for path in (HERE.parents[1] / "src/resources").rglob("*.c"):
        rows = re.search(r"struct sort \w*sorts\[\] = \{(.*?)\n\};", path.read_text(encoding="utf-8"), re.S)
        assert rows is None or "A_OWNER" not in rows[1], path


def test_only_post_takes_a_key():
    """So does another."""
    paths = json.loads((HERE.parents[1] / "api/openapi.json").read_text(encoding="utf-8"))["paths"]
    assert {method for methods in paths.values() for method, operation in methods.items() if "Idempotency-Key" in json.dumps(operation)} == {"post"}


def test_killers_are_tests_that_there_are():
    """A mutant whose killer was renamed would meet all other tests before it is given up: `tests/mutants/run --learn` finds the new one."""
    lost = set()
    for killer in set(json.loads((HERE / "killers.json").read_text(encoding="utf-8")).values()) - {"the server itself"}:
        path, function = killer.split("[")[0].split("::")
        source = HERE.parents[1] / path
        if not source.exists() or not re.search(rf"^def {function}\(", source.read_text(encoding="utf-8"), re.M):
            lost.add(killer)
    assert not lost
