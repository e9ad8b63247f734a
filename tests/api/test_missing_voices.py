# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who had the least voice in a period. Every figure is worked by hand from the ground in the first fixture."""
import datetime

import pytest

from overlap_site import Site
from wardmote_records import absent_id, unique

MARCH = {"from": "2026-03-01", "to": "2026-03-31"}


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, "missing_voices")
    yield site
    site.close()


class World:
    """Blocks of 100, 200, 300 and 400 people; wards A and B of two each, and C beside them with people that nobody counted; a city of 2,000 over all three,
    without a boundary; a beat over all blocks but the first: 200 of A's 300 people, and all 700 of B's, live in it."""

    def __init__(self, site):
        self.site = site
        self.row = row = site.row()
        ground = site.ground
        self.city = ground.locality(ground.boundary_set(), population=2000)
        self.wards = ground.boundary_set(is_common=True)
        self.a = row.bar(self.wards, 0, 2, parent_id=self.city, population=300, population_as_at="2021-03-21", name="A", source="A census")
        self.b = row.bar(self.wards, 2, 4, parent_id=self.city, population=700, name="B")
        self.c = row.bar(self.wards, 4, 6, parent_id=self.city, name="C")
        row.bar(self.wards, 0, 6, valid_to="2025-12-31", name="Gone")
        row.bar(self.wards, 0, 6, visibility="private", name="Hidden")
        _, self.blocks = row.set((0, 1, 100), (1, 2, 200), (2, 3, 300), (3, 4, 400))
        _, (self.beat,) = row.set((1, 4))
        self.council, self.police = site.records.partner(name="Example Council"), site.records.partner(name="Example Police")
        site.settle()

    def add(self, partner, resource, **members):
        made = partner.officer.post(f"/v1/{resource}", {"visibility": "public", **members})
        assert made.status == 201, made.text()
        return made.json()["id"]

    def asked(self, open_on, close_on, *moves, partner=None, **members):
        identifier = self.add(partner or self.council, "consultations", **{
            "title": unique("Asked"), "retrospective": True, "as_at": "2026-06-01", "open_on": open_on, "close_on": close_on, **members})
        for state in moves or ("planned", "approved", "closed"):
            moved = (partner or self.council).officer.post(f"/v1/consultations/{identifier}/transitions", {"to": state}, headers={"If-Match": "*"})
            assert moved.status == 200, moved.text()
        return identifier

    def held(self, attended, starts_on="2026-03-05", partner=None, **members):
        return self.add(partner or self.council, "activities", **{
            "title": unique("Held"), "kind": "meeting", "status": "held", "starts_on": starts_on, "attended": attended, **members})


def voices(client, **params):
    answer = client.get("/v1/who-is-missing", params={**MARCH, **params})
    assert answer.status == 200, answer.text()
    return answer.json()


@pytest.fixture(scope="module", name="world")
def _world(site):
    world = World(site)
    world.in_a = world.asked("2026-03-10", "2026-03-20", locality_ids=[world.a])
    world.in_beat = world.asked("2026-02-01", "2026-03-01", locality_ids=[world.beat])  # its last day is the first of the period
    world.in_city = world.asked("2026-01-01", "2026-03-01", locality_ids=[world.city], close_on_precision="month")
    world.in_block = world.asked("2026-03-31", "2026-04-30", locality_ids=[world.blocks[3]])
    world.asked("2026-01-01", "2026-02-01", locality_ids=[world.c], close_on_precision="month")  # until the end of February
    world.asked("2026-04-01", "2026-04-30", locality_ids=[world.c])
    world.asked("2026-03-01", "2026-03-31", "planned", locality_ids=[world.c])
    world.held(30, locality_ids=[world.a])
    world.held(90, locality_ids=[world.beat])
    world.held(40, locality_ids=[world.a, world.c], locality_shares=[{"locality_id": world.a, "share": 0.25}, {"locality_id": world.c, "share": 0.75}])
    world.held(100, locality_ids=[world.a, world.b])
    world.held(200, locality_ids=[world.city])
    world.held(5, point={"type": "Point", "coordinates": [round(site.ground.x + 0.05, 6), round(site.ground.y + world.row.south + 0.005, 6)]})
    world.held(1000, "2026-04-01", locality_ids=[world.c])
    world.held(1000, locality_ids=[world.c], status="planned")
    world.held(1000, locality_ids=[world.c], status="cancelled")
    world.add(world.police, "community-groups", name="Watch", kind="residents", locality_id=world.a)
    world.add(world.council, "community-groups", name="Ended", kind="residents", locality_id=world.c, valid_to="2026-02-28")
    contact = world.add(world.police, "contacts", post="Constable", kind="officer")
    world.add(world.police, "contact-assignments", contact_id=contact, role="locality_contact", locality_id=world.beat, valid_from="2026-03-31")
    world.add(world.police, "service-entries", name="Front desk", locality_ids=[world.city])
    return world


