# SPDX-License-Identifier: AGPL-3.0-or-later
"""R34: a person is on the community map, or named for a group, in a public role or with a consent that says when, for what and until when; public only where it
says so; and gone when it ends."""
import datetime
import itertools
import json

import psycopg2.errors
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}
TODAY = datetime.date.today()


def day(days):
    return (TODAY + datetime.timedelta(days=days)).isoformat()


class Place:
    """A resource that may name a person: the fields that do, and a record of it without."""

    def __init__(self, path, fields, body):
        self.path = path
        self.fields = fields
        self.body = body

    def named(self, mark=None):
        """A value for each field about the person."""
        mark = mark or unique("canary")
        return {name: f"{mark} {name}" for name in self.fields}


CONSENT = {"consent_on": day(-30), "consent_purpose": "To be asked about events", "consent_until": day(365)}


@pytest.fixture(params=["map-items", "community-groups"], name="place")
def _place(request, records, administrator):
    if request.param == "community-groups":
        return Place("/v1/community-groups", ("contact_name", "contact_details"), {"name": "Group", "kind": "forum"})
    locality = records.shared("localities", administrator)
    return Place("/v1/map-items", ("person_name", "person_role", "person_contact"),
                 {"name": "Keeper of the allotments", "kind": "key_player_individual", "locality_id": locality["id"]})


@pytest.fixture(scope="module", name="owner")
def _owner(cluster):
    connection = cluster.connect("wardmote_owner")
    yield connection.cursor()
    connection.close()


def prune(owner):
    """What the server does by itself each minute."""
    owner.execute("SELECT more, fault FROM wardmote.prune()")
    assert owner.fetchone()[1] is None


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()


# --- the rule ---

@pytest.mark.parametrize("lacking", [names for n in range(4) for names in itertools.combinations(CONSENT, n)])
def test_a_person_needs_all_of_a_consent_or_a_public_role(partner, place, lacking):
    body = {**place.body, **place.named(), **{name: value for name, value in CONSENT.items() if name not in lacking}}
    answer = partner.officer.post(place.path, body)
    if not lacking:
        assert answer.status == 201, answer.text()
        return
    assert (answer.status, sorted(answer.codes())) == (422, sorted((f"/{name}", "consent_required") for name in lacking))
    assert partner.officer.post(place.path, {**body, "public_role": True}).status == 201


def test_each_field_about_a_person_counts(partner, place):
    for name, value in place.named().items():
        answer = partner.officer.post(place.path, {**place.body, name: value})
        assert answer.status == 422 and set(answer.codes()) == {(f"/{member}", "consent_required") for member in CONSENT}, name


def test_an_individual_without_a_name_needs_it_too(partner, records):
    """"The keeper of the allotments" is one person."""
    body = {"name": "Keeper", "kind": "key_player_individual", "locality_id": records.shared("localities")["id"]}
    assert partner.officer.post("/v1/map-items", body).status == 422
    assert partner.officer.post("/v1/map-items", {**body, **CONSENT}).status == 201
    assert partner.officer.post("/v1/map-items", {**body, "kind": "facility"}).status == 201


def test_a_consent_is_kept_while_the_person_is(partner, place):
    record = made(partner.officer.post(place.path, {**place.body, **place.named(), **CONSENT}))
    for name in CONSENT:
        answer = partner.officer.patch(f"{place.path}/{record['id']}", {name: None}, headers=ANY)
        assert (answer.status, answer.codes()) == (422, [(f"/{name}", "consent_required")])


@pytest.mark.parametrize("members, allowed", [
    ({}, False), ({"consent_public": True}, True), ({"public_role": True}, True)])
def test_a_person_is_public_only_where_the_consent_says_so(partner, place, members, allowed):
    body = {**place.body, **place.named(), **CONSENT, **members, "visibility": "public"}
    answer = partner.officer.post(place.path, body)
    assert allowed == (answer.status == 201) and (allowed or answer.codes() == [("/visibility", "consent_required")]), answer.text()
    record = made(partner.officer.post(place.path, {**body, "visibility": "shared"}))
    answer = partner.officer.patch(f"{place.path}/{record['id']}", {"visibility": "public"}, headers=ANY)
    assert answer.status == (200 if allowed else 422)


def test_only_individuals_are_persons(partner, records):
    named = {"person_name": "A", "person_role": "B", "person_contact": "C"}
    body = {"name": "Hall", "locality_id": records.shared("localities")["id"], **CONSENT}
    for kind in ("key_player_group", "key_player_partner", "facility", "activity"):
        answer = partner.officer.post("/v1/map-items", {**body, **named, "kind": kind})
        assert (answer.status, sorted(answer.codes())) == (422, sorted((f"/{name}", "not_allowed") for name in named)), kind


def test_where_a_person_is_found_is_not_recorded(partner, records):
    body = {"name": "Keeper", "kind": "key_player_individual", "locality_id": records.shared("localities")["id"], **CONSENT}
    answer = partner.officer.post("/v1/map-items", {**body, "point": {"type": "Point", "coordinates": [1.29, 52.63]}})
    assert (answer.status, answer.codes()) == (422, [("/point", "not_allowed")])


