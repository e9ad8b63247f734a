# SPDX-License-Identifier: AGPL-3.0-or-later
"""The worked flow of docs/api-guide.md, told in three languages: each program is run through a front that says "later", refuses, and loses an answer; all
three make the same records, and the guide shows the programs as they are."""
import http.client
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import urllib.parse

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_records import Records
from wardmote_suite import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"flow.sh": ["bash"], "flow.py": [sys.executable], "flow.mjs": ["node"]}
ANY = {"If-Match": "*"}
FIRST = """faults: /titel unknown_field /title required /topics type
cms/1: created
cms/2: created
cms/3: created
3 consultations on 2 pages
changed at attempt 1
"""
AGAIN = FIRST.replace("created", "already there").replace("attempt 1", "attempt 2")


class Front:
    """A proxy that fails once at each of three places, and otherwise hands on."""

    def __init__(self, server):
        self.left = {("PUT", "/v1/consultations"): 503, ("POST", "/v1/activities"): None, ("GET", "/v1/changes"): 429}
        self.posts = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                front.handle(self, server)

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def handle(self, handler, server):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        place = (handler.command, handler.path.partition("?")[0])
        fault = self.left.pop(place, False) if "dry_run" not in handler.path else False
        handler.close_connection = True
        if fault:
            handler.wfile.write(f"HTTP/1.1 {fault} Later\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        if place[0] == "POST":
            self.posts.append((place[1], handler.headers.get("Idempotency-Key")))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        fields = {name: value for name, value in handler.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        connection.request(handler.command, handler.path, body or None, fields)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if fault is None:
            return  # done, and the answer is lost
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders() if name.lower() not in ("connection", "transfer-encoding", "content-length"))
        length = "" if answer.status in (204, 304) else f"Content-Length: {len(text)}\r\n"
        handler.wfile.write(f"HTTP/1.1 {answer.status} X\r\n{head}{length}Connection: close\r\n\r\n".encode() + text)


class Site:
    """An installation of its own, with a partner and an officer's credentials for each program."""

    def __init__(self, cluster, folder, contract):
        self.folder = folder
        cluster.setup(database="wardmote_guide")
        self.keys = wardmote_server.make_keys(cluster)
        self.host = wardmote_server.make_administrator(cluster, "wardmote_guide")
        self.server = wardmote_server.Server(cluster, self.keys, database="wardmote_guide")
        public = Client(self.server, None, None)
        self.administrator = public.as_token(public.token_for(self.host["client_id"], self.host["client_secret"]))
        self.records = Records(self.administrator, contract)
        self.partners = {name: self.records.partner() for name in PROGRAMS}
        self.accounts = {name: self.records.account_record(self.partners[name].id, "officer") for name in PROGRAMS}

    def run(self, base):
        """What each program prints; all three at once. `base`: {program: URL}."""
        running = {}
        for name, command in PROGRAMS.items():
            environment = {**os.environ, "URL": base[name], "CLIENT_ID": self.accounts[name]["client_id"], "CLIENT_SECRET": self.accounts[name]["client_secret"],
                           "STATE": f"{self.folder}/{name}.json"}
            running[name] = subprocess.Popen([*command, ROOT / "api/examples" / name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                             cwd=self.folder)
        ended = {name: process.communicate(timeout=120) for name, process in running.items()}
        assert {name: process.returncode for name, process in running.items()} == dict.fromkeys(PROGRAMS, 0), ended
        return {name: output for name, (output, _) in ended.items()}

    def state(self, name):
        return json.loads(pathlib.Path(self.folder, f"{name}.json").read_text(encoding="utf-8"))

    def made(self, name):
        """What the program made, without what differs by itself."""
        client, found = self.partners[name].officer, {}
        for resource, fields in (("consultations", ("external_id", "title", "summary", "visibility", "status", "version")),
                                 ("activities", ("title", "kind", "venue", "description", "visibility", "version"))):
            rows = client.get(f"/v1/{resource}", params={"partner_id": self.partners[name].id, "sort": "title"}).json()["items"]
            found[resource] = [{field: row[field] for field in fields} for row in rows]
        return found


@pytest.fixture(scope="module", name="site")
def _site(cluster, contract, tmp_path_factory):
    site = Site(cluster, tmp_path_factory.mktemp("guide"), contract)
    yield site
    site.server.close()


def test_three_programs_do_the_same(site):
    fronts = {name: Front(site.server) for name in PROGRAMS}
    other = site.administrator.post("/v1/consultations", {"title": "Of somebody else", "visibility": "shared"}).json()
    assert site.run({name: front.url for name, front in fronts.items()}) == dict.fromkeys(PROGRAMS, FIRST)
    for name, front in fronts.items():
        assert front.left == {}, name
        keys = [key for path, key in front.posts if path == "/v1/activities"]
        assert len(keys) == 2 and keys[0] == keys[1] != "", f"{name} repeats what was lost with the same key"
    made = {name: site.made(name) for name in PROGRAMS}
    assert len(made["flow.py"]["consultations"]) == 3 and len(made["flow.py"]["activities"]) == 1
    assert made["flow.sh"] == made["flow.py"] == made["flow.mjs"]
    a_colleague_is_faster(site)
    copies_follow(site, other)
    a_refusal_is_told(site)


def a_colleague_is_faster(site):
    for name, partner in site.partners.items():
        event = site.state(name)["event"]
        assert partner.manager.patch(f"/v1/activities/{event['id']}", {"description": "Bring a hat"}, headers=ANY).status == 200
    assert site.run(dict.fromkeys(PROGRAMS, site.server.url)) == dict.fromkeys(PROGRAMS, AGAIN)
    made = {name: site.made(name) for name in PROGRAMS}
    assert made["flow.sh"] == made["flow.py"] == made["flow.mjs"]
    assert [(row["venue"], row["description"], row["version"]) for row in made["flow.py"]["activities"]] == [("Example Hall, room 2", "Bring a hat", 4)]
    assert {row["version"] for row in made["flow.py"]["consultations"]} == {1}, "nothing was written the second time"


def copies_follow(site, other):
    """What the feed brought is what there is: also what others made, changed and took back."""
    assert site.administrator.patch(f"/v1/consultations/{other['id']}", {"title": "Of others"}, headers=ANY).status == 200

    def settled():
        rows = site.partners["flow.py"].viewer.get("/v1/consultations", params={"limit": 500}).json()["items"]
        wanted = {row["id"]: (row["title"], row["version"]) for row in rows}
        site.run(dict.fromkeys(PROGRAMS, site.server.url))
        copies = [{key: (row["title"], row["version"]) for key, row in site.state(name)["copy"].items()} for name in PROGRAMS]
        return copies == [wanted] * 3 and wanted

    assert len(until(settled, 30)) == 10
    assert site.administrator.patch(f"/v1/consultations/{other['id']}", {"visibility": "private"}, headers=ANY).status == 200
    assert len(until(settled, 30)) == 9


def a_refusal_is_told(site):
    """What a user of the programs sees when the server refuses: here credentials that were never given."""
    for name, command in PROGRAMS.items():
        done = subprocess.run([*command, ROOT / "api/examples" / name], capture_output=True, text=True, timeout=60, check=False, cwd=site.folder,
                              env={**os.environ, "URL": site.server.url, "CLIENT_ID": "wmc_0", "CLIENT_SECRET": "wms_0", "STATE": f"{site.folder}/refused-{name}.json"})
        assert done.returncode != 0 and "invalid_client" in done.stderr, (name, done.stderr)
        assert urllib.parse.urlsplit(site.server.url).netloc not in done.stdout


def test_the_guide_shows_the_programs():
    guide = (ROOT / "docs/api-guide.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```(bash|python|javascript)\n(.*?)^```$", guide, re.M | re.S)
    files = [(language, (ROOT / "api/examples" / name).read_text(encoding="utf-8"))
             for language, name in (("bash", "flow.sh"), ("python", "flow.py"), ("javascript", "flow.mjs"))]
    assert shown == files
    assert all(len(text.splitlines()) <= 120 for _, text in files)
