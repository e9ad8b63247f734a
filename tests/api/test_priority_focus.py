# SPDX-License-Identifier: AGPL-3.0-or-later
"""How much of the work goes to priority neighbourhoods: by number, hours, cost and reach; each neighbourhood once; nulls with their reasons."""
import pytest

from overlap_site import Site
from wardmote_records import unique

FROM, TO, DAY = "2026-01-01", "2026-12-31", "2026-06-15"
COUNT, HOURS, SPEND, REACH = range(4)


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, contract):
    site = Site(cluster, keys, contract, "priority_focus")
    yield site
    site.close()


def made(answer):
    assert answer.status == 201, answer.text()
    return answer.json()["id"]


class Desk:
    """A partner whose records are its own, on a boundary set of its own."""

    def __init__(self, site):
        self.site = site
        self.partner = site.records.partner()
        self.set = site.ground.boundary_set()

    def place(self, population=None, **members):
        return self.site.ground.locality(members.pop("boundary_set", self.set), population=population, **members)

    def designate(self, locality, **members):
        body = {"locality_id": locality, "reason": "profile", "valid_from": FROM, **members}
        return made(self.partner.manager.post("/v1/priority-designations", body))

    def shown(self):
        """What makes a record of another partner one that this one sees: nobody else of this database is to count it."""
        return {"grants": [{"partner_id": self.partner.id, "right": "read"}]}

    def activity(self, *localities, by=None, **members):
        """At these localities, or at shares of them: (locality, share)."""
        shares = [{"locality_id": each[0], "share": each[1]} for each in localities if isinstance(each, tuple)]
        ids = [each[0] if isinstance(each, tuple) else each for each in localities]
        body = {"title": unique("Work"), "kind": "community_development", "starts_on": DAY, "locality_ids": ids, "locality_shares": shares, **members}
        return made((by or self.partner).manager.post("/v1/activities", body))

    def focus(self, client=None, **params):
        answer = (client or self.partner.viewer).get("/v1/priority-focus", params={"from": FROM, "to": TO, **params})
        assert answer.status == 200, answer.text()
        return answer.json()

    def shares(self, **params):
        """What part of each activity is in priority neighbourhoods."""
        return {item["id"]: item["priority_share"] for item in self.focus(**params)["activities"]["items"]}


@pytest.fixture(name="desk")
def _desk(site):
    return Desk(site)


def members(measure, *names):
    return tuple(measure[name] for name in names)


def reasons(measure):
    return {each["member"]: each["reason"] for each in measure["nulls"]}


# --- the worked example ---

def test_ten_wholly_twenty_by_a_quarter_ten_outside(desk):
    """domain.md K8: 15 of 40 hours, 37.5 %; move 5 or add 10."""
    inside, outside = desk.place(), desk.place()
    designation = desk.designate(inside)
    whole = desk.activity(inside, hours=10)
    quarter = desk.activity((inside, 0.25), (outside, 0.75), hours=20, kind="capacity_building")
    none = desk.activity(outside, hours=10)
    focus = desk.focus(measure="hours")
    (hours,) = focus["measures"]
    assert members(hours, "measure", "unit", "total", "priority", "share_percent") == ("hours", "hours", 40, 15, 37.5)
    assert members(hours, "met", "short_replace", "short_add", "activities", "missing") == (False, 5, 10, 3, 0)
    assert (focus["target"], focus["basis"], focus["kinds"]) == (0.5, "recorded", ["community_development", "capacity_building"])
    assert focus["weights"] == {"shares": 1, "single": 2, "population": 0, "equal_parts": 0, "none": 0}
    assert {item["id"]: item["priority_share"] for item in focus["activities"]["items"]} == {whole: 1, quarter: 0.25, none: 0}
    assert focus["designations"] == {"count": 1, "ids": [designation]}


