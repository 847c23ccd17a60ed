"""JSON that every reader takes: the one writer of what leaves the process.

JSON has no infinity and no NaN. Such a value is written as null, and a note in the same document keeps what
it was: `"not_finite": {"/verification/before/error": "inf"}`, the place as a JSON pointer (RFC 6901). `loads`
puts the values back. What only another process of bakeoff's own reads (`bench.processes.wire`, jobs of
converters) may hold Python's own words for them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TextIO

from bench.interfaces.plain import as_dict
from bench.text.printable import CONTROL

NOTE = "not_finite"


def dumps(
    value: Any, *, indent: int | None = None, compact: bool = False, encoding: str | None = "utf-8"
) -> str:
    """A value as strict JSON.

    Args:
        value: plain data, dataclasses, paths and NumPy's scalars.
        indent: blanks a level; all on one line without, and with no blanks at all where `compact`.
        encoding: of the stream or file that it goes to. What that cannot hold is escaped, so that any
            encoding takes the text, and the document says the same. What acts on a terminal always is.

    Raises:
        TypeError: for what is no data.
    """
    separators = (",", ":") if compact else None
    options: dict[str, Any] = {"indent": indent, "separators": separators, "allow_nan": False}
    plain = finite(value)
    text = CONTROL.sub(_escape, json.dumps(plain, ensure_ascii=False, **options))
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:  # another alphabet, or the rest of a file name that is no text at all
        return json.dumps(plain, ensure_ascii=True, **options)
    return text


def _escape(control: re.Match[str]) -> str:
    """JSON itself asks for escapes under U+0020 alone."""
    return f"\\u{ord(control[0]):04x}"


def say(value: Any, out: TextIO | None, *, indent: int | None = None) -> None:
    """Prints a document on a stream, in what its encoding can hold."""
    print(dumps(value, indent=indent, encoding=getattr(out, "encoding", None)), file=out, flush=True)


def loads(text: str | bytes) -> Any:
    """What `dumps` wrote, with the values that JSON has not. Older stores hold these as Python writes them,
    and are read too."""
    return _restored(json.loads(text))


def finite(value: Any) -> Any:
    """The same as plain data with null for what is not finite, and the note in each outermost object."""
    plain = as_dict(value)
    if isinstance(plain, dict):
        return _noted(plain)
    if isinstance(plain, list):
        return [_noted(one) if isinstance(one, dict) else _nulled(one) for one in plain]
    return _nulled(plain)


def _noted(document: dict[str, Any]) -> dict[str, Any]:
    lost = dict(_lost(document, ""))
    return {**_nulled(document), NOTE: lost} if lost else document


def _lost(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Place and word of each value that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place, repr(float(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _lost(item, f"{place}/{_escaped(key)}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _lost(item, f"{place}/{i}")


def _nulled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _nulled(item) for key, item in value.items()}
    return [_nulled(item) for item in value] if isinstance(value, list) else value


def _restored(document: Any) -> Any:
    if isinstance(document, list):
        return [_restored(one) if isinstance(one, dict) else one for one in document]
    if not isinstance(document, dict) or not isinstance(document.get(NOTE), dict):
        return document
    for place, word in document.pop(NOTE).items():
        with suppress(LookupError, TypeError, ValueError, AttributeError):  # a stranger's note about nothing
            *above, last = (_plain(key) for key in place.split("/")[1:])
            holder: Any = document
            for key in above:
                holder = holder[int(key) if isinstance(holder, list) else key]
            holder[int(last) if isinstance(holder, list) else last] = float(word)
    return document


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _plain(key: str) -> str:
    return key.replace("~1", "/").replace("~0", "~")
