# SPDX-License-Identifier: AGPL-3.0-or-later
"""The same Idempotency-Key fifty times in parallel, by two partners at once, while keys are swept: one effect for each partner, and one answer, or 409 until
it is there."""
import contextlib
import threading

import pytest

from wardmote_long import pick
from wardmote_records import unique

ROUNDS = pick(5, 500)
CALLERS = 25


class Caller(threading.Thread):
    """Asks in each round when all ask, and again while it is told that another is at it."""

    def __init__(self, client, start, requests):
        super().__init__(daemon=True)
        self.client = client.as_token(client.token)
        self.start_together = start
        self.requests = requests
        self.answers = []

    def run(self):
        for key, name in self.requests:
            self.start_together.wait(60)
            statuses = []
            while not statuses or statuses[-1] == 409:
                answer = self.client.post("/v1/communities", {"name": name, "kind": "interest"}, headers={"Idempotency-Key": key})
                assert answer.status == 201 or answer.json()["type"].endswith("/problems/in-flight"), answer.text()
                statuses.append(answer.status)
            self.answers.append((answer.body, answer.etag, answer.headers["location"], answer.headers.get("idempotency-replayed")))
        self.client.close()


@pytest.fixture(name="sweeping")
def _sweeping(cluster):
    """Keys that ended are swept without pause."""
    ended = threading.Event()

    def sweep():
        with contextlib.closing(cluster.connect("postgres")) as owner, owner.cursor() as cursor:
            while not ended.wait(0.01):
                cursor.execute("SELECT wardmote.forget_keys()")

    thread = threading.Thread(target=sweep)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.mark.usefixtures("sweeping")
def test_fifty_at_once(partner, other, cluster):
    requests = [(unique("key"), unique("Fifty")) for _ in range(ROUNDS)]
    together = threading.Barrier(2 * CALLERS)
    callers = [Caller(owner.officer, together, requests) for owner in (partner, other) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [len(caller.answers) for caller in callers] == [ROUNDS] * len(callers)
    with contextlib.closing(cluster.connect("postgres")) as owner, owner.cursor() as cursor:
        for number, (_, name) in enumerate(requests):
            for group in (callers[:CALLERS], callers[CALLERS:]):
                answers = [caller.answers[number] for caller in group]
                assert len({answer[:3] for answer in answers}) == 1, "one answer"
                assert sorted(answer[3] or "" for answer in answers) == [""] + ["true"] * (CALLERS - 1)
            cursor.execute("SELECT count(*), count(DISTINCT partner_id) FROM wardmote.community WHERE name = %s", (name,))
            assert cursor.fetchone() == (2, 2), "one effect for each partner"
