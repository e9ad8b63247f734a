# SPDX-License-Identifier: AGPL-3.0-or-later
"""The kinds of requests that are tortured. A case makes a request for each run, knows whether it changes anything, and how one sees what it changed."""
import base64
import contextlib
import itertools
import json
import os
import urllib.parse

from torture import Wire
from wardmote_oauth import Key, assertion, proof

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def name():
    return f"torture {os.getpid()} {next(_numbers)}"


class Case:
    """`make()` gives the request of one run. `effect(wire)` counts what it did, where it does anything; `once`: sent again it still did it once.
    `again`: the statuses that sending it again may have beside the right one."""

    def __init__(self, title, make, *, effect=None, volatile=False, again=(), slow=False):
        self.title = title
        self.make = make
        self.effect = effect
        self.volatile = volatile or effect is not None
        self.again = again
        self.slow = slow

    def __repr__(self):
        return self.title


class Site:
    """Data and callers, made before anything fails."""

    def __init__(self, cluster, server, records, host):
        self.cluster = cluster
        self.server = server
        self.records = records
        self.host = host
        self.anonymous = records.administrator.as_token(None)
        self.partner, self.other = records.partner(), records.partner()
        self.officer = self.partner.officer
        self.narrow = records.account(self.partner.id, "officer", scopes=["consultations:read"])
        self.area = {"type": "Polygon", "coordinates": [[[1.2, 52.6], [1.3, 52.6], [1.3, 52.7], [1.2, 52.7], [1.2, 52.6]]]}
        self.locality = records.make("localities", visibility="public", geometry=self.area)
        self.community = records.make("communities", by=self.officer, name=name(), visibility="private", locality_id=self.locality["id"])
        for _ in range(30):
            records.make("communities", by=self.officer, name=name(), visibility="private")
        self.consultation = records.make("consultations", by=self.officer, visibility="private")
        self.service = records.account_record(self.partner.id, "officer")
        self.people = []

    def rows(self, text, *parameters):
        with contextlib.closing(self.cluster.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchone()[0]

    # --- wires ---

    @staticmethod
    def bearer(client, **headers):
        return {**({"Authorization": f"Bearer {client.token}"} if client is not None and client.token else {}), **headers}

    def get(self, target, client, **headers):
        return Wire("GET", target, self.bearer(client, **headers))

    def json(self, method, target, client, body, **headers):
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return Wire(method, target, self.bearer(client, **{"Content-Type": kind}, **{key.replace("_", "-"): value for key, value in headers.items()}),
                    json.dumps(body).encode())

    @staticmethod
    def form(target, **fields):
        return Wire("POST", target, {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(fields).encode())

    # --- people ---

    def person(self):
        """Somebody who has enrolled: login and refresh token."""
        record = self.records.person(self.partner.id, "officer", login=name().replace(" ", "-") + "@example.org")
        grant = self.anonymous.post("/v1/sessions/enrolments", {"code": record["enrolment_code"], "password": PASSWORD})
        assert grant.status == 200, grant.text()
        return record, grant.json()

    def sessions_of(self, account):
        return self.rows("SELECT count(*) FROM auth.session WHERE account_id = %s", account)


def read_cases(site):
    officer, foreign, community = site.officer, site.other.officer, f"/v1/communities/{site.community['id']}"
    forged = officer.as_token(officer.token[:-8] + ("A" * 8 if not officer.token.endswith("A" * 8) else "B" * 8))
    etag = officer.get(community).etag
    page = officer.get("/v1/communities?limit=5").links()["next"][len(site.server.url):]
    locality = f"/v1/localities/{site.locality['id']}"
    rows = [
        ("list", "/v1/communities?limit=20", officer),
        ("list: filters, order, count, fields", "/v1/communities?limit=20&kind=interest&sort=-name&count=exact&fields=id,name,kind&name.contains=tort", officer),
        ("list: words", "/v1/communities?limit=20&q=torture", officer),
        ("list: included", "/v1/communities?limit=20&include=locality", officer),
        ("list: next page", page, officer),
        ("list: as of", "/v1/communities?limit=20&as_of=2030-01-01T00:00:00Z", officer),
        ("list as CSV", "/v1/communities.csv?limit=20", officer),
        ("list as GeoJSON", "/v1/localities.geojson?limit=20&bbox=1,52,2,53", officer),
        ("list whole", "/v1/communities?limit=all&include=locality&name.contains=tort", officer),
        ("list whole as CSV", "/v1/communities.csv?limit=all&name.contains=tort", officer),
        ("history", community + "/history", officer),
        ("changes", "/v1/changes?limit=5", officer),
        ("record", community, officer),
        ("record as CSV", community + ".csv", officer),
        ("record as GeoJSON", locality + ".geojson", None),
        ("record: included", community + "?include=locality,partner", officer),
        ("me", "/v1/me", officer),
        ("root", "/", None), ("entrance", "/v1", None), ("problems", "/problems", None), ("problem", "/problems/not-found", None),
        ("keys", "/.well-known/jwks.json", None), ("metadata", "/.well-known/oauth-authorization-server", None), ("OpenAPI", "/openapi.json", None),
        ("security.txt", "/.well-known/security.txt", None),
        ("no such route", "/v1/nothing", officer), ("many faults", "/v1/communities?a=1&b=2&c=3&kind=x&limit=0&sort=x&created_at.gt=y", officer),
        # whom the answer is not for
        ("foreign: record", community, foreign), ("foreign: record without a token", community, None),
        ("foreign: history", community + "/history", foreign), ("foreign: list", "/v1/communities?limit=20&name.contains=tort", foreign),
        ("foreign: list whole", "/v1/communities.csv?limit=all&name.contains=tort", foreign),
        ("foreign: consultation", f"/v1/consultations/{site.consultation['id']}", foreign), ("foreign: accounts", "/v1/accounts", foreign),
        ("foreign: scope", community, site.narrow), ("foreign: me", "/v1/me", None),
        ("foreign: included without the scope", f"/v1/consultations/{site.consultation['id']}?include=communities", site.narrow),
    ]
    cases = [Case(title, lambda target=target, client=client: site.get(target, client)) for title, target, client in rows]

    def from_elsewhere():
        """Each from another address: bad tokens are counted by it."""
        wire, number = site.get(community, forged), next(_numbers)
        wire.source = f"127.9.{number // 250 % 250}.{number % 250 + 1}"
        return wire

    cases += [
        Case("foreign: forged token", from_elsewhere), Case("list in gzip", lambda: site.get("/v1/communities?limit=30", officer, **{"Accept-Encoding": "gzip"})),
        Case("OpenAPI in gzip", lambda: site.get("/openapi.json", None, **{"Accept-Encoding": "gzip"})),
        Case("record unchanged", lambda: site.get(community, officer, **{"If-None-Match": etag})),
        Case("head", lambda: Wire("HEAD", community, site.bearer(officer))),
        Case("options", lambda: Wire("OPTIONS", community, {})),
        Case("no such method", lambda: Wire("DELETE", "/v1/me", site.bearer(officer))),
        Case("malformed", lambda: site.get("/v1//communities", officer)),
        Case("many header fields", lambda: site.get(community, officer, **{f"X-{n}": "y" * 90 for n in range(40)}, Accept="application/json, text/csv;q=0.5")),
    ]
    return cases


def write_cases(site):
    officer, foreign, manager = site.officer, site.other.officer, site.partner.manager
    community = f"/v1/communities/{site.community['id']}"

    def named(wire):
        return site.rows("SELECT count(*) FROM wardmote.community WHERE name = %s", json.loads(wire.body)["name"])

    def described(wire):
        return site.rows("SELECT count(*) FROM wardmote.community WHERE id = %s AND description = %s", wire.target.split("/")[3], json.loads(wire.body)["description"])

    def create(client=officer, **members):
        title = name()
        return site.json("POST", "/v1/communities", client, {"name": title, "kind": "interest", **members}, Idempotency_Key=title.replace(" ", "-"))

    def stored():
        wire = create()
        assert officer.request("POST", wire.target, body=wire.body, headers=wire.headers).status == 201
        return wire

    def replace():
        title = name()
        return site.json("PUT", f"/v1/communities?external_id={title.replace(' ', '-')}", officer, {"name": title, "kind": "interest"})

    def fresh(client=officer):
        return site.records.make("communities", by=client, name=name(), visibility="private")["id"]

    def patch(client=officer, target=None):
        return site.json("PATCH", target or f"/v1/communities/{fresh()}", client, {"description": name()}, If_Match="*")

    def remove(client=officer, target=None):
        return Wire("DELETE", target or f"/v1/communities/{fresh()}", site.bearer(client, **{"If-Match": "*"}))

    def removed(wire):
        return 1 - site.rows("SELECT count(*) FROM wardmote.community WHERE id = %s", wire.target.split("/")[3])

    def transition(client=officer, record=None):
        record = record or site.records.make("consultations", by=officer, visibility="shared", everyone=True)["id"]
        return site.json("POST", f"/v1/consultations/{record}/transitions", client, {"to": "planned"}, If_Match="*")

    def planned(wire):
        return site.rows("SELECT count(*) FROM wardmote.consultation WHERE id = %s AND status = 'planned'", wire.target.split("/")[3])

    def account(client=manager):
        title = name()
        return site.json("POST", "/v1/accounts", client, {"partner_id": site.partner.id, "kind": "service", "role": "viewer", "name": title},
                         Idempotency_Key=title.replace(" ", "-"))

    def accounts(wire):
        return site.rows("SELECT count(*) FROM wardmote.account WHERE name = %s", json.loads(wire.body)["name"])

    faulty = {"name": 5, "kind": "x", "nmae": "y", "locality_id": "z", "seldom_heard": "no", "visibility": "none", "grants": [{}], "description": ["d"]}
    large = {"name": name(), "kind": "interest", "description": "word " * 1500}
    return [
        Case("create", create, effect=named), Case("create: replay", stored, effect=named), Case("create: with a reference",
             lambda: create(locality_id=site.locality["id"]), effect=named),
        Case("create: dry run", lambda: site.json("POST", "/v1/communities?dry_run=true", officer, {"name": "torture 0 0", "kind": "interest"}), volatile=True),
        Case("create: many faults", lambda: site.json("POST", "/v1/communities", officer, faulty)),
        Case("create: no reference", lambda: site.json("POST", "/v1/communities", officer, {"name": "x", "kind": "interest",
             "locality_id": "01976f3a-1111-7000-8000-000000000001"})),
        Case("create: large", lambda: site.json("POST", "/v1/communities?dry_run=true", officer, large), volatile=True),
        Case("create: geometry", lambda: site.json("POST", "/v1/localities?dry_run=true", site.records.administrator,
             {"boundary_set_id": site.locality["boundary_set_id"], "code": "TORTURE1", "name": "Torture", "geometry": site.area}), volatile=True),
        Case("replace", replace, effect=named, again=(200,)), Case("patch", patch, effect=described), Case("delete", remove, effect=removed, again=(404,)),
        Case("transition", transition, effect=planned, again=(409,)), Case("account", account, effect=accounts),
        Case("foreign: patch", lambda: patch(foreign, community)), Case("foreign: delete", lambda: remove(foreign, community)),
        Case("foreign: transition", lambda: transition(foreign, site.consultation["id"])),
        Case("foreign: viewer creates", lambda: create(site.partner.viewer)), Case("foreign: account", lambda: account(foreign)),
        Case("foreign: no token creates", lambda: create(None)),
    ]


def identity_cases(site):
    credentials = base64.b64encode(f"{site.service['client_id']}:{site.service['client_secret']}".encode()).decode()

    def basic():
        wire = site.form("/oauth/token", grant_type="client_credentials")
        wire.headers["Authorization"] = f"Basic {credentials}"
        return wire

    def login(password=PASSWORD):
        record, _ = site.person()
        return site.json("POST", "/v1/sessions", None, {"login": record["login"], "password": password})

    def enrol():
        record = site.records.person(site.partner.id, "officer", login=name().replace(" ", "-") + "@example.org")
        wire = site.json("POST", "/v1/sessions/enrolments", None, {"code": record["enrolment_code"], "password": PASSWORD})
        wire.account = record["id"]
        return wire

    def refresh():
        return site.form("/oauth/token", grant_type="refresh_token", refresh_token=site.person()[1]["refresh_token"])

    def revoke():
        record, grant = site.person()
        wire = site.form("/oauth/revoke", token=grant["access_token"])
        wire.account = record["id"]
        return wire

    def ended(wire):
        return 1 - min(1, site.rows("SELECT count(*) FROM api.acting_session WHERE account_id = %s", wire.account))

    def change():
        _, grant = site.person()
        return site.json("PUT", "/v1/me/password", site.anonymous.as_token(grant["access_token"]), {"current_password": PASSWORD, "new_password": PASSWORD + "!"})

    def secret():
        record = site.records.account_record(site.partner.id, "viewer")
        return site.json("POST", f"/v1/accounts/{record['id']}/secrets", site.partner.manager, {})

    key = Key("ES256")
    signer = site.records.administrator.post("/v1/accounts", {"partner_id": site.partner.id, "kind": "service", "role": "officer", "name": name(),
                                                              "jwks": {"keys": [key.jwk]}}).json()

    def signed(by=key):
        return site.form("/oauth/token", grant_type="client_credentials", **proof(assertion(key, signer["client_id"], site.anonymous.server.url, signed_by=by)))

    def introspect():
        return site.form("/oauth/introspect", token=site.partner.officer.token, client_id=site.service["client_id"], client_secret=site.service["client_secret"])

    def keys(**members):
        return site.json("PATCH", f"/v1/accounts/{signer['id']}?dry_run=true", site.partner.manager, {"jwks": {"keys": [{**key.jwk, "kid": "another", **members}]}}, If_Match="*")

    def new_token():
        return site.get(f"/v1/communities/{site.community['id']}", site.officer.as_token(site.records.administrator.token_for(
            site.service["client_id"], site.service["client_secret"])))

    return [
        Case("record with a new token", new_token), Case("token by header", basic, volatile=True),
        Case("token by body", lambda: site.form("/oauth/token", grant_type="client_credentials", client_id=site.service["client_id"],
                                                client_secret=site.service["client_secret"]), volatile=True),
        Case("foreign: wrong secret", lambda: site.form("/oauth/token", grant_type="client_credentials", client_id=site.service["client_id"],
                                                        client_secret="wms_" + "x" * 43)),
        Case("refresh", refresh, volatile=True, again=(400,), slow=True), Case("revoke", revoke, effect=ended, slow=True),
        Case("login", login, volatile=True, again=(429,), slow=True), Case("foreign: wrong password", lambda: login("not the right one"), again=(429,), slow=True),
        Case("enrolment", enrol, volatile=True, again=(422,), slow=True), Case("password", change, volatile=True, again=(401, 422, 409, 429), slow=True),
        Case("secret", secret, volatile=True, slow=True), Case("token by assertion", signed, volatile=True, again=(401,), slow=True),
        Case("foreign: assertion of another key", lambda: signed(Key("ES256")), slow=True), Case("introspect", introspect, slow=True),
        Case("keys of a client", keys, volatile=True, slow=True),
        Case("keys that are none", lambda: keys(x="A" * 43), slow=True),
    ]
