# SPDX-License-Identifier: AGPL-3.0-or-later
"""The configurations in dist/proxy, each run as it is but for addresses, files and users."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from wardmote_wire import ROOT

TOOLS = ROOT / "build/tools"
START_SECONDS = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    """As installed, or as unpacked by scripts/test-install."""
    path = os.pathsep.join([str(TOOLS / "usr/sbin"), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed"
    return found


def modules():
    for folder in (TOOLS / "usr/lib/apache2/modules", pathlib.Path("/usr/lib/apache2/modules")):
        if folder.is_dir():
            return folder
    raise AssertionError("no modules of Apache")


# What is replaced. Each must be there.
NGINX = [(r"user www-data;", "daemon off; {user}"), (r"pid \S+;", "pid {folder}/pid;"), (r"error_log \S+;", "error_log {folder}/errors;"),
         (r"access_log \S+", "client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; "
          "scgi_temp_path {folder}/s; access_log {folder}/log"),
         (r"listen 80;", "listen 127.0.0.1:{plain};"), (r"listen 443 ", "listen 127.0.0.1:{port} "), (r"127\.0\.0\.1:8080", "{server}"),
         (r"/etc/wardmote/tls\.crt", "{certificate}"), (r"/etc/wardmote/tls\.key", "{key}")]
HAPROXY = [(r"log /dev/log local0\n    user haproxy\n    group haproxy", "log stdout format raw local0"), (r"bind :80\n", "bind 127.0.0.1:{plain}\n"),
           (r"bind :443 ", "bind 127.0.0.1:{port} "), (r"/etc/wardmote/tls\.pem", "{pem}"), (r"127\.0\.0\.1:8080 port 9090", "{server} port {admin}")]
APACHE = [(r"Listen 443", "Listen 127.0.0.1:{port}"), (r"<VirtualHost \*:443>", "<VirtualHost 127.0.0.1:{port}>"), (r"127\.0\.0\.1:8080", "{server}"),
          (r"/etc/wardmote/tls\.crt", "{certificate}"), (r"/etc/wardmote/tls\.key", "{key}"), (r"/var/log/apache2/wardmote\.log", "{folder}/log"),
          (r"/var/log/apache2/wardmote-error\.log", "{folder}/errors")]
ENABLED = ["mpm_event", "authz_core", "ssl", "headers", "proxy", "proxy_http", "reqtimeout", "unique_id", "socache_shmcb"]
FILES = {"nginx": ("nginx.conf", NGINX), "haproxy": ("haproxy.cfg", HAPROXY), "apache": ("apache.conf", APACHE)}


class Proxy:
    def __init__(self, name, server, certificate, key):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="wmx-", dir="/tmp")
        self.port = free_port()
        pem = pathlib.Path(self.folder) / "tls.pem"
        pem.write_text(pathlib.Path(certificate).read_text(encoding="ascii") + pathlib.Path(key).read_text(encoding="ascii"), encoding="ascii")
        values = {"folder": self.folder, "port": self.port, "plain": free_port(), "server": f"127.0.0.1:{server.port}", "certificate": certificate, "key": key,
                  "pem": pem, "admin": server.admin_url.rsplit(":", 1)[1], "user": "user root;" if os.geteuid() == 0 else ""}
        self.config = self._write(values)
        self.log = f"{self.folder}/log"
        environment = {**os.environ, "LD_LIBRARY_PATH": str(TOOLS / "usr/lib/x86_64-linux-gnu")}
        with open(f"{self.folder}/output", "ab") as output, open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._command(), stdout=log if name == "haproxy" else output, stderr=output, env=environment)
        self._wait()

    def _write(self, values):
        file, changes = FILES[self.name]
        text = (ROOT / "dist/proxy" / file).read_text(encoding="utf-8")
        for pattern, replacement in changes:
            text, count = re.subn(pattern, lambda _, new=replacement.format(**values): new, text)
            assert count >= 1, f"dist/proxy/{file}: no {pattern}"
        if self.name == "apache":
            loads = "".join(f"LoadModule {module}_module {modules()}/mod_{module}.so\n" for module in ENABLED)
            text = f"ServerRoot {self.folder}\nPidFile {self.folder}/pid\nDefaultRuntimeDir {self.folder}\nErrorLog {self.folder}/errors\nServerName localhost\n{loads}{text}"
            if os.geteuid() == 0:
                text = f"User nobody\nGroup nogroup\n{text}"
        path = f"{self.folder}/config"
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return path

    def _command(self):
        if self.name == "nginx":
            return [program("nginx"), "-p", self.folder, "-c", self.config, "-e", f"{self.folder}/errors"]
        if self.name == "haproxy":
            return [program("haproxy"), "-db", "-f", self.config]
        return [program("apache2"), "-f", self.config, "-D", "FOREGROUND"]

    def said(self):
        return "".join(pathlib.Path(f"{self.folder}/{name}").read_text(errors="replace") for name in ("output", "errors", "log")
                       if os.path.exists(f"{self.folder}/{name}"))

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, f"{self.name} does not start: {self.said()}"
                time.sleep(0.05)  # between two looks, not a wait for luck: the deadline decides

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
