# SPDX-License-Identifier: AGPL-3.0-or-later
"""Merge patches (RFC 7396) on records: what null, absence and an array mean, what may not be written, and rules that hold for the merged record."""
import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


@pytest.fixture(name="record")
def _record(partner):
    answer = partner.officer.post("/v1/consultations", {
        "title": unique("Patch"), "summary": "A summary", "notes": "Notes", "everyone": True, "open_on": "2030-01-10", "close_on": "2030-02-10",
        "external_id": unique("patch"), "partners": [{"partner_id": partner.id, "role": "lead"}], "source": "A source"})
    assert answer.status == 201, answer.text()
    return answer.json()


def patch(client, record, change, **headers):
    return client.patch(f"/v1/consultations/{record['id']}", change, headers={**ANY, **headers})


def changed(before, after):
    """Members that differ, but for those that every change moves."""
    return {name: after[name] for name in after if after[name] != before[name] and name not in ("version", "updated_at", "updated_by", "links")}


# --- null, absence, arrays ---

def test_one_member_changes_one_member(partner, record):
    after = patch(partner.officer, record, {"summary": "Another"}).json()
    assert changed(record, after) == {"summary": "Another"} and after["version"] == 2
    assert set(after) == set(record)


def test_null_empties_and_is_shown_as_null(partner, record):
    after = patch(partner.officer, record, {"summary": None, "close_on": None, "external_id": None, "source": None, "notes": None}).json()
    assert changed(record, after) == {"summary": None, "close_on": None, "external_id": None, "source": None, "notes": None}


@pytest.mark.parametrize("member", ["title", "visibility", "grants", "everyone", "partners", "locality_ids", "topics"])
def test_what_is_never_null(partner, record, member):
    answer = patch(partner.manager, record, {member: None})
    assert answer.status == 400 and answer.codes() == [(f"/{member}", "not_nullable")], answer.text()


def test_rows_are_replaced_whole(partner, other, record):
    assert [row["role"] for row in record["partners"]] == ["lead"]
    rows = [{"partner_id": other.id, "role": "lead"}]
    assert patch(partner.officer, record, {"partners": rows}).json()["partners"] == [{**rows[0], "reason": None}]
    assert patch(partner.officer, record, {"partners": []}).json()["partners"] == []


def test_null_in_a_row_is_no_patch_of_the_row(partner, record):
    """RFC 7396 has no patch within an array: what stands there is the new value, and must be valid as such."""
    answer = patch(partner.officer, record, {"partners": [{"partner_id": partner.id, "role": None}]})
    assert answer.status == 400 and answer.codes()[0][0] == "/partners/0/role", answer.text()
    answer = patch(partner.officer, record, {"partners": [{"role": "lead"}]})
    assert answer.status == 400 and answer.codes() == [("/partners/0/partner_id", "required")], answer.text()
    answer = patch(partner.officer, record, {"partners": [None]})
    assert answer.status == 400 and answer.codes() == [("/partners/0", "type")], answer.text()
    answer = patch(partner.officer, record, {"topics": [None]})
    assert answer.status == 400 and answer.codes()[0][0] == "/topics/0", answer.text()


def test_nothing_changes_nothing(partner, record):
    for change in ({}, {"title": record["title"]}, {"partners": record["partners"], "summary": record["summary"]}):
        answer = patch(partner.officer, record, change)
        assert answer.status == 200 and answer.json()["version"] == 1 and answer.json()["updated_at"] == record["updated_at"]
    assert len(partner.viewer.get(f"/v1/consultations/{record['id']}/history").json()["items"]) == 1


@pytest.mark.parametrize("text", ["[]", "null", '"text"', "1", "true", "", "[{}]"])
def test_a_patch_that_is_no_object_replaces_nothing(partner, record, text):
    headers = {**ANY, "Content-Type": "application/merge-patch+json"}
    answer = partner.officer.patch(f"/v1/consultations/{record['id']}", body=text.encode(), headers=headers)
    assert answer.status == 400, answer.text()
    assert partner.viewer.get(f"/v1/consultations/{record['id']}").json()["version"] == 1


