# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is going on around a place: each kind of record by its own point or by its locality, with distances, and nothing that the caller does not see."""
import datetime

import pytest

import places
from wardmote_records import absent_id, unique

TODAY = datetime.date.today()
YESTERDAY = str(TODAY - datetime.timedelta(days=1))
TOMORROW = str(TODAY + datetime.timedelta(days=1))
SECTIONS = ("consultations", "activities", "groups", "facilities", "contacts", "services")
PATHS = {"groups": "community-groups", "facilities": "map-items", "services": "service-entries"}
METRES = 6371008.7714 * 3.141592653589793 / 180  # of a degree of latitude, about


class Town:
    """A ward of a tenth of a degree, a city without a boundary above it, a beat over it, and a ward half a degree off."""

    def __init__(self, administrator, partner):
        self.ground = places.Ground(administrator, 24)
        self.partner = partner
        self.city = self.ground.locality(self.ground.boundary_set())
        self.wards = self.ground.boundary_set(valid_from="2020-01-01")
        self.ward = self.ground.square(self.wards, 0, 0, 0.1, name="Ward", parent_id=self.city, source="A survey")
        self.far_ward = self.ground.square(self.wards, 0.5, 0, 0.1)
        self.old_ward = self.ground.square(self.wards, 0, 0, 0.1, name="Old ward", valid_to="2023-12-31")
        self.beat = self.ground.square(self.ground.boundary_set(), -0.05, -0.05, 0.3, name="Beat")
        self.hidden = self.ground.square(self.ground.boundary_set(visibility="private"), 0, 0, 0.1, visibility="private")
        self.names = {}

    def point(self, east, north):
        return {"type": "Point", "coordinates": [round(self.ground.x + east, 6), round(self.ground.y + north, 6)]}

    def add(self, section, called, **members):
        body = {
            "consultations": {"title": called, "summary": "What do you think?", "take_part_how": "Write to us."},
            "activities": {"title": called, "kind": "event"}, "groups": {"name": called, "kind": "forum"},
            "facilities": {"name": called, "kind": "facility"}, "contacts": {"post": called, "kind": "officer"}, "services": {"name": called},
        }[section]
        made = self.partner.officer.post(f"/v1/{PATHS.get(section, section)}", {**body, "visibility": "public", **members})
        assert made.status == 201, made.text()
        self.names[made.json()["id"]] = called
        return made.json()["id"]

    def asks(self, name, *moves, **members):
        identifier = self.add("consultations", name, **{"open_on": str(TODAY), "close_on": TOMORROW, **members})
        for state in moves:
            moved = self.partner.officer.post(f"/v1/consultations/{identifier}/transitions", {"to": state}, headers={"If-Match": "*"})
            assert moved.status == 200, moved.text()
        return identifier

    def assign(self, contact, locality, **members):
        body = {"contact_id": contact, "role": "locality_contact", "locality_id": locality, "valid_from": "2020-01-01", "visibility": "public", **members}
        made = self.partner.officer.post("/v1/contact-assignments", body)
        assert made.status == 201, made.text()

    def near(self, client, east=0.05, north=0.05, **params):
        answer = client.get("/v1/nearby", params={"point": self.ground.at(east, north), "limit": 100, **params})
        assert answer.status == 200, answer.text()
        return answer.json()

    def found(self, client, section, **params):
        """Names of records, in their order."""
        return [self.names[item["id"]] for item in self.near(client, **params)[section]]


OPEN = ("planned", "approved", "open")


