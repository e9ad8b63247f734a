# SPDX-License-Identifier: AGPL-3.0-or-later
"""Rules that a compiler does not keep: the licence line, functions that are not used, no state outside of what is passed, text files as editors like them."""
import re
import subprocess

import pytest

import wardmote_sources as sources

LICENCE = "SPDX-License-Identifier: AGPL-3.0-or-later"
LICENSED = re.compile(r".*\.(c|h|inc|py|ts|mjs|yml|yaml)|(.*/)?(meson\.build|Dockerfile)|migrations/.*\.sql|scripts/(run|test|test-install)|scripts/lib/.*\.(sh|py)|tests/fuzz/run")
TEXT = re.compile(r".*\.(c|h|inc|py|sql|md|json|yml|yaml|ts|mjs|build|sh|txt)")
GENERATED = re.compile(r"api/openapi\.json|tests/web/(package-lock\.json|schema\.d\.ts)|tests/fuzz/corpus/.*|sample/.*\.(json|geojson|csv)")

# No bounds, no errors told, or hidden state; what to use instead is in include/wardmote/ or has an argument more.
BANNED = {"strcpy", "strcat", "stpcpy", "strncpy", "strncat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "atoll", "atof", "sscanf",
          "rand", "srand", "random", "drand48", "tmpnam", "mktemp", "tempnam", "system", "popen", "alloca", "localtime", "gmtime", "asctime", "ctime", "setjmp",
          "longjmp", "usleep", "sleep"}

# Objects that may change and belong to no struct: the level of the log and the count of its lost lines, both atomic; and each thread's count of allocations
# that failed in a library, whose hooks take no context.
MUTABLE = {("base", "log.c", "least_level"), ("base", "log.c", "lines_dropped"), ("base", "memory.c", "lacks"), ("base", "memory.c", "spare")}

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked():
    """Paths of the repository; a tree without one (an archive) is walked."""
    done = subprocess.run(["git", "-C", str(sources.ROOT), "ls-files", "-z"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0 and done.stdout:
        return [name for name in done.stdout.split("\0") if name and (sources.ROOT / name).is_file()]
    kept = ("src", "include", "tests", "migrations", "tools", "scripts", "docs")
    return [sources.name_of(path) for place in kept for path in (sources.ROOT / place).rglob("*")
            if path.is_file() and not {"node_modules", "__pycache__", "build"} & set(path.parts)]


def test_each_source_names_its_licence():
    faults = []
    for name in tracked():
        if LICENSED.fullmatch(name) and not GENERATED.fullmatch(name):
            head = (sources.ROOT / name).read_text(encoding="utf-8").split("\n")[:3]
            if not any(LICENCE in line for line in head):
                faults.append(name)
    assert faults == []


def test_functions_that_are_not_used():
    call = re.compile(r"\b(%s)\s*\(" % "|".join(BANNED))
    faults = []
    for path in sources.c_files("src", "include", "tools"):
        code = sources.without_comments(path.read_text(), keep_strings=False)
        faults += [f"{sources.name_of(path)}:{code[:found.start()].count(chr(10)) + 1}: {found[1]}" for found in call.finditer(code)]
    assert faults == []


@pytest.mark.parametrize("folder", sources.FOLDERS)
def test_no_state_outside_of_what_is_passed(folder):
    """Every object of the linker's view that lies where it can be written: globals and statics of functions alike."""
    found = set()
    for path in sources.objects(folder):
        sections = {number: name for number, name in re.findall(r"^\s*\[\s*(\d+)\]\s+(\S+)", sources.run("readelf", "-SW", path), re.M)}
        for kind, number, name in re.findall(r"^\s*\d+: [0-9a-f]+\s+\w+ (OBJECT|TLS)\s+\w+\s+\w+\s+(\w+) (\S+)", sources.run("readelf", "-sW", path), re.M):
            section = ".bss" if number == "COM" else sections.get(number, "")
            writable = kind == "TLS" or re.match(r"\.(data|bss|tdata|tbss)(?!\.rel\.ro)", section)
            if writable and not name.startswith(("__odr_asan", "__asan", "__tsan", "__ubsan", "__sancov")):
                found.add((folder, path.name.removesuffix(".o"), re.sub(r"\.\d+$", "", name)))
    assert found == {row for row in MUTABLE if row[0] == folder}


def test_text_files():
    faults = []
    for name in tracked():
        if not TEXT.fullmatch(name) or GENERATED.fullmatch(name):
            continue
        text = (sources.ROOT / name).read_text(encoding="utf-8")
        faults += [f"{name}: {what}" for what, wrong in (
            ("carriage returns", "\r" in text), ("blanks at the end of a line", re.search(r"[ \t]$", text, re.M) and not name.endswith(".md")),
            ("no line break at its end", text and not text.endswith("\n")), ("a byte order mark", text.startswith("\ufeff"))) if wrong]
    assert faults == []


def test_nothing_is_left_for_later():
    faults = [f"{sources.name_of(path)}:{number}" for path in sources.c_files("src", "include", "tools")
              for number, line in enumerate(path.read_text().split("\n"), 1) if UNFINISHED.search(line)]
    assert faults == []