def test_the_voice_of_localities(site, world):
    found = voices(world.council.viewer)
    items = {item["name"]: item for item in found["localities"]}
    assert list(items) == ["C", "B", "A"]  # the least first; neither what is gone nor what is hidden
    # A was asked itself (1), as 200 of 300 people in the beat, and as a part of the city (1); B in the beat (1), in the city (1), and 400 of 700 in a block
    assert {name: item["asks"] for name, item in items.items()} == {"A": 2.667, "B": 2.571, "C": 1}
    # A: 30, 200 of the 900 of the beat (20), a quarter of 40 (10), 300 of 1,000 (30), 300 of the 2,000 of the city (30). B: 70 of the beat, 70 of the two, 70 of the
    # city. C: three quarters of 40 (30), half of 200 as nobody knows better (100), and the 5 on its ground
    assert {name: item["attended"] for name, item in items.items()} == {"A": 120, "B": 210, "C": 135}
    assert {name: item["attended_per_1000"] for name, item in items.items()} == {"A": 400, "B": 300, "C": None}
    assert {name: item["voice"] for name, item in items.items()} == {"A": 402.667, "B": 302.571, "C": 1}
    assert {item["basis"] for item in items.values()} == {"estimated"}
    assert set(items["A"]["consultation_ids"]) == {world.in_a, world.in_beat, world.in_city} and len(items["A"]["activity_ids"]) == 5
    assert [items["A"][name] for name in ("id", "population", "population_as_at", "source", "seldom_heard")] == [world.a, 300, "2021-03-21", "A census", False]
    assert site.anonymous.get(items["A"]["link"]).json()["id"] == world.a
    assert [found[name] for name in ("from", "to", "as_at", "left_out", "cut_short")] == [
        "2026-03-01", "2026-03-31", str(datetime.date.today()), [], []]


def test_who_reaches_them(world):
    items = {item["name"]: {each["name"]: each["by"] for each in item["reached_by"]} for item in voices(world.council.viewer)["localities"]}
    assert items["A"] == {"Example Council": ["activities"], "Example Police": ["contacts", "groups", "services"]}
    assert items["B"] == {"Example Council": ["activities"], "Example Police": ["contacts", "services"]}
    assert items["C"] == {"Example Council": ["activities"], "Example Police": ["services"]}


def test_another_period(world):
    """In May there was nothing; so they come by name. In 2025 the old ward was in force as well."""
    found = voices(world.council.viewer, **{"from": "2026-05-01", "to": "2026-05-31"})["localities"]
    assert [(item["name"], item["voice"], item["basis"]) for item in found] == [("A", 0, "recorded"), ("B", 0, "recorded"), ("C", 0, "estimated")]
    assert [each["name"] for each in found[2]["reached_by"]] == ["Example Police"]
    assert {item["name"] for item in voices(world.council.viewer, **{"from": "2025-05-01", "to": "2025-05-31"})["localities"]} == {"A", "B", "C", "Gone"}


def test_figures_that_need_no_guess(site, world):
    """One locality by itself: 1 ask, and 20 of 500 people."""
    boundary_set, (ward,) = site.row().set((0, 1, 500))
    world.asked("2026-03-01", "2026-03-02", locality_ids=[ward])
    world.held(20, locality_ids=[ward])
    (item,) = voices(world.council.viewer, boundary_set_id=boundary_set)["localities"]
    assert (item["id"], item["voice"], item["asks"], item["attended_per_1000"], item["basis"]) == (ward, 41, 1, 40, "recorded")
    assert voices(world.council.viewer, boundary_set_id=absent_id())["localities"] == []


