# SPDX-License-Identifier: AGPL-3.0-or-later
"""The program with calls of its own that fail: calls.c is preloaded and commanded through a shared file."""
import mmap
import os
import pathlib
import struct
import subprocess
import tempfile

import wardmote_long

SOURCE = pathlib.Path(__file__).parent / "calls.c"
SYSTEM, MEMORY, DATABASE, HTTP, ZLIB, JSON, CURL = (1 << i for i in range(7))
ALL = 127
AT_NAME, AT_PLACES, PLACES_MAX = 40, 72, 4096


class OwnCalls:
    """The shared file, as calls.c lays it out."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="wmc-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.library = f"{self.folder}/calls.so"
        subprocess.run(["cc", "-O2", "-g", "-fno-builtin", "-shared", "-fPIC", "-o", self.library, str(SOURCE), "-ldl"], check=True, timeout=60)
        self.path = f"{self.folder}/control"
        pathlib.Path(self.path).write_bytes(bytes(AT_PLACES + 16 * PLACES_MAX))
        os.chmod(self.path, 0o666)  # PostgreSQL's programs run as another user
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def _get(self, form, offset):
        return struct.unpack_from(form, self._map, offset)[0]

    def arm(self, at, groups=ALL, only=0):
        """The `at`-th call from now on fails, of those from the place `only` when it is given; `at` 0: they are counted."""
        self.disarm()
        struct.pack_into("<IQQQQ32s", self._map, 4, groups, at, 0, 0, only, b"")
        self._map[AT_PLACES:] = bytes(16 * PLACES_MAX)
        struct.pack_into("<I", self._map, 0, 1)

    def disarm(self):
        struct.pack_into("<I", self._map, 0, 0)

    @property
    def failures(self):
        return self._get("<Q", 24)

    @property
    def failed(self):
        """The function that failed."""
        return self._get("<32s", AT_NAME).rstrip(b"\0").decode()

    def calls(self):
        """How often each place was the caller."""
        words = struct.unpack_from(f"<{2 * PLACES_MAX}Q", self._map, AT_PLACES)
        return {place: count for place, count in zip(words[::2], words[1::2]) if place}

    def environment(self):
        asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        return {**os.environ, "LD_PRELOAD": self.library, "TORTURE_CALLS": self.path, "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}


def places(calls, name, usual):
    """(place, which of its calls): the first of each place, and in the long run the last. In the usual run some places."""
    found = [(place, 1) for place in sorted(calls)] + ([(place, n) for place, n in sorted(calls.items()) if n > 1] if wardmote_long.LONG else [])
    return found if wardmote_long.LONG or len(found) <= usual else wardmote_long.rng(name).sample(found, usual)
