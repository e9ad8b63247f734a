# SPDX-License-Identifier: AGPL-3.0-or-later
"""OGC API Features: what a client finds, asks for and gets, and that it is what the lists give to the same caller."""
import contextlib
import math
import urllib.parse

import pytest

import places
from wardmote_records import unique

SYSTEMS = "http://www.opengis.net/def/crs/"
CRS84 = SYSTEMS + "OGC/1.3/CRS84"


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    return places.Ground(administrator, 21)


@pytest.fixture(scope="module", name="wards")
def _wards(ground):
    """(code of the set, {code of a locality: its id}): three squares in a row, and a fourth that only its owner sees."""
    code = unique("wards")
    boundary_set = ground.boundary_set(code=code, name="Example wards", licence="OGL v3", attribution="Example Mapping", vintage="2025",
                                       valid_from="2020-01-01", valid_to="2029-12-31")
    made = {}
    for n, members in enumerate(({}, {"valid_from": "2024-05-01"}, {"valid_to": "2022-12-31", "population": 1200})):
        made[f"W{n}"] = ground.square(boundary_set, 0.2 * n, 0, 0.1, code=f"W{n}", name=f"Ward {n}", **members)
    ground.square(boundary_set, 0.8, 0, 0.1, code="W9", visibility="private")
    ground.locality(boundary_set, code="W8", name="Without boundaries")
    return code, made


@pytest.fixture(scope="module", name="ask")
def _ask(anonymous, wards):
    """Codes of the features that answer."""
    def ask(client=anonymous, **params):
        answer = client.get(f"/ogc/collections/{wards[0]}/items", params=params)
        assert answer.status == 200, answer.text()
        return [feature["properties"]["code"] for feature in sorted(answer.json()["features"], key=lambda each: each["properties"]["code"])]
    return ask


def link(document, rel):
    return next(each for each in document["links"] if each["rel"] == rel)


# --- from the landing page on ---

def test_a_client_finds_its_way(anonymous, wards):
    landing = anonymous.get("/ogc").json()
    described = anonymous.get(link(landing, "service-desc")["href"])
    assert described.headers["content-type"] == link(landing, "service-desc")["type"] == "application/vnd.oai.openapi+json;version=3.0"
    conforms = anonymous.get(link(landing, "conformance")["href"]).json()["conformsTo"]
    assert {name.rsplit("/", 1)[1] for name in conforms} == {"core", "geojson", "oas30", "crs"}
    collections = {each["id"]: each for each in anonymous.get(link(landing, "data")["href"]).json()["collections"]}
    collection = collections[wards[0]]
    assert anonymous.get(link(collection, "self")["href"]).json() == collection
    page = anonymous.get(link(collection, "items")["href"], headers={"Accept": "application/geo+json"})
    assert page.headers["content-type"] == "application/geo+json" and page.json()["numberMatched"] == 3
    assert page.json()["license"] == "OGL v3" and page.json()["attribution"] == "Example Mapping"
    assert anonymous.get(link(page.json(), "self")["href"]).json()["numberReturned"] == 3
    for feature in page.json()["features"]:
        one = anonymous.get(f"/ogc/collections/{wards[0]}/items/{feature['id']}").json()
        assert anonymous.get(link(one, "self")["href"]).json() == one
        assert {key: one[key] for key in feature} == feature
        assert link(one, "collection")["href"].endswith(f"/ogc/collections/{wards[0]}")


def test_a_collection_says_what_it_is(anonymous, ground, wards):
    collection = anonymous.get(f"/ogc/collections/{wards[0]}").json()
    assert collection["title"] == "Example wards" and collection["license"] == "OGL v3" and "2025" in collection["description"]
    west, south, east, north = collection["extent"]["spatial"]["bbox"][0]
    assert (west, south, east, north) == pytest.approx((ground.x, ground.y, ground.x + 0.5, ground.y + 0.1)), "without what the caller may not see"
    assert set(collection["crs"]) == {CRS84, *(SYSTEMS + f"EPSG/0/{srid}" for srid in (4326, 27700, 3857))}


