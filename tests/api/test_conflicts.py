# SPDX-License-Identifier: AGPL-3.0-or-later
"""Conflicts that no resource has in common with another: unique codes, gates behind PUT, keys of single operations."""
import wardmote_server
from wardmote_client import Client
from wardmote_records import unique

STAR = {"If-Match": "*"}


def test_a_partners_code_is_taken_once(administrator, records):
    code = unique("code")
    records.make("partners", code=code)
    answer = administrator.post("/v1/partners", records.body("partners", code=code))
    assert answer.status == 409 and answer.codes() == [("/code", "not_unique")]
    record = records.make("partners", code=unique("code"))
    answer = administrator.patch(f"/v1/partners/{record['id']}", {"code": code}, headers=STAR)
    assert answer.status == 409 and answer.codes() == [("/code", "not_unique")]


def test_a_nightly_run_does_not_undo_a_gate(partner):
    reference, body = {"external_id": unique("gate")}, {"title": "Gates", "everyone": True, "visibility": "shared"}
    record = partner.officer.put("/v1/consultations", body, params=reference).json()
    moved = partner.officer.post(f"/v1/consultations/{record['id']}/transitions", {"to": "planned"}, headers=STAR)
    assert moved.status == 200, moved.text()
    answer = partner.officer.put("/v1/consultations", {**body, "visibility": "private", "everyone": False}, params=reference)
    assert answer.status == 409
    assert {place for place, _ in answer.codes()} == {"/visibility", "/locality_ids"}


def test_a_scored_register_keeps_its_scale_under_put(partner, records):
    reference, body = {"external_id": unique("scale")}, records.body("risk-registers", partner.manager)
    register = partner.manager.put("/v1/risk-registers", body, params=reference).json()
    records.make("risks", partner.manager, risk_register_id=register["id"])
    other = records.make("risk-scales", visibility="public")["id"]
    answer = partner.manager.put("/v1/risk-registers", {**body, "risk_scale_id": other}, params=reference)
    assert answer.status == 409 and answer.codes() == [("/risk_scale_id", "in_use")]


def test_a_key_of_a_step_is_good_for_that_step(partner):
    record = partner.officer.post("/v1/consultations", {"title": "Keys", "everyone": True, "visibility": "shared"}).json()
    path, key = f"/v1/consultations/{record['id']}/transitions", {**STAR, "Idempotency-Key": unique("step")}
    first = partner.officer.post(path, {"to": "planned"}, headers=key)
    again = partner.officer.post(path, {"to": "planned"}, headers=key)
    assert (first.status, again.status, again.headers.get("idempotency-replayed")) == (200, 200, "true")
    other = partner.officer.post(path, {"to": "cancelled", "reason": "No"}, headers=key)
    assert other.status == 422 and other.json()["type"].endswith("/problems/key-reused")



def test_the_last_administrator_is_not_erased(cluster, start_server, contract, anonymous):
    """Nobody could run the installation any more. In a database of its own, where there is only one."""
    cluster.setup("lonely")
    host = wardmote_server.make_administrator(cluster, "lonely")
    public = Client(start_server(database="lonely"), contract, anonymous.coverage)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    answer = administrator.post(f"/v1/accounts/{host['account_id']}/erasure")
    assert answer.status == 409, answer.text()
    assert administrator.get("/v1/me").status == 200
