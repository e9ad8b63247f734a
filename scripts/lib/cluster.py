# SPDX-License-Identifier: AGPL-3.0-or-later
"""A database of two nodes under Patroni, with etcd, on one machine: everything in one folder, nothing on other addresses than 127.0.0.1, and no process ended
that was not started here (a process is its id and its moment of birth). The nodes' settings are those of dist/patroni/patroni.yml."""
import contextlib
import glob
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/tools"
NODES = ("a", "b")
# Of a demonstration: as quick as Patroni takes them (ttl is at least 20 s).
TIMES = {"ttl": 20, "loop_wait": 2, "retry_timeout": 8}
PATIENCE = 120
RECORDS = {"Content-Type": "application/json"}


def until(condition, what, seconds=PATIENCE):
    """What `condition` gives, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise RuntimeError(f"waited {seconds} s for {what}")


def free_ports(count):
    """Ports that nobody had a moment ago."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def call(url, *, body=None, headers=None, method=None, timeout=10):
    """(status, JSON or text); 0 when nobody answers."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    except OSError:
        return 0, None
    try:
        return status, json.loads(text)
    except json.JSONDecodeError:
        return status, text


class Processes:
    """What was started here, also by an earlier run: {name: [process id, birth]} in a file."""

    def __init__(self, folder):
        self._file = folder / "processes.json"

    def _read(self):
        return json.loads(self._file.read_text()) if self._file.exists() else {}

    @staticmethod
    def birth(pid):
        """None when there is no such process, or only its remains."""
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else fields[19]

    def pid(self, name):
        """Of the one that runs under this name; None when it does not."""
        pid, birth = self._read().get(name, (0, ""))
        return pid if pid and self.birth(pid) == birth else None

    def start(self, name, command, log, **options):
        with open(log, "ab") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/", **options)
        self._file.write_text(json.dumps({**self._read(), name: [process.pid, self.birth(process.pid)]}))

    def end(self, name, how=signal.SIGTERM, seconds=60):
        pid = self.pid(name)
        if pid is None:
            return
        os.kill(pid, how)
        self.wait_end(name, seconds)

    def wait_end(self, name, seconds=60):
        """Of one that was told to end; by force when it does not."""
        pid = self.pid(name)
        if pid is None:
            return
        try:
            until(lambda: self._gone(pid, name), f"the end of {name}", seconds)
        except RuntimeError:
            os.kill(pid, signal.SIGKILL)
            until(lambda: self._gone(pid, name), f"the end of {name}", seconds)

    def _gone(self, pid, name):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return self.pid(name) is None


class Cluster:
    """etcd, the nodes a and b, and one server in front of them."""

    def __init__(self, folder, program, strict=False):
        self.folder = pathlib.Path(folder).resolve()
        self.program = program
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.folder)
        self._as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.geteuid() == 0 else []
        path = self.folder / "cluster.json"
        if not path.exists():
            self._make(path, strict)
        self.state = json.loads(path.read_text())
        self.ports = self.state["ports"]
        self.url = f"http://127.0.0.1:{self.ports['server']}"
        self.admin_url = f"http://127.0.0.1:{self.ports['admin']}"

    def _make(self, path, strict):
        """Ports and passwords, once. The nodes' folders belong to the user of PostgreSQL."""
        names = ["etcd", "etcd_peer", "server", "admin", *(f"{kind}_{node}" for kind in ("database", "rest") for node in NODES)]
        passwords = {role: secrets.token_hex(16) for role in ("postgres", "replicator", "rewinder", "wardmote_owner", "wardmote_api")}
        for node in NODES:
            (self.folder / node).mkdir(exist_ok=True)
            if self._as_postgres:
                shutil.chown(self.folder / node, "postgres", "postgres")
        self.folder.chmod(0o711)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"ports": dict(zip(names, free_ports(len(names)))), "passwords": passwords, "strict": strict}, indent=1))

    # --- the database ---

    def uri(self, role, database="wardmote", nodes=NODES):
        """Both nodes in one string of libpq, which goes to the one that takes writes."""
        hosts = ",".join(f"127.0.0.1:{self.ports['database_' + node]}" for node in nodes)
        return f"postgresql://{role}:{self.state['passwords'][role]}@{hosts}/{database}?target_session_attrs=read-write"

    def _settings(self, node):
        """dist/patroni/patroni.yml with the addresses, folders, passwords and times of this cluster."""
        settings = yaml.safe_load((ROOT / "dist/patroni/patroni.yml").read_text(encoding="utf-8"))
        home, passwords = self.folder / node, self.state["passwords"]
        rest, database = f"127.0.0.1:{self.ports['rest_' + node]}", f"127.0.0.1:{self.ports['database_' + node]}"
        settings["name"] = node
        settings["restapi"] = {"listen": rest, "connect_address": rest}
        settings["etcd3"] = {"hosts": [f"127.0.0.1:{self.ports['etcd']}"]}
        dcs, postgresql = settings["bootstrap"]["dcs"], settings["postgresql"]
        dcs.update(TIMES, synchronous_mode_strict=self.state["strict"])
        dcs["postgresql"]["parameters"].update(shared_buffers="32MB", wal_retrieve_retry_interval="100ms")
        programs = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        postgresql.update(listen=database, connect_address=database, data_dir=f"{home}/data", bin_dir=programs, pgpass=f"{home}/pgpass")
        for account in postgresql["authentication"].values():
            account["password"] = passwords[account["username"]]
        postgresql["parameters"]["unix_socket_directories"] = str(home)
        postgresql["pg_hba"] = [line.replace("10.0.0.0/24", "127.0.0.1/32") for line in postgresql["pg_hba"]]
        return settings

    def _start_etcd(self):
        client, peer = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "etcd_peer"))
        if self.processes.pid("etcd") is None:
            self.processes.start("etcd", [
                str(TOOLS / "usr/bin/etcd"), "--name", "etcd", "--data-dir", str(self.folder / "etcd"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"etcd={peer}",
                "--heartbeat-interval", "500", "--election-timeout", "5000"], self.folder / "etcd.log")
        until(lambda: call(f"{client}/health")[0] == 200, "etcd")

    def start_node(self, node):
        if self.processes.pid(node) is not None:
            return
        path = self.folder / node / "patroni.yml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(self._settings(node)), encoding="utf-8")
        if self._as_postgres:
            shutil.chown(path, "postgres", "postgres")
        self.processes.start(node, [*self._as_postgres, sys.executable, str(TOOLS / "usr/bin/patroni"), str(path)], self.folder / f"{node}.log",
                             env=self._environment(), umask=0o077)

    @staticmethod
    def _environment():
        return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "PYTHONPATH": str(TOOLS / "usr/lib/python3/dist-packages"),
                "PYTHONDONTWRITEBYTECODE": "1"}

    def members(self):
        """{node: (role, state)} as Patroni says, asked of whichever node answers: leader, sync_standby, replica."""
        for node in NODES:
            status, answer = call(f"http://127.0.0.1:{self.ports['rest_' + node]}/cluster", timeout=3)
            if status == 200 and isinstance(answer, dict):
                return {member["name"]: (member["role"], member["state"]) for member in answer["members"]}
        return {}

    def node(self, role):
        """The name of the node that has this role and runs, or None."""
        return next((name for name, (is_role, state) in self.members().items() if is_role == role and state in ("running", "streaming")), None)

    def wait_whole(self):
        """Until there is a primary and its synchronous standby."""
        return until(lambda: self.node("leader") and self.node("sync_standby"), "a primary and a synchronous standby")

    def patronictl(self, *arguments):
        command = [sys.executable, str(TOOLS / "usr/bin/patronictl"), "-c", str(self.folder / "a/patroni.yml"), *arguments]
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    # --- the server ---

    @staticmethod
    def _run(command, given=None):
        """What it printed."""
        done = subprocess.run(command, input=given, text=True, capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def _wardmote(self, *arguments):
        return self._run([self.program, *arguments])

    def _prepare(self):
        """What an administrator does: setup, migrate, keys, the first account. All may be done again. At the primary alone: a standby that has not replayed
        the new database yet says that there is none, and libpq asks no further host after that."""
        primary = (until(lambda: self.node("leader"), "a primary"),)
        roles = "".join(f"\\set {short}_password '{self.state['passwords']['wardmote_' + short]}'\n" for short in ("owner", "api"))
        self._run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.uri("postgres", "postgres", primary)], roles + self._wardmote("setup"))
        self._wardmote("migrate", "--database", self.uri("wardmote_owner", nodes=primary))
        self._wardmote("key", "create", "--key-dir", str(self.folder / "keys"))
        account = self.folder / "administrator.json"
        if not account.exists() or not account.read_text():
            account.touch(mode=0o600)
            account.write_text(self._wardmote("account", "create", "--partner", "Host Council", "--kind", "council", "--service", "Cluster", "--database",
                                              self.uri("wardmote_owner", nodes=primary)))

    def ready(self):
        return call(f"{self.admin_url}/readyz", timeout=5)[0] == 200

    def _start_server(self):
        if self.processes.pid("server") is None:
            settings = {"database": self.uri("wardmote_api"), "key_dir": self.folder / "keys", "listen": f"127.0.0.1:{self.ports['server']}",
                        "admin_listen": f"127.0.0.1:{self.ports['admin']}", "public_url": self.url, "workers": 2, "rate_anonymous": 1000000,
                        "rate_account": 1000000, "access_token_seconds": 86400}
            path = self.folder / "wardmote.conf"
            path.touch(mode=0o600)
            path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
            self.processes.start("server", [self.program, "serve", "--config", str(path)], self.folder / "server.log")
        until(self.ready, "the server")

    def token(self):
        """Of an officer of a partner of its own."""
        def token_of(account):
            form = f"grant_type=client_credentials&client_id={account['client_id']}&client_secret={account['client_secret']}"
            return call(f"{self.url}/oauth/token", body=form.encode(), headers={"Content-Type": "application/x-www-form-urlencoded"})[1]["access_token"]

        headers = {**RECORDS, "Authorization": f"Bearer {token_of(json.loads((self.folder / 'administrator.json').read_text()))}"}
        partner = call(f"{self.url}/v1/partners", body={"name": f"Load {secrets.token_hex(4)}", "kind": "voluntary"}, headers=headers)[1]
        officer = {"kind": "service", "role": "officer", "name": "Load", "partner_id": partner["id"]}
        return token_of(call(f"{self.url}/v1/accounts", body=officer, headers=headers)[1])

    # --- all of it ---

    def start(self):
        self._start_etcd()
        for node in NODES:
            self.start_node(node)
        self.wait_whole()
        self._prepare()
        self._start_server()

    def switchover(self):
        """The names of the former and the new primary."""
        leader, candidate = self.node("leader"), self.node("sync_standby")
        self.patronictl("switchover", "--leader", leader, "--candidate", candidate, "--force", "wardmote")
        until(lambda: self.node("leader") == candidate, "the switchover")
        return leader, candidate

    def kill_primary(self):
        """SIGKILL for the primary's Patroni and its postmaster, as when the machine is gone; its name."""
        leader = self.node("leader")
        postmaster = int((self.folder / leader / "data/postmaster.pid").read_text().split()[0])
        self.processes.end(leader, signal.SIGKILL)
        os.kill(postmaster, signal.SIGKILL)
        return leader

    def stop(self):
        """Each Patroni stops its PostgreSQL. All begin at once: a primary that ends alone waits for its standby."""
        for name in ("server", *NODES):
            pid = self.processes.pid(name)
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
        for name in ("server", *NODES):
            self.processes.wait_end(name)
        for node in NODES:
            self._stop_orphan(node)
        self.processes.end("etcd")

    def _stop_orphan(self, node):
        """A postmaster of this folder whose Patroni was killed alone."""
        data = self.folder / node / "data"
        if not (data / "postmaster.pid").exists():
            return
        programs = self._settings(node)["postgresql"]["bin_dir"]
        subprocess.run([*self._as_postgres, f"{programs}/pg_ctl", "-D", str(data), "-m", "fast", "-s", "stop"], capture_output=True, timeout=PATIENCE, check=False,
                       cwd="/")
