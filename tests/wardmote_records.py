# SPDX-License-Identifier: AGPL-3.0-or-later
"""Valid records of every resource, made from what /openapi.json says of it: its example, with the references and codes in it replaced by records that
exist. So a new resource is tested without a line here."""
import copy
import itertools
import os
import uuid

from wardmote_suite import until

_numbers = itertools.count(1)


def unique(prefix):
    """A text that no other test process uses."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}"


class Partner:
    """A partner and a client of each role."""

    def __init__(self, record, viewer, officer, manager):
        self.record = record
        self.id = record["id"]
        self.viewer = viewer
        self.officer = officer
        self.manager = manager


class Records:
    # How to come by a record that no POST makes, by the beginning of its path: {"/v1/imports": function(records, by)}.
    makers = {}

    def __init__(self, administrator, contract):
        self.administrator = administrator
        self.contract = contract
        self._shared = {}

    # --- partners and accounts ---

    def partner(self, **members):
        record = self._made(self.administrator.post("/v1/partners", {"name": unique("Partner"), "kind": "voluntary", **members}))
        clients = [self.account(record["id"], role) for role in ("viewer", "officer", "manager")]
        return Partner(record, *clients)

    def account(self, partner_id, role, scopes=None):
        """A client with the token of a new service account."""
        record = self.account_record(partner_id, role, scopes)
        return self.administrator.as_token(self.administrator.token_for(record["client_id"], record["client_secret"]))

    def account_record(self, partner_id, role, scopes=None, by=None):
        body = {"partner_id": partner_id, "kind": "service", "role": role, "name": unique(role)}
        if scopes is not None:
            body["scopes"] = scopes
        return self._made((by or self.administrator).post("/v1/accounts", body))

    def person(self, partner_id, role, login=None):
        """The record of a new person, with its enrolment code."""
        body = {"partner_id": partner_id, "kind": "person", "role": role, "name": unique("Person"), "login": login or unique("person") + "@example.org"}
        return self._made(self.administrator.post("/v1/accounts", body))

    @staticmethod
    def _made(answer):
        assert answer.status == 201, answer.text()
        return answer.json()

    # --- resources ---

    def operation(self, resource, method="POST"):
        for operation in self.contract.operations.values():
            if operation["path"] == f"/v1/{resource}" and operation["method"] == method:
                return operation
        raise KeyError(f"{method} /v1/{resource}")

    def schema(self, resource):
        content = self.operation(resource)["requestBody"]["content"]["application/json"]
        return self.contract.resolve(content["schema"])["properties"]

    def patch_schema(self, resource):
        content = self.contract.document["paths"][f"/v1/{resource}/{{id}}"]["patch"]["requestBody"]["content"]["application/merge-patch+json"]
        return self.contract.resolve(content["schema"])["properties"]

    def owned_resources(self):
        """Names of the resources whose records have a visibility of their own."""
        return [resource for resource in self.resources() if "visibility" in self.schema(resource)]

    def resources(self):
        """Names of all resources, as in their paths."""
        return sorted(operation["path"][4:] for operation in self.contract.operations.values()
                      if operation["operationId"].startswith("create_") and operation["path"].count("/") == 2
                      and "{" not in operation["path"] and f"/v1/{operation['path'][4:]}/{{id}}" in self.contract.document["paths"])

    def body(self, resource, by=None, **members):
        """A body that a POST accepts from an administrator, or from `by`: what it refers to is public, and the caller's own where the caller can have
        such records."""
        example = copy.deepcopy(self.operation(resource)["requestBody"]["content"]["application/json"]["example"])
        schema = self.schema(resource)
        for name in list(example):
            if name in members:
                continue
            example[name] = self._fitting(schema[name], name, example[name], by)
        return {**example, **members}

    def _fitting(self, schema, name, value, by=None):
        if value is None:
            return None
        if "x-refers" in schema:
            target = self.shared(schema["x-refers"], by)["id"]
            return [target] if schema.get("type") in ("array", ["array", "null"]) else target
        if "x-code-list" in schema:
            return [self.code(schema["x-code-list"])]
        if name in ("code", "login", "category", "index_name"):
            return unique(value).lower()
        if isinstance(value, list) and "properties" in schema.get("items", {}):
            members = schema["items"]["properties"]
            return [{key: self._fitting(members[key], "", part, by) for key, part in row.items()} for row in value[:1]
                    ] if any("x-refers" in member for member in members.values()) else value
        return value

    def make(self, resource, by=None, **members):
        """A new record; by default the administrator's."""
        return self._made((by or self.administrator).post(f"/v1/{resource}", self.body(resource, by, **members)))

    def shared(self, resource, by=None):
        """A public record that tests may refer to and must not change: the caller's, or the administrator's where only they make such."""
        maker = by if by is not None and self.operation(resource)["x-role"] != "administrator" and resource != "accounts" else None
        key = (resource, maker)
        if key not in self._shared:
            visible = {"visibility": "public"} if "visibility" in self.schema(resource) else {}
            self._shared[key] = self.make(resource, maker, **visible)
        return self._shared[key]

    def settled(self, answer, by):
        """The import that an answer accepted, when it is over. It may have been rejected, but not come to grief."""
        made = answer.json()
        if answer.status == 202:
            made = until(lambda: (found := by.get(f"/v1/imports/{made['id']}").json())["state"] not in ("queued", "running") and found, what="the end of an import")
        assert made["state"] in ("done", "rejected"), made
        return made

    def made_otherwise(self, path):
        """The key of `makers` for an operation's path, or None."""
        return max((prefix for prefix in self.makers if path.startswith(prefix + "/")), key=len, default=None)

    def item(self, path, by=None):
        """A record that an operation about one can be asked for, as shared() gives it."""
        prefix = self.made_otherwise(path)
        if prefix is None:
            return self.shared(path.split("/")[2].split(".")[0], by)
        if (prefix, by) not in self._shared:
            self._shared[prefix, by] = self.makers[prefix](self, by)
        return self._shared[prefix, by]

    def code(self, code_list):
        """A code of a list that everybody sees."""
        key = ("code", code_list)
        if key not in self._shared:
            self._shared[key] = self.make("codes", list=code_list, partner_id=None, visibility="public", maps_to=None)
        return self._shared[key]["code"]


