# SPDX-License-Identifier: AGPL-3.0-or-later
"""The profile of a locality. Every figure is worked by hand from the ground in the first fixture."""
import datetime

import pytest

from overlap_site import Site
from wardmote_records import absent_id, unique

TODAY = datetime.date.today()
CENSUS = {"source_kind": "census", "as_at": "2021-03-21", "source": "Example census"}
KINDS = ("plan", "contact", "map", "need", "profile")


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, "profile_page")
    yield site
    site.close()


class World:
    """Four blocks with 100, 200, 300 and 400 people. Wards: `west` over the first two, `east` over the others, whose people nobody counted, and `fringe`, a third of
    which lies on the last block. A district over the last three, a beat over the middle two, and a city around the wards without a boundary."""

    def __init__(self, site):
        self.site = site
        self.row = row = site.row()
        ground = site.ground
        self.city = ground.locality(ground.boundary_set(), population=3000)
        self.block_set, self.blocks = row.set((0, 1, 100), (1, 2, 200), (2, 3, 300), (3, 4, 400))
        site.rows("UPDATE wardmote.locality SET population_as_at = '2021-03-21', source = 'Small areas' WHERE boundary_set_id = %s", self.block_set)
        wards = ground.boundary_set()
        self.west = row.bar(wards, 0, 2, name="West", population=300, households=120, population_as_at="2024-06-30", parent_id=self.city, source="An estimate")
        self.east = row.bar(wards, 2, 4, name="East")
        self.fringe = row.bar(ground.boundary_set(), 3, 6, name="Fringe")
        self.district = row.bar(ground.boundary_set(), 1, 4, name="District", population=900)
        self.beat = row.bar(ground.boundary_set(), 1, 3, name="Beat")
        self.hidden = row.bar(ground.boundary_set(visibility="private"), 0, 2, visibility="private")
        self.council, self.police = site.records.partner(name="Example Council"), site.records.partner(name="Example Police")
        site.settle()

    def add(self, partner, resource, **members):
        made = partner.officer.post(f"/v1/{resource}", {"visibility": "public", **members})
        assert made.status == 201, made.text()
        return made.json()["id"]

    def count(self, locality, category, count, base, partner=None, **members):
        return self.add(partner or self.council, "profile-values", locality_id=locality, category=category, count=count, base=base, **{**CENSUS, **members})

    def own(self, locality, count, partner):
        return self.count(locality, "Tenants", count, 200, partner, dimension="tenure", source_kind="core", visibility="private", purpose="Visits",
                          retain_until="2099-12-31", as_at="2025-01-01", source="Our own books")

    def point(self, east):
        return {"type": "Point", "coordinates": [round(self.site.ground.x + east * 0.01, 6), round(self.site.ground.y + self.row.south + 0.005, 6)]}


def profile(client, locality, **params):
    answer = client.get(f"/v1/localities/{locality}/profile", params=params)
    assert answer.status == 200, answer.text()
    return answer.json()


def values(client, locality, dimension, **params):
    """{source_kind: the set of values} of one dimension."""
    return {item["source_kind"]: item for item in profile(client, locality, **params)["values"] if item["dimension"] == dimension}


def counts(item):
    return {each["category"]: (each["count"], each["base"], each["value"]) for each in item["categories"]}


@pytest.fixture(scope="module", name="world")
def _world(site):
    world = World(site)
    for block, n in zip(world.blocks, (1, 2, 3, 4)):
        world.count(block, "Asian", 10 * n, 100 * n, dimension="ethnicity")
        world.count(block, "Other", 90 * n, 100 * n, dimension="ethnicity")
        world.count(block, "Asian", 4 * n, 80 * n, dimension="ethnicity", as_at="2011-03-27")
        world.count(block, "One car", 30 * n, None, dimension="cars")
    world.count(world.west, "Owned", 50, 100, dimension="tenure", as_at="2011-03-27")
    world.count(world.west, "Owned", 66, 120, dimension="tenure")
    world.count(world.blocks[0], "Owned", 1, 2, dimension="tenure")
    world.own(world.west, 25, world.council)
    world.own(world.west, 31, world.police)
    return world


