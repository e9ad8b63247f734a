# SPDX-License-Identifier: AGPL-3.0-or-later
"""A walk over the pages of a list: every record that stays is met once and in order, whatever comes and goes meanwhile; and a cursor is good for its own
list only."""
import re
import threading

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import unique


def make(client, name, **members):
    answer = client.post("/v1/communities", {"name": name, "kind": "interest", **members})
    assert answer.status == 201, answer.text()
    return answer.json()


@pytest.fixture(scope="module", name="walked")
def _walked(partner):
    """(word, records): forty communities that stay, with gaps between their names."""
    word = unique("Fen").replace("-", "")
    return word, [make(partner.officer, f"{word} {number * 10:04}", visibility=("private", "shared", "public")[number % 3]) for number in range(40)]


def comings_and_goings(client, word, over):
    """Makes records between those that stay and deletes each second one, until it is over."""
    number = 0
    while not over.is_set():
        record = make(client, f"{word} {(number * 37 + 5) % 400:04}", visibility=("public", "private")[number % 2])
        if number % 2:
            assert client.delete(f"/v1/communities/{record['id']}", headers={"If-Match": "*"}).status == 204
        number += 1


@pytest.mark.parametrize("sort", ["name", "-name"])
def test_a_walk_beside_writers_meets_what_stays_once(partner, walked, sort):
    word, stay = walked
    over = threading.Event()
    writers = [threading.Thread(target=comings_and_goings, args=(partner.officer.as_token(partner.officer.token), word, over)) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            met = partner.viewer.pages("/v1/communities", params={"name.contains": word, "sort": sort, "limit": "3"})
            names = [item["name"] for item in met]
            assert names == sorted(names, reverse=sort.startswith("-"))
            ids = [item["id"] for item in met]
            assert len(set(ids)) == len(ids)
            assert {record["id"] for record in stay} <= set(ids)
    finally:
        over.set()
        for writer in writers:
            writer.join()


def test_a_walk_as_of_a_moment_is_not_upset_by_anything(partner):
    word = unique("Mere").replace("-", "")
    stay = [make(partner.officer, f"{word} {number}") for number in range(7)]
    params = {"name.contains": word, "sort": "name", "limit": "2", "as_of": stay[-1]["created_at"]}
    first = partner.viewer.get("/v1/communities", params=params)
    assert partner.officer.patch(f"/v1/communities/{stay[3]['id']}", {"name": "Elsewhere"}, headers={"If-Match": "*"}).status == 200
    assert partner.officer.delete(f"/v1/communities/{stay[4]['id']}", headers={"If-Match": "*"}).status == 204
    make(partner.officer, f"{word} 3 new")
    rest = partner.viewer.pages(first.links()["next"])
    assert [item["name"] for item in first.json()["items"] + rest] == [record["name"] for record in stay]
    assert [item["version"] for item in rest] == [1] * 5


@pytest.mark.parametrize("sort, key", [("open_on", "open_on"), ("-open_on", "open_on"), ("close_on", "close_on"), ("title", "title"),
                                       ("-updated_at", "updated_at")])
@pytest.mark.parametrize("limit", ["1", "3"])
def test_equal_and_absent_keys_are_walked_too(dated, sort, key, limit):
    owner, ids = dated
    met = owner.viewer.pages("/v1/consultations", params={"partner_id": owner.id, "sort": sort, "limit": limit})
    assert sorted(item["id"] for item in met) == sorted(ids)
    keys = [item[key] or "infinity" for item in met]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


@pytest.fixture(scope="module", name="dated")
def _dated(records):
    """(owner, ids): consultations of which some have the same day and some none."""
    owner = records.partner()
    ids = []
    for number, day in enumerate(["2027-01-05", None, "2027-01-05", "2027-01-04", None, "2027-01-05", None]):
        body = {"title": f"Same {number % 2}", "open_on": day, "close_on": day, "visibility": ("private", "public")[number % 2]}
        answer = owner.officer.post("/v1/consultations", body)
        assert answer.status == 201, answer.text()
        ids.append(answer.json()["id"])
    return owner, ids


@pytest.mark.parametrize("suffix", [".csv", ""])
def test_pages_of_every_format_join_to_the_same_records(partner, walked, suffix):
    """CSV has no room for links in its body: the header field leads on."""
    word, stay = walked
    target, found, pages = f"/v1/communities{suffix}?name.contains={word}&fields=name&sort=name&limit=15", "", 0
    while target is not None:
        answer = partner.viewer.get(target, headers={"Accept": "text/csv"})
        assert answer.media_type == "text/csv", answer.text()
        found, pages = found + answer.text(), pages + 1
        following = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("link", ""))
        target = following and following.group(1)
    assert pages >= 3
    for record in stay:
        assert found.count(record["id"]) == 1


