# SPDX-License-Identifier: AGPL-3.0-or-later
"""docs/decisions: each page has its parts and is short, the index has them all, and what they name is there."""
import re

import pytest

from wardmote_suite import ROOT

FOLDER = ROOT / "docs/decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
PARTS = ["Context", "Decision", "What was refused", "Consequences", "To undo it"]
MOST_LINES = 60
# What a page may name in `...` as a path of the repository.
PATH = re.compile(r"`((?:src|include|migrations|tests|docs|dist|scripts)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page):
    text = page.read_text(encoding="utf-8")
    number = int(page.name[:4])
    assert text.startswith(f"# {number}. ") and "\nStatus: " in text and re.findall(r"^## (.*)$", text, re.M) == PARTS
    assert len(text.splitlines()) <= MOST_LINES
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.M)[1:]), "a part is empty"
    missing = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    assert missing == []


def test_the_index():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\(([^)]+)\) \| (.*) \| .+ \|$", index, re.M)
    assert [name for _, name, _ in rows] == [page.name for page in PAGES] and len(rows) >= 10
    for number, name, title in rows:
        assert (FOLDER / name).read_text(encoding="utf-8").startswith(f"# {number}. {title}\n")


def test_links_lead_to_headings_that_there_are():
    """In the guide and the decisions, also those within a page."""
    pages = [*PAGES, ROOT / "docs/administrator.md", ROOT / "docs/operations.md", ROOT / "docs/security.md", ROOT / "docs/security-model.md", FOLDER / "README.md"]

    def anchors(path):
        headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    wrong = []
    for page in pages:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve() if target else page
            if "://" not in target and (not path.exists() or (anchor and anchor not in anchors(path))):
                wrong.append(f"{page.name}: {target}#{anchor}")
    assert wrong == []
