import numpy as np
import pytest
import torch

from tests.golden import load_npz, rule_p
from yolactpp.model.mask_iou import MaskIouNet

ORIGINAL_CHANNELS = (8, 16, 32, 64, 128)
CASES = sorted({key.split("__")[0] for key in load_npz("maskiou.npz")})


def by_rule_p(classes: int) -> MaskIouNet:
    net = MaskIouNet(ORIGINAL_CHANNELS, classes)
    net.load_state_dict(
        {
            key: rule_p(key.replace("layers", "maskiou_net.maskiou_net"), tuple(value.shape))
            for key, value in net.state_dict().items()
        }
    )
    return net


@pytest.mark.parametrize("case", CASES)
def test_golden_mask_iou(case: str) -> None:
    golden = load_npz("maskiou.npz")
    seed, count, side, classes = golden[f"{case}__seed_N_hw_numclasses"].tolist()
    masks = np.random.RandomState(seed).random_sample((count, 1, side, side)).astype(np.float32)
    masks[..., : side // 3] = 0
    if f"{case}__in" in golden:
        assert np.array_equal(masks, golden[f"{case}__in"])
    with torch.no_grad():
        scores = by_rule_p(classes - 1)(torch.from_numpy(masks)).numpy()
    expected = golden[f"{case}__out"]
    assert scores.shape == expected.shape
    assert np.abs(scores - expected).max() <= 1e-5 * np.abs(expected).max()


def test_smallest_input() -> None:
    net = MaskIouNet((4, 4, 4), 2)
    assert net.smallest_input == 15
    assert net(torch.zeros(1, 1, 15, 15)).shape == (1, 2)
    with pytest.raises(RuntimeError):
        net(torch.zeros(1, 1, 14, 14))


def test_dead_output_learns_only_before_the_last_relu() -> None:
    net = MaskIouNet((4,), 1)
    torch.nn.init.constant_(net.layers[-1].bias, -1e3)
    masks = torch.rand(2, 1, 8, 8)
    net(masks).sum().backward()
    bias = net.layers[-1].bias
    assert net(masks).tolist() == [[0.0], [0.0]]
    assert bias.grad.item() == 0
    net(masks, before_relu=True).sum().backward()
    assert bias.grad.item() == 2


def test_no_masks() -> None:
    scores = MaskIouNet((4, 8), 3)(torch.zeros(0, 1, 16, 16))
    assert scores.shape == (0, 3)
    scores.sum().backward()
