# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote load` and what the sample looks like once it is in a server: loaded through the API, twice, into a database of its own."""
import json
import re

import pytest

from sample_site import SAMPLE, Site, assert_whole, load, totals

PUBLIC = ("partners", "partnerships", "codes", "boundary-sets", "localities", "communities", "consultations", "activities", "risk-scales",
          "risk-registers", "risks", "community-groups", "needs", "service-areas")
# Of the demonstration only.
MADE_UP = ("contacts", "contact-assignments", "mapping-exercises", "map-items", "locality-plans", "service-entries", "referral-routes", "priority-designations")


@pytest.fixture(scope="module", name="sample")
def _sample(cluster, keys, contract, anonymous):
    site = Site(cluster, keys, contract, anonymous.coverage, "sample")
    for _ in range(2):
        site.load("norwich", "demo")
    yield site
    site.close()


def real(items):
    """Without what the demonstration adds."""
    return [item for item in items if not (item.get("name") or item.get("title") or item.get("label")).startswith("Example")]


# --- the command ---

def test_loads_everything_and_then_nothing(sample):
    for run in sample.runs:
        assert run.returncode == 0, run.stderr
    created, present, changed = totals(sample.runs[0].stdout)
    lineage = 79 + 83
    assert present == 0 and changed == 1 + lineage and created > 5000, "only the host was there, without its code; lineage is about areas that are there"
    assert totals(sample.runs[1].stdout) == (0, created + changed, 0)


def test_a_second_run_leaves_no_trace_in_history(sample):
    assert sample.changes[0] == sample.changes[1] > 5000


def test_says_which_record_was_refused_and_why(sample, tmp_path):
    (tmp_path / "1.json").write_text(json.dumps({"resource": "communities", "records": [
        {"key": "bad", "body": {"name": "", "kind": "unheard of", "colour": "blue"}}]}))
    done = load(sample.server, sample.host, tmp_path)
    assert done.returncode == 1
    assert '"bad": PUT /v1/communities?external_id=bad: 400' in done.stderr
    assert {"/name", "/kind", "/colour"} <= set(re.findall(r"^  (/\w+): ", done.stderr, re.M))


@pytest.mark.parametrize("text, message", [
    ('{"resource": "communities"}', "records"),
    ('{"resource": "communities", "records": [{"key": "a", "body": {"name": "@communities/none"}}]}', "@communities/none is not among the records"),
    ('{"resource": "communities", "records": [{"key": "a", "as": "nobody", "body": {}}]}', 'no account "nobody"'),
    ('{"resource": "communities", "records": [], "extra": 1}', "1 object item(s) left unpacked: extra"),
    ("[", "1.json:1:"),
])
def test_refuses_a_file_that_makes_no_sense(sample, tmp_path, text, message):
    (tmp_path / "1.json").write_text(text)
    done = load(sample.server, sample.host, tmp_path)
    assert done.returncode == 1 and message in done.stderr, done.stderr


def test_needs_the_right_secret_and_never_prints_it(sample):
    done = load(sample.server, sample.host, SAMPLE / "norwich", secret="wms_wrong")
    assert done.returncode == 1
    assert "no token for client" in done.stderr and "401 invalid_client" in done.stderr
    assert "wms_" not in done.stdout + done.stderr + sample.runs[0].stdout + sample.runs[0].stderr


def test_a_command_line_without_a_folder_is_a_mistake(sample):
    assert load(sample.server, sample.host).returncode == 2


# --- Norwich ---

@pytest.mark.parametrize("resource", PUBLIC)
def test_every_row_says_where_it_is_from(sample, resource):
    items = sample.anonymous.pages(f"/v1/{resource}?limit=500")
    assert items and all(item["source"] for item in items)


def test_the_host_is_the_council_of_the_strategy(sample):
    partners = real(sample.anonymous.pages("/v1/partners"))
    assert [partner["code"] for partner in partners if partner["host"]] == ["norwich-city-council"]
    assert {partner["name"] for partner in partners} == {
        "Norwich City Council", "Audit Commission", "Tenant Services Authority", "National Tenants' Voice", "Norfolk police force",
        "NHS Norfolk and Waveney Integrated Care Board", "Norfolk local resilience forum"}


@pytest.mark.parametrize("code", ["norfolk-police-force", "nhs-norfolk-and-waveney-icb", "norfolk-local-resilience-forum"])
def test_bodies_of_the_open_data_own_their_area_and_nothing_else(sample, code):
    owner = sample.anonymous.pages(f"/v1/partners?code={code}")[0]["id"]
    owned = {resource: len(sample.administrator.pages(f"/v1/{resource}?partner_id={owner}")) for resource in PUBLIC if resource != "partners"}
    assert {resource: n for resource, n in owned.items() if n} == {"boundary-sets": 1, "localities": 1}


