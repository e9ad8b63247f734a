# SPDX-License-Identifier: AGPL-3.0-or-later
"""Plans of localities: what comes first in them, who makes them, when they are due."""
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


@pytest.fixture(name="locality")
def _locality(administrator, records):
    return records.make("localities", administrator, visibility="public")


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


def plan(client, locality, **members):
    return client.post("/v1/locality-plans", {"title": unique("Plan"), "kind": "community", "locality_id": locality["id"], **members})


def test_a_published_plan_says_when(partner, locality):
    answer = plan(partner.officer, locality, status="published")
    assert (answer.status, answer.codes()) == (422, [("/published_on", "required")])
    record = made(plan(partner.officer, locality, status="agreed", edition="first"))
    published = {"status": "published", "published_on": "2026-03-31", "url": "https://example.org/plan"}
    answer = partner.officer.patch(f"/v1/locality-plans/{record['id']}", published, headers=ANY)
    assert answer.status == 200 and published.items() <= answer.json().items()


def test_what_a_plan_puts_first(partner, other, locality):
    """In the order in which it was given, among the needs that its writer sees."""
    needs = [made(partner.officer.post("/v1/needs", {"title": unique("Need"), "locality_id": locality["id"]})) for _ in range(3)]
    order = [needs[2]["id"], needs[0]["id"], needs[1]["id"]]
    exercise = made(partner.officer.post("/v1/mapping-exercises", {"title": unique("Map"), "locality_id": locality["id"]}))
    record = made(plan(partner.officer, locality, priority_need_ids=order, mapping_exercise_id=exercise["id"]))
    assert record["priority_need_ids"] == order
    shown = partner.officer.get(f"/v1/locality-plans/{record['id']}", params={"include": "priority_needs,locality,mapping_exercise"}).json()
    assert {each["id"] for each in shown["priority_needs"]} == set(order) and shown["mapping_exercise"]["title"] == exercise["title"]
    assert partner.officer.delete(f"/v1/needs/{order[0]}", headers=ANY).codes() == [("", "in_use")]
    hidden = made(other.officer.post("/v1/needs", {"title": unique("Need"), "locality_id": locality["id"]}))
    answer = plan(partner.officer, locality, priority_need_ids=[order[0], hidden["id"]])
    assert (answer.status, answer.codes()) == (422, [("/priority_need_ids/1", "not_found")])


def test_who_makes_a_plan_and_who_carries_it_out(partner, other, locality):
    group = made(partner.officer.post("/v1/community-groups", {"name": unique("Group"), "kind": "forum"}))
    partners = [{"partner_id": partner.id, "role": "producing"}, {"partner_id": partner.id, "role": "delivering"}, {"partner_id": other.id, "role": "delivering"}]
    groups = [{"community_group_id": group["id"], "role": "producing"}]
    record = made(plan(partner.officer, locality, partner_contributors=partners, group_contributors=groups))
    assert (record["partner_contributors"], record["group_contributors"]) == (partners, groups)
    shown = partner.officer.get(f"/v1/locality-plans/{record['id']}", params={"include": "contributing_partners,contributing_groups"}).json()
    assert {each["id"] for each in shown["contributing_partners"]} == {partner.id, other.id}
    assert [each["name"] for each in shown["contributing_groups"]] == [group["name"]]
    answer = plan(partner.officer, locality, partner_contributors=[*partners, partners[0]], group_contributors=groups * 2)
    assert (answer.status, sorted(answer.codes())) == (422, [("/group_contributors/1/community_group_id", "duplicate"),
                                                             ("/partner_contributors/3/partner_id", "duplicate")])


def test_plans_that_are_due(partner, locality):
    days = {day: made(plan(partner.officer, locality, due_on=day))["id"] for day in ("2027-03-31", None, "2026-03-31")}
    listed = partner.officer.get("/v1/locality-plans", params={"locality_id": locality["id"], "sort": "due_on"}).json()["items"]
    assert [each["id"] for each in listed] == [days["2026-03-31"], days["2027-03-31"], days[None]]
    late = partner.officer.get("/v1/locality-plans", params={"locality_id": locality["id"], "due_on.lt": "2027-01-01", "status": "draft,agreed"}).json()["items"]
    assert [each["id"] for each in late] == [days["2026-03-31"]]
