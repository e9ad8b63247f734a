# SPDX-License-Identifier: AGPL-3.0-or-later
"""Counts on other boundaries: shares of people and of area, what is refused, and what is never added up. In a database of its own, with bars whose
widths are parts of areas exactly."""
import pytest

from overlap_site import Site
from wardmote_records import absent_id

DATABASE = "conversions"
PATH = "/v1/profile-values/conversions"


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, DATABASE)
    yield site
    site.close()


@pytest.fixture(name="row")
def _row(site):
    return site.row()


def value(client, locality, count, base=None, **members):
    body = {"locality_id": locality, "dimension": "tenure", "category": "Owned", "count": count, "base": base, "source_kind": "census", "as_at": "2021-03-21",
            "visibility": "public", **members}
    answer = client.post("/v1/profile-values", body)
    assert answer.status == 201, answer.text()
    return answer.json()["id"]


def converted(client, target, **parameters):
    """The items of all pages."""
    answer = client.get(PATH, params={"boundary_set_id": target, "dimension": "tenure", **parameters})
    assert answer.status == 200, answer.text()
    return client.pages(PATH, params={"boundary_set_id": target, "dimension": "tenure", **parameters})


def figures(item):
    return item["count"], item["base"], item["value"]


# --- how much ---

def test_worked_example_by_people(site, row):
    """Three small areas of 1,000, 600 and 400 people; the first is cut in half by the edge between two wards of 1,100 and 900. The small areas themselves are the
    finest people there are, so that half of the first counts by its area: 500."""
    small, (a, b, c) = row.set((0, 2, 1000), (2, 3, 600), (3, 4, 400))
    wards, (left, right) = row.set((1, 3, 1100), (3, 4, 400))
    values = [value(site.administrator, a, 300, 500), value(site.administrator, b, 90, 200), value(site.administrator, c, 0, 160)]
    site.settle()
    items = {item["locality_id"]: item for item in converted(site.anonymous, wards)}
    first = items[left]
    assert figures(first) == (240, 450, 53.3)  # 0.5 x 300 + 90, 0.5 x 500 + 200
    assert (first["covered"], first["basis"], first["method"], first["estimated"], first["refused"], first["no_value_because"]) == (
        1, "population", "population", True, None, None)
    assert (first["source_kind"], first["as_at"], first["from_boundary_set_id"], first["inputs_count"]) == ("census", "2021-03-21", small, 2)
    assert first["inputs"] == [values[1], values[0]]
    assert first["locality"] == {"id": left, "code": first["locality"]["code"], "name": "Place"}
    assert figures(items[right]) == (0, 160, 0.0) and items[right]["inputs"] == [values[2]]


def test_shares_of_area_where_nobody_was_counted(site, row):
    _, (a, b) = row.set((0, 4), (4, 8))
    wards, (ward,) = row.set((1, 6))
    value(site.administrator, a, 101, 400)
    value(site.administrator, b, 50)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert figures(item) == (101, None, None)  # 0.75 x 101 + 0.5 x 50 = 100.75
    assert (item["covered"], item["basis"], item["method"], item["no_value_because"]) == (1, "area", "area", "no_base")
    assert (item["locality_id"], item["inputs_count"]) == (ward, 2)


@pytest.mark.parametrize("width, refused", [(89, "cover"), (90, None)])
def test_under_nine_tenths_is_refused_by_area(site, row, width, refused):
    _, (part, _) = row.set((0, width), (width, 100))
    wards, (_,) = row.set((0, 100))
    value(site.administrator, part, 10, 40)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (item["covered"], item["basis"], item["refused"]) == (width / 100, "area", refused)
    assert figures(item) == ((None, None, None) if refused else (10, 40, 25.0))
    assert item["no_value_because"] == ("refused" if refused else None)


@pytest.mark.parametrize("people, refused", [(89, "cover"), (90, None)])
def test_under_nine_tenths_is_refused_by_people(site, row, people, refused):
    """Nearly all of the area, and not quite all of the people."""
    _, (part, _) = row.set((0, 98, people), (98, 100, 100 - people))
    wards, (_,) = row.set((0, 100, 100))
    value(site.administrator, part, 10, 40)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (item["covered"], item["basis"], item["refused"]) == (people / 100, "population", refused)


