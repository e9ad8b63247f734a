# SPDX-License-Identifier: AGPL-3.0-or-later
"""Addresses: a server on IPv6 that IPv4 clients reach too, sockets that a service manager hands over or does not, and the admin listener's own answers."""
import http.client
import json
import os
import re
import subprocess
import time

import pytest

import wardmote_server

READY_SECONDS = 60


class Started:
    """`wardmote serve` with flags of our own; where it listens is read from its log."""

    def __init__(self, cluster, keys, *, environment=None, **settings):
        flags = {"database": cluster.uri("wardmote_api"), "key_dir": keys, "workers": 1, "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", **settings}
        self.log_path = f"{cluster.folder}/listen-{time.monotonic_ns()}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([wardmote_server.binary(), "serve", *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())],
                                            stderr=log, stdout=log, env={**os.environ, **(environment or {})})
        self.listen, self.admin = self._listening()

    def lines(self):
        with open(self.log_path, encoding="utf-8") as log:
            return [json.loads(line) for line in log if line.startswith("{") and line.endswith("}\n")]

    def _listening(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for line in self.lines():
                if "listening" in line.values():
                    found = [value for value in line.values() if isinstance(value, str) and re.search(r":\d+$", value) and "T" not in value]
                    return found[0], found[1]
            assert self.process.poll() is None, self.lines()
            time.sleep(0.02)  # between two looks: the deadline decides
        raise AssertionError(self.lines())

    def close(self):
        self.process.terminate()
        assert self.process.wait(30) == 0


@pytest.fixture(name="start")
def _start(cluster, keys, server):  # pylint: disable=unused-argument
    started = []

    def start(**settings):
        started.append(Started(cluster, keys, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()


def get(host, address, path="/v1/partners?limit=1", method="GET", headers=None):
    connection = http.client.HTTPConnection(host, int(address.rsplit(":", 1)[1]), timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def left(answer):
    return int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])


def test_one_socket_for_both_families(start):
    """An IPv4 client is counted by its IPv4 address, whichever socket it comes through; IPv6 clients by their network."""
    both = start(listen="[::]:0", rate_anonymous=50)
    assert both.listen.startswith("[::]:")
    assert left(get("127.0.0.1", both.listen)[0]) == 49
    assert left(get("127.0.0.1", both.listen)[0]) == 48
    assert left(get("::1", both.listen)[0]) == 49


def test_a_trusted_proxy_on_ipv6(start):
    both = start(listen="[::1]:0", rate_anonymous=50, trusted_proxies="::1")
    assert left(get("::1", both.listen, headers={"X-Forwarded-For": "203.0.113.5"})[0]) == 49
    assert left(get("::1", both.listen, headers={"X-Forwarded-For": "203.0.113.6"})[0]) == 49


@pytest.mark.parametrize("environment", [{"LISTEN_FDS": "2"}, {"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_PID": "x"}])
def test_sockets_of_another_process_are_not_taken(start, environment):
    """A service manager names the process that its sockets are for: without that, descriptors 3 and 4 are not ours to accept on."""
    assert get("127.0.0.1", start(environment=environment).listen)[0].status == 200


def test_the_admin_listener_has_three_pages(start):
    started = start()
    for path, kind in (("/livez", "application/json"), ("/readyz", "application/json"), ("/metrics", "text/plain")):
        answer, body = get("127.0.0.1", started.admin, path)
        assert answer.status in (200, 503) and answer.headers["content-type"].startswith(kind) and body
        answer, body = get("127.0.0.1", started.admin, path, "HEAD")
        assert answer.status in (200, 503) and body == b""
    assert get("127.0.0.1", started.admin, "/")[0].status == 404
    assert get("127.0.0.1", started.admin, "/v1/partners")[0].status == 404
    assert get("127.0.0.1", started.admin, "/livez", "POST")[0].status == 405
    assert get("127.0.0.1", started.admin, "/livez", headers={"Host": "a b"})[0].status == 400
    assert get("127.0.0.1", started.listen, "/livez")[0].status == 404, "what is for operators is not on the public address"