def test_wards_of_both_years_can_be_drawn(sample):
    names = {}
    for code in ("wards-2013", "wards-2025"):
        features = sample.anonymous.get(f"/v1/localities.geojson?boundary_set_id={sample.boundary_set(code)['id']}").json()["features"]
        assert {feature["geometry"]["type"] for feature in features} == {"MultiPolygon"}
        names[code] = {feature["properties"]["name"] for feature in features}
    assert names["wards-2013"] == names["wards-2025"] and len(names["wards-2025"]) == 13


def test_small_areas_have_the_residents_of_the_census(sample):
    areas = sample.localities("lsoa-2021")
    assert len(areas) == 85
    assert sum(area["population"] for area in areas) == 143900
    assert {area["population_as_at"] for area in areas} == {"2021-03-21"}


def test_areas_without_names_stay_without_rows(sample):
    expected = {"norwich-community-engagement-areas-2008": 7, "snap-areas": None, "safer-neighbourhood-areas-greater-norwich": 12,
                "parishes-around-norwich": 22}
    assert {code: sample.boundary_set(code)["expected_count"] for code in expected} == expected
    assert [sample.localities(code) for code in expected] == [[], [], [], []]


def test_small_areas_lead_to_their_successors(sample):
    before = {area["code"]: area for area in sample.localities("lsoa-2001")}
    assert len(before) == 79 and all(area["successor_ids"] for area in before.values())
    split = sample.anonymous.get(f"/v1/localities/{before['E01026795']['id']}/lineage").json()
    assert {area["code"] for area in split["successors"] if area["depth"] == 1} == {"E01033435", "E01033436"}
    assert before["E01026795"]["change_kind"] == "split"
    today = {area["code"]: area["id"] for area in sample.localities("lsoa-2021")}["E01035137"]
    lineage = sample.anonymous.get(f"/v1/localities/{today}/lineage").json()["predecessors"]
    assert [(area["code"], area["depth"]) for area in lineage] == [("E01033439", 1), ("E01026851", 2)]


def test_small_areas_lie_in_middle_ones(sample):
    for year, count in (("2021", 15), ("2011", 14)):
        middle = {area["id"]: area["name"] for area in sample.localities(f"msoa-{year}")}
        assert len(middle) == count and "Norwich 014 (City Centre East)" in middle.values()
        for area in sample.localities(f"lsoa-{year}"):
            assert middle[area["parent_id"]].startswith(area["name"][:-1] + " ("), area["name"]


@pytest.mark.parametrize("one, other", [("lsoa-2021", "wards-2025"), ("wards-2025", "lsoa-2021"), ("wards-2013", "wards-2025"), ("lsoa-2011", "msoa-2011")])
def test_overlaps_share_out_the_whole(sample, one, other):
    areas, people = sample.shares(one, other)
    assert len(areas) == len(sample.localities(one))
    assert_whole(areas)
    assert_whole(people)


def test_figures_of_the_census(sample):
    areas = sample.boundary_set("lsoa-2021")["id"]
    assert sample.count(f"/v1/profile-values?boundary_set_id={areas}") == 85 * 42
    white = sample.anonymous.pages(f"/v1/profile-values?boundary_set_id={areas}&dimension=ethnicity&category=White&limit=500")
    assert len(white) == 85 and sum(value["base"] for value in white) == 143900
    assert {(value["source_kind"], value["as_at"], value["visibility"]) for value in white} == {("census", "2021-03-21", "public")}
    assert sample.count("/v1/profile-values?dimension=age") == 2 * 6 * 83


@pytest.mark.parametrize("year, code, domains", [(2025, "lsoa-2021", 8), (2019, "lsoa-2011", 8), (2015, "lsoa-2011", 1), (2010, "lsoa-2001", 8),
                                                 (2007, "lsoa-2001", 1), (2004, "lsoa-2001", 1)])
def test_every_small_area_has_its_deprivation(sample, year, code, domains):
    areas = {area["id"] for area in sample.localities(code)}
    values = sample.anonymous.pages(f"/v1/deprivation-values?index_name=imd&year={year}&limit=500")
    assert len(values) == domains * len(areas) and {value["locality_id"] for value in values} == areas
    assert all(1 <= value["decile"] <= 10 and value["rank"] <= value["areas"] and value["source"] for value in values)


def test_wants_of_the_strategy_are_needs(sample):
    wants = real(sample.anonymous.pages("/v1/needs?limit=500"))
    wants = [need for need in wants if not need["title"].startswith("Example")]
    strategy = sample.anonymous.pages("/v1/consultations?q=Developing+the+community+engagement+strategy")[0]["id"]
    assert len(wants) == 10
    assert {(need["nature"], need["origin"], need["consultation_id"], need["status"]) for need in wants} == {("want", "consultation", strategy, "open")}
    assert "A named council contact in each area" in {need["title"] for need in wants}


