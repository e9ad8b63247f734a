# SPDX-License-Identifier: AGPL-3.0-or-later
"""Entrances and documents, headers that every answer has, CORS, limits of rate, and what the gate refuses before routing."""
import re
import socket
import urllib.parse
import uuid

import pytest

from wardmote_client import Client


@pytest.fixture(scope="module", name="limited")
def _limited(start_server, contract, anonymous):
    """Clients of a server that allows five requests a minute."""
    server = start_server(rate_anonymous=5, rate_account=5, cors_origins="https://app.example.org")
    return lambda token, source: Client(server, contract, anonymous.coverage, token, source)


# --- entrances ---

ENTRANCES = ("/", "/v1", "/ogc")


def test_every_link_leads_somewhere(anonymous, administrator, contract):
    for path in ENTRANCES:
        for rel, href in anonymous.get(path).links().items():
            operation = contract.operation("GET", urllib.parse.urlsplit(href).path)
            answer = (anonymous if operation["x-role"] == "anonymous" else administrator).get(href)
            assert answer.status == 200, f"{path} {rel} {href}"
            if operation["x-role"] != "anonymous":
                assert anonymous.get(href).status == 401, f"{path} {rel} {href}"


def test_every_address_without_parameters_is_linked(anonymous, contract):
    linked = {urllib.parse.urlsplit(href).path for path in ENTRANCES for href in anonymous.get(path).links().values()}
    readable = {operation["path"] for operation in contract.operations.values()
                if operation["method"] == "GET" and "{" not in operation["path"] and not contract.required_query(operation)}
    assert readable - linked == {"/.well-known/security.txt"}, "which is there when a contact is set, where RFC 9116 says"


def test_v1_links_every_collection(anonymous, records):
    assert set(records.resources()) <= set(anonymous.get("/v1").links())


def test_the_document_has_a_tag(anonymous):
    first = anonymous.get("/openapi.json")
    assert anonymous.get("/openapi.json", headers={"If-None-Match": first.etag}).status == 304


def test_every_kind_of_problem_is_explained_where_its_type_leads(anonymous):
    kinds = anonymous.get("/problems").json()["items"]
    assert len({kind["type"] for kind in kinds}) == len(kinds) >= 20
    for kind in kinds:
        assert anonymous.get(kind["type"]).json() == kind
    assert anonymous.get("/problems/no-such-kind").status == 404


def test_security_contact(anonymous):
    text = anonymous.get("/.well-known/security.txt").text()
    assert "Contact: mailto:security@example.org\r\n" in text and "\r\nExpires: " in text


def test_without_a_contact_there_is_no_such_page(limited, fresh_address):
    assert limited(None, fresh_address).get("/.well-known/security.txt").status == 404


# --- every answer ---

def test_every_answer_names_its_request(anonymous):
    answer = anonymous.get("/v1/nothing")
    assert answer.status == 404
    problem = answer.json()
    assert problem["trace_id"] == answer.headers["x-request-id"]
    assert problem["instance"] == f"urn:wardmote:request:{problem['trace_id']}"
    given = anonymous.get("/v1/nothing", headers={"X-Request-Id": "my-own-request-17"})
    assert given.json()["trace_id"] == "my-own-request-17"
    trace = anonymous.get("/v1/nothing", headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    assert trace.json()["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("field, taken", [
    (f"00-{TRACE}-{PARENT}-01", True),
    (f"01-{TRACE}-{PARENT}-01", True),
    (f"01-{TRACE}-{PARENT}-01-what-comes-later", True),
    (f"01-{TRACE}-{PARENT}-01.what-comes-later", False),
    (f"00-{TRACE}-{PARENT}-01-more", False),
    (f"00-{TRACE}-{PARENT}-0", False),
    (f"ff-{TRACE}-{PARENT}-01", False),
    (f"0g-{TRACE}-{PARENT}-01", False),
    (f"00-{TRACE[:-1]}G-{PARENT}-01", False),
    (f"00-{TRACE.upper()}-{PARENT}-01", False),
    (f"00-{TRACE}-{PARENT[:-1]}x-01", False),
    (f"00-{TRACE}-{PARENT}-0x", False),
    (f"00-{'0' * 32}-{PARENT}-01", False),
    (f"00-{TRACE}-{'0' * 16}-01", False),
    (f"00.{TRACE}-{PARENT}-01", False),
    (f"00-{TRACE}.{PARENT}-01", False),
    (f"00-{TRACE}-{PARENT}.01", False),
    ("", False),
])
def test_a_traceparent_counts_when_it_is_well_formed(anonymous, field, taken):
    seen = anonymous.get("/v1/nothing", headers={"traceparent": field}).headers["x-request-id"]
    assert (seen == TRACE) == taken
    assert taken or uuid.UUID(seen)


