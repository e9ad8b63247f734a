# SPDX-License-Identifier: AGPL-3.0-or-later
"""The unit tests of the gates, as tests that can kill a mutant; the suite itself runs them by `meson test`."""
import os
import pathlib
import subprocess

import pytest

import c_mutants


@pytest.mark.parametrize("name", c_mutants.UNITS)
def test_unit(name):
    folder = pathlib.Path(os.environ["WARDMOTE_BIN"]).parents[2] / "tests/unit"
    done = subprocess.run([folder / f"test_{name}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-300:]
