# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows that read."""
import json
import re
import urllib.parse

import stage as stages
from rows import Check, Plain, Row, rate

CHANGED_SINCE = "2026-11-19T12:00:00Z"  # network.sql: 5,000 records are as young
PULL_PAGE = 500
PAST = 900_000


def ids(stage, condition, many=200_000):
    """Ids in no order, the same each time."""
    found = stage.query(f"SELECT id::text FROM wardmote.consultation WHERE {condition} ORDER BY md5(id::text) LIMIT {many}")
    return [tuple(row) for row in found]


class GetOne(Plain):
    """A record by id, by somebody who has signed in."""

    name = "GET one, authenticated, random ids of 1M"
    least = 0.85
    least_of_fastify = 3.5

    def make(self):
        return stages.Ask("get one", "GET", "/v1/consultations/{1}", token=True, table=ids(self.stage, "visibility <> 'private'"))

    def measures(self):
        return {**super().measures(), "pgbench": lambda seconds, _: self.stage.pgbench(self.ask, seconds)}

    def judge(self, medians):
        latency = [Check(f"p99 of {name.replace('_', ', ')}'s", medians["wardmote"]["p99_ms"] / medians[name]["p99_ms"], "<= 0.5")
                   for name in self.peers() if name.startswith("fastify")]
        return super().judge(medians) + latency


class GetPublic(Plain):
    """A record by id, by anybody."""

    name = "GET one, anonymous and public"
    least = 0.85

    def make(self):
        return stages.Ask("get public", "GET", "/v1/consultations/{1}", table=ids(self.stage, "visibility = 'public'"))

    def measures(self):
        return {**super().measures(), "wrk": lambda seconds, _: self.stage.wrk(self.ask, seconds)}

    def judge(self, medians):
        """What another load generator counts: ours does not flatter."""
        return [*super().judge(medians), Check("of it by wrk's count", rate(medians, "wrk") / rate(medians, "wardmote"), ">= 0.8")]


class GetUnchanged(Row):
    """With the ETag that the client has."""

    name = "GET with If-None-Match, unchanged"
    plain = unchanged = None

    def asks(self):
        table = ids(self.stage, "visibility = 'public' AND version = 1")
        self.plain = stages.Ask("get to compare", "GET", "/v1/consultations/{1}", table=table)
        return [self.plain]

    def prepare(self):
        stage = self.stage
        fields = dict(stage.send(stage.server, self.plain)[1])
        self.unchanged = stages.Ask("get unchanged", "GET", "/v1/consultations/{1}", {"If-None-Match": fields["ETag"]}, table=self.plain.table, status=304)
        stage.write(self.unchanged)
        stage.send(stage.server, self.unchanged, self.plain.table[-1])  # the tag is good for other records of the same version, too

    def measures(self):
        return {"wardmote": lambda seconds, _: self.stage.wardmote(self.unchanged, seconds), "plain": lambda seconds, _: self.stage.wardmote(self.plain, seconds)}

    def judge(self, medians):
        return [Check("of the plain GET", rate(medians, "wardmote") / rate(medians, "plain"), ">= 1")]


class List(Plain):
    """Fifty records by status and another filter, the latest first."""

    name = "list of 50, two filters and a sort"
    least_of_fastify = 2
    target = "/v1/consultations?status={1}&statutory={2}&sort=-open_on&limit=50"
    values = [("evaluated", "false"), ("closed", "false"), ("open", "false"), ("evaluated", "true"), ("fed_back", "false"), ("analysed", "true")]

    def make(self):
        return stages.Ask("list", "GET", self.target, token=True, table=self.values, each=True)