def test_the_description_has_a_path_for_each_collection(anonymous, wards):
    described = anonymous.get("/ogc/api").json()
    collections = anonymous.get("/ogc/collections").json()["collections"]
    for collection in collections:
        items = described["paths"][f"/collections/{urllib.parse.quote(collection['id'])}/items"]["get"]
        for parameter in items["parameters"]:
            if "$ref" in parameter:
                parameter = described["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
            assert parameter["in"] == "query" and parameter["style"] == "form" and parameter["explode"] is False
    assert described["components"]["parameters"]["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    named = {each.get("name") for each in described["paths"][f"/collections/{wards[0]}/items"]["get"]["parameters"]}
    assert {"code", "name"} <= named and "status" not in named


def test_a_code_with_spaces_and_letters_of_all_kinds(anonymous, ground):
    code = unique("Öst & süd (1)")
    ground.square(ground.boundary_set(code=code), 0, 2, 0.1)
    collection = next(each for each in anonymous.get("/ogc/collections").json()["collections"] if each["id"] == code)
    assert anonymous.get(link(collection, "items")["href"]).json()["numberMatched"] == 1
    slashed = unique("a/b")
    ground.square(ground.boundary_set(code=slashed), 0, 2, 0.1)
    assert slashed not in {each["id"] for each in anonymous.get("/ogc/collections").json()["collections"]}


# --- what is asked ---

def test_box(ask, ground):
    assert ask(bbox=ground.box(-0.05, -0.05, 0.05, 0.05)) == ["W0"]
    assert ask(bbox=ground.box(0.05, 0.05, 0.25, 0.06)) == ["W0", "W1"]
    assert ask(bbox=ground.box(0.12, 0.05, 0.18, 0.06)) == []
    assert ask(bbox="-180,-9e1,1.8E+2,90.00000000000000000") == ["W0", "W1", "W2"], "in all the ways in which clients write numbers"
    low = ground.box(0.05, 0.05, 0.25, 0.06).split(",")
    assert ask(bbox=",".join([*low[:2], "0", *low[2:], "100"])) == ["W0", "W1"], "with heights"


def test_box_over_the_antimeridian(ask, ground):
    assert ask(bbox=f"170,{ground.y - 1},{ground.x + 0.05},{ground.y + 1}") == ["W0"]
    assert ask(bbox=f"170,{ground.y - 1},-170,{ground.y + 1}") == []


def test_box_in_another_system(ask, ground):
    west, south, east, north = map(float, ground.box(0.05, 0.05, 0.25, 0.06).split(","))
    assert ask(**{"bbox": f"{south},{west},{north},{east}", "bbox-crs": SYSTEMS + "EPSG/0/4326"}) == ["W0", "W1"]
    assert ask(**{"bbox": f"{west * 111319.49},3400000,{east * 111319.49},3600000", "bbox-crs": SYSTEMS + "EPSG/0/3857"}) == ["W0", "W1"]
    assert ask(**{"bbox": "0,0,700000,1300000", "bbox-crs": SYSTEMS + "EPSG/0/27700"}) == []
    assert ask(**{"bbox": "-999999999,-999999999,-900000000,-900000000", "bbox-crs": SYSTEMS + "EPSG/0/27700"}) == []


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,4,5,6,7", "0,91,1,92", "0,2,1,1", "181,0,182,1", "1e9,0,2,1", "1,2,3,4,", "1,,2,3", "1e999,0,2,1", "0,0,1,nan"])
def test_no_box(anonymous, wards, text):
    answer = anonymous.get(f"/ogc/collections/{wards[0]}/items", params={"bbox": text})
    assert answer.status == 400 and answer.json()["errors"][0]["parameter"] == "bbox", answer.text()


@pytest.mark.parametrize("when, codes", [
    ("2021-06-01", "W0 W2"), ("2024-05-01", "W0 W1"), ("2024-04-30", "W0"), ("2022-12-31/2024-05-01", "W0 W1 W2"), ("2023-01-01/2024-04-30", "W0"),
    ("../2019-12-31", ""), ("2030-01-01/..", ""), ("/2020-01-01", "W0 W2"), ("2029-12-31/", "W0 W1"), ("../..", "W0 W1 W2"),
    ("2024-04-30T22:59:59Z", "W0"), ("2024-04-30T23:00:00Z", "W0 W1"), ("2024-05-01T00:00:00+01:00/..", "W0 W1")])
def test_time(ask, when, codes):
    """Where a locality has no first or last day, those of its set count; moments are days where the installation is."""
    assert ask(datetime=when) == codes.split()


@pytest.mark.parametrize("when", ["today", "2024", "2024-13-01", "2024-02-30", "2024-01-02/2024-01-01", "..", "2024-01-01/2024-01-02/2024-01-03", "2024-01-01T10:00"])
def test_no_time(anonymous, wards, when):
    answer = anonymous.get(f"/ogc/collections/{wards[0]}/items", params={"datetime": when})
    assert answer.status == 400 and answer.json()["errors"][0]["parameter"] == "datetime", answer.text()


def test_properties(ask, anonymous, wards):
    assert ask(code="W1") == ["W1"] and ask(name="Ward 2") == ["W2"] and ask(code="W1", name="Ward 2") == []
    for params in ({"status": "open"}, {"title": "x"}, {"aspect": "gap"}, {"locality_id": wards[1]["W0"]}, {"colour": "red"}):
        answer = anonymous.get(f"/ogc/collections/{wards[0]}/items", params=params)
        assert answer.status == 400 and answer.json()["errors"][0]["code"] == "unknown_parameter", answer.text()


def test_systems(anonymous, administrator, ground):
    code = unique("norwich")
    boundary_set = ground.boundary_set(code=code)
    identity = ground.locality(boundary_set, places.square(1.29, 52.62, 0.01))
    path = f"/ogc/collections/{code}/items"

    def corner(srid):
        answer = anonymous.get(path, params={"crs": SYSTEMS + srid})
        assert answer.headers["content-crs"] == f"<{SYSTEMS}{srid}>"
        return min(answer.json()["features"][0]["geometry"]["coordinates"][0][0])
    assert corner("OGC/1.3/CRS84") == pytest.approx([1.29, 52.62]) and corner("EPSG/0/4326") == pytest.approx([52.62, 1.29])
    assert corner("EPSG/0/3857") == pytest.approx([
        6378137 * math.radians(1.29), 6378137 * math.log(math.tan(math.pi / 4 + math.radians(52.62) / 2))], abs=0.01)
    listed = administrator.get(f"/v1/localities/{identity}.geojson", params={"crs": "EPSG:27700"}).json()["geometry"]
    assert anonymous.get(f"{path}/{identity}", params={"crs": SYSTEMS + "EPSG/0/27700"}).json()["geometry"] == listed
    assert anonymous.get(path).headers["content-crs"] == f"<{CRS84}>"
    assert anonymous.get(path, params={"crs": "EPSG:27700"}).status == 400


# --- pages ---

def test_pages_are_the_list(anonymous, wards, ground):
    code = unique("many")
    boundary_set = ground.boundary_set(code=code)
    made = {ground.square(boundary_set, 0.01 * n, 3, 0.01) for n in range(7)}
    path = f"/ogc/collections/{code}/items"
    for size in (1, 3, 7, 10):
        seen, answer = [], anonymous.get(path, params={"limit": size})
        while True:
            page = answer.json()
            assert page["numberMatched"] == 7 and page["numberReturned"] == len(page["features"]) <= size
            seen += [feature["id"] for feature in page["features"]]
            following = [each for each in page["links"] if each["rel"] == "next"]
            if not following:
                break
            assert following[0]["type"] == "application/geo+json"
            answer = anonymous.get(following[0]["href"])
        assert seen == sorted(made)
    features = anonymous.get("/v1/localities.geojson", params={"boundary_set_id": boundary_set, "geometry": "full"}).json()["features"]
    assert {each["id"]: each["geometry"] for each in features} == {each["id"]: each["geometry"] for each in anonymous.get(path).json()["features"]}


def test_limit_and_offset(anonymous, ground):
    code = unique("offset")
    boundary_set = ground.boundary_set(code=code)
    made = sorted(ground.square(boundary_set, 0.01 * n, 3, 0.01) for n in range(5))
    path = f"/ogc/collections/{code}/items"
    assert anonymous.get(path, params={"limit": 10000}).json()["numberReturned"] == 5, "more than there may be is as much as there may be"
    first = anonymous.get(path, params={"offset": 2, "limit": 2, "f": "json"}).json()
    assert [each["id"] for each in first["features"]] == made[2:4] and first["numberMatched"] == 5
    assert [each["id"] for each in anonymous.get(link(first, "next")["href"]).json()["features"]] == made[4:]
    for params in ({"limit": 0}, {"offset": -1}, {"offset": 10001}, {"f": "html"}):
        assert anonymous.get(path, params=params).status == 400


def test_a_page_that_the_client_has_is_not_sent(anonymous, wards):
    path = f"/ogc/collections/{wards[0]}/items"
    assert anonymous.get(path, headers={"If-None-Match": anonymous.get(path).etag}).status == 304


# --- who ---

def test_what_is_hidden_is_nowhere(ask, anonymous, administrator, ground, wards):
    assert "W9" not in ask() and "W9" in ask(administrator)
    hidden = next(each["id"] for each in administrator.get(f"/ogc/collections/{wards[0]}/items").json()["features"] if each["properties"]["code"] == "W9")
    assert anonymous.get(f"/ogc/collections/{wards[0]}/items/{hidden}").status == 404
    secret = unique("secret")
    ground.square(ground.boundary_set(code=secret, visibility="private"), 0, 1, 0.1, visibility="private")
    for path in (f"/ogc/collections/{secret}", f"/ogc/collections/{secret}/items"):
        assert anonymous.get(path).status == 404 and administrator.get(path).status == 200
    assert secret not in anonymous.get("/ogc/collections").text() and secret not in anonymous.get("/ogc/api").text()


def test_scopes_narrow_the_collections(records, host, wards):
    everything = {"localities:read", "boundary-sets:read", "map-items:read", "consultations:read"}
    names = {"boundary-sets:read": wards[0], "map-items:read": "map-items-facility", "consultations:read": "consultations"}
    for scope, collection in names.items():
        client = records.account(host["partner_id"], "viewer", scopes=sorted(everything - {scope}))
        seen = {each["id"] for each in client.get("/ogc/collections").json()["collections"]}
        assert collection not in seen and seen >= set(names.values()) - {collection}
        assert client.get(f"/ogc/collections/{collection}/items").status == 404
    without = records.account(host["partner_id"], "viewer", scopes=["boundary-sets:read"])
    assert without.get("/ogc/collections").status == 403


def test_one_collection_shows_nothing_of_another(anonymous, wards, ground):
    other = ground.boundary_set(code=unique("other"))
    stranger = ground.square(other, 0, 4, 0.1)
    assert anonymous.get(f"/ogc/collections/{wards[0]}/items/{stranger}").status == 404
    assert anonymous.get(f"/ogc/collections/consultations/items/{stranger}").status == 404
    assert anonymous.get(f"/ogc/collections/nothing/items/{stranger}").status == 404


# --- the community map ---

def test_map_items(anonymous, partner, records, ground, wards):
    locality = wards[1]["W0"]
    here = {"type": "Point", "coordinates": [ground.x + 0.01, ground.y + 0.01]}
    shared = {"visibility": "public", "locality_id": locality, "use": "Lunch club", "mapping_exercise_id": None, "community_group_id": None}
    hall = records.make("map-items", partner.officer, **{**shared, "name": unique("Hall"), "kind": "facility", "aspect": "gap", "point": here})
    person = records.make("map-items", partner.officer, **{
        **shared, "name": unique("Who runs the choir"), "kind": "key_player_individual", "person_name": "Example Canary", "person_role": "Choir",
        "person_contact": "canary@example.org", "public_role": True, "point": None})
    hidden = records.make("map-items", partner.officer, **{**shared, "visibility": "private", "name": unique("Hall"), "kind": "facility", "point": here})

    def found(collection, **params):
        answer = anonymous.get(f"/ogc/collections/{collection}/items", params=params)
        assert answer.status == 200 and "anary" not in answer.text(), answer.text()
        return {each["id"]: each for each in answer.json()["features"]}
    box = {"bbox": ground.box(0, 0, 0.02, 0.02)}
    assert set(found("map-items-facility", **box)) == {hall["id"]}
    assert found("map-items-facility", **box)[hall["id"]]["geometry"] == here
    assert set(found("map-items-facility", locality_id=locality, aspect="gap")) == {hall["id"]}
    assert set(found("map-items-facility", name=hall["name"])) == {hall["id"]}
    assert hidden["id"] not in found("map-items-facility", limit=500)
    people = found("map-items-key-player-individual", locality_id=locality)
    assert set(people) == {person["id"]} and people[person["id"]]["geometry"] is None
    assert found("map-items-key-player-individual", **box) == {}, "what has no place is in no box"
    one = anonymous.get(f"/ogc/collections/map-items-key-player-individual/items/{person['id']}")
    assert one.status == 200 and "anary" not in one.text()
    assert anonymous.get(f"/ogc/collections/map-items-facility/items/{person['id']}").status == 404


# --- consultations ---

def planned(records, officer, **members):
    idea = records.make("consultations", officer, **{"visibility": "public", "community_ids": [], "title": unique("Asked"), **members})
    answer = officer.post(f"/v1/consultations/{idea['id']}/transitions", {"to": "planned"}, headers={"If-Match": "*"})
    assert answer.status == 200, answer.text()
    return answer.json()


def test_consultations_by_area(anonymous, partner, records, ground, wards):
    two = [wards[1]["W0"], wards[1]["W1"]]
    days = {"announced_on": None, "open_on": "2031-03-01", "close_on": "2031-03-31", "feedback_due_on": None}
    asked = planned(records, partner.officer, locality_ids=two, **days)
    idea = records.make("consultations", partner.officer, visibility="public", locality_ids=two, title=unique("Perhaps"), **days)

    def found(**params):
        answer = anonymous.get("/ogc/collections/consultations/items", params=params)
        assert answer.status == 200, answer.text()
        return {each["id"]: each for each in answer.json()["features"]}
    feature = found(title=asked["title"])[asked["id"]]
    assert feature["geometry"]["type"] == "MultiPolygon" and len(feature["geometry"]["coordinates"]) == 2
    assert feature["properties"]["open_on"] == "2031-03-01" and feature["properties"]["status"] == "planned"
    assert set(found(locality_id=two[0])) == {asked["id"]}
    assert set(found(bbox=ground.box(0.2, 0, 0.25, 0.05), datetime="2031-03-31")) == {asked["id"]}
    assert found(bbox=ground.box(0.4, 0, 0.45, 0.05), title=asked["title"]) == {}
    assert found(title=asked["title"], datetime="2031-04-01/..") == {} and found(title=asked["title"], datetime="../2031-02-28") == {}
    assert set(found(title=asked["title"], status="planned")) == {asked["id"]} and found(title=asked["title"], status="open") == {}
    assert found(title=idea["title"]) == {}
    assert anonymous.get(f"/ogc/collections/consultations/items/{idea['id']}").status == 404
    assert anonymous.get(f"/ogc/collections/consultations/items/{asked['id']}").json()["geometry"] == feature["geometry"]


def test_neighbours_make_one_area(anonymous, partner, records, ground):
    boundary_set = ground.boundary_set()
    beside = [ground.square(boundary_set, 0.1 * n, 5, 0.1) for n in range(2)]
    asked = planned(records, partner.officer, locality_ids=beside)
    geometry = anonymous.get(f"/ogc/collections/consultations/items/{asked['id']}").json()["geometry"]
    assert len(geometry["coordinates"]) == 1


def test_a_page_ends_before_its_shapes_get_too_long(administrator, anonymous, cluster):
    """By what they take where they are stored: three of these are less than a page may have, four are more."""
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("large"), "name": "Large"}).json()
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SET session_replication_role = replica")  # without the shapes for drawing, which would take as long again
        cursor.execute("INSERT INTO wardmote.locality (boundary_set_id, partner_id, visibility, code, name, geometry)"
                       " SELECT %s, %s, 'public', 'L' || i, 'Long', public.ST_Multi(public.ST_Buffer(public.ST_SetSRID(public.ST_MakePoint(-20, 10 + i * 0.1), 4326),"
                       " 0.01, 37500)) FROM generate_series(1, 7) i RETURNING id::text", (boundary_set["id"], boundary_set["partner_id"]))
        made = sorted(row[0] for row in cursor.fetchall())
    seen, target = [], f"/ogc/collections/{boundary_set['code']}/items?limit=500"
    sizes = []
    while target:
        page = anonymous.get(target)
        assert page.status == 200
        sizes.append(len(page.json()["features"]))
        seen += [feature["id"] for feature in page.json()["features"]]
        target = next((link["href"].split("/", 3)[3] for link in page.json()["links"] if link["rel"] == "next"), None)
        target = target and "/" + target
    assert seen == made and len(sizes) > 1 and min(sizes) >= 1
