# SPDX-License-Identifier: AGPL-3.0-or-later
"""Starts what a team would write instead of Wardmote, on the same database: fastify(stage), fastify_awaiting(stage), fastapi(stage), go(stage). `stage` has
uri(), the connection string of wardmote_api, and serving(), a Wardmote for a moment, of which the keys and the issuer are taken. A peer ends with the caller."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
VAR = HERE.parents[1] / "var/peers"
PROCESSES = 2
END_SECONDS = 30


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(number) for number in file.read().split()]


class Peer:
    """One that runs: .url, .port, .pids (all its processes), .close()."""

    def __init__(self, command, environment, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            self.close()
            raise RuntimeError(f"{command[0]} said {line!r}")

    @property
    def pids(self):
        return [self.process.pid, *children(self.process.pid)]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        finally:
            self.process.stdout.close()


def _settings(stage, processes, pool):
    with stage.serving(workers=1) as server:
        issuer = server.settings.get("public_url", server.url)
        with urllib.request.urlopen(f"{server.url}/.well-known/jwks.json", timeout=30) as answer:
            keys = json.load(answer)
    VAR.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=VAR, prefix="jwks-", suffix=".json", delete=False, encoding="utf-8") as file:
        json.dump(keys, file)
    known = json.loads((HERE.parents[1] / "api/openapi.json").read_text(encoding="utf-8"))["components"]["schemas"]
    schemas = VAR / "schemas.json"
    schemas.write_text(json.dumps({"create": known["ConsultationInput"], "patch": known["ConsultationPatch"]}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"DATABASE_URL": stage.uri(), "PORT": str(port), "PROCESSES": str(processes), "JWKS_FILE": file.name, "ISSUER": issuer,
            "SQL": str(HERE / "sql"), "SCHEMAS": str(schemas),
            **({} if pool is None else {"POOL": str(pool)})}


def _start(command, stage, processes, pool, **more):
    settings = {**_settings(stage, processes, pool), **more}
    try:
        return Peer(command, settings, int(settings["PORT"]))
    finally:
        os.unlink(settings["JWKS_FILE"])  # it is read at the start


def fastify(stage, processes=PROCESSES, pool=None, pipeline=True):
    """Its packages are installed once for each package-lock.json. Without `pipeline` each message of a transaction awaits the answer to the last."""
    found = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(found.lstrip("v").split(".")[0]) < 20:
        raise RuntimeError(f"Fastify 5 needs node 20, and this is {found.strip()}: install a newer one, or leave the peer out (bench/run --peers '')")
    folder = VAR / "fastify"
    folder.mkdir(parents=True, exist_ok=True)
    lock, installed = HERE / "fastify/package-lock.json", folder / "installed.json"
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "fastify" / name, folder)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True, capture_output=True)
        shutil.copy(lock, installed)
    for path in (HERE / "fastify").glob("*.js"):  # modules are looked for beside the file that names them
        shutil.copy(path, folder)
    return _start(["node", folder / "server.js"], stage, processes, pool, PIPELINE="on" if pipeline else "off")


def fastify_awaiting(stage, **options):
    return fastify(stage, pipeline=False, **options)


def fastapi(stage, processes=PROCESSES, pool=None):
    """On Debian's packages, so with Debian's Python."""
    return _start(["/usr/bin/python3", "-B", HERE / "fastapi/server.py"], stage, processes, pool)


def go(stage, processes=PROCESSES, pool=None):
    """On Debian's packages, which are a GOPATH."""
    VAR.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(VAR / "go-cache"), "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", VAR / "go-peer", "."], cwd=HERE / "go", env=environment, check=True, capture_output=True)
    return _start([VAR / "go-peer"], stage, processes, pool)
