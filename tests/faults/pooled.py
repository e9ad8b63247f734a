# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sites whose segments do not go the plain way: through PgBouncer in transaction mode, or as BEGIN, statements, COMMIT. Between what they talk to and PostgreSQL is a
proxy that can fail."""
import contextlib
import pathlib

from fault_proxy import FaultProxy, Through
from fault_site import DURABLE, Site
from wardmote_pooler import Pooler

POOL = 3  # connections to the database, fewer than the server's to the pooler
LOGGED = DURABLE + " -c log_statement=all -c log_min_messages=warning"


class WatchedSite(Site):
    """`pooler`: None where there is none. The cluster is the caller's."""

    def __init__(self, prepared, pooled, **settings):
        cluster = prepared.cluster
        self._logged = len(self._whole_log(cluster))
        self.proxy = FaultProxy(cluster)
        self.pooler = Pooler(self.proxy, POOL) if pooled else None
        between = self.pooler or Through(cluster, self.proxy)
        if pooled:
            settings = {"pooler": "transaction", "database_direct": cluster.uri("wardmote_api"), **settings}
        super().__init__(prepared, lambda _: between, **settings)

    def ask(self, statement):
        with contextlib.closing(self.cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def backends(self):
        """The states of those that serve."""
        return [state for (state,) in self.ask("SELECT state FROM pg_stat_activity WHERE usename = 'wardmote_api' AND application_name = 'wardmote' "
                                               "AND backend_type = 'client backend'")]

    @staticmethod
    def _whole_log(cluster):
        return pathlib.Path(f"{cluster.folder}/log").read_text(encoding="utf-8")

    def database_log(self):
        """Since this site began."""
        return self._whole_log(self.cluster)[self._logged:]

    def close(self):
        self.server.close()
        if self.pooler is not None:
            self.pooler.close()
        self.proxy.close()
