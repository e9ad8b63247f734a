# SPDX-License-Identifier: AGPL-3.0-or-later
"""The limits of a request, each on both of its sides: the last thing that is taken and the first that is not."""
import pytest

from wardmote_records import absent_id, unique

JSON = {"Content-Type": "application/json"}
MIB = 1 << 20


def codes(client, text, path="/v1/communities"):
    answer = client.post(path, body=text.encode() if isinstance(text, str) else text, headers=JSON)
    assert answer.status == 400, answer.text()
    return {code for _, code in answer.codes()}


# --- JSON ---

def test_levels(partner):
    def nested(levels):
        return '{"name":' + "[" * (levels - 1) + "]" * (levels - 1) + ',"kind":"interest"}'

    assert codes(partner.officer, nested(32)) == {"type"}
    assert codes(partner.officer, nested(33)) == {"too_deep"}
    assert codes(partner.officer, "[" * 100000) == {"too_deep"}
    assert codes(partner.officer, '{"a":' * 100000) == {"too_deep"}


def test_values(partner):
    def listed(values):
        return '{"name":[' + ",".join(["1"] * (values - 3)) + '],"kind":"interest"}'

    assert codes(partner.officer, listed(10000)) == {"type"}
    assert codes(partner.officer, listed(10001)) == {"too_many"}
    assert codes(partner.officer, '{"name":[' + "{}," * 10000 + "{}]}") == {"too_many"}


def test_brackets_in_texts_are_text(partner):
    text = "[" * 100 + "{" * 100 + '\\" ]'
    answer = partner.officer.post("/v1/communities", {"name": unique("Brackets"), "kind": "interest", "description": text + ",1" * 1000})
    assert answer.status == 201 and answer.json()["description"].startswith(text)


@pytest.mark.parametrize("literal, code", [
    ("0." + "1" * 30, "type"), ("0." + "1" * 31, "number"), ("9223372036854775807", "type"), ("9223372036854775808", "number"),
    ("1e30", "type"), ("1e31", "number"), ("1e-30", "type"), ("1e-31", "number"),
    ("-0", "type"), ("01", None), ("+1", None), (".5", None), ("1.", None), ("1e", None), ("--1", None), ("1.5.5", None), ("-", None),
])
def test_numbers(partner, literal, code):
    found = codes(partner.officer, f'{{"name":{literal},"kind":"interest"}}')
    assert found == {code} if code else found & {"number", "syntax"}, found


@pytest.mark.parametrize("population, status", [("0", 201), ("100000000", 201), ("100000001", 400), ("-1", 400), ("1.5", 400),
                                                ("9223372036854775807", 400), ("true", 400), ('"5"', 400)])
def test_whole_numbers_of_a_range(administrator, records, population, status):
    boundary_set = records.shared("boundary-sets")["id"]
    text = f'{{"boundary_set_id":"{boundary_set}","code":"{unique("n")}","name":"N","population":{population}}}'
    answer = administrator.post("/v1/localities", body=text.encode(), headers=JSON)
    assert answer.status == status, answer.text()
    if status == 201:
        assert answer.json()["population"] == int(population)
    else:
        assert {place for place, _ in answer.codes()} == {"/population"}


# --- bodies ---

def padded(size, **members):
    text = '{"name":"%s","kind":"interest"' % unique("Padded") + "}"
    return (text + " " * (size - len(text))).encode()


def test_a_body_of_a_megabyte(partner):
    assert partner.officer.post("/v1/communities", body=padded(MIB), headers=JSON).status == 201
    assert partner.officer.post("/v1/communities", body=padded(MIB + 1), headers=JSON).status == 413


def test_a_body_of_a_stranger(anonymous, fresh_address):
    client = anonymous.as_token(None, source=fresh_address)

    def enrol(size):
        text = b'{"code":"wme_' + b"0" * 43 + b'","password":"a long enough guess"}'
        return client.post("/v1/sessions/enrolments", body=text + b" " * (size - len(text)), headers=JSON).status

    assert enrol(64 << 10) == 422
    assert enrol((64 << 10) + 1) == 413


def test_a_body_in_pieces_has_the_same_limit(partner):
    def pieces(size):
        body = padded(size)
        return iter([body[at:at + 100000] for at in range(0, size, 100000)])

    client = partner.officer.as_token(partner.officer.token)
    assert client.post("/v1/communities", body=pieces(300000), headers=JSON).status == 201
    assert client.post("/v1/communities", body=pieces(MIB), headers=JSON).status == 201
    assert client.post("/v1/communities", body=pieces(MIB + 1), headers=JSON).status == 413


# --- geometries ---

def round_ring(vertices):
    """A ring with so many vertices: the edge of a thin comb, written short."""
    top = [f"[{number / 10000:.4f},{1 + number % 2}]" for number in range(vertices - 3)]
    return "[" + ",".join(top + [f"[{(vertices - 4) / 10000:.4f},0]", "[0,0]", top[0]]) + "]"


