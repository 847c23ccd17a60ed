from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.worker import verify
from tests.helpers.families import Made, breakages, degeneration, make, onnx_error
from workloads.cnn import WORKLOADS, ResNet, ResNetConfig

TINY = ResNet("tiny", "two stages on 32×32", ResNetConfig(blocks=(2, 1), width=8, classes=10, image=32))
RESNET50 = WORKLOADS[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tiny")
    return make(TINY, folder, "origin", "reference", "exported", "torch-graph", "onnx", "band", "inputs")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(RESNET50, tmp_path_factory.mktemp("resnet50"), "origin", "reference")


def test_names_and_sizes_are_torchvisions() -> None:
    module = RESNET50.build()
    state = module.state_dict()
    assert len(state) == 320
    assert sum(p.numel() for p in module.parameters()) == 25_557_032
    assert {
        "conv1.weight",
        "layer1.0.downsample.1.running_var",
        "layer4.2.bn3.bias",
        "fc.bias",
    } <= state.keys()
    assert state["layer2.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert module.get_submodule("layer2.0.conv2").stride == (2, 2)  # v1.5


def test_samples_depend_on_their_own_seed_alone() -> None:
    whole = TINY.inputs(4, None, 10)["image"]
    parts = [TINY.inputs(1, None, 10 + i)["image"] for i in range(4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.shape == (4, 3, 32, 32)
    assert whole.dtype == np.float32
    assert np.abs(whole[0] - whole[1]).max() > 0.5


@pytest.mark.parametrize(("batch", "sequence"), [(0, None), (1025, None), (1, 128)])
def test_shapes_out_of_range(batch: int, sequence: int | None) -> None:
    with pytest.raises(ValueError, match=r"outside|no sequence"):
        TINY.io(batch, sequence)


def test_seeds_repeat() -> None:
    first, second, other = TINY.build(), TINY.build(), TINY.build()
    TINY.seed_weights(first, 0)
    TINY.seed_weights(second, 0)
    TINY.seed_weights(other, 1)
    for key, tensor in first.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), second.state_dict()[key].numpy(), rtol=1e-6, err_msg=key)
    assert not np.allclose(first.state_dict()["conv1.weight"], other.state_dict()["conv1.weight"])


def test_reference_and_cost(tiny: Made) -> None:
    facts = tiny.facts["reference"]
    assert tiny.reference.count == 8
    assert tiny.reference.outputs["logits"].dtype == np.float64
    assert 0 < facts["torch"]["error"] < 2e-6
    convolutions = 2 * (8 * 147 * 16**2)  # the stem; 16×16 outputs
    assert facts["cost"]["flops"] > convolutions
    assert facts["cost"]["parameters"] == sum(p.numel() for p in tiny.module().parameters())
    running = sum(b.numel() for n, b in tiny.module().named_buffers() if "running" in n)
    assert facts["cost"]["weights"] == facts["cost"]["parameters"] + running


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_is_the_module(tiny: Made, batch: int) -> None:
    found = onnx_error(tiny, batch)
    assert verify.judge(found, tiny.band) == ""


def test_exported_is_the_module(tiny: Made) -> None:
    import torch

    program = torch.export.load(tiny.files["exported"]).module()
    assert verify.judge(tiny.error(program), tiny.band) == ""
    with torch.inference_mode():
        assert program(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_files_hold_no_path_of_this_machine(tiny: Made) -> None:
    here = str(Path(__file__).parents[3]).encode()
    for kind in ("onnx", "exported", "torch-graph"):
        assert here not in tiny.files[kind].read_bytes()


def test_each_breakage_is_over_the_fp32_band(tiny: Made) -> None:
    module = tiny.module()
    assert verify.judge(tiny.error(module), tiny.band) == ""
    names = ("conv1.weight", "layer1.0.conv2.weight", "layer2.0.conv3.weight", "fc.weight")
    for name in names:
        for what in breakages(module, name):
            assert tiny.error(module).error > tiny.band.high, what


def test_bf16_band_lies_above_fp32s(tiny: Made) -> None:
    band = tiny.facts["band"]["band"]
    assert band["low"] == tiny.band.high
    assert 1e-3 < band["high"] < 0.5
    import torch

    module = tiny.module().bfloat16()
    image = torch.from_numpy(tiny.reference.inputs["image"]).bfloat16()
    with torch.inference_mode():
        outputs = {"logits": module(image).float().numpy()}
    found = verify.compare(tiny.reference, outputs, np.arange(8))
    assert band["low"] < found.error < band["high"]


def test_tiny_weights_do_not_degenerate(tiny: Made) -> None:
    degeneration(tiny)


@pytest.mark.slow
def test_resnet50_does_not_degenerate(real: Made) -> None:
    degeneration(real)
    assert real.facts["reference"]["cost"]["flops"] == 8_178_368_512  # 4.09 G multiply-adds


@pytest.mark.slow
def test_each_breakage_of_resnet50_is_over_the_fp32_band(real: Made) -> None:
    module = real.module()
    names = ("conv1.weight", "layer2.3.conv2.weight", "layer3.5.conv1.weight", "layer4.2.conv2.weight")
    for name in names:
        for what in breakages(module, name):
            assert real.error(module).error > real.band.high, what
