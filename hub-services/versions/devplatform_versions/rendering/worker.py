"""One job, then the end: `python -I -m devplatform_versions.rendering.worker`, started by `client`.

Standard input is a line of JSON, `{"job", "name", "memory", "sizes": [bytes of each part], ...}`, and then the parts;
standard output is the JSON of the answer.
"""

import json
import resource
import sys
from typing import Any, BinaryIO

_SECONDS = 15


def main() -> int:
    """Read the job, limit this process, answer."""
    source = sys.stdin.buffer
    job = json.loads(source.readline())
    _limit(job["memory"])
    parts = [_read(source, size) for size in job["sizes"]]
    try:
        answer = answer_job(job, parts)
    except (MemoryError, RecursionError):
        answer = {"kind": "too-complex"}
    json.dump(answer, sys.stdout)
    return 0


def answer_job(job: dict[str, Any], parts: list[bytes]) -> dict[str, Any]:
    """What a job gives. Parsers are imported by the job that needs them: starting is most of the time it takes."""
    if job["job"] == "preview-notebook":
        from .notebook import preview_notebook

        return preview_notebook(parts[0])
    if job["job"] == "preview-text":
        from .text import preview_text

        return preview_text(parts[0], job["name"])
    if job["job"] == "compare":
        return _compare(job, *parts)
    raise ValueError(f"no such job: {job['job']}")


def _compare(job: dict[str, Any], old: bytes, new: bytes) -> dict[str, Any]:
    """Two versions, for a page (`rows` or `cells`), or for the API with `as_text`."""
    if job["name"].lower().endswith(".ipynb"):
        from .notebook import NotANotebook, parse_notebook

        try:
            notebooks = parse_notebook(old), parse_notebook(new)
        except NotANotebook:
            pass  # broken JSON is compared as the text it is
        else:
            from .notebook_diff import compare_notebooks, notebook_changes

            if job["as_text"]:
                cells, cut = notebook_changes(*notebooks)
                return {"kind": "notebook", "cells": cells, "truncated": cut}
            return {"kind": "notebook", **compare_notebooks(*notebooks)}
    from .text import decode
    from .text_diff import compare_text, unified

    before, after = decode(old), decode(new)
    if before is None or after is None:
        return {"kind": "binary", "truncated": False} if job["as_text"] else {"kind": "binary"}
    if job["as_text"]:
        text, cut = unified(before, after, *job["labels"])
        return {"kind": "text", "unified": text, "truncated": cut}
    return {"kind": "text", **compare_text(before, after)}


def _read(source: BinaryIO, size: int) -> bytes:
    content = source.read(size)
    if len(content) != size:
        raise EOFError("the service went away")
    return content


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
