# SPDX-License-Identifier: AGPL-3.0-or-later
"""The feed beside parallel writers: a reader that follows its cursor hears of each version once, in order, and misses nothing."""
import threading
import time

from wardmote_records import unique

ANY = {"If-Match": "*"}
WRITERS = 6
RECORDS = 8


def write(client, word, number, expected):
    """Records of one writer: made and changed twice. What it did goes to `expected`."""
    for _ in range(RECORDS):
        record = client.post("/v1/communities", {"name": f"{word} {number}", "kind": "interest", "visibility": "shared"}).json()
        path = f"/v1/communities/{record['id']}"
        for change in ("first", "second"):
            assert client.patch(path, {"description": change}, headers=ANY).status == 200
        expected[record["id"]] = [(1, "create"), (2, "update"), (3, "update")]
    client.close()


def page(client, cursor, limit):
    answer = client.get("/v1/changes", params={"limit": limit, **({"after": cursor} if cursor else {})})
    assert answer.status == 200, answer.text()
    return answer.json()


def read_all(client, cursor=None, limit="500"):
    items = []
    while True:
        body = page(client, cursor, limit)
        items += body["items"]
        cursor = body["cursor"]
        if not any(link["rel"] == "next" for link in body["links"]):
            return items, cursor


def follow(client, cursor, expected, heard, over):
    """Reads in small pages until all that was written was heard, or for too long after the last write."""
    deadline = None
    while deadline is None or time.monotonic() < deadline:
        items, cursor = read_all(client, cursor, "7")
        heard += items
        if over.is_set():
            deadline = deadline or time.monotonic() + 20
            if {item["id"] for item in heard if item["version"] == 3} >= set(expected):
                return


def by_record(items, ids):
    told = {identifier: [] for identifier in ids}
    for item in items:
        if item["id"] in told:
            told[item["id"]].append((item["version"], item["operation"]))
    return told


def test_a_page_begins_after_its_cursor(records):
    client = records.partner().officer
    for _ in range(2):
        assert client.post("/v1/communities", {"name": unique("Paged"), "kind": "interest", "visibility": "shared"}).status == 201
    first = page(client, None, "1")
    second = page(client, first["cursor"], "1")
    assert len(first["items"]) == len(second["items"]) == 1 and first["items"] != second["items"]


def test_nothing_is_missed_or_told_twice_beside_writers(records):
    owner = records.partner()
    _, start = read_all(owner.viewer)
    expected, over, word = {}, threading.Event(), unique("Feed")
    heard = [[], []]
    viewer, officer = owner.viewer, owner.officer
    readers = [threading.Thread(target=follow, args=(viewer.as_token(viewer.token), start, expected, found, over)) for found in heard]
    writers = [threading.Thread(target=write, args=(officer.as_token(officer.token), word, number, expected)) for number in range(WRITERS)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    assert len(expected) == WRITERS * RECORDS
    for items in heard:
        assert by_record(items, expected) == expected
    again, _ = read_all(owner.viewer, start)
    mine = [(item["id"], item["version"]) for item in again if item["id"] in expected]
    assert mine == [(item["id"], item["version"]) for item in heard[0] if item["id"] in expected], "the order is the same for ever"


def test_times_and_members(partner):
    _, start = read_all(partner.viewer)
    record = partner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest"}).json()
    deadline = time.monotonic() + 20
    found = []
    while not found and time.monotonic() < deadline:
        found = [item for item in read_all(partner.viewer, start)[0] if item["id"] == record["id"]]
    assert found == [{"resource": "communities", "id": record["id"], "version": 1, "operation": "create", "at": record["updated_at"]}]


def test_the_end_of_the_feed_has_a_cursor_that_stays_good(partner):
    items, end = read_all(partner.viewer)
    assert items
    while page(partner.viewer, end, "1")["items"]:  # what was written before this test and had no position yet
        end = read_all(partner.viewer, end)[1]
    assert page(partner.viewer, end, "1") == {"items": [], "cursor": end, "links": []}


def test_pages_of_any_length_tell_the_same(partner):
    whole, end = read_all(partner.viewer)
    for limit in ("13", "100000"):
        items, _ = read_all(partner.viewer, None, limit)
        assert items[:len(whole)] == whole
    assert end


def test_a_cursor_of_the_feed_is_refused_with_any_character_changed(partner):
    _, cursor = read_all(partner.viewer)
    for place, character in enumerate(cursor):
        answer = partner.viewer.get("/v1/changes", params={"after": cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1:]})
        assert answer.status == 400 and [name for name, _ in answer.codes()] == ["after"], answer.text()


def test_what_is_no_page(partner):
    for place, value in (("limit", "0"), ("limit", "-1"), ("limit", "x"), ("cursor", "x"), ("after", "")):
        answer = partner.viewer.get("/v1/changes", params={place: value})
        assert answer.status == 400 and [name for name, _ in answer.codes()] == [place], answer.text()


def test_a_deletion_is_told_as_the_last(records):
    owner = records.partner()
    _, start = read_all(owner.viewer)
    ids = []
    for _ in range(3):
        record = owner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest"}).json()
        ids.append(record["id"])
        assert owner.officer.delete(f"/v1/communities/{record['id']}", headers=ANY).status == 204
    deadline = time.monotonic() + 20
    told = {}
    while time.monotonic() < deadline:
        told = by_record(read_all(owner.viewer, start)[0], ids)
        if all((2, "delete") in rows for rows in told.values()):
            break
    for rows in told.values():
        assert rows[-1] == (2, "delete") and rows.count((2, "delete")) == 1
