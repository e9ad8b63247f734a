# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rows about the whole of the server: exports, tokens, memory, start, a mixed day, too much at once."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import stage as stages
from measure import CONNECTIONS, load, memory, reset_peak
from rows import Check, Row, rate
from rows_read import List, ids

EXPORT = "/v1/consultations.csv?limit=all"


def curl(stage, server, target, out="/dev/null"):
    """A client that takes what comes."""
    return subprocess.Popen(["curl", "-sS", "--fail", "-o", out, "-H", f"Authorization: Bearer {stage.token}", server.url + target])


def psql(stage, text):
    """The same as the caller, without a server."""
    options = "-c jit=off -c max_parallel_workers_per_gather=0 -c search_path=pg_catalog,public"
    account = stage.query("SELECT id::text, epoch FROM wardmote.account WHERE partner_id = %s LIMIT 1", stage.whole.host["partner_id"])
    acting = (f"SELECT set_config('wardmote.account', a.id::text, false), set_config('wardmote.partner', a.partner_id::text, false), set_config('wardmote.rank', a.rank::text, false), "
              f"set_config('wardmote.scopes', '', false) FROM api.acting a WHERE a.id = '{account[0][0]}'")
    return subprocess.Popen([f"{stage.cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-c", acting, "-c", text, stage.uri()],
                            env={**os.environ, "PGOPTIONS": options})


def ended(process):
    if process.wait() != 0:
        raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")


class Export(Row):
    """Every record that the caller may see, as CSV."""

    name = "CSV export of 1M rows"
    rounds_quick, rounds_whole = 1, 3
    rows = columns = None

    def prepare(self):
        stage, path = self.stage, self.stage.folder / "export.csv"
        ended(curl(stage, stage.server, EXPORT + "&fields=id", str(path)))
        with open(path, encoding="utf-8") as file:
            self.rows = sum(1 for _ in file) - 1
        path.unlink()
        visible = stage.query("SELECT count(*) FROM wardmote.consultation WHERE visibility <> 'private' OR partner_id = %s", stage.whole.host["partner_id"])[0][0]
        if self.rows != visible:
            raise RuntimeError(f"{self.rows} rows were exported, {visible} are visible")
        self.columns = stages.get(stage.server, "/v1/consultations.csv?limit=1", stage.token).decode().splitlines()[0]

    def measures(self):
        return {"wardmote": lambda *_: self.exported(), "copy": lambda *_: self.copied()}

    def exported(self):
        pids = self.stage.pids()
        reset_peak(pids)
        before, began = memory(pids, "VmRSS"), time.monotonic()
        ended(curl(self.stage, self.stage.server, EXPORT))
        return {"per_second": self.rows / (time.monotonic() - began), "grown_mib": memory(pids) - before, "peak_mib": memory(pids)}

    def copied(self):
        began = time.monotonic()
        ended(psql(self.stage, f"\\copy (SELECT {self.columns} FROM api.consultation) TO '/dev/null' WITH (FORMAT csv, HEADER)"))
        return {"per_second": self.rows / (time.monotonic() - began)}

    def judge(self, medians):
        return [Check("rows/s of \\copy", rate(medians, "wardmote") / rate(medians, "copy"), ">= 0.7"),
                Check("memory grown by", medians["wardmote"]["grown_mib"], "<= 8", "MiB")]


