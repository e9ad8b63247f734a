# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages of long boundaries are shorter than asked for: of two with 300,000 positions each, one has room in a page of 500,000."""
import pytest

from wardmote_client import Client
from wardmote_records import unique

POSITIONS = 300_001


@pytest.fixture(scope="module", name="long_set")
def _long_set(cluster, administrator, records):
    """Two localities with the rim of a circle, and one without a boundary; put in beside the triggers, which would draw each."""
    boundary_set = records.make("boundary-sets")["id"]
    ids = [administrator.post("/v1/localities", {"boundary_set_id": boundary_set, "code": unique("w"), "name": f"{number} long"}).json()["id"] for number in range(3)]
    connection = cluster.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE wardmote.locality SET geometry = ST_Multi(ST_Buffer(ST_SetSRID(ST_MakePoint(1.29, 52.63), 4326), 0.1, 75000)) WHERE id = ANY (%s::uuid[])",
                       (ids[:2],))
        cursor.execute("SELECT ST_NPoints(geometry) FROM wardmote.locality WHERE id = %s", (ids[0],))
        assert cursor.fetchone() == (POSITIONS,)
    connection.commit()
    connection.close()
    return boundary_set, ids


def page_of(client, path, member="items"):
    """Its ids, how many positions it has, and the way to the next."""
    answer = client.get(path)
    assert answer.status == 200, answer.text()
    body = answer.json()
    records = [item.get("record", item) for item in body[member]]
    shapes = [record["geometry"]["coordinates"] for record in records if record["geometry"] is not None]
    after = [link["href"][link["href"].index("/v1/"):] for link in body["links"] if link["rel"] == "next"]
    return [record["id"] for record in records], sum(len(ring) for shape in shapes for polygon in shape for ring in polygon), after


def test_a_page_ends_before_too_many_positions(administrator, long_set):
    boundary_set, ids = long_set
    plain = Client(administrator.server, None, None, administrator.token)  # to hold so much against the document takes a minute
    path = f"/v1/localities?boundary_set_id={boundary_set}&fields=name"
    first, positions, after = page_of(plain, path + "&sort=name&geometry=full&count=exact")
    assert (first, positions) == (ids[:1], POSITIONS)
    assert page_of(plain, after[0]) == (ids[1:], POSITIONS, [])
    first, positions, after = page_of(plain, path.replace("?", ".geojson?") + "&sort=-name", "features")
    assert (first, positions, len(after)) == (ids[:0:-1], POSITIONS, 1)
    plain.patch(f"/v1/localities/{ids[0]}", {"population": 1}, headers={"If-Match": "*"})
    newest, positions, after = page_of(plain, f"/v1/localities/{ids[0]}/history")
    assert (newest, positions) == (ids[:1], POSITIONS)
    assert page_of(plain, after[0]) == (ids[:1], POSITIONS, [])


def test_what_is_not_shown_does_not_count(administrator, long_set):
    boundary_set, ids = long_set
    for form in ("simplified", "none"):
        page, positions, after = page_of(administrator, f"/v1/localities?boundary_set_id={boundary_set}&sort=name&geometry={form}&fields=name,geometry")
        assert (page, after) == (ids, []) and positions < 1000
    assert administrator.get(f"/v1/localities.csv?boundary_set_id={boundary_set}&sort=name&fields=name").text().count("long") == 3
