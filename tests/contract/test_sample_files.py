# SPDX-License-Identifier: AGPL-3.0-or-later
"""The sample folders as files: what must hold before any server sees them."""

import json
import pathlib

import pytest

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "sample"


def files(folder):
    for path in sorted((SAMPLE / folder).glob("*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def records(folder):
    """Every record with the defaults of its file, as (resource, key, whole body)."""
    for _, file in files(folder):
        for record in file["records"]:
            yield file["resource"], record["key"], {**file.get("defaults", {}), **record["body"]}


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
    for folder in ("norwich", "demo"):
        for resource, key, body in records(folder):
            for reference in references(body):
                assert reference in known, f"{folder}: {resource}/{key} refers to {reference}"
            known.add(f"{resource}/{key}")


def test_real_rows_refer_to_no_made_up_ones():
    for resource, key, body in records("norwich"):
        named = [key, body.get("name", ""), body.get("title", ""), *references(body)]
        assert not any("example" in name.lower() for name in named), f"{resource}/{key}"


@pytest.mark.parametrize("folder", ["norwich", "demo"])
def test_every_row_says_where_it_is_from(folder):
    for resource, key, body in records(folder):
        if resource != "accounts":
            assert 10 <= len(body["source"]) <= 2000, f"{resource}/{key}"


def test_made_up_names_say_so():
    for resource, key, body in records("demo"):
        name = body.get("name") or body.get("title") or body.get("label")
        assert name.startswith("Example"), f"{resource}/{key}: {name}"


def test_numbers_of_rows_are_the_published_ones():
    localities = bodies("norwich", "localities").values()
    for key, boundary_set in bodies("norwich", "boundary-sets").items():
        held = sum(locality["boundary_set_id"] == f"@boundary-sets/{key}" for locality in localities)
        unnamed = key in {
            "norwich-community-engagement-areas-2008",
            "snap-areas",
            "safer-neighbourhood-areas-greater-norwich",
            "parishes-around-norwich",
        }
        assert held == (0 if unnamed else boundary_set["expected_count"]), key
    counts = {name: len(bodies("norwich", name)) for name in ("communities", "consultations", "activities", "risks")}
    assert counts == {"communities": 19, "consultations": 5, "activities": 11, "risks": 9}


def test_both_sets_of_wards_have_the_same_names():
    wards = {"2013": set(), "2025": set()}
    for locality in bodies("norwich", "localities").values():
        for year, names in wards.items():
            if locality["boundary_set_id"] == f"@boundary-sets/wards-{year}":
                names.add(locality["name"])
    assert wards["2013"] == wards["2025"] and len(wards["2025"]) == 13


def test_coordinates_are_near_norwich_and_not_over_precise():
    for resource, key, body in records("norwich"):
        if "geometry" not in body:
            continue
        for longitude, latitude in coordinates(body["geometry"]["coordinates"]):
            assert 0.1 < longitude < 1.8 and 52.3 < latitude < 53.1, key
            assert round(longitude, 6) == longitude and round(latitude, 6) == latitude, key


def test_past_consultations_have_only_printed_dates():
    for key, body in bodies("norwich", "consultations").items():
        assert body["retrospective"] and body["as_at"] == "2008-11-26", key
        assert not {"open_on", "close_on", "announced_on"} & body.keys(), key
    dated = {key: body["starts_on"] for key, body in bodies("norwich", "activities").items() if "starts_on" in body}
    assert dated == {"NE-1": "2007-10-01", "NE-2": "2008-02-01"}


def test_the_sample_stays_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 2_000_000
