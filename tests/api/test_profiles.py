# SPDX-License-Identifier: AGPL-3.0-or-later
"""Counts of people and deprivation of places: what a value must have, who sees it, and how long it is kept."""
import pytest

import places
from wardmote_records import unique

PROFILES, DEPRIVATION = "/v1/profile-values", "/v1/deprivation-values"
PUBLISHED = ("census", "population_estimate", "published_statistics")
OWN = ("resident_profiling", "core", "needs_data", "survey", "other")


@pytest.fixture(scope="module", name="ground")
def _ground(administrator):
    ground = places.Ground(administrator, 0)
    ground.wards = ground.boundary_set()
    ground.ward = ground.locality(ground.wards)
    return ground


@pytest.fixture(name="own_partner")
def _own_partner(records):
    return records.partner()


def count(ground, **members):
    return {"locality_id": ground.ward, "dimension": "age", "category": "0-15", "count": 4, "base": 20, "source_kind": "census", "as_at": "2021-03-21", **members}


def own(ground, **members):
    return count(ground, **{"source_kind": "resident_profiling", "purpose": "Visits", "retain_until": "2999-12-31", **members})


def score(ground, **members):
    return {"locality_id": ground.ward, "index_name": "imd", "year": 2019, **members}


def listed(client, path, **params):
    answer = client.get(path, params=params)
    assert answer.status == 200, answer.text()
    return [item["id"] for item in answer.json()["items"]]


# --- counts ---

@pytest.mark.parametrize("members, faults", [
    ({"count": 21}, [("/count", "constraint")]),
    ({"retain_until": "2021-03-20"}, [("/retain_until", "order")]),
    ({"source_kind": "survey"}, [("/purpose", "required"), ("/retain_until", "required")]),
    ({"source_kind": "core", "purpose": "Visits"}, [("/retain_until", "required")]),
    ({"source_kind": "other", "purpose": "Visits", "retain_until": "2999-01-01", "visibility": "shared"}, [("/visibility", "not_published")]),
])
def test_what_a_count_must_have(own_partner, ground, members, faults):
    answer = own_partner.officer.post(PROFILES, count(ground, **members))
    assert (answer.status, sorted(answer.codes())) == (422, faults), answer.text()


@pytest.mark.parametrize("members", [{"count": -1}, {"count": 12.5}, {"count": "12%"}, {"base": 1000000001}, {"count": None}, {"as_at": None}, {"source_kind": "hearsay"}])
def test_only_whole_people_are_counted(own_partner, ground, members):
    answer = own_partner.officer.post(PROFILES, count(ground, **members))
    assert (answer.status, [pointer for pointer, _ in answer.codes()]) == (400, [f"/{name}" for name in members]), answer.text()


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_counts_are_anybodys(own_partner, ground, anonymous, kind):
    made = own_partner.officer.post(PROFILES, count(ground, source_kind=kind, visibility="public"))
    assert made.status == 201 and anonymous.get(f"{PROFILES}/{made.json()['id']}").json()["count"] == 4
    assert made.json()["purpose"] is None and made.json()["retain_until"] is None


@pytest.mark.parametrize("kind", OWN)
def test_own_counts_stay_with_their_partner(own_partner, ground, records, administrator, anonymous, kind):
    made = own_partner.officer.post(PROFILES, own(ground, source_kind=kind)).json()
    path, any_version = f"{PROFILES}/{made['id']}", {"If-Match": "*"}
    assert made["visibility"] == "private" and own_partner.viewer.get(path).json()["count"] == 4
    for client in (anonymous, administrator, records.partner().manager):
        assert client.get(path).status == 404 and made["id"] not in listed(client, PROFILES, locality_id=ground.ward)
    for members in ({"visibility": "public"}, {"visibility": "shared"}, {"grants": [{"partner_id": records.partner().id, "right": "read"}]}):
        answer = own_partner.manager.patch(path, members, headers=any_version)
        assert (answer.status, answer.codes()) == (422, [(f"/{name}", "not_published") for name in members])
    for name in ("purpose", "retain_until"):
        assert own_partner.manager.patch(path, {name: None}, headers=any_version).codes() == [(f"/{name}", "required")]


