"""The child side: one process that serves commands, or answers a question.

python -P -m bench.worker --serve FD PARENT     commands over a socket (`bench.worker.worker.answer`)
python -P -m bench.worker --probe BACKEND       one line of JSON: what the backend can do here
python -P -m bench.worker --ceilings BACKEND DEVICE     the same: what the device can do at most
"""

from __future__ import annotations

import os
import sys
from typing import Any

from bench.interfaces.backend import Backend, Measuring
from bench.interfaces.errors import BackendUnavailable
from bench.interfaces.plain import as_dict
from bench.processes import resources
from bench.processes.answers import say
from bench.processes.variables import LAST_PATH
from bench.processes.wire import Wire
from bench.worker.worker import serve


def probe(name: str) -> dict[str, Any]:
    """Capabilities as a dict, or why there are none."""
    from bench.plugins.backend_registry import get

    try:
        return {"ok": True, "capabilities": as_dict(get(name).probe())}
    except BackendUnavailable as error:
        return {"ok": False, "kind": "missing", "message": error.message, "hint": error.hint}
    except Exception as error:
        message = f"{type(error).__name__}: {error}{_foreign(get(name))}"
        return {"ok": False, "kind": "failed", "message": message, "hint": ""}


def _foreign(backend: Backend) -> str:
    """Where the runtime's modules come from, of those that the user's $PYTHONPATH brings."""
    last = tuple(filter(None, os.environ.get(LAST_PATH, "").split(os.pathsep)))
    files = [getattr(sys.modules.get(name), "__file__", None) or "" for name in backend.runtime]
    found = [file for file in files if file.startswith(last)] if last else []
    return f" (PYTHONPATH brings {', '.join(found)})" if found else ""


def ceilings(name: str, device: str) -> dict[str, Any]:
    """What a device can do at most, by a backend that can measure it."""
    from bench.plugins.backend_registry import get

    backend = get(name)
    return {"ceilings": dict(backend.ceilings(device)) if isinstance(backend, Measuring) else {}}


def main(arguments: list[str]) -> None:
    if arguments[0] == "--ceilings":
        say(ceilings(*arguments[1:]))
        return
    if arguments[0] == "--probe":
        say(probe(arguments[1]))
        return
    _, descriptor, parent = arguments
    resources.die_with_parent(int(parent))
    resources.be_first_to_go()
    resources.keep_freed_memory()
    serve(Wire(int(descriptor)))


if __name__ == "__main__":
    main(sys.argv[1:])
