# SPDX-License-Identifier: AGPL-3.0-or-later
"""Risks: values of the register's scale and no others, a score that only the database computes, and scales that hold still under risks."""
import pytest

from wardmote_records import unique

LIKELIHOOD = [{"value": value, "label": label} for value, label in ((1, "rare"), (2, "unlikely"), (3, "possible"), (4, "likely"), (5, "very high"))]
IMPACT = [{"value": value, "label": label} for value, label in ((1, "insignificant"), (2, "minor"), (3, "moderate"), (5, "major"), (6, "catastrophic"))]


@pytest.fixture(name="scale")
def _scale(administrator):
    """Norwich's: impact has no 4."""
    answer = administrator.post("/v1/risk-scales", {"code": unique("scale"), "name": "Risk matrix", "likelihood": LIKELIHOOD, "impact": IMPACT,
                                                    "visibility": "shared"})
    assert answer.status == 201
    return answer.json()


@pytest.fixture(name="register")
def _register(partner, scale):
    answer = partner.officer.post("/v1/risk-registers", {"title": unique("Register"), "risk_scale_id": scale["id"]})
    assert answer.status == 201
    return answer.json()


def risk(client, register, **members):
    return client.post("/v1/risks", {"risk_register_id": register["id"], "title": unique("Risk"), **members})


def test_the_score_is_computed(partner, register):
    assert risk(partner.officer, register, likelihood=5, impact=6).json()["score"] == 30


def test_a_risk_need_not_be_assessed(partner, register):
    made = risk(partner.officer, register)
    assert (made.status, made.json()["score"]) == (201, None)


def test_likelihood_4_is_taken_and_impact_4_refused_with_what_is_allowed(partner, register):
    assert risk(partner.officer, register, likelihood=4, impact=3).status == 201
    answer = risk(partner.officer, register, likelihood=4, impact=4)
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/impact" and "1, 2, 3, 5, 6" in error["detail"]


def test_who_may_write_a_risk_hears_what_its_scale_allows(partner, other, register):
    """Though the register is another's."""
    partner.officer.patch(f"/v1/risk-registers/{register['id']}", {"visibility": "shared"}, headers={"If-Match": "*"})
    grants = [{"partner_id": other.id, "right": "write"}]
    made = risk(partner.manager, register, likelihood=4, impact=3, visibility="shared", grants=grants)
    assert made.status == 201, made.text()
    answer = other.officer.patch(made.headers["location"], {"impact": 4}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/impact", "not_in_scale")])


def test_both_or_neither(partner, register):
    answer = risk(partner.officer, register, likelihood=3)
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/impact")


def test_a_client_does_not_score(partner, register):
    answer = risk(partner.officer, register, likelihood=3, impact=3, score=9)
    assert (answer.status, answer.codes()) == (400, [("/score", "read_only")])


def test_a_code_is_unique_in_its_register(partner, register):
    assert risk(partner.officer, register, code="R-1").status == 201
    answer = risk(partner.officer, register, code="R-1")
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (409, "/code")


def test_a_scale_in_use_keeps_its_values(administrator, partner, register, scale):
    risk(partner.officer, register, likelihood=4, impact=6)
    shorter = [step for step in IMPACT if step["value"] != 6]
    answer = administrator.patch(f"/v1/risk-scales/{scale['id']}", {"impact": shorter}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("/impact", "in_use")])
    unused = [step for step in LIKELIHOOD if step["value"] != 5]
    assert administrator.patch(f"/v1/risk-scales/{scale['id']}", {"likelihood": unused}, headers={"If-Match": "*"}).status == 200


def test_a_scored_register_keeps_its_scale(administrator, partner, register):
    other = administrator.post("/v1/risk-scales", {"code": unique("scale"), "name": "Other", "likelihood": LIKELIHOOD, "impact": IMPACT,
                                                   "visibility": "shared"}).json()
    path = f"/v1/risk-registers/{register['id']}"
    risk(partner.officer, register)
    assert partner.officer.patch(path, {"risk_scale_id": other["id"]}, headers={"If-Match": "*"}).status == 200
    risk(partner.officer, register, likelihood=1, impact=1)
    answer = partner.officer.patch(path, {"risk_scale_id": register["risk_scale_id"]}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("/risk_scale_id", "in_use")])


def test_a_value_occurs_once_in_a_scale(administrator):
    answer = administrator.post("/v1/risk-scales", {"code": unique("scale"), "name": "Twice", "likelihood": LIKELIHOOD, "impact": IMPACT + IMPACT[:1]})
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/impact/5/value")


def test_risks_are_sorted_by_score_with_the_unassessed_first(partner, register):
    for values in ((5, 6), (None, None), (1, 2)):
        assert risk(partner.officer, register, likelihood=values[0], impact=values[1]).status == 201
    answer = partner.officer.get("/v1/risks", params={"risk_register_id": register["id"], "sort": "score"})
    assert [item["score"] for item in answer.json()["items"]] == [None, 2, 30]


def test_a_risk_goes_into_a_register_that_one_may_write(partner, other, register):
    partner.officer.patch(f"/v1/risk-registers/{register['id']}", {"visibility": "shared"}, headers={"If-Match": "*"})
    answer = risk(other.officer, register)
    assert (answer.status, answer.codes()) == (422, [("/risk_register_id", "not_writable")])


def test_a_register_with_risks_is_not_deleted(partner, register):
    risk(partner.officer, register)
    answer = partner.officer.delete(f"/v1/risk-registers/{register['id']}", headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("", "in_use")])
    assert "1 of risks" in answer.json()["errors"][0]["detail"]
