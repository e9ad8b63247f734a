# SPDX-License-Identifier: AGPL-3.0-or-later
"""Service areas and service entries: who delivers what where, to what standard."""
import contextlib

import pytest

from wardmote_records import unique


def test_codes_of_service_areas_are_their_partners_own(partner, other):
    code = unique("parks")
    body = {"code": code, "name": "Parks"}
    assert partner.officer.post("/v1/service-areas", body).status == 201
    again = partner.officer.post("/v1/service-areas", body)
    assert (again.status, again.codes()) == (409, [("/code", "not_unique")])
    assert other.officer.post("/v1/service-areas", body).status == 201


@pytest.mark.parametrize("given, kept", [(12.5, 12.5), (0, 0), (9999, 9999), (7.25, 7.25), (None, None)])
def test_full_time_equivalents_have_two_decimals(partner, given, kept):
    made = partner.officer.post("/v1/service-areas", {"code": unique("team"), "name": "Team", "fte_planned": given})
    assert (made.status, made.json()["fte_planned"]) == (201, kept)
    assert partner.viewer.get(made.headers["location"]).json()["fte_planned"] == kept


@pytest.mark.parametrize("given", [-0.5, 10000, "12", True])
def test_no_other_figures(partner, given):
    answer = partner.officer.post("/v1/service-areas", {"code": unique("team"), "name": "Team", "fte_in_post": given})
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (400, "/fte_in_post")


def test_how_many_work_there_is_for_partners(partner, anonymous):
    made = partner.officer.post("/v1/service-areas", {"code": unique("team"), "name": "Team", "fte_planned": 3.5, "fte_in_post": 2})
    assert "fte_planned" not in anonymous.get(made.headers["location"]).json()
    assert partner.viewer.get(made.headers["location"]).json()["fte_in_post"] == 2


def test_a_service_area_names_who_is_accountable(partner, anonymous):
    post = partner.officer.post("/v1/contacts", {"post": unique("Head of parks"), "kind": "officer", "visibility": "public"}).json()
    made = partner.officer.post("/v1/service-areas", {"code": unique("parks"), "name": "Parks", "accountable_contact_id": post["id"]})
    assert anonymous.get(made.headers["location"], params={"include": "accountable_contact"}).json()["accountable_contact"]["post"] == post["post"]


def test_a_published_standard_says_what_it_is(partner):
    answer = partner.officer.post("/v1/service-entries", {"name": "Advice", "standard_published_on": "2026-01-01"})
    assert (answer.status, answer.codes()) == (422, [("/standard", "required")])
    answer = partner.officer.post("/v1/service-entries", {"name": "Advice", "standard": "Within five days", "standard_published_on": "2026-01-01"})
    assert answer.status == 201


def test_services_are_found_by_what_they_are_for(partner, other, records, anonymous):
    locality, topic, name = records.shared("localities")["id"], records.code("topic"), unique("Advice")
    made = partner.officer.post("/v1/service-entries", {
        "name": name, "description": "Advice on rents and repairs", "locality_ids": [locality], "topics": [topic],
        "co_located_partner_ids": [other.id], "jointly_managed_partner_ids": [other.id], "point": {"type": "Point", "coordinates": [1.29, 52.63]}})
    assert made.status == 201, made.text()
    identifier = made.json()["id"]
    for params in ({"locality_ids": locality}, {"topics": topic}, {"co_located_partner_ids": other.id}, {"jointly_managed_partner_ids": other.id},
                   {"q": "repairs"}, {"bbox": "1.2,52.6,1.3,52.7"}, {"status": "active", "name": name}):
        found = anonymous.get("/v1/service-entries", params={**params, "partner_id": partner.id}).json()["items"]
        assert identifier in [item["id"] for item in found], params
    assert anonymous.get("/v1/service-entries", params={"partner_id": partner.id, "status": "defunct"}).json()["items"] == []
    feature = anonymous.get("/v1/service-entries.geojson", params={"id": identifier}).json()["features"][0]
    assert feature["geometry"]["coordinates"] == [1.29, 52.63]


