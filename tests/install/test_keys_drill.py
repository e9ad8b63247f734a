# SPDX-License-Identifier: AGPL-3.0-or-later
"""What docs/backup.md says of keys, run as it is printed, with the real program: rotation without a failed request, loss, and theft."""
import base64
import re
import shutil
import threading
import time

import pytest

from recipes import Installation
from wardmote_suite import until

PASSWORD = "correct horse battery staple"


class Keys:
    """An installation with a program and a person signed in, each by a token."""

    def __init__(self):
        self.place = Installation()
        self.credentials = self.place.install()
        self.folder = self.place.folder / "lib/keys"
        self.public = self.place.client()
        self.program = self.place.client(self.credentials)
        me = self.program.get("/v1/me").json()
        account = self.program.post("/v1/accounts", {"partner_id": me["partner_id"], "kind": "person", "role": "officer", "name": "Jo", "login": "jo.keys"}).json()
        self.grant = self.public.post("/v1/sessions/enrolments", {"code": account["enrolment_code"], "password": PASSWORD}).json()
        self.community = self.person().post("/v1/communities", {"name": "Keys", "kind": "interest"}).json()["id"]

    def person(self):
        return self.public.as_token(self.grant["access_token"])

    def refresh(self):
        answer = self.public.form("/oauth/token", {"grant_type": "refresh_token", "refresh_token": self.grant["refresh_token"]})
        assert answer.status == 200, answer.text()
        self.grant = answer.json()
        return self.person()

    def fresh(self):
        return self.place.client(self.credentials)

    def published(self):
        return {key["kid"] for key in self.public.get("/.well-known/jwks.json").json()["keys"]}

    def files(self):
        return {path.stem for path in self.folder.glob("*.pem")}

    def sign_from(self, kid):
        return int((self.folder / f"{kid}.pem").read_text().splitlines()[0].removeprefix("sign-from: "))

    def set_sign_from(self, kid, seconds):
        """As if ten minutes had gone by."""
        path = self.folder / f"{kid}.pem"
        path.write_text(re.sub(r"^sign-from: \d+", f"sign-from: {int(seconds)}", path.read_text()))

    def kept(self):
        """What clients keep from an answer: a tag of a record, cursors of a list and of the feed."""
        record = self.person().get(f"/v1/communities/{self.community}")
        page = self.person().get("/v1/localities", params={"limit": "1"})
        return {"tag": record.etag, "feed": self.person().get("/v1/changes").json()["cursor"], "list": page.etag}


@pytest.fixture(name="keys")
def _keys():
    keys = Keys()
    yield keys
    keys.place.close()


