# SPDX-License-Identifier: AGPL-3.0-or-later
"""Priority designations: whom a partner puts first, on what evidence, and when; and what activities say of their cost and places."""
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}
EVIDENCE = {"reason": "deprivation_index", "index_name": "imd", "rank": 1204, "evidence_date": "2025-10-30"}


@pytest.fixture(scope="module", name="locality")
def _locality(administrator, records):
    return records.make("localities", administrator, visibility="public")["id"]


@pytest.fixture(name="community")
def _community(partner):
    return made(partner.officer.post("/v1/communities", {"name": unique("Community"), "kind": "identity"}))["id"]


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


def designate(client, **members):
    return client.post("/v1/priority-designations", {"valid_from": "2026-01-01", "reason": "profile", **members})


# --- designations ---

def test_a_neighbourhood_or_a_community(partner, locality, community):
    for whose in ({"locality_id": locality}, {"community_id": community}):
        record = made(designate(partner.officer, **whose))
        assert whose.items() <= record.items() and (record["status"], record["valid_to"], record["visibility"]) == ("priority", None, "private")
    answer = designate(partner.officer)
    assert (answer.status, answer.codes()) == (422, [("/locality_id", "required")])
    answer = designate(partner.officer, locality_id=locality, community_id=community)
    assert (answer.status, answer.codes()) == (422, [("/community_id", "not_allowed")])


@pytest.mark.parametrize("lacking, codes", [
    ({"index_name": None}, ["/index_name"]), ({"evidence_date": None}, ["/evidence_date"]), ({"rank": None}, ["/rank"]),
    ({"index_name": None, "evidence_date": None, "rank": None, "decile": 1}, ["/evidence_date", "/index_name", "/rank"])])
def test_an_index_is_evidence_with_its_day(partner, locality, lacking, codes):
    answer = designate(partner.officer, locality_id=locality, **EVIDENCE | lacking)
    assert (answer.status, sorted(answer.codes())) == (422, [(pointer, "evidence_required") for pointer in codes])


def test_a_score_does_for_a_rank(partner, locality):
    record = made(designate(partner.officer, locality_id=locality, **EVIDENCE | {"rank": None, "score": 51.27, "decile": 1}))
    assert (record["score"], record["rank"], record["decile"]) == (51.27, None, 1)
    path = f"/v1/priority-designations/{record['id']}"
    answer = partner.officer.patch(path, {"score": None}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/rank", "evidence_required")])
    assert partner.officer.patch(path, {"score": None, "reason": "remoteness"}, headers=ANY).status == 200


def test_another_reason_is_told(partner, locality):
    answer = designate(partner.officer, locality_id=locality, reason="other")
    assert (answer.status, answer.codes()) == (422, [("/reason_text", "required")])
    assert made(designate(partner.officer, locality_id=locality, reason="other", reason_text="The mine closed", status="targeted"))["status"] == "targeted"


def test_days_in_order(partner, locality):
    assert designate(partner.officer, locality_id=locality, valid_to="2025-12-31").codes() == [("/valid_to", "order")]
    record = made(designate(partner.officer, locality_id=locality, valid_to="2026-06-30"))
    answer = partner.officer.patch(f"/v1/priority-designations/{record['id']}", {"valid_to": "2025-12-31"}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/valid_to", "order")])


def test_in_force_on_a_day(administrator, records, partner):
    place = records.make("localities", administrator, visibility="public")["id"]
    first = made(designate(partner.officer, locality_id=place, valid_from="2024-01-01", valid_to="2025-12-31"))["id"]
    second = made(designate(partner.officer, locality_id=place, valid_from="2026-01-01", status="targeted"))["id"]
    for day, found in (("2023-12-31", []), ("2024-01-01", [first]), ("2025-12-31", [first]), ("2026-01-01", [second]), ("2099-01-01", [second])):
        items = partner.viewer.get("/v1/priority-designations", params={"locality_id": place, "in_force_on": day}).json()["items"]
        assert [item["id"] for item in items] == found, day
    answer = administrator.delete(f"/v1/localities/{place}", headers=ANY)
    assert (answer.status, answer.codes()) == (409, [("", "in_use")])


# --- activities ---

@pytest.fixture(scope="module", name="pair")
def _pair(administrator, records):
    return [records.make("localities", administrator, visibility="public")["id"] for _ in range(2)]


def activity(client, **members):
    return client.post("/v1/activities", {"title": unique("Activity"), "kind": "community_development", **members})


def shares(*pairs):
    return [{"locality_id": locality, "share": share} for locality, share in pairs]


def test_shares_of_localities(partner, pair):
    given = shares((pair[0], 0.25), (pair[1], 0.75))
    record = made(activity(partner.officer, locality_ids=pair, locality_shares=given))
    assert record["locality_shares"] == given
    assert partner.officer.get(f"/v1/activities/{record['id']}").json()["locality_shares"] == given
    path = f"/v1/activities/{record['id']}"
    answer = partner.officer.patch(path, {"locality_ids": pair[:1]}, headers=ANY)
    assert (answer.status, answer.codes()) == (422, [("/locality_shares/1/locality_id", "shares")])
    assert partner.officer.patch(path, {"locality_ids": pair[:1], "locality_shares": []}, headers=ANY).json()["locality_shares"] == []


def test_shares_that_do_not_fit(partner, pair, locality):
    first, second = pair
    for given, codes in (
            (shares((first, 0.5), (second, 0.4)), [("/locality_shares", "shares")]), (shares((first, 0.5), (second, 0.502)), [("/locality_shares", "shares")]),
            (shares((first, 0.5), (first, 0.5)), [("/locality_shares/1/locality_id", "duplicate")]),
            (shares((first, 0.5), (locality, 0.5)), [("/locality_shares/1/locality_id", "shares")])):
        answer = activity(partner.officer, locality_ids=pair, locality_shares=given)
        assert (answer.status, answer.codes()) == (422, codes)
    made(activity(partner.officer, locality_ids=pair, locality_shares=shares((first, 0.333), (second, 0.6665))))
    for share in (-0.1, 1.1, "1", None):
        assert activity(partner.officer, locality_ids=pair, locality_shares=shares((first, share))).status == 400


def test_a_locality_with_a_share_stays(administrator, partner, pair):
    made(activity(partner.officer, locality_ids=pair[:1], locality_shares=shares((pair[0], 1))))
    assert (administrator.delete(f"/v1/localities/{pair[0]}", headers=ANY).status) == 409


def test_cost_is_for_partners(partner, anonymous):
    record = made(activity(partner.officer, cost_pence=45000, investment_type="soft", visibility="public"))
    assert (record["cost_pence"], record["investment_type"]) == (45000, "soft")
    shown = anonymous.get(f"/v1/activities/{record['id']}").json()
    assert "cost_pence" not in shown and shown["investment_type"] == "soft"
    assert anonymous.get("/v1/activities", params={"fields": "cost_pence"}).status == 400
    found = partner.viewer.get("/v1/activities", params={"investment_type": "soft", "fields": "cost_pence", "title": record["title"]}).json()["items"]
    assert [item["cost_pence"] for item in found] == [45000]
    for wrong in ({"cost_pence": -1}, {"cost_pence": 1.5}, {"investment_type": "firm"}):
        assert activity(partner.officer, **wrong).status == 400
