# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows that write. Each request writes something of its own: numbers run on from round to round."""
import concurrent.futures
import json
import time
import uuid

import stage as stages
from measure import driver
from rows import Check, Plain, rate
from rows_read import ids

PUTS = 10_000
BODY = {"title": "Where should the new crossings go?", "summary": "We have money for four crossings and want to hear where.", "everyone": True,
        "open_on": "2027-03-02", "close_on": "2027-03-27", "take_part_url": "https://example.org/crossings"}
WRITERS = (8, 16, 32)  # connections of the driver: the best counts


class Write(Plain):
    """One kind of change, against the same transaction in the driver at its best connection count."""

    least = 0.85
    best = None

    def prepare(self):
        """The connection count at which the driver does most."""
        tried = {}
        for turn, writers in enumerate(WRITERS):
            tried[writers] = self.drive(0.8, 90 + turn, writers)["per_second"]
        self.best = max(tried, key=tried.get)

    def number(self, seconds, turn, part):
        """Where the numbers of a measure begin: none is used twice in a run."""
        del seconds
        return (turn * 4 + part) * 40_000

    def drive(self, seconds, turn, writers):
        return driver(self.stage.build, self.stage.uri(), self.stage.file(self.ask, "segment"), table=self.stage.file(self.ask, "table") if self.ask.table else None,
                      seconds=seconds, lane="write", connections=writers, depth=2, in_flight=64, first=self.number(seconds, turn, 1))

    def measures(self):
        return {"wardmote": lambda seconds, turn: self.stage.wardmote(self.ask, seconds, first=self.number(seconds, turn, 0)),
                "driver": lambda seconds, turn: self.drive(seconds, turn, self.best)}

    def judge(self, medians):
        return [Check(f"of the transaction in the driver, {self.best} connections", rate(medians, "wardmote") / rate(medians, "driver"), f">= {self.least}")]


class Create(Write):
    """A new consultation, and its history."""

    name = "POST create with Idempotency-Key, history written"

    def make(self):
        return stages.Ask("create", "POST", "/v1/consultations", {"Idempotency-Key": f"{uuid.uuid4().hex}-{{n}}"}, BODY, token=True, status=201, lane="write")


class Patch(Write):
    """A change to what was read. Each record is changed once, so each has the version that is expected."""

    name = "PATCH with If-Match"

    def make(self):
        own = self.stage.whole.host["partner_id"]
        table = ids(self.stage, f"partner_id = '{own}' AND version = 1", 50_000)
        with self.stage.serving() as server:  # the tag of a first version is good for them all: only its version counts
            fields = dict(self.stage.send(server, stages.Ask("", "GET", "/v1/consultations/{1}", token=True, table=table))[1])
        return stages.Ask("patch", "PATCH", "/v1/consultations/{1}", {"If-Match": fields["ETag"], "Content-Type": "application/merge-patch+json"}, {"notes": "seen {n}"},
                          table=table, token=True, lane="write")

    def number(self, seconds, turn, part):
        """Fifty thousand records for all: the next is behind where the last ended, and behind what was under way when each of those before it ended."""
        with self.stage.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT count(*) FROM wardmote.consultation WHERE partner_id = %s AND version = 2", (self.stage.whole.host["partner_id"],))
            return cursor.fetchone()[0] + 2000


class PutUnchanged(Plain):
    """A copy of somebody's own records, as most nights find it."""

    name = "nightly push: PUT by external_id, unchanged"
    rows_before = None

    def make(self):
        return stages.Ask("put", "PUT", "/v1/consultations?external_id={1}", {}, {**BODY, "notes": "of {1}"}, table=[(f"push-{number}",) for number in range(PUTS)],
                          token=True, lane="write", learn_twice=True)

    def prepare(self):
        """All of them, once."""
        done = 0
        while done < PUTS:
            self.stage.wardmote(self.ask, 2, first=done)
            done = self.stage.query("SELECT count(*) FROM wardmote.consultation WHERE external_id LIKE 'push-%'")[0][0]
        self.rows_before = self.written()

    def measures(self):
        lanes = {"connections": 8 * stages.WORKERS, "depth": 2}  # as the server has them
        return {**super().measures(), "driver": lambda seconds, turn: self.stage.driven(self.ask, seconds, first=turn * 100_000, **lanes)}

    def written(self):
        """Versions of consultations, changes and answers under keys that the database has."""
        return self.stage.query("SELECT (SELECT sum(version) FROM wardmote.consultation) + (SELECT count(*) FROM wardmote.change) "
                                "+ (SELECT count(*) FROM wardmote.idempotency)")[0][0]

    def judge(self, medians):
        return [*super().judge(medians), Check("rows written", float(self.written() - self.rows_before), "<= 0")]


