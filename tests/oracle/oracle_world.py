# SPDX-License-Identifier: AGPL-3.0-or-later
"""The server under the oracle: one worker, one database connection a lane through a proxy that cuts it, one keep-alive connection for all callers; and the
three detectors: the status is the model's, no mark is where it does not belong (answer and log), no row changed that the model does not allow."""
import base64
import collections
import contextlib
import csv
import io
import json
import pathlib
import re
import sys
import urllib.parse



sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "ops"))  # the proxy that cuts connections

# pylint: disable=wrong-import-position
import wardmote_server
from fault_proxy import FaultProxy, Through
from oracle_model import KINDS, MARK, OWNED_KINDS, Caller, Marks, Partner, Record, Version, audience, is_visible, past_is_open, shows_version
from wardmote_client import Client
from wardmote_records import absent_id

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNSTABLE = ("date", "ratelimit")
ANY = {"If-Match": "*"}
SETTINGS = {"workers": 1, "lane_read": 1, "lane_write": 1, "lane_heavy": 1, "lane_stream": 1, "request_timeout_ms": 2000, "heavy_timeout_ms": 2000}


class Disagreement(AssertionError):
    """The server and the model say different things."""


class Stage:
    """A database and a server of the oracle's own, for many sequences. What each sequence makes is its own; the marks are known for all of them."""

    def __init__(self, cluster, keys, database):
        self.cluster = cluster
        self.database = database
        cluster.setup(database)
        self.host = wardmote_server.make_administrator(cluster, database)
        self.proxy = FaultProxy(cluster)
        self.server = wardmote_server.Server(Through(cluster, self.proxy), keys, database, **SETTINGS)
        self.wire = Client(self.server, None, None)
        self.side_wires = [Client(self.server, None, None) for _ in range(6)]
        self.marks = Marks()
        self.records = {}             # id to record, of all sequences
        self.authors = {}             # id of an account to the partners whose records it wrote
        self.requests = 0
        self.statuses = collections.Counter()
        self.log_read = 0
        self.sql = cluster.connect("postgres", database)
        self.tables = self._tables()
        self.faults = 0
        self.base = []                # public records that others refer to
        self._base()

    def close(self):
        self.sql.close()
        for wire in (self.wire, *self.side_wires):
            wire.close()
        self.proxy.heal()
        try:
            self.server.close()
        finally:
            self.proxy.close()

    def _base(self):
        """The host, its first administrator, and public places and scales that records need."""
        record = Record("partners", None, self.host["partner_id"])
        record.versions.append(Version(1, "public", {}, {}, {}, ""))
        self.records[record.id] = record
        self.host_partner = Partner(0, record, host=True)
        record.partner = self.host_partner
        account = Record("accounts", self.host_partner, self.host["account_id"])
        account.versions.append(Version(1, None, {}, {}, {}, ""))
        self.records[account.id] = account
        self.administrator = Caller("administrator", self.host_partner, None, account)
        account.account = self.administrator
        self.administrator.credentials = (self.host["client_id"], self.host["client_secret"])
        self.administrator.token = self.wire.token_for(*self.administrator.credentials)

    # --- the third detector ---

    def _tables(self):
        with self.sql.cursor() as cursor:
            cursor.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('wardmote', 'history', 'auth')"
                           " AND tablename NOT IN ('fresh', 'feed') ORDER BY 1")  # the sequencer moves rows between these two in its own time
            return [name for (name,) in cursor.fetchall()]

    def rows(self):
        """Every row of every table: (table, digest) to the ids in it that say whose it is."""
        found = {}
        with self.sql.cursor() as cursor:
            for table in self.tables:
                cursor.execute(f"SELECT md5(t::text), to_jsonb(t) - 'body' - 'geometry' - 'search' FROM {table} t")
                for digest, row in cursor.fetchall():
                    found[table, digest] = row
        return found

    def feed_end(self):
        """Where the feed ends now, so that a sequence reads no more than its own."""
        self.wire.token, link, cursor = self.administrator.token, "/v1/changes?limit=500", None
        while link is not None:
            answer = self.wire.get(link)
            cursor, link = answer.json()["cursor"], answer.links().get("next")
        return cursor

    def new_log(self):
        text = self.server.log()
        text, self.log_read = text[self.log_read:], len(text)
        return text


