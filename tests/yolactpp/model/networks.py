"""Networks of conf/model, and rule P's weights in them."""

from typing import Any

from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.golden import rule_p
from yolactpp.model.network import YolactppNetwork
from yolactpp.model.original_names import to_original

CONFIG_OF = {
    "yolact_plus_base": "yolactpp_r101",
    "yolact_plus_resnet50": "yolactpp_r50",
    "yolact_base": "yolact_r101",
    "yolact_resnet50": "yolact_r50",
}
# The mask-IoU net needs larger images than the smallest golden ones.
NO_MASK_IOU = "model.network.mask_iou_channels=null"


def model_node(name: str, image_size: int, *overrides: str) -> dict[str, Any]:
    """The resolved `network` node of conf/model/NAME.yaml, without ImageNet weights."""
    with initialize_config_module("conf", version_base="1.3"):
        config = compose(
            overrides=[
                f"+model={name}",
                f"+image_size={image_size}",
                "model.backbone.weights=null",
                *overrides,
            ]
        )
    # What else a model names (protocol, loss) is not there to be resolved.
    config = OmegaConf.create(
        {"model": {key: config.model[key] for key in ("backbone", "network")}}
    )
    config.image_size = image_size
    node = OmegaConf.to_container(config.model.network, resolve=True)
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def make_network(name: str, num_classes: int, image_size: int, *overrides: str) -> YolactppNetwork:
    network = instantiate(model_node(name, image_size, *overrides), num_classes=num_classes)
    assert isinstance(network, YolactppNetwork)
    return network


def fill_by_rule_p(network: YolactppNetwork) -> YolactppNetwork:
    state = network.state_dict()
    network.load_state_dict(
        {key: rule_p(to_original(key), tuple(value.shape)) for key, value in state.items()}
    )
    return network
