# SPDX-License-Identifier: AGPL-3.0-or-later
"""`wardmote doctor` on real databases: a sound one has nothing to complain of, each fault is found by the check that is for it, and what it says to do about
the fault mends it. And the start that is refused because the database's connections do not suffice."""
import itertools
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

import wardmote_server

CHECKS = ["settings", "key folder", "connection", "server", "postgis", "role", "owner", "time zone", "log", "clock", "connections", "migrations", "origin", "tables", "views",
          "history", "policies", "indexes", "functions"]
SECONDS = 60


class Patient:
    """A database of its own, and what the doctor says of it."""

    def __init__(self, cluster, keys, name):
        self.cluster, self.keys, self.name = cluster, keys, name

    def doctor(self, role="wardmote_api", **settings):
        """(exit status, findings)"""
        flags = {"database": self.cluster.uri(role, self.name), "key_dir": self.keys, "workers": 1, **settings}
        arguments = [argument for name, value in flags.items() for argument in (f"--{name.replace('_', '-')}", str(value))]
        done = subprocess.run([wardmote_server.binary(), "doctor", "--json", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
        report = json.loads(done.stdout)
        assert report["healthy"] == (done.returncode == 0), done
        return done.returncode, report["findings"]

    def failed(self, **settings):
        """[(check, finding, mend)] of what has failed"""
        status, findings = self.doctor(**settings)
        failed = [(finding["check"], finding["finding"], finding["mend"]) for finding in findings if finding["level"] == "fail"]
        assert status == (1 if failed else 0)
        return failed

    def run(self, text, role="wardmote_owner"):
        connection = self.cluster.connect(role, self.name)
        with connection.cursor() as cursor:
            cursor.execute(text)
        connection.close()


@pytest.fixture(scope="module", name="sound")
def _sound(cluster, keys):
    """What the others are copies of; nothing connects to it but for the moment of a test."""
    cluster.setup("sound")
    return Patient(cluster, keys, "sound")


@pytest.fixture(name="patient")
def _patient(cluster, keys, sound, number=itertools.count()):
    name = f"patient_{next(number)}"
    admin = cluster.connect("postgres", "postgres")
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {sound.name} OWNER wardmote_owner")
    yield Patient(cluster, keys, name)
    with admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


def test_a_sound_installation_is_healthy(sound):
    assert sound.failed() == []
    _, findings = sound.doctor()
    assert [name for name, _ in itertools.groupby(finding["check"] for finding in findings)] == CHECKS
    assert all((finding["level"] == "ok") == (finding["mend"] is None) for finding in findings)
    # The test cluster may forget (fsync is off), and says so.
    assert {finding["check"] for finding in findings if finding["level"] != "ok"} <= {"settings", "server"}


def test_lines_for_people(sound):
    done = subprocess.run([wardmote_server.binary(), "doctor", "--database", sound.cluster.uri("wardmote_api", sound.name), "--key-dir", sound.keys],
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0 and done.stderr == ""
    for line in done.stdout.splitlines():
        assert re.fullmatch(r"(ok  |warn|fail)  [a-z ]{12}  \S.*| {20}mend: \S.*", line), line
    assert {line[6:18].strip() for line in done.stdout.splitlines() if line[0] != " "} == set(CHECKS)


# (what breaks it, check, what is found). The finding's own mend is run afterwards, as the role that it names.
FAULTS = [
    ("ALTER TABLE wardmote.risk NO FORCE ROW LEVEL SECURITY", "tables", "wardmote.risk has no forced policies"),
    ("ALTER TABLE wardmote.risk DISABLE ROW LEVEL SECURITY", "tables", "wardmote.risk has no forced policies"),
    ("ALTER TABLE history.consultation NO FORCE ROW LEVEL SECURITY", "tables", "history.consultation has no forced policies"),
    ("ALTER TABLE auth.password NO FORCE ROW LEVEL SECURITY", "tables", "auth.password has no forced policies"),
    ("CREATE TABLE wardmote.later (id uuid)", "tables", "wardmote.later has no forced policies"),
    ("DROP VIEW api.risk_version", "views", "api.risk_version does not exist"),
    ("REVOKE SELECT ON api.code FROM wardmote_api", "views", "the server may not read api.code"),
    ("GRANT SELECT ON history.risk TO PUBLIC", "history", "history.risk can be read around its views"),
    ("GRANT SELECT ON auth.password TO wardmote_api", "history", "auth.password can be read around its views"),
    ("ALTER TABLE wardmote.activity DISABLE TRIGGER z_track", "history", "wardmote.activity has no working trigger z_track"),
    ("DROP TRIGGER b_stamp ON wardmote.activity", "history", "wardmote.activity has no working trigger b_stamp"),
    ("DO $$ BEGIN EXECUTE (SELECT format('DROP INDEX wardmote.%I', indexname) FROM pg_indexes WHERE schemaname = 'wardmote' AND tablename = 'consultation'"
     " AND indexdef LIKE '%(audience, updated_at, id)'); END $$", "indexes", "wardmote.consultation is sorted by updated_at without an index"),
    ("CREATE FUNCTION wardmote.loose(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION wardmote.loose TO PUBLIC", "functions",
     "anyone may call wardmote.loose"),
    ("ALTER FUNCTION wardmote.forget_keys() RESET search_path", "functions", "wardmote.forget_keys runs as its owner with the caller's search path"),
]


@pytest.mark.parametrize("fault", range(len(FAULTS)))
def test_each_fault_is_found_and_its_mend_mends(patient, fault):
    breaks, check, finding = FAULTS[fault]
    assert patient.failed() == []
    patient.run(breaks)
    failed = patient.failed()
    assert [row[:2] for row in failed] == [(check, finding)]
    patient.run(failed[0][2].removeprefix("as wardmote_owner: "))
    assert patient.failed() == []


# The same where the mend is not one statement.
OTHER_FAULTS = [
    ("CREATE POLICY more ON wardmote.risk FOR SELECT TO wardmote_api USING (true)", "policies", "wardmote.risk has 2 policies for SELECT, not one"),
    ("CREATE POLICY more ON wardmote.account USING (true)", "policies", "wardmote.account has 2 policies for SELECT, not one"),
    ("DROP POLICY deleting ON wardmote.community", "policies", "wardmote.community has 0 policies for DELETE, not one"),
    ("DROP TABLE history.community CASCADE", "tables", "history.community does not exist"),
    ("DELETE FROM meta.migration WHERE number = (SELECT max(number) FROM meta.migration)", "migrations", "1 of this release are pending"),
    ("ALTER DATABASE {name} SET default_transaction_read_only = on", "server", "the database takes no writes"),
]


@pytest.mark.parametrize("fault", range(len(OTHER_FAULTS)))
def test_other_faults_are_found(patient, fault):
    breaks, check, finding = OTHER_FAULTS[fault]
    patient.run(breaks.format(name=patient.name))
    assert (check, finding) in [row[:2] for row in patient.failed()]


def test_faults_that_only_a_superuser_makes(patient):
    patient.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'wardmote.risk_readers'::regclass; DROP VIEW api.risk_version;"
                " CREATE VIEW api.mine AS SELECT 1; ALTER TABLE history.code OWNER TO postgres; GRANT CREATE ON SCHEMA public TO wardmote_api", "postgres")
    assert [row[:2] for row in patient.failed()] == [
        ("role", "wardmote_api may create in the schema public"), ("tables", "history.code belongs to postgres"),
        ("views", "api.mine belongs to postgres"), ("views", "api.risk_version does not exist"), ("indexes", "wardmote.risk_readers is not valid")]


def test_a_log_that_shows_what_people_wrote(patient):
    """No fault that stops anything, and one that a managed database may not let its administrator mend: a warning, with what mends it."""
    patient.run(f"ALTER ROLE wardmote_api IN DATABASE {patient.name} SET log_error_verbosity = 'default'", role="postgres")
    status, findings = patient.doctor()
    told = [(finding["level"], finding["finding"], finding["mend"]) for finding in findings if finding["check"] == "log"]
    assert status == 0
    assert told == [("warn", "log_error_verbosity is default: the database's log can show what people wrote",
                     "as a superuser: ALTER ROLE wardmote_api SET log_error_verbosity = 'terse'")]


def test_the_wrong_role(sound):
    assert ("role", "wardmote_owner has no part in the role wardmote_api") in [row[:2] for row in sound.failed(role="wardmote_owner")]
    assert ("role", "postgres is a superuser: policies do not hold for it") in [row[:2] for row in sound.failed(role="postgres")]


def test_a_role_with_more_than_it_needs(patient):
    """A login of its own is as good as wardmote_api, while it is no more than that."""
    patient.run("CREATE ROLE patient_login LOGIN IN ROLE wardmote_api", "postgres")
    try:
        assert patient.failed(role="patient_login") == []
        patient.run("GRANT wardmote_owner TO patient_login", "postgres")
        assert ("role", "patient_login may act as wardmote_owner") in [row[:2] for row in patient.failed(role="patient_login")]
        patient.run("REVOKE wardmote_owner FROM patient_login; ALTER ROLE patient_login BYPASSRLS CREATEROLE", "postgres")
        assert [row[:2] for row in patient.failed(role="patient_login")] == [("role", "patient_login bypasses policies"), ("role", "patient_login may make roles")]
        patient.run("ALTER ROLE patient_login NOBYPASSRLS NOCREATEROLE; CREATE TABLE public.hoard (a integer); ALTER TABLE public.hoard OWNER TO patient_login",
                    "postgres")
        assert [row[:2] for row in patient.failed(role="patient_login")] == [("role", "patient_login owns 1 tables and views")]
    finally:
        patient.run("DROP OWNED BY patient_login; DROP ROLE patient_login", "postgres")


def test_an_empty_database(cluster, keys):
    """Before the first migration only that is said: nothing of tables that cannot be there."""
    admin = cluster.connect("postgres", "postgres")
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE bare TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        failed = [row[:2] for row in Patient(cluster, keys, "bare").failed()]
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP DATABASE bare WITH (FORCE)")
        admin.close()
    assert [row[0] for row in failed] == ["server", "postgis", "migrations"]
    assert failed[0][1] == "the database's encoding is SQL_ASCII"


def test_no_database(sound):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        failed = sound.failed(database=f"postgresql://wardmote_api:hidden-word@127.0.0.1:{nobody.getsockname()[1]}/wardmote")
    assert [row[0] for row in failed] == ["connection"]
    assert "refused" in failed[0][1] and "hidden-word" not in failed[0][1] and "\n" not in failed[0][1]


def test_a_time_zone_that_only_looks_like_one(sound):
    assert [row[:2] for row in sound.failed(timezone="Europe/Norwich")] == [("time zone", "Europe/Norwich is not known to the database")]


# (what is done to a copy of the key folder, what is found in it)
KEY_FAULTS = [
    (lambda folder: shutil.rmtree(folder), "No such file"),
    (lambda folder: [os.unlink(f"{folder}/{name}") for name in os.listdir(folder) if name.endswith(".pem")], "holds no signing key"),
    (lambda folder: os.unlink(f"{folder}/cursor.key"), "cursor.key"),
    (lambda folder: [os.chmod(f"{folder}/{name}", 0o640) for name in os.listdir(folder)], "must have mode 0600"),
    (lambda folder: os.chmod(folder, 0o777), "others may put keys"),
]


@pytest.mark.parametrize("fault", range(len(KEY_FAULTS)))
def test_key_folders(sound, tmp_path, fault):
    spoil, finding = KEY_FAULTS[fault]
    folder = tmp_path / "keys"
    shutil.copytree(sound.keys, folder)
    assert sound.failed(key_dir=folder) == []
    spoil(folder)
    failed = sound.failed(key_dir=folder)
    assert [row[0] for row in failed] == ["key folder"] and finding in failed[0][1]


SETTINGS = [
    ({"public_url": "http://engage.example.org"}, "public_url is not https"),
    ({"listen": "0.0.0.0:8080", "public_url": "http://127.0.0.1:8080"}, "public_url names this machine"),
    ({"public_url": "https://engage.example.org"}, "no proxy is trusted"),
    ({"admin_listen": "0.0.0.0:9000"}, "admin_listen can be reached"),
    ({"rate_anonymous": 0}, "a rate limit is off"),
    ({"heavy_timeout_ms": 1000}, "long queries get less time"),
    ({"security_contact": ""}, "nobody is named for security.txt"),
    ({"connection_limit": 1000000}, "the limit of open files"),
]


@pytest.mark.parametrize("case", range(len(SETTINGS)))
def test_settings(sound, case):
    settings, concern = SETTINGS[case]
    sane = {"security_contact": "mailto:security@example.org", "connection_limit": 100}

    def concerns(**given):
        status, findings = sound.doctor(**{**sane, **given})
        assert status == 0
        return [finding["finding"] for finding in findings if finding["check"] == "settings" and finding["level"] == "warn"]

    assert concerns() == []
    found = concerns(**settings)
    assert len(found) == 1 and found[0].startswith(concern)


def _address_of_this_machine():
    """One that is not loopback; None where there is none. Nothing is sent: a datagram socket only chooses its way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = way.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.fixture(name="listening")
def _listening():
    """An empty cluster of its own, reached by TCP with TLS at an address of this machine: (URI, certificate)."""
    address = _address_of_this_machine()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    own = wardmote_server.Cluster()
    try:
        own.stop()
        with socket.socket() as free:
            free.bind((address, 0))
            port = free.getsockname()[1]
        certificate, key = f"{own.folder}/tls.crt", f"{own.folder}/tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=test",
                        "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=SECONDS)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres")
        with open(f"{own.folder}/data/pg_hba.conf", "a", encoding="utf-8") as file:
            file.write(f"host postgres postgres {address}/32 trust\n")
        own.settings = own.settings.replace("listen_addresses=", f"listen_addresses={address}")
        own.settings += f" -c port={port} -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}"
        own.start()
        yield f"postgresql://postgres@{address}:{port}/postgres", certificate
    finally:
        own.close()


def test_who_could_read_the_connection(sound, listening):
    uri, certificate = listening
    for options, level, finding in (
            ("sslmode=disable", "fail", "crosses the network in plain text (sslmode=disable)"),
            ("sslmode=require", "warn", "is encrypted, but sslmode=require does not make sure to whom"),
            ("", "warn", "is encrypted, but sslmode=prefer does not make sure to whom"),
            (f"sslmode=verify-full&sslrootcert={certificate}", "ok", "is encrypted, and the server's certificate is verified")):
        _, findings = sound.doctor(database=f"{uri}?{options}")
        assert [(row["level"], row["finding"]) for row in findings if row["check"] == "connection"] == [(level, finding)]


def test_the_server_warns_of_it_once(listening, keys):
    """A mode that does not make sure who answers, at the start of `wardmote serve`."""
    uri, certificate = listening
    for options, warnings in (("sslmode=require", 1), (f"sslmode=verify-full&sslrootcert={certificate}", 0)):
        with subprocess.Popen([wardmote_server.binary(), "serve", "--database", f"{uri}?{options}", "--key-dir", keys, "--listen", "127.0.0.1:0",
                               "--workers", "1", "--drain-timeout-ms", "0"], stderr=subprocess.PIPE, text=True) as process:
            log = ""
            while '"listening"' not in log:
                line = process.stderr.readline()
                assert line, log
                log += line
            process.terminate()
            log += process.communicate(timeout=SECONDS)[1]
        assert log.count("the database is on another machine and nothing makes sure which") == warnings, log


def test_connections_are_counted_twice(patient):
    """One worker opens 17; at a restart two processes overlap."""
    for limit, fits in ((34, True), (33, False)):
        patient.run(f"ALTER DATABASE {patient.name} CONNECTION LIMIT {limit}")
        _, findings = patient.doctor()
        found = [finding for finding in findings if finding["check"] == "connections"]
        assert [finding["level"] for finding in found] == ["ok" if fits else "fail"]
        assert str(limit) in found[0]["finding"]


def test_a_start_that_could_not_be_repeated_is_refused(patient):
    patient.run(f"ALTER DATABASE {patient.name} CONNECTION LIMIT 33")
    flags = ["--database", patient.cluster.uri("wardmote_api", patient.name), "--key-dir", patient.keys, "--listen", "127.0.0.1:0", "--workers", "1"]
    done = subprocess.run([wardmote_server.binary(), "serve", *flags], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert "17 database connections do not fit" in done.stderr and "leaves 33" in done.stderr
    patient.run(f"ALTER DATABASE {patient.name} CONNECTION LIMIT 34")
    wardmote_server.Server(patient.cluster, patient.keys, patient.name).close()
