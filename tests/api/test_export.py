# SPDX-License-Identifier: AGPL-3.0-or-later
"""A list that is asked for whole (limit=all) says what its pages say, in every format and to every caller; a parameter that it has no place for is refused."""
import gzip
import json
import threading

import pytest

from wardmote_records import unique
from wardmote_suite import committed_document

LISTS = sorted(path for path, item in committed_document()["paths"].items()
               if "get" in item and any(parameter.get("$ref", "").endswith("/limit-or-all") for parameter in item["get"].get("parameters", [])))
PLACES = sorted(path for path in LISTS if "application/geo+json" in committed_document()["paths"][path]["get"]["responses"]["200"]["content"])
TEXTS = ["=1+1", "+44", "-1", "@A1", '"', 'say "hello"', "a,b", "a;b", "one\ntwo", "one\r\ntwo", " before", "after ", "plain", "Café – 🏘️", "\\N", "'", "{}", "a\tb",
         "x" * 4000, '"' * 4000, None]


def pages(client, path, params):
    """The answers to the pages of a list."""
    answers, target = [], path
    while target:
        answers.append(client.get(target, params=params if target == path else None))
        assert answers[-1].status == 200, answers[-1].text()
        link = answers[-1].headers["link"]
        target = link.split("rel=\"self\", <")[1].split(">")[0] if 'rel="next"' in link else None
    return answers


def whole(client, path, params):
    answer = client.get(path, params={**params, "limit": "all"})
    assert answer.status == 200, answer.text()
    assert "etag" not in answer.headers and answer.headers["transfer-encoding"] == "chunked"
    assert 'rel="next"' not in answer.headers["link"]
    return answer


def check(client, path, params, limit="7"):
    """The whole list holds what its pages hold, in their order. How many records that is."""
    paged = pages(client, path + ".csv", {**params, "limit": limit})
    header = paged[0].body.split(b"\r\n")[0] + b"\r\n"
    lines = whole(client, path + ".csv", params)
    assert lines.body == header + b"".join(answer.body[len(header):] for answer in paged)
    for name in ("content-type", "cache-control", "content-disposition", "vary"):
        assert lines.headers.get(name) == paged[0].headers[name].replace(", Accept-Encoding", "")
    items = [item for answer in pages(client, path, {**params, "limit": limit}) for item in answer.json()["items"]]
    answer = whole(client, path, params)
    assert answer.json()["items"] == items
    assert [link["rel"] for link in answer.json()["links"]] == ["self"] and "limit=all" in answer.links()["self"]
    if path in PLACES:
        features = [feature for answer in pages(client, path + ".geojson", {**params, "limit": limit}) for feature in answer.json()["features"]]
        answer = whole(client, path + ".geojson", params)
        assert answer.json()["features"] == features and answer.media_type == "application/geo+json"
        assert json.loads(answer.body)["type"] == "FeatureCollection"
    return len(items)


@pytest.fixture(scope="module", name="word")
def _word(partner):
    """Communities with all that CSV has to quote, of each visibility."""
    word = unique("Whole").replace("-", "")
    for number, text in enumerate(TEXTS):
        body = {"name": f"{word} {number:02}", "kind": "interest", "description": text, "visibility": ("private", "shared", "public")[number % 3],
                "external_id": f"{word};{number}", "seldom_heard": number % 2 == 0}
        assert partner.officer.post("/v1/communities", body).status == 201
    return word


def test_every_list_can_be_had_whole(records, administrator):
    assert len(LISTS) > 10 and PLACES
    for path in LISTS:
        resource = path.removeprefix("/v1/")
        made = 3 if resource in records.resources() else 0  # imports, say, are made by other tests, or not
        for _ in range(made):
            records.make(resource)
        assert check(administrator, path, {}, limit="500") >= made, path


