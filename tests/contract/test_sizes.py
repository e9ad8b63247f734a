# SPDX-License-Identifier: AGPL-3.0-or-later
"""What one can still read: files below 500 lines, functions below 60, no more than three levels of nesting."""
import re

import wardmote_sources as sources

FILE_LINES, FUNCTION_LINES, NESTING = 500, 60, 4
CONTROL = re.compile(r"(\t+)(?:\} else\b|(?:if|for|while|switch|do|else)\b)")


def test_files():
    sizes = {sources.name_of(path): path.read_text().count("\n") for path in sources.c_files("src", "include", "tools")}
    assert len(sizes) > 100
    assert {name: lines for name, lines in sizes.items() if lines >= FILE_LINES} == {}


def test_functions():
    found = {f"{sources.name_of(path)}:{line}": lines for path in sources.c_files("src") for line, lines, _ in sources.functions(path)}
    assert len(found) > 900
    assert {name: lines for name, lines in found.items() if lines >= FUNCTION_LINES} == {}


def test_nesting():
    """A line that begins with a keyword of control and n tabs is the nth level: one tab is the function's own."""
    faults = [f"{sources.name_of(path)}:{start + offset}" for path in sources.c_files("src") for start, _, lines in sources.functions(path)
              for offset, line in enumerate(lines, 1) if (match := CONTROL.match(line)) and len(match[1]) >= NESTING]
    assert faults == []
