# SPDX-License-Identifier: AGPL-3.0-or-later
"""History: versions, what changed, reading as of a moment, tombstones, the change feed."""
import pytest

from wardmote_records import unique


@pytest.fixture(name="record")
def _record(partner):
    """Three versions: named one, two, three."""
    answer = partner.officer.post("/v1/communities", {"name": "one", "kind": "interest", "visibility": "shared"})
    record = answer.json()
    for name in ("two", "three"):
        answer = partner.officer.patch(path(record), {"name": name}, headers={"If-Match": answer.etag})
        assert answer.status == 200
    return answer.json()


def path(record):
    return f"/v1/communities/{record['id']}"


def versions(client, record, **params):
    return client.get(f"{path(record)}/history", params=params).json()["items"]


def test_versions_say_what_changed(partner, record):
    items = versions(partner.viewer, record)
    assert [item["record"]["name"] for item in items] == ["three", "two", "one"]
    assert [item["operation"] for item in items] == ["update", "update", "create"]
    assert [item["changed"] for item in items] == [["name"], ["name"], None]
    assert items[0]["valid_to"] is None
    assert [item["valid_to"] for item in items[1:]] == [item["valid_from"] for item in items[:-1]]


def test_versions_are_paged(partner, record):
    found = partner.viewer.pages(f"{path(record)}/history", params={"limit": "1"})
    assert [item["version"] for item in found] == [3, 2, 1]
    assert [item["changed"] for item in found] == [["name"], ["name"], None]


def test_a_record_as_it_was(partner, record):
    for item in versions(partner.viewer, record):
        then = partner.viewer.get(path(record), params={"as_of": item["valid_from"]})
        assert then.json()["name"] == item["record"]["name"]
        assert then.json()["version"] == item["version"]
    assert partner.viewer.get(path(record), params={"as_of": "2001-01-01T00:00:00Z"}).status == 404


def test_a_list_as_it_was(partner, record):
    second = versions(partner.viewer, record)[1]
    params = {"id": record["id"], "as_of": second["valid_from"]}
    assert [item["name"] for item in partner.viewer.get("/v1/communities", params=params).json()["items"]] == ["two"]
    assert partner.viewer.get("/v1/communities", params={**params, "name": "three"}).json()["items"] == []
    assert len(partner.viewer.get("/v1/communities", params={**params, "name": "two"}).json()["items"]) == 1
    assert "two" in partner.viewer.get("/v1/communities.csv", params=params).text()


def test_offsets_mean_the_same_moment(partner, record):
    second = versions(partner.viewer, record)[1]["valid_from"]
    assert second.endswith("Z")
    answer = partner.viewer.get(path(record), params={"as_of": second.replace("Z", "+00:00")})
    assert answer.json()["name"] == "two"


def test_the_past_of_a_deleted_record_is_its_owners(partner, other, record):
    assert partner.officer.delete(path(record), headers={"If-Match": "*"}).status == 204
    items = versions(partner.viewer, record)
    assert [item["operation"] for item in items] == ["delete", "update", "update", "create"]
    assert items[0]["record"] is None
    assert other.viewer.get(f"{path(record)}/history").status == 404
    assert partner.viewer.get(path(record)).status == 404


def test_who_made_a_change_is_the_owners_to_know(partner, other, record):
    assert "updated_by" in versions(partner.viewer, record)[0]["record"]
    assert "updated_by" not in versions(other.viewer, record)[0]["record"]


# --- the feed ---

def follow(client, cursor=None):
    """All changes from a cursor on, and the cursor behind them. The sequencer runs beside the server: a change shows when its turn came."""
    items, target = [], "/v1/changes?limit=500" + (f"&after={cursor}" if cursor else "")
    while True:
        page = client.get(target).json()
        items += page["items"]
        following = {link["rel"]: link["href"] for link in page["links"]}.get("next")
        if following is None:
            return items, page["cursor"]
        target = following


def until(client, cursor, wanted):
    """Follows until the feed has what is wanted; it must come within seconds."""
    import time  # pylint: disable=import-outside-toplevel
    seen, deadline = [], time.monotonic() + 20
    while time.monotonic() < deadline:
        items, cursor = follow(client, cursor)
        seen += items
        if wanted(seen):
            return seen
        time.sleep(0.05)  # between two looks; the deadline decides
    raise AssertionError(f"not in the feed: {seen[-20:]}")


def test_the_feed_tells_every_change_in_order(partner):
    _, cursor = follow(partner.viewer)
    record = partner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest"}).json()
    partner.officer.patch(path(record), {"name": "Changed"}, headers={"If-Match": "*"})
    seen = until(partner.viewer, cursor, lambda items: any(item["id"] == record["id"] and item["version"] == 2 for item in items))
    mine = [(item["resource"], item["version"], item["operation"]) for item in seen if item["id"] == record["id"]]
    assert mine == [("communities", 1, "create"), ("communities", 2, "update")]


def test_of_a_deleted_record_the_feed_tells_the_end(partner):
    _, cursor = follow(partner.viewer)
    record = partner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest"}).json()
    partner.officer.delete(path(record), headers={"If-Match": "*"})
    seen = until(partner.viewer, cursor, lambda items: any(item["id"] == record["id"] and item["operation"] == "delete" for item in items))
    assert [(item["version"], item["operation"]) for item in seen if item["id"] == record["id"]][-1] == (2, "delete")
    assert (record["id"], "delete") in {(item["id"], item["operation"]) for item in follow(partner.viewer, cursor)[0]}


def test_a_record_that_leaves_sight_is_told_as_deleted(partner, other, anonymous):
    _, cursor = follow(other.viewer)
    record = partner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest", "visibility": "shared"}).json()
    partner.officer.patch(path(record), {"visibility": "private"}, headers={"If-Match": "*"})
    partner.officer.patch(path(record), {"name": unique("Secret")}, headers={"If-Match": "*"})
    marker = partner.officer.post("/v1/communities", {"name": unique("Feed"), "kind": "interest", "visibility": "public"}).json()
    seen = until(other.viewer, cursor, lambda items: any(item["id"] == marker["id"] for item in items))
    told = [(item["version"], item["operation"]) for item in seen if item["id"] == record["id"]]
    assert told[-1] == (2, "delete") and set(told) <= {(1, "create"), (2, "delete")}
    assert not any(item["id"] == record["id"] for item in follow(anonymous)[0])


def test_a_cursor_that_is_not_ours(partner):
    answer = partner.viewer.get("/v1/changes", params={"after": "bm90b3Vycw"})
    assert answer.status == 400 and answer.codes() == [("after", "cursor")]
