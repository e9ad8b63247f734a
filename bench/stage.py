# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where the rows are measured: a copy of the network of a million, the server on it, and what its references need: the answers and segments of each request."""
import contextlib
import dataclasses
import http.client
import importlib
import json
import os
import pathlib
import re
import socket
import subprocess
import urllib.request

import network  # finds the helpers of the tests
import segments
import wardmote_server
from measure import CONNECTIONS, Child, children, driver, load

WRK = """local values = {{}}
for line in io.lines("{table}") do values[#values + 1] = line end
local n = 0
request = function()
	n = n + 1
	return wrk.format("GET", (string.gsub("{target}", "{{1}}", values[n * 7919 % #values + 1])))
end
"""
NUMBER = 987654321  # stands for {n} where an answer or a segment is taken
WORKERS = 2
PUBLIC_URL = "http://bench.example"  # the issuer of tokens, whichever port a server has


@dataclasses.dataclass
class Ask:
    """A kind of request. `table`: rows of values for {1}, {2}... in target, headers and body; lane: where the server runs it."""
    name: str
    method: str
    target: str
    headers: dict = dataclasses.field(default_factory=dict)
    body: dict | None = None
    table: list = dataclasses.field(default_factory=list)
    lane: str = "read"
    token: bool = False
    status: int = 200
    learn_twice: bool = False  # the first time it does something else
    each: bool = False  # the segment of each row of the table is taken, for those where a row makes another statement


def get(server, target, token=None):
    """The body of a good answer."""
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(server.url + target, headers=fields), timeout=120) as answer:
        return answer.read()


def filled(text, row):
    text = text.replace("{n}", str(NUMBER))
    for number, value in enumerate(row, 1):
        text = text.replace(f"{{{number}}}", value)
    return text


def without_haste(segment):
    """The server tries a list again in another lane when its short time was not enough; the driver has nowhere else to go."""
    steps = [{**step, "parameters": ["60000"]} if "'statement_timeout', $1" in step["text"] else step for step in segment["steps"]]
    return {**segment, "steps": steps}


def keys_of(segment):
    """An Idempotency-Key arrives in the database as a hash, in which no number can be seen."""
    return [step["parameters"][0] for step in segment["steps"] if "claim_key" in step["text"]]


def in_pgbench(step):
    """A statement with its parameters where they belong: constants, or a look-up by the number that pgbench draws."""
    def value(match):
        given = step["parameters"][int(match[1]) - 1]
        if given is None:
            return "NULL"
        column = re.fullmatch(r"\{([1-3])\}", given)
        return f"(SELECT c{column[1]} FROM bench.pick WHERE n = :n)" if column else "'" + given.replace("'", "''") + "'"
    text = re.sub(r"\$(\d+)", value, step["text"]).replace("\n", " ")
    return re.sub(r"(?<!:):(?=(?!n\))[A-Za-z0-9_])", "' || chr(58) || '", text)  # in a literal pgbench would take it for a variable


