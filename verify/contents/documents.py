"""Two versions of a small file, compared: a difference is named by its field, its line or its byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .followed import where_field_leads

SHOWN = 20
"""As many differences of one file are named; the others are counted."""

LONGEST = 80
"""A value is shown with as many characters at most."""


def differences(name: str, found: bytes, expected: bytes) -> list[str]:
    """How a file called `name` differs from what is expected, one line per field of JSON or line of text, each with
    both values; empty when every byte is equal."""
    if found == expected:
        return []
    problems = _json_differences(found, expected) if name.endswith(".json") else _line_differences(found, expected)
    problems = problems or [f"the same contents in other bytes, from byte {first_difference(found, expected)} on"]
    more = [f"{len(problems) - SHOWN} differences more"] if len(problems) > SHOWN else []
    return [f"{name}: {problem}" for problem in (*problems[:SHOWN], *more)]


def first_difference(found: bytes, expected: bytes) -> int:
    """The first byte in which two runs of bytes differ, their common length where one begins with the other."""
    shorter = min(len(found), len(expected))
    low, high = 0, shorter
    # By halves, as a comparison byte by byte takes seconds.
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if found[:middle] == expected[:middle] else (low, middle - 1)
    return low


def _json_differences(found: bytes, expected: bytes) -> list[str]:
    try:
        document = json.loads(found.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return [f"is not a JSON file: {error}"]
    return list(_fields("", document, json.loads(expected)))


def _fields(path: str, found: Any, expected: Any) -> Iterator[str]:
    """The differences of two JSON values; true is not 1, and 1 is not 1.0."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in (*expected, *(name for name in found if name not in expected)):
            inner = f"{path}.{name}" if path else str(name)
            if name not in found:
                yield f"{inner} is missing, expected {shown(expected[name])}"
            elif name not in expected:
                yield f"{inner} is {shown(found[name])}, expected is no such field{_led(name)}"
            else:
                yield from _fields(inner, found[name], expected[name])
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            yield f"{path} holds {len(found)} items, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(found, expected, strict=False)):
            yield from _fields(f"{path}[{index}]", one, other)
    elif type(found) is not type(expected) or found != expected:
        yield f"{path or 'the document'} is {shown(found)}, expected {shown(expected)}{_led(path)}"


def _led(field: str) -> str:
    leads = where_field_leads(field)
    return f": {leads}" if leads is not None else ""


def _line_differences(found: bytes, expected: bytes) -> list[str]:
    """The first line that differs, and how many there are; the number of the first byte for what is no text."""
    try:
        lines, wanted = found.decode("utf-8").split("\n"), expected.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        sizes = (
            f"{len(found)} bytes, expected {len(expected)}" if len(found) != len(expected) else f"{len(found)} bytes"
        )
        return [f"differs from byte {first_difference(found, expected)} on ({sizes})"]
    different = [pair for pair in enumerate(zip(lines, wanted, strict=False), 1) if pair[1][0] != pair[1][1]]
    problems = [f"line {number} is {shown(one)}, expected {shown(other)}" for number, (one, other) in different]
    if len(lines) != len(wanted):
        problems.append(f"holds {len(lines)} lines, expected {len(wanted)}")
    return problems


def shown(value: Any) -> str:
    """A value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
