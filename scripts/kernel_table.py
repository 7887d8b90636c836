#!/usr/bin/env python3
"""Puts standard input between the marks <!-- kernels --> and <!-- end --> of a page: kernel_table.py PAGE"""
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1])
text = page.read_text(encoding="utf-8")
table = sys.stdin.read().strip()
if not table:
    sys.exit("no table was given")
filled, marks = re.subn(
    r"(<!-- kernels -->\n).*?(<!-- end -->)", lambda m: f"{m.group(1)}{table}\n{m.group(2)}", text, flags=re.S
)
if marks != 1:
    sys.exit(f"{page}: the marks are there {marks} times")
page.write_text(filled, encoding="utf-8")
