# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the tests of this folder share: the release build that is measured, crowds of unwanted clients, healthy ones at a fixed rate, and what a process
costs. Figures of memory and time come from a release build only: those of one with sanitizers say nothing."""
import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import tempfile
import time

from wardmote_client import Client
from wardmote_server import ROOT
from wardmote_suite import until  # pylint: disable=unused-import

PATIENCE = 30


def build_release():
    """The folder of a release build: WARDMOTE_TEST_RELEASE names one; else it is made, by one of the workers of a run."""
    named = os.environ.get("WARDMOTE_TEST_RELEASE")
    if named:
        return pathlib.Path(named)
    folder = ROOT / "build/release"
    folder.parent.mkdir(exist_ok=True)
    with open(ROOT / "build/release.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "build.ninja").exists():
            _run("meson", "setup", str(folder), str(ROOT), "--buildtype=release", "-Dwerror=false")
        _run("ninja", "-C", str(folder), "-j2", "src/server/wardmote", "bench/load", "tests/flood/flood")
    return folder


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


# --- what a process costs ---

def resident_mib(pid):
    """Its pages and, where it differs, the most they ever were."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def forget_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def prefer(*pids):
    """Ahead of what else this machine does, where that is allowed: the figures are to be those of the server, not of the tests beside this one."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(1))


def prefer_cluster(cluster):
    """Its processes too, those that are there now and those that come from them."""
    master = pathlib.Path(f"{cluster.folder}/data/postmaster.pid").read_text().split()[0]
    children = [pid for pid in os.listdir("/proc") if pid.isdigit() and _parent(pid) == master]
    prefer(master, *children)


def _parent(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return None


def settled(server):
    """All connections to the database are open, which is later than ready; and nothing is under way there."""
    listening = next(line for line in map(json.loads, reversed(server.log().splitlines())) if line["message"] == "listening")
    until(lambda: server.metric("db_connections") == listening["database_connections"] - listening["background_connections"])
    until(lambda: server.metric("db_queued_jobs") + server.metric("db_in_flight_jobs") == 0, 300)


# --- clients ---

class Crowd:
    """tests/flood/flood.c: so many clients of one kind."""

    def __init__(self, release, server, count, mode, **options):
        self.count = count
        self.process = subprocess.Popen([release / "tests/flood/flood", server.host, str(server.port), str(count), mode,
                                         *(f"{name}={value}" for name, value in options.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seen(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait_open(self, count=None, seconds=PATIENCE):
        return until(lambda: (lambda seen: seen if seen["open"] >= (self.count if count is None else count) else None)(self.seen()), seconds)

    def leave(self):
        """All at once."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(PATIENCE)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()


class Load:
    """bench/load.c: requests at a fixed rate, in the background until `result`."""

    def __init__(self, release, server, requests, rate, seconds, connections):
        self.folder = tempfile.TemporaryDirectory(prefix="wmt-load-")  # pylint: disable=consider-using-with
        names = []
        for number, text in enumerate(requests):
            names.append(f"{self.folder.name}/{number}")
            pathlib.Path(names[-1]).write_text(text, encoding="utf-8")
        self.process = subprocess.Popen([release / "bench/load", server.host, str(server.port), str(rate), str(seconds), str(connections), *names],
                                        stdout=subprocess.PIPE, text=True)
        self.seconds = seconds
        prefer(self.process.pid)

    def result(self):
        out, _ = self.process.communicate(timeout=self.seconds + 60)
        self.folder.cleanup()
        assert self.process.returncode == 0
        return json.loads(out)


def get(target, token=None):
    """A request for Load."""
    return f"GET {target}\n{_bearer(token)}\n"


def post(target, body, token, key=None):
    """`{n}` in the body or the key is a number of each request's own."""
    idempotency = f"Idempotency-Key: {key}\n" if key else ""
    return f"POST {target}\n{_bearer(token)}Content-Type: application/json\n{idempotency}\n{json.dumps(body, separators=(',', ':'))}"


def _bearer(token):
    return f"Authorization: Bearer {token}\n" if token else ""


def client(server, host, anonymous):
    """The host's administrator at this server."""
    public = Client(server, anonymous.contract, anonymous.coverage)
    return public.as_token(public.token_for(host["client_id"], host["client_secret"]))
