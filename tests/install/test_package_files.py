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


# What each command takes beside settings, as its source has it.
OPTION = re.compile(r'\{ \.name = "([a-z-]+)", \.ret_|\{ "([a-z-]+)", (?:required|no)_argument')
SOURCES = {"account": "cmd_account", "erase": "cmd_erase", "load": "load", "dev": "dev", "setup": "cmd_setup", "migrate": "cmd_migrate", "doctor": "cmd_doctor"}
# The commands that take settings: one line of each man page, one place in the sources.
WITH_SETTINGS = {"serve", "migrate", "account", "key", "erase", "doctor", "config", "dev"}


def options_of(source):
    return {f"--{first or second}" for first, second in OPTION.findall((ROOT / f"src/server/{source}.c").read_text(encoding="utf-8"))}


@pytest.fixture(scope="module", name="complete")
def _complete(tmp_path_factory):
    """complete("key", "c"): what bash offers for the last word."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "wardmote").symlink_to(os.path.abspath(binary()))

    def complete(*words):
        script = 'source "$0"; COMP_WORDS=(wardmote "$@"); COMP_CWORD=$#; _wardmote; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", script, DIST / "completions/wardmote", *words], capture_output=True, text=True, check=True, timeout=60,
                              cwd=DIST, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        assert done.stderr == ""
        return set(done.stdout.split())

    return complete


def test_completion_of_commands(complete, commands):
    assert complete("") == set(commands)
    assert complete("do") == {"doctor"}
    assert complete("key", "") >= {"create", "rotate"}
    assert complete("account", "") >= {"create"}


@pytest.mark.parametrize("command", sorted({*SOURCES, *WITH_SETTINGS}))
def test_completion_of_flags(complete, settings, command):
    """Each that there is and no other, so that one that is added to a command is missed here."""
    flags = options_of(SOURCES[command]) if command in SOURCES else {"config": {"--template"}}.get(command, set())
    assert flags or command not in SOURCES
    if command in WITH_SETTINGS:
        flags |= {"--config"} | {f"--{name.replace('_', '-')}" for name in settings}
    words = [command, "create"] if command in ("account", "key") else [command]
    assert complete(*words, "--") == flags


@pytest.mark.parametrize("command", sorted(SOURCES))
def test_the_man_page_names_what_a_command_takes(command):
    page = (DIST / "wardmote.1").read_text(encoding="utf-8").replace("\\-", "-").replace("\\f", " ")
    paragraph = re.search(rf"\n\.BR? \"?{command}\b.*", page)[0]
    own = options_of(SOURCES[command])
    assert own and {flag for flag in own if not re.search(rf"{flag}\b", paragraph)} == set()


def test_completion_of_values(complete):
    assert complete("dev", "--sample", "") == {"norwich", "places", "demo", "none"}
    assert complete("serve", "--config", "wardmote.s") == {"wardmote.service", "wardmote.socket"}
    assert complete("serve", "--workers", "") == set(), "a number"
    assert complete("load", "comp") == {"completions"}
    for level in complete("serve", "--log-level", ""):
        told("config", "--log-level", level)
    assert "--workers" in complete("migrate", "--status", "--wo")
