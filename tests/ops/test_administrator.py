# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/administrator.md, walked: its blocks in one shell on an installation that it makes itself, the commands of its table of troubles, its sums of
connections against the program, its words about versions side by side, and its alerts against promtool and what the server serves."""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

import wardmote_server
from wardmote_suite import ROOT, until

GUIDE = (ROOT / "docs/administrator.md").read_text(encoding="utf-8")
RULES = ROOT / "dist/prometheus"
END = "--- end of step ---"
PATIENCE = 60


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def section(name):
    return GUIDE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def table_rows(name, columns):
    """The cells of the rows of a section's table with that many columns; `\\|` is a bar within a cell."""
    lines = (line for line in section(name).splitlines() if line.startswith("| "))
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if len(row) == columns][1:]


def looks():
    """Every command of the table of troubles."""
    return [command for _, look, _ in table_rows("Troubleshooting", 3) for command in re.findall(r"`([^`]+)`", look)]


# --- the guide as a shell sees it ---

def rewritten(script, cluster, folder, ports):
    """Its paths and addresses become those of this test. The one program that is replaced is journalctl: the server's log is a file here."""
    for old, new in (("host=db.example.org user=postgres sslmode=verify-full", f"host={cluster.folder} user=postgres"),
                     ("@db.example.org/wardmote?sslmode=verify-full", f"@/wardmote?host={cluster.folder}"),
                     ("/etc/wardmote", f"{folder}/etc"), ("/var/lib/wardmote", f"{folder}/lib"),
                     ("127.0.0.1:8080", f"127.0.0.1:{ports[0]}"), ("127.0.0.1:9090", f"127.0.0.1:{ports[1]}"),
                     ("wardmote serve &", f"wardmote serve 2> {folder}/log &"),
                     ('journalctl -u wardmote -o cat --since "${1:-1 hour ago}"', f"cat {folder}/log")):
        assert old in script, f"the guide does not say {old}"
        script = script.replace(old, new)
    return script


