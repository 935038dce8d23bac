"""A made checkpoint and its predictor, for prediction and export."""

from pathlib import Path

import pytest

import yolactpp
from tests.yolactpp.prediction.made_model import make_checkpoint
from yolactpp.prediction.predictor import Predictor


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("made") / "made.pt")


@pytest.fixture(scope="session")
def predictor(checkpoint: Path) -> Predictor:
    return yolactpp.load(checkpoint, "cpu", score_threshold=0.5, max_detections=12)