# --- people ---

def test_its_own_figures(world, site):
    found = profile(site.anonymous, world.west)
    assert (found["locality"]["id"], found["locality"]["name"], found["locality"]["source"], found["as_at"], found["left_out"]) == (
        world.west, "West", "An estimate", str(TODAY), [])
    assert found["population"] == {"count": 300, "households": 120, "estimated": False, "covered": 1, "from_boundary_set_id": None, "as_at": "2024-06-30",
                                   "source": "An estimate"}
    (tenure,) = values(site.anonymous, world.west, "tenure").values()
    assert [tenure[name] for name in ("source_kind", "as_at", "source", "partner_id", "from_boundary_set_id")] == [
        "census", "2021-03-21", "Example census", world.council.id, None]
    assert tenure["categories"] == [{"category": "Owned", "count": 66, "base": 120, "value": 55, "estimated": False, "method": "stored", "covered": 1, "basis": None,
                                     "refused": None, "inputs_count": 1}]


def test_figures_of_small_areas(world, site):
    """10 + 20 of 100 + 200; where the population is not known the cover is one of area."""
    (found,) = values(site.anonymous, world.west, "ethnicity").values()
    assert (found["as_at"], found["source"], found["from_boundary_set_id"]) == ("2021-03-21", "Example census", world.block_set)
    assert counts(found) == {"Asian": (30, 300, 10), "Other": (270, 300, 90)}
    assert {tuple(each[name] for name in ("estimated", "method", "covered", "basis", "inputs_count")) for each in found["categories"]} == {
        (True, "population", 1, "population", 2)}
    (found,) = values(site.anonymous, world.east, "ethnicity").values()
    assert counts(found)["Asian"] == (70, 700, 10) and {each["basis"] for each in found["categories"]} == {"area"}
    (found,) = values(site.anonymous, world.west, "cars").values()
    assert counts(found) == {"One car": (90, None, None)}  # without a base there is no percentage


def test_less_than_nine_tenths_are_refused(world, site):
    (found,) = values(site.anonymous, world.fringe, "ethnicity").values()
    assert counts(found) == dict.fromkeys(("Asian", "Other"), (None, None, None))
    assert {(each["refused"], each["covered"]) for each in found["categories"]} == {("cover", 0.3333)}
    assert profile(site.anonymous, world.fringe)["population"] is None
    assert (profile(site.anonymous, world.city)["values"], profile(site.anonymous, world.city)["population"]["count"]) == ([], 3000)


def test_people_of_small_areas(world, site):
    assert profile(site.anonymous, world.east)["population"] == {
        "count": 700, "households": None, "estimated": True, "covered": 1, "from_boundary_set_id": world.block_set, "as_at": "2021-03-21", "source": "Small areas"}


def test_a_day_in_the_past(world, site):
    (found,) = values(site.anonymous, world.west, "ethnicity", as_at="2015-01-01").values()
    assert found["as_at"] == "2011-03-27" and counts(found) == {"Asian": (12, 240, 5)}
    (found,) = values(site.anonymous, world.west, "tenure", as_at="2015-01-01").values()
    assert counts(found) == {"Owned": (50, 100, 50)}
    assert profile(site.anonymous, world.west, as_at="2001-01-01")["values"] == []


def test_what_a_partner_counted_itself_is_its_own(world, site):
    for partner, count in ((world.council, 25), (world.police, 31)):
        found = values(partner.viewer, world.west, "tenure")
        assert set(found) == {"census", "core"}
        assert counts(found["core"]) == {"Tenants": (count, 200, count / 2)} and found["core"]["partner_id"] == partner.id
    assert set(values(site.anonymous, world.west, "tenure")) == {"census"}
    assert set(values(site.administrator, world.west, "tenure")) == {"census"}


