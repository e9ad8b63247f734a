# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a package installs beside the program says what the program says: the commented file of settings, the man pages."""
import os
import re
import subprocess

import pytest

from wardmote_server import ROOT, binary

DIST = ROOT / "dist"


def told(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module", name="rendered")
def _rendered(tmp_path_factory):
    """What dist/render writes."""
    folder = tmp_path_factory.mktemp("rendered")
    subprocess.run([DIST / "render", binary(), folder], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module", name="settings")
def _settings():
    names = re.findall(r"^([a-z_0-9]+) = ", told("config"), re.MULTILINE)
    assert len(names) > 40 and {"listen", "database", "key_dir"} <= set(names)
    return names


@pytest.fixture(scope="module", name="commands")
def _commands():
    names = re.findall(r"^  ([a-z]+) ", told("help"), re.MULTILINE)
    assert {"serve", "help"} < set(names)
    return names


@pytest.mark.parametrize("name", ["wardmote.1", "wardmote.conf.5"])
def test_a_man_page_is_well_formed(rendered, name):
    page = rendered / name if (rendered / name).exists() else DIST / name
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False, timeout=60)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stdout
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], capture_output=True, text=True, check=False, timeout=60,
                           env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MAN_KEEP_STDERR": "1"})
    assert (shown.returncode, shown.stderr) == (0, ""), shown.stderr


def test_each_setting_is_in_its_page_and_in_the_file(rendered, settings):
    page = (rendered / "wardmote.conf.5").read_text(encoding="utf-8")
    assert re.findall(r"^\.B ([a-z_0-9]+)$", page.split(".SH SETTINGS")[1], re.MULTILINE) == settings
    lines = (rendered / "wardmote.conf").read_text(encoding="utf-8").splitlines()
    commented = {match[1]: number for number, line in enumerate(lines) if (match := re.match(r"#([a-z_0-9]+) =", line))}
    assert sorted(commented) == sorted(settings)
    for number in commented.values():
        assert re.match(r"# \S", lines[number - 1]), f"{lines[number]} has no comment"


def test_the_file_is_taken_and_so_is_each_of_its_lines(rendered, tmp_path):
    """As installed, and with each comment sign taken away: the values written there are the defaults."""
    text = (rendered / "wardmote.conf").read_text(encoding="utf-8")
    whole = tmp_path / "whole.conf"
    whole.write_text(re.sub(r"^#(?=[a-z_0-9]+ =)", "", text.replace("key_dir = /var/lib/wardmote/keys\n", ""), flags=re.MULTILINE), encoding="utf-8")
    values = {name: dict(re.findall(r"^([a-z_0-9]+) = (.*)$", told("config", "--config", path), re.MULTILINE))
              for name, path in (("installed", rendered / "wardmote.conf"), ("whole", whole))}
    assert values["installed"]["key_dir"] == "/var/lib/wardmote/keys"
    del values["installed"]["key_dir"], values["whole"]["key_dir"]
    assert values["installed"] == values["whole"]


def test_each_command_has_a_paragraph(commands):
    page = (DIST / "wardmote.1").read_text(encoding="utf-8").split(".SH COMMANDS")[1].split(".SH SETTINGS")[0]
    named = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^\.BR? (.*)$", page, re.MULTILINE))))
    assert set(commands) <= named
