"""Parses each .td file below a folder by itself: parse_alone.py FOLDER [mlir-tblgen option...]"""

import pathlib
import subprocess
import sys

folder, options = pathlib.Path(sys.argv[1]), sys.argv[2:]
files = sorted(folder.rglob("*.td"))
if not files:
    sys.exit(f"no .td file below {folder}")
failed = 0
for path in files:
    run = subprocess.run(["mlir-tblgen", *options, str(path)], stdout=subprocess.DEVNULL)
    failed += run.returncode != 0
if failed:
    sys.exit(f"{failed} of {len(files)} files do not parse alone")
print(f"{len(files)} files parse alone")