def test_private_counts_are_not_converted_for_others(world, site):
    row = site.row()
    _, (whole,) = row.set((0, 2, 50))
    _, halves = row.set((0, 1, 25), (1, 2, 25))
    site.settle()
    for half in halves:
        world.own(half, 7, world.council)
    (found,) = values(world.council.viewer, whole, "tenure").values()
    assert counts(found) == {"Tenants": (14, 400, 3.5)} and found["source_kind"] == "core"
    for client in (world.police.viewer, site.anonymous, site.administrator):
        assert values(client, whole, "tenure") == {}


def test_the_finest_set_that_covers(world, site):
    """Halves and thirds of the same ground, and quarters for only half of it."""
    row = site.row()
    _, (whole,) = row.set((0, 12))
    sets = {n: row.set(*[(12 / n * k, 12 / n * (k + 1)) for k in range(parts)]) for n, parts in ((2, 2), (3, 3), (4, 2))}
    site.settle()
    for boundary_set, parts in sets.values():
        for part in parts:
            world.count(part, "Any", len(parts), 10, dimension="language")
    (found,) = values(site.anonymous, whole, "language").values()
    assert found["from_boundary_set_id"] == sets[3][0] and counts(found) == {"Any": (9, 30, 30)}
    world.count(sets[2][1][0], "Any", 5, 10, dimension="language", as_at="2022-01-01")
    world.count(sets[2][1][1], "Any", 6, 10, dimension="language", as_at="2022-01-01")
    (found,) = values(site.anonymous, whole, "language").values()
    assert (found["as_at"], counts(found)) == ("2022-01-01", {"Any": (11, 20, 55)})


def test_a_sliver_without_people(world, site):
    """A neighbour whose people nobody counted comes over the edge by 0.015 of 2: the cover is still one of people, and its decile is none of the ward's."""
    row = site.row()
    counted, plain = site.ground.boundary_set(), site.ground.boundary_set()
    ward, other = row.bar(counted, 0, 2, population=300), row.bar(plain, 0, 2)
    small_set, areas = row.set((0, 1, 100), (1, 2, 200), (1.985, 4))
    site.settle()
    for area, n, decile in zip(areas, (1, 2, 4), (1, 2, 10)):
        world.count(area, "Any", 10 * n, 100 * n, dimension="language")
        world.add(world.council, "deprivation-values", locality_id=area, index_name="imd", year=2019, domain="overall", decile=decile, source="Example index")
    (found,) = values(site.anonymous, ward, "language").values()
    assert counts(found) == {"Any": (30, 303, 10)}  # 40 times 0.0074 rounds to nothing
    assert [(each["basis"], each["covered"], each["inputs_count"]) for each in found["categories"]] == [("population", 1, 3)]
    (found,) = profile(site.anonymous, ward)["deprivation"]
    assert (found["basis"], found["covered"], found["from_boundary_set_id"]) == ("population", 1, small_set)
    assert found["deciles"] == [{"decile": 1, "areas": 1, "people": 100, "share": 0.3333}, {"decile": 2, "areas": 1, "people": 200, "share": 0.6667}]
    people = profile(site.anonymous, other)["population"]
    assert (people["count"], people["estimated"]) == (300, True)


def test_small_areas_that_overlap(world, site):
    """One area of the whole ward and one of its half, of the same set: their people would count twice."""
    row = site.row()
    _, (ward,) = row.set((0, 2, 300))
    _, areas = row.set((0, 2, 300), (1, 2, 200))
    site.settle()
    for area in areas:
        world.count(area, "Any", 10, 100, dimension="language")
        world.add(world.council, "deprivation-values", locality_id=area, index_name="imd", year=2019, domain="overall", decile=1, source="Example index")
    (found,) = values(site.anonymous, ward, "language").values()
    assert [(each["count"], each["refused"]) for each in found["categories"]] == [(None, "overlap")]
    (found,) = profile(site.anonymous, ward)["deprivation"]
    assert (found["deciles"], found["estimated"], found["covered"]) == (None, True, 1)


