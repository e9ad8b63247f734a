# SPDX-License-Identifier: AGPL-3.0-or-later
"""A site of its own for generated requests: a private cluster whose log names each error's SQLSTATE, a server, callers of several roles, and records to ask for."""
import contextlib
import json
import pathlib
import re

import pytest
import wardmote_server
from wardmote_client import Client
from wardmote_records import Records

# What the database may refuse on purpose: our own faults, broken constraints that become 409 or 422, and races that are tried again.
EXPECTED = re.compile(r"(WM\d{3}|23\d{3}|40001|40P01)")
# Who may make an account is for its policy to say: 403.
POLICY = '[42501] ERROR:  new row violates row-level security policy for table "account"'


class Site:
    def __init__(self, contract, coverage):
        self.cluster = wardmote_server.Cluster()
        self.cluster.setup()
        with contextlib.closing(self.cluster.connect("postgres")) as admin, admin.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET log_line_prefix = '[%e] '")
            cursor.execute("SELECT pg_reload_conf()")
        host = wardmote_server.make_administrator(self.cluster)
        self.server = wardmote_server.Server(self.cluster, wardmote_server.make_keys(self.cluster), security_contact="mailto:security@example.org")
        self.contract = contract
        self.public = Client(self.server, contract, coverage)
        self.administrator = self.public.as_token(self.public.token_for(host["client_id"], host["client_secret"]))
        self.records = Records(self.administrator, contract)
        self.host = host
        self._log_from = len(self.database_log())

    def database_log(self):
        return pathlib.Path(f"{self.cluster.folder}/log").read_text(encoding="utf-8", errors="replace")

    def strange_errors(self):
        """Lines of the database's log since the last call that no request may cause."""
        text = self.database_log()[self._log_from:]
        text = text[:text.rfind("\n") + 1]
        self._log_from += len(text)
        return [line for line in text.splitlines() if line != POLICY and (found := re.match(r"\[(\w{5})\] (ERROR|FATAL|PANIC):", line)) and not EXPECTED.fullmatch(found[1])]

    def complaints(self):
        """Lines of the server's own log at the level of errors, or that are no lines of its log at all."""
        lines = []
        for line in self.server.log().splitlines():
            try:
                if json.loads(line)["level"] == "error":
                    lines.append(line)
            except (ValueError, KeyError):
                lines.append(line)
        return lines

    def close(self):
        try:
            self.server.close()
        finally:
            self.cluster.close()


@pytest.fixture(scope="session", name="site")
def _site(contract, anonymous):
    site = Site(contract, anonymous.coverage)
    yield site
    site.close()
