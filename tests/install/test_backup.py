# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/backup.md, run as it is printed: a dump, a base backup with its archive, a restore of each, what follows every restore, and the drill after a fire."""
import datetime
import os
import re
import shutil
import time

import pytest

import recipes
from recipes import Installation, blocks
from wardmote_suite import until

PASSWORD = "correct horse battery staple"
RECORDS = 100
DRILL_SECONDS = 90  # bound for a sanitizer's build on a busy machine; the page has what was measured


class Story:
    """An installation, and what its clients know of it."""

    def __init__(self):
        self.place = Installation()
        self.administrator = self.place.install()
        self.host = self.place.client(self.administrator)
        partner = self.host.post("/v1/partners", {"name": "Example Housing", "kind": "housing_association"}).json()
        self.partner = partner["id"]
        self.account = self.make_account(role="officer", kind="service", name="Load")
        self.officer = self.place.client(self.account)
        self.records = [self.make(f"Group {number}") for number in range(RECORDS)]
        for record in self.records[::10]:
            self.change(record, f"changed {record}")
        self.settle()

    def settle(self):
        """Until every change has its position in the feed."""
        until(lambda: self.place.query("SELECT count(*) FROM wardmote.fresh") == [(0,)])

    def make_account(self, **fields):
        answer = self.host.post("/v1/accounts", {"partner_id": self.partner, **fields})
        assert answer.status == 201, answer.text()
        return answer.json()

    def make(self, name):
        answer = self.officer.post("/v1/communities", {"name": name, "kind": "interest", "visibility": "public"})
        assert answer.status == 201, answer.text()
        return answer.json()["id"]

    def change(self, record, text, tag="*"):
        return self.officer.patch(f"/v1/communities/{record}", {"description": text}, headers={"If-Match": tag})

    def sign_in_again(self):
        self.host, self.officer = self.place.client(self.administrator), self.place.client(self.account)

    def feed(self):
        """(items, cursor) of the whole feed."""
        items, cursor = [], None
        while True:
            page = self.officer.get("/v1/changes", params={"limit": "500", **({"after": cursor} if cursor else {})}).json()
            items, cursor = items + page["items"], page["cursor"]
            if not page["links"]:
                return items, cursor

    def known(self, moment):
        """What clients can know: a record with its version, its history, a list of today and of a moment, and the feed."""
        path = f"/v1/communities/{self.records[0]}"
        record = self.officer.get(path)
        return {"record": record.json(), "version": record.etag.split("-")[0].split(".")[0], "history": self.officer.get(f"{path}/history").json()["items"],
                "then": self.officer.get(path, params={"as_of": moment}).json(), "list": self.officer.get("/v1/communities", params={"limit": "500"}).json()["items"],
                "list then": self.officer.get("/v1/communities", params={"limit": "500", "as_of": moment}).json()["items"], "feed": self.feed()[0],
                "me": self.officer.get("/v1/me").json()["partner_id"]}


@pytest.fixture(scope="module", name="story")
def _story():
    story = Story()
    yield story
    story.place.close()


@pytest.fixture(scope="module", name="saved")
def _saved(story):
    """After the nightly backup: what was known, and what came after it and will be lost."""
    place = story.place
    moment = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    person = story.make_account(role="officer", kind="person", name="Jo Example", login="jo.example")
    ended = story.make_account(role="viewer", kind="service", name="Old tool")
    contact = story.officer.post("/v1/contacts", {"post": "Chair", "kind": "officer", "name": "Sam Sample", "phone": "01603 000000", "consent_on": "2026-01-05", "visibility": "shared",
                                                  "consent_purpose": "To be called", "consent_until": "2099-01-01"})
    assert contact.status == 201, contact.text()
    story.settle()
    place.recipe("Each night: a dump")
    known = story.known(moment)
    record = story.records[0]
    later = {"known": known, "moment": moment, "person": person["id"], "ended": ended["id"], "contact": contact.json()["id"], "made": story.make("Made later")}
    assert story.change(record, "changed later").status == 200
    later["tag"] = story.officer.get(f"/v1/communities/{record}").etag
    later["cursor"] = story.feed()[1]
    assert story.host.post(f"/v1/accounts/{person['id']}/erasure", None).status == 204
    assert story.host.patch(f"/v1/accounts/{ended['id']}", {"disabled": True}, headers={"If-Match": "*"}).status == 200
    assert story.officer.patch(f"/v1/contacts/{contact.json()['id']}", {"name": None, "phone": None, "consent_on": None, "consent_purpose": None, "consent_until": None},
                               headers={"If-Match": "*"}).status == 200
    place.shell(f"WARDMOTE_DATABASE_FILE=/etc/wardmote/database-owner wardmote erase --resource communities --id {story.records[10]} --fields description")
    place.recipe("Who was erased")
    return later