class Callers:
    """Programs that keep a token, and programs that ask for a new one each time: whatever is not 200 is noted."""

    def __init__(self, keys):
        self.good, self.bad = [], []
        self._ended = threading.Event()
        self._renewals = [0]
        self._threads = [threading.Thread(target=self._call, args=(keys, bool(n % 2))) for n in range(4)]
        for thread in self._threads:
            thread.start()

    def _call(self, keys, fresh):
        client, seen = keys.fresh(), 0
        while not self._ended.is_set():
            if fresh or seen != self._renewals[0]:
                seen = self._renewals[0]
                client.close()
                client = keys.fresh()
            status = client.get("/v1/me").status
            (self.good if status == 200 else self.bad).append(status)
        client.close()

    def more(self, count=30):
        mark = len(self.good)
        until(lambda: len(self.good) > mark + count)

    def renew(self):
        """All have a token of now, as ten minutes later."""
        self._renewals[0] += 1
        self.more(200)

    def end(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_rotation_fails_no_request(keys):
    """Published first, signing later, and the old one goes when no token of it can be alive: under load, through all three."""
    first = keys.files()
    callers = Callers(keys)
    try:
        callers.more()
        keys.place.recipe("Rotation")
        (second,) = keys.files() - first
        until(lambda: keys.published() == first | {second})
        assert 590 < keys.sign_from(second) - time.time() <= 600
        old = keys.fresh()
        keys.set_sign_from(second, time.time())
        keys.place.shell("systemctl reload wardmote")
        until(lambda: second in header_of(keys.fresh().token))
        callers.more()
        assert old.get("/v1/me").status == 200, "tokens of the old key are good to their end"
        callers.renew()
        for kid, ago in ((second, 3600), (*first, 7200)):
            keys.set_sign_from(kid, time.time() - ago)
        keys.place.recipe("Rotation")
        (third,) = keys.files() - {second}
        assert keys.files() == {second, third}, "the old key signed nothing for an hour"
        until(lambda: keys.published() == {second, third})
        callers.more()
    finally:
        callers.end()
    assert callers.bad == []


def header_of(token):
    part = token.split(".")[0]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


def test_lost_and_replaced(keys):
    """A running server goes on; afterwards tokens and cursors of before are refused once, and nobody signs in anew."""
    before = keys.kept()
    shutil.rmtree(keys.folder)
    keys.place.shell("systemctl reload wardmote")
    until(lambda: "keys not loaded" in keys.place.log())
    assert keys.program.get("/v1/me").status == 200 and keys.fresh().get("/v1/me").status == 200
    refused = keys.place.shell("WARDMOTE_DATABASE_FILE=/etc/wardmote/database wardmote serve --config /etc/wardmote/wardmote.conf --listen 127.0.0.1:0", check=False)
    assert refused.returncode != 0 and str(keys.folder) in refused.stdout
    keys.place.recipe("The keys are lost")
    assert_replaced(keys, before)


def assert_replaced(keys, before):
    for client in (keys.program, keys.person()):
        assert client.get("/v1/me").status == 401
    assert keys.fresh().get("/v1/me").status == 200
    person = keys.refresh()
    assert person.get("/v1/me").status == 200
    assert person.get("/v1/changes", params={"after": before["feed"]}).status == 400
    record = f"/v1/communities/{keys.community}"
    assert person.patch(record, {"description": "changed"}, headers={"If-Match": before["tag"]}).status == 200
    again = person.get("/v1/localities", params={"limit": "1"}, headers={"If-None-Match": before["list"]})
    assert again.status == 200 and again.etag != before["list"]


def test_lost_and_restored(keys):
    """With a copy of the folder nobody notices."""
    before = keys.kept()
    keys.place.shell("tar -cf /srv/backup/keys.tar -C /var/lib/wardmote keys")
    shutil.rmtree(keys.folder)
    keys.place.shell("tar -xf /srv/backup/keys.tar -C /var/lib/wardmote\nsystemctl restart wardmote")
    assert keys.program.get("/v1/me").status == 200
    assert keys.person().get("/v1/changes", params={"after": before["feed"]}).status == 200
    assert keys.person().get(f"/v1/communities/{keys.community}", headers={"If-None-Match": before["tag"]}).status == 304


def test_stolen(keys):
    """The thief's tokens, made with the key itself, are void at once; the whole folder is new."""
    before, old = keys.kept(), keys.files()
    stolen = keys.place.folder / "stolen"
    shutil.copytree(keys.folder, stolen)
    keys.place.recipe("A key was stolen")
    assert not keys.files() & old and (keys.folder / "cursor.key").read_bytes() != (stolen / "cursor.key").read_bytes()
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert_replaced(keys, before)


def test_one_key_stolen(keys):
    """Its file alone is deleted: cursors stay good, and the new key signs at once."""
    before, old = keys.kept(), keys.files()
    for kid in old:
        (keys.folder / f"{kid}.pem").unlink()
    created = keys.place.shell("sudo -u wardmote wardmote key create --key-dir /var/lib/wardmote/keys\nsystemctl reload wardmote")
    assert "Error" not in created and len(keys.files()) == 1 and not keys.files() & old
    until(lambda: keys.published() == keys.files())
    until(lambda: keys.program.get("/v1/me").status == 401)
    assert keys.fresh().get("/v1/me").status == 200
    assert keys.refresh().get("/v1/changes", params={"after": before["feed"]}).status == 200
    assert "keys loaded" in keys.place.log()
