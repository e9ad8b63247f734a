# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Debian package, from its build to its purge, on a Debian with systemd and PostgreSQL: each test goes on where the one before it ended."""
import json
import re
import subprocess

import pytest

import wardmote_root
from wardmote_suite import ROOT, until

FIRST, SECOND = "0.1.0", "0.2.0"
SERVED = "http://127.0.0.1:8080"
NOTE = "a migration of the second release"
# A later release: another number, a migration that waits, and a file of settings that differs. Only what differs is compiled again.
LATER = f"""
cd /build/wardmote
printf 'wardmote ({SECOND}) unstable; urgency=medium\\n\\n  * Later.\\n\\n -- Wardmote maintainers <wardmote@example.org>  Sun, 29 Nov 2026 15:00:00 +0000\\n\\n' >later
cat later debian/changelog >both && mv both debian/changelog && rm later
printf "COMMENT ON SCHEMA wardmote IS '{NOTE}';\\n" >migrations/9999_later.sql
sed -i 's/# Settings of wardmote:/# Settings of a later wardmote:/' dist/render
rm debian/debhelper-build-stamp
chown -R builder: .
"""
BUILD = "setpriv --reuid=builder --regid=builder --init-groups env HOME=/home/builder DEB_BUILD_OPTIONS='noautodbgsym parallel=2' dpkg-buildpackage -b -us -uc"


@pytest.fixture(scope="module", name="packages")
def _packages(tmp_path_factory):
    """The .deb files of both releases, built as Debian does: on a minimal system with what Build-Depends names and nothing else."""
    control = (ROOT / "debian/control").read_text(encoding="utf-8")
    needed = " ".join(re.search(r"^Build-Depends: (.*(?:\n .*)*)", control, re.MULTILINE)[1].split())
    tools = wardmote_root.layer("package-build", wardmote_root.base(), f"""{wardmote_root.apt_install("build-essential")}
        apt-get satisfy -y -qq --no-install-recommends '{needed}' >/dev/null && useradd --create-home --uid 2000 builder""")
    sources = tmp_path_factory.mktemp("sources")
    digest = wardmote_root.copy_sources(sources)
    layers = wardmote_root.layer("package", tools, f"""mkdir /build && cp -a /sources /build/wardmote && chown -R builder: /build && cd /build/wardmote
        {BUILD} >/build/log 2>&1 || {{ tail -n 60 /build/log; exit 1; }}
        {LATER}
        {BUILD} -nc >>/build/log 2>&1 || {{ tail -n 60 /build/log; exit 1; }}""", f"--bind-ro={sources}:/sources", key=digest)
    return {version: layers[0] / f"build/wardmote_{version}_amd64.deb" for version in (FIRST, SECOND)}


