"""Detections as COCO results: what predictions/bbox.json and segm.json hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yolactpp.ops.mask_crops import CroppedDetections
from yolactpp.ops.rle import encode_masks
from yolactpp.structures import Detections

Record = dict[str, Any]
BOX_DECIMALS = 3


def detections_to_coco(
    detections: Detections, image_id: int, category_ids: Sequence[int]
) -> tuple[list[Record], list[Record]]:
    """One image's detections as records of bbox.json and of segm.json, index by index alike.

    Boxes carry the class score; masks the re-scored one, with the class score beside it as
    `box_score` (COCO's loaders skip fields they do not know), so that every protocol can be
    computed from the files. A detection whose box has no area is left out, as in the original's
    export. A label without category (protocol.phantom_classes) gets the ids after the largest
    one; COCO's evaluation never looks at them, the in-house one counts them.

    Args:
        detections: boxes in pixels, masks at the image's size.
        image_id: id in the annotation file.
        category_ids: category of each label.
    """
    if isinstance(detections, CroppedDetections):
        encoded = detections.mask_crops.encode()
    else:
        encoded = encode_masks(detections.masks_NHW)
    next_id = max(category_ids) + 1
    bbox_records, segm_records = [], []
    rows = zip(
        detections.boxes_N4.double().tolist(),
        detections.scores_N.double().tolist(),
        detections.mask_scores_N.double().tolist(),
        detections.labels_N.tolist(),
        encoded,
        strict=True,
    )
    for (x1, y1, x2, y2), score, mask_score, label, segmentation in rows:
        if (x2 - x1) * (y2 - y1) <= 0:
            continue
        known = label < len(category_ids)
        category = category_ids[label] if known else next_id + label - len(category_ids)
        shared = {"image_id": image_id, "category_id": category}
        box = [round(value, BOX_DECIMALS) for value in (x1, y1, x2 - x1, y2 - y1)]
        bbox_records.append({**shared, "bbox": box, "score": score})
        segm_records.append(
            {**shared, "segmentation": segmentation, "score": mask_score, "box_score": score}
        )
    return bbox_records, segm_records
