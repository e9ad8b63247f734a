# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every operation of /openapi.json, driven by Hypothesis: requests that are valid, that have one fault, and that are hostile in every parameter, field and member.
No answer is a 5xx, none is undocumented (status, type, fields and body are held against the document for each), one fault gives a 4xx that names its place, and
neither the server's log nor the database's shows an error."""
import collections
import copy
import json
import urllib.parse

import pytest
import wardmote_server
from generated_values import HOSTILE, HOSTILE_TEXT, Maker, faulty
from generated_world import World, fresh
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from wardmote_client import Contract, typed
from wardmote_long import LONG, SEED, pick
from wardmote_records import absent_id

pytest_plugins = ["generated_site"]
CONTRACT = Contract(json.loads((wardmote_server.ROOT / "api/openapi.json").read_text(encoding="utf-8")))
EXAMPLES = pick(36, 1300)
CALLERS = ["administrator", "administrator", "manager", "officer", "viewer", "other officer", "narrow", "anonymous", "stranger"]
# They need a password, a code or a session, which are not drawn: others test their success.
NEVER_2XX = {"create_token", "create_session", "create_session_by_enrolment", "put_my_password", "delete_current_session", "get_problem"}
# They hash passwords, slowly by design.
SLOW = {"create_session", "create_session_by_enrolment", "put_my_password"}
# What needs nothing else to be in order.
EXAMPLES_OF = {"transition_consultation": {"to": "cancelled", "reason": "The works were called off"}}
COUNTS = collections.Counter()


class Plan:
    """One request in the making."""

    def __init__(self, draw, world, operation):
        self.draw = draw
        self.world = world
        self.operation = operation
        self.parameters = [parameter for parameter in CONTRACT.resolve(operation.get("parameters", []))]
        content = CONTRACT.resolve(operation.get("requestBody", {})).get("content", {})
        self.media_type = draw(st.sampled_from(sorted(content))) if content else None
        self.schema = content[self.media_type]["schema"] if content else None
        self.example = content[self.media_type].get("example") if content else None
        self.resource = operation["path"].split("/")[2] if operation["path"].startswith("/v1/") else ""
        self.maker = Maker(draw, world.references, world.code)
        self.path = {parameter["name"]: self._path_value(parameter) for parameter in self.parameters if parameter["in"] == "path"}
        self.query, self.headers = {}, {}
        self._fill()
        self.body = self._body() if self.schema else None
        self.raw = None
        self.outcome = None  # of an import

    def _path_value(self, parameter):
        if parameter["name"] != "id":
            return str(parameter["example"])
        ids = self.world.ids_of(self.operation)
        if self.draw(st.integers(0, 9)) == 0 or not ids:
            return absent_id()
        return self.draw(st.sampled_from(ids[-8:]))

    def _fill(self):
        optional = [parameter for parameter in self.parameters if parameter["in"] != "path" and not parameter.get("required")]
        chosen = self.draw(st.lists(st.sampled_from(optional), max_size=3, unique_by=lambda parameter: parameter["name"])) if optional else []
        needed = {parameter["x-needs"] for parameter in chosen if "x-needs" in parameter} - {parameter["name"] for parameter in chosen}
        chosen += [parameter for parameter in optional if parameter["name"] in needed]
        for parameter in chosen + [parameter for parameter in self.parameters if parameter.get("required") and parameter["in"] != "path"]:
            name, value = parameter["name"], self.maker.value(parameter["schema"])
            if name.endswith("boundary_set_id") and parameter["in"] == "query" and self.draw(st.booleans()):
                value = self.draw(st.sampled_from(self.world.references("boundary-sets")))
            if name in ("cursor", "after", "as_of"):
                continue  # only what the server gave is valid, or a time that has been
            if parameter["in"] == "header":
                self.headers[name] = self._header(name, value)
            else:
                self.query[name] = text_of(value)

    def _header(self, name, value):
        tag = self.world.tags.get(self.path.get("id"))
        if name == "If-Match":
            return self.draw(st.sampled_from(["*", tag or "*", value]))
        return fresh("key") if name == "Idempotency-Key" else value

    def _body(self):
        whole = self.operation["method"] in ("POST", "PUT") and self.operation["path"] == f"/v1/{self.resource}"
        if not self.draw(st.booleans()):
            body = self.maker.value(self.schema)
        elif whole and self.resource != "sessions":
            body = self.world.records.body(self.resource)
        else:
            body = copy.deepcopy(EXAMPLES_OF.get(self.operation["operationId"], self.example) or {})
            if CONTRACT.is_import(self.operation):
                self.query.update(self.world.import_query(self.operation))
            if self.operation["method"] == "PATCH":  # of the example only what stands by itself
                body = {name: value for name, value in body.items() if isinstance(value, str) and "format" not in self.schema["properties"][name]}
        if not isinstance(body, dict):
            return body
        if self.operation["method"] == "PUT":
            body.pop("external_id", None)
        for name in ("code", "login", "external_id", "name", "title"):
            if isinstance(body.get(name), str) and self.operation["method"] in ("POST", "PUT"):
                body[name] = fresh(body[name])[:self.schema["properties"][name].get("maxLength", 200)]
        return body

    # --- one fault: the place that the answer must name ---

    def spoil(self):
        ways = ["unknown", *(["query"] if any(parameter["in"] == "query" for parameter in self.parameters) else []),
                *(["header"] if any(parameter["in"] == "header" for parameter in self.parameters) else []),
                *(["body"] * 5 if self.schema and self.media_type.endswith("json") else [])]
        return getattr(self, f"_spoil_{self.draw(st.sampled_from(ways))}")()

    def _spoil_unknown(self):
        self.query["no_such_parameter"] = "1"
        return "no_such_parameter"

    def _spoil_query(self):
        parameter = self.draw(st.sampled_from([parameter for parameter in self.parameters if parameter["in"] == "query"]))
        value = text_of(faulty(self.draw, parameter["schema"]))
        self.query[parameter["name"]] = value
        broken = list(CONTRACT.validator(("spoilt", self.operation["operationId"], parameter["name"]), parameter["schema"]).iter_errors(typed(parameter["schema"], value)))
        return parameter["name"] if broken else None

    def _spoil_header(self):
        parameter = self.draw(st.sampled_from([parameter for parameter in self.parameters if parameter["in"] == "header"]))
        if (parameter["name"], self.operation["method"]) == ("If-None-Match", "GET"):
            return None  # a cache's own affair: what is no list of tags matches nothing
        if parameter["name"] == "Prefer":
            return None  # a preference that is not understood is passed over
        value = self.draw(st.sampled_from(["x" * 1001, "\"unended", "a b", "ä", "W/", "'", ",", "\"a\" \"b\""]))
        self.headers[parameter["name"]] = value
        broken = list(CONTRACT.validator(("spoilt", self.operation["operationId"], parameter["name"]), parameter["schema"]).iter_errors(value))
        return parameter["name"] if broken else None

    def spoils_file(self, place):
        """The fault is in a file, which is read when it was accepted."""
        return place is not None and place.startswith("/") and CONTRACT.is_import(self.operation)

    def _spoil_body(self):
        members, required = self.schema["properties"], self.schema.get("required", [])
        way = self.draw(st.sampled_from(["extra", "missing", "value", "value", "value", "value"]))
        if way == "extra" and CONTRACT.is_import(self.operation):
            way = "value"  # a collection may have further members
        if way == "missing" and required and self.body:
            name = self.draw(st.sampled_from(required))
            self.body.pop(name, None)
        elif way == "extra" or not members:
            name = "no_such_member"
            self.body[name] = 1
        else:
            name = self.draw(st.sampled_from(sorted(members)))
            self.body[name] = faulty(self.draw, members[name])
        validator = CONTRACT.validator((self.operation["operationId"], "body", self.media_type), self.schema)
        return f"/{name}" if breaks_at(validator, self.body, name) else None

    # --- hostile ---

    def poison(self):
        ways = ["query", "header"] + (["path"] if self.path else []) + (["member", "member", "raw"] if self.schema else [])
        for way in self.draw(st.lists(st.sampled_from(ways), min_size=1, max_size=3)):
            getattr(self, f"_poison_{way}")()

    def _poison_path(self):
        self.path[next(iter(self.path))] = self.draw(HOSTILE_TEXT)[:2500]

    def _poison_query(self):
        names = [parameter["name"] for parameter in self.parameters if parameter["in"] == "query"]
        name = self.draw(st.sampled_from(names)) if names and self.draw(st.integers(0, 5)) else self.draw(HOSTILE_TEXT)[:100]
        self.query[name] = self.draw(HOSTILE_TEXT)

    def _poison_header(self):
        name = self.draw(st.sampled_from(["If-Match", "If-None-Match", "Idempotency-Key", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "Authorization",
                                          "X-Request-Id", "traceparent", "Origin", "Range", "X-Forwarded-For", "If-Modified-Since", "X-HTTP-Method-Override"]))
        value = self.draw(HOSTILE_TEXT)[:1500].encode("utf-8", "surrogatepass")
        self.headers[name] = value.translate(None, b"\r\n").decode("latin-1")

    def _poison_member(self):
        names = sorted(self.schema["properties"]) if self.schema.get("properties") else ["x"]
        if isinstance(self.body, dict):
            name = self.draw(st.sampled_from(names)) if self.draw(st.integers(0, 9)) else self.draw(HOSTILE_TEXT)
            self.body[name] = self.draw(HOSTILE)

    def _poison_raw(self):
        self.raw = self.draw(st.sampled_from([b"", b"null", b"[]", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b'{"a":1}x', b"{" * 5000,
                                              b"[" * 33 + b"]" * 33, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a":1e999}', b'{"a":' + b"9" * 40 + b"}", b'{"\\u0000":1}',
                                              b'{"a":[' + b"{}," * 10001 + b"{}]}", b"a=b&a=c&%00=%ff", b"{}" + b" " * 70000, b'{"a":"' + b"x" * 70000 + b'"}']))

    # --- to the server ---

    def shorten(self):
        """A target above the limit is refused before anything in it is looked at."""
        while len(self.target()) > 8000 and self.query:
            self.query.pop(max(self.query, key=lambda name: len(self.query[name])))

    def target(self):
        path = self.operation["path"]
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", escaped(value))
        return path + ("?" + "&".join(f"{escaped(name)}={escaped(value)}" for name, value in self.query.items()) if self.query else "")

    def payload(self):
        if self.raw is not None or self.schema is None:
            return self.raw
        if isinstance(self.body, str):
            return self.body.encode("utf-8", "surrogatepass")
        if "json" in self.media_type:
            return json.dumps(self.body).encode()
        return urllib.parse.urlencode({name: text_of(value) for name, value in self.body.items()}, errors="surrogatepass").encode()

    def send(self, name):
        fields = {**({"Content-Type": self.media_type} if self.schema else {}), **self.headers}
        caller = self.world.callers[name]
        for _ in range(2):
            answer = caller.request(self.operation["method"], self.target(), body=self.payload(), headers=fields)
            if answer.status != 401 or name in ("anonymous", "stranger") or "Authorization" in self.headers or "error=\"invalid_token\"" not in answer.headers.get("www-authenticate", ""):
                break
            caller = self.world.again(name)
        COUNTS[self.operation["operationId"], answer.status] += 1
        self.world.saw(self.resource, answer)
        self.outcome = self.world.records.settled(answer, caller) if CONTRACT.is_import(self.operation) and answer.status < 300 else None
        return answer

    def told(self, answer):
        return f"{self.operation['method']} {self.target()} {self.headers} {self.payload()!r}: {answer.status} {answer.text()[:1500]}"


def text_of(value):
    if isinstance(value, list):
        return ",".join(text_of(part) for part in value)
    return json.dumps(value) if isinstance(value, (dict, bool)) or value is None else str(value)


def escaped(text):
    return urllib.parse.quote(text.encode("utf-8", "surrogatepass"), safe="")


def breaks_at(validator, body, name):
    """Is there a fault in this member, or is it itself what is too much or missing? Others may have faults of their own, and they say nothing of this one."""
    return any(not error.absolute_path or error.absolute_path[0] == name for error in validator.iter_errors(body))


def names_place(answer, place):
    """Among the faults is one at this place, or within it."""
    return any(where is not None and (where == place or where.lower() == place.lower() or where.startswith(place + "/") or place.startswith(where + "/"))
               for where, _ in answer.codes())


@pytest.fixture(scope="session", name="world")
def _world(site, pytestconfig):
    world = World(site)
    yield world
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\ngenerated requests: {sum(COUNTS.values())}, seed {SEED}")
        for name in sorted({name for name, _ in COUNTS}):
            print(f"  {name}: {' '.join(f'{status}x{count}' for (which, status), count in sorted(COUNTS.items()) if which == name)}")
    assert site.complaints() == []


def attempt(draw, world, operation):
    plan = Plan(draw, world, operation)
    kind = draw(st.sampled_from(["valid", "valid", "spoilt", "spoilt", "hostile", "hostile"]))
    caller = draw(st.sampled_from(CALLERS))
    place = None
    if kind == "spoilt":
        caller = "anonymous" if operation["path"].startswith("/oauth") else "administrator"
        if any(parameter["name"] == "If-Match" and parameter.get("required") for parameter in plan.parameters):
            plan.headers["If-Match"] = "*"
        plan.shorten()
        place = plan.spoil()
    elif kind == "hostile":
        plan.poison()
    elif draw(st.booleans()):
        caller = "officer" if operation["x-role"] in ("anonymous", "officer", "viewer") else "administrator"
    plan.shorten()
    answer = plan.send(caller)
    assert answer.status < 500, plan.told(answer)
    if plan.spoils_file(place):
        assert answer.status in (202, 200, 404, 422), f"{place}: {plan.told(answer)}"  # 404 and 422: the file was not looked at
        assert plan.outcome is None or (plan.outcome["state"] == "rejected" and plan.outcome["reason"]), f"{place}: {plan.told(answer)} {plan.outcome}"
    elif place is not None:
        assert 400 <= answer.status < 500 and answer.status not in (401, 403, 405), f"{place}: {plan.told(answer)}"
        assert operation["path"].startswith("/oauth") or names_place(answer, place), f"{place} is not named: {plan.told(answer)}"
    if kind == "valid" and caller == "administrator":
        assert answer.status != 404 or plan.path or operation["path"] in ("/v1/sessions/current", "/v1/postcodes"), plan.told(answer)


def test_the_place_of_a_fault():
    operation = CONTRACT.operations["create_activity"]
    validator = CONTRACT.validator(("create_activity", "body", "application/json"), operation["requestBody"]["content"]["application/json"]["schema"])
    body = {"title": "A walk", "kind": "event", "point": None, "locality_shares": [{"locality_id": absent_id(), "share": 52.6}]}
    assert not breaks_at(validator, body, "point") and breaks_at(validator, body, "locality_shares")
    assert breaks_at(validator, {**body, "point": "x"}, "point") and breaks_at(validator, {"kind": "event"}, "title") and breaks_at(validator, {**body, "no": 1}, "no")


@pytest.mark.parametrize("operation", [pytest.param(operation, id=name) for name, operation in CONTRACT.operations.items()])
def test_generated(site, world, operation):
    @seed(SEED)
    @settings(max_examples=EXAMPLES // 6 if operation["operationId"] in SLOW else EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        attempt(data.draw, world, operation)

    world.top_up(operation["path"].split("/")[2] if operation["path"].startswith("/v1/") else "")
    run()
    assert site.strange_errors() == []
    name = operation["operationId"]
    worked = sum(count for (which, status), count in COUNTS.items() if which == name and status < 400)
    assert worked > 0 or not LONG or name in NEVER_2XX, f"nothing was accepted: {dict((status, count) for (which, status), count in COUNTS.items() if which == name)}"
