# SPDX-License-Identifier: AGPL-3.0-or-later
"""The community map by place, by when somebody last made sure, and the needs that nobody answers."""
import datetime

import pytest

import places
from wardmote_records import unique

TODAY = datetime.date.today()
RESOURCES = ("map-items", "community-groups")


class Map:
    """A ward and a beat over it, and records of both resources in and around them."""

    def __init__(self, administrator, cluster, partner):
        self.ground = places.Ground(administrator, 9)
        self.partner = partner
        self.ward = self.ground.square(self.ground.boundary_set(), 0, 0, 0.1)
        self.beat = self.ground.square(self.ground.boundary_set(), -0.05, -0.05, 0.3)
        self.hidden = self.ground.square(self.ground.boundary_set(visibility="private"), 0, 0, 0.1, visibility="private")
        self.postcode = f"ZZ{abs(hash(unique('map'))) % 90 + 10}9AB"
        places.postcode(cluster, self.postcode, self.ground.x + 0.05, self.ground.y + 0.05)
        self.ids = {}

    def point(self, east, north):
        return {"type": "Point", "coordinates": [round(self.ground.x + east, 6), round(self.ground.y + north, 6)]}

    def add(self, resource, name, **members):
        body = {"name": unique(name), "kind": "facility" if resource == "map-items" else "forum", "visibility": "public", **members}
        answer = self.partner.officer.post(f"/v1/{resource}", body)
        assert answer.status == 201, answer.text()
        self.ids[resource, answer.json()["id"]] = name

    def found(self, client, resource, **params):
        answer = client.get(f"/v1/{resource}", params={"limit": "500", **params})
        assert answer.status == 200, answer.text()
        return {self.ids[resource, item["id"]] for item in answer.json()["items"] if (resource, item["id"]) in self.ids}


