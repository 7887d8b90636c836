"""Reads the logs of scripts/fuzz.sh: prints a table and what was found, and writes BUILD/fuzz.xml for tally.py.

Exits 1 when a harness found something or did not run.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def number(log, pattern):
    """The last match as a number; 0 where there is none."""
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


def finding(log):
    """The line that says what was found, and the input it was found with."""
    lines = [line for line in log.splitlines() if line.startswith(("FOUND:", "SUMMARY:")) or "runtime error:" in line]
    unit = re.findall(r"Test unit written to (\S+)", log)
    return (lines or log.splitlines()[-1:] or ["it did not start"])[0][:200], unit[-1] if unit else None


def main():
    build = Path(sys.argv[1])
    suite = ElementTree.Element("testsuite", name="fuzz")
    found = []
    print(f"{'parser':<18}{'executions':>12}{'per second':>12}{'edges':>8}{'memory':>10}{'seconds':>9}  result")
    for name in sys.argv[2:]:
        path = build / "logs" / f"{name}.log"
        log = path.read_text(errors="replace") if path.is_file() else ""
        ended = (build / "logs" / f"{name}.log.status").read_text().strip() if log else "no log"
        seconds = number((build / "logs" / f"{name}.log.seconds").read_text() if log else "", r"(\d+)")
        runs = number(log, r"stat::number_of_executed_units:\s+(\d+)")
        case = ElementTree.SubElement(suite, "testcase", classname="fuzz", name=name)
        if ended != "0" or runs == 0:
            what, unit = finding(log)
            found.append((name, what, unit))
            ElementTree.SubElement(case, "failure", message=what)
        rate = number(log, r"stat::average_exec_per_sec:\s+(\d+)")
        memory = number(log, r"stat::peak_rss_mb:\s+(\d+)")
        edges = number(log, r"cov: (\d+)")
        result = "FOUND" if found and found[-1][0] == name else "ok"
        print(f"{name:<18}{runs:>12,}{rate:>12,}{edges:>8,}{memory:>7} MB{seconds:>9}  {result}")
    for name, what, unit in found:
        print(f"{name}: {what}")
        if unit:
            print(f"  again: build/fuzz/fuzz/fuzz_{name} {unit}")
    ElementTree.ElementTree(suite).write(build / "fuzz.xml")
    return 1 if found else 0


sys.exit(main())
