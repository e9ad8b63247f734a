# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which localities lie at a place: of every boundary set at once, on a day, near by, by postcode and by the code of another scheme."""
import pytest

import places
from wardmote_records import unique

LOCALITIES = "/v1/localities"


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    return places.Ground(administrator, 1)


@pytest.fixture(scope="module", name="six")
def _six(ground):
    """One locality of each of six sets over one spot, and beside each another one of its set."""
    sets = [ground.boundary_set(name=f"Set {n}", tier="local") for n in range(6)]
    here = [ground.square(each, -0.1 - n / 100, -0.1 - n / 100, 0.2 + n / 50) for n, each in enumerate(sets)]
    for each in sets:
        ground.square(each, 0.5, 0.5, 0.2)
    return sets, here


def ids(client, **params):
    answer = client.get(LOCALITIES, params={"fields": "code", **params})
    assert answer.status == 200, answer.text()
    return {item["id"] for item in answer.json()["items"]}


# --- a point ---

def test_every_set_answers_at_once(six, ground, anonymous):
    sets, here = six
    assert ids(anonymous, point=ground.at(0, 0)) == set(here)
    assert ids(anonymous, point=ground.at(0, 0), boundary_set_id=",".join(sets[:2])) == set(here[:2])
    assert ids(anonymous, point=ground.at(0.3, 0.3)) == set()


def test_in_every_form_of_a_list(six, ground, anonymous):
    params = {"point": ground.at(0, 0)}
    features = anonymous.get("/v1/localities.geojson", params=params).json()["features"]
    assert {feature["id"] for feature in features} == set(six[1])
    assert len(anonymous.get("/v1/localities.csv", params=params).text().splitlines()) == 7
    assert anonymous.get(LOCALITIES, params={**params, "count": "exact", "limit": 2}).json()["count"] == 6
    assert [item["id"] for item in anonymous.pages(LOCALITIES, params={**params, "limit": 2, "sort": "-code"})] == [
        item["id"] for item in anonymous.get(LOCALITIES, params={**params, "sort": "-code"}).json()["items"]]
    assert len(anonymous.get(LOCALITIES, params={**params, "limit": "all"}).json()["items"]) == 6
    named = anonymous.get(LOCALITIES, params={**params, "include": "boundary_set"}).json()["items"]
    assert {item["boundary_set"]["name"] for item in named} == {f"Set {n}" for n in range(6)}


def test_holes_and_edges(ground, anonymous):
    boundary_set = ground.boundary_set()
    west, south = ground.x + 1, ground.y
    ringed = ground.locality(boundary_set, {"type": "Polygon", "coordinates": [
        places.ring(west, south, west + 0.3, south + 0.3), places.ring(west + 0.1, south + 0.1, west + 0.2, south + 0.2)]})
    beside = ground.square(boundary_set, 1.3, 0, 0.3)
    assert ids(anonymous, point=ground.at(1.15, 0.15)) == set()
    assert ids(anonymous, point=ground.at(1.1, 0.15)) == {ringed}
    assert ids(anonymous, point=ground.at(1.05, 0.05)) == {ringed}
    assert ids(anonymous, point=ground.at(1.3, 0.15)) == {ringed, beside}, "an edge is of both"
    assert ids(anonymous, point=ground.at(1.3, 0.3)) == {ringed, beside}


def test_a_hidden_locality_is_nowhere(ground, administrator, anonymous):
    hidden = ground.square(ground.boundary_set(), 1, 1, 0.1, visibility="private")
    for params in ({"point": ground.at(1.05, 1.05)}, {"near": ground.at(1.05, 1.05), "radius": 100}):
        assert ids(anonymous, **params) == set() and ids(administrator, **params) == {hidden}


# --- a day ---

def test_boundaries_in_force_on_a_day(ground, anonymous):
    """2013: one ward. From 2015 on it is two. Care boards never changed."""
    wards, newer, boards = ground.boundary_set(valid_to="2015-05-06"), ground.boundary_set(valid_from="2015-05-07"), ground.boundary_set()
    new = ground.square(newer, 2, 0, 0.1)
    old = ground.square(wards, 2, 0, 0.2, successor_ids=[new])
    board = ground.square(boards, 2, 0, 0.5)
    spot = {"point": ground.at(2.05, 0.05)}
    assert ids(anonymous, **spot) == {old, new, board}
    assert ids(anonymous, **spot, as_at="2015-05-06") == {old, board}
    assert ids(anonymous, **spot, as_at="2015-05-07") == {new, board}


