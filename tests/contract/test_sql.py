# SPDX-License-Identifier: AGPL-3.0-or-later
"""The statement builder on real tables: requests go through routing, query and body checks (sql_driver), and the statement runs as the server's role
with a caller's context. The tables are demo.sql, made by the functions of migrations 0001, 0002 and 0020 as every migration makes its own."""
import csv
import io
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.parse
import uuid

import psycopg2
import psycopg2.errors
import pytest

import wardmote_server

HERE = pathlib.Path(__file__).parent
CORE = [HERE.parents[1] / "migrations" / name for name in ("0001_core.sql", "0002_history.sql", "0020_helpers.sql")]
A, B = (str(uuid.UUID(int=n)) for n in (0xA, 0xB))
ACCOUNT = str(uuid.UUID(int=0xACC))
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}


NOTHING = {"body": None, "etag": None, "link": None}
AS_IT_COMES = (16, 17, 20, 21, 23, 114, 1009, 1082, 1083, 1184, 1700, 2951, 3802)  # pg_type: what psycopg2 would make something of


class Answer:
    def __init__(self, status, body, etag, link):
        self.status, self.body, self.etag, self.link = int(status), body, etag, link

    def json(self):
        return json.loads(self.body)

    def items(self):
        return json.loads(self.body + "}")["items"]

    def faults(self):
        return sorted((fault["pointer"], fault["code"]) for fault in self.json())


class Driver:
    def __init__(self):
        path = os.environ.get("WARDMOTE_TEST_SQL_DRIVER") or os.path.join(os.path.dirname(wardmote_server.binary()), "../../tests/contract/sql_driver")
        self.path = path
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()

    def statement(self, **request):
        with self.lock:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


class Caller:
    """One connection of the server's role that acts as one partner's account."""

    def __init__(self, world, partner, rank):
        self.world, self.partner, self.rank = world, partner, rank
        self.connection = psycopg2.connect(world.cluster.uri("wardmote_api", "demo"))
        self.connection.autocommit = True

    def begin(self, cursor):
        cursor.execute("BEGIN; SET LOCAL TimeZone = 'UTC'; SET LOCAL search_path = pg_catalog, public; SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute("SELECT set_config('wardmote.partner', %s, true), set_config('wardmote.account', %s, true), set_config('wardmote.rank', %s, true)",
                       (self.partner or "", ACCOUNT if self.partner else "", str(self.rank)))

    def fetch(self, statement, before=None):
        """The rows, each value as PostgreSQL writes it."""
        with self.connection.cursor() as cursor:
            psycopg2.extensions.register_type(psycopg2.extensions.new_type(AS_IT_COMES, "AS_IT_COMES", lambda value, _: value), cursor)
            try:
                self.begin(cursor)
                if before:
                    cursor.execute(*before)
                cursor.execute("PREPARE asked AS " + statement["text"])
                literals = [cursor.mogrify("%s", (value,)).decode() for value in statement["parameters"]]
                cursor.execute("EXECUTE asked" + (f"({', '.join(literals)})" if literals else ""))
                rows = cursor.fetchall()
                cursor.execute("COMMIT")
                return rows
            finally:
                cursor.execute("ROLLBACK; DEALLOCATE ALL")

    def run(self, statement, before=None):
        """Of a statement that yields the uniform row."""
        rows = self.fetch(statement, before)
        assert len(rows) <= 1
        return Answer(*rows[0]) if rows else Answer(404, None, None, None)

    def __call__(self, method, target, body=None, before=None, **more):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        request = dict(method=method, target=target, caller=self.rank, body=text, **more)
        statement = self.world.driver.statement(**request)
        assert "text" in statement, statement
        if not statement["records"]:
            return self.run(statement, before)
        return Answer(**NOTHING | self.world.driver.statement(**request, rows=self.fetch(statement, before)))

    def get(self, target, **more):
        return self("GET", target, **more)

    def make(self, thing, **body):
        answer = self("POST", f"/v1/{thing}", body)
        assert answer.status == 201, answer.body
        return answer.json()


class World:
    def __init__(self):
        self.cluster = wardmote_server.Cluster()
        self.driver = Driver()
        self.callers = []
        admin = self.cluster.connect("postgres", "postgres")
        admin.cursor().execute("CREATE ROLE wardmote_owner LOGIN; CREATE ROLE wardmote_api LOGIN")
        admin.cursor().execute("CREATE DATABASE demo OWNER wardmote_owner")
        admin.close()
        admin = self.cluster.connect("postgres", "demo")
        admin.cursor().execute("CREATE EXTENSION postgis SCHEMA public")
        admin.close()
        self.owner = self.cluster.connect("wardmote_owner", "demo")
        cursor = self.owner.cursor()
        cursor.execute("SET search_path = pg_catalog, public")
        for file in CORE:
            cursor.execute(file.read_text(encoding="utf-8"))
        cursor.execute((HERE / "demo.sql").read_text(encoding="utf-8"))
        cursor.execute("INSERT INTO wardmote.partner (id, name, kind) VALUES (%s, 'Partner A', 'council'), (%s, 'Partner B', 'police')", (A, B))

    def caller(self, partner, rank):
        self.callers.append(Caller(self, partner, rank))
        return self.callers[-1]

    def value(self, text, *parameters):
        with self.owner.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchone()[0]

    def wait_for_lock(self):
        """Until somebody waits. On a connection of its own: within a transaction pg_stat_activity shows always the same."""
        deadline = time.monotonic() + 20
        watch = self.cluster.connect("postgres", "demo")
        with watch.cursor() as cursor:
            waiting = 0
            while waiting == 0:
                assert time.monotonic() < deadline
                cursor.execute("SELECT pg_sleep(0.01), (SELECT count(*) FROM pg_locks WHERE NOT granted)")
                waiting = cursor.fetchone()[1]
        watch.close()

    def close(self):
        for caller in self.callers:
            caller.connection.close()
        self.owner.close()
        self.driver.close()
        self.cluster.close()


@pytest.fixture(scope="module", name="world")
def _world():
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="module", name="anonymous")
def _anonymous(world):
    return world.caller(None, 0)


@pytest.fixture(scope="module", name="viewer")
def _viewer(world):
    return world.caller(A, 1)


