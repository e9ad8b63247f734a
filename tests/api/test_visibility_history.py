# SPDX-License-Identifier: AGPL-3.0-or-later
"""The past of records that changed hands of sight: a version is shown only to who may read the record now and could read that version; the past of a
deleted record is its owner's; the feed tells what came into sight and what left it. Held against a model, step by step."""
import time

import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}
LONG_AFTER = "2999-01-01T00:00:00Z"
# One word a version: the visibility, and after "+" the right that a grant gives the second partner.
LIVES = ["private", "private public", "public private", "private shared public", "shared private shared", "private+read private", "private private+write private",
         "public private public", "private+read public", "private public private+read", "shared+write private+read public", "private delete", "public delete",
         "shared private delete", "private public delete", "private+read delete", "public private+read private delete", "private private+read public private"]


class Reader:
    def __init__(self, name, client, owns=False, granted=False):
        self.name = name
        self.client = client
        self.owns = owns
        self.granted = granted
        self.cursor = None

    def sees(self, state):
        visibility, _, right = state.partition("+")
        return state != "delete" and (visibility == "public" or self.owns or (self.client.token is not None and visibility == "shared")
                                      or (self.granted and right != ""))

    def heard(self):
        """What the feed has since the last time."""
        found = []
        while True:
            params = {"limit": "500", **({"after": self.cursor} if self.cursor else {})}
            page = self.client.get("/v1/changes", params=params).json()
            self.cursor = page["cursor"]
            found += page["items"]
            if not any(link["rel"] == "next" for link in page["links"]):
                return found


@pytest.fixture(scope="module", name="readers")
def _readers(anonymous, administrator, partner, other, records):
    third = records.partner()
    return [Reader("owner's viewer", partner.viewer, owns=True), Reader("owner's officer", partner.officer, owns=True), Reader("anonymous", anonymous),
            Reader("administrator", administrator), Reader("viewer with the grant", other.viewer, granted=True),
            Reader("manager with the grant", other.manager, granted=True), Reader("manager of a third", third.manager)]


def live(life, partner, other):
    """The record, its states and the moments at which each began. Each version has a mark of its own in its name."""
    marks, moments, record = [], [], None
    for number, state in enumerate(life.split()):
        if state == "delete":
            assert partner.officer.delete(f"/v1/communities/{record['id']}", headers=ANY).status == 204
            continue
        visibility, _, right = state.partition("+")
        marks.append(unique(f"CANARY-{number}"))
        body = {"name": marks[-1], "visibility": visibility, "grants": [{"partner_id": other.id, "right": right}] if right else []}
        if record is None:
            answer = partner.manager.post("/v1/communities", {"kind": "interest", **body})
        else:
            answer = partner.manager.patch(f"/v1/communities/{record['id']}", body, headers=ANY)
        assert answer.status in (200, 201), answer.text()
        record = answer.json()
        moments.append(record["updated_at"])
    return record["id"], marks, moments


def expected_feed(reader, states):
    """(version, operation) of what is told, in order."""
    told, now = [], reader.sees(states[-1])
    for number, state in enumerate(states):
        before, after = number > 0 and reader.sees(states[number - 1]), reader.sees(state)
        if before and not after:
            told.append((number + 1, "delete"))
        elif after and now:
            told.append((number + 1, "update" if before else "create"))
    return told


