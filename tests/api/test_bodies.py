# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a body may be: JSON and its limits, every fault at once with its pointer, and merge patches."""
import pytest

from wardmote_records import unique

HEADERS = {"Content-Type": "application/json"}


def post(client, text, **options):
    body = text if isinstance(text, bytes) else text.encode()
    return client.post("/v1/communities", body=body, headers=HEADERS, **options)


# --- JSON ---

@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '"text"', "{\"name\":\"a\",}", "{'name':'a'}", '{"name":"a"} {}', "\ufeff{}",
    '{"name":"a","name":"b","kind":"interest"}', '{"name":"\\ud800","kind":"interest"}', '{"name":"a\\u0000","kind":"interest"}', '{"name":NaN}',
])
def test_what_is_not_one_json_object(partner, text):
    answer = post(partner.officer, text)
    assert answer.status == 400, answer.text()
    assert answer.json()["errors"], "the fault has its place and code"


@pytest.mark.parametrize("body", [b'{"name":"\xff","kind":"interest"}', b'{"name":"a\x00b","kind":"interest"}', b'{"name":"\xed\xa0\x80","kind":"interest"}'])
def test_bytes_that_are_not_utf8(partner, body):
    assert post(partner.officer, body).status == 400


def test_depth_number_and_size_have_limits(partner):
    assert post(partner.officer, '{"name":' + "[" * 40 + "]" * 40 + "}").codes()[0][1] == "too_deep"
    assert post(partner.officer, '{"name":[' + "1," * 10000 + "1]}").codes()[0][1] == "too_many"
    for number in ("1e400", "1" * 40, "1e-300000"):
        assert post(partner.officer, f'{{"name":"a","kind":"interest","locality_id":{number}}}').status == 400
    padding = " " * (1 << 20)
    assert post(partner.officer, "{}" + padding).status == 413


def test_anonymous_bodies_are_small(anonymous):
    body = b'{"login":"' + b"a" * (65 << 10) + b'","password":"x"}'
    assert anonymous.post("/v1/sessions", body=body, headers=HEADERS).status == 413


def test_compressed_bodies_are_refused(partner):
    answer = partner.officer.post("/v1/communities", {"name": "a", "kind": "interest"}, headers={"Content-Encoding": "gzip"})
    assert answer.status == 415


@pytest.mark.parametrize("media_type, status", [("application/json; charset=utf-8", 201), ("APPLICATION/JSON", 201), ("application/json;charset=latin1", 415),
                                                ("text/json", 415), ("", 415)])
def test_media_types(partner, media_type, status):
    answer = partner.officer.post("/v1/communities", {"name": unique("Media"), "kind": "interest"}, headers={"Content-Type": media_type})
    assert answer.status == status, answer.text()


# --- faults ---

def test_every_fault_comes_at_once(partner):
    answer = partner.officer.post("/v1/consultations", {
        "titel": "misspelt", "visibility": "secret", "open_on": "2026-02-30", "close_on": 5, "take_part_url": "javascript:alert(1)",
        "community_ids": ["not-an-id"], "version": 7, "everyone": "yes", "summary": "x" * 20001})
    assert answer.status == 400
    assert {("/titel", "unknown_field"), ("/title", "required"), ("/visibility", "enum"), ("/open_on", "format"), ("/close_on", "type"),
            ("/take_part_url", "format"), ("/community_ids/0", "format"), ("/version", "read_only"), ("/everyone", "type"),
            ("/summary", "length")} == set(answer.codes())
    nearest = [fault["detail"] for fault in answer.json()["errors"] if fault["pointer"] == "/titel"]
    assert '"title"' in nearest[0]


def test_order_of_dates(partner):
    answer = partner.officer.post("/v1/consultations", {"title": "Dates", "open_on": "2026-05-02", "close_on": "2026-05-01"})
    assert answer.codes() == [("/close_on", "order")]


@pytest.mark.parametrize("value", ["today", "infinity", "2026-2-1", "0999-01-01", "10000-01-01", "2026-01-01T00:00:00Z", " 2026-01-01"])
def test_dates_are_strict(partner, value):
    assert partner.officer.post("/v1/consultations", {"title": "Dates", "open_on": value}).codes() == [("/open_on", "format")]


@pytest.mark.parametrize("value", ["", "   ", "two\nlines", "bi\u202edi", "bell\u0007", "x" * 201])
def test_names_are_one_line_of_text(partner, value):
    answer = partner.officer.post("/v1/communities", {"name": value, "kind": "interest"})
    assert answer.status == 400 and answer.codes()[0][0] == "/name", answer.text()


def test_text_is_kept_as_it_is(partner):
    name = unique("Mile Cross – “Café” <b>&amp;</b> 🏘️ ' OR 1=1 --")
    record = partner.officer.post("/v1/communities", {"name": name, "kind": "interest"}).json()
    assert record["name"] == name
    assert [item["name"] for item in partner.viewer.get("/v1/communities", params={"name": name}).json()["items"]] == [name]


# --- merge patches ---

@pytest.fixture(name="record")
def _record(partner):
    return partner.officer.post("/v1/communities", {"name": unique("Merge"), "kind": "interest", "description": "text", "source": "a source"}).json()


def patch(client, record, change, **headers):
    return client.patch(f"/v1/communities/{record['id']}", change, headers={"If-Match": "*", **headers})


def test_null_clears_and_absence_leaves(partner, record):
    answer = patch(partner.officer, record, {"description": None})
    assert (answer.json()["description"], answer.json()["source"], answer.json()["name"]) == (None, "a source", record["name"])


def test_what_may_not_be_null(partner, record):
    assert patch(partner.officer, record, {"name": None}).codes() == [("/name", "not_nullable")]


def test_plain_json_is_taken_as_a_merge_patch(partner, record):
    assert patch(partner.officer, record, {"description": "new"}, **{"Content-Type": "application/json"}).status == 200
    assert patch(partner.officer, record, {"description": "new"}, **{"Content-Type": "application/json-patch+json"}).status == 415


def test_arrays_are_replaced_whole(partner):
    ids = [partner.officer.post("/v1/communities", {"name": unique("Merge"), "kind": "interest"}).json()["id"] for _ in range(2)]
    record = partner.officer.post("/v1/consultations", {"title": unique("Merge"), "community_ids": ids}).json()
    answer = partner.officer.patch(f"/v1/consultations/{record['id']}", {"community_ids": ids[1:]}, headers={"If-Match": "*"})
    assert answer.json()["community_ids"] == ids[1:]
    answer = partner.officer.patch(f"/v1/consultations/{record['id']}", {"community_ids": ids + ids}, headers={"If-Match": "*"})
    assert answer.status == 400 and {code for _, code in answer.codes()} == {"duplicate"}


def test_a_dry_run_names_no_place(partner):
    answer = partner.officer.post("/v1/communities", {"name": "Nowhere", "kind": "interest"}, params={"dry_run": "true"})
    assert answer.status == 201 and "location" not in answer.headers and "etag" not in answer.headers