def test_all_four_measures(desk):
    inside, outside = desk.place(), desk.place()
    desk.designate(inside)
    desk.activity(inside, hours=6, cost_pence=10001, attended=30)
    desk.activity(outside, hours=3, cost_pence=20002)
    desk.activity(inside, hours=0, attended=10, starts_on=FROM)
    measures = desk.focus()["measures"]
    assert [members(m, "measure", "unit", "total", "priority", "share_percent", "met", "missing") for m in measures] == [
        ("count", "activities", 3, 2, 66.7, True, 0), ("hours", "hours", 9, 6, 66.7, True, 0), ("spend", "pence", 30003, 10001, 33.3, False, 1),
        ("reach", "people", 40, 40, 100, True, 1)]
    assert members(measures[COUNT], "short_replace", "short_add") == (0, 0)
    assert members(measures[SPEND], "short_replace", "short_add") == (5000.5, 10001)
    assert desk.focus(target="0.3")["measures"][SPEND]["met"] is True


def test_a_share_just_at_the_target_meets_it(desk):
    places = [desk.place() for _ in range(3)]
    desk.designate(places[0])
    desk.activity(*[(place, share) for place, share in zip(places, (0.333, 0.333, 0.334))], hours=3)
    for target, met in (("0.333", True), ("0.3331", False)):
        (hours,) = desk.focus(measure="hours", target=target)["measures"]
        assert members(hours, "share_percent", "met") == (33.3, met)


# --- what counts ---

def test_only_what_is_asked_for_counts(desk, site):
    inside = desk.place()
    desk.designate(inside)
    counted = desk.activity(inside)
    held = desk.activity(inside, status="held", starts_on=TO)
    desk.activity(inside, status="cancelled")
    desk.activity(inside, starts_on="2025-12-31")
    desk.activity(inside, starts_on=None)
    training = desk.activity(inside, kind="training")
    other = site.records.partner()
    theirs = desk.activity(inside, by=other, **desk.shown())
    desk.activity(inside, by=other)
    assert set(desk.shares()) == {counted, held, theirs}
    assert set(desk.shares(partner_id=desk.partner.id)) == {counted, held}
    assert set(desk.shares(status="held")) == {held}
    assert set(desk.shares(kind="training")) == {training}
    assert set(desk.shares(kind="training,capacity_building,community_development", partner_id=desk.partner.id)) == {counted, held, training}
    assert set(desk.shares(**{"from": "2026-12-31"})) == {held}


def test_every_kind_of_activity_can_be_asked_for(desk, contract):
    kinds = contract.resolve(contract.document["components"]["schemas"]["Activity"])["properties"]["kind"]["enum"]
    assert desk.focus(kind=",".join(kinds))["kinds"] == kinds
    answer = desk.partner.viewer.get("/v1/priority-focus", params={"from": FROM, "to": TO, "kind": "training,party"})
    assert (answer.status, answer.codes()) == (400, [("kind", "enum")])
    answer = desk.partner.viewer.get("/v1/priority-focus", params={"from": TO, "to": FROM})
    assert (answer.status, answer.codes()) == (400, [("to", "order")])
    for wrong in ({"target": "1.1"}, {"measure": "money"}, {"index_year": "1"}):
        assert desk.partner.viewer.get("/v1/priority-focus", params={"from": FROM, "to": TO, **wrong}).status == 400


def test_the_designation_of_the_day_counts(desk):
    place = desk.place()
    desk.designate(place, valid_from="2026-03-01", valid_to="2026-08-31")
    days = {day: desk.activity(place, starts_on=day) for day in ("2026-02-28", "2026-03-01", "2026-08-31", "2026-09-01")}
    shares = desk.shares()
    assert {day: shares[activity] for day, activity in days.items()} == {"2026-02-28": 0, "2026-03-01": 1, "2026-08-31": 1, "2026-09-01": 0}


