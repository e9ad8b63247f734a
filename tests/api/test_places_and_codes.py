# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rules of places, partners and code lists that need data."""
import pytest

from wardmote_records import unique


@pytest.fixture(name="place")
def _place(administrator):
    """place(...) makes a locality of one boundary set."""
    answer = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Wards"})
    assert answer.status == 201

    def make(**members):
        made = administrator.post("/v1/localities", {"boundary_set_id": answer.json()["id"], "code": unique("W"), "name": "Ward", **members})
        assert made.status == 201, made.text()
        return made.json()

    return make


def change(client, path, **members):
    return client.patch(path, members, headers={"If-Match": "*"})


def test_parents_of_localities_form_a_tree(administrator, place):
    top = place()
    middle = place(parent_id=top["id"])
    low = place(parent_id=middle["id"])
    answer = change(administrator, f"/v1/localities/{top['id']}", parent_id=low["id"])
    assert (answer.status, answer.codes()) == (422, [("/parent_id", "cycle")])


def test_parents_of_partners_form_a_tree(administrator, records):
    top = records.partner()
    low = records.partner(parent_id=top.id)
    answer = change(administrator, f"/v1/partners/{top.id}", parent_id=low.id)
    assert (answer.status, answer.codes()) == (422, [("/parent_id", "cycle")])


def test_a_code_is_unique_in_its_boundary_set(administrator, place):
    first = place()
    answer = administrator.post("/v1/localities", {"boundary_set_id": first["boundary_set_id"], "code": first["code"], "name": "Again"})
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (409, "/code")


def test_a_locality_keeps_its_boundary_set(administrator, place):
    first, second = place(), administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Other"}).json()
    answer = change(administrator, f"/v1/localities/{first['id']}", boundary_set_id=second["id"])
    assert (answer.status, answer.codes()) == (422, [("/boundary_set_id", "create_only")])


def test_a_successor_is_another_locality(administrator, place):
    old, new = place(), place()
    assert change(administrator, f"/v1/localities/{old['id']}", successor_ids=[new["id"]], valid_to="2025-03-31").status == 200
    answer = change(administrator, f"/v1/localities/{old['id']}", successor_ids=[old["id"]])
    assert (answer.status, answer.codes()) == (422, [("/successor_ids", "self")])
    named = administrator.delete(f"/v1/localities/{new['id']}", headers={"If-Match": "*"})
    assert (named.status, named.codes()) == (409, [("", "in_use")])


def test_a_geometry_goes_in_and_out(administrator, place):
    square = {"type": "Polygon", "coordinates": [[[1.2, 52.6], [1.3, 52.6], [1.3, 52.7], [1.2, 52.7], [1.2, 52.6]]]}
    made = place(geometry=square)
    assert made["geometry"] == {"type": "MultiPolygon", "coordinates": [square["coordinates"]]}
    listed = administrator.get("/v1/localities", params={"boundary_set_id": made["boundary_set_id"]}).json()["items"]
    assert "geometry" not in listed[0]
    crossed = [[[1.2, 52.6], [1.3, 52.7], [1.3, 52.6], [1.2, 52.7], [1.2, 52.6]]]
    answer = change(administrator, f"/v1/localities/{made['id']}", geometry={"type": "Polygon", "coordinates": crossed})
    assert (answer.status, answer.codes()) == (422, [("/geometry", "invalid_geometry")])


def test_a_community_of_place_names_its_locality(partner, place):
    body = {"name": unique("Neighbours"), "kind": "place"}
    answer = partner.officer.post("/v1/communities", body)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])
    assert partner.officer.post("/v1/communities", {**body, "locality_id": place()["id"], "place_basis": "live"}).status == 201
    answer = partner.officer.post("/v1/communities", {"name": "Runners", "kind": "interest", "place_basis": "live"})
    assert (answer.status, answer.codes()) == (422, [("/place_basis", "not_allowed")])


