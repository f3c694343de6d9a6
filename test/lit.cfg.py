"""The lit suite: FileCheck tests of tools, IR and passes.

LOWBIT_ROUNDTRIP=1 adds a parse/print/bytecode round trip to every run of lowbit-opt.
"""

import os

import lit.formats

config.name = "Lowbit"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt", "Unit", "python"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.lowbit_build, "test")

config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.lowbit_build, "bin"), config.llvm_tools, os.environ["PATH"]]
)
# Variables of one test part must not leak into the next.
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --allow-unused-prefixes=false"

opt = "lowbit-opt"
if os.environ.get("LOWBIT_ROUNDTRIP"):
    opt += " --verify-roundtrip"
config.substitutions += [
    ("%python", config.python),
    ("%project", config.project),
    ("%tablegen_includes", " ".join("-I " + folder for folder in config.tablegen_includes)),
    ("%plugins", os.path.join(config.lowbit_build, "lib")),
    ("%lowbit_build", config.lowbit_build),
    ("%lowbit_tools", os.path.join(config.lowbit_build, "bin")),
    ("%llvm_tools", config.llvm_tools),
    (r"\blowbit-opt\b", opt),
]

# Sanitized programs take their options from here: CONTRIBUTING.md.
if "ASAN_OPTIONS" in os.environ:
    config.environment["ASAN_OPTIONS"] = os.environ["ASAN_OPTIONS"]
