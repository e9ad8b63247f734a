# SPDX-License-Identifier: AGPL-3.0-or-later
"""The life of a consultation: one step at a time, every unmet gate at once, and no other way to change its status."""
import pytest

from wardmote_records import unique


@pytest.fixture(name="idea")
def _idea(partner):
    answer = partner.officer.post("/v1/consultations", {"title": unique("Crossings")})
    assert answer.status == 201
    return answer.json()


def move(client, record, to, reason=None, match="*", **options):
    body = {"to": to} if reason is None else {"to": to, "reason": reason}
    return client.post(f"/v1/consultations/{record['id']}/transitions", body, headers={"If-Match": match}, **options)


def change(client, record, **members):
    answer = client.patch(f"/v1/consultations/{record['id']}", members, headers={"If-Match": "*"})
    assert answer.status == 200, answer.text()
    return answer.json()


def faults(answer):
    assert answer.status == 409, answer.text()
    return {(error["pointer"], error["rule"]) for error in answer.json()["errors"]}


def opened(partner, record):
    change(partner.officer, record, everyone=True, visibility="public", open_on="2026-01-05", close_on="2099-01-30", summary="Where?", take_part_how="Write")
    for to in ("planned", "approved", "open"):
        assert move(partner.officer, record, to).status == 200
    return record


def test_every_unmet_gate_comes_at_once(partner, idea):
    assert faults(move(partner.officer, idea, "planned")) == {("/locality_ids", "planned.target"), ("/visibility", "R32")}


def test_no_step_is_left_out(partner, idea):
    change(partner.officer, idea, everyone=True, visibility="shared")
    assert ("/to", "life-cycle") in faults(move(partner.officer, idea, "approved"))


def test_from_idea_to_evaluated(partner, idea):
    opened(partner, idea)
    assert faults(move(partner.officer, idea, "closed")) == {("/reason", "closed.early")}
    closed = move(partner.officer, idea, "closed", "Everyone has answered")
    assert (closed.json()["status"], closed.json()["closed_early_reason"]) == ("closed", "Everyone has answered")
    assert faults(move(partner.officer, idea, "cancelled", "Too late")) == {("/to", "life-cycle")}
    for to in ("analysed", "fed_back", "evaluated"):
        assert move(partner.officer, idea, to).json()["status"] == to
    assert faults(move(partner.officer, idea, "analysed")) == {("/to", "life-cycle")}


def test_approval_needs_dates_and_the_law(partner, idea):
    change(partner.officer, idea, everyone=True, visibility="shared", statutory=True)
    assert move(partner.officer, idea, "planned").status == 200
    assert faults(move(partner.officer, idea, "approved")) == {("/legal_basis", "R08"), ("/open_on", "R09"), ("/close_on", "R09")}


def test_opening_needs_what_the_public_needs(partner, idea):
    change(partner.officer, idea, everyone=True, visibility="shared", open_on="2026-01-05", close_on="2026-01-30")
    assert move(partner.officer, idea, "planned").status == 200
    assert move(partner.officer, idea, "approved").status == 200
    assert faults(move(partner.officer, idea, "open")) == {("/visibility", "open.public"), ("/summary", "open.summary"), ("/take_part_url", "open.take-part")}


def test_a_change_does_not_undo_a_gate(partner, idea):
    opened(partner, idea)
    answer = partner.officer.patch(f"/v1/consultations/{idea['id']}", {"summary": None, "visibility": "private"}, headers={"If-Match": "*"})
    assert answer.status == 409
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/summary", "/visibility"}


def test_status_is_not_patched(partner, idea):
    answer = partner.officer.patch(f"/v1/consultations/{idea['id']}", {"status": "open"}, headers={"If-Match": "*"})
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/status")


def test_cancelling_needs_a_reason_and_shows_it(partner, idea):
    assert faults(move(partner.officer, idea, "cancelled")) == {("/reason", "cancelled.reason")}
    assert move(partner.officer, idea, "cancelled", "No money").json()["cancelled_reason"] == "No money"