@pytest.mark.parametrize("own, day, there", [
    ({"valid_from": "2010-01-01", "valid_to": "2012-12-31"}, "2009-12-31", False),
    ({"valid_from": "2010-01-01", "valid_to": "2012-12-31"}, "2010-01-01", True),
    ({"valid_from": "2010-01-01", "valid_to": "2012-12-31"}, "2012-12-31", True),
    ({"valid_from": "2010-01-01", "valid_to": "2012-12-31"}, "2013-01-01", False),
    ({"changed_on": "2012-06-01"}, "2012-05-31", True),
    ({"changed_on": "2012-06-01"}, "2012-06-01", False),
    ({"valid_to": "2012-12-31", "changed_on": "2012-06-01"}, "2012-07-01", True),
    ({}, "2007-12-31", False), ({}, "2008-01-01", True), ({}, "2014-12-31", True), ({}, "2015-01-01", False),
    ({"valid_to": "2016-01-01"}, "2015-06-01", True),
])
def test_its_own_days_go_before_those_of_its_set(ground, anonymous, own, day, there):
    made = ground.locality(ground.boundary_set(valid_from="2008-01-01", valid_to="2014-12-31"), **own)
    assert ids(anonymous, id=made, as_at=day) == ({made} if there else set())


def test_a_day_is_not_a_moment_of_the_record(ground, administrator, anonymous):
    """as_at asks for boundaries in force, as_of for what the record said: both at once are both."""
    made = ground.locality(ground.boundary_set(), valid_to="2010-12-31")
    before = anonymous.get(f"{LOCALITIES}/{made}").json()["updated_at"]
    assert administrator.patch(f"{LOCALITIES}/{made}", {"valid_to": "2011-12-31"}, headers={"If-Match": "*"}).status == 200
    assert ids(anonymous, id=made, as_at="2011-06-01") == {made}
    assert ids(anonymous, id=made, as_at="2011-06-01", as_of=before) == set()


# --- near by ---

def test_near(ground, anonymous):
    """A tenth of a degree of latitude is 11.1 km."""
    boundary_set = ground.boundary_set()
    made = ground.square(boundary_set, 3, 0.1, 0.05)
    spot = {"boundary_set_id": boundary_set, "near": ground.at(3.02, 0)}
    assert ids(anonymous, **spot, radius=11000) == set()
    assert ids(anonymous, **spot, radius=11200) == {made}
    assert ids(anonymous, boundary_set_id=boundary_set, near=ground.at(3.02, 0.12), radius=1) == {made}, "inside is no distance"


@pytest.mark.parametrize("params, codes", [
    ({"near": "1,2"}, [("radius", "required")]),
    ({"radius": "5"}, [("near", "required")]),
    ({"near": "1,2", "radius": "0"}, [("radius", "range")]),
    ({"near": "1,2", "radius": "50001"}, [("radius", "range")]),
    ({"point": "1"}, [("point", "format")]),
    ({"point": "1,2,3"}, [("point", "format")]),
    ({"point": "NaN,1"}, [("point", "format")]),
    ({"point": "181,1"}, [("point", "range")]),
    ({"point": "1,91"}, [("point", "range")]),
    ({"postcode": "NR1"}, [("postcode", "length")]),
    ({"within": "here"}, [("within", "format")]),
    ({"as_at": "2020-02-30"}, [("as_at", "format")]),
])
def test_what_is_no_place(anonymous, params, codes):
    answer = anonymous.get(LOCALITIES, params=params)
    assert (answer.status, answer.codes()) == (400, codes)


@pytest.mark.parametrize("path", [LOCALITIES, "/v1/consultations", "/v1/activities"])
def test_latitude_before_longitude_is_told(anonymous, path):
    """An empty list would say that nothing is there."""
    for params, codes in (({"point": "52.63,1.3"}, [("point", "axes_swapped")]), ({"near": "52.63,1.3", "radius": 500}, [("near", "axes_swapped")])):
        answer = anonymous.get(path, params=params)
        assert (answer.status, answer.codes()) == (400, codes)
    assert anonymous.get(path, params={"point": "1.3,52.63"}).status == 200
    assert anonymous.get(path, params={"point": "100.5,13.7"}).status == 200, "outside of the map either way: nothing is there"


