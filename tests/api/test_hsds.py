# SPDX-License-Identifier: AGPL-3.0-or-later
"""Public services in the form of Open Referral (HSDS 3.0): the shape that the standard asks for, what is public and nothing else."""
import json
import re

import jsonschema
import pytest

from wardmote_client import FORMATS
from wardmote_records import absent_id, unique

SQUARE = {"type": "Polygon", "coordinates": [[[1.2, 52.6], [1.3, 52.6], [1.3, 52.7], [1.2, 52.7], [1.2, 52.6]]]}

# --- HSDS 3.0 as far as we fill it: names, types, what must be there. Written from the published tables of the standard. ---

ID, TEXT, URI, NUMBER = {"type": "string", "format": "uuid"}, {"type": "string"}, {"type": "string", "format": "uri"}, {"type": "number"}


def entry(required, **properties):
    """A thing of HSDS: an id, and nothing that the standard does not know."""
    return {"type": "object", "required": ["id", *required], "additionalProperties": False, "properties": {"id": ID, **properties}}


def many(thing):
    return {"type": "array", "items": thing}


PHONE = entry(["number"], number=TEXT, extension=NUMBER, type=TEXT, description=TEXT)
ORGANIZATION = entry(["name", "description"], name=TEXT, alternate_name=TEXT, description=TEXT, email=TEXT, website=URI, uri=URI, parent_organization_id=ID)
CONTACT = entry([], name=TEXT, title=TEXT, department=TEXT, email=TEXT, phones=many(PHONE))
AREA = entry([], name=TEXT, description=TEXT, extent=TEXT, extent_type=TEXT, uri=URI)
LOCATION = entry(["location_type"], location_type={"enum": ["physical", "postal", "virtual"]}, name=TEXT, description=TEXT, latitude=NUMBER, longitude=NUMBER)
TERM = entry(["name", "description"], code=TEXT, name=TEXT, description=TEXT, taxonomy=TEXT)
ATTRIBUTE = entry([], link_type=TEXT, link_entity=TEXT, value=TEXT, taxonomy_term=TERM)
SERVICE = entry(["name", "status"], name=TEXT, alternate_name=TEXT, description=TEXT, url=URI, email=TEXT,
                status={"enum": ["active", "inactive", "defunct", "temporarily closed"]}, eligibility_description=TEXT,
                last_modified={"type": "string", "format": "date-time"}, organization=ORGANIZATION, phones=many(PHONE),
                schedules=many(entry([], description=TEXT)), contacts=many(CONTACT), service_areas=many(AREA),
                service_at_locations=many(entry([], location=LOCATION)), attributes=many(ATTRIBUTE))
SINGLE = {name: schema for name, schema in SERVICE["properties"].items() if schema.get("type") != "array"}


def page(thing):
    members = {"total_items": {"type": "integer"}, "total_pages": {"type": "integer"}, "page_number": {"type": "integer"}, "size": {"type": "integer"},
               "first_page": {"type": "boolean"}, "last_page": {"type": "boolean"}, "empty": {"type": "boolean"}, "contents": many(thing)}
    return {"type": "object", "required": list(members), "properties": members, "additionalProperties": False}


def fits(document, schema):
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(document)
    return document


# --- one whole service ---

@pytest.fixture(scope="module", name="whole")
def _whole(partner, records):
    """A service entry with all that there is, and what it was made from."""
    area = records.make("service-areas", partner.officer, visibility="public")
    contact = records.make("contacts", partner.officer, visibility="public", service_area_id=area["id"], name="Sam Example", phone="01632 960001",
                           email="sam@example.org", public_role=True)
    localities = [records.make("localities", visibility="public", geometry=SQUARE), records.make("localities", visibility="public")]
    body = {"name": unique("Housing advice"), "description": "Advice on rents", "status": "temporarily_closed", "service_area_id": area["id"],
            "locality_ids": [locality["id"] for locality in localities], "point": {"type": "Point", "coordinates": [1.29, 52.63]}, "address": "City Hall",
            "standard": "Within five days", "standard_published_on": "2026-01-01", "accountable_contact_id": contact["id"], "topics": [records.code("topic")],
            "url": "https://example.org/advice", "email": "advice@example.org", "phone": "01632 960002", "opening": "Monday to Friday, 9 to 5",
            "eligibility": "Everyone who lives here"}
    made = partner.officer.post("/v1/service-entries", body)
    assert made.status == 201, made.text()
    return {**made.json(), "contact": contact, "area": area, "localities": localities}