def test_the_version_is_held_to(partner, idea):
    assert move(partner.officer, idea, "cancelled", "No money", match='"7-0"').status == 412
    assert partner.officer.post(f"/v1/consultations/{idea['id']}/transitions", {"to": "planned"}).status == 428
    stale = move(partner.officer, idea, "evaluated", match='"7-0"')
    assert stale.status == 412 and "errors" not in stale.json(), "the gates are those of a version that was not asked about"


def test_a_consultation_that_ends_on_its_day_has_no_early_end(partner, idea):
    change(partner.officer, opened(partner, idea), close_on="2026-01-30")
    closed = move(partner.officer, idea, "closed", "As it was planned").json()
    assert (closed["status"], closed["closed_early_reason"]) == ("closed", None)


def test_a_consultation_is_no_round_of_itself(partner, idea):
    answer = partner.officer.patch(f"/v1/consultations/{idea['id']}", {"round_of_id": idea["id"]}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/round_of_id", "self")])


def test_a_dry_run_moves_nothing(partner, idea):
    assert move(partner.officer, idea, "cancelled", "No money", params={"dry_run": "true"}).status == 200
    assert partner.officer.get(f"/v1/consultations/{idea['id']}").json()["status"] == "idea"


def test_who_may_move_it(partner, other, anonymous, idea):
    change(partner.officer, idea, visibility="shared")
    assert move(partner.viewer, idea, "planned").status == 403
    assert move(other.officer, idea, "planned").status == 403
    assert move(anonymous, idea, "planned").status == 401
    change(partner.officer, idea, visibility="private")
    assert move(other.officer, idea, "planned").status == 404


def test_who_may_move_it_is_not_left_to_the_policy(cluster, partner, other, idea):
    change(partner.officer, idea, visibility="shared", everyone=True)
    owner = cluster.connect()
    with owner.cursor() as cursor:
        cursor.execute("CREATE POLICY all_changed ON wardmote.consultation FOR UPDATE TO wardmote_api USING (true)")
        try:
            assert move(other.officer, idea, "planned").status == 403
        finally:
            cursor.execute("DROP POLICY all_changed ON wardmote.consultation")
            owner.close()
    assert partner.officer.get(f"/v1/consultations/{idea['id']}").json()["status"] == "idea"


def test_a_record_of_the_past_has_any_status_but_open(partner):
    past = {"title": "Place survey", "retrospective": True, "as_at": "2008-11-26"}
    made = partner.officer.post("/v1/consultations", {**past, "status": "closed"})
    assert (made.status, made.json()["status"]) == (201, "closed")
    assert partner.officer.post("/v1/consultations", {**past, "status": "open"}).status == 422
    assert move(partner.officer, made.json(), "analysed").json()["status"] == "analysed"


def test_what_is_new_starts_as_an_idea(partner):
    answer = partner.officer.post("/v1/consultations", {"title": "Now", "status": "approved", "as_at": "2026-01-01"})
    assert answer.status == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/status", "/as_at"}


def test_what_was_ever_visible_is_not_deleted(partner, idea):
    change(partner.officer, idea, visibility="shared")
    change(partner.officer, idea, visibility="private")
    answer = partner.officer.delete(f"/v1/consultations/{idea['id']}", headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("/visibility", "was_visible")])


def test_a_private_one_is_deleted(partner, idea):
    assert partner.officer.delete(f"/v1/consultations/{idea['id']}", headers={"If-Match": "*"}).status == 204


def test_a_partner_takes_part_once_and_one_leads(partner, other):
    rows = [{"partner_id": partner.id, "role": "lead"}, {"partner_id": other.id, "role": "lead"}, {"partner_id": partner.id.upper(), "role": "joint"}]
    answer = partner.officer.post("/v1/consultations", {"title": "Together", "partners": rows})
    assert answer.status == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/partners/1/role", "/partners/2/partner_id"}


def test_dates_stay_in_order_across_changes(partner, idea):
    change(partner.officer, idea, open_on="2026-03-01")
    answer = partner.officer.patch(f"/v1/consultations/{idea['id']}", {"close_on": "2026-02-01"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/close_on", "order")])
