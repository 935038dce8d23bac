"""The speed of a model, by the command that people type."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module

from yolactpp.benchmark import STAGES, benchmark, table_lines
from yolactpp.engine.compilation import compile_network
from yolactpp.engine.failures import BadInputError
from yolactpp.timed_images import TimedImages, draw_images, find_images
from yolactpp.timed_model import timed_model
from yolactpp.train import resolve

SMALL = ("image_size=64", "classes=2", "candidates=20", "repeats=2", "warm_up=0")


def timed(*overrides: str) -> list[dict]:
    with initialize_config_module("conf", version_base="1.3"):
        return benchmark(compose("benchmark", [*SMALL, "runtime.device=cpu", *overrides]))


def test_a_row_for_each_batch_and_precision(tmp_path: Path) -> None:
    places = f"output={tmp_path}/speed.json"
    rows = timed("batch=[1,3]", "precision=[fp32,bf16]", "runtime.channels_last=true", places)
    assert [(row["batch_size"], row["dtype"]) for row in rows] == [
        (1, "fp32"),
        (3, "fp32"),
        (1, "bf16"),
        (3, "bf16"),
    ]
    for row in rows:
        assert set(row["stages_ms"]) == set(STAGES)
        assert min(row["stages_ms"].values()) > 0
        assert row["fps"] < row["fps_without_masks"]
        assert row["p50_ms"] <= row["p95_ms"]
    assert json.loads((tmp_path / "speed.json").read_text()) == rows
    lines = table_lines(rows)
    assert len(lines) == 5
    assert lines[0].split()[:2] == ["batch", "dtype"]


def test_images_of_a_folder_take_turns(tmp_path: Path) -> None:
    for index, shade in enumerate((0, 255)):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((5 + index, 9, 3), shade, np.uint8))
    images = TimedImages(find_images(str(tmp_path)), 3, 32, torch.device("cpu"))
    images.decode()
    batch, sizes = images.preprocess()
    assert batch.shape == (3, 3, 32, 32)
    assert sizes == [(5, 9), (6, 9), (5, 9)]
    images.decode()
    assert images.preprocess()[1] == [(6, 9), (5, 9), (6, 9)]


def test_drawn_images_have_their_size(tmp_path: Path) -> None:
    paths = draw_images(tmp_path, 2, 30, 50)
    assert [cv2.imread(str(path)).shape for path in paths] == [(30, 50, 3)] * 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch=[0]", r"batch=\[0\]"),
        ("precision=[fp8]", "precision=fp8"),
        ("repeats=0", "repeats=0"),
        ("candidates=0", "candidates=0"),
        ("source=nowhere", "source=nowhere"),
        ("run=nowhere", "run=nowhere"),
        ("runtime.compile=fast", "runtime.compile=fast"),
        ("runtime.device=tpu", "runtime.device=tpu"),
    ],
)
def test_bad_settings_are_named(override: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        timed(override)


def test_random_weights_find_as_much_as_was_asked_for() -> None:
    with initialize_config_module("conf", version_base="1.3"):
        settings = resolve(compose("benchmark", [*SMALL, "runtime.device=cpu"]))
    segmenter, size, _ = timed_model(settings)
    torch.manual_seed(0)
    (found,) = segmenter.detect(torch.randn(1, 3, size, size), [(48, 64)])
    assert 1 <= len(found.scores_N) <= 40
    assert found.boxes_N4.isfinite().all()


def test_compile_is_a_switch_or_a_mode() -> None:
    network = torch.nn.Linear(1, 1)
    compile_network(network, False)
    assert network._compiled_call_impl is None
    compile_network(network, "reduce-overhead")
    assert network._compiled_call_impl is not None