@pytest.fixture(scope="module", name="officer")
def _officer(world):
    return world.caller(A, 2)


@pytest.fixture(scope="module", name="manager")
def _manager(world):
    return world.caller(A, 3)


@pytest.fixture(scope="module", name="other")
def _other(world):
    return world.caller(B, 2)


@pytest.fixture(scope="module", name="administrator")
def _administrator(world):
    return world.caller(A, 4)


def note(**more):
    return {"title": "A note", "kind": "memo", **more}


def patch(caller, path, version, **body):
    return caller("PATCH", path, body, version=None if version is None else str(version))


def word():
    """A title that no other test uses."""
    return uuid.uuid4().hex


# --- create, read ---

def test_create_stores_and_shows_every_type(officer, administrator):
    place = administrator.make("places", name="Ward", geometry=SQUARE, population=10)
    assert place["geometry"]["type"] == "MultiPolygon"
    administrator.make("codes", list="topic", code="roads", label="Roads", partner_id=None)
    answer = officer("POST", "/v1/notes", note(
        body="Text", open_on="2026-05-01", start_time="09:30", seen_at="2026-05-01T10:00:00+01:00", place_id=place["id"], place_ids=[place["id"]],
        topics=["roads"], tags=["x"], members=[{"partner_id": B, "role": "lead"}], internal="secret", website="https://example.org", hours=2))
    record = answer.json()
    assert (answer.status, answer.etag, answer.link) == (201, "1", f"/v1/notes/{record['id']}")
    assert record["partner_id"] == A and record["visibility"] == "private" and record["created_by"] == ACCOUNT
    assert record["seen_at"] == "2026-05-01T09:00:00.000000Z" and record["start_time"] == "09:30" and record["status"] == "idea"
    assert record["members"] == [{"partner_id": B, "role": "lead"}] and record["pinned"] is False
    assert officer.get(f"/v1/notes/{record['id']}").json() == record
    assert list(record)[:7] == ["id", "partner_id", "visibility", "grants", "external_id", "source", "title"]
    assert uuid.UUID(record["id"]).version == 7


def test_decimals_are_kept_to_their_places(officer):
    made = officer("POST", "/v1/notes", note(fee=12.345, parts=[{"name": "a", "share": 0.33333}, {"name": "b"}, {"name": "c", "share": None}]))
    assert made.status == 201, made.body
    assert '"fee":12.35,' in made.body and '"share": 0.3333' in made.body
    assert [part["share"] for part in made.json()["parts"]] == [0.3333, 1, None]
    path = f"/v1/notes/{made.json()['id']}"
    shown = officer.get(path)
    assert shown.json() == made.json() and '"share":0.3333}' in shown.body  # the server takes the white space out of what a write answers, too
    assert ",12.35," in officer.get(path.replace("/v1/notes/", "/v1/notes.csv?id=")).body
    assert patch(officer, path, 1, fee=-10).json()["fee"] == -10
    assert patch(officer, path, 2, fee=None).json()["fee"] is None


HARD = ["NULL", "null", "a,b", "{}", 'a "quoted" \\ word', "tab\there", "line\nbreak\r\n", "eight or more plain \"characters\"", "\u00e9\u4e2d\U0001f600", "'"]


@pytest.mark.parametrize("seen_at", ["2026-05-01T09:00:00Z", "2026-05-01T09:00:00.1Z", "2026-05-01T09:00:00.123456Z", "1000-01-01T00:00:00Z", None])
def test_what_is_read_is_what_a_write_answers_byte_for_byte(officer, seen_at):
    """A write answers in PostgreSQL's JSON, reading puts it together itself."""
    one_line = [text for text in HARD if not any(c in text for c in "\t\r\n")]
    made = officer("POST", "/v1/notes", note(title=HARD[4], body=" ".join(HARD), tags=one_line, seen_at=seen_at, hours=0, pinned=True))
    assert made.status == 201, made.body
    path = f"/v1/notes/{made.json()['id']}"
    assert officer.get(path).body == made.body
    assert made.body in officer.get(f"/v1/notes?title.contains={urllib.parse.quote(HARD[4][:3])}&limit=500&sort=-updated_at").body
    assert made.json()["tags"] == one_line and made.json()["body"] == " ".join(HARD)


def test_what_may_not_be_seen_does_not_exist(anonymous, officer, other, viewer):
    record = officer.make("notes", **note())
    path = f"/v1/notes/{record['id']}"
    assert viewer.get(path).status == 200
    assert anonymous.get(path).status == other.get(path).status == 404
    assert patch(other, path, 1, title="x").status == 404
    assert other("DELETE", path, version="1").status == 404
    assert other.get(path + "/history").status == 404


def test_fields_of_the_owner_are_absent_for_others(anonymous, officer, other):
    record = officer.make("notes", **note(visibility="public", internal="ours", external_id=word(), seen_at="2026-01-01T00:00:00Z"))
    path = f"/v1/notes/{record['id']}"
    hidden = {"grants", "external_id", "internal", "created_by", "updated_by"}
    assert not hidden & set(other.get(path).json()) and "seen_at" in other.get(path).json()
    assert not (hidden | {"seen_at"}) & set(anonymous.get(path).json())
    assert hidden <= set(officer.get(path).json())
    assert set(other.get(path + "?fields=title,internal").json()) == {"id", "title"}
    (mine,) = officer.get(f"/v1/notes?id={record['id']}&fields=internal").items()
    (theirs,) = other.get(f"/v1/notes?id={record['id']}&fields=internal").items()
    assert mine["internal"] == "ours" and set(theirs) == {"id"}
    header, row = other.get(f"/v1/notes.csv?id={record['id']}").body.strip().split("\r\n")
    assert dict(zip(header.split(","), next(csv.reader([row]))))["internal"] == ""


# --- lists ---

