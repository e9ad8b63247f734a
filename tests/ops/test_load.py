# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote load` with folders that are wrong in every way that a person can make them: it stops at the record, says which one and why, and ends with 1."""
import json
import os
import subprocess
import uuid

import pytest

import wardmote_server


def load(server, host, *folders, options=(), **environment):
    return subprocess.run(
        [wardmote_server.binary(), "load", "--url", server.url, "--client-id", host["client_id"], *options, *map(str, folders)],
        env={"PATH": os.environ["PATH"], "WARDMOTE_CLIENT_SECRET": host["client_secret"], **environment}, capture_output=True, text=True, timeout=60, check=False)


def codes(*bodies, **members):
    """A file of shared codes: {"key": ..., "body": ...} each."""
    records = [{"key": f"k{i}", "body": body} for i, body in enumerate(bodies)]
    return {"resource": "codes", "match": [["list", "code"]], "records": records, **members}


def code(**members):
    return {"list": "topic", "code": f"c-{uuid.uuid4().hex[:12]}", "label": "Parks", "partner_id": None, **members}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    def write(*files):
        for i, content in enumerate(files):
            (tmp_path / f"{i:02}.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("content, said", [
    ("{", "00.json:1: "),
    ('{"resource": "codes", "resource": "codes", "records": []}', "duplicate object key"),
    ([], "Expected object"),
    ({"resource": "codes"}, "records"),
    ({"resource": "codes", "records": [], "extra": 1}, "extra"),
    ({"resource": "codes", "records": {}}, "records is not an array"),
    (codes(match=[]), "match is not an array of arrays"),
    (codes(match=[[]]), "match is not an array of arrays"),
    (codes(match=[["code"], [1]]), "match is not an array of arrays"),
    (codes(match="code"), "match is not an array of arrays"),
    (codes(defaults=[]), "defaults is not an object"),
    (codes([]), '"k0": body is not an object'),
    (codes(**{"records": [{"key": "a"}]}), "body"),
    (codes(**{"records": [{"key": "a", "body": {}, "colour": 1}]}), "colour"),
    (codes({"list": "topic", "code": "@codes/nothing", "label": "x"}), "@codes/nothing is not among the records loaded before"),
    (codes({"list": "topic", "code": ["@codes/nothing"], "label": "x"}), "@codes/nothing is not among the records loaded before"),
    (codes({"list": "topic", "code": {"a": "@codes/nothing"}, "label": "x"}), "@codes/nothing is not among the records loaded before"),
    (codes({"list": 7, "code": 7}), 'the first field of "match" is not a text of the record'),
    (codes(code(label="")), '"k0": POST /v1/codes'),
    (codes(code(colour="red")), "/colour: unknown_field"),
    (codes(code(), **{"as": "accounts/nobody"}), "nobody"),
    ({"resource": "nothings", "records": [{"key": "a", "body": {"external_id": "x"}}]}, "404 There is nothing here"),
])
def test_a_bad_file_is_named(server, host, folder, content, said):
    done = load(server, host, folder(content))
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert "00.json" in done.stderr


def test_what_was_stored_before_the_fault_is_found_again(server, host, folder):
    good, bad = code(), code(label="")
    assert load(server, host, folder(codes(good, bad))).returncode == 1
    again = load(server, host, folder(codes(good)))
    assert again.returncode == 0 and "0 created,    1 present" in again.stdout


def test_texts_that_begin_with_an_at_sign_are_written_with_two(server, host, folder, administrator):
    body = code(label="@@home")
    assert load(server, host, folder(codes(body))).returncode == 0
    assert administrator.get(f"/v1/codes?code={body['code']}").json()["items"][0]["label"] == "@home"


def test_an_empty_folder_and_none(server, host, tmp_path):
    (tmp_path / "notes.txt").write_text("not read", encoding="utf-8")
    (tmp_path / ".hidden.json").write_text("{", encoding="utf-8")
    done = load(server, host, tmp_path)
    assert done.returncode == 1 and "has no .json file" in done.stderr
    done = load(server, host, tmp_path / "none")
    assert done.returncode == 1 and "No such file" in done.stderr


def test_the_secret_comes_from_a_file_or_the_environment(server, host, folder, tmp_path):
    secret, empty = tmp_path / "secret", tmp_path / "empty"
    secret.write_text(host["client_secret"] + "\r\n", encoding="utf-8")
    empty.write_text("\n", encoding="utf-8")
    path = folder(codes(code()))
    nothing = {"WARDMOTE_CLIENT_SECRET": ""}
    assert load(server, host, path, options=["--client-secret-file", secret], **nothing).returncode == 0
    for options, said in ((["--client-secret-file", empty], "the file holds no secret"), (["--client-secret-file", tmp_path / "none"], "No such file"),
                          ([], "missing, and so is WARDMOTE_CLIENT_SECRET")):
        done = load(server, host, path, options=options, **nothing)
        assert done.returncode == 1 and said in done.stderr, done.stderr


def test_a_wrong_secret_and_a_server_that_is_not_there(server, host, folder):
    path = folder(codes(code()))
    done = load(server, {**host, "client_secret": "wms_wrong"}, path)
    assert done.returncode == 1 and "401" in done.stderr
    done = load(server, host, path, options=["--url", "http://127.0.0.1:1"])
    assert done.returncode == 1 and "wardmote load: http://127.0.0.1:1:" in done.stderr


def test_a_slash_at_the_end_of_the_url_is_no_matter(server, host, folder):
    assert load(server, host, folder(codes(code())), options=["--url", f"{server.url}/"]).returncode == 0


def test_a_busy_server_is_waited_for(start_server, host, folder):
    """The limit lets a few requests through at once and then one a second: the rest come when they may."""
    slow = start_server(rate_account=60)
    done = load(slow, host, folder(codes(*(code() for _ in range(33)))))
    assert done.returncode == 0 and "33 created" in done.stdout, done.stderr
