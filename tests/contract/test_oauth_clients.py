# SPDX-License-Identifier: AGPL-3.0-or-later
"""openid-client, oauth4webapi and jose (npm) as clients and as resource servers, and the example of docs/identity.md as it stands there."""
import os
import re
import subprocess

from test_openapi import _node_modules, tool  # pylint: disable=unused-import
from wardmote_suite import ROOT


def test_clients_of_npm(node_modules, server, partner):  # pylint: disable=unused-argument
    said = tool("node", "oauth.test.mjs", environment={"WARDMOTE_TEST_URL": server.url, "WARDMOTE_TEST_TOKEN": partner.manager.token})
    assert re.findall(r"(\w+) ok", said) == ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]


def test_the_example_with_curl_and_openssl(server, partner, tmp_path):
    """Every line of the section is run, and what it says comes out."""
    section = (ROOT / "docs/identity.md").read_text(encoding="utf-8").split("## A client with keys", 1)[1].split("\n## ", 1)[0]
    script, wanted = re.findall(r"```(?:sh)?\n(.*?)```", section, re.S)[:2]
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "U": server.url, "MANAGER": partner.manager.token})
    assert done.returncode == 0, done.stderr
    assert done.stdout == wanted, done.stdout