def test_pages_visit_every_visible_record_once(officer, other, manager, anonymous):
    mark = word()
    for i in range(7):
        officer.make("notes", **note(title=f"{mark} {i % 4}", visibility=("private", "shared", "public")[i % 3]))
    granted = manager.make("notes", **note(title=f"{mark} granted", grants=[{"partner_id": B, "right": "read"}]))
    for caller, expected in ((officer, 8), (other, 5), (anonymous, 2)):
        for order in ("title", "-title", "updated_at", "-open_on"):
            seen, keys = [], []
            while True:
                page = caller.get(f"/v1/notes?title.contains={mark}&limit=3&sort={order}", keys=keys)
                seen += [item["id"] for item in page.items()]
                assert len(page.items()) <= 3
                if page.link is None:
                    break
                keys = page.link.split("\x1f")
            assert len(seen) == len(set(seen)) == expected, (caller.rank, order)
            assert (granted["id"] in seen) == (caller is not anonymous)
    titles = [item["title"] for item in officer.get(f"/v1/notes?title.contains={mark}&sort=-title").items()]
    assert titles == sorted(titles, reverse=True)


@pytest.mark.parametrize("query, matches", [
    ("kind=memo", True), ("kind=minute,memo", True), ("kind.ne=memo", False), ("open_on=2026-05-01", True), ("open_on.gte=2026-05-02", False),
    ("open_on.lt=2026-05-02", True), ("open_on.null=true", False), ("open_on.null=false", True), ("start_time.gt=09:00", True),
    ("hours=3", True), ("hours.ne=3", False), ("fee=2.5", True), ("fee.gt=2.5", False), ("fee.lte=25e-1", True), ("fee.null=true", False), ("pinned=false", True), ("title.contains=%25", False), ("seen_at.lte=2026-01-01T00:00:00Z", True),
    ("place_id.null=true", True), ("topics=none", False), ("internal=secret", True), ("internal.contains=ECR", True), ("q=walks+dogs", True),
    ("q=cat", False), ("place_ids=" + str(uuid.UUID(int=1)), False), ("place_ids.ne=" + str(uuid.UUID(int=1)), True), (f"partner_id={A}", True),
    ("updated_at.gt=2020-01-01T00:00:00Z", True), ("visibility=shared", False),
])
def test_filters(officer, query, matches):
    mark = word()
    record = officer.make("notes", **note(title=mark, body="A dog walked", open_on="2026-05-01", start_time="09:30", hours=3, fee=2.499, internal="secret",
                                          seen_at="2026-01-01T00:00:00Z"))
    answer = officer.get(f"/v1/notes?id={record['id']}&{query}&count=exact")
    assert [item["id"] for item in answer.items()] == ([record["id"]] if matches else [])
    assert json.loads(answer.body + "}")["count"] == int(matches)
    assert json.loads(officer.get(f"/v1/notes?id={record['id']}&{query}&count=estimated").body + "}")["count"] == int(matches)


def test_a_filter_on_an_owners_field_lists_own_records_only(officer, other):
    mark = word()
    officer.make("notes", **note(title=mark, visibility="public", internal=mark))
    own = other.make("notes", **note(title=mark, visibility="public", internal=mark))
    assert [item["id"] for item in other.get(f"/v1/notes?internal={mark}").items()] == [own["id"]]
    assert len(other.get(f"/v1/notes?title={mark}").items()) == 2


def test_include_embeds_what_the_caller_may_see(officer, administrator, anonymous):
    seen = administrator.make("places", name="Seen", population=5)
    hidden = administrator.make("places", name="Hidden", visibility="private")
    record = officer.make("notes", **note(visibility="public", place_id=hidden["id"], place_ids=[hidden["id"], seen["id"]],
                                          members=[{"partner_id": B, "role": "lead"}]))
    full = officer.get(f"/v1/notes/{record['id']}?include=place,places,partners,partner").json()
    assert full["place"] == {"id": hidden["id"], "name": "Hidden"}
    assert [place["name"] for place in full["places"]] == ["Hidden", "Seen"]
    assert full["partners"] == [{"id": B, "name": "Partner B", "kind": "police"}] and full["partner"]["name"] == "Partner A"
    public = anonymous.get(f"/v1/notes/{record['id']}?include=place,places").json()
    assert public["place"] is None and public["places"] == [{"id": seen["id"], "name": "Seen"}]
    (listed,) = anonymous.get(f"/v1/notes?id={record['id']}&include=partner&fields=title").items()
    assert listed == {"id": record["id"], "title": "A note", "partner": {"id": A, "name": "Partner A", "kind": "council"}}


def test_geometry_in_lists_boxes_and_features(administrator, anonymous):
    mark = word()
    place = administrator.make("places", name=mark, geometry=SQUARE)
    point = f"/v1/places?name={mark}"
    assert "geometry" not in anonymous.get(point).items()[0]
    assert anonymous.get(point + "&fields=geometry").items()[0]["geometry"]["type"] == "MultiPolygon"
    assert len(anonymous.get(point + "&bbox=0.5,0.5,2,2").items()) == 1
    assert not anonymous.get(point + "&bbox=2,2,3,3").items()
    assert len(anonymous.get(point + "&bbox=170,-10,0.5,10").items()) == 1
    assert not anonymous.get(point + "&bbox=170,-10,-170,10").items()
    feature = json.loads(anonymous.get(f"/v1/places.geojson?name={mark}").body + "}")["features"][0]
    assert feature["id"] == place["id"] and feature["properties"]["name"] == mark and feature["geometry"] == place["geometry"]
    assert "geometry" not in feature["properties"]
    assert anonymous.get(f"/v1/places/{place['id']}.geojson").json()["type"] == "Feature"


def test_csv_is_quoted_and_runs_no_formula(officer):
    mark = word()
    officer.make("notes", **note(title=f'=cmd|"{mark}"', body='a "b",\nc', tags=["x", "y"], hours=1))
    officer.make("notes", **note(title=f"@{mark}", tags=["-1"]))
    text = officer.get(f"/v1/notes.csv?title.contains={mark}&sort=-title").body
    assert text.endswith("\r\n") and text.count("\r\n") == 3
    first, second = sorted(csv.DictReader(io.StringIO(text, newline="")), key=lambda row: row["title"])
    assert first["title"] == f"'=cmd|\"{mark}\"" and first["body"] == 'a "b",\nc' and first["tags"] == "x;y" and first["hours"] == "1"
    assert second["title"] == f"'@{mark}" and second["tags"] == "'-1" and second["partner_id"] == A
    record = officer.make("notes", **note(title=mark))
    assert officer.get(f"/v1/notes/{record['id']}.csv").body.count("\r\n") == 2