class Host:
    """The machine of the story, and what is remembered of it from one step to the next."""

    def __init__(self, machine):
        self.machine = machine
        self.run = machine.run
        self.client = self.record = self.token = None

    def show(self, *names):
        """Properties of the service: what systemd knows of it."""
        told = self.run(f"systemctl show wardmote.service -p {','.join(names)}")
        return dict(line.split("=", 1) for line in told.splitlines())

    def request(self, path, *arguments, body=None):
        """(status, body) of a request by curl."""
        given = ["curl", "-sS", "-m", "30", "-w", "\n%{http_code}", *arguments, SERVED + path]
        if body is not None:
            given[1:1] = ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)]
        if self.token is not None:
            given[1:1] = ["-H", f"Authorization: Bearer {self.token}"]
        done = subprocess.run(self.machine.command(given), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        text, status = done.stdout.rsplit("\n", 1)
        return int(status), text

    def sign_in(self):
        self.token = None
        status, text = self.request("/oauth/token", "-u", f"{self.client['client_id']}:{self.client['client_secret']}", "-d", "grant_type=client_credentials")
        assert status == 200, text
        self.token = json.loads(text)["access_token"]

    def ready(self):
        """The server answers for its database, its keys and its migrations."""
        return until(lambda: self.run("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9090/readyz || true").strip() == "200", 60, "readiness")

    def install(self, version, *options):
        """What apt-get says of the package; without a terminal, so that a question would end it."""
        return self.run(f"apt-get install -y --allow-downgrades {' '.join(options)} /packages/wardmote_{version}_amd64.deb 2>&1")

    def version(self):
        return self.run("dpkg-query -W -f '${Version}' wardmote")

    def sql(self, statement):
        return self.run(f"runuser -u postgres -- psql -X -A -t -d wardmote -c \"{statement}\"").strip()

    def partners(self):
        status, text = self.request(f"/v1/partners/{self.record}")
        return json.loads(text)["name"] if status == 200 else status


@pytest.fixture(scope="module", name="host")
def _host(packages):
    """A small server with PostgreSQL that was there before, and without a network. What the package depends on is there too."""
    depends = subprocess.run(["dpkg-deb", "-f", packages[FIRST], "Depends"], capture_output=True, text=True, check=True).stdout.strip()
    layers = wardmote_root.layer("package-run", wardmote_root.base(), f"""{wardmote_root.apt_install("systemd systemd-sysv dbus curl procps man-db")}
        {wardmote_root.apt_install("postgresql postgresql-postgis bash-completion")}
        apt-get satisfy -y -qq --no-install-recommends '{depends}' >/dev/null""")
    with wardmote_root.Machine(layers, f"--bind-ro={packages[FIRST].parent}:/packages") as machine:
        machine.boot()
        yield Host(machine)


def test_lintian_finds_nothing(packages):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", packages[FIRST]], capture_output=True, text=True,
                          timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_an_installation_starts_nothing(host):
    said = host.install(FIRST)
    assert "wardmote: put the URI of the database into /etc/wardmote/database, then: systemctl enable --now wardmote.socket wardmote.service" in said
    assert host.show("ActiveState", "UnitFileState") == {"ActiveState": "inactive", "UnitFileState": "disabled"}
    assert host.version() == FIRST and host.run("wardmote version") == f"wardmote {FIRST}\n"
    modes = host.run("cd / && stat -c '%n %a %U:%G' etc/wardmote/* var/lib/wardmote var/lib/wardmote/keys").splitlines()
    assert modes == ["etc/wardmote/database 600 root:root", "etc/wardmote/database-direct 600 root:root", "etc/wardmote/wardmote.conf 640 root:wardmote",
                     "var/lib/wardmote 700 wardmote:wardmote", "var/lib/wardmote/keys 700 wardmote:wardmote"]
    assert set(host.run("stat -c '%a %U' /var/lib/wardmote/keys/*").split("\n")) == {"600 wardmote", ""}


def test_the_units_are_clean_and_tight(host):
    said = host.run("systemd-analyze verify wardmote.service wardmote.socket 2>&1")
    assert said == ""
    exposure = host.run("systemd-analyze security --offline=yes /lib/systemd/system/wardmote.service --no-pager")
    assert float(re.search(r"Overall exposure level for wardmote.service: ([0-9.]+)", exposure)[1]) <= 1.2


def test_pages_and_completion_are_where_they_are_looked_for(host):
    assert "the shared engagement record" in host.run("man wardmote")
    assert "drain_timeout_ms" in host.run("man wardmote.conf")
    loaded = host.run("bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader wardmote; complete -p wardmote'")
    assert loaded == "complete -F _wardmote wardmote\n"


def test_it_is_set_up_as_the_page_says(host):
    """docs/building.md: the database, the URIs, the first administrator, the start."""
    host.run("wardmote setup | runuser -u postgres -- psql -X -q -v owner_password=o1 -v api_password=a1 2>&1")
    host.run("umask 077; echo postgresql://wardmote_owner:o1@127.0.0.1/wardmote >/etc/wardmote/database-owner")
    host.run("echo postgresql://wardmote_api:a1@127.0.0.1/wardmote >/etc/wardmote/database")
    owner = {"WARDMOTE_DATABASE_FILE": "/etc/wardmote/database-owner"}
    host.run("wardmote migrate", environment=owner)
    host.client = json.loads(host.run("wardmote account create --partner Host --kind council --service Setup", environment=owner))
    host.run("rm /etc/wardmote/database-owner")
    host.run("systemctl enable --now wardmote.socket wardmote.service 2>&1")
    assert host.ready()
    host.sign_in()
    status, text = host.request("/v1/partners", body={"name": "Example Housing", "kind": "housing_association"})
    assert status == 201, text
    host.record = json.loads(text)["id"]
    assert host.partners() == "Example Housing"


def test_the_service_runs_as_it_says(host):
    shown = host.show("MainPID", "StatusText", "User", "Type", "NRestarts")
    assert (shown["StatusText"], shown["User"], shown["Type"], shown["NRestarts"]) == ("serving", "wardmote", "notify", "0")
    status = host.run(f"cat /proc/{shown['MainPID']}/status")
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE) and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert "ro," in host.run(f"grep ' / / ' /proc/{shown['MainPID']}/mountinfo")
    said = host.run(f"tr '\\0' '\\n' </proc/{shown['MainPID']}/environ")
    assert "WARDMOTE_DATABASE_FILE=/run/credentials/wardmote.service/database" in said and "wardmote_api:" not in said
    with pytest.raises(wardmote_root.Failed):
        host.run("setpriv --reuid=nobody --clear-groups cat /etc/wardmote/database")
    host.run("systemctl reload wardmote")
    assert host.show("StatusText", "MainPID") == {"StatusText": "serving", "MainPID": shown["MainPID"]}