@pytest.mark.parametrize("life", LIVES)
def test_the_past_that_each_reader_sees(readers, partner, other, life):
    states = life.split()
    for reader in readers:
        reader.heard()
    identifier, marks, moments = live(life, partner, other)
    path, wrong = f"/v1/communities/{identifier}", []
    deleted = states[-1] == "delete"
    for reader in readers:
        shown_now = reader.owns if deleted else reader.sees(states[-1])
        seen = [shown_now and reader.sees(state) for state in states[:len(marks)]]
        answers = [reader.client.get(path), reader.client.get(f"{path}/history"), reader.client.get("/v1/communities", params={"id": identifier}),
                   reader.client.get("/v1/communities.csv", params={"id": identifier}), reader.client.get(path, params={"as_of": LONG_AFTER})]
        if answers[0].status != (404 if deleted or not shown_now else 200):
            wrong.append(f"{reader.name} gets {answers[0].status}")
        history = answers[1]
        versions = [number + 1 for number, is_seen in enumerate(seen) if is_seen] + ([len(states)] if deleted and reader.owns else [])
        if history.status != (200 if shown_now else 404):
            wrong.append(f"{reader.name} gets the history with {history.status}")
        elif shown_now and sorted(item["version"] for item in history.json()["items"]) != versions:
            wrong.append(f"{reader.name} sees versions {[item['version'] for item in history.json()['items']]}, not {versions}")
        elif shown_now and any(item["changed"] is not None and not (item["version"] - 1 in versions) for item in history.json()["items"]):
            wrong.append(f"{reader.name} is told what changed since a version that it does not see")
        for number, moment in enumerate(moments):
            past = [reader.client.get(path, params={"as_of": moment}), reader.client.get("/v1/communities", params={"id": identifier, "as_of": moment}),
                    reader.client.get("/v1/communities.csv", params={"id": identifier, "as_of": moment})]
            if past[0].status != (200 if seen[number] else 404):
                wrong.append(f"{reader.name} gets version {number + 1} as of then with {past[0].status}")
            if len(past[1].json()["items"]) != int(seen[number]):
                wrong.append(f"{reader.name} lists version {number + 1} as of then: {past[1].json()['items']}")
            answers += past
        texts = "\n".join(answer.text() for answer in answers)
        wrong += [f"{reader.name} reads the mark of version {number + 1}" for number, mark in enumerate(marks) if mark in texts and not seen[number]]
    assert not wrong, "\n".join(wrong)
    holds_for_the_feed(readers, states, identifier)


def holds_for_the_feed(readers, states, identifier):
    """The owner hears of the last version whatever it is: when that has come, the others have theirs."""
    heard = {reader.name: [] for reader in readers}
    deadline = time.monotonic() + 20
    while len(states) not in [item["version"] for item in heard[readers[0].name]]:
        assert time.monotonic() < deadline, heard
        time.sleep(0.02)
        heard[readers[0].name] += [item for item in readers[0].heard() if item["id"] == identifier]
    for reader in readers[1:]:
        heard[reader.name] = [item for item in reader.heard() if item["id"] == identifier]
    for reader in readers:
        told = [(item["version"], item["operation"]) for item in heard[reader.name]]
        assert told == expected_feed(reader, states), reader.name


def test_the_other_side_of_a_reference_is_as_hidden_in_the_past(partner, other):
    """include= as of a moment embeds what the caller may see of that moment, and no draft of it."""
    community = partner.manager.post("/v1/communities", {"name": unique("CANARY draft"), "kind": "interest"}).json()
    consultation = partner.officer.post("/v1/consultations", {"title": unique("Title"), "visibility": "public", "community_ids": [community["id"]]}).json()
    published = partner.officer.patch(f"/v1/communities/{community['id']}", {"name": unique("Published"), "visibility": "public"}, headers=ANY).json()
    path, params = f"/v1/consultations/{consultation['id']}", {"include": "communities"}
    for moment, names in ((consultation["created_at"], []), (published["updated_at"], [published["name"]])):
        for target, more in ((path, {}), ("/v1/consultations", {"id": consultation["id"]})):
            answer = other.viewer.get(target, params={**params, **more, "as_of": moment})
            assert answer.status == 200 and "CANARY" not in answer.text()
            record = answer.json() if target == path else answer.json()["items"][0]
            assert [item["name"] for item in record["communities"]] == names
    own = partner.viewer.get(path, params={**params, "as_of": consultation["created_at"]}).json()
    assert [item["name"] for item in own["communities"]] == [community["name"]]


def test_search_in_the_past_finds_no_draft(partner, other, anonymous):
    word = unique("wordofadraft").replace("-", "")
    record = partner.manager.post("/v1/communities", {"name": f"Draft {word}", "kind": "interest"}).json()
    partner.officer.patch(f"/v1/communities/{record['id']}", {"name": "Published", "visibility": "public"}, headers=ANY)
    for client, found in ((anonymous, 0), (other.manager, 0), (partner.viewer, 1)):
        answer = client.get("/v1/communities", params={"q": word, "as_of": record["created_at"], "count": "exact"})
        assert answer.json()["count"] == found and len(answer.json()["items"]) == found
        assert client.get("/v1/communities", params={"name.contains": word, "as_of": record["created_at"], "count": "exact"}).json()["count"] == found
