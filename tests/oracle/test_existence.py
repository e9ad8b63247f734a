# SPDX-License-Identifier: AGPL-3.0-or-later
"""Nothing tells that a hidden record exists: the same bytes for foreign and absent ids by every operation by id (with the fields above a reader changed under
its eyes), and the same time. The bytes for each operation and caller are also in tests/api/test_access_routes.py."""
import contextlib
import http.client
import math
import statistics
import time

import pytest

import wardmote_long
import wardmote_server
from wardmote_client import Client
from wardmote_records import absent_id, unique

ROUNDS = wardmote_long.pick(2000, 10000)   # requests of each kind
LESS = wardmote_long.pick(5, 1)            # the operations other than GET: fewer in the usual run
LIMIT = 25                                 # microseconds that the medians may differ by
ANY = {"If-Match": "*"}


# --- fields above the reader ---

HIDDEN = {"communities": {"support_need": ("low", "high"), "external_id": ("hidden-1", None), "grants": ("[]", '[{"right": "read", "partner_id": "%s"}]')},
          "consultations": {"planned_hours": (3, 44444), "notes": ("a word", "zebra and much longer than it was before")},
          "activities": {"hours": (3, 44444), "notes": (None, "zebra crossing"), "created_by": (None, absent_id())}}


def battery(client, resource, identifier):
    """Everything that a reader can ask of a record and of the lists that it is in."""
    path, one = f"/v1/{resource}", {"id": identifier}
    asked = [(f"{path}/{identifier}", {}), (f"{path}/{identifier}/history", {}), (f"{path}/{identifier}.csv", {}), (f"{path}/{identifier}", {"include": "partner"}),
             (path, one), (f"{path}.csv", one), (path, {**one, "count": "exact"}), (path, {**one, "q": "zebra", "count": "exact"}),
             (path, {**one, "as_of": "2999-01-01T00:00:00Z"}), (f"{path}/{identifier}", {"as_of": "2999-01-01T00:00:00Z"})]
    asked += [(path, {**one, **more, "count": "exact"}) for more in ({"external_id": "hidden-1"}, {"external_id.null": "true"}, {"external_id.ne": "nothing"},
                                                                     {"external_id.contains": "hidden"}, {"notes": "a word"}, {"notes.contains": "zebra"},
                                                                     {"sort": "external_id"}, {"sort": "-updated_at"}, {"sort": "notes"}, {"created_by.null": "true"},
                                                                     {"fields": "id,external_id"}, {"fields": "notes"}, {"fields": "grants,created_by"})]
    if client.token is None:
        asked += [(path, {**one, **more, "count": "exact"}) for more in ({"support_need": "low"}, {"support_need.null": "true"}, {"hours.null": "true"},
                                                                         {"planned_hours.gte": "9"}, {"hours": "3"}, {"fields": "hours"}, {"sort": "hours"})]
    if resource == "activities":
        asked += [(f"{path}.geojson", one), (f"{path}/{identifier}.geojson", {})]
    found = []
    for target, params in asked:
        answer = client.get(target, params=params, headers={"X-Request-Id": "always-the-same"})
        headers = {name: value for name, value in answer.headers.items() if name not in ("date", "ratelimit")}
        found.append((target, params, answer.status, headers, answer.body))
    return found


@pytest.mark.parametrize("resource, field", [(resource, field) for resource, fields in HIDDEN.items() for field in fields])
def test_a_hidden_field_changes_no_byte(cluster, server, partner, other, resource, field):
    """Its value is changed in the table, past every trigger, so that nothing else differs: status, header fields (ETag, Content-Length) and body stay."""
    title = "name" if resource == "communities" else "title"
    kind = {"communities": {"kind": "interest"}, "activities": {"kind": "event"}}.get(resource, {})
    record = partner.officer.post(f"/v1/{resource}", {title: unique("Hidden"), "visibility": "public", **kind}).json()
    one, two = (value % other.id if isinstance(value, str) and "%s" in value else value for value in HIDDEN[resource][field])
    readers = [Client(server, None, None), *([Client(server, None, None, other.manager.token)] if field not in ("support_need", "planned_hours", "hours") else [])]
    table = {"communities": "community", "consultations": "consultation", "activities": "activity"}[resource]
    before = None
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for value in (one, two):
            cursor.execute(f"UPDATE wardmote.{table} SET {field} = %s WHERE id = %s", (value, record["id"]))
            assert cursor.rowcount == 1
            seen = [battery(reader, resource, record["id"]) for reader in readers]
            assert before is None or [row for rows in seen for row in rows] == [row for rows in before for row in rows]
            before = seen
    assert any(row[2] == 200 for row in before[0])


