# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an operator sees and turns: metrics, log lines, the time an answer took, keys that change under load."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records, unique
from wardmote_suite import until

PATIENCE = 20
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Here:
    def __init__(self, cluster, keys, host, anonymous, **settings):
        self.server = wardmote_server.Server(cluster, keys, **settings)
        self.public = Client(self.server, anonymous.contract, anonymous.coverage)
        self.host = host
        self.administrator = self.public.as_token(self.new_token())

    def new_token(self):
        return self.public.token_for(self.host["client_id"], self.host["client_secret"])

    def metrics(self):
        with urllib.request.urlopen(f"{self.server.admin_url}/metrics", timeout=5) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return answer.read().decode()

    def lines(self):
        return [json.loads(line) for line in self.server.log().splitlines()]


@pytest.fixture(name="start")
def _start(cluster, keys, host, anonymous):
    started = []

    def start(key_dir=keys, **settings):
        started.append(Here(cluster, key_dir, host, anonymous, **settings))
        return started[-1]

    yield start
    for here in started:
        here.server.close()


# --- metrics ---

def samples(text):
    """{name: {labels: value}}, and {family: type}; the form is checked on the way."""
    found, types, helped = collections.defaultdict(dict), {}, set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in helped and len(line.split(" ", 3)[3]) > 5
            helped.add(name)
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name in helped and name not in types
            types[name] = kind
            continue
        match = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\]*",?)*)\})? (-?[0-9.e+]+|\+Inf)', line)
        assert match, line
        name, labels, value = match.groups()
        family = re.sub(r"_(bucket|sum|count)$", "", name) if re.sub(r"_(bucket|sum|count)$", "", name) in types else name
        assert family in types, line
        assert labels not in found[name], line
        found[name][labels] = float(value)
    return found, types


def test_metrics_are_well_formed(start):
    here = start(workers=2)
    for path in ("/v1/me", "/v1/partners", "/nowhere", "/v1/partners?nonsense=1", "/v1/communities.csv"):
        here.administrator.get(path)
    here.public.get("/v1/accounts")
    found, types = samples(here.metrics())
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"milli|micro|minutes|kilo|mega", name), f"{name}: base units"
    route = 'method="GET",route="/v1/partners"'
    assert found["wardmote_http_requests_total"][f'{route},code="200"'] == 1 and found["wardmote_http_requests_total"][f'{route},code="400"'] == 1
    assert found["wardmote_http_requests_total"]['method="GET",route="unmatched",code="404"'] == 1, "what no route took is not told by its path"
    buckets = [value for labels, value in found["wardmote_http_request_duration_seconds_bucket"].items() if labels.startswith(route)]
    assert buckets == sorted(buckets) and buckets[-1] == found["wardmote_http_request_duration_seconds_count"][route] == 2
    until(lambda: sum(samples(here.metrics())[0]["wardmote_db_connections"].values()) == 2 * (2 + 8 + 2 + 2))  # ready is one of each lane
    assert found["process_resident_memory_bytes"][None] > 1e6 and found["wardmote_db_mismatches_total"][None] == 0
    assert not UUID.search(here.metrics())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; the form is checked above")
