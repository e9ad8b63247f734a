# SPDX-License-Identifier: AGPL-3.0-or-later
"""Finding consultations and activities by a place, whatever boundaries their partners use."""
import pytest

import places
from wardmote_records import unique


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    return places.Ground(administrator, 3)


class Finder:
    """Two partners who cut the same ground differently: wards, and a police area over them."""

    def __init__(self, ground, cluster, records):
        self.ground = ground
        self.council, self.police = records.partner(), records.partner()
        wards, beats = ground.boundary_set(), ground.boundary_set()
        self.ward = ground.square(wards, 0, 0, 0.1)
        self.other_ward = ground.square(wards, 0.5, 0, 0.1)
        self.beat = ground.square(beats, -0.05, -0.05, 0.3)
        self.postcode = f"ZZ{abs(hash(unique('finder'))) % 90 + 10}8AB"
        places.postcode(cluster, self.postcode, ground.x + 0.05, ground.y + 0.05)
        self.ids = {}

    def add(self, resource, name, partner, **members):
        body = {"consultations": {"title": "Asked"}, "activities": {"title": "Done", "kind": "event"}}[resource]
        made = partner.officer.post(f"/v1/{resource}", {**body, "visibility": "public", **members})
        assert made.status == 201, made.text()
        self.ids[resource, name] = made.json()["id"]

    def found(self, client, resource, **params):
        items = client.get(f"/v1/{resource}", params={"limit": 500, **params})
        assert items.status == 200, items.text()
        shown = {item["id"] for item in items.json()["items"]}
        return {name for (kind, name), identifier in self.ids.items() if kind == resource and identifier in shown}

    def point(self, east, north):
        return {"type": "Point", "coordinates": [round(self.ground.x + east, 6), round(self.ground.y + north, 6)]}


@pytest.fixture(scope="module", name="finder")
def _finder(ground, cluster, records):
    finder = Finder(ground, cluster, records)
    for resource in ("consultations", "activities"):
        finder.add(resource, "ward", finder.council, locality_ids=[finder.ward])
        finder.add(resource, "other ward", finder.council, locality_ids=[finder.other_ward])
        finder.add(resource, "beat", finder.police, locality_ids=[finder.beat])
        finder.add(resource, "both", finder.police, locality_ids=[finder.beat, finder.other_ward])
        finder.add(resource, "nowhere", finder.council)
        finder.add(resource, "private", finder.council, locality_ids=[finder.ward], visibility="private")
    finder.add("activities", "hall", finder.council, point=finder.point(0.05, 0.05))
    finder.add("activities", "far hall", finder.police, point=finder.point(0.55, 0.05), locality_ids=[finder.ward])
    return finder


BY_LOCALITY = {"ward", "beat", "both"}


def ways(finder):
    """The same place in five ways; with what a hall in it adds."""
    ground = finder.ground
    return {
        "point": ({"point": ground.at(0.05, 0.05)}, set()),
        "near": ({"near": ground.at(0.05, 0.05), "radius": 100}, {"hall"}),
        "bbox": ({"bbox": ground.box(0.04, 0.04, 0.06, 0.06)}, {"hall"}),
        "postcode": ({"postcode": finder.postcode}, set()),
        "locality": ({"locality_ids": f"{finder.ward},{finder.beat}"}, set()),
    }


@pytest.mark.parametrize("way", ["point", "near", "bbox", "postcode", "locality"])
def test_one_question_finds_what_all_partners_ask(finder, anonymous, way):
    params, halls = ways(finder)[way]
    assert finder.found(anonymous, "consultations", **params) == BY_LOCALITY
    assert finder.found(anonymous, "activities", **params) == BY_LOCALITY | {"far hall"} | halls
    assert finder.found(finder.council.viewer, "consultations", **params) == BY_LOCALITY | {"private"}
    assert finder.found(finder.police.viewer, "consultations", **params) == BY_LOCALITY