# --- time ---

class Stopwatch:
    """One keep-alive connection with its requests written beforehand: what is measured is from the first byte sent to the last byte read, at the socket."""

    def __init__(self, server, token):
        self._connection = http.client.HTTPConnection(server.host, server.port)
        self._connection.connect()
        self._socket = self._connection.sock
        self._fields = f"Host: {server.host}:{server.port}\r\nAuthorization: Bearer {token}\r\nX-Request-Id: always-the-same\r\n"

    def request(self, method, path, more="", body=""):
        length = f"Content-Length: {len(body)}\r\nContent-Type: application/merge-patch+json\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{self._fields}{more}{length}\r\n{body}".encode()

    def time(self, request):
        """(seconds, status)."""
        begun = time.perf_counter()
        self._socket.sendall(request)
        answer = self._socket.recv(65536)
        while not answer.endswith(b"}"):
            answer += self._socket.recv(65536)
        return time.perf_counter() - begun, int(answer[9:12])

    def close(self):
        self._connection.close()


def interval(values):
    """The median, and where it lies with 99.9 % confidence whatever the distribution: order statistics (3.29 standard deviations of the binomial)."""
    values = sorted(values)
    reach = math.ceil(3.29 * math.sqrt(len(values)) / 2)
    middle = len(values) // 2
    return values[max(0, middle - reach)], statistics.median(values), values[min(len(values) - 1, middle + reach)]


def compare(watch, foreign, absent, rounds):
    """The two kinds by turns, which is first by turns too, so that drift and caches serve both alike."""
    times = {foreign: [], absent: []}
    for turn in range(rounds):
        for request in ((foreign, absent) if turn % 2 else (absent, foreign)):
            seconds, status = watch.time(request)
            assert status == 404
            times[request].append(seconds * 1e6)
    return times[foreign], times[absent]


OPERATIONS = {"GET": ("GET", "/v1/communities/{id}", "", ""), "PATCH": ("PATCH", "/v1/communities/{id}", "If-Match: *\r\n", '{"name":"Another"}'),
              "DELETE": ("DELETE", "/v1/communities/{id}", "If-Match: *\r\n", ""), "history": ("GET", "/v1/communities/{id}/history", "", ""),
              "as of": ("GET", "/v1/communities/{id}?as_of=2999-01-01T00:00:00Z", "", "")}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_hidden_takes_as_long_as_the_absent(server, partner, other, operation, record_property):
    """For an id of another partner's private record and one of the same shape that never was. The median of the differences in pairs must be able to lie within
    25 us: on a busy machine its interval is wide, and says no more than that."""
    record = partner.officer.post("/v1/communities", {"name": unique("Hidden"), "kind": "interest"}).json()
    ghost = record["id"][:-4] + ("0000" if record["id"][-4:] != "0000" else "1111")
    method, path, more, body = OPERATIONS[operation]
    watch = Stopwatch(server, other.officer.token)
    requests = [watch.request(method, path.replace("{id}", identifier), more, body) for identifier in (record["id"], ghost)]
    compare(watch, *requests, 50)  # plans and caches
    foreign, absent = compare(watch, *requests, ROUNDS if operation == "GET" else ROUNDS // LESS)
    watch.close()
    low, median, high = interval([one - two for one, two in zip(foreign, absent)])
    found = (f"{operation}: {len(foreign)} each; medians {statistics.median(foreign):.1f} us foreign, {statistics.median(absent):.1f} us absent; tenths "
             f"{statistics.quantiles(foreign, n=10)[0]:.1f} and {statistics.quantiles(absent, n=10)[0]:.1f} us; a pair differs by {median:+.1f} us "
             f"({low:+.1f} to {high:+.1f} with 99.9 %)")
    print(f"\n{found}; {wardmote_server.binary()}")
    record_property("times", found)
    assert low < LIMIT and high > -LIMIT, found
