# SPDX-License-Identifier: AGPL-3.0-or-later
"""Boundaries that are none: each gets a clear answer, in every way to write one."""
import json

import pytest

from wardmote_client import Client
from wardmote_records import unique

POLYGON = '{"type":"Polygon","coordinates":%s}'
GOOD = "[[[1.2,52.6],[1.3,52.6],[1.3,52.7],[1.2,52.7],[1.2,52.6]]]"

BAD = {
    "unclosed": (POLYGON % "[[[1,52],[2,52],[2,53],[1,53]]]", 400, "unclosed"),
    "self-crossing": (POLYGON % "[[[1,52],[2,53],[2,52],[1,53],[1,52]]]", 422, "invalid_geometry"),
    "a hole outside": (POLYGON % "[[[1,52],[2,52],[2,53],[1,53],[1,52]],[[5,52],[6,52],[6,53],[5,53],[5,52]]]", 422, "invalid_geometry"),
    "without an area": (POLYGON % "[[[1,52],[1,52],[1,52],[1,52]]]", 422, "invalid_geometry"),
    "axes swapped": (POLYGON % "[[[52.6,1.2],[52.6,1.3],[52.7,1.3],[52.7,1.2],[52.6,1.2]]]", 422, "axes_swapped"),
    "outside the world": (POLYGON % "[[[181,52],[182,52],[182,53],[181,53],[181,52]]]", 400, "range"),
    "in metres": (POLYGON % "[[[623000,308000],[623100,308000],[623100,308100],[623000,308100],[623000,308000]]]", 400, "range"),
    "three dimensions": (POLYGON % "[[[1,52,5],[2,52,5],[2,53,5],[1,53,5],[1,52,5]]]", 400, "dimension"),
    "empty": (POLYGON % "[]", 400, "length"),
    "an empty ring": (POLYGON % "[[]]", 400, "length"),
    "too few positions": (POLYGON % "[[[1,52],[2,52],[1,52]]]", 400, "length"),
    "an empty multipolygon": ('{"type":"MultiPolygon","coordinates":[]}', 400, "length"),
    "a point": ('{"type":"Point","coordinates":[1,52]}', 400, "enum"),
    "a collection": ('{"type":"GeometryCollection","geometries":[]}', 400, "unknown_field"),
    "its own crs": ('{"type":"Polygon","coordinates":' + GOOD + ',"crs":{"type":"name","properties":{"name":"EPSG:27700"}}}', 400, "unknown_field"),
    "not a number": (POLYGON % '[[["1",52],[2,52],[2,53],[1,52]]]', 400, "type"),
    "no coordinates": ('{"type":"Polygon"}', 400, "required"),
    "text": ('"POLYGON((1 52,2 52,2 53,1 52))"', 400, "type"),
    "too many positions": (POLYGON % ("[[" + ",".join(["[1,52]"] * 250001) + "]]"), 413, "too_many_positions"),
}
GRID = {
    "off the grid": (POLYGON % "[[[-1,0],[10,0],[10,10],[-1,10],[-1,0]]]", 400, "range"),
    "in degrees south": (POLYGON % "[[[1,-52],[2,-52],[2,-51],[1,-51],[1,-52]]]", 400, "range"),
    "self-crossing on the grid": (POLYGON % "[[[0,0],[800000,1400000],[800000,0],[0,1400000],[0,0]]]", 422, "invalid_geometry"),
}
JSON, PATCH = {"Content-Type": "application/json"}, {"Content-Type": "application/merge-patch+json", "If-Match": "*"}


@pytest.fixture(scope="module", name="here")
def _here(administrator):
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("bad"), "name": "Bad"}).json()["id"]
    body = {"boundary_set_id": boundary_set, "code": unique("B"), "name": "Good", "external_id": unique("bad"), "geometry": json.loads(POLYGON % GOOD)}
    return boundary_set, administrator.post("/v1/localities", body).json()


def sent(client, here, geometry, crs):
    """The answers to a POST, a PUT of a new and of the old record, and a PATCH."""
    boundary_set, old = here

    def body(code):
        return f'{{"boundary_set_id":"{boundary_set}","code":"{code}","name":"Bad","geometry":{geometry}}}'.encode()

    return [client.post("/v1/localities", body=body(unique("B")), headers=JSON, params=crs),
            client.put("/v1/localities", body=body(unique("B")), headers=JSON, params={"external_id": unique("bad"), **crs}),
            client.put("/v1/localities", body=body(old["code"]), headers=JSON, params={"external_id": old["external_id"], **crs}),
            client.patch(f"/v1/localities/{old['id']}", body=f'{{"geometry":{geometry}}}'.encode(), headers=PATCH, params=crs)]


@pytest.mark.parametrize("name", [*BAD, *GRID])
def test_a_bad_boundary_gets_a_clear_answer(administrator, here, name):
    geometry, status, code = {**BAD, **GRID}[name]
    for answer in sent(administrator, here, geometry, {"crs": "EPSG:27700"} if name in GRID else {}):
        assert answer.status == status, answer.text()[:500]
        assert code in {found for place, found in answer.codes()} and all(place.startswith("/geometry") for place, _ in answer.codes()), answer.text()[:500]
    assert administrator.get(f"/v1/localities/{here[1]['id']}").json() == here[1]


@pytest.mark.parametrize("coordinates, code", [("[52.6,1.2]", "axes_swapped"), ("[181,1]", "range"), ("[1,2,3]", "dimension"), ("[]", "type")])
def test_a_bad_point_does_too(partner, coordinates, code):
    body = f'{{"title":"Point","kind":"event","point":{{"type":"Point","coordinates":{coordinates}}}}}'.encode()
    answer = partner.officer.post("/v1/activities", body=body, headers=JSON)
    assert answer.status == (422 if code == "axes_swapped" else 400) and {found for _, found in answer.codes()} == {code}


def test_where_the_axes_may_lie_is_a_setting(server, start_server, here, administrator):
    """Without a map's extent nothing is said of axes: an installation may be anywhere."""
    client = Client(start_server(map_extent="", public_url=server.url), administrator.contract, administrator.coverage, administrator.token)
    body = {"boundary_set_id": here[0], "code": unique("B"), "name": "Somewhere",
            "geometry": {"type": "Polygon", "coordinates": [[[52.6, 1.2], [52.6, 1.3], [52.7, 1.3], [52.6, 1.2]]]}}
    assert client.post("/v1/localities", body).status == 201
