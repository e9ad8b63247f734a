# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lists: filters, order, paging, counts, and what is refused in a query."""
import csv
import io

import pytest

from wardmote_records import unique


@pytest.fixture(scope="module", name="mark")
def _mark(partner):
    """Twelve communities of one partner whose names share a word of their own."""
    mark = unique("Heath").replace("-", "")
    for number in range(12):
        body = {"name": f"{mark} {number:02}", "kind": "interest", "visibility": "shared", "seldom_heard": number % 3 == 0,
                "external_id": f"{mark}/{number}", "source": "=1+1" if number == 0 else None}
        assert partner.officer.post("/v1/communities", body).status == 201
    return mark


def names(answer):
    return [item["name"] for item in answer.json()["items"]]


# --- filters ---

def test_text_filter_is_whole_and_contains_is_part(partner, mark):
    assert names(partner.viewer.get("/v1/communities", params={"name": f"{mark} 03"})) == [f"{mark} 03"]
    assert len(names(partner.viewer.get("/v1/communities", params={"name.contains": mark.upper()}))) == 12


def test_wildcards_of_like_are_ordinary_characters(partner, mark):
    assert names(partner.viewer.get("/v1/communities", params={"name.contains": f"{mark}_03"})) == []
    assert names(partner.viewer.get("/v1/communities", params={"name.contains": f"{mark}%"})) == []


def test_comma_means_any_of_for_ids_and_enums_only(partner, mark):
    items = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "2"}).json()["items"]
    ids = ",".join(item["id"] for item in items)
    assert sorted(names(partner.viewer.get("/v1/communities", params={"id": ids}))) == sorted(item["name"] for item in items)
    assert len(names(partner.viewer.get("/v1/communities", params={"kind": "place,interest", "name.contains": mark}))) == 12
    assert names(partner.viewer.get("/v1/communities", params={"name": f"{mark} 03,{mark} 04"})) == []


def test_negation_and_null(partner, mark):
    some = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "1"}).json()["items"][0]
    rest = names(partner.viewer.get("/v1/communities", params={"name.contains": mark, "id.ne": some["id"]}))
    assert len(rest) == 11 and some["name"] not in rest
    assert len(names(partner.viewer.get("/v1/communities", params={"name.contains": mark, "locality_id.null": "true"}))) == 12
    assert names(partner.viewer.get("/v1/communities", params={"name.contains": mark, "locality_id.null": "false"})) == []


def test_time_range(partner, mark):
    items = partner.viewer.get("/v1/communities", params={"name.contains": mark, "sort": "updated_at"}).json()["items"]
    middle = items[6]["updated_at"]
    later = names(partner.viewer.get("/v1/communities", params={"name.contains": mark, "updated_at.gte": middle, "sort": "updated_at"}))
    assert later == [item["name"] for item in items[6:]]
    before = names(partner.viewer.get("/v1/communities", params={"name.contains": mark, "updated_at.lt": middle, "sort": "updated_at"}))
    assert before == [item["name"] for item in items[:6]]


def test_filter_on_an_owner_field_shows_only_own_records(partner, other, mark):
    assert names(partner.viewer.get("/v1/communities", params={"external_id": f"{mark}/3"})) == [f"{mark} 03"]
    assert names(other.viewer.get("/v1/communities", params={"external_id": f"{mark}/3"})) == []


def test_anonymous_do_not_know_owner_fields(anonymous):
    answer = anonymous.get("/v1/communities", params={"external_id": "x"})
    assert answer.status == 400
    assert answer.codes() == [("external_id", "unknown_parameter")]


def test_full_text(partner, mark):
    assert len(names(partner.viewer.get("/v1/communities", params={"q": mark}))) == 12
    assert names(partner.viewer.get("/v1/communities", params={"q": f"{mark} 03"})) == [f"{mark} 03"]


