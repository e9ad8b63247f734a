# SPDX-License-Identifier: AGPL-3.0-or-later
"""No allocation of any kind of request may fail in a way that shows more than 503, a closed connection or the right answer: never a crash, a leak, a check
that was skipped, or half a write. Each allocation fails in turn, once, and from then on until the memory is back."""
import os
import re

import pytest

import wardmote_long
from torture import send
from torture_cases import identity_cases, read_cases, write_cases
from torture_run import Run, fixture_site, quiet  # pylint: disable=unused-import

# Some kinds only, by a pattern: TORTURE_CASE="token by|forged".
ONLY = os.environ.get("TORTURE_CASE", "")


def points(n, name):
    """Which allocations fail: all of them in the long run, else some."""
    if wardmote_long.LONG:
        return list(range(1, n + 1))
    draw = wardmote_long.rng(name)
    return sorted(draw.sample(range(1, n + 1), min(n, 3)))


def torture(site, case):
    run = Run(site, case, ["allocate", "mmap"])
    for forever in (False, True):
        for at in points(run.n, f"{case}/{forever}"):
            if case.slow and not wardmote_long.LONG and at % 2:
                continue
            run.fail(at, forever)
    print(f"{case} ({run.right.status}): {run.n} allocations, {run.tried} runs, {run.answers}")
    return run.tried


@pytest.mark.parametrize("cases", [read_cases, write_cases, identity_cases])
def test_requests(site, cases):
    made = [case for case in cases(site) if re.search(ONLY, case.title)]
    for case in made:  # caches fill, statements are prepared
        for _ in range(2):
            send(site.server, case.make())
    blocks, descriptors = quiet(site)
    runs = sum(torture(site, case) for case in made)
    left, open_now = quiet(site)
    # Statements that are prepared stay, as before; what each failure left would be there as often as there were failures.
    assert left - blocks < max(runs // 5, 60), f"{left - blocks} blocks more after {runs} runs"
    assert open_now <= descriptors
