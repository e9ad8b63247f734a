# SPDX-License-Identifier: AGPL-3.0-or-later
"""An HTTP client that holds every exchange against /openapi.json: an answer must be one that the document names, and a request that was accepted must be
one that the document allows. What was exercised is recorded, for the check at the end of the run."""
import base64
import collections
import datetime
import gzip
import http.client
import json
import re
import urllib.parse

import jsonschema

PROBLEM = "application/problem+json"
METHODS = ("get", "post", "put", "patch", "delete")


# --- formats ---

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("uuid")
def _uuid(value):
    return not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", value.lower()) is not None


@FORMATS.checks("date", raises=ValueError)
def _date(value):
    return not isinstance(value, str) or datetime.date.fromisoformat(value) is not None


@FORMATS.checks("date-time")
def _date_time(value):
    pattern = r"\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
    return not isinstance(value, str) or re.fullmatch(pattern, value) is not None


@FORMATS.checks("uri", raises=ValueError)
def _uri(value):
    return not isinstance(value, str) or (urllib.parse.urlsplit(value).scheme != "" and " " not in value)


# --- the contract ---

COMPACT_MOST = 1 << 16  # bytes of a body that is looked at for white space


class ContractError(AssertionError):
    """An exchange that the document does not allow."""


class Contract:
    """The document, made fit for checking. `strict`: answers may have no member that the document does not name (clients must ignore such, but we
    must not send them)."""

    def __init__(self, document):
        self.document = document
        self.operations = {}
        self.any_request = {int(status): self.resolve(answer) for status, answer in document.get("x-any-request", {}).items()}
        self._paths = []
        self._validators = {}
        for path, item in document["paths"].items():
            pattern = re.sub(r"\\\{[^}]*\\\}", "([^/]+)", re.escape(path))
            self._paths.append((re.compile(pattern + r"(\.csv|\.geojson)?"), path))
            for method in METHODS:
                if method in item:
                    self.operations[item[method]["operationId"]] = {**item[method], "method": method.upper(), "path": path}
        self._paths.sort(key=lambda row: row[1].count("{"))

    def resolve(self, node):
        """The node with every reference replaced by what it leads to; no schema of ours refers to itself."""
        if isinstance(node, dict):
            if "$ref" in node:
                target = self.document
                for part in node["$ref"][2:].split("/"):
                    target = target[part.replace("~1", "/").replace("~0", "~")]
                return self.resolve(target)
            return {key: self.resolve(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value) for value in node]
        return node

    def operation(self, method, path):
        """The operation that a request leads to, or None."""
        method = "GET" if method == "HEAD" else method
        for pattern, template in self._paths:
            hit = pattern.fullmatch(path)
            if hit is None or (hit.group(hit.lastindex or 0) in (".csv", ".geojson") and template.endswith(".json")):
                continue
            for operation in self.operations.values():
                if operation["path"] == template and operation["method"] == method:
                    return operation
        return None

    @staticmethod
    def is_import(operation):
        """The body is a file: it is accepted as it is, and what is in it is looked at afterwards."""
        return "202" in operation["responses"]

    def path(self, operation, **given):
        """The path of an operation with parameters in it: what is given, else what the document has for an example."""
        known = {parameter["name"]: parameter for parameter in self.resolve(operation.get("parameters", [])) if parameter["in"] == "path"}
        return re.sub(r"\{(\w+)\}", lambda found: str(given[found[1]] if found[1] in given else known[found[1]]["example"]), operation["path"])

    def required_query(self, operation):
        """A value for each parameter of the query that must be there."""
        return {parameter["name"]: sample(parameter) for parameter in self.resolve(operation.get("parameters", []))
                if parameter["in"] == "query" and parameter.get("required")}

    def validator(self, key, schema, narrowed=False):
        """Cached by `key`. `narrowed`: fields= leaves members out that are required otherwise."""
        key = (key, narrowed)
        if key not in self._validators:
            schema = close(self.resolve(schema))
            if narrowed:
                schema = without_required(schema)
            self._validators[key] = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
        return self._validators[key]

    def check(self, request, answer):
        """The operation's id ("*" for an answer that any request can get); raises ContractError."""
        operation = self.operation(request.method, request.path)
        answers = {} if operation is None else operation["responses"]
        documented = answers.get(str(answer.status))
        where = f"{request.method} {request.target}: {answer.status}"
        if documented is None:
            documented = self.any_request.get(answer.status)
            if documented is None:
                raise ContractError(f"{where} is not documented: {answer.text()[:500]}")
            operation = None
        documented = self.resolve(documented)
        self._check_headers(where, documented, answer)
        if request.method != "HEAD" and answer.status != 304:
            self._check_body(where, operation, documented, request, answer)
        if operation is not None and answer.status < 400:
            self._check_request(where, operation, request)
        return "*" if operation is None else operation["operationId"]

    def _check_headers(self, where, documented, answer):
        for name, header in documented.get("headers", {}).items():
            value = answer.headers.get(name.lower())
            if value is None:
                if header.get("required"):
                    raise ContractError(f"{where} lacks the header field {name}")
                continue
            schema = header["schema"]
            value = int(value) if schema.get("type") == "integer" else value
            problems = list(self.validator(("header", name, schema.get("pattern")), schema).iter_errors(value))
            if problems:
                raise ContractError(f"{where}: {name}: {value!r}: {problems[0].message}")

    def _check_body(self, where, operation, documented, request, answer):
        content = documented.get("content")
        if not content:
            if answer.body:
                raise ContractError(f"{where} has a body, and none is documented: {answer.text()[:200]}")
            return
        if answer.media_type not in content:
            raise ContractError(f"{where} is {answer.media_type or 'without a body'}, documented: {', '.join(content)}")
        if not answer.media_type.endswith("json"):
            return
        if "content-encoding" not in answer.headers and len(answer.body) < COMPACT_MOST and re.search(rb"[ \t\r\n]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", answer.body)):
            raise ContractError(f"{where} has white space between its tokens: {answer.text()[:500]}")
        key = (operation["operationId"] if operation else "*", answer.status, answer.media_type)
        narrowed = "fields" in request.query
        problems = list(self.validator(key, content[answer.media_type]["schema"], narrowed).iter_errors(answer.json()))
        if problems:
            problem = jsonschema.exceptions.best_match(problems)
            raise ContractError(f"{where}: {problem.json_path}: {problem.message[:500]}")

    def _check_request(self, where, operation, request):
        """An accepted request must be one that the document allows."""
        known = {}
        for parameter in self.resolve(operation.get("parameters", [])):
            known[parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]] = parameter
        for name, value in request.query.items():
            if name not in known:
                raise ContractError(f"{where} was accepted with the undocumented parameter {name}")
            schema = known[name]["schema"]
            problems = list(self.validator((operation["operationId"], name), schema).iter_errors(typed(schema, value)))
            if problems:
                raise ContractError(f"{where} was accepted with {name}={value!r}: {problems[0].message}")
        for name, parameter in known.items():
            given = request.headers.get(name) if parameter["in"] == "header" else request.query.get(name)
            if parameter.get("required") and parameter["in"] != "path" and given is None:
                raise ContractError(f"{where} was accepted without {name}")
        if request.body and "requestBody" in operation:
            self._check_input(where, operation, request)

    def _check_input(self, where, operation, request):
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        content = operation["requestBody"]["content"].get(media_type)
        if content is None:
            raise ContractError(f"{where} was accepted with a body of the undocumented type {media_type}")
        if request.body_json is None:
            return
        problems = list(self.validator((operation["operationId"], "body", media_type), content["schema"]).iter_errors(request.body_json))
        if problems:
            problem = jsonschema.exceptions.best_match(problems)
            raise ContractError(f"{where} was accepted with a body that is not documented: {problem.json_path}: {problem.message[:300]}")


