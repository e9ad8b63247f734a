# SPDX-License-Identifier: AGPL-3.0-or-later
"""One message through a proxy, and the detector: whatever the proxy made of it, we saw the requests that the proxy meant, and no others. Two further
requests tell whether bytes were left over: one on the same connection, and one of somebody else, on the connection to us that both share."""
import contextlib
import re
import time

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


def without_empty_query(target):
    return target[:-1] if target.find("?") == len(target) - 1 else target


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
        elif (line["method"], target) != (meant["method"], without_empty_query(meant["target"])):
            faults.append(f"another request than the proxy's: {line}, {meant}")
        elif line["length"] != int(line["front_length"] or 0):
            faults.append(f"another body than the proxy's: {line}")
    if len(seen) > len(asked):
        faults.append("more requests than the proxy sent")
    return faults


def ask(front, query):
    """Somebody else's request. Who is slower than the proxy's short waiting time, on a busy machine, asks again."""
    for _ in range(5):
        with front.client() as client, contextlib.suppress(OSError):
            client.send(request(b"Connection: close\r\n", target=f"/echo?{query}".encode()))
            answer = client.answer()
            if answer is not None:
                return answer
    return None


def through(front, traced, pieces, tag):
    """(what became of the message, faults): see wire_corpus for the first."""
    after, victim = f"after={tag}", f"victim={tag}"
    traced.forget()
    with front.client() as client:
        converse(client, [*pieces, request(target=f"/echo?{after}".encode())], after.encode())
    answer = ask(front, victim)
    said, seen = front.said(victim), traced.seen()
    deadline = time.monotonic() + QUIET_SECONDS
    while (faults := faults_of(said, seen)) and time.monotonic() < deadline:
        said += front.said()  # a request may be logged after one that came later
        time.sleep(0.01)  # between two looks at the log
    if answer is None or answer.status != 200 or f'"query": "{victim}"' not in answer.body.decode("utf-8", "replace"):
        faults.append(f"somebody else got another answer: {answer and (answer.status, answer.body[:200])}")
    own = [line for line in seen if line.get("query") not in (after, victim)]
    asked = [line for line in said if line["asked"] and not re.search(f"{after}|{victim}", line["target"])]
    if not asked:
        return "refuses", faults
    return "plain" if any("method" in line for line in own) and not any("method" not in line for line in own) else "gate", faults
