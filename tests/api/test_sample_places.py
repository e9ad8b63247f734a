# SPDX-License-Identifier: AGPL-3.0-or-later
"""North West Leicestershire and County Durham once they are in a server: what was published is there whole, and hangs together."""
import pytest

from sample_site import Site, assert_whole, totals

PLACES = {"nwl": "North West Leicestershire", "durham": "County Durham"}
COUNTS = {
    "nwl": {"wards-2025": 38, "wards-2013": 20, "constituencies-2010": 1, "msoa-2021": 13, "lsoa-2021": 60, "lsoa-2011": 58, "lsoa-2001": 57,
            "local-authority-2024": 1, "local-resilience-forum-2020": 1, "police-force-areas-2020": 1, "integrated-care-boards-2022": 1},
    "durham": {"wards-2025": 51, "wards-2013": 63, "constituencies-2010": 6, "msoa-2021": 65, "lsoa-2021": 330, "lsoa-2011": 324, "lsoa-2001": 320,
               "local-authority-2024": 1, "local-resilience-forum-2020": 1, "police-force-areas-2020": 1, "integrated-care-boards-2022": 1},
}
PEOPLE = {"nwl": 104705, "durham": 522069}  # of the census, by local authority
INDICES = {2025: ("lsoa-2021", 8), 2019: ("lsoa-2011", 8), 2015: ("lsoa-2011", 1), 2010: ("lsoa-2001", 8), 2007: ("lsoa-2001", 1), 2004: ("lsoa-2001", 1)}


@pytest.fixture(scope="module", name="sample")
def _sample(cluster, keys, contract, anonymous):
    """Neither needs Norwich; the smaller one is loaded twice."""
    site = Site(cluster, keys, contract, anonymous.coverage, "places")
    site.load("north-west-leicestershire", "durham")
    site.load("north-west-leicestershire")
    yield site
    site.close()


def test_they_load_alone_and_once(sample):
    for run in sample.runs:
        assert run.returncode == 0, run.stderr
    created, present, changed = totals(sample.runs[0].stdout)
    assert (present, changed) == (0, 57 + 58 + 320 + 324) and created > 30000, "lineage is about areas that are there"
    created, present, changed = totals(sample.runs[1].stdout)
    assert created == changed == 0 and present > 5000
    assert sample.changes[0] == sample.changes[1]


@pytest.mark.parametrize("place", PLACES)
def test_every_boundary_set_is_whole(sample, place):
    assert {layer: len(sample.localities(f"{place}-{layer}")) for layer in COUNTS[place]} == COUNTS[place]
    for layer, count in COUNTS[place].items():
        found = sample.boundary_set(f"{place}-{layer}")
        assert found["expected_count"] == count and found["licence"] and found["attribution"] and found["vintage"] == layer[-4:]


@pytest.mark.parametrize("place", PLACES)
def test_the_council_owns_its_own_sets(sample, place):
    owners = {partner["id"]: partner["kind"] for partner in sample.anonymous.pages("/v1/partners?limit=500")}
    kinds = {layer: owners[sample.boundary_set(f"{place}-{layer}")["partner_id"]] for layer in COUNTS[place]}
    others = {"local-resilience-forum-2020": "other", "police-force-areas-2020": "police", "integrated-care-boards-2022": "health"}
    assert kinds == {**dict.fromkeys(COUNTS[place], "council"), **others}


@pytest.mark.parametrize("place", PLACES)
def test_small_areas_have_the_people_of_the_place(sample, place):
    people = sum(area["population"] for area in sample.localities(f"{place}-lsoa-2021"))
    assert abs(people - PEOPLE[place]) < 0.001 * PEOPLE[place], "small counts are perturbed"
    assert all(area["population"] for area in sample.localities(f"{place}-lsoa-2011"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("one, other", [("lsoa-2021", "wards-2025"), ("wards-2025", "lsoa-2021"), ("wards-2013", "wards-2025"), ("lsoa-2021", "msoa-2021")])
def test_overlaps_share_out_the_whole(sample, place, one, other):
    areas, people = sample.shares(f"{place}-{one}", f"{place}-{other}")
    assert len(areas) == COUNTS[place][one]
    assert_whole(areas)
    assert_whole(people)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("year", INDICES)
def test_every_small_area_has_its_deprivation(sample, place, year):
    layer, domains = INDICES[year]
    areas = {area["id"] for area in sample.localities(f"{place}-{layer}")}
    values = sample.anonymous.pages(
        f"/v1/deprivation-values?index_name=imd&year={year}&boundary_set_id={sample.boundary_set(f'{place}-{layer}')['id']}&limit=500")
    assert len(values) == domains * len(areas) and {value["locality_id"] for value in values} == areas


@pytest.mark.parametrize("place", PLACES)
def test_figures_of_the_census(sample, place):
    values = f"/v1/profile-values?boundary_set_id={sample.boundary_set(f'{place}-lsoa-2021')['id']}"
    assert sample.count(values) == 42 * COUNTS[place]["lsoa-2021"]
    assert sample.count(f"{values}&dimension=tenure&category=Lives+rent+free") == COUNTS[place]["lsoa-2021"]


def test_a_former_area_leads_to_the_present(sample):
    merged = {area["code"]: area for area in sample.localities("durham-lsoa-2001")}
    lineage = sample.anonymous.get(f"/v1/localities/{merged['E01020800']['id']}/lineage").json()["successors"]
    assert [(area["code"], area["depth"], area["change_kind"]) for area in lineage] == [
        ("E01033203", 1, "merged"), ("E01034505", 2, "split"), ("E01034506", 2, "split")]