# --- change ---

def test_patch_merges_and_checks_the_version(officer, viewer):
    record = officer.make("notes", **note(body="old", tags=["a"], place_id=None))
    path = f"/v1/notes/{record['id']}"
    changed = patch(officer, path, 1, body=None, tags=["b"], open_on="2026-01-02")
    assert changed.status == 200 and changed.etag == "2"
    assert changed.json()["body"] is None and changed.json()["tags"] == ["b"] and changed.json()["title"] == "A note"
    assert patch(officer, path, 1, title="late").status == 412
    assert patch(officer, path, None, title="any version").etag == "3"
    assert patch(officer, path, 3, title="any version").etag == "3"  # nothing differs: nothing written
    assert patch(viewer, path, 3, title="x").status == 403
    assert patch(officer, path, 2, title="x").status == 412


def test_what_is_set_once_stays(officer, world):
    path = f"/v1/notes/{officer.make('notes', **note())['id']}"
    assert patch(officer, path, 1, kind="minute", partner_id=B).faults() == [("/kind", "create_only"), ("/partner_id", "create_only")]
    assert patch(officer, path, 1, kind="memo", title="same").status == 200
    with pytest.raises(psycopg2.Error) as error:
        officer.run({"text": "UPDATE wardmote.note SET partner_id = $1::uuid WHERE id = $2::uuid RETURNING 1, NULL, NULL, NULL",
                     "parameters": [B, path[-36:]]})
    assert error.value.pgcode in ("WM403", "42501")
    assert world.value("SELECT partner_id FROM wardmote.note WHERE id = %s", path[-36:]) == A


def test_all_faults_of_data_come_at_once(officer, administrator):
    nowhere = str(uuid.uuid4())
    seen = administrator.make("places", name="Somewhere")
    answer = officer("POST", "/v1/notes", note(place_id=nowhere, place_ids=[seen["id"], nowhere], topics=["nope"], hours=9,
                                               members=[{"partner_id": A, "role": "lead"}, {"partner_id": nowhere, "role": "x"}]))
    assert answer.status == 422
    assert answer.faults() == [("/hours", "too_many"), ("/members/1/partner_id", "not_found"), ("/place_id", "not_found"),
                               ("/place_ids/1", "not_found"), ("/topics/0", "not_found")]
    crossed = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    assert administrator("POST", "/v1/places", {"name": "Bow", "geometry": crossed}).faults() == [("/geometry", "invalid_geometry")]


def test_some_references_are_to_records_that_one_may_change(manager, officer, other):
    read = manager.make("notes", **note(grants=[{"partner_id": B, "right": "read"}]))
    write = manager.make("notes", **note(grants=[{"partner_id": B, "right": "write"}]))
    hidden = officer.make("notes", **note())
    for before, faults in ((read, [("/after_id", "not_writable")]), (hidden, [("/after_id", "not_found")])):
        assert other("POST", "/v1/notes", note(after_id=before["id"])).faults() == faults
    assert other.make("notes", **note(after_id=write["id"]))["after_id"] == write["id"]


def test_what_the_network_shares_is_run_by_administrators(administrator, officer):
    name = word()
    shared = administrator("PUT", f"/v1/codes?external_id={name}", {"list": "topic", "code": name, "label": "x", "partner_id": None})
    assert shared.status == 201 and shared.json()["partner_id"] is None and "external_id" not in shared.json()
    assert administrator("PUT", f"/v1/codes?external_id={name}", {"list": "topic", "code": name, "label": "x", "partner_id": None}).etag == "1"
    assert patch(officer, shared.link, 1, label="y").status == 403
    assert administrator("POST", "/v1/codes", {"list": "topic", "code": name, "label": "x", "partner_id": None, "visibility": "private"}
                         ).faults() == [("/visibility", "not_allowed")]


def test_a_reference_that_was_hidden_later_does_not_block_a_change(officer, other, administrator):
    place = administrator.make("places", name="To be hidden")
    record = other.make("notes", **note(place_id=place["id"], place_ids=[place["id"]]))
    path = f"/v1/notes/{record['id']}"
    assert patch(administrator, f"/v1/places/{place['id']}", 1, visibility="private").status == 200
    assert patch(other, path, 1, title="Still mine").status == 200
    seen = administrator.make("places", name="Seen")
    assert patch(other, path, 2, place_ids=[place["id"], seen["id"]]).status == 200
    assert other("POST", "/v1/notes", note(place_id=place["id"])).faults() == [("/place_id", "not_found")]
    assert officer.get(f"/v1/places/{place['id']}").status == 200


def test_gates_answer_conflict(officer):
    path = f"/v1/notes/{officer.make('notes', **note(pinned=True))['id']}"
    answer = patch(officer, path, 1, title="Other")
    assert answer.status == 409 and answer.faults() == [("/title", "frozen")]
    assert officer("DELETE", path, version="1").faults() == [("/pinned", "pinned")]


def test_grants_and_visibility_are_the_owners(officer, manager, other, world):
    record = manager.make("notes", **note(grants=[{"partner_id": B, "right": "write"}]))
    path = f"/v1/notes/{record['id']}"
    assert patch(other, path, 1, title="By B").status == 200
    assert patch(other, path, 2, visibility="public").faults() == [("/visibility", "owner_only")]
    assert patch(other, path, 2, grants=[]).faults() == [("/grants", "owner_only")]
    assert other("DELETE", path, version="2").status == 403
    assert patch(officer, path, 2, grants=[]).status == 403
    assert officer("POST", "/v1/notes", note(grants=[{"partner_id": B, "right": "read"}])).status == 403
    assert other("POST", "/v1/notes", note(partner_id=A)).faults() == [("/partner_id", "not_yours")]
    # The last wall, without the statement's own checks.
    for column, value in (("visibility", "public"), ("grants", "[]")):
        with pytest.raises(psycopg2.Error) as error:
            other.run({"text": f"UPDATE wardmote.note SET {column} = $1 WHERE id = $2::uuid RETURNING 1, NULL, NULL, NULL",
                       "parameters": [value, record["id"]]})
        assert error.value.pgcode == "WM403"
    assert patch(manager, path, 2, grants=[{"partner_id": B, "right": "read"}]).status == 200
    assert patch(other, path, 3, title="No more").faults() == [("", "not_writable")]
    assert other("POST", "/v1/codes", {"list": "topic", "code": word(), "label": "x", "partner_id": None}).status == 403
    assert world.value("SELECT readers FROM wardmote.note WHERE id = %s", record["id"]) == "{" + B + "}"


