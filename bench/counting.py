# SPDX-License-Identifier: AGPL-3.0-or-later
"""Instructions in user space that one request costs, counted by callgrind in the server and in the backend that serves it. Both run under valgrind from
their start; counting begins when everything is warm. Requests go one by one over one connection, so that nothing depends on time."""
import contextlib
import ctypes
import fcntl
import glob
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import wardmote_server  # pylint: disable=wrong-import-position
from wardmote_client import Client  # pylint: disable=wrong-import-position

PATIENCE = 120
AGAIN = 3  # seconds after which a signal is sent again: it may have come between looking for one and waiting
SIGNAL_START, SIGNAL_TAKE = 40, 41  # as in counting.c
# Each row is asked for in batches, and the median of them counts. The dearer ones repeat as well with fewer requests.
WARM, BATCHES = 6, 3
REQUESTS = {"GET one": 20, "GET one, anonymous": 20, "list of 50, two filters, sort": 5, "finder": 5, "POST create": 10, "PATCH": 10}
PARTS = ("server", "database")
MOST_RISE = 0.05
QUIET = 3  # looks in a row at which a thread waits: what follows an answer (its log line) is done
# Libraries choose by processor: with these, code that every one of the architecture has.
PLAIN = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load", "OPENSSL_ia32cap": "0x0:0x0", "LC_ALL": "C.UTF-8"}


def compiled(folder):
    """counting.c as a library."""
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", f"{folder}/counting.so", str(ROOT / "bench/counting.c")], check=True, timeout=PATIENCE)


