# SPDX-License-Identifier: AGPL-3.0-or-later
"""The blocks of docs/backup.md, run as they stand: on an installation of our own, in a folder that stands for the machine's. What root has there (sudo, systemctl,
the program) are functions of the shell that do the same here."""
import contextlib
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import types
import urllib.error
import urllib.request

import psycopg2

import wardmote_server
from wardmote_client import Client

PAGE = (wardmote_server.ROOT / "docs/backup.md").read_text(encoding="utf-8")
SETTINGS = "-c listen_addresses= -c max_connections=100 -c shared_buffers=32MB -c fsync=off -c log_min_messages=error"
# What the page calls by its place on a machine.
PLACES = {"/srv/": "/srv/", "/etc/wardmote": "/etc", "/var/lib/wardmote": "/lib", "/var/lib/postgresql/15/main": "/postgresql/main"}
PRELUDE = r"""
set -euo pipefail
sudo() {
  [ "$1" = -u ]; local who=$2; shift 2
  if [ "$who" = postgres ] && [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --init-groups "$@"; else "$@"; fi
}
wardmote() { "$WARDMOTE_BIN" "$@"; }
postgres() { sudo -u postgres pg_ctl -D "$PLACE/postgresql/main" -w -t 60 -s -m fast -l "$PLACE/postgresql/log" -o "-c unix_socket_directories=$PGHOST $SETTINGS" "$1"; }
serve() {
  WARDMOTE_DATABASE_FILE=$PLACE/etc/database "$WARDMOTE_BIN" serve --config "$PLACE/etc/wardmote.conf" >>"$PLACE/server.log" 2>&1 </dev/null &
  echo $! >"$PLACE/server.pid"
  for _ in $(seq 600); do ! curl -fso /dev/null "$READY" || return 0; kill -0 $!; sleep 0.1; done
  return 1
}
halt() { [ ! -f "$PLACE/server.pid" ] || { kill "$(cat "$PLACE/server.pid")"; while kill -0 "$(cat "$PLACE/server.pid")" 2>/dev/null; do sleep 0.1; done; rm "$PLACE/server.pid"; }; }
systemctl() {
  case "$*" in
    "start wardmote") serve ;;
    "stop wardmote" | "stop wardmote.socket wardmote") halt ;;
    "restart wardmote") halt; serve ;;
    "reload wardmote") kill -HUP "$(cat "$PLACE/server.pid")" ;;
    *" postgresql@15-main") postgres "$1" ;;
    *) echo "no such service: $*" >&2; return 1 ;;
  esac
}
"""


