# SPDX-License-Identifier: AGPL-3.0-or-later
"""A private PostgreSQL cluster, and the real binary on it: what every test of behaviour runs against. Nothing is shared with a system cluster; sockets
are bound here and handed to the server, so that no two runs can meet on a port."""
import atexit
import fcntl
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import psycopg2

import wardmote_pooler

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY_SECONDS = 60
STOP_SECONDS = 30
TOKEN_SECONDS = 86400


def binary():
    """WARDMOTE_BIN, or the newest build."""
    named = os.environ.get("WARDMOTE_BIN")
    if named:
        return named
    found = [path for pattern in ("build*", "build/*") for path in glob.glob(str(ROOT / pattern / "src/server/wardmote"))]
    if not found:
        raise RuntimeError("no wardmote binary: build one, or set WARDMOTE_BIN")
    return max(found, key=os.path.getmtime)


def run(arguments, **options):
    """A subcommand that must work; its output."""
    done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=120, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"wardmote {' '.join(arguments[:2])} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _postgres_folder():
    folders = glob.glob("/usr/lib/postgresql/*/bin")
    return max(folders, key=lambda path: int(path.split("/")[4]))


class Cluster:
    """A throw-away cluster without durability, reached through a unix socket only. `more` are further settings: "-c log_statement=all"."""

    def __init__(self, more=""):
        self.folder = tempfile.mkdtemp(prefix="wmt-", dir="/tmp")
        self.bin = _postgres_folder()
        atexit.register(self.close)  # whatever becomes of the fixture that made it
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", f"{self.folder}/data", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N", "-U", "postgres")
        self.settings = (f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c full_page_writes=off "
                         "-c synchronous_commit=off -c max_connections=600 -c shared_buffers=32MB -c log_min_messages=error " + more)
        self.start()

    def _run(self, program, *arguments):
        command = [f"{self.bin}/{program}", *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def start(self):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-s", "-l", f"{self.folder}/log", "-o", self.settings, "start")

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-s", "-m", mode, "stop")

    def uri(self, role, database="wardmote"):
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def connect(self, role="wardmote_owner", database="wardmote"):
        connection = psycopg2.connect(self.uri(role, database))
        connection.autocommit = True
        return connection

    def setup(self, database="wardmote", api_password=None):
        """What an administrator and `wardmote migrate` do."""
        given = f"\\set api_password '{api_password}'\n" if api_password else ""
        script = given + run(["setup", "--database-name", database])
        done = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.uri("postgres", "postgres")], input=script, text=True,
                              capture_output=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the output of `wardmote setup` failed: {done.stderr}")
        run(["migrate", "--database", self.uri("wardmote_owner", database)])

    def close(self):
        atexit.unregister(self.close)
        if os.path.exists(f"{self.folder}/data/postmaster.pid"):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def _listener():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


class Server:
    """`wardmote serve` on sockets that it inherits. `settings` are flags without their dashes: rate_anonymous=5. `program` is another binary than that of
    the tests, `before` shell text that runs first ("ulimit -n 100;"), `environment` is added to ours."""

    def __init__(self, cluster, keys, database="wardmote", *, program=None, before="", environment=None, **settings):
        self.program = program
        self.before = before
        self.environment = environment or {}
        self.cluster = cluster
        self.keys = keys
        self.database = database
        self.sockets = [_listener(), _listener()]
        self.host, self.port = self.sockets[0].getsockname()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.sockets[1].getsockname()[1]}"
        # callers are signed in once for all tests, which take longer than ten minutes on a busy machine
        self.settings = {"rate_anonymous": 1000000, "rate_account": 1000000, "workers": 1, "access_token_seconds": TOKEN_SECONDS,
                         "overlap_settle_seconds": 3600, **settings}
        self.log_path = tempfile.mktemp(prefix="wmt-log-", dir=cluster.folder)
        self.process = None
        atexit.register(self._end)  # also where nobody closes it
        self.start()

    def _arguments(self):
        given = wardmote_pooler.settings(self.cluster, self.database)
        flags = {"database": self.cluster.uri("wardmote_api", self.database), **given, "key_dir": self.keys, "public_url": self.url, **self.settings}
        return [argument for name, value in flags.items() for argument in (f"--{name.replace('_', '-')}", str(value))]

    def start(self):
        """The sockets become descriptors 3 and 4, by way of copies above 10, since they may be 3 and 4 the other way round here."""
        fds = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 10) for listener in self.sockets]
        script = f'exec 3<&{fds[0]} 4<&{fds[1]} {fds[0]}<&- {fds[1]}<&-; {self.before} export LISTEN_FDS=2 LISTEN_PID=$$; exec "$@"'
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["/bin/bash", "-c", script, "sh", self.program or binary(), "serve", *self._arguments()], pass_fds=fds,
                                            stderr=log, stdout=log, start_new_session=True, env={**os.environ, **self.environment})
        for fd in fds:
            os.close(fd)
        self.wait_ready()

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def metric(self, name, label=""):
        """The sum over the rows of a metric, or over those with a label: 'lane="write"'."""
        with urllib.request.urlopen(f"{self.admin_url}/metrics", timeout=30) as answer:
            rows = answer.read().decode().splitlines()
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if re.split("[{ ]", row)[0] == f"wardmote_{name}" and label in row)

    def wait_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.log()}")
            try:
                with urllib.request.urlopen(f"{self.admin_url}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.02)  # between two looks, not a wait for luck: the deadline decides
        raise RuntimeError(f"the server is not ready after {READY_SECONDS} s: {self.log()}")

    def stop(self):
        """The exit status after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the server did not stop within {STOP_SECONDS} s: {self.log()}") from None

    def _end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def close(self):
        atexit.unregister(self._end)
        status = self.stop()
        for listener in self.sockets:
            listener.close()
        if status != 0:
            raise RuntimeError(f"the server ended with {status}: {self.log()}")


def make_keys(cluster):
    """A key folder beside the cluster."""
    folder = f"{cluster.folder}/keys"
    run(["key", "rotate", "--key-dir", folder])
    return folder


def make_administrator(cluster, database="wardmote"):
    """The first account: a service of the host partner. {"partner_id", "account_id", "client_id", "client_secret"}"""
    return json.loads(run(["account", "create", "--partner", "Host Council", "--kind", "council", "--service", "Test suite", "--database",
                           cluster.uri("wardmote_owner", database)]))
