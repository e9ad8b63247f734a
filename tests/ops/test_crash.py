# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill -9 under load, of a backend, of PostgreSQL, of the server. Clients log what they were told; afterwards an auditor compares that with the tables:
nothing that was acknowledged is lost, nothing was done twice, what was unknown is settled by its key, versions have no gap."""
import contextlib
import http.client
import os
import pathlib
import signal
import threading
import time

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records, unique

WRITERS = 6
PATIENCE = 60


def until(look, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)  # between two looks; the deadline decides


@pytest.fixture(scope="module", name="site")
def _site(contract, anonymous):
    """A cluster that keeps what it acknowledged, and a server on it."""
    cluster = wardmote_server.Cluster()
    cluster.setup()
    with contextlib.closing(cluster.connect("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute("ALTER ROLE wardmote_api SET synchronous_commit = on")
    host = wardmote_server.make_administrator(cluster)
    server = wardmote_server.Server(cluster, wardmote_server.make_keys(cluster), workers=2)
    public = Client(server, contract, anonymous.coverage)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    yield cluster, server, Records(administrator, contract).partner().officer
    server.close()
    cluster.close()


class Writer(threading.Thread):
    """Creates records under keys and changes them, one request at a time, and remembers every answer."""

    def __init__(self, client):
        super().__init__()
        self.client = client.as_token(client.token)
        self.ended = threading.Event()
        self.created = []   # (name, key, id or None)
        self.changed = {}   # id -> [(version, description)] as acknowledged
        self.strange = []   # what no client may ever see
        self.acknowledged = 0

    def _ask(self, call, *arguments, **options):
        """The answer, or None when there was none. It must be the answer to this very request."""
        request_id = unique("request").replace("_", "-")
        options.setdefault("headers", {})["X-Request-Id"] = request_id
        try:
            answer = call(*arguments, **options)
        except (OSError, http.client.HTTPException):
            self.client.close()
            return None
        if answer.headers.get("x-request-id") != request_id:
            self.strange.append(("another's answer", request_id, answer.headers))
        return answer

    def run(self):
        while not self.ended.is_set():
            self._create()

    def _create(self):
        name, key = unique("Crash"), unique("key")
        answer = self._ask(self.client.post, "/v1/communities", {"name": name, "kind": "interest"}, headers={"Idempotency-Key": key})
        made = answer is not None and answer.status == 201
        if answer is not None and answer.status not in (201, 503):
            self.strange.append((answer.status, answer.text()))
        self.created.append((name, key, answer.json()["id"] if made else None))
        self.acknowledged += made
        if made:
            self._change(answer)

    def _change(self, record):
        """Three changes, each of the version that the one before gave."""
        path, etag = f"/v1/communities/{record.json()['id']}", record.etag
        for _ in range(3):
            description = unique("description")
            answer = self._ask(self.client.patch, path, {"description": description}, headers={"If-Match": etag})
            if answer is None or answer.status != 200:
                # A 412 only after a change whose answer was lost on the way to us: http.client asked again.
                if answer is not None and answer.status not in (503, 412):
                    self.strange.append((answer.status, answer.text()))
                return
            if answer.json()["description"] != description:
                self.strange.append(("another's record", answer.text()))
            self.changed.setdefault(answer.json()["id"], []).append((answer.json()["version"], description))
            self.acknowledged += 1
            etag = answer.etag


def kill_backend(cluster, server):
    del server
    with contextlib.closing(cluster.connect("postgres")) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'wardmote_api' ORDER BY state, random() LIMIT 1")
        os.kill(cursor.fetchone()[0], signal.SIGKILL)


def kill_postmaster(cluster, server):
    del server
    os.kill(int(pathlib.Path(f"{cluster.folder}/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def started():
        try:
            cluster.start()
            return True
        except RuntimeError:
            return False  # orphans of the old one hold the shared memory for a moment

    until(started)


def kill_server(cluster, server):
    del cluster
    server.process.kill()
    server.process.wait()
    server.start()


def settle(client, writers):
    """Asks again for everything that was not acknowledged."""
    for writer in writers:
        for at, (name, key, made) in enumerate(writer.created):
            if made is None:
                answer = client.post("/v1/communities", {"name": name, "kind": "interest"}, headers={"Idempotency-Key": key})
                assert answer.status == 201, answer.text()
                writer.created[at] = (name, key, answer.json()["id"])


def audit(cluster, writers):
    with contextlib.closing(cluster.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, id::text, version FROM wardmote.community WHERE name LIKE 'Crash-%'")
        rows = cursor.fetchall()
        cursor.execute("SELECT id::text, version, description FROM api.community_version WHERE name LIKE 'Crash-%'")
        versions = {(record, version): description for record, version, description in _as_owner(cursor)}
        cursor.execute("SELECT record_id::text, count(*) FROM wardmote.change WHERE resource = 'communities' GROUP BY 1")
        changes = dict(cursor.fetchall())
    stored = {name: record for name, record, _ in rows}
    assert len(stored) == len(rows), "a request was done twice"
    for writer in writers:
        for name, _, made in writer.created:
            assert stored.get(name) == made, f"acknowledged and lost: {name}"
        for record, acknowledged in writer.changed.items():
            for version, description in acknowledged:
                assert versions.get((record, version)) == description, f"a change was lost: {record} version {version}"
    for _, record, version in rows:
        assert [number for number in range(1, version + 1) if (record, number) not in versions] == [], "a gap in the versions"
        assert changes[record] == version, "as many changes as versions"
    return len(rows), len(versions)


def _as_owner(cursor):
    """All versions, whoever sees them: the owner's own tables."""
    cursor.execute("SELECT id::text, version, description FROM wardmote.community WHERE name LIKE 'Crash-%' "
                   "UNION ALL SELECT id::text, version, description FROM history.community WHERE name LIKE 'Crash-%'")
    return cursor.fetchall()


@pytest.mark.parametrize("kill", [kill_backend, kill_postmaster, kill_server])
def test_killed_under_load(site, kill):
    cluster, server, client = site
    writers = [Writer(client) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()

    def acknowledged():
        return sum(writer.acknowledged for writer in writers)

    try:
        for _ in range(3):
            mark = acknowledged()
            until(lambda: acknowledged() > mark + 60)  # pylint: disable=cell-var-from-loop
            kill(cluster, server)
            server.wait_ready()
        mark = acknowledged()
        begun = time.monotonic()
        until(lambda: acknowledged() > mark + 60)
        recovered = time.monotonic() - begun
    finally:
        for writer in writers:
            writer.ended.set()
        for writer in writers:
            writer.join()
    assert [strange for writer in writers for strange in writer.strange] == []
    assert recovered < 20
    settle(client, writers)
    records, versions = audit(cluster, writers)
    assert records >= 60 and versions > records
