# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command line: what each subcommand prints, and what it says and ends with when it is misused. 0 good, 1 failed, 2 misused."""
import json
import os
import re
import socket
import subprocess

import pytest

import wardmote_server

MISUSED = 2
SECRET = "postgresql://wardmote_api:S3cret@db.example.org/wardmote"


def command(*arguments, **environment):
    return subprocess.run([wardmote_server.binary(), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], **environment})


# --- the program ---

@pytest.mark.parametrize("asked", ["help", "--help", "-h"])
def test_help_names_every_command(asked):
    done = command(asked)
    assert done.returncode == 0 and done.stderr == ""
    names = re.findall(r"^  (\w+) +\S", done.stdout, re.M)
    assert {"serve", "setup", "migrate", "account", "key", "load", "dev", "doctor", "config", "openapi", "problems", "version"} <= set(names)


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version(asked):
    assert re.fullmatch(r"wardmote \d+\.\d+\.\d+\n", command(asked).stdout)


@pytest.mark.parametrize("arguments, said", [
    ([], "usage: wardmote COMMAND"),
    (["sevre"], "no command sevre"),
    (["version", "2"], "2\nusage: wardmote version"),
    (["sql"], "one argument is needed"),
    (["sql", "risks", "more"], "one argument is needed"),
    (["sql", "nothing"], "no such resource"),
    (["openapi", "more"], "no argument is taken"),
    (["problems", "more"], "no argument is taken"),
    (["privacy", "--xml"], "privacy is printed as text, with --json, or with --csv"),
    (["privacy", "--json", "--csv"], "no argument is taken"),
    (["config", "--nonsense"], "unknown argument --nonsense"),
    (["config", "--config"], "--config needs a value"),
    (["key"], "key knows two things to do"),
    (["key", "delete"], "key knows two things to do"),
    (["key", "create", "--key-dri", "x"], "unknown argument --key-dri"),
    (["account"], "account knows one thing to do"),
    (["account", "remove"], "account knows one thing to do"),
    (["account", "create", "--partner", "P", "--kind", "council"], "either a service or a person's login and name"),
    (["account", "create", "--partner", "P", "--kind", "council", "--service", "S", "--name", "N"], "either a service or a person's login and name"),
    (["account", "create", "--partner", "P", "--partner", "Q"], "--partner is given twice"),
    (["account", "create", "--partner"], "--partner needs a value"),
    (["account", "create", "partner"], "unknown argument partner"),
    (["migrate", "--status=yes"], "unknown argument --status"),
    (["migrate", "--now"], "unknown argument --now"),
    (["doctor", "--jsno"], "unknown argument --jsno"),
    (["doctor"], "the database is not set"),
    (["setup", "--database-name", "Ward mote"], "a database's name consists of lower-case letters"),
    (["setup", "now"], "unknown argument now"),
    (["restored", "--database-name", "Ward mote"], "a database's name consists of lower-case letters"),
    (["restored", "now"], "unknown argument now"),
    (["erasures", "--agian", "file"], "unknown argument --agian"),
    (["serve", "now"], "unknown argument now"),
    (["serve"], "the database is not set"),
    (["load", "--url", "http://localhost"], "usage: wardmote load"),
    (["load", "--urrl", "http://localhost"], "usage: wardmote load"),
])
def test_misuse_is_told_and_ends_with_2(arguments, said):
    done = command(*arguments)
    assert done.returncode == MISUSED, done.stderr
    assert said in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments, said", [
    (["migrate"], "the database is not set"),
    (["account", "create", "--partner", "P", "--kind", "council", "--service", "S"], "the database is not set"),
    (["erasures"], "the database is not set"),
    (["erasures", "--again", "/proc/none"], "/proc/none: No such file"),
    (["key", "rotate", "--key-dir", "/proc/none"], "key rotate"),
    (["key", "create", "--key-dir", "/proc/none"], "key create"),
])
def test_what_cannot_be_done_is_told_and_ends_with_1(arguments, said):
    done = command(*arguments)
    assert done.returncode == 1 and said in done.stderr, done.stderr


