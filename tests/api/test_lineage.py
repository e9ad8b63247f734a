# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a locality was made from and what became of it."""
import pytest

from wardmote_records import absent_id, unique


@pytest.fixture(scope="module", name="place")
def _place(administrator):
    boundary_set = administrator.post("/v1/boundary-sets", {"code": unique("line"), "name": "Line"}).json()["id"]

    def make(**members):
        answer = administrator.post("/v1/localities", {"boundary_set_id": boundary_set, "code": unique("L"), "name": "Place", **members})
        assert answer.status == 201, answer.text()
        return answer.json()

    return make


def lineage(client, identifier):
    answer = client.get(f"/v1/localities/{identifier}/lineage")
    assert answer.status == 200, answer.text()
    return answer.json()


def steps(rows):
    return [(row["id"], row["depth"]) for row in rows]


def test_both_ways_with_the_change_of_each_step(anonymous, place):
    """A was split into B and C; B and C were merged into D, which was renamed to E."""
    last = place()
    merged = place(successor_ids=[last["id"]], change_kind="renamed", changed_on="2025-05-01")
    left = place(successor_ids=[merged["id"]], change_kind="merged", valid_to="2019-03-31")
    right = place(successor_ids=[merged["id"]], change_kind="merged", valid_to="2020-03-31")
    first = place(successor_ids=[left["id"], right["id"]], change_kind="split", valid_to="2009-12-31")
    found = lineage(anonymous, merged["id"])
    assert steps(found["predecessors"]) == [(right["id"], 1), (left["id"], 1), (first["id"], 2)]
    assert [(row["change_kind"], row["changed_on"]) for row in found["predecessors"]] == [("merged", "2020-04-01"), ("merged", "2019-04-01"), ("split", "2010-01-01")]
    assert found["successors"] == [{"id": last["id"], "code": last["code"], "name": last["name"], "boundary_set_id": last["boundary_set_id"],
                                    "change_kind": "renamed", "changed_on": "2025-05-01", "depth": 1}]
    later = lineage(anonymous, first["id"])
    assert later["predecessors"] == [] and {depth: {row["id"] for row in later["successors"] if row["depth"] == depth} for depth in (1, 2, 3)} == {
        1: {left["id"], right["id"]}, 2: {merged["id"]}, 3: {last["id"]}}
    assert [(row["change_kind"], row["changed_on"]) for row in later["successors"]] == [
        ("split", "2010-01-01"), ("split", "2010-01-01"), ("merged", "2019-04-01"), ("renamed", "2025-05-01")]


def test_a_locality_without_a_past(anonymous, place):
    assert lineage(anonymous, place()["id"]) == {"predecessors": [], "successors": []}


def test_circles_end(administrator, anonymous, place):
    """Two that became one another: wrong, but nobody is kept waiting by it, and the one asked about is not its own past."""
    first, second = place(), place()
    for one, other in ((first, second), (second, first)):
        answer = administrator.patch(f"/v1/localities/{one['id']}", {"successor_ids": [other["id"]]}, headers={"If-Match": "*"})
        assert answer.status == 200, answer.text()
    found = lineage(anonymous, first["id"])
    assert (steps(found["predecessors"]), steps(found["successors"])) == ([(second["id"], 1)], [(second["id"], 1)])


def test_ten_steps_and_no_more(anonymous, place):
    chain = [place()]
    for _ in range(11):
        chain.append(place(successor_ids=[chain[-1]["id"]]))
    assert steps(lineage(anonymous, chain[0]["id"])["predecessors"]) == [(row["id"], depth) for depth, row in enumerate(chain[1:11], 1)]


def test_what_is_hidden_is_left_out_with_what_lies_behind_it(administrator, anonymous, place):
    last = place()
    hidden = place(successor_ids=[last["id"]], visibility="private")
    first = place(successor_ids=[hidden["id"]])
    assert lineage(anonymous, last["id"])["predecessors"] == [] and lineage(anonymous, first["id"])["successors"] == []
    assert steps(lineage(administrator, last["id"])["predecessors"]) == [(hidden["id"], 1), (first["id"], 2)]
    assert anonymous.get(f"/v1/localities/{hidden['id']}/lineage").status == 404
    assert anonymous.get(f"/v1/localities/{absent_id()}/lineage").status == 404


# --- the fields ---

def test_codes_of_other_schemes(administrator, anonymous, place):
    code = unique("E05")
    made = place(codes=[{"scheme": "ons", "code": code}, {"scheme": "os", "code": "7:11"}])
    assert made["codes"] == [{"scheme": "ons", "code": code}, {"scheme": "os", "code": "7:11"}]
    path = f"/v1/localities/{made['id']}"

    def refused(*codes):
        answer = administrator.patch(path, {"codes": list(codes)}, headers={"If-Match": "*"})
        return answer.status, answer.codes()

    assert refused({"scheme": "a", "code": "1"}, {"scheme": "b", "code": "1"}, {"scheme": "a", "code": "2"}) == (422, [("/codes/2/scheme", "duplicate")])
    assert refused({"scheme": "a:b", "code": "1"}) == (422, [("/codes/0/scheme", "format")])
    assert refused(*[{"scheme": str(n), "code": "1"} for n in range(21)]) == (400, [("/codes", "length")])
    assert administrator.get(path).json() == made and anonymous.get(path).json()["codes"] == made["codes"]


def test_the_change_is_not_before_the_beginning(administrator, place):
    made = place(valid_from="2020-01-01")
    path = f"/v1/localities/{made['id']}"
    answer = administrator.patch(path, {"changed_on": "2019-12-31"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (422, [("/changed_on", "order")])
    answer = administrator.patch(path, {"valid_from": "2021-01-01", "changed_on": "2020-12-31"}, headers={"If-Match": "*"})
    assert (answer.status, answer.codes()) == (400, [("/changed_on", "order")])


@pytest.mark.parametrize("code", ["map-items", "map-items-places", "consultations", "activities"])
def test_names_that_the_map_has_for_something_else(administrator, code):
    answer = administrator.post("/v1/boundary-sets", {"code": code, "name": "Taken"})
    assert (answer.status, answer.codes()) == (422, [("/code", "not_allowed")])


def test_a_set_brings_its_licence_with_its_localities(administrator, anonymous):
    body = {"code": unique("licensed"), "name": "Licensed", "vintage": "2025", "licence": "OGL-UK-3.0", "attribution": "Source: Example", "is_common": True}
    boundary_set = administrator.post("/v1/boundary-sets", body).json()
    assert (boundary_set["vintage"], boundary_set["is_common"]) == ("2025", True)
    made = administrator.post("/v1/localities", {"boundary_set_id": boundary_set["id"], "code": unique("L"), "name": "Place"}).json()
    shown = anonymous.get(f"/v1/localities/{made['id']}", params={"include": "boundary_set"}).json()["boundary_set"]
    assert {name: shown[name] for name in ("code", "name", "vintage", "licence", "attribution")} == {name: body[name] for name in (
        "code", "name", "vintage", "licence", "attribution")}
    found = anonymous.get("/v1/boundary-sets", params={"vintage": "2025", "is_common": "true", "code": body["code"]}).json()["items"]
    assert [row["id"] for row in found] == [boundary_set["id"]]
