# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a stranger can do with nothing but the credentials that `wardmote dev` leaves and /openapi.json: every path below is looked up there by its
operation. One test, since the steps build on one another."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import urllib.parse

import pytest

from wardmote_suite import ROOT
from wardmote_client import Client, Contract
from wardmote_dev import Dev


class Stranger:
    """A caller who knows operations by their names in the document."""

    def __init__(self, client):
        self.client = client

    def call(self, operation, record=None, **options):
        found = self.client.contract.operations[operation]
        return self.client.request(found["method"], found["path"].replace("{id}", record or ""), **options)

    def all(self, operation, **params):
        return self.client.pages(self.client.contract.operations[operation]["path"], params=params)

    def signed_in(self, client_id, client_secret):
        return Stranger(self.client.as_token(self.client.token_for(client_id, client_secret)))


@pytest.fixture(scope="module", name="dev")
def _dev():
    base = pathlib.Path(tempfile.mkdtemp(prefix="wmstory-", dir="/tmp"))
    base.chmod(0o755)
    dev = Dev(base / "dev", sample="norwich")
    yield dev
    assert dev.stop() == 0
    shutil.rmtree(base)


@pytest.fixture(scope="module", name="story")
def _story(dev):
    """The callers, and what earlier steps have found."""
    address = urllib.parse.urlsplit(dev.state["url"])
    server = types.SimpleNamespace(url=dev.state["url"], host=address.hostname, port=address.port)
    document = Client(server, None, None).get("/openapi.json").json()
    anyone = Stranger(Client(server, Contract(document), types.SimpleNamespace(add=lambda *seen: None)))
    return types.SimpleNamespace(url=server.url, anyone=anyone, administrator=anyone.signed_in(dev.state["client_id"], dev.state["client_secret"]))


def who_am_i(story):
    me = story.administrator.call("get_me").json()
    assert (me["partner_name"], me["role"]) == ("Norwich City Council", "administrator")


def the_wards_of_one_boundary_set_can_be_drawn(story):
    sets = story.anyone.all("list_boundary_sets", code="wards-2025")
    assert len(sets) == 1 and sets[0]["expected_count"] == 13
    answer = story.anyone.call("list_localities", headers={"Accept": "application/geo+json"},
                               params={"boundary_set_id": sets[0]["id"], "fields": "code,name,geometry", "limit": 500})
    assert answer.media_type == "application/geo+json"
    drawn = answer.json()["features"]
    assert len(drawn) == 13
    for feature in drawn:
        assert feature["geometry"]["type"] == "MultiPolygon" and feature["properties"]["name"]
        for polygon in feature["geometry"]["coordinates"]:
            for ring in polygon:
                assert len(ring) >= 4 and ring[0] == ring[-1]
                assert all(1.1 < east < 1.5 and 52.5 < north < 52.8 for east, north in ring), "longitude, latitude of Norwich"
    story.ward = next(feature["id"] for feature in drawn if feature["properties"]["name"] == "Mancroft")


def the_risk_register_with_its_scores(story):
    registers = story.anyone.all("list_risk_registers", include="risk_scale")
    assert [register["partner_id"] for register in registers] == [story.administrator.call("get_me").json()["partner_id"]]
    risks = story.anyone.all("list_risks", risk_register_id=registers[0]["id"], sort="-score")
    assert len(risks) == 9 and [risk["score"] for risk in risks] == sorted((risk["score"] for risk in risks), reverse=True)
    impacts = [step["value"] for step in registers[0]["risk_scale"]["impact"]]
    assert all(risk["score"] == risk["likelihood"] * risk["impact"] and risk["impact"] in impacts for risk in risks)


def a_second_partner_with_an_officer(story):
    partner = story.administrator.call("create_partner", json_body={"name": "Example Housing", "kind": "housing_association"})
    assert partner.status == 201
    story.partner = partner.json()["id"]
    account = story.administrator.call("create_account", json_body={"kind": "service", "role": "officer", "name": "Website", "partner_id": story.partner})
    assert account.status == 201
    story.credentials = (account.json()["client_id"], account.json()["client_secret"])
    story.officer = story.anyone.signed_in(*story.credentials)
    assert story.officer.call("get_me").json()["partner_id"] == story.partner


def three_useful_failures(story):
    """All faults of the request at once; all that need data at once; a change without knowledge of the version."""
    story.topic = story.anyone.all("list_codes", list="topic")[0]["code"]
    answer = story.officer.call("create_consultation", json_body={"titel": "Bins", "topics": "housing", "open_on": "2027-13-01"})
    assert answer.status == 400
    assert answer.codes() == [("/open_on", "format"), ("/titel", "unknown_field"), ("/title", "required"), ("/topics", "type")]
    assert any("title" in fault["detail"] for fault in answer.json()["errors"] if fault["pointer"] == "/titel"), "says what was meant"
    kind = story.anyone.client.get(answer.json()["type"])
    assert kind.status == 200 and kind.json()["title"] == answer.json()["title"], "the type leads to its page"

    answer = story.officer.call("create_consultation", json_body={"title": "Bins", "topics": ["bins"], "locality_ids": [story.partner]})
    assert answer.status == 422
    assert answer.codes() == [("/locality_ids/0", "not_found"), ("/topics/0", "not_found")]

    created = story.officer.call("create_consultation", json_body={"title": "Bins", "topics": [story.topic], "locality_ids": [story.ward]})
    assert created.status == 201 and created.json()["visibility"] == "private"
    story.consultation, story.etag = created.json()["id"], created.etag
    assert story.officer.call("patch_consultation", story.consultation, json_body={"summary": "?"}).status == 428


