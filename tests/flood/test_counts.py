# SPDX-License-Identifier: AGPL-3.0-or-later
"""A flood shows in the metrics and in the log as what it is, and what no route takes is limited like the rest."""
import http.client
import json
import re
import urllib.request

import crowd
from wardmote_client import Client
from wardmote_server import Server


def requests_total(server):
    with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=10) as answer:
        return {labels: int(value) for labels, value in re.findall(r"^wardmote_http_requests_total\{(.*)\} (\d+)$", answer.read().decode(), re.MULTILINE)}


def test_what_no_route_takes_is_counted_and_limited(start_server, anonymous, fresh_address):
    server = start_server(rate_anonymous=5)
    client = Client(server, anonymous.contract, anonymous.coverage, source=fresh_address)
    answers = [client.get(f"/nowhere/{number}") for number in range(8)]
    assert [answer.status for answer in answers[:5]] == [404] * 5 and answers[7].status == 429
    assert int(answers[7].headers["retry-after"]) >= 1
    assert client.request("OPTIONS", "/v1/partners").status == 429
    assert client.request("DELETE", "/v1/partners").status == 429
    counted = requests_total(server)
    assert counted['method="GET",route="unmatched",code="404"'] >= 5 and counted['method="GET",route="unmatched",code="429"'] >= 1
    lines = [json.loads(line) for line in server.log().splitlines() if '"unmatched"' in line]
    assert {(line["method"], line["status"]) for line in lines} >= {("GET", 404), ("GET", 429)}
    assert "nowhere" not in server.log()


def test_a_refused_body_is_counted_as_refused(start_server, partner):
    server = start_server()
    connection = http.client.HTTPConnection(server.host, server.port, timeout=crowd.PATIENCE)
    connection.request("POST", "/v1/sessions", body=b"", headers={"Content-Type": "application/json", "Content-Length": str(10 << 30)})
    assert connection.getresponse().status == 413
    connection.close()
    del partner
    crowd.until(lambda: requests_total(server).get('method="POST",route="/v1/sessions",code="413"') == 1)
    assert not [labels for labels in requests_total(server) if 'code="0"' in labels]
    assert isinstance(server, Server)