# --- no more than is promised ---

def copies(site, table, identifier, of, text):
    """So many rows like this one, with what `text` says of each number `n`."""
    columns = [name for name, in site.rows(
        "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'wardmote' AND table_name = %s AND is_generated = 'NEVER'", table)]
    said = {"id": "gen_random_uuid()", **text}
    site.rows(f"INSERT INTO wardmote.{table} ({', '.join(columns)}) SELECT {', '.join(said.get(name, 't.' + name) for name in columns)}"
              f" FROM wardmote.{table} t CROSS JOIN generate_series(1, {of}) AS n WHERE t.id = %s", identifier)


def test_limits_of_values(world, site):
    boundary_set = site.ground.boundary_set()
    places = [site.ground.locality(boundary_set) for _ in range(3)]
    first = [world.count(place, "0", 1, 2, dimension="000") for place in places]
    assert profile(site.anonymous, places[0])["cut_short"] == []
    name = "lpad(n::text, 3, '0')"
    copies(site, "profile_value", first[0], 200, {"dimension": name})
    found = profile(site.anonymous, places[0])
    assert [item["dimension"] for item in found["values"]] == [f"{n:03}" for n in range(200)] and found["cut_short"] == ["values"]
    copies(site, "profile_value", first[1], 500, {"category": name})
    found = profile(site.anonymous, places[1])
    assert [each["category"] for each in found["values"][0]["categories"]] == ["0", *[f"{n:03}" for n in range(1, 500)]] and found["cut_short"] == ["categories"]
    copies(site, "profile_value", first[2], 12 * 450, {"dimension": "lpad((n %% 12 + 1)::text, 3, '0')", "category": "n::text"})
    found = profile(site.anonymous, places[2])
    # one of 000, eleven times 450, and 49 of the twelfth
    assert [len(item["categories"]) for item in found["values"]] == [1, *[450] * 11, 49] and found["cut_short"] == ["categories"]
    copies(site, "profile_value", first[2], 1, {"dimension": "'999'"})
    assert profile(site.anonymous, places[2])["cut_short"] == ["values", "categories"]
    narrow = site.records.account(world.council.id, "viewer", ["localities:read"])
    assert profile(narrow, places[2])["cut_short"] == []


def test_limits_of_deprivation(world, site):
    place = site.ground.locality(site.ground.boundary_set())
    first = world.add(world.council, "deprivation-values", locality_id=place, index_name="imd", year=2019, domain="000", decile=3, source="Example index")
    copies(site, "deprivation_value", first, 199, {"domain": "lpad(n::text, 3, '0')"})
    assert (len(profile(site.anonymous, place)["deprivation"]), profile(site.anonymous, place)["cut_short"]) == (200, [])
    copies(site, "deprivation_value", first, 1, {"year": "2025"})
    found = profile(site.anonymous, place)
    assert [(item["year"], item["domain"]) for item in found["deprivation"]] == [(2025, "000"), *[(2019, f"{n:03}") for n in range(199)]]
    assert found["cut_short"] == ["deprivation"]

# --- deprivation and designations ---

