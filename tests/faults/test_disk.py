# SPDX-License-Identifier: AGPL-3.0-or-later
"""Full disks, each a small tmpfs that is filled and freed again: under PostgreSQL's tables, under its log of writes, under the server's own log. What cannot
be written is refused, nothing that was acknowledged is lost, reads go on where they can, and afterwards all is as before."""
import contextlib
import json
import os
import subprocess
import time

import psycopg2
import pytest

import wardmote_server
from fault_site import DURABLE, Site, until
from wardmote_client import Client
from wardmote_long import pick
from wardmote_records import unique

RECOVERY_SECONDS = 20  # of a sanitizer's build on a busy machine
ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


class Disk:
    """A file system of its own that can be full."""

    def __init__(self, folder, megabytes):
        self.folder = folder
        os.mkdir(folder)
        subprocess.run([*ROOT, "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "wardmote-test", folder], check=True)

    def fill(self):
        """To the last byte."""
        with open(f"{self.folder}/filler", "ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))

    def free(self):
        os.unlink(f"{self.folder}/filler")

    def close(self):
        subprocess.run([*ROOT, "umount", "-l", self.folder], check=True)


class SmallCluster(wardmote_server.Cluster):
    """`part` of its data folder ("" is all of it but the log of writes) lies on a small disk."""

    def __init__(self, part, megabytes):
        super().__init__(f"{DURABLE} -c max_wal_size=32MB -c min_wal_size=32MB")
        self.stop()
        self.disk = Disk(f"{self.folder}/small", megabytes)
        if part == "":
            self._move("data/pg_wal", "wal")
            self._move("data", "small/data")
        else:
            self._move(f"data/{part}", f"small/{part}")
        self.start()

    def _move(self, what, where):
        subprocess.run(["mv", f"{self.folder}/{what}", f"{self.folder}/{where}"], check=True)
        os.symlink(f"{self.folder}/{where}", f"{self.folder}/{what}")

    def close(self):
        with contextlib.suppress(RuntimeError):
            self.stop("immediate")
        self.disk.close()
        super().close()


@contextlib.contextmanager
def site_on(cluster):
    site = Site(cluster)
    try:
        yield site
    finally:
        site.close()


def create(client):
    name = unique("Disk")
    return client.post("/v1/communities", {"name": name, "kind": "interest", "description": "x" * 3000}, headers={"Idempotency-Key": name})


def test_no_room_for_tables():
    with site_on(SmallCluster("", 150)) as site, site.load(writers=4, pace=0.005) as load:
        client = site.client()
        for _ in range(pick(1, 20)):
            load.more(20)
            site.cluster.disk.fill()
            refused = until(lambda: (lambda seen: seen if seen.status != 201 else None)(create(client)), what="a refusal")
            assert refused.status == 503 and "retry-after" in refused.headers
            assert client.get("/v1/communities?limit=5").status == 200, "reads go on"
            site.cluster.disk.free()
            assert load.more(20) < RECOVERY_SECONDS
        print(f"\nno room for tables: {site.finish(load)}")


def test_no_room_for_the_log_of_writes():
    """PostgreSQL stops itself (PANIC), and its supervisor starts it again when there is room."""
    with site_on(SmallCluster("pg_wal", 128)) as site, site.load(writers=4, pace=0.005) as load:
        for _ in range(pick(1, 10)):
            load.more(20)
            site.cluster.disk.fill()
            with pytest.raises(psycopg2.Error):
                exhaust(site.cluster)
            client = site.client()
            until(lambda: create(client).status == 503, what="a refusal")
            assert client.get("/openapi.json").status == 200
            site.cluster.disk.free()
            until(lambda: is_up(site.cluster), what="the return of the database")
            assert load.more(20) < RECOVERY_SECONDS
        print(f"\nno room for the log of writes: {site.finish(load)}")


def exhaust(cluster):
    """Uses up the segments that were made in advance; ends with an error."""
    while True:
        with contextlib.closing(cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")


def is_up(cluster):
    """As its supervisor would: started again when it has ended."""
    with contextlib.suppress(psycopg2.OperationalError), contextlib.closing(cluster.connect("postgres")):
        return True
    with contextlib.suppress(RuntimeError):
        cluster.start()
    return False


# --- the server's own log ---

def test_no_room_for_the_servers_log(cluster, keys, host, tmp_path):  # pylint: disable=unused-argument
    """No request notices; what is not written is counted; when there is room each line is whole again."""
    disk = Disk(str(tmp_path / "small"), 1)
    log = f"{disk.folder}/log"
    server = wardmote_server.Server(cluster, keys, before=f"exec 2>>{log};")
    try:
        client = Client(server, None, None)
        assert client.get("/v1/communities").status == 200
        disk.fill()
        begun = time.monotonic()
        assert [client.get("/v1/communities?limit=1").status for _ in range(200)] == [200] * 200
        assert time.monotonic() - begun < RECOVERY_SECONDS
        until(lambda: server.metric("log_dropped_lines_total") > 100)
        disk.free()
        assert [client.get("/v1/communities?limit=2").status for _ in range(20)] == [200] * 20
        with open(log, encoding="utf-8") as lines:
            kept = lines.read().splitlines()
        assert len([line for line in kept if is_json(line)]) >= len(kept) - 1, "one may be cut: the last that had some room"
        assert all(is_json(line) for line in kept[-19:])
    finally:
        server.close()
        disk.close()


def is_json(line):
    try:
        return isinstance(json.loads(line), dict)
    except json.JSONDecodeError:
        return False