def test_each_caller_gets_what_the_pages_show(partner, other, anonymous, word):
    found = {name: check(client, "/v1/communities", {"name.contains": word})
             for name, client in (("own", partner.viewer), ("other", other.viewer), ("anonymous", anonymous))}
    assert found == {"own": 21, "other": 14, "anonymous": 7}


def test_private_records_and_fields_of_others_are_not_in_it(partner, other, anonymous, word):
    secret = f"{word};"
    assert secret in partner.viewer.get("/v1/communities.csv", params={"name.contains": word, "limit": "all"}).text()
    for client in (other.viewer, anonymous):
        text = client.get("/v1/communities.csv", params={"name.contains": word, "limit": "all"}).text()
        assert f"{word} 02" in text and f"{word} 00" not in text and secret not in text


def test_the_next_ones_on_a_connection_are_as_the_first(partner, anonymous, word):
    """The first has its statement prepared, for the others it is there: of the anonymous it is then all that is sent."""
    for client in (anonymous, partner.viewer):
        found = [client.get("/v1/communities", params={"name.contains": word, "limit": "all"}).json()["items"] for _ in range(12)]
        assert found[0] and all(items == found[0] for items in found)


def test_it_is_whole_while_others_read(partner):
    """It gives way to them, and goes on."""
    word = unique("Patient").replace("-", "")
    for number in range(20):
        body = {"name": f"{word} {number:02}", "kind": "interest", "description": "x" * 4000}
        assert partner.officer.post("/v1/communities", body).status == 201
    client, over, reads = partner.viewer.as_token(partner.viewer.token), threading.Event(), []

    def read():
        while not over.is_set():
            reads.append(client.get("/v1/communities", params={"limit": 5}).status)
    other = threading.Thread(target=read)
    other.start()
    try:
        found = []
        while len(found) < 5 or len(reads) < 10:
            found.append(partner.viewer.get("/v1/communities", params={"name.contains": word, "limit": "all"}))
            assert len(found) < 500
    finally:
        over.set()
        other.join()
    assert set(reads) == {200}
    for answer in found:
        assert len(answer.body) > 64 << 10, "more than one block"
        assert sorted(item["name"] for item in answer.json()["items"]) == [f"{word} {number:02}" for number in range(20)]


def test_a_grant_shows_a_private_record(partner, other):
    word = unique("Granted").replace("-", "")
    body = {"name": word, "kind": "interest", "grants": [{"partner_id": other.id, "right": "read"}]}
    assert partner.manager.post("/v1/communities", body).status == 201
    assert check(other.viewer, "/v1/communities", {"name.contains": word}) == 1


@pytest.mark.parametrize("params", [
    {"sort": "name"}, {"sort": "-name"}, {"sort": "-updated_at", "fields": "name,seldom_heard"}, {"seldom_heard": "true"}, {"locality_id.null": "true"},
    {"external_id.null": "false"}, {"fields": "id"}, {"kind": "interest,place", "visibility.ne": "public", "sort": "-name"},
])
def test_filters_orders_and_fields_hold(partner, word, params):
    assert 0 < check(partner.viewer, "/v1/communities", {"name.contains": word, **params}) <= len(TEXTS)


def test_searched_by_words_and_place(partner, records, administrator, word):
    assert check(partner.viewer, "/v1/communities", {"q": word}) > 0
    area = {"type": "Polygon", "coordinates": [[[2.5, 50.5], [2.6, 50.5], [2.6, 50.6], [2.5, 50.6], [2.5, 50.5]]]}
    records.make("localities", visibility="public", geometry=area)
    for params in ({}, {"fields": "name,geometry"}):
        assert check(administrator, "/v1/localities", {"bbox": "2.4,50.4,2.7,50.7", **params}) > 0


