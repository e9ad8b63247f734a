# SPDX-License-Identifier: AGPL-3.0-or-later
"""Programs that sync every night: PUT by external_id, retries with a key, and nothing written where nothing differs."""
import threading
import time

from wardmote_records import unique


def test_fifty_activities_put_twice_are_fifty(records):
    owner = records.partner()
    rows = [({"title": f"Session {number}", "kind": "meeting", "starts_on": "2026-05-01"}, f"crm/{number}?x=1&y") for number in range(50)]
    statuses, tags = [], []
    for _ in range(2):
        for body, reference in rows:
            answer = owner.officer.put("/v1/activities", body, params={"external_id": reference})
            statuses.append(answer.status)
            tags.append(answer.etag)
    assert statuses == [201] * 50 + [200] * 50
    assert tags[:50] == tags[50:]
    assert owner.viewer.get("/v1/activities", params={"partner_id": owner.id, "count": "exact", "limit": "1"}).json()["count"] == 50


def test_what_the_body_leaves_out_is_reset_but_who_sees_it_stays(partner, other):
    reference = {"external_id": unique("sync")}
    body = {"name": unique("Sync"), "kind": "interest", "description": "text", "visibility": "shared", "grants": [{"partner_id": other.id, "right": "read"}]}
    first = partner.manager.put("/v1/communities", body, params=reference)
    assert first.status == 201, first.text()
    again = partner.officer.put("/v1/communities", {"name": body["name"], "kind": "interest"}, params=reference).json()
    assert (again["id"], again["version"], again["description"]) == (first.json()["id"], 2, None)
    assert (again["visibility"], again["grants"]) == ("shared", body["grants"])


def test_a_grant_sets_nothing_that_only_the_owner_sees(partner, other):
    reference = unique("ref")
    grants = [{"partner_id": other.id, "right": "write"}]
    hidden = {"notes": "For us alone", "external_id": reference, "grants": grants}
    record = partner.manager.post("/v1/consultations", {"title": "Granted", **hidden}).json()
    path = f"/v1/consultations/{record['id']}"
    for member in ({"notes": "Overwritten"}, {"notes": "For us alone"}, {"external_id": unique("ref")}, {"grants": grants}):
        answer = other.manager.patch(path, member, headers={"If-Match": "*"})
        assert answer.status == 403 and answer.codes() == [(f"/{next(iter(member))}", "owner_only")]
    assert other.officer.patch(path, {"summary": "Theirs to change"}, headers={"If-Match": "*"}).status == 200
    replaced = other.officer.put("/v1/consultations", {"title": "Replaced", "partner_id": partner.id}, params={"external_id": reference})
    assert replaced.status == 200 and "notes" not in replaced.json()
    stored = partner.viewer.get(path).json()
    assert (stored["title"], stored["summary"]) == ("Replaced", None)
    assert {name: stored[name] for name in hidden} == hidden


def test_create_but_do_not_replace(partner):
    target, headers = "/v1/activities?external_id=" + unique("ref"), {"If-None-Match": "*"}
    body = {"title": "Once", "kind": "visit"}
    first = partner.officer.put(target, body, headers=headers)
    assert first.status == 201
    assert partner.officer.put(target, body, headers=headers).status == 412
    assert partner.officer.put(target, {**body, "title": "Twice"}, headers=headers).status == 412
    assert partner.viewer.get(first.headers["location"]).json()["title"] == "Once"
    other_tag = partner.officer.put(target, body, headers={"If-None-Match": '"1-0"'})
    assert other_tag.status == 400 and other_tag.codes() == [("If-None-Match", "format")]


def test_two_partners_may_have_the_same_reference(partner, other):
    reference = {"external_id": unique("sync")}
    ids = {client.put("/v1/communities", {"name": "Same", "kind": "interest"}, params=reference).json()["id"]
           for client in (partner.officer, other.officer)}
    assert len(ids) == 2


def test_the_reference_is_required_and_bounded(partner):
    body = {"name": "Sync", "kind": "interest"}
    assert partner.officer.put("/v1/communities", body).codes() == [("external_id", "required")]
    assert partner.officer.put("/v1/communities", body, params={"external_id": ""}).status == 400
    assert partner.officer.put("/v1/communities", body, params={"external_id": "x" * 201}).status == 400
    assert partner.officer.put("/v1/communities", body, params={"external_id": "é" * 200}).status == 201


