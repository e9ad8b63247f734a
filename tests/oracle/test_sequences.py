# SPDX-License-Identifier: AGPL-3.0-or-later
"""Generated sequences of requests by many callers against the model of oracle_model.py. A failure is shrunk to a short sequence and printed with its requests;
WARDMOTE_SEED repeats the run."""
import time

import hypothesis
import pytest
from hypothesis import strategies

import wardmote_long
from oracle_play import Play, Stage

STEPS = sorted(name for name in dir(Play) if name.startswith("step_")) + 3 * ["step_create", "step_change"]
SEED = wardmote_long.pick(77, wardmote_long.SEED)  # the usual run repeats one draw, the long run makes new ones
SEQUENCES = wardmote_long.pick(12, 30)      # on one database
STAGES = wardmote_long.pick(1, 1000)
SECONDS = wardmote_long.pick(60, 25 * 60)   # no further stage after this long
LENGTH = 60


def drive(stage, sequences, seed):
    """`sequences` generated ones, by hypothesis under this seed; the number of those that ran."""
    ran = []

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=sequences, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck), print_blob=False)
    @hypothesis.given(start=strategies.binary(min_size=12, max_size=12),
                      steps=strategies.lists(strategies.tuples(strategies.sampled_from(STEPS), strategies.binary(min_size=20, max_size=20)), min_size=LENGTH // 2,
                                             max_size=LENGTH))
    def sequence(start, steps):
        play = Play(stage)
        play.begin(start)
        for name, data in steps:
            play.do(name, data)
        play.end(start)
        ran.append(len(steps))

    sequence()
    return len(ran)


@pytest.fixture(scope="module", name="tally")
def _tally():
    tally = {"sequences": 0, "requests": 0, "faults": 0}
    yield tally
    print(f"\noracle: {tally}, seed {SEED}")


def test_sequences_agree_with_the_model(cluster, keys, tally):
    begun = time.monotonic()
    for number in range(STAGES):
        stage = Stage(cluster, keys, f"oracle_{number}")
        try:
            tally["sequences"] += drive(stage, SEQUENCES, SEED + number)
        finally:
            tally["requests"] += stage.requests
            tally["faults"] += stage.faults
            print(f"\noracle: {tally}, this stage by status {dict(sorted(stage.statuses.items()))}")
            mixed_up = stage.server.metric("db_mismatches_total")
            stage.close()
        assert mixed_up == 0
        if time.monotonic() - begun > SECONDS:
            break
    assert tally["requests"] > 1000
