# SPDX-License-Identifier: AGPL-3.0-or-later
"""Idempotency-Key: many requests under few keys at once make exactly one record each; how long a key lives; and what it is a key of."""
import hashlib
import threading
import uuid

import pytest

from wardmote_records import unique

ANY = {"If-Match": "*"}


@pytest.fixture(scope="module", name="owner")
def _owner(cluster):
    """The database as its superuser, who can turn clocks back."""
    connection = cluster.connect("postgres")
    yield connection
    connection.close()


def create(client, key, name, **members):
    return client.post("/v1/communities", {"name": name, "kind": "interest", **members}, headers={"Idempotency-Key": key})


def named(client, name):
    return client.get("/v1/communities", params={"name": name, "count": "exact"}).json()["count"]


def test_each_of_many_keys_creates_once(partner):
    """Six clients send the same twenty requests in different orders and repeat what is in flight, as clients do."""
    word = unique("Exactly")
    keys = [str(uuid.uuid4()) for _ in range(20)]
    answers, faults = {}, []

    def send(number):
        client = partner.officer.as_token(partner.officer.token)
        waiting = keys[number * 3:] + keys[:number * 3]
        while waiting:
            key = waiting.pop(0)
            answer = create(client, key, f"{word} {keys.index(key)}")
            if answer.status == 201:
                answers.setdefault(key, []).append((answer.json()["id"], "idempotency-replayed" in answer.headers))
            elif answer.status == 409 and answer.json()["type"].endswith("/problems/in-flight"):
                waiting.append(key)
            else:
                faults.append(answer.text())
        client.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    for number, key in enumerate(keys):
        assert len(answers[key]) == 6 and len({identifier for identifier, _ in answers[key]}) == 1
        assert sorted(replayed for _, replayed in answers[key]) == [False] + [True] * 5
        assert named(partner.viewer, f"{word} {number}") == 1


def test_a_replay_is_the_first_answer_byte_by_byte(partner):
    key, name = unique("key"), unique("Replay")
    first = create(partner.officer, key, name)
    assert partner.officer.patch(first.headers["location"], {"name": "Changed since"}, headers=ANY).status == 200
    again = create(partner.officer, key, name)
    assert (again.status, again.body, again.etag, again.headers["location"]) == (201, first.body, first.etag, first.headers["location"])
    assert again.headers["idempotency-replayed"] == "true"


def test_a_replay_after_the_record_was_deleted_makes_no_other(partner):
    key, name = unique("key"), unique("Gone")
    first = create(partner.officer, key, name)
    assert partner.officer.delete(first.headers["location"], headers=ANY).status == 204
    again = create(partner.officer, key, name)
    assert named(partner.viewer, name) == 0
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (201, first.body, "true")


def test_only_what_was_stored_takes_up_a_key(partner, records):
    """Whatever is refused leaves the key free: what is refused for its data, for its state, for who asks."""
    key, body = unique("key"), {"name": unique("Free"), "kind": "place"}
    headers = {"Idempotency-Key": key}
    assert partner.officer.post("/v1/communities", body, headers=headers).status == 422
    assert partner.viewer.post("/v1/communities", body, headers=headers).status == 403
    reference = unique("ref")
    assert partner.officer.post("/v1/communities", {"name": "Taken", "kind": "interest", "external_id": reference}).status == 201
    assert create(partner.officer, key, "Second", external_id=reference).status == 409
    made = create(partner.officer, key, "Third")
    assert made.status == 201 and "idempotency-replayed" not in made.headers
    assert records is not None


def test_the_same_key_on_another_path_is_another_key(partner):
    key = unique("key")
    first = create(partner.officer, key, unique("Path"))
    second = partner.officer.post("/v1/consultations", {"title": "Path"}, headers={"Idempotency-Key": key})
    assert (first.status, second.status) == (201, 201) and "idempotency-replayed" not in second.headers


