"""Matching against the reference's numbers, a naive greedy loop and worked cases."""

import re

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.golden import load_npz
from yolactpp.criterion.matching import Matches, match
from yolactpp.ops.boxes import box_iou, corner_form, encode
from yolactpp.structures import CROWD, Targets

GOLDEN = load_npz("matching.npz")
CASES = sorted({key.split("__")[0] for key in GOLDEN}, key=lambda name: (len(name), name))


def targets_of(boxes: list[Tensor], labels: list[Tensor]) -> Targets:
    return Targets.from_images(
        boxes, labels, [torch.zeros(len(each), 1, 1, dtype=torch.uint8) for each in labels]
    )


def golden_case(case: str, with_crowd: bool) -> tuple[dict[str, Tensor], Targets]:
    arrays = {
        re.sub(f"^{case}__", "", key): torch.from_numpy(value)
        for key, value in GOLDEN.items()
        if key.startswith(f"{case}__")
    }
    boxes, labels = arrays["gt"], arrays["labels0"]
    if with_crowd:
        boxes = torch.cat([boxes, arrays["crowd"]])
        labels = torch.cat([labels, torch.full((len(arrays["crowd"]),), CROWD)])
    return arrays, targets_of([boxes], [labels])


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_golden_matching(case, static_shapes):
    has_crowd = f"{case}__crowd" in GOLDEN
    arrays, targets = golden_case(case, has_crowd)
    matches = match(arrays["priors"], targets, static_shapes=static_shapes)
    assert torch.equal(matches.class_target_BP[0], arrays["conf_t"])
    assert torch.equal(matches.object_BP[0], arrays["idx_t"])
    loc = encode(targets.boxes_BM4[0, matches.object_BP[0]], arrays["priors"])
    assert_close(loc, arrays["loc_t"], rtol=0, atol=1e-5 * float(arrays["loc_t"].abs().max()))
    if has_crowd:
        arrays, targets = golden_case(case, False)
        matches = match(arrays["priors"], targets, static_shapes=static_shapes)
        assert torch.equal(matches.class_target_BP[0], arrays["conf_t_without_crowd"])


def naive_match(priors: Tensor, boxes: Tensor, labels: Tensor) -> tuple[list[int], list[int]]:
    """One image, one prior and one object at a time."""
    iou = box_iou(boxes, corner_form(priors)).tolist()
    objects, count = range(len(labels)), len(priors)
    best = [max(objects, key=lambda j: iou[j][i]) for i in range(count)]
    fit = [iou[best[i]][i] for i in range(count)]
    free_objects, free_priors = list(objects), list(range(count))
    while free_objects:
        pairs = [(j, i) for j in free_objects for i in free_priors]
        j, i = max(pairs, key=lambda pair: iou[pair[0]][pair[1]])
        best[i], fit[i] = j, 2.0
        free_objects.remove(j)
        free_priors.remove(i)
    classes = [
        int(labels[j]) + 1 if f >= 0.5 else -1 if f >= 0.4 else 0
        for j, f in zip(best, fit, strict=True)
    ]
    return classes, best


def random_boxes(count: int, generator: torch.Generator) -> Tensor:
    size = torch.rand(count, 2, generator=generator) * 0.4 + 0.1
    low = torch.rand(count, 2, generator=generator) * (1 - size)
    return torch.cat([low, low + size], 1)


@pytest.mark.parametrize("static_shapes", [False, True])
def test_a_batch_equals_a_naive_loop(static_shapes):
    generator = torch.Generator().manual_seed(3)
    priors = torch.rand(40, 4, generator=generator) * 0.4 + torch.tensor([0.3, 0.3, 0.1, 0.1])
    boxes = [random_boxes(count, generator) for count in (1, 9, 4, 20)]
    # Rivals: several objects whose best prior is the same one.
    boxes[1][1:] = boxes[1][:1] + torch.rand(8, 4, generator=generator) * 1e-3
    labels = [torch.randint(0, 5, (len(each),), generator=generator) for each in boxes]
    matches = match(priors, targets_of(boxes, labels), static_shapes=static_shapes)
    for image in range(len(boxes)):
        classes, best = naive_match(priors, boxes[image], labels[image])
        assert matches.class_target_BP[image].tolist() == classes
        assert matches.object_BP[image].tolist() == best


def classes_of(priors: Tensor, boxes: list[Tensor], labels: list[list[int]]) -> list[list[int]]:
    matches: Matches = match(priors, targets_of(boxes, [torch.tensor(each) for each in labels]))
    return matches.class_target_BP.tolist()


def test_thresholds():
    priors = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.8, 0.5, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1]])
    halves = [
        torch.tensor([[0.0, 0.0, 0.5, height], [0.75, 0.45, 0.85, 0.55]])
        for height in (0.26, 0.21, 0.19)
    ]
    # The first object is also given its own prior whatever the overlap: hide it behind a better.
    priors = torch.cat([priors, torch.tensor([[0.25, 0.12, 0.5, 0.24]])])
    classes = classes_of(priors, halves, [[4, 6]] * 3)
    assert [each[0] for each in classes] == [5, -1, 0]
    assert all(each[1:] == [7, 0, 5] for each in classes)


def test_images_without_objects_are_background():
    priors = torch.tensor([[0.25, 0.25, 0.3, 0.3], [0.75, 0.75, 0.3, 0.3]])
    crowd = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    some = torch.tensor([[0.6, 0.6, 0.9, 0.9], [0.0, 0.0, 0.5, 0.5]])
    classes = classes_of(priors, [torch.zeros(0, 4), crowd, some], [[], [CROWD], [2, CROWD]])
    assert classes == [[0, 0], [-1, 0], [-1, 3]]


def test_blocks_of_priors_do_not_change_the_result(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    priors = torch.rand(101, 4, generator=generator) * 0.5 + 0.1
    targets = targets_of([random_boxes(6, generator)], [torch.arange(6)])
    whole = match(priors, targets)
    monkeypatch.setattr("yolactpp.criterion.matching._BLOCK", 60)
    parts = match(priors, targets)
    assert torch.equal(whole.class_target_BP, parts.class_target_BP)
    assert torch.equal(whole.object_BP, parts.object_BP)
