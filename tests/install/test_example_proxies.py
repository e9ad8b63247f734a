# SPDX-License-Identifier: AGPL-3.0-or-later
"""dist/proxy: nginx, Apache and haproxy, each with its example configuration, in front of the real server."""
import contextlib
import http.client
import json
import pathlib
import re
import socket
import ssl
import sys
import time
import uuid

import pytest

from proxies import Proxy
from wardmote_certificates import Authority
from wardmote_server import ROOT, Cluster, Server, make_administrator, make_keys
from wardmote_suite import until
from wardmote_wire import serving

sys.path.insert(0, str(ROOT / "tests/wire"))
from wire_corpus import REFUSED  # pylint: disable=wrong-import-position

RATE = 100


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("proxies"))


@pytest.fixture(scope="module", name="site")
def _site():
    cluster = Cluster()
    cluster.setup()
    keys, host = make_keys(cluster), make_administrator(cluster)
    server = Server(cluster, keys, trusted_proxies="127.0.0.1", rate_anonymous=RATE)
    server.host_account = host
    yield server
    server.close()
    cluster.close()


@pytest.fixture(scope="module", name="front", params=["nginx", "apache", "haproxy"])
def _front(request, site, authority):
    certificate, key = authority.issue(f"front-{request.param}")
    proxy = Proxy(request.param, site, certificate, key)
    proxy.context = ssl.create_default_context(cafile=authority.path)
    with contextlib.suppress(AssertionError):
        until(lambda: ask(proxy, "GET", "/v1")[0] == 200, 10)  # haproxy has looked at /readyz
    yield proxy
    proxy.close()


def connect(proxy, source="127.0.0.1"):
    return http.client.HTTPSConnection("localhost", proxy.port, timeout=30, context=proxy.context, source_address=(source, 0))


def ask(proxy, method, target, body=None, source="127.0.0.1", **fields):
    connection = connect(proxy, source)
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers, data


@pytest.fixture(scope="module", name="token")
def _token(front, site):
    host = site.host_account
    form = f"grant_type=client_credentials&client_id={host['client_id']}&client_secret={host['client_secret']}"
    status, _, body = ask(front, "POST", "/oauth/token", form, Content_Type="application/x-www-form-urlencoded")
    assert status == 200, body
    return f"Bearer {json.loads(body)['access_token']}"


def test_reading_and_writing(front, token, site):
    status, fields, body = ask(front, "POST", "/v1/partners", json.dumps({"name": f"Partner {uuid.uuid4()}", "kind": "council"}), Authorization=token,
                               Content_Type="application/json", X_Request_Id="made-up-by-the-client")
    assert status == 201, body
    status, fields, body = ask(front, "GET", "/v1/partners?limit=1", X_Request_Id="made-up-by-the-client")
    assert status == 200 and json.loads(body)["items"]
    number = fields["X-Request-Id"]
    assert number != "made-up-by-the-client"
    until(lambda: f'"{number}"' in site.log(), 5)
    until(lambda: number in front.said(), 5)
    assert "limit=1" not in pathlib.Path(front.log).read_text(encoding="utf-8"), "queries are not logged"


def test_a_target_goes_through_as_it_came(front):
    status, _, body = ask(front, "GET", "/v1/partners?name=a%2Fb%20%26&limit=1")
    assert status == 200, body
    for target in ("/v1//partners", "/v1/%70artners", "/v1/partners/%2e%2e/accounts"):
        assert ask(front, "GET", target)[0] in (400, 404), target


def left(front, source, **fields):
    _, headers, _ = ask(front, "GET", "/v1/partners?limit=1", source=source, **fields)
    return int(headers["RateLimit"].split("r=")[1].split(";")[0])


def test_the_client_is_who_connected(front):
    """Limits count the client's address, whatever it claims; and the proxy's log has it."""
    number = {"nginx": 11, "apache": 12, "haproxy": 13}[front.name]
    source = f"127.0.{number}.1"
    first = left(front, source)
    assert first == RATE - 1
    claims = [{"X_Forwarded_For": "203.0.113.7"}, {"Forwarded": "for=203.0.113.7"}, {"X_Forwarded_For": f"127.0.{number}.9, 127.0.0.1"}]
    assert [left(front, source, **claim) for claim in claims] == [first - 1, first - 2, first - 3]
    until(lambda: source in pathlib.Path(front.log).read_text(encoding="utf-8"), 5)


