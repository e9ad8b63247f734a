# SPDX-License-Identifier: AGPL-3.0-or-later
"""Servers for floods: a release build on a cluster of the test process."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "faults"))  # the load with a journal, and its auditor

# pylint: disable=wrong-import-position
import crowd
import wardmote_server


@pytest.fixture(scope="session", name="release")
def _release():
    return crowd.build_release()


@pytest.fixture(name="serve")
def _serve(cluster, keys, host, release):  # pylint: disable=unused-argument
    """serve(workers=2): the release build, which must end in peace when the test has."""
    started = []

    def start(cluster=cluster, keys=keys, **settings):
        settings.setdefault("program", str(release / "src/server/wardmote"))
        started.append(wardmote_server.Server(cluster, keys, **settings))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.close()
        else:
            for listener in server.sockets:
                listener.close()
