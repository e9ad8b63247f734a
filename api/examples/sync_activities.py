#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A nightly sync: PUTs fifty activities under the ids that they have in our own calendar. Run it as often as you like: what has not changed is not written.
Needs only Python 3. URL, CLIENT_ID and CLIENT_SECRET (an officer's service account) come from the environment."""
import base64
import json
import os
import urllib.parse
import urllib.request


def send(method, path, body, headers):
    request = urllib.request.Request(os.environ["URL"] + path, body and body.encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


credentials = base64.b64encode(f"{os.environ['CLIENT_ID']}:{os.environ['CLIENT_SECRET']}".encode()).decode()
form = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
token = send("POST", "/oauth/token", "grant_type=client_credentials", form)[1]["access_token"]
us = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
statuses = []
for number in range(1, 51):
    activity = {"title": f"Drop-in {number}", "kind": "event", "venue": "Example Hall", "starts_on": "2027-01-04", "visibility": "shared"}
    external_id = urllib.parse.quote(f"calendar/2027/{number}", safe="")
    statuses.append(send("PUT", f"/v1/activities?external_id={external_id}", json.dumps(activity), us)[0])
partner = send("GET", "/v1/me", None, us)[1]["partner_id"]
count = send("GET", f"/v1/activities?partner_id={partner}&count=exact&limit=1", None, us)[1]["count"]
print(f"{statuses.count(201)} created, {statuses.count(200)} already there, {count} in all")