def features(count):
    yield b'{"type":"FeatureCollection","features":['
    for i in range(count):
        x, y = 1 + i % 10 / 100, 52 + i // 10 / 100
        ring = [[x, y], [x + 0.009, y], [x + 0.009, y + 0.009], [x, y + 0.009], [x, y]]
        yield (b"," if i else b"") + json.dumps({"type": "Feature", "properties": {"id": f"L{i:03}", "title": "Ward", "note": "n" * 190000},
                                                  "geometry": {"type": "Polygon", "coordinates": [ring]}}).encode()
    yield b"]}"


@pytest.fixture(scope="module", name="places")
def _places(front, token):
    """A boundary set from a file of twenty megabytes, sent in chunks."""
    status, _, body = ask(front, "POST", "/v1/boundary-sets", json.dumps({"code": f"set-{uuid.uuid4()}", "name": "Wards", "source": "A map", "visibility":
                          "public"}), Authorization=token, Content_Type="application/json")
    assert status == 201, body
    number = json.loads(body)["id"]
    connection = connect(front)
    connection.request("POST", f"/v1/boundary-sets/{number}/imports?code_property=id&name_property=title", features(110),
                       {"Authorization": token, "Content-Type": "application/geo+json", "Prefer": "wait=30"}, encode_chunked=True)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    assert json.loads(body)["created_count"] == 110
    return number


def test_a_file_goes_through_as_it_arrives(places, site, front):
    assert places
    assert site.metric("http_requests_total", 'code="413"') == 0, front.name


class Echo:
    """tests/unit/http_echo.c, which answers everything with 200, /readyz too."""

    def __init__(self, server):
        self.port = server.address[1]
        self.admin_url = f"http://127.0.0.1:{self.port}"


def test_an_export_is_whole(front, token, places):
    target = f"/v1/localities.geojson?limit=all&boundary_set_id={places}&fields=code,geometry"
    status, _, body = ask(front, "GET", target, Authorization=token)
    assert status == 200 and len(json.loads(body)["features"]) == 110


def test_what_is_streamed_comes_as_it_is_made(front, authority):
    """The first bytes are here before the last are made."""
    with serving() as server:
        proxy = Proxy(front.name, Echo(server), *authority.issue(f"echo-{front.name}"))
        proxy.context = front.context
        try:
            until(lambda: ask(proxy, "GET", "/echo")[0] == 200, 10)
            connection = connect(proxy)
            begun = time.monotonic()
            connection.request("GET", "/stream?ms=3000")
            answer = connection.getresponse()
            assert answer.read(11) == b"It begins.\n"
            assert time.monotonic() - begun < 2
            assert answer.read() == b"" and time.monotonic() - begun > 2.5
        finally:
            proxy.close()


def test_what_is_refused_while_the_database_is_away(front, site):
    site.cluster.stop("immediate")
    try:
        status, fields, body = ask(front, "GET", "/v1/partners?limit=1")
        assert (status, fields["Content-Type"]) == (503, "application/problem+json"), body
        assert int(fields["Retry-After"]) >= 1
    finally:
        site.cluster.start()
        site.wait_ready()
    until(lambda: ask(front, "GET", "/v1/partners?limit=1")[0] == 200, 20)


def test_nothing_hides_in_a_request(front, token):
    """Each malformed message of the corpus; behind it somebody else, on the connection to the server that both may share, gets the own answer. A message is at most
    answered once for each request in it."""
    wrong = {}
    for number, row in enumerate(REFUSED):
        mark = f"victim{number}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", front.port), timeout=10) as raw:
            with front.context.wrap_socket(raw, server_hostname="localhost") as client:
                client.settimeout(0.05)
                client.sendall(row["data"])
                while client.recv(65536):
                    pass
        status, _, body = ask(front, "GET", f"/v1/partners?limit=1&fields=name&unknown_{mark}=1", Authorization=token)
        if status != 400 or mark not in body.decode():
            wrong[row["name"]] = (status, body[:200])
    assert wrong == {}


def test_the_documentation_names_each_file():
    page = (ROOT / "docs/proxies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"dist/proxy/([\w.]+)", page)) == {path.name for path in (ROOT / "dist/proxy").iterdir()}
