# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/adding-a-resource.md, done: its blocks become files in a copy of the sources, its lines go where it says, the program is linked anew from what that
changes, its migration is applied to a database that is in use, and the venues that come of it are written, read, refused and found in the past."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

import wardmote_server
from wardmote_client import Client, Contract, Coverage
from wardmote_records import Records
from wardmote_suite import ROOT, committed_document

PAGE = (ROOT / "docs/adding-a-resource.md").read_text(encoding="utf-8")
BUILD = pathlib.Path(wardmote_server.binary()).resolve().parents[2]


def block(heading, language, nth=0):
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)[nth]


def lines_of_the_lists():
    """[(file, line, the text above it)]"""
    part = PAGE.split("\n## 4. The lists\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$", part, re.MULTILINE)
    return [tuple(cell.replace("\\|", "|") for cell in row) for row in rows]


def follow(tree):
    """What the page says, in a copy of the sources."""
    for name in ("src/resources", "include", "migrations", "docs"):
        shutil.copytree(ROOT / name, tree / name)
    for path, text in (("src/resources/places/venues.c", block("1. The descriptor", "c")), ("src/resources/places/venue_check.sql", block("2. Rules that need data", "sql")),
                       ("migrations/0100_venues.sql", block("3. The migration", "sql"))):
        assert f"`{path}`" in PAGE and not (tree / path).exists()
        (tree / path).write_text(text, encoding="utf-8")
    for path, line, above in lines_of_the_lists():
        text = (tree / path).read_text(encoding="utf-8").splitlines()
        found = [number for number, old in enumerate(text) if above in old]
        assert len(found) == 1, f"{path} has {above} {len(found)} times"
        text.insert(found[0] + 1, line)
        (tree / path).write_text("\n".join(text) + "\n", encoding="utf-8")
    scopes = tree / "src/resources/accounts/account_check.sql"
    text = scopes.read_text(encoding="utf-8")
    assert "`src/resources/accounts/account_check.sql`" in PAGE and text.count("):(read|write)$'") == 1
    scopes.write_text(text.replace("):(read|write)$'", "|venues):(read|write)$'"), encoding="utf-8")


class Linker:
    """Runs again those commands of the build that the new files change, with their results in a folder of the test."""

    def __init__(self, tree):
        self.tree = tree
        done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "src/server/wardmote", "describe"], capture_output=True, text=True, timeout=60, check=True)
        self.commands = [shlex.split(line) for line in done.stdout.splitlines() if "&&" not in line]
        self.objects = []

    def _one(self, *holds):
        found = [command for command in self.commands if all(any(part.endswith(text) for part in command) for text in holds)]
        assert len(found) == 1, (holds, found)
        return found[0]

    @staticmethod
    def _run(command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=BUILD)
        assert done.returncode == 0, (command[-3:], done.stdout, done.stderr)

    def compile(self, like, source):
        """As the object `like` is made, but from this file and with the headers of the copy first."""
        command = list(self._one(f"{like}.o", "-c"))
        out = str(self.tree / (pathlib.Path(source).name + ".o"))
        for flag, value in (("-o", out), ("-c", str(source)), ("-MF", out + ".d")):
            command[command.index(flag) + 1] = value
        command[1:1] = [f"-I{self.tree}/src/resources/places", f"-I{self.tree}/src/resources", f"-I{self.tree}/include"]
        self._run(command)
        return out

    def embed(self, like, name, more=()):
        """As the generated file `like` is made, from the copy's files."""
        command = [part if part.startswith(f"{BUILD}/") else part.replace(f"{ROOT}/", f"{self.tree}/") for part in self._one("/embed", like)]
        self._run([name if part == like else str(self.tree / "depfile") if part.endswith(".d") else part for part in command] + list(more))

    def link(self, like, name, objects):
        """Members of libraries whose names the objects before them have are left out by the linker."""
        command = list(self._one("-o", like, "-Wl,--as-needed"))
        replaced = {"migrations.c.o", "openapi.c.o"} if like.endswith("wardmote") else set()
        command = [part for part in command if not any(part.endswith(old) for old in replaced) or "generated" not in part]
        command[command.index("-o") + 1] = name
        self._run(command[:3] + objects + command[3:])


