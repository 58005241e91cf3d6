"""Reads C++ source as far as the rules need it: comments and literals blanked, statements followed by their brackets."""

import re

_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL,
)


def code_only(text):
    """`text` with comments and the insides of literals replaced by spaces; lines and columns stay."""

    def blank(match):
        found = match.group()
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    return _LITERAL.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def closing(code, opening):
    """Position of the bracket that closes the one at `opening`, or the end of the text."""
    depth = 0
    for i in range(opening, len(code)):
        if code[i] in "([{":
            depth += 1
        elif code[i] in ")]}":
            depth -= 1
            if depth == 0:
                return i
    return len(code)


def _lambda_at(code, bracket):
    """(captures, position after the body) if a lambda begins at `bracket`, else None."""
    before = code[:bracket].rstrip()
    word = re.search(r"\w+$", before)
    if before.endswith((")", "]")) or (word and word.group() not in ("return", "co_return", "co_await", "case")):
        return None
    end = closing(code, bracket)
    at = end + 1
    while at < len(code) and code[at] not in "{;)":
        at = closing(code, at) + 1 if code[at] in "([" else at + 1
    if at == len(code) or code[at] != "{":
        return None
    return code[bracket + 1 : end].strip(), closing(code, at) + 1


def co_await_faults(code):
    """Yields (position, fault) for each braced list or capturing lambda in the operand of a co_await, and for each
    condition that is nothing but a co_await."""
    for match in re.finditer(r"\bco_await\b", code):
        at, depth = match.end(), 0
        while at < len(code):
            c = code[at]
            if c == "[":
                found = _lambda_at(code, at)
                if found:
                    captures, after = found
                    if captures:
                        yield at, "a lambda that captures in the operand of a co_await"
                    at = after
                    continue
            if c == "{":
                if not re.search(r"\($", code[:at]) or code[at : at + 2] != "{}":  # f({}): the background context
                    yield at, "a list in braces in the operand of a co_await"
                at = closing(code, at)
            elif c in "([":
                depth += 1
            elif c in ")]}":
                depth -= 1
                if depth < 0:
                    break
            elif c == ";" or (c == "," and depth == 0):
                break
            at += 1
        if re.search(r"\b(if|while)\s*\(\s*!?\s*$", code[: match.start()]) and _is_one_call(code[match.end() : at]):
            yield match.start(), "a condition that is nothing but a co_await"
        if _inside_initializer(code, match.start()):
            yield match.start(), "a co_await inside a list in braces"


def _is_one_call(operand):
    """Whether `operand` is not compared or combined with anything."""
    whole = ""
    while whole != operand:
        whole, operand = operand, re.sub(r"\([^()]*\)", "", operand)
    return not re.search(r"[=!|&?;]| [<>] ", operand)


def _inside_initializer(code, position):
    """Whether the innermost bracket open at `position` is the brace of `Name x{`, `= {`, `({` or `, {`."""
    depth = 0
    for i in range(position - 1, -1, -1):
        c = code[i]
        if c in ")]}":
            depth += 1
        elif c in "([{":
            if depth == 0:
                if c != "{":
                    return c == "(" and _inside_initializer(code, i)
                before = code[:i].rstrip()
                word = re.search(r"\w+$", before)
                if re.search(r"->[\s\w:<>,]+$", before):
                    return False
                if word:
                    return word.group() not in (
                        "else",
                        "do",
                        "try",
                        "const",
                        "noexcept",
                        "mutable",
                        "override",
                        "final",
                    )
                return before.endswith(("=", "(", ","))
            depth -= 1
        elif c == ";" and depth == 0:
            return False
    return False
