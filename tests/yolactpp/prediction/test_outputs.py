"""Overlays, COCO files, PNG masks and polygons, from detections that are known to the pixel."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from yolactpp.engine.failures import BadInputError
from yolactpp.ops.mask_crops import CroppedDetections, MaskCrops, Window
from yolactpp.prediction.frames import Frame
from yolactpp.prediction.named_detections import NamedDetections
from yolactpp.prediction.overlay import COLOURS, draw_overlay, owners
from yolactpp.prediction.polygons import trace
from yolactpp.prediction.writers import KINDS, Writer, make_writers
from yolactpp.structures import Detections

HEIGHT, WIDTH = 60, 80
IMAGE = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
BOXES = torch.tensor([[10.0, 10.0, 40.0, 30.0], [30.0, 20.0, 70.0, 50.0]])
SCORES = torch.tensor([0.9, 0.8])
LABELS = torch.tensor([0, 1])
NAMES = ("cig butt", "ca/p")


def masks() -> NDArray[np.bool_]:
    masks_NHW = np.zeros((2, HEIGHT, WIDTH), bool)
    masks_NHW[0, 10:30, 10:40] = True
    masks_NHW[1, 20:50, 30:70] = True
    masks_NHW[1, 30:40, 45:55] = False
    return masks_NHW


def whole() -> NamedDetections:
    masks_NHW = torch.from_numpy(masks())
    return NamedDetections(Detections(BOXES, SCORES, SCORES / 2, LABELS, masks_NHW), NAMES, (3, 5))


def cropped() -> NamedDetections:
    full = masks()
    windows = [Window(10, 10, full[0, 10:30, 10:40]), Window(20, 30, full[1, 20:50, 30:70])]
    crops = MaskCrops((HEIGHT, WIDTH), windows)
    return NamedDetections(
        CroppedDetections(BOXES, SCORES, SCORES / 2, LABELS, crops), NAMES, (3, 5)
    )


def nothing() -> NamedDetections:
    none = torch.zeros(0)
    empty = Detections(
        torch.zeros(0, 4), none, none, none.long(), torch.zeros(0, HEIGHT, WIDTH).bool()
    )
    return NamedDetections(empty, NAMES, (3, 5))


def write_all(folder: Path, kinds: list[str], video: tuple[str, float] | None = None) -> None:
    writers: list[Writer] = make_writers(
        kinds, folder, class_names=NAMES, category_ids=(3, 5), video=video
    )
    found = [whole(), cropped(), nothing()]
    for number, detections in enumerate(found, start=1):
        for writer in writers:
            writer.write(Frame(IMAGE, f"d/i{number}", f"d/i{number}.png", number), detections)
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("made", [whole, cropped])
def test_better_detections_lie_on_top(made: Callable[[], NamedDetections]) -> None:
    owner_HW = owners(made(), (HEIGHT, WIDTH))
    full = masks()
    np.testing.assert_array_equal(owner_HW == 0, full[0])
    np.testing.assert_array_equal(owner_HW == 1, full[1] & ~full[0])


def test_overlay_blends_colours_and_leaves_the_rest() -> None:
    drawn = draw_overlay(IMAGE, whole())
    assert drawn.shape == IMAGE.shape
    np.testing.assert_array_equal(drawn[55:, :10], 40)
    np.testing.assert_array_equal(drawn[36:39, 47:53], 40)
    expected = (0.5 * 40 + 0.5 * np.array(COLOURS[1])).astype(int)
    np.testing.assert_allclose(drawn[45, 60, ::-1], expected, atol=1)
    np.testing.assert_array_equal(draw_overlay(IMAGE, nothing()), IMAGE)


def test_overlay_of_one_pixel_and_of_a_mask_without_pixels() -> None:
    flat = NamedDetections(
        Detections(
            torch.zeros(1, 4), SCORES[:1], SCORES[:1], LABELS[:1], torch.zeros(1, 1, 1).bool()
        ),
        NAMES,
        (3, 5),
    )
    assert draw_overlay(np.zeros((1, 1, 3), np.uint8), flat).shape == (1, 1, 3)


def test_coco_files_load_as_they_stand(tmp_path: Path) -> None:
    write_all(tmp_path, ["coco"])
    truth = COCO(str(tmp_path / "coco" / "images.json"))
    assert truth.loadCats([3])[0]["name"] == "cig butt"
    results = truth.loadRes(str(tmp_path / "coco" / "segm.json"))
    assert sorted(results.getImgIds()) == [1, 2, 3]
    annotation = results.loadAnns(results.getAnnIds(imgIds=[2], catIds=[5]))[0]
    np.testing.assert_array_equal(results.annToMask(annotation), masks()[1])
    boxes = json.loads((tmp_path / "coco" / "bbox.json").read_text())
    assert [record["bbox"] for record in boxes[:2]] == [[10, 10, 30, 20], [30, 20, 40, 30]]


def test_png_masks(tmp_path: Path) -> None:
    write_all(tmp_path, ["png"])
    for image in ("i1", "i2"):
        files = sorted((tmp_path / "png" / "d" / image).iterdir())
        assert [file.name for file in files] == ["000_cig_butt_0.90.png", "001_ca_p_0.80.png"]
        for file, mask_HW in zip(files, masks(), strict=True):
            np.testing.assert_array_equal(
                cv2.imread(str(file), cv2.IMREAD_UNCHANGED), 255 * mask_HW.astype(np.uint8)
            )
    assert not (tmp_path / "png" / "d" / "i3").exists()


def test_polygons(tmp_path: Path) -> None:
    write_all(tmp_path, ["polygons"])
    contents = [
        json.loads((tmp_path / "polygons" / "d" / f"i{n}.json").read_text()) for n in (1, 2, 3)
    ]
    assert contents[0]["instances"] == contents[1]["instances"]
    assert contents[2] == {
        "file_name": "d/i3.png",
        "height": HEIGHT,
        "width": WIDTH,
        "instances": [],
    }
    first, second = contents[0]["instances"]
    assert (first["class"], second["class"]) == NAMES
    assert first["box_xyxy"] == [10, 10, 40, 30]
    assert len(first["polygons"]) == 1
    assert len(second["holes"]) == 1


def drawn_again(polygons: list[list[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    rles = coco_mask.frPyObjects(polygons, *size)
    return coco_mask.decode(coco_mask.merge(rles)).astype(bool)


def test_polygons_drawn_again_give_the_mask() -> None:
    rows, columns = np.mgrid[:120, :150]
    disc = (rows - 60) ** 2 + (columns - 70) ** 2 < 50**2
    hole = (rows - 55) ** 2 + (columns - 60) ** 2 < 15**2
    parts = disc & ~hole
    parts[2:9, 130:148] = True
    outline = trace(parts)
    assert (len(outline.polygons), len(outline.holes)) == (2, 1)
    again = drawn_again(outline.polygons, parts.shape) & ~drawn_again(outline.holes, parts.shape)
    assert (again & parts).sum() / (again | parts).sum() > 0.985


def test_polygon_of_a_square_is_its_outline_up_to_the_corners() -> None:
    mask_HW = np.zeros((20, 20), bool)
    mask_HW[5:15, 4:18] = True
    (flat,) = trace(mask_HW).polygons
    xs, ys = np.array(flat).reshape(-1, 2).T
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (4, 18, 5, 15)
    (window,) = trace(mask_HW[5:15, 4:18], top=5, left=4).polygons
    assert window == flat
    assert trace(np.zeros((4, 4), bool)).polygons == []


def test_overlay_of_a_video_keeps_rate_and_length(tmp_path: Path) -> None:
    write_all(tmp_path, ["overlay"], video=("clip", 12.5))
    video = cv2.VideoCapture(str(tmp_path / "overlay" / "clip.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    is_there, frame = video.read()
    assert is_there
    assert frame.shape == IMAGE.shape


def test_every_kind_has_a_folder(tmp_path: Path) -> None:
    write_all(tmp_path, list(KINDS))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(KINDS)
    assert cv2.imread(str(tmp_path / "overlay" / "d" / "i1.jpg")).shape == IMAGE.shape


@pytest.mark.parametrize("kinds", [["overlays"], []])
def test_unknown_kinds(tmp_path: Path, kinds: list[str]) -> None:
    with pytest.raises(BadInputError, match="choose one or more of overlay, coco, png, polygons"):
        write_all(tmp_path, kinds)
