# SPDX-License-Identifier: AGPL-3.0-or-later
"""Conditions in SQL text: where they begin and end, and which of their parts a mutant replaces. It reads what PostgreSQL prints of views and policies,
bodies of functions and hand-written statements alike: words and brackets are enough for that."""
import collections
import re

TOKEN = re.compile(r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)|(?P<text>[eE]?'(?:[^']|'')*'|"[^"]*"|\$\d+)|(?P<word>[A-Za-z_@][A-Za-z_0-9.]*)|(?P<other>.)""", re.X | re.S)
BEGINS = {"WHERE", "ON", "WHEN", "IF", "ELSIF", "HAVING"}
ENDS = {"THEN", "GROUP", "ORDER", "LIMIT", "UNION", "RETURNING", "FOR", "WINDOW", "OFFSET", "JOIN", "LEFT", "CROSS", "INNER", "DO", "WHERE", "FROM", "SELECT", "LOOP",
        "ELSE", "END", "WHEN", "ON", "HAVING", "SET", "RETURN", "AS", "CONFLICT"}

VALUE = re.compile(r"'[^']*'|\d+")  # CASE a WHEN value: NULL is met by none

Token = collections.namedtuple("Token", "kind word start end")
Edit = collections.namedtuple("Edit", "start end value")  # the condition there is taken to be `value`


def tokens(text):
    return [Token(match.lastgroup, match[0].upper() if match.lastgroup == "word" else match[0], match.start(), match.end())
            for match in TOKEN.finditer(text) if match.lastgroup != "skip"]


def split(row, word):
    """The parts of a row of tokens (all of one level, groups in brackets folded) between the connectives `word`. BETWEEN has an AND of its own."""
    parts, between = [[]], False
    for token in row:
        if token.word == "BETWEEN":
            between = True
        if token.word == word and not (word == "AND" and between):
            parts.append([])
            continue
        if token.word == "AND":
            between = False
        parts[-1].append(token)
    return [part for part in parts if part]


def span(row):
    return row[0].start, row[-1].end


def edits_of(row, way):
    """What to try on one condition. What must hold is taken for true, in whole and each part that stands beside others. What leads into a branch that refuses
    or does something is taken for false, in whole and each of its alternatives."""
    found = []
    alternatives = split(row, "OR")
    if way in ("holds", "either"):
        found.append(Edit(*span(row), "true"))
        for part in alternatives:
            operands = split(part, "AND")
            if len(operands) > 1:
                found += [Edit(*span(operand), "true") for operand in operands]
    if way in ("refuses", "either"):
        found.append(Edit(*span(row), "false"))
        if len(alternatives) > 1:
            found += [Edit(*span(part), "false") for part in alternatives]
    return found


def way_of(word, after):
    """What the condition behind a word is for, and what comes behind it: WHERE must hold; IF leads to a refusal unless it lets pass; of WHEN both are tried."""
    if word in ("IF", "ELSIF"):
        return "holds" if after[:1] == ["THEN"] and after[1:3] in (["RETURN", "NEW"], ["RETURN", "OLD"]) else "refuses"
    return "either" if word == "WHEN" else "holds"


class Reader:
    """Walks the levels of a text and keeps the conditions: (tokens of one level, what they are for). Within a refusal, or behind NOT, a part that is taken for
    true only makes it stricter: there is nothing to try there, until another NOT turns it round."""

    def __init__(self, text, boolean_body):
        self.rows = tokens(text)
        self.found = []
        self.level(0, "SELECT" if boolean_body else None, {None}, True)

    def folded(self, at, widens):
        """The token at `at`, a bracket or a CASE with all that is in it as one; and where it ends."""
        token = self.rows[at]
        closing = {"(": ")", "[": "]", "CASE": "END"}.get(token.word) if token.kind != "text" else None
        if closing is None:
            return token, at
        end = self.level(at + 1, None, {closing}, widens)
        return Token("group", "()", token.start, self.rows[min(end, len(self.rows) - 1)].end), end

    def keep(self, row, word, at, widens):
        """A value (of a branch, or in brackets) is a condition if it compares or connects."""
        words = {token.word for token in row}
        if row and widens and not (word in ("THEN", "ELSE") and not words & {"AND", "OR", "=", "<", ">", "@"}):
            self.found.append((row, self.way(word, at)))

    def way(self, word, at):
        return way_of(word, [token.word for token in self.rows[at:at + 3]])

    def leads(self, at):
        """Where the condition that begins behind `at` ends in THEN."""
        depth = 0
        for place in range(at + 1, len(self.rows)):
            depth += {"(": 1, ")": -1, "CASE": 1, "END": -1}.get(self.rows[place].word, 0)
            if depth == 0 and self.rows[place].word == "THEN":
                return place
        return len(self.rows)

    def level(self, at, answer, closing, widens):
        current, opened, top, plain, refusing = None, None, [], True, False
        before = None
        while at < len(self.rows) and self.rows[at].word not in closing:
            negated = before == "NOT" or (before == "EXISTS" and len(top) > 1 and top[-2].word == "NOT")
            token, at = self.folded(at, widens != (refusing != negated))
            word = token.word if token.kind in ("word", "other") else ""
            ends = word in ENDS | {";", ",", ")", "]"} and not (word == "FROM" and before == "DISTINCT")
            plain = plain and not ends
            if ends and current is not None:
                self.keep(current, opened, at, widens)
                current, refusing = None, False
            begins = word in BEGINS or word == answer or (closing == {"END"} and word in ("THEN", "ELSE"))
            if begins and not (word == "ON" and at + 1 < len(self.rows) and self.rows[at + 1].word == "CONFLICT"):
                current, opened = [], word
                refusing = word in ("IF", "ELSIF") and self.way(word, self.leads(at)) == "refuses"
            elif current is not None:
                current.append(token)
            top.append(token)
            before = word
            at += 1
        if current:
            self.keep(current, opened, at, widens)
        if closing == {")"} and plain and widens and {token.word for token in top} & {"AND", "OR"}:
            self.found.append((top, "holds"))
        return at


def bare(text, edit):
    """Without brackets around all of it: what is in them is the same condition."""
    start, end = edit.start, edit.end
    while text[start] == "(" and text[end - 1] == ")":
        depth, at = 0, start
        for at in range(start, end):
            depth += (text[at] == "(") - (text[at] == ")")
            if depth == 0:
                break
        if at != end - 1:
            break
        start, end = start + 1, end - 1
        while text[start].isspace():
            start += 1
        while text[end - 1].isspace():
            end -= 1
    return Edit(start, end, edit.value)


def edits(text, boolean_body=False):
    """Every edit once, in the order of the text. `boolean_body`: the text is that of a function whose SELECT answers yes or no."""
    found = {bare(text, edit) for row, way in Reader(text, boolean_body).found for edit in edits_of(row, way)}
    found = {Edit(edit.start, edit.end, "NULL") if VALUE.fullmatch(text[edit.start:edit.end]) else edit for edit in found}
    return sorted(edit for edit in found if text[edit.start:edit.end].lower() not in ("true", "false", "found"))


def apply(text, edit):
    return text[:edit.start] + edit.value + text[edit.end:]
