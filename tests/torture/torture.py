# SPDX-License-Identifier: AGPL-3.0-or-later
"""A server whose allocations and system calls a test can fail: shim.c is preloaded into it and commanded through a shared file. And what an answer may be
when something failed beneath it."""
import contextlib
import http.client
import mmap
import os
import pathlib
import re
import signal
import struct
import subprocess
import tempfile

import wardmote_long
import wardmote_server
import wardmote_suite

SOURCE = pathlib.Path(__file__).parent / "shim.c"
KINDS = ("allocate", "mmap", "read", "write", "send", "recv", "sendmsg", "accept", "epoll_add", "epoll_wait", "socket", "connect", "open", "close", "fstat",
         "fcntl", "poll", "sockopt", "shutdown", "getsockname", "getrandom")
SIZE, SITES, FRAMES = 4096, 8, 24
AT_SITES, AT_FRAMES = 72, 120
ANSWER_SECONDS = 20
RECOVERY_SECONDS = wardmote_long.pick(30, 10)  # beside other tests and under sanitizers it takes longer than alone


def compile_shim():
    folder = tempfile.mkdtemp(prefix="wms-", dir="/tmp")
    path = f"{folder}/shim.so"
    subprocess.run(["cc", "-O2", "-g", "-shared", "-fPIC", "-o", path, str(SOURCE), "-ldl"], check=True, timeout=60)
    return path


class Shim:
    """The shared file, as shim.c lays it out."""

    def __init__(self, library):
        self.library = library
        self.path = library + ".control"
        pathlib.Path(self.path).write_bytes(bytes(SIZE))
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)

    def _put(self, form, offset, *values):
        struct.pack_into(form, self._map, offset, *values)

    def _get(self, form, offset):
        return struct.unpack_from(form, self._map, offset)[0]

    def arm(self, kinds, at, forever=False, error=12, thread="worker"):
        """From now on the `at`-th call of these kinds fails, or all from it on; `at` 0: they are counted only."""
        self.disarm()
        self._put("<I", 4, sum(1 << KINDS.index(kind) for kind in kinds))
        self._put("<I", 8, int(forever))
        self._put("<i", 12, error)
        self._put("<QQQ", 16, at, 0, 0)
        self._put("<16s", 56, thread.encode())
        self._put("<I", AT_SITES, 0)
        self._put("<I", 0, 1)

    def disarm(self):
        self._put("<I", 0, 0)

    @property
    def count(self):
        return self._get("<Q", 24)

    @property
    def failures(self):
        return self._get("<Q", 32)

    @property
    def blocks(self):
        return self._get("<q", 40)

    @property
    def live_bytes(self):
        return self._get("<q", 48)

    def sites(self):
        """Return addresses of the calls that failed, innermost first."""
        found = []
        for site in range(min(self._get("<I", AT_SITES), SITES)):
            n = self._get("<I", AT_SITES + 4 + 4 * site)
            found.append(struct.unpack_from(f"<{n}Q", self._map, AT_FRAMES + 8 * FRAMES * site))
        return found


@contextlib.contextmanager
def environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class TorturedServer(wardmote_server.Server):
    """One worker and one connection of each lane, so that the k-th call of a request is always the same call."""

    def __init__(self, cluster, keys, shim, **settings):
        self.shim = shim
        super().__init__(cluster, keys, **{"workers": 1, "lane_read": 1, "lane_write": 1, "lane_heavy": 1, "lane_stream": 1, "request_timeout_ms": 3000, "heavy_timeout_ms": 3000,
                                           "server_timing": "false", **settings})

    def start(self):
        """Under AddressSanitizer the shim stands before it. What the loader keeps of a library is no leak; libcrypto itself loses a number (56 bytes) at an
        allocation that fails while it signs or verifies."""
        ignored = pathlib.Path(self.shim.path + ".lsan")
        ignored.write_text("leak:dl_open_worker\nleak:libcrypto.so\n", encoding="utf-8")
        asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        with environment(LD_PRELOAD=self.shim.library, TORTURE_SHIM=self.shim.path, MALLOC_PERTURB_="165",
                         ASAN_OPTIONS=f"{asan}:verify_asan_link_order=0", LSAN_OPTIONS=f"suppressions={ignored}:print_suppressions=0"):
            super().start()
        self.regions = _regions(self.process.pid)

    def _arguments(self):
        """Its connections are told apart from those of other servers on the cluster."""
        return [f"{value}&application_name=torture" if value.startswith("postgresql://") else value for value in super()._arguments()]

    def alive(self):
        return self.process.poll() is None

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def where(self):
        """The stacks of what failed, for a report."""
        return ["; ".join(_name(address, self.regions) for address in site[2:14]) for site in self.shim.sites()]


def _regions(pid):
    """(low, high, offset, path) of what is mapped from files."""
    regions = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) >= 6 and parts[5].startswith("/"):
            low, high = (int(part, 16) for part in parts[0].split("-"))
            regions.append((low, high, int(parts[2], 16), parts[5]))
    return regions


def _name(address, regions):
    for low, high, offset, path in regions:
        if low <= address < high:
            done = subprocess.run(["addr2line", "-f", "-s", "-e", path, hex(address - low + offset - 1)], capture_output=True, text=True, timeout=20, check=False)
            function = done.stdout.split("\n")[0]
            return f"{pathlib.Path(path).name}:{function if function and function != '??' else hex(address - low + offset)}"
    return hex(address)


# --- requests and answers ---

class Wire:
    """One request as it goes over the wire, on a connection of its own."""

    def __init__(self, method, target, headers=None, body=None):
        self.method = method
        self.target = target
        self.headers = {"X-Request-Id": "torture-torture-torture", "Accept-Encoding": "identity", **(headers or {})}
        self.body = body
        self.source = "127.0.0.1"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def plain(self, volatile):
        """What must be the same in two answers to the same request: `volatile` requests make new records, whose ids, times and secrets differ."""
        headers = {name: value for name, value in self.headers.items() if name not in ("date", "ratelimit", "ratelimit-policy", "connection")}
        body = self.body
        if volatile:
            headers = {name: value for name, value in headers.items() if name not in ("etag", "location", "content-length", "link")}
            for pattern, word in VOLATILE:
                body = re.sub(pattern, word, body)
        return self.status, headers, body


VOLATILE = [(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", b"<id>"), (rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", b"<time>"),
            (rb"wm[a-z]_[A-Za-z0-9_-]{10,}", b"<secret>"), (rb"ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", b"<token>"),
            (rb"(?i)torture[ -]\d+[ -]\d+", b"<name>"), (rb'"position":\d+', b'"position":<n>'), (rb"torture-\d+-\d+@example.org", b"<login>")]


def send(server, wire, seconds=ANSWER_SECONDS):
    """The answer, or None when the connection was closed without a whole one."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=seconds, source_address=(wire.source, 0))
    try:
        connection.request(wire.method, wire.target, body=wire.body, headers=wire.headers)
        raw = connection.getresponse()
        headers = {name.lower(): value for name, value in raw.getheaders()}
        return Answer(raw.status, headers, raw.read())
    except TimeoutError as error:
        raise AssertionError(f"{wire.method} {wire.target}: no answer and no close within {seconds} s") from error
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def until(look, seconds=RECOVERY_SECONDS):
    return wardmote_suite.until(look, seconds)


def hang_up(server):
    """SIGHUP: keys and log level are read again."""
    server.process.send_signal(signal.SIGHUP)
