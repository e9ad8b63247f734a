# SPDX-License-Identifier: AGPL-3.0-or-later
"""haproxy and nginx in front of the echo server, with the configuration that docs/http-gate.md gives: only addresses, waiting times and logs differ, and
connections to the server are shared as much as the proxy can. Each proxy gives each request that it sends on an id, and says how long its body is as it reads it;
that is logged, so that what it meant can be compared with what we saw. Both listen on unix sockets of their own folder."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from wardmote_wire import ROOT, Client

START_SECONDS = 20
PATIENCE = 5  # longer than any of the proxy's own waiting times
LOG = {"id": 0, "method": 1, "target": 2, "status": 3, "server": 4, "length": 5}

# What is replaced in the documented configuration. Each must be there.
HAPROXY = [
    (r"defaults\n", "global\n    log stdout len 65535 format raw local0\n    tune.http.logurilen 65535\ndefaults\n    log global\n"),
    (r"timeout http-request 10s", "timeout http-request 300ms"),
    (r"timeout client 30s", "timeout client 400ms"),
    (r"timeout server 40s", "timeout server 3s"),
    (r"bind :443 ssl crt \S+ alpn \S+", "bind unix@{folder}/front"),
    (r"    default_backend wardmote\n", "    unique-id-format %[uuid()]\n    http-request set-header X-Front-Id %[unique-id]\n"
     '    log-format "%ID\\t%HM\\t%HU\\t%ST\\t%s\\t%[var(txn.length)]"\n    default_backend wardmote\n'),
    (r"http-reuse safe", "http-reuse always\n    http-request set-var(txn.length) req.body_len\n    http-request set-header X-Front-Length %[req.body_len]"),
    (r"127\.0\.0\.1:8080 maxconn 2000", "{address} maxconn 1"),
]
NGINX = [
    (r"server \{\n", """daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors crit;
events {{ worker_connections 1000; }}
http {{
log_format front '$request_id\\t$request_method\\t$request_uri\\t$status\\t$upstream_addr\\t$proxy_internal_body_length';
access_log {folder}/log front;
client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
client_body_timeout 400ms; keepalive_timeout 2s; lingering_timeout 100ms; lingering_time 300ms; proxy_read_timeout 3s;
upstream echo {{ server {address}; keepalive 1; }}
server {{
"""),
    (r"listen 443 ssl http2", "listen unix:{folder}/front"),
    (r"client_header_timeout 10s", "client_header_timeout 300ms"),
    (r"http://127\.0\.0\.1:8080", "http://echo"),
    (r"\n    \}\n\}\n?$", "\n        proxy_set_header X-Front-Id $request_id;\n        proxy_set_header X-Front-Length $proxy_internal_body_length;\n    }}\n}}\n}}\n"),
]


def documented(name):
    """The configuration in docs/http-gate.md."""
    page = (ROOT / "docs/http-gate.md").read_text(encoding="utf-8")
    return re.search(rf"^{name} \(.*?^```\n(.*?)^```", page, re.M | re.S)[1]


def configuration(name, **values):
    text = documented(name)
    for pattern, replacement in HAPROXY if name == "haproxy" else NGINX:
        replacement = replacement.format(**values)
        text, count = re.subn(pattern, lambda _, new=replacement: new, text, count=1)
        assert count == 1, f"docs/http-gate.md, {name}: no {pattern}"
    return text


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    assert found, f"{name} is not installed"
    return found


class Front:
    """One proxy before one server. `said` of a request: id, method, target, status, whether the server was asked, length."""

    def __init__(self, name, address):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="wmf-", dir="/tmp")
        self.address = f"{self.folder}/front"
        config = pathlib.Path(self.folder) / "config"
        config.write_text(configuration(name, folder=self.folder, address=f"{address[0]}:{address[1]}"), encoding="utf-8")
        command = ["-db", "-f", str(config)] if name == "haproxy" else ["-p", self.folder, "-c", str(config), "-e", f"{self.folder}/start"]
        self.log_path = f"{self.folder}/log"
        with open(self.log_path, "ab") as log, open(f"{self.folder}/output", "ab") as output:
            self.process = subprocess.Popen([program(name), *command], stdout=log if name == "haproxy" else output, stderr=output)
        self._from = 0
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            output = pathlib.Path(f"{self.folder}/output").read_text(encoding="utf-8")
            assert self.process.poll() is None and time.monotonic() < deadline, f"{name} does not start: {output}"
            time.sleep(0.02)  # between two looks, not a wait for luck: the deadline decides

    def _listens(self):
        try:
            self.client().close()
            return True
        except OSError:
            return False

    def client(self):
        return Client(self.address, timeout=PATIENCE)

    def said(self, until=""):
        """The requests that were logged since the last call, at least up to the one with this text in its target."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with open(self.log_path, "rb") as log:
                log.seek(self._from)
                text = log.read().decode("latin-1")
            at = text.find(until)
            if at >= 0 and ("\n" in text[at:] or not until):
                text = text[:text.rfind("\n") + 1]
                self._from += len(text)
                return [self._line(line) for line in text.splitlines() if line.count("\t") == len(LOG) - 1]
            assert time.monotonic() < deadline, f"{self.name} has not logged {until}: {text}"
            time.sleep(0.001)  # between two looks

    @staticmethod
    def _line(line):
        parts = line.split("\t")
        said = {name: parts[at] for name, at in LOG.items()}
        said["asked"] = said.pop("server") not in ("-", "<NOSRV>", "")
        said["length"] = int(said["length"]) if said["length"].isdigit() else 0
        return said

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
