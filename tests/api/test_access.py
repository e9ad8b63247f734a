# SPDX-License-Identifier: AGPL-3.0-or-later
"""What docs/access.md says beyond its tables, tried from the side of who wants more: grants, scopes, roles, hidden fields, cursors, keys, references."""
import time

import pytest

from wardmote_suite import until
from wardmote_records import absent_id, unique

ANY = {"If-Match": "*"}


def make(partner, **members):
    answer = partner.manager.post("/v1/communities", {"name": unique("Access"), "kind": "interest", **members})
    assert answer.status == 201, answer.text()
    return answer.json()


def change(client, record, **members):
    return client.patch(f"/v1/communities/{record['id']}", members, headers={"If-Match": "*"})


def test_a_grant_to_write_is_no_right_to_visibility_grants_owner_or_deletion(partner, other):
    record = make(partner, grants=[{"partner_id": other.id, "right": "write"}])
    assert change(other.officer, record, name="Changed by another").status == 200
    assert change(other.manager, record, visibility="public").status == 403
    assert change(other.manager, record, grants=[]).status in (400, 403)
    assert other.manager.delete(f"/v1/communities/{record['id']}", headers={"If-Match": "*"}).status == 403


def test_officers_set_visibility_and_managers_grants(partner, other):
    record = make(partner)
    assert change(partner.officer, record, visibility="shared").status == 200
    assert change(partner.officer, record, grants=[{"partner_id": other.id, "right": "read"}]).status == 403
    assert change(partner.manager, record, grants=[{"partner_id": other.id, "right": "read"}]).status == 200


def test_nobody_gives_a_record_away(partner, other):
    record = make(partner)
    answer = change(partner.manager, record, partner_id=other.id)
    assert answer.status == 422 and answer.codes() == [("/partner_id", "create_only")]
    foreign = partner.manager.post("/v1/communities", {"name": unique("Access"), "kind": "interest", "partner_id": other.id})
    assert foreign.status == 403


def test_a_scope_only_narrows(records, partner):
    reader = records.account(partner.id, "officer", scopes=["communities:read"])
    record = make(partner)
    assert reader.get(f"/v1/communities/{record['id']}").status == 200
    assert change(reader, record, name="No").status == 403
    answer = reader.get("/v1/activities")
    assert answer.status == 403
    assert 'error="insufficient_scope", scope="activities:read"' in answer.headers["www-authenticate"]


def test_embedded_records_are_only_those_that_the_caller_sees(partner, other):
    hidden = make(partner, visibility="private")
    shown = make(partner, visibility="shared")
    body = {"title": unique("Access"), "visibility": "shared", "community_ids": [hidden["id"], shown["id"]]}
    consultation = partner.officer.post("/v1/consultations", body).json()
    path = f"/v1/consultations/{consultation['id']}"
    own = partner.viewer.get(path, params={"include": "communities"}).json()
    foreign = other.viewer.get(path, params={"include": "communities"}).json()
    assert [item["id"] for item in own["communities"]] == [hidden["id"], shown["id"]]
    assert [item["id"] for item in foreign["communities"]] == [shown["id"]]


def test_a_reference_to_what_one_cannot_see_is_one_to_nothing(partner, other):
    hidden = make(partner, visibility="private")
    faults = []
    for target in (hidden["id"], absent_id()):
        answer = other.officer.post("/v1/consultations", {"title": unique("Access"), "community_ids": [target]})
        assert answer.status == 422
        faults.append([{**fault, "detail": fault["detail"].replace(target, "")} for fault in answer.json()["errors"]])
    assert faults[0] == faults[1]


def test_a_suspended_partner_is_out_at_once(administrator, records):
    gone = records.partner()
    assert gone.officer.get("/v1/me").status == 200
    path = f"/v1/partners/{gone.id}"
    assert administrator.patch(path, {"status": "suspended"}, headers={"If-Match": "*"}).status == 200
    assert gone.officer.get("/v1/me").status == 401
    assert administrator.patch(path, {"status": "active"}, headers={"If-Match": "*"}).status == 200
    assert gone.officer.get("/v1/me").status == 401, "a token that ended does not come back"
    assert records.account(gone.id, "officer").get("/v1/me").status == 200


