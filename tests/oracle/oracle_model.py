# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who may see and do what, and what each record was at each moment: a model written from docs/ and api/openapi.json alone. It never looks at the server; the
server is held against it. Statuses are sets where a request has several faults and the documents do not say which is told first."""
import re
import secrets

PUBLIC, PARTNER, OWNER = "public", "partner", "owner"
RANK = {"anonymous": 0, "viewer": 1, "officer": 2, "manager": 3, "administrator": 4}
MARK = re.compile(r"canary-[0-9]+-[0-9a-f]{32}", re.IGNORECASE)
DELETED = "deleted"


class Kind:
    """What the documents say of a resource. `texts`: members that take any text, with the widest audience of each. `refers`: member to resource."""

    def __init__(self, name, texts, *, administered=False, refers=None, hidden=None, fixed=None, table=None, includes=(), search=True):
        self.name = name
        self.texts = texts
        self.title = next(iter(texts))
        self.administered = administered
        self.refers = refers or {}
        self.hidden = hidden or {}        # members of the audience "partner": name to values that may be set
        self.fixed = fixed or {}          # members that a new record needs
        self.table = table or name.rstrip("s").replace("-", "_")
        self.includes = includes
        self.search = search

    def members_above(self, audience):
        """Names that a reader of this audience must never meet."""
        owner = {"grants", "external_id", "created_by", "updated_by"} | {name for name, widest in self.texts.items() if widest == OWNER}
        return set() if audience == OWNER else owner if audience == PARTNER else owner | set(self.hidden)


OWNED = {"source": PUBLIC, "external_id": OWNER}
STEPS = [{"value": 1, "label": "low"}, {"value": 2, "label": "high"}]
KINDS = {kind.name: kind for kind in (
    Kind("partnerships", {"name": PUBLIC, "description": PUBLIC, **OWNED}, administered=True, refers={"members": "partners"}, includes=("partner", "member_partners")),
    Kind("codes", {"label": PUBLIC, "code": PUBLIC, "description": PUBLIC, **OWNED}, fixed={"list": "topic"}, includes=("partner",)),
    Kind("boundary-sets", {"name": PUBLIC, "code": PUBLIC, "attribution": PUBLIC, **OWNED}, administered=True, includes=("partner",)),
    Kind("localities", {"name": PUBLIC, "code": PUBLIC, **OWNED}, administered=True, refers={"boundary_set_id": "boundary-sets"},
         includes=("partner", "boundary_set"), table="locality"),
    Kind("communities", {"name": PUBLIC, "description": PUBLIC, "local_term": PUBLIC, **OWNED}, refers={"locality_id": "localities"},
         hidden={"support_need": ("low", "medium", "high", None)}, fixed={"kind": "interest"}, includes=("partner", "locality"), table="community"),
    Kind("community-groups", {"name": PUBLIC, "description": PUBLIC, "services": PUBLIC, "verified_by": PUBLIC, **OWNED},
         refers={"community_ids": "communities", "parent_id": "community-groups"}, hidden={"consent_until": ("2090-01-01", None)}, fixed={"kind": "informal"},
         includes=("partner", "communities", "parent")),
    Kind("needs", {"title": PUBLIC, "description": PUBLIC, "reason": PUBLIC, **OWNED}, refers={"community_id": "communities"}, includes=("partner", "community")),
    Kind("consultations", {"title": PUBLIC, "summary": PUBLIC, "notes": OWNER, **OWNED}, refers={"community_ids": "communities", "locality_ids": "localities",
                                                                                            "round_of_id": "consultations"},
         hidden={"planned_hours": (1, 7, None)}, includes=("partner", "localities", "communities", "round_of")),
    Kind("activities", {"title": PUBLIC, "venue": PUBLIC, "notes": OWNER, **OWNED}, refers={"consultation_id": "consultations", "community_ids": "communities"},
         hidden={"hours": (1, 7, None)}, fixed={"kind": "event", "point": {"type": "Point", "coordinates": [1.3, 52.6]}},
         includes=("partner", "consultation", "communities"), table="activity"),
    Kind("risk-scales", {"name": PUBLIC, "code": PUBLIC, **OWNED}, administered=True, fixed={"likelihood": STEPS, "impact": STEPS}, includes=("partner",)),
    Kind("risk-registers", {"title": PUBLIC, "description": PUBLIC, **OWNED}, refers={"risk_scale_id": "risk-scales", "consultation_id": "consultations"},
         includes=("partner", "risk_scale", "consultation")),
    Kind("risks", {"title": PUBLIC, "objective": PUBLIC, "note": PUBLIC, **OWNED}, refers={"risk_register_id": "risk-registers"},
         includes=("partner", "risk_register")),
    Kind("partners", {"name": PUBLIC, "source": PUBLIC}, administered=True, refers={"parent_id": "partners"}, fixed={"kind": "voluntary"}, includes=("parent",)),
    Kind("accounts", {"name": PARTNER}, includes=("partner",), search=False),
)}
OWNED_KINDS = [name for name in KINDS if name not in ("partners", "accounts")]
# References to a whole that the record is a part of: who adds the part may change the whole.
WHOLE = {"localities": "boundary_set_id", "activities": "consultation_id", "risks": "risk_register_id"}
# References that a record cannot be without.
REQUIRED = {"localities": "boundary_set_id", "needs": "community_id", "risk-registers": "risk_scale_id", "risks": "risk_register_id"}


class Version:
    """A record between two changes. `texts`: member to mark."""

    def __init__(self, number, visibility, grants, texts, refs, moment=None):
        self.number = number
        self.visibility = visibility
        self.grants = grants
        self.texts = texts
        self.refs = refs
        self.moment = moment


class Record:
    def __init__(self, resource, partner, identifier=None):
        self.kind = KINDS[resource]
        self.resource = resource
        self.partner = partner
        self.id = identifier
        self.versions = []
        self.deleted = False
        self.deleted_version = None
        self.deleted_at = None
        self.account = None       # of resource accounts: the caller that it is

    @property
    def now(self):
        return self.versions[-1]

    def at(self, moment):
        """The version of a moment, or None."""
        found = [version for version in self.versions if version.moment <= moment]
        return found[-1] if found else None

    def referred(self):
        return {identifier for version in self.versions for identifiers in version.refs.values() for identifier in identifiers}


class Partner:
    def __init__(self, number, record, host=False):
        self.number = number
        self.record = record
        self.host = host
        self.suspended = False
        self.settled = host       # it has a manager who is a person
        self.callers = []

    @property
    def id(self):
        return self.record.id


class Caller:
    """An account, or the anonymous. `scopes` None: whatever the role allows. `tokens`: each with whether it still holds."""

    def __init__(self, role, partner=None, scopes=None, record=None):
        self.role = role
        self.partner = partner
        self.scopes = scopes
        self.record = record
        self.credentials = None
        self.token = None
        self.ended = []           # tokens that do not hold any more
        self.disabled = False
        self.erased = False
        self.by = None

    def __str__(self):
        whose = "" if self.partner is None else f" of {self.partner.number}"
        return self.role + whose + ("" if self.scopes is None else f" {sorted(self.scopes)}")

    @property
    def rank(self):
        return RANK[self.role]

    def may(self, resource, right):
        return self.scopes is None or f"{resource}:{right}" in self.scopes

    def end_tokens(self):
        if self.token is not None:
            self.ended.append(self.token)
        self.token = None

    def is_active(self):
        return not self.disabled and not self.erased and self.partner is not None and not self.partner.suspended


# --- seeing ---

def owns(caller, record):
    return caller.partner is not None and caller.partner is record.partner


def sees_version(caller, record, version):
    """By the version's own visibility alone."""
    if record.resource == "partners":
        return True
    if record.resource == "accounts":
        return caller.rank == 4 or (caller.rank == 3 and owns(caller, record)) or (caller.rank > 0 and record.account is caller)
    granted = caller.partner is not None and caller.partner.id in version.grants
    return version.visibility == "public" or owns(caller, record) or (caller.rank > 0 and version.visibility == "shared") or granted