def test_targeted_is_no_priority(desk):
    """R02, also where a place is both."""
    targeted, both, outside = desk.place(), desk.place(), desk.place()
    desk.designate(targeted, status="targeted", reason="remoteness")
    desk.designate(both, status="targeted", reason="poor_transport")
    desk.designate(both)
    desk.activity((targeted, 0.5), (both, 0.25), (outside, 0.25), hours=8)
    (hours,) = desk.focus(measure="hours")["measures"]
    assert members(hours, "priority", "targeted", "share_percent", "targeted_share_percent") == (2, 4, 25, 50)


def test_whose_designations(desk, site):
    mine, theirs = desk.place(), desk.place()
    desk.designate(mine)
    other = Desk(site)
    other.designate(theirs, **desk.shown())
    other.designate(mine)
    activity = desk.activity((mine, 0.25), (theirs, 0.75))
    assert desk.shares() == {activity: 1}
    assert desk.shares(designated_by=desk.partner.id) == {activity: 0.25}
    assert desk.shares(designated_by=other.partner.id) == {activity: 0.75}, "their private one is not seen"


# --- how an activity is divided ---

def test_without_shares_by_population(desk):
    inside, outside = desk.place(3000), desk.place(1000)
    desk.designate(inside)
    activity = desk.activity(inside, outside)
    focus = desk.focus()
    assert focus["activities"]["items"] == [{"id": activity, "basis": "population", "priority_share": 0.75, "targeted_share": 0}]
    assert focus["basis"] == "estimated" and focus["weights"]["population"] == 1


def test_without_population_in_equal_parts(desk):
    inside, outside, empty = desk.place(3000), desk.place(), desk.place(0)
    desk.designate(inside)
    desk.designate(empty)
    unknown, nobody = desk.activity(inside, outside), desk.activity(empty, desk.place(0))
    focus = desk.focus()
    assert {item["id"]: item["priority_share"] for item in focus["activities"]["items"]} == {unknown: 0.5, nobody: 0.5}
    assert focus["basis"] == "estimated" and focus["weights"]["equal_parts"] == 2


def test_without_a_locality_only_in_the_total(desk):
    inside = desk.place()
    desk.designate(inside)
    desk.activity(inside, hours=10)
    nowhere = desk.activity(hours=30)
    focus = desk.focus(measure="hours")
    assert members(focus["measures"][0], "total", "share_percent") == (40, 25)
    assert focus["without_locality"] == {"count": 1, "ids": [nowhere]} and focus["basis"] == "recorded"


# --- neighbourhoods of other sets ---

def test_a_part_of_a_priority_is_one(desk):
    area = desk.place()
    ward = desk.place(parent_id=area)
    block = desk.place(parent_id=ward)
    desk.designate(area)
    assert desk.shares() == {}
    activity = desk.activity(block)
    assert desk.shares() == {activity: 1}


def test_a_whole_of_which_a_part_is_one(desk):
    """By population where it is known; else half, as any overlap of which no share is recorded."""
    ward = desk.place(4000)
    desk.designate(desk.place(1000, parent_id=ward))
    known, unknown = desk.activity(ward), desk.place()
    desk.designate(desk.place(parent_id=unknown))
    guessed = desk.activity(unknown)
    assert desk.shares() == {known: 0.25, guessed: 0.5}
    assert desk.focus()["basis"] == "estimated"


def test_by_overlap_and_not_twice(site, desk):
    """A ward of 100 people: the beat of one set is three tenths of it, the estates of another are two tenths and four tenths. Nobody counts twice: of the two sets
    the one that says most, six tenths; and an estate's own block is no further one."""
    row = site.row()
    ward = row.bar(desk.set, 0, 10, population=100)
    _, (beat,) = row.set((0, 3))
    estates, (first, second) = row.set((1, 3), (4, 8))
    block = row.bar(estates, 4, 5, parent_id=second)
    site.settle()
    activity = desk.activity(ward, hours=10)
    for designated, share in ((beat, 0.3), (first, 0.3), (block, 0.3), (second, 0.6)):
        desk.designate(designated)
        assert desk.shares() == {activity: pytest.approx(share, abs=1e-4)}
    desk.designate(first, reason="remoteness")
    desk.designate(first, status="targeted")
    focus = desk.focus(measure="hours")
    assert focus["measures"][0]["priority"] == pytest.approx(6, abs=0.01) and focus["measures"][0]["targeted"] == 0
    assert focus["basis"] == "estimated", "by area: no small areas have a population"
    desk.designate(ward)
    assert desk.shares() == {activity: 1}


