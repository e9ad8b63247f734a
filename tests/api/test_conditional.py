# SPDX-License-Identifier: AGPL-3.0-or-later
"""ETags: one for each representation, all of them good for If-Match; 304 and 412; what caches may do."""
import contextlib
import gzip
import json

import pytest

import wardmote_wire as wire
from wardmote_client import Client
from wardmote_records import unique
from wardmote_suite import COVERAGE


@pytest.fixture(name="record")
def _record(partner):
    body = {"name": unique("Tags"), "kind": "interest", "visibility": "public", "description": "A long text that is worth compressing. " * 60}
    answer = partner.officer.post("/v1/communities", body)
    assert answer.status == 201, answer.text()
    return answer.json()


def path(record):
    return f"/v1/communities/{record['id']}"


def representations(client, record):
    """(query, header fields) of the ways to read one record."""
    for params, headers in (({}, {}), ({"fields": "name"}, {}), ({"include": "partner"}, {}), ({}, {"Accept-Encoding": "gzip"}),
                            ({}, {"Accept": "text/csv"})):
        yield client.get(path(record), params=params, headers=headers)


def test_each_representation_has_its_own_tag(partner, record):
    tags = [answer.etag for answer in representations(partner.officer, record)]
    assert len(set(tags)) == len(tags)
    assert not any(tag.startswith("W/") for tag in tags)


def test_the_tag_of_any_representation_is_good_for_a_change(partner, record):
    for number in range(5):
        tag = list(representations(partner.officer, record))[number].etag
        answer = partner.officer.patch(path(record), {"description": f"Changed {number} " + "again and again. " * 80}, headers={"If-Match": tag})
        assert answer.status == 200, answer.text()
        assert partner.officer.patch(path(record), {"description": None}, headers={"If-Match": tag}).status == 412


def test_a_list_of_tags_and_a_star(partner, record):
    tag = partner.officer.get(path(record)).etag
    version = tag.split("-")[0]
    assert partner.officer.patch(path(record), {"seldom_heard": True}, headers={"If-Match": f'{version}-0123456789abcdef", {tag}'}).status == 200
    answer = partner.officer.patch(path(record), {"seldom_heard": False}, headers={"If-Match": f'"7-0123456789abcdef", {tag}'})
    assert answer.codes() == [("If-Match", "format")], "tags of several versions say nothing that could be meant"
    assert partner.officer.patch(path(record), {"seldom_heard": False}, headers={"If-Match": "*"}).status == 200
    assert partner.officer.patch(path(record), {"seldom_heard": True}, headers={"If-Match": '"someone-elses"'}).status == 412
    assert partner.officer.patch(path(record), {"seldom_heard": True}, headers={"If-Match": f"W/{tag}"}).status == 412


def test_a_tag_of_another_timeline_in_the_first_moment_of_a_server(server, start_server, partner, record):
    """The request is there before the server has asked its database who it is."""
    starting = start_server(public_url=server.url)
    starting.stop()
    tag, body = partner.officer.get(path(record)).etag.replace('"1-', '"1.2-'), b'{"description": "over it"}'
    assert partner.officer.patch(path(record), {"description": "over it"}, headers={"If-Match": tag}).status == 412
    with wire.Client((starting.host, starting.port), timeout=60) as client:
        client.send(wire.request(b"Authorization: Bearer %s\r\nContent-Type: application/merge-patch+json\r\nIf-Match: %s\r\nContent-Length: %d\r\n"
                            % (partner.officer.token.encode(), tag.encode(), len(body)), b"PATCH", path(record).encode(), body=body))
        starting.start()
        assert client.answer().status == 412
    assert partner.officer.get(path(record)).json()["version"] == 1


def test_where_the_database_keeps_its_timeline_to_itself(cluster, server, start_server, contract, partner, record):
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
        try:
            there = Client(start_server(public_url=server.url), contract, COVERAGE, token=partner.officer.token)
            for number in range(2):
                tag = there.get(path(record)).etag
                assert there.patch(path(record), {"description": f"{number}"}, headers={"If-Match": tag}).status == 200
                assert there.patch(path(record), {"description": None}, headers={"If-Match": tag}).status == 412
        finally:
            cursor.execute("GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO PUBLIC")