def test_a_sliver_without_people_does_not_turn_it_to_area(site, row):
    """The ward's own 200 people are those of the first small area. The second, which nobody counted, lies in it with 1 of 200, and the ward in that with 1 of 201."""
    _, (inner, outer) = row.set((0, 200, 200), (200, 400))
    wards, (ward,) = row.set((0, 201, 200))
    value(site.administrator, inner, 40, 80)
    value(site.administrator, outer, 1000, 4000)
    site.settle()
    item = next(item for item in converted(site.anonymous, wards) if item["locality_id"] == ward)
    assert (item["covered"], item["basis"], item["refused"], item["inputs_count"]) == (1, "population", None, 2)
    assert figures(item) == (45, 100, 45.0)  # 40 + 1000 / 200, 80 + 4000 / 200
    # a hundredth of the ward is no sliver: then it is the area that says how much is covered
    wide, (broad,) = row.set((0, 203, 200))
    site.settle()
    item = next(item for item in converted(site.anonymous, wide) if item["locality_id"] == broad)
    assert item["basis"] == "area" and figures(item) == (55, 140, 39.3)  # 40 + 3 x 1000 / 200, 80 + 3 x 4000 / 200


def test_more_people_than_there_are_cover_no_more_than_all(site, row):
    """The ward was counted on another day."""
    _, (small,) = row.set((0, 2, 1000))
    wards, (_,) = row.set((0, 2, 800))
    value(site.administrator, small, 10, 40)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (item["covered"], figures(item)) == (1, (10, 40, 25.0))


def test_localities_that_lie_over_one_another_are_not_counted_twice(site, row):
    _, (a, b) = row.set((0, 4), (2, 4))
    wards, (ward, other) = row.set((0, 4), (4, 8))
    value(site.administrator, a, 10, 40)
    value(site.administrator, b, 5, 20)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (item["locality_id"], item["refused"], figures(item), item["inputs_count"]) == (ward, "overlap", (None, None, None), 2)
    assert other != ward


def test_a_base_of_nobody_gives_no_percentage(site, row):
    _, (small,) = row.set((0, 2))
    wards, (_,) = row.set((0, 2))
    value(site.administrator, small, 0, 0)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (figures(item), item["no_value_because"]) == ((0, 0, None), "zero_base")


def test_a_hundred_of_the_inputs_are_named(site, row):
    _, small = row.set(*[(n, n + 1) for n in range(101)])
    wards, (_,) = row.set((0, 101))
    values = [value(site.administrator, each, 1, 4) for each in small]
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (figures(item), item["inputs_count"], len(set(item["inputs"]) & set(values)), len(item["inputs"])) == ((101, 404, 25.0), 101, 100, 100)


# --- what stays apart ---

def test_its_own_values_are_as_they_were_stored(site, row):
    wards, (ward,) = row.set((0, 2, 100))
    stored = value(site.administrator, ward, 7, 30, estimated=True)
    site.settle()
    (item,) = converted(site.anonymous, wards)
    assert (figures(item), item["method"], item["estimated"], item["covered"], item["basis"]) == ((7, 30, 23.3), "stored", True, 1, None)
    assert (item["from_boundary_set_id"], item["inputs"], item["inputs_count"]) == (wards, [stored], 1)
    assert converted(site.anonymous, wards, from_boundary_set_id=wards) == [item]
    assert converted(site.anonymous, wards, from_boundary_set_id=absent_id()) == []


def test_sets_partners_sources_and_days_are_not_added_up(site, row):
    one, (a,) = row.set((0, 4))
    two, (b, c) = row.set((0, 2), (2, 4))
    wards, (_,) = row.set((0, 4))
    partner = site.records.partner()
    value(site.administrator, a, 10)
    value(site.administrator, b, 3)
    value(site.administrator, c, 5)
    value(partner.officer, a, 11)
    value(site.administrator, a, 12, source_kind="population_estimate")
    value(site.administrator, a, 13, as_at="2011-03-27")
    value(site.administrator, a, 14, category="Rented")
    value(site.administrator, a, 15, dimension="age")
    site.settle()
    items = converted(site.anonymous, wards)
    assert sorted(item["count"] for item in items) == [8, 10, 11, 12, 13, 14]
    assert [item["category"] for item in items] == ["Owned"] * 5 + ["Rented"]
    assert [item["partner_id"] for item in items if item["count"] == 11] == [partner.id]
    assert {item["from_boundary_set_id"]: item["count"] for item in items if item["count"] in (8, 10)} == {one: 10, two: 8}
    for parameters, wanted in (({"from_boundary_set_id": two}, [8]), ({"source_kind": "population_estimate"}, [12]), ({"as_at": "2011-03-27"}, [13]),
                               ({"category": "Rented"}, [14]), ({"category": "Other"}, [])):
        assert [item["count"] for item in converted(site.anonymous, wards, **parameters)] == wanted
    assert [item["count"] for item in site.anonymous.get(PATH, params={"boundary_set_id": wards, "dimension": "age"}).json()["items"]] == [15]