@pytest.mark.parametrize("resource, body", [("service-entries", {"name": "Advice"}), ("referral-routes", {"title": "Litter", "to_partner_id": "own"})])
def test_a_code_that_a_service_holds_is_in_use(partner, resource, body):
    code = partner.officer.post("/v1/codes", {"list": "topic", "code": unique("rare"), "label": "Rare", "visibility": "private"})
    assert code.status == 201, code.text()
    body = {key: partner.id if value == "own" else value for key, value in body.items()}
    holder = partner.officer.post(f"/v1/{resource}", {**body, "topics": [code.json()["code"]]})
    assert holder.status == 201, holder.text()
    refused = partner.officer.delete(code.headers["location"], headers={"If-Match": "*"})
    assert refused.status == 409, refused.text()
    assert partner.officer.delete(holder.headers["location"], headers={"If-Match": "*"}).status == 204
    assert partner.officer.delete(code.headers["location"], headers={"If-Match": "*"}).status == 204


SQUARE = {"type": "Polygon", "coordinates": [[[-3.02, 50.01], [-3.0, 50.01], [-3.0, 50.03], [-3.02, 50.03], [-3.02, 50.01]]]}


def test_services_of_a_place(partner, records, anonymous):
    """For it, or at it: with one question, whatever the boundaries are."""
    locality = records.make("localities", visibility="public", geometry=SQUARE)["id"]
    served = partner.officer.post("/v1/service-entries", {"name": unique("Served"), "locality_ids": [locality]}).json()["id"]
    there = partner.officer.post("/v1/service-entries", {"name": unique("There"), "point": {"type": "Point", "coordinates": [-3.04, 50.02]}}).json()["id"]

    def found(**params):
        return {item["id"] for item in anonymous.get("/v1/service-entries", params={"partner_id": partner.id, **params}).json()["items"]} & {served, there}

    assert found(point="-3.01,50.02") == {served}
    assert found(near="-3.03,50.02", radius=1000) == {served, there}
    assert found(near="-3.04,50.02", radius=100) == {there}
    assert found(bbox="-3.05,50.0,-3.03,50.03") == {there}
    assert found(bbox="-3.05,50.0,-3.01,50.03") == {served, there}
    assert found(point="-3.06,50.02") == set()
    assert anonymous.get("/v1/service-entries", params={"near": "-3.03,50.02"}).status == 400
    assert found(postcode="ZZ99 9ZZ") == set()


def test_a_team_works_in_a_locality_of_another_partner(partner, administrator, anonymous, records):
    """Its own code and name, on boundaries that somebody else draws."""
    boundaries = records.make("boundary-sets", administrator, visibility="public")
    locality = records.make("localities", administrator, boundary_set_id=boundaries["id"], visibility="public")
    made = partner.officer.post("/v1/service-areas", {"code": unique("team"), "name": "Team", "locality_id": locality["id"], "visibility": "public"})
    assert made.status == 201 and locality["partner_id"] != partner.id, made.text()
    found = anonymous.get("/v1/service-areas", params={"locality_id": locality["id"], "include": "locality"}).json()["items"]
    assert [(each["id"], each["locality"]["code"]) for each in found] == [(made.json()["id"], locality["code"])]


def test_a_further_holder_of_codes_forgets_none(partner, records, cluster):
    """A migration that registers a column makes the question anew: services and routes are still among those who hold codes."""
    topic = records.code("topic")
    body = {"name": unique("Advice"), "topics": [topic]}
    assert partner.officer.post("/v1/service-entries", body).status == 201
    assert partner.officer.post("/v1/referral-routes", {"title": unique("Route"), "topics": [topic], "to_partner_id": partner.id}).status == 201
    with contextlib.closing(cluster.connect("wardmote_owner")) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        asked = "SELECT wardmote.code_uses('topic', %s, NULL)"
        cursor.execute(asked, (topic,))
        before = cursor.fetchone()
        cursor.execute("DELETE FROM wardmote.code_holder WHERE thing = 'mapping_exercise'")
        cursor.execute("SELECT wardmote.holds_codes('mapping_exercise', 'roles', 'mapping_role')")
        cursor.execute(asked, (topic,))
        assert cursor.fetchone() == before and before[0] >= 2
        connection.rollback()