class Token(Row):
    """A token for a secret, and what a token costs each request."""

    name = "token issue (ES256 sign, secret check)"
    file = None

    def prepare(self):
        host = self.stage.whole.host
        self.file = self.stage.files / "token.request"
        body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": host["client_id"], "client_secret": host["client_secret"]})
        self.file.write_text(f"POST /oauth/token\nContent-Type: application/x-www-form-urlencoded\n\n{body}", encoding="utf-8")

    def measures(self):
        stage = self.stage
        return {"wardmote": lambda seconds, _: load(stage.build, stage.server.port, [self.file], seconds=seconds, pids=stage.pids()),
                "cached": lambda seconds, _: cached_token(stage), "get": lambda seconds, _: stage.wardmote(self.get, seconds, connections=1)}

    def asks(self):
        self.get = stages.Ask("get alone", "GET", "/v1/consultations/{1}", token=True, table=ids(self.stage, "visibility = 'public'", 20_000))
        return [self.get]

    get = None

    def judge(self, medians):
        share = medians["cached"]["microseconds"] / (medians["get"]["p50_ms"] * 1000)
        return [Check("tokens issued each second", rate(medians, "wardmote"), "", "/s"), Check("a cached token's share of a GET", share, "<= 0.02")]


def cached_token(stage):
    """Microseconds that it takes to find a token verified."""
    done = subprocess.run([f"{stage.build}/bench/token", stage.keys, stages.PUBLIC_URL, stage.token], capture_output=True, text=True, check=True)
    return {"microseconds": float(done.stdout)}


class Memory(Row):
    """What the server holds, of a fresh one: busy, with a crowd that says nothing, with a crowd that has asked once."""

    name = "memory (plain HTTP)"
    rounds_quick = rounds_whole = 1
    crowd = 10_000
    get = None

    def asks(self):
        self.get = stages.Ask("get of a crowd", "GET", "/v1/consultations/{1}", token=True, table=ids(self.stage, "visibility = 'public'", 20_000))
        return [self.get]

    def measures(self):
        return {"busy": lambda seconds, _: self.busy(seconds), "silent": lambda *_: self.crowded(None), "asked": lambda *_: self.crowded(self.get)}

    def busy(self, seconds):
        with self.stage.serving() as server:
            pids = self.stage.pids(server)
            return self.stage.wardmote(self.get, max(seconds, 3), port=server.port, pids=pids)

    def crowded(self, ask):
        with self.stage.serving() as server:
            pids = self.stage.pids(server)
            request = "-"
            if ask is not None:
                request = str(self.stage.files / "crowd.request")
                headers = f"Authorization: Bearer {self.stage.token}\n"
                pathlib.Path(request).write_text(f"GET {stages.filled(ask.target, ask.table[0])}\n{headers}\n", encoding="utf-8")
            with crowd(self.stage, server, self.crowd, request):
                time.sleep(3)  # an idle connection gives its memory back after a while
                return {"peak_mib": memory(pids), "resident_mib": memory(pids, "VmRSS")}

    def judge(self, medians):
        return [Check(f"at {CONNECTIONS} busy connections", medians["busy"]["peak_mib"], "<= 24", "MiB"),
                Check(f"with {self.crowd} connections that never spoke", medians["silent"]["resident_mib"], "<= 64", "MiB"),
                Check(f"with {self.crowd} that asked, signed in", medians["asked"]["resident_mib"], "<= 150", "MiB")]


@contextlib.contextmanager
def crowd(stage, server, many, request):
    """Connections that are there and stay."""
    from measure import Child  # pylint: disable=import-outside-toplevel
    child = Child([f"{stage.build}/bench/crowd", "127.0.0.1", server.port, many, request])
    try:
        yield
    finally:
        child.close()
    if child.process.returncode != 0:
        raise RuntimeError("the crowd did not stay")


class Start(Row):
    """From the program's first instruction to ready, on a migrated database."""

    name = "start to ready (one connection in each lane) with a migrated database"

    def measures(self):
        return {"wardmote": lambda *_: {"milliseconds": start_to_ready(self.stage)}}

    def judge(self, medians):
        return [Check("start to ready", medians["wardmote"]["milliseconds"], "<= 100", "ms")]


