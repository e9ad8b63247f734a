# SPDX-License-Identifier: AGPL-3.0-or-later
"""Vector tiles: what is drawn and where, for whom, and what is not drawn again."""
import math
import time

import pytest

import places
from wardmote_records import unique

MEDIA = "application/vnd.mapbox-vector-tile"


# --- Mapbox Vector Tile 2.1, as little of it as is wanted here ---

def number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def members(data):
    """(field, value) of a protobuf message."""
    at = 0
    while at < len(data):
        key, at = number(data, at)
        if key & 7 == 2:
            size, at = number(data, at)
            yield key >> 3, data[at:at + size]
            at += size
        else:
            assert key & 7 == 0, "only numbers and bytes"
            value, at = number(data, at)
            yield key >> 3, value


def packed(data):
    at, values = 0, []
    while at < len(data):
        value, at = number(data, at)
        values.append(value)
    return values


def positions(commands):
    """All corners of a geometry."""
    at = x = y = 0
    corners = []
    while at < len(commands):
        command, count = commands[at] & 7, commands[at] >> 3
        at += 1
        for _ in range(count if command in (1, 2) else 0):
            x += (commands[at] >> 1) ^ -(commands[at] & 1)
            y += (commands[at + 1] >> 1) ^ -(commands[at + 1] & 1)
            corners.append((x, y))
            at += 2
    return corners


def decode(data):
    """(name of the layer, [(properties, corners)])"""
    (_, layer), = [each for each in members(data) if each[0] == 3]
    rows = list(members(layer))
    keys = [value.decode() for field, value in rows if field == 3]
    values = [next(members(value))[1] for field, value in rows if field == 4]
    values = [value.decode() if isinstance(value, bytes) else value for value in values]
    features = []
    for row in (dict(members(value)) for field, value in rows if field == 2):
        tags = packed(row[2])
        features.append(({keys[k]: values[v] for k, v in zip(tags[::2], tags[1::2])}, positions(packed(row[4]))))
    return next(value for field, value in rows if field == 1).decode(), features


# --- where ---

def tile_of(longitude, latitude, zoom):
    x = (longitude + 180) / 360 * 2 ** zoom
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2 ** zoom
    return zoom, int(x), int(y), x % 1 * 4096, y % 1 * 4096


def path_of(collection, longitude, latitude, zoom):
    return "/v1/tiles/{}/{}/{}/{}.mvt".format(collection, *tile_of(longitude, latitude, zoom)[:3])


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    return places.Ground(administrator, 24)


@pytest.fixture(scope="module", name="town")
def _town(ground):
    """(code of the set, its id, id of a square that all see): beside it is one that only its owner sees."""
    code = unique("town")
    boundary_set = ground.boundary_set(code=code)
    shown = ground.square(boundary_set, 0, 0, 0.01, code="T1", name="Shown")
    ground.square(boundary_set, 0.01, 0, 0.01, code="T2", visibility="private")
    return code, boundary_set, shown


def drawn(client, path):
    answer = client.get(path)
    assert answer.status in (200, 204), answer.text()
    if answer.status == 204:
        return {}
    assert answer.headers["content-type"] == MEDIA
    return {properties["id"]: (properties, corners) for properties, corners in decode(answer.body)[1]}


# --- what is drawn ---

@pytest.mark.parametrize("zoom", [0, 3, 8, 9, 12, 13, 14, 18, 22])
def test_areas_are_drawn_at_every_zoom(anonymous, ground, town, zoom):
    """Below zoom 5 so small an area may be no more than a point, which is not drawn."""
    answer = anonymous.get(path_of(town[0], ground.x + 0.005, ground.y + 0.005, zoom))
    if zoom < 8:
        assert answer.status in (200, 204)
        return
    name, features = decode(answer.body)
    assert name == town[0]
    (properties, corners), = features
    assert properties == {"id": town[2], "code": "T1", "name": "Shown"}
    assert all(-64 <= part <= 4096 + 64 for corner in corners for part in corner), "cut off at the tile and its margin"
    if zoom <= 12:
        assert max(x for x, _ in corners) - min(x for x, _ in corners) == pytest.approx(0.01 / 360 * 2 ** zoom * 4096, abs=2 + 4096 * 2 ** zoom * 20 / 4e7)


