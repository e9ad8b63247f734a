# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote dev`: everything with one command, stopped cleanly by a signal, the data kept."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import urllib.request

import psycopg2
import pytest

from wardmote_dev import Dev
from wardmote_server import binary


@pytest.fixture(scope="module", name="base")
def _base():
    """A folder that the user postgres can enter, also when the tests run as root."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wmdev-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", name="dev")
def _dev(base):
    dev = Dev(base / "one")
    yield dev
    if dev.process.poll() is None:
        assert dev.stop() == 0


def processes_of(dev):
    """The server and PostgreSQL: the children."""
    children = pathlib.Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()
    return [int(child) for child in children]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def wait_gone(pids, seconds=30):
    deadline = time.monotonic() + seconds
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {[pid for pid in pids if not gone(pid)]}"
        time.sleep(0.02)


def test_it_tells_where_it_runs(dev):
    for name in ("url", "admin_url", "database", "client_id", "client_secret"):
        assert dev.state[name]
    assert dev.state["url"] in dev.output and dev.state["client_secret"] not in dev.output
    with urllib.request.urlopen(dev.state["admin_url"] + "/readyz", timeout=10) as answer:
        assert answer.status == 200


def test_what_is_secret_is_ours_alone(dev):
    for name in ("dev.json", "admin.curl", "postgres.log", "server.log"):
        assert stat.S_IMODE((dev.folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((dev.folder / "keys").stat().st_mode) == 0o700
    for pid in processes_of(dev):
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        assert dev.state["client_secret"] not in arguments and dev.state["database_password"] not in arguments


def test_the_printed_commands_work(dev):
    commands = re.findall(r"^curl .*$", dev.output, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(["bash", "-c", command + " -s --fail-with-body"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert json.loads(done.stdout)["role"] == "administrator"


def test_the_database_is_private_and_sound(dev):
    with dev.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), current_setting('listen_addresses'), "
                       "current_setting('data_checksums'), current_setting('server_encoding'), datcollate FROM pg_database "
                       "WHERE datname = current_database()")
        assert cursor.fetchone() == ("wardmote_api", False, "", "on", "UTF8", "C.UTF-8")
    wrong = dev.state["database"].replace(dev.state["database_password"], "guess")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(wrong)


def test_ctrl_c_in_its_terminal_does_not_reach_the_children(dev):
    ours = os.getsid(dev.process.pid)
    for pid in processes_of(dev):
        assert os.getsid(pid) not in (ours, os.getsid(0))


def test_two_run_side_by_side(dev, base):
    other = Dev(base / "two")
    try:
        assert other.state["url"] != dev.state["url"] and other.state["client_secret"] != dev.state["client_secret"]
        assert dev.status("/v1") == 200 and other.status("/v1") == 200
    finally:
        assert other.stop() == 0


def test_a_folder_has_one_at_a_time(dev):
    done = subprocess.run([binary(), "dev", "--port", "0", "--data", str(dev.folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "another" in done.stderr
    assert dev.status("/v1") == 200


def test_a_port_in_use_is_named_before_anything_starts(base):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([binary(), "dev", "--port", str(port), "--data", str(base / "three")], capture_output=True, text=True, timeout=60,
                              check=False)
    assert done.returncode == 1 and f"port {port}" in done.stderr
    assert not (base / "three/pg").exists()


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--sample", "oslo"], ["--nonsense", "1"], ["--workers", "99"], ["--data"]])
def test_bad_arguments_stop_the_start(base, arguments):
    done = subprocess.run([binary(), "dev", "--data", str(base / "four"), *arguments] if arguments != ["--data"] else [binary(), "dev", "--data"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and arguments[0] in done.stderr or arguments[0][2:] in done.stderr
    assert not (base / "four").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_and_the_data_stays(base, how):
    first = Dev(base / f"signal-{how}")
    owner = psycopg2.connect(first.state["database_owner"])
    with owner, owner.cursor() as cursor:
        cursor.execute("UPDATE wardmote.partner SET short_name = 'kept' WHERE host")
    owner.close()
    children = processes_of(first)
    assert len(children) == 2
    assert first.stop(how) == 0
    wait_gone(children)
    log = (first.folder / "postgres.log").read_text()
    assert "database system is shut down" in log.splitlines()[-1]

    second = Dev(first.folder)
    try:
        assert second.state["client_secret"] == first.state["client_secret"]
        with psycopg2.connect(second.state["database_owner"]) as owner, owner.cursor() as cursor:
            cursor.execute("SELECT short_name FROM wardmote.partner WHERE host")
            assert cursor.fetchone() == ("kept",)
        owner.close()
        if not os.environ.get("ASAN_OPTIONS"):  # a promise for the release build
            assert second.seconds < 3
    finally:
        assert second.stop() == 0


def test_the_children_do_not_outlive_a_kill(base):
    first = Dev(base / "killed")
    children = processes_of(first)
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_gone(children)
    second = Dev(first.folder)
    assert second.stop() == 0


def test_it_ends_when_the_server_ends(base):
    dev = Dev(base / "crash")
    children = processes_of(dev)
    server = next(pid for pid in children if b"serve" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(server, signal.SIGKILL)
    assert dev.process.wait(60) == 1
    assert "the server ended" in dev.process.stdout.read().decode()
    dev.process.stdout.close()
    wait_gone(children)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL to another user")
def test_a_folder_that_postgres_cannot_enter(base):
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    dev = Dev(closed / "data")
    assert dev.stop() == 0
    elsewhere = pathlib.Path((closed / "data/database-is-elsewhere.txt").read_text().splitlines()[1])
    try:
        assert str(elsewhere).startswith("/var/lib/wardmote-dev/") and (elsewhere / "PG_VERSION").exists()
    finally:
        shutil.rmtree(elsewhere.parent)
