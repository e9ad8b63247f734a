# SPDX-License-Identifier: AGPL-3.0-or-later
"""CSV as any reader of RFC 4180 takes it, GeoJSON as RFC 7946 has it, and which of them an Accept or a suffix leads to."""
import csv
import io
import json

import pytest

from wardmote_records import unique

FORMULAS = ["=1+1", "+44 1603 000000", "-1+1", "@SUM(A1)"]
AWKWARD = ['say "hello"', "a,b;c", "one\ntwo\nthree", " leading", "trailing ", "plain", "Café – 🏘️", "'quoted'", '"', ",", "a\tb"]


# --- CSV ---

@pytest.fixture(scope="module", name="written")
def _written(partner):
    """(word, description by name)."""
    word, written = unique("Csv").replace("-", ""), {}
    for number, text in enumerate(FORMULAS + AWKWARD + [None]):
        name = f"{word} {number:02}"
        answer = partner.officer.post("/v1/communities", {"name": name, "kind": "interest", "description": text})
        assert answer.status == 201, answer.text()
        written[name] = answer.json()["description"]
    return word, written


def rows_of(answer):
    assert answer.status == 200 and answer.media_type == "text/csv", answer.text()
    return list(csv.DictReader(io.StringIO(answer.text(), newline=""), strict=True))


def test_a_reader_of_csv_gets_back_what_was_written(partner, written):
    word, texts = written
    rows = rows_of(partner.viewer.get("/v1/communities.csv", params={"name.contains": word, "sort": "name"}))
    assert [row["name"] for row in rows] == sorted(texts)
    for row in rows:
        text = texts[row["name"]]
        assert row["description"] == ("" if text is None else "'" + text if text[0] in "=+-@\t\r" else text)


def test_no_cell_begins_as_a_formula(partner, written):
    for row in csv.reader(io.StringIO(partner.viewer.get("/v1/communities.csv", params={"name.contains": written[0]}).text(), newline="")):
        for cell in row:
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r"), cell


def test_values_are_written_as_in_json(partner, written):
    params = {"name.contains": written[0], "limit": "1", "sort": "name"}
    shown = partner.viewer.get("/v1/communities", params=params).json()["items"][0]
    row = rows_of(partner.viewer.get("/v1/communities.csv", params=params))[0]
    assert (row["seldom_heard"], row["version"], row["locality_id"]) == ("false", "1", "")
    for name in ("id", "partner_id", "visibility", "created_at", "updated_at", "kind"):
        assert row[name] == shown[name]


def test_a_record_alone_is_a_header_and_a_row(partner, written):
    record = partner.viewer.get("/v1/communities", params={"name.contains": written[0], "limit": "1", "sort": "name"}).json()["items"][0]
    path = f"/v1/communities/{record['id']}"
    for answer in (partner.viewer.get(f"{path}.csv"), partner.viewer.get(path, headers={"Accept": "text/csv"})):
        rows = rows_of(answer)
        assert len(rows) == 1 and rows[0]["id"] == record["id"] and rows[0]["description"] == "'=1+1"
        assert answer.etag != partner.viewer.get(path).etag
        assert partner.officer.patch(path, {"description": record["description"]}, headers={"If-Match": answer.etag}).status == 200


def test_an_empty_list_is_a_header(partner):
    text = partner.viewer.get("/v1/communities.csv", params={"name": unique("nothing"), "fields": "name,kind"}).text()
    assert text == "id,name,kind\r\n"


def test_columns_are_the_fields_in_every_row(partner, other, records):
    record = partner.officer.post("/v1/consultations", {"title": unique("Csv"), "visibility": "shared", "everyone": True, "notes": "ours alone",
                                                        "topics": [records.code("topic")], "open_on": "2027-02-01"}).json()
    for client in (partner.viewer, other.viewer):
        row = rows_of(client.get("/v1/consultations.csv", params={"id": record["id"]}))[0]
        shown = client.get(f"/v1/consultations/{record['id']}").json()
        assert row["title"] == shown["title"] and row["topics"] == ";".join(shown["topics"]) and row["open_on"] == "2027-02-01"
        assert row.get("notes", "") == (shown.get("notes") or "")
        assert None not in row and None not in row.values()


