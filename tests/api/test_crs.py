# SPDX-License-Identifier: AGPL-3.0-or-later
"""Coordinates on British National Grid, in and out, and how much of a boundary a list gives."""
import math

import pytest

from wardmote_records import unique

GRID = {"crs": "EPSG:27700"}
URI = {"EPSG:27700": "<http://www.opengis.net/def/crs/EPSG/0/27700>", "EPSG:4326": "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"}

# Ordnance Survey's own example (A guide to coordinate systems in Great Britain, annex C) is E 651409.903, N 313177.270; without the correction of its grid file
# (OSTN15) a transformation is a few metres off.
KNOWN = [(651409.903, 313177.270, 1.716073973, 52.658007833)]
OFF_WITHOUT_GRID_FILE = 10


def square(west, south, size):
    return {"type": "Polygon", "coordinates": [[[west, south], [west + size, south], [west + size, south + size], [west, south + size], [west, south]]]}


@pytest.fixture(scope="module", name="place")
def _place(administrator):
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("grid"), "name": "Grid"}).json()["id"]

    def make(geometry, by="post", **params):
        body = {"boundary_set_id": boundary_set, "code": unique("G"), "name": "Place", "geometry": geometry}
        answer = getattr(administrator, by)("/v1/localities", body, params=params)
        assert answer.status == 201, answer.text()
        return answer

    return make


def positions(geometry):
    return [position for polygon in geometry["coordinates"] for ring in polygon for position in ring]


def near(given, expected, most):
    return len(given) == len(expected) and all(math.dist(a, b) <= most for a, b in zip(given, expected))


def test_what_goes_in_comes_out(place, anonymous, administrator):
    grid = square(623456.78, 308123.45, 250.5)
    made = place(grid, **GRID)
    assert made.headers["content-crs"] == URI["EPSG:27700"]
    path = f"/v1/localities/{made.json()['id']}"
    for record in (made.json(), anonymous.get(path, params=GRID).json()):
        assert near(positions(record["geometry"]), grid["coordinates"][0], 0.01)
    degrees = anonymous.get(path)
    assert "content-crs" not in degrees.headers and all(1 < x < 2 and 52 < y < 53 for x, y in positions(degrees.json()["geometry"]))
    named = anonymous.get(path, params={"crs": "EPSG:4326"})
    assert named.headers["content-crs"] == URI["EPSG:4326"] and named.json()["geometry"] == degrees.json()["geometry"]
    moved = square(400000, 300000, 1000)
    changed = administrator.patch(path, {"geometry": moved}, params=GRID, headers={"If-Match": "*"})
    assert changed.status == 200 and near(positions(changed.json()["geometry"]), moved["coordinates"][0], 0.01)
    assert administrator.patch(path, {"name": "Other"}, params=GRID, headers={"If-Match": "*"}).json()["geometry"] == changed.json()["geometry"]


def test_a_put_takes_and_gives_it(place, administrator):
    grid = square(500000, 200000, 100)
    first = place(grid, by="put", external_id=unique("grid"), **GRID).json()
    body = {"boundary_set_id": first["boundary_set_id"], "code": first["code"], "name": "Place", "geometry": square(500100, 200000, 100)}
    again = administrator.put("/v1/localities", body, params={"external_id": first["external_id"], **GRID})
    assert (again.status, again.headers["content-crs"]) == (200, URI["EPSG:27700"])
    assert near(positions(again.json()["geometry"]), body["geometry"]["coordinates"][0], 0.01)


@pytest.mark.parametrize("east, north, longitude, latitude", KNOWN)
def test_a_place_that_is_known(partner, east, north, longitude, latitude):
    body = {"title": unique("Pillar"), "kind": "event", "point": {"type": "Point", "coordinates": [longitude, latitude]}}
    made = partner.officer.post("/v1/activities", body).json()
    there = partner.officer.get(f"/v1/activities/{made['id']}", params=GRID).json()["point"]["coordinates"]
    assert math.dist(there, (east, north)) < OFF_WITHOUT_GRID_FILE


def test_lists_features_and_whole_lists(place, anonymous):
    made = place(square(623000, 308000, 500), **GRID).json()
    for path, params in (("/v1/localities", {"fields": "geometry"}), ("/v1/localities.geojson", {}), ("/v1/localities.geojson", {"limit": "all"})):
        answer = anonymous.get(path, params={"id": made["id"], **GRID, **params})
        assert answer.headers["content-crs"] == URI["EPSG:27700"]
        shown = (answer.json().get("items") or answer.json().get("features"))[0]["geometry"]
        assert near(positions(shown), square(623000, 308000, 500)["coordinates"][0], 0.01) and "crs" not in shown
    feature = anonymous.get(f"/v1/localities/{made['id']}.geojson", params=GRID).json()
    assert near(positions(feature["geometry"]), square(623000, 308000, 500)["coordinates"][0], 0.01)