def is_visible(caller, record):
    return not record.deleted and sees_version(caller, record, record.now)


def past_is_open(caller, record):
    """Whether earlier versions may be asked for: of what is seen now, and of the own that was deleted."""
    return is_visible(caller, record) or (record.deleted and owns(caller, record))


def shows_version(caller, record, version):
    return past_is_open(caller, record) and sees_version(caller, record, version)


def audience(caller, record):
    return OWNER if owns(caller, record) else PARTNER if caller.rank > 0 else PUBLIC


def audience_includes(reader, widest):
    return widest == PUBLIC or reader == OWNER or (reader == PARTNER and widest == PARTNER)


# --- doing ---

def refusal_to_read(caller, record):
    """None, or the status."""
    if record.resource == "accounts" and caller.rank == 0:
        return 401
    if not is_visible(caller, record):
        return 404
    return None if caller.may(record.resource, "read") else 403


def is_orphaned(partner):
    return not partner.settled


def may_run_account(caller, record):
    """Changing, secrets, erasure."""
    target = record.account
    if caller.rank == 4:
        return owns(caller, record) or is_orphaned(record.partner)
    return caller.rank == 3 and owns(caller, record) and target.role != "administrator"


def has_right_to_write(caller, record):
    if record.kind.administered:
        return caller.rank == 4
    if caller.rank < 2:
        return False
    if record.partner is None:
        return caller.rank == 4
    return owns(caller, record) or record.now.grants.get(caller.partner.id) == "write"