def test_a_change_of_role_counts_from_the_next_request(administrator, records, partner):
    record = records.account_record(partner.id, "officer", by=partner.manager)
    client = administrator.as_token(administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.get("/v1/me").json()["role"] == "officer"
    assert partner.manager.patch(f"/v1/accounts/{record['id']}", {"role": "viewer"}, headers={"If-Match": "*"}).status == 200
    assert client.get("/v1/me").status == 401
    client = administrator.as_token(administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.post("/v1/communities", {"name": unique("Access"), "kind": "interest"}).status == 403


# --- grants ---

@pytest.mark.parametrize("right", ["read", "write"])
def test_a_grant_ends_with_the_next_request(partner, other, right):
    record = make(partner, grants=[{"partner_id": other.id, "right": right}])
    path = f"/v1/communities/{record['id']}"
    assert other.viewer.get(path).status == 200
    assert change(partner.manager, record, grants=[]).status == 200
    assert other.viewer.get(path).status == 404
    assert change(other.officer, record, name="Too late").status == 404


def test_a_grant_to_write_is_not_handed_on(partner, other, records):
    """By no way in: PATCH, PUT under the owner's reference, or a record that says it is somebody else's."""
    third = records.partner()
    reference = unique("reference")
    record = make(partner, external_id=reference, visibility="shared", grants=[{"partner_id": other.id, "right": "write"}])
    handed_on = [{"partner_id": other.id, "right": "write"}, {"partner_id": third.id, "right": "write"}]
    assert change(other.manager, record, grants=handed_on).status == 403
    assert change(other.manager, record, name="Both", visibility="public").status == 403
    body = {"name": "By PUT", "kind": "interest", "partner_id": partner.id}
    for extra in ({"grants": handed_on}, {"visibility": "public"}):
        assert other.manager.put("/v1/communities", {**body, **extra}, params={"external_id": reference}).status == 403
    assert other.manager.put("/v1/communities", body, params={"external_id": reference}).status == 200
    assert other.manager.put("/v1/communities", {**body, "partner_id": other.id}, params={"external_id": reference}).status == 201
    stored = partner.viewer.get(f"/v1/communities/{record['id']}").json()
    assert (stored["name"], stored["visibility"], stored["grants"]) == ("By PUT", "shared", record["grants"])


def test_officers_make_no_record_with_grants(partner, other):
    body = {"name": unique("Access"), "kind": "interest", "grants": [{"partner_id": other.id, "right": "read"}]}
    assert partner.officer.post("/v1/communities", body).status == 403
    assert partner.officer.put("/v1/communities", body, params={"external_id": unique("reference")}).status == 403
    assert partner.manager.post("/v1/communities", body).status == 201


# --- administrators ---

def test_administrators_read_no_private_record_and_make_none_for_others(administrator, partner, records):
    private = make(partner)
    assert administrator.get(f"/v1/communities/{private['id']}").status == 404
    assert administrator.patch(f"/v1/communities/{private['id']}", {"visibility": "public"}, headers=ANY).status == 404
    assert administrator.post("/v1/communities", {"name": unique("Access"), "kind": "interest", "partner_id": partner.id}).status == 403
    body = records.body("boundary-sets", partner_id=partner.id)
    answer = administrator.post("/v1/boundary-sets", {**body, "visibility": "private"})
    assert (answer.status, answer.codes()) == (403, [("/visibility", "not_yours")])
    made = administrator.post("/v1/boundary-sets", {**body, "visibility": "shared"}).json()
    answer = administrator.patch(f"/v1/boundary-sets/{made['id']}", {"visibility": "private"}, headers=ANY)
    assert (answer.status, answer.codes()) == (403, [("/visibility", "not_yours")])


# --- accounts ---

def test_nobody_makes_an_account_above_the_own_role(administrator, partner, host, records):
    service = {"kind": "service", "name": unique("Access")}
    own = records.account_record(partner.id, "officer", by=partner.manager)
    assert partner.manager.post("/v1/accounts", {**service, "role": "administrator"}).status in (403, 422)
    assert partner.manager.patch(f"/v1/accounts/{own['id']}", {"role": "administrator"}, headers=ANY).status in (403, 422)
    host_manager = records.account(host["partner_id"], "manager")
    made = records.account_record(host["partner_id"], "officer", by=host_manager)
    assert host_manager.post("/v1/accounts", {**service, "role": "administrator"}).status == 403
    assert host_manager.patch(f"/v1/accounts/{made['id']}", {"role": "administrator"}, headers=ANY).status == 403
    for path, body in ((f"/v1/accounts/{host['account_id']}/secrets", {"grace_seconds": 0}), (f"/v1/accounts/{host['account_id']}/erasure", None)):
        assert host_manager.post(path, body).status == 403
    assert host_manager.patch(f"/v1/accounts/{host['account_id']}", {"disabled": True}, headers=ANY).status == 403
    assert administrator.get("/v1/me").json()["role"] == "administrator"


def test_nobody_raises_the_own_account(partner, records):
    """A viewer or an officer changes nothing of it; a manager does not become more."""
    for role in ("viewer", "officer"):
        client = getattr(partner, role)
        own = client.get("/v1/me").json()["account_id"]
        for body in ({"role": "manager"}, {"scopes": None}, {"name": "Somebody"}):
            assert client.patch(f"/v1/accounts/{own}", body, headers=ANY).status == 403
        assert client.post(f"/v1/accounts/{own}/secrets", {"grace_seconds": 0}).status == 403
    reader = records.account(partner.id, "manager", ["accounts:read", "accounts:write"])
    own = reader.get("/v1/me").json()["account_id"]
    assert reader.patch(f"/v1/accounts/{own}", {"scopes": None}, headers=ANY).status in (403, 422)
    assert reader.patch(f"/v1/accounts/{own}", {"scopes": ["accounts:read", "risks:read"]}, headers=ANY).status in (403, 422)


def test_accounts_of_other_partners_are_out_of_reach(administrator, records):
    """For managers always; for administrators from the day on which the partner has a manager who is a person."""
    mine, theirs = records.partner(), records.partner()
    account = theirs.officer.get("/v1/me").json()["account_id"]
    assert mine.manager.get(f"/v1/accounts/{account}").status == 404
    assert mine.manager.post("/v1/accounts", {"kind": "service", "role": "viewer", "name": "Spy", "partner_id": theirs.id}).status == 403
    assert administrator.patch(f"/v1/accounts/{account}", {"name": "Renamed"}, headers=ANY).status == 200
    person = records.person(theirs.id, "manager")
    assert administrator.patch(f"/v1/accounts/{account}", {"name": "Again"}, headers=ANY).status == 403
    assert administrator.post("/v1/accounts", {"kind": "service", "role": "viewer", "name": "Spy", "partner_id": theirs.id}).status == 403
    assert administrator.post(f"/v1/accounts/{account}/secrets", {"grace_seconds": 0}).status == 403
    assert administrator.post(f"/v1/accounts/{account}/enrolments").status == 403
    assert administrator.post(f"/v1/accounts/{person['id']}/erasure").status == 403
    assert administrator.patch(f"/v1/accounts/{person['id']}", {"disabled": True}, headers=ANY).status == 403
    assert theirs.manager.get(f"/v1/accounts/{person['id']}").json()["recovered_at"] is None
    assert administrator.post(f"/v1/accounts/{person['id']}/enrolments").status == 201
    assert theirs.manager.get(f"/v1/accounts/{person['id']}").json()["recovered_at"] is not None


def test_an_account_without_any_scope_may_nothing(partner, records):
    """An empty list is not the absence of one."""
    answer = partner.manager.post("/v1/accounts", {"kind": "service", "role": "manager", "name": unique("None"), "scopes": []})
    if answer.status != 201:
        assert answer.status == 400
        return
    record = answer.json()
    client = partner.manager.as_token(records.administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.get("/v1/communities").status == 403
    assert client.post("/v1/communities", {"name": unique("Access"), "kind": "interest"}).status == 403


# --- scopes ---

def test_a_scope_covers_the_operations_of_its_resource_only(records, partner):
    reader = records.account(partner.id, "manager", ["consultations:read"])
    consultation = partner.officer.post("/v1/consultations", {"title": unique("Access")}).json()
    path = f"/v1/consultations/{consultation['id']}"
    assert reader.get(path).status == 200
    assert reader.post(f"{path}/transitions", {"to": "planned"}, headers=ANY).status == 403
    assert reader.patch(path, {"title": "No"}, headers=ANY).status == 403
    assert reader.delete(path, headers=ANY).status == 403
    assert reader.put("/v1/consultations", {"title": "No"}, params={"external_id": unique("reference")}).status == 403
    writer = records.account(partner.id, "manager", ["consultations:write"])
    assert writer.get(path).status == 403
    assert writer.patch(path, {"title": "Yes"}, headers=ANY).status == 200
    assert reader.get(f"/v1/communities/{make(partner)['id']}").status == 403
    assert reader.get(f"/v1/communities/{absent_id()}").status == 404


@pytest.mark.parametrize("suffix", ["", "/{id}"])
def test_a_token_embeds_only_what_its_scopes_let_it_read(records, partner, suffix):
    community = make(partner, name="CANARY-of-a-community")
    consultation = partner.officer.post("/v1/consultations", {"title": unique("Access"), "community_ids": [community["id"]]}).json()
    path = "/v1/consultations" + suffix.replace("{id}", consultation["id"])
    asked = {"include": "communities", **({} if suffix else {"id": consultation["id"]})}
    narrow = records.account(partner.id, "officer", ["consultations:read"])
    answer = narrow.get(path, params=asked)
    assert answer.status == 403 and "CANARY" not in answer.text()
    assert 'scope="communities:read"' in answer.headers["www-authenticate"]
    both = records.account(partner.id, "officer", ["consultations:read", "communities:read"])
    assert "CANARY-of-a-community" in both.get(path, params=asked).text()


def test_a_token_hears_only_of_what_its_scopes_let_it_read(records, partner):
    record = make(partner)
    narrow = records.account(partner.id, "officer", ["consultations:read"])
    consultation = partner.officer.post("/v1/consultations", {"title": unique("Heard")}).json()
    heard = until(lambda: [text for text in [str(narrow.pages("/v1/changes"))] if consultation["id"] in text], what="hearing of it")[0]
    assert record["id"] not in heard


# --- hidden fields ---

OWNER_FIELDS = ("notes", "grants", "external_id", "created_by", "updated_by")


@pytest.fixture(name="shown")
def _shown(partner):
    """A public consultation of one partner, with something in every field that others may not see."""
    reference = unique("CANARY")
    body = {"title": unique("Hidden fields"), "visibility": "public", "notes": f"{reference} in the notes", "external_id": reference, "planned_hours": 4711}
    answer = partner.officer.post("/v1/consultations", body)
    assert answer.status == 201, answer.text()
    return answer.json()


def test_fields_of_the_owner_are_in_no_representation_for_others(shown, partner, other, anonymous, administrator):
    path = f"/v1/consultations/{shown['id']}"
    later = partner.officer.patch(path, {"notes": f"{shown['external_id']} changed"}, headers=ANY)
    assert later.status == 200 and "notes" in later.json()
    for client in (other.manager, administrator, anonymous):
        targets = [(path, {}), (path, {"fields": "id,title"}), ("/v1/consultations", {"id": shown["id"]}), ("/v1/consultations.csv", {"id": shown["id"]}),
                   (f"{path}/history", {}), (path, {"as_of": shown["created_at"]}), ("/v1/consultations", {"id": shown["id"], "as_of": shown["created_at"]}),
                   ("/v1/activities", {"include": "consultation", "consultation_id": shown["id"]})]
        for target, params in targets:
            answer = client.get(target, params=params)
            assert answer.status == 200, answer.text()
            assert shown["external_id"] not in answer.text() + str(answer.headers), (target, params)
            assert shown["created_by"] not in answer.text()
        assert not set(OWNER_FIELDS) & set(client.get(path).json())
        versions = client.get(f"{path}/history").json()["items"]
        assert all(not set(OWNER_FIELDS) & set(version["record"]) for version in versions)
        assert all("notes" not in (version["changed"] or []) for version in versions), "that a hidden field changed is hidden, too"
    assert "planned_hours" not in anonymous.get(path).json()
    assert other.viewer.get(path).json()["planned_hours"] == 4711


@pytest.mark.parametrize("parameter, value", [
    ("external_id", "{external_id}"), ("external_id", "{external_id},x"), ("notes.contains", "CANARY"), ("notes", "{external_id} in the notes"),
    ("notes.null", "false"), ("created_by", "{created_by}"), ("updated_by", "{created_by}"), ("created_by.ne", "{created_by}"),
    ("external_id.null", "false"), ("external_id.contains", "CANARY"), ("q", "CANARY"), ("q", "{external_id}"), ("q", '"in the notes"'),
    ("sort", "external_id"), ("sort", "-notes"), ("sort", "created_by"), ("grants", "{created_by}"), ("planned_hours", "4711"),
    ("planned_hours.gte", "4711"),
])
def test_no_question_about_a_hidden_field_is_answered(shown, other, anonymous, administrator, parameter, value):
    """Refused, or answered without the record: never another answer than for a value that it does not hold. Counting is asking, too."""
    for client in (other.manager, administrator, anonymous):
        for more in ({}, {"count": "exact"}, {"as_of": "2999-01-01T00:00:00Z"}):
            answer = client.get("/v1/consultations", params={"id": shown["id"], parameter: value.format(**shown), **more})
            if answer.status == 400:
                continue
            assert answer.json()["items"] == [] or parameter.startswith("planned_hours"), (parameter, answer.text())
            assert parameter.startswith("planned_hours") or answer.json().get("count", 0) == 0
    # For the anonymous a field that they cannot see is an unknown parameter; so it is in fields=.
    if parameter != "q":
        assert anonymous.get("/v1/consultations", params={parameter: value.format(**shown)}).status == 400


def test_hidden_fields_are_unknown_to_the_anonymous_in_every_parameter(anonymous):
    for name in (*OWNER_FIELDS, "planned_hours", "no_such_field"):
        answer = anonymous.get("/v1/consultations", params={"fields": name})
        assert answer.status == 400, name
        assert [code for _, code in answer.codes()] == [code for _, code in anonymous.get("/v1/consultations", params={"fields": "zzz"}).codes()], name


def test_the_anonymous_are_told_of_no_hidden_field_in_suggestions(anonymous):
    answer = anonymous.get("/v1/consultations", params={"note": "x", "created_b": "x", "external_i": "x"})
    assert answer.status == 400
    assert not [name for name in ("notes", "created_by", "external_id") if f"{name}" in answer.text().replace("external_i ", "")], answer.text()


def test_who_made_a_change_is_told_to_its_owner_only(shown, partner, other):
    assert partner.viewer.get(f"/v1/consultations/{shown['id']}").json()["created_by"] == partner.officer.get("/v1/me").json()["account_id"]
    heard = []

    def hears():
        heard[:] = [item for item in other.viewer.pages("/v1/changes", params={"limit": "500"}) if item["id"] == shown["id"]]
        return heard

    wait_for(hears)
    assert all(set(item) == {"resource", "id", "version", "operation", "at"} for item in heard)


# --- caches, cursors, keys ---

def test_a_tag_of_one_caller_says_nothing_to_another(shown, partner, other, anonymous):
    path = f"/v1/consultations/{shown['id']}"
    tag = partner.viewer.get(path).etag
    for client in (other.viewer, anonymous):
        assert client.get(path).etag != tag, "what is shown differs"
        assert client.get(path, headers={"If-None-Match": tag}).status == 200
    hidden = make(partner)
    tag = partner.viewer.get(f"/v1/communities/{hidden['id']}").etag
    for headers in ({"If-None-Match": tag}, {"If-None-Match": "*"}):
        assert other.viewer.get(f"/v1/communities/{hidden['id']}", headers=headers).status == 404
    for value in (tag, "*", '"1-0000000000000000"'):
        assert other.officer.patch(f"/v1/communities/{hidden['id']}", {"name": "No"}, headers={"If-Match": value}).status == 404
        assert other.officer.delete(f"/v1/communities/{hidden['id']}", headers={"If-Match": value}).status == 404


def test_a_cursor_of_another_caller_opens_nothing(partner, other, anonymous):
    hidden = {make(partner)["id"] for _ in range(4)}
    page = partner.viewer.get("/v1/communities", params={"limit": "2", "sort": "-updated_at"}).json()
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    mine = {item["id"] for item in partner.viewer.get(following).json()["items"]}
    for client in (other.viewer, anonymous):
        answer = client.get(following)
        if answer.status == 200:
            seen = {item["id"] for item in answer.json()["items"]}
            assert all(client.get(f"/v1/communities/{identifier}").status == 200 for identifier in seen)
            assert hidden & mine and not hidden & seen
        else:
            assert answer.status == 400
    cursor = partner.viewer.get("/v1/changes", params={"limit": "1"}).json()["cursor"]
    for item in anonymous.get("/v1/changes", params={"after": cursor, "limit": "500"}).json()["items"]:
        assert item["resource"] != "accounts"


def test_an_idempotency_key_is_its_partners_own(partner, other):
    key = {"Idempotency-Key": unique("key")}
    body = {"name": unique("Access"), "kind": "interest"}
    first = partner.officer.post("/v1/communities", body, headers=key)
    again = partner.manager.post("/v1/communities", body, headers=key)
    assert again.headers.get("idempotency-replayed") == "true" and again.json()["id"] == first.json()["id"]
    foreign = other.officer.post("/v1/communities", body, headers=key)
    assert foreign.status == 201 and "idempotency-replayed" not in foreign.headers
    assert foreign.json()["id"] != first.json()["id"] and foreign.json()["partner_id"] == other.id
    assert partner.viewer.post("/v1/communities", body, headers=key).status == 403, "a replay is a write, too"


def test_a_replay_shows_nothing_that_its_reader_may_not_see_any_more(partner, other):
    """A transition by a partner with a grant, asked again when the grant is over."""
    body = {"title": unique("Access"), "everyone": True, "visibility": "shared", "grants": [{"partner_id": other.id, "right": "write"}],
            "open_on": "2030-01-01", "close_on": "2030-02-01"}
    record = partner.manager.post("/v1/consultations", body).json()
    path = f"/v1/consultations/{record['id']}"
    request = {"json_body": {"to": "planned"}, "headers": {**ANY, "Idempotency-Key": unique("key")}}
    assert other.officer.request("POST", f"{path}/transitions", **request).status == 200
    assert other.officer.request("POST", f"{path}/transitions", **request).status == 200
    cancelled = partner.manager.post(f"{path}/transitions", {"to": "cancelled", "reason": "Over"}, headers=ANY)
    assert cancelled.status == 200, cancelled.text()
    hidden = partner.manager.patch(path, {"visibility": "private", "grants": []}, headers=ANY)
    assert hidden.status == 200, hidden.text()
    answer = other.officer.request("POST", f"{path}/transitions", **request)
    assert answer.status == 404 and record["title"] not in answer.text()


# --- names and references ---

def test_a_name_that_another_partner_uses_is_free(partner, other):
    """Or the refusal would tell of a hidden record."""
    reference, code = unique("reference"), unique("code").lower()
    for mine in (partner, other):
        made = mine.officer.post("/v1/communities", {"name": "Same", "kind": "interest", "external_id": reference})
        assert made.status == 201, made.text()
        made = mine.officer.post("/v1/codes", {"list": "topic", "code": code, "label": "Same", "visibility": "private"})
        assert made.status == 201, made.text()


@pytest.mark.parametrize("resource, member, target", [
    ("activities", "consultation_id", "consultations"), ("activities", "community_ids", "communities"), ("consultations", "round_of_id", "consultations"),
    ("risk-registers", "consultation_id", "consultations"), ("risk-registers", "risk_scale_id", "risk-scales"), ("risks", "risk_register_id", "risk-registers"),
])
def test_every_reference_to_the_invisible_is_one_to_nothing(records, partner, other, administrator, resource, member, target):
    maker = administrator if target == "risk-scales" else partner.manager
    hidden = records.make(target, maker, visibility="private")
    answers = []
    for identifier in (hidden["id"], absent_id()):
        value = [identifier] if member.endswith("_ids") else identifier
        answer = other.officer.post(f"/v1/{resource}", records.body(resource, other.officer, **{member: value}), headers={"X-Request-Id": "the-same-for-both"})
        assert answer.status == 422, answer.text()
        answers.append(answer.body.replace(identifier.encode(), b"ID"))
        listed = other.officer.get(f"/v1/{resource}", params={member: identifier})
        assert listed.status == 200 and listed.json()["items"] == []
    assert answers[0] == answers[1]


def test_a_hidden_scale_is_told_to_nobody_but_writers_of_the_register(administrator, records, partner, other, host):
    """The register is public, its scale is not: another partner's attempt learns no value of it."""
    values = [{"value": 41, "label": "Low"}, {"value": 43, "label": "High"}]
    scale = records.make("risk-scales", administrator, visibility="private", likelihood=values, impact=values,
                         grants=[{"partner_id": partner.id, "right": "read"}])
    register = partner.officer.post("/v1/risk-registers", {"title": unique("Access"), "risk_scale_id": scale["id"], "visibility": "public"})
    assert register.status == 201, register.text()
    body = {"risk_register_id": register.json()["id"], "title": unique("Access"), "likelihood": 1, "impact": 1}
    own = partner.officer.post("/v1/risks", body)
    assert own.status == 422 and "41" in own.text()
    foreign = other.officer.post("/v1/risks", body)
    assert foreign.status == 422 and foreign.codes() == [("/risk_register_id", "not_writable")]


# --- who may not act any more ---

def test_a_disabled_account_is_out_at_once_and_a_new_start_revives_nothing(administrator, records, partner):
    record = records.account_record(partner.id, "officer", by=partner.manager)
    client = administrator.as_token(administrator.token_for(record["client_id"], record["client_secret"]))
    assert client.get("/v1/me").status == 200
    for disabled, status in ((True, 401), (False, 401)):
        assert partner.manager.patch(f"/v1/accounts/{record['id']}", {"disabled": disabled}, headers=ANY).status == 200
        assert client.get("/v1/me").status == status
        assert client.get("/v1/partners").status == status
        assert client.post("/v1/communities", {"name": "No", "kind": "interest"}).status == status


def test_a_session_that_was_ended_is_over_for_every_token_of_it(anonymous, records, partner, fresh_address):
    password = "a sentence of several words"
    person = records.person(partner.id, "officer")
    guest = anonymous.as_token(None, source=fresh_address)
    opened = guest.post("/v1/sessions/enrolments", {"code": person["enrolment_code"], "password": password})
    assert opened.status == 200, opened.text()
    one, two = (anonymous.as_token(guest.post("/v1/sessions", {"login": person["login"], "password": password}).json()["access_token"]) for _ in range(2))
    assert one.get("/v1/me").status == two.get("/v1/me").status == 200
    assert one.delete("/v1/sessions/current").status == 204
    assert one.get("/v1/me").status == 401 and one.get("/v1/communities").status == 401
    assert two.get("/v1/me").status == 200
    assert two.delete("/v1/me/sessions").status == 204
    assert two.get("/v1/me").status == 401


# --- the feed ---

def test_the_feed_tells_of_accounts_only_to_who_sees_them(partner, other, records, administrator):
    """As lists do: managers hear of those of their partner, everybody of the own."""
    record = records.account_record(partner.id, "viewer", by=partner.manager)
    own = partner.officer.get("/v1/me").json()["account_id"]

    def heard(client):
        return {item["id"] for item in client.pages("/v1/changes", params={"limit": "500"}) if item["resource"] == "accounts"}

    wait_for(lambda: record["id"] in heard(partner.manager))
    assert heard(partner.officer) == {own}
    assert record["id"] not in heard(other.manager)
    assert record["id"] in heard(administrator)


def wait_for(condition):
    """Changes reach the feed in their own time."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
