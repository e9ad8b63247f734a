# SPDX-License-Identifier: AGPL-3.0-or-later
"""Files of `wardmote load` that stand for an import, and the script that takes what GDAL reads."""
import json
import os
import shutil
import subprocess

import pytest

import wardmote_server
from wardmote_records import unique
from wardmote_suite import ROOT

SQUARE = {"type": "Polygon", "coordinates": [[[1.0, 52.0], [1.01, 52.0], [1.01, 52.01], [1.0, 52.01], [1.0, 52.0]]]}


def collection(*codes):
    return {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"code": code, "name": f"Ward {code}"}, "geometry": SQUARE} for code in codes]}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A set and the file of its members."""
    code = unique("set")
    (tmp_path / "10-sets.json").write_text(json.dumps({"resource": "boundary-sets", "match": [["code"]], "records": [
        {"key": "wards", "body": {"code": code, "name": "Wards", "visibility": "public"}}]}), encoding="utf-8")
    (tmp_path / "20-wards.json").write_text(json.dumps({"about": "The wards.", "import": {
        "path": "/v1/boundary-sets/@boundary-sets/wards/imports", "query": {"code_property": "code", "name_property": "name"}, "file": "wards.geojson",
        "media_type": "application/geo+json"}}), encoding="utf-8")
    (tmp_path / "wards.geojson").write_text(json.dumps(collection("A", "B")), encoding="utf-8")
    tmp_path.joinpath("code").write_text(code, encoding="utf-8")
    return tmp_path


def load(server, host, folder):
    return subprocess.run([wardmote_server.binary(), "load", "--url", server.url, "--client-id", host["client_id"], str(folder)], capture_output=True, text=True,
                          timeout=120, check=False, env={**os.environ, "WARDMOTE_CLIENT_SECRET": host["client_secret"]})


def codes_of(client, folder):
    code = (folder / "code").read_text(encoding="utf-8")
    of_set = client.get("/v1/boundary-sets", params={"code": code}).json()["items"][0]["id"]
    return [row["code"] for row in client.get(f"/v1/localities?boundary_set_id={of_set}&sort=code").json()["items"]]


def test_an_import_is_loaded_once(server, host, administrator, folder):
    first = load(server, host, folder)
    assert (first.returncode, first.stderr) == (0, "") and "2 created,    0 present" in first.stdout
    assert codes_of(administrator, folder) == ["A", "B"]
    again = load(server, host, folder)
    assert (again.returncode, again.stderr) == (0, "") and "0 created,    2 present" in again.stdout


def test_rejects_end_the_run(server, host, administrator, folder):
    (folder / "wards.geojson").write_text(json.dumps(collection("A", "A")), encoding="utf-8")
    done = load(server, host, folder)
    assert done.returncode == 1 and "2 A: duplicate" in done.stderr and codes_of(administrator, folder) == []


@pytest.mark.parametrize("change, message", [
    ({"file": "none.geojson"}, "cannot be read"), ({"path": "/v1/boundary-sets/@boundary-sets/other/imports"}, "leads to no record"),
    ({"more": 1}, "more"), ({"query": {"code_property": "code"}}, "name_property: required"), ({"query": {"code_property": 1}}, "no text"),
])
def test_faults_are_named(server, host, folder, change, message):
    path = folder / "20-wards.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    tree["import"].update(change)
    path.write_text(json.dumps(tree), encoding="utf-8")
    done = load(server, host, folder)
    assert done.returncode == 1 and message in done.stderr, done.stderr


def script(server, administrator, *arguments, **environment):
    return subprocess.run([ROOT / "scripts/import-boundaries", *map(str, arguments), "--url", server.url], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "WARDMOTE_TOKEN": administrator.token, **environment})


@pytest.mark.skipif(shutil.which("ogr2ogr") is None or shutil.which("jq") is None, reason="gdal-bin and jq are not installed")
def test_the_script_takes_a_geopackage(server, administrator, folder):
    made = administrator.post("/v1/boundary-sets", {"code": (folder / "code").read_text(encoding="utf-8"), "name": "Wards"})
    assert made.status == 201
    subprocess.run(["ogr2ogr", "-f", "GPKG", "-t_srs", "EPSG:27700", folder / "wards.gpkg", folder / "wards.geojson"], check=True, timeout=60)
    done = script(server, administrator, folder / "wards.gpkg", "--set", made.json()["code"], "--code", "code", "--name", "name")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("done: 2 features, 2 created")
    assert codes_of(administrator, folder) == ["A", "B"]


def test_the_script_says_what_is_missing(server, administrator, folder, tmp_path):
    assert script(server, administrator, folder / "wards.geojson").returncode == 2
    nothing = tmp_path / "bin"
    nothing.mkdir()
    for name in ("bash", "sed"):
        (nothing / name).symlink_to(shutil.which(name))
    done = script(server, administrator, folder / "wards.geojson", "--set", "x", "--code", "code", "--name", "name", PATH=str(nothing))
    assert done.returncode == 1 and "install the package gdal-bin" in done.stderr