def start_to_ready(stage):
    """Milliseconds until /readyz says so, asked again and again."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    began = time.monotonic()
    process = subprocess.Popen([stage.program, "serve", "--database", stage.uri(), "--key-dir", stage.keys, "--public-url", stages.PUBLIC_URL, "--workers", str(stages.WORKERS),
                                "--listen", f"127.0.0.1:{ports[0]}", "--admin-listen", f"127.0.0.1:{ports[1]}"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[1]), 5) as asking:
                asking.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if asking.recv(4096).startswith(b"HTTP/1.1 200"):
                    return (time.monotonic() - began) * 1000
            if time.monotonic() - began > 30:
                raise RuntimeError("the server is not ready after 30 s")
            time.sleep(0.001)  # asking takes as much of a core as it is given, and the start needs it
    finally:
        process.terminate()
        process.wait()


class Mixed(Row):
    """Reads, lists and writes at 30 % of what the server can do, while a whole export and an exact count run; against the same while psql runs these two."""

    name = "mixed day at 30 % of peak: 80 % reads, 15 % lists, 5 % writes, beside a 1M-row export and an exact count"
    count = "/v1/consultations?count=exact&limit=1"
    asks_of_day = None
    peak = None
    read = 0  # which of the files is the reads'

    def asks(self):
        stage = self.stage
        own = stage.whole.host["partner_id"]
        table = [(one, *two, three) for (one,), two, (three,) in zip(ids(stage, "visibility = 'public'", 20_000), List.values * 4000, ids(stage, f"partner_id = '{own}'", 20_000))]
        self.asks_of_day = [
            stages.Ask("day read", "GET", "/v1/consultations/{1}", token=True, table=table),
            stages.Ask("day list", "GET", List.target.replace("{2}", "{3}").replace("{1}", "{2}"), token=True, table=table),
            stages.Ask("day write", "PATCH", "/v1/consultations/{4}", {"If-Match": "*", "Content-Type": "application/merge-patch+json"}, {"notes": "day {n}"}, table=table,
                       token=True, lane="write")]
        return self.asks_of_day

    def files(self):
        return [f"{turns}:{self.stage.file(ask, 'request')}" for turns, ask in zip((16, 3, 1), self.asks_of_day)]

    def load(self, seconds, rate_=0, connections=CONNECTIONS):
        stage = self.stage
        return load(stage.build, stage.server.port, self.files(), seconds=seconds, rate=rate_, connections=connections, table=stage.file(self.asks_of_day[0], "table"),
                    pids=stage.pids())

    def prepare(self):
        self.load(1)
        self.peak = self.load(3)["per_second"]

    def measures(self):
        return {"wardmote": lambda seconds, _: self.beside(seconds, lambda: [curl(self.stage, self.stage.server, target) for target in (EXPORT, self.count)]),
                "psql": lambda seconds, _: self.beside(seconds, lambda: [psql(self.stage, text) for text in (
                    "\\copy (SELECT * FROM api.consultation) TO '/dev/null' WITH (FORMAT csv)", "SELECT count(*) FROM api.consultation")])}

    def beside(self, seconds, begin):
        """The day's load while what `begin` starts runs, again and again."""
        running, over = begin(), threading.Event()

        def repeat(number):
            while not over.is_set():
                if running[number].poll() is not None:
                    again = begin()
                    for other, process in enumerate(again):
                        if other != number:
                            process.kill()
                            process.wait()
                    running[number] = again[number]
                over.wait(0.05)
        keepers = [threading.Thread(target=repeat, args=(number,)) for number in range(len(running))]
        for keeper in keepers:
            keeper.start()
        before = waits(self.stage.server)
        try:
            found = self.load(max(seconds * 3, 6), self.peak * 0.3, 512)
        finally:
            over.set()
            for keeper in keepers:
                keeper.join()
            for process in running:
                process.kill()
                process.wait()
        reads = found["whole"]["each"][self.read]["good"]
        return {"p50_ms": reads["p50_ms"], "p99_ms": reads["p99_ms"], "p999_ms": reads["p999_ms"], "per_second": found["per_second"],
                "cpu_seconds_per_1000": found["cpu_seconds_per_1000"], "peak_mib": found["peak_mib"], "wait_p99_ms": percentile(before, waits(self.stage.server))}

    def judge(self, medians):
        return [Check("p99 of the reads, of that beside psql", medians["wardmote"]["p99_ms"] / medians["psql"]["p99_ms"], "<= 1.3"),
                Check("p99 of the wait in the read lane's queue", medians["wardmote"]["wait_p99_ms"], "<= 1", "ms")]