def erasures(place):
    return place.shell("WARDMOTE_DATABASE_FILE=/etc/wardmote/database-owner wardmote erasures")


def assert_erased(story, saved):
    account = story.host.get(f"/v1/accounts/{saved['person']}").json()
    assert account["name"] == "erased" and account.get("login") is None and account["disabled"]
    assert story.host.get(f"/v1/accounts/{saved['ended']}").json()["disabled"]
    contact = story.officer.get(f"/v1/contacts/{saved['contact']}").json()
    assert contact["name"] is None and contact["phone"] is None
    assert story.officer.get(f"/v1/communities/{story.records[10]}").json()["description"] is None
    assert "Sam Sample" not in str(story.place.query("SELECT * FROM history.contact")) and "jo.example" not in str(story.place.query("SELECT * FROM history.account"))


def test_who_may_dump(story, saved):  # pylint: disable=unused-argument
    dump = "pg_dump {} -d wardmote -f /dev/null -U {}"
    refused = story.place.shell(dump.format("", "wardmote_owner"), check=False)
    assert refused.returncode != 0 and "row-level security" in refused.stdout
    assert story.place.shell(dump.format("--enable-row-security", "wardmote_api"), check=False).returncode != 0
    story.place.shell(dump.format("", "wardmote_backup"))


def test_the_list_names_nobody(story, saved):
    listed = erasures(story.place)
    assert not re.search("Jo Example|jo.example|Sam|01603|changed", listed)
    for record in (saved["person"], saved["ended"], saved["contact"], story.records[10]):
        assert record in listed
    kept = (story.place.folder / "srv/elsewhere/erasures").read_text()
    assert kept == listed
    story.place.recipe("Who was erased")
    assert (story.place.folder / "srv/elsewhere/erasures").read_text() == kept
    assert "0 erased again, 4 known" in story.place.shell("WARDMOTE_DATABASE_FILE=/etc/wardmote/database-owner wardmote erasures --again /srv/elsewhere/erasures")


def test_a_restored_dump_is_what_it_was(story, saved):
    """Records, versions, history, past, list and feed; what came later is not there, and nobody who was erased."""
    place = story.place
    place.shell("systemctl stop wardmote.socket wardmote\nsudo -u postgres psql -X -q -c 'ALTER DATABASE wardmote RENAME TO wardmote_before'")
    shutil.rmtree(place.folder / "lib")
    (place.folder / "lib").mkdir()
    place.recipe("Restore a dump")
    said = place.recipe("After every restore")
    assert "4 erased again, 0 known, 0 of records" in said and "at home here" in said and "fail " not in said
    story.sign_in_again()
    assert_erased(story, saved)
    # Beside what was erased again everything is as it was.
    after, before = story.known(saved["moment"]), saved["known"]
    for name in ("record", "version", "history", "then", "me"):
        assert after[name] == before[name], name
    erased = {story.records[10]}
    for name in ("list", "list then"):
        assert [row for row in after[name] if row["id"] not in erased] == [row for row in before[name] if row["id"] not in erased], name
    assert after["feed"][:len(before["feed"])] == before["feed"]
    assert story.officer.get(f"/v1/communities/{saved['made']}").status == 404


