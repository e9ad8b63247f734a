# SPDX-License-Identifier: AGPL-3.0-or-later
"""How long a run is, and what it draws its luck from. `scripts/test --long` sets WARDMOTE_LONG=1; WARDMOTE_SEED=N repeats a run."""
import os
import random

LONG = os.environ.get("WARDMOTE_LONG") == "1"
SEED = int(os.environ.get("WARDMOTE_SEED") or random.SystemRandom().randrange(2 ** 32))
os.environ["WARDMOTE_SEED"] = str(SEED)  # the workers of one run share it


def pick(usual, long_run):
    """A count: a slice in the usual run, all of it in the long one."""
    return long_run if LONG else usual


def rng(name):
    """A generator of a test's own, so that one test's draws do not depend on which others ran."""
    return random.Random(f"{SEED}/{name}")
