# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sample folders as files: what must hold before any server sees them."""

import collections
import csv
import functools
import json
import pathlib
import re

import pytest

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "sample"
REAL = ("norwich", "north-west-leicestershire", "durham")
FOLDERS = (*REAL, "demo")
# folder -> where its boundaries lie, and how many areas each set has
GROUND = {"norwich": (0.1, 52.3, 1.8, 53.1), "north-west-leicestershire": (-1.7, 52.3, -0.4, 53.0), "durham": (-3.7, 54.1, -0.7, 55.9)}
AREAS = {
    "norwich": {"local-authority-2024": 1, "local-resilience-forum-2020": 1, "lsoa-2011": 83, "msoa-2011": 14},
    "north-west-leicestershire": {"constituencies-2010": 1, "integrated-care-boards-2022": 1, "local-authority-2024": 1, "local-resilience-forum-2020": 1,
                                  "lsoa-2011": 58, "lsoa-2021": 60, "msoa-2021": 13, "police-force-areas-2020": 1, "wards-2013": 20, "wards-2025": 38},
    "durham": {"constituencies-2010": 6, "integrated-care-boards-2022": 1, "local-authority-2024": 1, "local-resilience-forum-2020": 1,
               "lsoa-2011": 324, "lsoa-2021": 330, "msoa-2021": 65, "police-force-areas-2020": 1, "wards-2013": 63, "wards-2025": 51},
}
SMALL = {"norwich": (79, 83, 85), "north-west-leicestershire": (57, 58, 60), "durham": (320, 324, 330)}  # LSOAs of 2001, 2011, 2021
CATEGORIES = {"ethnicity": 5, "religion": 9, "disability": 2, "household-deprivation": 5, "tenure": 8, "dwelling-type": 8, "occupancy": 5}
DOMAINS = {"2025": 8, "2019": 8, "2015": 1, "2010": 8, "2007": 1, "2004": 1}
VINTAGE = {"2025": 2, "2019": 1, "2015": 1, "2010": 0, "2007": 0, "2004": 0}  # which of SMALL an index is about
PERSONAL = ("name", "phone", "email", "contact_name", "contact_details", "person_name", "person_role", "person_contact")
PEOPLE = ("contacts", "community-groups", "map-items")


