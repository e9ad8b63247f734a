# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who asks, and for what: callers that are made again when a request has ended them, ids of records that exist or existed, and codes."""
import collections
import uuid

from wardmote_records import unique

KEPT = 30
ROLES = ("viewer", "officer", "manager")


class World:
    def __init__(self, site):
        self.site = site
        self.records = site.records
        self.contract = site.contract
        self.partner = site.records.partner()
        self.other = site.records.partner()
        self.callers = {"anonymous": site.public, "administrator": self._account("administrator"), "stranger": site.public.as_token("no.token.ofours", source="127.45.0.1"),
                        **{role: self._account(role) for role in ROLES},
                        "other officer": self.other.officer, "narrow": self._account("officer", ["communities:read", "communities:write"])}
        self.ids = collections.defaultdict(list)   # to be asked for, changed and deleted
        self.kept = collections.defaultdict(list)  # to be referred to: they stay
        self.tags = {}
        self.codes = collections.defaultdict(list)
        self._seed()

    def _account(self, role, scopes=None):
        return self.records.account(self.site.host["partner_id"] if role == "administrator" else self.partner.id, role, scopes)

    def again(self, name):
        """A caller whose token a request has ended."""
        role = {"other officer": "officer", "narrow": "officer"}.get(name, name)
        partner = self.other.id if name == "other officer" else self.site.host["partner_id"] if role == "administrator" else self.partner.id
        scopes = ["communities:read", "communities:write"] if name == "narrow" else None
        self.callers[name] = self.records.account(partner, role, scopes)
        return self.callers[name]

    def _seed(self):
        self.kept["partners"] = [self.partner.id]
        for resource in self.records.resources():
            if resource not in ("partners", "accounts"):
                self.kept[resource].append(self.records.shared(resource)["id"])
                self.top_up(resource)

    def top_up(self, resource):
        """Two more records, so that there are some whatever was deleted."""
        for _ in range(2):
            if resource == "accounts":
                self.ids[resource].append(self.records.person(self.site.host["partner_id"], "viewer")["id"])
                self.ids[resource].append(self.records.account_record(self.site.host["partner_id"], "viewer")["id"])
            elif resource in self.records.resources():
                if self.callers["officer"].get("/v1/me").status != 200:
                    self.again("officer")
                mine = self.contract.operations[self._create(resource)]["x-role"] != "administrator"
                self.ids[resource].append(self.records.make(resource, self.callers["officer"] if mine else None)["id"])

    def ids_of(self, operation):
        """Ids that its path may name."""
        path = operation["path"]
        if self.records.made_otherwise(path):
            return [self.records.item(path)["id"]]
        return self.ids[path.split("/")[2]] if path.startswith("/v1/") else []

    def import_query(self, operation):
        """Parameters with which the example of an import's body is what they say."""
        names = {parameter["name"] for parameter in self.contract.resolve(operation.get("parameters", []))}
        fitting = {"code_property": "code", "name_property": "name", "layout": "code-point-open", "to_boundary_set_id": self.kept["boundary-sets"][0]}
        return {name: value for name, value in fitting.items() if name in names}

    def _create(self, resource):
        return next(name for name, operation in self.contract.operations.items() if operation["path"] == f"/v1/{resource}" and operation["method"] == "POST")

    def references(self, resource):
        """Ids that a member may name."""
        return self.kept[resource] + self.ids[resource][-2:] if resource else [str(uuid.uuid4())]

    def code(self, code_list):
        if not self.codes[code_list]:
            self.codes[code_list].append(self.records.code(code_list))
        return self.codes[code_list]

    def saw(self, resource, answer):
        """Remembers what an answer told of."""
        if resource in self.ids and answer.status == 201 and answer.media_type == "application/json" and isinstance(answer.json().get("id"), str):
            self.ids[resource].append(answer.json()["id"])
            del self.ids[resource][:-KEPT]
        if answer.etag and answer.status in (200, 201) and "json" in answer.media_type and isinstance(answer.json().get("id"), str):
            self.tags[answer.json()["id"]] = answer.etag
            if len(self.tags) > 500:
                self.tags.pop(next(iter(self.tags)))


def fresh(value):
    """Texts that must be unique: two drawn alike would only be told apart by a 409."""
    return unique(value[:40]).lower()
