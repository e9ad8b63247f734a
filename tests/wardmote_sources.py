# SPDX-License-Identifier: AGPL-3.0-or-later
"""The C sources as tests of their form see them."""
import pathlib
import re
import subprocess

import wardmote_server

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("base", "api", "resources", "auth", "db", "http", "server")


def c_files(*places):
    """All .c and .h files below these folders of the project."""
    return sorted(path for place in places for pattern in ("*.c", "*.h") for path in (ROOT / place).rglob(pattern))


def name_of(path):
    return str(path.relative_to(ROOT))


def without_comments(text, keep_strings=True):
    """Comments become spaces, and strings empty when asked for; every line stays where it was."""
    def blank(match):
        token = match[0]
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token if keep_strings else token[0] * 2

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def includes(path):
    """[(the name, is it of the project)]"""
    return [(name, quote == '"') for quote, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.M)]


def functions(path):
    """[(first line of the body, lines from its opening brace to its closing one, the text)]; both braces stand alone in the first column."""
    lines = without_comments(path.read_text()).split("\n")
    found, start = [], None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            found.append((start, number - start + 1, lines[start:number - 1]))
            start = None
    return found


def objects(folder):
    """The object files of a folder in the build that is tested."""
    build = pathlib.Path(wardmote_server.binary()).resolve().parent.parent
    found = sorted(build.glob(f"{folder}/lib{folder}.a.p/*.o") if folder != "server" else build.glob("server/wardmote.p/*.o"))
    assert found, f"no objects of src/{folder} in {build}: the tested binary has to lie in its build folder"
    return found


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=True).stdout