def a_change_with_if_match_and_its_history(story):
    change = {"summary": "How often should bins be emptied?", "take_part_url": "https://example.org/bins", "close_on": "2027-03-31"}
    answer = story.officer.call("patch_consultation", story.consultation, json_body=change, headers={"If-Match": story.etag})
    assert answer.status == 200 and answer.etag != story.etag
    stale = story.officer.call("patch_consultation", story.consultation, json_body={"title": "Older"}, headers={"If-Match": story.etag})
    assert stale.status == 412
    versions = story.officer.call("list_consultation_history", story.consultation).json()["items"]
    assert [(version["version"], version["operation"]) for version in versions] == [(2, "update"), (1, "create")]
    assert sorted(versions[0]["changed"]) == ["close_on", "summary", "take_part_url"]
    assert versions[1]["record"]["summary"] is None and versions[1]["valid_to"] == versions[0]["valid_from"]


def to_open_through_its_gates(story):
    def move(status):
        return story.officer.call("transition_consultation", story.consultation, json_body={"to": status}, headers={"If-Match": "*"})

    def change(fields):
        answer = story.officer.call("patch_consultation", story.consultation, json_body=fields, headers={"If-Match": "*"})
        assert answer.status == 200, answer.text()

    refused = move("planned")
    assert refused.status == 409 and ("/visibility", "visibility") in refused.codes()
    change({"visibility": "shared", "open_on": "2026-11-02"})
    assert move("planned").json()["status"] == "planned"
    assert move("approved").json()["status"] == "approved"
    refused = move("open")
    assert refused.status == 409 and refused.codes() == [("/visibility", "visibility")]
    assert all(fault["rule"] for fault in refused.json()["errors"])
    assert story.anyone.call("get_consultation", story.consultation).status == 404
    change({"visibility": "public"})
    opened = move("open").json()
    assert opened["status"] == "open"
    story.public_since = opened["version"] - 1


def anyone_finds_it_by_ward_and_topic_in_one_request(story):
    answer = story.anyone.call("list_consultations", params={
        "status": "open", "locality_ids": story.ward, "topics": story.topic, "include": "partner", "fields": "title,take_part_url,close_on"})
    found = answer.json()["items"]
    assert [(row["title"], row["partner"]["name"], row["take_part_url"], row["close_on"]) for row in found] == [
        ("Bins", "Example Housing", "https://example.org/bins", "2027-03-31")]
    other_ward = story.anyone.all("list_localities", code="E05012901")[0]["id"]
    assert not story.anyone.all("list_consultations", status="open", locality_ids=other_ward, topics=story.topic)


def what_was_private_stays_so(story):
    """Another partner's draft, and the private past of what is public now."""
    draft = story.officer.call("create_consultation", json_body={"title": "A draft about parks"}).json()["id"]
    absent = story.administrator.call("get_consultation", "01a20080-00d4-7ffa-af50-f19c9820edeb")
    for caller in (story.administrator, story.anyone):
        answer = caller.call("get_consultation", draft)
        assert (answer.status, answer.json()["title"]) == (404, absent.json()["title"])
        assert draft not in [row["id"] for row in caller.all("list_consultations", limit=500)]
        assert not caller.all("list_consultations", q="parks")
    past = story.officer.call("list_consultation_history", story.consultation).json()["items"]
    assert past[-1]["version"] == 1
    for caller, least in ((story.anyone, story.public_since), (story.administrator, 3)):
        seen = caller.call("list_consultation_history", story.consultation).json()["items"]
        assert [version["version"] for version in seen] == [version["version"] for version in past if version["version"] >= least]
        assert seen[-1].get("changed") is None, "no difference to a version that the caller may not see"
        as_of = {"as_of": past[-1]["valid_from"]}
        assert caller.call("get_consultation", story.consultation, params=as_of).status == 404
        assert not [row for row in caller.all("list_consultations", **as_of) if row["id"] == story.consultation]


def the_nightly_script_may_run_twice(story):
    script = ROOT / "api/examples/sync_activities.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 30
    environment = {**os.environ, "URL": story.url, "CLIENT_ID": story.credentials[0], "CLIENT_SECRET": story.credentials[1]}
    printed = [subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120, check=True).stdout for _ in range(2)]
    assert printed == ["50 created, 0 already there, 50 in all\n", "0 created, 50 already there, 50 in all\n"]
    activities = story.officer.all("list_activities", partner_id=story.partner, limit=500)
    assert len(activities) == 50 and {activity["version"] for activity in activities} == {1}, "nothing was written the second time"
    assert len({json.dumps(activity["external_id"]) for activity in activities}) == 50


def test_a_stranger_gets_through(story):
    for step in (
            who_am_i,
            the_wards_of_one_boundary_set_can_be_drawn,
            the_risk_register_with_its_scores,
            a_second_partner_with_an_officer,
            three_useful_failures,
            a_change_with_if_match_and_its_history,
            to_open_through_its_gates,
            anyone_finds_it_by_ward_and_topic_in_one_request,
            what_was_private_stays_so,
            the_nightly_script_may_run_twice,
    ):
        step(story)