def test_policies_hold_without_the_statement(other, officer):
    record = officer.make("notes", **note(visibility="public"))
    for text in ("UPDATE wardmote.note SET title = 'x' WHERE id = $1::uuid RETURNING 1, NULL, NULL, NULL",
                 "DELETE FROM wardmote.note WHERE id = $1::uuid RETURNING 1, NULL, NULL, NULL"):
        assert other.run({"text": text, "parameters": [record["id"]]}).status == 404
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        other.run({"text": "INSERT INTO wardmote.note (title, kind, partner_id, visibility, pinned, place_ids, topics, tags, members)"
                           " SELECT title, kind, $1::uuid, visibility, false, '{}', '{}', '{}', '[]' FROM api.note LIMIT 1 RETURNING 1, NULL, NULL, NULL",
                   "parameters": [A]})
    for table in ("history.note", "wardmote.change", "wardmote.feed", "wardmote.reference"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            other.run({"text": f"SELECT count(*)::int, NULL, NULL, NULL FROM {table}", "parameters": []})


# --- PUT ---

def put(caller, external_id, version=None, **body):
    return caller("PUT", f"/v1/notes?external_id={external_id}", note(**body), version=version)


def test_put_creates_replaces_and_leaves_alone(officer, manager, world):
    name = word()
    made = put(officer, name, body="one", internal="i", visibility="shared", place_id=None)
    assert made.status == 201 and made.json()["external_id"] == name and made.link.endswith(made.json()["id"])
    count = "SELECT count(*) FROM history.note WHERE id = %s"
    same = put(officer, name, body="one", internal="i")
    assert (same.status, same.etag) == (200, "1") and world.value(count, made.json()["id"]) == 0
    manager("PATCH", f"/v1/notes/{made.json()['id']}", {"grants": [{"partner_id": B, "right": "read"}]}, version="1")
    replaced = put(officer, name, title="New").json()
    assert replaced["id"] == made.json()["id"] and replaced["version"] == 3
    assert replaced["body"] is None and replaced["internal"] is None and replaced["visibility"] == "shared" and len(replaced["grants"]) == 1
    assert put(officer, name, version="2").status == 412 and put(officer, word(), version="1").status == 412
    assert officer("PUT", f"/v1/notes?external_id={name}", note(external_id="else")).faults() == [("/external_id", "mismatch")]


def test_put_finds_the_callers_own_record(officer, other):
    name = word()
    first = put(officer, name, visibility="public").json()
    second = put(other, name).json()
    assert first["id"] != second["id"] and put(officer, name, visibility="public").status == 200


def test_an_external_id_is_unique_in_its_partner(officer):
    name = word()
    officer.make("notes", **note(external_id=name))
    with pytest.raises(psycopg2.errors.UniqueViolation) as error:
        officer("POST", "/v1/notes", note(external_id=name))
    assert error.value.diag.constraint_name == "note_external_id_key"


def test_equal_puts_at_once_make_one_record(world):
    name = word()
    results = []

    def work(caller):
        for _ in range(4):
            try:
                results.append(put(caller, name, title="Same").status)
                return
            except psycopg2.errors.SerializationFailure:
                continue

    callers = [world.caller(A, 2) for _ in range(6)]
    threads = [threading.Thread(target=work, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [200] * 5 + [201]
    assert world.value("SELECT count(*) FROM wardmote.note WHERE external_id = %s", name) == 1


def test_a_change_between_reading_and_writing_is_no_lost_update(world, officer):
    path = f"/v1/notes/{officer.make('notes', **note(hours=0))['id']}"
    first, second = world.caller(A, 2), world.caller(A, 2)
    for expected in ("1", None):
        with world.owner.cursor() as cursor:
            cursor.execute("BEGIN; UPDATE wardmote.note SET hours = hours + 1 WHERE id = %s", (path[-36:],))
            outcome = []

            def work(caller, version):
                try:
                    outcome.append(patch(caller, path, version, title=word()).status)
                except psycopg2.errors.SerializationFailure:
                    outcome.append("again")

            thread = threading.Thread(target=work, args=(first if expected else second, expected))
            thread.start()
            world.wait_for_lock()
            cursor.execute("COMMIT")
            thread.join()
        assert outcome == ([412] if expected else ["again"])


# --- delete, references ---

def test_delete_leaves_a_tombstone_and_names_dependants(officer, administrator, other):
    place = administrator.make("places", name="Used")
    path = f"/v1/places/{place['id']}"
    one = officer.make("notes", **note(place_id=place["id"]))
    two = other.make("notes", **note(place_ids=[place["id"]]))
    answer = administrator("DELETE", path, version="1")
    assert answer.status == 409
    assert sorted(fault["detail"] for fault in answer.json()) == ["1 of notes refer to it in place_id", "1 of notes refer to it in place_ids"]
    assert officer("DELETE", f"/v1/notes/{one['id']}", version="1").status == 204
    assert other("DELETE", f"/v1/notes/{two['id']}", version="2").status == 412
    assert other("DELETE", f"/v1/notes/{two['id']}").status == 204
    assert administrator("DELETE", path, version="1").status == 204 and administrator.get(path).status == 404
    versions = officer.get(f"/v1/notes/{one['id']}/history").items()
    assert [(item["version"], item["operation"]) for item in versions] == [(2, "delete"), (1, "create")]
    assert versions[0]["record"] is None and versions[1]["record"]["place_id"] == place["id"] and versions[1]["valid_to"] == versions[0]["valid_from"]
    assert other.get(f"/v1/notes/{one['id']}/history").status == 404


def test_walls_behind_references(world, officer, administrator):
    place = administrator.make("places", name="Walled")
    record = officer.make("notes", **note(place_ids=[place["id"]], members=[{"partner_id": B, "role": "x"}]))
    with world.owner.cursor() as cursor:
        for text, constraint in (("DELETE FROM wardmote.place WHERE id = %s", "note_place_ids_fkey"),):
            with pytest.raises(psycopg2.errors.ForeignKeyViolation) as error:
                cursor.execute(text, (place["id"],))
            assert error.value.diag.constraint_name == constraint
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            cursor.execute("DELETE FROM wardmote.partner WHERE id = %s", (B,))
        with pytest.raises(psycopg2.errors.ForeignKeyViolation) as error:
            cursor.execute("UPDATE wardmote.note SET place_ids = ARRAY[%s::uuid] WHERE id = %s", (str(uuid.uuid4()), record["id"]))
        assert record["id"] not in str(error.value)
        with pytest.raises(psycopg2.errors.CheckViolation):
            cursor.execute("UPDATE wardmote.note SET open_on = 'infinity' WHERE id = %s", (record["id"],))


# --- history ---

def test_drafts_stay_private_after_publishing(officer, other, anonymous):
    record = officer.make("notes", **note(title="Draft", internal="i"))
    path = f"/v1/notes/{record['id']}"
    patch(officer, path, 1, title="Better")
    patch(officer, path, 2, visibility="public")
    patch(officer, path, 3, title="Public change", internal="j")
    assert [item["version"] for item in officer.get(path + "/history").items()] == [4, 3, 2, 1]
    assert [set(item["changed"] or []) for item in officer.get(path + "/history").items()] == [{"title", "internal"}, {"visibility"}, {"title"}, set()]
    public = anonymous.get(path + "/history").items()
    assert [item["version"] for item in public] == [4, 3]
    assert public[0]["changed"] == ["title"] and public[1]["changed"] is None and "internal" not in public[0]["record"]
    assert "updated_by" not in public[0]["record"] and "updated_by" in officer.get(path + "/history").items()[0]["record"]
    page = officer.get(path + "/history?limit=2")
    assert [item["version"] for item in page.items()] == [4, 3] and page.link == f"3\x1f{record['id']}"
    rest = officer.get(path + "/history?limit=2", keys=["3", record["id"]])
    assert [item["version"] for item in rest.items()] == [2, 1] and rest.link is None
    patch(officer, path, 4, visibility="private")
    assert anonymous.get(path + "/history").status == other.get(path + "/history").status == 404


def test_as_of_shows_what_was_then(officer, anonymous, administrator):
    mark = word()
    record = officer.make("notes", **note(title=mark))
    path = f"/v1/notes/{record['id']}"
    published = patch(officer, path, 1, visibility="public", hours=1).json()["updated_at"]
    changed = patch(officer, path, 2, hours=2).json()["updated_at"]
    for when, hours in ((record["created_at"], None), (published, 1), (changed, 2)):
        assert officer.get(f"{path}?as_of={when}").json()["hours"] == hours
        assert [item["hours"] for item in officer.get(f"/v1/notes?title={mark}&as_of={when}").items()] == [hours]
    assert anonymous.get(f"{path}?as_of={record['created_at']}").status == 404
    assert not anonymous.get(f"/v1/notes?title={mark}&as_of={record['created_at']}").items()
    assert anonymous.get(f"/v1/notes?hours=1&title={mark}&as_of={published}&count=exact").items()[0]["version"] == 2
    assert officer.get(f"{path}?as_of=2020-01-01T00:00:00Z").status == 404
    # A boundary is kept once, and found again by the versions that had it.
    place = administrator.make("places", name="One", geometry=SQUARE)
    place_path = f"/v1/places/{place['id']}"
    patch(administrator, place_path, 1, name="Two")
    moved = {"type": "Polygon", "coordinates": [[[5, 5], [6, 5], [6, 6], [5, 6], [5, 5]]]}
    patch(administrator, place_path, 2, geometry=moved)
    patch(administrator, place_path, 3, geometry=None)
    shapes = [item["record"]["geometry"] for item in administrator.get(place_path + "/history").items()]
    assert shapes[0] is None and shapes[1]["coordinates"][0][0][0] == [5, 5] and shapes[2] == shapes[3] == place["geometry"]
    assert officer("DELETE", path, version="3").status == 204
    assert officer.get(f"{path}?as_of={changed}").status == 200 and anonymous.get(f"{path}?as_of={changed}").status == 404


def test_redaction_reaches_every_version_and_what_follows_from_it(officer, world):
    secret = word()
    record = officer.make("notes", **note(title=f"About {secret}", body="x"))
    path = f"/v1/notes/{record['id']}"
    patch(officer, path, 1, title="About nobody")
    assert world.value("SELECT wardmote.redact('note', %s, ARRAY['title'])", record["id"]) == 1
    assert officer.get(path + "/history").items()[1]["record"]["title"] is None
    assert world.value("SELECT count(*) FROM history.note h WHERE h::text LIKE %s", f"%{secret}%") == 0


# --- the feed ---

def feed(world, caller, after=0):
    world.value("SELECT wardmote.sequence_changes()")
    with caller.connection.cursor() as cursor:
        caller.begin(cursor)
        cursor.execute("SELECT position, record_id, version, operation FROM api.change WHERE position > %s ORDER BY position", (after,))
        rows = cursor.fetchall()
        cursor.execute("COMMIT")
    return rows


def test_feed_tells_of_coming_into_sight_and_leaving_it(world, officer, anonymous):
    start = max((row[0] for row in feed(world, officer)), default=0)
    record = officer.make("notes", **note())
    path = f"/v1/notes/{record['id']}"
    patch(officer, path, 1, visibility="public")
    patch(officer, path, 2, title="Seen")
    assert [row[1:] for row in feed(world, anonymous, start)] == [(record["id"], 2, "create"), (record["id"], 3, "update")]
    patch(officer, path, 3, visibility="private")
    patch(officer, path, 4, title="Unseen")
    assert [row[1:] for row in feed(world, anonymous, start)] == [(record["id"], 4, "delete")]
    assert [row[3] for row in feed(world, officer, start)] == ["create", "update", "update", "update", "update"]
    officer("DELETE", path, version="5")
    assert feed(world, officer, start)[-1][3] == "delete"


def test_a_late_commit_is_never_skipped(world, officer):
    early, late = world.caller(A, 2), world.caller(A, 2)
    first = early.make("notes", **note())["id"]
    after = max(row[0] for row in feed(world, officer))
    with early.connection.cursor() as cursor:
        early.begin(cursor)
        cursor.execute("UPDATE wardmote.note SET title = 'early' WHERE id = %s", (first,))
        assert cursor.rowcount == 1
        second = late.make("notes", **note())["id"]
        seen = feed(world, officer, after)
        assert [row[1] for row in seen] == [second]
        cursor.execute("COMMIT")
    assert [row[1] for row in feed(world, officer, seen[-1][0])] == [first]


# --- idempotency, hand-written statements, dry run ---

def claim(world, key, body):
    statement = world.driver.statement(method="POST", target="/v1/notes", caller=2, body=json.dumps(body), key=key)
    return ("SELECT wardmote.claim_key(%s, 'POST', '/v1/notes', %s)", (key, statement["parameters"][-2]))


def test_a_key_answers_once(world, officer, other):
    key, body = word(), note(title=word())
    first = officer("POST", "/v1/notes", body, key=key, before=claim(world, key, body))
    assert first.status == 201
    with pytest.raises(psycopg2.Error) as error:
        officer("POST", "/v1/notes", body, key=key, before=claim(world, key, body))
    assert error.value.pgcode == "WM001"
    replayed = officer("POST", "/v1/notes", body, key=key, replay=True)
    assert (replayed.status, replayed.body, replayed.etag, replayed.link) == (201, first.body, "1", first.link)
    with pytest.raises(psycopg2.Error) as error:
        officer("POST", "/v1/notes", note(), key=key, before=claim(world, key, note()))
    assert error.value.pgcode == "WM422"
    assert other("POST", "/v1/notes", body, key=key, before=claim(world, key, body)).status == 201
    assert officer("POST", "/v1/notes", note(hours=9), key=word()).status == 422
    assert officer("POST", "/v1/notes?dry_run=true", body, key=key).status == 201  # stores nothing, so it meets no stored answer
    officer("DELETE", first.link, version="1")
    assert officer("POST", "/v1/notes", body, key=key, replay=True).status == 201  # its owner may see the past
    world.value("UPDATE wardmote.idempotency SET created_at = now() - interval '2 days' WHERE key = %s AND partner_id = %s RETURNING 1", key, A)
    assert officer("POST", "/v1/notes", body, key=key, before=claim(world, key, body)).status == 201


def test_a_long_answer_is_rendered_again(world, officer):
    key, body = word(), note(body="x" * 50000)
    first = officer("POST", "/v1/notes", body, key=key)
    assert world.value("SELECT body IS NULL FROM wardmote.idempotency WHERE key = %s", key)
    patch(officer, first.link, 1, title="Changed since")
    assert json.loads(officer("POST", "/v1/notes", body, key=key, replay=True).body) == first.json()


def test_a_key_in_flight_is_refused_at_once(world, officer):
    key, body = word(), note()
    second = world.caller(A, 2)
    with officer.connection.cursor() as cursor:
        officer.begin(cursor)
        cursor.execute(*claim(world, key, body))
        with pytest.raises(psycopg2.Error) as error:
            second("POST", "/v1/notes", body, key=key, before=claim(world, key, body))
        assert error.value.pgcode == "WM409"
        cursor.execute("ROLLBACK")


def test_hand_written_statements_get_their_parameters(officer):
    record = officer.make("notes", **note())
    answer = officer("POST", f"/v1/notes/{record['id']}/finish", {"why": "done"}, key=word())
    assert answer.status == 200 and answer.etag == "2" and answer.json() == {"id": record["id"], "status": "done"}
    assert officer.get(f"/v1/notes/{record['id']}").json()["internal"] == "done"


def test_what_the_path_names_comes_before_the_parameters(officer):
    assert officer.get("/v1/words/noun/tree.txt?from=6&mark=.").items() == ["noun.tree.6", "noun.tree.7"]
    assert officer.get("/v1/words/noun/caf%C3%A9.txt.txt?from=7").items() == ["noun-caf\u00e9.txt-7"]


def test_a_hand_written_list_has_pages(world, officer):
    first = officer.get("/v1/words/noun/tree.txt?limit=3")
    assert first.items() == ["noun-tree-1", "noun-tree-2", "noun-tree-3"] and first.link == "3\x1fnoun" and first.etag is None
    keys, seen = None, []
    while True:
        answer = officer("GET", "/v1/words/noun/tree.txt?limit=3", **({"keys": keys} if keys else {}))
        seen += answer.items()
        if answer.link is None:
            break
        keys = answer.link.split("\x1f")
    assert seen == [f"noun-tree-{n}" for n in range(1, 8)]
    assert officer.get("/v1/words/noun/tree.txt?from=8").body == '{"items":[]'
    faults = world.driver.statement(method="GET", target="/v1/words/noun/tree.txt?limit=all&sort=n", caller=2)["faults"]
    assert [fault[:2] for fault in faults] == [["limit", "range"], ["sort", "unknown_parameter"]]


def test_tables_with_policies_of_their_own(officer, administrator):
    assert administrator("POST", "/v1/partners", {"name": "New"}).status == 201
    path = administrator("POST", "/v1/partners", {"name": "Newer"}).link
    assert patch(officer, path, 1, name="No").status == 403
    changed = patch(administrator, path, 1, name="Yes")
    assert changed.status == 200 and patch(administrator, path, 1, name="Late").status == 412
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        officer("POST", "/v1/partners", {"name": "No"})
    assert [item["version"] for item in officer.get(path + "/history").items()] == [2, 1]
    assert officer.get(f"{path}?as_of={changed.json()['created_at']}").json()["name"] == "Newer"


# --- conditions beside the filters ---

def titles(caller, query):
    answer = caller.get("/v1/notes?limit=500&" + query)
    assert answer.status == 200, answer.body
    return [item["title"] for item in answer.items()]


def square_at(west, south):
    return {"type": "Polygon", "coordinates": [[[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]]}


def test_a_clause_is_one_condition_more(officer, administrator, anonymous):
    mark, far = word(), administrator.make("places", name="Far", geometry=square_at(50, 0))["id"]
    near = administrator.make("places", name="Near", geometry=square_at(20, 0))["id"]
    for title, place, open_on in (("a", near, "2026-10-31"), ("b", far, None), ("c", near, "2026-09-30")):
        officer.make("notes", **note(title=title + mark, place_ids=[place], open_on=open_on, visibility="public"))
    of_these = f"title.contains={mark}&"
    for caller in (officer, anonymous):
        assert titles(caller, of_these + "near=18.5,0.5&reach=2") == ["a" + mark, "c" + mark]
        assert titles(caller, of_these + "near=18.5,0.5&reach=2&sort=-title") == ["c" + mark, "a" + mark]
        assert titles(caller, of_these + "near=18.5,0.5&reach=1") == []
        assert titles(caller, of_these + "stale=true") == ["b" + mark, "c" + mark]
        assert titles(caller, of_these + "stale=false") == ["a" + mark]
        assert titles(caller, of_these + "stale=false&stale_days=60") == ["a" + mark, "c" + mark]
        assert titles(caller, of_these + "near=18.5,0.5&reach=2&stale=true&count=exact") == ["c" + mark]
        assert json.loads(caller.get(f"/v1/notes?{of_these}near=18.5,0.5&reach=2&count=exact&limit=1").body + "}")["count"] == 2
        assert caller.get(f"/v1/notes.csv?{of_these}stale=true&fields=title").body.count(mark) == 2


def test_pages_of_what_few_records_meet(world, officer, administrator):
    place = administrator.make("places", name="Here", geometry=square_at(80, 0))["id"]
    mark = word()
    wanted = sorted(officer.make("notes", **note(title=f"{mark} {i % 3}", place_ids=[place]))["id"] for i in range(7))
    seen, keys = [], None
    while True:
        answer = officer("GET", "/v1/notes?near=80.5,0.5&reach=1&limit=2", **({"keys": keys} if keys else {}))
        seen += [item["id"] for item in answer.items()]
        if answer.link is None:
            break
        keys = answer.link.split("\x1f")
    assert sorted(seen) == wanted
    text = world.driver.statement(method="GET", target="/v1/notes?near=80.5,0.5&reach=1&topics=a", caller=2)["text"]
    assert "ORDER BY ROW(t.title, t.id)" in text and "(t.topics && $2::text[]) IS TRUE" in text


def test_operators_in_a_clause_are_none_of_its_marks(officer, administrator):
    topic, mark = f"t{word()[:8]}", word()
    administrator.make("codes", list="topic", code=topic, label="Topic", partner_id=None)
    made = officer.make("notes", **note(title=mark, topics=[topic]))
    assert [item["id"] for item in officer.get(f"/v1/notes?about={topic}").items()] == [made["id"]]


def test_a_clause_can_widen_a_filter_and_show_why(world, officer, administrator):
    outer = administrator.make("places", name="Outer")["id"]
    inner = administrator.make("places", name="Inner", parent_id=outer)["id"]
    mark = word()
    officer.make("notes", **note(title="a" + mark, place_ids=[inner]))
    officer.make("notes", **note(title="b" + mark, place_ids=[outer]))
    of_these = f"title.contains={mark}&place_ids={outer}"
    assert titles(officer, of_these) == titles(officer, of_these + "&match=exact") == ["b" + mark]
    assert titles(officer, of_these + "&match=wide") == ["a" + mark, "b" + mark]
    shown = [item["matched_places"] for item in officer.get(f"/v1/notes?{of_these}&match=wide&fields=title").items()]
    assert shown == [[{"id": inner, "asked": False}], [{"id": outer, "asked": True}]]
    assert all("matched_places" not in item for item in officer.get(f"/v1/notes?{of_these}&match=exact").items())
    assert list(officer.get(f"/v1/notes?{of_these}&match=wide&fields=title&include=partner").items()[0]) == ["id", "title", "partner", "matched_places"]
    assert "matched" not in officer.get(f"/v1/notes.csv?{of_these}&match=wide").body
    assert world.driver.statement(method="GET", target="/v1/notes?match=wide", caller=2)["faults"][0][:2] == ["place_ids", "required"]


# --- the text ---

def test_statements_are_those_of_the_golden_file(world):
    text = subprocess.run([world.driver.path, "describe", "notes"], capture_output=True, text=True, check=True).stdout
    golden = HERE / "golden/notes.sql"
    if os.environ.get("WARDMOTE_TEST_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "the statements changed: WARDMOTE_TEST_WRITE_GOLDEN=1 writes the file anew"


def test_the_text_holds_nothing_that_a_client_sent(world):
    def text(target, body=None):
        return world.driver.statement(method="POST" if body else "GET", target=target, caller=2, body=body)["text"]

    assert text("/v1/notes?title=aaa&hours=1&q=bb") == text("/v1/notes?title=ccc%27;--&hours=2&q=dd")
    assert text("/v1/notes", json.dumps(note())) == text("/v1/notes", json.dumps(note(title="'; DROP TABLE x; --", tags=["$1"])))


def test_a_list_walks_the_index_of_each_audience(world, officer):
    world.value("WITH made AS (INSERT INTO wardmote.note (title, kind, partner_id, visibility, pinned, place_ids, topics, tags, members)"
                " SELECT 'bulk ' || i, 'memo', %s, 'public', false, '{}', '{}', '{}', '[]' FROM generate_series(1, 5000) i RETURNING 1)"
                " SELECT count(*) FROM made", A)
    with world.owner.cursor() as cursor:
        cursor.execute("ANALYZE wardmote.note; ANALYZE history.note")
    statement = world.driver.statement(method="GET", target="/v1/notes?limit=10&sort=title", caller=2, keys=["bulk 3", str(uuid.UUID(int=0))])
    with officer.connection.cursor() as cursor:
        officer.begin(cursor)
        cursor.execute("PREPARE asked AS " + statement["text"])
        literals = [cursor.mogrify("%s", (value,)).decode() for value in statement["parameters"]]
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) EXECUTE asked({', '.join(literals)})")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("ROLLBACK; DEALLOCATE ALL")
    assert "note_title" in plan and "Merge Append" in plan and "Seq Scan on note" not in plan, plan
