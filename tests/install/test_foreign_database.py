# SPDX-License-Identifier: AGPL-3.0-or-later
"""A database server that somebody else made and guards: TLS alone, passwords alone, a superuser of another name; and on it what `wardmote setup` makes, nothing more.
Every connection of ours verifies whom it talks to, or there is none."""
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import psycopg2
import pytest

from wardmote_certificates import Authority
from wardmote_server import _listener, _postgres_folder, binary, make_keys  # pylint: disable=protected-access
from wardmote_suite import until

OWNER, API, DBA = "the owner's", "the server's", "the administrator's"
NAME = "engagement"  # of the database


def postgres_ids():
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid


class Foreign:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bin = _postgres_folder()
        self.data = self.folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        os.chmod(self.folder, 0o755)
        self.authority = Authority(self.folder)
        self.ids = postgres_ids()
        os.chown(self.folder, *self.ids)
        (self.folder / "password").write_text(DBA, encoding="utf-8")
        os.chown(self.folder / "password", *self.ids)
        self._run("initdb", "-D", str(self.data), "-E", "UTF8", "--locale=C.UTF-8", "-N", "-U", "dba", "-A", "scram-sha-256", f"--pwfile={self.folder}/password")
        self.certify()
        self.rules("hostssl all all 127.0.0.1/32 scram-sha-256")
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", f"{self.folder}/log", "-o",
                  f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c ssl=on -c ssl_cert_file={self.folder}/db.crt "
                  f"-c ssl_key_file={self.folder}/db.key -c ssl_ca_file={self.authority.path} -c fsync=off -c max_connections=200 -c log_connections=on", "start")

    def _run(self, program, *arguments):
        command = [f"{self.bin}/{program}", *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def certify(self, **options):
        self.authority.issue("db", owner=self.ids, **{"subject": "localhost", "names": ("localhost",), **options})

    def rules(self, *lines):
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def reload(self):
        self._run("pg_ctl", "-D", str(self.data), "-s", "reload")

    def uri(self, role, host="localhost", database=NAME, **options):
        password = {"wardmote_owner": OWNER, "wardmote_api": API, "dba": DBA}.get(role)
        words = {"host": host, "hostaddr": "127.0.0.1", "port": self.port, "user": role, "dbname": database, "sslmode": "verify-full",
                 "sslrootcert": self.authority.path, "password": password, **options}
        return " ".join(f"{name}='" + str(value).replace("'", "\\'") + "'" for name, value in words.items() if value is not None)

    def connect(self, role="dba", database=NAME):
        connection = psycopg2.connect(self.uri(role, database=database))
        connection.autocommit = True
        return connection

    def rows(self, text, *values):
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()

    def close(self):
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def wardmote(*arguments, **environment):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment})


@pytest.fixture(scope="module", name="database")
def _database():
    foreign = Foreign(tempfile.mkdtemp(prefix="wmx-", dir="/tmp"))
    script = wardmote("setup", "--database-name", NAME)
    assert script.returncode == 0
    done = subprocess.run([f"{foreign.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"owner_password={OWNER}", "-v", f"api_password={API}",
                           foreign.uri("dba", database="postgres")], input=script.stdout, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    done = wardmote("migrate", "--database", foreign.uri("wardmote_owner"))
    assert done.returncode == 0, done.stderr
    yield foreign
    foreign.close()


@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return make_keys(type("Folder", (), {"folder": str(folder)}))


class Serving:
    """`wardmote serve` with a URI of its own."""

    def __init__(self, uri, keys, **settings):
        with _listener() as first, _listener() as second:
            self.port, self.admin = first.getsockname()[1], second.getsockname()[1]
        flags = {"listen": f"127.0.0.1:{self.port}", "admin_listen": f"127.0.0.1:{self.admin}", "key_dir": keys, "workers": 1,
                 "public_url": f"http://127.0.0.1:{self.port}", **settings}
        self.process = subprocess.Popen([binary(), "serve", *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())], text=True,
                                        stderr=subprocess.PIPE, env={**os.environ, "WARDMOTE_DATABASE": uri})

    def get(self, path, port=None):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        return self.get("/readyz", self.admin)

    def __enter__(self):
        until(lambda: self.get("/livez", self.admin)[0] == 200, 30)
        return self

    def stop(self):
        """Its log."""
        self.process.terminate()
        _, log = self.process.communicate(timeout=30)
        return log

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def test_the_two_roles_have_nothing_more(database):
    """No more rights than the documentation says, and the administrator has made nothing by hand."""
    assert database.rows("SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname LIKE 'wardmote%%' ORDER BY 1") \
        == [("wardmote_api", False, False, False, False, False), ("wardmote_owner", False, False, False, False, False)]
    assert database.rows("SELECT count(*) FROM pg_class WHERE relowner = 'wardmote_api'::regrole") == [(0,)]
    assert database.rows("SELECT count(*) FROM pg_proc WHERE proowner = 'wardmote_api'::regrole") == [(0,)]
    assert database.rows("SELECT count(*) FROM pg_auth_members WHERE member = 'wardmote_api'::regrole OR roleid = 'wardmote_api'::regrole") == [(0,)]
    assert database.rows("SELECT has_database_privilege('wardmote_api', %s, 'CREATE'), has_database_privilege('wardmote_api', %s, 'TEMP')", NAME, NAME) \
        == [(False, False)]


