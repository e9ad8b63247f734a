# SPDX-License-Identifier: AGPL-3.0-or-later
"""The auditor: compares what a load's journal says (load.py) with the tables of the database, read as their superuser, and says what does not agree.

    lost         an acknowledged write is not in the tables, or not with its content
    twice        one write was applied more than once
    phantom      a write was applied that nobody was told of: all its tries were refused, or nobody sent it
    unsettled    after `settle` it is still unknown what became of a write
    gap          a record's versions do not follow one another
    count        history has more or fewer versions than there were writes
    changes      the change feed's rows are not those of the versions
    misdelivered an answer went to another request
    lost update  a list that all append to has lost an element, or got one out of turn
    stale        a read showed less than its reader had been told before
    strange      an answer that no such request may get"""
import collections
import contextlib
import dataclasses

from load import entries

RESOURCES = {"communities": ("community", "description", "NULL"), "consultations": ("consultation", "notes", "status")}
# Statuses of refusals after which nothing was done: contention, an earlier try, a fault.
REFUSALS = {404, 409, 412, 503, 504}


@dataclasses.dataclass
class Version:
    """One version of a record as it is stored."""
    text: str
    state: str
    operation: str


@dataclasses.dataclass
class Tables:
    """What the database holds of one load."""
    versions: dict   # record -> {number: [Version]}
    changes: dict    # record -> [version, ...]


@dataclasses.dataclass
class Summary:
    """What was compared."""
    writes: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    lost_answers: int = 0
    records: int = 0
    versions: int = 0

    def __str__(self):
        return ", ".join(f"{getattr(self, field.name)} {field.name.replace('_', ' ')}" for field in dataclasses.fields(self))


def read_tables(connection, name):
    """Of the load with this name. `connection` bypasses policies."""
    versions = collections.defaultdict(lambda: collections.defaultdict(list))
    changes = collections.defaultdict(list)
    with connection.cursor() as cursor:
        for resource, (thing, text, state) in RESOURCES.items():
            title = "name" if thing == "community" else "title"
            mine = f"{title} LIKE 'Load {name}-w%%' OR {title} LIKE 'Load shared {name}-w%%'"
            cursor.execute(f"""
                CREATE TEMP TABLE mine AS SELECT id FROM wardmote.{thing} WHERE {mine} UNION SELECT id FROM history.{thing} WHERE {mine};
                SELECT id::text, version, {text}, {state}, CASE version WHEN 1 THEN 'create' ELSE 'update' END FROM wardmote.{thing} JOIN mine USING (id)
                UNION ALL SELECT id::text, version, {text}, {state}, operation FROM history.{thing} JOIN mine USING (id)""".replace("%%", "%"))
            for record, number, *content in cursor.fetchall():
                versions[record][number].append(Version(*content))
            cursor.execute("SELECT record_id::text, version FROM wardmote.change WHERE resource = %s AND record_id IN (SELECT id FROM mine)", (resource,))
            for record, number in cursor.fetchall():
                changes[record].append(number)
            cursor.execute("DROP TABLE mine")
    return Tables(versions, changes)


class Operation:
    """All tries of one request, and what they came to."""

    def __init__(self, intent):
        self.intent = intent
        self.answers = {}   # try -> line
        self.tries = {intent["try"]}
        self.settled = None

    @property
    def acknowledged(self):
        return [line for line in self.answers.values() if line.get("status", 600) < 300]

    @property
    def ever_unknown(self):
        return self.tries != set(self.answers) or any("lost" in line or line.get("outcome") == "unknown" for line in self.answers.values())

    @property
    def done(self):
        return bool(self.acknowledged) or self.settled == "done"

    @property
    def effect(self):
        """What it leaves in the tables, once, however often it was tried."""
        intent = self.intent
        return {"transition": ("state", intent.get("record"), intent.get("state")), "delete": ("delete", intent.get("record")),
                "append": ("element", intent.get("element"))}.get(intent["do"], ("text", intent.get("canary")))