def test_an_area_is_where_it_is(anonymous, ground, town):
    path, (_, _, _, x, y) = path_of(town[0], ground.x, ground.y, 13), tile_of(ground.x, ground.y, 13)
    corners = drawn(anonymous, path)[town[2]][1]
    assert min(math.hypot(a - x, b - y) for a, b in corners) <= 1.5, (corners, x, y)


def test_nothing_to_draw(anonymous, ground, town):
    answer = anonymous.get(path_of(town[0], ground.x + 3, ground.y + 1, 12))
    assert answer.status == 204 and answer.body == b"" and answer.etag


@pytest.mark.parametrize("tile", ["1/2/0", "0/0/1", "23/0/0", "-1/0/0", "a/0/0", "1/0/b", "01/0/0", "3/4/99999999999", "5/1.5/2"])
def test_no_such_tile(anonymous, town, tile):
    assert anonymous.get(f"/v1/tiles/{town[0]}/{tile}.mvt").status == 404


def test_no_such_collection(anonymous, town):
    for path in ("/v1/tiles/nothing/0/0/0.mvt", "/v1/tiles/consultations/0/0/0.mvt", f"/v1/tiles/{town[0]}/0/0/0", f"/v1/tiles/{town[0]}/0/0/0.png"):
        assert anonymous.get(path).status == 404, path
    assert anonymous.get(f"/v1/tiles/{town[0]}/0/0/0.mvt", headers={"Accept": "text/html"}).status == 406


def test_who_sees_what(anonymous, administrator, other, ground, town):
    path = path_of(town[0], ground.x + 0.005, ground.y + 0.005, 12)
    assert len(drawn(anonymous, path)) == 1 and len(drawn(other.viewer, path)) == 1 and len(drawn(administrator, path)) == 2
    tags = {client.get(path).etag for client in (anonymous, other.viewer, administrator)}
    assert len(tags) == 3, "what one caller has is nothing to another"
    assert anonymous.get(path, headers={"If-None-Match": administrator.get(path).etag}).status == 200


def test_points(anonymous, partner, records, ground):
    here = {"type": "Point", "coordinates": [ground.x + 1, ground.y + 1]}
    item = records.make("map-items", partner.officer, visibility="public", kind="facility", name="Hall", aspect="gap", point=here)
    records.make("map-items", partner.officer, visibility="private", kind="facility", name="Other hall", point=here)
    activity = records.make("activities", partner.officer, visibility="public", kind="event", title="Fair", point=here)
    path, (_, _, _, x, y) = path_of("map-items-facility", *here["coordinates"], 15), tile_of(*here["coordinates"], 15)
    shown = drawn(anonymous, path)
    assert set(shown) == {item["id"]} and shown[item["id"]][0] == {"id": item["id"], "name": "Hall", "kind": "facility", "aspect": "gap"}
    assert math.hypot(shown[item["id"]][1][0][0] - x, shown[item["id"]][1][0][1] - y) <= 1.5
    fair = drawn(anonymous, path_of("activities", *here["coordinates"], 15))
    assert fair[activity["id"]][0]["name"] == "Fair" and fair[activity["id"]][0]["kind"] == "event"
    assert drawn(anonymous, path_of("map-items-activity", *here["coordinates"], 15)) == {}


def test_points_at_the_poles_are_on_no_tile(anonymous, partner, records):
    pole = {"type": "Point", "coordinates": [0, 90]}
    records.make("activities", partner.officer, visibility="public", title="Race", point=pole)
    assert anonymous.get("/v1/tiles/activities/0/0/0.mvt").status in (200, 204)


# --- again ---

