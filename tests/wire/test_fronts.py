# SPDX-License-Identifier: AGPL-3.0-or-later
"""The corpus and changed messages through haproxy and nginx, configured as documented. Whatever a proxy makes of a message, we see the requests that it
meant, with the bodies that it meant, and no others; and the next client on the shared connection gets its own answer."""
import collections
import re

import pytest
from wire_corpus import ROWS, segments
from wire_front import through
from wire_mutants import mutant
from wire_proxies import Front
from wardmote_long import pick, rng
from wardmote_wire import ROOT, Traced

MUTANTS = pick(150, 60000)
WORDS = {"refuses": "refused there", "gate": "refused by the gate", "plain": "passed in plain form"}


@pytest.fixture(scope="module", name="front", params=["haproxy", "nginx"])
def _front(request):
    with Traced() as traced:
        front = Front(request.param, traced.address)
        yield front, traced
        front.close()


@pytest.mark.parametrize("how", ["whole", "bytes", "random"])
def test_corpus(front, how):
    proxy, traced = front
    random = rng(f"{proxy.name} {how}")
    wrong = {}
    for number, row in enumerate(ROWS):
        became, faults = through(proxy, traced, segments(row["data"], how, random), f"{how}{number}")
        if not faults and became != row[proxy.name]:  # a line of the log that came late is counted for the message after it
            became, faults = through(proxy, traced, segments(row["data"], how, random), f"{how}{number}again")
        if faults or became != row[proxy.name]:
            wrong[row["name"]] = (became, faults)
    assert wrong == {}


def test_changed_messages(front, capsys):
    proxy, traced = front
    random = rng(f"mutants {proxy.name}")
    became = collections.Counter()
    for number in range(MUTANTS):
        data = mutant(random)
        pieces = segments(data, random.choice(["whole", "whole", "random"]), random)
        what, faults = through(proxy, traced, pieces, f"m{number}")
        assert not faults, f"message {number}: {data!r} in {pieces!r}: {faults}"
        became[what] += 1
    assert became["plain"] > 0 and became["gate"] > 0 and became["refuses"] > 0
    with capsys.disabled():
        print(f"\n{proxy.name}: {MUTANTS} changed messages, {dict(became)}")


def test_the_documented_table_is_what_happens():
    """docs/http-gate.md, "What proxies make of it": the rows of the corpus that belong to the pitfalls a head does not show, by what becomes of them."""
    page = (ROOT / "docs/http-gate.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (H\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M)
    assert [tuple(row) for row in table] == documented_rows()


def documented_rows():
    names = collections.defaultdict(list)
    for row in ROWS:
        if row["row"] in ("H2", "H3", "H10", "H12"):
            outcome = ("refused" if "status" in row else "accepted", WORDS[row["haproxy"]], WORDS[row["nginx"]])
            names[(int(row["row"][1:]), outcome)].append(row["name"])
    return [(f"H{number}", "; ".join(found), *outcome) for (number, outcome), found in sorted(names.items())]
