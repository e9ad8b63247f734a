# SPDX-License-Identifier: AGPL-3.0-or-later
"""What localities of different boundary sets share, of ground and of people."""
import pytest

from overlap_site import Site
from wardmote_records import absent_id


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, "overlaps")
    yield site
    site.close()


def near(value):
    return pytest.approx(value, abs=2e-6)


# --- ground ---

def test_shares_of_the_area_both_ways(site):
    row = site.row()
    wards, (left, right) = row.set((0, 4), (4, 6))
    beats, (beat, apart) = row.set((1, 5), (7, 9))
    site.settle()
    found = site.overlaps(left)
    (item,) = found["items"]
    assert item["locality"]["id"] == beat and item["locality"]["boundary_set_id"] == beats and set(item["locality"]) == {"id", "code", "name", "boundary_set_id"}
    assert item["area_share"] == near(0.75) and item["method"] == "area"
    assert item["population_share"] is item["population_error"] is item["weights_boundary_set_id"] is None
    assert found["state"] == "done" and found["computed_at"] is not None
    assert site.shares(right) == {beat: near(0.5)}
    assert list(site.shares(beat).items()) == [(left, near(0.75)), (right, near(0.25))]
    assert site.overlaps(apart)["items"] == [] and site.overlaps(apart)["state"] == "done"
    assert site.shares(beat, boundary_set_id=wards) == {left: near(0.75), right: near(0.25)}
    assert site.shares(beat, boundary_set_id=beats) == {} == site.shares(beat, boundary_set_id=absent_id())
    assert site.shares(beat, min_share="0.5") == {left: near(0.75)}


def test_neighbours_and_what_holds_the_other(site):
    """An edge in common is no ground in common."""
    row = site.row()
    _, (left, right) = row.set((0, 3), (3, 6))
    _, (small, same) = row.set((1, 2), (3, 6))
    site.settle()
    assert site.shares(left) == {small: near(1 / 3)} and site.shares(small) == {left: 1}
    assert site.shares(right) == {same: 1} and site.shares(same) == {right: 1}


def test_slivers_add_up_to_the_whole_and_real_overlaps_are_kept(site):
    row = site.row()
    _, (whole,) = row.set((0, 4))
    slivers, (first, second) = row.set((0, 2.02), (2, 4))
    doubles, (most, all_of_it) = row.set((0, 3), (0, 4))
    site.settle()
    found = site.shares(whole, boundary_set_id=slivers)
    assert sum(found.values()) == near(1) and found[first] == near(0.505 / 1.005) and found[second] == near(0.5 / 1.005)
    assert site.shares(whole, boundary_set_id=doubles) == {most: near(0.75), all_of_it: 1}


def test_what_is_too_little_is_nothing(site):
    row = site.row()
    _, (large,) = row.set((0, 9))
    _, (crumb,) = row.set((1, 1.0001), )
    tiny = site.rows("SELECT area_share FROM wardmote.locality_overlap WHERE from_id = %s", large)
    site.settle()
    assert tiny == [] and site.shares(crumb) == {large: 1} and site.shares(large)[crumb] == near(0.000011)


def test_pages(site):
    row = site.row()
    _, (whole,) = row.set((0, 8))
    _, parts = row.set(*[(n, n + 1) for n in range(8)])
    site.settle()
    listed = [item["locality"]["id"] for item in site.anonymous.pages(f"/v1/localities/{whole}/overlaps", params={"limit": 3})]
    path = f"/v1/localities/{whole}/overlaps"
    assert site.anonymous.get(path, headers={"If-None-Match": site.anonymous.get(path).etag}).status == 304
    assert len(listed) == 8 and set(listed) == set(parts)


