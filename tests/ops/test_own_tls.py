# SPDX-License-Identifier: AGPL-3.0-or-later
"""The server with a certificate of its own: settings, answers, a reload by signal, metrics, what the doctor says. How TLS is spoken is in tests/wire/test_tls.py."""
import datetime
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess

import pytest

import wardmote_server
from wardmote_certificates import Authority
from wardmote_suite import until


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("own-tls"))


@pytest.fixture(scope="module", name="secure")
def _secure(authority, start_server):
    certificate, key = authority.issue("listener")
    server = start_server(tls_certificate=certificate, tls_key=key, public_url="https://localhost", hsts_seconds=86400)
    server.files = (certificate, key)
    server.context = ssl.create_default_context(cafile=authority.path)
    return server


def ask(server, method="GET", target="/v1/partners?limit=1", body=None, **fields):
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=30, context=server.context)
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
    answer = connection.getresponse()
    answer.body = answer.read()
    answer.serial = connection.sock.getpeercert()["serialNumber"] if connection.sock else None
    connection.close()
    return answer


def test_answers_over_tls(secure, host):
    answer = ask(secure)
    assert answer.status == 200 and answer.headers["Strict-Transport-Security"] == "max-age=86400"
    form = f"grant_type=client_credentials&client_id={host['client_id']}&client_secret={host['client_secret']}"
    answer = ask(secure, "POST", "/oauth/token", form, Content_Type="application/x-www-form-urlencoded")
    assert answer.status == 200
    token = json.loads(answer.body)["access_token"]
    answer = ask(secure, "GET", "/v1/localities?limit=all", Authorization=f"Bearer {token}")
    assert answer.status == 200 and "items" in json.loads(answer.body)
    assert '"protocol":"https"' in secure.log()


def test_a_new_certificate_at_a_signal(secure, authority):
    serial = ask(secure).serial
    for new, old in zip(authority.issue("renewed", days=(-1, 300)), secure.files):
        os.replace(new, old)
    secure.process.send_signal(signal.SIGHUP)
    until(lambda: ask(secure).serial != serial, 10)
    assert "certificate loaded" in secure.log()
    serial, kept = ask(secure).serial, pathlib.Path(secure.files[1]).read_bytes()
    left = secure.metric("tls_certificate_not_after_timestamp_seconds") - datetime.datetime.now().timestamp()
    assert 299 < left / 86400 <= 300
    pathlib.Path(secure.files[1]).write_text("nothing", encoding="ascii")
    secure.process.send_signal(signal.SIGHUP)
    until(lambda: "certificate not loaded, the old one stays" in secure.log(), 10)
    assert ask(secure).serial == serial
    pathlib.Path(secure.files[1]).write_bytes(kept)
    assert secure.metric("tls_handshakes_total", 'result="done"') >= 3


def doctor(cluster, keys, *settings):
    done = subprocess.run([wardmote_server.binary(), "doctor", "--database", cluster.uri("wardmote_api"), "--key-dir", keys, *settings],
                                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


@pytest.mark.parametrize("days, level, said", [((-1, 90.5), "ok", "for 90 days still"), ((-1, 5.5), "warn", "expires in 5 days"), ((-9, -1), "fail", "has expired"),
                                               ((1, 9), "fail", "is not valid yet")])
def test_what_the_doctor_says_of_it(cluster, keys, authority, days, level, said):
    certificate, key = authority.issue("seen", days=days)
    found = [line for line in doctor(cluster, keys, "--tls-certificate", certificate, "--tls-key", key).splitlines() if " certificate " in line]
    assert len(found) == 1 and found[0].startswith(level) and said in found[0]


def test_what_the_doctor_says_of_a_pair_that_does_not_fit(cluster, keys, authority):
    certificate, _ = authority.issue("one")
    _, key = authority.issue("two")
    said = doctor(cluster, keys, "--tls-certificate", certificate, "--tls-key", key, "--public-url", "http://engage.example.org")
    assert "does not belong to the first certificate" in said
    assert "the listener speaks TLS, but public_url is not https" in said


def test_settings(authority, start_server):
    certificate, key = authority.issue("settings")
    shown = wardmote_server.run(["config", "--tls-certificate", certificate, "--tls-key", key, "--listen", "127.0.0.1:8443"])
    assert "public_url = https://127.0.0.1:8443\n" in shown
    for alone in (["--tls-certificate", certificate], ["--tls-key", key]):
        with pytest.raises(RuntimeError, match="tls_certificate and tls_key go together"):
            wardmote_server.run(["config", *alone])
    with pytest.raises(RuntimeError, match="ended with 1.*TLS: cannot read the key"):
        start_server(tls_certificate=certificate, tls_key=key + ".none")


def test_an_expired_certificate_is_told_at_the_start(authority, start_server):
    certificate, key = authority.issue("expired", days=(-9, -1))
    server = start_server(tls_certificate=certificate, tls_key=key, public_url="https://localhost")
    assert "the certificate needs to be renewed" in server.log() and "has expired" in server.log()
