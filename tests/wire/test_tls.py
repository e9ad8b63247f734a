# SPDX-License-Identifier: AGPL-3.0-or-later
"""TLS of the listener itself: what is spoken, that the gate judges the same bytes in the same way, handshakes that stop in the middle, certificates that change
under load, and a drain. Certificate files are made here."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from wire_corpus import ACCEPTED, REFUSED, name_of

import wardmote_wire
from wardmote_certificates import Authority
from wardmote_suite import until
from wardmote_wire import HOST, Client, request, serving

OLD = ssl.TLSVersion.TLSv1_1
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module", name="authority")
def _authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def secure(authority, stem="server", **limits):
    certificate, key = authority.issue(stem)
    with serving(certificate=certificate, key=key, **limits) as server:
        server.files = (certificate, key)
        server.address.context = ssl.create_default_context(cafile=authority.path)
        server.address.context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end that was not announced is an error
        yield server


@pytest.fixture(scope="module", name="echo")
def _echo(authority):
    with secure(authority) as server:
        yield server


@pytest.fixture(scope="module", name="plain")
def _plain():
    with serving() as server:
        yield server


def context_of(server, **versions):
    """Another context for the same server: minimum=, maximum=."""
    context = ssl.create_default_context(cadata=None)
    context.load_verify_locations(cadata="".join(ssl.DER_cert_to_PEM_cert(der) for der in server.address.context.get_ca_certs(binary_form=True)))
    context.minimum_version = versions.get("minimum", ssl.TLSVersion.TLSv1_2)
    context.maximum_version = versions.get("maximum", ssl.TLSVersion.TLSv1_3)
    return context


def connect(server, context=None, session=None, name="localhost"):
    raw = socket.create_connection(tuple(server.address), timeout=10)
    return (context or server.address.context).wrap_socket(raw, server_hostname=name, session=session)


def serial_of(server):
    with connect(server) as client:
        return client.getpeercert()["serialNumber"]


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_that_are_spoken(echo, version):
    with connect(echo, context_of(echo, minimum=version, maximum=version)) as client:
        assert client.version() == version.name.replace("_", ".")
        name, _, bits = client.cipher()
        assert ("GCM" in name or "CHACHA20" in name) and bits >= 128


def test_older_versions_are_refused(echo):
    context = context_of(echo, minimum=ssl.TLSVersion.TLSv1, maximum=OLD)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(echo, context)
    weak = context_of(echo, maximum=ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("AES128-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(echo, weak)


def test_alpn_and_names(echo):
    context = context_of(echo)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(echo, context) as client:
        assert client.selected_alpn_protocol() == "http/1.1"
    context.check_hostname = False
    with connect(echo, context, name=None) as client:  # no server name at all
        client.sendall(request())
        assert client.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_taken_up_again(echo, version):
    context = context_of(echo, minimum=version, maximum=version)
    with connect(echo, context) as client:
        client.sendall(request())
        client.recv(1000)
        session = client.session
    with connect(echo, context, session=session) as client:
        assert client.session_reused
        client.sendall(request())
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def told(address, data):
    """Status, fields and body of what comes for a message, and whether the end follows."""
    with Client(address) as client:
        client.send(data)
        with contextlib.suppress(socket.timeout):
            answer = client.answer()
            if answer is None:
                return None
            return answer.status, {name: value for name, value in answer.fields.items() if name != "date"}, answer.body
    return "silence"


@pytest.mark.parametrize("row", REFUSED + [row for row in ACCEPTED if len(row["requests"]) == 1 and row.get("closes")], ids=name_of)
def test_the_gate_sees_the_same_bytes(echo, plain, row):
    data = row["data"] if 0 not in row.get("status", [1]) else row["data"] + b"\r\n\r\n"
    assert told(echo.address, data) == told(plain.address, data)


def test_long_bodies_both_ways(echo):
    size = 3 << 20
    with Client(echo.address) as client:
        client.send(request(b"Content-Length: %d\r\n" % size, b"POST", b"/large", body=b"x" * size))
        assert json.loads(client.answer().body)["length"] == size
        client.send(request(target=b"/big?bytes=%d&vectors=3" % size))
        body = client.answer().body
        assert len(body) == size and body[:3] == b"abc"


def test_a_stream_comes_as_it_is_made(echo):
    with Client(echo.address) as client:
        client.send(request(target=b"/stream?ms=400"))
        begun = time.monotonic()
        while b"It begins." not in client.rest:
            assert client.fill()
        assert time.monotonic() - begun < 0.3
        while not client.rest.endswith(b"\r\n0\r\n\r\n"):
            assert client.fill()


@pytest.mark.parametrize("how", [b"/stream?ms=20&cut", b"/stream?ms=0&cut"])
def test_what_is_cut_off_shows(echo, how):
    """No end is announced that was none: neither of the chunks nor of the session."""
    with connect(echo) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        client.suppress_ragged_eofs = False
        client.sendall(request(target=how))
        while client.recv(1000):
            pass


def test_an_idle_end_is_announced(authority):
    with secure(authority, idle=200) as server, connect(server) as client:
        client.suppress_ragged_eofs = False
        client.sendall(request())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        while client.recv(1000):  # an end that was not announced is an error here
            pass


def test_clients_that_leave_without_a_word(echo):
    for _ in range(20):
        client = connect(echo)
        client.sendall(request(target=b"/suspend?ms=50"))
        socket.socket.close(client)  # without the session's end
    until(lambda: echo.stats()["connections"] == 1, 5)


def test_renegotiation_is_refused(echo):
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{echo.address[1]}", "-tls1_2", "-legacy_server_connect"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        client.stdin.write(b"R\n")
        client.stdin.flush()
        client.wait(10)  # its input stays open: it is the server that ends it
        said = client.stdout.read()
    assert said.rstrip().endswith(b"RENEGOTIATING\nclosed"), said


def test_plain_http_on_the_port_is_no_request(echo):
    with socket.create_connection(tuple(echo.address), timeout=10) as client:
        client.sendall(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in client.recv(1000)


def first_half():
    """The beginning of a handshake, as a client of TLS 1.3 sends it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return outgoing.read()


