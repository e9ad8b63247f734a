# SPDX-License-Identifier: AGPL-3.0-or-later
"""Communities: what they count as, what their members have in common, what keeps them from taking part."""
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


def community(client, **members):
    return client.post("/v1/communities", {"name": unique("Community"), "kind": "interest", **members})


def test_own_terms_count_as_shared_codes(administrator, partner):
    """R36: an owner keeps its own word, and maps it to one that the network shares."""
    shared, own = unique("shared"), unique("own")
    made(administrator.post("/v1/codes", {"list": "community", "code": shared, "label": "Shared", "partner_id": None}))
    mapped = made(partner.officer.post("/v1/codes", {"list": "community", "code": own, "label": "Own", "maps_to": shared}))
    record = made(community(partner.officer, codes=[own, shared], visibility="public"))
    assert record["codes"] == [own, shared]
    for code in (own, shared):
        found = partner.officer.get("/v1/communities", params={"codes": code}).json()["items"]
        assert [item["id"] for item in found] == [record["id"]]
    answer = partner.officer.delete(f"/v1/codes/{mapped['id']}", headers=ANY)
    assert (answer.status, answer.codes()) == (409, [("/code", "in_use")])
    assert partner.officer.patch(f"/v1/communities/{record['id']}", {"codes": []}, headers=ANY).status == 200
    assert partner.officer.delete(f"/v1/codes/{mapped['id']}", headers=ANY).status == 204


def test_a_code_of_another_list_is_none_of_a_community(partner):
    topic = made(partner.officer.post("/v1/codes", {"list": "topic", "code": unique("topic"), "label": "Topic"}))["code"]
    answer = community(partner.officer, codes=[topic])
    assert (answer.status, answer.codes()) == (422, [("/codes/0", "not_found")])


def test_what_members_have_in_common_is_one_of_seven(partner):
    every = ["interests", "circumstances", "backgrounds", "disadvantage", "need", "aspiration", "concern"]
    assert made(community(partner.officer, basis=every))["basis"] == every
    answer = community(partner.officer, basis=["interests", "age", "interests"])
    assert (answer.status, sorted(answer.codes())) == (422, [("/basis/1", "enum"), ("/basis/2", "duplicate")])


def test_barriers_are_open_until_somebody_says_otherwise(partner):
    record = made(community(partner.officer, barriers=[{"kind": "language", "text": "Letters in English only"}]))
    assert record["barriers"] == [{"kind": "language", "text": "Letters in English only", "mitigation": None, "status": "open"}]
    path = f"/v1/communities/{record['id']}"
    mitigated = [{"kind": "language", "text": "Letters in English only", "mitigation": "An interpreter", "status": "mitigated"}]
    assert partner.officer.patch(path, {"barriers": mitigated}, headers=ANY).json()["barriers"] == mitigated
    assert partner.officer.get(path, params={"as_of": record["updated_at"]}).json()["barriers"] == record["barriers"]


@pytest.mark.parametrize("barrier", [{"kind": "weather"}, {"text": "No kind"}, {"kind": "time", "status": "gone"}])
def test_a_barrier_has_a_kind_and_a_state_of_the_lists(partner, barrier):
    assert community(partner.officer, barriers=[barrier]).status == 400


def test_a_category_belongs_to_a_dimension(partner):
    answer = community(partner.officer, profile_category="65 and over")
    assert (answer.status, answer.codes()) == (422, [("/profile_dimension", "required")])
    record = made(community(partner.officer, profile_dimension="age", profile_category="65 and over", code="older"))
    assert (record["profile_dimension"], record["profile_category"], record["code"]) == ("age", "65 and over", "older")


def test_who_asks_a_community_sees_its_barriers(partner, anonymous):
    barrier = {"kind": "language", "text": "Letters in English only", "mitigation": "An interpreter", "status": "open"}
    asked = made(community(partner.officer, barriers=[barrier], visibility="public"))
    consultation = made(partner.officer.post("/v1/consultations", {"title": unique("Buses"), "community_ids": [asked["id"]], "visibility": "public"}))
    shown = anonymous.get(f"/v1/consultations/{consultation['id']}", params={"include": "communities"})
    assert shown.status == 200, shown.text()
    assert [each["barriers"] for each in shown.json()["communities"]] == [[barrier]]