def test_a_pooler_s_second_uri_is_a_credential_too(host):
    """`pooler = transaction` is refused at the start without database_direct."""
    host.run("echo 'pooler = transaction' >>/etc/wardmote/wardmote.conf")
    with pytest.raises(wardmote_root.Failed):
        host.run("systemctl restart wardmote")
    assert host.show("Result", "ExecMainStatus", "NRestarts") == {"Result": "exit-code", "ExecMainStatus": "2", "NRestarts": "0"}, "and not tried again"
    host.run("cat /etc/wardmote/database >/etc/wardmote/database-direct; systemctl restart wardmote")
    assert host.ready() and host.partners() == "Example Housing"
    host.run("sed -i '/^pooler/d' /etc/wardmote/wardmote.conf; : >/etc/wardmote/database-direct; systemctl restart wardmote")
    assert host.ready()


def test_a_restart_refuses_no_connection(host):
    """The socket stays, and what comes meanwhile waits in it."""
    before = host.show("MainPID")
    asked = "for i in $(seq 40); do curl -sS -m 20 -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8080/v1 2>&1; done"
    answers = host.run(f"({asked}) >/tmp/answers & asker=$!; sleep 0.2; systemctl restart wardmote; wait $asker; cat /tmp/answers").split("\n")
    assert answers == ["200"] * 40 + [""] and host.show("MainPID") != before


def test_a_server_that_stands_still_is_started_again(host):
    host.run("mkdir -p /etc/systemd/system/wardmote.service.d && printf '[Service]\\nWatchdogSec=4\\nTimeoutAbortSec=1\\n' "
             ">/etc/systemd/system/wardmote.service.d/soon.conf && systemctl daemon-reload && systemctl restart wardmote")
    held = host.show("MainPID")["MainPID"]
    host.run(f"sleep 6; test $(systemctl show wardmote -p MainPID --value) = {held}; kill -STOP {held}")
    until(lambda: host.show("MainPID", "ActiveState") not in ({"MainPID": held, "ActiveState": state} for state in ("active", "deactivating"))
          and host.show("ActiveState")["ActiveState"] == "active", 60, "the restart")
    assert host.ready() and host.show("NRestarts") == {"NRestarts": "1"}
    host.run("rm -r /etc/systemd/system/wardmote.service.d; systemctl daemon-reload; systemctl restart wardmote")
    assert host.ready()


def test_a_stop_may_take_as_long_as_the_settings_grant(host):
    """TimeoutStopSec is shorter than drain_wait_ms here: the server asks for more time."""
    host.run("echo 'drain_wait_ms = 4000' >>/etc/wardmote/wardmote.conf; mkdir -p /etc/systemd/system/wardmote.service.d; printf '[Service]\\nTimeoutStopSec=2\\n' "
             ">/etc/systemd/system/wardmote.service.d/short.conf; systemctl daemon-reload; systemctl restart wardmote")
    assert host.ready()
    host.run("systemctl stop wardmote.socket wardmote.service")
    assert host.show("Result", "ExecMainStatus", "ActiveState") == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"}
    host.run("rm -r /etc/systemd/system/wardmote.service.d; systemctl daemon-reload; sed -i '/^drain_wait_ms/d' /etc/wardmote/wardmote.conf; systemctl start wardmote")
    assert host.ready()