def test_what_clients_kept_is_not_taken_for_todays(story, saved):
    """The version that was lost has the number of the one that is made now."""
    path = f"/v1/communities/{story.records[0]}"
    assert story.change(story.records[0], "another text").status == 200
    today = story.officer.get(path)
    assert saved["tag"].split("-")[0] == f'"{today.json()["version"]}' and today.etag.split(".")[0] == saved["tag"].split("-")[0]
    assert story.officer.get(path, headers={"If-None-Match": saved["tag"]}).status == 200
    assert story.change(story.records[0], "over what was never seen", saved["tag"]).status == 412
    assert story.change(story.records[0], "after a look", today.etag).status == 200
    refused = story.officer.get("/v1/changes", params={"after": saved["cursor"]})
    assert refused.status == 400 and "restore" in refused.json()["errors"][0]["detail"] and refused.codes() == [("after", "cursor")]
    story.settle()
    _, cursor = story.feed()
    made = story.make("After the restore")
    items = until(lambda: story.officer.get("/v1/changes", params={"after": cursor}).json()["items"])
    assert [item["id"] for item in items] == [made]


def test_point_in_time(story):
    """Back to between two writes: the first is there, the second is not."""
    place = story.place
    found = blocks("Any moment: base backup and archive")
    assert len(found) == 2
    for block in (*found, found[1]):  # the second week keeps the first one's
        place.shell(block)
    story.sign_in_again()
    first = story.make("The last good one")
    time.sleep(1)  # the clock's moment is later than the first and earlier than the second
    moment = place.query("SELECT clock_timestamp()::text")[0][0]
    time.sleep(1)
    second = story.make("The mistake")
    before = story.officer.get(f"/v1/communities/{first}")
    place.recipe("Back to a moment", **{"2026-03-02 14:05:00+00": moment})
    said = place.recipe("After every restore")
    assert "fail " not in said
    story.sign_in_again()
    after = story.officer.get(f"/v1/communities/{first}")
    assert after.json() == before.json() and after.etag != before.etag
    assert story.officer.get(f"/v1/communities/{second}").status == 404
    assert story.change(first, "of the other past", before.etag).status == 412
    assert place.query("SELECT name FROM pg_file_settings WHERE name ~ 'recovery_target|restore_command'") == [], "the next start goes nowhere"


def test_a_fire(story, saved):
    """Everything is gone but the backup and the list: a new machine, with another cluster, from nothing to answers."""
    place = story.place
    known = story.known(saved["moment"])["me"]
    kept = place.lose()
    begun = time.monotonic()
    story.place = place = Installation(keep=kept)
    tar, keys = blocks("Restore a dump")[0].splitlines()
    place.shell(tar)
    place.shell(keys)
    (place.folder / "etc/wardmote.conf").unlink()  # of the other folder's name and ports; its content is the installation's own
    place.configure()
    place.shell(blocks("Restore a dump")[1])
    migrated = place.shell("WARDMOTE_DATABASE_FILE=/etc/wardmote/database-owner wardmote migrate\n"
                           "WARDMOTE_DATABASE_FILE=/etc/wardmote/database wardmote doctor --config /etc/wardmote/wardmote.conf", check=False)
    assert migrated.returncode == 1 and "wardmote restored" in migrated.stdout, "a copy in another cluster is noticed"
    begun_own = time.monotonic()
    said = place.recipe("After every restore")
    story.sign_in_again()
    seconds, own = time.monotonic() - begun, time.monotonic() - begun_own
    assert "fail " not in said and re.search("[4-9] erased again", said)
    print(f"\nfrom an empty machine to the first answer: {seconds:.1f} s, of which what follows a restore {own:.1f} s")
    assert story.known(saved["moment"])["me"] == known
    assert_erased(story, saved)
    assert story.officer.get(f"/v1/communities/{story.records[0]}").json() == saved["known"]["record"]
    assert seconds < DRILL_SECONDS


def test_every_block_is_run():
    """A block that is added to the page without a test is noticed."""
    used = {"Each night: a dump": 2, "Who was erased": 1, "Restore a dump": 2, "After every restore": 1, "Any moment: base backup and archive": 2, "Back to a moment": 1,
            "Rotation": 1, "The keys are lost": 1, "A key was stolen": 1}
    assert sum(used.values()) == recipes.PAGE.count("```sh\n")
    assert {heading: len(blocks(heading)) for heading in used} == used
    assert os.geteuid() != 0 or "sudo -u postgres" in recipes.PAGE
