import re

import numpy as np
import pytest
import torch

from tests.golden import load_npz
from yolactpp.model.priors import PriorGrid

CPU = torch.device("cpu")
STRIDES = [8, 16, 32, 64, 128]
GOLDEN_SIZES = sorted({key.split("__")[0] for key in load_npz("priors.npz")})


@pytest.mark.parametrize("case", GOLDEN_SIZES)
def test_golden_priors_are_bit_exact(case: str) -> None:
    golden = {
        key.removeprefix(f"{case}__"): value
        for key, value in load_npz("priors.npz").items()
        if key.startswith(f"{case}__")
    }
    size = int(case.removeprefix("size"))
    sizes_hw = [(int(h), int(w)) for h, w in golden["conv_hw"]]
    grid = PriorGrid()
    priors = grid(sizes_hw, STRIDES, size, CPU).numpy()
    assert len(priors) == golden["count"]
    assert np.array_equal(priors[: len(golden["first50"])], golden["first50"])
    assert np.array_equal(priors[-len(golden["last50"]) :], golden["last50"])
    assert np.array_equal(priors[golden["idx"]], golden["val"])
    assert np.array_equal(priors.sum(axis=0, dtype=np.float64), golden["colsum_f64"])
    squares = (priors.astype(np.float64) ** 2).sum(axis=0)
    assert np.allclose(squares, golden["colsqsum_f64"], rtol=1e-12, atol=0)
    counts = [h * w * grid.anchors for h, w in sizes_hw]
    assert counts == golden["level_counts"].tolist()
    starts = np.cumsum([0, *counts[:-1]])
    for start, first in zip(starts, golden["level_first"], strict=True):
        assert np.array_equal(priors[start : start + len(first)], first)


def test_worked_values() -> None:
    grid = PriorGrid(base=2.0, scales=2, ratios=(1.0, 4.0))
    priors = grid([(1, 2)], [8], 64, CPU)
    assert priors.shape == (8, 4)
    assert priors[0].tolist() == [0.25, 0.5, 0.25, 0.25]
    assert priors[1].tolist() == [0.25, 0.5, 0.5, 0.125]
    assert priors[2, 2].item() == pytest.approx(0.25 * 2**0.5)
    assert priors[4:, 0].tolist() == [0.75] * 4


def test_square_sets_the_height_to_the_width() -> None:
    priors = PriorGrid(scales=1, square=True)([(2, 2)], [8], 64, CPU)
    assert torch.equal(priors[:, 2], priors[:, 3])
    assert priors[2, 2].item() == pytest.approx(24 * 2**0.5 / 64)


def test_priors_are_made_once_a_layout() -> None:
    grid = PriorGrid()
    first = grid([(4, 4)], [8], 32, CPU)
    assert grid([(4, 4)], [8], 32, CPU) is first
    assert grid([(4, 5)], [8], 32, CPU) is not first


@pytest.mark.parametrize("bad", [{"base": 0.0}, {"scales": 0}, {"ratios": ()}, {"ratios": (-1.0,)}])
def test_bad_arguments(bad: dict) -> None:
    name, value = next(iter(bad.items()))
    shown = list(value) if isinstance(value, tuple) else value
    with pytest.raises(ValueError, match=re.escape(f"{name}={shown}")):
        PriorGrid(**bad)
