# SPDX-License-Identifier: AGPL-3.0-or-later
"""PgBouncer in transaction mode in front of a cluster. With WARDMOTE_TEST_POOLER=1 every server of a test run stands behind one, but for those that a test puts
behind something itself. What cannot hold there is in UNFIT, with the reason."""
import atexit
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2

CONFIG = """[databases]
* = host={cluster} pool_mode=transaction
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
admin_users = pooler
logfile = {folder}/log
pool_mode = transaction
max_client_conn = 2000
default_pool_size = {pool}
"""
READY_SECONDS = 20
# Tests that cannot hold behind a pooler, each with the reason: they are counted as skipped there.
BY_BACKEND = "it tells lanes apart by their backends, and here any lane may have any of them"
UNFIT = {
    "tests/api/test_effort.py::test_it_is_remembered": BY_BACKEND,
    "tests/api/test_effort.py::test_a_list_without_conditions_is_not_cut_short": BY_BACKEND,
    "tests/api/test_effort.py::test_counting_all_is_heavy_from_the_start": BY_BACKEND,
}


class Pooler:
    """PgBouncer on a unix socket of its own. `cluster` may be whatever has a folder with PostgreSQL's socket: a proxy."""

    def __init__(self, cluster, pool=10):
        self.folder = tempfile.mkdtemp(prefix="wmt-pooler-", dir="/tmp")
        pathlib.Path(self.folder, "users").write_text('"wardmote_api" ""\n"pooler" ""\n', encoding="utf-8")
        pathlib.Path(self.folder, "pgbouncer.ini").write_text(CONFIG.format(cluster=cluster.folder, folder=self.folder, pool=pool), encoding="utf-8")
        if os.geteuid() == 0:
            for path in (self.folder, f"{self.folder}/users", f"{self.folder}/pgbouncer.ini"):
                shutil.chown(path, "postgres")
        self.process = None
        atexit.register(self.close)
        self.start()

    def start(self):
        command = ["pgbouncer", "-q", f"{self.folder}/pgbouncer.ini"]
        if os.geteuid() == 0:  # it refuses to be root
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(f"{self.folder}/.s.PGSQL.6432") == 0:
                    return
            time.sleep(0.02)  # between two looks: the deadline decides
        raise RuntimeError(f"pgbouncer does not run: {pathlib.Path(self.folder, 'log').read_text(encoding='utf-8')}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        pathlib.Path(self.folder, ".s.PGSQL.6432").unlink(missing_ok=True)

    def command(self, text):
        """On its own console: RELOAD, PAUSE, RESUME, RECONNECT."""
        with contextlib.closing(psycopg2.connect(self.uri("pooler", "pgbouncer"))) as console, console.cursor() as cursor:
            console.autocommit = True
            cursor.execute(text)

    def stop(self):
        """As a service manager asks it to, which takes what is under way with it."""
        self.process.terminate()
        self.process.wait()

    def uri(self, role, database="wardmote"):
        return f"postgresql://{role}@/{database}?host={self.folder}&port=6432"

    def close(self):
        atexit.unregister(self.close)
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


_POOLERS = {}


def of_cluster(cluster):
    """The one that the servers of a test run share, where the run asks for one."""
    if cluster.folder not in _POOLERS:
        _POOLERS[cluster.folder] = Pooler(cluster)
    return _POOLERS[cluster.folder]


def unfit(node_id):
    """Why a test is left out of this run; None: it is not."""
    return UNFIT.get(node_id.split("[")[0]) if os.environ.get("WARDMOTE_TEST_POOLER") else None


def settings(cluster, database):
    """What the environment asks of every server: WARDMOTE_TEST_POOLER=1, WARDMOTE_TEST_TRANSACTIONS=explicit."""
    found = {}
    if os.environ.get("WARDMOTE_TEST_POOLER") and not isinstance(cluster, Pooler):
        found = {"database": of_cluster(cluster).uri("wardmote_api", database), "database_direct": cluster.uri("wardmote_api", database),
                 "pooler": "transaction"}
    if os.environ.get("WARDMOTE_TEST_TRANSACTIONS"):
        found["transactions"] = os.environ["WARDMOTE_TEST_TRANSACTIONS"]
    return found