def test_each_system_has_a_tag_of_its_own(place, anonymous):
    path = f"/v1/localities/{place(square(1, 52, 0.1)).json()['id']}"
    plain, grid = anonymous.get(path).etag, anonymous.get(path, params=GRID).etag
    assert plain != grid
    assert anonymous.get(path, params=GRID, headers={"If-None-Match": plain}).status == 200
    assert anonymous.get(path, params=GRID, headers={"If-None-Match": grid}).status == 304


@pytest.mark.parametrize("west, south, size", [(100, 10, 1), (-179, -80, 358), (-60, 85, 4), (2, 51, 170), (-20, 50, 3)])
def test_what_lies_off_the_grid_has_no_coordinates_there(place, anonymous, west, south, size):
    geometry = {"type": "Polygon", "coordinates": [[[west, south], [west + size, south], [west + size, south + 1], [west, south + 1], [west, south]]]}
    made = place(geometry).json()
    assert anonymous.get(f"/v1/localities/{made['id']}", params=GRID).json()["geometry"] is None
    assert anonymous.get(f"/v1/localities/{made['id']}").json()["geometry"] is not None


def test_the_same_key_in_another_system_is_another_request(administrator, records):
    body = {"boundary_set_id": records.shared("boundary-sets")["id"], "code": unique("K"), "name": "Key", "geometry": square(50, 50, 10)}
    key = {"Idempotency-Key": unique("key")}
    first = administrator.post("/v1/localities", body, params=GRID, headers=key)
    again = administrator.post("/v1/localities", body, params=GRID, headers=key)
    assert (first.status, again.status, again.headers["idempotency-replayed"]) == (201, 201, "true") and first.json() == again.json()
    assert administrator.post("/v1/localities", body, headers=key).status == 422


@pytest.mark.parametrize("path, params, codes", [
    ("/v1/localities", {"crs": "EPSG:3857"}, [("crs", "enum")]),
    ("/v1/localities", {"crs": ""}, [("crs", "enum")]),
    ("/v1/localities.csv", {"crs": "EPSG:27700"}, [("crs", "not_in_format")]),
    ("/v1/localities.csv", {"geometry": "simplified"}, [("geometry", "not_in_format")]),
    ("/v1/localities", {"geometry": "some"}, [("geometry", "enum")]),
    ("/v1/communities", {"crs": "EPSG:27700"}, [("crs", "unknown_parameter")]),
    ("/v1/activities", {"geometry": "none"}, [("geometry", "unknown_parameter")]),
])
def test_what_is_refused(anonymous, path, params, codes):
    answer = anonymous.get(path, params=params)
    assert (answer.status, answer.codes()) == (400, codes)


def test_a_transition_and_a_delete_have_no_system(place, administrator):
    path = f"/v1/localities/{place(square(1, 52, 0.1)).json()['id']}"
    answer = administrator.delete(path, params=GRID, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (400, [("crs", "unknown_parameter")])


# --- how much of a boundary ---

@pytest.fixture(scope="module", name="round_place")
def _round_place(place):
    """A circle of 5,000 steps."""
    circle = [[1 + 0.1 * math.cos(2 * math.pi * n / 5000), 52 + 0.1 * math.sin(2 * math.pi * n / 5000)] for n in range(5000)]
    return place({"type": "Polygon", "coordinates": [circle + circle[:1]]}).json()


def test_a_list_gives_as_much_as_is_asked_for(round_place, anonymous):
    def listed(**params):
        return anonymous.get("/v1/localities", params={"id": round_place["id"], **params}).json()["items"][0]

    def feature(**params):
        return anonymous.get("/v1/localities.geojson", params={"id": round_place["id"], **params}).json()["features"][0]["geometry"]

    assert "geometry" not in listed() and "geometry" not in listed(geometry="none") and listed(geometry="none", fields="geometry")["geometry"] is None
    full, simple = listed(geometry="full")["geometry"], listed(geometry="simplified")["geometry"]
    assert full == round_place["geometry"] == feature() == feature(geometry="full")
    assert 10 < len(positions(simple)) < 500 and simple["type"] == "MultiPolygon" and simple == feature(geometry="simplified")
    assert max(abs(math.dist(position, (1, 52)) - 0.1) for position in positions(simple)) < 0.1 * 2 / 300 + 1e-5
    assert all(round(x, 5) == x and round(y, 5) == y for x, y in positions(simple))
    assert listed(geometry="simplified", fields="name") == {"id": round_place["id"], "name": "Place", "geometry": simple}
    assert feature(geometry="none") is None
    grid = listed(geometry="simplified", **GRID)["geometry"]
    assert len(positions(grid)) == len(positions(simple)) and all(100000 < x < 800000 for x, _ in positions(grid))


def test_a_page_goes_on_in_its_own_form(place, anonymous):
    boundary_set = place(square(1, 52, 0.1)).json()["boundary_set_id"]
    for _ in range(2):
        place(square(1, 52, 0.1))
    first = anonymous.get("/v1/localities", params={"boundary_set_id": boundary_set, "limit": 1, "geometry": "none"})
    following = first.links()["next"]
    assert anonymous.get(following).status == 200
    other = anonymous.get(following.replace("geometry=none", "geometry=full"))
    assert (other.status, other.codes()) == (400, [("cursor", "cursor")])
