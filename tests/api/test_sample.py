# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote load` and what the sample looks like once it is in a server: loaded through the API, twice, into a database of its own."""
import collections
import json
import os
import pathlib
import re
import subprocess

import pytest

import wardmote_server
from wardmote_client import Client

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "sample"
DATABASE = "sample"
PUBLIC = ("partners", "partnerships", "codes", "boundary-sets", "localities", "communities", "consultations", "activities", "risk-scales",
          "risk-registers", "risks")

Loaded = collections.namedtuple("Loaded", "server host anonymous administrator first second changes")


def load(server, host, *folders, secret=None):
    return subprocess.run(
        [wardmote_server.binary(), "load", "--url", server.url, "--client-id", host["client_id"], *map(str, folders)],
        env={**os.environ, "WARDMOTE_CLIENT_SECRET": secret or host["client_secret"]}, capture_output=True, text=True, timeout=300, check=False)


def totals(output):
    """(created, present, completed) over all files."""
    rows = re.findall(r"(\d+) created, +(\d+) present, +(\d+) completed", output)
    return tuple(sum(int(row[i]) for row in rows) for i in range(3))


@pytest.fixture(scope="module", name="sample")
def _sample(cluster, keys, contract, anonymous):
    cluster.setup(DATABASE)
    host = json.loads(wardmote_server.run(["account", "create", "--partner", "Norwich City Council", "--kind", "council", "--service", "Sample test",
                                           "--database", cluster.uri("wardmote_owner", DATABASE)]))
    server = wardmote_server.Server(cluster, keys, database=DATABASE)
    with cluster.connect(database=DATABASE) as connection, connection.cursor() as cursor:
        runs, changes = [], []
        for _ in range(2):
            runs.append(load(server, host, SAMPLE / "norwich", SAMPLE / "demo"))
            cursor.execute("SELECT count(*) FROM wardmote.change")
            changes.append(cursor.fetchone()[0])
    public = Client(server, contract, anonymous.coverage)
    administrator = public.as_token(public.token_for(host["client_id"], host["client_secret"]))
    yield Loaded(server, host, public, administrator, *runs, changes)
    public.close()
    administrator.close()
    server.close()


def real(items):
    """Without what the demonstration adds."""
    return [item for item in items if not (item.get("name") or item.get("title") or item.get("label")).startswith("Example")]


def boundary_set(sample, code):
    return sample.anonymous.pages(f"/v1/boundary-sets?code={code}")[0]


def localities_of(sample, code):
    return sample.anonymous.pages(f"/v1/localities?boundary_set_id={boundary_set(sample, code)['id']}&limit=500")


# --- the command ---

def test_loads_everything_and_then_nothing(sample):
    assert sample.first.returncode == 0, sample.first.stderr
    assert sample.second.returncode == 0, sample.second.stderr
    created, present, completed = totals(sample.first.stdout)
    assert present == 0 and completed == 1 and created > 200, "only the host was there, without its code"
    assert totals(sample.second.stdout) == (0, created + completed, 0)


def test_a_second_run_leaves_no_trace_in_history(sample):
    assert sample.changes[0] == sample.changes[1] > 200


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
    assert "wms_" not in done.stdout + done.stderr + sample.first.stdout + sample.first.stderr


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
        "NHS Norfolk and Waveney Integrated Care Board"}


@pytest.mark.parametrize("code", ["norfolk-police-force", "nhs-norfolk-and-waveney-icb"])
def test_bodies_of_the_open_data_own_their_area_and_nothing_else(sample, code):
    owner = sample.anonymous.pages(f"/v1/partners?code={code}")[0]["id"]
    owned = {resource: len(sample.administrator.pages(f"/v1/{resource}?partner_id={owner}")) for resource in PUBLIC if resource != "partners"}
    assert {resource: n for resource, n in owned.items() if n} == {"boundary-sets": 1, "localities": 1}


def test_wards_of_both_years_can_be_drawn(sample):
    names = {}
    for code in ("wards-2013", "wards-2025"):
        features = sample.anonymous.get(f"/v1/localities.geojson?boundary_set_id={boundary_set(sample, code)['id']}").json()["features"]
        assert {feature["geometry"]["type"] for feature in features} == {"MultiPolygon"}
        names[code] = {feature["properties"]["name"] for feature in features}
    assert names["wards-2013"] == names["wards-2025"] and len(names["wards-2025"]) == 13


def test_small_areas_have_the_residents_of_the_census(sample):
    areas = localities_of(sample, "lsoa-2021")
    assert len(areas) == 85
    assert sum(area["population"] for area in areas) == 143900
    assert {area["population_as_at"] for area in areas} == {"2021-03-21"}


def test_areas_without_names_stay_without_rows(sample):
    expected = {"norwich-community-engagement-areas-2008": 7, "snap-areas": None, "safer-neighbourhood-areas-greater-norwich": 12,
                "parishes-around-norwich": 22}
    assert {code: boundary_set(sample, code)["expected_count"] for code in expected} == expected
    assert [localities_of(sample, code) for code in expected] == [[], [], [], []]


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