# --- GeoJSON ---

def ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


@pytest.fixture(scope="module", name="places")
def _places(administrator):
    """(boundary set, id by name): two beside Greenwich, two on both sides of the antimeridian, one with a hole in two parts, one nowhere."""
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("geo"), "name": "Geo"}).json()["id"]
    polygon, ids = "Polygon", {}
    for name, geometry in {
        "west": {"type": polygon, "coordinates": [ring(-1.5, 52, -1, 53)]},
        "east": {"type": polygon, "coordinates": [ring(1, 52, 1.5, 53)]},
        "fiji": {"type": polygon, "coordinates": [ring(178, -18, 179.5, -17)]},
        "samoa": {"type": polygon, "coordinates": [ring(-173, -18, -172, -17)]},
        "parts": {"type": "MultiPolygon", "coordinates": [[ring(10, 10, 20, 20), ring(12, 12, 18, 18)[::-1]], [ring(30, 10, 31, 11)]]},
        "nowhere": None,
    }.items():
        answer = administrator.post("/v1/localities", {"boundary_set_id": boundary_set, "code": name, "name": name, "geometry": geometry})
        assert answer.status == 201, answer.text()
        ids[name] = answer.json()["id"]
    return boundary_set, ids


def features_of(answer):
    assert answer.status == 200 and answer.media_type == "application/geo+json", answer.text()
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def area(points):
    """Twice the signed area: positive when the ring goes against the clock."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, points[1:]))


def test_a_list_is_a_feature_collection_of_valid_geometries(anonymous, places):
    boundary_set, ids = places
    found = {}
    for answer in (anonymous.get("/v1/localities.geojson", params={"boundary_set_id": boundary_set}),
                   anonymous.get("/v1/localities", params={"boundary_set_id": boundary_set}, headers={"Accept": "application/geo+json"})):
        found = {feature["id"]: feature for feature in features_of(answer)}
        assert set(found) == set(ids.values())
    for name, identifier in ids.items():
        feature = found[identifier]
        assert set(feature) >= {"type", "id", "geometry", "properties"} and feature["type"] == "Feature"
        assert feature["properties"]["name"] == name and "geometry" not in feature["properties"]
        if name == "nowhere":
            assert feature["geometry"] is None
            continue
        assert set(feature["geometry"]) == {"type", "coordinates"} and feature["geometry"]["type"] == "MultiPolygon"
        for polygon in feature["geometry"]["coordinates"]:
            for number, points in enumerate(polygon):
                assert points[0] == points[-1] and len(points) >= 4
                assert (area(points) > 0) == (number == 0), "outer rings against the clock, holes with it (RFC 7946, 3.1.6)"
                assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in points)


def test_a_record_is_a_feature(anonymous, places):
    identifier = places[1]["parts"]
    feature = anonymous.get(f"/v1/localities/{identifier}.geojson").json()
    assert (feature["type"], feature["id"]) == ("Feature", identifier)
    assert len(feature["geometry"]["coordinates"]) == 2 and len(feature["geometry"]["coordinates"][0]) == 2


def test_pages_of_features_join(anonymous, places):
    boundary_set, ids = places
    target, found = f"/v1/localities.geojson?boundary_set_id={boundary_set}&limit=4", []
    while target:
        answer = anonymous.get(target)
        found += [feature["id"] for feature in features_of(answer)]
        target = next((part.split(">")[0].strip(" <") for part in answer.headers.get("link", "").split(",") if 'rel="next"' in part), None)
    assert sorted(found) == sorted(ids.values())


# --- a box ---

@pytest.mark.parametrize("box, names", [
    ("-2,51,2,54", {"east", "west"}),
    ("0,51,2,54", {"east"}),
    ("-2,51,0,54", {"west"}),
    ("1.5,53,3,54", {"east"}),
    ("1.500001,53.000001,3,54", set()),
    ("170,-20,-170,-10", {"fiji", "samoa"}),
    ("179.6,-20,-170,-10", {"samoa"}),
    ("170,-20,-174,-10", {"fiji"}),
    ("-170,-20,170,-10", set()),
    ("180,-90,-180,90", set()),
    ("-180,-90,180,90", {"east", "west", "fiji", "samoa", "parts"}),
    ("14,14,16,16", set()),
    ("14,14,19,16", {"parts"}),
    ("1.2,52.5,1.2,52.5", {"east"}),
    ("-1.2,52.5,1.2,52.5", {"east", "west"}),
    ("1.2,50,1.2,55", {"east"}),
])
def test_a_box_finds_what_touches_it(anonymous, places, box, names):
    boundary_set, ids = places
    items = anonymous.get("/v1/localities", params={"boundary_set_id": boundary_set, "bbox": box}).json()["items"]
    assert {item["name"] for item in items} == names
    counted = anonymous.get("/v1/localities", params={"boundary_set_id": boundary_set, "bbox": box, "count": "exact"}).json()["count"]
    assert counted == len(names)
    features = features_of(anonymous.get("/v1/localities.geojson", params={"boundary_set_id": boundary_set, "bbox": box}))
    assert {feature["id"] for feature in features} == {ids[name] for name in names}


@pytest.mark.parametrize("box, code", [
    ("1,2,3", "format"), ("1,2,3,4,5", "format"), ("", "format"), ("a,1,2,3", "format"), ("1,,2,3", "format"), ("NaN,0,1,1", "format"),
    ("Infinity,0,1,1", "format"), ("0x1,0,1,1", "format"), ("1e400,0,1,1", "format"), ("-181,0,1,1", "range"), ("0,0,1,91", "range"),
    ("0,2,1,1", "range"),
])
def test_what_is_no_box(anonymous, box, code):
    answer = anonymous.get("/v1/localities", params={"bbox": box})
    assert answer.status == 400 and answer.codes() == [("bbox", code)], answer.text()


def test_only_what_has_a_place_has_a_box(anonymous):
    assert anonymous.get("/v1/communities", params={"bbox": "1,2,3,4"}).codes() == [("bbox", "unknown_parameter")]


def test_points_are_in_boxes_too(partner):
    title = unique("Point")
    point = {"type": "Point", "coordinates": [179.9, 10]}
    assert partner.officer.post("/v1/activities", {"title": title, "kind": "event", "point": point}).status == 201

    def found(box):
        return len(partner.viewer.get("/v1/activities", params={"title": title, "bbox": box}).json()["items"])

    assert (found("179,9,-179,11"), found("179.9,10,180,10"), found("-180,9,-179,11")) == (1, 1, 0)
    feature = features_of(partner.viewer.get("/v1/activities.geojson", params={"title": title}))[0]
    assert feature["geometry"] == point


# --- the past of a place ---

def test_a_boundary_as_it_was(administrator, anonymous, places):
    boundary_set = places[0]
    first, second = ring(50, 10, 51, 11), ring(60, 10, 61, 11)
    body = {"boundary_set_id": boundary_set, "code": unique("moved"), "name": "Moved", "geometry": {"type": "Polygon", "coordinates": [first]}}
    made = administrator.post("/v1/localities", body).json()
    path = f"/v1/localities/{made['id']}"

    def change(**members):
        answer = administrator.patch(path, members, headers={"If-Match": "*"})
        assert answer.status == 200, answer.text()
        return answer.json()

    renamed = change(name="Renamed")
    assert renamed["geometry"]["coordinates"] == [[first]]
    moved = change(geometry={"type": "Polygon", "coordinates": [second]})
    gone = change(geometry=None)
    expected = [(made, "Moved", [[first]]), (renamed, "Renamed", [[first]]), (moved, "Renamed", [[second]]), (gone, "Renamed", None)]
    for record, name, coordinates in expected:
        moment = {"as_of": record["updated_at"]}
        then = anonymous.get(path, params=moment).json()
        assert (then["name"], then["geometry"] and then["geometry"]["coordinates"]) == (name, coordinates)
        feature = anonymous.get(f"{path}.geojson", params=moment).json()
        assert (feature["geometry"] and feature["geometry"]["coordinates"]) == coordinates
        for box, here in (("49,9,52,12", first), ("59,9,62,12", second)):
            items = anonymous.get("/v1/localities", params={**moment, "id": made["id"], "bbox": box, "fields": "geometry"}).json()["items"]
            assert [item["geometry"]["coordinates"] for item in items] == ([coordinates] if coordinates == [[here]] else [])
    history = anonymous.get(f"{path}/history").json()["items"]
    assert [item["changed"] for item in history] == [["geometry"], ["geometry"], ["name"], None]


# --- which of them ---

@pytest.mark.parametrize("accept, media_type", [
    ("*/*", "application/json"), ("", "application/json"), ("application/*", "application/json"), ("text/*", "text/csv"),
    ("text/csv", "text/csv"), ("TEXT/CSV", "text/csv"), ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
    ("text/csv;q=0.4, application/json;q=0.5", "application/json"), ("application/geo+json, */*;q=0.1", "application/geo+json"),
    ("application/json;q=0, */*", "application/geo+json"), ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", "application/json"),
    ("text/csv; charset=utf-8", "text/csv"),
])
def test_accept_decides(anonymous, accept, media_type):
    answer = anonymous.get("/v1/localities", params={"limit": "1"}, headers={"Accept": accept})
    assert (answer.status, answer.media_type) == (200, media_type)
    assert "accept" in answer.headers["vary"].lower()


@pytest.mark.parametrize("accept", ["application/xml", "text/html", "application/json;q=0", "*/*;q=0",
                                    "text/csv;q=0, application/json;q=0.0, application/geo+json;q=0.000", "image/png, text/html"])
def test_what_is_not_there_is_refused(anonymous, accept):
    answer = anonymous.get("/v1/localities", params={"limit": "1"}, headers={"Accept": accept})
    assert answer.status == 406 and answer.media_type == "application/problem+json", answer.text()


def test_a_suffix_outweighs_accept(anonymous):
    for suffix, media_type in ((".csv", "text/csv"), (".geojson", "application/geo+json")):
        answer = anonymous.get(f"/v1/localities{suffix}", params={"limit": "1"}, headers={"Accept": "application/json"})
        assert (answer.status, answer.media_type) == (200, media_type)


def test_bodies_and_what_they_say_of_themselves_agree(anonymous, places):
    for suffix in ("", ".csv", ".geojson"):
        target = f"/v1/localities{suffix}?boundary_set_id={places[0]}"
        plain = anonymous.get(target)
        assert int(plain.headers["content-length"]) == len(plain.body)
        assert plain.text().encode() == plain.body
        gzip = anonymous.get(target, headers={"Accept-Encoding": "gzip"})
        assert gzip.plain() == plain.body
        head = anonymous.request("HEAD", target)
        assert (head.headers["content-type"], head.headers["content-length"]) == (plain.headers["content-type"], plain.headers["content-length"])
    assert json.loads(anonymous.get(f"/v1/localities.geojson?boundary_set_id={places[0]}").body)["features"]


def test_csv_takes_nothing_that_it_cannot_show(anonymous):
    for path in ("/v1/localities.csv", "/v1/localities"):
        answer = anonymous.get(path, params={"count": "exact", "include": "partner"}, headers={"Accept": "text/csv"})
        assert answer.status == 400
        assert sorted(answer.codes()) == [("count", "not_in_format"), ("include", "not_in_format")]
