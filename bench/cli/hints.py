"""Commands that a person is told to type, with the store that they typed."""

from __future__ import annotations

import argparse
import re
import shlex

from bench.cli.parser import STORE, STORED

_COMMAND = re.compile(rf"\bbakeoff ({'|'.join(STORED)})\b(?![^\n]*--store)")


def as_typed(text: str, options: argparse.Namespace | None) -> str:
    """The text, each command in it that reads a store with `--store` as it was typed, and the help of the
    command that was typed."""
    text = text.replace("bakeoff run --help", f"bakeoff {getattr(options, 'named', 'run')} --help")
    store = getattr(options, "store", STORE)
    if store == STORE:
        return text
    return _COMMAND.sub(lambda match: f"{match[0]} --store {shlex.quote(str(store))}", text)