def test_deprivation(world, site):
    world.add(world.council, "deprivation-values", locality_id=world.west, index_name="imd", year=2019, domain="overall", score=20.5, rank=9000, decile=3, areas=32844,
              source="Example index")
    for block, decile in zip(world.blocks, (1, 1, 5, 10)):
        world.add(world.council, "deprivation-values", locality_id=block, index_name="imd", year=2025, domain="overall", rank=decile * 100, decile=decile,
                  source="Newer index")
    found = profile(site.anonymous, world.west)["deprivation"]
    assert [(item["year"], item["estimated"]) for item in found] == [(2025, True), (2019, False)]
    assert found[0] == {
        "index_name": "imd", "year": 2025, "domain": "overall", "score": None, "rank": None, "decile": None, "areas": None,
        "deciles": [{"decile": 1, "areas": 2, "people": 300, "share": 1}], "estimated": True, "covered": 1, "basis": "population",
        "from_boundary_set_id": world.block_set, "partner_id": world.council.id, "source": "Newer index"}
    assert [found[1][name] for name in ("score", "rank", "decile", "areas", "deciles", "source")] == [20.5, 9000, 3, 32844, None, "Example index"]
    district, older = profile(site.anonymous, world.district)["deprivation"]
    assert (older["year"], older["deciles"], older["covered"]) == (2019, None, 0.2222)  # all that is known of 2019 is about West, of which it has 200 people
    assert district["deciles"] == [  # 200, 300 and 400 of 900
        {"decile": 1, "areas": 1, "people": 200, "share": 0.2222}, {"decile": 5, "areas": 1, "people": 300, "share": 0.3333},
        {"decile": 10, "areas": 1, "people": 400, "share": 0.4444}]
    (east,) = profile(site.anonymous, world.east)["deprivation"]
    assert (east["basis"], [(each["people"], each["share"]) for each in east["deciles"]]) == ("area", [(None, 0.5), (None, 0.5)])
    (fringe,) = profile(site.anonymous, world.fringe)["deprivation"]
    assert (fringe["deciles"], fringe["covered"]) == (None, pytest.approx(1 / 3, abs=1e-4))
    assert [item["year"] for item in profile(site.anonymous, world.west, as_at="2020-06-01")["deprivation"]] == [2019]


def test_designations(world, site):
    def add(locality, **members):
        return world.add(world.council, "priority-designations", locality_id=locality, **{
            "status": "priority", "reason": "other", "reason_text": "As agreed", "valid_from": "2024-01-01", "source": "A decision", **members})

    own, city = add(world.west, reason="deprivation_index", index_name="imd", rank=9000, evidence_date="2019-09-26"), add(world.city, status="targeted")
    beat = add(world.beat)
    add(world.fringe), add(world.west, valid_to="2025-12-31"), add(world.west, valid_from="2099-01-01"), add(world.west, visibility="private")
    found = profile(site.anonymous, world.west)["designations"]
    # 200 of West's 300 people live in the beat
    assert [(item["id"], item["share"]) for item in found] == [(own, 1), (beat, pytest.approx(2 / 3, abs=2e-6)), (city, 1)]
    assert [found[0][name] for name in ("status", "reason", "index_name", "rank", "evidence_date", "source")] == [
        "priority", "deprivation_index", "imd", 9000, "2019-09-26", "A decision"]
    assert len(profile(site.anonymous, world.west, as_at="2025-06-01")["designations"]) == 4
    assert len(profile(world.council.viewer, world.west)["designations"]) == 4


# --- needs and map ---

def test_needs(world, site):
    def add(locality, **members):
        return world.add(world.council, "needs", title=unique("Need"), locality_id=locality, **members)

    first, second = add(world.west, raised_on="2026-01-01", source="A meeting"), add(world.blocks[0], raised_on="2026-02-01")
    add(world.west, status="met"), add(world.west, status="declined", reason="No money"), add(world.west, visibility="private")
    add(world.beat), add(world.city), add(world.east)  # two fifths of the beat's people live here
    needs = profile(site.anonymous, world.west)["needs"]
    assert needs["by_status"] == {"open": 2, "acted_on": 0, "met": 1, "declined": 1}
    assert [item["id"] for item in needs["open"]] == [second, first] and needs["open"][1]["source"] == "A meeting"
    assert profile(world.council.viewer, world.west)["needs"]["by_status"]["open"] == 3
    assert site.anonymous.get(needs["open"][0]["link"]).json()["id"] == second


