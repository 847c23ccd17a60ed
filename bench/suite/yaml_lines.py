"""YAML from strangers: loaded safely, bounded, and with the line of each key and item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from bench.interfaces.errors import SuiteError

MAX_BYTES = 1_000_000
MAX_NODES = 10_000  # aliases counted as often as they are used
MAX_DEPTH = 30
STRING = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"

Loc = tuple[int | str, ...]
Lines = dict[Loc, int]


def load(text: str, name: str) -> tuple[Any, Lines]:
    """The document as plain data, and path → line from 1. Keys are strings, whatever they look like.

    Raises:
        SuiteError: `name:line: …` for a syntax error, a key twice, an unknown tag, or too much of it.
    """
    if len(text.encode()) > MAX_BYTES:
        raise SuiteError(f"{name}:1: over {MAX_BYTES // 1000} kB; that is no suite")
    try:
        _bound(text, name)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: Lines = {(): 1}
        if node is None:
            return None, lines
        _walk(loader, node, (), lines, name)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SuiteError(f"{name}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SuiteError(f"{name}:{line}: a character that text does not have") from None


def line_of(lines: Lines, loc: Sequence[int | str]) -> int:
    """The line of the nearest thing on the way to `loc` that the file has."""
    path: Loc = ()
    for part in loc:
        if (*path, part) in lines:
            path = (*path, part)
    return lines[path]


def _bound(text: str, name: str) -> None:
    """Refuses before anything is built: the parser itself does not recurse, the composer does."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > 2 * MAX_NODES:
            what = f"nested deeper than {MAX_DEPTH}" if depth > MAX_DEPTH else "too large for a suite"
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise SuiteError(f"{name}:{line}: {what}")


def _walk(loader: yaml.SafeLoader, node: yaml.Node, path: Loc, lines: Lines, name: str) -> None:
    line = node.start_mark.line + 1
    if len(lines) > MAX_NODES or len(path) > MAX_DEPTH:
        raise SuiteError(f"{name}:{line}: its aliases expand to more than a suite holds")
    if isinstance(node, yaml.ScalarNode):
        try:
            loader.construct_object(node)
        except ValueError as error:  # looks like a date or a number and is none
            raise SuiteError(f"{name}:{line}: {node.value!r:.60}: {error}; put it in quotes") from None
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            lines[(*path, number)] = item.start_mark.line + 1
            _walk(loader, item, (*path, number), lines, name)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            key_line = key.start_mark.line + 1
            if key.tag == MERGE or not isinstance(key, yaml.ScalarNode):
                raise SuiteError(f"{name}:{key_line}: keys are plain words here; merging (<<) is not read")
            key.tag = STRING  # `null: false` names the key null
            if key.value in seen:
                raise SuiteError(f"{name}:{key_line}: key {key.value!r} stands twice")
            seen.add(key.value)
            lines[(*path, key.value)] = key_line
            _walk(loader, value, (*path, key.value), lines, name)
