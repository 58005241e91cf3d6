#!/usr/bin/env python3
"""Makes a C++ source of the C++ in a Markdown page: doc_snippets.py PAGE PRELUDE OUTPUT.

A block that begins with a function stands in a namespace of its own, any other in the body of a coroutine.
"""

import pathlib
import re
import sys

page, prelude, output = sys.argv[1:]
text = pathlib.Path(page).read_text(encoding="utf-8")
blocks = list(re.finditer(r"^```cpp\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
if not blocks:
    sys.exit(f"{page}: no C++ in it")

parts = [f'#include "{prelude}"\n\nnamespace sluice::concurrency {{\n']
for number, block in enumerate(blocks):
    line = text.count("\n", 0, block.start(1)) + 1
    code = f'#line {line} "{page}"\n{block[1]}'
    if not re.match(r"[\w<>:]+ \w+\(.*\{$", block[1].partition("\n")[0]):
        code = f"Task<> snippet([[maybe_unused]] Context parent) {{\n{code}\nco_return;\n}}\n"
    parts.append(f"namespace snippet_{number} {{\n{code}}}\n")
pathlib.Path(output).write_text("\n".join([*parts, "}  // namespace sluice::concurrency\n"]), encoding="utf-8")
