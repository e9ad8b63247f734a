# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote load` at a server that answers what no Wardmote would, or what a Wardmote answers at a bad moment: it says what it was told and ends with 1, and
never takes a wrong answer for a right one."""
import contextlib
import http.server
import json
import os
import subprocess
import threading

import pytest

import wardmote_server

TOKEN = {"access_token": "a.b.c", "expires_in": 600}
PROBLEM = {"title": "No", "detail": "Not here."}


class Answers(http.server.BaseHTTPRequestHandler):
    """What `server.script` has for this method and the beginning of this path, in turn; its last one again and again."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
        key = next(key for key in self.server.script if self.command == key[0] and self.path.startswith(key[1]))
        queue = self.server.script[key]
        status, headers, body = queue.pop(0) if len(queue) > 1 else queue[0]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with contextlib.suppress(OSError):  # whom the answer is too large for has left
            self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: the names are the module's

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


@pytest.fixture(name="run")
def _run(tmp_path):
    """run(script, *files) -> (the ended command, the requests that it sent)"""
    servers = []

    def run(script, *files, token=(200, {}, TOKEN)):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        server.script = {("POST", "/oauth/token"): token if isinstance(token, list) else [token],
                         **{key: list(value) if isinstance(value, list) else [value] for key, value in script.items()}}
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for i, content in enumerate(files):
            (tmp_path / f"{i:02}.json").write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run([wardmote_server.binary(), "load", "--url", f"http://127.0.0.1:{server.server_port}", "--client-id", "me", str(tmp_path)],
                              env={**os.environ, "WARDMOTE_CLIENT_SECRET": "secret"}, capture_output=True, text=True, timeout=60, check=False)
        return done, server.seen

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def kept(**record):
    return {"resource": "places", "records": [{"key": "a", "body": {"name": "A"}, **record}]}


def found(match="name", **record):
    return {"resource": "codes", "match": [[match]], "records": [{"key": "a", "body": {"name": "A", "label": "L"}, **record}]}


PUT, GET, POST, PATCH = ("PUT", "/v1/places"), ("GET", "/v1/codes?"), ("POST", "/v1/codes"), ("PATCH", "/v1/codes/")
STORED = {"id": "1", "name": "A", "label": None}


@pytest.mark.parametrize("script, content, said", [
    ({PUT: (200, {}, {"name": "A"})}, kept(), "the answer has no id"),
    ({PUT: (200, {}, b"<html>")}, kept(), "the answer has no id"),
    ({PUT: (200, {}, b"")}, kept(), "the answer has no id"),
    ({PUT: (204, {}, b"")}, kept(), "204 without a problem document"),
    ({PUT: (500, {}, b"oops")}, kept(), "500 without a problem document"),
    ({PUT: (403, {}, {"title": "No"})}, kept(), "403 No\n"),
    ({PUT: (422, {}, {**PROBLEM, "errors": [{"pointer": "/name", "code": "bad", "detail": "why"}, {"parameter": "limit", "code": "low"}, {"header": "If-Match"}, {}, 7]})},
     kept(), "422 No: Not here.\n  /name: bad: why\n  limit: low: \n  If-Match: ?: \n  (request): ?: \n  (request): ?: \n"),
    ({PUT: (200, {}, b" " * (33 << 20))}, kept(), "wardmote load: http://127.0.0.1:"),
    ({GET: (500, {}, PROBLEM)}, found(), "GET /v1/codes?limit=500&name=A: 500 No"),
    ({GET: (200, {}, {"items": 7})}, found(), "GET /v1/codes?limit=500&name=A: 200 without"),
    ({GET: (200, {}, {"items": [STORED, STORED]})}, found(), "more than one stored record is like it"),
    ({GET: (200, {}, {"items": [{"name": "B"}] * 500})}, found(), "too many stored records"),
    ({GET: (200, {}, {"items": []}), POST: (500, {}, PROBLEM)}, found(), "POST /v1/codes: 500 No"),
    ({GET: (200, {}, {"items": []}), POST: (201, {}, {})}, found(), "the answer has no id"),
    ({GET: (200, {}, {"items": [{"name": "A"}]})}, found(), "the answer has no id"),
    ({GET: (200, {}, {"items": [STORED]}), ("GET", "/v1/codes/1"): (404, {}, PROBLEM)}, found(), "GET /v1/codes/1: 404 No"),
    ({GET: (200, {}, {"items": [STORED]}), ("GET", "/v1/codes/1"): (200, {"ETag": '"1"'}, STORED), PATCH: (412, {}, PROBLEM)}, found(), "PATCH /v1/codes/1: 412 No"),
    ({PUT: (201, {}, {"id": "1", "status": "idea"}), ("POST", "/v1/places/1/transitions"): (409, {}, PROBLEM)}, kept(path=["idea", "planned"]),
     "POST /v1/places/1/transitions: 409 No"),
])
def test_what_is_refused_is_told(run, script, content, said):
    done, _ = run(script, content)
    assert done.returncode == 1 and said in done.stderr, done.stderr[-2000:]