def open_one(partner, **members):
    body = {"everyone": True, "visibility": "public", "close_on": "2099-01-30", "summary": "Where?", "take_part_how": "Write", **members}
    record = partner.officer.post("/v1/consultations", body).json()
    for to in ("planned", "approved", "open"):
        assert partner.officer.post(f"/v1/consultations/{record['id']}/transitions", {"to": to}, headers={"If-Match": "*"}).status == 200
    return record


@pytest.fixture(scope="module", name="place")
def _place(partner, records):
    """(a word, wards): three open consultations of both wards and an idea, and one open elsewhere."""
    wards = [records.make("localities", visibility="public")["id"] for _ in range(2)][::-1]
    word = unique("Weir").replace("-", "")
    for day in (3, 1, 2):
        open_one(partner, title=f"{word} {day}", open_on=f"2026-01-0{day}", locality_ids=wards, everyone=False)
    idea = {"title": f"{word} 4", "visibility": "public", "locality_ids": wards[:1], "open_on": "2026-01-04", "close_on": "2099-01-30"}
    assert partner.officer.post("/v1/consultations", idea).status == 201
    open_one(partner, title=f"{word} 5", open_on="2026-01-05", locality_ids=wards[1:], everyone=False)
    return word, wards


@pytest.mark.parametrize("more, days", [
    ({"status": "open"}, "123"), ({"status": "open", "sort": "-open_on"}, "321"), ({"status": "idea"}, "4"), ({"status.ne": "open"}, "4"), ({"status": "idea,open"}, "1234"),
    ({"open_on.gte": "2026-01-02", "status": "open"}, "23"), ({"status": "open", "fields": "title"}, "123"), ({"status": "closed"}, "")])
def test_what_is_open_at_a_place(partner, other, anonymous, place, more, days):
    """By pages, whoever asks; what is embedded comes in the order of the ids."""
    word, wards = place
    for client in (anonymous, partner.viewer, other.viewer):
        found = client.pages("/v1/consultations", params={"locality_ids": wards[0], "q": word, "include": "partner,localities", "limit": "2", **more})
        assert [item["title"] for item in found] == [f"{word} {day}" for day in days]
        for item in found:
            assert [ward["id"] for ward in item["localities"]] == (wards if item["title"] != f"{word} 4" else wards[:1])
            assert item["partner"]["id"] == partner.record["id"]


# --- order and pages ---

@pytest.mark.parametrize("sort, reverse", [("name", False), ("-name", True)])
def test_pages_join_to_the_whole_list(partner, mark, sort, reverse):
    found = partner.viewer.pages("/v1/communities", params={"name.contains": mark, "sort": sort, "limit": "5"})
    assert [item["name"] for item in found] == sorted((f"{mark} {number:02}" for number in range(12)), reverse=reverse)


def test_link_header_says_what_the_body_says(partner, mark):
    answer = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "5"})
    assert f'<{answer.links()["next"]}>; rel="next"' in answer.headers["link"]
    last = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "12"})
    assert "next" not in last.links()


def test_paging_is_not_upset_by_records_that_come_and_go(partner):
    word = unique("Moor").replace("-", "")
    made = [partner.officer.post("/v1/communities", {"name": f"{word} {number}", "kind": "interest"}).json() for number in range(4)]
    first = partner.viewer.get("/v1/communities", params={"name.contains": word, "limit": "2"})
    assert partner.officer.delete(f"/v1/communities/{made[1]['id']}", headers={"If-Match": "*"}).status == 204
    assert partner.officer.post("/v1/communities", {"name": f"{word} 0a", "kind": "interest"}).status == 201
    second = partner.viewer.get(first.links()["next"])
    assert names(second) == [f"{word} 2", f"{word} 3"]


def test_cursor_belongs_to_its_filters(partner, mark):
    following = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "5"}).links()["next"]
    answer = partner.viewer.get(following.replace(mark, mark[:-1]))
    assert answer.status == 400
    assert answer.codes() == [("cursor", "cursor")]
    assert partner.viewer.get("/v1/communities", params={"cursor": "bm90IG9uZSBvZiBvdXJz"}).status == 400


