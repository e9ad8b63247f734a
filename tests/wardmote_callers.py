# SPDX-License-Identifier: AGPL-3.0-or-later
"""Clients that read and write without pause while a server is restarted beneath them. wardmote_client asks once more when a kept connection was closed; beyond
that every answer must be a good one."""
import contextlib
import http.client
import threading

from wardmote_records import unique


class Caller(threading.Thread):
    """`client`: its own. `write`: (path, body without a name). `fresh`: a new connection each time."""

    def __init__(self, client, read, write, fresh):
        super().__init__(daemon=True)
        self.client = client
        self.read = read
        self.write = write
        self.fresh = fresh
        self.ended = threading.Event()
        self.bad = []
        self.good = 0

    def ask(self):
        if self.good % 3:
            return self.client.get(self.read)
        path, body = self.write
        return self.client.post(path, {"name": unique("Called"), **body}, headers={"Idempotency-Key": unique("key")})

    def run(self):
        while not self.ended.is_set():
            try:
                answer = self.ask()
                if answer.status in (200, 201):
                    self.good += 1
                else:
                    self.bad.append((answer.status, answer.text()))
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
            if self.fresh:
                self.client.close()
        self.client.close()


@contextlib.contextmanager
def callers(new_client, count, read, write):
    """So many of them, every second one on fresh connections; yields how many good answers each has had."""
    threads = [Caller(new_client(), read, write, fresh=bool(number % 2)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: [thread.good for thread in threads]
    finally:
        for thread in threads:
            thread.ended.set()
        for thread in threads:
            thread.join()
    assert [bad for thread in threads for bad in thread.bad] == []
