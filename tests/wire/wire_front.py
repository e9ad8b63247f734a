# SPDX-License-Identifier: AGPL-3.0-or-later
"""One message through a proxy, and the detector: whatever the proxy made of it, we saw the requests that the proxy meant, and no others. Two further
requests tell whether bytes were left over: one on the same connection, and one of somebody else, on the connection to us that both share."""
import contextlib
import re

from wardmote_wire import request

# What a proxy waits for at most before it gives a message up; see wire_proxies.
QUIET_SECONDS = 1.5


def converse(client, pieces, until):
    """Everything that comes back until this text, or the end."""
    client.socket.settimeout(QUIET_SECONDS)
    with contextlib.suppress(OSError):
        for piece in pieces:
            client.send(piece)
    with contextlib.suppress(OSError):
        while until not in client.rest:
            if not client.fill():
                break
    return client.rest


def faults_of(said, seen):
    """Where the proxy's own account of what it sent on differs from what arrived."""
    asked = {line["id"]: line for line in said if line["asked"]}
    requests = [line for line in seen if "method" in line]
    faults = []
    if len({line["front"] for line in requests}) != len(requests):
        faults.append("one request arrived as two")
    for line in requests:
        meant = asked.get(line["front"])
        target = line["path"] + ("?" + line["query"] if line["query"] else "")
        if meant is None:
            faults.append(f"a request that the proxy never sent: {line}")
        elif (line["method"], target) != (meant["method"], meant["target"].removesuffix("?") if not line["query"] else meant["target"]):
            faults.append(f"another request than the proxy's: {line}, {meant}")
        elif line["length"] != int(line["front_length"] or 0):
            faults.append(f"another body than the proxy's: {line}")
    if len(seen) > len(asked):
        faults.append("more requests than the proxy sent")
    return faults


def through(front, traced, pieces, tag):
    """(what became of the message, faults): see wire_corpus for the first."""
    after, victim = f"after={tag}", f"victim={tag}"
    traced.forget()
    with front.client() as client:
        converse(client, [*pieces, request(target=f"/echo?{after}".encode())], after.encode())
    with front.client() as other:
        other.send(request(b"Connection: close\r\n", target=f"/echo?{victim}".encode()))
        answer = other.answer()
    said, seen = front.said(victim), traced.seen()
    faults = faults_of(said, seen)
    if answer is None or answer.status != 200 or f'"query": "{victim}"' not in answer.body.decode("utf-8", "replace"):
        faults.append(f"somebody else got another answer: {answer and (answer.status, answer.body[:200])}")
    own = [line for line in seen if line.get("query") not in (after, victim)]
    asked = [line for line in said if line["asked"] and not re.search(f"{after}|{victim}", line["target"])]
    if not asked:
        return "refuses", faults
    return "plain" if any("method" in line for line in own) and not any("method" not in line for line in own) else "gate", faults