def test_a_dry_run_of_a_replacement_changes_nothing(partner):
    reference = {"external_id": unique("sync")}
    assert partner.officer.put("/v1/communities", {"name": "Dry", "kind": "interest"}, params={**reference, "dry_run": "true"}).status == 201
    first = partner.officer.put("/v1/communities", {"name": "Real", "kind": "interest"}, params=reference)
    assert first.status == 201
    assert partner.officer.put("/v1/communities", {"name": "Dry", "kind": "interest"}, params={**reference, "dry_run": "true"}).json()["name"] == "Dry"
    assert partner.viewer.get(f"/v1/communities/{first.json()['id']}").json()["name"] == "Real"


def together(count, work):
    """Runs work(number) at once in as many threads."""
    results, barrier = [None] * count, threading.Barrier(count)

    def run(number):
        barrier.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_one_key_sent_eight_times_at_once_creates_one_record(records, partner):
    key, name = unique("key"), unique("Once")
    clients = [partner.officer.as_token(partner.officer.token) for _ in range(8)]
    answers = together(8, lambda number: clients[number].post("/v1/communities", {"name": name, "kind": "interest"}, headers={"Idempotency-Key": key}))
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status == 201}) == 1
    for answer in answers:
        assert answer.status == 201 or answer.json()["type"].endswith("/problems/in-flight")
    assert len(partner.viewer.get("/v1/communities", params={"name": name}).json()["items"]) == 1
    assert records is not None


def test_a_refused_request_leaves_its_key_free(partner):
    headers = {"Idempotency-Key": unique("key")}
    assert partner.officer.post("/v1/communities", {"name": "", "kind": "interest"}, headers=headers).status == 400
    assert partner.officer.post("/v1/communities", {"name": "Good", "kind": "interest"}, headers=headers).status == 201


def test_a_long_answer_is_replayed_whole(partner):
    """Too long to be kept, it is rendered again: as the version that was answered, not as the record is now."""
    headers = {"Idempotency-Key": unique("key")}
    texts = ("summary", "take_part_how", "purpose", "relevance", "intended_outcome", "can_influence", "cannot_influence", "feedback_how", "notes")
    body = {"title": unique("Long"), **{name: "word " * 799 + "end" for name in texts}}
    first = partner.officer.post("/v1/consultations", body, headers=headers)
    assert first.status == 201 and len(first.text()) > 32768
    changed = partner.officer.patch(first.headers["location"], {"title": "Changed since"}, headers={"If-Match": first.etag})
    assert changed.status == 200
    again = partner.officer.post("/v1/consultations", body, headers=headers)
    assert (again.status, again.json(), again.etag) == (201, first.json(), first.etag)
    assert again.headers["idempotency-replayed"] == "true"


def test_keys_belong_to_a_partner(partner, other):
    headers = {"Idempotency-Key": unique("key")}
    ids = {client.post("/v1/communities", {"name": "Keys", "kind": "interest"}, headers=headers).json()["id"] for client in (partner.officer, other.officer)}
    assert len(ids) == 2


def test_keys_have_a_form(partner):
    for key in ("x" * 256, "ümlaut", "two words"):
        answer = partner.officer.post("/v1/communities", {"name": "Keys", "kind": "interest"}, headers={"Idempotency-Key": key.encode()})
        assert answer.status == 400 and answer.codes() == [("Idempotency-Key", "format")], key


def test_eight_changes_at_once_are_all_kept_or_refused(partner):
    record = partner.officer.post("/v1/communities", {"name": unique("Race"), "kind": "interest"})
    path = f"/v1/communities/{record.json()['id']}"
    clients = [partner.officer.as_token(partner.officer.token) for _ in range(8)]
    answers = together(8, lambda number: clients[number].patch(path, {"name": f"Race {number}"}, headers={"If-Match": record.etag}))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    assert partner.viewer.get(path).json()["version"] == 2


# --- the feed ---

def heard(client, ids, count):
    """The changes of these records, once `count` of them have come."""
    until = time.monotonic() + 10
    while True:
        found = [change for change in client.pages("/v1/changes", params={"limit": 500}) if change["id"] in ids]
        if len(found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_of_other_accounts_only_managers_hear(records, partner):
    account = records.account_record(partner.id, "officer")
    viewer = records.account_record(partner.id, "viewer")
    ids = {account["id"], viewer["id"]}
    assert {change["id"] for change in heard(partner.manager, ids, 2)} == ids
    client = partner.manager.as_token(partner.manager.token_for(viewer["client_id"], viewer["client_secret"]))
    assert {change["id"] for change in heard(client, ids, 1)} == {viewer["id"]}