def test_a_consent_ends_after_it_begins(partner, place):
    answer = partner.officer.post(place.path, {**place.body, **CONSENT, "consent_on": day(3), "consent_until": day(3)})
    assert (answer.status, answer.codes()) == (422, [("/consent_until", "order")])


@pytest.mark.parametrize("public_role", [True, False])
def test_nothing_is_recorded_with_a_consent_that_has_ended(partner, place, public_role):
    """A program that sends its copy again each night does not bring back what was erased."""
    body = {**place.body, **place.named(), **CONSENT, "consent_until": day(-1), "public_role": public_role}
    answer = partner.officer.post(place.path, body)
    assert (answer.status, answer.codes()) == (422, [("/consent_until", "consent_required")])
    key = {"external_id": unique("sync")}
    assert partner.officer.put(place.path, {**body, "consent_until": day(1)}, params=key).status == 201
    withdrawn = partner.officer.put(place.path, body, params=key)
    assert withdrawn.status == 200, "its end is set to a past day: that withdraws it"


def test_the_database_keeps_the_rule_by_itself(owner, partner, place):
    """The wall behind the statements: CHECKs of the table."""
    thing = place.path.rsplit("/", maxsplit=1)[1].replace("-", "_").removesuffix("s")
    record = made(partner.officer.post(place.path, {**place.body, **place.named(), **CONSENT}))
    for change in ("consent_until = NULL", "consent_purpose = NULL", "consent_on = NULL", "visibility = 'public'"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            owner.execute(f"UPDATE wardmote.{thing} SET {change} WHERE id = %s", (record["id"],))


# --- the end ---

def ways_to_read(client, place, record):
    """Every answer that could show the record, as text."""
    path = f"{place.path}/{record['id']}"
    yield client.get(path)
    yield client.get(path, headers={"Accept": "text/csv"})
    yield client.get(path, headers={"Accept": "application/geo+json"})
    yield client.get(f"{path}/history")
    yield client.get(f"{path}/history", headers={"Accept": "text/csv"})
    yield client.get(path, params={"as_of": record["created_at"]})
    for suffix in ("", ".csv", ".geojson"):
        yield client.get(place.path + suffix, params={"id": record["id"]})
    yield client.get(place.path, params={"id": record["id"], "as_of": record["created_at"]})
    yield client.get(place.path, params={"q": record["name"], "limit": "200"})
    yield client.get("/v1/changes", params={"limit": "500"})


def everything(owner, mark):
    """The tables of ours in whose rows the mark is."""
    owner.execute("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                  " WHERE c.relkind = 'r' AND n.nspname IN ('wardmote', 'history', 'api')")
    found = []
    for schema, table in owner.fetchall():
        owner.execute(f"SELECT count(*) FROM {schema}.{table} t WHERE t::text LIKE %s", (f"%{mark}%",))
        if owner.fetchone()[0] > 0:
            found.append(f"{schema}.{table}")
    return found


@pytest.mark.parametrize("ends", ["by its day", "by withdrawal", "by clearing the fields"])
def test_a_person_is_gone_when_the_consent_ends(owner, partner, place, ends):
    """From the row, its versions, lists, CSV, GeoJSON, the change feed and the stored answers to writes."""
    mark, key = unique("canary"), unique("key")
    body = {**place.body, **place.named(mark), **CONSENT}
    record = made(partner.officer.post(place.path, body, headers={"Idempotency-Key": key}))
    path = f"{place.path}/{record['id']}"
    assert partner.officer.patch(path, {"name": "Another name"}, headers=ANY).status == 200
    prune(owner)
    assert [answer.status for answer in ways_to_read(partner.officer, place, record) if answer.status not in (200, 406)] == []
    assert any(mark in answer.text() for answer in ways_to_read(partner.officer, place, record)) and len(everything(owner, mark)) >= 2
    if ends == "by its day":
        table = place.path.rsplit("/", maxsplit=1)[1].replace("-", "_").removesuffix("s")
        owner.execute(f"UPDATE wardmote.{table} SET consent_until = wardmote.today() - 1 WHERE id = %s", (record["id"],))
    else:
        change = {"consent_until": day(-2)} if ends == "by withdrawal" else dict.fromkeys(place.fields)
        assert partner.officer.patch(path, change, headers=ANY).status == 200
    prune(owner)
    assert everything(owner, mark) == []
    for answer in ways_to_read(partner.officer, place, record):
        assert mark not in answer.text()
    again = partner.officer.post(place.path, body, headers={"Idempotency-Key": key})
    assert again.status in (200, 201) and mark not in again.text() and again.json()["id"] == record["id"]
    now = partner.officer.get(path).json()
    assert (now["name"], [now[name] for name in place.fields]) == ("Another name", [None] * len(place.fields))


def test_a_renewed_consent_keeps_the_person(owner, partner, place):
    record = made(partner.officer.post(place.path, {**place.body, **place.named(), **CONSENT, "consent_until": day(1)}))
    path = f"{place.path}/{record['id']}"
    assert partner.officer.patch(path, {"consent_until": day(400)}, headers=ANY).status == 200
    table = place.path.rsplit("/", maxsplit=1)[1].replace("-", "_").removesuffix("s")
    owner.execute(f"UPDATE history.{table} SET consent_until = wardmote.today() - 1 WHERE id = %s", (record["id"],))
    prune(owner)
    assert [partner.officer.get(path).json()[name] for name in place.fields] == [record[name] for name in place.fields]
    past = partner.officer.get(path, params={"as_of": record["created_at"]}).json()
    assert [past[name] for name in place.fields] == [None] * len(place.fields), "the first consent is over"


def test_the_versions_of_a_deleted_record_go_with_their_consent(owner, partner, place):
    mark = unique("canary")
    record = made(partner.officer.post(place.path, {**place.body, **place.named(mark), **CONSENT}))
    assert partner.officer.delete(f"{place.path}/{record['id']}", headers=ANY).status == 204
    prune(owner)
    assert everything(owner, mark) != []
    table = place.path.rsplit("/", maxsplit=1)[1].replace("-", "_").removesuffix("s")
    owner.execute(f"UPDATE history.{table} SET consent_until = wardmote.today() - 1 WHERE id = %s AND consent_until IS NOT NULL", (record["id"],))
    prune(owner)
    assert everything(owner, mark) == []


def test_a_public_role_stays(owner, partner, place):
    named = place.named()
    record = made(partner.officer.post(place.path, {**place.body, **named, "public_role": True, "visibility": "public"}))
    prune(owner)
    assert named.items() <= partner.officer.get(f"{place.path}/{record['id']}").json().items()


# --- who sees it ---

def test_what_was_consented_is_no_business_of_the_public(anonymous, partner, other, place):
    record = made(partner.officer.post(place.path, {**place.body, **place.named(), **CONSENT, "consent_public": True, "visibility": "public"}))
    shown = anonymous.get(f"{place.path}/{record['id']}")
    assert shown.status == 200 and not {"consent_on", "consent_purpose", "consent_until", "consent_public"} & set(shown.json())
    assert CONSENT["consent_purpose"] not in shown.text() and shown.headers["cache-control"] == "no-store"
    assert CONSENT.items() <= other.viewer.get(f"{place.path}/{record['id']}").json().items()
    assert anonymous.get(place.path, params={"consent_until.lt": day(1000)}).status == 400


def test_what_is_about_persons_is_no_filter(partner, place):
    names = {parameter["name"] for parameter in partner.officer.contract.resolve(
        partner.officer.contract.document["paths"][place.path]["get"]["parameters"])}
    assert names and not {name for name in names if name.split(".")[0] in place.fields}
    for name in place.fields:
        assert partner.officer.get(place.path, params={name: "x"}).status == 400
        assert partner.officer.get(place.path, params={"sort": name}).status == 400
    mark = unique("canary")
    made(partner.officer.post(place.path, {**place.body, **place.named(mark), **CONSENT}))
    assert json.loads(partner.officer.get(place.path, params={"q": mark}).text())["items"] == []


# --- whose consent ---

@pytest.mark.parametrize("resource", ["contacts", "community-groups", "map-items"])
def test_a_grant_to_write_is_no_say_in_a_consent(records, partner, other, resource):
    """An end erases for good, and a later day prolongs what nobody was asked for: the owner's business."""
    schema = records.schema(resource)
    personal = {"contacts": "name", "community-groups": "contact_name"}.get(resource) or next(
        name for name in ("person_name", "contact_name", "phone", "contact_details") if name in schema)
    kind = {"kind": "key_player_individual"} if resource == "map-items" else {}
    consent = {"consent_on": "2026-01-01", "consent_purpose": "To be reached", "consent_until": "2099-12-31", "public_role": False, "consent_public": False}
    body = {**records.body(resource, partner.manager), **kind, **consent, personal: "Sam Example", "visibility": "shared",
            "grants": [{"partner_id": other.id, "right": "write"}]}
    made = partner.manager.post(f"/v1/{resource}", body)
    assert made.status == 201, made.text()
    path, match = made.headers["location"], {"headers": {"If-Match": "*"}}
    for change in ({"consent_until": "2020-01-01"}, {"consent_until": "2100-12-31"}, {"consent_public": True}, {"public_role": True},
                   {"consent_purpose": "Anything"}, {"consent_on": "2026-02-01"}):
        refused = other.officer.patch(path, change, **match)
        assert (refused.status, refused.codes()) == (422, [(f"/{next(iter(change))}", "not_allowed")]), refused.text()
    emptied = other.officer.patch(path, {name: None for name in schema if schema[name].get("x-logged")}, **match)
    assert emptied.status == 422 and {code for _, code in emptied.codes()} == {"not_allowed"}, emptied.text()
    assert other.officer.patch(path, {personal: "Sam Renamed"}, **match).status == 200
    assert partner.officer.patch(path, {"consent_until": "2100-12-31"}, **match).status == 200
