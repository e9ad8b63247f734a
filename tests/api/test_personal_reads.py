# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fields about a person that a partner keeps: others get them one record at a time, each such read is noted, and every other way withholds them."""
import contextlib
import csv
import io

import pytest

from wardmote_records import unique

PERSON = {"name": "Sam Withheld", "phone": "01632 960777", "email": "sam.withheld@example.org"}
CONSENT = {"consent_on": "2026-01-01", "consent_purpose": "To be named to partners", "consent_until": "2099-12-31"}
NOTHING = dict.fromkeys(PERSON)


def contact(client, **members):
    answer = client.post("/v1/contacts", {"post": unique("Post"), "kind": "officer", **PERSON, **CONSENT, **members})
    assert answer.status == 201, answer.text()
    return answer.json()


@pytest.fixture(name="shared")
def _shared(partner):
    return contact(partner.officer, visibility="shared")


@pytest.fixture(name="public")
def _public(partner):
    return contact(partner.officer, visibility="public", consent_public=True)


def person(record):
    return {name: record[name] for name in PERSON}


@pytest.fixture(name="notes")
def _notes(cluster):
    """Who was noted to have read a record: [(partner, resource, owner)]."""
    with contextlib.closing(cluster.connect()) as connection:
        connection.autocommit = True

        def of(record):
            with connection.cursor() as cursor:
                cursor.execute("SELECT partner_id::text, resource, owner_id::text FROM wardmote.personal_read WHERE record_id = %s ORDER BY seq",
                               (record["id"],))
                return cursor.fetchall()

        yield of


# --- one record ---

def test_another_partner_gets_one_record_and_is_noted(partner, other, shared, notes):
    answer = other.viewer.get(f"/v1/contacts/{shared['id']}")
    assert answer.status == 200 and person(answer.json()) == PERSON
    assert answer.headers["cache-control"] == "no-store"
    assert notes(shared) == [(other.id, "contacts", partner.id)]


@pytest.mark.parametrize("options, expected", [
    ({}, 1),
    ({"params": {"fields": "name"}}, 1),
    ({"params": {"fields": "id,post,email"}}, 1),
    ({"params": {"fields": "id,post"}}, 0),
    ({"headers": {"Accept": "text/csv"}}, 1),
    ({"params": {"as_of": "now"}}, 0),
])
def test_what_is_noted(other, shared, notes, options, expected):
    if options.get("params", {}).get("as_of") == "now":
        options = {"params": {"as_of": shared["updated_at"]}}
    assert other.officer.get(f"/v1/contacts/{shared['id']}", **options).status == 200
    assert len(notes(shared)) == expected


def test_every_read_is_noted_also_one_that_brought_nothing_new(other, shared, notes):
    path = f"/v1/contacts/{shared['id']}"
    etag = other.officer.get(path).etag
    assert other.officer.get(path, headers={"If-None-Match": etag}).status == 304
    assert other.officer.request("HEAD", path).status == 200
    assert len(notes(shared)) == 3


def test_the_owner_is_not_noted(partner, shared, notes):
    for client in (partner.viewer, partner.officer, partner.manager):
        assert person(client.get(f"/v1/contacts/{shared['id']}").json()) == PERSON
    assert notes(shared) == []


def test_public_fields_are_not_noted(anonymous, other, public, notes):
    for client in (anonymous, other.viewer):
        assert person(client.get(f"/v1/contacts/{public['id']}").json()) == PERSON
        assert person(client.get("/v1/contacts", params={"id": public["id"]}).json()["items"][0]) == PERSON
    assert notes(public) == []


def test_a_record_without_a_person_is_not_noted(partner, other, notes):
    post = contact(partner.officer, visibility="shared", **NOTHING)
    assert person(other.viewer.get(f"/v1/contacts/{post['id']}").json()) == NOTHING
    assert notes(post) == []


def test_fields_that_were_not_asked_for_do_not_count(partner, other, notes):
    post = contact(partner.officer, visibility="shared", **{**NOTHING, "name": "Sam Withheld"})
    other.viewer.get(f"/v1/contacts/{post['id']}", params={"fields": "email"})
    assert notes(post) == []


def test_what_cannot_be_seen_is_not_noted(partner, other, anonymous, notes):
    private = contact(partner.officer)
    for client in (other.viewer, other.officer, anonymous):
        assert client.get(f"/v1/contacts/{private['id']}").status == 404
    assert notes(private) == []


def test_an_administrator_of_another_partner_is_another_partner(administrator, shared, notes):
    assert person(administrator.get(f"/v1/contacts/{shared['id']}").json()) == PERSON
    assert len(notes(shared)) == 1
    assert person(administrator.get("/v1/contacts", params={"id": shared["id"]}).json()["items"][0]) == NOTHING