@pytest.fixture(scope="module", name="town")
def _town(administrator, partner):
    town = Town(administrator, partner)
    town.asks("open in the ward", *OPEN, locality_ids=[town.ward])
    town.asks("open in the beat", *OPEN, locality_ids=[town.beat, town.far_ward], close_on=str(TODAY))
    town.asks("open in the city", *OPEN, locality_ids=[town.city])
    town.asks("open elsewhere", *OPEN, locality_ids=[town.far_ward])
    town.asks("approved", "planned", "approved", locality_ids=[town.ward])
    town.add("activities", "hall", point=town.point(0.05, 0.053))
    town.add("activities", "in the ward", locality_ids=[town.ward])
    town.add("activities", "outing", locality_ids=[town.ward], point=town.point(0.5, 0.05))
    town.add("activities", "far hall", point=town.point(0.5, 0.05))
    town.add("activities", "over", locality_ids=[town.ward], starts_on=YESTERDAY)
    town.add("activities", "this year", locality_ids=[town.ward], starts_on=f"{TODAY.year}-01-01", starts_on_precision="year")
    town.add("activities", "held", locality_ids=[town.ward], status="held", starts_on=str(TODAY))
    town.add("activities", "private", locality_ids=[town.ward], visibility="private")
    for section in ("groups", "facilities"):
        town.add(section, "ward", locality_id=town.ward)
        town.add(section, "hall", point=town.point(0.05, 0.053), locality_id=town.ward)
        town.add(section, "far hall of the ward", point=town.point(0.5, 0.05), locality_id=town.ward)
        town.add(section, "private", locality_id=town.ward, visibility="private")
    town.add("groups", "ended", locality_id=town.ward, valid_to=YESTERDAY)
    town.add("facilities", "no facility", locality_id=town.ward, kind="activity")
    officer = town.add("contacts", "ward officer", website="https://example.org/officer", name="Example Person", email="person@example.org", public_role=True)
    town.assign(officer, town.ward)
    town.assign(officer, town.beat, role="lead")
    town.assign(town.add("contacts", "former officer"), town.ward, valid_to=YESTERDAY)
    town.assign(town.add("contacts", "city officer"), town.city)
    town.assign(town.add("contacts", "far officer"), town.far_ward)
    town.assign(town.add("contacts", "private assignment"), town.ward, visibility="private")
    town.add("services", "library", point=town.point(0.05, 0.053), status="temporarily_closed", url="https://example.org/library", source="The council")
    town.add("services", "for the ward", locality_ids=[town.ward])
    town.add("services", "defunct", locality_ids=[town.ward], status="defunct")
    town.add("services", "far", locality_ids=[town.far_ward])
    return town


def test_each_section(town, anonymous):
    found = town.near(anonymous)
    assert (found["point"]["coordinates"], found["radius"], found["as_at"], found["cut_short"]) == (
        [pytest.approx(town.ground.x + 0.05), pytest.approx(30.05)], 1000, str(TODAY), [])
    assert [item["title"] for item in found["localities"]] == ["Ward", "Beat"]
    assert {section: [town.names[item["id"]] for item in found[section]] for section in SECTIONS} == {
        "consultations": ["open in the beat", "open in the city", "open in the ward"],  # what closes first, then by title
        "activities": ["hall", "this year", "in the ward", "outing"],
        "groups": ["hall", "ward"],
        "facilities": ["hall", "ward"],
        "contacts": ["city officer", "ward officer"],
        "services": ["library", "for the ward"],
    }


def test_what_an_item_says(town, anonymous):
    found = town.near(anonymous)
    library = found["services"][0]
    record = anonymous.get(library["link"]).json()
    assert {**library, "distance_m": None} == {
        "id": record["id"], "title": "library", "kind": "temporarily_closed", "partner_id": town.partner.id, "distance_m": None, "locality_ids": [],
        "starts_on": None, "ends_on": None, "url": "https://example.org/library", "source": "The council", "updated_at": record["updated_at"],
        "link": library["link"]}
    assert library["distance_m"] == pytest.approx(0.003 * METRES, rel=0.006)
    assert [item["distance_m"] for item in found["services"][1:] + found["contacts"] + found["consultations"]] == [None] * 6
    beat = found["consultations"][0]
    assert (beat["locality_ids"], beat["starts_on"], beat["ends_on"]) == ([town.beat], str(TODAY), str(TODAY))
    officer = found["contacts"][1]
    assert (officer["locality_ids"], officer["kind"], officer["url"]) == (sorted([town.ward, town.beat]), "officer", "https://example.org/officer")
    ward = found["localities"][0]
    assert (ward["id"], ward["boundary_set_id"], ward["distance_m"], ward["source"]) == (town.ward, town.wards, 0, "A survey")
    assert anonymous.get(ward["link"]).json()["id"] == town.ward


def test_nobody_is_named(town, anonymous):
    """A post is no person: who holds it is in its own record."""
    text = anonymous.get("/v1/nearby", params={"point": town.ground.at(0.05, 0.05)}).text()
    assert "ward officer" in text and "Example Person" not in text and "person@example.org" not in text


def test_radius(town, anonymous):
    assert town.found(anonymous, "services", radius=300) == ["for the ward"]
    assert town.found(anonymous, "services", radius=360) == ["library", "for the ward"]
    assert town.found(anonymous, "groups", radius=300) == ["ward"]
    assert town.near(anonymous, east=0.11, radius=900)["localities"][0]["title"] == "Beat"
    distances = {item["title"]: item["distance_m"] for item in town.near(anonymous, east=0.11, radius=2000)["localities"]}
    assert distances == {"Beat": 0, "Ward": pytest.approx(0.01 * METRES * 0.8655, rel=0.01)}  # a degree of longitude at 30 degrees north
    assert town.found(anonymous, "activities", east=0.5, radius=20000) == ["far hall", "outing"]
    elsewhere = town.near(anonymous, east=0.9, north=0.9)
    assert all(elsewhere[section] == [] for section in SECTIONS + ("localities",))