def test_elsewhere(finder, ground, anonymous):
    assert finder.found(anonymous, "consultations", point=ground.at(0.2, 0.2)) == {"beat", "both"}
    assert finder.found(anonymous, "consultations", point=ground.at(0.55, 0.05)) == {"other ward", "both"}
    assert finder.found(anonymous, "consultations", point=ground.at(0.9, 0.9)) == set()
    assert finder.found(anonymous, "activities", near=ground.at(0.55, 0.05), radius=1) == {"other ward", "both", "far hall"}
    assert finder.found(anonymous, "consultations", near=ground.at(0.62, 0.05), radius=5000) == {"other ward", "both"}
    assert finder.found(anonymous, "consultations", bbox=ground.box(0.24, 0, 0.51, 0.01)) == {"beat", "both", "other ward"}
    assert finder.found(anonymous, "consultations", bbox="170,-20,-170,-10") == set()


def test_with_other_conditions(finder, ground, anonymous):
    spot = {"point": ground.at(0.05, 0.05)}
    assert finder.found(anonymous, "consultations", **spot, partner_id=finder.police.id) == {"beat", "both"}
    assert finder.found(anonymous, "consultations", **spot, locality_ids=finder.other_ward) == {"both"}
    assert finder.found(anonymous, "consultations", **spot, bbox=ground.box(0.5, 0, 0.6, 0.1)) == {"both"}
    counted = anonymous.get("/v1/consultations", params={**spot, "count": "exact", "limit": 1, "sort": "-title"})
    assert counted.json()["count"] == 3
    assert len(anonymous.pages("/v1/consultations", params={**spot, "limit": 1})) == 3
    assert len(anonymous.get("/v1/activities.geojson", params={**spot, "limit": "all"}).json()["features"]) == 4


def test_private_localities_give_nothing_away(ground, administrator, anonymous):
    """A record that names a locality which the caller cannot see is not found by the ground of that locality."""
    spot = unique("spot")
    secret = ground.square(ground.boundary_set(), 1, 1, 0.1, visibility="private")
    made = administrator.post("/v1/consultations", {"title": spot, "visibility": "public", "locality_ids": [secret]})
    assert made.status == 201
    for params in ({"point": ground.at(1.05, 1.05)}, {"near": ground.at(1.05, 1.05), "radius": 10}, {"bbox": ground.box(1, 1, 1.1, 1.1)}):
        assert [item["title"] for item in administrator.get("/v1/consultations", params=params).json()["items"]] == [spot]
        assert anonymous.get("/v1/consultations", params=params).json()["items"] == []


def test_the_past_of_what_was_asked_here(finder, ground, anonymous):
    """as_of: the record as it was then, at the boundaries of today."""
    title = unique("Moved")
    made = finder.council.officer.post("/v1/activities", {"title": title, "kind": "event", "visibility": "public", "point": finder.point(1.5, 0)}).json()
    changed = finder.council.officer.patch(f"/v1/activities/{made['id']}", {"point": finder.point(2, 0)}, headers={"If-Match": "*"}).json()

    def at(east, moment):
        params = {"near": ground.at(east, 0), "radius": 10, "as_of": moment, "title": title}
        return len(anonymous.get("/v1/activities", params=params).json()["items"])

    assert (at(1.5, made["updated_at"]), at(2, made["updated_at"])) == (1, 0)
    assert (at(1.5, changed["updated_at"]), at(2, changed["updated_at"])) == (0, 1)


@pytest.mark.parametrize("resource", ["consultations", "activities"])
@pytest.mark.parametrize("params, codes", [
    ({"near": "1,2"}, [("radius", "required")]),
    ({"point": "north"}, [("point", "format")]),
    ({"bbox": "1,2,3"}, [("bbox", "format")]),
    ({"bbox": "0,2,1,1"}, [("bbox", "range")]),
    ({"postcode": "NR1 1AA 1AA"}, [("postcode", "length")]),
    ({"radius": "many", "near": "1,2"}, [("radius", "type")]),
])
def test_what_is_no_place(anonymous, resource, params, codes):
    answer = anonymous.get(f"/v1/{resource}", params=params)
    assert (answer.status, answer.codes()) == (400, codes)