def test_ground_on_which_nobody_lives(site, world):
    """The beat shares half of the ward's ground, but none of its 100 people; the patch shares the other half, and all of them."""
    row = site.row()
    boundary_set, (ward,) = row.set((0, 2, 100))
    _, (beat,) = row.set((1, 3, 50))
    _, (patch,) = row.set((-1, 1, 160))
    row.set((-1, 0, 60), (0, 1, 100), (1, 2, 0), (2, 3, 50))
    site.settle()
    assert {item["locality"]["id"]: item["population_share"] for item in site.overlaps(ward)["items"] if item["locality"]["id"] in (beat, patch)} == {
        beat: 0, patch: 1}
    for partner, locality in ((world.council, beat), (world.police, patch)):
        world.add(partner, "community-groups", name="Here", kind="residents", locality_id=locality)
    world.asked("2026-03-01", "2026-03-02", locality_ids=[beat])
    asked = world.asked("2026-03-01", "2026-03-02", locality_ids=[patch])
    world.held(20, locality_ids=[beat])
    (item,) = voices(world.council.viewer, boundary_set_id=boundary_set)["localities"]
    assert [(each["name"], each["by"]) for each in item["reached_by"]] == [("Example Police", ["groups"])]
    assert [item[name] for name in ("asks", "consultation_ids", "attended", "activity_ids")] == [1, [asked], 0, []]

def test_parts_by_parent_in_which_nobody_lives(site, world):
    """A ward of 100 with an estate of 40, a park of none, and a yard whose people nobody counted; a wood of none in a city of 1,000. None has a boundary but the park, which
    is half of the ward's ground: what the tree knows of people comes before what the ground says."""
    ground, row = site.ground, site.row()
    city = ground.locality(ground.boundary_set(), population=1000)
    boundary_set, (ward,) = row.set((0, 2, 100))
    wood = ground.locality(boundary_set, parent_id=city, population=0, name="Wood")
    parts = ground.boundary_set()
    estate, yard = ground.locality(parts, parent_id=ward, population=40), ground.locality(parts, parent_id=ward)
    park = row.bar(parts, 1, 2, parent_id=ward, population=0)
    site.settle()
    for partner, locality in ((world.council, estate), (world.police, park)):
        world.add(partner, "community-groups", name="Here", kind="residents", locality_id=locality)
    asked = [world.asked("2026-03-01", "2026-03-02", locality_ids=[locality]) for locality in (estate, park)]
    world.held(20, locality_ids=[park])
    city_asked = world.asked("2026-03-01", "2026-03-02", locality_ids=[city])
    items = {item["id"]: item for item in voices(world.council.viewer, boundary_set_id=boundary_set)["localities"]}
    assert (items[ward]["asks"], items[ward]["attended"], items[ward]["basis"]) == (0.4, 0, "recorded")  # 40 of 100, and nobody in the park
    assert items[ward]["consultation_ids"] == asked[:1] and items[ward]["activity_ids"] == []
    assert [each["name"] for each in items[ward]["reached_by"]] == ["Example Council"]
    assert (items[wood]["asks"], items[wood]["consultation_ids"], items[wood]["reached_by"]) == (0, [], [])
    in_yard = world.asked("2026-03-01", "2026-03-02", locality_ids=[yard])
    items = {item["id"]: item for item in voices(world.council.viewer, boundary_set_id=boundary_set)["localities"]}
    assert (items[ward]["asks"], items[ward]["basis"]) == (0.9, "estimated") and in_yard in items[ward]["consultation_ids"]  # half where nobody knows
    assert city_asked not in items[wood]["consultation_ids"]


def test_seldom_heard_first_among_equals(site, world):
    boundary_set, (first, second, third) = site.row().set((0, 1, 10), (1, 2, 10), (2, 3, 10))
    world.add(world.council, "communities", name=unique("Seldom"), kind="place", locality_id=third, seldom_heard=True)
    world.held(1, locality_ids=[second])
    found = voices(world.council.viewer, boundary_set_id=boundary_set)["localities"]
    assert [(item["id"], item["seldom_heard"]) for item in found] == [(third, True), (first, False), (second, False)]


def test_limit(world):
    found = voices(world.council.viewer, limit=1)
    assert [item["name"] for item in found["localities"]] == ["C"] and "localities" in found["cut_short"]
    assert voices(world.council.viewer, limit=3)["cut_short"] == ([] if len(voices(world.council.viewer)["communities"]) <= 3 else ["communities"])


# --- communities ---

