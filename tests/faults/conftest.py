# SPDX-License-Identifier: AGPL-3.0-or-later
"""The fault proxy is where the tests of operation keep it."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "ops"))