def test_as_of_a_moment(partner):
    word = unique("Then").replace("-", "")
    made = [partner.officer.post("/v1/communities", {"name": f"{word} {number}", "kind": "interest"}).json() for number in range(9)]
    assert partner.officer.patch(f"/v1/communities/{made[3]['id']}", {"name": "Elsewhere"}, headers={"If-Match": "*"}).status == 200
    assert partner.officer.delete(f"/v1/communities/{made[4]['id']}", headers={"If-Match": "*"}).status == 204
    assert check(partner.viewer, "/v1/communities", {"name.contains": word, "as_of": made[-1]["created_at"], "sort": "name"}) == 9
    assert check(partner.viewer, "/v1/communities", {"name.contains": word}) == 7


def test_what_include_embeds(partner, word):
    params = {"name.contains": word, "include": "partner", "limit": "all"}
    items = partner.viewer.get("/v1/communities", params=params).json()["items"]
    assert len(items) == len(TEXTS) and {item["partner"]["id"] for item in items} == {partner.id}


def test_nothing_found(partner):
    params = {"name": unique("nothing"), "fields": "name,kind", "limit": "all"}
    assert partner.viewer.get("/v1/communities.csv", params=params).body == b"id,name,kind\r\n"
    assert partner.viewer.get("/v1/communities", params=params).json()["items"] == []
    assert partner.viewer.get("/v1/localities.geojson", params={"name": unique("nothing"), "limit": "all"}).json()["features"] == []


def test_head_answers_as_get_would(partner, word):
    own = ("date", "x-request-id", "ratelimit", "server-timing", "transfer-encoding", "connection")
    for params in ({"name.contains": word}, {"name": unique("nothing")}):
        got, head = (partner.viewer.request(method, "/v1/communities.csv", params={**params, "limit": "all"}) for method in ("GET", "HEAD"))
        assert {name: value for name, value in got.headers.items() if name not in own} == {name: value for name, value in head.headers.items() if name not in own}
    assert partner.viewer.request("HEAD", "/v1/communities.csv", params={"limit": "all", "sort": "wrong"}).status == 400


def test_it_is_not_compressed(partner, word):
    answer = partner.viewer.get("/v1/communities.csv", params={"name.contains": word, "limit": "all"}, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers and not answer.body.startswith(gzip.compress(b"")[:2])


@pytest.mark.parametrize("target, codes", [
    ("/v1/communities?limit=all&count=exact", [("count", "not_with_all")]),
    ("/v1/communities.csv?limit=all&count=exact&include=partner", [("count", "not_in_format"), ("include", "not_in_format")]),
    ("/v1/communities?limit=All", [("limit", "range")]),
    ("/v1/communities?limit=all&limit=all", [("limit", "duplicate")]),
    ("/v1/communities/01976f3a-2222-7000-8000-000000000001/history?limit=all", [("limit", "range")]),
    ("/v1/changes?limit=all", [("limit", "type")]),
])
def test_what_it_has_no_place_for_is_refused(partner, target, codes):
    answer = partner.viewer.get(target)
    assert answer.status == 400 and answer.codes() == codes


def test_it_has_no_cursor(partner, word):
    cursor = partner.viewer.get("/v1/communities", params={"name.contains": word, "limit": "1"}).links()["next"].split("cursor=")[1]
    answer = partner.viewer.get("/v1/communities", params={"name.contains": word, "limit": "all", "cursor": cursor})
    assert answer.status == 400 and answer.codes() == [("cursor", "not_with_all")]


def test_a_revoked_token_gets_nothing(records, administrator, partner):
    account = records.account_record(partner.id, "viewer")
    client = administrator.as_token(administrator.token_for(account["client_id"], account["client_secret"]))
    assert client.get("/v1/communities.csv?limit=all").status == 200
    assert administrator.patch(f"/v1/accounts/{account['id']}", {"role": "officer"}, headers={"If-Match": "*"}).status == 200
    for target in ("/v1/communities.csv?limit=all", "/v1/consultations?limit=all"):
        answer = client.get(target)
        assert answer.status == 401 and answer.media_type == "application/problem+json"
    assert partner.viewer.get("/v1/communities.csv?limit=all").status == 200