def test_not_modified(partner, record):
    for params in ({}, {"fields": "name"}, {"include": "partner"}):
        first = partner.officer.get(path(record), params=params)
        again = partner.officer.get(path(record), params=params, headers={"If-None-Match": f'"other", W/{first.etag}'})
        assert again.status == 304 and again.body == b"" and again.etag == first.etag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert partner.officer.get(path(record), headers={"If-None-Match": "*"}).status == 304


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}, {"Accept": "text/csv"}], ids=["plain", "gzip", "csv"])
def test_what_is_known_until_it_changes(partner, record, headers):
    """A record of the version that the client names is not even rendered; of any other version it is."""
    known = partner.officer.get(path(record), headers=headers)
    assert partner.officer.get(path(record), headers={**headers, "If-None-Match": known.etag}).status == 304
    changed = partner.officer.patch(path(record), {"seldom_heard": True}, headers={"If-Match": known.etag})
    fresh = partner.officer.get(path(record), headers={**headers, "If-None-Match": known.etag})
    assert changed.status == fresh.status == 200 and fresh.etag != known.etag and len(fresh.body) > 0
    old = partner.officer.get(path(record), params={"as_of": record["updated_at"]}, headers={**headers, "If-None-Match": known.etag})
    assert old.status == 304, "the version of that moment is the one that is known"
    other = {**headers, "Accept": "text/csv" if "Accept" not in headers else "application/json"}
    assert partner.officer.get(path(record), headers={**other, "If-None-Match": fresh.etag}).status == 200, "a tag of another form"


def test_a_tag_tells_nothing_of_what_may_not_be_seen(partner, other, record):
    tag = partner.officer.get(path(record)).etag
    hidden = partner.officer.patch(path(record), {"visibility": "private"}, headers={"If-Match": tag})
    for client in (other.officer, partner.officer):
        answer = client.get(path(record), headers={"If-None-Match": hidden.etag})
        assert answer.status == (304 if client is partner.officer else 404)


def test_not_modified_varies_as_the_answer_would(partner, record):
    for target in ("/openapi.json", path(record), "/v1/communities"):
        whole = partner.officer.get(target, headers={"Accept-Encoding": "gzip"})
        same = partner.officer.get(target, headers={"Accept-Encoding": "gzip", "If-None-Match": whole.etag})
        assert same.status == 304 and same.headers["vary"] == whole.headers["vary"] and "Accept-Encoding" in whole.headers["vary"]


def test_a_short_list_with_long_links_has_two_tags(partner):
    """What decides about compression is the length of all that is sent."""
    params = {"limit": 1, "name.ne": "x" * 1000, "fields": "name"}
    plain = partner.officer.get("/v1/communities", params=params)
    coded = partner.officer.get("/v1/communities", params=params, headers={"Accept-Encoding": "gzip"})
    assert coded.headers.get("content-encoding") == "gzip" and json.loads(gzip.decompress(coded.body))["items"] == plain.json()["items"]
    assert coded.etag != plain.etag


def test_an_included_record_that_changes_changes_the_tag(records):
    owner = records.partner()
    record = owner.officer.post("/v1/communities", {"name": unique("Tags"), "kind": "interest"}).json()
    before = owner.officer.get(path(record), params={"include": "partner"}).etag
    assert records.administrator.patch(f"/v1/partners/{owner.id}", {"name": unique("New name")}, headers={"If-Match": "*"}).status == 200
    assert owner.officer.get(path(record), params={"include": "partner"}).etag != before


def test_lost_update_is_refused(partner, record):
    tag = partner.officer.get(path(record)).etag
    assert partner.officer.patch(path(record), {"name": "First"}, headers={"If-Match": tag}).status == 200
    assert partner.manager.patch(path(record), {"name": "Second"}, headers={"If-Match": tag}).status == 412
    assert partner.viewer.get(path(record)).json()["name"] == "First"


def test_a_change_that_changes_nothing_makes_no_version(partner, record):
    answer = partner.officer.patch(path(record), {"name": record["name"]}, headers={"If-Match": "*"})
    assert answer.status == 200 and answer.json()["version"] == 1


def test_gzip_is_the_same_record(partner, record):
    plain = partner.officer.get(path(record))
    coded = partner.officer.get(path(record), headers={"Accept-Encoding": "gzip"})
    assert coded.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in coded.headers["vary"]
    assert json.loads(gzip.decompress(coded.body)) == plain.json()


def test_caches_keep_what_is_the_same_for_all_only(partner, anonymous, record):
    assert anonymous.get(path(record)).headers["cache-control"] == "public, no-cache"
    assert partner.viewer.get(path(record)).headers["cache-control"] == "private, no-cache"
    assert partner.viewer.get("/v1/me").headers["cache-control"] == "no-store"
    assert "Authorization" in anonymous.get(path(record)).headers["vary"]


def test_personal_data_are_not_stored_by_caches(partner, anonymous):
    body = {"title": unique("Tags"), "contact": "The engagement team, engagement@example.org", "visibility": "public"}
    record = partner.officer.post("/v1/consultations", body).json()
    consultation = f"/v1/consultations/{record['id']}"
    assert anonymous.get(consultation).headers["cache-control"] == "no-store"
    assert partner.manager.get("/v1/accounts").headers["cache-control"] == "no-store"
