#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""One evening of an integration, which may be run as often as one likes. Needs Python 3 alone. URL, CLIENT_ID and CLIENT_SECRET (an officer's service
account) come from the environment, and STATE names a file: what must outlive a run is there."""
import base64
import json
import os
import pathlib
import time
import uuid
from urllib import error, parse, request

BASE = os.environ["URL"]
STATE = pathlib.Path(os.environ.get("STATE", "state.json"))
state = json.loads(STATE.read_text()) if STATE.exists() else {"runs": 0, "cursor": None, "copy": {}, "event": None}
token = None


def save():
    """Whole or not at all: written beside, then renamed."""
    beside = STATE.with_suffix(".new")
    beside.write_text(json.dumps(state))
    beside.replace(STATE)


def once(method, url, data, headers):
    """(status, headers, body); status None: no answer came."""
    try:
        with request.urlopen(request.Request(url, data, headers, method=method), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except error.HTTPError as refusal:  # 304 and all from 400 on
        return refusal.code, refusal.headers, refusal.read()
    except OSError:
        return None, {}, b""


def sign_in():
    """A token is good for ten minutes; ask for another when it has ended."""
    credentials = base64.b64encode(f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()).decode()
    status, _, body = once("POST", f"{BASE}/oauth/token", b"grant_type=client_credentials", {"Authorization": f"Basic {credentials}"})
    if status != 200:
        raise SystemExit(f"no token: {status} {body.decode()}")
    return json.loads(body)["access_token"]


def send(method, url, body=None, *, also=(), **headers):
    """One request, repeated while the server says "later" or says nothing. All of ours may be repeated: reads, PUT, If-Match, and POST with a key."""
    global token
    data = None if body is None else json.dumps(body).encode()
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    fields = {name.replace("_", "-"): value for name, value in headers.items() if value}
    for _ in range(8):
        token = token or sign_in()
        status, got, text = once(method, parse.urljoin(BASE, url), data, {"Authorization": f"Bearer {token}", "Content-Type": kind, **fields})
        if status == 401:
            token = None
        elif status in (None, 429, 503):
            time.sleep(int(got.get("Retry-After", 1)))
        elif status < 400 or status in also:
            return status, got.get("ETag"), json.loads(text) if text else None
        else:  # a problem document: each fault has its place and a code that does not change
            problem = json.loads(text)
            faults = [f"{fault.get('pointer', fault.get('parameter'))}: {fault['detail']}" for fault in problem.get("errors", [])]
            raise SystemExit(f"{method} {url}: {status} {problem['title']} {faults}")
    raise SystemExit(f"{method} {url}: no answer after 8 attempts")


state["runs"] += 1

# Rehearse a faulty record: every fault is told at once, and nothing is stored.
_, _, refused = send("PUT", "/v1/consultations?external_id=cms/0&dry_run=true", {"titel": "Benches", "topics": "parks"}, also=(400,))
print("faults:", *sorted(f"{fault['pointer']} {fault['code']}" for fault in refused["errors"]))

# Our records, under the ids that they have at home: made when they are not there, left alone when nothing differs.
for number in (1, 2, 3):
    ours = {"title": f"Benches, part {number}", "summary": "Where to put them.", "visibility": "shared"}
    status, etag, record = send("PUT", f"/v1/consultations?external_id=cms/{number}", ours)
    print(f"cms/{number}:", "created" if status == 201 else "already there")

# A list, page by page. What is asked for stays the same from page to page, so the link says it all.
_, _, me = send("GET", "/v1/me")
url, titles, pages = f"/v1/consultations?partner_id={me['partner_id']}&fields=title&sort=title&limit=2", [], 0
while url:
    _, _, page = send("GET", url)
    titles += [item["title"] for item in page["items"]]
    pages += 1
    url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
print(f"{len(titles)} consultations on {pages} pages")

# A POST has no id of ours to find it by. Its key is kept before it is sent, so that it makes one record, whatever is lost on the way.
event = state["event"] = state["event"] or {"key": str(uuid.uuid4())}
save()
if "id" not in event:
    walk = {"title": "Walk to the benches", "kind": "event", "visibility": "shared", "consultation_id": record["id"]}
    _, etag, made = send("POST", "/v1/activities", walk, Idempotency_Key=event["key"])
    event.update(id=made["id"], etag=etag)

# A change from the version that we know. 412: somebody was faster; read, decide again, and send the change with what was read.
attempts, status = 0, 412
while status == 412:
    attempts += 1
    status, etag, _ = send("PATCH", f"/v1/activities/{event['id']}", {"venue": f"Example Hall, room {state['runs']}"}, also=(412,), If_Match=event["etag"])
    event["etag"] = etag if status != 412 else send("GET", f"/v1/activities/{event['id']}")[1]
print("changed at attempt", attempts)

# What changed since the last run, ours and others', into a copy. The cursor is kept when what it stands for is done.
while True:
    _, _, feed = send("GET", "/v1/changes?limit=500" + (f"&after={state['cursor']}" if state["cursor"] else ""))
    for key in {item["id"]: None for item in feed["items"] if item["resource"] == "consultations"}:
        known = state["copy"].get(key, {})
        status, etag, record = send("GET", f"/v1/consultations/{key}", also=(404,), If_None_Match=known.get("etag"))
        if status == 404:  # deleted, or not ours to see any more
            state["copy"].pop(key, None)
        elif status == 200:  # 304: the copy is right
            state["copy"][key] = {"etag": etag, "title": record["title"], "version": record["version"]}
    state["cursor"] = feed["cursor"]
    save()
    if not feed["items"]:
        break
