#!/usr/bin/env python3
"""Writes the reference pages of docs/ from the TableGen files in include/, by mlir-tblgen.

scripts/generate-docs.py            writes them, as does `cmake --build build --target lowbit-doc`
scripts/generate-docs.py --check    writes nothing; shows what is stale, and fails if anything is
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A page: title if the generator gives none, introduction, TableGen files, generator options.
PAGES = {
    "Dialect.md": (
        None,
        "",
        ["lowbit/IR/LowbitAttrs.td", "lowbit/IR/LowbitOps.td"],
        ["-gen-dialect-doc", "-dialect=lowbit"],
    ),
    "Interfaces.md": (
        "Interfaces of encodings",
        "What an attribute implements to be a number format, a scale, a layout or an encoding; "
        "[AddingAnEncoding.md](AddingAnEncoding.md) shows how. The types that the methods exchange "
        "are in `include/lowbit/IR/Encoding.h`. A method whose note says that it has a default may "
        "be left out.",
        ["lowbit/IR/LowbitInterfaces.td"],
        ["-gen-attr-interface-docs"],
    ),
    "Passes.md": (
        "Passes",
        "In alphabetical order; [Pipelines.md](Pipelines.md) has them in the order in which they "
        "run. An example begins with the command that makes its second half from its first.",
        [
            "lowbit/Transforms/Calibrate/Passes.td",
            "lowbit/Transforms/Condition/Passes.td",
            "lowbit/Transforms/Lower/Passes.td",
            "lowbit/Transforms/Optimizers/Passes.td",
        ],
        ["-gen-pass-doc"],
    ),
}


def methods_with_default(records: str) -> set[tuple[str, str]]:
    """(interface, method): mlir-tblgen 22 says of these, too, that they must be implemented."""
    # An interface lists the names of its methods, which are records of their own.
    methods = re.findall(
        r"^def (\w+) \{[^\n]* InterfaceMethod\b[^\n]*\n(.*?)^\}", records, re.M | re.S
    )
    named = {
        record: re.search(r'string name = "(\w+)"', body).group(1)
        for record, body in methods
        if not re.search(r'defaultBody = (?:""|\[\{\s*\}\]);', body)
    }
    interfaces = re.findall(
        r"^def (\w+) \{[^\n]* AttrInterface\b.*?list<InterfaceMethod> methods = \[(.*?)\];",
        records,
        re.M | re.S,
    )
    return {
        (interface, named[m])
        for interface, all in interfaces
        for m in all.split(", ")
        if m in named
    }


def note_defaults(text: str, defaults: set[tuple[str, str]]) -> str:
    interface = method = ""
    lines = []
    for line in text.split("\n"):
        if match := re.match(r"## (\w+) ", line):
            interface = match.group(1)
        elif match := re.match(r"#### `(\w+)`", line):
            method = match.group(1)
        elif line.startswith("NOTE: ") and (interface, method) in defaults:
            line = "NOTE: This method has a default."
        lines.append(line)
    return "\n".join(lines)


def generate(page: str, tblgen: Path, includes: list[str]) -> str:
    title, introduction, sources, options = PAGES[page]

    def run(*options: str) -> str:
        # Interfaces and passes are listed only from the main file; the dialect has several files.
        if len(sources) == 1:
            text, main = None, str(ROOT / "include" / sources[0])
        else:
            text, main = "".join(f'include "{path}"\n' for path in sources), "-"
        command = [tblgen, *options, *includes, main]
        result = subprocess.run(command, input=text, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"generate-docs: error: {page}: {tblgen} failed:\n{result.stderr}")
        return result.stdout

    text = run(*options)
    if title:
        notice, rest = text.split("\n", 1)
        rest = re.sub(r"^\n*# .*\n", "\n", rest)
        text = f"{notice}\n\n# {title}\n\n{introduction}\n\n{rest.lstrip()}"
    if "-gen-attr-interface-docs" in options:
        text = note_defaults(text, methods_with_default(run("--print-records")))
    # A table of contents for another site generator.
    text = text.replace("[TOC]\n", "")
    # The indentation that a text has in its .td file is no part of it.
    text = re.sub(r"^ {20,}(?=\S)", "", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", text, flags=re.M)).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument(
        "--tools",
        type=Path,
        default="/usr/lib/llvm-22/bin",
        help="folder of mlir-tblgen and llvm-config",
    )
    options = parser.parse_args()
    config = subprocess.run(
        [options.tools / "llvm-config", "--includedir"], capture_output=True, text=True, check=True
    )
    includes = ["-I", str(ROOT / "include"), "-I", config.stdout.strip()]
    stale = False
    for page in PAGES:
        text = generate(page, options.tools / "mlir-tblgen", includes)
        path = ROOT / "docs" / page
        old = path.read_text() if path.exists() else ""
        if text == old:
            continue
        if options.check:
            stale = True
            print(f"docs/{page} is stale: run scripts/generate-docs.py")
            sys.stdout.writelines(
                difflib.unified_diff(old.splitlines(True), text.splitlines(True), "old", "new", n=1)
            )
        else:
            temporary = path.with_suffix(".tmp")
            temporary.write_text(text)
            os.replace(temporary, path)
            print(f"wrote docs/{page}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
