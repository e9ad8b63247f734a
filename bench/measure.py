# SPDX-License-Identifier: AGPL-3.0-or-later
"""One measurement: a load on one server, or the driver on the database, with what it cost."""
import json
import os
import statistics
import subprocess

TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 64  # of a closed loop


def cpu_seconds(pids):
    """User and system time of processes so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def children(pid):
    """Processes below one, all the way."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        direct = [int(number) for number in file.read().split()]
    return direct + [below for child in direct for below in children(child)]


def memory(pids, what="VmHWM"):
    """MiB resident, of several processes together: "VmHWM" the peak since reset_peak, "VmRSS" now."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(what + ":"))
    return total / 1024


def reset_peak(pids):
    for pid in pids:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")


def _run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def load(build, port, files, *, seconds, rate=0, connections=CONNECTIONS, table=None, first=0, pids=(), good=(200, 201, 304)):
    """Requests over HTTP; see load.c. An answer of another status than `good`, or none, is an error."""
    more = ["-t", table] if table else []
    reset_peak(pids)
    before = cpu_seconds(pids)
    found = _run([f"{build}/bench/load", *more, "-n", first, "127.0.0.1", port, rate, seconds, connections, *files])
    used = cpu_seconds(pids) - before
    bad = {status: n for status, n in found["statuses"].items() if int(status) not in good}
    if bad or found["broken"] or found["late"]:
        raise RuntimeError(f"{files}: answers {found['statuses']}, broken {found['broken']}, late {found['late']}")
    n = found["good"]["n"]
    return {"per_second": n / found["seconds"], "p50_ms": found["good"]["p50_ms"], "p99_ms": found["good"]["p99_ms"], "p999_ms": found["good"]["p999_ms"],
            "cpu_seconds_per_1000": 1000 * used / max(n, 1), "peak_mib": memory(pids), "n": n, "whole": found}


def driver(build, uri, segments, *, seconds, lane="read", connections=4, depth=64, in_flight=CONNECTIONS, table="", first=0):
    """Segments without HTTP; see driver.c."""
    found = _run([f"{build}/bench/driver", uri, segments, table or "", lane, connections, depth, in_flight, seconds, first])
    wrong = {name: found[name] for name in ("errors", "refused", "no_row", "no_actor", "error", "timeout", "busy", "unavailable", "unknown") if found[name]}
    if wrong:
        raise RuntimeError(f"{segments}: {wrong}")
    return {"per_second": found["per_second"], "p50_ms": found["latency"]["p50_ms"], "p99_ms": found["latency"]["p99_ms"], "p999_ms": found["latency"]["p999_ms"]}


def medians(samples):
    """Of samples of one measure over the rounds, figure by figure."""
    names = [name for name, value in samples[0].items() if isinstance(value, (int, float))]
    return {name: statistics.median(sample[name] for sample in samples) for name in names}


class Child:
    """A program that prints `ready` and ends with its standard input."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"{command[0]} said {line!r}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
