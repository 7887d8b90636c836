#!/usr/bin/env python3
"""Says which relative links of the repository's Markdown pages lead nowhere: missing files, missing headings."""
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<!\\)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def without_code(text):
    """The text with fenced blocks, indented blocks and inline code made blank; line numbers stay."""
    lines, fence = [], None
    for line in text.split("\n"):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and fence is None:
            fence = mark.group(1)
        elif mark and line.strip() == fence:
            fence, line = None, ""
        lines.append("" if fence or line.startswith("    ") else re.sub(r"`[^`]*`", "", line))
    return "\n".join(lines)


def anchors(path):
    """The anchors that GitHub gives to the headings of a page."""
    found, fence = [], False
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fence = not fence
        heading = None if fence else re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            base = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
            found.append(base if base not in found else f"{base}-{sum(a.startswith(base) for a in found)}")
    return set(found)


def problem(page, target):
    """Why a link does not resolve, or None."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, anchor = urllib.parse.unquote(target).partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return "no such file"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return "no such heading"
    return None


def main():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout
    pages = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]
    checked = failed = 0
    for page in pages:
        for number, line in enumerate(without_code(page.read_text(encoding="utf-8")).split("\n"), start=1):
            for target in LINK.findall(line):
                checked += 1
                why = problem(page, target)
                if why:
                    failed += 1
                    print(f"{page.relative_to(ROOT)}:{number}: {target}: {why}")
    print(f"{checked} links in {len(pages)} pages, {failed} broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
