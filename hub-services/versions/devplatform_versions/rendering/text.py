"""Text for reading: decoded, coloured, and cut at a bound."""

import contextlib
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

_COLOURED_BYTES = 512 * 1024
_LONGEST_LINE = 4000
_MOST_LINES = 20_000


def decode(content: bytes) -> str | None:
    """The text of a file (UTF-8, or UTF-16 with a mark), or None for what is not text."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    if b"\0" in content[:8192]:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        # A cut at the bound may fall into a character; anything else that is not UTF-8 is shown as Latin-1 if it
        # is mostly printable, as editors do.
        if error.start >= len(content) - 3:
            return content[: error.start].decode("utf-8")
        text = content.decode("latin-1")
        odd = sum(1 for character in text[:8192] if ord(character) < 32 and character not in "\t\n\r\f\x1b")
        return text if odd * 20 < min(len(text), 8192) else None


def preview_text(content: bytes, name: str) -> dict[str, Any]:
    """`{"kind": "text", "lines": [html], "language", "cut"}`, or `{"kind": "binary"}`. The HTML is escaped here."""
    text = decode(content)
    if text is None:
        return {"kind": "binary"}
    lines, cut = bounded_lines(text)
    lexer: Any = TextLexer(stripnl=False, ensurenl=False)
    if len(content) <= _COLOURED_BYTES:
        with contextlib.suppress(ClassNotFound):
            lexer = get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    return {"kind": "text", "lines": coloured(lines, lexer), "language": lexer.name, "cut": cut}


def coloured(lines: list[str], lexer: Any) -> list[str]:
    """Each line as HTML with the short classes of Pygments, everything escaped; never more or fewer lines."""
    html = highlight("\n".join(lines), lexer, HtmlFormatter(nowrap=True))
    made = html.split("\n")
    while len(made) > len(lines) and made[-1] == "":
        made.pop()
    if len(made) != len(lines):  # a lexer that folds line breaks: better plain than wrong
        return coloured(lines, TextLexer(stripnl=False, ensurenl=False))
    return made


def bounded_lines(text: str) -> tuple[list[str], bool]:
    """The lines of a text, none too long and not too many, and whether anything was left out."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    cut = len(lines) > _MOST_LINES
    shown = []
    for line in lines[:_MOST_LINES]:
        if len(line) > _LONGEST_LINE:
            cut = True
            line = line[:_LONGEST_LINE] + " …"
        # U+FFFD for what would end a line or a page elsewhere
        shown.append(line.translate(_CONTROLS))
    return shown, cut


_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 127, 133, 8232, 8233), "�")
