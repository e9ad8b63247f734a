# SPDX-License-Identifier: AGPL-3.0-or-later
"""Referral routes: to whom what concerns others is passed on."""
import pytest

from wardmote_records import unique


def test_a_route_leads_somewhere(partner, other):
    answer = partner.officer.post("/v1/referral-routes", {"title": "Fly-tipping"})
    assert (answer.status, answer.codes()) == (422, [("/to_partner_id", "required")])
    assert partner.officer.post("/v1/referral-routes", {"title": "Fly-tipping", "to_partner_id": other.id}).status == 201


@pytest.mark.parametrize("field, resource", [("to_service_area_id", "service-areas"), ("to_contact_id", "contacts")])
def test_to_a_team_or_a_post(partner, records, field, resource):
    target = records.make(resource, partner.officer)["id"]
    made = partner.officer.post("/v1/referral-routes", {"title": "Fly-tipping", field: target})
    assert made.status == 201, made.text()
    path = made.headers["location"]
    answer = partner.officer.patch(path, {field: None}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/to_partner_id", "required")])
    refused = partner.officer.delete(f"/v1/{resource}/{target}", headers={"If-Match": "*"})
    assert (refused.status, refused.codes()[0][1]) == (409, "in_use")


def test_routes_of_a_topic_and_a_place(partner, other, records):
    topic, locality = records.code("topic"), records.shared("localities")["id"]
    made = partner.officer.post("/v1/referral-routes", {"title": unique("Route"), "to_partner_id": other.id, "topics": [topic], "locality_ids": [locality],
                                                        "within_days": 2, "visibility": "shared"})
    found = other.viewer.get("/v1/referral-routes", params={"topics": topic, "locality_ids": locality, "partner_id": partner.id,
                                                           "include": "to_partner"}).json()["items"]
    assert [(item["id"], item["within_days"], item["to_partner"]["id"]) for item in found] == [(made.json()["id"], 2, other.id)]


def test_it_does_not_end_before_it_begins(partner, other):
    body = {"title": "Fly-tipping", "to_partner_id": other.id, "valid_from": "2026-02-01"}
    answer = partner.officer.post("/v1/referral-routes", {**body, "valid_to": "2026-01-31"})
    assert (answer.status, answer.codes()) == (400, [("/valid_to", "order")])
    made = partner.officer.post("/v1/referral-routes", body)
    answer = partner.officer.patch(made.headers["location"], {"valid_to": "2026-01-31"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/valid_to", "order")])
