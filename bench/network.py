# SPDX-License-Identifier: AGPL-3.0-or-later
"""The clusters that the bench measures on: PostgreSQL with what `wardmote migrate` and network.sql make, built once in a folder and kept."""
import getpass
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import segments  # pylint: disable=wrong-import-position
import wardmote_server  # pylint: disable=wrong-import-position

# Durable as PostgreSQL comes; a quarter of the memory for it, as its manual says.
BUFFERS = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 >> 20
SETTINGS = (f"-c listen_addresses= -c max_connections=300 -c shared_buffers={BUFFERS}MB -c effective_cache_size={2 * BUFFERS}MB -c max_wal_size=8GB "
            "-c checkpoint_timeout=30min -c log_min_messages=warning ")
LOADING = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 "
POLYGONS = ("41-wards-2025.json", "43-lsoa-2021.json")


class Kept(wardmote_server.Cluster):
    """A cluster in a folder of one's own, which stays. Its databases: one for each network."""

    def __init__(self, folder):  # pylint: disable=super-init-not-called
        self.folder = str(folder)
        self.bin = wardmote_server._postgres_folder()
        self.settings = ""
        os.makedirs(self.folder, exist_ok=True)
        if not os.path.exists(f"{self.folder}/data/PG_VERSION"):
            shutil.rmtree(f"{self.folder}/data", ignore_errors=True)
            if os.geteuid() == 0:
                shutil.chown(self.folder, "postgres")
            self._run("initdb", "-D", f"{self.folder}/data", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-U", "postgres")

    def begin(self, loading=False):
        """(Re)starts it; `loading`: fast, and lost in a crash."""
        if self.running():
            self.stop()
        self.settings = SETTINGS + (LOADING if loading else "") + f"-c unix_socket_directories={self.folder} " + segments.SETTINGS
        self.start()

    def running(self):
        done = subprocess.run(["runuser", "-u", "postgres", "--"][: 4 if os.geteuid() == 0 else 0] + [f"{self.bin}/pg_ctl", "-D", f"{self.folder}/data", "status"],
                              capture_output=True, check=False, cwd="/")
        return done.returncode == 0

    def close(self):
        if self.running():
            self.stop()

    def psql(self, database, script, **variables):
        given = [part for name, value in variables.items() for part in ("-v", f"{name}={value}")]
        done = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *given, self.uri("postgres", database), "-f", str(script)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{script}: {done.stderr[-3000:]}")


class Network:
    """One database of a cluster, with the administrator's account of its host partner."""

    def __init__(self, cluster, database):
        self.cluster = cluster
        self.database = database
        self._notes = pathlib.Path(cluster.folder) / f"{database}.json"
        self.host = json.loads(self._notes.read_text(encoding="utf-8"))["host"] if self._notes.exists() else None

    def is_built(self, plan):
        return self._notes.exists() and json.loads(self._notes.read_text(encoding="utf-8"))["plan"] == plan

    def connect(self, role="postgres"):
        return self.cluster.connect(role, self.database)

    def warm(self):
        """Into memory with what is read and written; the planner's own reading of the catalogue comes with the first requests."""
        with self.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            cursor.execute("SELECT sum(pg_prewarm(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'i', 't') "
                           "AND n.nspname IN ('wardmote', 'history', 'pg_toast') AND pg_relation_size(c.oid) > 0")

    def build(self, plan):
        """`plan`: the psql variables of network.sql, and a fingerprint of what the data depends on."""
        began = time.monotonic()
        with self.cluster.connect("postgres", "postgres").cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{self.database}"')
        self.cluster.setup(self.database)
        self.host = wardmote_server.make_administrator(self.cluster, self.database)
        with self.connect() as connection:
            load_polygons(connection)
        self.cluster.psql(self.database, ROOT / "bench/network.sql", host=self.host["partner_id"], **{name: plan[name] for name in ("rows", "partners", "secret", "sets")})
        seconds = time.monotonic() - began
        self._notes.write_text(json.dumps({"plan": plan, "host": self.host, "seconds": round(seconds)}), encoding="utf-8")
        return seconds


def load_polygons(connection):
    """The real polygons of the sample, which network.sql tiles."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_place (name text, geometry geometry)")
        for name in POLYGONS:
            for record in json.loads((ROOT / "sample/norwich" / name).read_text(encoding="utf-8"))["records"]:
                body = record.get("body", record)
                cursor.execute("INSERT INTO bench_place VALUES (%s, ST_SetSRID(ST_GeomFromGeoJSON(%s), 4326))", (body["name"], json.dumps(body["geometry"])))


def fingerprint():
    """Of what the data is made with: another migration, another network."""
    done = subprocess.run(["cksum", *sorted(map(str, (ROOT / "migrations").glob("*.sql"))), str(ROOT / "bench/network.sql")], capture_output=True, text=True, check=True)
    return re.sub(r"\S+/", "", done.stdout)


def plan_of(rows, partners=60, secret=0, sets=1):
    """What network.sql is told."""
    return {"rows": rows, "partners": partners, "secret": secret, "sets": sets}


def networks(folder, rows, say, more=None):
    """The cluster in `folder`, running, and its networks by name, `more` among them; what is missing or out of date is built."""
    cluster = Kept(folder)
    wanted = {f"n{count}": plan_of(count, sets=6 if count == 1_000_000 else 1) for count in sorted({100_000, 1_000_000, rows})}
    wanted = {**wanted, "private": plan_of(1_000_000, secret=1), **(more or {})}
    made = {name: Network(cluster, name) for name in wanted}
    mark = fingerprint()
    missing = [name for name, plan in wanted.items() if not made[name].is_built({**plan, "from": mark})]
    if missing:
        cluster.begin(loading=True)
        for name in missing:
            say(f"building {name}: {wanted[name]['rows']:,} consultations")
            say(f"  took {made[name].build({**wanted[name], 'from': mark}):.0f} s")
    cluster.begin()
    return cluster, made


if __name__ == "__main__":
    networks(sys.argv[1], int(sys.argv[2]), lambda text: print(text, flush=True))
