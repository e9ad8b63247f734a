# SPDX-License-Identifier: AGPL-3.0-or-later
"""A signing key's whole life under load: a new one is added, signs, the old one is taken away. No token of a key that is there is refused at any moment, and
those of the old one are refused within two looks at the folder (2 s each)."""
import base64
import os
import pathlib
import re
import signal
import threading
import time

import pytest

import crowd
import wardmote_server
from wardmote_client import Client
from wardmote_long import pick

TURNS = pick(2, 50)
DELAY = 4  # seconds, stated in docs/identity.md and docs/security.md
SIGNS_FROM = r"^(sign-from: )\d+\n"  # ten minutes after it was published: here at once


class Asker(threading.Thread):
    """Asks without pause, with the token that it has or with a new one each time."""

    def __init__(self, new_token, public, fresh):
        super().__init__(daemon=True)
        self.new_token, self.public, self.fresh = new_token, public, fresh
        self.token = new_token()
        self.ended = threading.Event()
        self.good, self.bad = 0, []

    def run(self):
        while not self.ended.is_set():
            self.token = self.new_token() if self.fresh else self.token
            client = self.public.as_token(self.token)
            status = client.get("/v1/me").status
            client.close()
            if status == 200:
                self.good += 1
            else:
                self.bad.append(status)


@pytest.mark.parametrize("told", [True, False], ids=["by SIGHUP", "by the folder"])
def test_the_life_of_a_key(start_server, cluster, host, anonymous, told):
    folder = pathlib.Path(f"{cluster.folder}/keys-life-{told}")
    wardmote_server.run(["key", "rotate", "--key-dir", str(folder)])
    server = start_server(workers=2)
    server.stop()
    server.keys = str(folder)
    server.start()
    public = Client(server, anonymous.contract, anonymous.coverage)

    def new_token():
        return public.as_token(None).token_for(host["client_id"], host["client_secret"])

    def tell():
        if told:
            server.process.send_signal(signal.SIGHUP)

    for _ in range(TURNS):
        old = list(folder.glob("*.pem"))
        askers = [Asker(new_token, public, fresh=True) for _ in range(2)]
        holder = new_token()
        for asker in askers:
            asker.start()
        try:
            wardmote_server.run(["key", "rotate", "--key-dir", str(folder)])
            fresh = [path for path in folder.glob("*.pem") if path not in old]
            assert len(fresh) == 1
            text = fresh[0].read_text(encoding="utf-8")
            assert re.match(SIGNS_FROM, text), text[:60]
            newest = max(_signs_from(path) for path in old)
            crowd.until(lambda: time.time() >= newest + 1)  # pylint: disable=cell-var-from-loop
            fresh[0].write_text(re.sub(SIGNS_FROM, f"\\g<1>{int(time.time())}\n", text), encoding="utf-8")
            os.utime(folder)
            tell()
            crowd.until(lambda: fresh[0].stem in _kid(new_token()))  # pylint: disable=cell-var-from-loop
            assert public.as_token(holder).get("/v1/me").status == 200, "the old key is still there"
            marks = [asker.good for asker in askers]
            crowd.until(lambda: all(asker.good > mark + 5 for asker, mark in zip(askers, marks)))  # pylint: disable=cell-var-from-loop
            for path in old:
                path.unlink()
            begun = time.monotonic()
            tell()
            crowd.until(lambda: public.as_token(holder).get("/v1/me").status == 401)  # pylint: disable=cell-var-from-loop
            assert time.monotonic() - begun < DELAY
        finally:
            for asker in askers:
                asker.ended.set()
            for asker in askers:
                asker.join()
        assert [asker.bad for asker in askers] == [[], []]


def _signs_from(path):
    return int(re.match(SIGNS_FROM, path.read_text(encoding="utf-8"))[0].split()[1])


def _kid(token):
    head = token.split(".", maxsplit=1)[0]
    return base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode()
