# SPDX-License-Identifier: AGPL-3.0-or-later
"""Imports of boundaries: the mapping, all or nothing, what is repaired and what rejected, what is there already, and who may."""
import contextlib
import json
import time

import pytest

from wardmote_client import Client
from wardmote_records import unique
from wardmote_suite import COVERAGE, until

PARAMETERS = "code_property=id&name_property=title"
WAIT = {"Prefer": "wait=30"}


def square(x, y=52.0, size=0.01):
    return {"type": "Polygon", "coordinates": [[[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]]}


def feature(code, x=1.0, geometry=None, **properties):
    return {"type": "Feature", "properties": {"id": code, "title": f"Ward {code}", **properties}, "geometry": geometry or square(x)}


def collection(*features, **members):
    return {"type": "FeatureCollection", **members, "features": list(features)}


BOW_TIE = {"type": "Polygon", "coordinates": [[[1.0, 52.0], [1.01, 52.01], [1.01, 52.0], [1.0, 52.01], [1.0, 52.0]]]}


class Site:
    """One boundary set and what is sent to it."""

    def __init__(self, client):
        self.client = client
        made = client.post("/v1/boundary-sets", {"code": unique("set"), "name": "Wards", "source": "A map", "visibility": "public"})
        assert made.status == 201
        self.id = made.json()["id"]

    def send(self, document, more="", headers=None, client=None, parameters=PARAMETERS):
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        return (client or self.client).request("POST", f"/v1/boundary-sets/{self.id}/imports?{parameters}{more}", body=text,
                                               headers={"Content-Type": "application/geo+json", **(WAIT if headers is None else headers)})

    def take(self, document, more=""):
        """The import when it is over."""
        answer = self.send(document, more)
        assert answer.status == 200, answer.text()
        assert answer.headers["preference-applied"] == "wait=30"
        return answer.json()

    def localities(self, fields="code,name"):
        return self.client.get(f"/v1/localities?boundary_set_id={self.id}&sort=code&limit=500&fields={fields}").json()["items"]


@pytest.fixture(name="site")
def _site(administrator):
    return Site(administrator)


def counts(made):
    return {name.removesuffix("_count"): made[name] for name in
            ("features", "created_count", "updated_count", "unchanged_count", "repaired_count", "rejected_count") if made[name]}


# --- what becomes of a file ---

def test_features_become_localities(site, administrator):
    made = site.take(collection(feature("A", 1.0, people=12), feature(7, 1.1, people="40"), name="wards"), "&population_property=people"
                     "&population_as_at=2021-03-21&valid_from=2020-04-01&source=ONS")
    assert (made["state"], made["kind"], made["boundary_set_id"], made["reason"]) == ("done", "boundaries", site.id, None)
    assert counts(made) == {"features": 2, "created": 2} and made["bytes"] > 100 and made["started_at"] <= made["ended_at"]
    rows = site.localities("code,name,population,population_as_at,valid_from,source,visibility,geometry")
    assert [(row["code"], row["name"], row["population"]) for row in rows] == [("7", "Ward 7", 40), ("A", "Ward A", 12)]
    assert {(row["population_as_at"], row["valid_from"], row["source"], row["visibility"]) for row in rows} == {("2021-03-21", "2020-04-01", "ONS", "public")}
    assert rows[1]["geometry"] == {"type": "MultiPolygon", "coordinates": [square(1.0)["coordinates"]]}
    assert administrator.get(f"/v1/imports/{made['id']}").json() == made
    # each is a record like any other
    assert administrator.get(f"/v1/localities?boundary_set_id={site.id}").json()["items"][0]["version"] == 1


def test_the_source_of_the_set_is_that_of_its_members(site):
    site.take(collection(feature("A")))
    assert [row["source"] for row in site.localities("source")] == ["A map"]


def test_parents_are_found_by_their_code(site, administrator):
    parents = Site(administrator)
    parents.take(collection(feature("P", 1.0)))
    more = f"&parent_property=up&parent_boundary_set_id={parents.id}&accept_rest=true"
    made = site.take(collection(feature("A", up="P"), feature("B", 1.1, up="Q"), feature("C", 1.2, up=None)), more)
    assert counts(made) == {"features": 3, "created": 2, "rejected": 1}
    ids = {row["code"]: row["id"] for row in parents.localities("id,code")}
    assert [(row["code"], row["parent_id"]) for row in site.localities("code,parent_id")] == [("A", ids["P"]), ("C", None)]


def test_the_national_grid(site):
    """The example of the Ordnance Survey's guide to coordinate systems: 52 39 28.723 N, 1 42 57.787 E."""
    ring = [[651409.903, 313177.270], [651500, 313177], [651500, 313300], [651409.903, 313177.270]]
    document = collection(feature("A", geometry={"type": "Polygon", "coordinates": [ring]}), crs={"type": "name", "properties": {"name": "EPSG:27700"}})
    assert site.take(document, "&crs=EPSG:27700")["state"] == "done"
    lon, lat = site.localities("geometry")[0]["geometry"]["coordinates"][0][0][0]
    assert abs(lon - 1.7160519) < 0.0001 and abs(lat - 52.6579786) < 0.0001
    refused = site.take(document)
    assert refused["state"] == "rejected" and "crs" in refused["reason"]


def test_all_or_nothing(site):
    document = collection(feature("A"), feature("B", 1.1), feature("A", 1.2), {"type": "Feature", "properties": {"id": "C"}, "geometry": None})
    made = site.take(document)
    assert (made["state"], counts(made)) == ("rejected", {"features": 4, "rejected": 2})
    assert "accept_rest" in made["reason"] and site.localities() == []
    made = site.take(document, "&accept_rest=true")
    assert (made["state"], counts(made)) == ("done", {"features": 4, "created": 2, "rejected": 2})
    assert [row["code"] for row in site.localities()] == ["A", "B"]


def test_invalid_geometries_are_repaired_or_rejected(site):
    made = site.take(collection(feature("A", geometry=BOW_TIE)), "&invalid=reject")
    assert (made["state"], counts(made)) == ("rejected", {"features": 1, "rejected": 1})
    made = site.take(collection(feature("A", geometry=BOW_TIE), feature("B")))
    assert (made["state"], counts(made)) == ("done", {"features": 2, "created": 2, "repaired": 1})
    assert len(site.localities("geometry")[0]["geometry"]["coordinates"]) == 2
    told = site.client.get(f"/v1/imports/{made['id']}/rejected").json()["items"]
    assert [(row["n"], row["code"], row["reason"]) for row in told] == [(1, "A", "repaired")]
    assert "Self-intersection" in told[0]["detail"]


def rejects(site, made):
    return [(row["n"], row["code"], row["reason"], row["detail"]) for row in site.client.get(f"/v1/imports/{made['id']}/rejected").json()["items"]]


def test_members_that_overlap_are_told(site):
    """B and C lie on half of A and of each other's; D only touches C, and E grazes A by less than a hundredth. F came after A: they are never in force together."""
    wide = {f"{name}": feature(name, geometry={"type": "Polygon", "coordinates": [[[w, 52.0], [e, 52.0], [e, 52.01], [w, 52.01], [w, 52.0]]]})
            for name, w, e in (("A", 2.0, 2.02), ("B", 2.01, 2.03), ("C", 2.02, 2.04), ("D", 2.04, 2.05), ("E", 1.99, 2.00005), ("F", 2.0, 2.02))}
    made = site.take(collection(wide["A"], wide["B"], wide["C"], wide["D"], wide["E"]))
    assert (made["state"], made["created_count"], made["rejected_count"], made["overlapping_count"]) == ("done", 5, 0, 2)
    both = "{} (50 % of its own area, 50 % of that one's)"
    assert rejects(site, made) == [(1, "A", "overlap", f"It lies on the ground of {both.format('B')}."), (2, "B", "overlap", f"It lies on the ground of {both.format('C')}.")]
    (ended,) = [item for item in site.localities("code") if item["code"] == "A"]
    assert site.client.patch(f"/v1/localities/{ended['id']}", {"valid_to": "2024-05-01"}, headers={"If-Match": "*"}).status == 200
    again = site.take(collection(feature("F", geometry=wide["F"]["geometry"])), "&valid_from=2024-05-02")
    assert again["overlapping_count"] == 1 and rejects(site, again) == [(1, "F", "overlap", f"It lies on the ground of {both.format('B')}.")]
    assert site.take(collection(wide["D"]))["overlapping_count"] == 0


def test_one_that_was_repaired_and_overlaps(site):
    made = site.take(collection(feature("A", geometry=BOW_TIE), *(feature(f"B{number}", geometry=square(0.995, 51.995, 0.02)) for number in range(4))))
    first = rejects(site, made)[0]
    assert made["overlapping_count"] == 10 and first[:3] == (1, "A", "repaired")  # each of five on each other
    assert "Self-intersection" in first[3] and first[3].endswith("B2 (100 % of its own area, 12.5 % of that one's), and of 1 more.")


def test_statistics_after_a_load(site, cluster):
    """The planner knows of the localities as soon as the import has ended; of a few it need not."""
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        def count():
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT analyze_count FROM pg_stat_user_tables WHERE relid = 'wardmote.locality'::regclass")
            return cursor.fetchone()[0]

        before = count()
        assert site.take(collection(feature("one", 7.0)))["state"] == "done"
        assert site.take(collection(*(feature(f"M{number}", 8.0 + number / 50) for number in range(200))))["created_count"] == 200
        until(lambda: count() == before + 1, what="the table is analysed")


def test_what_is_there_already(site):
    document = collection(feature("A"), feature("B", 1.1))
    assert counts(site.take(document)) == {"features": 2, "created": 2}
    assert counts(site.take(document)) == {"features": 2, "unchanged": 2}
    changed = collection(feature("A"), feature("B", 1.2), feature("C", 1.3))
    made = site.take(changed)
    assert (made["state"], counts(made)) == ("rejected", {"features": 3, "rejected": 1})
    made = site.take(changed, "&existing=update")
    assert counts(made) == {"features": 3, "created": 1, "updated": 1, "unchanged": 1}
    rows = site.localities("id,code,version")
    assert [(row["code"], row["version"]) for row in rows] == [("A", 1), ("B", 2), ("C", 1)]
    # renamed and nothing else; what the file does not tell stays
    site.take(collection(feature("A", title="Other", people=5)), "&existing=update&population_property=people")
    site.take(collection(feature("A", title="Third")), "&existing=update")
    assert [(row["name"], row["population"]) for row in site.localities("name,population")][0] == ("Third", 5)


@pytest.mark.parametrize("document, reason", [
    (b"", "empty"), (b"[]", "no JSON object"), (b'{"type":"FeatureCollection","features":[{}', "too early"), (b'{"type":"Feature","features":[]}', "type"),
    (b'{"type":"FeatureCollection"}', "no features"), (b"\xff\xfe{\x00", "no JSON object"),
])
def test_what_is_no_collection_is_rejected(site, document, reason):
    made = site.take(document) if document else site.take(b" ")
    assert made["state"] == "rejected" and (reason in made["reason"] or not document)
    assert site.localities() == []


def test_nothing_of_a_broken_file_is_kept(site):
    text = json.dumps(collection(*(feature(f"A{i}", 1 + i / 100) for i in range(450)))).encode()
    assert site.take(text[:-2])["state"] == "rejected"
    assert site.localities() == []
    assert counts(site.take(text)) == {"features": 450, "created": 450}


def test_an_empty_collection(site):
    assert (site.take(collection())["state"], site.localities()) == ("done", [])


# --- the answer ---

def test_without_a_preference_it_is_accepted(site, administrator):
    answer = site.send(collection(feature("A")), headers={})
    assert answer.status == 202 and "preference-applied" not in answer.headers
    assert answer.headers["location"].endswith(f"/v1/imports/{answer.json()['id']}")
    until = time.monotonic() + 30
    while (made := administrator.get(f"/v1/imports/{answer.json()['id']}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert made["state"] == "done" and [row["code"] for row in site.localities()] == ["A"]
    history = administrator.get(f"/v1/imports/{made['id']}/history").json()["items"]
    assert [row["record"]["state"] for row in history] == ["done", "running", "queued"]


@pytest.mark.parametrize("preference", ["wait=x", "wait=", "wait", "return=minimal", "wait=-1", "", "x" * 5000])
def test_a_preference_that_is_not_understood_is_passed_over(site, preference):
    assert site.send(collection(), headers={"Prefer": preference}).status == 202


def test_several_preferences(site):
    answer = site.send(collection(), headers={"Prefer": "respond-async, wait=20"})
    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=20")
    assert site.send(collection(), headers={"Prefer": "wait=9000"}).headers["preference-applied"] == "wait=60"
    assert site.send(collection(), headers={"Prefer": "x, " * 2000 + "wait=9"}).headers["preference-applied"] == "wait=9"


# --- who may ---

def test_faults_of_the_request(site, administrator, partner):
    answer = site.send(collection(), parameters="code_property=id")
    assert (answer.status, answer.codes()) == (400, [("name_property", "required")])
    assert site.send(collection(), "&crs=EPSG:3857").status == 400
    assert site.send(collection(), "&nonsense=1").status == 400
    answer = site.send(collection(), f"&parent_property=up&parent_boundary_set_id={site.id}")
    assert (answer.status, answer.codes()) == (422, [("parent_boundary_set_id", "self")])
    assert site.send(collection(), "&parent_property=up").codes() == [("parent_boundary_set_id", "required")]
    answer = site.send(collection(), "&parent_boundary_set_id=019a7d2c-3c1e-7c55-9b1e-0d3c1f6a2b10")
    assert (answer.status, answer.codes()) == (422, [("parent_boundary_set_id", "not_found")])
    assert site.send(collection(), headers={"Content-Type": "text/csv"}).status == 415
    assert site.send(collection(), client=partner.manager).status == 403
    assert administrator.get(f"/v1/localities?boundary_set_id={site.id}").json()["items"] == []


def test_a_set_that_cannot_be_seen_is_not_there(site, administrator, partner):
    hidden = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Theirs", "partner_id": partner.id, "visibility": "shared"})
    assert hidden.status == 201
    site.id = "019a7d2c-3c1e-7c55-9b1e-0d3c1f6a2b10"
    assert site.send(collection()).status == 404
    assert site.send(collection(), client=partner.manager).status == 404


def test_an_import_is_its_partners(site, administrator, partner, anonymous):
    made = site.take(collection(feature("A")))
    path = f"/v1/imports/{made['id']}"
    assert administrator.get("/v1/imports?sort=-created_at&limit=1").json()["items"][0]["id"] == made["id"]
    assert partner.manager.get(path).status == 404 and anonymous.get(path).status == 401
    assert administrator.patch(path, {"state": "done"}, headers={"If-Match": "*"}).status == 405
    assert administrator.delete(path, headers={"If-Match": "*"}).status == 405


def test_what_cannot_be_seen_is_neither_compared_nor_changed(site, other, cluster):
    """A private locality of another partner in a public set: an import tells of it what a POST tells, that the code is taken."""
    hidden = site.take(collection(feature("H", 1.0, people=5)), "&population_property=people") and site.localities("id")[0]["id"]
    with contextlib.closing(cluster.connect("wardmote_owner")) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE wardmote.locality SET partner_id = %s, visibility = 'private' WHERE id = %s RETURNING version", (other.id, hidden))
        ((version,),) = cursor.fetchall()
        assert site.client.get(f"/v1/localities/{hidden}").status == 404
        told = set()
        for more, people in (("", 5), ("", 6), ("&existing=update", 7)):
            made = site.take(collection(feature("H", 1.0, people=people), feature("I", 1.5, people=1)), f"&population_property=people&accept_rest=true{more}")
            rejects = site.client.get(f"/v1/imports/{made['id']}/rejected").json()["items"]
            assert made["rejected_count"] == 1 and made["updated_count"] == 0
            told.add(tuple((row["code"], row["reason"], row["detail"]) for row in rejects))
        assert told == {(("H", "exists", "The set has a locality with this code, which the account may not see."),)}
        cursor.execute("SELECT version, population FROM wardmote.locality WHERE id = %s", (hidden,))
        assert cursor.fetchall() == [(version, 5)]


def test_nobody_imports_what_they_could_not_see(site, administrator, other):
    """Localities have the owner and the visibility of their set, and a grant of the set is not one of its localities."""
    me = administrator.get("/v1/me").json()["partner_id"]
    made = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Theirs", "partner_id": other.id, "visibility": "private",
                                                    "grants": [{"partner_id": me, "right": "write"}]})
    assert made.status == 201, made.text()
    site.id = made.json()["id"]
    assert administrator.get(f"/v1/boundary-sets/{site.id}").status == 200
    assert site.send(collection(feature("A"))).status == 403
    assert other.viewer.get(f"/v1/localities?boundary_set_id={site.id}").json()["items"] == []


@pytest.fixture(scope="module", name="narrow")
def _narrow(start_server, contract, host):
    """An administrator on a server that takes files of 1 MiB."""
    caller = Client(start_server(import_max_mb=1), contract, COVERAGE)
    return caller.as_token(caller.token_for(host["client_id"], host["client_secret"]))


def test_the_length_is_bounded(narrow):
    site = Site(narrow)
    assert site.send(json.dumps(collection()).encode().ljust(1 << 20)).status == 200
    assert site.send(b" " * ((1 << 20) + 1)).status == 413


def test_who_may_not_import_sends_no_long_body(site, partner, records, administrator):
    """Only what goes into a file is bounded as a file: all else is bounded as what is held in memory."""
    me = administrator.get("/v1/me").json()["partner_id"]
    for client in (partner.viewer, records.account(me, "administrator", ["localities:read"])):
        assert site.send(collection(), client=client).status == 403
        assert site.send(b" " * ((1 << 20) + 1), client=client).status == 413
        assert client.request("POST", f"/v1/boundary-sets/{site.id}/lineage-imports?to_boundary_set_id={site.id}", body=b"x" * ((1 << 20) + 1),
                              headers={"Content-Type": "text/csv"}).status == 413


def test_no_room_for_the_file(start_server, contract, host):
    caller = Client(start_server(spool_dir="/nowhere"), contract, COVERAGE)
    site = Site(caller.as_token(caller.token_for(host["client_id"], host["client_secret"])))
    answer = site.send(collection())
    assert answer.status == 503 and answer.headers["retry-after"]


def test_a_set_can_be_deleted_after_imports(site, administrator):
    """What is left of an import tells that there was one, and no longer of what."""
    made = site.take(collection())
    gone = administrator.delete(f"/v1/boundary-sets/{site.id}", headers={"If-Match": "*"})
    assert gone.status == 204, gone.text()
    left = administrator.get(f"/v1/imports/{made['id']}").json()
    assert (left["state"], left["boundary_set_id"]) == ("done", None)
