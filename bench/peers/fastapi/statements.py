# SPDX-License-Identifier: AGPL-3.0-or-later
"""The statements of ../sql, put together. The JSON is PostgreSQL's own, and what comes is passed on as it is."""
import os
import pathlib
import re

FOLDER = pathlib.Path(os.environ["SQL"])
TEXTS = {path.stem: " ".join(re.sub(r"^--.*\n", "", path.read_text(encoding="utf-8"), flags=re.M).split()) for path in FOLDER.glob("*.sql")}
AUDIENCES = {"anonymous": (), "partner": ("partner",), "owner": ("partner", "owner")}
for _name, _parts in AUDIENCES.items():
    TEXTS[f"{_name}_fields"] = re.sub(r"\{(\w+) ([^}]*)\}", lambda found, parts=_parts: found[2] if found[1] in parts else "", TEXTS["fields"])

SORTS = {"open_on": ("open_on_sort", "date"), "close_on": ("close_on_sort", "date"), "title": ("title", "text"), "updated_at": ("updated_at", "timestamptz")}
FILTERS = {
    # One value is compared as one: with a list of them no order is left in an index after it.
    # An index holds the open ones alone, which a parameter would not be known to ask for.
    "status_open": "t.status = 'open'",
    "status": "t.status = ${}::text",
    "status_any": "t.status = ANY (${}::text[])",
    "partner_id": "t.partner_id = ${}::uuid",
    "partner_id_any": "t.partner_id = ANY (${}::uuid[])",
    "statutory": "t.statutory = ${}::text::boolean",
    "everyone": "t.everyone = ${}::text::boolean",
    "topics": "t.topics && ${}::text[]",
    "locality_ids": "t.locality_ids && ${}::uuid[]",
    "q": "t.search @@ websearch_to_tsquery('english', ${}::text)",
    # Asked of each record of a place: the words are read once.
    "q_of_places": "t.search @@ (SELECT websearch_to_tsquery('english', ${}::text))",
}
WITHOUT_VALUE = ("status_open",)
# Whether there are many or few such records is known only with the value: they are planned each time.
PLANNED_ANEW = ("partner_id_any", "topics", "q")
# But few records are of a place. A list of places begins with these, by one plan for all values: what else is asked gets a form that no index answers, and the
# order is not an index's.
INDEXED = ("locality_ids", "status_open")


def statement(name, **values):
    """A text with @name replaced by the value or file of that name."""
    return re.sub(r"@(\w+)", lambda found: values[found[1]] if found[1] in values else statement(found[1], **values), TEXTS[name])


ACT = statement("act")
ACT_SESSION = statement("act_session")
ONE = {caller: statement("one", record=statement(f"record_{caller}", more="")) for caller in ("anonymous", "partner")}
RECORD = statement("record_partner", more="")  # only those who have signed in write
CREATE = statement("create", record=RECORD)
PATCH = statement("patch", record=RECORD)
_made = {}


def listing(caller, query, after):
    """(statement, whether to plan it anew, parameters) of a page; `after`: the place in the order to go on from."""
    filters = tuple(name for name in FILTERS if name in query)
    key = caller, filters, query["sort"], query["include"], after is not None
    if key not in _made:
        _made[key] = _make(*key)
    anew = "locality_ids" not in filters and any(name in PLANNED_ANEW for name in filters)
    return _made[key], anew, [query["limit"], *(query[name] for name in _with_value(filters)), *(after or ())]


def _with_value(filters):
    return [name for name in filters if name not in WITHOUT_VALUE]


def _make(caller, filters, sort, include, goes_on):
    column, kind = SORTS[sort.removeprefix("-")]
    direction, beyond = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    of_places = "locality_ids" in filters
    order = f"ROW(t.{column}, t.id) {direction}" if of_places else f"t.{column} {direction}, t.id {direction}"
    numbers = {name: number for number, name in enumerate(_with_value(filters), 2)}
    where = "".join(f" AND ({FILTERS[name].format(numbers.get(name))}){' IS TRUE' if of_places and name not in INDEXED else ''}" for name in filters)
    if goes_on:
        # As text, since a driver would want a value of Python for a date.
        where += f" AND (t.{column}, t.id) {beyond} (${len(numbers) + 2}::text::{kind}, ${len(numbers) + 3}::uuid)"
    return statement("list", direction=direction, branches=statement(f"branches_{caller}", sort=column, order=order, where=where),
                     record=statement(f"record_{caller}", more="".join(statement(f"include_{part}") for part in include)))