@pytest.mark.parametrize("asked", [["openapi"], ["problems"], ["help"], ["version"], ["setup"], ["restored"]])
def test_output_that_cannot_be_written_is_a_failure(asked):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([wardmote_server.binary(), *asked], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1 and b"cannot write the output" in done.stderr


# --- settings ---

def test_config_shows_values_and_where_they_come_from(tmp_path):
    settings = tmp_path / "wardmote.conf"
    settings.write_text("# ours\n\nworkers = 3\nlane_read = 4\n", encoding="utf-8")
    done = command("config", "--config", settings, "--lane-read=5", "--server-timing", "true", WARDMOTE_DATABASE=SECRET, WARDMOTE_WORKERS="2")
    assert done.returncode == 0, done.stderr
    shown = dict(re.findall(r"^(\w+) = (.*)\n    from (?:.*?);", done.stdout, re.M))
    origins = dict(re.findall(r"^(\w+) = .*\n    from (.*?);", done.stdout, re.M))
    assert (shown["workers"], origins["workers"]) == ("2", "WARDMOTE_WORKERS")
    assert (shown["lane_read"], origins["lane_read"]) == ("5", "--lane-read")
    assert (shown["server_timing"], origins["lane_write"]) == ("true", "default")
    assert (shown["access_token_seconds"], shown["rate_anonymous"]) == ("600", "600")
    assert shown["database"] == "(set)" and "S3cret" not in done.stdout
    assert "One process opens 37 database connections: 2 workers x (5 read + 8 write + 2 heavy + 2 stream) + 3." in done.stdout


def test_a_secret_may_lie_in_a_file(tmp_path):
    (tmp_path / "uri").write_text(f"  {SECRET}\n", encoding="utf-8")
    done = command("config", WARDMOTE_DATABASE_FILE=tmp_path / "uri")
    assert "database = (set)\n    from WARDMOTE_DATABASE_FILE" in done.stdout and "S3cret" not in done.stdout
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "settings").write_text("database = postgresql:///there\n", encoding="utf-8")
    assert f"from {tmp_path}/settings" in command("config", "--config", tmp_path / "settings", WARDMOTE_DATABASE_FILE=tmp_path / "empty").stdout
    refused = command("config", WARDMOTE_DATABASE_FILE=tmp_path / "none")
    assert refused.returncode == MISUSED and "named by WARDMOTE_DATABASE_FILE: No such file" in refused.stderr
    assert command("config", WARDMOTE_LISTEN_FILE=tmp_path / "uri").returncode == MISUSED, "no other setting is read from a file of its own"


@pytest.mark.parametrize("text, said", [
    ("workers\n", "line 1: expected `name = value`"),
    ("workers = 1\nworkers = 2\n", "line 2: workers is set twice"),
    ("wrokers = 1\n", "line 1: `wrokers` is not a setting"),
    ("#" * 70000, "File too large"),
    ("workers = 1\n\0", "cannot read the settings file"),
])
def test_a_bad_file_is_refused(tmp_path, text, said):
    (tmp_path / "conf").write_text(text, encoding="utf-8")
    done = command("config", WARDMOTE_CONFIG=tmp_path / "conf")
    assert done.returncode == MISUSED and said in done.stderr


def test_a_folder_is_no_settings_file(tmp_path):
    done = command("config", "--config", tmp_path)
    assert done.returncode == MISUSED and "cannot read the settings file" in done.stderr


# --- keys ---

def test_key_create_makes_what_is_missing_and_no_more(tmp_path):
    folder = tmp_path / "keys"
    assert command("key", "create", "--key-dir", folder).returncode == 0
    made = sorted(path.name for path in folder.iterdir())
    assert command("key", "create", "--key-dir", folder).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == made
    kid = command("key", "rotate", "--key-dir", folder).stdout.strip()
    assert (folder / f"{kid}.pem").stat().st_mode & 0o777 == 0o600
    (folder / f"{kid}.pem").chmod(0o644)
    done = command("key", "create", "--key-dir", folder)
    assert done.returncode == 1 and "key create" in done.stderr, "a key that others can read is not taken for good"


# --- what is printed ---

def test_sql_prints_the_standard_statements():
    done = command("sql", "risks")
    assert done.returncode == 0 and "api.risk" in done.stdout and done.stdout.endswith("\n")


def test_documents_are_whole():
    assert json.loads(command("openapi").stdout)["openapi"].startswith("3.1")
    assert command("problems").stdout.startswith("#")
    assert "CREATE ROLE wardmote_api" in command("setup").stdout


# --- starting to listen ---

@pytest.mark.parametrize("setting", ["listen", "admin_listen"])
def test_an_address_that_is_taken_is_named(cluster, keys, server, setting):
    arguments = {"database": cluster.uri("wardmote_api"), "key_dir": keys, "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "workers": 1,
                 setting: f"127.0.0.1:{server.port}"}
    done = command("serve", *(f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in done.stderr, done.stderr


def test_a_host_that_is_silent_is_passed_over(cluster, keys, server):  # pylint: disable=unused-argument
    """The machine of the former primary is gone: a command goes on to the next host of the URI after connect_timeout, as libpq does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"host=127.0.0.1,{cluster.uri('wardmote_owner').rsplit('=', 1)[1]} port={silent.getsockname()[1]},5432"
        done = command("migrate", "--database", f"{hosts} user=wardmote_owner dbname=wardmote connect_timeout=2")
        assert (done.returncode, done.stderr) == (0, "")