def valgrind(folder):
    """The command before a program that is to be counted; what it counts is written to `folder`."""
    return ["env", *(f"{name}={value}" for name, value in PLAIN.items()), f"LD_PRELOAD={folder}/counting.so", "valgrind", "-q", "--tool=callgrind",
            "--vgdb=no", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={folder}/%p"]


class Cluster(wardmote_server.Cluster):
    """A cluster that runs under valgrind once it is made: counted() starts it anew."""

    def __init__(self):
        self.process = None
        super().__init__("-c autovacuum=off -c shared_buffers=256MB")
        self.counts = f"{self.folder}/counts"
        os.mkdir(self.counts)
        os.chmod(self.counts, 0o777)
        compiled(self.counts)

    def counted(self):
        self.stop()
        command = [*valgrind(self.counts), f"{self.bin}/postgres", "-D", f"{self.folder}/data", *self.settings.split()]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)  # pylint: disable=consider-using-with
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect("postgres")
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(.05)  # between two tries; the deadline decides

    def load(self, host):
        command = [f"{self.bin}/psql", "-X", "-q", "-v", f"host={host}", "-f", str(ROOT / "bench/instructions.sql"), self.uri("postgres")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def close(self):
        if self.process is not None:
            with contextlib.suppress(FileNotFoundError):
                os.kill(int(pathlib.Path(f"{self.folder}/data/postmaster.pid").read_text(encoding="ascii").split()[0]), signal.SIGINT)
            self.process.wait(PATIENCE)
            self.process = None
        super().close()


class Counted:
    """One process under callgrind; `thread` is the name of the one that waits in epoll_wait."""

    def __init__(self, folder, pid, thread=None):
        self.folder = folder
        self.pid = pid
        tasks = [int(task) for task in os.listdir(f"/proc/{pid}/task")]
        named = [task for task in tasks if pathlib.Path(f"/proc/{pid}/task/{task}/comm").read_text(encoding="utf-8").strip() == thread]
        self.task = named[0] if named else pid
        self.dumps = 0
        self._await(SIGNAL_START)

    def _settle(self):
        """Waits until the thread waits: what follows an answer belongs to its request."""
        seen, deadline = 0, time.monotonic() + PATIENCE
        while seen < QUIET and time.monotonic() < deadline:
            state = pathlib.Path(f"/proc/{self.pid}/task/{self.task}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            seen = seen + 1 if state == "S" else 0
            time.sleep(.003)  # between two looks; the deadline decides

    def _await(self, number):
        """The texts of the next dump, one for each thread."""
        self._settle()
        self.dumps += 1
        libc = ctypes.CDLL(None, use_errno=True)
        for _ in range(PATIENCE // AGAIN):
            if libc.tgkill(self.pid, self.task, number) != 0:
                raise RuntimeError(f"{self.pid} is gone")
            deadline = time.monotonic() + AGAIN
            while time.monotonic() < deadline:
                texts = [pathlib.Path(path).read_text(encoding="utf-8", errors="replace") for path in glob.glob(f"{self.folder}/{self.pid}.{self.dumps}-*")]
                if texts and all(re.search(r"^totals: ", text, re.M) for text in texts):
                    return texts
                time.sleep(.02)  # between two looks; the deadline decides
        raise RuntimeError(f"{self.pid} does not write what it counted")

    def taken(self):
        """Since the last time, in the thread that did most."""
        return max(int(re.search(r"^totals: (\d+)", text, re.M)[1]) for text in self._await(SIGNAL_TAKE))


class Wire:
    """One connection, and bytes that are ready to be sent."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port), timeout=PATIENCE)
        self.host = f"{server.host}:{server.port}"

    def ask(self, request):
        """The status."""
        method, target, headers, body = request
        fields = {"Host": self.host, "User-Agent": "counted", "Accept": "application/json", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        self.socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._read()
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1])
        while len(rest) < length:
            rest += self._read()
        status = int(head.split()[1])
        if status >= 300:
            raise RuntimeError(f"{method} {target}: {status} {rest.decode()}")
        return json.loads(rest)

    def _read(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server has closed the connection")
        return data


def requests_of(cursor, token, host):
    """{row: the requests, one after another}"""
    cursor.execute("SELECT id::text FROM wardmote.consultation WHERE visibility = 'public' AND partner_id = %s AND status = 'evaluated' ORDER BY created_at", (host,))
    ids = [row[0] for row in cursor.fetchall()]
    cursor.execute("SELECT id::text FROM wardmote.locality ORDER BY id")
    localities = [row[0] for row in cursor.fetchall()]
    signed = {"Authorization": f"Bearer {token}"}
    create = json.dumps({"title": "Shall the old library become a nursery?", "summary": "What residents say about it. " * 8, "visibility": "public",
                         "locality_ids": localities[:1], "open_on": "2027-01-01", "close_on": "2027-02-01", "purpose": "To hear what people want."}).encode()
    change = json.dumps({"title": "Shall the old library become a nursery, after all?"}).encode()
    get, rows = "GET", iter(ids)
    return {
        "GET one": ((get, f"/v1/consultations/{row}", signed, b"") for row in itertools.cycle(ids[:50])),
        "GET one, anonymous": ((get, f"/v1/consultations/{row}", {}, b"") for row in itertools.cycle(ids[:50])),
        "list of 50, two filters, sort": itertools.repeat((get, f"/v1/consultations?status=evaluated&partner_id={host}&sort=-open_on&limit=50", signed, b"")),
        "finder": itertools.repeat((get, f"/v1/consultations?status=open&locality_ids={localities[7]}&q=libraries&include=partner,localities&limit=20", {}, b"")),
        "POST create": (("POST", "/v1/consultations", {**signed, "Content-Type": "application/json", "Idempotency-Key": f"key-{n:06}"}, create)
                        for n in itertools.count()),
        "PATCH": (("PATCH", f"/v1/consultations/{row}", {**signed, "Content-Type": "application/merge-patch+json", "If-Match": '"1-0123456789abcdef"'}, change) for row in rows),
    }


def _backend(cursor, before):
    """The backend of the pool that has worked since `before`."""
    cursor.execute("SELECT pid, state_change FROM pg_stat_activity WHERE usename = 'wardmote_api' AND state_change > %s AND query <> 'ROLLBACK'"
                   " AND query !~ '^SET |pg_is_in_recovery|sequence_changes|meta.migration|wardmote.prune|forget_keys|overlap_step'", (before,))
    found = cursor.fetchall()
    assert len(found) == 1, found
    return found[0][0]


def release():
    """The program of a release build; WARDMOTE_TEST_RELEASE names its folder, else it is made."""
    named = os.environ.get("WARDMOTE_TEST_RELEASE")
    folder = pathlib.Path(named) if named else ROOT / "build/release"
    if not named:
        folder.parent.mkdir(exist_ok=True)
        with open(ROOT / "build/release.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "build.ninja").exists():
                _run("meson", "setup", str(folder), str(ROOT), "--buildtype=release", "-Dwerror=false")
            _run("ninja", "-C", str(folder), "-j2", "src/server/wardmote")
    return folder / "src/server/wardmote"


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


def versions():
    """Of what the counts depend on besides this tree."""
    postgres = wardmote_server._postgres_folder()  # pylint: disable=protected-access
    libraries = {name: _run("pkg-config", "--modversion", name) for name in ("jansson", "libcrypto", "libmicrohttpd", "libpq", "libsodium")}
    return {"gcc": _run("cc", "-dumpfullversion"), "glibc": os.confstr("CS_GNU_LIBC_VERSION").split()[1], **libraries,
            "postgresql": re.search(r"[0-9.]+", _run(f"{postgres}/postgres", "--version"))[0],
            "valgrind": _run("valgrind", "--version").partition("-")[2]}


def risen(baseline, found, found_versions):
    """What costs more than the baseline allows: a line each. [] when all is well."""
    faults = []
    for row, was in baseline["rows"].items():
        for part in PARTS:
            now = found.get(row, {}).get(part, {}).get("instructions")
            if now is None:
                faults.append(f"{row}: {part}: was not counted")
            elif now > was[part] * (1 + MOST_RISE):
                faults.append(f"{row}: {part}: {was[part]:,} instructions became {now:,} (+{100 * (now / was[part] - 1):.1f} %)")
    faults += [f"{row}: has no baseline" for row in found if row not in baseline["rows"]]
    other = [f"{name} {was} is {found_versions.get(name)} here" for name, was in baseline["versions"].items() if found_versions.get(name) != was]
    return faults + [f"(the baseline is of other versions: {', '.join(other)})"] if faults and other else faults


def count(program, report=lambda row, counts: None):
    """{row: {"server": {"instructions", "spread" of the batches}, "database": likewise, "items"}}"""
    cluster = Cluster()
    try:
        cluster.setup()
        keys = wardmote_server.make_keys(cluster)
        host = wardmote_server.make_administrator(cluster)
        cluster.load(host["partner_id"])
        with contextlib.closing(cluster.counted()) as connection:
            return _count(program, cluster, keys, host, connection.cursor(), report)
    finally:
        cluster.close()


def _count(program, cluster, keys, host, cursor, report):  # pylint: disable=too-many-arguments
    server = wardmote_server.Server(cluster, keys, program=str(program), before=f"set -- {' '.join(valgrind(cluster.counts))} \"$@\";",
                                    lane_read=1, lane_write=1, lane_heavy=1, lane_stream=1,
                                    request_timeout_ms=600000)  # under valgrind all is slow
    try:
        client = Client(server, None, None)
        token = client.token_for(host["client_id"], host["client_secret"])
        client.close()
        wire, rows = Wire(server), {}
        counted = {"server": Counted(cluster.counts, server.process.pid, "worker")}
        for row, requests in requests_of(cursor, token, host["partner_id"]).items():
            rows[row] = _count_row(wire, requests, cursor, counted, REQUESTS[row])
            report(row, rows[row])
        return rows
    finally:
        server.close()


def _count_row(wire, requests, cursor, counted, n):
    cursor.execute("SELECT clock_timestamp()")
    before = cursor.fetchone()[0]
    answer = wire.ask(next(requests))
    backend = _backend(cursor, before)
    if backend not in counted:
        counted[backend] = Counted(counted["server"].folder, backend)
    for _ in range(WARM):
        answer = wire.ask(next(requests))
    batches = {"server": [], "database": []}
    for _ in range(BATCHES):
        counted["server"].taken()
        counted[backend].taken()
        for _ in range(n):
            wire.ask(next(requests))
        batches["server"].append(counted["server"].taken() / n)
        batches["database"].append(counted[backend].taken() / n)
    return {"items": len(answer.get("items", [1])),
            **{name: {"instructions": round(statistics.median(values)), "spread": (max(values) - min(values)) / min(values)} for name, values in batches.items()}}
