# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of counts and of indices of deprivation: what becomes of their lines, which are rejected, and who may send them."""
import pytest

from wardmote_records import absent_id, unique

WAIT = {"Prefer": "wait=30", "Content-Type": "text/csv"}
PROFILES, DEPRIVATION = "/v1/profile-values/imports", "/v1/deprivation-values/imports"
COUNTS = "locality_code,dimension,category,count,base\n"
SCORES = "locality_code,domain,score,rank,decile\n"


@pytest.fixture(scope="module", name="place")
def _place(administrator):
    """A public boundary set with the localities A and B, and their ids."""
    made = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Wards"}).json()["id"]
    ids = {}
    for code in ("A", "B"):
        answer = administrator.post("/v1/localities", {"boundary_set_id": made, "code": code, "name": code})
        assert answer.status == 201, answer.text()
        ids[code] = answer.json()["id"]
    return made, ids


@pytest.fixture(name="census")
def _census(place):
    return {"boundary_set_id": place[0], "source_kind": "census", "as_at": "2021-03-21"}


@pytest.fixture(name="imd")
def _imd(place):
    return {"boundary_set_id": place[0], "index_name": "imd", "year": 2019, "areas": 1000}


def send(client, path, text, **parameters):
    return client.request("POST", path, body=text.encode(), params=parameters, headers=WAIT)


def take(client, path, text, **parameters):
    answer = send(client, path, text, **parameters)
    assert answer.status == 200, answer.text()
    return answer.json()


def counts(made):
    return made["state"], {name.removesuffix("_count"): made[name] for name in
                           ("features", "created_count", "updated_count", "unchanged_count", "rejected_count") if made[name]}


def reasons(client, made):
    return [(row["n"], row["code"], row["reason"]) for row in client.get(f"/v1/imports/{made['id']}/rejected").json()["items"]]


def own(client, partner, path, fields, **filters):
    answer = client.get(path, params={"partner_id": partner.id, "fields": fields, "limit": 500, **filters})
    assert answer.status == 200, answer.text()
    return sorted(tuple(row[name] for name in fields.split(",")) for row in answer.json()["items"])


# --- counts ---

def test_counts(records, place, census):
    partner = records.partner()
    text = COUNTS + "A,tenure,Owned,310,620\nA,tenure,Rented,310,620\nB,tenure,\"Owned, or buying\",12,\n"
    made = take(partner.officer, PROFILES, text, visibility="public", source="Census 2021, OGL", **census)
    assert (made["kind"], made["boundary_set_id"], counts(made)) == ("profile_values", place[0], ("done", {"features": 3, "created": 3}))
    (row,) = partner.viewer.get("/v1/profile-values", params={"partner_id": partner.id, "locality_id": place[1]["B"]}).json()["items"]
    assert {name: row[name] for name in ("dimension", "category", "count", "base", "source_kind", "as_at", "visibility", "source", "estimated", "version")} == {
        "dimension": "tenure", "category": "Owned, or buying", "count": 12, "base": None, "source_kind": "census", "as_at": "2021-03-21", "visibility": "public",
        "source": "Census 2021, OGL", "estimated": False, "version": 1}
    assert counts(take(partner.officer, PROFILES, text, **census)) == ("done", {"features": 3, "unchanged": 3})
    again = take(partner.officer, PROFILES, COUNTS + "A,tenure,Owned,311,620\nA,tenure,Rented,310,620\nA,tenure,Other,0,620\n", **census)
    assert counts(again) == ("done", {"features": 3, "created": 1, "updated": 1, "unchanged": 1})
    assert own(partner.viewer, partner, "/v1/profile-values", "category,count,visibility", locality_id=place[1]["A"]) == [
        ("Other", 0, "private"), ("Owned", 311, "public"), ("Rented", 310, "public")]
    # another day, another source or another partner: another value
    assert counts(take(partner.officer, PROFILES, text, **{**census, "as_at": "2011-03-27"}))[1]["created"] == 3
    assert counts(take(partner.officer, PROFILES, text, **{**census, "source_kind": "population_estimate"}))[1]["created"] == 3
    assert counts(take(records.partner().officer, PROFILES, text, **census))[1]["created"] == 3