@pytest.mark.parametrize("field, taken", [
    ("abcdefgh", True), ("A-Z_a-z_0-9", True), ("a" * 36, True), ("a" * 37, False), ("abcdefg", False), ("with space", False), ("semi;colon", False),
    ("quote\"quote", False), ("back`tick", False), ("brace{brace", False), ("bracket[1]", False), ("slash/slash", False),
])
def test_a_request_id_counts_when_it_is_plain(anonymous, field, taken):
    assert (anonymous.get("/v1/nothing", headers={"X-Request-Id": field}).headers["x-request-id"] == field) == taken


def test_a_traceparent_goes_before_a_request_id(anonymous):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "my-own-request-18"}
    assert anonymous.get("/v1/nothing", headers=headers).headers["x-request-id"] == TRACE


@pytest.mark.parametrize("path", ["/", "/v1/partners", "/v1/nothing"])
def test_headers_for_browsers(anonymous, path):
    answer = anonymous.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in answer.headers, "reached without TLS"
    assert "server" not in answer.headers


def test_browsers_are_told_to_stay_with_tls(start_server, contract, anonymous, fresh_address):
    server = start_server(public_url="https://wardmote.example.org")
    answer = Client(server, contract, anonymous.coverage, None, fresh_address).get("/v1/partners")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


# --- CORS ---

