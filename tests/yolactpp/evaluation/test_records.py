"""Detections written as COCO results."""

import numpy as np
import torch
from pycocotools import mask as coco_mask

from tests.golden import load_json, load_npz
from yolactpp.evaluation.records import detections_to_coco
from yolactpp.inference.postprocess import Postprocessor
from yolactpp.structures import Detections


def detections(**changes: torch.Tensor) -> Detections:
    masks = torch.zeros(3, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:5] = True
    masks[1, 0:6, 7:8] = True
    fields = {
        "boxes_N4": torch.tensor([[2.0, 1, 5, 4], [7, 0, 8, 6], [3, 3, 3, 5]]),
        "scores_N": torch.tensor([0.9, 0.5, 0.4]),
        "mask_scores_N": torch.tensor([0.45, 0.5, 0.1]),
        "labels_N": torch.tensor([0, 1, 0]),
        "masks_NHW": masks,
    }
    return Detections(**(fields | changes))


def test_worked_records() -> None:
    bbox, segm = detections_to_coco(detections(), 17, [4, 9])
    assert [record["bbox"] for record in bbox] == [[2, 1, 3, 3], [7, 0, 1, 6]]
    assert [record["category_id"] for record in bbox] == [4, 9]
    assert {record["image_id"] for record in bbox + segm} == {17}
    np.testing.assert_allclose([record["score"] for record in bbox], [0.9, 0.5], rtol=1e-6)
    np.testing.assert_allclose([record["score"] for record in segm], [0.45, 0.5], rtol=1e-6)
    assert [record["box_score"] for record in segm] == [record["score"] for record in bbox]
    for record, mask in zip(segm, detections().masks_NHW, strict=False):
        np.testing.assert_array_equal(coco_mask.decode(record["segmentation"]), mask)


def test_a_label_without_category_gets_an_id_of_its_own() -> None:
    bbox, _ = detections_to_coco(detections(labels_N=torch.tensor([2, 1, 3])), 0, [4, 9])
    assert [record["category_id"] for record in bbox] == [10, 9]


def test_cropped_and_whole_masks_give_the_same_records() -> None:
    generator = torch.Generator().manual_seed(0)
    (found,) = Postprocessor()(
        torch.rand(1, 20, 4, generator=generator),
        torch.rand(1, 20, generator=generator),
        torch.randint(0, 2, (1, 20), generator=generator),
        torch.randn(1, 20, 6, generator=generator),
        torch.ones(1, 20, dtype=torch.bool),
        torch.randn(1, 30, 40, 6, generator=generator).relu(),
        [(100, 75)],
    )
    whole = Detections(
        found.boxes_N4, found.scores_N, found.mask_scores_N, found.labels_N, found.masks_NHW
    )
    assert detections_to_coco(found, 1, [1, 2]) == detections_to_coco(whole, 1, [1, 2])


def test_golden_first_exported_boxes() -> None:
    arrays = load_npz("ap_inputs.npz")
    expected = load_json("ap_expected.json")["first_exported_bbox"]
    exported: list[dict] = []
    for image in range(len({key.split("__")[0] for key in arrays})):
        boxes, scores, mask_scores, labels, masks = (
            torch.from_numpy(arrays[f"img{image}__det_{name}"])
            for name in ("boxes", "box_score", "mask_score", "classes", "masks")
        )
        found = Detections(boxes, scores, mask_scores, labels, masks.bool())
        exported += detections_to_coco(found, image, range(1, 100))[0]
    assert exported[: len(expected)] == expected
