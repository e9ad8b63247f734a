# SPDX-License-Identifier: AGPL-3.0-or-later
"""Community groups: their tree, their links, and that the small and unseen are found like the others."""
import concurrent.futures

from wardmote_records import unique

ANY = {"If-Match": "*"}


def group(client, **members):
    answer = client.post("/v1/community-groups", {"name": unique("Group"), "kind": "informal", **members})
    assert answer.status == 201, answer.text()
    return answer.json()


def change(client, record, **members):
    return client.patch(f"/v1/community-groups/{record['id']}", members, headers=ANY)


def test_parents_form_a_tree(partner):
    top = group(partner.officer)
    low = group(partner.officer, parent_id=group(partner.officer, parent_id=top["id"])["id"])
    answer = change(partner.officer, top, parent_id=low["id"])
    assert (answer.status, answer.codes()) == (422, [("/parent_id", "cycle")])
    answer = change(partner.officer, top, parent_id=top["id"])
    assert (answer.status, answer.codes()) == (422, [("/parent_id", "cycle")])


def test_two_groups_moved_under_each_other_at_once(partner):
    """Whichever comes second is refused, by the wall behind the check."""
    for _ in range(5):
        one, two = group(partner.officer), group(partner.officer)
        clients = [partner.officer.as_token(partner.officer.token) for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            moves = [pool.submit(change, client, low, parent_id=high["id"]) for client, low, high in zip(clients, (one, two), (two, one))]
        answers = [move.result() for move in moves]
        done, refused = sorted(answers, key=lambda answer: answer.status)
        assert done.status == 200 and refused.status in (409, 422), refused.text()
        assert [place for place, _ in refused.codes()] == ["/parent_id"]


def test_links_lead_to_other_groups(partner, other):
    friend, hidden, own = group(partner.officer, visibility="public"), group(other.officer), group(partner.officer)
    link = {"group_id": friend["id"], "kind": "works_with", "since": "2020-01-01"}
    answer = change(partner.officer, own, links=[link, {**link, "kind": "shares_members"}])
    assert (answer.status, answer.json()["links"]) == (200, [link, {**link, "kind": "shares_members"}])
    shown = partner.officer.get(f"/v1/community-groups/{own['id']}", params={"include": "linked_groups"}).json()
    assert {linked["name"] for linked in shown["linked_groups"]} == {friend["name"]}
    answer = change(partner.officer, own, links=[link, {**link, "since": None}, {**link, "group_id": own["id"]}])
    assert (answer.status, sorted(answer.codes())) == (422, [("/links/1/group_id", "duplicate"), ("/links/2/group_id", "self")])
    answer = change(partner.officer, own, links=[{**link, "group_id": hidden["id"]}])
    assert (answer.status, answer.codes()) == (422, [("/links/0/group_id", "not_found")])
    answer = partner.officer.delete(f"/v1/community-groups/{friend['id']}", headers=ANY)
    assert (answer.status, answer.codes()) == (409, [("", "in_use")])


def test_a_link_is_written_in_one_way(partner):
    """An id in capitals is the same id: a second link of that kind is one too many."""
    friend, own = group(partner.officer), group(partner.officer)
    links = [{"group_id": friend["id"], "kind": "other"}, {"group_id": friend["id"].upper(), "kind": "other"}]
    answer = change(partner.officer, own, links=links)
    assert (answer.status, answer.codes()) == (422, [("/links/1/group_id", "duplicate")])


def test_small_and_less_visible_groups_are_found(anonymous, partner):
    """N-37: no size and no claim is asked for before a group is shown."""
    word = unique("crochet").replace("-", "")
    small = group(partner.officer, services=f"Evenings of {word}", size_band="under_10", visible=False, visibility="public")
    large = group(partner.officer, services=f"Halls of {word}", size_band="200_or_more", claims_to_represent=True, visibility="public")
    found = {item["id"] for item in anonymous.get("/v1/community-groups", params={"q": word}).json()["items"]}
    assert found == {small["id"], large["id"]}
    found = anonymous.get("/v1/community-groups", params={"q": word, "visible": "false", "claims_to_represent": "false"}).json()["items"]
    assert [item["id"] for item in found] == [small["id"]]
    assert group(partner.officer)["size_band"] == "unknown"


def test_how_a_group_prefers_to_be_engaged(partner):
    method = partner.officer.post("/v1/codes", {"list": "method", "code": unique("method"), "label": "M"}).json()
    community = partner.officer.post("/v1/communities", {"name": unique("Runners"), "kind": "interest"}).json()
    record = group(partner.officer, preferred_methods=[method["code"]], preferred_level="example-involve", community_ids=[community["id"]],
                   self_led=True, led_by_community_id=community["id"])
    for name, value in (("preferred_methods", method["code"]), ("community_ids", community["id"]), ("led_by_community_id", community["id"])):
        assert [item["id"] for item in partner.officer.get("/v1/community-groups", params={name: value}).json()["items"]] == [record["id"]], name
    assert partner.officer.delete(f"/v1/codes/{method['id']}", headers=ANY).codes() == [("/code", "in_use")]
    assert partner.officer.delete(f"/v1/communities/{community['id']}", headers=ANY).codes() == [("", "in_use"), ("", "in_use")]


def test_a_group_ends_after_it_begins(partner):
    record = group(partner.officer, valid_from="2020-01-01")
    answer = change(partner.officer, record, valid_to="2019-12-31")
    assert (answer.status, answer.codes()) == (422, [("/valid_to", "order")])
    assert change(partner.officer, record, valid_to="2024-12-31").status == 200


def test_where_groups_meet(anonymous, partner):
    record = group(partner.officer, point={"type": "Point", "coordinates": [-3.111, 50.111]}, visibility="public")
    group(partner.officer, point={"type": "Point", "coordinates": [-3.211, 50.111]}, visibility="public")
    drawn = anonymous.get("/v1/community-groups.geojson", params={"bbox": "-3.12,50.11,-3.10,50.12"}).json()
    assert [feature["id"] for feature in drawn["features"]] == [record["id"]]


def test_one_place_and_any_number_of_communities(partner, records):
    place = records.shared("localities")["id"]
    communities = [partner.officer.post("/v1/communities", {"name": unique("Community"), "kind": kind}).json()["id"] for kind in ("identity", "interest")]
    own = group(partner.officer, locality_id=place, community_ids=communities)
    for community in communities:
        found = partner.officer.get("/v1/community-groups", params={"community_ids": community, "locality_id": place}).json()["items"]
        assert [(each["id"], each["locality_id"], each["community_ids"]) for each in found] == [(own["id"], place, communities)]
    both = partner.officer.get("/v1/community-groups", params={"community_ids": ",".join(communities), "count": "exact"}).json()
    assert (both["count"], len(both["items"])) == (1, 1), "counted once, whichever of its communities is asked for"
    assert change(partner.officer, own, locality_id=[place]).status == 400


def test_groups_that_exist_on_a_day(partner):
    own_term = unique("day")
    made = {name: group(partner.officer, name=f"{own_term} {name}", **days)["id"] for name, days in {
        "always": {}, "since": {"valid_from": "2024-01-01"}, "until": {"valid_to": "2023-12-31"}, "between": {"valid_from": "2023-06-01", "valid_to": "2024-06-01"}}.items()}

    def found(day):
        answer = partner.viewer.get("/v1/community-groups", params={"in_force_on": day, "name.contains": own_term})
        assert answer.status == 200, answer.text()
        return {name for name, id_ in made.items() if id_ in {item["id"] for item in answer.json()["items"]}}

    assert found("2023-12-31") == {"always", "until", "between"} and found("2024-01-01") == {"always", "since", "between"}
    assert found("2024-06-02") == {"always", "since"} and found("2023-05-31") == {"always", "until"}
    assert partner.viewer.get("/v1/community-groups", params={"in_force_on": "today"}).status == 400
