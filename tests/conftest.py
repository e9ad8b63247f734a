# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fixtures: one private cluster and server per test process, callers of every role in it, and the check that the whole suite exercised the contract."""
import json
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

# pylint: disable=wrong-import-position
import wardmote_long
import wardmote_pooler
import wardmote_server
from wardmote_client import Client, Contract, Coverage
from wardmote_records import Records
from wardmote_suite import COVERAGE, ROOT, committed_document

FOLDER = "WARDMOTE_TEST_COVERAGE"
# Tests that measure latencies want the machine to themselves: scripts/test runs them after the others, one by one.
ALONE = "alone"
# What administrators do takes minutes and installs packages: scripts/test-install names this folder, and only who names it runs it.
INSTALL = ROOT / "tests/install"


# --- the server ---

@pytest.fixture(scope="session", name="cluster")
def _cluster():
    cluster = wardmote_server.Cluster()
    cluster.setup()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session", name="keys")
def _keys(cluster):
    return wardmote_server.make_keys(cluster)


@pytest.fixture(scope="session", name="host")
def _host(cluster):
    """Credentials of the host's first administrator."""
    return wardmote_server.make_administrator(cluster)


@pytest.fixture(scope="session", name="server")
def _server(cluster, keys, host):  # pylint: disable=unused-argument
    server = wardmote_server.Server(cluster, keys, security_contact="mailto:security@example.org")
    yield server
    server.close()


@pytest.fixture(scope="session", name="start_server")
def _start_server(cluster, keys, host):  # pylint: disable=unused-argument
    """A further server on the same database with other settings: start_server(rate_account=5)."""
    started = []

    def start(**settings):
        started.append(wardmote_server.Server(cluster, keys, **settings))
        return started[-1]

    yield start
    for server in started:
        server.close()


# --- callers ---

@pytest.fixture(scope="session", name="contract")
def _contract(server):
    answer = Client(server, None, None).get("/openapi.json")
    assert answer.status == 200
    return Contract(answer.json())


@pytest.fixture(scope="session", name="anonymous")
def _anonymous(server, contract):
    return Client(server, contract, COVERAGE)


@pytest.fixture(scope="session", name="administrator")
def _administrator(anonymous, host):
    return anonymous.as_token(anonymous.token_for(host["client_id"], host["client_secret"]))


@pytest.fixture(scope="session", name="records")
def _records(administrator, contract):
    """Makes partners, accounts and valid records of every resource."""
    return Records(administrator, contract)


@pytest.fixture(scope="session", name="partner")
def _partner(records):
    """A partner with a client of each role: partner.viewer, .officer, .manager."""
    return records.partner()


@pytest.fixture(scope="session", name="other")
def _other(records):
    """A second one, which owns nothing that the first may see unless a test says so."""
    return records.partner()


@pytest.fixture(name="fresh_address")
def _fresh_address(request):
    """A loopback address of this test's own: what is counted by address starts at nothing."""
    number = abs(hash(request.node.nodeid)) % (250 * 250 * 250)
    return f"127.{1 + number // 62500}.{1 + number // 250 % 250}.{1 + number % 250}"


# --- the contract was exercised ---

def _is_whole(config):
    """Nothing was left out: no path but tests, no selection but of what can run beside other tests."""
    paths = {pathlib.Path(argument.split("::")[0]).resolve() for argument in config.args}
    selected = config.option.keyword or config.option.markexpr not in ("", f"not {ALONE}") or getattr(config.option, "lf", False) or config.option.collectonly
    return paths == {ROOT / "tests"} and not selected


def pytest_ignore_collect(collection_path, config):
    named = [pathlib.Path(argument.split("::")[0]).resolve() for argument in config.args]
    if collection_path == INSTALL and not any(path.is_relative_to(INSTALL) for path in named):
        return True
    return None


def pytest_report_header():
    return f"WARDMOTE_SEED={wardmote_long.SEED}{' (long run)' if wardmote_long.LONG else ''}"


def pytest_configure(config):
    config.addinivalue_line("markers", f"{ALONE}: wants the machine to itself")
    if not hasattr(config, "workerinput"):
        config.wardmote_coverage = tempfile.mkdtemp(prefix="wardmote-coverage-")
        os.environ[FOLDER] = config.wardmote_coverage


def pytest_collection_modifyitems(items):
    for item in items:
        reason = wardmote_pooler.unfit(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session, exitstatus):
    rows = sorted({row for row in COVERAGE.seen})
    name = getattr(session.config, "workerinput", {}).get("workerid", "main")
    (pathlib.Path(os.environ[FOLDER]) / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if hasattr(session.config, "workerinput") or not finished or not _is_whole(session.config):
        return
    whole = Coverage()
    for path in pathlib.Path(os.environ[FOLDER]).glob("*.json"):
        whole.merge(tuple(row) for row in json.loads(path.read_text(encoding="utf-8")))
    session.config.wardmote_missing = whole.missing(Contract(committed_document()))
    if session.config.wardmote_missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.wardmote_coverage, ignore_errors=True)


def pytest_terminal_summary(terminalreporter, config):
    missing = getattr(config, "wardmote_missing", None)
    if missing is None:
        return
    terminalreporter.section("contract coverage")
    for operation, status in missing:
        terminalreporter.line(f"FAILED never exercised: {operation} {status}")
    if not missing:
        terminalreporter.line("every operation gave every status that it documents")
