"""Notebooks for reading: cells and outputs as HTML in which nothing runs and nothing is fetched.

Made from the notebook's JSON with Pygments, mistune and nh3 rather than with nbconvert: that takes half a second
and 50 MB to import, its pages rely on inline styles and scripts, and its sanitiser is off unless asked for.
"""

import base64
import binascii
import json
import re
from html import escape
from typing import Any

import mistune
import nh3
from pygments.lexers import TextLexer, get_lexer_by_name
from pygments.util import ClassNotFound

from .text import bounded_lines, coloured

_MOST_CELLS = 2000
_MOST_OUTPUT_CHARACTERS = 200_000
_MOST_IMAGE_CHARACTERS = 8_000_000
_MOST_HTML_CHARACTERS = 6_000_000
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[@-Z\\-_]")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins"
        " kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var",
    )
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "ol": {"start"},
}
_markdown = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "task_lists"])


class NotANotebook(ValueError):
    """The bytes are not a notebook of format 3 or 4."""


def parse_notebook(content: bytes) -> dict[str, Any]:
    """The notebook as format 4 with text where a list of lines may stand. Raises `NotANotebook`."""
    try:
        notebook = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotANotebook(str(error)) from None
    if not isinstance(notebook, dict):
        raise NotANotebook("not an object")
    if notebook.get("nbformat") == 3 and isinstance(notebook.get("worksheets"), list):
        import nbformat

        try:
            notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
        except Exception as error:  # nbformat raises whatever the broken notebook makes it raise
            raise NotANotebook(f"format 3: {error}") from error
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise NotANotebook("no cells")
    metadata = notebook.get("metadata")
    return {
        "cells": [_clean_cell(cell) for cell in cells if isinstance(cell, dict)],
        "metadata": metadata if isinstance(metadata, dict) else {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def preview_notebook(content: bytes) -> dict[str, Any]:
    """`{"kind": "notebook", "html", "cut"}`, or `{"kind": "broken", "reason"}`."""
    try:
        notebook = parse_notebook(content)
    except NotANotebook as error:
        return {"kind": "broken", "reason": str(error)[:200]}
    lexer = _lexer(notebook["metadata"])
    parts: list[str] = []
    room = _MOST_HTML_CHARACTERS
    cut = False
    for number, cell in enumerate(notebook["cells"], 1):
        html = _cell(cell, number, lexer)
        room -= len(html)
        if number > _MOST_CELLS or room < 0:
            cut = True
            break
        parts.append(html)
    return {"kind": "notebook", "html": "\n".join(parts), "cells": len(notebook["cells"]), "cut": cut}


def sanitised(html: str) -> str:
    """HTML of a person with nothing left that runs, styles, submits, or fetches from elsewhere."""
    return nh3.clean(
        html,
        tags=set(_TAGS),
        clean_content_tags={"script", "style", "iframe", "object", "embed", "template", "svg", "math", "form"},
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "data"},
        attribute_filter=_attribute,
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def plain_output(output: dict[str, Any]) -> str:
    """What an output says as text: for comparing, and where nothing better can be shown."""
    kind = output.get("output_type")
    if kind == "stream":
        return _plain(text_of(output.get("text")))
    if kind == "error":
        trace = output.get("traceback")
        lines = [text_of(line) for line in trace] if isinstance(trace, list) else []
        return _plain("\n".join(lines) or f"{text_of(output.get('ename'))}: {text_of(output.get('evalue'))}")
    data = output.get("data")
    return _plain(text_of(data.get("text/plain"))) if isinstance(data, dict) else ""


def image_of(output: dict[str, Any]) -> str | None:
    """The image of an output as a `data:` address, or None."""
    data = output.get("data")
    if not isinstance(data, dict):
        return None
    for media_type in _IMAGES:
        text = text_of(data.get(media_type))
        if not text or len(text) > _MOST_IMAGE_CHARACTERS:
            continue
        # As an <img> an SVG runs no script and fetches nothing.
        payload = base64.b64encode(text.encode()).decode() if media_type == "image/svg+xml" else _base64(text)
        if payload:
            return f"data:{media_type};base64,{payload}"
    return None


def text_of(value: object) -> str:
    """A string, or the list of strings that nbformat allows instead; anything else is nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return ""


def _clean_cell(cell: dict[str, Any]) -> dict[str, Any]:
    kind = cell.get("cell_type")
    clean: dict[str, Any] = {
        "cell_type": kind if kind in ("code", "markdown", "raw") else "raw",
        "source": text_of(cell.get("source")),
        "metadata": cell["metadata"] if isinstance(cell.get("metadata"), dict) else {},
    }
    if isinstance(cell.get("id"), str):
        clean["id"] = cell["id"]
    if isinstance(cell.get("attachments"), dict):
        clean["attachments"] = {
            name: {kind: text_of(value) for kind, value in bundle.items() if _is_text(value)}
            for name, bundle in cell["attachments"].items()
            if isinstance(bundle, dict)
        }
    if clean["cell_type"] == "code":
        count = cell.get("execution_count")
        outputs = cell["outputs"] if isinstance(cell.get("outputs"), list) else []
        clean["execution_count"] = count if isinstance(count, int) else None
        clean["outputs"] = [_clean_output(output) for output in outputs if isinstance(output, dict)]
    return clean


def _clean_output(output: dict[str, Any]) -> dict[str, Any]:
    """One of nbformat's four kinds of output, with text joined: nbdime takes nothing else."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": text_of(output.get("text"))}
    if kind == "error":
        trace = output.get("traceback")
        lines = [line for line in trace if isinstance(line, str)] if isinstance(trace, list) else []
        name, value = text_of(output.get("ename")), text_of(output.get("evalue"))
        return {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}
    data = output.get("data")
    bundle = {key: text_of(value) for key, value in data.items() if _is_text(value)} if isinstance(data, dict) else {}
    clean: dict[str, Any] = {"output_type": "display_data", "data": bundle, "metadata": {}}
    if kind == "execute_result":
        count = output.get("execution_count")
        clean |= {"output_type": kind, "execution_count": count if isinstance(count, int) else None}
    return clean


def _is_text(value: object) -> bool:
    """Whether a value of a bundle is text; JSON of a widget or a plot is neither shown nor compared."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value))


def _cell(cell: dict[str, Any], number: int, lexer: Any) -> str:
    kind, source = cell["cell_type"], cell["source"]
    if kind == "markdown":
        return f'<section class="cell markdown" aria-label="Cell {number}, text">{_markdown_html(cell)}</section>'
    lines, cut = bounded_lines(source[:_MOST_OUTPUT_CHARACTERS])
    body = "\n".join(coloured(lines, lexer if kind == "code" else TextLexer(stripnl=False, ensurenl=False)))
    note = '<p class="quiet">The rest of this cell is not shown.</p>' if cut else ""
    if kind == "raw":
        return (
            f'<section class="cell raw" aria-label="Cell {number}, raw"><pre tabindex="0">{body}</pre>{note}</section>'
        )
    count = cell.get("execution_count")
    outputs = "".join(_output(output) for output in cell["outputs"][:200])
    return (
        f'<section class="cell code" aria-label="Cell {number}, code"><p class="count">[{count if count else " "}]</p>'
        f'<pre class="source" tabindex="0">{body}</pre>{note}'
        + (f'<div class="outputs">{outputs}</div>' if outputs else "")
        + "</section>"
    )


def _markdown_html(cell: dict[str, Any]) -> str:
    source = cell["source"][:_MOST_OUTPUT_CHARACTERS]
    attachments = cell.get("attachments") or {}
    for name, bundle in list(attachments.items())[:50]:
        image = image_of({"data": bundle})
        if image and isinstance(name, str):
            source = source.replace(f"(attachment:{name})", f"({image})")
    return sanitised(str(_markdown(source)))


def _output(output: dict[str, Any]) -> str:
    image = image_of(output)
    if image is not None:
        alternative = escape(plain_output(output)[:200] or "Output of the cell")
        return f'<p><img src="{escape(image)}" alt="{alternative}"></p>'
    data = output.get("data")
    html = text_of(data.get("text/html")) if isinstance(data, dict) else ""
    if html:
        shown = sanitised(html[:_MOST_OUTPUT_CHARACTERS])
        if shown.strip():
            return f'<div class="html" tabindex="0">{shown}</div>'
    markdown = text_of(data.get("text/markdown")) if isinstance(data, dict) else ""
    if markdown:
        return sanitised(str(_markdown(markdown[:_MOST_OUTPUT_CHARACTERS])))
    text = plain_output(output)
    if not text:
        return '<p class="quiet">An output that cannot be shown here.</p>'
    shown, cut = text[:_MOST_OUTPUT_CHARACTERS], len(text) > _MOST_OUTPUT_CHARACTERS
    kind = "error" if output.get("output_type") == "error" or output.get("name") == "stderr" else "plain"
    rest = '<p class="quiet">The rest of this output is not shown.</p>' if cut else ""
    return f'<pre class="{kind}" tabindex="0">{escape(shown)}</pre>{rest}'


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "src":
        return value if re.match(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,", value) else None
    if attribute == "href":
        return value if re.match(r"https?://|mailto:", value, re.IGNORECASE) else None
    return value if tag != "img" or attribute not in ("width", "height") or value.isdecimal() else None


def _lexer(metadata: dict[str, Any]) -> Any:
    info = metadata.get("language_info")
    name = info.get("pygments_lexer") or info.get("name") if isinstance(info, dict) else None
    try:
        return get_lexer_by_name(name if isinstance(name, str) else "python", stripnl=False, ensurenl=False)
    except ClassNotFound:
        return TextLexer(stripnl=False, ensurenl=False)


def _plain(text: str) -> str:
    return _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n")


def _base64(text: str) -> str | None:
    compact = "".join(text.split())
    try:
        base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        return None
    return compact
