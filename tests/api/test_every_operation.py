# SPDX-License-Identifier: AGPL-3.0-or-later
"""What holds for every operation alike, made from the committed document: authentication, roles, scopes, formats, limits, preconditions. A new
resource is tested here without a line."""
import pytest

from wardmote_suite import committed_document
from wardmote_client import Contract
from wardmote_records import absent_id

CONTRACT = Contract(committed_document())
JSON = "application/json"


def having(status, *, where=lambda operation: True):
    """The operations that document a status."""
    return [pytest.param(operation, id=name) for name, operation in CONTRACT.operations.items()
            if str(status) in operation["responses"] and where(operation)]


def path_of(operation, identifier=None):
    return CONTRACT.path(operation, id=identifier or absent_id())


def path_at(template):
    """A path of the document, filled."""
    return path_of(next(operation for operation in CONTRACT.operations.values() if operation["path"] == template))


def needs_if_match(operation):
    return "428" in operation["responses"]


def query_of(operation):
    return CONTRACT.required_query(operation)


def call(client, operation, identifier=None, body=None, headers=None, **options):
    """A request that is in order but for what the test changes."""
    fields = {}
    if needs_if_match(operation):
        fields["If-Match"] = "*"
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        fields["Content-Type"] = next(iter(content))
        body = b"{}" if body is None else body
        if "form" in fields["Content-Type"] and body == b"{}":
            body = b""
    options.setdefault("params", query_of(operation))
    return client.request(operation["method"], path_of(operation, identifier), body=body, headers={**fields, **(headers or {})}, **options)


def is_item(operation):
    return "{id}" in operation["path"]


def resource_of(operation):
    return operation["path"].split("/")[2].split(".")[0]


@pytest.fixture(name="item")
def _item(records):
    """A record of the operation's resource that everybody may see, and its id."""
    def of(operation):
        return records.item(operation["path"])["id"] if is_item(operation) else None
    return of


@pytest.fixture(scope="module", name="narrow")
def _narrow(records, host):
    """Administrators whose tokens have one scope."""
    return {scope: records.account(host["partner_id"], "administrator", scopes=[scope]) for scope in ("codes:read", "risks:read")}


# --- who ---

@pytest.mark.parametrize("operation", having(401, where=lambda operation: not operation["path"].startswith("/oauth/")))
def test_token_that_does_not_hold_is_refused_everywhere(anonymous, fresh_address, operation):
    answer = call(anonymous.as_token("no.token.ofours", source=fresh_address), operation)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("operation", having(401, where=lambda operation: operation["x-role"] != "anonymous"))
def test_without_a_token_what_needs_one_says_so(anonymous, item, operation):
    answer = call(anonymous, operation, item(operation))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="wardmote"'


@pytest.mark.parametrize("operation", having(403, where=lambda operation: operation["x-role"] in ("officer", "manager", "administrator")))
def test_role_below_the_least_is_refused(partner, item, records, operation):
    """A viewer, on a record that it may see."""
    identifier = item(operation)
    if resource_of(operation) == "accounts" and identifier is not None:
        identifier = partner.viewer.get("/v1/me").json()["account_id"]
    answer = call(partner.viewer, operation, identifier)
    assert answer.status == 403, answer.text()


@pytest.mark.parametrize("operation", having(403, where=lambda operation: any(way.get("oauth2") for way in operation["security"])))
def test_scope_that_the_token_lacks_is_refused(narrow, item, operation):
    needed = next(way["oauth2"][0] for way in operation["security"] if "oauth2" in way)
    answer = call(narrow["codes:read" if needed != "codes:read" else "risks:read"], operation, item(operation))
    assert answer.status == 403, answer.text()


@pytest.mark.parametrize("operation", having(404, where=is_item))
def test_record_that_does_not_exist(administrator, operation):
    answer = call(administrator, operation)
    assert answer.status in ((404, 400) if "requestBody" in operation else (404,)), answer.text()


# --- form ---

@pytest.mark.parametrize("operation", having(400))
def test_unknown_parameter_is_named(administrator, anonymous, item, operation):
    client = anonymous if operation["path"].startswith("/oauth") else administrator
    answer = call(client, operation, item(operation), params={**query_of(operation), "no_such_parameter": "1"})
    assert answer.status == 400, answer.text()
    assert ("no_such_parameter", "unknown_parameter") in answer.codes()


@pytest.mark.parametrize("operation", having(406))
def test_format_that_is_not_there(administrator, item, operation):
    answer = call(administrator, operation, item(operation), headers={"Accept": "image/png"})
    assert answer.status == 406, answer.text()


@pytest.mark.parametrize("operation", having(415))
def test_body_in_another_format(administrator, anonymous, item, operation):
    client = anonymous if operation["path"].startswith("/oauth") else administrator
    answer = call(client, operation, item(operation), body=b"<a/>", headers={"Content-Type": "application/xml"})
    assert answer.status == 415, answer.text()
    assert "accept-patch" in answer.headers or "accept-post" in answer.headers


@pytest.mark.parametrize("operation", having(413))
def test_body_above_the_cap_is_refused(administrator, anonymous, item, operation):
    client = anonymous if operation["path"].startswith("/oauth") else administrator
    most = operation["requestBody"].get("x-max-bytes", 16 << 20)
    client = client.as_token(client.token)  # the connection ends with it: the body that is announced never comes
    answer = call(client, operation, item(operation), body=b"", headers={"Content-Length": str(most + (1 << 20))})
    assert answer.status == 413, answer.text()
    client.close()


# --- preconditions ---

@pytest.mark.parametrize("operation", having(428))
def test_change_without_if_match(administrator, item, operation):
    answer = call(administrator, operation, item(operation), headers={"If-Match": None})
    assert answer.status == 428, answer.text()


# --- unusual methods ---

@pytest.mark.parametrize("path", sorted(CONTRACT.document["paths"]))
def test_options_names_the_methods(anonymous, path):
    answer = anonymous.request("OPTIONS", path_at(path))
    assert answer.status == 204
    methods = {method.upper() for method in CONTRACT.document["paths"][path]}
    methods |= {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    assert set(answer.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize("path", sorted(CONTRACT.document["paths"]))
def test_other_methods_are_refused_with_those_allowed(anonymous, path):
    known = {method.upper() for method in CONTRACT.document["paths"][path]}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
        answer = anonymous.request(method, path_at(path))
        assert answer.status == 405
        assert known <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("operation", [pytest.param(operation, id=name) for name, operation in CONTRACT.operations.items()
                                       if operation["method"] == "GET" and "{slug}" not in operation["path"]])
def test_head_is_get_without_the_body(administrator, item, operation):
    path = path_of(operation, item(operation))
    get = administrator.get(path)
    head = administrator.request("HEAD", path)
    assert head.status == get.status
    assert head.body == b""
    for name in ("content-type", "content-length", "cache-control", "etag", "vary"):
        assert head.headers.get(name) == get.headers.get(name), name