def test_own_counts_have_purpose_and_end(records, census):
    partner = records.partner()
    profiling = {**census, "source_kind": "resident_profiling"}
    assert sorted(send(partner.officer, PROFILES, COUNTS, **profiling).codes()) == [("purpose", "required"), ("retain_until", "required")]
    profiling |= {"purpose": "Visits", "retain_until": "2999-12-31"}
    answer = send(partner.officer, PROFILES, COUNTS, visibility="shared", **profiling)
    assert (answer.status, answer.codes()) == (422, [("visibility", "not_published")])
    assert send(partner.officer, PROFILES, COUNTS, **{**profiling, "retain_until": "2020-01-01"}).codes() == [("retain_until", "order")]
    text = COUNTS + "A,age,0-15,4,20\n"
    assert counts(take(partner.officer, PROFILES, text, **profiling)) == ("done", {"features": 1, "created": 1})
    assert counts(take(partner.officer, PROFILES, text, **{**profiling, "retain_until": "2999-06-30"})) == ("done", {"features": 1, "updated": 1})
    assert own(partner.officer, partner, "/v1/profile-values", "count,purpose,retain_until,visibility") == [(4, "Visits", "2999-06-30", "private")]
    assert own(records.partner().manager, partner, "/v1/profile-values", "count") == []


def test_lines_of_counts_that_are_none(records, census):
    partner = records.partner()
    text = COUNTS + "".join(line + "\n" for line in (
        "A,tenure,Owned,310,620", "Z,tenure,Owned,1,2", "A,,Owned,1,2", "A,tenure,,1,2", "A,tenure,Rented,,2", "A,tenure,Rented,12%,100", "A,tenure,Rented,1.5,",
        "A,tenure,Rented,-1,", "A,tenure,Rented,1000000001,", "A,tenure,Rented,9999999999999,", "A,tenure,Rented,3,2", "A,tenure,Rented,3,many",
        "A,tenure,Owned,311,620", f"A,{'t' * 101},Owned,1,2", f"A,tenure,{'c' * 201},1,2", 'A,tenure,"a\nb",1,2', "A,tenure,Rented"))
    made = take(partner.officer, PROFILES, text, **census)
    assert counts(made) == ("rejected", {"features": 17, "rejected": 16})
    assert [row[2] for row in reasons(partner.officer, made)] == (["not_found"] + ["required"] * 3 + ["number"] * 5 + ["constraint", "number", "duplicate"]
                                                                 + ["length"] * 3 + ["syntax"])
    assert reasons(partner.officer, made)[0] == (3, "Z", "not_found")
    assert own(partner.officer, partner, "/v1/profile-values", "count") == []
    made = take(partner.officer, PROFILES, text, accept_rest="true", **census)
    assert counts(made) == ("done", {"features": 17, "created": 1, "rejected": 16})
    assert own(partner.officer, partner, "/v1/profile-values", "category,count,base") == [("Owned", 310, 620)]


def test_a_table_of_counts_names_its_columns(partner, census):
    made = take(partner.officer, PROFILES, "locality_code,dimension,count\n", **census)
    assert made["state"] == "rejected" and "category" in made["reason"]


# --- deprivation ---

def test_an_index(records, imd, place):
    partner = records.partner()
    text = SCORES + "A,overall,31.25,40,1\nA,income,0.21345678,,\nB,,-1.5,1000,10\n"
    made = take(partner.officer, DEPRIVATION, text, source="IoD 2019, OGL", **imd)
    assert (made["kind"], counts(made)) == ("deprivation_values", ("done", {"features": 3, "created": 3}))
    fields = "domain,score,rank,decile,areas,year,index_name,visibility,source"
    assert own(partner.viewer, partner, "/v1/deprivation-values", fields, locality_id=place[1]["A"]) == [
        ("income", 0.2135, None, None, 1000, 2019, "imd", "public", "IoD 2019, OGL"), ("overall", 31.25, 40, 1, 1000, 2019, "imd", "public", "IoD 2019, OGL")]
    assert own(partner.viewer, partner, "/v1/deprivation-values", "domain,score,rank", locality_id=place[1]["B"]) == [("overall", -1.5, 1000)]
    assert counts(take(partner.officer, DEPRIVATION, text, **imd)) == ("done", {"features": 3, "unchanged": 3})
    assert counts(take(partner.officer, DEPRIVATION, "decile,locality_code\n2,A\n", **imd)) == ("done", {"features": 1, "updated": 1})
    assert own(partner.viewer, partner, "/v1/deprivation-values", "domain,score,decile", locality_id=place[1]["A"], domain="overall") == [("overall", None, 2)]
    assert counts(take(partner.officer, DEPRIVATION, text, **{**imd, "year": 2015}))[1]["created"] == 3