def test_a_granted_reader_is_noted_too(partner, other, notes):
    private = contact(partner.manager, grants=[{"partner_id": other.id, "right": "read"}])
    assert person(other.viewer.get("/v1/contacts", params={"id": private["id"]}).json()["items"][0]) == NOTHING
    assert notes(private) == []
    assert person(other.viewer.get(f"/v1/contacts/{private['id']}").json()) == PERSON
    assert len(notes(private)) == 1


# --- every other way ---

def ways(client, record):
    """{name: text} of all ways to read the record but the one that is noted."""
    identifier, path = {"id": record["id"]}, f"/v1/contacts/{record['id']}"
    read = {
        "list": client.get("/v1/contacts", params=identifier),
        "fields": client.get("/v1/contacts", params={**identifier, "fields": ",".join(PERSON)}),
        "csv": client.get("/v1/contacts.csv", params=identifier),
        "export": client.get("/v1/contacts", params={**identifier, "limit": "all"}),
        "export.csv": client.get("/v1/contacts.csv", params={**identifier, "limit": "all"}),
        "list as of": client.get("/v1/contacts", params={**identifier, "as_of": record["updated_at"]}),
        "as of": client.get(path, params={"as_of": record["updated_at"]}),
        "history": client.get(f"{path}/history"),
        "changes": client.get("/v1/changes", params={"limit": 500}),
        "partners": client.get("/v1/contacts", params={**identifier, "include": "partner,service_area"}),
    }
    for name, answer in read.items():
        assert answer.status == 200, (name, answer.text())
    return {name: answer.text() for name, answer in read.items()}


def test_other_ways_withhold_them(other, shared, notes):
    found = ways(other.officer, shared)
    assert {name for name, text in found.items() if any(value in text for value in PERSON.values())} == set()
    assert notes(shared) == []
    item = other.officer.get("/v1/contacts", params={"id": shared["id"]}).json()["items"][0]
    assert person(item) == NOTHING and item["post"] == shared["post"], "null, and not left out"
    (line,) = csv.DictReader(io.StringIO(found["csv"]))
    assert [line[name] for name in PERSON] == ["", "", ""]


def test_the_owner_reads_them_in_every_way(partner, shared, notes):
    found = ways(partner.viewer, shared)
    assert {name for name, text in found.items() if PERSON["name"] in text} == set(found) - {"changes"}
    assert notes(shared) == []


def test_everybody_reads_what_is_public_in_every_way(anonymous, other, public, notes):
    for client in (anonymous, other.viewer):
        found = ways(client, public)
        assert {name for name, text in found.items() if PERSON["name"] in text} == set(found) - {"changes"}
    assert notes(public) == []


@pytest.mark.parametrize("parameter", ["name", "phone", "email", "name.contains", "email.null", "sort", "q"])
def test_nothing_finds_a_record_by_them(other, shared, parameter):
    value = "email" if parameter == "sort" else PERSON.get(parameter.split(".")[0], "Withheld")
    answer = other.officer.get("/v1/contacts", params={parameter: value, "id": shared["id"]})
    assert answer.status == 400 or answer.json()["items"] == []


def test_who_may_change_the_record_is_not_told_by_the_answer(partner, other, notes):
    private = contact(partner.manager, grants=[{"partner_id": other.id, "right": "write"}])
    path = f"/v1/contacts/{private['id']}"
    changed = other.officer.patch(path, {"post": "Renamed"}, headers={"If-Match": "*"})
    assert (changed.status, person(changed.json())) == (200, NOTHING)
    tried = other.officer.patch(path, {"kind": "champion"}, headers={"If-Match": "*"}, params={"dry_run": "true"})
    assert (tried.status, person(tried.json())) == (200, NOTHING)
    assert notes(private) == []
    assert person(partner.officer.get(path).json()) == PERSON


@pytest.mark.parametrize("after, shown", [("public", PERSON), ("shared", NOTHING)])
def test_what_was_public_once_is_shown_while_the_record_is_public(partner, other, notes, after, shown):
    record = contact(partner.officer, visibility="shared")
    path = f"/v1/contacts/{record['id']}"
    opened = partner.officer.patch(path, {"visibility": "public", "consent_public": True}, headers={"If-Match": "*"}).json()
    partner.officer.patch(path, {"visibility": after, "website": "https://example.org/post"}, headers={"If-Match": "*"})
    versions = {version["version"]: person(version["record"]) for version in other.viewer.get(f"{path}/history").json()["items"]}
    assert versions == {1: NOTHING, 2: shown, 3: shown}
    moment = {"as_of": opened["updated_at"]}
    assert person(other.viewer.get(path, params=moment).json()) == shown
    assert person(other.viewer.get("/v1/contacts", params={**moment, "id": record["id"]}).json()["items"][0]) == shown
    for target in ("/v1/contacts.csv", "/v1/contacts"):
        text = other.viewer.get(target, params={**moment, "id": record["id"], "limit": "all"}).text()
        assert (PERSON["email"] in text) == (shown == PERSON)
    assert notes(record) == []