def test_overlap_by_people(site, desk):
    """Where people live counts, not ground: nine in ten of the ward are in the estate, on half of it."""
    row = site.row()
    ward = row.bar(desk.set, 0, 4)
    _, (estate,) = row.set((0, 2))
    row.set((0, 1, 45), (1, 2, 45), (2, 3, 5), (3, 4, 5))
    site.settle()
    desk.designate(estate)
    activity = desk.activity(ward)
    assert desk.shares() == {activity: pytest.approx(0.9, abs=1e-4)}
    assert desk.focus()["basis"] == "recorded"


# --- new and existing, per head, by deprivation ---

def test_new_and_existing_neighbourhoods(desk):
    old, again, new = desk.place(), desk.place(), desk.place()
    desk.designate(old, valid_from="2020-01-01")
    desk.designate(again, valid_from="2019-01-01", valid_to="2021-12-31")
    desk.designate(again, valid_from="2026-02-01")
    desk.designate(new, valid_from="2026-02-01")
    for place, hours in ((old, 5), (again, 3), (new, 2)):
        desk.activity(place, hours=hours)
    (hours,) = desk.focus(measure="hours")["measures"]
    assert members(hours, "priority", "new_share_percent") == (10, 20)


def test_per_head_each_person_once(site, desk):
    row = site.row()
    ward = row.bar(desk.set, 0, 10, population=1000)
    _, (beat,) = row.set((0, 20, 4000))
    block = desk.place(50, parent_id=ward)
    site.settle()
    desk.designate(ward)
    desk.designate(block)
    desk.activity(ward, hours=30)
    (hours,) = desk.focus(measure="hours")["measures"]
    assert members(hours, "priority_population", "priority_per_1000") == (1000, 30)
    desk.designate(beat)
    (hours,) = desk.focus(measure="hours")["measures"]
    assert hours["priority_population"] == 3000, "half of the beat is the ward, and is there already"
    desk.designate(desk.place())
    (hours,) = desk.focus(measure="hours")["measures"]
    assert members(hours, "priority_population", "priority_per_1000") == (None, None)
    assert reasons(hours)["priority_per_1000"] == "population_unknown" == reasons(hours)["priority_population"]


def deprivation(desk, locality, decile, year=2019, **more):
    body = {"locality_id": locality, "index_name": "imd", "year": year, "decile": decile, **more}
    return made(desk.partner.manager.post("/v1/deprivation-values", {**body, "visibility": "private"}))