@pytest.mark.parametrize("token, said", [
    ((200, {}, {"access_token": "a.b.c"}), "no token for client me: 200 without"), ((200, {}, {"expires_in": 600}), "no token for client me"),
    ((401, {}, {"error": "invalid_client", "error_description": "Who?"}), "no token for client me: 401 invalid_client: Who?"), ((200, {}, b"x"), "no token for client me"),
])
def test_no_token_is_no_token(run, token, said):
    done, seen = run({PUT: (200, {}, STORED)}, kept(), token=token)
    assert done.returncode == 1 and said in done.stderr
    assert [path for _, path, _, _ in seen] == ["/oauth/token"]


def test_a_token_that_ends_soon_is_renewed(run):
    """It is used for half of its time, or up to a minute before its end: one that has no time is asked for again with each request."""
    content = {"resource": "places", "records": [{"key": key, "body": {}} for key in "abc"]}
    for seconds, times in ((0, 3), (100, 1), (600, 1)):
        done, seen = run({PUT: (200, {}, {"id": "1"})}, content, token=(200, {}, {"access_token": "a.b.c", "expires_in": seconds}))
        assert done.returncode == 0, done.stderr
        assert [path for _, path, _, _ in seen].count("/oauth/token") == times


def test_busy_is_waited_for_and_in_the_end_told(run):
    """As long as the server says (five seconds at most), else one; six times."""
    busy = [(503, {"Retry-After": "0"}, PROBLEM), (429, {}, PROBLEM), (200, {"ETag": "x" * 300}, {"id": "1"})]
    done, seen = run({PUT: busy}, kept())
    assert done.returncode == 0 and len(seen) == 4
    done, seen = run({PUT: (503, {"Retry-After": "1"}, PROBLEM)}, kept())
    assert done.returncode == 1 and "503 No" in done.stderr and len(seen) == 7


def test_the_etag_that_was_read_is_the_one_that_is_sent(run):
    script = {GET: (200, {}, {"items": [STORED]}), ("GET", "/v1/codes/1"): (200, {"ETag": ' "v1.ab" '}, STORED), PATCH: (200, {}, STORED)}
    done, seen = run(script, found())
    assert done.returncode == 0 and "1 completed" in done.stdout
    method, _, headers, body = seen[-1]
    assert (method, headers["If-Match"], json.loads(body)) == ("PATCH", '"v1.ab"', {"label": "L"})


def test_a_record_off_its_path_is_left_alone(run):
    done, seen = run({PUT: (200, {}, {"id": "1", "status": "withdrawn"})}, kept(path=["idea", "planned"]))
    assert done.returncode == 0 and len(seen) == 2
    done, seen = run({PUT: (200, {}, {"id": "1"})}, kept(path=["idea", 7]))
    assert done.returncode == 0 and len(seen) == 2


def test_accounts_are_acted_as_and_a_lost_secret_is_renewed(run):
    def files(n):
        accounts = {"resource": "accounts", "match": [["name"]], "records": [{"key": f"k{i}", "body": {"name": f"n{i}"}} for i in range(n)]}
        return accounts, {"resource": "places", "as": "k0", "records": [{"key": "a", "body": {}}]}

    def account(i):
        return {"id": f"id{i}", "client_id": f"c{i}", "name": f"n{i}"}

    script = {("GET", "/v1/accounts"): (200, {}, {"items": [account(i) for i in range(20)]}), ("POST", "/v1/accounts/id0/secrets"): (201, {}, {"client_secret": "s"}),
              PUT: (200, {}, {"id": "1"})}
    done, _ = run(script, *files(1))
    assert done.returncode == 0, done.stderr
    done, _ = run({**script, ("POST", "/v1/accounts/id0/secrets"): (403, {}, PROBLEM)}, *files(1))
    assert done.returncode == 1 and "POST /v1/accounts/id0/secrets: 403 No" in done.stderr
    done, _ = run(script, *files(17))
    assert done.returncode == 1 and "more than 16 accounts" in done.stderr
