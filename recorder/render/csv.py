"""Cells for CSV files, which programs and spreadsheets read."""

from __future__ import annotations

from typing import Any

import msgspec

# A spreadsheet takes a cell that begins with one of these for a formula and evaluates it (CWE-1236,
# https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: Any) -> Any:
    """Return a value for the csv module, complete: numbers as numbers, lists of strings joined, the rest as JSON.

    A string that a spreadsheet would evaluate gets a leading apostrophe, unless it is a number.
    """
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else str(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