@pytest.fixture(scope="module", name="area")
def _area(administrator, cluster, partner):
    area = Map(administrator, cluster, partner)
    for resource in RESOURCES:
        area.add(resource, "ward", locality_id=area.ward)
        area.add(resource, "beat", locality_id=area.beat)
        area.add(resource, "private", locality_id=area.ward, visibility="private")
        area.add(resource, "hall", point=area.point(0.05, 0.05))
        area.add(resource, "hall in the ward", point=area.point(0.02, 0.02), locality_id=area.ward)
        area.add(resource, "far hall", point=area.point(0.6, 0.6))
    return area


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_is_at_a_point(area, anonymous, partner, resource):
    """Of every boundary set at once, and what stands there itself."""
    here = {"ward", "beat", "hall", "hall in the ward"}
    assert area.found(anonymous, resource, point=area.ground.at(0.05, 0.05)) == here
    assert area.found(partner.viewer, resource, point=area.ground.at(0.05, 0.05)) == here | {"private"}
    assert area.found(anonymous, resource, point=area.ground.at(0.2, 0.2)) == {"beat"}
    assert area.found(anonymous, resource, point=area.ground.at(0.6, 0.6)) == {"far hall"}
    assert area.found(anonymous, resource, point=area.ground.at(0.6004, 0.6)) == {"far hall"}, "under 40 m away"
    assert area.found(anonymous, resource, point=area.ground.at(0.6006, 0.6)) == set(), "over 55 m away"


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_is_near(area, anonymous, resource):
    """A record with a point is as near as that, wherever its locality begins."""
    at = area.ground.at(0.05, 0.05)
    assert area.found(anonymous, resource, near=at, radius="100") == {"ward", "beat", "hall"}
    assert area.found(anonymous, resource, near=at, radius="5000") == {"ward", "beat", "hall", "hall in the ward"}
    assert area.found(anonymous, resource, near=area.ground.at(0.6, 0.6), radius="1") == {"far hall"}
    assert area.found(anonymous, resource, near=area.ground.at(0.5, 0.5), radius="50000") == {"far hall", "beat"}
    for given in ({"near": at}, {"radius": "5"}):
        answer = anonymous.get(f"/v1/{resource}", params=given)
        assert answer.status == 400 and [fault["code"] for fault in answer.json()["errors"]] == ["required"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_by_postcode_and_box(area, anonymous, resource):
    assert area.found(anonymous, resource, postcode=area.postcode) == {"ward", "beat", "hall in the ward"}
    assert area.found(anonymous, resource, postcode="ZZ99 9ZZ") == set()
    assert area.found(anonymous, resource, bbox=area.ground.box(0.5, 0.5, 0.7, 0.7)) == {"far hall"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_places_go_with_the_other_conditions(area, anonymous, resource):
    at = area.ground.at(0.05, 0.05)
    assert area.found(anonymous, resource, point=at, locality_id=area.ward) == {"ward", "hall in the ward"}
    assert area.found(anonymous, resource, point=at, near=at, radius="100", **{"locality_id.null": "true"}) == {"hall"}
    answer = anonymous.get(f"/v1/{resource}", params={"point": at, "limit": "2", "sort": "-name", "count": "exact"})
    assert answer.json()["count"] == 4
    assert {area.ids[resource, item["id"]] for item in anonymous.pages(f"/v1/{resource}", params={"point": at, "limit": "1"})} == \
        {"ward", "beat", "hall", "hall in the ward"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_hidden_localities_tell_nothing(area, administrator, anonymous, partner, resource):
    """A record of a locality that the caller does not see is not found by it."""
    area.partner = type("Partner", (), {"officer": administrator})
    area.add(resource, "in hiding", locality_id=area.hidden)
    area.partner = partner
    at = area.ground.at(0.05, 0.05)
    assert "in hiding" in area.found(administrator, resource, point=at)
    assert "in hiding" not in area.found(anonymous, resource, point=at) | area.found(anonymous, resource, near=at, radius="9")


@pytest.mark.parametrize("resource", RESOURCES)
def test_what_is_stale(partner, records, resource):
    """Never verified, or longer ago than so many days; else it is fresh."""
    locality, ids = records.make("localities", visibility="public")["id"], {}
    for days in (None, 0, 30, 364, 365, 366, 400):
        verified = None if days is None else (TODAY - datetime.timedelta(days=days)).isoformat()
        body = {"name": unique("Verified"), "kind": "facility" if resource == "map-items" else "forum", "locality_id": locality, "last_verified_on": verified}
        ids[partner.officer.post(f"/v1/{resource}", body).json()["id"]] = days

    def found(**params):
        answer = partner.viewer.get(f"/v1/{resource}", params={"locality_id": locality, **params})
        assert answer.status == 200, answer.text()
        return {ids[item["id"]] for item in answer.json()["items"]}

    # The day of the installation may be another than this machine's: what lies a day from the edge is left out.
    edge = {364, 365, 366}
    assert found(stale="true") - edge == {None, 400} and found(stale="false") - edge == {0, 30}
    assert found(stale="true") | found(stale="false") == set(ids.values()) and not found(stale="true") & found(stale="false")
    assert found(stale="true", stale_days="10") == {None, 30, 400} | edge
    assert found(stale="true", stale_days="500") == {None}
    answer = partner.viewer.get(f"/v1/{resource}", params={"stale_days": "10"})
    assert (answer.status, answer.json()["errors"][0]["code"]) == (400, "required")


def test_needs_that_nobody_answers(administrator, records, partner, other):
    """By the activities that the caller sees, and by none that was called off."""
    locality = records.make("localities", visibility="public")["id"]
    needs = {name: partner.officer.post("/v1/needs", {"title": name, "locality_id": locality, "visibility": "public"}).json()["id"]
             for name in ("answered", "answered in private", "called off", "open")}
    activity = {"title": unique("Course"), "kind": "training", "visibility": "public"}
    for members in ({"need_ids": [needs["answered"]]}, {"need_ids": [needs["called off"]], "status": "cancelled"},
                    {"need_ids": [needs["answered in private"]], "visibility": "private"}):
        assert partner.officer.post("/v1/activities", {**activity, **members}).status == 201

    def found(client, unanswered):
        answer = client.get("/v1/needs", params={"locality_id": locality, "unanswered": unanswered})
        assert answer.status == 200, answer.text()
        return {item["title"] for item in answer.json()["items"]}

    assert found(partner.viewer, "true") == {"called off", "open"} and found(partner.viewer, "false") == {"answered", "answered in private"}
    assert found(other.viewer, "true") == {"called off", "open", "answered in private"} and found(other.viewer, "false") == {"answered"}
    narrow, wide = records.account(partner.id, "viewer", ["needs:read"]), records.account(partner.id, "viewer", ["needs:read", "activities:read"])
    assert found(narrow, "true") == found(narrow, "false") == set()
    assert found(wide, "true") == {"called off", "open"}
    assert administrator.get("/v1/needs", params={"unanswered": "perhaps"}).status == 400
