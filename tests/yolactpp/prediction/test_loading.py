"""yolactpp.load: from a file or a run's folder to detections, whatever kind of image it is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import nn

import yolactpp
from tests.yolactpp.prediction.made_model import CATEGORY_IDS, CLASS_NAMES, make_checkpoint, scene
from yolactpp.data.image_file import ImageError
from yolactpp.engine.failures import BadInputError, CheckpointError
from yolactpp.prediction.named_detections import select
from yolactpp.prediction.predictor import Predictor
from yolactpp.structures import Detections

RGB = np.ascontiguousarray(scene(0)[:, :, ::-1])


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, yolactpp; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute lode"):
        yolactpp.lode  # noqa: B018


def test_every_kind_of_image_gives_the_same(predictor: Predictor, tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    kinds = [
        RGB,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(RGB),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1) / 255,
        np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)]),
        RGB.astype(np.uint16) << 8,
    ]
    found = predictor(kinds, batch_size=3)
    assert len(found) == len(kinds)
    assert 1 < len(found[0]) <= 12
    for each in found[1:]:
        assert torch.equal(each.boxes_N4, found[0].boxes_N4)
        assert torch.equal(each.masks_NHW, found[0].masks_NHW)
        torch.testing.assert_close(each.scores_N, found[0].scores_N)


def test_one_image_and_a_stack_of_images(predictor: Predictor) -> None:
    (alone,) = predictor(RGB)
    stacked = predictor(np.stack([RGB, RGB]))
    assert [len(each) for each in stacked] == [len(alone)] * 2


def test_detections_lie_at_the_image_s_own_size(predictor: Predictor) -> None:
    wide = np.asarray(Image.fromarray(RGB).resize((300, 70)))
    (found,) = predictor(wide)
    assert found.masks_NHW.shape == (len(found), 70, 300)
    assert found.boxes_N4[:, [0, 2]].max() > 128
    assert found.boxes_N4[:, 3].max() <= 70


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int64), "type int64: give uint8"),
        (np.full((4, 4, 3), 200.0), "floating-point image from 200 to 200: give 0 to 1"),
        (np.full((4, 4, 3), np.nan), "floating-point image from nan"),
        (torch.zeros(4, 4, dtype=torch.uint8), r"tensor of shape \(4, 4\)"),
    ],
)
def test_arrays_that_are_no_images(predictor: Predictor, image: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictor([image])


def test_other_things_that_are_no_images(predictor: Predictor) -> None:
    with pytest.raises(TypeError, match="type int: give a path"):
        predictor([3])
    with pytest.raises(ImageError, match="missing"):
        predictor("missing.jpg")
    with pytest.raises(ValueError, match="batch_size=0"):
        predictor(RGB, batch_size=0)


def test_coco_records(predictor: Predictor) -> None:
    (found,) = predictor(RGB)
    bbox, segm = found.to_coco(image_id=7)
    has_area = (found.boxes_N4[:, 2:] > found.boxes_N4[:, :2]).all(dim=1)
    assert len(bbox) == len(segm) == int(has_area.sum())
    assert {record["image_id"] for record in bbox} == {7}
    labels = found.labels_N[has_area].tolist()
    assert [record["category_id"] for record in segm] == [CATEGORY_IDS[label] for label in labels]
    decoded = np.stack([coco_mask.decode(record["segmentation"]) for record in segm])
    np.testing.assert_array_equal(decoded, found.masks_NHW[has_area].numpy())


def test_supervision(predictor: Predictor) -> None:
    pytest.importorskip("supervision")
    (found,) = predictor(RGB)
    theirs = found.to_supervision()
    assert len(theirs) == len(found)
    np.testing.assert_array_equal(theirs.xyxy, found.boxes_N4.numpy())
    np.testing.assert_array_equal(np.asarray(theirs.mask), found.masks_NHW.numpy())
    assert list(theirs.data["class_name"]) == found.names
    assert set(found.names) <= set(CLASS_NAMES)


def test_supervision_that_is_not_installed(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r"pip install 'yolactpp-losses\[predict\]'"):
        predictor(RGB)[0].to_supervision()


def test_repr_names_what_was_found(predictor: Predictor) -> None:
    (found,) = predictor(RGB)
    text = repr(found)
    assert text.startswith(f"NamedDetections({len(found)}: {found.names[0]} ")
    assert len(text) < 400


def test_moving_keeps_names(predictor: Predictor) -> None:
    (found,) = predictor(RGB)
    assert found.to("cpu").names == found.names


def test_thresholds(checkpoint: Path) -> None:
    (every,) = yolactpp.load(checkpoint, "cpu", score_threshold=0)(RGB)
    (sure,) = yolactpp.load(checkpoint, "cpu", score_threshold=0.6)(RGB)
    assert 0 < len(sure) < len(every)
    assert len(sure) == int((every.scores_N > 0.6).sum())
    (few,) = yolactpp.load(checkpoint, "cpu", max_detections=3)(RGB)
    assert torch.equal(few.scores_N, every.scores_N[:3])


def test_the_fast_network_finds_the_same(checkpoint: Path) -> None:
    fast = yolactpp.load(checkpoint, "cpu", score_threshold=0)
    plain = yolactpp.load(checkpoint, "cpu", score_threshold=0, fast=False)
    norms = [
        sum(isinstance(part, nn.BatchNorm2d) for part in each.segmenter.network.modules())
        for each in (fast, plain)
    ]
    assert norms[0] == 0 < norms[1]
    (quick,), (slow,) = fast(RGB), plain(RGB)
    assert torch.equal(quick.labels_N, slow.labels_N)
    torch.testing.assert_close(quick.scores_N, slow.scores_N, atol=1e-5, rtol=0)
    torch.testing.assert_close(quick.boxes_N4, slow.boxes_N4, atol=1e-3, rtol=0)
    assert (quick.masks_NHW != slow.masks_NHW).float().mean() < 1e-4


def test_phantom_classes_are_left_out(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path / "phantoms.pt", phantoms=5)
    (found,) = yolactpp.load(path, "cpu", score_threshold=0)(RGB)
    assert len(found) > 0
    assert set(found.labels_N.tolist()) <= {0, 1, 2}


def test_a_run_s_folder(checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(BadInputError, match="no checkpoint last: train it first"):
        yolactpp.load(run, "cpu")
    (run / "checkpoints" / "best.pt").write_bytes(checkpoint.read_bytes())
    with pytest.raises(BadInputError, match="no checkpoint last: it has best"):
        yolactpp.load(run, "cpu")
    assert yolactpp.load(run, "cpu", checkpoint="best").class_names == tuple(CLASS_NAMES)
    with pytest.raises(BadInputError, match="checkpoint=worst: choose last or best"):
        yolactpp.load(run, "cpu", checkpoint="worst")


def test_what_cannot_be_loaded(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such folder or file"):
        yolactpp.load(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match=r"no run: it holds no config\.yaml"):
        yolactpp.load(tmp_path)
    with pytest.raises(BadInputError, match=r"runtime\.device=gpu9"):
        yolactpp.load(checkpoint, "gpu9")
    with pytest.raises(BadInputError, match=r"score_threshold=1\.5"):
        yolactpp.load(checkpoint, "cpu", score_threshold=1.5)
    with pytest.raises(BadInputError, match="max_detections=0"):
        yolactpp.load(checkpoint, "cpu", max_detections=0)
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(CheckpointError, match="cannot be read"):
        yolactpp.load(tmp_path / "noise.pt", "cpu")
    torch.save({"model": {}}, tmp_path / "bare.pt")
    with pytest.raises(CheckpointError, match="import_weights"):
        yolactpp.load(tmp_path / "bare.pt", "cpu")


def test_selecting_whole_masks() -> None:
    masks = torch.arange(3)[:, None, None].expand(3, 2, 2) > 0
    scores = torch.tensor([0.9, 0.8, 0.7])
    every = Detections(torch.zeros(3, 4), scores, scores, torch.tensor([2, 0, 1]), masks)
    kept = select(every, torch.tensor([True, False, True]))
    assert kept.labels_N.tolist() == [2, 1]
    assert kept.masks_NHW.any(dim=2).any(dim=1).tolist() == [False, True]