def refusal_to_change(caller, record):
    """Of anything about the record; what may not be in the body is refusal_of_members."""
    if caller.rank == 0:
        return 401
    if not is_visible(caller, record):
        return 404
    if not caller.may(record.resource, "write"):
        return 403
    allowed = may_run_account(caller, record) if record.resource == "accounts" else has_right_to_write(caller, record)
    return None if allowed else 403


def refusal_to_delete(caller, record):
    refusal = refusal_to_change(caller, record)
    if refusal is None and not record.kind.administered and record.partner is not None and not owns(caller, record):
        return 403
    return refusal


def refusal_of_members(caller, record, body):
    """403 where a member is beyond somebody who may change the rest."""
    kind = record.kind
    mine = owns(caller, record) or record.partner is None
    if kind.administered and caller.rank == 4:
        return 403 if body.get("visibility") == "private" and not mine else None
    if not mine and (set(body) & ({"grants", "external_id"} | {name for name, widest in kind.texts.items() if widest == OWNER})):
        return 403  # not even as they are: who does not see them is not told that
    if not mine and body.get("visibility", record.now.visibility) != record.now.visibility:
        return 403
    return 403 if caller.rank < 3 and given(body) not in (None, record.now.grants) else None


def given(body):
    """The grants that a body has, None where it has none."""
    return {grant["partner_id"]: grant["right"] for grant in body["grants"]} if "grants" in body else None


def refusal_to_create(caller, resource, partner, grants=False):
    """`partner` None: a code of nobody's."""
    if caller.rank == 0:
        return 401
    kind = KINDS[resource]
    if not caller.may(resource, "write"):
        return 403
    if kind.administered:
        return None if caller.rank == 4 else 403
    if caller.rank < 2:
        return 403
    if partner is None:
        return None if caller.rank == 4 else 403
    if partner is not caller.partner:
        return 403
    return 403 if grants and caller.rank < 3 else None


# --- the feed ---

def told(caller, record):
    """(version, operation) of what the feed says of a record, in order. Only of resources that a narrowed token may read."""
    if not caller.may(record.resource, "read"):
        return []
    states = list(record.versions) + ([DELETED] if record.deleted else [])
    shown = [state is not DELETED and sees_version(caller, record, state) for state in states]
    rows = []
    for number, after in enumerate(shown):
        before = number > 0 and shown[number - 1]
        version = record.deleted_version if states[number] is DELETED else states[number].number
        if before and not after:
            rows.append((version, "delete"))
        elif after and shown[-1]:
            rows.append((version, "update" if before else "create"))
    return rows


# --- marks ---

class Marks:
    """Every text that was ever sent: of which record, in which member, in which versions."""

    def __init__(self):
        self._known = {}

    def new(self, partner):
        return f"canary-{partner.number if partner is not None else 0}-{secrets.token_hex(16)}"

    def store(self, record, member, mark):
        self._known.setdefault(mark.lower(), []).append((record, member))

    def reason_against(self, caller, mark, *, past):
        """None where the caller may read this mark, else why not. `past`: earlier versions were asked for. A body that was sent twice has its marks in two
        records."""
        reason = "a mark that no answer had confirmed"
        for record, member in self._known.get(mark.lower(), ()):
            reason = self._reason_against(caller, record, member, mark, past)
            if reason is None:
                break
        return reason

    @staticmethod
    def _reason_against(caller, record, member, mark, past):
        widest = record.kind.texts[member]
        if not audience_includes(audience(caller, record), widest):
            return f"{member} of {record.resource} {record.id} is for {widest}"
        if not caller.may(record.resource, "read"):
            return f"the token may not read {record.resource}"
        holders = [version for version in record.versions if version.texts.get(member, "").lower() == mark.lower()]
        if not past:
            holders = [version for version in holders if version is record.now and not record.deleted]
        if not any(shows_version(caller, record, version) for version in holders):
            return f"{member} of {record.resource} {record.id}, versions {[version.number for version in holders]}, is not for {caller}"
        return None