def blocks(heading):
    """The blocks of commands below a heading of the page, in order."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", found.group(1), re.MULTILINE | re.DOTALL)


class Installation:
    """Its folder holds the places, `srv` is what outlives a machine."""

    def __init__(self, keep=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wmb-", dir="/tmp"))
        self.folder.chmod(0o755)
        for name in ("etc", "lib", "postgresql", "socket", "srv/backup", "srv/elsewhere"):
            (self.folder / name).mkdir(parents=True)
        if keep is not None:
            shutil.rmtree(self.folder / "srv")
            shutil.move(keep, self.folder / "srv")
            os.rmdir(os.path.dirname(keep))
        if os.geteuid() == 0:
            for name in ("postgresql", "socket", "srv/backup"):
                shutil.chown(self.folder / name, "postgres", "postgres")
        self.ports = self._ports()
        self.url, self.admin_url = (f"http://127.0.0.1:{port}" for port in self.ports)
        self.make_cluster()

    @staticmethod
    def _ports():
        listeners = [wardmote_server._listener() for _ in range(2)]
        ports = [listener.getsockname()[1] for listener in listeners]
        for listener in listeners:
            listener.close()
        return ports

    def make_cluster(self):
        self.shell("sudo -u postgres initdb -D $PLACE/postgresql/main -E UTF8 --locale=C.UTF-8 -A trust -N -U postgres >/dev/null\nsystemctl start postgresql@15-main\n")

    def configure(self):
        """What the package's settings say."""
        (self.folder / "etc/wardmote.conf").write_text(
            f"key_dir = {self.folder}/lib/keys\nlisten = 127.0.0.1:{self.ports[0]}\nadmin_listen = 127.0.0.1:{self.ports[1]}\npublic_url = {self.url}\n"
            "workers = 1\nrate_anonymous = 1000000\nrate_account = 1000000\n")
        self.write_uris()

    def write_uris(self):
        for name, role in (("database", "wardmote_api"), ("database-owner", "wardmote_owner")):
            path = self.folder / "etc" / name
            path.touch(mode=0o600)
            path.write_text(f"postgresql://{role}@/wardmote?host={self.folder}/socket\n")

    def install(self):
        """From nothing to a server and the first administrator."""
        self.configure()
        self.shell("wardmote setup | sudo -u postgres psql -X -q\nWARDMOTE_DATABASE_FILE=$PLACE/etc/database-owner wardmote migrate\n"
                   "wardmote key create --key-dir $PLACE/lib/keys\nsystemctl start wardmote\n")
        site = types.SimpleNamespace(uri=lambda role, database: f"postgresql://{role}@/{database}?host={self.folder}/socket")
        return wardmote_server.make_administrator(site)

    def shell(self, text, check=True, **replaced):
        """Runs a block. What it printed; with check=False the process."""
        for known, place in PLACES.items():
            text = text.replace(known, f"{self.folder}{place}")
        for old, new in replaced.items():
            text = text.replace(old, new)
        programs = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        environment = {**os.environ, "PLACE": str(self.folder), "PGHOST": f"{self.folder}/socket", "PGUSER": "postgres", "PATH": f"{programs}:{os.environ['PATH']}",
                       "WARDMOTE_BIN": wardmote_server.binary(), "SETTINGS": SETTINGS, "READY": f"{self.admin_url}/readyz", "OWNER_PASSWORD": "o", "API_PASSWORD": "a"}
        with tempfile.TemporaryFile("w+") as out:  # a file, since the server keeps what it inherits
            done = subprocess.run(["bash", "-c", PRELUDE + text], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", env=environment,
                                  timeout=300, check=False)
            out.seek(0)
            done.stdout = out.read()
        if check:
            assert done.returncode == 0, f"{text}\nended with {done.returncode}:\n{done.stdout}"
            return done.stdout
        return done

    def recipe(self, heading, only=slice(None), **replaced):
        """Runs the blocks below a heading of the page."""
        found = blocks(heading)[only]
        assert found, heading
        return "".join(self.shell(block, **replaced) for block in found)

    def client(self, credentials=None):
        """Of anybody, or of a service account."""
        server = types.SimpleNamespace(url=self.url, host="127.0.0.1", port=self.ports[0])
        public = Client(server, None, None)
        return public if credentials is None else public.as_token(public.token_for(credentials["client_id"], credentials["client_secret"]))

    def query(self, statement):
        with contextlib.closing(psycopg2.connect(host=f"{self.folder}/socket", user="postgres", dbname="wardmote")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def pid(self):
        return int((self.folder / "server.pid").read_text())

    def log(self):
        return (self.folder / "server.log").read_text()

    def lose(self):
        """The machine burns: its processes end without a word, and only what is elsewhere is left. Where that is."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid(), signal.SIGKILL)
        self.shell("systemctl stop postgresql@15-main", check=False)
        kept = tempfile.mkdtemp(prefix="wmkept-", dir="/tmp") + "/srv"
        os.chmod(os.path.dirname(kept), 0o755)
        shutil.move(self.folder / "srv", kept)
        shutil.rmtree(self.folder)
        return kept

    def close(self):
        if self.folder.exists():
            shutil.rmtree(os.path.dirname(self.lose()))


def until_ready(url, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)