def test_where_to_start(anonymous, server):
    assert anonymous.get("/hsds").json() == {"version": "3.0", "profile": "https://docs.openreferral.org/en/v3.0.0/",
                                             "openapi_url": f"{server.url}/openapi.json"}


def test_a_whole_service(anonymous, partner, whole):
    answer = anonymous.get(f"/hsds/services/{whole['id']}")
    service = fits(answer.json(), SERVICE)
    assert answer.headers["cache-control"] == "no-store", "it may name a person"
    assert (service["name"], service["status"], service["url"], service["email"]) == (whole["name"], "temporarily closed", whole["url"], whole["email"])
    assert (service["description"], service["eligibility_description"]) == (whole["description"], whole["eligibility"])
    assert service["last_modified"] == whole["updated_at"]
    assert service["organization"] == {"id": partner.id, "name": partner.record["name"], "description": "Voluntary"}
    assert [phone["number"] for phone in service["phones"]] == [whole["phone"]]
    assert [schedule["description"] for schedule in service["schedules"]] == [whole["opening"]]
    (contact,) = service["contacts"]
    assert (contact["name"], contact["title"], contact["department"], contact["email"], contact["phones"][0]["number"]) == (
        "Sam Example", whole["contact"]["post"], whole["area"]["name"], "sam@example.org", "01632 960001")
    drawn, bare = service["service_areas"]
    assert drawn["extent_type"] == "geojson" and json.loads(drawn["extent"])["type"] == "MultiPolygon"
    assert bare["name"] == whole["localities"][1]["name"] and "extent" not in bare
    (place,) = service["service_at_locations"]
    assert (place["location"]["name"], place["location"]["longitude"], place["location"]["latitude"]) == ("City Hall", 1.29, 52.63)
    standard, topic = service["attributes"]
    assert standard["value"] == "Within five days" and topic["taxonomy_term"]["code"] == whole["topics"][0]


def test_ids_of_parts_stay_and_differ(anonymous, whole):
    first, again = (anonymous.get(f"/hsds/services/{whole['id']}").text() for _ in range(2))
    assert first == again
    ids = re.findall(r'"id"\s*:\s*"([0-9a-f-]{36})"', first)
    assert len(ids) == len(set(ids)) >= 10


def test_an_almost_empty_service(anonymous, partner):
    made = partner.officer.post("/v1/service-entries", {"name": unique("Bare")}).json()
    service = fits(anonymous.get(f"/hsds/services/{made['id']}").json(), SERVICE)
    assert set(service) == {"id", "name", "status", "last_modified", "organization"}


# --- what is public ---

@pytest.mark.parametrize("visibility", ["shared", "private"])
def test_only_public_services(anonymous, partner, visibility):
    made = partner.officer.post("/v1/service-entries", {"name": unique("Hidden"), "visibility": visibility}).json()
    for client in (anonymous, partner.officer):
        assert client.get(f"/hsds/services/{made['id']}").status == 404
        assert made["id"] not in client.get("/hsds/services", params={"organization_id": partner.id, "per_page": 100}).text()


def test_only_what_is_public_of_a_public_service(anonymous, partner, records):
    shared = partner.officer.post("/v1/contacts", {"post": unique("Hidden post"), "kind": "officer", "visibility": "shared", "name": "Sam Hidden",
                                                   "public_role": True}).json()
    made = partner.officer.post("/v1/service-entries", {"name": unique("Open"), "accountable_contact_id": shared["id"]}).json()
    locality = records.make("localities", visibility="shared")
    partner.officer.patch(f"/v1/service-entries/{made['id']}", {"locality_ids": [locality["id"]]}, headers={"If-Match": "*"})
    for client in (anonymous, partner.officer):
        service = client.get(f"/hsds/services/{made['id']}").json()
        assert "contacts" not in service and "service_areas" not in service


def test_a_token_sees_no_more_than_its_scopes(records, partner, whole):
    narrow = records.account(partner.id, "viewer", ["service-entries:read"])
    service = narrow.get(f"/hsds/services/{whole['id']}").json()
    assert "contacts" not in service and "service_areas" not in service and service["phones"]
    assert narrow.get("/hsds/organizations").status == 403
    assert records.account(partner.id, "viewer", ["risks:read"]).get("/hsds/services").status == 403


def test_no_such_service(anonymous, partner, whole):
    for path in (f"/hsds/services/{absent_id()}", f"/hsds/organizations/{absent_id()}", f"/hsds/services/{partner.id}", f"/hsds/organizations/{whole['id']}"):
        assert anonymous.get(path).status == 404


# --- pages ---

