from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from tests.golden import load_json
from tests.yolactpp.model.networks import CONFIG_OF, make_network
from yolactpp.model import pretrained
from yolactpp.model.backbone import ResNet
from yolactpp.model.original_names import to_original
from yolactpp.model.pretrained import WeightsUnavailableError, backbone_key

MAPPINGS = load_json("backbone_mapping.json")
R18 = {
    "block": "basic",
    "blocks": (2, 2, 2, 2),
    "deformable_blocks": (0, 2, 2, 2),
    "deformable_interval": 1,
}


@pytest.mark.parametrize("model", sorted(MAPPINGS))
def test_golden_backbone_mapping(model: str) -> None:
    golden = MAPPINGS[model]
    mapped = {key: backbone_key(key) for key in golden["checkpoint_key_to_model_key"]}
    names = {key: to_original(f"backbone.{name}") for key, name in mapped.items()}
    assert names == golden["checkpoint_key_to_model_key"]
    assert [backbone_key(key) for key in golden["checkpoint_keys_ignored"]] == [None] * len(
        golden["checkpoint_keys_ignored"]
    )
    with torch.device("meta"):
        network = make_network(CONFIG_OF[model], 2, 550)
    backbone = {to_original(key) for key in network.state_dict() if key.startswith("backbone.")}
    untouched = backbone - set(names.values())
    assert untouched == set(golden["model_keys_left_untouched"])


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's ResNet-18 as a file, the classifier included."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), path)
    return path


def test_a_file_fills_all_but_the_dcn_tensors(imagenet_file: Path) -> None:
    state = torch.load(imagenet_file, weights_only=True)
    backbone = ResNet(**R18, weights=str(imagenet_file))
    filled = backbone.state_dict()
    for key, value in state.items():
        if not key.startswith("fc."):
            assert torch.equal(filled[str(backbone_key(key))], value), key
    for key, value in filled.items():
        if "conv_offset_mask" in key or key.endswith("conv2.bias"):
            assert not value.any(), key


def test_plain_resnet_computes_what_torchvisions_does(imagenet_file: Path) -> None:
    plain = {**R18, "deformable_blocks": (0, 0, 0, 0)}
    ours = ResNet(**plain, weights=str(imagenet_file)).eval()
    theirs = torchvision.models.resnet18(weights=None).eval()
    theirs.load_state_dict(torch.load(imagenet_file, weights_only=True))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
        for stage, got in enumerate(ours(images), start=1):
            expected = getattr(theirs, f"layer{stage}")(expected)
            torch.testing.assert_close(got, expected)


def test_file_under_the_models_own_names(imagenet_file: Path, tmp_path: Path) -> None:
    state = torch.load(imagenet_file, weights_only=True)
    renamed = {backbone_key(key): value for key, value in state.items() if backbone_key(key)}
    torch.save(renamed, tmp_path / "renamed.pth")
    backbone = ResNet(**R18, weights=str(tmp_path / "renamed.pth"))
    assert torch.equal(backbone.conv1.weight, state["conv1.weight"])


def test_downloaded_weights_are_used(imagenet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.load(imagenet_file, weights_only=True)
    asked = []

    def give(self, *_args, **_kwargs):
        asked.append(str(self))
        return state

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", give)
    backbone = ResNet(**R18, weights="DEFAULT")
    assert asked == ["ResNet18_Weights.IMAGENET1K_V1"]
    assert torch.equal(backbone.bn1.weight, state["bn1.weight"])


def test_no_network_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args, **_kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(WeightsUnavailableError, match=r"model\.backbone\.weights=null") as caught:
        ResNet(**R18, weights="IMAGENET1K_V1")
    assert "no route to host" in str(caught.value)
    assert "resnet18-f37072fd.pth" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({**R18, "weights": "IMAGENET22K"}, r"IMAGENET22K is neither a path nor one of .*\(IMA"),
        ({**R18, "width": 16, "weights": "DEFAULT"}, "no ImageNet weights for this backbone"),
        ({**R18, "weights": "no/such.pth"}, r"no/such\.pth cannot be read"),
    ],
)
def test_weights_that_cannot_be_had(arguments: dict, message: str) -> None:
    with pytest.raises(WeightsUnavailableError, match=message) as caught:
        ResNet(**arguments)
    assert pretrained.WAY_OUT in str(caught.value)


def test_foreign_and_cut_files_are_refused(imagenet_file: Path, tmp_path: Path) -> None:
    state = torch.load(imagenet_file, weights_only=True)
    torch.save({**state, "layer5.weight": torch.zeros(1)}, tmp_path / "foreign.pth")
    with pytest.raises(WeightsUnavailableError, match=r"1 tensors foreign.*layers\.4\.weight"):
        ResNet(**R18, weights=str(tmp_path / "foreign.pth"))
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsUnavailableError, match=r"1 missing.*layers\.0\.0\.conv1\.weight"):
        ResNet(**R18, weights=str(tmp_path / "cut.pth"))
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(WeightsUnavailableError, match="cannot be read"):
        ResNet(**R18, weights=str(tmp_path / "text.pth"))