# --- a postcode ---

@pytest.fixture(scope="module", name="coded")
def _coded(cluster, ground, administrator):
    """A postcode with two localities around it, one of them of 2010 to 2020, and one that nobody may see."""
    text = f"ZZ{abs(hash(unique('code'))) % 90 + 10}9AB"
    places.postcode(cluster, text, ground.x + 2.55, ground.y + 1.55)
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("codes"), "name": "Codes", "tier": "area", "licence": "OGL-UK-3.0",
                                                            "attribution": "Source: Example"}).json()
    old = ground.square(boundary_set["id"], 2.5, 1.5, 0.1, valid_from="2010-01-01", valid_to="2020-12-31", name="Old")
    new = ground.square(boundary_set["id"], 2.5, 1.5, 0.1, valid_from="2021-01-01", name="New")
    ground.square(boundary_set["id"], 2.5, 1.5, 0.1, visibility="private")
    return text, boundary_set, old, new


def test_localities_of_a_postcode(coded, anonymous):
    text, _, old, new = coded
    for written in (text, text.lower(), text[:-3] + " " + text[-3:]):
        assert ids(anonymous, postcode=written) == {old, new}
    assert ids(anonymous, postcode=text, as_at="2015-01-01") == {old}
    assert ids(anonymous, postcode="ZZ1 1ZZ") == set()


def test_a_postcode(coded, ground, anonymous):
    text, boundary_set, old, new = coded
    found = anonymous.get("/v1/postcodes", params={"postcode": text.lower()})
    assert found.status == 200, found.text()
    found = found.json()
    assert {name: found[name] for name in ("postcode", "quality", "as_at", "source")} == {
        "postcode": text[:-3] + " " + text[-3:], "quality": 10, "as_at": "2026-08-01", "source": "Made for a test"}
    assert found["point"] == {"type": "Point", "coordinates": [round(ground.x + 2.55, 6), round(ground.y + 1.55, 6)]}
    assert {row["id"] for row in found["localities"]} == {old, new}
    assert all(row["boundary_set"] == {name: boundary_set[name] for name in ("id", "code", "name", "tier", "attribution", "licence")} for row in found["localities"])
    then = anonymous.get("/v1/postcodes", params={"postcode": text, "as_at": "2020-12-31"}).json()["localities"]
    assert [(row["id"], row["name"]) for row in then] == [(old, "Old")]


def test_what_is_no_postcode(anonymous):
    assert anonymous.get("/v1/postcodes", params={"postcode": "ZZ1 1ZZ"}).status == 404
    assert anonymous.get("/v1/postcodes").codes() == [("postcode", "required")]
    assert anonymous.get("/v1/postcodes", params={"postcode": "NR1 1AA", "as_at": "May"}).codes() == [("as_at", "format")]


def test_a_token_sees_no_more_than_its_scopes(coded, records, partner):
    text = coded[0]
    narrow = records.account(partner.id, "viewer", ["localities:read"])
    answer = narrow.get("/v1/postcodes", params={"postcode": text})
    assert answer.status == 200 and [row["boundary_set"] for row in answer.json()["localities"]] == [None, None]
    other = records.account(partner.id, "viewer", ["consultations:read"])
    assert other.get("/v1/postcodes", params={"postcode": text}).status == 403


def test_nobody_writes_postcodes(cluster):
    connection = cluster.connect("wardmote_api")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('wardmote.postcode', 'SELECT, INSERT, UPDATE, DELETE'), has_table_privilege('api.postcode', 'SELECT')")
        assert cursor.fetchone() == (False, True)
    connection.close()


# --- a code of another scheme ---

def test_the_code_of_another_scheme(ground, anonymous):
    code = unique("E05")
    boundary_set = ground.boundary_set()
    made = ground.locality(boundary_set, codes=[{"scheme": "ons", "code": code}, {"scheme": "os", "code": f"{code}:1"}])
    ground.locality(boundary_set, codes=[{"scheme": "nomis", "code": code}])
    assert ids(anonymous, scheme_code=f"ons:{code}") == {made}
    assert ids(anonymous, scheme_code=f"os:{code}:1") == {made}
    assert ids(anonymous, scheme_code=f"os:{code}") == set() and ids(anonymous, scheme_code="nothing") == set()
