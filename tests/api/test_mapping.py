# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mapping exercises and what they find: places, kinds, and who last made sure."""
import datetime

import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}
POINT = {"type": "Point", "coordinates": [1.29, 52.63]}


@pytest.fixture(name="locality")
def _locality(administrator):
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Estates"}).json()
    return administrator.post("/v1/localities", {"boundary_set_id": boundary_set["id"], "code": unique("E"), "name": "Estate"}).json()


def item(client, **members):
    return client.post("/v1/map-items", {"name": unique("Item"), "kind": "facility", **members})


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


def test_an_exercise_that_was_held_says_when(partner, locality):
    body = {"title": unique("Map"), "locality_id": locality["id"]}
    answer = partner.officer.post("/v1/mapping-exercises", {**body, "status": "held"})
    assert (answer.status, answer.codes()) == (422, [("/held_on", "required")])
    record = made(partner.officer.post("/v1/mapping-exercises", {**body, "status": "held", "held_on": "2009-10-01", "held_on_precision": "month"}))
    answer = partner.officer.patch(f"/v1/mapping-exercises/{record['id']}", {"held_on": None}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/held_on", "required")])


def test_who_takes_part_in_an_exercise(administrator, partner, other, locality):
    role = made(administrator.post("/v1/codes", {"list": "mapping_role", "code": unique("residents"), "label": "Residents", "partner_id": None}))["code"]
    record = made(partner.officer.post("/v1/mapping-exercises", {"title": unique("Map"), "locality_id": locality["id"], "roles": [role],
                                                                   "partner_ids": [partner.id, other.id], "notes": "Bring pens", "visibility": "shared"}))
    for name, value in (("roles", role), ("partner_ids", other.id), ("locality_id", locality["id"])):
        found = partner.officer.get("/v1/mapping-exercises", params={name: value, "id": record["id"]}).json()["items"]
        assert [each["id"] for each in found] == [record["id"]], name
    assert "notes" not in other.officer.get(f"/v1/mapping-exercises/{record['id']}").json()
    assert administrator.delete(f"/v1/localities/{locality['id']}", headers=ANY).codes() == [("", "in_use")]


def test_exercises_without_a_date_come_last(partner, locality):
    titles = {}
    for held_on in (None, "2030-01-01", "2010-01-01"):
        titles[held_on] = made(partner.officer.post("/v1/mapping-exercises", {"title": unique("Map"), "locality_id": locality["id"], "held_on": held_on}))["id"]
    listed = partner.officer.get("/v1/mapping-exercises", params={"locality_id": locality["id"], "sort": "held_on"}).json()["items"]
    assert [each["id"] for each in listed] == [titles["2010-01-01"], titles["2030-01-01"], titles[None]]


def test_an_item_is_somewhere(partner, locality):
    answer = item(partner.officer)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])
    assert item(partner.officer, point=POINT).status == 201
    record = made(item(partner.officer, locality_id=locality["id"]))
    answer = partner.officer.patch(f"/v1/map-items/{record['id']}", {"locality_id": None}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])
    assert partner.officer.patch(f"/v1/map-items/{record['id']}", {"locality_id": None, "point": POINT}, headers=ANY).status == 200


def test_what_an_item_is(anonymous, partner, other, locality):
    """N-36, N-40: facilities and how they are used, activities and how they might be extended, strengths, gaps and aspirations."""
    exercise = made(partner.officer.post("/v1/mapping-exercises", {"title": unique("Map"), "locality_id": locality["id"]}))
    group = made(partner.officer.post("/v1/community-groups", {"name": unique("Club"), "kind": "youth"}))
    common = {"mapping_exercise_id": exercise["id"], "locality_id": locality["id"], "visibility": "public"}
    hall = made(item(partner.officer, **common, aspect="strength", use="Lunch club", ownership="community", venue=True, step_free=True, hearing_loop=False))
    gap = made(item(partner.officer, **common, kind="activity", aspect="gap", extension_idea="Evenings, too"))
    club = made(item(partner.officer, **common, kind="key_player_group", community_group_id=group["id"]))
    player = made(item(partner.officer, **common, kind="key_player_partner", key_partner_id=other.id))
    assert (hall["step_free"], hall["hearing_loop"], hall["interpreter"]) == (True, False, None)

    def found(**params):
        listed = anonymous.get("/v1/map-items", params={"mapping_exercise_id": exercise["id"], **params})
        assert listed.status == 200, listed.text()
        return {each["id"] for each in listed.json()["items"]}

    assert found() == {hall["id"], gap["id"], club["id"], player["id"]}
    assert found(aspect="gap") == {gap["id"]} and found(venue="true", step_free="true") == {hall["id"]}
    assert found(kind="key_player_group,key_player_partner") == {club["id"], player["id"]}
    assert found(community_group_id=group["id"]) == {club["id"]} and found(key_partner_id=other.id) == {player["id"]}
    for path in (f"/v1/mapping-exercises/{exercise['id']}", f"/v1/community-groups/{group['id']}"):
        assert partner.officer.delete(path, headers=ANY).codes() == [("", "in_use")]


def test_what_was_never_verified_comes_first(partner, locality):
    days = {day: made(item(partner.officer, locality_id=locality["id"], last_verified_on=day, verified_by=day and "Neighbourhood team"))["id"]
            for day in ("2024-05-01", None, "2026-05-01")}
    listed = partner.officer.pages("/v1/map-items", params={"locality_id": locality["id"], "sort": "last_verified_on", "limit": "1"})
    assert [each["id"] for each in listed] == [days[None], days["2024-05-01"], days["2026-05-01"]]


def test_nothing_is_verified_on_a_day_to_come(partner, locality):
    later = (datetime.date.today() + datetime.timedelta(days=2)).isoformat()
    answer = item(partner.officer, locality_id=locality["id"], last_verified_on=later)
    assert (answer.status, answer.codes()) == (422, [("/last_verified_on", "not_allowed")])
    answer = partner.officer.post("/v1/community-groups", {"name": unique("Club"), "kind": "youth", "last_verified_on": later})
    assert (answer.status, answer.codes()) == (422, [("/last_verified_on", "not_allowed")])
