# SPDX-License-Identifier: AGPL-3.0-or-later
"""A database of its own in which boundary sets are compared as soon as they change: what other tests make would be compared as well."""
import time

import places
import wardmote_server
from wardmote_client import Client
from wardmote_records import Records
from wardmote_suite import COVERAGE

SECONDS = 60
WIDTH = 0.01


class Site:
    def __init__(self, cluster, keys, contract, database):
        cluster.setup(database)
        host = wardmote_server.make_administrator(cluster, database)
        self.connection = cluster.connect("wardmote_owner", database)
        self.server = wardmote_server.Server(cluster, keys, database=database, overlap_settle_seconds=0)
        self.anonymous = Client(self.server, contract, COVERAGE)
        self.administrator = self.anonymous.as_token(self.anonymous.token_for(host["client_id"], host["client_secret"]))
        self.records = Records(self.administrator, contract)
        self.ground = places.Ground(self.administrator, 0)
        self.south = 0

    def close(self):
        self.connection.close()
        self.server.close()

    def rows(self, text, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def settle(self):
        """Until the background thread has nothing left."""
        deadline = time.monotonic() + SECONDS
        while self.rows("SELECT 1 FROM wardmote.overlap_work WHERE is_due UNION ALL SELECT 1 FROM wardmote.boundary_set_state"
                        " WHERE looked_generation IS DISTINCT FROM area_generation"):
            assert time.monotonic() < deadline, self.rows("SELECT * FROM wardmote.overlap_pair")
            time.sleep(0.05)  # between two looks: the deadline decides

    def row(self):
        """Ground that nothing else of this database lies on: bars side by side, whose widths are parts of areas exactly."""
        self.south += 1
        return Row(self, self.south * 0.1)

    def overlaps(self, locality, client=None, **params):
        answer = (client or self.anonymous).get(f"/v1/localities/{locality}/overlaps", params=params)
        assert answer.status == 200, answer.text()
        return answer.json()

    def shares(self, locality, client=None, **params):
        """Of the area, by locality."""
        return {item["locality"]["id"]: item["area_share"] for item in self.overlaps(locality, client, **params)["items"]}


class Row:
    def __init__(self, site, south):
        self.site, self.ground, self.south = site, site.ground, south

    def bar(self, boundary_set, west, east, **members):
        """From so many hundredths of a degree to so many."""
        x, y = self.ground.x, self.ground.y + self.south
        ring = places.ring(round(x + west * WIDTH, 6), y, round(x + east * WIDTH, 6), y + WIDTH)
        return self.ground.locality(boundary_set, {"type": "Polygon", "coordinates": [ring]}, **members)

    def set(self, *bars, **members):
        """A boundary set with these bars: (west, east) or (west, east, population)."""
        boundary_set = self.ground.boundary_set(**members)
        return boundary_set, [self.bar(boundary_set, bar[0], bar[1], population=bar[2] if len(bar) > 2 else None) for bar in bars]
