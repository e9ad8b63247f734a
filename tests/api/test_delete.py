# SPDX-License-Identifier: AGPL-3.0-or-later
"""Deletion: what refers to a record is named and counted as far as the caller sees it, and stands against it seen or unseen; what nothing refers to leaves a tombstone and is gone for good."""
import threading

import pytest

from wardmote_records import unique
from wardmote_suite import until

ANY = {"If-Match": "*"}


def refused(client, path):
    """The sentences of a refused deletion, sorted."""
    answer = client.delete(path, headers=ANY)
    assert answer.status == 409 and answer.json()["type"].endswith("/problems/conflict"), answer.text()
    assert {code for _, code in answer.codes()} == {"in_use"}
    assert client.get(path).status == 200
    return sorted(fault["detail"] for fault in answer.json()["errors"])


def make(client, resource, **members):
    answer = client.post(f"/v1/{resource}", members)
    assert answer.status == 201, answer.text()
    return answer.json()


def test_dependants_are_named_and_counted_by_resource_and_field(partner):
    community = make(partner.officer, "communities", name=unique("Used"), kind="interest")
    path = f"/v1/communities/{community['id']}"
    users = [make(partner.officer, "consultations", title="Uses", community_ids=[community["id"]]) for _ in range(3)]
    users_too = [make(partner.officer, "activities", title="Uses", kind="visit", community_ids=[community["id"]]) for _ in range(2)]
    assert refused(partner.officer, path) == ["2 of activities refer to it in community_ids", "3 of consultations refer to it in community_ids"]
    for record in users:
        assert partner.officer.patch(f"/v1/consultations/{record['id']}", {"community_ids": []}, headers=ANY).status == 200
    assert refused(partner.officer, path) == ["2 of activities refer to it in community_ids"]
    assert partner.officer.delete(f"/v1/activities/{users_too[0]['id']}", headers=ANY).status == 204
    assert refused(partner.officer, path) == ["1 of activities refer to it in community_ids"]
    assert partner.officer.delete(f"/v1/activities/{users_too[1]['id']}", headers=ANY).status == 204
    assert partner.officer.delete(path, headers=ANY).status == 204, "what is deleted refers to nothing"


UNSEEN = "records that you may not see refer to it"


def test_records_of_others_keep_it_and_are_not_counted(records, partner, other):
    """Whoever asks: the numbers are those of the lists that the same caller gets, and of the rest it is told that there is one."""
    community = make(partner.officer, "communities", name=unique("Used"), kind="interest", visibility="shared")
    uses = {"community_ids": [community["id"]]}
    make(other.officer, "consultations", title="Theirs alone", **uses)
    path = f"/v1/communities/{community['id']}"
    assert refused(partner.officer, path) == [UNSEEN]
    make(other.officer, "consultations", title="Theirs as well", **uses)
    make(other.officer, "activities", title="Theirs alone", kind="visit", **uses)
    assert refused(partner.officer, path) == [UNSEEN], "neither how many nor what"
    make(other.manager, "activities", title="Granted", kind="visit", grants=[{"partner_id": partner.id, "right": "read"}], **uses)
    make(other.officer, "consultations", title="Told to all", visibility="shared", **uses)
    make(partner.officer, "consultations", title="Ours", **uses)
    narrow = records.account(partner.id, "officer", ["communities:read", "communities:write", "activities:read"])
    for client in (partner.officer, partner.manager, narrow):
        expected = [UNSEEN]
        for resource in ("activities", "consultations"):
            answer = client.get(f"/v1/{resource}", params={"community_ids": community["id"], "count": "exact"})
            if answer.status == 200:
                expected.append(f"{answer.json()['count']} of {resource} refer to it in community_ids")
        assert refused(client, path) == sorted(expected)
    assert refused(narrow, path) == ["1 of activities refer to it in community_ids", UNSEEN]


def test_places_name_their_many_users(administrator, partner):
    boundary_set = make(administrator, "boundary-sets", code=unique("del"), name="Deleted")
    ward = make(administrator, "localities", boundary_set_id=boundary_set["id"], code="A", name="Ward")
    part = make(administrator, "localities", boundary_set_id=boundary_set["id"], code="B", name="Part", parent_id=ward["id"])
    make(partner.officer, "communities", name="Neighbours", kind="place", locality_id=ward["id"], visibility="shared")
    make(partner.officer, "consultations", title="There", locality_ids=[ward["id"], part["id"]], visibility="shared")
    assert refused(administrator, f"/v1/localities/{ward['id']}") == [
        "1 of communities refer to it in locality_id", "1 of consultations refer to it in locality_ids", "1 of localities refer to it in parent_id"]
    assert refused(administrator, f"/v1/boundary-sets/{boundary_set['id']}") == ["2 of localities refer to it in boundary_set_id"]


def test_members_of_lists_of_rows_count_too(administrator, records):
    member = records.partner()
    make(administrator, "partnerships", name=unique("Partnership"), members=[{"partner_id": member.id, "role": "member"}])
    assert "1 of partnerships refer to it in members" in refused(administrator, f"/v1/partners/{member.id}")


