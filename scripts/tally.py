"""Adds up JUnit result files, names what failed, and ends with one plain line: "N passed, N failed, N skipped".

Exits 1 when anything failed, or when a file is missing or holds no test.

With STRIATE_TALLY set to a folder, the counts also go to FOLDER/LABEL.json and the line begins with the label; then
`tally.py --sum FOLDER` prints the plain line for all of them (.ci/run does this, so that there is one such line).
"""

import argparse
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcome(case):
    """passed, failed or skipped: as CTest (an attribute) or pytest (child elements) write it."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "failed" if case.get("status") == "fail" else "passed"


def count(files):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    for file in files:
        if not Path(file).is_file():
            counts["failed"] += 1
            failures.append(f"{file}: no results, the run ended early")
            continue
        cases = list(ElementTree.parse(file).iter("testcase"))
        if not cases:
            counts["failed"] += 1
            failures.append(f"{file}: holds no test")
        for case in cases:
            counts[outcome(case)] += 1
            if outcome(case) == "failed":
                failures.append(".".join(filter(None, [case.get("classname"), case.get("name")])))
    return counts, failures


def line(counts):
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--label", default="tests")
    parser.add_argument("--sum", metavar="FOLDER")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    if args.sum:
        parts = [json.loads(path.read_text()) for path in sorted(Path(args.sum).glob("*.json"))]
        counts = {key: sum(part[key] for part in parts) for key in ("passed", "failed", "skipped")}
        print(line(counts))
        return 1 if counts["failed"] or not parts else 0
    counts, failures = count(args.files)
    for name in failures:
        print(f"failed: {name}")
    if folder := os.environ.get("STRIATE_TALLY"):
        (Path(folder) / f"{args.label}.json").write_text(json.dumps(counts))
        print(f"{args.label}: {line(counts)}")
    else:
        print(line(counts))
    return 1 if counts["failed"] else 0


sys.exit(main())
