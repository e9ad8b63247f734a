# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the tests of faults stand on: a cluster that keeps what it acknowledged through the death of processes, a server on it, and loads with an audit.

`fsync` stays off: killing processes does not lose what they gave to the kernel. `synchronous_commit` is on, so that a commit is in the log before it is
acknowledged, and `full_page_writes`, since a process may be killed in the middle of a page."""
import contextlib

import wardmote_long
import wardmote_server
from wardmote_suite import until  # pylint: disable=unused-import
from auditor import assert_clean
from load import Load
from wardmote_client import Client
from wardmote_records import Records, unique

DURABLE = "-c synchronous_commit=on -c full_page_writes=on"
PATIENCE = 60
TOKEN_SECONDS = 86400


class Prepared:
    """A cluster with what every server on it needs: for several sites, one after another."""

    def __init__(self, more=DURABLE, cluster=None):
        self.cluster = cluster or wardmote_server.Cluster(more)
        self.cluster.setup()
        self.host = wardmote_server.make_administrator(self.cluster)
        self.keys = wardmote_server.make_keys(self.cluster)


class Site:
    """`through` stands between server and cluster: something with uri(role, database) and folder."""

    def __init__(self, cluster=None, through=None, **settings):
        prepared = cluster if isinstance(cluster, Prepared) else Prepared(cluster=cluster)
        self.cluster, self.host, self.keys = prepared.cluster, prepared.host, prepared.keys
        settings = {"workers": 2, "lane_read": 2, "lane_write": 4, "lane_heavy": 1, "lane_stream": 1, "access_token_seconds": TOKEN_SECONDS, **settings}
        self.server = wardmote_server.Server(through(self.cluster) if through else self.cluster, self.keys, **settings)
        self.public = Client(self.server, None, None)
        administrator = self.public.as_token(self.public.token_for(self.host["client_id"], self.host["client_secret"]))
        self.officer = self._officer(administrator)
        self._loads = []

    @staticmethod
    def _officer(administrator):
        partner = administrator.post("/v1/partners", {"name": unique("Fault"), "kind": "voluntary"}).json()
        account = administrator.post("/v1/accounts", {"partner_id": partner["id"], "kind": "service", "role": "officer", "name": unique("Load")}).json()
        return administrator.as_token(administrator.token_for(account["client_id"], account["client_secret"]))

    def client(self):
        """A further connection of the same officer."""
        return self.officer.as_token(self.officer.token)

    @contextlib.contextmanager
    def load(self, **options):
        """A load under way, which the caller ends with `finish`."""
        name = unique("load")
        load = Load(self.server.url, self.officer.token, f"{self.cluster.folder}/{name}.journal", name, f"{wardmote_long.SEED}/{name}", **options)
        load.name = name
        try:
            yield load
        finally:
            load.kill()

    def quiet(self):
        """No segment is under way any more: what a lost connection had sent is done, or undone."""
        with contextlib.closing(self.cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            def idle():
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'wardmote_api' AND state <> 'idle' AND xact_start < now() - interval '1 ms' "
                               "AND backend_xid IS NOT NULL")
                return cursor.fetchone()[0] == 0

            until(idle, what="an end of all transactions")

    def finish(self, load):
        """The load ends, what is unknown is settled, and the auditor has nothing to complain of. Its summary."""
        load.stop()
        self.server.wait_ready()
        self.quiet()
        load.settle()
        return assert_clean(load, self.cluster, load.name)

    def close(self):
        self.server.close()
        self.cluster.close()