def test_serving_over_tls_alone(database, keys):
    """Setup, migrate, key, account, serve, a write and a read; and what pg_stat_ssl says of each connection of ours meanwhile."""
    made = wardmote("account", "create", "--partner", "Host Council", "--kind", "council", "--service", "Test", "--database", database.uri("wardmote_owner"))
    assert made.returncode == 0, made.stderr
    account = json.loads(made.stdout)
    with Serving(database.uri("wardmote_api"), keys) as server:
        until(lambda: server.ready()[0] == 200, 30)
        ours = database.rows("SELECT ssl, version, count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE 'wardmote%%' GROUP BY 1, 2")
        assert [(row[0], row[1]) for row in ours] == [(True, "TLSv1.3")] and ours[0][2] >= 4
        form = f"grant_type=client_credentials&client_id={account['client_id']}&client_secret={account['client_secret']}"
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/oauth/token", form.encode(), timeout=10) as answer:
            token = json.loads(answer.read())["access_token"]
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/partners", b'{"name": "Another", "kind": "council"}',
                                         {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201
        assert "Another" in server.get("/v1/partners")[1]
        log = server.stop()
    assert "nothing makes sure which" not in log
    text = (database.folder / "log").read_text(encoding="utf-8")
    connections = re.findall(r"connection authorized: user=(wardmote_\w+) .*", text)
    assert {"wardmote_owner", "wardmote_api"} == set(connections)
    assert all("SSL enabled" in line for line in text.splitlines() if "connection authorized: user=wardmote_" in line), "migrate's too"


def test_what_the_doctor_says(database, keys):
    done = wardmote("doctor", "--database", database.uri("wardmote_api"), "--key-dir", keys)
    assert done.returncode == 0 and re.search(r"^ok +connection ", done.stdout, re.M), done.stdout


WRONG = {
    "another authority": ({}, {"sslrootcert": "other"}, "certificate verify failed"),
    "another host name": ({}, {"host": "db.example.org"}, 'server certificate for "localhost" does not match host name "db.example.org"'),
    "an expired certificate": ({"days": (-9, -1)}, {}, "certificate"),
    "a wrong password": ({}, {"password": "guessed"}, "password authentication failed"),
    "no TLS": ({}, {"sslmode": "disable", "sslrootcert": None}, "no encryption"),
    "no such file": ({}, {"sslrootcert": "/nowhere/ca.pem"}, 'root certificate file "/nowhere/ca.pem" does not exist'),
}


@pytest.mark.parametrize("case", WRONG)
def test_who_is_not_verified_is_not_talked_to(database, keys, tmp_path, case):
    """Commands end with the reason; the server is not ready and logs it; no session of ours was opened."""
    certificate, options, message = WRONG[case]
    if options.get("sslrootcert") == "other":
        options = {"sslrootcert": Authority(tmp_path, "other").path}
    before = (database.folder / "log").read_text(encoding="utf-8").count("connection authorized: user=wardmote_")
    if certificate:
        database.certify(**certificate)
        database.reload()
        time.sleep(0.3)  # the postmaster reads it on its signal
    try:
        for command in (["migrate", "--status"], ["migrate"]):
            done = wardmote(*command, "--database", database.uri("wardmote_owner", **options))
            assert done.returncode == 1 and message in done.stderr, (done.returncode, done.stderr)
        done = wardmote("doctor", "--database", database.uri("wardmote_api", **options), "--key-dir", keys)
        assert done.returncode != 0 and message in done.stdout
        with Serving(database.uri("wardmote_api", **options), keys) as server:
            status, body = server.ready()
            assert status == 503 and json.loads(body)["database_reachable"] is False
            assert server.get("/v1/partners")[0] == 503
            log = server.stop()
        assert message in log.replace('\\"', '"')
        for secret in (OWNER, API, "guessed"):
            assert secret not in log
    finally:
        if certificate:
            database.certify()
            database.reload()
            time.sleep(0.3)  # likewise
    assert (database.folder / "log").read_text(encoding="utf-8").count("connection authorized: user=wardmote_") == before


def test_client_certificates_and_channel_binding(database, keys):
    """Both ways in which the server can prove itself to the database without saying a password that another could use."""
    certificate, key = database.authority.issue("client", subject="wardmote_api", names=())
    done = wardmote("doctor", "--database", database.uri("wardmote_api", channel_binding="require"), "--key-dir", keys)
    assert "could not say" not in done.stdout and "start the database" not in done.stdout, done.stdout
    database.rules("hostssl all wardmote_api 127.0.0.1/32 cert", "hostssl all all 127.0.0.1/32 scram-sha-256")
    database.reload()
    try:
        uri = database.uri("wardmote_api", password=None, sslcert=certificate, sslkey=key)
        with Serving(uri, keys) as server:
            until(lambda: server.ready()[0] == 200, 30)
            names = database.rows("SELECT DISTINCT client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'wardmote_api'")
            assert names == [("/CN=wardmote_api",)]
    finally:
        database.rules("hostssl all all 127.0.0.1/32 scram-sha-256")
        database.reload()


def test_an_administrator_who_is_no_superuser(database):
    """As managed services have it: CREATEROLE and CREATEDB. Only the extension is for somebody else, between two runs. A database of another name."""
    with contextlib.closing(database.connect(database="postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'm'")

    def setup():
        script = wardmote("setup", "--database-name", "managed").stdout
        return subprocess.run([f"{database.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", database.uri("manager", database="postgres", password="m")],
                              input=script, capture_output=True, text=True, timeout=60, check=False)
    done = setup()
    assert done.returncode == 3 and 'permission denied to create extension "postgis"' in done.stderr, done.stderr
    with contextlib.closing(database.connect(database="managed")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION postgis SCHEMA public")
    done = setup()
    assert done.returncode == 0, done.stderr
    done = wardmote("migrate", "--database", database.uri("wardmote_owner", database="managed"))
    assert done.returncode == 0, done.stderr
