# SPDX-License-Identifier: AGPL-3.0-or-later
"""Contacts: a person is named in a public role or with consent; and of one partner, role and place one contact is the primary one on any day."""
import threading

import datetime

import pytest

from wardmote_records import unique

PERSON = {"name": "Sam Example", "phone": "01632 960001", "email": "sam@example.org"}
CONSENT = {"consent_on": "2026-01-01", "consent_purpose": "To be named to partners", "consent_until": "2099-12-31"}


def contact(client, **members):
    return client.post("/v1/contacts", {"post": unique("Post"), "kind": "officer", **members})


@pytest.fixture(scope="module", name="locality")
def _locality(records):
    return records.shared("localities")["id"]


@pytest.fixture(scope="module", name="holder")
def _holder(partner):
    return contact(partner.officer).json()["id"]


# --- R34 ---

@pytest.mark.parametrize("members, codes", [
    ({}, []),
    ({"website": "https://example.org/post"}, []),
    ({**PERSON, "public_role": True}, []),
    ({**PERSON, **CONSENT}, []),
    ({**PERSON, **CONSENT, "visibility": "shared"}, []),
    ({**PERSON, **CONSENT, "consent_public": True, "visibility": "public"}, []),
    ({**PERSON, "public_role": True, "visibility": "public"}, []),
    ({"visibility": "public"}, []),
    ({**CONSENT, "visibility": "public"}, []),
    (PERSON, [("/consent_on", "consent_required")]),
    ({"name": "Sam Example"}, [("/consent_on", "consent_required")]),
    ({"phone": "01632 960001"}, [("/consent_on", "consent_required")]),
    ({"email": "sam@example.org"}, [("/consent_on", "consent_required")]),
    ({**PERSON, **CONSENT, "consent_on": None}, [("/consent_on", "consent_required")]),
    ({**PERSON, **CONSENT, "consent_purpose": None}, [("/consent_on", "consent_required")]),
    ({**PERSON, **CONSENT, "consent_until": None}, [("/consent_on", "consent_required")]),
    ({**PERSON, "consent_public": True}, [("/consent_on", "consent_required")]),
    ({**PERSON, **CONSENT, "visibility": "public"}, [("/visibility", "consent_required")]),
    ({**PERSON, **CONSENT, "consent_until": "2026-01-01"}, [("/consent_until", "consent_required")]),
    ({**PERSON, **CONSENT, "consent_on": "2099-12-31"}, [("/consent_until", "order")]),
    ({**PERSON, **CONSENT, "public_role": True, "consent_until": "2026-01-02"}, [("/consent_until", "consent_required")]),
    ({**PERSON, "visibility": "public"}, [("/consent_on", "consent_required"), ("/visibility", "consent_required")]),
])
def test_who_may_be_named(partner, members, codes):
    answer = contact(partner.officer, **members)
    assert answer.status == (422 if codes else 201), answer.text()
    if codes:
        assert sorted(answer.codes()) == codes