def operations(lines):
    """op -> Operation, in the order of their intents."""
    found = {}
    for line in lines:
        if "do" in line:
            if line["op"] in found:
                found[line["op"]].tries.add(line["try"])
            else:
                found[line["op"]] = Operation(line)
        elif "settled" in line:
            found[line["op"]].settled = line["settled"]
        else:
            found[line["op"]].answers[line["try"]] = line
    return found


def effects_of(tables):
    """Each effect that the tables show -> the (record, version) pairs that show it first."""
    effects = collections.defaultdict(list)
    for record, numbers in tables.versions.items():
        before = Version("", "", "")
        for number in sorted(numbers):
            for version in numbers[number]:
                if version.operation == "delete":
                    effects[("delete", record)].append((record, number))
                elif version.text != before.text:
                    _text_effect(effects, record, number, version.text or "", before.text or "")
                elif version.state == before.state:
                    effects[("nothing", record, number)].append((record, number))
                if version.operation == "update" and version.state != before.state:
                    effects[("state", record, version.state)].append((record, number))
            before = numbers[number][-1]
    return effects


def _text_effect(effects, record, number, text, before):
    """A list that grew by one element, or another text in its place."""
    if "," in text:
        added = text[len(before) + 1:] if text.startswith(before + ",") else text
        effects[("element", added)].append((record, number))
    else:
        effects[("text", text)].append((record, number))