@pytest.fixture(scope="module", name="many_services")
def _many_services(records):
    """A partner with seven services."""
    owner = records.partner()
    names = [unique("Service") for _ in range(7)]
    made = [owner.officer.post("/v1/service-entries", {"name": name, "description": "Gardening"}).json() for name in names]
    return owner, sorted(made, key=lambda record: record["name"])


def test_pages_are_the_whole_in_order(anonymous, many_services):
    owner, made = many_services
    found = []
    for number in (1, 2, 3):
        answer = fits(anonymous.get("/hsds/services", params={"organization_id": owner.id, "page": number, "per_page": 3}).json(), page(SERVICE))
        assert (answer["total_items"], answer["total_pages"], answer["page_number"], answer["size"]) == (7, 3, number, len(answer["contents"]))
        assert (answer["first_page"], answer["last_page"], answer["empty"]) == (number == 1, number == 3, False)
        assert all(set(service) <= set(SINGLE) for service in answer["contents"])
        found += [service["name"] for service in answer["contents"]]
    assert found == [record["name"] for record in made]


def test_beyond_the_last_page(anonymous, many_services):
    answer = fits(anonymous.get("/hsds/services", params={"organization_id": many_services[0].id, "page": 9}).json(), page(SERVICE))
    assert (answer["empty"], answer["size"], answer["last_page"], answer["total_items"]) == (True, 0, True, 7)


def test_none_at_all(anonymous):
    answer = anonymous.get("/hsds/services", params={"organization_id": absent_id()}).json()
    assert (answer["total_items"], answer["total_pages"], answer["empty"], answer["first_page"], answer["last_page"]) == (0, 1, True, True, True)


def test_search_and_time(anonymous, many_services):
    owner, made = many_services

    def found(**params):
        return {service["id"] for service in anonymous.get("/hsds/services", params={"organization_id": owner.id, **params}).json()["contents"]}

    assert found(search="gardening") == {record["id"] for record in made}
    assert found(search="plumbing") == set()
    newest = max(record["updated_at"] for record in made)
    assert found(modified_after=newest) == {record["id"] for record in made if record["updated_at"] == newest}
    assert found(modified_after="2099-01-01T00:00:00Z") == set()


def test_whole_services_in_a_list(anonymous, partner, whole):
    listed = anonymous.get("/hsds/services", params={"organization_id": partner.id, "full": "true", "per_page": 20}).json()
    fits(listed, page(SERVICE))
    alone = anonymous.get(f"/hsds/services/{whole['id']}").json()
    for area in alone["service_areas"]:  # boundaries are shown by itself alone
        for name in ("extent", "extent_type"):
            area.pop(name, None)
    assert [service for service in listed["contents"] if service["id"] == whole["id"]] == [alone]


@pytest.mark.parametrize("params", [{"page": 0}, {"per_page": 101}, {"per_page": 0}, {"modified_after": "yesterday"}, {"organization_id": "x"}, {"full": "yes"},
                                    {"search": ""}])
def test_no_such_page(anonymous, params):
    assert anonymous.get("/hsds/services", params=params).status == 400


def test_organizations(anonymous, many_services, records):
    owner, idle = many_services[0], records.partner()
    answer = fits(anonymous.get("/hsds/organizations", params={"per_page": 100}).json(), page(ORGANIZATION))
    assert owner.id in [organization["id"] for organization in answer["contents"]]
    assert idle.id not in [organization["id"] for organization in answer["contents"]], "it delivers nothing"
    assert fits(anonymous.get(f"/hsds/organizations/{owner.id}").json(), ORGANIZATION)["name"] == owner.record["name"]
    assert anonymous.get(f"/hsds/organizations/{idle.id}").status == 404
    named = anonymous.get("/hsds/organizations", params={"search": owner.record["name"]}).json()["contents"]
    assert [organization["id"] for organization in named] == [owner.id]


def test_a_page_of_whole_services_is_bounded(anonymous, whole):
    """Without the boundaries of areas, which a service has by itself, and twenty at most."""
    page = anonymous.get("/hsds/services", params={"full": "true", "organization_id": whole["partner_id"], "search": whole["name"]}).json()
    areas = [area for service in page["contents"] for area in service.get("service_areas", [])]
    assert areas and all("extent" not in area and "extent_type" not in area for area in areas)
    refused = anonymous.get("/hsds/services", params={"full": "true", "per_page": 21})
    assert refused.status == 400 and refused.codes() == [("per_page", "range")] and "20" in refused.text()
    assert anonymous.get("/hsds/services", params={"full": "true", "per_page": 20}).status == 200
    assert anonymous.get("/hsds/services", params={"per_page": 100}).status == 200
