#!/usr/bin/env python3
"""Runs the examples of Markdown pages. The reference pages hold those of the .td files.

    check-examples.py [--each REGEX] [--tools FOLDER] PAGE...

A block ```mlir is a whole module, or a list of attributes `#lowbit…`, each of which is put on a
tensor<128x256xf32>. It must verify, print, and parse again to the same (--verify-roundtrip).

A block that begins with the comment `// lowbit-opt OPTIONS` is also run with these options: what it
expects as a diagnostic (`expected-error`) must come, and if the paragraph after it is "becomes",
the output must equal the next block, up to names of values.

An attribute `#lowbit…` in a row of a table is treated like one in a block.

A block that begins with the comment `// NAME.mlir` is saved as that file for the blocks ```sh of
the page. In these, each command `build/bin/lowbit-…` runs, in a folder of the page's own, and must
succeed; other lines are skipped.

A block ```cpp begins with the comment `// FILE`; the rest stands in that file of the repository, up
to white space. So the code of a page is compiled where it comes from.

--each: every heading of level 3 that matches must have an example.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Block:
    line: int
    language: str
    text: str
    becomes: "Block | None" = None


@dataclass
class Section:
    line: int
    heading: str
    blocks: list[Block] = field(default_factory=list)


def read(page: Path) -> list[Section]:
    sections = [Section(1, "")]
    block, between = None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if block is not None:
            if line.startswith("```"):
                previous = sections[-1].blocks[-1:]
                if previous and [text for text in between if text] == ["becomes"]:
                    previous[0].becomes = block
                else:
                    sections[-1].blocks.append(block)
                block, between = None, []
            else:
                block.text += line + "\n"
        elif line.startswith("```"):
            block = Block(number, line[3:].strip(), "")
        elif re.match(r"#{1,3} ", line):
            sections.append(Section(number, line))
            between = []
        else:
            between.append(line.strip())
            if line.startswith("|"):
                for attribute in re.findall(r"`(#lowbit\.[^`]*)`", line):
                    sections[-1].blocks.append(Block(number, "mlir", attribute))
    if block is not None:
        sys.exit(f"{page}:{block.line}: error: the block has no end")
    return sections


def as_module(text: str) -> str:
    """A list of attributes becomes functions that have tensors of them."""
    if not re.match(r"#lowbit\.", text):
        return text
    attributes = re.split(r"^(?=#lowbit\.)", re.sub(r"//.*", "", text), flags=re.M)[1:]
    return "".join(
        f"func.func private @example{i}(tensor<128x256xf32, {attribute.strip()}>)\n"
        for i, attribute in enumerate(attributes)
    )


class Checker:
    def __init__(self, tools: Path):
        self.tools = tools
        self.failures = self.examples = 0

    def fail(self, where: str, message: str) -> None:
        self.failures += 1
        print(f"{where}: error: {message}")

    def opt(self, where: str, module: str, *options: str) -> "str | None":
        command = [self.tools / "lowbit-opt", *options]
        run = subprocess.run(command, input=module, capture_output=True, text=True)
        if run.returncode == 0:
            return run.stdout
        self.fail(where, f"lowbit-opt {shlex.join(options)} failed:\n{run.stderr}")
        return None

    def mlir(self, where: str, block: Block) -> None:
        self.examples += 1
        module = as_module(block.text)
        self.opt(where, module, "--verify-roundtrip", "-o", "/dev/null")
        command = re.match(r"// lowbit-opt (.*)\n", block.text)
        if not command:
            return
        options = shlex.split(command.group(1))
        if "expected-" in module:
            options.append("-verify-diagnostics")
        output = self.opt(where, module, *options)
        if block.becomes is None or output is None:
            return
        wanted = self.opt(f"{where} (becomes)", block.becomes.text, "--verify-roundtrip")
        if wanted is not None and self.opt(where, output) != wanted:
            self.fail(
                where, f"becomes something else, namely\n{output}\nbut the page says\n{wanted}"
            )

    def shell(self, where: str, block: Block, folder: str) -> None:
        for command in block.text.replace("\\\n", " ").splitlines():
            if not re.match(r"build/bin/lowbit-", command):
                continue
            self.examples += 1
            command = command.replace("build/bin/", f"{self.tools}/")
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            if run.returncode:
                self.fail(where, f"`{command}` failed:\n{run.stderr}")

    def quotation(self, where: str, block: Block) -> None:
        self.examples += 1
        name = re.match(r"// (\S+)\n", block.text)
        source = ROOT / name.group(1) if name else None
        if not source or not source.is_file():
            self.fail(where, "a block of C++ begins with `// FILE`, a file of the repository")
        elif " ".join(block.text[name.end() :].split()) not in " ".join(source.read_text().split()):
            self.fail(where, f"this is not in {name.group(1)}")

    def page(self, page: Path, each: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for section in read(page):
                here = self.examples
                for block in section.blocks:
                    where = f"{page}:{block.line}"
                    if block.language == "mlir":
                        if name := re.match(r"// ([\w-]+\.mlir)\n", block.text):
                            (Path(folder) / name.group(1)).write_text(block.text)
                        self.mlir(where, block)
                    elif block.language == "cpp":
                        self.quotation(where, block)
                    elif block.language == "sh":
                        self.shell(where, block, folder)
                heading = re.fullmatch(r"### (.*)", section.heading)
                if each and heading and re.search(each, heading.group(1)) and self.examples == here:
                    self.fail(f"{page}:{section.line}", f"no example: {heading.group(1)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    parser.add_argument(
        "--each", default="", metavar="REGEX", help="headings that must have an example"
    )
    parser.add_argument("--tools", type=Path, default="build/bin", help="folder of lowbit-opt")
    options = parser.parse_args()
    checker = Checker(options.tools.resolve())
    for page in options.pages:
        checker.page(page, options.each)
    if not checker.examples:
        checker.fail(str(options.pages[0]), "no example at all")
    print(f"{checker.examples} examples, {checker.failures} failures")
    return 1 if checker.failures else 0


if __name__ == "__main__":
    sys.exit(main())
