# SPDX-License-Identifier: AGPL-3.0-or-later
"""A load generator that writes down every intent before it is sent and every answer when it came: one JSON line each, appended (O_APPEND, so that the lines
of several threads stay whole) to a file that no fault reaches. The generator itself is never killed, so what it wrote is what happened: no fsync.

Run as a program (`Load` starts it) it writes until SIGTERM. The lines:
    {"op", "try", "do", "method", "path", "body", "headers", "canary", "record", "base"}                   an intent
    {"op", "try", "status", "outcome", "request_id", "id", "version", "canary", "replayed"} or {..., "lost"}   its answer
An operation may be tried several times: `settle` asks again for all whose outcome a client could not know."""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

LIST_LIMIT = 3500  # characters of a shared record's list, below what a text may have
PATIENCE = 60


class Journal:
    """The file. Lines are written whole."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **members):
        os.write(self._file, json.dumps({"at": round(time.time(), 4), **members}, separators=(",", ":")).encode() + b"\n")


class Answer:
    """What the journal keeps of an answer, and the ETag."""

    def __init__(self, raw):
        self.status = raw.status
        self.etag = raw.getheader("ETag")
        self.request_id = raw.getheader("X-Request-Id")
        self.replayed = raw.getheader("Idempotency-Replayed") == "true"
        self.will_close = raw.will_close
        body = raw.read()
        self.body = json.loads(body) if body else {}

    @property
    def done(self):
        return self.status < 300

    @property
    def unknown(self):
        return self.status == 503 and self.body.get("outcome") == "unknown"

    def members(self):
        """What identifies the version that was answered, and its content."""
        text = self.body.get("description", self.body.get("notes")) if self.done else None
        kept = {"status": self.status, "outcome": self.body.get("outcome"), "request_id": self.request_id, "replayed": self.replayed or None,
                "id": self.body.get("id"), "version": self.body.get("version"), "text": text,
                "state": self.body.get("status") if self.done else None, "code": self.body.get("type", "").rsplit("/", 1)[-1] if not self.done else None}
        return {name: value for name, value in kept.items() if value is not None}


class Sender:
    """One connection, one request at a time, no silent retry: what is lost is written down as lost."""

    def __init__(self, url, token, journal):
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._token = token
        self._journal = journal
        self._connection = None

    def close(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def exchange(self, method, path, body, headers):
        """The answer, or the name of what came instead."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=PATIENCE)
        fields = {"Authorization": f"Bearer {self._token}", **headers}
        if body is not None:
            fields["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), fields)
            answer = Answer(self._connection.getresponse())
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            self.close()
            return type(error).__name__
        if answer.will_close:
            self.close()
        return answer

    def attempt(self, intent, number):
        """One try of an operation, written down before and after. The answer, or None."""
        request_id = f"{intent['op']}-{number}"
        self._journal.write(**{"try": number}, **intent)
        answer = self.exchange(intent["method"], intent["path"], intent.get("body"), {**intent["headers"], "X-Request-Id": request_id})
        if isinstance(answer, str):
            self._journal.write(**{"op": intent["op"], "try": number, "lost": answer})
            return None
        self._journal.write(**{"op": intent["op"], "try": number}, **answer.members())
        return answer


class Writer(threading.Thread):
    """Lives of records, one after another. A record whose state is not known any more is left to `settle`."""

    def __init__(self, name, options, shared, ended):
        super().__init__(daemon=True)
        self._name = name
        self._sender = Sender(options.url, os.environ["WARDMOTE_TOKEN"], Journal(options.journal))
        self._random = random.Random(f"{options.seed}/{name}")
        self._pace = options.pace
        self._shared = shared
        self._ended = ended
        self._count = 0
        self._kinds = [getattr(self, f"_{kind}") for kind in options.kinds.split(",")]

    def run(self):
        while not self._ended.is_set():
            if not self._random.choice(self._kinds)():
                time.sleep(self._pace * 10)  # as a client does that was told to come later

    def _ask(self, do, method, path, body, *, record=None, base=None, etag=None, key=False, **members):
        """(answer, intent). What was left unknown is asked for once more at once, as impatient clients do."""
        self._count += 1
        op = f"{self._name}-{self._count}"
        headers = {**({"Idempotency-Key": op} if key else {}), **({"If-Match": etag} if etag else {})}
        intent = {"op": op, "do": do, "method": method, "path": path, "body": body, "headers": headers, "record": record, "base": base, **members}
        intent = {name: value for name, value in intent.items() if value is not None}
        if self._pace:
            time.sleep(self._random.random() * 2 * self._pace)
        answer = self._sender.attempt(intent, 1)
        if key and (answer is None or answer.unknown):
            answer = self._sender.attempt(intent, 2)
        return answer, intent

    def _canary(self, do):
        return f"{do} {self._name}-{self._count + 1}"

    def _read(self, record, etag=None):
        answer, _ = self._ask("read", "GET", f"/v1/communities/{record}", None, record=record, etag=etag)
        return answer if answer is not None and answer.status == 200 else None

    def _community(self):
        """Created under a key, sometimes asked for again, changed, read, sometimes deleted."""
        canary = self._canary("create")
        body = {"name": f"Load {self._name}", "kind": "interest", "description": canary}
        answer, intent = self._ask("create", "POST", "/v1/communities", body, key=True, canary=canary)
        if answer is None or not answer.done:
            return False
        record, etag = answer.body["id"], answer.etag
        if self._random.random() < 0.3:
            self._sender.attempt(intent, 3)
        for _ in range(self._random.randrange(1, 4)):
            canary = self._canary("patch")
            answer, _ = self._ask("patch", "PATCH", f"/v1/communities/{record}", {"description": canary}, record=record, etag=etag,
                                  base=answer.body["version"], canary=canary)
            if answer is None or not answer.done:
                return False
            etag = answer.etag
        self._read(record)
        if self._random.random() < 0.3:
            base = answer.body["version"]
            answer, _ = self._ask("delete", "DELETE", f"/v1/communities/{record}", None, record=record, etag=etag, base=base)
        return answer is not None and answer.done

    def _sync(self):
        """Put by the caller's own identifier: made, put again unchanged, changed."""
        external = f"{self._name}-{self._count + 1}"
        path = "/v1/communities?" + urllib.parse.urlencode({"external_id": external})
        body = {"name": f"Load {self._name}", "kind": "identity", "description": self._canary("put")}
        for again in range(3):
            if again == 2:
                body["description"] = self._canary("put")
            answer, _ = self._ask("put", "PUT", path, dict(body), canary=body["description"], external=external)
            if answer is None or not answer.done:
                return False
        return True

    def _consultation(self):
        """Three steps of its life, each under a key."""
        canary = self._canary("create")
        body = {"title": f"Load {self._name}", "everyone": True, "visibility": "public", "open_on": "2026-01-05", "close_on": "2099-01-30", "summary": "Where?",
                "take_part_how": "Write", "notes": canary}
        answer, _ = self._ask("create", "POST", "/v1/consultations", body, key=True, canary=canary)
        for step in ("planned", "approved", "open"):
            if answer is None or not answer.done:
                return False
            record = answer.body["id"]
            answer, _ = self._ask("transition", "POST", f"/v1/consultations/{record}/transitions", {"to": step}, record=record, etag=answer.etag,
                                  base=answer.body["version"], key=True, state=step)
        return answer is not None and answer.done

    def _append(self):
        """A list that all writers append to: read, add, write back the version that was read."""
        with self._shared.lock:
            record = self._shared.record
            if record is None:
                canary = self._canary("create")
                body = {"name": f"Load shared {self._name}", "kind": "interest", "description": canary}
                answer, _ = self._ask("create", "POST", "/v1/communities", body, key=True, canary=canary)
                if answer is None or not answer.done:
                    return False
                record = self._shared.record = answer.body["id"]
        seen = self._read(record)
        if seen is None:
            return False
        if len(seen.body["description"]) > LIST_LIMIT:
            with self._shared.lock:
                if self._shared.record == record:
                    self._shared.record = None
            return True
        element = f"{self._name}-{self._count + 1}"
        answer, _ = self._ask("append", "PATCH", f"/v1/communities/{record}", {"description": f"{seen.body['description']},{element}"}, record=record,
                              etag=seen.etag, base=seen.body["version"], element=element)
        return answer is not None and answer.status in (200, 412)


class Shared:
    def __init__(self):
        self.lock = threading.Lock()
        self.record = None


def main():
    parser = argparse.ArgumentParser(description="Writes to a server until SIGTERM and keeps a journal.")
    parser.add_argument("--journal", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--name", required=True, help="no two runs on one database have the same")
    parser.add_argument("--seed", required=True)
    parser.add_argument("--writers", type=int, required=True)
    parser.add_argument("--pace", type=float, required=True, help="seconds between two requests of a writer, on average")
    parser.add_argument("--kinds", required=True)
    options = parser.parse_args()
    ended, shared = threading.Event(), Shared()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    writers = [Writer(f"{options.name}-w{number}", options, shared, ended) for number in range(options.writers)]
    for writer in writers:
        writer.start()
    while not ended.wait(1):
        pass
    for writer in writers:
        writer.join(PATIENCE + 10)
    sys.exit(0 if not any(writer.is_alive() for writer in writers) else "a request has no answer and no end")


# --- for tests ---

def entries(journal):
    """All lines, in the order in which they were written."""
    with open(journal, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be under way


class Load:
    """The program, under way. `kinds`: which lives are lived."""

    def __init__(self, url, token, journal, name, seed, *, writers=4, pace=0.002, kinds="community,sync,consultation,append"):
        self.journal = str(journal)
        self._url = url
        self._token = token
        self._acknowledged, self._offset = 0, 0
        pathlib.Path(journal).touch()
        command = [sys.executable, __file__, "--journal", self.journal, "--url", url, "--name", name, "--seed", str(seed), "--writers", str(writers),
                   "--pace", str(pace), "--kinds", kinds]
        self._process = subprocess.Popen(command, env={**os.environ, "WARDMOTE_TOKEN": token})

    def acknowledged(self):
        """How many writes have been acknowledged by now."""
        with open(self.journal, "rb") as lines:
            lines.seek(self._offset)
            fresh = lines.read()
        fresh = fresh[:fresh.rfind(b"\n") + 1]
        self._offset += len(fresh)
        self._acknowledged += fresh.count(b'"status":200') + fresh.count(b'"status":201') + fresh.count(b'"status":204')
        return self._acknowledged

    def more(self, count, seconds=PATIENCE):
        """Waits until so many more are acknowledged; the seconds that it took."""
        assert self._process.poll() is None, "the load generator ended"
        begun, mark = time.monotonic(), self.acknowledged()
        while self.acknowledged() < mark + count:
            assert time.monotonic() - begun < seconds, f"no {count} further writes were acknowledged within {seconds} s"
            time.sleep(0.01)  # between two looks; the deadline decides
        return time.monotonic() - begun

    def stop(self):
        """Every request that is under way gets its answer or its end first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE + 20) == 0

    def kill(self):
        """For the end of a test that failed."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def settle(self, seconds=PATIENCE):
        """Asks again for all that is unknown, as a client does; how many there were."""
        return settle(self._url, self._token, self.journal, seconds)


def open_operations(lines):
    """Intents without an answer that says what became of them: {op: (intent, tries)}."""
    intents, tries, known, unknown, silent = {}, {}, set(), set(), set()
    for line in lines:
        op = line["op"]
        if "do" in line:
            intents[op] = {name: value for name, value in line.items() if name not in ("at", "try")}
            tries[op] = max(line["try"], tries.get(op, 0))
            silent.add((op, line["try"]))
        elif line.get("status", 600) < 300 or "settled" in line:
            known.add(op)
        elif "lost" in line or line.get("outcome") == "unknown":
            unknown.add(op)
        silent.discard((op, None if "do" in line else line.get("try")))
    unknown |= {op for op, _ in silent}
    return {op: (intents[op], tries[op]) for op in intents if op in unknown - known and intents[op]["do"] != "read"}


def settle(url, token, journal, seconds=PATIENCE):
    """The same request once more: with its key, its If-Match or its external_id. What a changed record refuses (412, 404) is settled by reading it."""
    sender, book = Sender(url, token, Journal(journal)), Journal(journal)
    left = open_operations(entries(journal))
    for intent, tries in left.values():
        deadline = time.monotonic() + seconds
        answer = None
        while answer is None or answer.status == 503 or answer.body.get("type", "").endswith("in-flight"):
            assert time.monotonic() < deadline, f"not settled within {seconds} s: {intent}: {answer and answer.body}"
            if answer is not None:
                time.sleep(0.05)  # Retry-After is a second; the deadline decides
            tries += 1
            answer = sender.attempt(intent, tries)
        if not answer.done:
            book.write(op=intent["op"], settled=_look(sender, intent, deadline))
    sender.close()
    return len(left)


def _look(sender, intent, deadline):
    """Whether the record shows what a request without a key should have done."""
    answer = None
    while not isinstance(answer, Answer) or answer.status == 503:
        assert time.monotonic() < deadline, f"cannot be read: {intent}"
        with contextlib.suppress(KeyError):
            answer = sender.exchange("GET", intent["path"].removesuffix("/transitions"), None, {})
    if intent["do"] == "delete":
        return "done" if answer.status == 404 else "undone"
    if intent["do"] == "transition":
        return "done" if answer.body.get("status") == intent["state"] else "undone"
    text = answer.body.get("description") or ""
    return "done" if text == intent.get("canary") or intent.get("element") in text.split(",") else "undone"


if __name__ == "__main__":
    main()