def test_handshakes_that_stop_cost_nothing_and_end(authority):
    """By the deadline of the head. Meanwhile the others are served, and the worker rests."""
    hello = first_half()
    with secure(authority, header=1500) as server, contextlib.ExitStack() as stack:
        begun = time.monotonic()
        stopped = []
        for number in range(150):
            client = stack.enter_context(socket.create_connection(tuple(server.address), timeout=10))
            client.sendall(hello[:[0, 1, 5, 100, len(hello)][number % 5]])
            stopped.append(client)
        cpu_ms = server.stats()["cpu_ms"]
        time.sleep(0.5)
        spent = server.stats()["cpu_ms"] - cpu_ms
        assert spent < 150, f"{spent} ms of computing for clients that do nothing"
        until(lambda: server.stats()["connections"] == 1, 10)
        assert time.monotonic() - begun < 8
        assert server.stats()["failed"] >= 150
        for client in stopped:
            with contextlib.suppress(ConnectionError):
                while client.recv(4096):
                    pass


def test_a_handshake_byte_by_byte(echo):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = echo.address.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(tuple(echo.address), timeout=10) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    raw.sendall(bytes([byte]))
                incoming.write(raw.recv(65536))
        session.write(request())
        for byte in outgoing.read():
            raw.sendall(bytes([byte]))
        answer = b""
        while b"}" not in answer:
            incoming.write(raw.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    answer += session.read()
        assert answer.startswith(b"HTTP/1.1 200")


def test_deadlines_answer_through_tls(authority):
    with secure(authority, header=400, body=600) as server:
        with Client(server.address) as client:
            client.send(b"GET /echo HT")
            client.send(b"TP/1.1\r\nHost: a\r\n")
            assert client.answer().status == 408 and client.closed()
        with Client(server.address) as client:
            client.send(request(b"Content-Length: 10\r\n", b"POST"))
            assert client.answer().status == 408 and client.closed()


def test_a_full_server_says_so_through_tls(authority):
    with secure(authority, connections=10) as server, contextlib.ExitStack() as stack:
        for _ in range(9):
            client = stack.enter_context(Client(server.address))
            client.send(request())
            assert client.answer().status == 200
        with Client(server.address) as client:
            client.send(request())
            assert client.answer().status == 503 and client.closed()


def ask_on(server, stop, failed, done):
    while not stop.is_set():
        try:
            with Client(server.address) as client:
                for _ in range(3):
                    client.send(request())
                    assert client.answer().status == 200
                    done.append(1)
        except (OSError, AssertionError, AttributeError) as error:
            failed.append(repr(error))


@contextlib.contextmanager
def asking(server, count=3):
    """Clients that ask all the while; each of their requests must be answered."""
    stop, failed, done = threading.Event(), [], []
    threads = [threading.Thread(target=ask_on, args=(server, stop, failed, done), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert failed == [] and len(done) > 30


def test_certificates_change_under_load(authority):
    """No request is lost; a pair that cannot be used changes nothing."""
    with secure(authority, "changing") as server, connect(server) as kept:
        with asking(server):
            serial = serial_of(server)
            for number in range(6):
                for new, old in zip(authority.issue(f"next{number}", kind="rsa" if number == 5 else "ec"), server.files):
                    os.replace(new, old)
                server.process.send_signal(signal.SIGHUP)
                until(lambda last=serial: serial_of(server) != last, 10)
                serial = serial_of(server)
        pathlib.Path(server.files[1]).write_text("no key\n", encoding="ascii")
        server.process.send_signal(signal.SIGHUP)
        assert "holds no private key" in server.process.stdout.readline()
        assert serial_of(server) == serial
        kept.sendall(request())
        assert kept.recv(100).startswith(b"HTTP/1.1 200"), "a connection of before the first change"


def test_a_drain_finishes_what_is_under_way(authority):
    with secure(authority) as server:
        hello = first_half()
        half = socket.create_connection(tuple(server.address), timeout=10)
        half.sendall(hello[:50])
        idle, busy = connect(server), connect(server)
        idle.suppress_ragged_eofs = False
        idle.sendall(request())
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        busy.sendall(request(target=b"/suspend?ms=500"))
        until(lambda: server.stats()["active"] == 2, 5)
        server.process.send_signal(signal.SIGTERM)
        while idle.recv(1000):
            pass
        answer = busy.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer
        assert server.process.wait(10) == 0
        for client in (half, idle, busy):
            client.close()
        json.loads(server.process.stdout.readline())
        server.process.send_signal = lambda _: None
        server.process.communicate = lambda timeout: ('{"begun": 0, "ended": 0, "made": 0, "released": 0}', server.process.stderr.read())


@pytest.mark.parametrize("case, message", [
    ("missing", "cannot read the certificate"), ("no key", "cannot read the key"), ("mismatch", "does not belong to the first certificate"),
    ("swapped", "holds no certificate in PEM"), ("open", "can be read or written by everybody"), ("empty", "holds no certificate in PEM"),
    ("encrypted", "without a pass phrase")])
def test_a_pair_that_cannot_be_used_stops_the_start(authority, tmp_path, case, message):
    certificate, key = authority.issue(f"bad-{case.replace(' ', '-')}")
    if case == "missing":
        certificate = str(tmp_path / "none.pem")
    elif case == "no key":
        key = str(tmp_path / "none.pem")
    elif case == "mismatch":
        _, key = authority.issue("another")
    elif case == "swapped":
        os.chmod(certificate, 0o600)
        certificate, key = key, certificate
    elif case == "open":
        os.chmod(key, 0o644)
    elif case == "empty":
        pathlib.Path(certificate).write_bytes(b"")
    else:
        shutil.copy(key, tmp_path / "clear.key")
        subprocess.run(["openssl", "pkey", "-in", str(tmp_path / "clear.key"), "-aes256", "-passout", "pass:x", "-out", key], check=True)
    done = subprocess.run([wardmote_wire.echo_binary(), f"certificate={certificate}", f"key={key}"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and message in done.stderr