def test_only_printed_groups_and_teams(sample):
    assert {group["name"] for group in real(sample.anonymous.pages("/v1/community-groups"))} == {
        "Tenants' city wide board", "Safer Neighbourhood Action Panels (SNAP)"}
    assert {area["code"] for area in real(sample.anonymous.pages("/v1/service-areas"))} == {
        "regeneration-and-development", "community-services", "housing-management", "community-engagement-team"}


def test_consultations_of_the_past_are_not_open(sample):
    consultations = real(sample.anonymous.pages("/v1/consultations"))
    assert len(consultations) == 5
    for consultation in consultations:
        assert consultation["retrospective"] and consultation["as_at"] == "2008-11-26" and consultation["status"] != "open"
        assert consultation["open_on"] is None and consultation["close_on"] is None


def test_activities_have_the_dates_that_are_printed(sample):
    activities = real(sample.anonymous.pages("/v1/activities"))
    assert len(activities) == 11
    dated = {activity["title"]: (activity["starts_on"], activity["starts_on_precision"]) for activity in activities if activity["starts_on"]}
    assert dated == {"Officers' meeting on community engagement": ("2007-10-01", "month"),
                     "Consultation session at Blackfriars Hall": ("2008-02-01", "month")}


def test_the_risk_register_is_the_printed_one(sample):
    register = real(sample.anonymous.pages("/v1/risk-registers"))[0]
    risks = sample.anonymous.pages(f"/v1/risks?risk_register_id={register['id']}&sort=-score")
    assert [risk["score"] for risk in risks] == [9, 9, 9, 6, 6, 6, 6, 6, 4]
    assert [risk["code"] for risk in risks if risk["mitigation"] is None] == ["NR-07"]
    scale = sample.anonymous.get(f"/v1/risk-scales/{register['risk_scale_id']}").json()
    assert [step["value"] for step in scale["impact"]] == [1, 2, 3, 5, 6]


# --- the demonstration ---

@pytest.mark.parametrize("resource", MADE_UP)
def test_what_nobody_published_is_made_up(sample, resource):
    items = sample.administrator.pages(f"/v1/{resource}?limit=500")
    assert items and {item["source"] for item in items} == {"Made up for the demonstration."}


def test_the_person_on_the_map_is_not_public(sample):
    name = "Example keeper of the keys"
    assert name not in {item["name"] for item in sample.anonymous.pages("/v1/map-items?limit=500")}
    item = next(item for item in sample.administrator.pages("/v1/map-items?limit=500") if item["name"] == name)
    assert item["kind"] == "key_player_individual" and item["person_name"] is None, "another partner reads it one by one, and is noted"
    assert sample.administrator.get(f"/v1/map-items/{item['id']}").json()["person_name"] == "Example Person"


def test_a_made_up_service_is_in_open_referral(sample):
    services = sample.anonymous.get("/hsds/services").json()["contents"]
    assert {service["name"] for service in services} == {"Example repairs line", "Example advice at the estate office", "Example drop-in for young carers"}


def test_made_up_postcodes_lie_on_their_estates(sample):
    for postcode, estate in (("ZZ99 1AA", "Example North Estate"), ("zz992ab", "Example South Estate"), ("ZZ99 3AC", "Example Riverside Estate")):
        found = sample.anonymous.get("/v1/postcodes", params={"postcode": postcode}).json()
        assert found["source"] == "Made up for the demonstration." and estate in {place["name"] for place in found["localities"]}
        assert any(place["boundary_set"]["code"] == "wards-2025" for place in found["localities"]), "and in a real ward"


def test_a_made_up_consultation_was_led_to_open(sample):
    hits = sample.anonymous.pages("/v1/consultations?status=open")
    assert [hit["title"] for hit in hits] == ["Example: new play areas on the estates"]


def test_drafts_of_another_partner_are_not_the_administrators_to_read(sample):
    title = "Example: draft on service charges"
    assert title not in {item["title"] for item in sample.administrator.pages("/v1/consultations?limit=500")}
    accounts = sample.administrator.pages("/v1/accounts?kind=service&limit=500")
    officer = next(account for account in accounts if account["name"].startswith("Example Housing"))
    secret = sample.administrator.post(f"/v1/accounts/{officer['id']}/secrets", {}).json()["client_secret"]
    own = sample.anonymous.as_token(sample.anonymous.token_for(officer["client_id"], secret))
    assert title in {item["title"] for item in own.pages("/v1/consultations?limit=500")}
    own.close()