def locality(boundary_set, vertices):
    geometry = '{"type":"Polygon","coordinates":[' + round_ring(vertices) + "]}"
    return f'{{"boundary_set_id":"{boundary_set}","code":"{unique("g")}","name":"Comb","geometry":{geometry}}}'.encode()


def test_vertices(administrator, records):
    boundary_set = records.shared("boundary-sets")["id"]
    many = administrator.post("/v1/localities", body=locality(boundary_set, 12000), headers=JSON)
    assert many.status == 201, "more than 10,000 values: " + many.text()[:300]
    assert len(many.json()["geometry"]["coordinates"][0][0]) == 12000
    body = locality(boundary_set, 250001)
    assert MIB < len(body) < 16 * MIB
    answer = administrator.post("/v1/localities", body=body, headers=JSON)
    assert answer.status == 413 and {code for _, code in answer.codes()} == {"too_many_positions"}, answer.text()[:500]
    most = locality(boundary_set, 10)
    answer = administrator.post("/v1/localities", body=most + b" " * (16 * MIB - len(most)), headers=JSON)
    assert answer.status == 400 and answer.codes() == [("", "too_large")], "only a geometry makes a body that long"
    filled = most.replace(b'"coordinates":[', b'"coordinates":[' + b" " * (16 * MIB - len(most)))
    assert administrator.post("/v1/localities", body=filled, headers=JSON).status == 201
    client = administrator.as_token(administrator.token)  # the body that is announced never comes
    assert client.post("/v1/localities", body=b"", headers={**JSON, "Content-Length": str(16 * MIB + 1)}).status == 413
    client.close()


@pytest.mark.parametrize("coordinates, place", [
    ("[[[0,0],[1,0],[1,1],[0,0.5]]]", "/geometry/coordinates/0"),
    ("[[[0,0],[1,0],[0,0]]]", "/geometry/coordinates/0"),
    ("[[[0,0],[1,0],[181,1],[0,0]]]", "/geometry/coordinates/0/2"),
    ("[[[0,0],[1,0],[1,91],[0,0]]]", "/geometry/coordinates/0/2"),
    ("[[[0,0],[1,0],[1,1e400],[0,0]]]", "/geometry/coordinates/0/2"),
    ('[[[0,0],[1,0],[1,"1"],[0,0]]]', "/geometry/coordinates/0/2"),
    ("[[[0,0],[1,0],[1],[0,0]]]", "/geometry/coordinates/0/2"),
    ("[[[0,0],[1,0],[1,1,5],[0,0]]]", "/geometry/coordinates/0/2"),
    ("[]", "/geometry/coordinates"),
    ("[[]]", "/geometry/coordinates/0"),
    ("null", "/geometry/coordinates"),
    ("{}", "/geometry/coordinates"),
])
def test_rings(administrator, records, coordinates, place):
    boundary_set = records.shared("boundary-sets")["id"]
    text = f'{{"boundary_set_id":"{boundary_set}","code":"x","name":"X","geometry":{{"type":"Polygon","coordinates":{coordinates}}}}}'
    answer = administrator.post("/v1/localities", body=text.encode(), headers=JSON)
    assert answer.status == 400, answer.text()
    assert answer.codes()[0][0].startswith(place), answer.text()


# --- lengths ---

@pytest.mark.parametrize("letter", ["x", "é", "ß", "漢", "🏘"])
def test_lengths_are_in_characters(partner, letter):
    for resource, member, rest in (("communities", "name", {"kind": "interest"}), ("consultations", "title", {})):
        answer = partner.officer.post(f"/v1/{resource}", {member: letter * 200, **rest})
        assert answer.status == 201 and answer.json()[member] == letter * 200, answer.text()[:300]
    assert partner.officer.post("/v1/communities", {"name": letter * 201, "kind": "interest"}).codes() == [("/name", "length")]


def test_lists_of_references_have_a_most(partner, records):
    most = records.schema("consultations")["community_ids"]["maxItems"]
    answer = partner.officer.post("/v1/consultations", {"title": "Many", "community_ids": [absent_id() for _ in range(most)]})
    assert answer.status == 422 and {code for _, code in answer.codes()} == {"not_found"}
    answer = partner.officer.post("/v1/consultations", {"title": "Many", "community_ids": [absent_id() for _ in range(most + 1)]})
    assert answer.status == 400 and answer.codes() == [("/community_ids", "length")], answer.text()[:300]


def test_any_of_has_a_most(partner):
    def listed(number):
        return partner.viewer.get("/v1/communities", params={"id": ",".join(absent_id() for _ in range(number))})

    assert listed(50).status == 200
    answer = listed(51)
    assert answer.status == 400 and answer.codes()[0][0] == "id", answer.text()[:300]


def test_faults_are_told_up_to_a_number_and_the_rest_is_counted(partner):
    answer = partner.officer.post("/v1/communities", {f"member_{number}": 1 for number in range(5000)})
    assert answer.status == 400 and 10 <= len(answer.json()["errors"]) <= 200
    assert len(answer.body) < 64 << 10