def test_bodies_are_compared_as_bytes_that_were_sent(partner):
    key = unique("key")
    text = b'{"name":"Bytes","kind":"interest"}'
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    assert partner.officer.post("/v1/communities", body=text, headers=headers).status == 201
    assert partner.officer.post("/v1/communities", body=text, headers=headers).headers["idempotency-replayed"] == "true"
    other = partner.officer.post("/v1/communities", body=text.replace(b"Bytes", b"Other"), headers=headers)
    assert other.status == 422 and other.json()["type"].endswith("/problems/key-reused")


@pytest.mark.parametrize("age, replayed", [("23 hours 59 minutes", True), ("24 hours 1 minute", False)])
def test_a_key_lives_for_a_day(partner, owner, age, replayed):
    key, name = unique("key"), unique("Aged")
    first = create(partner.officer, key, name)
    with owner.cursor() as cursor:
        cursor.execute("UPDATE wardmote.idempotency SET created_at = now() - %s::interval WHERE key = encode(sha256(%s), 'hex')", (age, key))
        assert cursor.rowcount == 1
    again = create(partner.officer, key, name)
    assert again.status == 201 and ("idempotency-replayed" in again.headers) == replayed
    assert (again.json()["id"] == first.json()["id"]) == replayed
    assert named(partner.viewer, name) == (1 if replayed else 2)
    if not replayed:
        once_more = create(partner.officer, key, name)
        assert once_more.json()["id"] == again.json()["id"], "the second answer took the place of the first"


def test_keys_that_ended_are_swept(partner, owner):
    old, young = unique("key"), unique("key")
    for key in (old, young):
        assert create(partner.officer, key, "Swept").status == 201
    with owner.cursor() as cursor:
        cursor.execute("UPDATE wardmote.idempotency SET created_at = now() - interval '25 hours' WHERE key = encode(sha256(%s), 'hex')", (old,))
        cursor.execute("SELECT wardmote.forget_keys()")
        assert cursor.fetchone()[0] >= 1
        cursor.execute("SELECT array_agg(key) FROM wardmote.idempotency WHERE key IN (encode(sha256(%s), 'hex'), encode(sha256(%s), 'hex'))", (old, young))
        assert cursor.fetchone()[0] == [hashlib.sha256(young.encode()).hexdigest()]


def test_a_secret_is_shown_once_and_its_replay_says_where_to_get_another(partner, owner):
    key = unique("key")
    body = {"kind": "service", "role": "viewer", "name": unique("Service")}
    first = partner.manager.post("/v1/accounts", body, headers={"Idempotency-Key": key})
    again = partner.manager.post("/v1/accounts", body, headers={"Idempotency-Key": key})
    secret = first.json()["client_secret"]
    assert secret and again.json()["id"] == first.json()["id"]
    assert again.json()["client_secret"] is None and "POST /v1/accounts/{id}/secrets" in again.json()["note"]
    account = f"/v1/accounts/{first.json()['id']}/secrets"
    rotated = partner.manager.post(account, {}, headers={"Idempotency-Key": key})
    replayed = partner.manager.post(account, {}, headers={"Idempotency-Key": key})
    assert rotated.json()["client_secret"] != secret and replayed.json()["client_secret"] is None
    with owner.cursor() as cursor:
        secrets = [f"%{value}%" for value in (secret, rotated.json()["client_secret"])]
        cursor.execute("SELECT count(*) FROM wardmote.idempotency WHERE body LIKE ANY (%s)", (secrets,))
        assert cursor.fetchone()[0] == 0


def test_a_transition_under_a_key_happens_once(partner):
    body = {"title": unique("Once"), "everyone": True, "visibility": "shared", "open_on": "2030-01-01", "close_on": "2030-02-01"}
    record = partner.officer.post("/v1/consultations", body).json()
    path, headers = f"/v1/consultations/{record['id']}/transitions", {**ANY, "Idempotency-Key": unique("key")}
    first = partner.officer.post(path, {"to": "planned"}, headers=headers)
    again = partner.officer.post(path, {"to": "planned"}, headers=headers)
    assert (first.status, again.status) == (200, 200), again.text()
    assert again.body == first.body and again.headers["idempotency-replayed"] == "true"
    assert partner.viewer.get(f"/v1/consultations/{record['id']}").json()["version"] == 2


