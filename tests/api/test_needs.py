# SPDX-License-Identifier: AGPL-3.0-or-later
"""Needs: whose they are, what shows them, what became of them."""
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


@pytest.fixture(name="community")
def _community(partner):
    return partner.officer.post("/v1/communities", {"name": unique("Community"), "kind": "interest", "visibility": "public"}).json()


def need(client, **members):
    return client.post("/v1/needs", {"title": unique("Need"), **members})


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


def test_a_need_is_somebodys(administrator, records, partner, community):
    answer = need(partner.officer)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])
    locality = records.make("localities", administrator, visibility="public")
    for whose in ({"community_id": community["id"]}, {"locality_id": locality["id"]}, {"community_id": community["id"], "locality_id": locality["id"]}):
        record = made(need(partner.officer, **whose))
        assert whose.items() <= record.items()
        assert (record["kind"], record["nature"], record["origin"], record["status"]) == ("service", "need", "community", "open")
    answer = partner.officer.patch(f"/v1/needs/{record['id']}", {"community_id": None, "locality_id": None}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])


def test_a_declined_need_has_a_reason(partner, community):
    record = made(need(partner.officer, community_id=community["id"]))
    path = f"/v1/needs/{record['id']}"
    answer = partner.officer.patch(path, {"status": "declined"}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/reason", "required")])
    assert partner.officer.patch(path, {"status": "declined", "reason": "The hall is sold"}, headers=ANY).status == 200
    answer = partner.officer.patch(path, {"reason": None}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/reason", "required")])


def test_what_shows_a_need(records, partner, community):
    consultation = records.make("consultations", partner.officer)
    gap = made(partner.officer.post("/v1/map-items", {"name": unique("Gap"), "kind": "facility", "aspect": "gap",
                                                      "point": {"type": "Point", "coordinates": [1.29, 52.63]}}))
    evidence = [{"title": "Survey", "url": "https://example.org/survey", "as_at": "2026-02-28"}, {"title": "Minutes", "url": None, "as_at": None}]
    record = made(need(partner.officer, community_id=community["id"], origin="mapping", evidence=evidence, map_item_id=gap["id"],
                       consultation_id=consultation["id"], partner_ids=[partner.id]))
    assert record["evidence"] == evidence
    shown = partner.officer.get(f"/v1/needs/{record['id']}", params={"include": "map_item,consultation,partners"}).json()
    assert (shown["map_item"]["name"], shown["map_item"]["aspect"], shown["consultation"]["id"]) == (gap["name"], "gap", consultation["id"])
    assert [each["id"] for each in shown["partners"]] == [partner.id]
    assert partner.officer.delete(f"/v1/map-items/{gap['id']}", headers=ANY).codes() == [("", "in_use")]
    assert need(partner.officer, community_id=community["id"], evidence=[{"url": "https://example.org"}]).status == 400


def test_activities_name_the_needs_that_they_answer(partner, other, community):
    record, hidden = made(need(partner.officer, community_id=community["id"])), made(need(other.officer, community_id=community["id"]))
    hall = made(partner.officer.post("/v1/map-items", {"name": unique("Hall"), "kind": "facility", "point": {"type": "Point", "coordinates": [1.29, 52.63]}}))
    body = {"title": unique("Course"), "kind": "capacity_building"}
    activity = made(partner.officer.post("/v1/activities", {**body, "need_ids": [record["id"]], "map_item_id": hall["id"]}))
    for name, value in (("need_ids", record["id"]), ("map_item_id", hall["id"])):
        assert [each["id"] for each in partner.officer.get("/v1/activities", params={name: value}).json()["items"]] == [activity["id"]]
    shown = partner.officer.get(f"/v1/activities/{activity['id']}", params={"include": "needs,map_item"}).json()
    assert ([each["title"] for each in shown["needs"]], shown["map_item"]["name"]) == ([record["title"]], hall["name"])
    assert partner.officer.delete(f"/v1/needs/{record['id']}", headers=ANY).codes() == [("", "in_use")]
    answer = partner.officer.post("/v1/activities", {**body, "need_ids": [hidden["id"]]})
    assert (answer.status, answer.codes()) == (422, [("/need_ids/0", "not_found")])
    assert made(partner.officer.post("/v1/activities", body))["need_ids"] == []


def test_the_newest_needs_come_first(partner, community):
    days = {day: made(need(partner.officer, community_id=community["id"], raised_on=day))["id"] for day in ("2024-05-01", None, "2026-05-01")}
    listed = partner.officer.get("/v1/needs", params={"community_id": community["id"], "sort": "-raised_on"}).json()["items"]
    assert [each["id"] for each in listed] == [days["2026-05-01"], days["2024-05-01"], days[None]]


def test_needs_that_several_partners_work_on(partner, other, administrator, records):
    """By activities that the caller sees, of different partners, and none that was called off."""
    locality = records.shared("localities")["id"]
    needs = {name: made(need(partner.officer, locality_id=locality, title=unique(name), visibility="public"))["id"]
             for name in ("by two", "by one twice", "by one and one called off", "by one and one in private", "by none")}

    def answer(client, name, **members):
        made(client.post("/v1/activities", {"title": unique("Course"), "kind": "training", "visibility": "public", "need_ids": [needs[name]], **members}))

    for name in ("by two", "by one twice", "by one and one called off", "by one and one in private"):
        answer(partner.officer, name)
    answer(other.officer, "by two")
    answer(partner.officer, "by one twice")
    answer(other.officer, "by one and one called off", status="cancelled")
    answer(other.officer, "by one and one in private", visibility="private")

    def found(client, joint):
        listed = client.get("/v1/needs", params={"locality_id": locality, "joint": joint, "limit": 500})
        assert listed.status == 200, listed.text()
        ids = {item["id"] for item in listed.json()["items"]}
        return {name for name, id_ in needs.items() if id_ in ids}

    for client, joint in ((administrator, {"by two"}), (other.viewer, {"by two", "by one and one in private"})):
        assert (found(client, "true"), found(client, "false")) == (joint, set(needs) - joint)
    narrow = records.account(partner.id, "viewer", ["needs:read"])
    assert found(narrow, "true") == found(narrow, "false") == set()
