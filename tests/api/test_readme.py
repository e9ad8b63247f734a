# SPDX-License-Identifier: AGPL-3.0-or-later
"""The tour in README.md: its commands are run as printed, in one shell, and what they print is what README.md shows."""
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.request

import pytest

from wardmote_dev import Dev
from wardmote_server import binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
END = "--- end of step ---"
# What differs from run to run.
VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "(id)"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "(time)"),
)


def steps():
    """(commands, shown output) of the tour."""
    tour = README.split("\n## Five minutes with curl\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```\n+(?:^```\n(.*?)^```$)?", tour, re.MULTILINE | re.DOTALL)


def normal(text):
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text.strip()


def shows(shown, printed):
    """`...` in what is shown stands for anything within a line; on a line of its own for any number of lines."""
    lines = [r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in normal(shown).splitlines()]
    return re.fullmatch("".join(lines), normal(printed) + "\n") is not None


def run_tour(dev):
    """What each step prints, under the names that README.md gives to server and folder."""
    script = "".join(f"{commands}\necho '{END}'\n" for commands, _ in steps())
    script = script.replace("/tmp/", f"{dev.folder}/").replace("var/dev", str(dev.folder)).replace("http://127.0.0.1:8080", dev.state["url"])
    done = subprocess.run(["bash", "-u"], input=script, capture_output=True, text=True, timeout=180, check=False, cwd=ROOT)
    output = done.stdout.replace(dev.state["url"], "http://127.0.0.1:8080").replace(str(dev.folder), "var/dev")
    assert done.returncode == 0 and not done.stderr, (done.stderr, output)
    return output.split(END + "\n")[:-1]


@pytest.fixture(scope="module", name="dev")
def _dev():
    base = pathlib.Path(tempfile.mkdtemp(prefix="wmreadme-", dir="/tmp"))
    base.chmod(0o755)
    dev = Dev(base / "dev", sample="norwich")
    yield dev
    assert dev.stop() == 0
    shutil.rmtree(base)


def test_what_is_shown_is_compared():
    """The comparison itself can fail."""
    assert shows("a 01a20080-00d4-7ffa-af50-f19c9820edeb\n...\nz", "a 01a20080-00d4-7ffa-af50-f19c9820ed00\nb\nc\nz\n")
    assert shows('["x", ...]\n', '["x", "y"]\n')
    for shown, printed in (("a", "b"), ("a", "a\nb"), ("", "a"), ("a...", "a\nb"), ("...\nz", "b\nc"), ("a.c", "abc")):
        assert not shows(shown, printed)


def test_the_tour(dev):
    tour = steps()
    printed = run_tour(dev)
    assert len(printed) == len(tour) >= 8
    for (commands, shown), output in zip(tour, printed):
        assert shows(shown, output), f"{commands}\nREADME.md shows:\n{shown}\nbut it printed:\n{output}"


def test_the_links():
    """Every file that README.md or a page of docs/ leads to is there."""
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} leads to {target}"


def test_commands_and_metrics_that_the_pages_name(dev):
    """There are no others, so a renamed one is noticed."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    usage = subprocess.run([binary(), "help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"(?:^|[`/ ])wardmote ([a-z]+)\b(?=[` ])", "\n".join(re.findall(r"`[^`\n]+`|^wardmote .*$", pages, re.MULTILINE))))
    assert {"setup", "migrate", "serve"} <= commands <= set(re.findall(r"^  ([a-z]+) ", usage, re.MULTILINE))
    with urllib.request.urlopen(dev.state["admin_url"] + "/metrics", timeout=10) as answer:
        served = answer.read().decode() + (ROOT / "src/server/certificate.c").read_text(encoding="utf-8").replace('"# HELP ', "\n")  # with TLS of its own
    named = set(re.findall(r"`(wardmote_[a-z_]+_(?:total|seconds|requests))`", pages))
    assert named and named <= set(re.findall(r"^(wardmote_\w+)", served, re.MULTILINE))


def test_the_folder_map():
    """README.md names every folder of the repository, and no other."""
    table = README.split("\n## Folders\n")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([^`]+)/` \|", table, re.MULTILINE))
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    top = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    inner = {"/".join(path.split("/")[:2]) for path in tracked if path.startswith("src/") and path.count("/") > 1}
    assert {name for name in named if "/" not in name} == top
    assert {name for name in named if name.startswith("src/")} == inner
