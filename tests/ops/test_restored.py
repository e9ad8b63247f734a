# SPDX-License-Identifier: AGPL-3.0-or-later
"""What follows a restore, without one: the era, in tags and cursors, and the list of the erased. tests/install/test_backup.py restores."""
import json
import subprocess

import pytest

import wardmote_server
from wardmote_client import Client
from wardmote_suite import until

DATABASE = "restored"


def command(cluster, *arguments):
    return subprocess.run([wardmote_server.binary(), *arguments, "--database", cluster.uri("wardmote_owner", DATABASE)], capture_output=True, text=True, timeout=60, check=False)


def tell(cluster):
    """What an administrator does with the script."""
    script = wardmote_server.run(["restored", "--database-name", DATABASE])
    subprocess.run([f"{cluster.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", cluster.uri("postgres", "postgres")], input=script, text=True, capture_output=True,
                   timeout=60, check=True)


@pytest.fixture(scope="module", name="site")
def _site():
    cluster = wardmote_server.Cluster()
    cluster.setup(DATABASE)
    account = wardmote_server.make_administrator(cluster, DATABASE)
    server = wardmote_server.Server(cluster, wardmote_server.make_keys(cluster), DATABASE)
    public = Client(server, None, None)
    yield cluster, server, public.as_token(public.token_for(account["client_id"], account["client_secret"]))
    server.close()
    cluster.close()


def test_an_era_is_told_from_the_one_before(site):
    cluster, server, client = site
    path = "/v1/communities/" + client.post("/v1/communities", {"name": "Era", "kind": "interest"}).json()["id"]
    tags, cursors = [], []
    for _ in range(3):
        tags.append(client.get(path).etag)
        cursors.append(until(lambda: (lambda page: page["items"] and page["cursor"])(client.get("/v1/changes").json())))
        assert client.get("/v1/changes", params={"after": cursors[-1]}).status == 200
        assert server.stop() == 0
        tell(cluster)
        server.start()
    assert len(set(tags)) == 3, "each restore has an era of its own"
    today = client.get(path)
    assert today.json()["version"] == 1 and client.get(path, headers={"If-None-Match": today.etag}).status == 304
    for tag, cursor in zip(tags, cursors):
        assert client.get(path, headers={"If-None-Match": tag}).status == 200
        assert client.patch(path, {"description": "late"}, headers={"If-Match": tag}).status == 412
        refused = client.get("/v1/changes", params={"after": cursor})
        assert refused.status == 400 and refused.codes() == [("after", "cursor")] and "restore" in refused.json()["errors"][0]["detail"]
    assert client.patch(path, {"description": "now"}, headers={"If-Match": today.etag}).status == 200


def test_lines_that_are_none(site, tmp_path):
    """What was done before the wrong line stays done."""
    cluster, _, client = site
    record = client.post("/v1/communities", {"name": "Line", "kind": "interest", "description": "names a person"}).json()["id"]
    line = {"at": "2026-11-02T10:00:00.000001Z", "resource": "communities", "id": record, "fields": ["description"]}
    path = tmp_path / "list"
    path.write_text(json.dumps({**line, "id": "01a20080-00d4-7ffa-af50-f19c9820edeb"}) + "\n\n" + json.dumps(line) + "\n" + json.dumps(line) + "\n")
    done = command(cluster, "erasures", "--again", str(path))
    assert done.returncode == 0 and done.stdout == "1 erased again, 1 known, 1 of records that are not there\n", (done.stdout, done.stderr)
    assert client.get(f"/v1/communities/{record}").json()["description"] is None
    assert command(cluster, "erasures").stdout == json.dumps(line).replace('": ', '" : ') + "\n"
    for wrong, said in (("{}", "no line of"), ("nonsense", "json"), (json.dumps({**line, "resource": "nothings", "at": "2026-11-02T10:00:00Z"}), "no such resource"),
                        (json.dumps({**line, "fields": ["status"], "at": "2026-11-02T10:00:00Z"}), "not each of these fields")):
        path.write_text(json.dumps(line) + "\n" + wrong + "\n")
        done = command(cluster, "erasures", "--again", str(path))
        assert done.returncode == 1 and said in done.stderr and "0 erased again, 1 known" in done.stdout, (wrong, done.stdout, done.stderr)


def test_what_came_after_is_not_undone(site, tmp_path):
    """An account that was disabled, listed and enabled again: the list of then is known. And a line that fails keeps nobody waiting."""
    cluster, _, client = site
    me = client.get("/v1/me").json()
    made = client.post("/v1/accounts", {"partner_id": me["partner_id"], "kind": "service", "role": "viewer", "name": "Comes back"}).json()
    path = f"/v1/accounts/{made['id']}"
    assert client.patch(path, {"disabled": True}, headers={"If-Match": "*"}).status == 200
    listed = command(cluster, "erasures").stdout
    assert made["id"] in listed
    assert client.patch(path, {"disabled": False}, headers={"If-Match": "*"}).status == 200
    kept = tmp_path / "kept"
    kept.write_text("{}\n" + listed)
    done = command(cluster, "erasures", "--again", str(kept))
    assert done.returncode == 1 and "line 1: " in done.stderr and done.stdout.startswith("0 erased again"), (done.stdout, done.stderr)
    assert client.get(path).json()["disabled"] is False


def test_doctor_notices_another_cluster(site):
    cluster, _, client = site
    with cluster.connect("postgres", DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE wardmote.origin SET system_identifier = 1")
    arguments = ["doctor", "--json", "--database", cluster.uri("wardmote_api", DATABASE), "--key-dir", f"{cluster.folder}/keys"]

    def origin():
        done = subprocess.run([wardmote_server.binary(), *arguments], capture_output=True, text=True, timeout=60, check=False)
        return next(row for row in json.loads(done.stdout)["findings"] if row["check"] == "origin"), done.returncode

    row, status = origin()
    assert row["level"] == "fail" and "wardmote restored" in row["mend"] and status == 1
    tell(cluster)
    assert origin()[0]["level"] == "ok"
    assert client.get("/v1/me").status == 200
