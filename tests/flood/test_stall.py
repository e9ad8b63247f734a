# SPDX-License-Identifier: AGPL-3.0-or-later
"""One worker stands still, as if it were busy or its core were taken away: the other one's clients see nothing of it, newcomers are taken by the other one,
and when it goes on its own clients get their answers."""
import ctypes
import http.client
import os
import pathlib
import time

import pytest

import crowd

SEIZE, INTERRUPT, DETACH, ALL_THREADS = 0x4206, 0x4207, 17, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def workers(pid):
    return [int(thread) for thread in os.listdir(f"/proc/{pid}/task") if pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text().strip() == "worker"]


def trace(request, thread):
    if LIBC.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


class Stopped:
    """A thread that does not run; the others of its process do."""

    def __init__(self, thread):
        self.thread = thread

    def __enter__(self):
        trace(SEIZE, self.thread)
        trace(INTERRUPT, self.thread)
        os.waitpid(self.thread, ALL_THREADS)
        return self

    def __exit__(self, *_):
        trace(DETACH, self.thread)


def connect(server):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=crowd.PATIENCE)
    ask(connection)
    return answer_of(connection) and connection


def ask(connection):
    connection.request("GET", "/v1/communities?limit=1")


def answer_of(connection):
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer


def has_answer(connection, seconds):
    connection.sock.settimeout(seconds)
    try:
        return bool(connection.sock.recv(1, 2))  # MSG_PEEK
    except TimeoutError:
        return False
    finally:
        connection.sock.settimeout(crowd.PATIENCE)


@pytest.mark.parametrize("which", [0, 1])
def test_one_worker_stands_still(serve, which):
    server = serve(workers=2)
    kept = [connect(server) for _ in range(40)]
    with Stopped(workers(server.process.pid)[which]):
        for connection in kept:
            ask(connection)
        time.sleep(0.5)  # what is not answered now waits for the worker that stands still
        waiting = [connection for connection in kept if not has_answer(connection, 0.01)]
        going = [connection for connection in kept if connection not in waiting]
        assert waiting and going, "both workers have some of them"
        for connection in going:
            answer_of(connection)
        slowest = 0
        for connection in going * 3:
            begun = time.monotonic()
            ask(connection)
            answer_of(connection)
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 1, slowest
        for _ in range(20):
            connect(server).close()
        assert not any(has_answer(connection, 0.001) for connection in waiting)
    for connection in waiting:
        answer_of(connection)
    for connection in kept:
        connection.close()
