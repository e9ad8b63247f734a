# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows about places: what lies where, what is drawn, what a file of boundaries takes, and what two sets share."""
import json
import subprocess
import time

import stage as stages
from measure import memory, reset_peak
from rows import Check, Plain, Row

SIDE, POINTS = 100, 25  # of a grid: areas to a side, and points of each edge of an area
COLUMN, LINE = 0.01, 0.006  # degrees
WEST, SOUTH, APART = 10, 52, 2  # grids lie off the network's ground, and off each other's
OVERLAP_SECONDS, PATIENCE = 60, 600
# A grid whose lines wave, a GeoJSON feature each: neighbours share their points.
GRID = """
    SELECT json_build_object('type', 'Feature', 'properties', json_build_object('code', 'A' || i || '-' || j, 'name', 'Area ' || i || ' ' || j), 'geometry',
        ST_AsGeoJSON(ST_MakePolygon(ST_AddPoint(line, ST_StartPoint(line))), 6)::json)::text
    FROM (SELECT i, j, ST_MakeLine(array_agg(ST_MakePoint(%(west)s + %(column)s * (x + 0.04 * sin(7.3 * x + 11.1 * y) + %(off)s),
            %(south)s + %(line)s * (y + 0.04 * cos(9.1 * x - 6.3 * y) + %(off)s)) ORDER BY n)) AS line
        FROM generate_series(0, %(side)s - 1) i, generate_series(0, %(side)s - 1) j, LATERAL (
            SELECT n, i + CASE n / %(points)s WHEN 0 THEN part WHEN 1 THEN 1 WHEN 2 THEN 1 - part ELSE 0 END AS x,
                j + CASE n / %(points)s WHEN 0 THEN 0 WHEN 1 THEN part WHEN 2 THEN 1 ELSE 1 - part END AS y
            FROM (SELECT n, (n %% %(points)s)::float8 / %(points)s AS part FROM generate_series(0, 4 * %(points)s - 1) n) parts) point
        GROUP BY i, j) ring"""
# Column and line of the tile that a position is on.
TILES = """
    SELECT DISTINCT z::text, floor((ST_X(p) + 180) / 360 * 2 ^ z)::int::text, floor((1 - ln(tan(radians(ST_Y(p))) + 1 / cos(radians(ST_Y(p)))) / pi()) / 2 * 2 ^ z)::int::text
    FROM (SELECT ST_PointOnSurface(geometry) AS p FROM wardmote.locality WHERE code LIKE 'W%' ORDER BY md5(id::text) LIMIT 20) l CROSS JOIN generate_series(12, 14) AS z
    ORDER BY 1, 2, 3"""


def positions(stage, many, condition):
    """Within localities, in no order, the same each time: (longitude,latitude)."""
    found = stage.query("SELECT round(ST_X(p)::numeric, 6) || ',' || round(ST_Y(p)::numeric, 6) FROM (SELECT ST_PointOnSurface(geometry) AS p FROM wardmote.locality "
                        f"WHERE {condition} ORDER BY md5(id::text) LIMIT {many}) l")
    return [tuple(row) for row in found]


class Point(Plain):
    """Which ward, which beat, which care board is this?"""

    name = "localities at a point, of 60,000 in 6 sets"

    def make(self):
        return stages.Ask("point", "GET", "/v1/localities?point={1}&fields=code,name,boundary_set_id", table=positions(self.stage, 5000, "code LIKE 'W%'"), learn_twice=True)


class BoxList(Plain):
    """What a map's window shows of one set, as a list."""

    name = "localities of one set by bbox (50 of 10,000)"

    def make(self):
        found = self.stage.query("""
            SELECT s.id::text, replace(replace(replace(ST_Expand(c.box, 0.02)::text, 'BOX(', ''), ')', ''), ' ', ',') FROM wardmote.boundary_set s CROSS JOIN (
                SELECT box2d(geometry) AS box FROM wardmote.locality WHERE code LIKE 'W%' ORDER BY md5(id::text) LIMIT 40) c WHERE s.code = 'bench-wards'""")
        return stages.Ask("box list", "GET", "/v1/localities?boundary_set_id={1}&bbox={2}&limit=50", table=found, each=True, learn_twice=True)


class FinderByPoint(Plain):
    """What is being asked here, whatever boundaries the partners use?"""

    name = "finder by point, anonymous: open, include=partner, 20 rows"

    def make(self):
        found = positions(self.stage, 500, "id IN (SELECT locality_ids[1] FROM wardmote.consultation WHERE status = 'open' AND visibility = 'public')")
        return stages.Ask("finder by point", "GET", "/v1/consultations?status=open&point={1}&include=partner&limit=20", table=found, learn_twice=True)


