#!/usr/bin/env python3
"""Fills the tables of docs/findings.md from the folders of studies, with no hand in between.

    scripts/findings.py NAME=FOLDER...            rewrites what belongs to these studies
    scripts/findings.py --check NAME=FOLDER...    says whether it is up to date (exit status 1 when it is not)
    scripts/findings.py --page FILE NAME=FOLDER   another page

FOLDER is what `striate study run --out FOLDER` wrote. In the page, everything between two such lines is replaced:

    <!-- table strategies of quick: strategy, visual mean, against all -->
    <!-- end -->

    <!-- summary of quick -->
    <!-- end -->

After the colon are the columns that are shown, without their units; without a colon all are. Tables of studies that are
not given stay as they are.
"""
import argparse
import csv
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def fail(text):
    sys.exit(f"findings.py: {text}")


def rounded(text):
    """A number as people read it, two decimals at most; other texts as they are."""
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text):
        return text or "-"
    value = float(text)
    if value == int(value) and abs(value) < 1e15 and "e" not in text.lower():
        return str(int(value))
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def merged(head, rows):
    """Columns (name, cells): a value and its interval, or its standard deviation, become one."""
    columns = []
    i = 0
    while i < len(head):
        bare = re.sub(r", [^,]*$", "", head[i])
        cells = [rounded(row[i]) for row in rows]
        if i + 2 < len(head) and head[i + 1] == f"{bare} low" and head[i + 2] == f"{bare} high":
            for k, row in enumerate(rows):
                if row[i + 1] and row[i + 2]:
                    cells[k] += f" ({rounded(row[i + 1])} to {rounded(row[i + 2])})"
            columns.append((head[i], bare, cells))
            i += 3
        elif i + 1 < len(head) and head[i + 1] == f"{bare} sd":
            for k, row in enumerate(rows):
                if row[i + 1]:
                    cells[k] += f" ± {rounded(row[i + 1])}"
            columns.append((head[i], bare, cells))
            i += 2
        else:
            columns.append((head[i], bare, cells))
            i += 1
    return columns


def markdown(path, wanted):
    if not path.is_file():
        fail(f"there is no {path}; the study has measured nothing for it")
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    columns = merged(head, rows)
    if wanted:
        by_name = {}
        for column in columns:
            by_name.setdefault(column[1], column)
            by_name.setdefault(column[0], column)
        missing = [name for name in wanted if name not in by_name]
        if missing:
            fail(f"{path} has no column \"{missing[0]}\"; it has: {'; '.join(column[1] for column in columns)}")
        columns = [by_name[name] for name in wanted]

    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [line([column[0] for column in columns]), "|" + "---|" * len(columns)]
    lines += [line([column[2][k] for column in columns]) for k in range(len(rows))]
    return "\n".join(lines)


def filled(page, studies):
    """The page with the tables of these studies made anew, and the names of those that it asks for."""
    used = set()

    def fill(match):
        begin, what, study, columns, end = match.group(1, 2, 3, 4, 5)
        if study not in studies:
            return match.group(0)
        used.add(study)
        folder = studies[study]
        if what == "summary":
            path = folder / "summary.txt"
            if not path.is_file():
                fail(f"there is no {path}")
            text = path.read_text(encoding="utf-8").strip()
        else:
            wanted = [name.strip() for name in columns.split(",")] if columns else []
            text = markdown(folder / "tables" / f"{what.split()[1]}.csv", wanted)
        return f"{begin}\n{text}\n{end}"

    pattern = r"(<!-- (summary|table [\w-]+) of ([\w.-]+)(?:: ([^>]*?))? -->)\n.*?(<!-- end -->)"
    return re.sub(pattern, fill, page, flags=re.S), used


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "findings.md")
    parser.add_argument("studies", nargs="+")
    options = parser.parse_args()
    studies = {}
    for study in options.studies:
        name, _, folder = study.partition("=")
        if not folder:
            fail(f"{study}: give NAME=FOLDER")
        studies[name] = pathlib.Path(folder)
    page = options.page.read_text(encoding="utf-8")
    wanted, used = filled(page, studies)
    for name in studies:
        if name not in used:
            fail(f"{options.page} has no table of a study {name}")
    if options.check:
        if page != wanted:
            fail(f"{options.page} does not fit the studies; run this without --check")
        return
    options.page.write_text(wanted, encoding="utf-8")


main()