def test_an_upgrade_that_must_migrate_leaves_what_runs_alone(host):
    """Nobody gave the package the owner's URI, so it does not migrate."""
    host.run("echo 'log_level = debug' >>/etc/wardmote/wardmote.conf")
    before = host.show("MainPID")
    said = host.install(SECOND)
    assert "the database waits for `wardmote migrate`; the server that runs is left alone" in said
    assert host.version() == SECOND
    assert host.show("MainPID") == before and host.partners() == "Example Housing"


def test_settings_that_were_edited_stay(host):
    settings = host.run("cat /etc/wardmote/wardmote.conf")
    assert settings.startswith("# Settings of wardmote:") and settings.endswith("log_level = debug\n")
    assert host.run("cat /etc/wardmote/wardmote.conf.ucf-dist").startswith("# Settings of a later wardmote:")
    assert host.run("stat -c '%a %U:%G' /etc/wardmote/wardmote.conf").strip() == "640 root:wardmote"


def test_an_upgrade_with_the_owner_s_uri_migrates_and_restarts(host):
    host.run("umask 077; echo postgresql://wardmote_owner:o1@127.0.0.1/wardmote >/etc/wardmote/database-owner")
    before = host.show("MainPID")
    host.install(SECOND, "--reinstall")
    assert host.sql("SELECT obj_description('wardmote'::regnamespace)") == NOTE
    assert host.ready() and host.show("MainPID") != before
    assert host.run("readlink /proc/$(systemctl show wardmote -p MainPID --value)/exe").strip() == "/usr/bin/wardmote"
    assert host.partners() == "Example Housing"


def test_settings_that_the_release_does_not_take_stop_no_server(host):
    host.run("sed -i 's/^log_level = debug/log_level = loud/' /etc/wardmote/wardmote.conf")
    before = host.show("MainPID")
    said = host.install(SECOND, "--reinstall")
    assert "this release does not take the settings; the server that runs is left alone" in said and "expected debug" in said
    assert host.show("MainPID") == before and host.partners() == "Example Housing"
    host.run("sed -i 's/^log_level = loud/log_level = debug/' /etc/wardmote/wardmote.conf")


def test_a_removal_keeps_settings_keys_and_records(host):
    kept = host.run("cd / && sha256sum etc/wardmote/* var/lib/wardmote/keys/*")
    assert kept.count("\n") >= 6
    host.run("apt-get remove -y wardmote 2>&1")
    with pytest.raises(wardmote_root.Failed):
        host.run("curl -sS http://127.0.0.1:8080/v1")
    assert host.run("! command -v wardmote; systemctl is-active wardmote.service wardmote.socket || true").split() == ["inactive"] * 2
    assert host.run("cd / && sha256sum etc/wardmote/* var/lib/wardmote/keys/*") == kept
    assert host.sql(f"SELECT name FROM wardmote.partner WHERE id = '{host.record}'") == "Example Housing"


def test_installed_again_it_serves(host):
    """With the keys of before, so that a token of before is good."""
    host.install(SECOND)
    assert host.ready() and host.partners() == "Example Housing"
    assert host.show("UnitFileState") == {"UnitFileState": "enabled"}
    assert host.run("tail -n 1 /etc/wardmote/wardmote.conf") == "log_level = debug\n"


def test_a_purge_takes_all_but_the_records(host):
    host.run("touch /etc/wardmote/tls.pem")
    said = host.run("apt-get purge -y wardmote 2>&1")
    assert "settings, URIs and keys are gone; the records stay in their database" in said
    assert host.run("find /etc/wardmote /var/lib/wardmote 2>/dev/null || true").split() == ["/etc/wardmote", "/etc/wardmote/tls.pem"], "what others put there stays"
    assert host.run("find /etc/systemd/system /usr/share/wardmote -name '*wardmote*' 2>/dev/null || true") == ""
    assert host.sql(f"SELECT name FROM wardmote.partner WHERE id = '{host.record}'") == "Example Housing"
    host.run("rm /etc/wardmote/tls.pem")
    host.install(FIRST)
    assert host.run("ls /etc/wardmote").split() == ["database", "database-direct", "wardmote.conf"]
    assert host.show("ActiveState", "UnitFileState") == {"ActiveState": "inactive", "UnitFileState": "disabled"}