def test_chains_end_from_their_last_link(partner, records):
    scale = records.shared("risk-scales")
    register = make(partner.officer, "risk-registers", title="Chain", risk_scale_id=scale["id"])
    risk = make(partner.officer, "risks", risk_register_id=register["id"], title="Link")
    assert refused(partner.officer, f"/v1/risk-registers/{register['id']}") == ["1 of risks refer to it in risk_register_id"]
    for path in (f"/v1/risks/{risk['id']}", f"/v1/risk-registers/{register['id']}"):
        assert partner.officer.delete(path, headers=ANY).status == 204


@pytest.fixture(name="gone")
def _gone(partner):
    record = make(partner.officer, "communities", name=unique("Gone"), kind="interest", visibility="public", external_id=unique("gone"))
    assert partner.officer.delete(f"/v1/communities/{record['id']}", headers=ANY).status == 204
    return record


def test_what_is_gone_is_nowhere(partner, anonymous, gone):
    path = f"/v1/communities/{gone['id']}"
    for client in (partner.manager, anonymous):
        assert client.get(path).status == 404
        assert client.get("/v1/communities", params={"id": gone["id"]}).json()["items"] == []
        assert client.get("/v1/communities.csv", params={"name": gone["name"], "fields": "id"}).text() == "id\r\n"
    for answer in (partner.manager.delete(path, headers=ANY), partner.manager.patch(path, {"name": "Back"}, headers=ANY),
                   partner.manager.delete(path, headers={"If-Match": '"1-0"'})):
        assert answer.status == 404
    answer = partner.officer.post("/v1/consultations", {"title": "Uses what is gone", "community_ids": [gone["id"]]})
    assert (answer.status, answer.codes()) == (422, [("/community_ids/0", "not_found")])


def test_a_tombstone_says_when_and_the_past_stays(partner, gone):
    path = f"/v1/communities/{gone['id']}"
    items = partner.viewer.get(f"{path}/history").json()["items"]
    assert [(item["version"], item["operation"], item["record"] is None) for item in items] == [(2, "delete", True), (1, "create", False)]
    assert items[1]["valid_to"] == items[0]["valid_from"]
    then = partner.viewer.get(path, params={"as_of": gone["created_at"]})
    assert then.status == 200 and then.json()["name"] == gone["name"]
    assert partner.viewer.get(path, params={"as_of": items[0]["valid_from"]}).status == 404
    for moment, count in ((gone["created_at"], 1), (items[0]["valid_from"], 0)):
        answer = partner.viewer.get("/v1/communities", params={"name": gone["name"], "as_of": moment, "count": "exact"}).json()
        assert (len(answer["items"]), answer["count"]) == (count, count)


def test_its_reference_is_free_and_makes_another_record(partner, gone):
    answer = partner.officer.put("/v1/communities", {"name": gone["name"], "kind": "interest"}, params={"external_id": gone["external_id"]})
    assert answer.status == 201 and answer.json()["id"] != gone["id"] and answer.json()["version"] == 1


def test_the_version_is_held_to(partner):
    first = partner.officer.post("/v1/communities", {"name": unique("Held"), "kind": "interest"})
    path = first.headers["location"]
    second = partner.officer.patch(path, {"description": "Changed"}, headers={"If-Match": first.etag})
    assert partner.officer.delete(path).status == 428
    assert partner.officer.delete(path, headers={"If-Match": first.etag}).status == 412
    assert partner.officer.delete(path, headers={"If-Match": second.etag}).status == 204


def test_who_may_not_delete_hears_nothing_else(partner, other):
    """Not the number of those that refer to it, and not that it has changed."""
    grants = [{"partner_id": other.id, "right": "write"}]
    community = make(partner.manager, "communities", name=unique("Granted"), kind="interest", grants=grants)
    make(partner.officer, "consultations", title="Uses", community_ids=[community["id"]])
    path = f"/v1/communities/{community['id']}"
    tag = other.officer.get(path).etag
    assert other.officer.patch(path, {"description": "Written"}, headers=ANY).status == 200
    assert [other.officer.delete(path, headers={"If-Match": version}).status for version in ("*", tag)] == [403, 403]


@pytest.mark.parametrize("known, status", [(True, 412), (False, 204)])
@pytest.mark.parametrize("resource, thing, kind", [("communities", "community", "interest"), ("partners", "partner", "voluntary")])
def test_what_changes_meanwhile_is_not_deleted_unseen(cluster, administrator, resource, thing, kind, known, status):
    made = administrator.post(f"/v1/{resource}", {"name": unique("Meanwhile"), "kind": kind})
    assert made.status == 201, made.text()
    path, answers = made.headers["location"], []
    connection = cluster.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"UPDATE wardmote.{thing} SET source = 'Changed' WHERE id = %s", (made.json()["id"],))
        thread = threading.Thread(target=lambda: answers.append(administrator.delete(path, headers={"If-Match": made.etag if known else "*"})))
        thread.start()
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()[0]

        def is_waited_for():
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (ours,))
            return cursor.fetchone()[0] > 0

        until(is_waited_for)
        cursor.execute("COMMIT")
        thread.join()
    connection.close()
    assert [answer.status for answer in answers] == [status], answers[0].text()
    assert administrator.get(path).status == (200 if known else 404)