@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_tile_that_the_client_has_is_not_sent_again(anonymous, administrator, ground, encoding):
    code = unique("again")
    boundary_set = ground.boundary_set(code=code)
    identity = ground.square(boundary_set, 0, 2, 0.05)
    ground.square(boundary_set, 2, 2, 0.05)
    path, fields = path_of(code, ground.x + 0.01, ground.y + 2.01, 11), {"Accept-Encoding": encoding}
    for client in (anonymous, administrator):
        first = client.get(path, headers=fields)
        again = client.get(path, headers={**fields, "If-None-Match": f'"other", {first.etag}'})
        assert (first.status, again.status) == (200, 304) and again.etag == first.etag and again.body == b""
        assert client.get(path, headers={**fields, "If-None-Match": '"other"'}).status == 200
        assert client.get(path, headers={**fields, "If-None-Match": "*"}).status == 304
    first = anonymous.get(path, headers=fields)
    changes = [{"name": "Another name"}, {"geometry": places.square(ground.x, ground.y + 2, 0.06)}, {"visibility": "private"}, {"visibility": "public"}]
    for change in changes:
        assert administrator.patch(f"/v1/localities/{identity}", change, headers={"If-Match": "*"}).status == 200
        after = anonymous.get(path, headers={**fields, "If-None-Match": first.etag})
        assert after.status == (204 if change.get("visibility") == "private" else 200), change
        assert after.etag != first.etag
        first = after
    assert anonymous.get(path, headers={**fields, "If-None-Match": first.etag}).status == 304


def test_points_that_the_client_has_are_not_sent_again(anonymous, partner, records, ground):
    here = {"type": "Point", "coordinates": [ground.x + 2, ground.y + 2]}
    item = records.make("map-items", partner.officer, visibility="public", kind="facility", point=here)
    path = path_of("map-items-facility", *here["coordinates"], 16)
    first = anonymous.get(path)
    assert anonymous.get(path, headers={"If-None-Match": first.etag}).status == 304
    partner.officer.patch(f"/v1/map-items/{item['id']}", {"name": "Another name"}, headers={"If-Match": "*"})
    assert anonymous.get(path, headers={"If-None-Match": first.etag}).status == 200
    partner.officer.delete(f"/v1/map-items/{item['id']}", headers={"If-Match": "*"})
    assert anonymous.get(path).status == 204


# --- many ---

def test_ten_thousand_areas(anonymous, administrator, cluster, ground):
    code = unique("many")
    boundary_set = ground.boundary_set(code=code)
    connection = cluster.connect("postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wardmote.locality (boundary_set_id, partner_id, visibility, code, name, geometry) SELECT s.id, s.partner_id, 'public', i || '/' || k, 'A',"
            " public.ST_Multi(public.ST_Segmentize(public.ST_MakeEnvelope(%(x)s + i * 0.04, %(y)s + k * 0.02, %(x)s + i * 0.04 + 0.04,"
            " %(y)s + k * 0.02 + 0.02, 4326), 0.0012)) FROM wardmote.boundary_set s, generate_series(0, 99) i, generate_series(0, 99) k WHERE s.id = %(set)s",
            {"x": ground.x - 2, "y": ground.y + 5, "set": boundary_set})
    connection.close()
    begun = time.monotonic()
    answer = anonymous.get(path_of(code, ground.x, ground.y + 6, 6))
    taken = time.monotonic() - begun
    assert answer.status == 200 and len(decode(answer.body)[1]) > 3000
    assert taken < 10, "two seconds on a machine of its own"
    begun = time.monotonic()
    assert anonymous.get(path_of(code, ground.x, ground.y + 6, 6), headers={"If-None-Match": answer.etag}).status == 304
    assert time.monotonic() - begun < taken
    begun = time.monotonic()
    page = anonymous.get(f"/ogc/collections/{code}/items", params={"limit": 500}).json()
    assert page["numberMatched"] == 10000 and page["numberReturned"] == 500
    box = f"{ground.x - 1.99},{ground.y + 5.01},{ground.x - 1.97},{ground.y + 5.03}"
    assert anonymous.get(f"/ogc/collections/{code}/items", params={"bbox": box}).json()["numberMatched"] == 2
    assert time.monotonic() - begun < 10
    print(f"tile {taken:.2f} s, page and box {time.monotonic() - begun:.2f} s")
