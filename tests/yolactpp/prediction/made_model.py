"""A checkpoint that finds things without having been trained.

Its weights are random but of a size at which scores, masks and the offsets of the deformable layers
spread; batch norm holds the statistics of real images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from yolactpp.build import make
from yolactpp.data.resize import EvalTransform
from yolactpp.data.synthetic_butts import SyntheticButts
from yolactpp.engine.checkpoint import save_checkpoint
from yolactpp.model.network import YolactppNetwork

IMAGE_SIZE = 128
CLASS_NAMES = ["cig butt", "leaf", "cap"]
CATEGORY_IDS = [3, 5, 8]


def scene(number: int) -> np.ndarray:
    """A synthetic photograph, BGR uint8 [128, 128, 3]."""
    return SyntheticButts(image_size=IMAGE_SIZE).scene("val", number).image


def make_checkpoint(path: Path, *, phantoms: int = 0, seed: int = 0) -> Path:
    """Write the checkpoint of a tiny YOLACT++ with three classes."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("train", [f"image_size={IMAGE_SIZE}", "model.backbone.width=8"])
    model = OmegaConf.to_container(config.model, resolve=True)
    torch.manual_seed(seed)
    network = make(model["network"], num_classes=1 + len(CLASS_NAMES) + phantoms)
    spread(network)
    save_checkpoint(
        path,
        {
            "model": {f"network.{name}": value for name, value in network.state_dict().items()},
            "ema": None,
            "iteration": 0,
            "run_id": "made",
            "model_config": model,
            "class_names": CLASS_NAMES,
            "category_ids": CATEGORY_IDS,
            "image_size": IMAGE_SIZE,
            "protocol": {"phantom_classes": phantoms},
        },
    )
    return path


@torch.no_grad()
def spread(network: YolactppNetwork) -> None:
    """Scale layers until their outputs are as lively as a trained network's."""
    transform = EvalTransform(IMAGE_SIZE)
    images = torch.stack([transform(scene(number)) for number in range(4)])
    for name, parameter in network.named_parameters():
        if "conv_offset_mask.weight" in name:
            parameter.normal_(0, 0.05)
    network.train()
    for _ in range(8):
        network(images)
    network.eval()
    outputs = network(images)
    head = network.head
    for layer, values, wanted in (
        (head.box, outputs.loc_BP4, 1.0),
        (head.classes, outputs.class_logits_BPC, 1.2),
        (head.coefficients, outputs.coefficients_BPK.clamp(-0.999, 0.999).atanh(), 1.5),
    ):
        layer.weight.mul_(wanted / values.std())
    network.protonet.layers[-2].weight.mul_(2 / outputs.prototypes_BHWK.std())
    head.classes.bias.view(-1, outputs.class_logits_BPC.shape[2])[:, 0] = 2.0