def test_a_key_of_one_record_is_another_key_on_the_next(partner):
    body = {"title": unique("Once"), "everyone": True, "visibility": "shared", "open_on": "2030-01-01", "close_on": "2030-02-01"}
    headers = {**ANY, "Idempotency-Key": unique("key")}
    for _ in range(2):
        record = partner.officer.post("/v1/consultations", body).json()
        answer = partner.officer.post(f"/v1/consultations/{record['id']}/transitions", {"to": "planned"}, headers=headers)
        assert answer.status == 200 and answer.json()["id"] == record["id"] and "idempotency-replayed" not in answer.headers


def test_a_key_where_it_means_nothing_is_no_fault(partner):
    """PUT and PATCH are repeatable as they are: the field is not looked at."""
    reference, headers = {"external_id": unique("ref")}, {"Idempotency-Key": unique("key")}
    for name in ("First", "Second"):
        answer = partner.officer.put("/v1/communities", {"name": name, "kind": "interest"}, params=reference, headers=headers)
        assert answer.status in (200, 201) and answer.json()["name"] == name and "idempotency-replayed" not in answer.headers


# --- the field itself ---

@pytest.mark.parametrize("key", ["", '""', "two words", "tab\tinside", 'quo"te', '"quo"te"', "back\\slash", "k" * 256, f'"{"k" * 256}"', "\u00e9"])
def test_a_key_is_a_short_visible_text(partner, key):
    answer = create(partner.officer, key, unique("No key"))
    assert answer.status == 400
    assert [fault.get("header") for fault in answer.json()["errors"]] in (["Idempotency-Key"], [None])


def test_a_key_is_the_same_with_and_without_quotes(partner):
    key, name = f"{uuid.uuid4()}!~", unique("Quoted")
    first, second = create(partner.officer, key, name), create(partner.officer, f'"{key}"', name)
    assert (first.status, second.status) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert create(partner.officer, f"{uuid.uuid4()}".ljust(255, "k"), unique("Long key")).status == 201


def test_the_faults_of_all_preconditions_are_told_at_once(partner):
    answer = partner.officer.put("/v1/communities", {"name": "x", "kind": "interest"}, params={"external_id": unique("many")},
                                 headers={"If-Match": "nonsense", "If-None-Match": '"1"', "Idempotency-Key": "two words"})
    assert answer.status == 400
    named_fields = [fault.get("header") for fault in answer.json()["errors"]]
    assert named_fields[:2] == ["If-Match", "If-None-Match"]


def test_a_replay_of_a_secret_is_for_who_sees_the_account(records, administrator, partner, host):
    """An account of another partner, which administrators see and managers of the host do not."""
    account = records.account_record(partner.id, "viewer")
    manager = records.account(host["partner_id"], "manager")
    records.account_record(host["partner_id"], "viewer")  # one that the manager sees
    path, headers = f"/v1/accounts/{account['id']}/secrets", {"Idempotency-Key": unique("key")}
    first, again = (administrator.post(path, {}, headers=headers) for _ in range(2))
    assert (first.status, again.status) == (201, 201) and again.headers["idempotency-replayed"] == "true"
    answer = manager.post(path, {}, headers=headers)
    assert answer.status == 404 and account["client_id"] not in answer.text()


def test_what_was_refused_is_asked_anew(partner):
    """The answer is kept of what was done. What the database refused may be possible the next time."""
    key, code = {"Idempotency-Key": unique("key")}, unique("topic")
    body = {"title": unique("Anew"), "topics": [code]}
    refused = [partner.officer.post("/v1/consultations", body, headers=key) for _ in range(2)]
    assert [(answer.status, answer.codes()) for answer in refused] == 2 * [(422, [("/topics/0", "not_found")])]
    assert partner.officer.post("/v1/codes", {"list": "topic", "code": code, "label": "Anew"}).status == 201
    assert partner.officer.post("/v1/consultations", body, headers=key).status == 201
