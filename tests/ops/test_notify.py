# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the server tells a supervisor (sd_notify(3)): that it is ready, reloads, lives, stops."""
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import wardmote_server


class Supervisor:
    """The socket of NOTIFY_SOCKET, in the file system or in the abstract namespace."""

    def __init__(self, abstract=False):
        self.folder = tempfile.mkdtemp(prefix="wmt-notify-")
        self.path = f"\0{self.folder}" if abstract else f"{self.folder}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.path.replace("\0", "@"), **more}

    def next(self, within=30):
        """The members of the next message."""
        self._socket.settimeout(within)
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def close(self):
        self._socket.close()
        pathlib.Path(self.folder, "notify").unlink(missing_ok=True)
        os.rmdir(self.folder)


@pytest.fixture(name="supervisor")
def _supervisor(request):
    supervisor = Supervisor(abstract=getattr(request, "param", False))
    yield supervisor
    supervisor.close()


@pytest.mark.parametrize("supervisor", [False, True], ids=["path", "abstract"], indirect=True)
def test_ready_reload_stop(cluster, keys, supervisor):
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment(), drain_timeout_ms=70000)
    assert supervisor.next() == {"READY": "1", "STATUS": "serving"}
    server.process.send_signal(signal.SIGHUP)
    reloading = supervisor.next()
    assert reloading["RELOADING"] == "1"
    assert abs(int(reloading["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 30
    assert supervisor.next() == {"READY": "1", "STATUS": "serving"}
    server.close()
    assert supervisor.next() == {"STOPPING": "1", "STATUS": "draining", "EXTEND_TIMEOUT_USEC": "80000000"}


OLD_KEYS = "serving; could not be read, so the old stays: keys"


def test_a_reload_that_fails_is_told(cluster, keys, supervisor):
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment())
    supervisor.next()
    moved = pathlib.Path(keys).rename(keys + ".away")
    try:
        server.process.send_signal(signal.SIGHUP)
        supervisor.next()
        assert supervisor.next() == {"READY": "1", "STATUS": OLD_KEYS}
    finally:
        moved.rename(keys)
    assert supervisor.next() == {"STATUS": "serving"}, "the folder is back, and nobody asked"
    server.close()


def test_keys_that_go_away_by_themselves_are_told(cluster, keys, supervisor):
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment())
    supervisor.next()
    moved = pathlib.Path(keys).rename(keys + ".away")
    try:
        assert supervisor.next() == {"STATUS": OLD_KEYS}
    finally:
        moved.rename(keys)
    server.close()


def test_settings_that_cannot_be_read_again_are_told(cluster, keys, supervisor, tmp_path):
    """Also beside keys that cannot, and until they can."""
    settings = tmp_path / "settings"
    settings.write_text("log_level = info\n", encoding="utf-8")
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment(), config=settings)
    supervisor.next()
    settings.write_text("log_level = loud\n", encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    supervisor.next()
    assert supervisor.next() == {"READY": "1", "STATUS": "serving; could not be read, so the old stays: log level"}
    moved = pathlib.Path(keys).rename(keys + ".away")
    try:
        assert supervisor.next() == {"STATUS": "serving; could not be read, so the old stays: log level, keys"}
    finally:
        moved.rename(keys)
    settings.write_text("log_level = info\n", encoding="utf-8")
    server.process.send_signal(signal.SIGHUP)
    while "RELOADING" not in supervisor.next():  # the folder may be seen first
        pass
    assert supervisor.next() == {"READY": "1", "STATUS": "serving"}
    server.close()


def test_it_says_that_it_lives(cluster, keys, supervisor):
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment(WATCHDOG_USEC="4000000"))
    supervisor.next()
    assert [supervisor.next(within=3) for _ in range(3)] == [{"WATCHDOG": "1"}] * 3, "sooner than the supervisor loses patience"
    server.close()


def test_a_worker_that_stands_still_ends_the_word(cluster, keys, supervisor):
    """One thread is stopped by a debugger, as it would be by a lock or a name service that never answers: the others go on, and the word is not given."""
    server = wardmote_server.Server(cluster, keys, environment=supervisor.environment(WATCHDOG_USEC="4000000"))
    supervisor.next()
    supervisor.next()
    thread = next(path for path in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
                  if (path / "comm").read_text(encoding="utf-8").strip() == "worker")
    script = f"import ctypes, os, time\nlibc = ctypes.CDLL(None)\nassert libc.ptrace(0x4206, {thread.name}, 0, 0) == 0\nassert libc.ptrace(0x4207, {thread.name}, 0, 0) == 0\n" \
             f"os.waitpid({thread.name}, 0x40000000)\nprint('held', flush=True)\ntime.sleep(7)\n"
    with subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "held"
        held, words = time.monotonic(), []
        while time.monotonic() - held < 6:  # less than the holder holds it
            try:
                supervisor.next(within=max(0.1, held + 6 - time.monotonic()))
                words.append(time.monotonic() - held)
            except TimeoutError:
                pass
        assert all(at < 3.9 for at in words), words
        holder.kill()
    assert supervisor.next() == {"WATCHDOG": "1"}, "let go, it lives again"
    server.close()


def test_without_a_supervisor_nothing_is_told(cluster, keys):
    for named in ("", "relative", "/nowhere/at/all", "/" + "x" * 200):
        wardmote_server.Server(cluster, keys, environment={"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "junk"}).close()