def test_own_codes_map_to_shared_ones(administrator, partner):
    shared, own = unique("topic"), unique("own")
    assert administrator.post("/v1/codes", {"list": "topic", "code": shared, "label": "Shared", "partner_id": None}).status == 201
    body = {"list": "topic", "code": own, "label": "Own", "maps_to": shared}
    assert partner.officer.post("/v1/codes", body).status == 201
    assert partner.officer.post("/v1/codes", {**body, "code": unique("own"), "maps_to": own}).codes() == [("/maps_to", "not_found")]
    assert partner.officer.post("/v1/codes", {**body, "code": unique("own"), "list": "method"}).codes() == [("/maps_to", "not_found")]
    taken = partner.officer.post("/v1/codes", {"list": "topic", "code": shared, "label": "Mine"})
    assert (taken.status, taken.codes()) == (409, [("/code", "not_unique")])
    refused = administrator.post("/v1/codes", {"list": "topic", "code": unique("s"), "label": "S", "partner_id": None, "maps_to": shared})
    assert (refused.status, refused.codes()) == (422, [("/maps_to", "not_allowed")])


def test_only_administrators_share_codes(partner):
    answer = partner.manager.post("/v1/codes", {"list": "topic", "code": unique("t"), "label": "T", "partner_id": None})
    assert answer.status == 403


def test_a_code_in_use_is_not_deleted(partner):
    made = partner.officer.post("/v1/codes", {"list": "topic", "code": unique("t"), "label": "T"}).json()
    assert partner.officer.post("/v1/consultations", {"title": "C", "topics": [made["code"]]}).status == 201
    answer = partner.officer.delete(f"/v1/codes/{made['id']}", headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("/code", "in_use")])


def test_a_partnership_has_a_partner_once_at_a_time(administrator, partner):
    def rows(*spans):
        return [{"partner_id": partner.id, "role": "member", "from": start, "to": end} for start, end in spans]

    body = {"name": unique("Partnership")}
    again = rows(("2001-01-01", "2005-12-31"), ("2010-01-01", None))
    assert administrator.post("/v1/partnerships", {**body, "members": again}).status == 201
    answer = administrator.post("/v1/partnerships", {**body, "members": rows((None, None), ("2010-01-01", "2009-01-01"))})
    assert (answer.status, answer.codes()) == (422, [("/members/1/partner_id", "duplicate"), ("/members/1/to", "order")])


def test_activities_keep_their_times_in_order(partner):
    body = {"title": "Walk", "kind": "event", "starts_on": "2026-03-07", "start_time": "10:00"}
    assert partner.officer.post("/v1/activities", {**body, "ends_on": "2026-03-08", "end_time": "09:00"}).status == 201
    answer = partner.officer.post("/v1/activities", {**body, "end_time": "09:00"})
    assert (answer.status, answer.codes()) == (422, [("/end_time", "order")])
    answer = partner.officer.post("/v1/activities", {**body, "cancelled_reason": "Rain"})
    assert (answer.status, answer.codes()) == (422, [("/cancelled_reason", "not_allowed")])


def test_an_activity_belongs_to_a_consultation_that_one_may_write(partner, other):
    consultation = partner.officer.post("/v1/consultations", {"title": "C", "visibility": "public"}).json()
    body = {"title": "Walk", "kind": "event", "consultation_id": consultation["id"], "point": {"type": "Point", "coordinates": [1.29, 52.63]}}
    made = partner.officer.post("/v1/activities", body)
    assert (made.status, made.json()["point"]["coordinates"]) == (201, [1.29, 52.63])
    answer = other.officer.post("/v1/activities", body)
    assert (answer.status, answer.codes()) == (422, [("/consultation_id", "not_writable")])


def test_a_code_is_looked_for_in_the_fields_list(partner):
    topic, method = unique("t"), unique("m")
    for name, code in (("topic", topic), ("method", method)):
        assert partner.officer.post("/v1/codes", {"list": name, "code": code, "label": "L"}).status == 201
    answer = partner.officer.post("/v1/consultations", {"title": "Lists", "topics": [topic, method, unique("none")], "methods": [method]})
    assert (answer.status, answer.codes()) == (422, [("/topics/1", "not_found"), ("/topics/2", "not_found")])
