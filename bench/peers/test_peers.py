# SPDX-License-Identifier: AGPL-3.0-or-later
"""The peers answer what Wardmote answers: run by hand, `python3 -m pytest bench/peers` (they need node, npm, go and Debian's packages, see README.md)."""
import base64
import contextlib
import http.client
import json
import pathlib
import re
import sys
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

# pylint: disable=wrong-import-position
import network
import wardmote_server
from peers import start

ROWS = 20000
PEERS = ("fastify", "fastify_awaiting", "fastapi", "go")


class Place:
    """A cluster with a small network, and Wardmote on it."""

    def __init__(self):
        self.cluster = wardmote_server.Cluster()
        self.cluster.setup()
        self.keys = wardmote_server.make_keys(self.cluster)
        self.host = wardmote_server.make_administrator(self.cluster)
        with self.cluster.connect("postgres") as connection:
            network.load_polygons(connection)
        network.Kept.psql(self.cluster, "wardmote", ROOT / "bench/network.sql", host=self.host["partner_id"], rows=ROWS, partners=60, secret=0, sets=1)
        self.server = wardmote_server.Server(self.cluster, self.keys, public_url="http://peers.example")

    def uri(self):
        return self.cluster.uri("wardmote_api")

    @contextlib.contextmanager
    def serving(self, **_settings):
        yield self.server

    def query(self, text, *values):
        """Past triggers, which would make more of a change."""
        with self.cluster.connect("postgres").cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(text, values or None)
            return cursor.fetchall()

    def close(self):
        self.server.close()
        self.cluster.close()


class Answer:
    def __init__(self, raw):
        self.status = raw.status
        self.headers = {name.lower(): value for name, value in raw.getheaders()}
        self.body = raw.read()

    def json(self):
        """Without what is each server's own: cursors are opaque."""
        return json.loads(re.sub(rb"cursor=[A-Za-z0-9_-]+", b"cursor=", self.body))

    def link(self, rel):
        return {link["rel"]: link["href"] for link in json.loads(self.body)["links"]}.get(rel)


