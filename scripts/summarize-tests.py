#!/usr/bin/env python3
"""Adds up test reports: summarize-tests.py NAME:EXIT_STATUS:REPORT …

A report is what GoogleTest or pytest write as JUnit's XML (*.xml), or lit as JSON (*.json; its XML
shows tests that pass unexpectedly as passed). A suite without a readable report, without tests, or
with an exit status that its report does not explain counts as one failed test; so does a skip without
a reason. The last line is "N passed, N failed"; the exit status is 0 only if none failed.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
LIT = {
    **dict.fromkeys(["PASS", "FLAKYPASS", "XFAIL"], PASSED),
    **dict.fromkeys(["UNSUPPORTED", "SKIPPED", "EXCLUDED"], SKIPPED),
}


@dataclass
class Result:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def lit_cases(text: str) -> Iterator[tuple[str, str, str]]:
    for test in json.loads(text)["tests"]:
        yield test["name"], LIT.get(test["code"], FAILED), test["output"].strip()


def junit_cases(text: str) -> Iterator[tuple[str, str, str]]:
    # What a failing test printed may hold characters that no XML may hold.
    text = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    for case in ElementTree.fromstring(text).iter("testcase"):
        name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, FAILED, ""
        elif case.get("status") == "notrun":  # GoogleTest's DISABLED_ tests
            yield name, SKIPPED, "disabled"
        elif skip is not None:
            reason = skip.get("message") or ""
            if case.get("result") == "skipped":  # GoogleTest: the place, then the reason
                reason = reason.partition("\n")[2]
            yield name, SKIPPED, reason.strip()
        else:
            yield name, PASSED, ""


def read(report: Path, status: int) -> Result:
    result = Result()
    try:
        text = report.read_text(encoding="utf-8", errors="replace")
        cases = list(lit_cases(text) if report.suffix == ".json" else junit_cases(text))
    except (OSError, ElementTree.ParseError, ValueError, KeyError) as error:
        end = "it timed out" if status in (124, 137) else f"exit status {status}"
        result.failed.append(f"the suite left no readable report ({end}): {error}")
        return result
    for name, outcome, reason in cases:
        if outcome == PASSED:
            result.passed += 1
        elif outcome == FAILED:
            result.failed.append(name)
        elif reason:
            result.skipped.append(f"{name}: {reason}")
        else:
            result.failed.append(f"{name}: skipped without a reason")
    if not result.passed and not result.failed:
        result.failed.append("the suite ran no test")
    if status and not result.failed:
        result.failed.append(f"the suite ended with status {status} though no test failed")
    return result


def main(arguments: list[str]) -> int:
    passed = failed = 0
    for argument in arguments:
        name, status, report = argument.split(":", 2)
        result = read(Path(report), int(status))
        skips = f", {len(result.skipped)} skipped" if result.skipped else ""
        print(f"{name}: {result.passed} passed, {len(result.failed)} failed{skips}")
        for line in result.skipped:
            print(f"  skipped {line}")
        for line in result.failed:
            print(f"  FAILED {line}")
        passed += result.passed
        failed += len(result.failed)
    if not arguments:
        print("no suite was run")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
