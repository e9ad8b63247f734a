# SPDX-License-Identifier: AGPL-3.0-or-later
"""A primary and a synchronous standby that change places: two clusters of our own, reached through unix sockets in one URI with two hosts."""
import contextlib
import os
import pathlib
import shutil
import signal

import psycopg2

import wardmote_server
from fault_site import DURABLE, until

# How soon a standby notices that its primary is gone for good, and can be promoted.
SETTINGS = f"{DURABLE} -c wal_retrieve_retry_interval=100ms"


class Standby(wardmote_server.Cluster):
    """A second folder and socket; its data comes from the other's."""

    def __init__(self):  # pylint: disable=super-init-not-called
        first = wardmote_server.Cluster(SETTINGS)
        first.stop("immediate")
        self.folder, self.bin, self.settings = first.folder, first.bin, first.settings


class Pair:
    """`primary` and `standby`. Stands for the cluster in front of a server: `uri` names both hosts, in the order of their making."""

    def __init__(self):
        self.primary = wardmote_server.Cluster(SETTINGS)
        self.standby = Standby()
        self.nodes = (self.primary, self.standby)
        self.folder = self.primary.folder
        self.timeline = 1
        self.attach()

    def setup(self):
        self.primary.setup()

    def uri(self, role, database="wardmote"):
        """The owner's commands go where writes are taken; the server must find that out itself."""
        hosts = ",".join(node.folder for node in self.nodes)
        wanted = "" if role == "wardmote_api" else "&target_session_attrs=read-write"
        return f"postgresql://{role}@/{database}?host={hosts}{wanted}"

    def connect(self, role="wardmote_owner", database="wardmote"):
        return self.primary.connect(role, database)

    def ask(self, node, statement):
        with contextlib.closing(node.connect("postgres", "postgres")) as admin, admin.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def attach(self):
        """Makes the standby anew from the primary, and commits wait for it from then on."""
        shutil.rmtree(f"{self.standby.folder}/data")
        self.standby._run("pg_basebackup", "-h", self.primary.folder, "-U", "postgres", "-D", f"{self.standby.folder}/data", "-R", "-c", "fast", "-X", "stream",
                          "--no-sync")
        # The copy has the name of what its former primary waited for.
        with open(f"{self.standby.folder}/data/postgresql.auto.conf", "a", encoding="utf-8") as settings:
            settings.write("synchronous_standby_names = ''\n")
        if os.geteuid() == 0:
            shutil.chown(f"{self.standby.folder}/data/postgresql.auto.conf", "postgres", "postgres")
        self.standby.start()
        self.ask(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask(self.primary, "SELECT pg_reload_conf()")
        until(lambda: self.ask(self.primary, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), what="a synchronous standby")

    @staticmethod
    def kill(node):
        """The postmaster: its children end when they notice."""
        os.kill(int(pathlib.Path(f"{node.folder}/data/postmaster.pid").read_text(encoding="utf-8").split()[0]), signal.SIGKILL)

    def promote(self):
        """The standby becomes the primary: no standby of its own yet, so that its commits wait for nobody (availability first, until `attach`)."""
        self.standby._run("pg_ctl", "-D", f"{self.standby.folder}/data", "-w", "-s", "promote")
        self.primary, self.standby = self.standby, self.primary
        self.timeline += 1

    def start_old(self):
        """The former primary comes back as if nothing had been: it takes writes, on its old timeline."""

        def started():
            try:
                self.standby.start()
                return True
            except RuntimeError:
                return False  # orphans hold the shared memory for a moment

        until(started, what="the return of the former primary")

    def clients_of(self, node):
        """How many connections of the server a node has; and it may be down."""
        try:
            return self.ask(node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'wardmote_api'")[0][0]
        except psycopg2.OperationalError:
            return 0

    def close(self):
        for node in self.nodes:
            with contextlib.suppress(RuntimeError):  # one that was killed has nobody to be stopped
                node.close()
            shutil.rmtree(node.folder, ignore_errors=True)
