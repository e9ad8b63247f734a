# SPDX-License-Identifier: AGPL-3.0-or-later
"""corpus.json: raw requests, and what becomes of each. A row has

name, row       what it is, and the pitfall of the library that it belongs to (H1 to H25; "-": a rule of our own)
bytes           the message: text in Latin-1, or a list of such and of [text, count] for repetitions
status, rule    refused: the statuses allowed (0: closed without an answer), and the gate's rule; null where the library itself answers
requests        or accepted: what the application gets, one after another
closes          the connection ends with the last of them
hidden          accepted although not well-formed, because the library does not show it
routed          a fault of the body: a server without a route there answers 404 and reads none
haproxy, nginx  behind the configuration in docs/http-gate.md: "refuses" (the proxy answers itself), "gate" (we refuse what it sent on),
                "plain" (what it sent on was well-formed, and we saw the same requests as the proxy)"""
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent


def spelled(text):
    """Text, or a list with repetitions, as one string."""
    return text if isinstance(text, str) else "".join(part if isinstance(part, str) else part[0] * part[1] for part in text)


def _row(row):
    row["data"] = spelled(row.pop("bytes")).encode("latin-1")
    for request in row.get("requests", []):
        request["target"] = spelled(request["target"])
    return row


ROWS = [_row(row) for row in json.loads((FOLDER / "corpus.json").read_text(encoding="utf-8"))]
REFUSED = [row for row in ROWS if "status" in row]
ACCEPTED = [row for row in ROWS if "requests" in row]
# Short enough for one byte a segment.
SHORT = 600


def name_of(row):
    return row["name"]


def segments(data, how, random):
    """The message as it is sent: whole, byte by byte, or cut at random."""
    if how == "whole" or len(data) < 2:
        return [data]
    if how == "bytes" and len(data) <= SHORT:
        return [data[i:i + 1] for i in range(len(data))]
    cuts = sorted(random.sample(range(1, len(data)), min(len(data) - 1, random.randint(1, 12))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
