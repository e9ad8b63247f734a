# SPDX-License-Identifier: AGPL-3.0-or-later
"""Steps of a sequence that write, or try to: each says beforehand what the model answers, and tells the model what became of it."""
import random

from oracle_model import (KINDS, OWNED_KINDS, OWNER, REQUIRED, WHOLE, Record, has_right_to_write, is_orphaned, is_visible, may_run_account, owns, refusal_of_members,
                          refusal_to_change, refusal_to_create, refusal_to_delete)
from oracle_world import ANY, World
from wardmote_records import absent_id

VISIBILITIES = ("private", "private", "shared", "public")
ONE_OF_MANY = ("members", "community_ids", "locality_ids")


class Luck:
    """What a step draws: from the bytes that hypothesis shrinks, and when they are used up from a generator that they are the seed of."""

    def __init__(self, data):
        self._data = list(data)
        self._more = random.Random(bytes(data))

    def number(self, below):
        return (self._data.pop(0) if self._data else self._more.randrange(256)) % below

    def pick(self, things):
        return things[self.number(len(things))]

    def one_in(self, count):
        return self.number(count) == count - 1


class Writes(World):
    # --- who acts ---

    def ready(self, caller):
        """The caller with a token that holds; the anonymous where there is none to get."""
        if caller.rank and caller.token is None:
            self.sign_in(caller)
        return caller if caller.token is not None else self.anonymous

    def actor(self, luck, least=0):
        if least == 0 and luck.one_in(6):
            return self.anonymous
        return self.ready(luck.pick([caller for caller in self.callers if caller.rank >= least]))

    # --- bodies ---

    def grants(self, luck, record_partner):
        """None most of the time, else what a body has."""
        if luck.number(3) != 0:
            return None
        others = [partner for partner in self.partners if partner is not record_partner]
        return {luck.pick(others).id: luck.pick(("read", "write"))} if others else {}

    def references(self, luck, caller, kind):
        """(members of a body, by name what they refer to, whether all of it is in the caller's sight)."""
        members, refs, seen = {}, {}, True
        for name, resource in kind.refers.items():
            required = REQUIRED.get(kind.name) == name
            if not required and luck.number(3) != 0:
                continue
            pool = [record for record in [*self.records, *self.stage.base] if record.resource == resource]
            inside = [record for record in pool if is_visible(caller, record)]
            outside = [record for record in pool if not is_visible(caller, record)]
            if luck.one_in(4) and outside:
                target, seen = luck.pick(outside).id, False
            elif luck.one_in(8) or not inside:
                target, seen = absent_id(), False
            else:
                found = luck.pick(inside)
                target, seen = found.id, seen and (WHOLE.get(kind.name) != name or has_right_to_write(caller, found))
            if resource == "partners" and name == "members":
                members[name] = [{"partner_id": target}]
            else:
                members[name] = [target] if name in ONE_OF_MANY else target
            refs[name] = [target]
        return members, refs, seen

    def texts(self, partner, kind, *, names=None):
        return {name: self.stage.marks.new(partner) for name in (names or kind.texts)}

    @staticmethod
    def listed(grants):
        return [{"partner_id": identifier, "right": right} for identifier, right in grants.items()]

    # --- creating ---

    def step_create(self, luck):
        caller, kind = self.actor(luck), KINDS[luck.pick(OWNED_KINDS)]
        if kind.administered and luck.number(4) != 0:
            caller = self.stage.administrator
        partner = caller.partner if caller.partner is not None and luck.number(4) != 0 else luck.pick(self.partners)
        if kind.name == "codes" and luck.one_in(4):
            partner = None
        self.create(luck, caller, kind, partner)

    def create(self, luck, caller, kind, partner):
        visibility, grants = luck.pick(VISIBILITIES), self.grants(luck, partner)
        if partner is None:
            visibility, grants = "public", None
        if kind.administered and partner is not caller.partner:
            grants = None
            visibility = "shared" if visibility == "private" and luck.number(3) else visibility
        members, refs, seen = self.references(luck, caller, kind)
        texts = self.texts(partner, kind)
        body = {**kind.fixed, **members, **texts, "visibility": visibility}
        if partner is not caller.partner or luck.number(3) == 0:
            body["partner_id"] = None if partner is None else partner.id
        if grants is not None:
            body["grants"] = self.listed(grants)
        refusal = refusal_to_create(caller, kind.name, partner, bool(grants))
        if refusal is None and kind.administered and partner is not caller.partner and visibility == "private":
            refusal = 403
        expect = {refusal or 201} if seen or refusal == 401 else {refusal, 422} if refusal else {422}
        headers = {}
        if luck.number(4) == 0:
            headers["Idempotency-Key"] = f"key-{len(self.keyed)}-{self.stage.requests}"
        self.rehearse(luck, caller, "POST", f"/v1/{kind.name}", expect, body=body)
        answer = self.ask(caller, "POST", f"/v1/{kind.name}", expect=expect, body=body, headers=headers)
        if answer.status != 201:
            self.nothing_was_made(caller, kind, texts)
            return None
        record = Record(kind.name, partner)
        self.made(caller, record, answer, texts, visibility, grants, refs)
        if headers:
            self.keyed.append((caller, f"/v1/{kind.name}", headers["Idempotency-Key"], body, record))
        return record

    def rehearse(self, luck, caller, method, path, expect, **options):
        """dry_run: the same answer, and nothing is stored (the tables are looked at when the sequence ends)."""
        if luck.number(4) == 0:
            params = {**options.pop("params", {}), "dry_run": "true"}
            self.ask(caller, method, path, expect=expect, params=params, **options)

    def nothing_was_made(self, caller, kind, texts):
        """After a failed creation its names lead to nothing, also for those who see everything of the partner."""
        for reader in (caller, self.stage.administrator):
            if reader.may(kind.name, "read") and reader.token:
                answer = self.ask(reader, "GET", f"/v1/{kind.name}", params={kind.title: texts[kind.title], "count": "exact"}, expect={200})
                if answer.json()["items"] or answer.json()["count"]:
                    self.fail("a refused creation left a record")

    def step_replay(self, luck):
        """The same key and body again: by the same account, one of its partner, one of another, after whatever has happened since."""
        if not self.keyed:
            return
        caller, path, key, body, record = luck.pick(self.keyed)
        again = self.ready(luck.pick([caller, caller, luck.pick(self.callers)]))
        body = {**body, record.kind.title: self.stage.marks.new(record.partner)} if luck.one_in(5) else body
        refusal = refusal_to_create(again, record.resource, again.partner if "partner_id" not in body else record.partner, bool(body.get("grants")))
        answer = self.ask(again, "POST", path, body=body, headers={"Idempotency-Key": key}, past=True, target=record if again.partner is caller.partner else None)
        allowed = {refusal} if refusal else {201, 409, 422} if again.partner is not caller.partner else {201, 422}
        if refusal is None and again.partner is caller.partner and not again.may(record.resource, "read"):
            allowed |= {403, 404}
        if refusal == 403:
            allowed |= {422}
        if answer.status not in allowed:
            self.fail(f"a replay: {answer.status} is not among {allowed}: {answer.text()[:500]}")
        if answer.status == 201 and answer.headers.get("idempotency-replayed") != "true":
            if again.partner is caller.partner:
                self.fail("a key made a second record")
            self._made_by_replay(again, path, body, answer)
        elif answer.status == 201 and (again.partner is not caller.partner or answer.json()["id"] != record.id):
            self.fail(f"a key of another partner was answered: {answer.text()[:500]}")

    def _made_by_replay(self, caller, path, body, answer):
        """The key of another partner is the caller's own: the body made a record of its own, which the model takes over."""
        resource = path[4:]
        record = Record(resource, caller.partner)
        texts = {name: body[name] for name in KINDS[resource].texts}
        refs = {name: answer.json().get(name) or [] for name in KINDS[resource].refers}
        refs = {name: value if isinstance(value, list) else [value] for name, value in refs.items()}
        refs = {name: [part["partner_id"] if isinstance(part, dict) else part for part in value] for name, value in refs.items()}
        self.made(caller, record, answer, texts, body.get("visibility"), {grant["partner_id"]: grant["right"] for grant in body.get("grants", [])}, refs)

    # --- changing ---

    def target(self, luck, caller, resources):
        """A record: own, foreign, of the sequence or the stage."""
        pool = [record for record in self.records if record.resource in resources]
        own = [record for record in pool if owns(caller, record)]
        return luck.pick(own) if own and luck.number(5) < 2 else luck.pick(pool) if pool else None

    def condition(self, luck, record):
        """(header fields, whether they hold, whether there are any)."""
        choice = luck.number(6)
        if choice < 3:
            return dict(ANY), True, True
        if choice == 3:
            return {}, False, False
        if choice == 4 and self.etags:
            other, number, tag = luck.pick(self.etags)
            return {"If-Match": tag}, number == record.now.number, True
        number = max(1, record.now.number - luck.number(2))
        return {"If-Match": f'"{number}-0000000000000000"'}, number == record.now.number, True

    def step_change(self, luck):
        caller = self.actor(luck)
        record = self.target(luck, caller, OWNED_KINDS)
        if record is None:
            return
        kind, body = record.kind, {}
        names = [name for name in kind.texts if luck.number(3) == 0] or [kind.title]
        if luck.number(2) == 0:
            names = [name for name in names if kind.texts[name] != OWNER] or [kind.title]
        if kind.name == "codes" or kind.administered:
            names = [name for name in names if name != "code"] or [kind.title]
        texts = self.texts(record.partner, kind, names=names)
        body.update(texts)
        visibility = luck.pick(VISIBILITIES) if luck.number(3) == 0 and record.partner is not None else None
        grants = self.grants(luck, record.partner) if luck.number(3) == 0 and record.partner is not None else None
        if kind.administered and not owns(caller, record):
            grants = None
        if visibility is not None:
            body["visibility"] = visibility
        if grants is not None:
            body["grants"] = self.listed(grants)
        for name, values in kind.hidden.items():
            if luck.number(3) == 0:
                body[name] = luck.pick(values)
        headers, holds, given = self.condition(luck, record)
        self.change(luck, caller, record, body, texts, visibility, grants, headers, holds, given)

    def change(self, luck, caller, record, body, texts, visibility, grants, headers, holds, given):
        refusal = refusal_to_change(caller, record)
        beyond = refusal_of_members(caller, record, body) if refusal is None else None
        expect = {refusal or beyond or 200}
        if not holds and refusal != 401:
            expect = {412 if given else 428} | ({refusal} if refusal else set()) | ({beyond} if beyond and given else set())
        path = f"/v1/{record.resource}/{record.id}"
        options = {"body": body, "headers": headers}
        self.rehearse(luck, caller, "PATCH", path, expect, **options, target=record)
        answer = self.ask(caller, "PATCH", path, expect=expect, **options, target=record)
        if not is_visible(caller, record) and refusal == 404:
            self.as_absent(caller, "PATCH", path, record, answer, **options)
        if answer.status == 200:
            self.changed(caller, record, answer.json()["version"], answer.json()["updated_at"], texts=texts, visibility=visibility, grants=grants)
            self.remember_tag(record, answer)

    def step_put(self, luck):
        """Over the own record, over one of another partner by naming both, over none."""
        caller = self.actor(luck)
        record = self.target(luck, caller, [name for name in OWNED_KINDS if not KINDS[name].refers])
        if record is None or record.partner is None or "external_id" not in record.now.texts:
            return
        kind = record.kind
        names = [name for name, widest in kind.texts.items() if widest != OWNER and name != "code"]
        texts = self.texts(record.partner, kind, names=names)
        body = {**kind.fixed, **texts, "partner_id": record.partner.id}
        if "code" in kind.texts:
            body["code"] = record.now.texts["code"]
        params = {"external_id": record.now.texts["external_id"]}
        refusal = refusal_to_change(caller, record)
        if refusal == 404:
            self._put_over_hidden(caller, record, body, params)
            return
        answer = self.ask(caller, "PUT", f"/v1/{kind.name}", params=params, body=body, expect={refusal or 200}, target=record)
        if answer.status == 200:
            kept = {name: mark for name, mark in record.now.texts.items() if kind.texts[name] == OWNER}
            self.changed(caller, record, answer.json()["version"], answer.json()["updated_at"], texts={**texts, **kept})

    def _put_over_hidden(self, caller, record, body, params):
        """Where a partner may be named at all, a hidden or deleted record is as good as none; nobody but the owner may make one there."""
        kind = record.kind
        refusal = refusal_to_create(caller, kind.name, record.partner)
        if refusal is None:
            return  # the owner after a deletion: a new record under the old reference, which test_every_resource has
        answer = self.ask(caller, "PUT", f"/v1/{kind.name}", params=params, body=body, expect={refusal})
        absent = self.ask(caller, "PUT", f"/v1/{kind.name}", params={"external_id": f"no-{record.id}"}, body=body, expect={refusal})
        if self.bare(answer)[::2] != self.bare(absent)[::2]:
            self.fail("a PUT over a hidden record differs from one over none")

    def step_delete(self, luck):
        caller = self.actor(luck)
        record = self.target(luck, caller, OWNED_KINDS)
        if record is None or luck.number(2):
            return
        headers, holds, given = self.condition(luck, record)
        refusal = refusal_to_delete(caller, record)
        referred = any(record.id in identifiers for other in self.records if not other.deleted for identifiers in other.now.refs.values())
        expect = {refusal or 204} | ({409} if referred and refusal is None else set())
        if refusal is None and record.resource == "consultations" and any(version.visibility != "private" for version in record.versions):
            expect = {409}  # what was ever shared or public is cancelled, not deleted
        if not holds and refusal != 401:
            expect = {412 if given else 428} | ({refusal} if refusal else set())
        path = f"/v1/{record.resource}/{record.id}"
        self.rehearse(luck, caller, "DELETE", path, expect, headers=headers)
        answer = self.ask(caller, "DELETE", path, expect=expect, headers=headers)
        if refusal == 404:
            self.as_absent(caller, "DELETE", path, record, answer, headers=headers)
        if answer.status == 204:
            self.gone(caller, record)

    def step_transition(self, luck):
        caller = self.actor(luck)
        record = self.target(luck, caller, ["consultations"])
        if record is None:
            return
        headers, holds, given = self.condition(luck, record)
        refusal = refusal_to_change(caller, record)
        expect = {refusal} if refusal else {200, 409}
        if not holds and refusal != 401:
            expect = {412 if given else 428} | expect
        path, body = f"/v1/consultations/{record.id}/transitions", {"to": luck.pick(("planned", "cancelled", "approved"))}
        if body["to"] == "cancelled":
            body["reason"] = "not wanted"
        if luck.number(2):
            headers["Idempotency-Key"] = f"key-{self.stage.requests}"
        answer = self.ask(caller, "POST", path, body=body, headers=headers, expect=expect | ({400, 422} if refusal is None else set()), target=record)
        if refusal == 404:
            self.as_absent(caller, "POST", path, record, answer, body=body, headers=headers)
        if answer.status == 200:
            self.changed(caller, record, answer.json()["version"], answer.json()["updated_at"])
            if "Idempotency-Key" in headers:
                self.moved.append((caller, path, headers, body, record))

    def step_replay_transition(self, luck):
        """Whoever moved a consultation, by a grant perhaps, asks again under the same key: the stored answer is for who may still do it."""
        if not self.moved:
            return
        caller, path, headers, body, record = luck.pick(self.moved)
        again = self.ready(luck.pick((caller, caller, luck.pick(self.callers))))
        refusal = refusal_to_change(again, record)
        expect = {refusal} if refusal else {200} if again.partner is caller.partner else {409, 412, 422}
        answer = self.ask(again, "POST", path, body=body, headers=headers, expect=expect | ({412} if refusal and refusal != 401 else set()), past=True, target=record)
        if refusal == 404:
            self.as_absent(again, "POST", path, record, answer, body=body, headers={**headers, "Idempotency-Key": f"{headers['Idempotency-Key']}-none"})

    # --- accounts and partners ---

    def step_account(self, luck):
        """Role, scopes, disabled: counts from the next request."""
        caller = self.actor(luck, 3 if luck.number(3) else 0)
        subject = luck.pick([subject for subject in self.callers if subject.record is not None])
        record, change = subject.record, luck.number(4)
        if subject.rank == 4 or subject.partner.host or subject is caller or subject.erased:
            return
        texts = self.texts(subject.partner, record.kind)
        body = [{}, {"role": luck.pick(("viewer", "officer", "manager"))}, {"disabled": not subject.disabled},
                {"scopes": luck.pick((None, ["communities:read"], ["communities:read", "codes:write"]))}][change]
        refusal = refusal_to_change(caller, record)
        expect = {refusal or 200}
        # A token with scopes hands no account more than it has: whether it may leave an account that has more as it is, is not said.
        if refusal is None and caller.scopes is not None:
            expect = {200, 403}
        answer = self.ask(caller, "PATCH", f"/v1/accounts/{record.id}", body={**texts, **body}, headers=ANY, expect=expect, target=record)
        if refusal == 404:
            self.as_absent(caller, "PATCH", f"/v1/accounts/{record.id}", record, answer, body={**texts, **body}, headers=ANY)
        if answer.status == 200:
            self.changed(caller, record, answer.json()["version"], answer.json()["updated_at"], texts=texts)
            self._account_changed(subject, body, answer.json())

    @staticmethod
    def _account_changed(subject, body, shown):
        scopes = None if shown["scopes"] is None else set(shown["scopes"])
        if (subject.role, subject.disabled, subject.scopes) != (shown["role"], shown["disabled"], scopes):
            subject.end_tokens()
        subject.role, subject.disabled, subject.scopes = shown["role"], shown["disabled"], scopes
        assert all(shown[name] == value for name, value in body.items()), (body, shown)

    def step_new_account(self, luck):
        caller = self.actor(luck, 3 if luck.number(3) else 0)
        partner = luck.pick(self.partners)
        allowed = {3: caller.partner is partner, 4: partner is caller.partner or is_orphaned(partner)}.get(caller.rank, False)
        refusal = 401 if caller.rank == 0 else None if allowed and caller.may("accounts", "write") else 403
        scopes = luck.pick((None, {"communities:read"}, {"consultations:read", "consultations:write", "communities:write"}, {"activities:read", "communities:read"}))
        if refusal is None and caller.scopes is not None and (scopes is None or not scopes <= caller.scopes):
            refusal = 403
        person = refusal is None and luck.one_in(4)
        if partner.suspended and refusal is None:
            return
        self.account(caller, partner, "manager" if person else luck.pick(("viewer", "officer", "manager")), None if person else scopes,
                     "person" if person else "service", {refusal or 201} | ({403} if person and caller.scopes is not None else set()))

    def step_secret(self, luck):
        """A new secret, an enrolment code, an erasure: of services here, so that a code is a conflict."""
        caller = self.actor(luck)
        subject = luck.pick([subject for subject in self.callers if subject.record is not None and subject.rank < 4 and not subject.partner.host])
        operation = luck.pick(("secrets", "enrolments", "erasure"))
        if subject is caller or (operation == "erasure" and luck.number(3)):
            return
        record = subject.record
        refusal = refusal_to_change(caller, record)
        recovery = caller.rank == 4 and operation == "enrolments" and not may_run_account(caller, record) and subject.role == "manager"
        expect = {refusal or {"secrets": 201, "enrolments": 409, "erasure": 204}[operation]} | ({409} if recovery else set())
        if refusal is None and (caller.scopes is not None or subject.erased):
            expect |= {403, 409}
        body = {"grace_seconds": 0} if operation == "secrets" else None
        path = f"/v1/accounts/{record.id}/{operation}"
        answer = self.ask(caller, "POST", path, body=body, expect=expect, target=record)
        if refusal == 404:
            self.as_absent(caller, "POST", path, record, answer, body=body)
        if answer.status >= 300:
            return
        self.wrote(caller, record)
        subject.end_tokens()
        if operation == "erasure":
            subject.erased = subject.disabled = True
            for version in record.versions:
                version.texts.clear()
            self.taken_along(caller, record)
        else:
            self.taken_along(caller, record)
            subject.credentials = (answer.json()["client_id"], answer.json()["client_secret"])

    def step_partner(self, luck):
        """Suspended and taken in again by the administrator; tried by anybody."""
        caller = self.actor(luck) if luck.number(2) else self.stage.administrator
        partner = luck.pick(self.partners)
        if luck.number(3):
            return
        texts = self.texts(partner, partner.record.kind)
        status = "active" if partner.suspended else "suspended"
        answer = self.ask(caller, "PATCH", f"/v1/partners/{partner.id}", body={**texts, "status": status}, headers=ANY, target=partner.record,
                          expect={refusal_to_change(caller, partner.record) or 200})
        if answer.status == 200:
            self.changed(caller, partner.record, answer.json()["version"], answer.json()["updated_at"], texts=texts)
            partner.suspended = not partner.suspended
            for record in [record for record in self.records if record.resource == "accounts" and record.partner is partner]:
                record.account.end_tokens()
                self.taken_along(caller, record)

    def taken_along(self, caller, record):
        """A version that somebody made by changing something else: an account shows that its partner is suspended, or its own erasure."""
        shown = self.ask(self.stage.administrator, "GET", f"/v1/accounts/{record.id}", expect={200}).json()
        if shown["version"] != record.now.number:
            self.changed(caller, record, shown["version"], shown["updated_at"])
