# SPDX-License-Identifier: AGPL-3.0-or-later
"""Dockerfile and docker-compose.yml: valid, tight, and what they say happens. There is no Docker here: see wardmote_containers."""
import fnmatch
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import urllib.request

import pytest
import yaml

import wardmote_containers as containers
import wardmote_root
import wardmote_server
from wardmote_suite import ROOT, until

SECRETS = {"POSTGRES_PASSWORD": "super_1", "OWNER_PASSWORD": "owner-2", "API_PASSWORD": "api_3"}
ENTRIES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
HOSTS = "127.0.0.1 localhost database server\n"


def test_compose_takes_the_file():
    usual, proxied = containers.compose("config", **SECRETS), containers.compose("--profile", "proxy", "config", **SECRETS)
    assert usual.returncode == proxied.returncode == 0, usual.stderr + proxied.stderr
    assert set(containers.services(**SECRETS)) | set(containers.services("--profile", "proxy", **SECRETS)) == set(ENTRIES)
    up = containers.compose("--profile", "proxy", "config", "--services", **SECRETS).stdout.split()
    assert set(up) == {"database", "migrate", "server", "proxy"}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_password_that_is_not_set_is_named(name):
    refused = containers.compose("config", **{key: value for key, value in SECRETS.items() if key != name})
    assert refused.returncode != 0 and "see the top of docker-compose.yml" in refused.stderr
    assert name in (ROOT / "docker-compose.yml").read_text(encoding="utf-8").split("services:")[0]


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_a_service_is_granted_little(name):
    entry = ENTRIES[name]
    assert entry["read_only"] is True and entry["cap_drop"] == ["ALL"] and entry["security_opt"] == ["no-new-privileges:true"] and entry["tmpfs"]
    assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(entry)
    stages = containers.stages()
    user = stages[entry["build"]["target"]].last("USER") if "build" in entry else entry["user"]
    assert user not in ("root", "0", "")
    assert ("healthcheck" in entry) == (entry["restart"] == "unless-stopped"), "what stays is watched, what runs once is waited for"
    assert all(port.startswith("127.0.0.1:") for port in entry.get("ports", [])) or name == "proxy"
    waited = {other: condition["condition"] for other, condition in entry.get("depends_on", {}).items()}
    assert waited == {"server": {"database": "service_healthy", "migrate": "service_completed_successfully"}, "migrate": {"database": "service_healthy"},
                      "proxy": {"server": "service_healthy"}, "database": {}}[name]


