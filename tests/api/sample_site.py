# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sample in a database of its own: loaded through the API by `wardmote load`, as `wardmote dev` does it."""
import json
import os
import pathlib
import re
import subprocess
import time

import wardmote_server
from wardmote_client import Client

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "sample"
SECONDS = 300


def load(server, host, *folders, secret=None):
    return subprocess.run(
        [wardmote_server.binary(), "load", "--url", server.url, "--client-id", host["client_id"], *map(str, folders)],
        env={**os.environ, "WARDMOTE_CLIENT_SECRET": secret or host["client_secret"]}, capture_output=True, text=True, timeout=2 * SECONDS, check=False)


def totals(output):
    """(created, present, completed or updated) over all files."""
    rows = re.findall(r"(\d+) created, +(\d+) present, +(\d+) (?:completed|updated)", output)
    return tuple(sum(int(row[i]) for row in rows) for i in range(3))


def assert_whole(sums):
    """Shares of one area add up to 1, but for rounding; at the edge of a place the lines of two data sets are not quite the same."""
    assert max(sums.values()) < 1.001
    assert sorted(sums.values())[len(sums) // 20] > 0.99, "all but one in twenty"
    assert min(sums.values()) > 0.85, {code: share for code, share in sums.items() if share <= 0.85}


class Site:
    def __init__(self, cluster, keys, contract, coverage, database):
        cluster.setup(database)
        self.host = json.loads(wardmote_server.run(["account", "create", "--partner", "Norwich City Council", "--kind", "council", "--service", "Sample test",
                                                    "--database", cluster.uri("wardmote_owner", database)]))
        self.server = wardmote_server.Server(cluster, keys, database=database, overlap_settle_seconds=1)
        self.connection = cluster.connect(database=database)
        self.connection.autocommit = True
        self.anonymous = Client(self.server, contract, coverage)
        self.administrator = self.anonymous.as_token(self.anonymous.token_for(self.host["client_id"], self.host["client_secret"]))
        self.runs, self.changes = [], []

    def close(self):
        self.anonymous.close()
        self.administrator.close()
        self.connection.close()
        self.server.close()

    def load(self, *folders):
        """Notes what it said, and how many changes there are since: those of the imports' own records are left out."""
        self.runs.append(load(self.server, self.host, *(SAMPLE / folder for folder in folders)))
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM wardmote.change WHERE resource <> 'imports'")
            self.changes.append(cursor.fetchone()[0])

    def boundary_set(self, code):
        return self.anonymous.pages(f"/v1/boundary-sets?code={code}")[0]

    def localities(self, code, more=""):
        return self.anonymous.pages(f"/v1/localities?boundary_set_id={self.boundary_set(code)['id']}&limit=500{more}")

    def count(self, path):
        return self.anonymous.get(f"{path}{'&' if '?' in path else '?'}limit=1&count=exact").json()["count"]

    def shares(self, one, other):
        """Sums of area and of people of each area of one set over those of the other, once they are calculated."""
        target = f"/v1/overlaps?from_boundary_set_id={self.boundary_set(one)['id']}&to_boundary_set_id={self.boundary_set(other)['id']}&limit=500"
        deadline = time.monotonic() + SECONDS
        while self.anonymous.get(target).json()["state"] != "done":
            assert time.monotonic() < deadline, "not calculated"
            time.sleep(0.5)  # between two looks: the deadline decides
        areas, people = {}, {}
        for item in self.anonymous.pages(target):
            areas[item["from_code"]] = areas.get(item["from_code"], 0) + item["area_share"]
            people[item["from_code"]] = people.get(item["from_code"], 0) + (item["population_share"] or 0)
        return areas, people