class PutChanged(Write):
    """A copy of somebody's own records, those that changed."""

    name = "nightly push: PUT by external_id, changed"

    def make(self):
        return stages.Ask("put changed", "PUT", "/v1/consultations?external_id={1}", {}, {**BODY, "notes": "seen {n}"},
                          table=[(f"push-{number}",) for number in range(PUTS)], token=True, lane="write", learn_twice=True)


class Changes(Plain):
    """What a copy asks for: the last 5,000 changes."""

    name = "/v1/changes over the same 5,000, in pages of 500"
    write = at = None
    made = missed = twice = 0  # over all rounds

    def make(self):
        with self.stage.serving() as server:
            token = self.stage.token_of(server)
            found = [self.stage.remembered("n1000000", "changes", lambda: before_last(server, token, 5000))]
            for _ in range(9):
                found.append(json.loads(stages.get(server, f"/v1/changes?limit=500&after={found[-1]}", token))["cursor"])
        return stages.Ask("changes", "GET", "/v1/changes?limit=500&after={1}", table=[(cursor,) for cursor in found], each=True, token=True)

    def prepare(self):
        own = self.stage.whole.host["partner_id"]
        table = ids(self.stage, f"partner_id = '{own}'", 1000)
        self.write = stages.Ask("changed while followed", "PATCH", "/v1/consultations/{1}", {"If-Match": "*", "Content-Type": "application/merge-patch+json"},
                                {"notes": "followed {n}"}, table=table, token=True, lane="write")
        self.stage.write(self.write)
        self.at = self.end_of(self.ask.table[-1][0])

    def end_of(self, cursor):
        while (page := self.page(cursor))["items"]:
            cursor = page["cursor"]
        return cursor

    def page(self, cursor):
        return json.loads(stages.get(self.stage.server, f"/v1/changes?limit=500&after={cursor}", self.stage.token))

    def measures(self):
        return {**super().measures(), "followed": self.follow}

    def follow(self, seconds, _):
        """While 64 connections write, one reader asks for what is new, again and again; then what it was told is held against what was written."""
        told, since = [], self.stage.query("SELECT clock_timestamp()")[0][0]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            writing = pool.submit(self.stage.wardmote, self.write, seconds)
            quiet = 0
            while quiet < 20:  # a second without news after the last write
                over = writing.done()
                page = self.page(self.at)
                told += [(item["id"], item["version"]) for item in page["items"]]
                self.at = page["cursor"]
                quiet = quiet + 1 if over and not page["items"] else 0
                if not page["items"]:
                    time.sleep(0.05)  # nothing is new
        made = self.stage.query("SELECT record_id::text, version FROM wardmote.change WHERE at > %s", since)
        self.made += len(made)
        self.missed += len(set(made) - set(told))
        self.twice += len(told) - len(set(told))
        return {"n": len(made)}

    def judge(self, medians):
        return [*super().judge(medians), Check(f"changes missed of {self.made:,} while writers run", float(self.missed), "<= 0"),
                Check("changes told twice", float(self.twice), "<= 0")]


def before_last(server, token, many):
    """The cursor after which `many` changes are left, or a page more."""
    cursors = [""]
    while True:
        page = json.loads(stages.get(server, f"/v1/changes?limit=500{'&after=' + cursors[-1] if cursors[-1] else ''}", token))
        if len(page["items"]) < 500:
            return cursors[-many // 500 - 1]
        cursors.append(page["cursor"])
