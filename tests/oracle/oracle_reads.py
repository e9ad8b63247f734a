# SPDX-License-Identifier: AGPL-3.0-or-later
"""Steps of a sequence that read: records, lists, histories, moments, cursors, the feed, other accounts' tags and tokens, and fields above the reader."""
import json
import time

from oracle_model import (KINDS, OWNED_KINDS, OWNER, PARTNER, Record, audience, is_visible, past_is_open, refusal_to_change, refusal_to_read,
                          shows_version, told)
from oracle_world import ANY
from oracle_writes import Writes
from wardmote_records import absent_id

FORMATS = ("", "", ".csv", ".geojson")
PLACED = ("activities", "localities")
FEED_SECONDS = 20


def ids_of(answer):
    """The records of a list, in any format."""
    if answer.media_type == "text/csv":
        rows = answer.text().splitlines()
        return [row.split(",")[0].strip('"') for row in rows[1:] if len(row.split(",")[0].strip('"')) == 36]
    body = answer.json()
    return [row["id"] for row in body["features"]] if "features" in body else [row["id"] for row in body["items"]]


class Reads(Writes):
    def some_record(self, luck):
        owned = [record for record in self.records if record.resource in OWNED_KINDS]
        return luck.pick(owned if owned and luck.number(4) else self.records)

    def suffix(self, luck, resource):
        suffix = luck.pick(FORMATS)
        return "" if suffix == ".geojson" and resource not in PLACED else suffix

    # --- one record ---

    def step_read(self, luck):
        caller, record = self.actor(luck), self.some_record(luck)
        path = f"/v1/{record.resource}/{record.id}{self.suffix(luck, record.resource)}"
        refusal, options, expect = refusal_to_read(caller, record), {}, {200}
        choice = luck.number(6)
        if choice == 1:
            options["params"] = {"include": ",".join(record.kind.includes)}
        elif choice == 2:
            options["params"] = {"fields": luck.pick(sorted(set(record.kind.texts) - record.kind.members_above(PARTNER)))}
            if caller.rank == 0 and record.resource == "accounts":
                options = {}
        elif choice == 3 and self.etags:
            _, _, tag = luck.pick(self.etags)
            options["headers"], expect = {"If-None-Match": tag}, {200, 304}
        elif choice == 4:
            options["headers"], expect = {"If-None-Match": "*"}, {200, 304}
        expect = {refusal} if refusal else expect
        if "include" in str(options) and refusal in (None, 404) and caller.scopes is not None:
            expect = expect | {403}  # what include embeds takes the scope of that resource
        if ".csv" in path and choice == 1:
            expect = expect | {400}
        if ".geojson" in path and choice == 1:
            expect = expect | {400}
        answer = self.ask(caller, "GET", path, expect=expect, **options)
        if refusal == 404:
            self.as_absent(caller, "GET", path, record, answer, **options)
        if answer.status == 304 and options["headers"]["If-None-Match"] not in ("*",) and f'"{record.now.number}-' not in options["headers"]["If-None-Match"]:
            self.fail(f"304 for a tag that is not of version {record.now.number}")
        if answer.status == 200:
            self.remember_tag(record, answer)

    def step_history(self, luck):
        self.history_is_right(self.actor(luck), self.some_record(luck))

    def history_is_right(self, caller, record):
        path = f"/v1/{record.resource}/{record.id}/history"
        refusal = refusal_to_read(caller, record)
        if record.deleted and past_is_open(caller, record):
            refusal = None if caller.may(record.resource, "read") else 403
        answer = self.ask(caller, "GET", path, expect={refusal or 200} | ({404} if refusal == 403 and record.deleted else set()), past=True)
        if refusal == 404:
            self.as_absent(caller, "GET", path, record, answer)
        if answer.status == 200:
            shown = sorted(item["version"] for item in answer.json()["items"])
            wanted = [version.number for version in self.versions_shown(caller, record)] + ([record.deleted_version] if record.deleted else [])
            if shown != wanted:
                self.fail(f"the history shows {caller} versions {shown}, not {wanted}")

    def step_past(self, luck):
        """A record at a moment at which some record changed."""
        caller, record = self.actor(luck), self.some_record(luck)
        moment = luck.pick(luck.pick(self.records).versions).moment
        version = record.at(moment)
        refusal = 401 if record.resource == "accounts" and caller.rank == 0 else None
        shown = version is not None and shows_version(caller, record, version) and not (record.deleted and moment >= record.deleted_at)
        refusal = refusal or (404 if not shown else None if caller.may(record.resource, "read") else 403)
        expect = {refusal or 200}
        if refusal == 404 and past_is_open(caller, record) and not caller.may(record.resource, "read"):
            expect = {403, 404}
        path = f"/v1/{record.resource}/{record.id}"
        answer = self.ask(caller, "GET", path, params={"as_of": moment}, expect=expect, past=True)
        if answer.status == 200 and answer.json()["version"] != version.number:
            self.fail(f"at {moment} version {answer.json()['version']}, not {version.number}")
        if refusal == 404 and not past_is_open(caller, record):
            self.as_absent(caller, "GET", path, record, answer, params={"as_of": moment}, past=True)

    # --- lists ---

    def narrowed(self, luck, kind, some):
        """Parameters that let no more through than these records, so that what earlier sequences left does not count."""
        return {"id": ",".join(record.id for record in some)} if some else {"id": absent_id()}

    def step_list(self, luck):
        caller, kind = self.actor(luck), luck.pick(list(KINDS.values()))
        suffix, params = self.suffix(luck, kind.name), {}
        moment = luck.pick(luck.pick(self.records).versions).moment if luck.one_in(3) else None
        if not suffix and luck.number(2):
            params["count"] = "exact"
        if luck.one_in(4):
            params["sort"] = "-updated_at"
        if luck.one_in(4) and not suffix and caller.scopes is None:
            params["include"] = ",".join(kind.includes)
        if kind.name == "activities" and luck.number(2):
            params["bbox"] = "1.2,52.5,1.4,52.7"  # where all of them are
        self.list_is_right(luck, caller, kind, moment, suffix, params)

    def list_is_right(self, luck, caller, kind, moment, suffix, params):
        """Of the records of the sequence exactly those that the caller may see, now or of a moment."""
        pool = [record for record in self.records if record.resource == kind.name][-40:]
        params = {**self.narrowed(luck, kind, pool), "limit": "500", **params, **({"as_of": moment} if moment else {})}
        refusal = 401 if kind.name == "accounts" and caller.rank == 0 else None if caller.may(kind.name, "read") else 403
        answer = self.ask(caller, "GET", f"/v1/{kind.name}{suffix}", params=params, expect={refusal or 200}, past=moment is not None)
        if answer.status != 200:
            return
        wanted = {record.id for record in pool if (is_visible(caller, record) if moment is None else self.shown_at(caller, record, moment))}
        got = ids_of(answer)
        if set(got) != wanted or len(got) != len(wanted):
            self.fail(f"{caller} lists {sorted(got)}, not {sorted(wanted)}")
        if "count" in params and answer.json()["count"] != len(wanted):
            self.fail(f"{caller} counts {answer.json()['count']}, not {len(wanted)}")

    def sweep(self, luck):
        """When the sequence is over: every list now and at a moment, and every record with its past, as callers of each sort."""
        readers = [self.anonymous, *(self.ready(partner.callers[-1 - luck.number(3)]) for partner in self.partners), self.ready(luck.pick(self.callers))]
        moment = luck.pick(luck.pick(self.records).versions).moment
        for caller in readers:
            for kind in {record.resource: record.kind for record in self.records}.values():
                self.list_is_right(luck, caller, kind, None, "", {"count": "exact"})
                self.list_is_right(luck, caller, kind, moment, "", {})
        for record in [record for record in self.records if record.resource in OWNED_KINDS]:
            for caller in (luck.pick(readers), luck.pick(readers)):
                self.history_is_right(caller, record)
                refusal = refusal_to_read(caller, record)
                self.ask(caller, "GET", f"/v1/{record.resource}/{record.id}", expect={refusal or 200})
                refusal = refusal_to_change(caller, record)
                if refusal:
                    self.ask(caller, "PATCH", f"/v1/{record.resource}/{record.id}", body={"source": "swept"}, headers=ANY, expect={refusal})

    def shown_at(self, caller, record, moment):
        version = record.at(moment)
        gone = record.deleted and moment >= record.deleted_at
        return version is not None and not gone and shows_version(caller, record, version)

    def step_search(self, luck):
        """A text of a record, through its filter, through words and inside other texts: found by who may read that text, and by nobody else."""
        caller, record = self.actor(luck), self.some_record(luck)
        if not record.now.texts or (record.resource == "accounts" and caller.rank == 0):
            return
        member = luck.pick(sorted(record.now.texts))
        mark = record.now.texts[member]
        way = luck.pick((member, f"{member}.contains", "q", f"{record.kind.title}.contains"))
        if way == "q" and not record.kind.search:
            return
        value = mark.rsplit("-", 1)[1] if way == "q" else mark
        answer = self.ask(caller, "GET", f"/v1/{record.resource}", params={way: value, "count": "exact"})
        if not caller.may(record.resource, "read"):
            if answer.status not in (400, 403):
                self.fail(f"{answer.status} without the scope")
            return
        if answer.status == 400:
            return  # no such filter for this caller, or at all
        may = is_visible(caller, record) and (audience(caller, record) == OWNER or record.kind.texts[member] != OWNER)
        items = answer.json()["items"]
        if not may and (items or answer.json()["count"]):
            self.fail(f"{caller} finds {record.resource} by {way} of a hidden {member}: {answer.text()[:500]}")
        if may and way == member and [item["id"] for item in items] != [record.id]:
            self.fail(f"{caller} does not find its {member}: {answer.text()[:500]}")

    def step_search_past(self, luck):
        """A text of an earlier version, at its moment: found by who may read that version and that text."""
        caller, record = self.actor(luck), self.some_record(luck)
        version = luck.pick(record.versions)
        if not version.texts or not caller.may(record.resource, "read") or (record.resource == "accounts" and caller.rank == 0):
            return
        member = luck.pick(sorted(version.texts))
        ways = [member, f"{member}.contains", *(["q"] if record.kind.search else [])]
        way = luck.pick(ways)
        value = version.texts[member].rsplit("-", 1)[1] if way == "q" else version.texts[member]
        answer = self.ask(caller, "GET", f"/v1/{record.resource}", params={way: value, "count": "exact", "as_of": version.moment}, past=True)
        if answer.status == 400:
            return  # no such filter for this caller, or at all
        may = self.shown_at(caller, record, version.moment) and (audience(caller, record) == OWNER or record.kind.texts[member] != OWNER)
        found = [item["id"] for item in answer.json()["items"]]
        if (not may and (found or answer.json()["count"])) or (may and way == member and found != [record.id]):
            self.fail(f"{caller} finds {found} by {way} of version {version.number}, and may {'' if may else 'not '}see it")

    def step_above(self, luck):
        """Members above the caller's audience, through every parameter that takes a name: unknown to the anonymous, empty for other partners."""
        caller, kind = self.actor(luck), luck.pick([kind for kind in KINDS.values() if kind.name != "accounts"])
        member = luck.pick(sorted(kind.members_above(PARTNER) | set(kind.hidden)))
        audience_now = PARTNER if caller.rank else "public"
        hidden = member in kind.members_above(audience_now) and audience_now == "public"
        way = luck.number(4)
        params = [{"fields": member}, {"sort": member}, {f"{member}.null": "true"}, {member: "1"}][way]
        answer = self.ask(caller, "GET", f"/v1/{kind.name}", params=params)
        if hidden and answer.status not in ((400,) if caller.may(kind.name, "read") else (400, 403)):
            self.fail(f"the anonymous name {member}: {answer.text()[:300]}")
        if answer.status == 200 and way in (2, 3):
            for identifier in ids_of(answer):
                record = self.stage.records.get(identifier)
                if record is not None and member in record.kind.members_above(audience(caller, record)):
                    self.fail(f"{caller} selects {record.resource} {record.id} by {member}, which it may not see")

    # --- cursors, tags, tokens ---

    def step_cursor(self, luck):
        """Made in a list with one record to a page; used later, by whoever, after whatever has happened."""
        caller, kind = self.actor(luck), luck.pick(list(KINDS.values()))
        if luck.number(2) and self.cursors:
            maker, link, resource = luck.pick(self.cursors)
            caller = self.ready(luck.pick((maker, caller)))
            answer = self.ask(caller, "GET", link)
            if answer.status == 200:
                self.lists_only_visible(caller, answer)
            elif answer.status not in (400, 401, 403):
                self.fail(f"a cursor: {answer.text()[:300]}")
            elif answer.status == 400 and caller is maker and caller.may(resource, "read"):
                self.fail(f"a cursor of the caller's own: {answer.text()[:300]}")
            return
        pool = [record for record in self.records if record.resource == kind.name][-40:]
        if kind.name == "accounts" and caller.rank == 0 or not caller.may(kind.name, "read"):
            return
        params = {**self.narrowed(luck, kind, pool), "limit": "1", "sort": luck.pick(("updated_at", "-updated_at", kind.title))}
        if params["sort"] == kind.title and kind.name == "codes":
            params["sort"] = "label"
        answer = self.ask(caller, "GET", f"/v1/{kind.name}", params=params, expect={200})
        if "next" in answer.links():
            self.cursors.append((caller, answer.links()["next"].replace(self.stage.server.url, ""), kind.name))

    def lists_only_visible(self, caller, answer):
        for identifier in ids_of(answer):
            record = self.stage.records.get(identifier)
            if record is not None and not is_visible(caller, record):
                self.fail(f"{caller} lists {record.resource} {identifier}")

    def step_token(self, luck):
        """One that has ended: refused wherever the database is asked; then a new one, where there is one to get."""
        caller = luck.pick(self.callers)
        if caller.ended and luck.number(2):
            token, record = luck.pick(caller.ended), self.some_record(luck)
            path = luck.pick((f"/v1/{record.resource}/{record.id}", f"/v1/{record.resource}", "/v1/me", "/v1/changes"))
            # A narrowed token is refused by its scopes before anybody is asked whether it still holds.
            self.ask(caller, "GET", path, token=token, expect={401} if path in ("/v1/me", "/v1/changes") else {401, 403})
        if caller.credentials is not None and caller.token is None:
            self.sign_in(caller)

    def step_wrong_place(self, luck):
        """A record under another resource's path does not exist; nor does one that never was."""
        caller, record = self.actor(luck), self.some_record(luck)
        other = luck.pick([kind for kind in KINDS if kind not in (record.resource, "accounts")])
        method, options = luck.pick((("GET", {}), ("DELETE", {"headers": {"If-Match": "*"}}), ("GET", {})))
        path = f"/v1/{other}/{record.id}"
        answer = self.ask(caller, method, path, expect={404} if method == "GET" or caller.rank else {401}, **options)
        if answer.status == 404:
            self.as_absent(caller, method, path, record, answer, **options)

    # --- the feed ---

    def heard(self, caller, cursor):
        found = []
        while True:
            answer = self.ask(caller, "GET", "/v1/changes", params={"limit": "500", "after": cursor}, expect={200}, known=self.all_ids())
            found += answer.json()["items"]
            cursor = answer.json()["cursor"]
            if "next" not in answer.links():
                return found

    def all_ids(self):
        return set(self.stage.records)

    def step_feed(self, luck):
        """What is told now, from the beginning of the sequence: nothing but what may be told now."""
        caller = self.actor(luck)
        rows = {(item["id"], item["version"], item["operation"]) for item in self.heard(caller, self.feed_start)}
        for record in self.records:
            wanted = {(record.id, *row) for row in told(caller, record)}
            extra = {row for row in rows if row[0] == record.id} - wanted
            if extra:
                self.fail(f"the feed tells {caller} {extra} of {record.resource}, which may be told {wanted}")

    def feed_is_complete(self, caller):
        """Everything is told in the end; positions are given a moment after the change."""
        wanted = {(record.id, *row) for record in self.records for row in told(caller, record)}
        ours = {record.id for record in self.records}
        deadline = time.monotonic() + FEED_SECONDS
        while True:
            rows = [(item["id"], item["version"], item["operation"]) for item in self.heard(caller, self.feed_start) if item["id"] in ours]
            if set(rows) == wanted and len(rows) == len(wanted):
                return
            if time.monotonic() > deadline or set(rows) - wanted:
                self.fail(f"the feed tells {caller} {sorted(set(rows) - wanted)} too much, {sorted(wanted - set(rows))} too little")
            time.sleep(0.02)  # until the sequencer's next turn; the deadline decides

    # --- what others do shows nowhere ---

    def battery(self, caller):
        """Answers of everything that a caller can ask without naming a record, without what differs between any two answers."""
        found = []
        for kind in KINDS.values():
            if kind.name == "accounts" and caller.rank < 3:
                continue
            for params in ({"count": "exact", "sort": "-updated_at"}, {"limit": "3", "count": "estimated"}, {"external_id.null": "true"}, {"q": "canary", "count": "exact"}):
                if ("external_id.null" in params and (caller.rank == 0 or kind.name in ("partners", "accounts"))) or ("q" in params and not kind.search):
                    continue
                answer = self.ask(caller, "GET", f"/v1/{kind.name}", params=params)
                status, headers, body = self.bare(answer)
                if answer.status == 200:
                    body = json.dumps({name: value for name, value in answer.json().items() if name != "links"})
                found.append((kind.name, str(params), status, headers, body))
            answer = self.ask(caller, "GET", f"/v1/{kind.name}.csv", params={"limit": "20"})
            found.append((kind.name, "csv", *self.bare(answer)[::2]))
        return found

    def step_unseen_work(self, luck):
        """Two runs: before and after somebody else makes, changes and deletes what the caller may not see, it gets the same bytes everywhere."""
        caller = self.actor(luck)
        others = [other for other in self.callers if other.partner is not None and other.partner is not caller.partner and other.rank in (2, 3) and other.token
                  and other.scopes is None]
        if not others or luck.number(3):
            return
        other = luck.pick(others)
        before = self.battery(caller)
        for kind in (KINDS["communities"], KINDS["activities"]):
            texts = self.texts(other.partner, kind)
            answer = self.ask(other, "POST", f"/v1/{kind.name}", body={**kind.fixed, **texts, "visibility": "private"}, expect={201})
            record = Record(kind.name, other.partner)
            self.made(other, record, answer, texts, "private")
            if luck.number(2):
                answer = self.ask(other, "DELETE", f"/v1/{kind.name}/{record.id}", headers={"If-Match": "*"}, expect={204})
                self.gone(other, record)
        after = self.battery(caller)
        for one, two in zip(before, after):
            if one != two:
                self.fail(f"{caller} notices what {other} did:\n{one}\n{two}")
