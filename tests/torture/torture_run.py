# SPDX-License-Identifier: AGPL-3.0-or-later
"""One case under failures: what came back, what it did, and that it works when nothing fails."""
import contextlib
import errno
import time

import pytest

from torture import Shim, TorturedServer, compile_shim, send, until
from torture_cases import Site
from wardmote_client import Client
from wardmote_records import Records


@pytest.fixture(scope="module", name="site")
def fixture_site(cluster, keys, host, contract):
    shim = Shim(compile_shim())
    server = TorturedServer(cluster, keys, shim, access_token_seconds=86400, log_level="warning")
    public = Client(server, None, None)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    site = Site(cluster, server, Records(administrator, contract), host)
    site.shim = shim
    yield site
    server.close()


class Run:
    """All that is done with one case."""

    def __init__(self, site, case, kinds, error=errno.ENOMEM):
        self.site = site
        self.case = case
        self.shim = site.shim
        self.kinds = kinds
        self.error = error
        self.tried = 0
        self.answers = {}
        self.right = self.unharmed(case.make())
        wire = case.make()
        self.shim.arm(kinds, 0)
        counted = send(site.server, wire)
        self.shim.disarm()
        self.n = self.shim.count
        assert counted is not None and self.same(counted), f"{case}: {counted and counted.status}"

    def unharmed(self, wire):
        """With nothing failing, and the lanes back after what a test before this one did to them."""
        self.site.server.wait_ready()
        answer = until(lambda: send(self.site.server, wire))
        assert answer.status != 503, f"{self.case}: {answer.body!r} with nothing failing: {self.site.server.log()[-2000:]}"
        return answer

    def same(self, answer):
        return answer.plain(self.case.volatile) == self.right.plain(self.case.volatile)

    def where(self):
        return "\n".join(self.site.server.where())

    def fail(self, at, forever):
        wire = self.case.make()
        before = 0 if self.case.effect is None else self.case.effect(wire)
        what = f"{self.case}, {self.kinds[0]} {at} of {self.n}{' and all that follow' if forever else ''}"
        self.shim.arm(self.kinds, at, forever, self.error)
        try:
            answer = send(self.site.server, wire)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}\n{self.where()}") from error
        finally:
            self.shim.disarm()
        self.tried += 1
        word = "closed" if answer is None else "503" if answer.status == 503 else "right" if self.same(answer) else "wrong"
        self.answers[word] = self.answers.get(word, 0) + 1
        assert self.site.server.alive(), f"{what}: the server ended: {self.site.server.log()[-6000:]}\n{self.where()}"
        assert word != "wrong", (f"{what}: {answer.status} {answer.headers} {answer.body[:600]!r}, right is {self.right.status} {self.right.body[:300]!r}\n"
                                 f"{self.where()}")
        if self.case.effect is not None:
            after = self.case.effect(wire)
            assert after in (before, 1), what
            assert answer is None or answer.status >= 300 or after == 1, f"{what}: acknowledged and not done"
        self.settle(wire, what)

    def settle(self, wire, what):
        """With memory again the same request has its right answer, soon, and was done once."""
        refusals = []

        def answered():
            answer = send(self.site.server, wire)
            if answer is not None and answer.status != 503:
                return answer
            refusals.append((round(time.monotonic(), 3), None if answer is None else answer.body[-300:]))
            return None

        try:
            answer = until(answered)
        except AssertionError as error:
            raise AssertionError(f"{what}, then {len(refusals)} times {refusals[-4:]}: {error}; {self.site.server.log()[-3000:]}") from error
        assert answer.status in (self.right.status, *self.case.again), f"{what}, then: {answer.status} {answer.body[:500]!r}\n{self.where()}"
        if self.case.effect is not None:
            assert self.case.effect(wire) == 1, what


BACKENDS = 6  # a connection in each lane of the one worker, and those of the jobs and background threads; imports have one while there is something to import


def all_connected(site):
    """Waits until all connections to the database are there: what came before may have ended some."""
    with contextlib.closing(site.cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def all_back():
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'torture'")
            return cursor.fetchone()[0] == BACKENDS

        until(all_back, 30)


def quiet(site):
    """Blocks in use and open descriptors when nothing is under way and the lanes are up."""
    site.server.wait_ready()
    all_connected(site)
    send(site.server, site.get("/v1/me", site.officer))

    def look():
        first = site.shim.blocks, site.server.descriptors()
        time.sleep(0.03)  # between two looks
        return first if first == (site.shim.blocks, site.server.descriptors()) else None

    return until(look, 30)
