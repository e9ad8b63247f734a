# SPDX-License-Identifier: AGPL-3.0-or-later
"""Imports of tables: postcodes in the layouts of their publishers, what became of localities, and the list of what was rejected."""
import pytest

from wardmote_records import unique

WAIT = {"Prefer": "wait=30", "Content-Type": "text/csv"}
POSTCODES = "/v1/localities/postcode-imports"


def send(client, path, text, headers=None, **parameters):
    return client.request("POST", path, body=text.encode(), params=parameters, headers={**WAIT, **(headers or {})})


def take(client, path, text, **parameters):
    answer = send(client, path, text, **parameters)
    assert answer.status == 200, answer.text()
    return answer.json()


def counts(made):
    return {name.removesuffix("_count"): made[name] for name in
            ("features", "created_count", "updated_count", "unchanged_count", "rejected_count") if made[name]}


def postcode(client, name):
    answer = client.get("/v1/postcodes", params={"postcode": name})
    return answer.json() if answer.status == 200 else None


# --- postcodes: of no real place, in an area that is none ---

def test_code_point_open(administrator):
    """As it comes: no names, quotes, and further columns behind the position."""
    text = '"ZZ1 1AA",10,651409,313177,"E92000001","E19000239"\r\n"ZZ1  1AB",20,651500,313200,"",""\r\n"ZZ1 1AC",90,0,0,"",""\r\n'
    made = take(administrator, POSTCODES, text, layout="code-point-open", source="Code-Point Open", as_at="2026-02-01")
    assert (made["kind"], made["boundary_set_id"], made["state"], counts(made)) == ("postcodes", None, "done", {"features": 3, "created": 2})
    found = postcode(administrator, "zz11aa")
    assert (found["postcode"], found["quality"], found["as_at"], found["source"]) == ("ZZ1 1AA", 10, "2026-02-01", "Code-Point Open")
    lon, lat = found["point"]["coordinates"]
    assert abs(lon - 1.71605) < 0.0001 and abs(lat - 52.65798) < 0.0001
    assert postcode(administrator, "ZZ1 1AC") is None
    again = take(administrator, POSTCODES, text, layout="code-point-open", source="Code-Point Open", as_at="2026-02-01")
    assert counts(again) == {"features": 3, "unchanged": 2}
    moved = take(administrator, POSTCODES, '"ZZ1 1AA",10,651410,313177\n', layout="code-point-open", source="Code-Point Open", as_at="2026-02-01")
    assert counts(moved) == {"features": 1, "updated": 1}


def test_onspd(administrator):
    text = "pcd,pcds,dointr,lat,long\nZZ2 1AA,ZZ2 1AA,198001,52.65798,1.71605\nZZ2 1AB,ZZ2 1AB,198001,99.999999,0.000000\n"
    made = take(administrator, POSTCODES, text, layout="onspd", source="ONSPD")
    assert (made["state"], counts(made)) == ("done", {"features": 2, "created": 1})
    assert postcode(administrator, "ZZ2 1AA")["point"]["coordinates"] == [1.71605, 52.65798]


def test_lines_that_are_none(administrator):
    text = "pcds,lat,long\nZZ3 1AA,52,1\nZZ3 1AA,52,1\n,52,1\nZZ3 1AC,north,1\nZZ3 1AD,52\nZZ3 1AE,952,1\n"
    made = take(administrator, POSTCODES, text, layout="onspd", source="ONSPD")
    assert (made["state"], counts(made)) == ("rejected", {"features": 6, "rejected": 5})
    rows = administrator.get(f"/v1/imports/{made['id']}/rejected").json()["items"]
    assert [(row["n"], row["reason"]) for row in rows] == [(3, "duplicate"), (4, "format"), (5, "number"), (6, "syntax"), (7, "number")]
    assert postcode(administrator, "ZZ3 1AA") is None
    made = take(administrator, POSTCODES, text, layout="onspd", source="ONSPD", accept_rest="true")
    assert (made["state"], counts(made)) == ("done", {"features": 6, "created": 1, "rejected": 5})


@pytest.mark.parametrize("text, reason", [
    ("pcds,lat\nZZ4 1AA,52\n", "does not name the column long"), ("lat,long,lat\n", "twice"), ("", "empty"), ('pcds,lat,long\n"ZZ4', "within quotes"),
    ("pcds\xff,lat,long\r", "line feed"),
])
def test_tables_that_are_none(administrator, text, reason):
    made = take(administrator, POSTCODES, text or "\n", layout="onspd", source="ONSPD")
    assert made["state"] == "rejected" and reason in made["reason"]


def test_who_imports_postcodes(administrator, partner, anonymous):
    answer = send(administrator, POSTCODES, "", layout="other", source="x")
    assert (answer.status, answer.codes()) == (400, [("layout", "enum")])
    assert send(administrator, POSTCODES, "", layout="onspd").status == 400
    assert send(administrator, POSTCODES, "", headers={"Content-Type": "application/json"}, layout="onspd", source="x").status == 415
    assert send(partner.manager, POSTCODES, "", layout="onspd", source="x").status == 403
    assert send(anonymous, POSTCODES, "", layout="onspd", source="x").status == 401


