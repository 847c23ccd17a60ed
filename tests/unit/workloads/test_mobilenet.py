from __future__ import annotations

import numpy as np
import pytest

from bench.worker import verify
from tests.helpers.families import Made, breakages, degeneration, make, onnx_error
from workloads.images import BRANCH, SHIFT
from workloads.mobilenet import SPREAD, WORKLOADS, MobileNet, MobileNetConfig

STAGES = ((1, 6, 1, 1), (4, 12, 2, 2), (4, 12, 1, 1), (4, 16, 1, 2))
TINY = MobileNet(
    "tiny", "five blocks on 32×32", MobileNetConfig(STAGES, stem=8, head=64, classes=16, image=32)
)
MOBILENET = WORKLOADS[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tiny")
    return make(TINY, folder, "origin", "reference", "exported", "onnx", "band", "inputs")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(MOBILENET, tmp_path_factory.mktemp("mobilenet"), "origin", "reference")


def test_names_and_sizes_are_torchvisions() -> None:
    module = MOBILENET.build()
    state = module.state_dict()
    assert len(state) == 314
    assert sum(p.numel() for p in module.parameters()) == 3_504_872
    shapes = {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.0.1.running_var": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.bias": (16,),
        "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.2.conv.2.weight": (24, 96, 1, 1),
        "features.17.conv.3.running_mean": (320,),
        "features.18.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (1000, 1280),
        "classifier.1.bias": (1000,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes


def test_strides_and_shortcuts_are_the_papers() -> None:
    module = MOBILENET.build()
    blocks = [module.get_submodule(f"features.{index}") for index in range(1, 18)]
    strides = [next(m.stride[0] for m in b.modules() if getattr(m, "groups", 1) > 1) for b in blocks]
    assert strides == [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    shortcuts = [index for index, block in enumerate(blocks, 1) if block.use_res_connect]
    assert shortcuts == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]


def test_shapes() -> None:
    io = MOBILENET.io(4, None)
    assert [tensor.shape for tensor in (*io.inputs, *io.outputs)] == [(4, 3, 224, 224), (4, 1000)]
    with pytest.raises(ValueError, match="no sequence"):
        MOBILENET.io(1, 8)


def test_seeds_repeat() -> None:
    first, second, other = TINY.build(), TINY.build(), TINY.build()
    for module, seed in ((first, 0), (second, 0), (other, 1)):
        TINY.seed_weights(module, seed)
    for key, tensor in first.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), second.state_dict()[key].numpy(), rtol=1e-6, err_msg=key)
    key = "features.0.0.weight"
    assert not np.allclose(first.state_dict()[key], other.state_dict()[key])


def test_norms_are_filled_by_what_follows_them(tiny: Made) -> None:
    state = tiny.module().state_dict()
    filled = {
        "features.0.1": (SPREAD, SPREAD * SHIFT),  # the stem
        "features.1.conv.0.1": (SPREAD, SPREAD * SHIFT),
        "features.1.conv.2": (1.0, 0.0),  # a block without expansion and without shortcut
        "features.2.conv.1.1": (SPREAD, SPREAD * SHIFT),
        "features.2.conv.3": (1.0, 0.0),
        "features.3.conv.3": (BRANCH, 0.0),  # the second block of its stage
        "features.4.conv.3": (BRANCH, 0.0),  # the first of its own, and neither channels nor stride change
        "features.5.conv.3": (1.0, 0.0),
        "features.6.1": (SPREAD, SPREAD * SHIFT),  # the head
    }
    for name, (scale, shift) in filled.items():
        assert float(state[f"{name}.weight"].mean()) == pytest.approx(scale, rel=0.15), name
        assert float(state[f"{name}.bias"].mean()) == pytest.approx(shift, abs=0.15), name


def test_reference_and_cost(tiny: Made) -> None:
    facts = tiny.facts["reference"]
    assert tiny.reference.count == 8
    assert 0 < facts["torch"]["error"] < 5e-6
    assert facts["cost"]["parameters"] == sum(p.numel() for p in tiny.module().parameters())


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_is_the_module(tiny: Made, batch: int) -> None:
    assert verify.judge(onnx_error(tiny, batch), tiny.band) == ""


def test_exported_is_the_module(tiny: Made) -> None:
    import torch

    program = torch.export.load(tiny.files["exported"]).module()
    assert verify.judge(tiny.error(program), tiny.band) == ""
    with torch.inference_mode():
        assert program(torch.zeros(1, 3, 32, 32)).shape == (1, 16)


def test_each_breakage_is_over_the_fp32_band(tiny: Made) -> None:
    module = tiny.module()
    assert verify.judge(tiny.error(module), tiny.band) == ""
    names = (
        "features.0.0.weight",
        "features.2.conv.1.0.weight",
        "features.3.conv.2.weight",
        "classifier.1.weight",
    )
    for name in names:
        for what in breakages(module, name):
            assert tiny.error(module).error > tiny.band.high, what


def without_ceiling(made: Made) -> float:
    """The error where every ReLU6 is a ReLU."""
    import torch

    module = made.module()
    for layer in list(module.modules()):
        for name, child in layer.named_children():
            if isinstance(child, torch.nn.ReLU6):
                setattr(layer, name, torch.nn.ReLU())
    return made.error(module).error


def test_a_relu_without_its_ceiling_is_over_the_fp32_band(tiny: Made) -> None:
    assert without_ceiling(tiny) > 10 * tiny.band.high


def test_tiny_weights_do_not_degenerate(tiny: Made) -> None:
    degeneration(tiny)


@pytest.mark.slow
def test_mobilenet_does_not_degenerate(real: Made) -> None:
    degeneration(real)
    assert real.facts["reference"]["cost"]["flops"] == 601_548_544  # 300.8 M multiply-adds
    assert without_ceiling(real) > 10 * real.band.high


def test_a_batch_is_its_samples(tiny: Made) -> None:
    import torch

    module, images = tiny.module(), torch.from_numpy(tiny.reference.inputs["image"])
    with torch.inference_mode():
        apart = torch.cat([module(image[None]) for image in images]).numpy()
    found = verify.compare(tiny.reference, {"logits": apart}, np.arange(tiny.reference.count))
    assert verify.judge(found, tiny.band) == ""


@pytest.mark.slow
def test_each_breakage_of_mobilenet_is_over_the_fp32_band(real: Made) -> None:
    module = real.module()
    for name in ("features.0.0.weight", "features.8.conv.1.0.weight", "features.17.conv.0.0.weight"):
        for what in breakages(module, name):
            assert real.error(module).error > real.band.high, what
