"""What leaves the machine carries no path, user or host name."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest

from reports.html.scrub import names_in, scrub


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("open: /usr/lib/python3/x.so: no such file", "open: x.so: no such file"),
        ('File "/srv/my models/run.py", line 3', 'File "run.py", line 3'),
        ("in /home/alice", "in ~"),
        ("/Users/alice/ and ~alice/", "~ and ~"),
        ("/srv/data/", "data"),
        ("'/home/alice/a.onnx' is broken", "'a.onnx' is broken"),
        ("~/x/y.onnx", "y.onnx"),
        ("~alice/x.onnx", "x.onnx"),
        ("file:///tmp/a/b.c", "b.c"),
        ("PATH=/usr/local/bin:/opt/x/sbin", "PATH=bin:sbin"),
        ("(/tmp/x/y), [/tmp/x/z]", "(y), [z]"),
        ("--weights=/srv/data/w.pt", "--weights=w.pt"),
        ("23 images/s, 1/2 of it, and/or", "23 images/s, 1/2 of it, and/or"),
        ("https://example.org/page/one", "https://example.org/page/one"),
        ("torch/csrc/jit.cpp:33", "torch/csrc/jit.cpp:33"),
    ],
)
def test_paths(text: str, clean: str) -> None:
    assert scrub(text) == clean


def test_given_names() -> None:
    assert scrub("on node17.lab and node17.labs", ["node17.lab"]) == "on … and node17.labs"
    assert scrub("root may", ["root"]) == "root may", "a name that tells nothing"


def test_this_machines_own_names() -> None:
    home = Path.home() / "models" / "x.onnx"
    assert scrub(f"no {home}") == "no x.onnx"
    for name in (socket.gethostname(), getpass.getuser()):
        if len(name) >= 3 and name not in ("root", "localhost", "user", "runner"):
            assert name not in scrub(f"by {name} here").split()


def test_names_in_a_fingerprint() -> None:
    assert names_in({"cpu": "x", "hostname": "h1", "user": None, "Node": "n2"}) == ("h1", "n2")
