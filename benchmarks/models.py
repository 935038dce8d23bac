"""Models of conf/model with random weights, and the same ones with torchvision's operator."""

import copy

from hydra import compose, initialize_config_module
from torch import nn

from yolactpp.build import build_segmenter
from yolactpp.model.deformable import DeformConv2d
from yolactpp.model.yolactpp import YolactPP
from yolactpp.train import resolve


def build_model(name: str, image_size: int, classes: int) -> YolactPP:
    """A model as training builds it.

    Args:
        name: an option of conf/model.
        image_size: side of its input in pixels.
        classes: foreground classes.
    """
    overrides = [f"model={name}", "model.backbone.weights=null", f"image_size={image_size}"]
    with initialize_config_module("conf", version_base="1.3"):
        return build_segmenter(resolve(compose("train", overrides)), classes)


def with_torchvision_dcn(model: nn.Module) -> nn.Module:
    """A copy whose deformable layers call torchvision's operator."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, DeformConv2d):
            module.backend = "torchvision"
    return model
