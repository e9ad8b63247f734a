# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two boundary sets of 10,000 areas with 100 points each, cut differently, are compared within a minute; and what is cut up adds up again."""
import time

import pytest

import wardmote_server

SIDE, LIMIT_SECONDS = 100, 60
# A grid whose lines wave: each area has 25 points to a side, which it shares with its neighbours.
AREAS = """
INSERT INTO wardmote.locality (partner_id, visibility, boundary_set_id, code, name, population, geometry)
SELECT %(partner)s, 'public', %(set)s, 'A' || i || '-' || j, 'Area', %(people)s, ST_Multi(ST_MakePolygon(ST_AddPoint(line, ST_StartPoint(line))))
FROM (SELECT i, j, ST_MakeLine(array_agg(ST_SetSRID(ST_MakePoint(1 + 0.01 * (x + 0.04 * sin(7.3 * x + 11.1 * y) + %(off)s),
		52 + 0.006 * (y + 0.04 * cos(9.1 * x - 6.3 * y) + %(off)s)), 4326) ORDER BY n)) AS line
	FROM generate_series(0, %(side)s - 1) i, generate_series(0, %(side)s - 1) j, LATERAL (
		SELECT n, i + CASE WHEN n < 25 THEN n / 25.0 WHEN n < 50 THEN 1 WHEN n < 75 THEN 3 - n / 25.0 ELSE 0 END AS x,
			j + CASE WHEN n < 25 THEN 0 WHEN n < 50 THEN n / 25.0 - 1 WHEN n < 75 THEN 1 ELSE 4 - n / 25.0 END AS y
		FROM generate_series(0, 99) n) point
	GROUP BY i, j) ring
"""


class Sets:
    def __init__(self, cluster):
        self.connection = cluster.connect()
        self.partner = self.row("INSERT INTO wardmote.partner (name, kind) VALUES ('Cutters', 'voluntary') RETURNING id")[0]

    def row(self, text, values=None):
        with self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchone() if cursor.description else None

    def grid(self, code, off, people):
        (made,) = self.row("INSERT INTO wardmote.boundary_set (partner_id, visibility, code, name) VALUES (%s, 'public', %s, 'Grid') RETURNING id", (self.partner, code))
        self.row(AREAS, {"partner": self.partner, "set": made, "people": people, "off": off, "side": SIDE})
        return made


@pytest.mark.alone
def test_two_sets_of_ten_thousand_areas():
    cluster = wardmote_server.Cluster()
    try:
        cluster.setup()
        sets = Sets(cluster)
        one, other = sets.grid("one", 0, 1500), sets.grid("other", 0.37, 1500)
        started = time.monotonic()
        while sets.row("SELECT done FROM wardmote.overlap_step(0)")[0]:
            pass
        seconds = time.monotonic() - started
        assert sets.row("SELECT count(*), max(error) FROM wardmote.overlap_pair") == (1, None)
        # Those of the first that the others cover: all but the first row and column.
        least, most, n, people = sets.row("SELECT min(s.areas), max(s.areas), count(*), max(abs(s.people - 1)) FROM (SELECT sum(o.area_share) AS areas,"
                                          " sum(o.population_share) AS people FROM wardmote.locality_overlap o JOIN wardmote.locality l ON l.id = o.from_id"
                                          " WHERE o.from_set_id = %s AND o.to_set_id = %s AND l.code !~ '^A0-|-0$' GROUP BY o.from_id) s", (one, other))
        assert n == (SIDE - 1) ** 2 and abs(least - 1) <= 0.00001 and abs(most - 1) <= 0.00001 and (people is None or people <= 0.00001)
        assert seconds < LIMIT_SECONDS
    finally:
        cluster.close()
