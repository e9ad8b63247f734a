# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every code of a fault that the sources can answer is in the registry of problems, and the registry has no other."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Functions that take a code, and which argument it is.
TAKES_CODE = {"fault_add": 3, "query_fault": 1, "check_fault": 2, "refuse": 1}
# Rows (pointer, code, detail) of SQL, in files of their own and within C strings.
POINTER = r"(?:'(?:/[^']*)?'(?: \|\| [^,']+(?: - 1)?)?|format\('/[^']*'[^)]*\)|'/' \|\| [\w.]+|CASE WHEN (?:(?!SELECT)[^;])*? END|u\.pointer)"
IN_SQL = [
    rf"SELECT {POINTER}(?: AS pointer)?, '([a-z_]+)'",
    r"\('[a-z]+', '/[a-z_]+', '([a-z_]+)', '",
]


def registered():
    text = (ROOT / "src/api/problem.c").read_text()
    tables = re.findall(r"static const struct code (\w+)\[\] = \{(.*?)\n\};", text, re.S)
    assert [name for name, _ in tables] == ["request_codes", "data_codes"]
    codes = [re.findall(r'\{ "([a-z_]+)",\s*"', body) for _, body in tables]
    for table in codes:
        assert table == sorted(set(table))
    return set(codes[0]) | set(codes[1])


def arguments(text, start):
    """The arguments of a call whose opening parenthesis is at `start`, split at the commas of its own level."""
    parts, depth, quoted, begin = [], 0, False, start + 1
    for at in range(start, len(text)):
        char = text[at]
        if char == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 or (depth == 1 and char == ","):
            parts.append(text[begin:at])
            begin = at + 1
        if depth == 0:
            return parts
    return parts


def codes_in_c(text):
    for call in re.finditer(r"\b(%s)\(" % "|".join(TAKES_CODE), text):
        parts = arguments(text, call.end() - 1)
        if len(parts) > TAKES_CODE[call[1]]:
            yield from re.findall(r'"([a-z_]+)"', parts[TAKES_CODE[call[1]]])
    yield from re.findall(r'struct verdict\)\s*\{\s*"([a-z_]+)"', text)
    yield from re.findall(r'\bcode = "([a-z_]+)"', text)


def codes_in_sql(text):
    for pattern in IN_SQL:
        yield from re.findall(pattern, text)


def used():
    found = {}
    paths = [path for folder in ("api", "server") for path in (ROOT / "src" / folder).glob("*.c")]
    paths += [*(ROOT / "src/resources").rglob("*.sql"), *(ROOT / "migrations").glob("*.sql")]
    for path in paths:
        text = path.read_text()
        codes = set(codes_in_sql(text))
        if path.suffix == ".c":
            codes |= set(codes_in_c(text))
        for code in codes:
            found.setdefault(code, set()).add(path.name)
    return found


def test_every_code_is_registered():
    missing = {code: files for code, files in used().items() if code not in registered()}
    assert not missing


def test_no_code_is_registered_for_nothing():
    assert registered() - set(used()) == set()
