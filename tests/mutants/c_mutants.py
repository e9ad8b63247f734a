# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mutants of the program. A copy of the sources is made in which each check can be turned off by name at run time, and is built once: `if (a || b) refuse` becomes
`if ((a && !mutant("...")) || ...`, a condition in a statement's text gets an `OR current_setting('wardmote.mutant') = '...'`, and the rows of operations and
fields pass through a function that weakens the one that is named. The program as it is shipped has none of this."""
import bisect
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import expressions
from sql_mutants import Mutant

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPIED = ("src", "include", "tools", "tests", "bench", "migrations", "sample", "docs", "api", "meson.build", "meson_options.txt")
SKIPPED = {"__pycache__", "node_modules", "mutants", "corpus"}
UNITS = ("auth_token", "auth_cache", "auth_claims", "auth_flows", "query")
BUILT = ["src/server/wardmote", "tests/contract/sql_driver", "tests/contract/catalog_dump", *(f"tests/unit/test_{name}" for name in UNITS)]
ROLES = ("anonymous", "viewer", "officer", "manager", "administrator")

# Where a request is let in or refused, and what it is shown: files, and the functions in them. "checks": what refuses does not, what must hold does. "both":
# what chooses between a narrow way and a wide one is taken each way.
CHECKS = {
    "src/server/request.c": {
        "checks": "stage_route bearer stage_authenticate stage_authorise stage_preconditions take_if_match take_if_none_match take_key run_stages stage_query"
                  " open_cursor validate_resource check_body standard_done request_body",
        "both": "stage_include stage_limit"},
    "src/server/segment.c": {"both": "act"},
    "src/server/secret.c": {"checks": "secret_append"},
    "src/server/native_auth.c": {"checks": "grant token_row run_token run_revoke login_finished login_hashed login_begun enrol_begun enrol_finished password_changed"
                                           " password_compared password_begun respond_row"},
    "src/server/native_changes.c": {"checks": "read_position native_changes", "both": "heard_resources"},
    "src/server/result.c": {"checks": "respond_result", "both": "cache_control asks_for_personal"},
    "src/auth/token.c": {"checks": "split part_object member_is gate_header signed_by canonical_uuid take_uuid take_text take_time is_audience take_role take_options"
                                   " times_fault gate_claims auth_token_verify auth_has_scope in_alphabet"},
    "src/auth/cache.c": {"checks": "find auth_cache_verify auth_cache_has adopt"},
    "src/resources/accounts/flows.c": {"checks": "flow_token_parse narrow flow_grant take_claims take_scopes"},
    "src/api/query.c": {"checks": "query_knows is_searched parse_sort query_parse", "both": "widest default_sort"},
    "src/api/query_filter.c": {"checks": "find"},
    "src/api/sql_render.c": {"both": "visible_to_others sql_shown sql_render_object"},
    "src/api/sql_list.c": {"both": "is_own_only add_conditions add_branches"},
    "src/api/sql_faults.c": {"both": "is_news may_refer add_reference_faults sql_faults sql_is_owners_alone add_owners_alone sql_forbidden"},
    "src/api/sql_write.c": {"both": "add_hidden add_verdict"},
}
# Statements' parts that are of form, not of access: pages, boxes on a map, the shape of an answer; and rules of dates and the like in the files of SQL.
OF_FORM = {"add_bbox", "add_geometry", "add_refusals", "add_geometry_faults", "sql_describe"}
OF_FORM_TEXT = re.compile(r"row_n|position >|count\(\*\)|octet_length|isfinite|'[^']*'|\d+|n\.key NOT IN.*")
OF_ACCESS = re.compile(r"api\.|wardmote\.|cur\b|_id\b|host|scope|role\b|above|writable|current|faults|errors")
BOTH_WAYS = {"add_hidden", "add_cur", "add_new"}
# Rows that all resources share: one mutant stands for all.
COMMON, COMMON_TO = {"id", "visibility", "grants", "external_id", "source", "created_at", "updated_at", "created_by", "updated_by", "version"}, "communities"
NO_CHECK = re.compile(r"ENOMEM|lacking|errno|buffer_|value\.len|result->outcome != DB_NO_ROW")  # of memory and form, not of access
# Statements: what only the data tells.
STATEMENTS = ("src/server/segment.c", "src/server/native_changes.c", "src/api/sql.c", "src/api/sql_faults.c", "src/api/sql_write.c", "src/api/sql_list.c",
              "src/api/sql_history.c", "src/resources/accounts/flows.c")
REFUSES = re.compile(r"respond_\w+\(|return false|return -E|return NULL|return [a-z]+_refus\w+|goto out|why = |refuse\w*\(|return \"|fault\w*\(|throttled\(|= client_refused")


def shown(text, value):
    part = " ".join(text.split())
    return f"{part if len(part) <= 90 else part[:87] + '...'} -> {value} #{hashlib.sha256(part.encode()).hexdigest()[:6]}"


class Source:
    """One file: the edits that its text gets, and the mutants that they make."""

    def __init__(self, name, text):
        self.name = name
        self.text = text
        self.blank = blanked(text)
        self.edits = []  # (at, text)
        self.mutants = []
        self.starts = [match.start() for match in re.finditer(r"^\{", self.blank, re.M)]
        self.seen = {}

    def function(self, at):
        """The name of the function around a place."""
        index = bisect.bisect(self.starts, at) - 1
        names = re.findall(r"(\w+)\s*\([^;{}]*\)\s*$", self.blank[:self.starts[index]]) if index >= 0 else []
        return names[-1] if names else "-"

    def named(self, text, value, at):
        name = f"{self.name} {self.function(at)}: {shown(text, value)}"
        self.seen[name] = self.seen.get(name, 0) + 1
        return name if self.seen[name] == 1 else f"{name} ({self.seen[name]})"

    def wrap(self, start, end, before, after):
        self.edits += [(start, 1, -end, before), (end, 0, -start, after)]

    def mutated(self):
        """Where several begin at one place the longest comes first, where several end the shortest."""
        parts, at = [], 0
        for place, _, _, text in sorted(self.edits):
            parts += [self.text[at:place], text]
            at = place
        return "".join(parts) + self.text[at:]


def blanked(text):
    """Comments and what is in strings become blanks; each character stays in its place."""
    def blank(match):
        token = match[0]
        return re.sub(r"[^\n]", " ", token) if token[0] == "/" else token[0] + " " * (len(token) - 2) + token[0]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def closing(text, at):
    """Where the bracket at `at` closes."""
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place
    raise ValueError("unbalanced")


def parts_of(text, start, end, connective):
    """[(start, end)] of what stands between the connectives of this level."""
    found, depth, begin = [], 0, start
    for at in range(start, end):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0 and text.startswith(connective, at):
            found.append((begin, at))
            begin = at + len(connective)
    found.append((begin, end))
    return [trimmed(text, *part) for part in found]


def trimmed(text, start, end):
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


# --- conditions in C ---

def turn(source, start, end, value):
    """From now on this part of a condition can be taken for `value`."""
    name = source.named(source.text[start:end], "true" if value else "false", start)
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    if value:
        source.wrap(start, end, "((", f') || mutant("{quoted}"))')
    else:
        source.wrap(start, end, "((", f') && !mutant("{quoted}"))')
    source.mutants.append(Mutant(name, "program", None, None))


def branch_of(text, end):
    """What an `if` whose condition ends there leads to."""
    rest = text[end + 1:]
    return rest[:closing(rest, rest.index("{"))] if rest.lstrip().startswith("{") else rest[:rest.index(";") + 1]


def c_branches(source, mode_of):
    for match in re.finditer(r"\bif \(", source.blank):
        start, end = trimmed(source.blank, match.end(), closing(source.blank, match.end() - 1))
        mode, branch = mode_of(start), branch_of(source.blank, closing(source.blank, match.end() - 1))
        if mode is None or NO_CHECK.search(source.text[start:end]):
            continue
        if mode == "both":
            turn(source, start, end, True)
        if mode == "both" or REFUSES.search(branch):
            for part in parts_of(source.blank, start, end, "||"):
                turn(source, *part, False)


def c_values(source, mode_of):
    """What functions that answer yes or no return, and what variables of that kind hold."""
    text = source.blank
    for match in re.finditer(r"\breturn ([^;]+);|\bbool (\w+) = ([^;]+);|^\t+(\w+) = (\4 (?:&&|\|\|) [^;]+);", text, re.M):
        group = next(number for number in (1, 3, 5) if match[number])
        start, end = trimmed(text, match.start(group), match.end(group))
        mode, head = mode_of(start), text[:source.starts[max(bisect.bisect(source.starts, start) - 1, 0)]].rstrip().split("\n")[-1]
        if mode is None or re.fullmatch(r"true|false|found", text[start:end]) or (group == 1 and not re.search(r"\bbool \w+\(", head)):
            continue
        if "," in re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", text[start:end]) or NO_CHECK.search(text[start:end]):
            continue
        if "refuse" in text[start:end]:
            continue
        alternatives, conjuncts = parts_of(text, start, end, "||"), parts_of(text, start, end, "&&")
        for part in conjuncts if len(alternatives) == 1 else [(start, end)]:
            turn(source, *part, True)
        if mode == "both":
            for part in alternatives:
                turn(source, *part, False)


def c_callers(source, mode_of):
    """Who asks, wherever something depends on it."""
    for match in re.finditer(r"(?:\w+(?:->|\.))*caller (?:==|!=) CALLER_ANONYMOUS(?= \?)|request->authenticated(?= \?)", source.blank):
        if mode_of(match.start()) is not None:
            turn(source, match.start(), match.end(), True)
            turn(source, match.start(), match.end(), False)


def c_conditions(source):
    modes = {function: mode for mode, functions in CHECKS[source.name].items() for function in functions.split()}

    def mode_of(at):
        return modes.get(source.function(at))

    missing = set(modes) - set(re.findall(r"^[\w \*]*?(\w+)\(", source.blank, re.M))
    assert not missing, f"{source.name} has no {missing}"
    c_branches(source, mode_of)
    c_values(source, mode_of)
    c_callers(source, mode_of)


# --- conditions in statements ---

def sql_key(name):
    return "m" + hashlib.sha256(name.encode()).hexdigest()[:12]


def chosen(name):
    return f"coalesce(current_setting('wardmote.mutant', true), '') = '{sql_key(name)}'"


def sql_turns(text, faults, both=False):
    """[(start, end, value)]: rows of faults are left out; elsewhere conditions are met, and refusing branches not taken."""
    found = []
    for edit in expressions.edits(text):
        before, part = text[:edit.start].rstrip(" (").upper(), text[edit.start:edit.end]
        if part.count("(") != part.count(")") or re.search(r"ON CONFLICT \([^)]*\) WHERE$", before) or part.strip(" %sd") == "" or OF_FORM_TEXT.match(part):
            continue
        leads = re.search(r"(WHERE|ON|WHEN|THEN|ELSE|AND|OR)$", before)
        if faults:
            if leads and leads[1] in ("WHERE", "ON") and edit.value == "true":
                found.append((edit.start, edit.end, "false"))
        elif (edit.value == "false") == bool(leads and leads[1] == "WHEN") or both:
            found.append((edit.start, edit.end, edit.value))
    longest = {}
    for start, end, value in found:  # of a row of faults all conditions at once
        if not faults or end > longest.get(start, (0, 0))[0]:
            longest[start if faults else (start, end, value)] = (end, value)
    return sorted((key if faults else key[0], end, value) for key, (end, value) in longest.items())


def wrapped(name, value):
    return (" OR " if value == "true" else " AND NOT ") + chosen(name) + ")"


def literals(source):
    """[(text, [(place in the text, place in the file)])]: neighbouring strings as the one that they are."""
    found, last = [], None
    for match in re.finditer(r'"(?:\\.|[^"\\\n])*"', source.text):
        if source.blank[match.start()] != '"':
            continue
        text = match[0][1:-1]
        gap = source.blank[last:match.start()] if last is not None else "x"
        if last is not None and re.fullmatch(r"\s*\\?\s*", gap):
            found[-1][1].append((len(found[-1][0]), match.start() + 1))
            found[-1][0] += text
        else:
            found.append([text, [(0, match.start() + 1)]])
        last = match.end()
    return found


def c_statements(source):
    for text, pieces in literals(source):
        if not re.search(r"\b(SELECT|WHERE|AND|WHEN)\b", text) or "\\\"" in text and "to_char" not in text:
            continue
        faults = bool(re.search(r"UNION ALL SELECT ('|u\.)", text)) or (source.name.endswith("sql_faults.c") and text.startswith(" WHERE u.id"))
        places = [place for place, _ in pieces]

        def file_place(at, ending, places=places, pieces=pieces):
            index = (bisect.bisect_left(places, at) if ending else bisect.bisect(places, at)) - 1
            return pieces[index][1] + at - pieces[index][0]

        for start, end, value in sql_turns(text, faults, source.function(pieces[0][1]) in BOTH_WAYS):
            first, last = file_place(start, False), file_place(end, True)
            if source.function(first) in OF_FORM:
                continue
            name = source.named(text[start:end], value, first)
            source.wrap(first, last, "(", wrapped(name, value))
            source.mutants.append(Mutant(name, "statements", None, None))


def sql_file(source):
    faults = source.name.endswith(("check.sql", "gate.sql", "delete.sql"))
    for start, end, value in sql_turns(source.text, faults):
        if not OF_ACCESS.search(source.text[start:end]):
            continue
        name = source.named(source.text[start:end], value, start)
        source.wrap(start, end, "(", wrapped(name, value))
        source.mutants.append(Mutant(name, "statements", None, None))


# --- tables ---

def rows_of_tables():
    document = json.loads((ROOT / "api/openapi.json").read_text(encoding="utf-8"))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("parameters",):
                continue
            name, least = operation["operationId"], ROLES.index(operation.get("x-role", "anonymous"))
            for role in range(min(least, 2)):  # for the anonymous, for viewers
                yield f"operation:{name}.:{role}"
            if any(scopes for entry in operation.get("security", []) for scopes in entry.values()):
                yield f"operation:{name}.:no scope"
    for path, methods in document["paths"].items():
        if "post" not in methods or f"{path}/{{id}}" not in document["paths"]:
            continue
        resource, read = path.split("/")[2], methods["get"].get("x-role", "anonymous")
        name = document["paths"][f"{path}/{{id}}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            if field in COMMON and resource != COMMON_TO:
                continue
            audience = schema.get("x-audience", "public")
            if audience == "owner":
                yield f"field:{resource}.{field}:partner"
            if audience != "public" and read == "anonymous":  # else no request of theirs comes to it
                yield f"field:{resource}.{field}:public"
            if schema.get("readOnly"):
                yield f"field:{resource}.{field}:writable"
            for flag, change in (("F_CREATE_ONLY", "changeable"), ("F_OWNED_REF", "any reference")):
                if flag in flags_of(resource, field):
                    yield f"field:{resource}.{field}:{change}"


def flags_of(resource, field):
    """The flags of a field's row, in the file of its resource or among the common ones."""
    for path in (ROOT / "src/resources").rglob("*.c"):
        text = path.read_text(encoding="utf-8")
        if re.search(r'const struct resource \w+ = \{\s*\.name = "%s"' % resource, text):
            found = re.search(r'\{\s*\.name = "%s",(?:[^{}])*?\.flags = ([A-Z_| ]+)' % field, text)
            if found:
                return found[1]
    return "F_CREATE_ONLY" if field == "partner_id" and resource != "partners" else ""


