"""Coverage by priors against all priors one by one, and k-means on shapes that are known."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from yolactpp.data.prior_coverage import PriorLevel, cluster_shapes, cover, plot_shapes, shape_iou
from yolactpp.model.priors import PriorGrid


def brute_force(boxes: np.ndarray, priors: np.ndarray) -> list[float]:
    best = []
    for x1, y1, x2, y2 in boxes:
        ious = []
        for cx, cy, w, h in priors:
            wide = min(x2, cx + w / 2) - max(x1, cx - w / 2)
            high = min(y2, cy + h / 2) - max(y1, cy - h / 2)
            overlap = max(wide, 0) * max(high, 0)
            ious.append(overlap / ((x2 - x1) * (y2 - y1) + w * h - overlap))
        best.append(max(ious))
    return best


def test_coverage_equals_every_prior_tried():
    grid, device = PriorGrid(base=1.5), torch.device("cpu")
    sizes, strides = [(8, 8), (4, 4), (2, 2)], [8, 16, 32]
    priors = grid(sizes, strides, 64, device).double().numpy()
    levels = [
        PriorLevel(rows, columns, grid([(1, 1)], [stride], 64, device)[:, 2:].double().numpy())
        for (rows, columns), stride in zip(sizes, strides, strict=True)
    ]
    rng = np.random.RandomState(0)
    corners = rng.uniform(0, 0.7, (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.03, 0.3, (40, 2))], axis=1)
    np.testing.assert_allclose(cover(boxes, levels).best_iou, brute_force(boxes, priors), rtol=1e-6)


def test_perfect_prior():
    level = PriorLevel(1, 1, np.array([[0.5, 0.25]]))
    coverage = cover(np.array([[0.25, 0.375, 0.75, 0.625]]), [level])
    assert coverage.mean_iou == pytest.approx(1)
    assert coverage.matched_share == 1


def test_shape_iou_worked_by_hand():
    np.testing.assert_allclose(
        shape_iou(np.array([[2.0, 4.0]]), np.array([[4.0, 2.0], [2.0, 4.0]])), [[4 / 12, 1]]
    )


def test_clusters_are_found():
    rng = np.random.RandomState(0)
    true = np.array([[8.0, 8.0], [20.0, 10.0], [40.0, 90.0]])
    shapes = np.concatenate([each * rng.uniform(0.95, 1.05, (50, 2)) for each in true])
    np.testing.assert_allclose(cluster_shapes(shapes, 3), true, rtol=0.05)


def test_more_clusters_than_boxes_are_refused():
    with pytest.raises(ValueError, match="k=3: give 1 to 2"):
        cluster_shapes(np.ones((2, 2)), 3)


def test_nothing_to_cover():
    with pytest.raises(ValueError, match="no object"):
        cover(np.zeros((0, 4)), [PriorLevel(1, 1, np.ones((1, 2)))])


def test_plot_shows_boxes_priors_and_clusters():
    ax = Figure().subplots()
    shapes = np.array([[3.0, 4.0], [5.0, 6.0]])
    assert plot_shapes(shapes, [shapes, shapes], shapes[:1], ax) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["boxes (n=2)", "priors, level 1", "priors, level 2", "k-means (k=1)"]
