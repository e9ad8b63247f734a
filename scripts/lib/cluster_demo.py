# SPDX-License-Identifier: AGPL-3.0-or-later
"""What scripts/cluster does. The demonstration writes to the server all the while (tests/faults/load.py, which keeps a journal), watches reads and /readyz, has
the standby take over twice, and lets the auditor compare the journal with the tables."""
import argparse
import os
import pathlib
import secrets
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2] / "tests/faults")]
# pylint: disable=wrong-import-position
import psycopg2  # noqa: E402

from auditor import audit  # noqa: E402
from cluster import ROOT, Cluster, call, until  # noqa: E402
from load import Load, entries  # noqa: E402


class Watch(threading.Thread):
    """Asks every tenth of a second: a public read, and whether the server is ready. seen: (time, status of the read, its seconds, status of /readyz)."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self._cluster = cluster
        self._ended = threading.Event()
        self.seen = []

    def run(self):
        while not self._ended.wait(0.1):
            begun = time.time()
            read = call(f"{self._cluster.url}/v1/consultations?limit=1", timeout=60)[0]
            self.seen.append((begun, read, time.time() - begun, call(f"{self._cluster.admin_url}/readyz", timeout=60)[0]))

    def end(self):
        self._ended.set()
        self.join()


def longest_gap(moments, begin, end):
    """The longest time between two of these moments, which are in order; before the first and after the last counts, too."""
    inside = [begin, *(moment for moment in moments if begin <= moment <= end), end]
    return max(later - earlier for earlier, later in zip(inside, inside[1:]))


def acknowledged_writes(lines):
    """When each was."""
    reads = {line["op"] for line in lines if line.get("do") == "read"}
    return sorted(line["at"] for line in lines if line.get("status", 600) < 300 and line["op"] not in reads)


class Event:
    """One takeover under load: begun, over when the pair is whole again."""

    def __init__(self, name, begin):
        self.name, self.begin, self.end = name, begin, None

    def figures(self, lines, seen):
        seen = [one for one in seen if self.begin <= one[0] <= self.end]
        reads = [moment for moment, read, _, _ in seen if read == 200]
        return {"writes_gap": longest_gap(acknowledged_writes(lines), self.begin, self.end), "reads_gap": longest_gap(reads, self.begin, self.end),
                "not_ready": sum(ready != 200 for *_, ready in seen), "looks": len(seen), "read_statuses": sorted({read for _, read, _, _ in seen}),
                "slowest_read": max(seconds for _, _, seconds, _ in seen)}


def takeover(cluster, load, name, action):
    """Does it, waits until writes go on and the pair is whole again."""
    event = Event(name, time.time())
    former = action()
    former = former[0] if isinstance(former, tuple) else former
    until(lambda: cluster.node("leader") not in (None, former), f"a new primary after the {name}")
    load.more(20)
    until(cluster.ready, "the server to be ready again")
    cluster.start_node(former)
    cluster.wait_whole()
    load.more(20)
    event.end = time.time()
    return event


def trial(cluster, actions, writers=4, pace=0.005):
    """Takes over by each of these actions, under load. (figures by name, the auditor's complaints, its summary, how many outcomes were unknown and settled)"""
    name = f"cluster{secrets.token_hex(4)}"
    journal = cluster.folder / f"{name}.journal"
    token = cluster.token()
    load, watch = Load(cluster.url, token, journal, name, name, writers=writers, pace=pace), Watch(cluster)
    try:
        watch.start()
        load.more(50)
        events = [takeover(cluster, load, name_of, action) for name_of, action in actions.items()]
        load.stop()
    finally:
        load.kill()
        watch.end()
    settled = load.settle()
    connection = psycopg2.connect(cluster.uri("postgres"))
    connection.autocommit = True
    complaints, summary = audit(journal, connection, name)
    connection.close()
    lines = entries(journal)
    return {event.name: event.figures(lines, watch.seen) for event in events}, complaints, summary, settled


def demo(cluster):
    print("starting etcd, two nodes and the server", flush=True)
    cluster.start()
    show(cluster)
    print("writing, switching over (patronictl switchover), then kill -9 of the primary", flush=True)
    figures, complaints, summary, settled = trial(cluster, {"switchover": cluster.switchover, "failover": cluster.kill_primary})
    for name, seen in figures.items():
        print(f"{name}: no write acknowledged for {seen['writes_gap']:.1f} s at most, no read answered for {seen['reads_gap']:.1f} s; "
              f"reads got {', '.join(map(str, seen['read_statuses']))}, the slowest after {seen['slowest_read']:.2f} s; "
              f"/readyz was not 200 in {seen['not_ready']} of {seen['looks']} looks")
    print(f"{summary}; {settled} unknown outcomes, all settled afterwards by asking again")
    for kind, text in complaints:
        print(f"{kind}: {text}")
    print("nothing acknowledged was lost, nothing was done twice" if not complaints else f"{len(complaints)} complaints of the auditor", flush=True)
    return not complaints


def show(cluster):
    for node, (role, state) in sorted(cluster.members().items()):
        print(f"node {node}: {role}, {state}, 127.0.0.1:{cluster.ports['database_' + node]}")
    print(f"server: {cluster.url} ({'ready' if cluster.ready() else 'not ready'}), metrics: {cluster.admin_url}/metrics", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("demo", "start", "status", "switchover", "kill", "stop"))
    parser.add_argument("--data", default=str(ROOT / "var/cluster"))
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    cluster = Cluster(options.data, os.environ["WARDMOTE_BIN"], options.strict)
    good = True
    if options.what == "demo":
        try:
            good = demo(cluster)
        finally:
            cluster.stop()
    elif options.what == "kill":
        print(f"killed {cluster.kill_primary()}; `scripts/cluster start` brings it back")
    elif options.what == "stop":
        cluster.stop()
    else:
        if options.what == "switchover":
            print("from {} to {}".format(*cluster.switchover()))
        if options.what == "start":
            cluster.start()
        show(cluster)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