def test_by_deprivation(site, desk):
    """A ward of no decile of its own, half of it in each of two small areas; one area asked directly; one of which nothing is known."""
    row = site.row()
    ward = row.bar(desk.set, 0, 4)
    _, (poor, rich) = row.set((0, 2, 200), (2, 4, 100))
    site.settle()
    estate = desk.place(parent_id=poor)
    unknown = desk.place()
    for place, decile in ((poor, 1), (rich, 9)):
        deprivation(desk, place, decile)
        deprivation(desk, place, 5, year=2015)
        deprivation(desk, place, 3, index_name="wimd")
        deprivation(desk, place, 4, domain="income")
    for place in (ward, poor, estate, unknown):
        desk.activity(place, hours=12)
    focus = desk.focus(measure="hours")
    assert (focus["index_name"], focus["index_year"]) == ("imd", 2019)
    deciles = focus["measures"][0]["by_decile"]
    assert [each["decile"] for each in deciles] == [*range(1, 11), None]
    by_people = 12 * 200 / 300
    assert deciles[0] == {"decile": 1, "value": 24 + by_people, "share_percent": 66.7, "population": 200, "per_1000": 160}
    assert deciles[8] == {"decile": 9, "value": 12 - by_people, "share_percent": 8.3, "population": 100, "per_1000": 40}
    assert deciles[1] == {"decile": 2, "value": 0, "share_percent": 0, "population": None, "per_1000": None}
    assert deciles[10] == {"decile": None, "value": 12, "share_percent": 25, "population": None, "per_1000": None}
    older = desk.focus(measure="hours", index_year="2015")
    assert older["index_year"] == 2015 and older["measures"][0]["by_decile"][4]["value"] == 36
    assert desk.focus(measure="hours", index_name="wimd")["measures"][0]["by_decile"][2]["value"] == 36
    missing = desk.focus(measure="hours", index_year="2004")
    assert missing["index_year"] is None and missing["measures"][0]["by_decile"] == []
    assert reasons(missing["measures"][0])["by_decile"] == "no_deprivation_values"


def by_decile(desk, **params):
    """Which edition, and what of the number of activities is in which decile."""
    focus = desk.focus(measure="count", **params)
    return focus["index_year"], {each["decile"]: each["value"] for each in focus["measures"][0]["by_decile"] if each["value"]}


def test_an_edition_of_few_places_or_of_the_future_is_none(site, desk):
    """Anybody can publish a value of a year that is to come, or of one place."""
    places = [desk.place() for _ in range(10)]
    for place in places:
        deprivation(desk, place, 3)
        desk.activity(place)
    other = Desk(site)
    deprivation(other, places[0], 1, year=2100, **desk.shown())
    assert by_decile(desk) == (2019, {3: 10})
    for place in places[:8]:
        deprivation(other, place, 1, year=2026, **desk.shown())
    assert by_decile(desk) == (2019, {3: 10})
    deprivation(other, places[8], 1, year=2026, **desk.shown())
    assert by_decile(desk) == (2026, {1: 9, None: 1}), "nine tenths"
    assert by_decile(desk, index_year=2100) == (2100, {1: 1, None: 9})
    focus = desk.focus(measure="count", **{"from": "2018-01-01", "to": "2018-12-31"})
    assert focus["index_year"] is None and reasons(focus["measures"][0])["by_decile"] == "no_deprivation_values"


def test_whose_decile(site, desk):
    """One's own; else that of the partner with most of them, whoever wrote last."""
    place, another = desk.place(), desk.place()
    few, many = Desk(site), Desk(site)
    for each in (place, another):
        deprivation(many, each, 7, **desk.shown())
    last = deprivation(few, place, 1, **desk.shown())
    desk.activity(place)
    assert by_decile(desk) == (2019, {7: 1})
    deprivation(desk, place, 4)
    assert few.partner.officer.patch(f"/v1/deprivation-values/{last}", {"decile": 2}, headers={"If-Match": "*"}).status == 200
    assert by_decile(desk) == (2019, {4: 1})


def test_small_areas_say_more_than_what_a_place_is_a_part_of(site, desk):
    """Where they cover it; and the people of a decile are those of one set."""
    row = site.row()
    _, (district,) = row.set((0, 8, 900))
    ward, edge = row.bar(desk.set, 0, 4, parent_id=district), row.bar(desk.set, 4, 8, parent_id=district)
    _, small = row.set((0, 3), (3, 4), (4, 5))
    site.settle()
    for place, decile in zip((district, *small), (1, 1, 9, 9)):
        deprivation(desk, place, decile)
    desk.activity(ward)
    assert by_decile(desk) == (2019, {1: 0.75, 9: 0.25})
    desk.activity(edge)
    assert by_decile(desk) == (2019, {1: 1.75, 9: 0.25}), "a quarter of it is too little"
    assert desk.focus(measure="count")["measures"][0]["by_decile"][0]["population"] is None, "not the people of the district"