def build(tree):
    """The program of the copy."""
    linker = Linker(tree)
    statements = [f"{symbol}={tree}/src/resources/{file}" for _, line, _ in lines_of_the_lists()
                  for symbol, file in re.findall(r"'(\w+_sql)': '([^']+)'", line)]
    assert len(statements) == 1
    linker.embed("src/resources/resources_sql.c", str(tree / "resources_sql.c"), statements)
    linker.embed("src/server/migrations.c", str(tree / "migrations.c"))
    ours = [linker.compile("libresources.a.p/resources.c", tree / "src/resources/resources.c"),
            linker.compile("libresources.a.p/places_postcodes.c", tree / "src/resources/places/venues.c"),
            linker.compile("_resources_sql.c", tree / "resources_sql.c")]
    linker.link("describe", str(tree / "describe"), ours)
    subprocess.run([tree / "describe", tree / "openapi.json"], timeout=60, check=True)
    subprocess.run([BUILD / "embed", tree / "openapi.c", f"openapi_text={tree}/openapi.json"], timeout=60, check=True)
    both = [linker.compile("wardmote.p/meson-generated_.._migrations.c", tree / "migrations.c"),
            linker.compile("wardmote.p/meson-generated_.._.._.._openapi.c", tree / "openapi.c")]
    linker.link("src/server/wardmote", str(tree / "wardmote"), ours + both)
    return str(tree / "wardmote")


@pytest.fixture(scope="module", name="site")
def _site(cluster, keys, tmp_path_factory):
    """An administrator's client of the program with venues, on a database that the program without them had made."""
    tree = tmp_path_factory.mktemp("venues")
    follow(tree)
    program = build(tree)
    cluster.setup("venues")
    host = wardmote_server.make_administrator(cluster, "venues")
    done = subprocess.run([program, "migrate", "--database", cluster.uri("wardmote_owner", "venues")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "1 applied now" in done.stdout, done.stdout + done.stderr
    server = wardmote_server.Server(cluster, keys, "venues", program=program)
    contract = Contract(json.loads((tree / "openapi.json").read_text(encoding="utf-8")))
    public = Client(server, contract, Coverage())
    yield public, public.as_token(public.token_for(host["client_id"], host["client_secret"])), tree
    server.close()
    shutil.rmtree(tree)


def test_the_page_shows_as_many_lists_as_it_promises():
    assert "a line in each of five lists" in PAGE
    files = {path for path, _, _ in lines_of_the_lists()} | {"src/resources/accounts/account_check.sql"}
    assert len(files - {"docs/access.md"}) + 1 == 5 and all(os.path.exists(ROOT / path) for path in files)


def test_the_venues(site):
    public, administrator, tree = site
    records = Records(administrator, public.contract)
    partner, other = records.partner(), records.partner()
    assert "venues" in records.resources() and "/v1/venues" not in committed_document()["paths"]

    made = partner.officer.post("/v1/venues", records.body("venues", by=partner.officer, step_free=True, seats=80, visibility="private"), headers={"Idempotency-Key": "one"})
    assert made.status == 201 and made.json()["partner_id"] == partner.id
    venue = f"/v1/venues/{made.json()['id']}"
    refused = partner.officer.post("/v1/venues", {"name": "Hall", "step_free": False})
    assert refused.status == 422 and refused.codes() == [("/access_notes", "required")], "the rule of step 2"
    assert partner.officer.post("/v1/venues", {"name": "Hall", "seats": 0}).codes() == [("/seats", "range")] and partner.officer.post("/v1/venues", {"naem": "x"}).status == 400
    assert other.manager.get(venue).status == public.get(venue).status == 404 and partner.viewer.post("/v1/venues", {"name": "Hall", "step_free": True}).status == 403

    changed = partner.officer.patch(venue, {"seats": 90, "visibility": "public"}, headers={"If-Match": made.etag})
    assert changed.status == 200 and partner.officer.patch(venue, {"seats": 91}, headers={"If-Match": made.etag}).status == 412
    found = public.get("/v1/venues", params={"q": "example", "seats.gte": "85", "step_free": "true", "sort": "-updated_at", "count": "exact"}).json()
    assert [item["id"] for item in found["items"]] == [made.json()["id"]] and found["count"]
    assert [version["version"] for version in partner.officer.get(f"{venue}/history").json()["items"]] == [2, 1]
    assert len(public.get("/v1/venues.csv").text().splitlines()) == 2
    narrow = records.account(partner.id, "officer", ["venues:read"])
    assert narrow.get(venue).status == 200 and narrow.patch(venue, {"seats": 1}, headers={"If-Match": "*"}).status == 403
    assert partner.officer.delete(venue, headers={"If-Match": changed.etag}).status == 204 and public.get(venue).status == 404

    cluster, key_dir = public.server.cluster, public.server.keys
    doctor = subprocess.run([tree / "wardmote", "doctor", "--json", "--database", cluster.uri("wardmote_api", "venues"), "--key-dir", key_dir], capture_output=True,
                            text=True, timeout=60, check=False)
    assert [finding for finding in json.loads(doctor.stdout)["findings"] if finding["level"] == "fail"] == []