def test_a_whole_pair_of_sets(site):
    row = site.row()
    wards, (left, right) = row.set((0, 4), (4, 6))
    beats, (beat,) = row.set((1, 5))
    site.settle()
    params = {"from_boundary_set_id": wards, "to_boundary_set_id": beats, "limit": 1}
    found = {(item["from_id"], item["to_id"]): item["area_share"] for item in site.anonymous.pages("/v1/overlaps", params=params)}
    assert found == {(left, beat): near(0.75), (right, beat): near(0.5)}
    assert site.anonymous.get("/v1/overlaps", params=params).json()["state"] == "done"
    back = site.anonymous.get("/v1/overlaps", params={"from_boundary_set_id": beats, "to_boundary_set_id": wards}).json()["items"]
    assert {(item["from_id"], item["to_id"]): item["area_share"] for item in back} == {(beat, left): near(0.75), (beat, right): near(0.25)}
    assert back[0]["from_code"] == site.anonymous.get(f"/v1/localities/{beat}").json()["code"]
    none = site.anonymous.get("/v1/overlaps", params={"from_boundary_set_id": absent_id(), "to_boundary_set_id": wards}).json()
    assert (none["items"], none["state"], none["computed_at"]) == ([], "done", None)
    assert site.anonymous.get("/v1/overlaps", params={"from_boundary_set_id": wards}).status == 400


# --- people ---

def test_shares_of_the_people(site):
    """Four small areas with 100, 200, 300 and 400 people. Districts: three of them, and the last. Beats: one and a half, and the rest."""
    row = site.row()
    small, (one, two, _, four) = row.set((0, 1, 100), (1, 2, 200), (2, 3, 300), (3, 4, 400))
    _, (large, last) = row.set((0, 3), (3, 4))
    beats, (west, east) = row.set((0, 1.5), (1.5, 4))
    site.rows("UPDATE wardmote.locality SET population_as_at = '2021-03-21' WHERE boundary_set_id = %s", small)
    site.settle()
    found = {item["locality"]["id"]: item for item in site.overlaps(large, boundary_set_id=beats)["items"]}
    # west has 100 + 200 / 2 of the 600, and how the 200 are divided is not known
    assert [found[west][name] for name in ("area_share", "population_share", "population_error")] == [near(0.5), near(200 / 600), near(100 / 600)]
    assert [found[east][name] for name in ("area_share", "population_share", "population_error")] == [near(0.5), near(400 / 600), near(100 / 600)]
    assert [found[west][name] for name in ("method", "weights_boundary_set_id", "as_at")] == ["population", small, "2021-03-21"]
    ((back,),) = [site.overlaps(west, boundary_set_id=site.anonymous.get(f"/v1/localities/{large}").json()["boundary_set_id"])["items"]]
    assert [back[name] for name in ("area_share", "population_share", "population_error")] == [1, 1, 0]  # wherever its people live, they live in there
    found = {item["locality"]["id"]: item for item in site.overlaps(east)["items"]}
    assert (found[last]["population_share"], found[last]["population_error"]) == (near(400 / 800), 0)
    # and with the small areas themselves: their people are known
    found = {item["locality"]["id"]: item for item in site.overlaps(west, boundary_set_id=small)["items"]}
    assert (found[one]["population_share"], found[two]["population_share"], four in found) == (near(0.5), near(0.5), False)


def test_people_need_a_cover_of_nine_tenths(site):
    row = site.row()
    row.set((0, 0.92, 50), (1, 1.85, 50))
    _, (covered, bare) = row.set((0, 1), (1, 2))
    _, (target,) = row.set((0.25, 1.5))
    site.settle()
    ((item,),) = [[item for item in site.overlaps(covered)["items"] if item["locality"]["id"] == target]]
    assert item["method"] == "population"
    ((item,),) = [[item for item in site.overlaps(bare)["items"] if item["locality"]["id"] == target]]
    assert (item["method"], item["population_share"], item["area_share"]) == ("area", None, near(0.5))


def test_a_few_estates_do_not_take_the_place_of_a_census(site):
    """The estates are finer and have people, too, but cover next to nothing."""
    row = site.row()
    census, _ = row.set(*[(n, n + 1, 100 * (n + 1)) for n in range(8)])
    row.set((0, 0.5, 70))
    _, (west, _) = row.set((0, 4), (4, 8))
    _, (beat, _) = row.set((0, 2), (2, 8))
    site.settle()
    item = next(item for item in site.overlaps(west)["items"] if item["locality"]["id"] == beat)
    assert (item["weights_boundary_set_id"], item["population_share"]) == (census, near(300 / 1000))