def test_a_count_that_was_shown_cannot_become_an_own_one(own_partner, ground):
    made = own_partner.officer.post(PROFILES, count(ground, visibility="public", purpose="Visits", retain_until="2999-12-31")).json()
    answer = own_partner.officer.patch(f"{PROFILES}/{made['id']}", {"source_kind": "survey"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/visibility", "not_published")])


def test_a_partner_has_one_count_of_a_category_on_a_day(own_partner, ground, records):
    assert own_partner.officer.post(PROFILES, count(ground)).status == 201
    answer = own_partner.officer.post(PROFILES, count(ground, count=5))
    assert (answer.status, answer.codes()) == (409, [("/category", "not_unique")])
    for members in ({"as_at": "2011-03-27"}, {"source_kind": "population_estimate"}, {"dimension": "ages"}, {"category": "16-24"}, {"locality_id": ground.locality(ground.wards)}):
        assert own_partner.officer.post(PROFILES, count(ground, **members)).status == 201
    assert records.partner().officer.post(PROFILES, count(ground)).status == 201
    answer = own_partner.officer.put(PROFILES, count(ground), params={"external_id": unique("put")})
    assert answer.status == 409 and {code for _, code in answer.codes()} == {"not_unique"}, answer.text()


def test_counts_are_found_by_set_place_dimension_and_day(own_partner, ground):
    wards = ground.boundary_set()
    here, there = ground.locality(wards), ground.locality(ground.wards)
    one = own_partner.officer.post(PROFILES, count(ground, locality_id=here)).json()["id"]
    two = own_partner.officer.post(PROFILES, count(ground, locality_id=here, dimension="tenure", category="Owned", as_at="2011-03-27")).json()["id"]
    three = own_partner.officer.post(PROFILES, own(ground, locality_id=there)).json()["id"]
    mine = {"partner_id": own_partner.id}
    for params, found in (({"boundary_set_id": wards}, [one, two]), ({"boundary_set_id": ground.wards}, [three]), ({"locality_id": here, "dimension": "age"}, [one]),
                          ({"as_at.lte": "2011-12-31"}, [two]), ({"source_kind": "census,survey"}, [one, two]), ({"retain_until.lte": "2999-12-31"}, [three]),
                          ({"sort": "-as_at", "boundary_set_id": wards}, [one, two]), ({"sort": "-dimension", "boundary_set_id": wards}, [two, one])):
        assert listed(own_partner.viewer, PROFILES, **mine, **params) == found, params


# --- how long ---

def test_a_count_whose_day_is_over_is_gone_everywhere(own_partner, ground, cluster, server):
    body, key = own(ground, count=17), {"Idempotency-Key": unique("key")}
    made = own_partner.officer.post(PROFILES, body, headers=key).json()
    path = f"{PROFILES}/{made['id']}"
    assert own_partner.officer.post(PROFILES, body, headers=key).json() == made
    assert own_partner.officer.patch(path, {"count": 18}, headers={"If-Match": "*"}).status == 200
    assert own_partner.officer.patch(path, {"retain_until": "2021-03-21"}, headers={"If-Match": "*"}).status == 200
    connection = cluster.connect("wardmote_owner", server.database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT wardmote.expire_profile_values()")
    connection.close()
    assert own_partner.officer.get(path).status == 404
    assert [item["operation"] for item in own_partner.officer.get(f"{path}/history").json()["items"]] == ["delete"]
    for params in ({}, {"as_of": made["updated_at"]}):
        assert listed(own_partner.officer, PROFILES, partner_id=own_partner.id, **params) == []
    assert own_partner.officer.post(PROFILES, body, headers=key).status == 404, "the answer that was stored"


# --- deprivation ---

def test_an_index_says_score_rank_or_decile(own_partner, ground, anonymous):
    answer = own_partner.officer.post(DEPRIVATION, score(ground))
    assert (answer.status, answer.codes()) == (422, [("/score", "required")])
    answer = own_partner.officer.post(DEPRIVATION, score(ground, rank=11, areas=10))
    assert (answer.status, answer.codes()) == (422, [("/rank", "constraint")])
    made = own_partner.officer.post(DEPRIVATION, score(ground, score=-1.23456, decile=10))
    assert made.status == 201, made.text()
    seen = anonymous.get(f"{DEPRIVATION}/{made.json()['id']}").json()
    assert (seen["score"], seen["domain"], seen["visibility"]) == (-1.2346, "overall", "public")
    answer = own_partner.officer.post(DEPRIVATION, score(ground, rank=3))
    assert (answer.status, answer.codes()) == (409, [("/domain", "not_unique")])
    assert own_partner.officer.post(DEPRIVATION, score(ground, rank=3, domain="income")).status == 201
    assert own_partner.officer.post(DEPRIVATION, score(ground, rank=3, year=2015)).status == 201
    answer = own_partner.officer.put(DEPRIVATION, score(ground, rank=3, year=2015), params={"external_id": unique("put")})
    assert answer.status == 409 and {code for _, code in answer.codes()} == {"not_unique"}, answer.text()


@pytest.mark.parametrize("members", [{"decile": 0}, {"decile": 11}, {"rank": 0}, {"year": 1989}, {"score": 1000000.5}, {"score": "high"}])
def test_figures_of_an_index_have_bounds(own_partner, ground, members):
    answer = own_partner.officer.post(DEPRIVATION, score(ground, **{"decile": 1, **members}))
    assert (answer.status, [pointer for pointer, _ in answer.codes()]) == (400, [f"/{name}" for name in members]), answer.text()


def test_the_most_deprived_are_found(own_partner, ground):
    wards = ground.boundary_set()
    made = [own_partner.officer.post(DEPRIVATION, score(ground, locality_id=ground.locality(wards), decile=decile)).json()["id"] for decile in (1, 2, 3, 10)]
    assert sorted(listed(own_partner.viewer, DEPRIVATION, boundary_set_id=wards, **{"decile.lte": 2})) == sorted(made[:2])
    assert sorted(listed(own_partner.viewer, DEPRIVATION, boundary_set_id=wards, index_name="imd", year=2019)) == sorted(made)
