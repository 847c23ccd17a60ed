"""Takes user names, host names and paths out of text that leaves the machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bench.text.printable import printable

_HOME = re.compile(r"(?<![\w./~-])/(?:(?:home|Users)/[^/\s'\"<>|:;,)\]}]+|root)(?=[/\s'\"<>|:;,)\]}]|$)")
_QUOTED = re.compile(r"""(['"`])(?:file://)?(?:~|/)[^'"`\n]*/([^'"`/\n]+)/?\1""")
_TILDE = re.compile(r"~[\w.-]*/(?:[^/\s'\"<>|:;,)\]}]+/)*[^/\s'\"<>|:;,)\]}]*")
# An absolute path of at least two parts. What stands before keeps `https://host/page` and `img/s` whole.
_PATH = re.compile(r"(?<![\w./~:-])(?:file://)?/(?:[^/\s'\"<>|:;,()\[\]{}]+/)+[^/\s'\"<>|:;,()\[\]{}]*")
_AFTER_COLON = re.compile(r"(?<=:)/(?!/)(?:[^/\s'\"<>|:;,()\[\]{}]+/)+[^/\s'\"<>|:;,()\[\]{}]*")
PRIVATE = ("host", "hostname", "host_name", "node", "user", "username", "user_name", "login")
_NOBODY = frozenset({"root", "user", "nobody", "admin", "localhost", "runner", "ubuntu", "debian", "docker"})


@cache
def _own_names() -> tuple[str, ...]:
    """This machine's user and host names. Names that say nothing, or are parts of words, are left alone."""
    host = socket.gethostname()
    found = {host, host.split(".", 1)[0], Path(_home()).name}
    with contextlib.suppress(KeyError, OSError):  # a container's user without an entry
        found.add(getpass.getuser())
    return tuple(sorted(name for name in found if len(name) >= 3 and name.lower() not in _NOBODY))


def _home() -> str:
    """The user's home folder; `~` for a user who has none, as in a container."""
    return os.path.expanduser("~")


def scrub(text: str, names: Iterable[str] = ()) -> str:
    """Paths become their last part, home folders `~`, user and host names `…`; control characters go.

    Args:
        text: a reason, the end of a log, a command.
        names: further names to take out, such as the host that a stored run was measured on.
    """
    text, home = printable(text), _home()
    if home.startswith("/") and home != "/":
        text = re.sub(re.escape(home) + r"(?=/|\b|$)", "~", text)
    text = _HOME.sub("~", text)
    text = _QUOTED.sub(r"\1\2\1", text)
    for pattern in (_TILDE, _PATH, _AFTER_COLON):
        text = pattern.sub(_last, text)
    for name in sorted({*_own_names(), *names}, key=len, reverse=True):
        if len(name) >= 3 and name.lower() not in _NOBODY:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text)
    return text


def _last(path: re.Match[str]) -> str:
    """The last part of a path; of a home folder alone not even its name."""
    parts = [part for part in path.group().removeprefix("file://").split("/") if part]
    return "~" if parts[-1].startswith("~") else parts[-1]


def names_in(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """User and host names that a machine's fingerprint carries."""
    return tuple(str(value) for key, value in facts.items() if key.lower() in PRIVATE and value)
