# SPDX-License-Identifier: AGPL-3.0-or-later
"""match=overlap: one question finds what partners ask and do who cut the same ground differently."""
import pytest

from overlap_site import Site

THINGS = {"consultations": {"title": "Asked"}, "activities": {"title": "Done", "kind": "event"}}


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, "finder_overlap")
    yield site
    site.close()


class World:
    """A council with two wards of a city that has no boundary, and their small areas; police with a beat over most of one ward, and one that only grazes it."""

    def __init__(self, site):
        self.site = site
        row = site.row()
        ground = site.ground
        self.city = ground.locality(ground.boundary_set())
        self.wards = ground.boundary_set()
        self.ward = row.bar(self.wards, 0, 4, parent_id=self.city, population=40)
        self.next_ward = row.bar(self.wards, 4, 8, parent_id=self.city, population=40)
        self.block = row.bar(ground.boundary_set(), 0, 1, parent_id=self.ward)
        _, (self.beat, self.grazing) = row.set((1, 3.98), (3.99, 20))
        self.hidden = row.bar(ground.boundary_set(), 0, 4, visibility="private")
        self.council, self.police = site.records.partner(), site.records.partner()
        site.settle()
        self.ids = {}
        for resource in THINGS:
            for name in ("city", "ward", "next_ward", "block", "beat", "grazing"):
                self.add(resource, name, self.police if name in ("beat", "grazing") else self.council, locality_ids=[getattr(self, name)])
            self.add(resource, "none", self.council)

    def add(self, resource, name, partner, **members):
        made = partner.officer.post(f"/v1/{resource}", {**THINGS[resource], "visibility": "public", **members})
        assert made.status == 201, made.text()
        self.ids[resource, made.json()["id"]] = name

    def list(self, resource, *localities, **params):
        params = {"locality_ids": ",".join(localities), "limit": 100, **params}
        answer = self.site.anonymous.get(f"/v1/{resource}", params=params)
        assert answer.status == 200, answer.text()
        return {self.ids[resource, item["id"]]: item.get("matched_localities") for item in answer.json()["items"]}


@pytest.fixture(scope="module", name="world")
def _world(site):
    return World(site)


@pytest.mark.parametrize("resource", THINGS)
def test_by_a_ward(world, resource):
    assert set(world.list(resource, world.ward)) == {"ward"} == set(world.list(resource, world.ward, match="exact"))
    found = world.list(resource, world.ward, match="overlap")
    # what only grazes it shares less than a hundredth of either
    assert set(found) == {"ward", "city", "block", "beat"}
    near = pytest.approx
    assert found["ward"] == [{"locality_id": world.ward, "asked_id": world.ward, "area_share": 1, "population_share": 1, "asked_area_share": 1}]
    (beat,) = found["beat"]
    assert beat == {"locality_id": world.beat, "asked_id": world.ward, "area_share": 1, "population_share": beat["population_share"],
                    "asked_area_share": near(0.745, abs=1e-5)}
    assert found["city"] == [{"locality_id": world.city, "asked_id": world.ward, "area_share": None, "population_share": None, "asked_area_share": None}]
    assert found["block"][0]["area_share"] == 1 and found["block"][0]["asked_area_share"] == near(0.25, abs=1e-5)


@pytest.mark.parametrize("resource", THINGS)
def test_from_the_other_side(world, resource):
    assert set(world.list(resource, world.beat, match="overlap")) == {"beat", "ward", "city"}
    assert set(world.list(resource, world.grazing, match="overlap")) == {"grazing", "next_ward", "city"}
    assert set(world.list(resource, world.block, match="overlap")) == {"block", "ward", "city"}


@pytest.mark.parametrize("resource", THINGS)
def test_by_what_has_no_boundary(world, resource):
    """The city is known by its wards, and so are those who work there."""
    found = world.list(resource, world.city, match="overlap")
    assert set(found) == {"city", "ward", "next_ward", "block", "beat", "grazing"}
    assert set(world.list(resource, world.city)) == {"city"}


@pytest.mark.parametrize("resource", THINGS)
def test_several_at_once_and_other_filters(world, resource):
    found = world.list(resource, world.beat, world.grazing, match="overlap")
    assert set(found) == {"beat", "grazing", "ward", "next_ward", "city"}
    assert [row["asked_id"] for row in found["city"]] == sorted([world.beat, world.grazing])
    assert set(world.list(resource, world.ward, match="overlap", partner_id=world.police.id)) == {"beat"}
    pages = world.site.anonymous.pages(f"/v1/{resource}", params={"locality_ids": world.ward, "match": "overlap", "limit": 1})
    assert sorted(world.ids[resource, item["id"]] for item in pages) == ["beat", "block", "city", "ward"]


@pytest.mark.parametrize("resource", THINGS)
def test_counts_and_tables(world, resource):
    params = {"locality_ids": world.ward, "match": "overlap", "count": "exact"}
    assert world.site.anonymous.get(f"/v1/{resource}", params=params).json()["count"] == 4
    table = world.site.anonymous.get(f"/v1/{resource}.csv", params={"locality_ids": world.ward, "match": "overlap", "fields": "title"})
    assert len(table.text().splitlines()) == 5 and "matched_localities" not in table.text()


@pytest.mark.parametrize("resource", THINGS)
def test_what_is_hidden_finds_nothing(world, resource):
    """A locality that the caller does not see is as one that is not there."""
    assert world.list(resource, world.hidden, match="overlap") == {}
    params = {"locality_ids": world.hidden, "match": "overlap", "limit": 100}
    seen = world.site.administrator.get(f"/v1/{resource}", params=params).json()["items"]
    assert {world.ids[resource, item["id"]] for item in seen} == {"ward", "block", "beat", "city"}


@pytest.mark.parametrize("resource", THINGS)
def test_it_needs_localities(world, resource):
    for params, fault in (({"match": "overlap"}, "required"), ({"match": "near", "locality_ids": world.ward}, "enum")):
        answer = world.site.anonymous.get(f"/v1/{resource}", params=params)
        assert answer.status == 400 and [code for _, code in answer.codes()] == [fault], answer.text()
    assert world.site.anonymous.get(f"/v1/{resource}", params={"match": "exact"}).status == 200


def test_places_that_stand_for_too_many(world):
    """A county of 5,000 parts is asked for, one of 5,001 is not; nor are three times 5,000 parts, each for itself few enough, with what a fourth adds."""
    site = world.site
    parts = site.ground.boundary_set()
    counties = [site.ground.locality(site.ground.boundary_set()) for _ in range(5)]
    for number, county in enumerate(counties):
        site.rows("INSERT INTO wardmote.locality (boundary_set_id, partner_id, visibility, code, name, parent_id) SELECT s.id, s.partner_id, 'public',"
                  " %s || n, 'Part', %s::uuid FROM wardmote.boundary_set s CROSS JOIN generate_series(1, 4999 + %s) n WHERE s.id = %s::uuid RETURNING 1",
                  f"{number}-", county, number // 4, parts)
    site.connection.commit()
    for resource in THINGS:
        assert world.list(resource, counties[0], match="overlap") == {}
        for asked in (counties[4:], counties[:2]):
            answer = site.anonymous.get(f"/v1/{resource}", params={"locality_ids": ",".join(asked), "match": "overlap"})
            assert answer.status == 400 and answer.codes() == [("locality_ids", "too_many")], answer.text()
            assert "5,000 parts" in answer.text()
        assert world.list(resource, *counties) == {}
    site.rows("UPDATE wardmote.locality SET parent_id = NULL WHERE boundary_set_id = %s::uuid RETURNING 1", parts)
    site.connection.commit()