def context_of():
    return tuple(line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!"))


def test_the_context_holds_what_is_copied_and_no_more():
    """.dockerignore leaves out build folders, keys and .env."""
    kept = context_of()
    copied = {name for stage in containers.stages().values() for what, rest in stage.steps if what == "COPY" and "--from" not in rest for name in rest.split()[:-1]}
    assert set(kept) == copied and all((ROOT / name).exists() for name in kept)
    assert not [name for name in (".env", "build", "var", "tls.pem") if any(fnmatch.fnmatch(name, pattern) for pattern in kept)]


@pytest.fixture(scope="module", name="images")
def _images(tmp_path_factory):
    """{target: layers}: each step of the Dockerfile was run. For the proxy's image stands the haproxy of Debian."""
    context = tmp_path_factory.mktemp("context")
    digest = wardmote_root.copy_sources(context, context_of())
    stages = containers.stages()
    built = {name: containers.build(stages[name], stages, context, digest) for name in ("server", "migrate")}
    return {**built, "proxy": wardmote_root.layer("proxy", wardmote_root.base(), wardmote_root.apt_install("haproxy wget"))}


class Services:
    """The services of docker-compose.yml on one network."""

    def __init__(self, images, folder):
        self.images = images
        self.folder = folder
        self.stages = containers.stages()
        self.entries = containers.services("--profile", "proxy", PUBLIC_URL="https://wardmote.example", TLS_PEM=str(folder / "tls.pem"), **SECRETS)
        self.keys = folder / "keys"
        self.keys.mkdir()
        os.chown(self.keys, 10001, 10001)  # a new volume is as the image has the folder
        folder.chmod(0o755)

    def volumes(self, name):
        """A named volume is a folder of the test's; the others are where the file says."""
        options = []
        for volume in self.entries[name]["volumes"]:
            source, target, *mode = volume.split(":")
            source = self.folder / source if "/" not in source else source
            options.append(f"--bind{'-ro' if 'ro' in mode else ''}={source}:{target}")
        return options

    def start(self, name, layers, command, user):
        """A machine for the service, and the command line that runs it there."""
        entry = self.entries[name]
        machine = wardmote_root.Machine(layers, f"--user={user}", *containers.granted(entry), *self.volumes(name), network="shared")
        for path, text in {"etc/hosts": HOSTS, **{volume.split(":")[1][1:]: "" for volume in entry["volumes"] if "." in volume.split(":")[1]}}.items():
            (machine.upper / path).parent.mkdir(parents=True, exist_ok=True)  # Docker makes what it mounts over
            (machine.upper / path).write_text(text, encoding="utf-8")
        return machine, machine.command(command, environment={key: str(value) for key, value in (entry.get("environment") or {}).items()})

    def built(self, name):
        stage = self.stages[self.entries[name]["build"]["target"]]
        return self.start(name, self.images[stage.name], containers.command_of(stage, self.stages, self.entries[name]), stage.last("USER"))


def state(pid):
    """(parent, number in its innermost namespace, user) of a process."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines())
    numbers = fields["NSpid"].split()
    return int(fields["PPid"]), int(numbers[-1]) if len(numbers) > 1 else 0, int(fields["Uid"].split()[0])


def contained(process):
    """The process that a machine runs beside the first one of its namespace, once it does."""
    def look():
        assert process.poll() is None, "it ended"
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent, _, user = state(folder.name)
                if user != 0 and state(parent)[1] == 1 and _comes_from(parent, process.pid):
                    return int(folder.name)
            except (OSError, KeyError):
                continue  # it is gone
        return None
    return until(look, 60, "the start of the container")


def _comes_from(pid, wanted):
    while pid > 1 and pid != wanted:
        pid = state(pid)[0]
    return pid == wanted


def get(url, token=None, data=None):
    """(status, body)"""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module", name="composed")
def _composed(images, tmp_path_factory):
    """Database, preparation and server, started in this order as the file says; the server's process and the log of the preparation."""
    with containers.own_network():
        database = wardmote_server.Cluster(more="-c listen_addresses=127.0.0.1")
        composed = Services(images, tmp_path_factory.mktemp("composed"))
        machine, command = composed.built("migrate")
        with machine:
            for _ in range(2):  # again does no harm: each `docker compose up` runs it
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
                assert done.returncode == 0, done.stdout + done.stderr
            composed.prepared = done
        machine, command = composed.built("server")
        with open(composed.folder / "log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            composed.server = contained(process)
            composed.database = database
            yield composed
            os.kill(composed.server, 15)
            status = process.wait(60)
        finally:
            process.kill()
            process.wait()
            machine.close()
            database.close()
    assert status == 0, (composed.folder / "log").read_text(encoding="utf-8")


def inside(pid, command, user="10001"):
    """A command in a container that runs, as a health check is run."""
    return subprocess.run(["nsenter", "-t", str(pid), "-m", "-p", "-i", "-u", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command],
                          capture_output=True, text=True, check=False, timeout=60)


def test_the_health_checks_are_met(composed):
    check = composed.entries["server"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    until(lambda: inside(composed.server, check[1:]).returncode == 0, 60, "health")
    check = composed.entries["database"]["healthcheck"]["test"]
    pid = composed.server  # one network: pg_isready is that of this machine
    assert pid and subprocess.run([f"{composed.database.bin}/{check[1]}", *check[2:]], capture_output=True, check=False, timeout=60).returncode == 0


def test_the_health_check_can_fail(composed):
    composed.database.stop("immediate")
    try:
        check = composed.entries["server"]["healthcheck"]["test"]
        until(lambda: inside(composed.server, check[1:]).returncode != 0, 60, "that it is noticed")
    finally:
        composed.database.start()
    until(lambda: inside(composed.server, check[1:]).returncode == 0, 60, "health")


def test_the_server_can_do_little(composed):
    status = pathlib.Path(f"/proc/{composed.server}/status").read_text(encoding="utf-8")
    assert re.search(r"^Uid:(\t10001){4}$", status, re.MULTILINE) and "NoNewPrivs:\t1" in status
    assert all(re.search(rf"^{name}:\t0+$", status, re.MULTILINE) for name in ("CapEff", "CapPrm", "CapBnd"))
    for path, writable in (("/", False), ("/usr/bin", False), ("/var/lib/wardmote", False), ("/var/lib/wardmote/keys", False), ("/tmp", True)):
        done = inside(composed.server, ["sh", "-c", f"touch {path}/probe && rm {path}/probe"])
        assert (done.returncode == 0) == writable, path


def test_the_roles_have_their_passwords_and_no_more(composed):
    with composed.database.connect("postgres") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname, rolpassword IS NOT NULL, rolsuper FROM pg_authid WHERE rolname LIKE 'wardmote%' ORDER BY 1")
        assert cursor.fetchall() == [("wardmote_api", True, False), ("wardmote_owner", True, False)]
    environment = composed.entries["server"]["environment"]
    assert not [value for value in environment.values() if SECRETS["OWNER_PASSWORD"] in str(value) or SECRETS["POSTGRES_PASSWORD"] in str(value)]


def test_the_first_administrator_is_made_as_the_file_says(composed):
    """The command in its head; then a record is written."""
    words = re.search(r"docker compose run --rm --no-deps --entrypoint wardmote migrate (account create .*)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[1]
    machine, command = composed.start("migrate", composed.images["migrate"], ["sh", "-c", f"wardmote {words}"], "wardmote")
    with machine:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    client = json.loads(done.stdout)
    form = f"grant_type=client_credentials&client_id={client['client_id']}&client_secret={client['client_secret']}".encode()
    token = json.loads(get("http://127.0.0.1:8080/oauth/token", data=form)[1])["access_token"]
    assert json.loads(get("http://127.0.0.1:8080/v1/me", token)[1])["partner_name"] == "NAME"


@pytest.fixture(scope="module", name="proxy")
def _proxy(composed):
    """haproxy of Debian with the file, as the image's user would run it."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=wardmote.example",
            "-keyout", "key", "-out", "certificate"]
    subprocess.run(made, cwd=composed.folder, capture_output=True, check=True, timeout=60)
    pem = composed.folder / "tls.pem"
    pem.write_text((composed.folder / "certificate").read_text(encoding="utf-8") + (composed.folder / "key").read_text(encoding="utf-8"), encoding="utf-8")
    machine, command = composed.start("proxy", composed.images["proxy"], ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"], composed.entries["proxy"]["user"])
    log = composed.folder / "proxy-log"
    with machine, open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            pid = contained(process)
            check = composed.entries["proxy"]["healthcheck"]["test"][1:]
            until(lambda: inside(pid, check, "haproxy").returncode == 0, 60, "the proxy's health")
            yield pid
        finally:
            process.kill()
            process.wait()


def through_tls(text):
    """The bytes that come back for these, on a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", 8443), timeout=30) as plain, context.wrap_socket(plain) as secure:
        secure.sendall(text.encode("latin-1"))
        answer = b""
        while part := secure.recv(65536):
            answer += part
        return answer.decode("latin-1")


HEAD = "Host: wardmote.example\r\nConnection: close\r\n"


def test_the_proxy_serves(composed, proxy):
    assert proxy
    answer = through_tls(f"GET /v1/me HTTP/1.1\r\n{HEAD}X-Forwarded-For: 203.0.113.9\r\n\r\n")
    assert answer.startswith("HTTP/1.1 401 ") and "strict-transport-security: max-age=31536000" in answer
    assert "https://wardmote.example/" in through_tls(f"GET /v1 HTTP/1.1\r\n{HEAD}\r\n")
    log = (composed.folder / "log").read_text(encoding="utf-8")
    assert "203.0.113.9" not in log


@pytest.mark.parametrize("fields", ["Host: other.example\r\n", "Content-Length: 0\r\nContent-Length: 5\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                    "Content Length: 5\r\n", "Transfer-Encoding : chunked\r\n"], ids=lambda text: text.split(":")[0] + str(len(text)))
def test_the_proxy_refuses_doubtful_framing(composed, proxy, fields):
    """Nothing of it reaches the server."""
    assert proxy
    before = (composed.folder / "log").read_text(encoding="utf-8").count("\n")
    answer = through_tls(f"POST /v1/partners HTTP/1.1\r\n{HEAD}{fields}\r\n")
    assert re.match(r"HTTP/1\.1 (400|403) ", answer) and answer.count("HTTP/1.1") == 1
    assert (composed.folder / "log").read_text(encoding="utf-8").count("\n") == before


def test_the_proxy_tells_when_the_server_is_away(composed, proxy):
    check = composed.entries["proxy"]["healthcheck"]["test"][1:]
    assert inside(proxy, check, "haproxy").returncode == 0
    assert inside(proxy, [*check[:-1], check[-1] + "/other"], "haproxy").returncode != 0