class Audit:
    """One comparison. `complaints` are (kind, text)."""

    def __init__(self, lines, tables):
        self.complaints = []
        self.summary = Summary(records=len(tables.versions), versions=sum(len(numbers) for numbers in tables.versions.values()))
        self._tables = tables
        self._lines = lines
        self._operations = operations(lines)
        self._effects = effects_of(tables)
        self._writes = [operation for operation in self._operations.values() if operation.intent["do"] != "read"]
        self._count()
        self._check_answers()
        self._check_writes()
        self._check_unsent()
        self._check_records()
        self._check_lists()
        self._check_reads()

    def _complain(self, kind, text, subject=""):
        self.complaints.append((kind, f"{text}{': ' if subject else ''}{subject}"))

    def _count(self):
        summary = self.summary
        summary.writes = len(self._writes)
        for operation in self._writes:
            summary.acknowledged += bool(operation.acknowledged)
            summary.unknown += operation.ever_unknown
            summary.refused += not operation.ever_unknown and not operation.acknowledged
        summary.lost_answers = sum("lost" in line for line in self._lines)

    def _check_answers(self):
        for operation in self._operations.values():
            intent = operation.intent
            for number, line in operation.answers.items():
                if "lost" in line:
                    continue
                if line.get("request_id") != f"{intent['op']}-{number}":
                    self._complain("misdelivered", "another request's answer", (intent, line))
                elif line["status"] >= 300:
                    if line["status"] not in REFUSALS:
                        self._complain("strange", "an answer that nobody may get", (intent, line))
                elif intent["do"] in ("create", "put", "patch") and line.get("text") != intent["canary"]:
                    self._complain("misdelivered", "an answer with another's content", (intent, line))
                elif intent["do"] in ("patch", "append", "transition", "read") and line.get("id") != intent["record"]:
                    self._complain("misdelivered", "an answer about another record", (intent, line))
                elif intent["do"] in ("patch", "append", "transition") and line.get("version") != intent["base"] + 1:
                    self._complain("lost update", "a version that does not follow the one it changed", (intent, line))

    def _check_writes(self):
        told = collections.defaultdict(list)
        for operation in self._writes:
            told[operation.effect].append(operation)
            if operation.ever_unknown and not operation.acknowledged and operation.settled is None:
                self._complain("unsettled", "nobody knows what became of it", operation.intent)
            for line in operation.acknowledged:
                self._check_stored(operation, line)
        for effect, tellers in told.items():
            found = self._effects.get(effect, [])
            if len(found) > 1:
                self._complain("twice", f"applied at {found}", effect)
            if not found and any(operation.done for operation in tellers):
                self._complain("lost", "nothing of it is in the tables", effect)
            if found and not any(operation.done or operation.ever_unknown for operation in tellers):
                self._complain("phantom", "it was refused, and applied", effect)
            if found and all(operation.settled == "undone" for operation in tellers):
                self._complain("phantom", "it was not there when it was looked for, and was applied later", effect)

    def _check_stored(self, operation, line):
        """The version that was acknowledged is the one that is stored."""
        intent = operation.intent
        if intent["do"] == "delete":
            return
        stored = self._tables.versions.get(line.get("id"), {}).get(line.get("version"), [])
        fits = any((intent["do"] == "transition" and version.state == intent["state"])
                   or (intent["do"] == "append" and (version.text or "").split(",")[-1] == intent["element"])
                   or (intent["do"] not in ("transition", "append") and version.text == intent.get("canary")) for version in stored)
        if not fits:
            self._complain("lost", "the version that was acknowledged is not the one that is stored", (intent, line, stored))

    def _check_unsent(self):
        sent = {operation.effect for operation in self._writes}
        for effect, found in self._effects.items():
            if effect not in sent:
                self._complain("phantom", f"nobody sent what is stored at {found}", effect)
        done = sum(len(self._effects.get(effect, [])) > 0 for effect in sent)
        if done != self.summary.versions:
            self._complain("count", f"{done} writes and {self.summary.versions} versions")

    def _check_records(self):
        for record, numbers in self._tables.versions.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                self._complain("gap", f"versions {sorted(numbers)}", record)
            for number, stored in numbers.items():
                if len(stored) != 1:
                    self._complain("twice", f"version {number} is stored {len(stored)} times", record)
            if sorted(self._tables.changes.get(record, [])) != sorted(numbers):
                self._complain("changes", f"{sorted(self._tables.changes.get(record, []))} for versions {sorted(numbers)}", record)

    def _check_lists(self):
        """Each version of a list is the one before and one element more."""
        for record, numbers in self._tables.versions.items():
            if not any(version.text and "," in version.text for stored in numbers.values() for version in stored):
                continue
            chain = [numbers[number][0].text or "" for number in sorted(numbers)]
            for before, after in zip(chain, chain[1:]):
                if not after.startswith(before + ",") or "," in after[len(before) + 1:]:
                    self._complain("lost update", f"{before[-60:]!r} became {after[-60:]!r}", record)

    def _check_reads(self):
        """Who was told of a version never reads an earlier one (the journal's order is that of one writer)."""
        told = {}
        for line in self._lines:
            operation = self._operations[line["op"]]
            writer = line["op"].rsplit("-", 1)[0]
            if line.get("status", 600) < 300 and "id" in line and "replayed" not in line:
                key = (writer, line["id"])
                if operation.intent["do"] == "read" and line["version"] < told.get(key, 0):
                    self._complain("stale", f"version {line['version']} after {told[key]}", operation.intent)
                told[key] = max(told.get(key, 0), line["version"])
            elif operation.intent["do"] == "read" and line.get("status") == 404:
                self._complain("stale", "a record that its reader knows is not there", operation.intent)


def audit(journal, connection, name):
    """(complaints, summary) of the load with this name."""
    found = Audit(entries(journal), read_tables(connection, name))
    return found.complaints, found.summary


def assert_clean(load, cluster, name, database="wardmote"):
    """The summary; fails with the first complaints."""
    with contextlib.closing(cluster.connect("postgres", database)) as connection:
        complaints, summary = audit(load.journal, connection, name)
    assert not complaints, f"{len(complaints)} complaints ({summary}): " + "\n".join(f"{kind}: {text}" for kind, text in complaints[:10])
    return summary
