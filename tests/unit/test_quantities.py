"""Amounts as people write and read them."""

import pytest

from devplatform_hub.core.quantities import format_duration, format_size, parse_cpu, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024", 1024),
        (1024, 1024),
        ("8G", 8 * 2**30),
        ("8 GB", 8 * 2**30),
        ("512Mi", 2**29),
        ("1.5K", 1536),
        ("1T", 2**40),
    ],
)
def test_reads_sizes(text: str | int, size: int) -> None:
    """G, GB and Gi are all 2^30 bytes, as on the page."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8X", "-1", "0", "G", "8GG", "1e9", True, "nan", "9" * 40])
def test_refuses_other_sizes(text: str) -> None:
    """With a sentence that says what would be right."""
    with pytest.raises(ValueError, match="; write"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (90, 90), ("45m", 2700), ("2h", 7200), ("1d", 86400), ("1.5h", 5400)]
)
def test_reads_durations(text: str | int, seconds: int) -> None:
    """Seconds without a unit."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "0", "1w", "1h30m"])
def test_refuses_other_durations(text: str) -> None:
    """With a sentence that says what would be right."""
    with pytest.raises(ValueError, match="; write"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "cores"), [("2", 2), (2, 2), (0.5, 0.5), ("500m", 0.5)])
def test_reads_cpu(text: str | float, cores: float) -> None:
    """Cores, or thousandths of one."""
    assert parse_cpu(text) == cores


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "0m", True])
def test_refuses_other_cpu(text: str) -> None:
    """With a sentence that says what would be right."""
    with pytest.raises(ValueError, match="; write"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KB"), (2**30, "1 GB"), (2**20 - 1, "1 MB")],
)
def test_shows_sizes(size: int, text: str) -> None:
    """The largest unit that leaves a readable number."""
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (90, "90 seconds"), (2700, "45 minutes"), (3600, "1 hour"), (172800, "2 days")],
)
def test_shows_durations(seconds: int, text: str) -> None:
    """The largest unit that is whole."""
    assert format_duration(seconds) == text
