# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a request costs, in instructions: they repeat where time does not, so that a rise of five per cent is one. See bench/instructions."""
import copy
import json
import platform
import sys

import pytest

from wardmote_suite import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import counting  # pylint: disable=wrong-import-position

BASELINE = json.loads((ROOT / "bench/instructions.json").read_text(encoding="utf-8"))
ROW = "PATCH"


def found(row=ROW, part="server", factor=1.0):
    """As the baseline, but for one figure."""
    rows = {name: {one: {"instructions": count} for one, count in counts.items()} for name, counts in copy.deepcopy(BASELINE["rows"]).items()}
    rows[row][part]["instructions"] = round(rows[row][part]["instructions"] * factor)
    return rows


def test_six_rows_are_counted():
    assert list(BASELINE["rows"]) == list(counting.REQUESTS) and len(BASELINE["rows"]) == 6


@pytest.mark.parametrize("part", counting.PARTS)
@pytest.mark.parametrize("row", BASELINE["rows"])
def test_a_rise_is_named(row, part):
    assert counting.risen(BASELINE, found(row, part, 1.045), BASELINE["versions"]) == []
    faults = counting.risen(BASELINE, found(row, part, 1.06), BASELINE["versions"])
    assert len(faults) == 1 and faults[0].startswith(f"{row}: {part}: ") and "+6.0 %" in faults[0]


def test_a_row_that_is_not_counted_is_named():
    rows = found()
    del rows[ROW]
    assert counting.risen(BASELINE, rows, BASELINE["versions"]) == [f"{ROW}: {part}: was not counted" for part in counting.PARTS]
    assert counting.risen(BASELINE, {**found(), "another": {}}, BASELINE["versions"]) == ["another: has no baseline"]


def test_other_versions_are_told_with_a_rise_and_excuse_none():
    here = {**BASELINE["versions"], "libpq": "99.1"}
    assert counting.risen(BASELINE, found(), here) == []
    faults = counting.risen(BASELINE, found(factor=1.06), here)
    assert len(faults) == 2 and faults[1] == f"(the baseline is of other versions: libpq {BASELINE['versions']['libpq']} is 99.1 here)"


@pytest.mark.skipif(platform.machine() != BASELINE["machine"], reason=f"the baseline is of {BASELINE['machine']}")
def test_no_request_costs_more_than_it_did():
    counts = counting.count(counting.release())
    assert counts["list of 50, two filters, sort"]["items"] == 50 and counts["finder"]["items"] > 3
    faults = counting.risen(BASELINE, counts, counting.versions())
    assert faults == [], "\n".join([*faults, "If there is a good reason: bench/instructions --update"])
