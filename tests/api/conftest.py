# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fixtures of the tests of behaviour."""
import pytest


@pytest.fixture(name="resources")
def _resources(contract):
    """Names of all resources, as in their paths."""
    return sorted(operation["path"][4:] for operation in contract.operations.values()
                  if operation["operationId"].startswith("create_") and operation["path"].count("/") == 2 and "{" not in operation["path"])
