from importlib import resources

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.golden import load_json, load_npz, rule_x
from tests.yolactpp.model.networks import CONFIG_OF, NO_MASK_IOU, fill_by_rule_p, make_network
from yolactpp.model.network import YolactppNetwork
from yolactpp.model.original_names import to_original


def all_outputs(network: YolactppNetwork, images: Tensor) -> dict[str, Tensor]:
    """Head outputs and the maps before them, under the golden files' names."""
    maps: dict[str, Tensor] = {}

    def keep(letter: str, first: int):
        def hook(_module, _inputs, outputs):
            maps.update({f"{letter}{first + i}": each for i, each in enumerate(outputs)})

        return hook

    handles = [
        network.backbone.register_forward_hook(keep("C", 2)),
        network.fpn.register_forward_hook(keep("P", network.finest_level)),
    ]
    outputs = network(images)
    for handle in handles:
        handle.remove()
    assert outputs.semantic_logits_BCHW is not None
    return maps | {
        "loc": outputs.loc_BP4,
        "conf": outputs.class_logits_BPC,
        "mask": outputs.coefficients_BPK,
        "proto": outputs.prototypes_BHWK,
        "segm": outputs.semantic_logits_BCHW,
        "priors": outputs.priors_P4,
    }


@pytest.mark.parametrize("model", sorted(load_json("state_dict_keys.json")))
def test_golden_state_dict(model: str) -> None:
    expected = load_json("state_dict_keys.json")[model]
    config, classes = model.removesuffix("_classes").split("@")
    with torch.device("meta"):
        network = make_network(CONFIG_OF[config], int(classes), 550)
    shapes = {to_original(key): list(value.shape) for key, value in network.state_dict().items()}
    assert shapes == expected["entries"]
    assert len(shapes) == expected["num_entries"]
    values = sum(parameter.numel() for parameter in network.parameters())
    assert values == expected["num_trainable_values"]


@pytest.mark.parametrize("case", sorted(load_json("network_meta.json")))
def test_golden_forward(case: str) -> None:
    meta = load_json("network_meta.json")[case]
    golden = load_npz("network.npz")
    network = make_network(
        CONFIG_OF[meta["config"]], meta["num_classes"], meta["max_size"], NO_MASK_IOU
    )
    fill_by_rule_p(network).freeze_batch_norm()
    images = rule_x(meta["image_seed"], (meta["batch"], 3, meta["height"], meta["width"]))
    with torch.no_grad():
        outputs = all_outputs(network.train(), images)
    names = {key.split("__")[1] for key in golden if key.startswith(f"{case}__")}
    assert names <= outputs.keys()
    for name in names:
        value = outputs[name].contiguous().numpy()
        assert list(value.shape) == golden[f"{case}__{name}__shape"].tolist()
        sample = value.reshape(-1)[golden[f"{case}__{name}__idx"]]
        expected = golden[f"{case}__{name}__val"]
        assert np.abs(sample - expected).max() <= 1e-4 * np.abs(expected).max(), name
        abs_sum = np.abs(value.astype(np.float64)).sum()
        assert abs_sum == pytest.approx(golden[f"{case}__{name}__stats"][1], rel=1e-5), name


def test_frozen_batch_norm_leaves_185_of_393_tensors_trainable() -> None:
    with torch.device("meta"):
        network = make_network("yolactpp_r101", 81, 550)
    assert sum(1 for _ in network.parameters()) == 393
    network.freeze_batch_norm()
    network.eval()
    network.train()
    assert network.training
    assert sum(p.requires_grad for p in network.parameters()) == 185
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 104
    assert not any(norm.training for norm in norms)


def test_sizes_of_the_fact_sheet() -> None:
    with torch.device("meta"):
        network = make_network("yolactpp_r50", 2, 550).eval()
    for size, side, count in ((550, 138, 57744), (512, 128, 49104)):
        with torch.device("meta"):
            outputs = network(torch.empty(1, 3, size, size))
        assert network.prototype_size(size) == side
        assert outputs.prototypes_BHWK.shape == (1, side, side, 32)
        assert outputs.priors_P4.shape == (count, 4)
        assert outputs.semantic_logits_BCHW is None


