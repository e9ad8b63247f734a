# SPDX-License-Identifier: AGPL-3.0-or-later
"""The segments that the server sends for a request, taken from PostgreSQL's own log: what driver.c repeats without HTTP is exactly what was sent."""
import json
import pathlib
import re
import time

# $1 = 'it''s', $2 = NULL
PARAMETER = re.compile(r"\$(\d+) = (?:'((?:[^']|'')*)'|(NULL))")
EXECUTE = re.compile(r"execute w\d+: ", re.ASCII)
RECORDS = re.compile(r"(WITH total AS .*\) )?SELECT (NULL::text|r\.\w+::text|CASE WHEN r\.row_n IS NOT NULL THEN r\.\w+::text END), ", re.DOTALL)  # rows of records, not the uniform row
WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|claim_key)\b")
SETTINGS = "-c log_destination=jsonlog -c logging_collector=on -c log_directory=log -c log_filename=segments"


class Log:
    """`log_statement=all` for the server's role while `recorded` runs; the cluster was started with SETTINGS."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.path = pathlib.Path(cluster.folder) / "data/log/segments.json"

    def _entries(self, skip):
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        return [json.loads(line) for line in text[skip:].splitlines()]

    def recorded(self, ask):
        """The segment of the one request that ask() makes on a fresh connection of the server: {"acts", "write", "records", "answer", "steps"}."""
        skip = len(self.path.read_text(encoding="utf-8")) if self.path.exists() else 0
        ask()
        steps, before, patience = [], None, time.monotonic() + 10
        while not steps or steps != before:
            assert time.monotonic() < patience, "nothing was logged"
            time.sleep(0.05)  # the collector of the log is a process of its own
            before, steps = steps, [step for step in map(_step, self._entries(skip)) if step is not None]
        write = WRITES.search(" ".join(step["text"] for step in steps)) is not None
        acts = "api.acting" in steps[0]["text"]
        answer = max((number for number, step in enumerate(steps) if "answer AS" in step["text"]), default=len(steps) - 1)
        records = RECORDS.match(steps[answer]["text"]) is not None
        return {"acts": acts, "write": write, "records": records, "answer": answer, "steps": steps}


def _step(entry):
    message = entry.get("message", "")
    found = EXECUTE.match(message)
    if not found or "sequence_changes" in message:
        return None
    values = {}
    for number, text, null in PARAMETER.findall(entry.get("detail", "")):
        values[int(number)] = None if null else text.replace("''", "'")
    return {"text": message[found.end():], "parameters": [values[number] for number in sorted(values)]}


def with_placeholders(segment, values):
    """`values`: text to placeholder, wherever it stands in a parameter."""
    def fill(parameter):
        for text, placeholder in values.items():
            parameter = parameter if parameter is None else parameter.replace(text, placeholder)
        return parameter
    return {**segment, "steps": [{**step, "parameters": [fill(parameter) for parameter in step["parameters"]]} for step in segment["steps"]]}