def test_promtool_finds_nothing(start):
    here = start()
    here.administrator.get("/v1/partners")
    done = subprocess.run(["promtool", "check", "metrics"], input=here.metrics(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- log ---

MEMBERS = {"time", "level", "message", "request_id", "method", "route", "status", "duration_us", "bytes", "account_id", "partner_id", "client", "rule"}


def test_log_lines_tell_nothing_of_what_was_asked(start):
    """JSON, known members, the route's pattern: no id, parameter, field, token or body."""
    here = start()
    records = Records(here.administrator, here.public.contract)
    partner = records.partner()
    secret = unique("canary")
    made = partner.officer.post("/v1/communities", {"name": secret, "kind": "interest"}, headers={"Idempotency-Key": secret + "key"})
    path = f"/v1/communities/{made.json()['id']}"
    partner.officer.get(path + "?fields=id", headers={"X-Request-Id": "request-of-this-test"})
    partner.officer.patch(path, {"description": secret, "no_such_" + secret[:6]: 1}, headers={"If-Match": made.etag})
    partner.officer.get("/v1/communities", params={"q": secret, "external_id": secret})
    here.public.get(f"/v1/communities/{secret}")
    here.public.get(f"/{secret}")
    here.public.get("/v1/me", headers={"Authorization": f"Bearer {secret}"})
    here.public.form("/oauth/token", {"grant_type": "client_credentials", "client_id": secret, "client_secret": secret})
    here.public.post("/v1/sessions", {"login": f"{secret}@example.org", "password": secret})
    here.public.get("/v1/partners", headers={"User-Agent": secret, "Referer": f"https://{secret}.example/", "Origin": f"https://{secret}.example"})
    log = here.server.log()
    assert secret not in log and "canary" not in log
    for client in (partner.officer, here.administrator):
        assert client.token.split(".")[2] not in log and client.token.split(".")[1] not in log
    requests = [line for line in here.lines() if line["message"] == "request"]
    assert len(requests) > 10
    for line in requests:
        assert set(line) <= MEMBERS
        ids = {line.get("request_id"), line.get("account_id"), line.get("partner_id")}
        for value in (value for key, value in line.items() if value not in ids):
            assert not UUID.search(str(value)), line
        assert "route" not in line or line["route"].startswith("/") or line["route"] == "unmatched"
    own = next(line for line in requests if line["request_id"] == "request-of-this-test")
    assert own["route"] == "/v1/communities/{id}" and own["method"] == "GET" and own["status"] == 200 and own["partner_id"] == partner.id
    assert own["duration_us"] > 0 and own["bytes"] > 0


def test_a_full_sink_does_not_stop_requests(cluster, keys, host, anonymous):
    """Nobody reads the log: lines are lost and counted, requests go on."""
    reader, writer = os.pipe()
    os.set_blocking(writer, True)
    server = wardmote_server.Server(cluster, keys, log_level="debug")
    try:
        # The same process with its standard error on a pipe that nobody reads.
        server.stop()
        server.log_path = f"/proc/{os.getpid()}/fd/{writer}"
        server.start()
        public = Client(server, anonymous.contract, anonymous.coverage)
        client = public.as_token(public.token_for(host["client_id"], host["client_secret"]))

        def dropped():
            assert client.get("/v1/me").status == 200
            with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=5) as answer:
                return re.search(r"^wardmote_log_dropped_lines_total ([1-9]\d*)$", answer.read().decode(), re.MULTILINE)

        until(dropped)
    finally:
        assert server.stop() == 0
        for listener in server.sockets:
            listener.close()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("uri, why", [
    ("postgresql://wardmote_api:S3cret@/wardmote?host=/nowhere", "No such file or directory"),
    ("postgresql://wardmote_api:S3cret@[::1/wardmote", "not well-formed"),
    ("postgresql://wardmote_api:S3/cret@localhost/wardmote", "not well-formed"),
    ("postgresql://wardmote_api:S@3cret@localhost/wardmote", "not well-formed"),
])
def test_a_start_without_its_database_says_why(keys, tmp_path, uri, why):
    log = tmp_path / "log"
    flags = {"database": uri, "key-dir": keys, "listen": "127.0.0.1:0", "admin-listen": "127.0.0.1:0", "workers": 1}
    with open(log, "wb") as sink:
        server = subprocess.Popen([wardmote_server.binary(), "serve", *(f"--{name}={value}" for name, value in flags.items())], stderr=sink)
    try:
        line = until(lambda: next((text for text in log.read_text().splitlines() if "the database does not answer" in text), None))
        assert why in json.loads(line)["error"]
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0
    assert "3cret" not in log.read_text() and "S3" not in log.read_text()


def test_the_log_level_changes_with_the_file(start, cluster):
    settings = pathlib.Path(f"{cluster.folder}/wardmote.conf")
    settings.write_text("log_level = warning\n", encoding="utf-8")
    here = start(config=str(settings))
    here.administrator.get("/v1/me", headers={"X-Request-Id": "while-it-is-quiet"})
    here.administrator.get("/v1/me")  # on the same connection: the line of the one before has had its turn
    settings.write_text("log_level = info\n", encoding="utf-8")
    here.server.process.send_signal(signal.SIGHUP)
    until(lambda: any(line["message"] == "keys loaded" for line in here.lines()))
    here.administrator.get("/v1/me", headers={"X-Request-Id": "when-it-is-not"})
    until(lambda: "when-it-is-not" in here.server.log())
    assert "while-it-is-quiet" not in here.server.log()


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_server_timing(start, enabled):
    here = start(server_timing=enabled)
    field = here.administrator.get("/v1/partners").headers.get("server-timing")
    if enabled == "false":
        assert field is None
        return
    database, total = re.fullmatch(r"db;dur=([0-9.]+), total;dur=([0-9.]+)", field).groups()
    assert 0 < float(database) <= float(total) < 5000


def test_gzip_is_for_bodies_that_gain(start):
    here = start()
    long = here.public.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    short = here.administrator.get("/v1/me", headers={"Accept-Encoding": "gzip"})
    assert long.headers["content-encoding"] == "gzip" and "Accept-Encoding" in long.headers["vary"]
    assert long.plain() == here.public.get("/openapi.json").body and len(long.body) < len(long.plain()) / 4
    assert "content-encoding" not in short.headers
    assert "content-encoding" not in here.public.get("/openapi.json", headers={"Accept-Encoding": "gzip;q=0"}).headers


# --- keys ---

def kids(here):
    return {key["kid"] for key in here.public.get("/.well-known/jwks.json").json()["keys"]}


@pytest.mark.parametrize("told", [True, False], ids=["by SIGHUP", "by the folder"])
def test_keys_are_rotated_under_load(start, cluster, told):
    """Every server knows the new key soon; no token is refused at any moment, neither those of before nor those made meanwhile."""
    folder = f"{cluster.folder}/keys-{told}"
    wardmote_server.run(["key", "rotate", "--key-dir", folder])
    here, ended, bad, good = start(key_dir=folder, workers=2), threading.Event(), [], []

    def load(fresh):
        token = here.administrator.token
        while not ended.is_set():
            token = here.new_token() if fresh else token
            client = here.public.as_token(token)
            status = client.get("/v1/me").status
            client.close()
            (good if status == 200 else bad).append(status)

    threads = [threading.Thread(target=load, args=(bool(n % 2),)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        before = kids(here)
        assert len(before) == 1
        for turn in range(2):
            wardmote_server.run(["key", "rotate", "--key-dir", folder])
            if told:
                here.server.process.send_signal(signal.SIGHUP)
            until(lambda: len(kids(here)) == turn + 2)  # pylint: disable=cell-var-from-loop
            mark = len(good)
            until(lambda: len(good) > mark + 40)  # pylint: disable=cell-var-from-loop
        assert before < kids(here)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert bad == []
    assert here.administrator.get("/v1/me").status == 200


def test_a_broken_key_folder_leaves_the_old_keys(start, cluster):
    folder = pathlib.Path(f"{cluster.folder}/keys-broken")
    wardmote_server.run(["key", "rotate", "--key-dir", str(folder)])
    here = start(key_dir=str(folder))
    shutil.move(folder / "cursor.key", folder / "cursor.away")
    here.server.process.send_signal(signal.SIGHUP)
    until(lambda: any("keys not loaded" in line["message"] for line in here.lines()))
    assert here.administrator.get("/v1/me").status == 200 and here.new_token()
    shutil.move(folder / "cursor.away", folder / "cursor.key")
    here.server.process.send_signal(signal.SIGHUP)
    until(lambda: any(line["message"] == "keys loaded" for line in here.lines()))


# --- slow and many clients ---

def test_slow_clients_meet_their_deadlines(start):
    """At the server as a whole; tests/api/test_http_gate.py has every kind of slowness."""
    import socket  # pylint: disable=import-outside-toplevel
    here = start(header_timeout_ms=400, body_timeout_ms=600)
    heads = {b"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ": b"408",
             b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_": b"408"}
    for head, status in heads.items():
        with socket.create_connection((here.server.host, here.server.port), timeout=PATIENCE) as slow:
            slow.sendall(head)
            begun, answer = time.monotonic(), b""
            slow.settimeout(0.05)
            while time.monotonic() - begun < PATIENCE:
                try:
                    slow.sendall(b"a")
                    part = slow.recv(4096)
                    answer += part
                    if not part:
                        break
                except TimeoutError:
                    assert here.administrator.get("/v1/me").status == 200
                except OSError:
                    break
            assert 0.3 < time.monotonic() - begun < 5
            assert b"HTTP/1.1 " + status in answer


def test_too_many_connections_are_told(start):
    import socket  # pylint: disable=import-outside-toplevel
    here = start(connection_limit=30)
    kept = [socket.create_connection((here.server.host, here.server.port)) for _ in range(28)]
    try:
        def refused():
            answer = here.public.get("/v1/partners", headers={"Connection": "close"})
            here.public.close()
            return answer if answer.status == 503 else None

        answer = until(refused)
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        for connection in kept:
            connection.close()
    until(lambda: here.public.get("/v1/partners", headers={"Connection": "close"}).status == 200)
