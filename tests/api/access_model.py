# SPDX-License-Identifier: AGPL-3.0-or-later
"""What docs/access.md promises, as a model that says for a caller, an operation and a record how the server must answer."""
import collections
import functools

from wardmote_suite import ROOT

ROLES = ("anonymous", "viewer", "officer", "manager", "administrator")
ITEM_OPERATIONS = {"GET": "read", "PATCH": "change", "DELETE": "delete"}
LIST_OPERATIONS = {"GET": "read", "POST": "create", "PUT": "put"}
WORDS = {"-", "public", "visible", "own", "own+grant", "self", "all", "shared", "orphaned", "recovery"}

Route = collections.namedtuple("Route", "resource operation method path item")


@functools.cache
def _rows():
    rows = []
    for line in (ROOT / "docs/access.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not cells[0].startswith("--") and cells[0] not in ("resource", "operations"):
            rows.append(cells)
    return rows


@functools.cache
def table():
    """{(resource, operation): {role: {words}}}"""
    rows = {(cells[0], cells[1]): dict(zip(ROLES, ({word.strip() for word in cell.split(",")} for cell in cells[2:])))
            for cells in _rows() if len(cells) == 7}
    for row in rows.values():
        assert all(words <= WORDS for words in row.values()), row
    return rows


@functools.cache
def natives():
    """{operation's id: may the anonymous, too}: operations that are about no record."""
    found = {}
    for cells in _rows():
        if len(cells) == 3:
            assert set(cells[1:]) <= {"yes", "-"} and cells[2] == "yes", cells
            found.update({name.strip("` "): cells[1] == "yes" for name in cells[0].split(",")})
    return found


def route(operation):
    """Where an operation of the document stands in the table; None for one about no record."""
    parts = operation["path"].strip("/").split("/")
    method = operation["method"]
    resources = {resource for resource, _ in table()}
    if operation["operationId"] in natives() or parts[0] != "v1" or len(parts) < 2 or parts[1] not in resources:
        return None
    if len(parts) == 2:
        return Route(parts[1], LIST_OPERATIONS[method], method, operation["path"], False)
    if len(parts) == 3 and parts[2] != "{id}":
        return Route(parts[1], parts[2], method, operation["path"], False)
    if len(parts) == 3:
        return Route(parts[1], ITEM_OPERATIONS[method], method, operation["path"], True)
    return Route(parts[1], "read" if parts[3] == "history" else parts[3], method, operation["path"], True)


class Caller:
    """Who asks. `scopes` None: all that the role allows."""

    def __init__(self, name, client, role, partner_id, account_id=None, scopes=None):
        self.name = name
        self.client = client
        self.role = role
        self.partner_id = partner_id
        self.account_id = account_id
        self.scopes = scopes

    def __str__(self):
        return self.name

    def has_scope(self, resource, method):
        return self.scopes is None or f"{resource}:{'read' if method == 'GET' else 'write'}" in self.scopes


class Target:
    """One record: whose, and to whom else it is open. `marks` are texts in it that only who sees it may read; `owner_marks` only its owner."""

    def __init__(self, resource, record, *, partner_id, visibility=None, right=None, grantee=None, role=None, scopes=None, orphaned=False, marks=(),
                 owner_marks=()):
        self.resource = resource
        self.record = record
        self.id = record["id"]
        self.partner_id = partner_id
        self.visibility = visibility
        self.right = right
        self.grantee = grantee
        self.role = role
        self.scopes = scopes
        self.orphaned = orphaned
        self.marks = marks
        self.owner_marks = owner_marks

    def __str__(self):
        return " ".join(filter(None, [self.resource, self.visibility, self.right and f"granted to {self.right}", self.role, self.orphaned and "orphaned"]))

    def is_own(self, caller):
        return caller.partner_id is not None and caller.partner_id == self.partner_id

    def is_granted(self, caller):
        return self.grantee is not None and caller.partner_id == self.grantee

    def _meets(self, word, caller):
        if word == "own+grant":
            return self.is_own(caller) or (self.is_granted(caller) and self.right == "write")
        if word == "visible":
            return self.visibility in ("public", "shared") or self.is_own(caller) or self.is_granted(caller)
        return {
            "-": False,
            "all": True,
            "public": self.visibility == "public",
            "own": self.is_own(caller),
            "self": self.id == caller.account_id,
            "shared": self.partner_id is None,
            "orphaned": self.orphaned,
            "recovery": not self.is_own(caller) and self.role == "manager",
        }[word]

    def is_visible(self, caller):
        return any(self._meets(word, caller) for word in table()[self.resource, "read"][caller.role])

    def is_allowed(self, caller, operation):
        """Seen, and the cell says so. Managers run accounts up to their own role: nobody but an administrator touches an administrator's."""
        if not self.is_visible(caller) or (operation != "read" and self.role == "administrator" and caller.role != "administrator"):
            return False
        return any(self._meets(word, caller) for word in table()[self.resource, operation][caller.role])

    def answer(self, caller, operation, method):
        """None where the caller may, else the status of the refusal."""
        if caller.role == "anonymous" and table()[self.resource, operation]["anonymous"] == {"-"}:
            return 401
        if not self.is_visible(caller):
            return 404
        if not caller.has_scope(self.resource, method) or not self.is_allowed(caller, operation):
            return 403
        # A credential is all that its account may: a token with scopes makes none for an account that has more.
        wider = caller.scopes is not None and not (self.scopes is not None and set(self.scopes) <= set(caller.scopes))
        return 403 if wider and operation in ("secrets", "enrolments") else None


def may_create(caller, resource, partner_id, orphaned=False):
    """None where the caller may create a record of this partner, else the status of the refusal."""
    if caller.role == "anonymous":
        return 401
    words = table()[resource, "create"][caller.role]
    own = partner_id == caller.partner_id
    may = "all" in words or ("own" in words and own) or ("orphaned" in words and orphaned) or ("shared" in words and partner_id is None)
    return None if may and caller.has_scope(resource, "POST") else 403


def leaks(caller, targets, answer):
    """What an answer tells that its reader may not know."""
    text = answer.text() + "\n" + "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    found = []
    for target in targets:
        hidden = list(target.marks) if not target.is_visible(caller) else []
        hidden += target.owner_marks if not target.is_own(caller) else ()
        found += [mark for mark in hidden if mark in text]
    return found
