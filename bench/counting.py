# SPDX-License-Identifier: AGPL-3.0-or-later
"""Instructions in user space that one request costs, counted by callgrind in the server and in the backends that serve it. Both run under valgrind from
their start; counting is switched on when everything is warm. Requests go one by one over one connection, so that nothing depends on time."""
import contextlib
import glob
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import wardmote_server  # pylint: disable=wrong-import-position
from wardmote_client import Client  # pylint: disable=wrong-import-position

START_SECONDS = 60
WARM, BATCHES, REQUESTS = 8, 3, 16
WORKER = "worker"
# Libraries choose by processor: with these, code that every one of the architecture has.
PLAIN = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER", "OPENSSL_ia32cap": "0x0:0x0",
         "LC_ALL": "C.UTF-8"}


# vgdb finds a process by its number and by these.
CALLER = {"USER": "counted", "LOGNAME": "counted", "HOST": "here"}


def valgrind(folder):
    return ["env", *(f"{name}={value}" for name, value in {**PLAIN, **CALLER}.items()), "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", "--compress-strings=yes", f"--vgdb-prefix={folder}/vgdb",
            f"--callgrind-out-file={folder}/%p"]


class Counted:
    """The count of one process under callgrind, by thread."""

    def __init__(self, folder, pid):
        self.folder = folder
        self.pid = pid
        self.dumps = 0
        self._tell("instrumentation on")

    def _tell(self, command):
        done = subprocess.run(["vgdb", f"--vgdb-prefix={self.folder}/vgdb", f"--pid={self.pid}", "--max-invoke-ms=10", "-c", *command.split()],
                              capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **CALLER})
        if done.returncode != 0:
            raise RuntimeError(f"vgdb {command} of {self.pid}: {done.stdout}{done.stderr}")

    def zero(self):
        self._tell("zero")

    def taken(self):
        """Since zero(): {thread: instructions}"""
        self._tell("dump")
        self.dumps += 1
        found = {}
        for path in glob.glob(f"{self.folder}/{self.pid}.{self.dumps}-*"):
            totals = re.search(r"^(?:totals|summary): (\d+)", pathlib.Path(path).read_text(encoding="utf-8", errors="replace"), re.M)
            found[int(path.rpartition("-")[2])] = int(totals[1])
        return found