class Tile(Plain):
    """A map of 10,000 areas is drawn from such."""

    name = "vector tiles of one set of 10,000, zoom 12 to 14"

    def make(self):
        return stages.Ask("tile", "GET", "/v1/tiles/bench-wards/{1}/{2}/{3}.mvt", table=self.stage.query(TILES), each=True, learn_twice=True)


class Grids(Row):
    """Boundary sets of 10,000 areas with 100 points each, made through the server. Nothing else lies on the ground of a grid."""

    rounds_quick = rounds_whole = 1
    grounds = 0  # of all rows together
    server = None

    def prepare(self):
        self.server = self.stage.server

    def ground(self):
        Grids.grounds += 1
        return WEST + APART * Grids.grounds

    def file(self, name, west, off):
        """The features of a grid that begins at `west`, shifted by `off` areas."""
        path = self.stage.folder / f"{name}.geojson"
        features = self.stage.query(GRID % {"west": west, "south": SOUTH, "column": COLUMN, "line": LINE, "off": off, "side": SIDE, "points": POINTS})
        path.write_text('{"type":"FeatureCollection","features":[' + ",\n".join(feature for feature, in features) + "]}", encoding="utf-8")
        return path

    def boundary_set(self, code):
        body = json.dumps({"code": code, "name": "Grid of the bench"})
        return json.loads(self.curl("/v1/boundary-sets", "-H", "Content-Type: application/json", "-d", body))["id"]

    def curl(self, target, *more):
        done = subprocess.run(["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {self.stage.token}", *more, self.server.url + target],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{target}: {done.stderr} {done.stdout[:1000]}")
        return done.stdout

    def imported(self, boundary_set, path):
        """Seconds until its localities are there."""
        began = time.monotonic()
        found = json.loads(self.curl(f"/v1/boundary-sets/{boundary_set}/imports?code_property=code&name_property=name", "-H", "Content-Type: application/geo+json",
                                     "-H", "Prefer: wait=60", "--data-binary", f"@{path}"))
        while found["state"] in ("queued", "running") and time.monotonic() < began + PATIENCE:
            time.sleep(0.05)  # it told a minute later that it was not over
            found = json.loads(self.curl(f"/v1/imports/{found['id']}"))
        if found["created_count"] != SIDE * SIDE:
            raise RuntimeError(f"the import: {found}")
        return time.monotonic() - began


class Import(Grids):
    """A file of boundaries, from the first byte sent to the last area stored."""

    name = "import of 10,000 areas with 100 points each"

    def measures(self):
        return {"wardmote": lambda _, turn: self.take(turn)}

    def take(self, turn):
        path, boundary_set = self.file("grid", self.ground(), 0), self.boundary_set(f"bench-import-{turn}")
        pids = self.stage.pids(self.server)
        reset_peak(pids)
        before, seconds = memory(pids, "VmRSS"), self.imported(boundary_set, path)
        size = path.stat().st_size / 1e6
        path.unlink()
        return {"per_second": SIDE * SIDE / seconds, "mb_per_second": size / seconds, "grown_mib": memory(pids) - before}

    def judge(self, medians):
        found = medians["wardmote"]
        return [Check("MB/s taken in", found["mb_per_second"], "", "MB/s"), Check("memory grown by", found["grown_mib"], "<= 8", "MiB")]


class Overlap(Grids):
    """Two sets of 10,000 areas, cut differently, in the background of the server."""

    name = "overlap of two sets of 10,000 areas with 100 points each, in the job"

    def prepare(self):
        self.server = self.stage.serve(overlap_settle_seconds=1)  # those of the other rows let boundaries rest
        self.stage.servers["overlap"] = self.server

    def measures(self):
        return {"wardmote": lambda _, turn: self.take(turn)}

    def take(self, turn):
        west, sets = self.ground(), []
        for off in (0, 0.37):
            path = self.file("grid", west, off)
            sets.append(self.boundary_set(f"bench-overlap-{turn}-{off}"))
            self.imported(sets[-1], path)
            path.unlink()
        began, found = time.monotonic(), []
        while not found and time.monotonic() < began + PATIENCE:
            time.sleep(0.5)  # the job begins when both have been at rest for a second
            found = self.stage.query("SELECT seconds, rows, error FROM wardmote.overlap_pair WHERE low_set_id = least(%s::uuid, %s) AND high_set_id = greatest(%s::uuid, %s)",
                                     *sets, *sets)
        if not found or found[0][2] is not None or found[0][1] < 2 * SIDE * SIDE:
            raise RuntimeError(f"two sets were not compared: {found}")
        return {"seconds": found[0][0], "rows": found[0][1]}

    def judge(self, medians):
        return [Check("the calculation", medians["wardmote"]["seconds"], f"<= {OVERLAP_SECONDS}", "s")]