def test_map(world, site):
    def add(**members):
        world.add(world.council, "map-items", **{"name": unique("Item"), "kind": "facility", "aspect": "strength", **members})

    add(locality_id=world.west, last_verified_on="2026-01-05")
    add(point=world.point(0.5), last_verified_on="2026-03-05")
    add(locality_id=world.blocks[1], aspect="gap")
    add(locality_id=world.west, kind="activity", aspect="neutral")
    add(locality_id=world.west, point=world.point(3.5))  # it stands elsewhere
    add(locality_id=world.beat), add(point=world.point(2.5)), add(locality_id=world.west, visibility="private")
    for held_on, locality in (("2025-11-03", world.west), ("2026-02-03", world.blocks[0]), ("2026-03-03", world.beat)):
        world.add(world.council, "mapping-exercises", title=unique("Walk"), locality_id=locality, status="held", held_on=held_on)
    found = profile(site.anonymous, world.west)["map"]
    assert found == {"items": [
        {"kind": "activity", "aspect": "neutral", "count": 1, "last_verified_on": None}, {"kind": "facility", "aspect": "gap", "count": 1, "last_verified_on": None},
        {"kind": "facility", "aspect": "strength", "count": 2, "last_verified_on": "2026-03-05"}], "last_mapped_on": "2026-02-03"}
    assert profile(site.anonymous, world.west, as_at="2025-12-31")["map"]["last_mapped_on"] == "2025-11-03"


# --- who works there, what was asked, and what came of it ---

def test_who_works_there(world, site):
    group = world.add(world.council, "community-groups", name="Residents of West", kind="residents", locality_id=world.west)
    world.add(world.council, "community-groups", name="Ended", kind="residents", locality_id=world.west, valid_to="2025-12-31")
    world.add(world.council, "community-groups", name="Of East", kind="residents", locality_id=world.east)
    contact = world.add(world.police, "contacts", post="Constable", kind="officer", name="Example Person", public_role=True)
    for locality in (world.beat, world.fringe):
        world.add(world.police, "contact-assignments", contact_id=contact, role="locality_contact", locality_id=locality, valid_from="2026-01-01")
    service = world.add(world.police, "service-entries", name="Front desk", locality_ids=[world.city, world.fringe])
    found = profile(site.anonymous, world.west)
    here = found["who_works_here"]
    assert [(item["id"], item["share"]) for item in here["groups"]] == [(group, 1)]
    assert [(item["id"], item["title"], item["share"]) for item in here["contacts"]] == [(contact, "Constable", pytest.approx(2 / 3, abs=2e-6))]
    assert [(item["id"], item["share"]) for item in here["services"]] == [(service, 1)]
    assert {"contacts", "services"} <= set(next(item["by"] for item in here["partners"] if item["name"] == "Example Police"))
    assert "Example Person" not in str(found)
    assert profile(site.anonymous, world.west, as_at="2025-06-01")["who_works_here"]["contacts"] == []


