# SPDX-License-Identifier: AGPL-3.0-or-later
"""Each place in the program that calls something which can fail, with that call failing: a command says what went wrong and ends with 1, or has done its work
all the same; the server starts, or says why not; a request gets its right answer, 503 or a closed connection; and the next one gets its right answer."""
import contextlib
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

import own_calls
import wardmote_long
import wardmote_server
import wardmote_suite
from own_calls import ALL, DATABASE, HTTP, MEMORY, SYSTEM, ZLIB, OwnCalls, places
from torture import send, until
from torture_cases import Case, Site, name
from torture_run import Run
from wardmote_client import Client
from wardmote_records import Records

SECONDS = 60


@pytest.fixture(scope="module", name="calls")
def _calls():
    calls = OwnCalls()
    yield calls
    shutil.rmtree(calls.folder)


# --- commands ---

def command(calls, arguments, **environment):
    return subprocess.run([wardmote_server.binary(), *map(str, arguments)], env={**calls.environment(), **environment}, capture_output=True, text=True,
                          timeout=SECONDS, check=False)


def torture_command(calls, title, make, usual=2, told="stderr", **environment):
    """`make()` gives the arguments of one run, and what of its output is the same in each."""
    arguments, same = make()
    calls.arm(0)
    right = command(calls, arguments, **environment)
    assert right.returncode == 0, right.stderr
    found = calls.calls()
    assert found
    for place, nth in places(found, title, usual):
        arguments, same = make()
        calls.arm(nth, only=place)
        done = command(calls, arguments, **environment)
        what = f"{title}: {calls.failed} at {place:#x}, call {nth}: {done.returncode} {done.stderr[-2000:]}"
        assert done.returncode in (0, 1, 2, -signal.SIGABRT), what
        if done.returncode == 0:
            assert same(done.stdout) == same(right.stdout), what
        else:
            assert getattr(done, told), what
    calls.disarm()
    arguments, same = make()
    again = command(calls, arguments, **environment)
    assert again.returncode == 0 and same(again.stdout) == same(right.stdout), again.stderr
    print(f"{title}: {len(found)} places")


def whole(text):
    return text


def nothing(_text):
    return None


@pytest.mark.parametrize("arguments", [["config"], ["openapi"], ["problems"], ["privacy"], ["sql", "risks"], ["setup"]], ids=lambda row: row[0])
def test_what_is_printed_is_whole(calls, arguments):
    torture_command(calls, arguments[0], lambda: (arguments, whole))


@pytest.mark.parametrize("what", ["create", "rotate"])
def test_keys_are_made_or_not(calls, tmp_path, what):
    numbers = iter(range(100000))

    def make():
        return ["key", what, "--key-dir", tmp_path / f"keys-{next(numbers)}"], nothing

    torture_command(calls, f"key {what}", make)


def findings(text):
    """Of a doctor: without numbers, which may differ from run to run."""
    report = json.loads(text)
    return report["healthy"], [(row["check"], row["level"]) for row in report["findings"]]


def test_commands_on_a_database(calls, cluster, keys, host):
    owner = cluster.uri("wardmote_owner")
    rows = [("migrate --status", ["migrate", "--status", "--database", owner], whole), ("migrate", ["migrate", "--database", owner], whole),
            ("doctor", ["doctor", "--json", "--workers", "1", "--database", cluster.uri("wardmote_api"), "--key-dir", keys], findings),
            ("account", ["account", "create", "--partner", "Host Council", "--kind", "council", "--service", "Torture", "--database", owner], nothing)]
    assert host
    for title, arguments, same in rows:
        torture_command(calls, title, lambda arguments=arguments, same=same: (arguments, same), told="stdout" if title == "doctor" else "stderr")