def test_people_of_a_decile_are_counted_once(site, desk):
    row = site.row()
    _, (district,) = row.set((0, 4, 300))
    _, (poor, rich) = row.set((0, 2, 200), (2, 4, 100))
    site.settle()
    for place, decile in ((district, 1), (poor, 1), (rich, 9)):
        deprivation(desk, place, decile)
    desk.activity(row.bar(desk.set, 0, 4), hours=12)
    site.settle()
    deciles = desk.focus(measure="hours")["measures"][0]["by_decile"]
    assert members(deciles[0], "value", "population", "per_1000") == (8, 200, 40)
    assert members(deciles[8], "value", "population", "per_1000") == (4, 100, 40)


# --- nulls, and who may ---

RATIOS = ("share_percent", "targeted_share_percent", "met", "short_replace", "short_add", "new_share_percent")


def test_nothing_is_not_nought(desk):
    for measure in desk.focus()["measures"]:
        assert members(measure, *RATIOS) == (None,) * 6 and (measure["total"], measure["priority"]) == (0, 0)
        assert {reasons(measure)[name] for name in RATIOS} == {"no_activities"}
        assert reasons(measure)["priority_per_1000"] == "no_neighbourhood"
    place = desk.place(0)
    desk.designate(place)
    desk.activity(place, hours=0)
    measures = desk.focus()["measures"]
    assert members(measures[COUNT], "share_percent", "met") == (100, True) and set(reasons(measures[COUNT]).values()) <= {
        "nobody_lives_there", "no_deprivation_values"}
    assert reasons(measures[HOURS])["share_percent"] == "total_is_zero" and measures[HOURS]["met"] is None
    assert reasons(measures[SPEND])["share_percent"] == "no_values" and members(measures[SPEND], "activities", "missing") == (0, 1)
    assert measures[COUNT]["priority_per_1000"] is None and reasons(measures[COUNT])["priority_per_1000"] == "nobody_lives_there"


def test_reasons_of_single_figures(desk):
    inside = desk.place()
    desk.activity(inside)
    (count,) = desk.focus(measure="count", target="1")["measures"]
    assert members(count, "share_percent", "met", "short_replace", "short_add", "new_share_percent") == (0, False, 1, None, None)
    assert (reasons(count)["short_add"], reasons(count)["new_share_percent"]) == ("target_is_all", "nothing_in_priority")
    desk.designate(inside)
    (count,) = desk.focus(measure="count", target="1")["measures"]
    assert members(count, "met", "short_replace", "short_add", "new_share_percent") == (True, 0, 0, 100)


def test_a_token_for_less(desk, site):
    inside = desk.place(10)
    desk.designate(inside)
    deprivation(desk, inside, 1)
    desk.activity(inside, hours=4)
    some = site.records.account(desk.partner.id, "viewer", ["activities:read"])
    focus = desk.focus(client=some, measure="hours")
    (hours,) = focus["measures"]
    assert members(hours, "total", "priority", "targeted", *RATIOS, "priority_population", "by_decile") == (4, None, None, *(None,) * 6, None, [])
    assert set(reasons(hours).values()) == {"scope"} and focus["designations"] == {"count": 0, "ids": []}
    # nor does it say by what it may not read: where the activity went
    assert [item["priority_share"] for item in focus["activities"]["items"]] == [None]
    enough = site.records.account(desk.partner.id, "viewer", ["activities:read", "localities:read", "priority-designations:read"])
    (hours,) = desk.focus(client=enough, measure="hours")["measures"]
    assert hours["share_percent"] == 100 and reasons(hours) == {"by_decile": "scope"}


def test_who_may_ask(desk, site):
    assert site.anonymous.get("/v1/priority-focus", params={"from": FROM, "to": TO}).status == 401
    less = site.records.account(desk.partner.id, "viewer", ["localities:read"])
    assert less.get("/v1/priority-focus", params={"from": FROM, "to": TO}).status == 403