def test_a_whole_record_that_was_read_is_no_patch(partner, record):
    """What is read only is refused and named, not passed over."""
    answer = patch(partner.officer, record, record)
    assert answer.status == 400 and {code for _, code in answer.codes()} == {"read_only"}, answer.text()
    refused = {place[1:] for place, _ in answer.codes()}
    assert {"id", "version", "created_at", "updated_at", "created_by", "updated_by"} <= refused
    writable = {name: value for name, value in record.items() if name not in refused}
    answer = patch(partner.manager, record, writable)
    assert answer.status == 200 and answer.json()["version"] == 1, answer.text()


def test_every_fault_comes_at_once(partner, record):
    answer = patch(partner.officer, record, {"id": record["id"], "title": None, "colour": "red", "open_on": "soon", "everyone": 1, "topics": "x",
                                             "version": 2})
    assert answer.status == 400
    assert answer.codes() == [("/colour", "unknown_field"), ("/everyone", "type"), ("/id", "read_only"), ("/open_on", "format"),
                              ("/title", "not_nullable"), ("/topics", "type"), ("/version", "read_only")]


# --- rules of the merged record ---

def test_dates_are_compared_with_those_that_stay(partner, record):
    for change in ({"open_on": "2030-02-11"}, {"close_on": "2030-01-09"}):
        answer = patch(partner.officer, record, change)
        assert answer.status in (400, 422) and {code for _, code in answer.codes()} == {"order"}, answer.text()
    both = patch(partner.officer, record, {"open_on": "2030-03-01", "close_on": "2030-03-31"})
    assert both.status == 200, both.text()
    assert patch(partner.officer, record, {"close_on": None}).status == 200
    assert patch(partner.officer, record, {"open_on": "2031-01-01"}).status == 200


def test_what_belongs_together_is_held_together(partner, records):
    register = partner.officer.post("/v1/risk-registers", {"title": "Patch", "risk_scale_id": records.shared("risk-scales")["id"]}).json()
    scale = records.shared("risk-scales")
    likelihood, impact = (scale[side][0]["value"] for side in ("likelihood", "impact"))
    risk = partner.officer.post("/v1/risks", {"risk_register_id": register["id"], "title": "R", "likelihood": likelihood, "impact": impact}).json()
    path = f"/v1/risks/{risk['id']}"
    half = partner.officer.patch(path, {"impact": None}, headers=ANY)
    assert half.status in (400, 422), half.text()
    neither = partner.officer.patch(path, {"impact": None, "likelihood": None}, headers=ANY).json()
    assert (neither["impact"], neither["likelihood"], neither["score"]) == (None, None, None)
    half = partner.officer.patch(path, {"impact": impact}, headers=ANY)
    assert half.status in (400, 422), half.text()
    assert partner.officer.patch(path, {"score": 3}, headers=ANY).codes() == [("/score", "read_only")]


def test_a_geometry_is_replaced_emptied_or_left(administrator, records):
    square = {"type": "Polygon", "coordinates": [[[1, 52], [2, 52], [2, 53], [1, 53], [1, 52]]]}
    body = {"boundary_set_id": records.shared("boundary-sets")["id"], "code": unique("p"), "name": "P", "geometry": square}
    made = administrator.post("/v1/localities", body).json()
    path = f"/v1/localities/{made['id']}"
    kept = administrator.patch(path, {"name": "Q"}, headers=ANY).json()
    assert kept["geometry"] == made["geometry"]
    same = administrator.patch(path, {"geometry": square}, headers=ANY).json()
    assert same["version"] == kept["version"], "the same shape makes no version"
    part = administrator.patch(path, {"geometry": {"type": "MultiPolygon"}}, headers=ANY)
    assert part.status == 400 and part.codes()[0][0].startswith("/geometry"), "a geometry is a value, not an object to be merged"
    emptied = administrator.patch(path, {"geometry": None}, headers=ANY).json()
    assert emptied["geometry"] is None and emptied["version"] == kept["version"] + 1


def test_text_that_looks_like_a_path_is_a_name(partner, record):
    for name in ("/title", "title/0", "~0title", "__proto__", "title\u0000", "Title", " title"):
        answer = patch(partner.officer, record, {name: "x"})
        assert answer.status == 400 and {code for _, code in answer.codes()} <= {"unknown_field", "characters"}, answer.text()
    answer = patch(partner.officer, record, {"a/b~c": 1})
    assert answer.codes() == [("/a~1b~0c", "unknown_field")]