def test_limit_cuts_each_section(town, anonymous):
    found = town.near(anonymous, limit=1)
    assert {section: len(found[section]) for section in SECTIONS} == dict.fromkeys(SECTIONS, 1)
    assert found["cut_short"] == ["localities", *SECTIONS]
    assert [town.names[found[section][0]["id"]] for section in ("groups", "services")] == ["hall", "library"]
    assert town.near(anonymous, limit=2)["cut_short"] == ["consultations", "activities"]


def test_another_day(town, anonymous):
    found = town.near(anonymous, as_at="2021-06-01")
    assert {item["title"] for item in found["localities"]} == {"Ward", "Old ward", "Beat"}
    assert "former officer" in town.found(anonymous, "contacts", as_at="2021-06-01") and "ended" in town.found(anonymous, "groups", as_at="2021-06-01")
    assert [item["title"] for item in town.near(anonymous, as_at="2019-12-31")["localities"]] == ["Beat"]
    assert town.found(anonymous, "contacts", as_at="2019-12-31") == []


def test_what_may_not_be_seen_is_not_near(town, anonymous, other):
    for client in (anonymous, other.viewer):
        assert "private" not in [name for section in ("groups", "facilities", "activities") for name in town.found(client, section)]
        assert "private assignment" not in town.found(client, "contacts")
    own = town.partner.viewer
    assert [town.found(own, section).count("private") for section in ("groups", "facilities", "activities")] == [1, 1, 1]
    assert "private assignment" in town.found(own, "contacts")


def test_a_locality_that_is_hidden_leads_nowhere(town, administrator, anonymous):
    name = unique("hidden")
    made = administrator.post("/v1/activities", {"title": name, "kind": "event", "visibility": "public", "locality_ids": [town.hidden]})
    assert made.status == 201
    town.names[made.json()["id"]] = name
    assert name in town.found(administrator, "activities") and name not in town.found(anonymous, "activities")
    assert town.hidden not in {item["id"] for item in town.near(anonymous)["localities"]}
    removed = administrator.delete(f"/v1/activities/{made.json()['id']}", headers={"If-Match": "*"})
    assert removed.status == 204


@pytest.mark.parametrize("scopes, shown", [
    (["localities:read"], set()),
    (["localities:read", "consultations:read", "service-entries:read"], {"consultations", "services"}),
    (["localities:read", "contacts:read"], set()),
    (["localities:read", "contacts:read", "contact-assignments:read", "community-groups:read"], {"contacts", "groups"}),
    (["localities:read", "map-items:read", "activities:read"], {"facilities", "activities"}),
])
def test_a_token_sees_no_more_than_its_scopes(town, records, scopes, shown):
    client = records.account(town.partner.id, "viewer", scopes)
    found = town.near(client)
    assert {section for section in SECTIONS if found[section] is not None} == shown
    assert all(found[section] for section in shown) and found["localities"]


def test_a_token_without_places(town, records):
    client = records.account(town.partner.id, "viewer", ["consultations:read"])
    assert client.get("/v1/nearby", params={"point": town.ground.at(0, 0)}).status == 403


@pytest.mark.parametrize("params, codes", [
    ({}, [("point", "required")]),
    ({"point": "north"}, [("point", "format")]),
    ({"point": "1,2", "radius": 0}, [("radius", "range")]),
    ({"point": "1,2", "radius": 20001}, [("radius", "range")]),
    ({"point": "1,2", "limit": 0}, [("limit", "range")]),
    ({"point": "1,2", "limit": 101}, [("limit", "range")]),
    ({"point": "1,2", "as_at": "2026-02-30"}, [("as_at", "format")]),
    ({"point": "1,2", "near": absent_id()}, [("near", "unknown_parameter")]),
])
def test_bad_parameters(anonymous, params, codes):
    answer = anonymous.get("/v1/nearby", params=params)
    assert (answer.status, answer.codes()) == (400, codes)


@pytest.mark.parametrize("point", ["0,90", "180,0", "-180,-90", "179.999,12"])
def test_the_ends_of_the_earth(anonymous, point):
    found = anonymous.get("/v1/nearby", params={"point": point, "radius": 20000})
    assert found.status == 200 and found.json()["consultations"] == []
