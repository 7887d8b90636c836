#!/usr/bin/env python3
"""Writes the file tables of docs/architecture.md from the first sentence of every header.

    scripts/file_map.py            rewrites the tables
    scripts/file_map.py --check    says whether they are up to date (exit status 1 when they are not)
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"


def first_sentence(path):
    """The first sentence of the comment that a file begins with."""
    words = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("//"):
            break
        text = line[2:].strip()
        if not text and words:
            break
        words.append(text)
    text = " ".join(words)
    end = re.search(r"[.:](?= [A-Z`]|$)", text)
    sentence = text[: end.start()] if end else text
    return sentence.rstrip(".:").replace("|", "\\|")


def table(folder):
    """One row for every header, and for every source without one."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh"))
    stems = {p.with_suffix("") for p in files if p.suffix == ".h"}
    rows = ["| file | what it is |", "|---|---|"]
    for path in files:
        if path.suffix == ".cpp" and path.with_suffix("") in stems:
            continue
        text = first_sentence(path)
        if text:
            rows.append(f"| `{path.relative_to(folder)}` | {text} |")
    return "\n".join(rows)


def filled(page):
    """The page with every table between its markers made anew."""

    def fill(match):
        return f"{match.group(1)}\n{table(ROOT / match.group(2))}\n{match.group(3)}"

    return re.sub(r"(<!-- files of (\S+) -->)\n.*?(<!-- end -->)", fill, page, flags=re.S)


def main():
    page = PAGE.read_text(encoding="utf-8")
    wanted = filled(page)
    if "--check" in sys.argv[1:]:
        if page != wanted:
            print("docs/architecture.md: its tables do not fit the sources; run scripts/file_map.py")
            sys.exit(1)
        return
    PAGE.write_text(wanted, encoding="utf-8")


main()