def test_one_small_area_without_people_spoils_the_set(site):
    row = site.row()
    small, (_, second) = row.set((0, 1, 10), (1, 2))
    _, (whole,) = row.set((0, 2))
    site.settle()
    assert {item["method"] for item in site.overlaps(whole)["items"]} == {"area"}
    answer = site.administrator.patch(f"/v1/localities/{second}", {"population": 30}, headers={"If-Match": "*"})
    assert answer.status == 200
    site.settle()
    assert {item["locality"]["id"]: item["population_share"] for item in site.overlaps(whole, boundary_set_id=small)["items"]}[second] == near(0.75)


# --- changes ---

def test_a_boundary_that_moves(site):
    row = site.row()
    _, (ward,) = row.set((0, 4))
    beats, (beat,) = row.set((2, 6))
    site.settle()
    assert site.shares(ward) == {beat: near(0.5)}
    moved = row.bar(site.ground.boundary_set(), 3, 6)
    geometry = site.anonymous.get(f"/v1/localities/{moved}", params={"fields": "geometry"}).json()["geometry"]
    assert site.administrator.patch(f"/v1/localities/{beat}", {"geometry": geometry}, headers={"If-Match": "*"}).status == 200
    site.settle()
    assert site.shares(ward, boundary_set_id=beats) == {beat: near(0.25)}
    assert site.administrator.patch(f"/v1/localities/{beat}", {"geometry": None}, headers={"If-Match": "*"}).status == 200
    site.settle()
    assert site.shares(ward, boundary_set_id=beats) == {}


def test_what_moves_no_boundary_asks_for_nothing(site):
    """Its set has changed all the same, for who draws it."""
    row = site.row()
    wards, (ward,) = row.set((0, 4))
    site.settle()
    generations = "SELECT generation, area_generation FROM wardmote.boundary_set_state WHERE boundary_set_id = %s"
    ((shown, areas),) = site.rows(generations, wards)
    assert site.administrator.patch(f"/v1/localities/{ward}", {"name": "Renamed"}, headers={"If-Match": "*"}).status == 200
    assert site.rows(generations, wards) == [(shown + 1, areas)]
    assert site.administrator.patch(f"/v1/boundary-sets/{wards}", {"name": "Renamed"}, headers={"If-Match": "*"}).status == 200
    assert site.rows(generations, wards) == [(shown + 2, areas)]
    assert site.administrator.patch(f"/v1/localities/{ward}", {"population": 7}, headers={"If-Match": "*"}).status == 200
    assert site.rows(generations, wards) == [(shown + 3, areas + 1)]


def test_a_locality_that_goes(site):
    row = site.row()
    _, (ward,) = row.set((0, 4))
    beats, (beat, other) = row.set((0, 2), (2, 4))
    site.settle()
    assert site.administrator.delete(f"/v1/localities/{beat}", headers={"If-Match": "*"}).status == 204
    assert site.shares(ward, boundary_set_id=beats) == {other: near(0.5)}
    assert site.rows("SELECT 1 FROM wardmote.locality_overlap WHERE %s IN (from_id, to_id)", beat) == []


def test_pending_stale_failed(site):
    """The states in the words of the tables: what the thread does between two looks cannot be held still."""
    row = site.row()
    wards, (ward,) = row.set((0, 4))
    beats, _ = row.set((2, 6))
    site.settle()
    pair = "LEAST(low_set_id, high_set_id) = LEAST(%s::uuid, %s::uuid) AND GREATEST(low_set_id, high_set_id) = GREATEST(%s::uuid, %s::uuid)"
    both = (wards, beats, wards, beats)
    for change, state in (("UPDATE wardmote.overlap_pair SET low_generation = 0", "stale"), ("UPDATE wardmote.overlap_pair SET error = 'It failed'", "failed"),
                          ("DELETE FROM wardmote.overlap_pair", "pending")):
        site.rows(f"{change} WHERE {pair}", *both)
        assert site.overlaps(ward, boundary_set_id=beats)["state"] == site.overlaps(ward)["state"] == state
        listed = site.anonymous.get("/v1/overlaps", params={"from_boundary_set_id": beats, "to_boundary_set_id": wards}).json()
        assert listed["state"] == state and (listed["computed_at"] is None) == (state == "pending")