class Depth(Row):
    """A page far down the list against the first, in networks of several sizes."""

    name = "list page at depth 900,000 by cursor"
    limit = 50
    target = "/v1/consultations?sort=open_on&limit=50"

    def __init__(self, stage):
        super().__init__(stage)
        self.sites = []

    def prepare(self):
        for name in sorted((name for name in self.stage.networks if name.startswith("n")), key=lambda name: int(name[1:])):
            server = self.stage.server_of(name)
            rows = int(name[1:])
            asks = {}
            for what, depth in (("first", 0), ("deep", min(PAST, rows * 9 // 10))):
                cursor = self.stage.remembered(name, f"cursor {depth}", lambda server=server, depth=depth: cursor_at(server, self.target, depth)) if depth else ""
                target = self.target + (f"&cursor={urllib.parse.quote(cursor)}" if depth else "")
                asks[what] = stages.Ask(f"depth {name} {what}", "GET", target)
                self.stage.write(asks[what])
                self.stage.send(server, asks[what])
            self.sites.append((name, server, asks))

    def measures(self):
        found = {}
        for name, server, asks in self.sites:
            for what, ask in asks.items():
                found[f"{name} {what}"] = lambda seconds, _, ask=ask, server=server: self.stage.wardmote(ask, seconds, port=server.port, pids=self.stage.pids(server))
        return found

    def judge(self, medians):
        return [Check(f"page 1 / deep page, {int(name[1:]):,} rows", rate(medians, f"{name} first") / rate(medians, f"{name} deep"), "<= 1.15")
                for name, _, _ in self.sites]


def cursor_at(server, target, depth):
    """The cursor that follows `depth` records. A page of another size does not change it."""
    cursor = ""
    for begin in range(0, depth, PULL_PAGE):
        size = min(PULL_PAGE, depth - begin)
        path = re.sub("limit=[0-9]+", f"limit={size}", target) + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else "")
        cursor = next_cursor(json.loads(stages.get(server, path)))
    return cursor


def next_cursor(page):
    following = [link["href"] for link in page["links"] if link["rel"] == "next"]
    return urllib.parse.parse_qs(urllib.parse.urlsplit(following[0]).query)["cursor"][0] if following else None


class Private(Row):
    """The list where nearly everything is hidden from the caller."""

    name = "the same list where 1M rows are private to others and the caller may see 100"
    ordinary = hidden = server = None

    def prepare(self):
        stage = self.stage
        self.server = stage.server_of("private")
        self.ordinary = stages.Ask("list ordinary", "GET", List.target, token=True, table=List.values)
        stage.write(self.ordinary)
        kept, stage.token = stage.token, stage.token_of(self.server, "private")
        self.hidden = stages.Ask("list hidden", "GET", List.target, token=True, table=List.values)
        stage.write(self.hidden)
        page = json.loads(stage.send(self.server, self.hidden)[2])
        stage.token = kept
        if not page["items"]:
            raise RuntimeError("the caller sees nothing: there is nothing to compare")

    def measures(self):
        return {"ordinary": lambda seconds, _: self.stage.wardmote(self.ordinary, seconds),
                "wardmote": lambda seconds, _: self.stage.wardmote(self.hidden, seconds, port=self.server.port, pids=self.stage.pids(self.server))}

    def judge(self, medians):
        return [Check("of the ordinary list's time", rate(medians, "ordinary") / rate(medians, "wardmote"), "<= 3")]


class Finder(Plain):
    """What a public page shows: open consultations of a place about something."""

    name = "finder page, anonymous: open, one locality, q=, include=partner,localities, 20 rows"
    least_of_fastify = 2

    def make(self):
        found = self.stage.query("SELECT locality_ids[1]::text, split_part(summary, ' ', 1 + n::int % 12) FROM (SELECT *, row_number() OVER (ORDER BY md5(id::text)) AS n "
                                 "FROM wardmote.consultation WHERE status = 'open' AND visibility = 'public' AND NOT everyone) c LIMIT 500")
        return stages.Ask("finder", "GET", "/v1/consultations?status=open&locality_ids={1}&q={2}&include=partner,localities&limit=20", table=found)


class Pull(Plain):
    """Everything that changed since yesterday, in pages of 500."""

    name = "nightly pull: updated_at.gte= that matches 5,000 of 1M, in pages of 500"
    target = f"/v1/consultations?updated_at.gte={CHANGED_SINCE}&sort=updated_at&limit={PULL_PAGE}"

    def make(self):
        return stages.Ask("pull", "GET", "/v1/consultations?{1}", table=self.pages(), each=True, token=True)

    def pages(self):
        """The query of each page."""
        with self.stage.serving() as server:
            token = self.stage.token_of(server)
            base, found = self.target.split("?", 1)[1], [self.target.split("?", 1)[1]]
            while True:
                cursor = next_cursor(json.loads(stages.get(server, f"/v1/consultations?{found[-1]}", token)))
                if cursor is None:
                    return [(query,) for query in found]
                found.append(f"{base}&cursor={urllib.parse.quote(cursor)}")


class Bbox(Plain):
    """Fifty areas of a map."""

    name = "localities by bbox as GeoJSON (50 features)"

    def make(self):
        found = self.stage.query("""
            SELECT replace(replace(replace(box, 'BOX(', ''), ')', ''), ' ', ',') FROM (
                SELECT ST_Extent(near.geometry)::text AS box FROM (SELECT geometry FROM wardmote.locality ORDER BY md5(id::text) LIMIT 40) c
                CROSS JOIN LATERAL (SELECT l.geometry FROM wardmote.locality l WHERE l.geometry IS NOT NULL ORDER BY l.geometry <-> ST_Centroid(c.geometry) LIMIT 60) near
                GROUP BY c.geometry) boxes""")
        return stages.Ask("bbox", "GET", "/v1/localities.geojson?bbox={1}&fields=name,code,geometry&limit=50", table=found, each=True)
