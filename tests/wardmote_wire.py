# SPDX-License-Identifier: AGPL-3.0-or-later
"""HTTP as bytes: raw connections, and tests/unit/http_echo.c, a server over the HTTP layer alone (WARDMOTE_TEST_HTTP_ECHO names the binary; else it is
looked for beside WARDMOTE_BIN, or in the build folders)."""
import contextlib
import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = b"Host: localhost\r\n"


def echo_binary():
    named = os.environ.get("WARDMOTE_TEST_HTTP_ECHO")
    if named:
        return named
    build = os.environ.get("WARDMOTE_BIN", str(ROOT / "build*/src/server/wardmote"))
    found = glob.glob(os.path.join(os.path.dirname(build), "../../tests/unit/http_echo"))
    if not found:
        raise RuntimeError("no http_echo binary: build one, or set WARDMOTE_TEST_HTTP_ECHO")
    return max(found, key=os.path.getmtime)


class TlsAddress(tuple):
    """A host and port where TLS is spoken; `context` is what a client there uses."""
    context = None


class Server:
    """With `certificate` and `key`, files in PEM, it speaks TLS; clients trust that certificate."""

    def __init__(self, **limits):
        self.process = subprocess.Popen([echo_binary()] + [f"{name}={value}" for name, value in limits.items()], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        host, _, port = self.process.stdout.readline().strip().rpartition(":")
        self.address = (host, int(port))
        if "certificate" in limits:
            self.address = TlsAddress(self.address)
            self.address.context = ssl.create_default_context(cafile=limits["certificate"])

    def stop(self):
        """Drains it; its counters must agree, and it must leave without a word."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, err) == (0, "")
        counters = json.loads(out)
        assert counters["begun"] == counters["ended"] and counters["made"] == counters["released"]
        return counters

    def stats(self):
        return json.loads(get(self.address, "/stats").body)


@contextlib.contextmanager
def serving(**limits):
    server = Server(**limits)
    try:
        yield server
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


class Traced:
    """A server that tells what its application saw."""

    def __init__(self, **limits):
        self.folder = tempfile.mkdtemp(prefix="wmw-", dir="/tmp")
        self.path = f"{self.folder}/trace"
        self.server = Server(trace=self.path, **limits)
        self.address = self.server.address
        self._from = 0

    def forget(self):
        """From here on."""
        self._from = os.path.getsize(self.path)

    def seen(self):
        """Each request that was read whole, and each refusal."""
        with open(self.path, "rb") as trace:
            trace.seek(self._from)
            return [json.loads(line.decode("utf-8", "replace")) for line in trace]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.server.stop()
        finally:
            if self.server.process.poll() is None:
                self.server.process.kill()
                self.server.process.wait()
            shutil.rmtree(self.folder)


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name.lower())


class Client:
    """One connection, to a host and port or the path of a unix socket. Reads answers one after another, bytes kept between them."""

    def __init__(self, address, timeout=10):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=timeout)
        if isinstance(address, TlsAddress):
            self.socket = address.context.wrap_socket(self.socket, server_hostname="localhost")
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.rest += data
        return bool(data)

    def answer(self, head=False):
        """The next answer, or None when the connection was closed instead."""
        while b"\r\n\r\n" not in self.rest:
            if not self.fill():
                return None
        block, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = block.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            fields[name.lower()] = f"{fields[name.lower()]}, {value}" if name.lower() in fields else value
        length = 0 if head or status in (204, 304) or status < 200 else int(fields["content-length"])
        while len(self.rest) < length:
            if not self.fill():
                return None
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, fields, body)

    def closed(self):
        """Did the server close? Waits for it."""
        while self.fill():
            pass
        return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def get(address, target, fields=b""):
    with Client(address) as client:
        client.send(b"GET " + target.encode() + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n")
        return client.answer()


def request(fields=b"", method=b"GET", target=b"/echo", version=b"HTTP/1.1", host=HOST, body=b""):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
