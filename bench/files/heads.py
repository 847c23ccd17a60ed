"""What a file is, by its first bytes: what people hand in in a file's place, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 512  # bytes that are looked at
MAX_HEADER = 100_000_000  # bytes of a safetensors header, as the format has it
SAVE = "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
TORCH = f"load it with what wrote it, and save the weights alone: {SAVE}"
UNPACK = "unpack it, and name the file of weights inside"
DOWNLOAD = (
    "download the file itself (on Hugging Face its `resolve` address; `curl -L`, with a token if asked)"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file was recognised as, and the next thing to do; `name` alone for what is read."""

    name: str
    instead: str = ""


SAFETENSORS, ZIP = Kind("a safetensors file"), Kind("a zip archive")
PICKLE, JSON = Kind("a pickle"), Kind("a JSON file")
LFS = Kind("a Git LFS pointer, not the file that it stands for", "git lfs pull")
BY_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"version https://git-lfs", LFS),
    (b"GGUF", Kind("a GGUF file (llama.cpp)", "name the checkpoint in PyTorch that it was converted from")),
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file (Keras)", TORCH)),
    (b"\x93NUMPY", Kind("a NumPy array (.npy)", f"one array is no model: {SAVE}")),
    (b"\x1f\x8b", Kind("a gzip archive", UNPACK)),
    (b"BZh", Kind("a bzip2 archive", UNPACK)),
    (b"\xfd7zXZ\x00", Kind("an xz archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("a zstd archive", UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", UNPACK)),
    (b"Rar!", Kind("a RAR archive", UNPACK)),
    (
        b"SQLite format 3\x00",
        Kind("an SQLite file", "name a store with --store, a checkpoint with --weights"),
    ),
)
TAR = Kind("a tar archive", UNPACK)
TFLITE = Kind("a TensorFlow Lite model", "name the checkpoint in PyTorch that it was made from")
ONNX = Kind("an ONNX model or another protobuf", "name the checkpoint in PyTorch that it was exported from")
HTML = Kind("an HTML page: a log-in or error page was downloaded in its place", DOWNLOAD)
XML = Kind("an XML file: an error page, or the description of a model", DOWNLOAD)
TEXT = Kind("a text file", "name a safetensors file or a saved state_dict")
INSTEAD_OF_TEXT = (HTML, XML, LFS)  # text too, and never meant
UNKNOWN = Kind("neither safetensors nor a saved state_dict", TORCH)


def kind(head: bytes, size: int) -> Kind:
    """What a file of that size is that begins so (its first HEAD bytes)."""
    for magic, found in BY_MAGIC:
        if head.startswith(magic):
            return found
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZIP
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= max(MAX_HEADER, size):
        return SAFETENSORS
    if head.startswith(b"\x80") and head[1:2] <= b"\x05":
        return PICKLE
    if head[257:262] == b"ustar":
        return TAR
    if head[4:8] == b"TFL3":
        return TFLITE
    if head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a"):
        return ONNX
    return _text(head)


def _text(head: bytes) -> Kind:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return HTML
    if start.startswith(b"<"):
        return XML
    try:
        letters = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < HEAD or error.start < HEAD - 3:  # not only a letter that the end cut in two
            return UNKNOWN
        letters = head[: error.start].decode()
    if start[:1] in (b"{", b"["):
        return JSON
    return TEXT if all(c.isprintable() or c in "\r\n\t" for c in letters) else UNKNOWN