def files(folder):
    for path in sorted((SAMPLE / folder).glob("*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def records(folder):
    """Every record with the defaults of its file, as (resource, key, whole body)."""
    for _, file in files(folder):
        for record in file.get("records", ()):
            yield file["resource"], record["key"], {**file.get("defaults", {}), **record["body"]}


def imports(folder):
    """(name, what is imported) of each file that stands for one."""
    for path, file in files(folder):
        if "import" in file:
            yield path.name, file["import"]


@functools.cache
def features(folder, layer):
    return json.loads((SAMPLE / folder / f"boundaries/{layer}.geojson").read_text(encoding="utf-8"))["features"]


def table(folder, name):
    with open(SAMPLE / folder / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@functools.cache
def small_areas(folder):
    """Codes of the LSOAs of 2001, 2011 and 2021."""
    held = collections.defaultdict(set)
    for resource, _, body in records(folder):
        if resource == "localities":
            held[body["boundary_set_id"].rsplit("/", 1)[1]].add(body["code"])
    for _, what in imports(folder):
        if what["file"].startswith("boundaries/"):
            held[what["path"].split("/")[4]] |= {feature["properties"]["code"] for feature in features(folder, what["file"][11:-8])}
    return [next(codes for name, codes in held.items() if name.endswith(f"lsoa-{year}")) for year in (2001, 2011, 2021)]


def bodies(folder, resource):
    return {key: body for name, key, body in records(folder) if name == resource}


def references(value):
    if isinstance(value, str) and value.startswith("@") and not value.startswith("@@"):
        yield value[1:]
    elif isinstance(value, dict):
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def coordinates(value):
    if value and isinstance(value[0], (int, float)):
        yield value
    else:
        for item in value:
            yield from coordinates(item)


def test_references_point_to_earlier_records():
    known = set()
    for folder in FOLDERS:
        for _, file in files(folder):
            for record in file.get("records", ()):
                for reference in references({**file.get("defaults", {}), **record["body"]}):
                    assert reference in known, f"{folder}: {file['resource']}/{record['key']} refers to {reference}"
                known.add(f"{file['resource']}/{record['key']}")
            for reference in references(file.get("import", {}).get("query", {})):
                assert reference in known, f"{folder}: {file['import']['file']} refers to {reference}"


def test_keys_are_used_once():
    """external_id is one name space of a partner: a record would take the place of another with the same key."""
    keys = collections.Counter((resource, key) for folder in FOLDERS for resource, key, _ in records(folder))
    assert [key for key, count in keys.items() if count > 1] == []


def test_places_do_not_need_each_other():
    for folder in REAL[1:]:
        own = {f"{resource}/{key}" for resource, key, _ in records(folder)}
        assert {reference for _, _, body in records(folder) for reference in references(body)} <= own


@pytest.mark.parametrize("folder", REAL)
def test_files_that_are_imported_are_all_that_there_are(folder):
    named = collections.Counter(what["file"] for _, what in imports(folder))
    there = {str(path.relative_to(SAMPLE / folder)) for path in (SAMPLE / folder).rglob("*.*") if path.parent != SAMPLE / folder}
    assert named == dict.fromkeys(there, 1)


def test_real_rows_refer_to_no_made_up_ones():
    for resource, key, body in (record for folder in REAL for record in records(folder)):
        named = [key, body.get("name", ""), body.get("title", ""), *references(body)]
        assert not any("example" in name.lower() for name in named), f"{resource}/{key}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_row_says_where_it_is_from(folder):
    for resource, key, body in records(folder):
        if resource != "accounts":
            assert 10 <= len(body["source"]) <= 2000, f"{resource}/{key}"
    for name, what in imports(folder):
        assert what["path"].endswith("/lineage-imports") or 10 <= len(what["query"]["source"]) <= 2000, name


@pytest.mark.parametrize("folder", REAL)
def test_each_boundary_set_names_its_licence(folder):
    text = (SAMPLE / folder / "LICENCE.md").read_text(encoding="utf-8")
    for key, body in bodies(folder, "boundary-sets").items():
        if body.get("licence", "").startswith("Open Government Licence"):
            assert all(part in text for part in body["attribution"].split(". Names of")), f"{key}: not in LICENCE.md"
    open_data = [body for body in bodies(folder, "boundary-sets").values() if body.get("licence", "").startswith("Open Government Licence")]
    assert len(open_data) == (12 if folder == "norwich" else 11)
    for name in ("lineage/", "profile/", "deprivation/", "boundaries/"):
        assert name in text


def test_made_up_names_say_so():
    nameless = {"contact-assignments", "priority-designations"}
    for resource, key, body in records("demo"):
        name = body.get("post") or body.get("name") or body.get("title") or body.get("label")
        assert name is None if resource in nameless else name.startswith("Example"), f"{resource}/{key}: {name}"
        assert key.startswith("example"), f"{resource}/{key}"


def test_the_demonstration_has_something_of_everything():
    counts = collections.Counter(resource for resource, _, _ in records("demo"))
    for resource in ("community-groups", "mapping-exercises", "map-items", "needs", "locality-plans", "contacts", "contact-assignments", "service-areas",
                     "service-entries", "referral-routes", "priority-designations"):
        assert counts[resource] >= 2, resource
    assert sum(body["kind"] == "key_player_individual" for body in bodies("demo", "map-items").values()) == 1
    activities = bodies("demo", "activities").values()
    assert any("locality_shares" in body for body in activities) and any("cost_pence" in body for body in activities)


def test_no_real_person_is_named():
    """Published documents name some: they are left out. Who is named in the demonstration is made up, with an address and a number kept for that."""
    for folder in REAL:
        for resource, key, body in records(folder):
            assert resource != "contacts", f"{folder}: {key}"
            if resource in PEOPLE:
                assert not set(body) & set(PERSONAL[1:]), f"{folder}: {resource}/{key}"
    named = 0
    for resource, key, body in records("demo"):
        if resource not in PEOPLE:
            continue
        for field in set(body) & set(PERSONAL) - ({"name"} if resource != "contacts" else {"person_role"}):
            if field != "person_role":
                named += 1
                assert re.fullmatch(r"Example .*|\S+@[a-z.]+\.example\.org|01632 960\d{3}", body[field]), f"{resource}/{key}: {body[field]}"
    assert named >= 8


def test_whoever_is_not_in_public_has_consented():
    for resource, key, body in records("demo"):
        if resource in PEOPLE and set(body) & set(PERSONAL[1:]) and not body.get("public_role"):
            assert body["consent_on"] < body["consent_until"] and body["consent_purpose"] and body["visibility"] == "shared", f"{resource}/{key}"


def test_numbers_of_rows_are_the_published_ones():
    localities = bodies("norwich", "localities").values()
    for key, boundary_set in bodies("norwich", "boundary-sets").items():
        held = sum(locality["boundary_set_id"] == f"@boundary-sets/{key}" for locality in localities) + AREAS["norwich"].get(key, 0)
        unnamed = key in {
            "norwich-community-engagement-areas-2008",
            "snap-areas",
            "safer-neighbourhood-areas-greater-norwich",
            "parishes-around-norwich",
        }
        assert held == (0 if unnamed else boundary_set["expected_count"]), key
    counts = {name: len(bodies("norwich", name)) for name in ("communities", "consultations", "activities", "risks")}
    assert counts == {"communities": 19, "consultations": 5, "activities": 11, "risks": 9}
    named = {name: len(bodies("norwich", name)) for name in ("needs", "community-groups", "service-areas", "contacts", "map-items", "locality-plans")}
    assert named == {"needs": 10, "community-groups": 2, "service-areas": 4, "contacts": 0, "map-items": 0, "locality-plans": 0}


@pytest.mark.parametrize("folder", REAL)
def test_boundaries_have_the_areas_that_were_published(folder):
    expected = {key: body.get("expected_count") for key, body in bodies(folder, "boundary-sets").items()}
    found = {}
    for _, what in imports(folder):
        if what["file"].startswith("boundaries/"):
            layer = what["file"][11:-8]
            areas = features(folder, layer)
            found[layer] = len(areas)
            assert len({area["properties"]["code"] for area in areas}) == len(areas) == expected[what["path"].split("/")[4]], layer
            assert all(area["properties"]["name"] and area["geometry"]["type"] in ("Polygon", "MultiPolygon") for area in areas), layer
    assert found == AREAS[folder]
    assert tuple(map(len, small_areas(folder))) == SMALL[folder]


@pytest.mark.parametrize("folder", REAL)
def test_lineage_leads_from_each_small_area_to_one_that_is_there(folder):
    areas = small_areas(folder)
    for i, name in enumerate(("lsoa-2001-2011", "lsoa-2011-2021")):
        rows = table(folder, f"lineage/{name}.csv")
        assert {row["from_code"] for row in rows} == areas[i] and {row["to_code"] for row in rows} == areas[i + 1]
        kinds = collections.Counter(row["change_kind"] for row in rows)
        assert set(kinds) <= {"unchanged", "split", "merged", "irregular"} and kinds["unchanged"] > 0.9 * len(rows)


@pytest.mark.parametrize("folder", REAL)
def test_the_census_has_every_area_and_category(folder):
    areas = small_areas(folder)[2]
    rows = table(folder, "profile/census-2021.csv")
    counts = collections.Counter(row["dimension"] for row in rows)
    assert counts == {dimension: n * len(areas) for dimension, n in CATEGORIES.items()}
    assert {row["locality_code"] for row in rows} == areas
    assert all(0 <= int(row["count"]) <= int(row["base"]) for row in rows)
    total = collections.Counter()
    for row in rows:
        total[row["locality_code"], row["dimension"]] += int(row["count"]) - int(row["base"]) / CATEGORIES[row["dimension"]]
    assert max(map(abs, total.values())) < 20, "the census offices perturb small counts"


@pytest.mark.parametrize("folder", REAL)
@pytest.mark.parametrize("year", ["2019", "2020"])
def test_bands_of_age_add_up(folder, year):
    rows = table(folder, f"profile/population-{year}.csv")
    ages, base = collections.Counter(), {}
    for row in rows:
        ages[row["locality_code"]] += int(row["count"])
        base[row["locality_code"]] = int(row["base"])
    assert set(ages) == small_areas(folder)[1] and len(rows) == 6 * len(ages)
    assert ages == base


@pytest.mark.parametrize("folder", REAL)
@pytest.mark.parametrize("year", sorted(DOMAINS))
def test_each_index_has_a_value_for_every_area(folder, year):
    rows = table(folder, f"deprivation/imd-{year}.csv")
    areas = small_areas(folder)[VINTAGE[year]]
    assert {row["locality_code"] for row in rows} == areas and len(rows) == DOMAINS[year] * len(areas)
    ranked = int(next(what["query"]["areas"] for name, what in imports(folder) if name.endswith(f"imd-{year}.json")))
    for row in rows:
        assert 1 <= int(row["rank"]) <= ranked and abs((int(row["rank"]) - 1) * 10 // ranked + 1 - int(row["decile"])) <= 1, row
        assert row["score"] or (year == "2019" and row["domain"] != "overall"), row


def test_both_sets_of_wards_have_the_same_names():
    wards = {"2013": set(), "2025": set()}
    for locality in bodies("norwich", "localities").values():
        for year, names in wards.items():
            if locality["boundary_set_id"] == f"@boundary-sets/wards-{year}":
                names.add(locality["name"])
    assert wards["2013"] == wards["2025"] and len(wards["2025"]) == 13


@pytest.mark.parametrize("folder", REAL)
def test_coordinates_are_near_the_place_and_not_over_precise(folder):
    west, south, east, north = GROUND[folder]
    shapes = {key: body["geometry"] for _, key, body in records(folder) if "geometry" in body}
    shapes |= {(layer, i): area["geometry"] for layer in AREAS[folder] for i, area in enumerate(features(folder, layer))}
    for key, shape in shapes.items():
        for longitude, latitude in coordinates(shape["coordinates"]):
            assert west < longitude < east and south < latitude < north, key
            assert round(longitude, 6) == longitude and round(latitude, 6) == latitude, key


def test_past_consultations_have_only_printed_dates():
    for key, body in bodies("norwich", "consultations").items():
        assert body["retrospective"] and body["as_at"] == "2008-11-26", key
        assert not {"open_on", "close_on", "announced_on"} & body.keys(), key
    dated = {key: body["starts_on"] for key, body in bodies("norwich", "activities").items() if "starts_on" in body}
    assert dated == {"NE-1": "2007-10-01", "NE-2": "2008-02-01"}


def test_the_sample_stays_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 6_000_000
