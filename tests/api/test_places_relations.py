# SPDX-License-Identifier: AGPL-3.0-or-later
"""How localities lie to one another: in, over, beside and below."""
import pytest

import places
from wardmote_records import absent_id

LOCALITIES = "/v1/localities"


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    return places.Ground(administrator, 2)


@pytest.fixture(scope="module", name="town")
def _town(ground):
    """A district of one set; of another set what lies in it, over its edge, beside it and far away."""
    districts, wards = ground.boundary_set(), ground.boundary_set()
    district = ground.square(districts, 0, 0, 0.4)
    return district, wards, {
        "in": ground.square(wards, 0.1, 0.1, 0.1, parent_id=district),
        "in at the edge": ground.square(wards, 0.3, 0.3, 0.1),
        "sliver out": ground.square(wards, 0.3005, 0, 0.1),
        "half out": ground.square(wards, 0.35, 0.15, 0.1),
        "a corner out": ground.square(wards, -0.05, -0.05, 0.1),
        "beside": ground.square(wards, 0.4, 0.3, 0.1),
        "at the corner": ground.square(wards, 0.4, 0.4, 0.1),
        "around": ground.square(wards, -0.5, -0.5, 1.5),
        "far": ground.square(wards, 2, 2, 0.1),
        "nowhere": ground.locality(wards),
        "hidden": ground.square(wards, 0.2, 0.2, 0.05, visibility="private"),
    }


def names(client, town, **params):
    found = client.get(LOCALITIES, params={"boundary_set_id": town[1], "limit": 500, **params})
    assert found.status == 200, found.text()
    ids = {item["id"] for item in found.json()["items"]}
    return {name for name, identifier in town[2].items() if identifier in ids}


def test_relations_to_a_locality_of_another_set(town, anonymous):
    district = town[0]
    inside = {"in", "in at the edge", "sliver out"}
    assert names(anonymous, town, within=district) == inside, "half a percent outside is a matter of how the line was drawn"
    assert names(anonymous, town, intersects=district) == inside | {"half out", "a corner out", "around"}
    assert names(anonymous, town, touches=district) == {"beside", "at the corner"}


def test_relations_are_joined_to_other_conditions(town, ground, anonymous):
    assert names(anonymous, town, intersects=town[0], point=ground.at(0.15, 0.15)) == {"in", "around"}
    counted = anonymous.get(LOCALITIES, params={"boundary_set_id": town[1], "within": town[0], "count": "exact", "limit": 1}).json()
    assert (counted["count"], len(counted["items"])) == (3, 1)


def test_a_locality_is_not_in_itself(town, anonymous):
    for relation in ("within", "intersects", "touches", "descendants_of"):
        found = anonymous.get(LOCALITIES, params={relation: town[0], "id": town[0]})
        assert found.json()["items"] == [], relation


def test_hidden_localities_stay_hidden(town, anonymous, administrator):
    hidden = town[2]["hidden"]
    assert "hidden" in names(administrator, town, within=town[0]) and "hidden" not in names(anonymous, town, within=town[0])
    for relation in ("within", "intersects", "touches", "descendants_of"):
        for identifier in (hidden, absent_id(), town[2]["nowhere"]):
            assert names(anonymous, town, **{relation: identifier}) == set()
    assert names(administrator, town, intersects=hidden) == {"around"}


def test_descendants(ground, anonymous, administrator):
    boundary_set = ground.boundary_set()
    top = ground.locality(boundary_set)
    middle = [ground.locality(boundary_set, parent_id=top) for _ in range(2)]
    low = [ground.locality(boundary_set, parent_id=middle[0]) for _ in range(2)]
    hidden = ground.locality(boundary_set, parent_id=middle[1], visibility="private")
    behind = ground.locality(boundary_set, parent_id=hidden)

    def below(client, identifier):
        return {item["id"] for item in client.get(LOCALITIES, params={"descendants_of": identifier}).json()["items"]}

    assert below(anonymous, top) == {*middle, *low} and below(anonymous, middle[0]) == set(low) and below(anonymous, low[0]) == set()
    assert below(administrator, top) == {*middle, *low, hidden, behind} and below(anonymous, hidden) == set()