def _import(records, _by):
    """What an administrator sent; it is seen by the host partner alone."""
    of_set = records.make("boundary-sets", visibility="public")
    answer = records.administrator.request(
        "POST", f"/v1/boundary-sets/{of_set['id']}/imports?code_property=code&name_property=name", body=b'{"type":"FeatureCollection","features":[]}',
        headers={"Content-Type": "application/geo+json", "Prefer": "wait=30"})
    assert answer.status == 200, answer.text()
    return answer.json()


Records.makers["/v1/imports"] = _import


def _feature(records, by):  # pylint: disable=unused-argument
    """A locality in the collection that the document has for an example."""
    code, client = "wards-2025", records.administrator
    found = client.get("/v1/boundary-sets", params={"code": code}).json()["items"] or [records.make("boundary-sets", code=code, visibility="public")]
    ring = [[1.2, 52.6], [1.3, 52.6], [1.3, 52.7], [1.2, 52.7], [1.2, 52.6]]
    return records.make("localities", boundary_set_id=found[0]["id"], parent_id=None, successor_ids=[], visibility="public",
                        geometry={"type": "Polygon", "coordinates": [ring]})


Records.makers["/ogc/collections"] = _feature


def absent_id():
    """The id of nothing."""
    return str(uuid.uuid4())


# Public service entries, and who delivers them, in another form.
Records.makers["/hsds/services"] = lambda records, by: records.shared("service-entries", by)
Records.makers["/hsds/organizations"] = lambda records, by: {"id": records.shared("service-entries", by)["partner_id"]}
