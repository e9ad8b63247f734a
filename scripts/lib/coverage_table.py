# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lines and branches by folder, from gcovr's summary: `coverage_table.py SUMMARY [--floors]`. Then the files that miss most. With --floors it ends with 1 when a
folder has fewer of its branches than it must have."""
import json
import pathlib
import sys

MISSED_FILES = 15
FLOOR, FLOORS = 90, {"src/auth": 100}  # per cent of the branches


def percent(covered, total):
    return 100 * covered / total if total else 100


def row(name, counts):
    lines, lines_hit, branches, branches_hit = counts
    return f"{name:36} lines {lines_hit:5} of {lines:5} {percent(lines_hit, lines):5.1f} %   branches {branches_hit:5} of {branches:5} {percent(branches_hit, branches):5.1f} %"


def main(path, *options):
    files = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["files"]
    counts = {one["filename"]: (one["line_total"], one["line_covered"], one["branch_total"], one["branch_covered"]) for one in files}
    folders = {}
    for name, figures in counts.items():
        folder = "/".join(name.split("/")[:2])
        folders[folder] = tuple(map(sum, zip(folders.get(folder, (0, 0, 0, 0)), figures)))
    for folder, figures in sorted(folders.items()):
        print(row(folder, figures))
    print(row("all", tuple(map(sum, zip(*folders.values())))))
    print("most branches missed:")
    for name, figures in sorted(counts.items(), key=lambda one: one[1][3] - one[1][2])[:MISSED_FILES]:
        print(row(name, figures))
    if "--floors" not in options:
        return 0
    low = [folder for folder, figures in sorted(folders.items()) if percent(figures[3], figures[2]) < FLOORS.get(folder, FLOOR)]
    for folder in low:
        print(f"FAILED {folder} has fewer than {FLOORS.get(folder, FLOOR)} % of its branches")
    return 1 if low or not folders else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
