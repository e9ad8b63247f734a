# SPDX-License-Identifier: AGPL-3.0-or-later
"""The layers of docs/architecture.md hold: by what is included, by what is linked, and by what is named."""
import re

import pytest

import wardmote_sources as sources

# Whose functions a folder may call.
CALLS = {"base": set(), "api": {"base"}, "resources": {"api", "base"}, "auth": {"base"}, "db": {"base"}, "http": {"base"},
         "server": {"resources", "api", "auth", "db", "http", "base"}}

# Where each header of include/wardmote/ is at home. "vocabulary": types that the folders share, and nothing to call but what CALLS allows.
HOME = {"arena": "base", "clock": "base", "config": "base", "hash": "base", "log": "base", "memory": "base", "network": "base", "slice": "base",
        "operation": "vocabulary", "problem": "vocabulary", "resource": "vocabulary", "sql": "vocabulary",
        "catalog": "api", "csv_scan": "api", "features": "api", "negotiate": "api", "openapi": "api", "query": "api", "validate": "api", "view": "api",
        "resources": "resources", "auth": "auth", "db": "db", "http": "http"}

# A header that a folder includes without calling its functions.
TYPES_ONLY = {("resources", "auth")}  # the claims of a token, which statements of accounts fill

# (what a foreign header is called, the folders that may include it)
FOREIGN = [
    (r"libpq-fe\.h|postgres.*", {"db"}),
    (r"microhttpd\.h|gnutls/.*|zlib\.h", {"http"}),
    (r"sodium\.h|xxhash\.h|openssl/.*", {"auth"}),
    (r"curl/.*", {"server"}),
    (r"jansson\.h", {"api", "auth", "resources", "server"}),
]
STANDARD = re.compile(r"(assert|ctype|errno|fcntl|ftw|getopt|glob|grp|inttypes|limits|malloc|math|netdb|poll|pthread|pwd|signal|stdarg|stdatomic|stdbool|stddef|stdint"
                      r"|stdio|stdlib|string|strings|time|unistd|dirent|(sys|netinet|arpa|linux|sanitizer)/[a-z_0-9]+)\.h")

# What api itself is about: partners own records, and codes are the values of fields of the type T_CODES.
KNOWN_TO_API = {"partner", "partners", "code", "codes"}

# Identifiers that are spelled like a resource and mean something else: the account that acts, what something cannot do without.
WORDS = {"account", "need", "needs"}


def files_of(folder):
    return sources.c_files(f"src/{folder}")


def test_each_folder_and_header_has_its_place():
    assert {path.name for path in (sources.ROOT / "src").iterdir() if path.is_dir()} == set(CALLS)
    assert {path.stem for path in sources.c_files("include/wardmote")} == set(HOME)


@pytest.mark.parametrize("folder", CALLS)
def test_headers_of_the_project(folder):
    faults = []
    for path in files_of(folder):
        for name, own in sources.includes(path):
            if own and name.startswith("wardmote/"):
                stem = name.removeprefix("wardmote/").removesuffix(".h")
                if HOME[stem] not in CALLS[folder] | {folder, "vocabulary"} and (folder, stem) not in TYPES_ONLY:
                    faults.append(f"{sources.name_of(path)} includes {name}")
            elif own:
                inside = (sources.ROOT / f"src/{folder}").resolve()
                # `server` drives the flows of accounts: their statements are a resource's, their calls are its own.
                places = [path.parent / name, inside / name]
                good = [place.resolve() for place in places if place.exists()]
                if not any(place.is_relative_to(inside) for place in good) and (folder, name) != ("server", "../resources/accounts/flows.h"):
                    faults.append(f"{sources.name_of(path)} includes {name}, which is not of its folder")
    assert faults == []


def test_public_headers_know_no_foreign_ones():
    faults = [f"{path.name} includes {name}" for path in sources.c_files("include") for name, own in sources.includes(path)
              if not (own and name.startswith("wardmote/")) and not STANDARD.fullmatch(name)]
    assert faults == []


@pytest.mark.parametrize("folder", CALLS)
def test_foreign_headers_are_included_in_their_folder_only(folder):
    faults = []
    for path in files_of(folder):
        for name, own in sources.includes(path):
            if own or STANDARD.fullmatch(name):
                continue
            allowed = [folders for pattern, folders in FOREIGN if re.fullmatch(pattern, name)]
            if not allowed or folder not in allowed[0]:
                faults.append(f"{sources.name_of(path)} includes <{name}>")
    assert faults == []


def symbols(folder):
    """(defined, undefined) names with external linkage in the folder's object files"""
    text = sources.run("nm", "-g", *sources.objects(folder))
    defined = set(re.findall(r"^[0-9a-f]+ [A-TV-Z] (\w+)$", text, re.M))
    return defined, set(re.findall(r"^ +U (\w+)$", text, re.M)) - defined


def test_calls_go_down():
    """What is included may hide what is called: the linker's view."""
    seen = {folder: symbols(folder) for folder in CALLS}
    owner = {name: folder for folder, (defined, _) in seen.items() for name in defined if not name.startswith("_")}
    assert len(owner) > 150
    faults = [f"{folder} needs {name} of {owner[name]}" for folder, (_, needed) in seen.items() for name in sorted(needed)
              if name in owner and owner[name] not in CALLS[folder]]
    assert faults == []


def resource_names():
    names = set()
    for path in sources.c_files("src/resources"):
        text = sources.without_comments(path.read_text())
        for body in re.findall(r"^const struct resource \w+ = \{(.*?)^\};", text, re.M | re.S):
            names |= set(re.findall(r'^\t\.(?:name|thing) = "([a-z_-]+)"', body, re.M))
    return names


def test_api_names_no_resource():
    """Nor do the folders below and beside it: a new resource is a descriptor, and no other folder hears of it."""
    names = resource_names()
    assert len(names) >= 24
    said = re.compile(r"\b(%s)\b" % "|".join(sorted(names - KNOWN_TO_API, key=len, reverse=True)))
    # A word of everyday English in a text for people is no name: names stand alone in a string, or with the marks of a path or a table.
    as_name = re.compile(r'"(?:/v1/|api\.|wardmote\.)?(%s)(?:["/.]|_id)' % "|".join(names - KNOWN_TO_API))
    faults = []
    for folder in ("base", "api", "auth", "db", "http"):
        for path in files_of(folder):
            text = sources.without_comments(path.read_text())
            code = sources.without_comments(text, keep_strings=False)
            faults += [f"{sources.name_of(path)}: {found[0]}" for found in as_name.finditer(text)]
            faults += [f"{sources.name_of(path)}: identifier {found}" for found in re.findall(r"\b\w+\b", code)
                       if found not in WORDS and any(part in names - KNOWN_TO_API for part in (found, found.removesuffix("_resource")))]
    for path in (sources.ROOT / "src/api").glob("*.json"):
        faults += [f"{sources.name_of(path)}: {found}" for found in re.findall(r"/v1/([a-z-]+)", path.read_text()) if said.fullmatch(found)]
    assert faults == []
