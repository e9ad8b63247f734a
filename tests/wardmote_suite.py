# SPDX-License-Identifier: AGPL-3.0-or-later
"""What all tests share outside of fixtures. (A conftest is not to be imported: each folder may have one, and they go by one name.)"""
import json
import pathlib
import time

from wardmote_client import Coverage

ROOT = pathlib.Path(__file__).resolve().parent.parent
COVERAGE = Coverage()


def committed_document():
    """api/openapi.json: what tests are generated from, before a server runs. Another test holds it against the binary."""
    return json.loads((ROOT / "api/openapi.json").read_text(encoding="utf-8"))


def until(look, seconds=60, what="it"):
    """The first true value of look(), which must come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)  # between two looks; the deadline decides