def test_the_answer_of_a_create_is_kept_for_its_owner(partner):
    body = {"post": unique("Post"), "kind": "officer", **PERSON, **CONSENT, "visibility": "shared"}
    key = {"Idempotency-Key": unique("key")}
    first, again = (partner.officer.post("/v1/contacts", body, headers=key) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true" and again.body == first.body
    assert person(again.json()) == PERSON


# --- what the owner is told ---

@pytest.fixture(name="told")
def _told(partner):
    """The owner's list of reads of a record, by any of its accounts: [(partner, resource)]."""
    def of(record, client=None, **params):
        answer = (client or partner.manager).get("/v1/personal-reads", params={"record_id": record["id"], **params})
        assert answer.status == 200, answer.text()
        return [(item["partner"]["id"], item["resource"]) for item in answer.json()["items"]]

    return of


def test_managers_of_the_owner_are_told(partner, other, shared, told):
    account = other.viewer.get("/v1/me").json()["account_id"]
    other.viewer.get(f"/v1/contacts/{shared['id']}")
    answer = partner.manager.get("/v1/personal-reads", params={"record_id": shared["id"], "resource": "contacts"})
    assert answer.headers["cache-control"] == "no-store"
    (item,) = answer.json()["items"]
    assert (item["account_id"], item["partner"], item["resource"], item["record_id"]) == (
        account, {"id": other.id, "name": other.record["name"]}, "contacts", shared["id"])
    assert told(shared, since=item["at"]) == [(other.id, "contacts")]
    assert told(shared, since="2099-01-01T00:00:00Z") == []
    assert told(shared, resource="map-items") == []


def test_nobody_else_is_told(partner, other, administrator, anonymous, shared, told):
    other.viewer.get(f"/v1/contacts/{shared['id']}")
    for client in (partner.viewer, partner.officer, other.manager, administrator):
        assert told(shared, client) == []
    assert anonymous.get("/v1/personal-reads").status == 401


def test_a_token_is_told_of_what_it_may_read(partner, other, records, shared, told):
    other.viewer.get(f"/v1/contacts/{shared['id']}")
    assert told(shared, records.account(partner.id, "manager", ["contacts:read"])) == [(other.id, "contacts")]
    assert told(shared, records.account(partner.id, "manager", ["risks:read"])) == []


def test_page_by_page_the_newest_first(partner, other, shared):
    for _ in range(5):
        other.viewer.get(f"/v1/contacts/{shared['id']}")
    params = {"record_id": shared["id"], "limit": 2}
    first = partner.manager.get("/v1/personal-reads", params={"record_id": shared["id"]})
    assert partner.manager.get("/v1/personal-reads", params={"record_id": shared["id"]}, headers={"If-None-Match": first.etag}).status == 304
    whole = first.json()["items"]
    assert len(partner.manager.get("/v1/personal-reads", params=params).json()["items"]) == 2
    assert partner.manager.pages("/v1/personal-reads", params=params) == whole and len(whole) == 5
    assert [item["at"] for item in whole] == sorted((item["at"] for item in whole), reverse=True)


def test_reads_are_forgotten_after_two_years(cluster, other, shared, told):
    for _ in range(2):
        other.viewer.get(f"/v1/contacts/{shared['id']}")
    with contextlib.closing(cluster.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE wardmote.personal_read SET at = now() - interval '25 months'"
                       " WHERE seq = (SELECT min(seq) FROM wardmote.personal_read WHERE record_id = %s)", (shared["id"],))
        cursor.execute("SELECT wardmote.forget_personal_reads()")
        assert cursor.fetchone() == (1,)
        connection.commit()
    assert len(told(shared)) == 1


def test_the_note_cannot_be_made_up(cluster, partner, other, shared):
    """The server's own role neither reads, changes nor takes back notes, nor says who read."""
    with contextlib.closing(cluster.connect("wardmote_api")) as connection:
        for text in ("SELECT * FROM wardmote.personal_read", "DELETE FROM wardmote.personal_read", "UPDATE wardmote.personal_read SET at = now()",
                     f"INSERT INTO wardmote.personal_read (resource, record_id, owner_id, partner_id) VALUES ('contacts', '{shared['id']}', '{partner.id}', '{other.id}')",
                     f"INSERT INTO wardmote.personal_read (resource, record_id, owner_id) VALUES ('contacts', '{shared['id']}', '{partner.id}')"):
            with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied|row-level security|null value"):
                cursor.execute(text)
            connection.rollback()