# --- lineage ---

@pytest.fixture(name="sets")
def _sets(administrator):
    """An older and a newer set with the localities A, B and X, Y."""
    ids = []
    for codes in (("A", "B"), ("X", "Y")):
        made = administrator.post("/v1/boundary-sets", {"code": unique("set"), "name": "Wards"}).json()
        for code in codes:
            assert administrator.post("/v1/localities", {"boundary_set_id": made["id"], "code": code, "name": code}).status == 201
        ids.append(made["id"])
    return ids


def test_lineage(administrator, sets):
    older, newer = sets
    path = f"/v1/boundary-sets/{older}/lineage-imports"
    text = "from_code,to_code,change_kind,changed_on\nA,X,split,2024-05-02\nA,Y,split,2024-05-02\nB,Y,merged,2024-05-02\n"
    made = take(administrator, path, text, to_boundary_set_id=newer)
    assert (made["kind"], made["boundary_set_id"], made["state"], counts(made)) == ("lineage", older, "done", {"features": 3, "updated": 2})
    rows = administrator.get(f"/v1/localities?boundary_set_id={older}&sort=code&fields=code,successor_ids,change_kind,changed_on").json()["items"]
    new = {row["id"]: row["code"] for row in administrator.get(f"/v1/localities?boundary_set_id={newer}").json()["items"]}
    assert [(row["code"], [new[i] for i in row["successor_ids"]], row["change_kind"]) for row in rows] == [("A", ["X", "Y"], "split"), ("B", ["Y"], "merged")]
    refused = take(administrator, path, "from_code,to_code\nA,Z\nA,X\n", to_boundary_set_id=newer)
    assert (refused["state"], counts(refused)) == ("rejected", {"features": 2, "rejected": 1})
    assert administrator.get(f"/v1/imports/{refused['id']}/rejected").json()["items"][0]["n"] == 2
    assert "from_code" in take(administrator, path, "a,to_code\n", to_boundary_set_id=newer)["reason"]


def test_who_imports_lineage(administrator, partner, sets):
    older, newer = sets
    path, absent = f"/v1/boundary-sets/{older}/lineage-imports", "019a7d2c-3c1e-7c55-9b1e-0d3c1f6a2b10"
    assert send(administrator, path, "").codes() == [("to_boundary_set_id", "required")]
    answer = send(administrator, path, "", to_boundary_set_id=absent)
    assert (answer.status, answer.codes()) == (422, [("to_boundary_set_id", "not_found")])
    assert send(administrator, path, "", headers={"Content-Type": "application/json"}, to_boundary_set_id=newer).status == 415
    assert send(partner.manager, path, "", to_boundary_set_id=newer).status == 403
    assert send(administrator, f"/v1/boundary-sets/{absent}/lineage-imports", "", to_boundary_set_id=newer).status == 404


# --- what was rejected ---

def test_rejects_come_in_pages(administrator, partner):
    text = "pcds,lat,long\n" + "".join(f"?{i},52,1\n" for i in range(120))
    made = take(administrator, POSTCODES, text, layout="onspd", source="ONSPD")
    assert counts(made) == {"features": 120, "rejected": 120}
    for path in ("/v1/imports", f"/v1/imports/{made['id']}", f"/v1/imports/{made['id']}/history"):
        assert administrator.get(path, headers={"If-None-Match": administrator.get(path).etag}).status == 304
    path = f"/v1/imports/{made['id']}/rejected"
    first = administrator.get(path, params={"limit": 50})
    assert [row["n"] for row in first.json()["items"]] == list(range(2, 52))
    assert [row["n"] for row in administrator.pages(path)] == list(range(2, 122))
    assert administrator.get(path, headers={"If-None-Match": administrator.get(path).etag}).status == 304
    other = take(administrator, POSTCODES, "pcds,lat,long\n", layout="onspd", source="ONSPD")
    assert administrator.get(f"/v1/imports/{other['id']}/rejected").json()["items"] == []
    # a cursor goes with its import, and an import with its partner
    target = first.links()["next"].replace(made["id"], other["id"])
    assert administrator.get(target).status == 400
    assert partner.manager.get(path).status == 404


def test_at_most_ten_thousand_are_kept(administrator):
    text = "pcds,lat,long\n" + "?,52,1\n" * 10050
    made = take(administrator, POSTCODES, text, layout="onspd", source="ONSPD")
    assert counts(made) == {"features": 10050, "rejected": 10050}
    last = administrator.pages(f"/v1/imports/{made['id']}/rejected?limit=500")
    assert (len(last), last[-1]["n"]) == (10000, 10001)