@contextlib.contextmanager
def installation(cluster, folder):
    """A shell in which `wardmote` is the program under test, on two sockets that nobody can take from it: run(script) -> (printed, complained)."""
    for name in ("etc", "lib", "bin"):
        (folder / name).mkdir()
    shim = folder / "bin/wardmote"
    shim.write_text(f'#!/bin/bash\nexport LISTEN_FDS=2 LISTEN_PID=$$\nexec {wardmote_server.binary()} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        for listener in listeners:
            listener.setblocking(False)
        fds = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 30) for listener in listeners]  # not 3 and 4 the other way round
        for fd in fds:
            stack.callback(os.close, fd)
        head = f'exec 3<&{fds[0]} 4<&{fds[1]} {fds[0]}<&- {fds[1]}<&-\nexport PATH="{folder}/bin:{cluster.bin}:$PATH"\n'

        def run(script):
            text = head + rewritten(script, cluster, folder, [listener.getsockname()[1] for listener in listeners])
            with subprocess.Popen(["bash", "-u"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, pass_fds=fds,
                                  start_new_session=True) as shell:
                try:
                    return shell.communicate(text, timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    os.killpg(shell.pid, signal.SIGKILL)  # the server that it started, too
                    raise

        yield run


@pytest.fixture(scope="module", name="walk")
def _walk(tmp_path_factory):
    """(what each block printed, {command: (status, what it printed)} of the table, what was complained of)."""
    cluster = wardmote_server.Cluster()
    folder = tmp_path_factory.mktemp("guide")
    script = "".join(f"{block}\necho '{END}'\n" for block in blocks("sh"))
    script += "".join(f"( {command} ) 2>&1; echo \"; status $?\"; echo '{END}'\n" for command in looks())
    script += 'kill %1; wait %1; echo "server $?"\n'
    with installation(cluster, folder) as run:
        said, complained = run(script)
    printed = said.split(END + "\n")
    n = len(blocks("sh"))
    assert len(printed) == n + len(looks()) + 1, (said, complained, (folder / "log").read_text() if (folder / "log").exists() else "")
    yield printed[:n], dict(zip(looks(), printed[n:-1])), printed[-1], complained
    cluster.close()
    shutil.rmtree(folder)


def test_the_blocks(walk):
    printed, _, end, complained = walk
    assert complained == "" and end == "server 0\n"
    text = "".join(printed)
    assert "ok    migrations" not in text.split("fail  ")[0] or "fail  " not in text
    assert re.search(r"^One process opens \d+ database connections", text, re.M)
    assert '"ready":true' in text and '"alive":true' in text and "Bearer" in text
    assert re.search(r"^wardmote_db_mismatches_total 0$", text, re.M)
    assert re.search(r"^\d{4}_\w+ +applied ", text, re.M), "the newest migration"
    assert re.search(r"^server\tfsync is off", text, re.M), "the nightly look finds what is wrong with this cluster"


def test_the_commands_of_the_table(walk):
    _, seen, _, _ = walk
    assert len(seen) >= 35
    for command, output in seen.items():
        status = int(re.search(r"; status (\d+)\n$", output)[1])
        assert status == 0, f"{command}: {output}"
        assert "command not found" not in output and "ERROR" not in output and "unknown_parameter" not in output, f"{command}: {output}"
    # what says nothing when all is well is not told from what can say nothing: these have something to say
    for command, said in (("holders", "wardmote_api"), ("sizes", "wardmote."), ("mine /v1/me", "administrator"), ("metrics feed_lag", "wardmote_feed_lag_seconds"),
                          ("slots", "slot_name"), ("setting trusted_proxies", "127.0.0.1"), ("answers 503", "status")):
        assert said in seen[command], command
    assert "wme_" in next(output for command, output in seen.items() if "/enrolments" in command)


def test_the_log_of_a_trouble(tmp_path):
    """The functions that read the log find what they are for."""
    (tmp_path / "log").write_text("""\
{"time":"T1","level":"info","message":"request","route":"/v1/risks","status":503,"duration_us":1500000,"account_id":"a"}
{"time":"T2","level":"info","message":"refused","request_id":"x","rule":"duplicate_host","status":400}
{"time":"T3","level":"error","message":"the database does not answer","error":"no route"}
{"time":"T4","level":"error","message":"statement failed","route":"/v1/needs","sqlstate":"XX000"}
""", encoding="utf-8")
    functions = "\n".join(line for line in blocks("sh")[-1].splitlines() if re.match(r"(log|said|answers|slow)\(\)", line))
    functions = re.sub(r"journalctl [^;]*;", f"cat {tmp_path}/log;", functions)
    done = subprocess.run(["bash", "-u"], input=functions + '\nsaid refused; said "the database does not answer"; said "statement failed"; answers 503; slow\n',
                          capture_output=True, text=True, timeout=60, check=True)
    assert [line.split() for line in done.stdout.splitlines()] == [["T2", "duplicate_host", "400"], ["T3", "no", "route"], ["T4", "/v1/needs", "XX000"],
                                                                   ["1", "/v1/risks", "a"], ["1500000", "503", "/v1/risks"]]


# --- connections ---

@pytest.mark.parametrize("row", table_rows("Connections", 8), ids=" ".join)
def test_the_sums_of_connections(row):
    *lanes, pooler, ours, past = row
    names = ("workers", "lane-read", "lane-write", "lane-heavy", "lane-stream")
    flags = [f"--{name}={value}" for name, value in zip(names, lanes)]
    flags += ["--database=postgresql://a@/b", "--database-direct=postgresql://a@/c", "--pooler=transaction"] if pooler == "transaction" else []
    assert wardmote_server.run(["config", *flags]).splitlines()[-1].startswith(f"One process opens {ours} database connections:")
    workers, *each = map(int, lanes)
    assert int(ours) == workers * sum(each) + 3 and int(past) == (3 if pooler == "transaction" else int(ours))


# --- capacity ---

def test_the_tested_maximum_is_what_was_measured():
    """The figures are those of docs/performance.md, so that who measures anew changes both."""
    measured = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    rows = table_rows("Capacity", 3)
    assert len(rows) >= 8 and re.search(r"at commit (\w+)", section("Capacity"))[1] in measured
    for name, rate, slowest in rows:
        part = re.search(r"`([^`]+)`", name)[1]
        found = [line for line in measured.splitlines() if line.startswith(f"| {part}") and f"{rate}/s" in line and slowest in line] if rate else \
                [line for line in measured.splitlines() if line.startswith(f"| {part}") and slowest in line]
        assert found, (name, rate, slowest)


# --- versions, and what a process opens ---

def opened(cursor):
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'wardmote_api' AND datname = current_database()")
    return cursor.fetchone()[0]


def ready(server):
    try:
        with urllib.request.urlopen(f"{server.admin_url}/readyz", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode()


def test_a_server_on_a_newer_database_and_on_an_older_one(cluster, keys):
    cluster.setup("versions")
    uri = cluster.uri("wardmote_owner", "versions")
    with contextlib.closing(cluster.connect("postgres", "versions")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(number) FROM meta.migration")
        (newest,) = cursor.fetchone()
        cursor.execute("INSERT INTO meta.migration SELECT 9999, '9999_next', checksum, now(), '9.9.9' FROM meta.migration WHERE number = %s", (newest,))
        # it is ready, though the database is newer
        server = wardmote_server.Server(cluster, keys, "versions", lane_read=1, lane_write=3, lane_heavy=1, lane_stream=1)
        try:
            # all its connections but the one for imports, as long as none came
            until(lambda: opened(cursor) == 6 + 3 - 1, what="the opening of eight connections")
            assert "0 applied now" in wardmote_server.run(["migrate", "--database", uri])
            assert "pending" not in wardmote_server.run(["migrate", "--status", "--database", uri])
            cursor.execute("DELETE FROM meta.migration WHERE number >= %s", (newest,))
            until(lambda: '"migrations_current":false' in ready(server), what="readiness off")
            with urllib.request.urlopen(f"{server.url}/v1/partners", timeout=10) as answer:
                assert answer.status == 200
            assert '"ready":false' in ready(server) and '"database_reachable":true' in ready(server)
            lag = server.metric("feed_lag_seconds")
            until(lambda: server.metric("feed_lag_seconds") > lag + 0.5, what="the feed's standstill")
            status = subprocess.run([wardmote_server.binary(), "migrate", "--status", "--database", uri], capture_output=True, text=True, timeout=60, check=False)
            assert status.returncode == 3 and "pending" in status.stdout
            cursor.execute("INSERT INTO meta.migration (number, name, checksum, applied_at, release) VALUES (%s, 'again', 'x', now(), '0')", (newest,))
            until(lambda: '"ready":true' in ready(server), seconds=10, what="readiness")
        finally:
            server.close()


# --- alerts ---

def promtool(*arguments):
    found = shutil.which("promtool", path=f"{os.environ['PATH']}:{ROOT}/build/tools/usr/bin")
    assert found, "promtool is missing: scripts/test puts it into build/tools"
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def alerts():
    """{alert: its rule}"""
    text = (RULES / "wardmote.rules.yml").read_text(encoding="utf-8")
    return {part.split("\n")[0]: part for part in text.split("- alert: ")[1:]}


def test_promtool_agrees(tmp_path):
    done = promtool("test", "rules", RULES / "wardmote.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copy(RULES / "wardmote.rules.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(blocks("yaml")[0], encoding="utf-8")
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0 and f"{len(alerts())} rules found" in done.stdout + done.stderr, done.stdout + done.stderr
    # a rule that never fires is noticed
    (tmp_path / "wardmote.rules.yml").write_text((RULES / "wardmote.rules.yml").read_text().replace("> 60", "> 6000"), encoding="utf-8")
    shutil.copy(RULES / "wardmote.rules.test.yml", tmp_path)
    assert promtool("test", "rules", tmp_path / "wardmote.rules.test.yml").returncode != 0


def test_each_alert_is_explained_and_tested():
    explained = [re.search(r"`(\w+)`", row[0])[1] for row in table_rows("Day to day", 3)]
    assert sorted(explained) == sorted(alerts())
    tested = (RULES / "wardmote.rules.test.yml").read_text(encoding="utf-8")
    for name in alerts():
        assert re.search(rf"alertname: {name}\b[^-]*?exp_alerts:\s*(\[\{{|\n\s+- \{{|\n\s+- exp_labels)", tested, re.S), f"{name} never comes in the tests"


def test_alerts_ask_for_what_is_served(server, anonymous):
    assert anonymous.get("/v1/partners").status == 200
    with urllib.request.urlopen(f"{server.admin_url}/metrics", timeout=10) as answer:
        served = answer.read().decode()
    names = set(re.findall(r"^([a-z_]+)(?:\{| )", served, re.M))
    labels = {name: set(re.findall(r'(\w+)="', row)) for name, row in re.findall(r"^([a-z_]+)\{([^}]*)\}", served, re.M)}
    for alert, rule in alerts().items():
        for name, asked in re.findall(r"\b((?:wardmote|process)_[a-z_]+)(?:\{([^}]*)\})?", rule.split("labels:")[0]):
            assert name in names, f"{alert}: no {name}"
            assert set(re.findall(r"(\w+)=", asked)) - {"job"} <= labels.get(name, set()), f"{alert}: {name}{{{asked}}}"


def test_the_folder_of_alerts_holds_nothing_else():
    assert sorted(path.name for path in pathlib.Path(RULES).iterdir()) == ["wardmote.rules.test.yml", "wardmote.rules.yml"]