def test_a_category_that_was_not_counted_everywhere_is_not_nought(site, row):
    _, (a, b) = row.set((0, 2), (2, 4))
    wards, (_,) = row.set((0, 4))
    value(site.administrator, a, 10)
    value(site.administrator, b, 20)
    value(site.administrator, a, 3, category="Rented")
    site.settle()
    assert [(item["category"], item["count"], item["refused"]) for item in converted(site.anonymous, wards)] == [("Owned", 30, None), ("Rented", None, "cover")]


def test_private_values_of_another_partner_count_nowhere(site, row):
    _, (a, b) = row.set((0, 4), (4, 8))
    wards, (_,) = row.set((0, 8))
    partner, other = site.records.partner(), site.records.partner()
    value(partner.officer, a, 10, visibility="private")
    value(partner.officer, b, 7)
    site.settle()
    for client in (site.anonymous, other.manager, site.administrator):
        (item,) = converted(client, wards)
        assert (item["covered"], item["refused"], item["inputs_count"]) == (0.5, "cover", 1)
    assert [item["count"] for item in converted(partner.viewer, wards)] == [17]
    value(other.officer, a, 100)
    assert sorted(str(item["count"]) for item in converted(partner.viewer, wards)) == ["17", "None"]


def test_hidden_places_have_no_counts(site, row):
    small, (a,) = row.set((0, 4))
    value(site.administrator, a, 10)
    hidden = row.ground.boundary_set()
    row.bar(hidden, 0, 4, visibility="private")
    wards, (_,) = row.set((0, 4))
    site.settle()
    assert len(converted(site.administrator, hidden)) == 1
    assert converted(site.anonymous, hidden) == [] and len(converted(site.anonymous, wards, from_boundary_set_id=small)) == 1


# --- the list ---

def test_pages(site, row):
    _, small = row.set(*((i, i + 1) for i in range(6)))
    wards, _ = row.set(*((i, i + 2) for i in range(0, 6, 2)))
    for locality in small:
        for category in ("Owned", "Rented", "x" * 200):
            value(site.administrator, locality, 1, 2, category=category)
    site.settle()
    whole = site.anonymous.get(PATH, params={"boundary_set_id": wards, "dimension": "tenure"}).json()["items"]
    assert len(whole) == 9 and [item["locality_id"] for item in whole] == sorted(item["locality_id"] for item in whole)
    for limit in (1, 2, 4, 9):
        assert converted(site.anonymous, wards, limit=limit) == whole
    answer = site.anonymous.get(PATH, params={"boundary_set_id": wards, "dimension": "tenure"})
    assert site.anonymous.get(PATH, params={"boundary_set_id": wards, "dimension": "tenure"}, headers={"If-None-Match": answer.etag}).status == 304


def test_a_token_without_the_scope_of_localities_gets_their_ids_alone(site, row):
    wards, (ward,) = row.set((0, 2))
    value(site.administrator, ward, 1)
    partner = site.records.partner()
    (item,) = converted(site.records.account(partner.id, "viewer", scopes=["profile-values:read"]), wards)
    assert (item["locality_id"], item["locality"], item["count"]) == (ward, None, 1)
    narrow = site.records.account(partner.id, "viewer", scopes=["localities:read"])
    assert narrow.get(PATH, params={"boundary_set_id": wards, "dimension": "tenure"}).status == 403


def test_pending_stale_failed(site, row):
    """What the answer rests on, while the background thread is held back."""
    _, (small,) = row.set((0, 2))
    wards, (_,) = row.set((0, 2))
    value(site.administrator, small, 1)
    site.settle()
    look = {"boundary_set_id": wards, "dimension": "tenure"}
    assert site.anonymous.get(PATH, params=look).json()["state"] == "done"
    pair = f"WHERE '{wards}' IN (low_set_id, high_set_id)"
    for change, state in ((f"UPDATE wardmote.overlap_pair SET low_generation = 0 {pair}", "stale"), (f"UPDATE wardmote.overlap_pair SET error = 'It failed' {pair}", "failed"),
                          (f"DELETE FROM wardmote.overlap_pair {pair}", "pending")):
        site.rows(change)
        assert site.anonymous.get(PATH, params=look).json()["state"] == state


def test_what_is_asked_wrongly(site):
    assert sorted(site.anonymous.get(PATH).codes()) == [("boundary_set_id", "required"), ("dimension", "required")]
    assert converted(site.anonymous, absent_id()) == []
