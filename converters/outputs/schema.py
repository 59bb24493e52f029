"""Documents compared with a JSON schema, by the few words of the standard that this package's schemas use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}

_NOTES = frozenset({"$schema", "title", "description", "$defs"})
"""Words that ask nothing of a document."""

_MOST_SHOWN = 60


def problems(document: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """What of a parsed JSON document the schema does not allow, one line each, such as "checks/0/passed is 1; a
    boolean is expected". Raises LookupError for a word in the schema that is unknown here: unchecked, it would allow
    everything."""
    yield from _problems(document, schema, schema, "")


def _problems(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    for word, argument in schema.items():
        if word in _NOTES:
            continue
        if word == "$ref":
            yield from _problems(value, _referred(argument, root), root, place)
        elif word == "anyOf":
            if all(any(True for _ in _problems(value, one, root, place)) for one in argument):
                yield f"{place} is {_shown(value)}, which is none of what is allowed there"
        elif word in ("properties", "additionalProperties", "items"):
            yield from _inside(value, word, schema, root, place)
        elif (lacking := _lacking(value, word, argument)) is not None:
            yield f"{place or 'the document'} {lacking}"


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _inside(value: Any, word: str, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    """What is not allowed inside an object or a list; whether it is one, the schema's `type` says."""
    prefix = f"{place}/" if place else ""
    if word == "items" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, schema["items"], root, f"{prefix}{index}")
    elif word == "properties" and isinstance(value, dict):
        for name, one in schema["properties"].items():
            if name in value:
                yield from _problems(value[name], one, root, f"{prefix}{name}")
    elif word == "additionalProperties" and isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from _problems(value[name], schema["additionalProperties"], root, f"{prefix}{name}")


def _lacking(value: Any, word: str, argument: Any) -> str | None:
    """What a value lacks by one word of a schema, that looks at nothing inside it."""
    if word == "type":
        kind = _TYPES[argument]
        # For Python, true and false are whole numbers.
        right = isinstance(value, kind) and (argument == "boolean" or not isinstance(value, bool))
        return None if right else f"is {_shown(value)}; {_article(argument)} is expected"
    if word == "required":
        missing = [name for name in argument if isinstance(value, dict) and name not in value]
        return f"lacks {missing[0]!r}" if missing else None
    if word in ("enum", "const"):
        allowed = argument if word == "enum" else [argument]
        right = any(type(value) is type(one) and value == one for one in allowed)
        return None if right else f"is {_shown(value)}; {' or '.join(map(_shown, allowed))} is expected"
    if word == "pattern":
        # Its patterns are anchored; to Python alone, `$` also stands before a last line break.
        right = not isinstance(value, str) or re.fullmatch(argument, value) is not None
        return None if right else f"is {_shown(value)}, which does not look like {argument}"
    if word == "minimum":
        right = not isinstance(value, int | float) or value >= argument
        return None if right else f"is {_shown(value)}; at least {argument} is expected"
    raise LookupError(f"the schema has the word {word!r}, which is not known here")


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aio' else 'a'} {noun}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