def send(port, method, target, token=None, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    fields = {**({"Authorization": f"Bearer {token}"} if token else {}), **({"Content-Type": "application/json"} if body is not None else {}),
              **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, target, None if body is None else json.dumps(body), fields)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


@pytest.fixture(scope="module", name="place")
def _place():
    place = Place()
    yield place
    place.close()


@pytest.fixture(scope="module", name="token")
def _token(place):
    credentials = base64.b64encode(f"{place.host['client_id']}:{place.host['client_secret']}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", place.server.port, timeout=60)
    connection.request("POST", "/oauth/token", "grant_type=client_credentials",
                       {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"})
    return json.loads(connection.getresponse().read())["access_token"]


@pytest.fixture(scope="module", name="peer", params=PEERS)
def _peer(request, place):
    peer = getattr(start, request.param)(place)
    yield peer
    peer.close()


@pytest.fixture(scope="module", name="found")
def _found(place, token):
    """Ids of records by who may see them, and values to look for."""
    def first(text, *values):
        return place.query(text, *values)[0][0]
    host = place.host["partner_id"]
    own = send(place.server.port, "POST", "/v1/consultations", token, {"title": "Our own", "notes": "a note", "external_id": "own", "planned_hours": 3})
    assert own.status == 201, own.body
    return {
        "public": first("SELECT id FROM wardmote.consultation WHERE visibility = 'public' AND status = 'open' AND partner_id <> %s LIMIT 1", host),
        "shared": first("SELECT id FROM wardmote.consultation WHERE visibility = 'shared' AND partner_id <> %s LIMIT 1", host),
        "private": first("SELECT id FROM wardmote.consultation WHERE visibility = 'private' AND partner_id <> %s LIMIT 1", host),
        "own": own.json()["id"],
        "missing": "00000000-0000-7000-8000-000000000000",
        "host": host,
        "partner": first("SELECT partner_id FROM wardmote.consultation GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"),
        "locality": first("SELECT unnest(locality_ids) FROM wardmote.consultation WHERE status = 'open' AND visibility = 'public' GROUP BY 1 "
                          "ORDER BY count(*) DESC LIMIT 1"),
    }


def same(place, peer, target, token=None):
    ours, theirs = (send(port, "GET", target, token) for port in (place.server.port, peer.port))
    assert theirs.status == ours.status, (target, theirs.body)
    return ours, theirs


@pytest.mark.parametrize("who", ("public", "shared", "private", "own", "missing"))
@pytest.mark.parametrize("signed_in", (False, True))
def test_one(place, peer, token, found, who, signed_in):
    ours, theirs = same(place, peer, f"/v1/consultations/{found[who]}", token if signed_in else None)
    sees = who == "public" or (signed_in and who in ("shared", "own"))
    assert theirs.status == (200 if sees else 404)
    if sees:
        assert theirs.body == ours.body
        assert theirs.headers["etag"].split("-")[0] == ours.headers["etag"].split("-")[0] == '"1'
        assert (b'"notes":"a note"' in theirs.body) == (who == "own")
    else:
        assert {name: theirs.json()[name] for name in ("type", "title", "status")} == {name: ours.json()[name] for name in ("type", "title", "status")}


def test_unchanged(peer, token, found):
    target = f"/v1/consultations/{found['public']}"
    tags = {send(peer.port, "GET", target, who).headers["etag"] for who in (None, token)}
    assert len(tags) == 2  # they see different fields
    answer = send(peer.port, "GET", target, If_None_Match=send(peer.port, "GET", target).headers["etag"])
    assert (answer.status, answer.body) == (304, b"")
    assert send(peer.port, "GET", target, token, If_None_Match=send(peer.port, "GET", target).headers["etag"]).status == 200


LISTS = ("status=evaluated&partner_id={partner}&sort=-open_on&limit=50", "status=evaluated,closed&statutory=true&sort=-open_on&limit=50",
         "status=open&locality_ids={locality}&q=services&include=partner,localities&limit=20", "sort=title&limit=7", "sort=-updated_at&limit=600", "limit=3",
         "partner_id={partner},{host}&status=closed&sort=open_on&limit=5", "topics=topic-1,topic-2&locality_ids={locality}&sort=-title&limit=3",
         "topics=topic-1,topic-2&everyone=false&sort=close_on&limit=5", "q=nosuchword", "status=open&q=library%20-park&limit=5&include=localities")


@pytest.mark.parametrize("query", LISTS)
@pytest.mark.parametrize("signed_in", (False, True))
def test_list(place, peer, token, found, query, signed_in):
    who = token if signed_in else None
    target = "/v1/consultations?" + query.format(**found)
    targets = [target, target]  # cursors are each server's own
    for _ in range(3):
        ours, theirs = (send(port, "GET", each, who) for port, each in zip((place.server.port, peer.port), targets))
        assert (ours.status, theirs.status) == (200, 200), theirs.body
        assert theirs.json() == ours.json()
        assert re.sub("cursor=[A-Za-z0-9_-]+", "", theirs.headers["link"]) == re.sub("cursor=[A-Za-z0-9_-]+", "", ours.headers["link"])
        if ours.link("next") is None:
            break
        targets = [urllib.parse.urlsplit(answer.link("next"))._replace(scheme="", netloc="").geturl() for answer in (ours, theirs)]
    assert query == "q=nosuchword" or ours.json()["items"]


NEW = {"title": "Where should the crossings go?", "summary": "Four of them.", "everyone": True, "topics": ["topic-1", "topic-2"], "open_on": "2027-03-02",
       "close_on": "2027-03-27", "grants": [], "partners": [], "notes": "ours", "options": ["Zebra", "Signals"]}
OWN = ("id", "created_at", "updated_at")  # what differs from record to record


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


def both(place, peer, method, targets, token, body, **headers):
    answers = [send(port, method, target, token, body, **headers) for port, target in zip((place.server.port, peer.port), targets)]
    assert answers[0].status == answers[1].status, (answers[0].body, answers[1].body)
    return answers


def test_create_and_patch(place, peer, token, found):
    body = {**NEW, "locality_ids": [found["locality"]], "partners": [{"partner_id": found["partner"], "role": "joint"}],
            "grants": [{"right": "read", "partner_id": found["partner"]}]}
    made = both(place, peer, "POST", ["/v1/consultations"] * 2, token, body)
    ours, theirs = (answer.json() for answer in made)
    assert made[1].status == 201 and without(theirs, *OWN) == without(ours, *OWN) and list(theirs) == list(ours)
    targets = [f"/v1/consultations/{record['id']}" for record in (ours, theirs)]
    assert made[1].headers["location"].endswith(targets[1])
    told = place.query("SELECT operation, account_id::text FROM wardmote.change WHERE record_id = %s", theirs["id"])
    assert told == [("create", place.host["account_id"])]

    tags = [answer.headers["etag"] for answer in made]
    changed = [send(port, "PATCH", target, token, {"summary": None, "topics": ["topic-3"], "planned_hours": 7}, If_Match=tag)
               for port, target, tag in zip((place.server.port, peer.port), targets, tags)]
    assert [answer.status for answer in changed] == [200, 200], changed[1].body
    assert without(changed[1].json(), *OWN) == without(changed[0].json(), *OWN)
    assert changed[1].json()["version"] == 2 and changed[1].headers["etag"].startswith('"2-')
    assert place.query("SELECT count(*) FROM history.consultation WHERE id = %s", theirs["id"])[0][0] == 1
    outdated = [send(port, "PATCH", target, token, {"summary": "x"}, If_Match=tag) for port, target, tag in zip((place.server.port, peer.port), targets, tags)]
    assert [answer.status for answer in outdated] == [412, 412]
    assert both(place, peer, "PATCH", targets, token, {"planned_hours": 7}, If_Match="*")[1].json()["version"] == 2  # nothing differs
    assert both(place, peer, "PATCH", targets, token, {"summary": "x"})[1].status == 428


REFUSED = (({"more": 1}, 400), ({"title": 1}, 400), ({"title": "x" * 201}, 400), ({"title": ""}, 400), ({"title": None}, 400), ({"everyone": "true"}, 400),
           ({"open_on": "2027-02-30"}, 400), ({"level": ""}, 400), ({"trigger": "none"}, 400), ({"topics": ["a", "a"]}, 400), ({"planned_hours": -1}, 400),
           ({"topics": ["none"]}, 422), ({"locality_ids": ["00000000-0000-7000-8000-000000000000"]}, 422), ({"status": "planned"}, 422))


@pytest.mark.parametrize("body, status", REFUSED)
def test_bodies_that_are_refused(place, peer, token, body, status):
    assert both(place, peer, "POST", ["/v1/consultations"] * 2, token, {"title": "x", **body})[1].status == status
    assert both(place, peer, "POST", ["/v1/consultations"] * 2, token, {})[1].status == 400


def test_records_that_others_own(place, peer, token, found):
    for who, status in (("public", 403), ("private", 404)):
        assert both(place, peer, "PATCH", [f"/v1/consultations/{found[who]}"] * 2, token, {"summary": "x"}, If_Match="*")[1].status == status
    assert both(place, peer, "POST", ["/v1/consultations"] * 2, token, {"title": "x", "partner_id": found["partner"]})[1].status == 403
    assert both(place, peer, "POST", ["/v1/consultations"] * 2, None, {"title": "x"})[1].status == 401


@pytest.mark.parametrize("target", ("/v1/consultations/nothing", "/v1/nothing", "/v1/consultations?status=nothing", "/v1/consultations?nothing=1",
                                    "/v1/consultations?limit=0", "/v1/consultations?sort=nothing", "/v1/consultations?partner_id=1",
                                    "/v1/consultations?cursor=nothing"))
def test_refused(place, peer, target):
    _, theirs = same(place, peer, target)
    assert theirs.status in (400, 404) and theirs.headers["content-type"].startswith("application/problem+json")


def test_tokens_that_do_not_hold(place, peer, token, found):
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "role": "administrator", "epoch": 1}).encode()).decode().rstrip("=")
    for wrong in ("x", f"{head}.{payload}.{signature[:-6]}AAAAAA", f"{head}.{forged}.{signature}", f"{head}.{payload}."):
        same(place, peer, f"/v1/consultations/{found['public']}", wrong)
        assert send(peer.port, "GET", f"/v1/consultations/{found['public']}", wrong).status == 401


def test_an_account_that_changed(place, peer, token, found):
    """The token is good and known; the epoch is asked of the database each time."""
    target = f"/v1/consultations/{found['public']}"
    assert send(peer.port, "GET", target, token).status == 200
    place.query("UPDATE wardmote.account SET epoch = epoch + 1 WHERE id = %s RETURNING id", place.host["account_id"])
    assert same(place, peer, target, token)[1].status == 401
    place.query("UPDATE wardmote.account SET epoch = epoch - 1 WHERE id = %s RETURNING id", place.host["account_id"])
    assert same(place, peer, target, token)[1].status == 200
