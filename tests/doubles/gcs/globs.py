"""`matchGlob`: `*` stays in a folder, `**` does not, `**/` is any number of folders, `?`, `[a-z]`, `{a,b}`."""

import re
from functools import lru_cache

from .errors import invalid


@lru_cache(maxsize=256)
def compiled(glob: str) -> re.Pattern[str]:
    """What names must match in full. Raises ApiError (400)."""
    try:
        return re.compile(_translate(glob), re.DOTALL)
    except (re.error, IndexError):
        raise invalid(f"Invalid glob: {glob}", "matchGlob") from None


def _translate(glob: str) -> str:
    made, place, depth = [], 0, 0
    while place < len(glob):
        one = glob[place]
        if glob.startswith("**/", place):
            made.append("(?:.*/)?")
            place += 3
            continue
        if glob.startswith("**", place):
            made.append(".*")
            place += 2
            continue
        if one == "[":
            end = glob.index("]", place + 2) if "]" in glob[place + 2 :] else -1
            if end < 0:
                raise re.error("unclosed")
            inside = glob[place + 1 : end].replace("\\", "\\\\")
            negated = inside[0] in "!^"
            made.append(f"[^{inside[1:]}]" if negated else f"[{inside}]")
            place = end + 1
            continue
        if one == "{":
            depth += 1
        if one == "}":
            depth -= 1
        simple = {"*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
        made.append("|" if one == "," and depth > 0 else simple.get(one) or re.escape(one))
        place += 1
    return "".join(made)
