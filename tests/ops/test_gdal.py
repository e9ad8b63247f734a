# SPDX-License-Identifier: AGPL-3.0-or-later
"""What GDAL and QGIS make of /ogc: the tools that most maps are made with open it as it is."""
import json
import os
import subprocess

import pytest

from wardmote_records import unique


def gdal(server, program, *arguments, token=None):
    environment = {**os.environ, "GDAL_HTTP_TIMEOUT": "60", "GDAL_PAM_ENABLED": "NO"}
    if token is not None:
        environment["GDAL_HTTP_HEADERS"] = f"Authorization: Bearer {token}"
    arguments = [part.replace("@", f"OAPIF:{server.url}/ogc") for part in arguments]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr + done.stdout
    return done


@pytest.fixture(scope="module", name="grid")
def _grid(administrator):
    """A set of 60 squares, of which one has nothing in common with the others, and the id of the set."""
    code = unique("grid")
    answer = administrator.post("/v1/boundary-sets", {"code": code, "name": "Example grid", "valid_from": "2020-01-01"})
    for n in range(60):
        west, south = 1 + n % 10 / 100, 53 + n // 10 / 100
        ring = [[west, south], [west + 0.01, south], [west + 0.01, south + 0.01], [west, south + 0.01], [west, south]]
        body = {"boundary_set_id": answer.json()["id"], "code": f"G{n:02}", "name": f"Square {n}", "population": 100 + n, "valid_from": "2024-01-01" if n < 5 else None,
                "geometry": {"type": "Polygon", "coordinates": [ring]}, "visibility": "private" if n == 59 else "public"}
        assert administrator.post("/v1/localities", body).status == 201
    return code, answer.json()["id"]


def test_collections_are_layers(server, grid):
    layers = gdal(server, "ogrinfo", "-ro", "@").stdout
    for name in (grid[0], "map-items-facility", "map-items-key-player-individual", "consultations"):
        assert name in layers


def test_summary_of_a_layer(server, grid):
    summary = gdal(server, "ogrinfo", "-ro", "-so", "@", grid[0]).stdout
    assert "Feature Count: 59" in summary and "Extent: (1.0000" in summary and "Geometry: Multi Polygon" in summary
    assert "population: Integer" in summary and "valid_from: Date" in summary and "code: String" in summary


def test_a_whole_set_is_the_list(server, grid, anonymous, tmp_path):
    """In pages of 25."""
    file = tmp_path / "set.geojson"
    gdal(server, "ogr2ogr", "-f", "GeoJSON", "-oo", "PAGE_SIZE=25", "-lco", "COORDINATE_PRECISION=6", str(file), "@", grid[0])
    copied = {each["properties"]["code"]: each for each in json.loads(file.read_text(encoding="utf-8"))["features"]}
    listed = anonymous.get("/v1/localities.geojson", params={"boundary_set_id": grid[1], "geometry": "full", "limit": 500}).json()["features"]
    assert len(copied) == len(listed) == 59
    for feature in listed:
        copy = copied[feature["properties"]["code"]]
        assert copy["geometry"] == feature["geometry"]
        for name in ("name", "population", "valid_from"):
            assert copy["properties"].get(name) == feature["properties"][name], name


def requests_of(done):
    return [line for line in done.stderr.splitlines() if "/items?" in line]


def test_box_and_attribute_are_asked_of_the_server(server, grid):
    codes = gdal(server, "ogrinfo", "-ro", "-q", "@", grid[0], "-spat", "1.001", "53.001", "1.011", "53.002", "--debug", "on")
    assert "G00" in codes.stdout and "G01" in codes.stdout and "G02" not in codes.stdout
    assert any("bbox=" in line for line in requests_of(codes)), codes.stderr
    named = gdal(server, "ogrinfo", "-ro", "-q", "@", grid[0], "-where", "code = 'G07'", "--debug", "on")
    assert named.stdout.count("OGRFeature") == 1 and "Square 7" in named.stdout
    assert any("code=G07" in line for line in requests_of(named)), named.stderr


def test_with_a_token(server, grid, administrator):
    assert "Feature Count: 60" in gdal(server, "ogrinfo", "-ro", "-so", "@", grid[0], token=administrator.token).stdout


def test_the_server_has_more_pages_than_one(server, records, partner, tmp_path):
    """The community map, as a file that any desktop opens."""
    names = {records.make("map-items", partner.officer, visibility="public", kind="facility", name=unique("Hall"), use=None,
                          point={"type": "Point", "coordinates": [1.2, 52.6]})["name"] for _ in range(4)}
    file = tmp_path / "map.gpkg"
    gdal(server, "ogr2ogr", "-f", "GPKG", "-oo", "PAGE_SIZE=3", str(file), "@", "map-items-facility")
    shown = subprocess.run(["ogrinfo", "-ro", "-al", str(file)], capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(name in shown for name in names)


LAYER = """
import os
import sys
from qgis.core import QgsApplication, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
layer = QgsVectorLayer(f"url='{sys.argv[1]}' typename='{sys.argv[2]}'", "layer", "OAPIF")
assert layer.isValid(), layer.error().message()
print(sum(1 for feature in layer.getFeatures() if not feature.geometry().isEmpty()), flush=True)
os._exit(0)  # its own end fails where layers are still there
"""


def test_qgis(server, grid):
    """A layer by QGIS's own provider, read to its end."""
    done = subprocess.run(["/usr/bin/python3", "-c", LAYER, f"{server.url}/ogc", grid[0]], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "QT_QPA_PLATFORM": "offscreen"})
    assert done.returncode == 0 and done.stdout.split()[-1:] == ["59"], done.stderr + done.stdout