def test_lines_of_an_index_that_are_none(records, imd):
    partner = records.partner()
    text = SCORES + "".join(line + "\n" for line in (
        "A,overall,31.25,40,1", "Z,overall,1,1,1", "A,income,,,", "A,income,high,,", "A,income,1000001,,", "A,income,,0,", "A,income,,1.5,", "A,income,,,11",
        "A,income,,,0", "A,income,,1001,", "A,,1,2,3", f"A,{'d' * 61},1,2,3"))
    made = take(partner.officer, DEPRIVATION, text, **imd)
    assert counts(made) == ("rejected", {"features": 12, "rejected": 11})
    assert [row[2] for row in reasons(partner.officer, made)] == ["not_found", "required"] + ["number"] * 6 + ["constraint", "duplicate", "length"]
    made = take(partner.officer, DEPRIVATION, text, accept_rest="true", **imd)
    assert counts(made) == ("done", {"features": 12, "created": 1, "rejected": 11})


def test_a_rank_beyond_the_areas_that_are_stored(records, imd):
    """Without `areas` those of the value that is there stay."""
    partner = records.partner()
    take(partner.officer, DEPRIVATION, SCORES + "A,,1.5,40,1\n", **imd)
    without = {name: imd[name] for name in imd if name != "areas"}
    text = SCORES + "A,,1.5,1001,1\nA,income,,1001,\nB,,,1001,\n"
    made = take(partner.officer, DEPRIVATION, text, **without)
    assert counts(made) == ("rejected", {"features": 3, "rejected": 1})
    assert reasons(partner.officer, made) == [(2, "A", "constraint")]
    assert counts(take(partner.officer, DEPRIVATION, text, accept_rest="true", **without)) == ("done", {"features": 3, "created": 2, "rejected": 1})
    assert counts(take(partner.officer, DEPRIVATION, text, **without, areas=2000)) == ("done", {"features": 3, "updated": 3})
    assert counts(take(partner.officer, DEPRIVATION, SCORES + "A,,1.5,2000,1\n", **{**without, "year": 2015})) == ("done", {"features": 1, "created": 1})
    assert counts(take(partner.officer, DEPRIVATION, SCORES + "A,,1.5,2000,1\n", **without)) == ("done", {"features": 1, "updated": 1})


# --- who ---

@pytest.mark.parametrize("path, given", [(PROFILES, "census"), (DEPRIVATION, "imd")])
def test_who_imports(records, anonymous, administrator, request, path, given):
    parameters, partner = request.getfixturevalue(given), records.partner()
    text = "locality_code,dimension,category,count,rank\n"
    for client, status in ((anonymous, 401), (partner.viewer, 403), (partner.officer, 200), (partner.manager, 200), (administrator, 200)):
        assert send(client, path, text, **parameters).status == status
    narrow = records.account(partner.id, "officer", scopes=["localities:write"])
    assert send(narrow, path, text, **parameters).status == 403
    answer = send(partner.officer, path, text, **{**parameters, "boundary_set_id": absent_id()})
    assert (answer.status, answer.codes()) == (422, [("boundary_set_id", "not_found")])
    for name in parameters:
        if name != "areas":
            assert send(partner.officer, path, text, **{key: value for key, value in parameters.items() if key != name}).codes() == [(name, "required")]


def test_without_waiting_it_is_accepted(administrator, records, census, imd):
    for path, parameters in ((PROFILES, census), (DEPRIVATION, imd)):
        answer = administrator.request("POST", path, body=b"nothing\n", params=parameters, headers={"Content-Type": "text/csv"})
        assert answer.status == 202 and answer.headers["location"].endswith(answer.json()["id"]), answer.text()
        assert records.settled(answer, administrator)["state"] == "rejected"



def test_localities_that_are_hidden_are_none(records, administrator, census):
    """Of a set that the partner sees, a locality that it does not."""
    answer = administrator.post("/v1/localities", {"boundary_set_id": census["boundary_set_id"], "code": unique("H"), "name": "Hidden", "visibility": "private"})
    code = answer.json()["code"]
    made = take(records.partner().officer, PROFILES, COUNTS + f"{code},tenure,Owned,1,2\n", **census)
    assert counts(made) == ("rejected", {"features": 1, "rejected": 1})
    assert counts(take(administrator, PROFILES, COUNTS + f"{code},tenure,Owned,1,2\n", **census)) == ("done", {"features": 1, "created": 1})