def test_what_was_asked_and_what_came_of_it(world, site):
    def asked(locality, *moves, **members):
        identifier = world.add(world.council, "consultations", **{"title": unique("Asked"), "retrospective": True, "as_at": "2026-06-01", "close_on": "2026-03-31",
                                                                  "locality_ids": [locality], **members})
        for state in moves:
            moved = world.council.officer.post(f"/v1/consultations/{identifier}/transitions", {"to": state}, headers={"If-Match": "*"})
            assert moved.status == 200, moved.text()
        return identifier

    def held(**members):
        return world.add(world.police, "activities", **{"title": unique("Held"), "kind": "meeting", "status": "held", "starts_on": "2026-03-01", **members})

    planned = asked(world.beat, "planned", open_on="2026-03-01")
    closed = asked(world.city, "planned", "approved", "closed", open_on="2026-02-01", source="Minutes")
    asked(world.fringe, "planned", open_on="2026-02-01"), asked(world.west, visibility="private", open_on="2026-02-01")
    first = held(locality_ids=[world.west], outcome="A new bench", attended=12)
    second = held(consultation_id=None, locality_ids=[world.beat], outcome="A crossing", starts_on="2026-04-01")
    held(locality_ids=[world.west]), held(locality_ids=[world.fringe], outcome="Nothing here"), held(locality_ids=[world.west], outcome="Secret", visibility="private")
    own = world.add(world.council, "activities", title="About it", kind="meeting", status="held", starts_on="2026-02-15", outcome="Heard", consultation_id=closed)
    found = profile(site.anonymous, world.west)
    assert {status: n for status, n in found["asked"]["by_status"].items() if n} == {"planned": 1, "closed": 1}
    assert [(item["id"], item["share"], item["source"]) for item in found["asked"]["newest"]] == [
        (planned, pytest.approx(2 / 3, abs=2e-6), None), (closed, 1, "Minutes")]
    came = found["came_of_it"]
    assert (came["by_status"], came["with_outcome"]) == ({"planned": 0, "held": 4, "cancelled": 0}, 3)
    assert [(item["id"], item["outcome"], item["attended"], item["consultation_id"]) for item in came["newest"]] == [
        (second, "A crossing", None, None), (first, "A new bench", 12, None), (own, "Heard", None, closed)]


def test_all_are_counted_and_the_newest_shown(world, site):
    """22 of each, of one day: the last twenty that were recorded, the last first."""
    place = site.ground.locality(site.ground.boundary_set())
    asked = [world.add(world.council, "consultations", title=unique("Asked"), retrospective=True, as_at="2026-06-01", open_on="2026-03-01", close_on="2026-03-31",
                       locality_ids=[place]) for _ in range(22)]
    held = [world.add(world.police if n % 2 else world.council, "activities", title=unique("Held"), kind="meeting", status="held", starts_on="2026-03-01",
                      outcome="Heard", **({"locality_ids": [place]} if n % 2 else {"consultation_id": asked[n]})) for n in range(22)]
    world.add(world.council, "activities", title="No outcome", kind="meeting", status="planned", starts_on="2026-04-01", locality_ids=[place], consultation_id=asked[0])
    needs = [world.add(world.council, "needs", title=unique("Need"), locality_id=place, raised_on="2026-01-01") for _ in range(52)]
    found = profile(site.anonymous, place)
    assert {status: n for status, n in found["asked"]["by_status"].items() if n} == {"idea": 22}
    assert [item["id"] for item in found["asked"]["newest"]] == asked[:1:-1] and {item["share"] for item in found["asked"]["newest"]} == {1}
    assert (found["came_of_it"]["by_status"], found["came_of_it"]["with_outcome"]) == ({"planned": 1, "held": 22, "cancelled": 0}, 22)
    assert [item["id"] for item in found["came_of_it"]["newest"]] == held[:1:-1]
    assert found["needs"]["by_status"] == {"open": 52, "acted_on": 0, "met": 0, "declined": 0}
    assert [item["id"] for item in found["needs"]["open"]] == needs[:1:-1]
    assert [(item["name"], item["by"]) for item in found["who_works_here"]["partners"]] == [
        ("Example Council", ["activities", "consultations"]), ("Example Police", ["activities"])]

# --- what it lacks ---

