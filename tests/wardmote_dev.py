# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote dev` as a user runs it: for tests of the command itself, and of what its users are promised."""
import json
import os
import pathlib
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request

import psycopg2

from wardmote_server import binary

START_SECONDS = 240


class Dev:
    """One run of the command, up to its welcome."""

    def __init__(self, folder, *arguments, port=0, sample="none"):
        self.folder = pathlib.Path(folder)
        self.begun = time.monotonic()
        self.process = subprocess.Popen([binary(), "dev", "--port", str(port), "--data", str(folder), "--sample", sample, *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = ""
        deadline = self.begun + START_SECONDS
        while "Ctrl-C" not in self.output:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if readable else b""
            if not chunk:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"not up: {self.output}")
            self.output += chunk.decode()
        self.seconds = time.monotonic() - self.begun
        self.state = json.loads((self.folder / "dev.json").read_text())

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def connect(self):
        return psycopg2.connect(self.state["database"])

    def status(self, path, token=None):
        request = urllib.request.Request(self.state["url"] + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