@pytest.fixture(name="fresh")
def _fresh(cluster):
    """Makes databases as `wardmote setup` leaves them; they are gone at the end."""
    script = wardmote_server.run(["setup", "--database-name", "torture_fresh"])
    subprocess.run([f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", cluster.uri("postgres", "postgres")], input=script, text=True, check=True,
                   timeout=SECONDS, capture_output=True)
    made = []

    def ask(text):
        with contextlib.closing(cluster.connect("postgres", "postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(text)

    def make():
        for database in made:
            ask(f'DROP DATABASE "{database}" WITH (FORCE)')
        made[:] = [f"torture_fresh_{time.monotonic_ns()}"]
        ask(f'CREATE DATABASE "{made[0]}" TEMPLATE torture_fresh OWNER wardmote_owner')
        return made[0]

    yield make
    for database in made + ["torture_fresh"]:
        ask(f'DROP DATABASE "{database}" WITH (FORCE)')


def test_a_migration_is_whole_or_can_be_repeated(calls, cluster, fresh):
    def make():
        return ["migrate", "--database", cluster.uri("wardmote_owner", fresh())], nothing

    torture_command(calls, "migrate a fresh database", make, 2)
    database = fresh()
    uri = cluster.uri("wardmote_owner", database)
    calls.arm(0)
    command(calls, ["migrate", "--database", uri])
    found = calls.calls()
    place = max(found, key=found.get)  # the place that runs the statements
    database = fresh()
    uri = cluster.uri("wardmote_owner", database)
    calls.arm(wardmote_long.rng("migrate").randrange(1, found[place] + 1), only=place)
    failed = command(calls, ["migrate", "--database", uri])
    assert failed.returncode in (0, 1) and calls.failures == 1
    calls.disarm()
    again = command(calls, ["migrate", "--database", uri])
    assert again.returncode == 0, again.stderr


def test_a_load_is_whole_or_can_be_repeated(calls, server, host, tmp_path):
    def write(number, content):
        (tmp_path / f"{number}.json").write_text(json.dumps(content), encoding="utf-8")

    numbers = iter(range(1000000))

    def make():
        mark = f"own-{time.monotonic_ns()}-{next(numbers)}"
        write(1, {"resource": "partners", "match": [["code"], ["name"]], "records": [
            {"key": "p", "body": {"code": mark, "name": f"Partner {mark}", "kind": "council"}}]})
        write(2, {"resource": "accounts", "match": [["partner_id", "name"]], "records": [
            {"key": "a", "body": {"partner_id": "@partners/p", "kind": "service", "role": "officer", "name": mark}}]})
        write(3, {"resource": "communities", "as": "a", "defaults": {"visibility": "private"}, "records": [
            {"key": f"{mark}-{i}", "body": {"name": f"{mark} {i}", "kind": "interest", "external_id": f"{mark}-{i}"}} for i in range(2)]})
        return ["load", "--url", server.url, "--client-id", host["client_id"], tmp_path], nothing

    torture_command(calls, "load", make, WARDMOTE_CLIENT_SECRET=host["client_secret"])


# --- the server's start ---

def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Started:
    """`wardmote serve` with one worker on ports of its own."""

    def __init__(self, calls, cluster, keys, folder):
        self.log_path = pathlib.Path(folder) / f"log-{time.monotonic_ns()}"
        self.address, self.admin_address = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        flags = {"database": cluster.uri("wardmote_api"), "key_dir": keys, "listen": self.address, "admin_listen": self.admin_address, "workers": 1, "lane_read": 1,
                 "lane_write": 1, "lane_heavy": 1, "lane_stream": 1, "drain_wait_ms": 0}
        arguments = [argument for key, value in flags.items() for argument in (f"--{key.replace('_', '-')}", str(value))]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([wardmote_server.binary(), "serve", *arguments], env=calls.environment(), stderr=log, stdout=log)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @staticmethod
    def status(address, path):
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def ended(self):
        return self.process.poll() is not None

    def answers(self):
        return self.status(self.admin_address, "/readyz") == 200 and self.status(self.address, "/v1") == 200

    def stop(self):
        """The exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def close(self):
        self.process.kill()
        self.process.wait()


def test_the_start(calls, cluster, keys, host, tmp_path):
    """It answers, or it ends with 1 and says why; it ends with 0 when it is told to."""
    assert host
    calls.arm(0)
    with contextlib.closing(Started(calls, cluster, keys, tmp_path)) as server:
        until(server.answers)
        assert server.stop() == 0, server.log()
    found = calls.calls()
    for place, nth in places(found, "start", 6):
        calls.arm(nth, only=place)
        with contextlib.closing(Started(calls, cluster, keys, tmp_path)) as server:
            what = f"{place:#x}, call {nth}"
            wardmote_suite.until(lambda server=server: server.ended() or server.answers(), SECONDS, f"{what}: its start or end")
            if server.ended():
                assert server.process.returncode in (1, -signal.SIGABRT) and "wardmote: " in server.log(), f"{calls.failed} at {what}: {server.log()}"
            else:
                assert server.stop() == 0, f"{calls.failed} at {what}: {server.log()}"
    calls.disarm()
    print(f"start: {len(found)} places")


# --- requests ---

class CalledServer(wardmote_server.Server):
    def alive(self):
        return self.process.poll() is None

    @staticmethod
    def where():
        return []


class Place:
    """What Run commands, by places."""

    def __init__(self, calls):
        self.calls = calls
        self.groups = SYSTEM | MEMORY | DATABASE | HTTP | ZLIB
        self.count = 0

    def arm(self, kinds, at, _forever=False, _error=0):
        self.calls.arm(at, self.groups, kinds[0])

    def disarm(self):
        self.calls.disarm()


@pytest.fixture(scope="module", name="world")
def _world(calls, cluster, keys, host, contract):
    calls.disarm()
    server = CalledServer(cluster, keys, environment={key: value for key, value in calls.environment().items() if key.startswith(("LD_", "TORTURE", "ASAN"))},
                          workers=1, lane_read=1, lane_write=1, lane_heavy=1, lane_stream=1, log_level="warning")
    public = Client(server, None, None)
    site = Site(cluster, server, Records(public.as_token(public.token_for(host["client_id"], host["client_secret"])), contract), host)
    site.shim = Place(calls)
    yield site
    calls.disarm()
    server.close()


def cases(site):
    def create():
        title = name()
        return site.json("POST", "/v1/communities", site.officer, {"name": title, "kind": "interest"}, Idempotency_Key=title.replace(" ", "-"))

    def named(wire):
        return site.rows("SELECT count(*) FROM wardmote.community WHERE name = %s", json.loads(wire.body)["name"])

    def large():
        return site.json("POST", "/v1/communities", site.officer, {"name": name(), "kind": "interest", "summary": "x" * 200000})

    return [Case("list in gzip", lambda: site.get("/v1/communities?limit=30", site.officer, **{"Accept-Encoding": "gzip"})), Case("create", create, effect=named),
            Case("OpenAPI", lambda: site.get("/openapi.json", None)), Case("foreign", lambda: site.get(f"/v1/communities/{site.community['id']}", site.other.officer)),
            Case("a large body", large, volatile=True)]


def test_requests(calls, world):
    for case in cases(world):
        send(world.server, case.make())  # caches fill, statements are prepared
        calls.arm(0, world.shim.groups)
        send(world.server, case.make())
        found = calls.calls()
        calls.disarm()
        for place, nth in places(found, str(case), 3):
            run = Run(world, case, [place])
            run.fail(nth, False)
        print(f"{case}: {len(found)} places")


def end_backends(site):
    with contextlib.closing(site.cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'wardmote' AND usename = 'wardmote_api'")
        assert cursor.fetchone()[0] > 0


def test_the_way_back_to_the_database(calls, world):
    """Its connections are ended, and a call of their renewal fails: they come back."""
    case = cases(world)[1]
    calls.arm(0, world.shim.groups)
    end_backends(world)
    send(world.server, case.make())
    until(lambda: send(world.server, case.make()).status == 201)
    found = calls.calls()
    for place, nth in places(found, "way back", 4):
        run = Run(world, case, [place])
        calls.arm(nth, world.shim.groups, place)
        end_backends(world)
        with contextlib.suppress(AssertionError):
            until(lambda: calls.failures > 0, 1)
        assert world.server.alive(), f"{calls.failed}: {world.server.log()[-3000:]}"
        run.settle(case.make(), f"way back, {calls.failed}")
        calls.disarm()
        world.server.wait_ready()
    print(f"way back: {len(found)} places")


# --- wardmote dev ---

def test_dev(calls):
    """Everything with one command: it says what went wrong and leaves no process, or it runs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wmd-", dir="/tmp"))
    folder.chmod(0o755)

    def run(data):
        log = folder / f"log-{time.monotonic_ns()}"
        with open(log, "wb") as out:
            process = subprocess.Popen([wardmote_server.binary(), "dev", "--port", "0", "--data", str(data), "--sample", "none"], env=calls.environment(), stdout=out,
                                       stderr=out)
        try:
            until(lambda: process.poll() is not None or b"Ctrl-C" in log.read_bytes(), SECONDS)
            process.send_signal(signal.SIGTERM)
            return process.wait(60), log.read_text(encoding="utf-8", errors="replace")
        finally:
            process.kill()
            process.wait()

    try:
        calls.arm(0, SYSTEM | MEMORY | own_calls.JSON | own_calls.CURL)
        status, text = run(folder / "data")
        assert status == 0, text
        found = calls.calls()
        shutil.copytree(folder / "data", folder / "kept", symlinks=True)
        places = sorted(found)
        for place in wardmote_long.pick(wardmote_long.rng("dev").sample(places, 2), places):
            calls.arm(1, ALL, place)
            status, text = run(folder / "data")
            assert status == 0 or (status == 1 and "wardmote dev: " in text), f"{calls.failed} at {place:#x}: {status} {text}"
            if calls.failures == 0:  # only a first start comes there
                calls.arm(1, ALL, place)
                status, text = run(folder / "fresh")
                assert status == 0 or (status == 1 and "wardmote dev: " in text), f"{calls.failed} at {place:#x}: {status} {text}"
                shutil.rmtree(folder / "fresh", ignore_errors=True)
        print(f"dev: {len(found)} places")
    finally:
        calls.disarm()
        shutil.rmtree(folder, ignore_errors=True)