# --- cursors ---

def next_of(client, path, **params):
    return client.get(path, params={"limit": "2", **params}).links()["next"]


def cursor_of(link):
    return re.search(r"[?&]cursor=([^&]*)", link).group(1)


def refused(client, target):
    answer = client.get(target)
    assert answer.status == 400, target
    assert {place for place, _ in answer.codes()} == {"cursor"}, answer.text()


def test_a_cursor_is_refused_with_any_character_changed(partner, walked):
    link = next_of(partner.viewer, "/v1/communities", **{"name.contains": walked[0]})
    cursor = cursor_of(link)
    for place, character in enumerate(cursor):
        changed = cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1:]
        refused(partner.viewer, link.replace(cursor, changed))
    for changed in (cursor[:-1], cursor + "A", cursor + cursor, cursor[::-1], "", "A", "x" * 5000, cursor + "=", cursor + "%20"):
        refused(partner.viewer, link.replace(cursor, changed))
    assert partner.viewer.get(link).status == 200


def test_a_cursor_is_bound_to_all_of_the_question_but_the_length_of_the_page(partner, walked):
    word = walked[0]
    params = {"name.contains": word, "sort": "name"}
    cursor = cursor_of(next_of(partner.viewer, "/v1/communities", **params))
    for change in ({"sort": "-name"}, {"sort": "updated_at"}, {"kind": "interest"}, {"q": word}, {"name.contains": word[:-1]}, {"fields": "name"},
                   {"include": "partner"}, {"as_of": walked[1][-1]["created_at"]}, {"kind.ne": "place"}):
        query = "&".join(f"{name}={value}" for name, value in {**params, **change}.items())
        refused(partner.viewer, f"/v1/communities?{query}&cursor={cursor}")
    query = "&".join(f"{name}={value}" for name, value in params.items())
    for limit in ("1", "500"):
        assert partner.viewer.get(f"/v1/communities?{query}&limit={limit}&cursor={cursor}").status == 200


def test_a_cursor_of_another_list_is_refused(administrator, partner, walked):
    assert partner.viewer.get("/v1/changes", params={"limit": "1"}).status == 200
    record = walked[1][0]
    path = f"/v1/communities/{record['id']}"
    administrator_cursor = cursor_of(next_of(administrator, "/v1/partners", sort="name"))
    assert partner.officer.patch(path, {"description": "Second"}, headers={"If-Match": "*"}).status == 200
    history_cursor = cursor_of(partner.viewer.get(f"{path}/history", params={"limit": "1"}).links()["next"])
    feed_cursor = partner.viewer.get("/v1/changes", params={"limit": "1"}).json()["cursor"]
    for cursor in (administrator_cursor, history_cursor, feed_cursor):
        refused(partner.viewer, f"/v1/communities?sort=name&cursor={cursor}")
    list_cursor = cursor_of(next_of(partner.viewer, "/v1/communities", sort="name"))
    refused(partner.viewer, f"{path}/history?limit=1&cursor={list_cursor}")
    answer = partner.viewer.get("/v1/changes", params={"after": list_cursor})
    assert answer.status == 400 and answer.codes() == [("after", "cursor")]


def test_a_cursor_of_one_record_is_no_good_for_another(partner, walked):
    first, second = (f"/v1/communities/{record['id']}" for record in walked[1][1:3])
    for path in (first, second):
        assert partner.officer.patch(path, {"description": "Second"}, headers={"If-Match": "*"}).status == 200
    cursor = cursor_of(partner.viewer.get(f"{first}/history", params={"limit": "1"}).links()["next"])
    refused(partner.viewer, f"{second}/history?limit=1&cursor={cursor}")


def test_nodes_with_the_same_keys_take_each_others_cursors_and_others_do_not(start_server, cluster, contract, anonymous, partner, walked, tmp_path):
    link = next_of(partner.viewer, "/v1/communities", **{"name.contains": walked[0]})
    target = link[len(anonymous.server.url):]
    node = Client(start_server(), contract, anonymous.coverage, token=partner.viewer.token)
    try:
        # the token is of the other node's address; what matters here is what it says to the cursor
        anonymous_target = next_of(anonymous, "/v1/communities", **{"name.contains": walked[0]})[len(anonymous.server.url):]
        assert Client(node.server, contract, anonymous.coverage).get(anonymous_target).status == 200
    finally:
        node.close()
    folder = f"{cluster.folder}/{tmp_path.name}"
    wardmote_server.run(["key", "rotate", "--key-dir", folder])
    stranger = wardmote_server.Server(cluster, folder)
    try:
        refused(Client(stranger, contract, anonymous.coverage), anonymous_target)
    finally:
        stranger.close()
    assert partner.viewer.get(target).status == 200
