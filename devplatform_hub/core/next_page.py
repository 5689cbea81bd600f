"""Where a browser may be sent after a sign-in: a path of this hub, as a browser reads it."""

_LONGEST = 8192


def is_path_here(text: str) -> bool:
    """Whether a browser that is sent to `text` stays on the host it is on.

    Browsers leave out tabs and line breaks, take a backslash for a slash, and read a host after two slashes
    (https://url.spec.whatwg.org/#concept-basic-url-parser): whatever has such a letter is refused, not mended.
    """
    return (
        len(text) <= _LONGEST
        and text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and not any(letter < " " or letter == "\x7f" for letter in text)
    )