def test_what_fails_is_noted_and_left(site):
    row = site.row()
    wards, (ward,) = row.set((0, 4))
    site.settle()
    site.rows("CREATE FUNCTION wardmote.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no room'; END$$;"
              "CREATE TRIGGER refuse BEFORE INSERT ON wardmote.locality_overlap FOR EACH ROW EXECUTE FUNCTION wardmote.refuse()")
    try:
        beats, _ = row.set((2, 6))
        site.settle()
    finally:
        site.rows("DROP TRIGGER refuse ON wardmote.locality_overlap; DROP FUNCTION wardmote.refuse()")
    assert site.overlaps(ward, boundary_set_id=beats)["state"] == "failed" and "two boundary sets were not compared" in site.server.log()
    assert site.rows("SELECT error FROM wardmote.overlap_pair WHERE %s IN (low_set_id, high_set_id) AND error IS NOT NULL", wards) == [("no room",)]
    assert site.administrator.patch(f"/v1/localities/{ward}", {"population": 5}, headers={"If-Match": "*"}).status == 200
    site.settle()
    assert site.overlaps(ward, boundary_set_id=beats)["state"] == "done" and len(site.shares(ward, boundary_set_id=beats)) == 1


def test_figures_of_the_work(site):
    site.row().set((0, 1))
    site.row().set((0, 1))
    site.settle()
    assert site.server.metric("overlap_seconds") > 0


# --- who sees it ---

def test_a_hidden_locality_stays_hidden(site):
    row = site.row()
    beats, (shown,) = row.set((0, 2))
    hidden = row.bar(beats, 2, 4, visibility="private")
    wards, (ward,) = row.set((0, 4))
    site.settle()
    params = {"from_boundary_set_id": wards, "to_boundary_set_id": beats}
    assert site.shares(ward) == {shown: near(0.5)} and len(site.anonymous.get("/v1/overlaps", params=params).json()["items"]) == 1
    assert site.shares(ward, site.administrator) == {shown: near(0.5), hidden: near(0.5)}
    for client, status in ((site.anonymous, 404), (site.administrator, 200)):
        assert client.get(f"/v1/localities/{hidden}/overlaps").status == status
    assert site.anonymous.get(f"/v1/localities/{absent_id()}/overlaps").status == 404


@pytest.mark.parametrize("params, fault", [({"min_share": "2"}, "range"), ({"min_share": "x"}, "type"), ({"boundary_set_id": "x"}, "format"),
                                           ({"cursor": "x"}, "cursor"), ({"limit": "all"}, "range")])
def test_parameters(site, params, fault):
    _, (ward,) = site.row().set((0, 1))
    answer = site.anonymous.get(f"/v1/localities/{ward}/overlaps", params=params)
    assert answer.status == 400 and [code for _, code in answer.codes()] == [fault]


# --- whose people ---

def test_only_people_whom_everybody_may_count_are_counted(site):
    """Shares of public localities tell of the populations that they were made with."""
    row = site.row()
    _, (left,) = row.set((0, 4))
    _, (right,) = row.set((2, 6))
    people, areas = row.set((0, 1, 10), (1, 2, 10), (2, 3, 70), (3, 4, 10), (4, 5, 10), (5, 6, 10), visibility="private")
    change = {"headers": {"If-Match": "*"}}

    def shown():
        site.settle()
        (item,) = [item for item in site.overlaps(left)["items"] if item["locality"]["id"] == right]
        return item["method"], item["population_share"], item["weights_boundary_set_id"]

    nothing = ("area", None, None)
    assert shown() == nothing
    assert site.administrator.patch(f"/v1/boundary-sets/{people}", {"visibility": "public"}, **change).status == 200
    assert shown() == ("population", near(0.8), people)
    assert site.administrator.patch(f"/v1/localities/{areas[0]}", {"visibility": "shared"}, **change).status == 200
    assert shown() == nothing
    assert site.administrator.patch(f"/v1/localities/{areas[0]}", {"visibility": "public"}, **change).status == 200
    assert shown() == ("population", near(0.8), people)
    assert site.administrator.patch(f"/v1/boundary-sets/{people}", {"visibility": "shared"}, **change).status == 200
    assert shown() == nothing