# --- the copy ---

def mutate(name, text):
    source = Source(name, text)
    if name.endswith(".sql"):
        sql_file(source)
        return source
    if name in CHECKS:
        c_conditions(source)
    if name in STATEMENTS:
        c_statements(source)
    return source


def sources():
    found = []
    for name in dict.fromkeys([*CHECKS, *STATEMENTS, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "src/resources").rglob("*.sql"))]):
        found.append(mutate(name, (ROOT / name).read_text(encoding="utf-8")))
    return found


LIST = "mutants.json"


def listed(tree):
    """What the copy holds: the sources may have changed since it was made."""
    return [Mutant(name, group, None, None) for name, group in json.loads((pathlib.Path(tree) / LIST).read_text(encoding="utf-8"))]


def write(path, text):
    """Only what differs, so that only that is built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def tree():
    """Where the copy is."""
    return pathlib.Path(os.environ.get("WARDMOTE_TEST_MUTANTS_TREE", ROOT / "build/mutants")).resolve()


def built():
    """The copy, built; its folder."""
    copy = tree()
    changed = {source.name: source for source in sources()}
    for place in COPIED:
        for path in [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*")):
            name = str(path.relative_to(ROOT))
            if not path.is_file() or SKIPPED & set(path.parts):
                continue
            if name in changed:
                text = changed[name].mutated()
                write(copy / name, ('#include "mutant.h"\n' if name.endswith(".c") else "") + text)
            elif name == "src/api/catalog.c":
                text = path.read_text(encoding="utf-8")
                text = text.replace("/* --- the common fields --- */", '#include "tables.h"\n', 1)
                text = text.replace("\tuint64_t bit = BIT(shape->n_fields);\n", "\tuint64_t bit = BIT(shape->n_fields);\n\tfield = mutant_field(mutant_arena, shape, field);\n", 1)
                text = text.replace("(struct route){ operation, shape }", "(struct route){ mutant_operation(&catalog->arena, operation), shape }", 1)
                text = text.replace("enum { STANDARD_OPERATIONS = 7 };", "enum { STANDARD_OPERATIONS = 7 };\nstatic struct arena *mutant_arena;", 1)
                text = text.replace("\tsize_t n_routes = count_operations(", "\tmutant_arena = &catalog->arena;\n\tsize_t n_routes = count_operations(", 1)
                write(copy / name, text)
            elif not (copy / name).exists() or (copy / name).stat().st_mtime < path.stat().st_mtime:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy / name)
    for name in ("mutant.h", "tables.h"):
        write(copy / "include" / name, (HERE / name).read_text(encoding="utf-8"))
    rows = [[mutant.id, mutant.group] for source in changed.values() for mutant in source.mutants] + [[name, "tables"] for name in rows_of_tables()]
    assert len({name for name, _ in rows}) == len(rows), "names are not unique"
    write(copy / LIST, json.dumps(rows, indent=0))
    if not (copy / "build/build.ninja").exists():
        done = subprocess.run(["meson", "setup", str(copy / "build"), str(copy), "--buildtype=debug", "-Dwerror=false", "-Dwarning_level=0",
                               "-Dc_args=-fsanitize=bounds -fsanitize-undefined-trap-on-error"],  # a check of a length that is missing does not go on as if nothing was
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
    done = subprocess.run(["ninja", "-C", str(copy / "build"), "-j2", *BUILT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stdout[-6000:] + done.stderr)
    return copy