class World:
    """One sequence: some partners, their accounts and what they do. Every exchange goes through `ask`."""

    def __init__(self, stage):
        self.stage = stage
        self.partners = []
        self.records = []             # of this sequence
        self.touched = {stage.administrator.record.id}
        self.keyed = []               # (caller, path, key, body, record): what was made under an idempotency key
        self.moved = []               # (caller, path, header fields, body, record): transitions under a key
        self.cursors = []             # (caller, link)
        self.etags = []               # (record, version, tag)
        self.trace = []
        self.anonymous = Caller("anonymous")
        self.callers = [self.anonymous, stage.administrator]
        self.unsettled = False
        self.before = stage.rows()
        stage.new_log()

    # --- asking ---

    def ask(self, caller, method, path, *, expect=None, params=None, body=None, headers=None, token=None, past=False, target=None, known=(), wire=None):
        """The answer. `expect`: the statuses that the model allows. `past`: earlier versions were asked for. `target`: the record that is written, which its
        writer is shown whatever else the token may read. `known`: ids that the answer may name."""
        wire = wire or self.stage.wire
        wire.token = token or caller.token
        answer = wire.request(method, path, params=params, json_body=body, headers=headers)
        self.stage.requests += 1
        self.stage.statuses[answer.status] += 1
        shown = f"{caller}{' (old token)' if token else ''}: {method} {path} {params or ''} {json.dumps(body) if body is not None else ''} {headers or ''}"
        self.trace.append(f"{shown} -> {answer.status}")
        if expect is not None and answer.status not in expect:
            self.fail(f"{answer.status} is not among {sorted(expect)}: {answer.text()[:800]}")
        self.inspect(caller, answer, request=f"{path} {params} {json.dumps(body)} {headers}", past=past, target=target, known=known)
        return answer

    def fail(self, reason):
        raise Disagreement("\n".join([reason, f"after {len(self.trace)} requests, the last:", *self.trace[-40:]]))

    def as_absent(self, caller, method, path, record, answer, **options):
        """What the caller may not see is answered as what does not exist: byte for byte, field for field."""
        ghost = absent_id()

        def swap(value):
            return json.loads(json.dumps(value).replace(record.id, ghost)) if value is not None else None

        again = self.ask(caller, method, path.replace(record.id, ghost), **{**options, **{name: swap(options.get(name)) for name in ("params", "body", "headers")}})
        here, there = self.bare(answer, record.id), self.bare(again, ghost)
        if here != there:
            self.fail(f"the hidden differs from the absent:\n{here}\n{there}")

    @staticmethod
    def bare(answer, identifier=None):
        """An answer without what differs between any two."""
        trace = answer.headers.get("x-request-id", "").encode()
        body = answer.body
        if answer.media_type == "application/problem+json":
            trace = answer.json()["trace_id"].encode()
        for part in filter(None, (trace, identifier and identifier.encode())):
            body = body.replace(part, b"-")
        headers = {name: value.replace(trace.decode() or "\n", "-").replace(identifier or "\n", "-")
                   for name, value in answer.headers.items() if name not in UNSTABLE}
        return answer.status, headers, body

    # --- the second detector ---

    def inspect(self, caller, answer, *, request, past=False, target=None, known=()):
        text = answer.text() + "\n" + "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        asked = urllib.parse.unquote(request).lower()
        for mark in set(MARK.findall(text)):
            if mark.lower() in asked or (target is not None and mark.lower() in {value.lower() for value in target.now.texts.values()} and target.resource
                                         and not caller.may(target.resource, "read")):
                continue
            reason = self.stage.marks.reason_against(caller, mark, past=past)
            if reason:
                self.fail(f"{caller} reads {mark}: {reason}: {text[:1500]}")
        for identifier in set(UUID.findall(text)) - set(UUID.findall(asked)) - set(known):
            self._inspect_id(caller, identifier, target, text)
        if answer.media_type.endswith("json") and answer.body:
            self._inspect_members(caller, answer.json(), text)
        elif answer.media_type == "text/csv":
            self._inspect_cells(caller, answer.text())

    def _inspect_id(self, caller, identifier, target, text):
        record = self.stage.records.get(identifier)
        if record is None or record is target or past_is_open(caller, record):
            return
        if record.resource == "accounts" and (record.account is caller or caller.partner in self.stage.authors.get(identifier, ())):
            return
        referrers = (other for other in self.stage.records.values() if identifier in other.referred() and past_is_open(caller, other))
        if next(referrers, None) is None:
            self.fail(f"{caller} is told the id of {record.resource} {identifier}: {text[:1500]}")

    def _inspect_members(self, caller, node, text):
        if isinstance(node, list):
            for part in node:
                self._inspect_members(caller, part, text)
        if not isinstance(node, dict):
            return
        record = self.stage.records.get(node.get("id"))
        if record is not None and record.resource in KINDS:
            members = {**node, **(node.get("properties") or {})}
            above = record.kind.members_above(audience(caller, record)) & set(members)
            if above and not (record.resource == "accounts" and record.account is caller):
                self.fail(f"{caller} is shown {sorted(above)} of {record.resource} {record.id}: {text[:1500]}")
        if "changed" in node and isinstance(node.get("record"), dict):
            record = self.stage.records.get(node["record"].get("id"))
            above = set(node["changed"] or ()) & record.kind.members_above(audience(caller, record)) if record is not None else set()
            if above:
                self.fail(f"{caller} is told that {sorted(above)} of {record.resource} {record.id} changed: {text[:1500]}")
        for part in node.values():
            self._inspect_members(caller, part, text)

    def _inspect_cells(self, caller, text):
        for row in csv.DictReader(io.StringIO(text)):
            record = self.stage.records.get(row.get("id"))
            if record is None:
                continue
            above = [name for name in record.kind.members_above(audience(caller, record)) if row.get(name) not in (None, "")]
            if above:
                self.fail(f"{caller} is shown {above} of {record.resource} {record.id} as CSV: {text[:1500]}")

    # --- what was written ---

    def wrote(self, caller, record):
        self.touched.add(record.id)
        if caller.record is not None and record.partner is not None:
            self.stage.authors.setdefault(caller.record.id, set()).add(record.partner)

    def made(self, caller, record, answer, texts, visibility=None, grants=None, refs=None):
        """A new record, as the answer says."""
        shown = answer.json()
        record.id = shown["id"]
        record.versions.append(Version(1, visibility, dict(grants or {}), dict(texts), dict(refs or {}), shown["updated_at"]))
        self.stage.records[record.id] = record
        self.records.append(record)
        for member, mark in texts.items():
            self.stage.marks.store(record, member, mark)
        self.wrote(caller, record)
        self.remember_tag(record, answer)
        if shown["version"] != 1:
            self.fail(f"a new record has version {shown['version']}")

    def changed(self, caller, record, version, moment, *, texts=None, visibility=None, grants=None, refs=None):
        last = record.now
        if version != last.number + 1:
            self.fail(f"{record.resource} {record.id} went from version {last.number} to {version}")
        record.versions.append(Version(version, visibility or last.visibility, dict(last.grants if grants is None else grants), {**last.texts, **(texts or {})},
                                       {**last.refs, **(refs or {})}, moment))
        for member, mark in (texts or {}).items():
            self.stage.marks.store(record, member, mark)
        self.wrote(caller, record)

    def gone(self, caller, record):
        with self.stage.sql.cursor() as cursor:
            cursor.execute("SELECT max(at) FROM wardmote.change WHERE record_id = %s AND operation = 'delete'", (record.id,))
            moment = cursor.fetchone()[0]
        record.deleted, record.deleted_version, record.deleted_at = True, record.now.number + 1, moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.wrote(caller, record)

    def remember_tag(self, record, answer):
        if answer.etag:
            self.etags.append((record, record.now.number, answer.etag))

    # --- partners and accounts ---

    def partner(self, number):
        """With a manager, an officer, a viewer, made by the administrator."""
        administrator = self.stage.administrator
        marks = {member: self.stage.marks.new(None) for member in KINDS["partners"].texts}
        record = Record("partners", None)
        answer = self.ask(administrator, "POST", "/v1/partners", body={**marks, "kind": "voluntary"}, expect={201})
        partner = Partner(number, record)
        record.partner = partner
        self.made(administrator, record, answer, marks)
        self.partners.append(partner)
        for role in ("manager", "officer", "viewer"):
            self.account(administrator, partner, role)
        return partner

    def account(self, maker, partner, role, scopes=None, kind="service", expect=None):
        """The new caller, or None where it was refused as the model says."""
        mark = self.stage.marks.new(partner)
        body = {"partner_id": partner.id, "kind": kind, "role": role, "name": mark}
        if kind == "person":
            body["login"] = f"{mark}@example.org"
        if scopes is not None:
            body["scopes"] = sorted(scopes)
        answer = self.ask(maker, "POST", "/v1/accounts", body=body, expect=expect or {201})
        if answer.status != 201:
            return None
        record = Record("accounts", partner)
        caller = Caller(role, partner, None if scopes is None else set(scopes), record)
        record.account = caller
        caller.by = maker
        self.made(maker, record, answer, {"name": mark})
        partner.settled |= kind == "person" and role == "manager"
        if kind == "service":
            caller.credentials = (answer.json()["client_id"], answer.json()["client_secret"])
            self.sign_in(caller)
            partner.callers.append(caller)
            self.callers.append(caller)
        return caller

    def sign_in(self, caller):
        """A new token; None where the account has none to get."""
        credentials = base64.b64encode(":".join(caller.credentials).encode()).decode()
        wire = self.stage.wire
        wire.token = None
        answer = wire.form("/oauth/token", {"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {credentials}"})
        self.stage.requests += 1
        self.trace.append(f"{caller}: token -> {answer.status}")
        if (answer.status == 200) != caller.is_active():
            self.fail(f"a token for an account that is {'active' if caller.is_active() else 'not active'}: {answer.text()}")
        caller.token = answer.json()["access_token"] if answer.status == 200 else None
        return caller.token

    # --- the end of a sequence ---

    def settle(self):
        """The detectors for the whole of it: the log, and every table held against the model."""
        self._log_is_clean()
        after = self.stage.rows()
        sets = {row["boundary_set_id"] for (table, _), row in (*self.before.items(), *after.items()) if table.endswith(".locality") and row["id"] in self.touched}
        for key in set(self.before) ^ set(after):
            row = after.get(key) or self.before.get(key)
            whose = row.get("record_id") or row.get("account_id") or row.get("id") or row.get("from_id") or row.get("referrer_id") or row.get("locality_id")
            if key[0] == "auth.throttle" or (key[0] == "wardmote.boundary_set_state" and row["boundary_set_id"] in sets):
                continue
            if whose not in self.touched:
                self.fail(f"a row of {key[0]} {'came' if key in after else 'went'} that the model does not allow: {row}")
        current = {(key[0].split(".")[1], row["id"]): row for key, row in after.items() if key[0].startswith("wardmote.") and "id" in row}
        for record in self.records:
            self._row_is_as_modelled(record, current.get((record.kind.table, record.id)))

    def _log_is_clean(self):
        text = self.stage.new_log()
        found = MARK.findall(text) + [secret for secret in re.findall(r"wm[ser]_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{20,}", text)]
        if found:
            self.fail(f"in the log: {found[:5]}")

    def _row_is_as_modelled(self, record, row):
        if record.deleted or row is None:
            if not record.deleted or row is not None:
                self.fail(f"{record.resource} {record.id}: deleted is {record.deleted}, the row is {row}")
            return
        wrong = [("version", row["version"], record.now.number)] if row["version"] != record.now.number else []
        wrong += [(member, row[member], mark) for member, mark in record.now.texts.items() if row[member] != mark]
        if record.resource in OWNED_KINDS:
            grants = {grant["partner_id"]: grant["right"] for grant in row["grants"]}
            wanted = None if record.partner is None else record.partner.id
            wrong += [pair for pair in (("visibility", row["visibility"], record.now.visibility), ("grants", grants, record.now.grants),
                                        ("partner_id", row["partner_id"], wanted)) if pair[1] != pair[2]]
        if wrong:
            self.fail(f"{record.resource} {record.id} in the table is not as modelled: {wrong}")

    def visible(self, caller, resource=None):
        return [record for record in self.records if is_visible(caller, record) and resource in (None, record.resource)]

    def versions_shown(self, caller, record):
        return [version for version in record.versions if shows_version(caller, record, version)]

    @contextlib.contextmanager
    def table_locked(self, record_kind):
        """Nobody reads or writes its table meanwhile: what asks for it waits for its deadline or is cancelled."""
        with contextlib.closing(self.stage.cluster.connect("postgres", self.stage.database)) as connection:
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE wardmote.{record_kind.table} IN ACCESS EXCLUSIVE MODE")
                yield
            connection.rollback()
