# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote dev` by other ways than the first: as a user without rights, with samples, with settings, after a predecessor, and what it says when a part of it fails."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from wardmote_dev import Dev
from wardmote_server import binary


@pytest.fixture(scope="module", name="base")
def _base():
    """A folder that the user postgres can enter, also when the tests run as root."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="wmways-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(*arguments, **options):
    return subprocess.run([binary(), "dev", "--port", "0", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_without_rights(base, monkeypatch):
    """PostgreSQL runs as the same user then; nothing needs a right that a user has not. (The binary is copied: its folder may be closed to others.)"""
    theirs, program, wrapper = base / "theirs", base / "wardmote", base / "as-postgres"
    theirs.mkdir()
    shutil.chown(theirs, "postgres", "postgres")
    shutil.copy(binary(), program)
    wrapper.write_text(f'#!/bin/sh\ncd /\nexec setpriv --reuid postgres --regid postgres --clear-groups {program} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("WARDMOTE_BIN", str(wrapper))
    for _ in range(2):
        dev = Dev(theirs / "data")
        try:
            assert dev.status("/v1") == 200
            assert (theirs / "data/pg/PG_VERSION").owner() == "postgres" == (theirs / "data/dev.json").owner()
        finally:
            assert dev.stop() == 0


def test_samples(base):
    """demo has norwich in it; what is loaded is not loaded again, and a smaller sample does not take the larger away."""
    dev = Dev(base / "samples", sample="demo")
    try:
        assert "loading the sample demo" in dev.output and dev.state["sample"] == "demo"
        assert dev.status("/v1/localities?code=E05012901") == 200
    finally:
        assert dev.stop() == 0
    for sample in ("demo", "norwich"):
        dev = Dev(base / "samples", sample=sample)
        assert dev.stop() == 0 and "loading" not in dev.output
        assert dev.state["sample"] == "demo"
    dev = Dev(base / "grows", f"--sample-dir={pathlib.Path(__file__).parents[2] / 'sample'}", sample="norwich")
    assert dev.stop() == 0
    dev = Dev(base / "grows", sample="demo")
    assert dev.stop() == 0 and dev.state["sample"] == "demo"


def test_samples_of_which_neither_has_the_other_in_it(base):
    """places and demo both begin with norwich: each is loaded once, and what is loaded is remembered of both."""
    made = base / "made"
    for folder in ("norwich", "north-west-leicestershire", "durham", "demo"):
        (made / folder).mkdir(parents=True)
        (made / folder / "10-partners.json").write_text(json.dumps({"resource": "partners", "match": [["code"]], "records": [
            {"key": folder, "body": {"code": f"of-{folder}", "name": f"Body of {folder}", "kind": "other"}}]}), encoding="utf-8")
    for sample, loaded, state in (("norwich", 1, "norwich"), ("places", 3, "places"), ("norwich", 0, "places"), ("demo", 2, "places demo"),
                                  ("places", 0, "places demo"), ("demo", 0, "places demo"), ("none", 0, "places demo")):
        dev = Dev(base / "several", f"--sample-dir={made}", sample=sample)
        assert dev.stop() == 0
        assert dev.output.count("10-partners.json") == loaded and dev.state["sample"] == state, sample


def test_a_sample_that_cannot_be_loaded(base):
    done = run("--data", base / "nosample", "--sample", "norwich", "--sample-dir", base / "none")
    assert done.returncode == 1 and "the sample could not be loaded" in done.stderr


def test_settings_go_to_the_server(base):
    dev = Dev(base / "settings", "--workers=1", "--log-level", "debug")
    try:
        assert dev.status("/v1") == 200
        assert '"workers":1' in (dev.folder / "server.log").read_text(encoding="utf-8")
    finally:
        assert dev.stop() == 0


def test_a_server_that_does_not_start_is_shown(base):
    """Its log is: the setting passes its own check, and the server says that there is no such place to listen at."""
    done = run("--data", base / "settings", "--sample", "none", "--lane-read", "64", "--lane-write", "64", "--lane-heavy", "16", "--workers", "16")
    assert done.returncode == 1 and "the server ended while it started" in done.stderr and "max_connections" in done.stderr


@pytest.mark.parametrize("port", ["65536", "123456", "-1"])
def test_ports_that_are_none(base, port):
    done = subprocess.run([binary(), "dev", f"--port={port}", "--data", str(base / "none")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "a number up to 65535 is expected" in done.stderr and not (base / "none").exists()


def test_the_folder_where_none_is_named(base):
    where = base / "cwd"
    where.mkdir()
    done = run("--sample", "none", "--workers", "99", cwd=where)
    assert done.returncode == 2
    (where / "var").write_text("not a folder", encoding="utf-8")
    done = run(cwd=where)
    assert done.returncode == 1 and "var/dev" in done.stderr


def test_a_state_that_cannot_be_read(base):
    folder = base / "state"
    folder.mkdir()
    (folder / "dev.json").write_text("{", encoding="utf-8")
    done = run("--data", folder)
    assert done.returncode == 1 and "dev.json: " in done.stderr


def test_a_predecessor_is_waited_for(base):
    dev = Dev(base / "after")
    assert dev.stop() == 0
    with subprocess.Popen(["sleep", "2"]) as other:
        (dev.folder / "pg/postmaster.pid").write_text(f"{other.pid}\n", encoding="utf-8")
        threading.Thread(target=other.wait, daemon=True).start()  # else it would stay, dead
        dev = Dev(base / "after")
    assert dev.seconds > 1 and dev.stop() == 0


def test_it_ends_when_the_database_ends(base):
    dev = Dev(base / "after")
    number = int((dev.folder / "pg/postmaster.pid").read_text(encoding="utf-8").split()[0])
    os.kill(number, signal.SIGKILL)
    assert dev.process.wait(60) == 1
    assert "PostgreSQL ended with status 137" in dev.process.stdout.read().decode()
    dev.process.stdout.close()
