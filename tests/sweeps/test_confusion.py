"""The confusion matrix on worked cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sweeps.confusion import confusion_matrix
from sweeps.matches import GroundTruth
from tests.sweeps.made_runs import Ellipse, annotation, as_json, encode

LEFT, RIGHT = Ellipse((25, 40), (12, 12), 0), Ellipse((70, 40), (12, 12), 0)


@pytest.fixture
def truth(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "1.png", "height": 96, "width": 96}],
        "categories": [{"id": 5, "name": "butt"}, {"id": 10, "name": "can"}],
        "annotations": [
            annotation(1, 1, 0, LEFT.mask(), False),
            annotation(2, 1, 1, RIGHT.mask(), False),
        ],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return GroundTruth(path)


def seen(ellipse: Ellipse, label: int, score: float) -> dict:
    code = as_json(encode(ellipse.mask()))
    return {"image_id": 1, "category_id": 5 * (label + 1), "score": score, "segmentation": code}


def test_right_wrong_missed_and_invented(truth):
    records = [seen(LEFT, 0, 0.9), seen(RIGHT, 0, 0.8), seen(LEFT, 1, 0.5), seen(LEFT, 1, 0.2)]
    # butt found; can taken for a butt; the butt claimed again is nothing; 0.2 is below the limit.
    np.testing.assert_array_equal(
        confusion_matrix(truth, records), [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    )


def test_nothing_found_is_all_missed(truth):
    np.testing.assert_array_equal(confusion_matrix(truth, []), [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