@pytest.mark.parametrize("finest", [2, 3])
def test_tiny_trains_every_parameter(finest: int) -> None:
    network = make_network("yolactpp_tiny", 3, 128, f"model.network.finest_level={finest}")
    outputs = network(torch.randn(2, 3, 128, 128))
    assert outputs.loc_BP4.shape[1] == len(outputs.priors_P4)
    assert outputs.prototypes_BHWK.shape[1] == network.prototype_size(128)
    assert network.mask_iou is not None
    scores = network.mask_iou(
        outputs.prototypes_BHWK[..., :1].permute(0, 3, 1, 2), before_relu=True
    )
    parts = (outputs.loc_BP4, outputs.class_logits_BPC, outputs.coefficients_BPK)
    parts += (outputs.prototypes_BHWK, outputs.semantic_logits_BCHW, scores)
    sum(part.square().sum() for part in parts).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_other_size_keeps_anchor_pixels() -> None:
    network = make_network("yolactpp_tiny", 2, 128)
    network.eval()
    wide = network(torch.zeros(1, 3, 64, 192)).priors_P4
    usual = network(torch.zeros(1, 3, 128, 128)).priors_P4
    assert torch.equal(wide[:9, 2:], usual[:9, 2:])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.network.finest_level=5"], "finest_level=5"),
        (
            [
                "model.network.mask_iou_channels=[8,16,32,64,128]",
                "model.network.prototype_upsampling=2",
            ],
            "needs 63",
        ),
        (["model.backbone.block=dense"], "basic, bottleneck"),
        (["model.backbone.blocks=[1,1,1]"], "4 integers"),
        (["model.backbone.deformable_interval=0"], "deformable_interval=0"),
    ],
)
def test_bad_settings_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message.replace("[", r"\[")):
        make_network("yolactpp_tiny", 2, 128, *overrides)


def test_num_classes_counts_the_background() -> None:
    with pytest.raises(Exception, match="num_classes=1"):
        make_network("yolactpp_tiny", 1, 128)


MODELS = sorted(
    entry.name.removesuffix(".yaml")
    for entry in resources.files("conf").joinpath("model").iterdir()
    if entry.name.startswith("yolact") and entry.name.endswith(".yaml")
)


@pytest.mark.parametrize("name", MODELS)
def test_every_yolact_of_conf_model_runs(name: str) -> None:
    with torch.device("meta"):
        network = make_network(name, 3, 256)
        outputs = network(torch.empty(2, 3, 256, 256))
    assert outputs.class_logits_BPC.shape == (2, len(outputs.priors_P4), 3)
    assert outputs.semantic_logits_BCHW is not None
    assert outputs.semantic_logits_BCHW.shape[1] == 2
    assert (network.mask_iou is None) == name.startswith("yolact_")


def test_bf16_and_channels_last_stay_near_float32() -> None:
    torch.manual_seed(0)
    network = make_network("yolactpp_tiny", 2, 128).eval()
    images = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        usual = network(images).class_logits_BPC
        with torch.autocast("cpu", torch.bfloat16):
            half = network(images).class_logits_BPC
        last = network.to(memory_format=torch.channels_last)(
            images.to(memory_format=torch.channels_last)
        ).class_logits_BPC
    assert (half.float() - usual).abs().max() <= 0.05 * usual.abs().max()
    torch.testing.assert_close(last, usual, rtol=1e-4, atol=1e-5)


def test_head_gain_makes_the_first_logits_small() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 3, 128, 128)
    spreads = [
        make_network("yolactpp_tiny", 2, 128, f"model.network.head_gain={gain}")(images)
        .class_logits_BPC.std()
        .item()
        for gain in (1.0, 0.1)
    ]
    assert spreads[1] < 0.3 * spreads[0]
