"""SETTINGS.md is what the code says."""

from tests.lab import settings_table


def test_the_table_of_settings_is_up_to_date() -> None:
    """`make settings` writes it anew."""
    assert settings_table.TABLE.read_text("utf-8") == settings_table.table()