def close(schema):
    """Objects with named properties have no others. Parts of allOf together make one object: their members are joined first."""
    if isinstance(schema, list):
        return [close(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "allOf" in schema:
        joined = {"type": "object", "required": [], "properties": {}}
        for part in schema["allOf"]:
            joined["required"] += part.get("required", [])
            joined["properties"].update(part.get("properties", {}))
        return close(joined)
    closed = {}
    for key, value in schema.items():
        if key == "properties":
            closed[key] = {name: close(part) for name, part in value.items()}
        else:
            closed[key] = value if key in ("enum", "const", "default", "examples", "example") else close(value)
    if "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def without_required(schema):
    if isinstance(schema, list):
        return [without_required(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    narrowed = {key: value if key == "enum" else without_required(value) for key, value in schema.items() if key != "required"}
    return narrowed


def sample(parameter):
    """The text of a value that a parameter allows; an id is that of nothing."""
    schema = parameter["schema"]
    if "example" in parameter:
        given = parameter["example"]
        if isinstance(given, bool):
            return "true" if given else "false"
        return ",".join(map(str, given)) if isinstance(given, list) else str(given)
    if "enum" in schema:
        return str(schema["enum"][0])
    if "anyOf" in schema or schema.get("type") == "array":
        return sample({"schema": schema["anyOf"][0] if "anyOf" in schema else schema["items"]})
    if schema.get("type") in ("integer", "number"):
        return str(schema.get("minimum", 1))
    formats = {"uuid": "00000000-0000-4000-8000-000000000000", "date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z", "uri": "https://example.org/"}
    if schema.get("pattern", "").startswith("^-?(180"):  # a box, a position
        return "1.2,52.6,1.4,52.7" if schema["maxLength"] > 40 else "1.2,52.6"
    return {"boolean": "true"}.get(schema.get("type"), formats.get(schema.get("format"), "absent"))


def typed(schema, text):
    """A parameter's value as the schema sees it."""
    for part in schema.get("anyOf", ()):
        value = typed(part, text)
        if not isinstance(value, str):
            return value
    kind = schema.get("type")
    if kind == "array":
        return [typed(schema["items"], part) for part in text.split(",")]
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


# --- coverage ---

class Coverage:
    """Which operation gave which status; for 429 by which limit."""

    def __init__(self):
        self.seen = collections.Counter()

    def add(self, operation, status, answer):
        if status == 429:
            policy = answer.headers.get("ratelimit-policy", '""').split('"')[1]
            self.seen[("429", "login" if operation == "create_session" else policy)] += 1
        self.seen[(operation, str(status))] += 1

    def merge(self, rows):
        for operation, status in rows:
            self.seen[(operation, status)] += 1

    def missing(self, contract):
        """What the document promises and no test has seen: (operation, status)."""
        missing = []
        for name, operation in contract.operations.items():
            missing += [(name, status) for status in operation["responses"]
                        if int(status) < 500 and status != "429" and (name, status) not in self.seen]
        promised = {status for operation in contract.operations.values() for status in operation["responses"] if int(status) >= 500}
        promised |= {str(status) for status in contract.any_request}
        seen = {status for _, status in self.seen}
        missing += [("any", status) for status in sorted(promised) if status not in seen]
        missing += [("429", limit) for limit in ("address", "account", "login") if ("429", limit) not in self.seen]
        return missing


# --- the client ---

class Request:
    def __init__(self, method, target, headers, body, body_json):
        self.method = method
        self.target = target
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.body_json = body_json
        split = urllib.parse.urlsplit(target)
        self.path = urllib.parse.unquote(split.path)
        self.query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))


class Answer:
    def __init__(self, raw):
        self.status = raw.status
        self.headers = {}
        for name, value in raw.getheaders():
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.body = raw.read()
        self._json = None

    @property
    def media_type(self):
        return self.headers.get("content-type", "").split(";")[0].strip()

    @property
    def etag(self):
        return self.headers.get("etag")

    def plain(self):
        """The body without its content coding."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body

    def text(self):
        return self.plain().decode("utf-8")

    def json(self):
        if self._json is None:
            self._json = json.loads(self.plain(), object_pairs_hook=_no_repeats)
        return self._json

    def links(self):
        """rel to target, of a JSON body."""
        return {link["rel"]: link["href"] for link in self.json()["links"]}

    def codes(self):
        """(place, code) of each fault, sorted."""
        return sorted((fault.get("pointer", fault.get("parameter", fault.get("header"))), fault["code"]) for fault in self.json().get("errors", []))


def _no_repeats(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), f"a member is there twice: {[name for name, _ in pairs]}"
    return members


class Client:
    """Requests of one caller. `contract` None: nothing is checked (for tests of the document itself). `source` is the address to come from, since limits
    for callers without a token count by address."""

    def __init__(self, server, contract, coverage, token=None, source="127.0.0.1"):
        self.server = server
        self.contract = contract
        self.coverage = coverage
        self.token = token
        self.source = source
        self._connection = None

    def as_token(self, token, source=None):
        return Client(self.server, self.contract, self.coverage, token, source or self.source)

    def request(self, method, target, *, json_body=None, body=None, headers=None, params=None):
        """`target` is a path, or a link as the server gave it. A JSON body is sent as merge-patch where the method is PATCH. A header field that is None
        is left out."""
        target = self._target(target, params)
        fields = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        if json_body is not None:
            body = json.dumps(json_body).encode()
            fields.setdefault("Content-Type", "application/merge-patch+json" if method == "PATCH" else "application/json")
        fields = {name: value for name, value in fields.items() if value is not None}
        answer = self._send(method, target, body, fields)
        if self.contract is not None:
            request = Request(method, target, fields, body, json_body)
            if method != "OPTIONS":
                operation = self.contract.check(request, answer)
                self.coverage.add(operation, answer.status, answer)
        return answer

    def _target(self, target, params):
        if target.startswith(self.server.url):
            target = target[len(self.server.url):]
        if params:
            target += ("&" if "?" in target else "?") + urllib.parse.urlencode(params)
        return target

    def _send(self, method, target, body, fields):
        for attempt in (1, 2):
            fresh = self._connection is None
            if fresh:
                self._connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60, source_address=(self.source, 0))
            try:
                self._connection.request(method, target, body=body, headers=fields)
                raw = self._connection.getresponse()
                answer = Answer(raw)
                if raw.will_close:
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if fresh or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, target, **options):
        return self.request("GET", target, **options)

    def post(self, target, json_body=None, **options):
        return self.request("POST", target, json_body=json_body, **options)

    def put(self, target, json_body=None, **options):
        return self.request("PUT", target, json_body=json_body, **options)

    def patch(self, target, json_body=None, **options):
        return self.request("PATCH", target, json_body=json_body, **options)

    def delete(self, target, **options):
        return self.request("DELETE", target, **options)

    def form(self, target, fields, **options):
        headers = {"Content-Type": "application/x-www-form-urlencoded", **options.pop("headers", {})}
        return self.request("POST", target, body=urllib.parse.urlencode(fields).encode(), headers=headers, **options)

    def pages(self, target, **options):
        """All records of a list."""
        items = []
        while target is not None:
            answer = self.get(target, **options)
            assert answer.status == 200, answer.text()
            items += answer.json()["items"]
            target = answer.links().get("next")
            options.pop("params", None)
        return items

    def token_for(self, client_id, client_secret):
        credentials = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        answer = Client(self.server, self.contract, self.coverage, source=self.source).form(
            "/oauth/token", {"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {credentials}"})
        assert answer.status == 200, answer.text()
        return answer.json()["access_token"]