def test_limit_above_the_most_is_taken_as_the_most(partner):
    assert partner.viewer.get("/v1/communities", params={"limit": "100000"}).status == 200
    assert partner.viewer.get("/v1/communities", params={"limit": "0"}).codes() == [("limit", "range")]
    assert partner.viewer.get("/v1/communities", params={"limit": "ten"}).codes() == [("limit", "range")]


def test_counts(partner, mark):
    exact = partner.viewer.get("/v1/communities", params={"name.contains": mark, "limit": "2", "count": "exact"}).json()
    assert exact["count"] == 12 and len(exact["items"]) == 2
    assert partner.viewer.get("/v1/communities", params={"count": "estimated"}).json()["count"] >= 0
    assert "count" not in partner.viewer.get("/v1/communities", params={"limit": "1"}).json()


# --- members ---

def test_fields_narrow_and_id_stays(partner, mark):
    item = partner.viewer.get("/v1/communities", params={"name": f"{mark} 03", "fields": "name,kind"}).json()["items"][0]
    assert set(item) == {"id", "name", "kind"}


def test_include_embeds_what_is_visible(partner, mark):
    item = partner.viewer.get("/v1/communities", params={"name": f"{mark} 03", "include": "partner"}).json()["items"][0]
    assert item["partner"]["name"] == partner.record["name"]


def test_owner_fields_are_absent_for_others(partner, other, mark):
    own = partner.viewer.get("/v1/communities", params={"name": f"{mark} 03"}).json()["items"][0]
    foreign = other.viewer.get("/v1/communities", params={"name": f"{mark} 03"}).json()["items"][0]
    assert {"grants", "external_id", "created_by", "updated_by"} <= set(own)
    assert not {"grants", "external_id", "created_by", "updated_by"} & set(foreign)


# --- faults ---

def test_every_fault_of_a_query_is_named_at_once(partner):
    answer = partner.viewer.get("/v1/communities?kimd=place&limit=0&sort=colour&name=a&name=b&updated_at.gte=today&id=x&count=all")
    assert answer.status == 400
    assert answer.codes() == [("count", "enum"), ("id", "format"), ("kimd", "unknown_parameter"), ("limit", "range"), ("name", "duplicate"),
                              ("sort", "enum"), ("updated_at.gte", "format")]
    nearest = [fault["detail"] for fault in answer.json()["errors"] if fault["parameter"] == "kimd"]
    assert '"kind"' in nearest[0]


@pytest.mark.parametrize("query", ["name=%00", "name=%zz", "name=%ff", "name=%", "%00=1"])
def test_bytes_that_are_no_text_are_refused(partner, query):
    assert partner.viewer.get(f"/v1/communities?{query}").status == 400


# --- formats ---

def test_csv_is_safe_for_spreadsheets(partner, mark):
    for answer in (partner.viewer.get("/v1/communities.csv", params={"name.contains": mark, "sort": "name"}),
                   partner.viewer.get("/v1/communities", params={"name.contains": mark, "sort": "name"}, headers={"Accept": "text/csv"})):
        assert answer.media_type == "text/csv"
        assert answer.text().count("\r\n") == 13 and answer.text().endswith("\r\n")
        rows = list(csv.DictReader(io.StringIO(answer.text(), newline="")))
        assert rows[0]["name"] == f"{mark} 00"
        assert rows[0]["source"] == "'=1+1"


def test_csv_pages_are_linked_in_the_header(partner, mark):
    answer = partner.viewer.get("/v1/communities.csv", params={"name.contains": mark, "limit": "5"})
    assert 'rel="next"' in answer.headers["link"]
    assert len(answer.text().split("\r\n")) == 7


def test_suffix_that_a_resource_does_not_have(partner):
    assert partner.viewer.get("/v1/communities.geojson").status == 404
    assert partner.viewer.get("/v1/communities.ics").status == 404