def test_the_voice_of_communities(site, world):
    _, (ward,) = site.row().set((0, 1, 250))
    names = {name: unique(name) for name in ("place", "few", "many", "none", "seldom")}
    made = {
        "place": world.add(world.council, "communities", name=names["place"], kind="place", locality_id=ward, source="The council"),
        "few": world.add(world.council, "communities", name=names["few"], kind="identity"),
        "many": world.add(world.council, "communities", name=names["many"], kind="interest"),
        "none": world.add(world.council, "communities", name=names["none"], kind="interest"),
        "seldom": world.add(world.council, "communities", name=names["seldom"], kind="identity", seldom_heard=True),
    }
    asked = world.asked("2026-03-03", "2026-03-04", community_ids=[made["place"], made["many"]])
    world.asked("2026-03-05", "2026-03-06", community_ids=[made["many"]])
    world.held(10, community_ids=[made["place"]])
    world.held(7, community_ids=[made["few"], made["none"]], partner=world.police)
    world.held(1, community_ids=[made["few"]])
    world.add(world.police, "community-groups", name="Theirs", kind="forum", community_ids=[made["seldom"]])
    ids = {identifier: name for name, identifier in made.items()}
    items = {ids[item["id"]]: item for item in voices(world.council.viewer, limit=500)["communities"] if item["id"] in ids}
    assert list(items) == ["seldom", "none", "few", "many", "place"]
    shown = {name: (item["voice"], item["asks"], item["attended"], item["attended_per_1000"], item["population"], item["basis"]) for name, item in items.items()}
    assert shown == {
        "place": (41, 1, 10, 40, 250, "recorded"),  # 10 of the 250 of its ward
        "many": (2, 2, 0, None, None, "estimated"),
        "few": (0, 0, 8, None, None, "estimated"),
        "none": (0, 0, 7, None, None, "estimated"),
        "seldom": (0, 0, 0, None, None, "estimated"),
    }
    assert items["place"]["consultation_ids"] == [asked] and items["place"]["source"] == "The council"
    assert [(each["name"], each["by"]) for each in items["seldom"]["reached_by"]] == [("Example Police", ["groups"])]
    assert {each["name"] for each in items["few"]["reached_by"]} == {"Example Council", "Example Police"}


# --- who sees what ---

def test_what_may_not_be_seen_does_not_count(site, world):
    boundary_set, (ward,) = site.row().set((0, 1, 100))
    world.asked("2026-03-01", "2026-03-02", "planned", locality_ids=[ward], visibility="shared")
    world.held(50, locality_ids=[ward], visibility="private")
    world.add(world.police, "community-groups", name="Secret", kind="forum", locality_id=ward, visibility="private")
    ((mine,), (theirs,)) = [voices(partner.viewer, boundary_set_id=boundary_set)["localities"] for partner in (world.council, world.police)]
    assert (mine["attended"], mine["voice"], [each["by"] for each in mine["reached_by"]]) == (50, 500, [["activities"]])
    assert (theirs["attended"], theirs["voice"], [each["by"] for each in theirs["reached_by"]]) == (0, 0, [["groups"]])


def test_a_token_counts_what_its_scopes_let_it_read(site, world):
    client = site.records.account(world.council.id, "viewer", ["localities:read", "consultations:read"])
    found = voices(client)
    items = {item["name"]: item for item in found["localities"]}
    assert found["communities"] is None
    assert found["left_out"] == ["activities", "communities", "community-groups", "contact-assignments", "service-entries", "partners"]
    assert [items["A"][name] for name in ("asks", "attended", "attended_per_1000", "voice", "reached_by")] == [2.667, None, None, 2.667, []]
    other = site.records.account(world.council.id, "viewer", ["localities:read", "activities:read"])
    items = {item["name"]: item for item in voices(other)["localities"]}
    assert [items["A"][name] for name in ("asks", "attended", "voice")] == [None, 120, 400]
    assert [(each["name"], each["by"]) for each in items["A"]["reached_by"]] == [(None, ["activities"])]
    assert site.records.account(world.council.id, "viewer", ["consultations:read"]).get("/v1/who-is-missing", params=MARCH).status == 403


def test_not_for_everybody(site):
    assert site.anonymous.get("/v1/who-is-missing", params=MARCH).status == 401


@pytest.mark.parametrize("params, codes", [
    ({}, [("from", "required"), ("to", "required")]),
    ({"from": "2026-03-01", "to": "2026-02-30"}, [("to", "format")]),
    ({"from": "2026-03-01", "to": "2026-02-28"}, [("to", "order")]),
    ({**MARCH, "limit": 501}, [("limit", "range")]),
    ({**MARCH, "boundary_set_id": "wards"}, [("boundary_set_id", "format")]),
    ({**MARCH, "voice": "1"}, [("voice", "unknown_parameter")]),
])
def test_bad_parameters(world, params, codes):
    answer = world.council.viewer.get("/v1/who-is-missing", params=params)
    assert (answer.status, answer.codes()) == (400, codes)
