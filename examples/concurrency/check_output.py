#!/usr/bin/env python3
"""Runs an example and compares what it prints with the lines under `// Prints:` in its source.

check_output.py PROGRAM SOURCE
"""

import difflib
import itertools
import pathlib
import subprocess
import sys

program, source = sys.argv[1:]
lines = pathlib.Path(source).read_text(encoding="utf-8").splitlines()
if "// Prints:" not in lines:
    sys.exit(f"{source}: no line '// Prints:'")
block = itertools.takewhile(lambda line: line.startswith("//     "), lines[lines.index("// Prints:") + 1 :])
expected = [line.removeprefix("//     ") for line in block]

run = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=60)
printed = run.stdout.splitlines()
if printed != expected:
    sys.exit("\n".join(difflib.unified_diff(expected, printed, source, program, lineterm="")))
if not expected or run.returncode != 0:
    sys.exit(f"{program}: exit status {run.returncode}, {len(expected)} lines expected")