def test_readiness_and_what_localities_lack(world, site):
    """A set of six, each with one thing more than the one before; then the last with what does not count."""
    boundary_set, localities = site.row().set(*[(n, n + 1) for n in range(6)])
    month = str(TODAY - datetime.timedelta(days=30))
    contact = world.add(world.council, "contacts", post="Officer", kind="officer")

    def fill(locality, parts):
        made = {
            "plan": lambda: world.add(world.council, "locality-plans", title="Plan", kind="profile", locality_id=locality, status="agreed"),
            "contact": lambda: world.add(world.council, "contact-assignments", contact_id=contact, role="lead", locality_id=locality, valid_from=month),
            "map": lambda: world.add(world.council, "mapping-exercises", title="Walk", locality_id=locality, status="held", held_on=month),
            "need": lambda: world.add(world.council, "needs", title="Need", locality_id=locality),
            "profile": lambda: world.count(locality, "Owned", 1, 2, dimension="tenure", as_at=month),
        }
        for part in parts:
            made[part]()

    for n, locality in enumerate(localities):
        fill(locality, KINDS[:n])
    old = str(TODAY - datetime.timedelta(days=24 * 31))
    world.add(world.council, "locality-plans", title="Draft", kind="profile", locality_id=localities[0], status="draft")
    world.add(world.council, "mapping-exercises", title="To come", locality_id=localities[0])
    world.add(world.council, "contact-assignments", contact_id=contact, role="lead", locality_id=localities[0], valid_from=old, valid_to=month)
    world.count(localities[0], "Owned", 1, 2, dimension="tenure", as_at=old)
    world.add(world.council, "needs", title="Secret", locality_id=localities[0], visibility="private")
    for n, locality in enumerate(localities):
        assert profile(site.anonymous, locality)["readiness"] == {name: place < n for place, name in enumerate(KINDS)}

    def lacking(client, what):
        found = client.get("/v1/localities", params={"boundary_set_id": boundary_set, "lacking": what, "count": "exact"})
        assert found.status == 200 and found.json()["count"] == len(found.json()["items"]), found.text()
        return {item["id"] for item in found.json()["items"]}

    for place, name in enumerate(KINDS):
        assert lacking(site.anonymous, name) == set(localities[:place + 1])
    assert lacking(world.council.viewer, "need") == set(localities[1:4])
    narrow = site.records.account(world.council.id, "viewer", ["localities:read", "locality-plans:read"])
    assert (lacking(narrow, "plan"), lacking(narrow, "need")) == (set(localities[:1]), set())
    assert profile(narrow, localities[0])["readiness"] == {"plan": False, "contact": None, "map": None, "need": None, "profile": None}
    assert site.anonymous.get("/v1/localities", params={"lacking": "money"}).codes() == [("lacking", "enum")]


# --- who sees what, and what is no question ---

def test_a_token_sees_no_more_than_its_scopes(world, site):
    found = profile(site.records.account(world.council.id, "viewer", ["localities:read"]), world.west)
    assert found["left_out"] == ["profile-values", "deprivation-values", "priority-designations", "needs", "map-items", "mapping-exercises", "locality-plans",
                                 "community-groups", "contacts", "contact-assignments", "service-entries", "consultations", "activities", "partners"]
    assert [found[name] for name in ("values", "deprivation", "designations", "needs", "map", "asked", "came_of_it")] == [None] * 7
    assert found["who_works_here"] == {"groups": None, "contacts": None, "services": None, "partners": []} and found["population"]["count"] == 300
    found = profile(site.records.account(world.council.id, "viewer", ["localities:read", "profile-values:read"]), world.west)
    assert {item["dimension"] for item in found["values"]} == {"tenure", "ethnicity", "cars"} and found["needs"] is None


def test_localities_that_are_not_seen(world, site):
    assert site.anonymous.get(f"/v1/localities/{world.hidden}/profile").status == 404
    assert site.anonymous.get(f"/v1/localities/{absent_id()}/profile").status == 404
    assert profile(site.administrator, world.hidden)["locality"]["id"] == world.hidden
    narrow = site.records.account(world.council.id, "viewer", ["needs:read"])
    assert narrow.get(f"/v1/localities/{world.west}/profile").status == 403


@pytest.mark.parametrize("params, codes", [({"as_at": "soon"}, [("as_at", "format")]), ({"as_of": "2026-01-01"}, [("as_of", "unknown_parameter")])])
def test_bad_parameters(world, site, params, codes):
    answer = site.anonymous.get(f"/v1/localities/{world.west}/profile", params=params)
    assert (answer.status, answer.codes()) == (400, codes)