def test_publishing_later_asks_again(partner):
    made = contact(partner.officer, **PERSON, **CONSENT)
    answer = partner.officer.patch(made.headers["location"], {"visibility": "public"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/visibility", "consent_required")])
    assert partner.officer.patch(made.headers["location"], {"visibility": "public", "consent_public": True}, headers={"If-Match": "*"}).status == 200


def test_the_table_keeps_the_rule_as_well(cluster, partner):
    made = contact(partner.officer, **PERSON, **CONSENT).json()
    connection = cluster.connect()
    with connection.cursor() as cursor:
        for change in ("consent_purpose = NULL", "visibility = 'public'"):
            with pytest.raises(Exception, match="contact_"):
                cursor.execute(f"UPDATE wardmote.contact SET {change} WHERE id = %s", (made["id"],))
            connection.rollback()
    connection.close()


# --- R15, R26 ---

def assignment(client, holder, locality, **members):
    return client.post("/v1/contact-assignments", {"contact_id": holder, "role": "locality_contact", "locality_id": locality,
                                                   "valid_from": "2026-01-01", **members})


def fresh_locality(records):
    return records.make("localities", visibility="public")["id"]


@pytest.mark.parametrize("first, second, clash", [
    (("2026-01-01", None), ("2026-06-01", None), True),
    (("2026-01-01", "2026-05-31"), ("2026-06-01", None), False),
    (("2026-01-01", "2026-06-01"), ("2026-06-01", None), True),
    (("2026-06-01", None), ("2026-01-01", "2026-05-31"), False),
    (("2026-06-01", None), ("2020-01-01", None), True),
    (("2026-03-01", "2026-03-01"), ("2026-03-01", "2026-03-01"), True),
    (("2026-03-01", "2026-03-01"), ("2026-03-02", "2026-03-02"), False),
])
def test_one_primary_contact_at_a_time(partner, records, holder, first, second, clash):
    place = fresh_locality(records)
    one = assignment(partner.officer, holder, place, is_primary=True, valid_from=first[0], valid_to=first[1])
    assert one.status == 201, one.text()
    other = assignment(partner.officer, holder, place, is_primary=True, valid_from=second[0], valid_to=second[1])
    assert other.status == (409 if clash else 201), other.text()
    if clash:
        assert other.codes() == [("/is_primary", "overlaps_in_time")]
        assert one.json()["id"] in other.json()["errors"][0]["detail"]


def test_what_does_not_clash(partner, other, records, holder):
    place = fresh_locality(records)
    assert assignment(partner.officer, holder, place, is_primary=True).status == 201
    assert assignment(partner.officer, holder, place).status == 201, "not primary"
    assert assignment(partner.officer, holder, place, is_primary=True, role="neighbourhood_manager").status == 201, "another role"
    assert assignment(partner.officer, holder, fresh_locality(records), is_primary=True).status == 201, "another place"
    theirs = contact(other.officer).json()["id"]
    assert assignment(other.officer, theirs, place, is_primary=True).status == 201, "another partner"


def test_a_change_may_clash_too(partner, records, holder):
    place = fresh_locality(records)
    assignment(partner.officer, holder, place, is_primary=True, valid_to="2026-06-30")
    later = assignment(partner.officer, holder, place, is_primary=True, valid_from="2026-07-01")
    spare = assignment(partner.officer, holder, place)
    for path, change in ((later.headers["location"], {"valid_from": "2026-06-30"}), (spare.headers["location"], {"is_primary": True})):
        answer = partner.officer.patch(path, change, headers={"If-Match": "*"})
        assert (answer.status, {code for _, code in answer.codes()}) == (409, {"overlaps_in_time"})
    assert partner.officer.patch(later.headers["location"], {"valid_from": "2026-08-01"}, headers={"If-Match": "*"}).status == 200
    body = {"contact_id": holder, "role": "locality_contact", "locality_id": place, "is_primary": True, "valid_from": "2026-01-01"}
    answer = partner.officer.put("/v1/contact-assignments", body, params={"external_id": unique("put")})
    assert (answer.status, {code for _, code in answer.codes()}) == (409, {"overlaps_in_time"})


def test_an_assignment_that_the_writer_cannot_see_counts_too(partner, other, records):
    """Who changes another's record by a grant sees that one alone: the table itself refuses."""
    place = fresh_locality(records)
    theirs = contact(partner.officer).json()["id"]
    assignment(partner.officer, theirs, place, is_primary=True)
    spare = assignment(partner.manager, theirs, place, grants=[{"partner_id": other.id, "right": "write"}])
    answer = other.officer.patch(spare.headers["location"], {"is_primary": True}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (409, [("/is_primary", "not_unique")])


def test_eight_at_once(partner, records, holder):
    """Whoever wins, one wins: in each round eight clients name a primary contact, half of them by changing a record."""
    clients = [partner.officer.as_token(partner.officer.token) for _ in range(8)]
    together = threading.Barrier(len(clients))

    def race(client, number, place, spare, statuses):
        together.wait(60)
        if number % 2:
            answer = client.patch(spare, {"is_primary": True}, headers={"If-Match": "*"})
        else:
            answer = assignment(client, holder, place, is_primary=True, valid_from=f"2026-01-0{number + 1}")
        statuses.append(answer.status)

    for _ in range(6):
        place, statuses = fresh_locality(records), []
        spares = [assignment(partner.officer, holder, place).headers["location"] for _ in clients]
        threads = [threading.Thread(target=race, args=(client, number, place, spares[number], statuses)) for number, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses)[0] in (200, 201) and sorted(statuses)[1:] == [409] * 7, statuses
        primary = partner.viewer.get("/v1/contact-assignments", params={"locality_id": place, "is_primary": "true"}).json()["items"]
        assert len(primary) == 1
    for client in clients:
        client.close()


@pytest.mark.parametrize("members, codes", [
    ({"locality_id": None}, [("/locality_id", "required")]),
    ({"role": "councillor", "locality_id": None, "consultation_id": "own"}, [("/locality_id", "required")]),
    ({"role": "lead", "consultation_id": "own"}, [("/consultation_id", "not_allowed")]),
])
def test_what_an_assignment_is_about(partner, records, holder, locality, members, codes):
    if members.get("consultation_id") == "own":
        members = {**members, "consultation_id": records.shared("consultations", partner.officer)["id"]}
    answer = assignment(partner.officer, holder, locality, **members)
    assert (answer.status, answer.codes()) == (422, codes)


def test_an_assignment_to_a_consultation(partner, records, holder):
    consultation = records.make("consultations", partner.officer, visibility="public")["id"]
    made = assignment(partner.officer, holder, None, role="lead", consultation_id=consultation, is_primary=True)
    assert made.status == 201, made.text()
    again = assignment(partner.officer, holder, None, role="lead", consultation_id=consultation, is_primary=True)
    assert again.status == 409


def test_it_does_not_end_before_it_begins(partner, holder, locality):
    made = assignment(partner.officer, holder, locality, valid_from="2026-02-01")
    answer = partner.officer.patch(made.headers["location"], {"valid_to": "2026-01-31"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/valid_to", "order")])


def test_the_holder_of_an_assignment_stays(partner, holder, locality):
    made = assignment(partner.officer, holder, locality)
    successor = contact(partner.officer).json()["id"]
    answer = partner.officer.patch(made.headers["location"], {"contact_id": successor}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/contact_id", "create_only")])


def test_only_the_own_contacts_are_assigned(partner, other, locality):
    theirs = contact(other.officer, visibility="shared").json()["id"]
    answer = assignment(partner.officer, theirs, locality)
    assert (answer.status, answer.codes()) == (422, [("/contact_id", "not_writable")])


# --- who answers for what ---

def test_a_consultation_names_its_contacts_and_service_area(partner, records, anonymous):
    holder = contact(partner.officer, **PERSON, public_role=True, visibility="public").json()
    area = records.make("service-areas", partner.officer, visibility="public")
    names = ("lead_contact", "sponsor_contact", "referral_contact")
    made = partner.officer.post("/v1/consultations", {"title": unique("Asked"), "visibility": "public", "service_area_id": area["id"],
                                                      **{f"{name}_id": holder["id"] for name in names}})
    assert made.status == 201, made.text()
    shown = anonymous.get(made.headers["location"], params={"include": ",".join((*names, "service_area"))}).json()
    for name in names:
        assert shown[name] == {"id": holder["id"], "post": holder["post"], "kind": "officer"}
    assert shown["service_area"]["code"] == area["code"]
    found = anonymous.get("/v1/consultations", params={"service_area_id": area["id"]}).json()["items"]
    assert [item["id"] for item in found] == [made.json()["id"]]
    refused = partner.officer.delete(f"/v1/contacts/{holder['id']}", headers={"If-Match": "*"})
    assert (refused.status, refused.codes()[0][1]) == (409, "in_use")


def test_an_activity_has_a_lead(partner, anonymous):
    holder = contact(partner.officer, visibility="public").json()
    made = partner.officer.post("/v1/activities", {"title": unique("Walk"), "kind": "event", "visibility": "public", "lead_contact_id": holder["id"]})
    shown = anonymous.get(made.headers["location"], params={"include": "lead_contact"}).json()
    assert shown["lead_contact"]["post"] == holder["post"]


# --- who is responsible here ---

def test_contacts_of_a_place(partner, other, records):
    district = fresh_locality(records)
    ward = records.make("localities", visibility="public", parent_id=district)["id"]
    area, manager, former, coming = (contact(partner.officer, visibility="shared").json()["id"] for _ in range(4))
    assignment(partner.officer, area, district, visibility="shared")
    assignment(partner.officer, manager, ward, role="neighbourhood_manager", visibility="shared")
    assignment(partner.officer, former, ward, valid_from="2020-01-01", valid_to="2020-12-31", visibility="shared")
    assignment(partner.officer, coming, ward, valid_from="2090-01-01", visibility="shared")

    def found(client=partner.viewer, **params):
        return {item["id"] for item in client.get("/v1/contacts", params={"partner_id": partner.id, **params}).json()["items"]}

    assert found(locality_id=ward) == {area, manager}
    assert found(locality_id=district) == {area}
    assert found(locality_id=ward, role="neighbourhood_manager") == {manager}
    assert found(locality_id=ward, in_force_on="2020-06-01") == {former}
    assert found(locality_id=ward, in_force_on="2020-06-01", role="neighbourhood_manager") == set()
    assert found(locality_id=ward, in_force_on="2091-01-01") == {area, manager, coming}
    assert {area, manager} & found(role="locality_contact") == {area}
    assert found(in_force_on="2020-06-01") & {area, manager, former, coming} == {former}
    assert found(locality_id=records.shared("localities")["id"]) & {area, manager} == set()
    assert found(other.viewer, locality_id=ward) == {area, manager}


def test_an_assignment_that_is_hidden_tells_nothing(partner, other, records):
    place = fresh_locality(records)
    known = contact(partner.officer, visibility="shared").json()["id"]
    assignment(partner.officer, known, place)
    answer = other.viewer.get("/v1/contacts", params={"locality_id": place})
    assert answer.json()["items"] == []


def test_a_consent_of_today_is_withdrawn_today(partner):
    today = datetime.date.today()
    made = partner.officer.post("/v1/contacts", {"post": unique("Post"), "kind": "officer", **PERSON, **CONSENT, "consent_on": today.isoformat()})
    assert made.status == 201, made.text()
    path, yesterday = made.headers["location"], (today - datetime.timedelta(days=2)).isoformat()
    ended = partner.officer.patch(path, {"consent_until": yesterday}, headers={"If-Match": "*"})
    assert ended.status == 200, ended.text()
    assert {name: partner.officer.get(path).json()[name] for name in PERSON} == dict.fromkeys(PERSON), "at once"
    again = partner.officer.patch(path, {"name": "Sam Again"}, headers={"If-Match": "*"})
    assert (again.status, again.codes()) == (422, [("/consent_until", "consent_required")])


def test_a_token_asks_no_assignments_that_it_may_not_read(partner, records, holder, locality):
    made = partner.officer.post("/v1/contact-assignments", {"contact_id": holder, "role": "locality_contact", "locality_id": locality,
                                                            "valid_from": "2020-01-01"})
    assert made.status == 201, made.text()
    narrow, wide = (records.account(partner.id, "viewer", scopes) for scopes in (["contacts:read"], ["contacts:read", "contact-assignments:read"]))
    for params in ({"locality_id": locality}, {"role": "locality_contact", "locality_id": locality}, {"in_force_on": "2021-01-01"}):
        found = [{item["id"] for item in client.get("/v1/contacts", params={**params, "id": holder}).json()["items"]} for client in (narrow, wide)]
        assert found == [set(), {holder}], params
