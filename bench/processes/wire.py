"""Messages between parent and worker over one descriptor: JSON objects, and blobs where both sides agree.

Eight bytes of length, big-endian, before each. Nothing is pickled. Of the standard library only what starts
fast: a worker's start counts in its row.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bench.interfaces.plain import as_dict

_LENGTH = struct.Struct(">Q")
MOST = 1 << 30  # a length over this is no message of ours


class Wire:
    """Both ends of a socket have one. The descriptor is closed with it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises OSError when the other side is gone."""
        self.send_blob(json.dumps(as_dict(message)).encode())

    def send_blob(self, blob: bytes) -> None:
        """Raises OSError when the other side is gone."""
        left = memoryview(_LENGTH.pack(len(blob)) + blob)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def receive(self) -> dict[str, Any]:
        """Raises EOFError when the other side is gone, ValueError for what is no message."""
        message = json.loads(self.receive_blob())
        if not isinstance(message, dict):
            raise ValueError(f"not a message: {message!r:.80}")
        return message

    def receive_blob(self) -> bytes:
        """Raises EOFError when the other side is gone, ValueError for a length that cannot be meant."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > MOST:
            raise ValueError(f"a message of {length} bytes is announced")
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        chunks = []
        while count:
            chunk = os.read(self._descriptor, min(count, 1 << 20))
            if not chunk:
                raise EOFError
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)
