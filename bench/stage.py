# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where the rows are measured: a copy of the network of a million, the server on it, and what its references need: the answers and segments of each request."""
import dataclasses
import http.client
import json
import pathlib
import re
import socket
import urllib.request

import network  # finds the helpers of the tests
import segments
import wardmote_server
from measure import Child, children, driver, load

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
    hold: tuple = ()  # columns whose values stay as they are in the segment


def filled(text, row):
    text = text.replace("{n}", str(NUMBER))
    for number, value in enumerate(row, 1):
        text = text.replace(f"{{{number}}}", value)
    return text


class Stage:
    """Everything runs; `close` ends it."""

    def __init__(self, folder, build, rows, say):
        self.folder = pathlib.Path(folder)
        self.build = build
        self.say = say
        self.program = f"{build}/src/server/wardmote"
        self.files = self.folder / "asks"
        self.files.mkdir(parents=True, exist_ok=True)
        self.cluster, self.networks = network.networks(folder, rows, say)
        self.whole = self.networks["n1000000"]
        keys = self.folder / "keys"
        if not keys.exists():
            wardmote_server.run(["key", "rotate", "--key-dir", str(keys)])
        self.keys = str(keys)
        self._copy()
        self.children = []
        self.server = None
        self.token = None

    def _copy(self):
        """What is written goes into a copy, so that each run finds the same."""
        with self.cluster.connect("postgres", "postgres").cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS work")
            cursor.execute("CREATE DATABASE work TEMPLATE n1000000 STRATEGY file_copy")
            cursor.execute("ALTER DATABASE work OWNER TO wardmote_owner")
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

    def send(self, server, ask, row=None):
        """(status, fields, body) as they came."""
        row = (ask.table[0] if ask.table else ()) if row is None else row
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        headers = {name: filled(value, row) for name, value in self._headers(ask).items()}
        connection.request(ask.method, filled(ask.target, row), None if ask.body is None else filled(json.dumps(ask.body), row), headers)
        answer = connection.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        connection.close()
        if found[0] != ask.status:
            raise RuntimeError(f"{ask.name}: {found[0]} {found[2][:1000]}")
        return found

    def learn(self, asks):
        """Writes for each the request, an answer for bare, and the segment for the driver."""
        with self.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("ALTER ROLE wardmote_api SET log_statement = 'all'")
            cursor.execute("ALTER ROLE wardmote_api SET log_parameter_max_length = -1")
        server = self.serve(workers=1)
        self.token = self.token_of(server)
        log = segments.Log(self.cluster)
        for ask in asks:
            self.write(ask)
            taken = []
            segment = log.recorded(lambda ask=ask, taken=taken: taken.append(self.send(server, ask)))
            status, fields, body = taken[0]
            head = "".join(f"{name}: {value}\n" for name, value in fields)
            self.file(ask, "answer").write_bytes(f"{status}\n{head}\n".encode() + body)
            values = {value: f"{{{number}}}" for number, value in enumerate(ask.table[0] if ask.table else (), 1) if number not in ask.hold}
            segment = segments.with_placeholders(segment, {str(NUMBER): "{n}", **values})
            self.file(ask, "segment").write_text(json.dumps([segment]), encoding="utf-8")
        server.close()
        with self.connect() as connection:
            connection.cursor().execute("ALTER ROLE wardmote_api RESET ALL")

    # --- measures ---

    def start(self):
        self.server = self.serve()

    def pids(self):
        pid = self.server.process.pid
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

    def driven(self, ask, seconds, **options):
        options = {"lane": ask.lane, **options}
        return driver(self.build, self.uri(), self.file(ask, "segment"), table=self.file(ask, "table") if ask.table else None, seconds=seconds, **options)

    def close(self):
        for child in self.children:
            child.close()
        if self.server is not None:
            self.server.close()
        self.cluster.close()
