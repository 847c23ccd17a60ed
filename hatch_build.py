"""Makes the extras: one per backend from `backends/NAME/requirements.txt`, and the sets that people install.

A backend's requirements stand in its folder and nowhere else; adding a backend adds its extra.
"""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

# What `prepare` needs to write model files, whichever backend will read them.
PREPARE = ["torch>=2.9,<2.14", "onnx>=1.18", "onnxscript>=0.5", "safetensors>=0.5"]
# Quantisers: ONNX Runtime's own, OpenVINO's and PyTorch's.
PREPARE += ["onnxruntime>=1.30,<2", "nncf>=3.3,<4", "torchao>=0.17,<1"]
PARQUET = ["pyarrow>=17"]
DEV = [
    "coverage>=7",
    "import-linter>=2.3",
    "jsonschema>=4.23",
    "mypy>=1.15",
    "pandas-stubs>=2.2",
    "pre-commit>=4",
    "pytest>=8.3",
    "pytest-benchmark>=5",
    "pytest-cov>=6",
    "pytest-xdist>=3.6",
    "ruff>=0.11",
    "ruptures>=1.1.9",
    "statsmodels>=0.14",
    "transformers>=5",
    "types-jsonschema>=4.23",
    "types-psutil>=6",
    "types-PyYAML>=6",
    "uv>=0.8",
]
CPU = ("torch", "onnxruntime", "openvino")


def requirements(root: Path) -> dict[str, list[str]]:
    """Extra → requirements, comments and blank lines left out."""
    extras = {}
    for path in sorted((root / "backends").glob("*/requirements.txt")):
        lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
        extras[path.parent.name.replace("_", "-")] = [line for line in lines if line]
    return extras


class ExtrasHook(MetadataHookInterface):
    def update(self, metadata: dict) -> None:
        extras = requirements(Path(self.root))
        extras["prepare"] = PREPARE
        extras["parquet"] = PARQUET
        extras["cpu"] = sorted({*PREPARE, *PARQUET, *(line for name in CPU for line in extras[name])})
        extras["pytest"] = ["pytest>=8.3", "pytest-benchmark>=5"]
        extras["dev"] = DEV
        metadata["optional-dependencies"] = extras