class Stage:
    """Everything runs; `close` ends it."""

    def __init__(self, folder, build, rows, say, more=None):
        self.folder = pathlib.Path(folder)
        self.build = build
        self.say = say
        self.program = f"{build}/src/server/wardmote"
        self.files = self.folder / "asks"
        self.files.mkdir(parents=True, exist_ok=True)
        self.cluster, self.networks = network.networks(folder, rows, say, more)
        self.whole = self.networks["n1000000"]
        keys = self.folder / "keys"
        if not keys.exists():
            wardmote_server.run(["key", "rotate", "--key-dir", str(keys)])
        self.keys = str(keys)
        self._copy()
        self.servers = {}
        self.peers = {}  # running, by name
        self.server = None
        with self.serving(workers=1) as server:
            self.token = self.token_of(server)

    def _copy(self):
        """What is written goes into a copy, so that each run finds the same."""
        with self.cluster.connect("postgres", "postgres").cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS work")
            cursor.execute("CREATE DATABASE work TEMPLATE n1000000 STRATEGY file_copy")
            cursor.execute("ALTER DATABASE work OWNER TO wardmote_owner")
        network.Network(self.cluster, "work").warm()
        with self.connect() as connection:
            connection.cursor().execute("CHECKPOINT")

    def connect(self, role="postgres", database="work"):
        return self.cluster.connect(role, database)

    def query(self, text, *values, database="work"):
        with self.connect(database=database).cursor() as cursor:
            cursor.execute(text, values or None)
            return cursor.fetchall()

    def uri(self, database="work"):
        return self.cluster.uri("wardmote_api", database)

    def serve(self, database="work", **settings):
        return wardmote_server.Server(self.cluster, self.keys, database, program=self.program, **{"workers": WORKERS, "public_url": PUBLIC_URL, **settings})

    @contextlib.contextmanager
    def serving(self, **settings):
        """A server for a moment."""
        server = self.serve(**settings)
        try:
            yield server
        finally:
            server.close()

    def server_of(self, name):
        """The server of another network, which stays until the end."""
        if name not in self.servers:
            self.networks[name].warm()
            self.servers[name] = self.serve(name)
        return self.servers[name]

    def remembered(self, name, what, find):
        """What is dear to find and stays true as long as the network `name` is not built anew."""
        path = self.folder / f"{name}.found.json"
        plan = (self.folder / f"{name}.json").read_text(encoding="utf-8")
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if known.get("plan") != plan:
            known = {"plan": plan}
        if what not in known:
            known[what] = find()
            path.write_text(json.dumps(known), encoding="utf-8")
        return known[what]

    def token_of(self, server, name="n1000000"):
        host = self.networks[name].host
        form = f"grant_type=client_credentials&client_id={host['client_id']}&client_secret={host['client_secret']}".encode()
        with urllib.request.urlopen(f"{server.url}/oauth/token", form, timeout=30) as answer:
            return json.load(answer)["access_token"]

    # --- requests, answers, segments ---

    def file(self, ask, what):
        return self.files / f"{re.sub('[^a-z0-9]+', '-', ask.name.lower())}.{what}"

    def _headers(self, ask):
        return {**({"Authorization": f"Bearer {self.token}"} if ask.token else {}), **({"Content-Type": "application/json"} if ask.body is not None else {}), **ask.headers}

    def write(self, ask):
        """The request and its table, as load.c reads them."""
        fields = "".join(f"{name}: {value}\n" for name, value in self._headers(ask).items())
        body = "" if ask.body is None else json.dumps(ask.body)
        self.file(ask, "request").write_text(f"{ask.method} {ask.target}\n{fields}\n{body}", encoding="utf-8")
        self.file(ask, "table").write_text("".join("\t".join(row) + "\n" for row in ask.table), encoding="utf-8")

    def send(self, server, ask, row=None, anyway=False):
        """(status, fields, body) as they came; `anyway`: whatever the status."""
        row = (ask.table[0] if ask.table else ()) if row is None else row
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        headers = {name: filled(value, row) for name, value in self._headers(ask).items()}
        connection.request(ask.method, filled(ask.target, row), None if ask.body is None else filled(json.dumps(ask.body), row), headers)
        answer = connection.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        connection.close()
        if found[0] != ask.status and not anyway:
            raise RuntimeError(f"{ask.name}: {found[0]} {found[2][:1000]}")
        return found

    def learn(self, asks):
        """Writes for each the request, an answer for bare, and the segments for the driver."""
        with self.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("ALTER ROLE wardmote_api SET log_statement = 'all'")
            cursor.execute("ALTER ROLE wardmote_api SET log_parameter_max_length = -1")
        with self.serving(workers=1) as server:
            log = segments.Log(self.cluster)
            for ask in asks:
                self._learn(server, log, ask)
        with self.connect() as connection:
            connection.cursor().execute("ALTER ROLE wardmote_api RESET ALL")

    def _learn(self, server, log, ask):
        self.write(ask)
        taken, found = [], []
        if ask.learn_twice:
            self.send(server, ask, anyway=True)
        for row in ask.table if ask.each else [ask.table[0] if ask.table else ()]:
            segment = log.recorded(lambda row=row: taken.append(self.send(server, ask, row)))
            values = {} if ask.each else {value: f"{{{number}}}" for number, value in enumerate(row, 1)}
            values.update({key: f"{ask.name}-{{n}}" for key in keys_of(segment)})
            found.append(segments.with_placeholders(without_haste(segment), {str(NUMBER): "{n}", **values}))
        status, fields, body = taken[len(taken) // 2]
        head = "".join(f"{name}: {value}\n" for name, value in fields)
        self.file(ask, "answer").write_bytes(f"{status}\n{head}\n".encode() + body)
        self.file(ask, "segment").write_text(json.dumps(found), encoding="utf-8")

    # --- measures ---

    def start(self):
        self.server = self.serve()

    def start_peers(self, names, say):
        """What a team would write instead, beside it on the same database; one after the other, since each is measured alone."""
        if not (network.ROOT / "bench/peers/start.py").exists():
            return
        maker = importlib.import_module("peers.start")
        for name in names:
            say(f"starting {name}")
            self.peers[name] = getattr(maker, name)(self)

    def pids(self, server=None):
        """Of a server and what it may have started."""
        pid = (server or self.server).process.pid
        return [pid, *children(pid)]

    def wardmote(self, ask, seconds, **options):
        options = {"pids": self.pids(), "port": self.server.port, **options}
        return load(self.build, files=[self.file(ask, "request")], table=self.file(ask, "table") if ask.table else None, seconds=seconds, **options)

    def bare(self, ask, seconds, **options):
        """The same answer from bare libmicrohttpd."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        child = Child([f"{self.build}/bench/bare", port, WORKERS, self.file(ask, "answer")])
        try:
            return load(self.build, port, [self.file(ask, "request")], table=self.file(ask, "table") if ask.table else None, seconds=seconds,
                        pids=[child.process.pid], **options)
        finally:
            child.close()

    def wrk(self, ask, seconds):
        """The same GET by wrk, the check from outside."""
        script = self.file(ask, "lua")
        script.write_text(WRK.format(table=self.file(ask, "table"), target=ask.target), encoding="utf-8")
        done = subprocess.run(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(script), self.server.url], capture_output=True, text=True, check=True)
        if "Non-2xx" in done.stdout:
            raise RuntimeError(f"{ask.name}: {done.stdout}")
        return {"per_second": float(re.search(r"Requests/sec:\s*([0-9.]+)", done.stdout)[1])}

    def driven(self, ask, seconds, **options):
        options = {"lane": ask.lane, **options}
        return driver(self.build, self.uri(), self.file(ask, "segment"), table=self.file(ask, "table") if ask.table else None, seconds=seconds, **options)

    def pgbench(self, ask, seconds, clients=16):
        """The first segment of an ask by pgbench: prepared, one pipeline block for each request. Its values are looked up by number, which costs it a little more."""
        with self.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("DROP TABLE IF EXISTS bench.pick")
            cursor.execute("CREATE TABLE bench.pick (n int PRIMARY KEY, c1 text, c2 text, c3 text)")
            rows = [(number, *row, *[None] * (3 - len(row))) for number, row in enumerate(ask.table or [()], 1)]
            cursor.execute("INSERT INTO bench.pick SELECT * FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[])", [list(column) for column in zip(*rows)])
            cursor.execute("GRANT USAGE ON SCHEMA bench TO wardmote_api; GRANT SELECT ON bench.pick TO wardmote_api; ANALYZE bench.pick")
        script = self.file(ask, "pgbench")
        steps = json.loads(self.file(ask, "segment").read_text(encoding="utf-8"))[0]["steps"]
        script.write_text(f"\\set n random(1, {len(rows)})\n\\startpipeline\n" + "".join(in_pgbench(step) + ";\n" for step in steps) + "\\endpipeline\n", encoding="utf-8")
        options = "-c plan_cache_mode=force_generic_plan -c jit=off -c max_parallel_workers_per_gather=0 -c search_path=pg_catalog,public -c wardmote.timezone=Europe/London"
        done = subprocess.run([f"{self.cluster.bin}/pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))), "-f", str(script),
                               self.uri()], capture_output=True, text=True, check=True, env={**os.environ, "PGOPTIONS": options})
        return {"per_second": float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])}

    def peer(self, name, ask, seconds):
        peer = self.peers[name]
        return self.wardmote(ask, seconds, port=peer.port, pids=peer.pids)

    def close(self):
        for running in (*self.peers.values(), *self.servers.values(), self.server):
            if running is not None:
                running.close()
        self.cluster.close()
