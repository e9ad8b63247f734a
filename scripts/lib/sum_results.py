# SPDX-License-Identifier: AGPL-3.0-or-later
"""Adds up the results of all runners: `sum_results.py FOLDER PYTEST_STATUS`. Prints one line; ends with 1 when anything failed or nothing ran."""
import json
import pathlib
import sys
import xml.etree.ElementTree as tree


def unit_results(path):
    """meson's log: one JSON object a line. A test that could not run has failed."""
    passed = failed = skipped = 0
    for line in path.read_text().splitlines():
        result = json.loads(line)["result"]
        passed += result in ("OK", "EXPECTEDFAIL")
        skipped += result == "SKIP"
        failed += result not in ("OK", "EXPECTEDFAIL", "SKIP")
    return passed, failed, skipped


def pytest_results(path):
    suites = list(tree.parse(path).getroot().iter("testsuite"))
    total, failures, errors, skipped = (sum(int(suite.get(name)) for suite in suites) for name in ("tests", "failures", "errors", "skipped"))
    return total - failures - errors - skipped, failures + errors, skipped


def main(folder, status):
    results = [unit_results(path) for path in folder.glob("*.json")] + [pytest_results(path) for path in folder.glob("*.xml")]
    passed, failed, skipped = (sum(column) for column in zip(*results)) if results else (0, 0, 0)
    pytest_failed = any(pytest_results(path)[1] for path in folder.glob("*.xml"))
    if status != 0 and not pytest_failed:  # a crash of the runner, or a check of the whole session
        failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
