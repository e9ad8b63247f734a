# SPDX-License-Identifier: AGPL-3.0-or-later
"""When a consent ends, what is known of the person is in no answer, no table, no history, no stored answer and no fresh dump: of each kind of record that names
people, by its end and by withdrawal."""
import datetime
import itertools
import json

import pytest

import wardmote_suite
from vault import Texts, Vault, new_mark
from wardmote_client import Contract

CONTRACT = Contract(wardmote_suite.committed_document())
ANY = {"If-Match": "*"}
CONSENT = {"consent_on": "2026-01-01", "consent_purpose": "To be named on the map", "consent_until": "2099-12-31", "consent_public": True}


def logged(resource):
    """Names of the fields about a person whose reads are noted."""
    schema = CONTRACT.operations[f"list_{resource.replace('-', '_')}"]["responses"]["200"]["content"]["application/json"]["schema"]
    items = CONTRACT.resolve(schema)["properties"]["items"]["items"]["properties"]
    return [name for name, field in items.items() if field.get("x-logged")]


RESOURCES = [operation["path"][4:] for operation in CONTRACT.operations.values()
             if operation["operationId"].startswith("create_") and operation["path"].count("/") == 2
             and f"list_{operation['path'][4:].replace('-', '_')}" in CONTRACT.operations and logged(operation["path"][4:])]


@pytest.fixture(scope="module", name="vault")
def _vault(contract):
    vault = Vault(contract, wardmote_suite.COVERAGE)
    yield vault
    vault.close()


class Life:
    """A public record about a person, with three versions and a stored answer of each kind, and what shows it."""

    def __init__(self, vault, resource):
        self.vault, self.resource = vault, resource
        self.texts, self.owner, self.other = Texts(new_mark("prsn")), vault.records.partner(), vault.records.partner()
        self.kind = self._kind()
        self.key = {"Idempotency-Key": new_mark("key")}
        self.body = {**vault.records.body(resource, self.owner.manager), **self.kind, **self.person(), **CONSENT, "public_role": False, "visibility": "public"}
        self.record = self._good(self.owner.officer.post(f"/v1/{resource}", self.body, headers=self.key))
        self.path = f"/v1/{resource}/{self.record['id']}"
        for _ in range(2):
            self.change(self.person())
        if resource == "contacts":
            self._good(self.owner.officer.post("/v1/service-entries", {"name": "Advice", "accountable_contact_id": self.record["id"]}))

    def _kind(self):
        """Of map items only one kind is a person."""
        kinds = self.vault.records.schema(self.resource).get("kind", {}).get("enum", [])
        return {"kind": "key_player_individual"} if "key_player_individual" in kinds else {}

    def person(self):
        """New marked texts for all fields about the person."""
        schema = self.vault.records.schema(self.resource)
        return {name: self.texts.text(name, schema[name]) for name in logged(self.resource)}

    @staticmethod
    def _good(answer):
        assert answer.status in (200, 201), answer.text()
        return answer.json()

    def change(self, fields):
        self._good(self.owner.officer.patch(self.path, fields, headers=ANY))

    def outputs(self):
        """{name: text} of all that anybody can read of it."""
        found = {}
        get = {"one": self.path, "csv": f"{self.path}.csv", "list": f"/v1/{self.resource}?id={self.record['id']}",
               "list.csv": f"/v1/{self.resource}.csv?id={self.record['id']}", "history": f"{self.path}/history?limit=500",
               "export": f"/v1/{self.resource}?limit=all", "as of": f"{self.path}?as_of={self.record['updated_at']}",
               "hsds": "/hsds/services?full=true&per_page=20", "changes": "/v1/changes?limit=500"}
        if any(path.startswith("/v1/" + self.resource + ".geojson") for path in CONTRACT.document["paths"]):
            get["geojson"] = f"/v1/{self.resource}.geojson"
        if "/ogc/collections" in CONTRACT.document["paths"]:
            get |= {f"ogc {kind}": f"/ogc/collections/map-items-{kind}/items?limit=500" for kind in ("key-player-individual", "key-player-group")}
        clients = {"owner": self.owner.manager, "other": self.other.viewer, "public": self.vault.public}
        for (name, path), (who, client) in itertools.product(get.items(), clients.items()):
            found[f"{name}, {who}"] = client.get(path).text()
        found["replay"] = self.owner.officer.post(f"/v1/{self.resource}", self.body, headers=self.key).text()
        return found

    def shown_in(self):
        return {name for name, text in self.outputs().items() if self.texts.mark in text}


def tidy(vault):
    """What the jobs thread does once a minute, until nothing is left."""
    while vault.sql("SELECT (wardmote.prune()).more")[0][0]:
        pass


def days_ago(number):
    return (datetime.date.today() - datetime.timedelta(days=number)).isoformat()


def withdraw(life):
    """The fields are emptied; what they held before goes, too."""
    life.change(dict.fromkeys(logged(life.resource)))


def end(life):
    life.change({"consent_until": days_ago(2)})


def delete(life):
    """The record goes, and its versions when the consent that they name ends."""
    for user in life.owner.officer.get("/v1/service-entries", params={"partner_id": life.owner.id}).json()["items"]:
        life.owner.officer.delete(f"/v1/service-entries/{user['id']}", headers=ANY)
    assert life.owner.officer.delete(life.path, headers=ANY).status == 204
    life.vault.sql(f"UPDATE history.{life.resource[:-1].replace('-', '_')} SET consent_until = %s WHERE id = %s AND consent_until IS NOT NULL",
                   days_ago(2), life.record["id"])


def test_there_are_such_records():
    assert "contacts" in RESOURCES and logged("contacts") == ["name", "phone", "email"]


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("way", [end, withdraw, delete])
def test_nothing_is_left(vault, resource, way):
    life = Life(vault, resource)
    tidy(vault)
    shown = life.shown_in()
    assert {"one, public", "list, other", "list.csv, public", "history, owner", "export, public", "replay"} <= shown, "the control: it is shown until then"
    assert ("hsds, public" in shown) == (resource == "contacts")
    assert life.texts.mark in vault.dump()
    way(life)
    tidy(vault)
    assert life.shown_in() == set()
    assert vault.tables_with(life.texts.mark) == {}
    assert life.texts.mark not in vault.dump()
    assert json.dumps(vault.sql("SELECT fields FROM wardmote.change WHERE record_id = %s", life.record["id"])) != "[]", "that it changed stays known"


def test_a_consent_that_goes_on_keeps_what_it_is_for(vault):
    life = Life(vault, "contacts")
    life.change({"consent_until": "2100-12-31"})
    tidy(vault)
    assert "one, public" in life.shown_in()


def test_a_public_role_needs_no_end(vault):
    life = Life(vault, "contacts")
    life.change({"public_role": True, "consent_on": None, "consent_purpose": None, "consent_until": None})
    tidy(vault)
    assert "one, public" in life.shown_in()