def waits(server):
    """The read lane's histogram of waits: {upper bound in seconds: count}."""
    with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=30) as answer:
        rows = re.findall(r'wardmote_db_wait_seconds_bucket\{lane="read",le="([^"]+)"\} (\d+)', answer.read().decode())
    return {float(bound): int(count) for bound, count in rows}


def percentile(before, after, part=0.99):
    """Milliseconds: the bound of the bucket that holds it."""
    total = after[float("inf")] - before[float("inf")]
    return next(bound for bound in sorted(after) if after[bound] - before[bound] >= part * total) * 1000


class Overload(Row):
    """Twice as many lists as can be answered, at a rate that does not wait."""

    name = "2x overload of the list of 50, open loop"
    settings = {"queue_limit": 128}
    ask = server = None

    def asks(self):
        self.ask = stages.Ask("list in a crowd", "GET", List.target, token=True, table=List.values)
        return [self.ask]

    def prepare(self):
        self.server = self.stage.serve(**self.settings)
        self.stage.servers["overload"] = self.server

    def load(self, seconds, rate_, connections, good=(200, 503)):
        stage = self.stage
        return load(stage.build, self.server.port, [stage.file(self.ask, "request")], seconds=seconds, rate=rate_, connections=connections,
                    table=stage.file(self.ask, "table"), pids=stage.pids(self.server), good=good)

    def measures(self):
        return {"peak": lambda seconds, _: self.load(seconds, 0, CONNECTIONS), "refusals": lambda seconds, _: self.refusals(seconds), "over": lambda seconds, _: self.over(seconds)}

    def refusals(self, seconds):
        """How many 503s a second: the server's backends stand still, so that its queue is full."""
        stage = self.stage
        backends = [row[0] for row in stage.query("SELECT pid FROM pg_stat_activity WHERE usename = 'wardmote_api' AND datname = 'work'")]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        again = threading.Timer(max(seconds, 1) + 0.5, lambda: [os.kill(pid, signal.SIGCONT) for pid in backends])
        again.start()
        try:
            found = self.load(max(seconds, 1), 0, 1500)
        finally:
            again.join()
        shed = found["whole"]["statuses"].get("503", 0)
        return {"per_second": shed / max(seconds, 1), "peak_mib": found["peak_mib"]}

    def over(self, seconds):
        """Between two looks at the peak: what a machine gives after it has idled is more than what it goes on giving."""
        peaks = [self.load(max(seconds / 2, 0.7), 0, CONNECTIONS)]
        found = self.load(max(seconds * 2, 3), 2 * peaks[0]["per_second"], 3000)
        peaks.append(self.load(max(seconds / 2, 0.7), 0, CONNECTIONS))
        whole = found["whole"]
        if whole["without_retry_after"]:
            raise RuntimeError(f"503 without Retry-After: {whole['without_retry_after']}")
        return {**{key: value for key, value in found.items() if key != "whole"}, "peak": statistics.mean(peak["per_second"] for peak in peaks),
                "nominal_p99_ms": statistics.mean(peak["p99_ms"] for peak in peaks), "shed_each_second": whole["statuses"].get("503", 0) / whole["seconds"]}

    def judge(self, medians):
        peak, refusals = medians["over"]["peak"], rate(medians, "refusals")
        possible = (1 - 2 * peak / refusals) / (1 / peak - 1 / refusals)
        return [Check("goodput of what is possible", rate(medians, "over") / possible, ">= 0.9"),
                Check("p99 of what is admitted, of nominal", medians["over"]["p99_ms"] / medians["over"]["nominal_p99_ms"], "<= 3")]
