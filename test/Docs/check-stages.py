#!/usr/bin/env python3
"""Compares the passes that docs/Pipelines.md lists with those that a pipeline runs.

check-stages.py PAGE DUMP: DUMP is what lowbit-opt --lowbit-cpu-pipeline --dump-pass-pipeline prints.
"""

import re
import sys
from pathlib import Path

page, dump = (Path(path).read_text() for path in sys.argv[1:])
table = page.split("## Stages")[1].split("| `lowbit-cpu-pipeline`")[0]
documented = [
    name
    for row in re.findall(r"^\|.*\|.*\|(.*)\|$", table, re.M)
    for name in re.findall(r"`(lowbit-[a-z-]+)`", row)
]
run = re.findall(r"\b(lowbit-[a-z-]+)", dump)
if not run or documented != run:
    sys.exit(f"the page lists\n  {' '.join(documented)}\nbut the pipeline runs\n  {' '.join(run)}")
