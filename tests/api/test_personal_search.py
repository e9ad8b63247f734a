# SPDX-License-Identifier: AGPL-3.0-or-later
"""POST /v1/personal-data/searches: where a person is recorded by the own partner, in whatever field, today and earlier."""
import pytest

from wardmote_oauth import Key
from wardmote_records import unique

PATH = "/v1/personal-data/searches"
ANY = {"If-Match": "*"}


@pytest.fixture(name="name")
def _name():
    return "Sam " + unique("Quill").replace("-", "")


def search(client, text, **members):
    answer = client.post(PATH, {"text": text, **members})
    assert answer.status == 200, answer.text()
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def places(client, text, **members):
    return [(item["resource"], item["record_id"], item["current_fields"], item["earlier_fields"]) for item in search(client, text, **members)["items"]]


def make(client, resource, **body):
    answer = client.post(f"/v1/{resource}", body)
    assert answer.status == 201, answer.text()
    return answer.json()


def change(client, resource, record, **body):
    answer = client.patch(f"/v1/{resource}/{record['id']}", body, headers=ANY)
    assert answer.status == 200, answer.text()


def test_in_an_object(partner, name):
    """The keys of a program."""
    account = make(partner.manager, "accounts", kind="service", role="viewer", name="Tool", jwks={"keys": [Key("ES256", f"laptop of {name}").jwk]})
    assert places(partner.manager, name) == [("accounts", account["id"], ["jwks.keys"], [])]


def test_every_kind_of_field_today_and_earlier(partner, name):
    by = partner.officer
    consultation = make(by, "consultations", title="Benches", notes=f"asked for by {name.upper()}", options=["Oak", f"{name}'s design"],
                        partners=[{"partner_id": partner.id, "role": "informed", "reason": f"{name} asked"}])
    contact = make(by, "contacts", post=unique("Post"), kind="officer", name=name, phone="01632 960 777", public_role=True)
    change(by, "contacts", contact, name="Another")
    found = places(partner.manager, name)
    assert found == [("consultations", consultation["id"], ["notes", "options", "partners.reason"], []), ("contacts", contact["id"], [], ["name"])]
    assert ("contacts", contact["id"], ["phone"], ["phone"]) in places(partner.manager, "(01632) 960-777")


def test_accounts_deleted_records_and_stored_answers(partner, name):
    by = partner.manager
    account = make(by, "accounts", kind="service", role="viewer", name=f"Tool of {name}")
    activity = make(by, "activities", title=f"Walk with {name}", kind="event")
    assert by.delete(f"/v1/activities/{activity['id']}", headers=ANY).status == 204
    answer = by.post("/v1/activities", {"title": f"Talk by {name}", "kind": "event"}, headers={"Idempotency-Key": unique("key")})
    talk = answer.json()
    change(by, "activities", talk, title="Talk")
    items = {item["record_id"]: item for item in search(by, name)["items"]}
    assert set(items) == {account["id"], activity["id"], talk["id"]}
    assert items[account["id"]]["current_fields"] == ["name"]
    assert (items[activity["id"]]["deleted"], items[activity["id"]]["current_fields"], items[activity["id"]]["earlier_fields"]) == (True, [], ["title"])
    assert (items[talk["id"]]["deleted"], items[talk["id"]]["stored_answers"], items[talk["id"]]["earlier_versions"]) == (False, 1, 1)


def test_only_the_own_partner_and_only_managers(partner, other, administrator, anonymous, name):
    mine = make(partner.officer, "activities", title=f"Walk with {name}", kind="event", visibility="public")
    make(partner.officer, "activities", title="Run", kind="event")
    assert [row[1] for row in places(partner.manager, name)] == [mine["id"]]
    assert places(other.manager, name) == places(administrator, name) == []
    for client in (partner.viewer, partner.officer):
        assert client.post(PATH, {"text": name}).status == 403
    assert anonymous.post(PATH, {"text": name}).status == 401


def test_scopes_narrow_it(partner, records, name):
    make(partner.officer, "activities", title=f"Walk with {name}", kind="event")
    make(partner.officer, "consultations", title=f"Asked by {name}")
    narrow = records.account(partner.id, "manager", ["activities:read"])
    answer = search(narrow, name)
    assert answer["searched"] == ["activities"] and [item["resource"] for item in answer["items"]] == ["activities"]
    assert narrow.post(PATH, {"text": name, "resource": "consultations"}).status == 422


def test_pages(partner, name):
    wanted = sorted(make(partner.officer, "activities", title=f"Walk {n} with {name}", kind="event")["id"] for n in range(3))
    wanted.append(make(partner.officer, "consultations", title=f"Asked by {name}")["id"])
    found, after = [], None
    while True:
        answer = search(partner.manager, name, limit=1, after=after)
        assert len(answer["items"]) == 1
        found.append(answer["items"][0]["record_id"])
        after = answer["next"]
        if after is None:
            break
    assert found == wanted
    assert [item["record_id"] for item in search(partner.manager, name, resource="consultations")["items"]] == wanted[3:]


@pytest.mark.parametrize("body, status, fault", [
    ({}, 400, ("/text", "required")),
    ({"text": "ab"}, 400, ("/text", "length")),
    ({"text": "- . -"}, 422, ("/text", "length")),
    ({"text": "%%%%_", "resource": "people"}, 422, ("/resource", "not_found")),
    ({"text": "Sam", "after": "contacts"}, 422, ("/after", "format")),
    ({"text": "Sam", "limit": 501}, 400, ("/limit", "range")),
])
def test_what_it_refuses(partner, body, status, fault):
    answer = partner.manager.post(PATH, body)
    assert (answer.status, answer.codes()) == (status, [fault])


@pytest.mark.parametrize("stored, asked", [
    ("Zo\u00eb Quill", "zoe\u0308  quill"),
    ("Zoe\u0308 Quill", "ZO\u00cb-QUILL"),
    ("O'Quill (J.)", "o'quill j"),
    ("j.quill+walks@example.org", "J Quill walks@example org"),
    ("+44 (0)1632\u00a0960 555", "0 1632 960555"),
    ("100% [Quill] ^$ \\d", "100%[quill]^$\\d"),
])
def test_however_it_is_written(partner, stored, asked):
    record = make(partner.officer, "activities", title=stored, kind="event")
    other = make(partner.officer, "activities", title="Zo Qill", kind="event")
    found = [row[1] for row in places(partner.manager, asked)]
    assert record["id"] in found and other["id"] not in found


def test_signs_of_patterns_are_letters_here(partner):
    make(partner.officer, "activities", title=unique("Walk"), kind="event")
    assert places(partner.manager, "%%%") == [] and places(partner.manager, "___") == [] and places(partner.manager, "\\\\\\") == []
