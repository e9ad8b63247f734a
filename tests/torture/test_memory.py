# SPDX-License-Identifier: AGPL-3.0-or-later
"""No allocation of any kind of request may fail in a way that shows more than 503, a closed connection or the right answer: never a crash, a leak, a check
that was skipped, or half a write. Each allocation fails in turn, once, and from then on until the memory is back."""
import os
import re

import pytest

import wardmote_long
from torture import send, until
from torture_cases import Case, identity_cases, read_cases, write_cases
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


def test_what_is_counted_is_what_was_told(site):
    """The last resort, a 503 made at the start, is not counted and logged as the answer that could not be made."""
    counted, told = 'route="/v1/me",code="200"', []
    wire = site.get("/v1/me", site.officer)
    run = Run(site, Case("own account", lambda: wire), ["allocate", "mmap"])
    before = site.server.metric("http_requests_total", counted)

    def ask():
        told.append(send(site.server, wire))
        return told[-1] is not None and told[-1].status == 200

    for at in range(1, run.n + 1):
        site.shim.arm(["allocate", "mmap"], at)
        ask()
        site.shim.disarm()
        until(ask)
    answers = [answer for answer in told if answer is not None]
    assert any(answer.headers["x-request-id"] == "out-of-memory" for answer in answers)
    good = sum(answer.status == 200 for answer in answers)
    until(lambda: site.server.metric("http_requests_total", counted) - before == good)