def test_allowed_origins_are_named_and_others_are_not(limited, fresh_address):
    client = limited(None, fresh_address)
    allowed = client.get("/v1/partners", headers={"Origin": "https://app.example.org"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "ETag" in allowed.headers["access-control-expose-headers"]
    for origin in ("https://app.example.org.evil.example", "null", "http://app.example.org"):
        assert "access-control-allow-origin" not in client.get("/v1/partners", headers={"Origin": origin}).headers


def test_preflight(limited, fresh_address):
    answer = limited(None, fresh_address).request("OPTIONS", "/v1/consultations", headers={
        "Origin": "https://app.example.org", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, idempotency-key"})
    assert answer.status == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


# --- limits of rate ---

def until_refused(client):
    for _ in range(10):
        answer = client.get("/v1/partners")
        if answer.status == 429:
            return answer
        assert answer.status == 200
        assert re.fullmatch(r'"[a-z]+";r=\d+;t=\d+', answer.headers["ratelimit"])
    raise AssertionError("ten requests passed a limit of five")


def test_too_many_from_one_address(limited, fresh_address):
    answer = until_refused(limited(None, fresh_address))
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"address";q=5;w=60'


def test_too_many_of_one_account(limited, records, partner, fresh_address, anonymous):
    record = records.account_record(partner.id, "viewer")
    grant = limited(None, fresh_address).token_for(record["client_id"], record["client_secret"])
    answer = until_refused(limited(grant, fresh_address))
    assert answer.headers["ratelimit-policy"] == '"account";q=5;w=60'
    assert anonymous is not None


def test_too_many_passwords(anonymous, fresh_address, records, partner):
    person = records.person(partner.id, "viewer")
    client = anonymous.as_token(None, source=fresh_address)
    for _ in range(30):
        answer = client.post("/v1/sessions", {"login": person["login"], "password": "a guess at it"})
        if answer.status == 429:
            break
        assert answer.status == 401
    assert answer.status == 429 and int(answer.headers["retry-after"]) > 60


def test_all_addresses_of_a_site_are_one(start_server, contract, anonymous):
    """Whoever has one address of an IPv6 network has 2^64 of them: guesses are counted by network."""
    server = start_server(trusted_proxies="127.0.0.0/8")
    client = Client(server, contract, anonymous.coverage)
    network = f"2001:db8:{uuid.uuid4().int % 65536:x}:1"

    def guess(number, address):
        body = {"code": f"wme_{number:043d}", "password": "a long enough guess"}
        return client.post("/v1/sessions/enrolments", body, headers={"X-Forwarded-For": address}).status

    assert {guess(number, f"{network}::{number + 1:x}") for number in range(100)} == {422}
    assert guess(100, f"{network}:ffff::1") == 429
    assert guess(101, f"{network[:-1]}2::1") == 422


def test_an_address_with_many_bad_tokens_has_no_more_verified(start_server, contract, anonymous, records, partner):
    server = start_server(rate_anonymous=0)
    source = "127.9.8.7"
    record = records.account_record(partner.id, "viewer")
    client = Client(server, contract, anonymous.coverage, source=source)
    known = client.as_token(client.token_for(record["client_id"], record["client_secret"]))
    fresh = client.as_token(client.token_for(record["client_id"], record["client_secret"]))
    assert known.get("/v1/me").status == 200
    bad = client.as_token(known.token[:-4] + "AAAA")
    statuses = [bad.get("/v1/me").status for _ in range(80)]
    assert statuses[:50] == [401] * 50 and statuses[-1] == 429
    refused = fresh.get("/v1/me")
    assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
    assert known.get("/v1/me").status == 200  # what was verified before costs nothing
    assert fresh.as_token(fresh.token, source="127.9.8.6").get("/v1/me").status == 200  # nor do other addresses pay for it


# --- before routing ---

def raw(anonymous, text, status):
    """Sends bytes that no library sends; the answer is held against the document like any other."""
    with socket.create_connection((anonymous.server.host, anonymous.server.port), timeout=10) as connection:
        connection.sendall(text)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(65536)
            assert part, f"closed without an answer to {text[:60]!r}"
            answer += part
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"application/problem+json" in answer
    anonymous.coverage.add("*", status, type("Answer", (), {"headers": {}}))


@pytest.mark.parametrize("text, status", [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET /v1/../v1/partners HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /v1/%70artners HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /v1/partners%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
])
def test_refused_before_routing(anonymous, text, status):
    raw(anonymous, text, status)


def test_paths_that_lead_nowhere(anonymous):
    for path in ("/v2", "/v1/", "/v1/Partners", "/v1/partners/", "/v1/partners/not-an-id", "/v1/partners.xml", "/openapi.yaml", "/favicon.ico"):
        assert anonymous.get(path).status in (400, 404), path


def test_what_shows_no_personal_field_may_be_kept(partner, anonymous):
    made = partner.officer.post("/v1/consultations", {"title": "Kept", "visibility": "public", "contact": "Engagement team"})
    assert made.status == 201 and made.headers["cache-control"] == "no-store"
    path = f"/v1/consultations/{made.json()['id']}"
    assert anonymous.get(path).headers["cache-control"] == "no-store"
    assert anonymous.get(path, params={"fields": "contact"}).headers["cache-control"] == "no-store"
    assert anonymous.get(path, params={"fields": "title,topics"}).headers["cache-control"] == "public, no-cache"
    assert partner.viewer.get("/v1/consultations", params={"fields": "title"}).headers["cache-control"] == "private, no-cache"
    assert anonymous.get("/v1/consultations").headers["cache-control"] == "no-store"
    assert partner.viewer.get(f"{path}/history").headers["cache-control"] == "no-store"
