"""Detection: golden numbers, a loop over images and classes, bad input."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tests.golden import load_npz
from tests.references.detection import fast_nms_of_one_image
from yolactpp.inference.candidates import candidates_from_probs, confident_candidates
from yolactpp.inference.detect import Detector
from yolactpp.structures import HeadOutputs

GOLDEN_MODES = {"fast": "fast", "cc_fast": "cross_class", "traditional": "traditional"}


def head_outputs(
    generator: torch.Generator, images: int = 3, priors: int = 400, classes: int = 4
) -> HeadOutputs:
    centres = torch.rand(priors, 2, generator=generator)
    sizes = 0.05 + 0.3 * torch.rand(priors, 2, generator=generator)
    return HeadOutputs(
        torch.randn(images, priors, 4, generator=generator),
        3 * torch.randn(images, priors, classes, generator=generator),
        torch.randn(images, priors, 8, generator=generator).tanh(),
        torch.randn(images, 24, 20, 8, generator=generator).relu(),
        torch.cat([centres, sizes], dim=1),
    )


@pytest.mark.parametrize("golden_mode", GOLDEN_MODES)
def test_golden_detections(golden_mode: str) -> None:
    arrays = load_npz("detect.npz")
    tags = sorted({key.split("__")[0] for key in arrays})
    for tag in tags:
        loc, probs, mask, priors = (
            torch.from_numpy(arrays[f"{tag}__{key}"])
            for key in ("loc", "conf_softmaxed", "mask", "priors")
        )
        outputs = HeadOutputs(loc[None], probs[None].log(), mask[None], torch.empty(0), priors)
        detector = Detector(mode=GOLDEN_MODES[golden_mode])
        found = detector.find(candidates_from_probs(probs[None], outputs, 0.05))
        present = found.is_present_BN[0]
        if f"{tag}__{golden_mode}__box" not in arrays:
            assert not present.any(), tag
            continue
        expected = {
            key: arrays[f"{tag}__{golden_mode}__{key}"] for key in ("box", "mask", "class", "score")
        }
        np.testing.assert_array_equal(found.scores_BN[0, present], expected["score"], tag)
        np.testing.assert_array_equal(found.labels_BN[0, present], expected["class"], tag)
        np.testing.assert_array_equal(found.coefficients_BNK[0, present], expected["mask"], tag)
        error = np.abs(found.boxes_BN4[0, present].numpy() - expected["box"]).max()
        assert error <= 1e-5 * np.abs(expected["box"]).max(), tag


@pytest.mark.parametrize("mode", GOLDEN_MODES.values())
def test_a_batch_equals_its_images_one_by_one(mode: str) -> None:
    outputs = head_outputs(torch.Generator().manual_seed(1))
    outputs.class_logits_BPC[1, :, 0] += 30  # an image without detections
    outputs.class_logits_BPC[2, 100:, 0] += 30  # an image with fewer candidates
    sizes = [(31, 40), (20, 20), (50, 27)]
    detector = Detector(mode=mode)
    together = detector(outputs, sizes)
    assert len(together[1]) == 0
    assert together[1].masks_NHW.shape == (0, 20, 20)
    for image, size in enumerate(sizes):
        alone = HeadOutputs(
            outputs.loc_BP4[image : image + 1],
            outputs.class_logits_BPC[image : image + 1],
            outputs.coefficients_BPK[image : image + 1],
            outputs.prototypes_BHWK[image : image + 1],
            outputs.priors_P4,
        )
        (single,) = detector(alone, [size])
        for name in ("boxes_N4", "scores_N", "mask_scores_N", "labels_N"):
            torch.testing.assert_close(getattr(single, name), getattr(together[image], name))
        assert (single.masks_NHW != together[image].masks_NHW).sum() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_fast_equals_a_loop_over_classes_and_pairs(seed: int) -> None:
    outputs = head_outputs(torch.Generator().manual_seed(seed), images=2, priors=150)
    probs = outputs.class_logits_BPC.softmax(-1)
    found = Detector(top_k=40, max_detections=60).find(confident_candidates(outputs, 0.05))
    for image in range(2):
        boxes, scores, labels = fast_nms_of_one_image(
            probs[image], outputs.loc_BP4[image], outputs.priors_P4, top_k=40, max_detections=60
        )
        present = found.is_present_BN[image]
        torch.testing.assert_close(found.boxes_BN4[image, present], boxes)
        torch.testing.assert_close(found.scores_BN[image, present], scores)
        assert torch.equal(found.labels_BN[image, present], labels)


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.5, 1.0])
def test_candidates_from_logits_and_from_probabilities_are_the_same(threshold: float) -> None:
    outputs = head_outputs(torch.Generator().manual_seed(4))
    by_logits = confident_candidates(outputs, threshold)
    by_probs = candidates_from_probs(outputs.class_logits_BPC.softmax(-1), outputs, threshold)
    for name in ("boxes_BQ4", "probs_BQF", "coefficients_BQK"):
        assert torch.equal(getattr(by_logits, name), getattr(by_probs, name))


def test_half_precision_logits_lose_no_candidate() -> None:
    outputs = head_outputs(torch.Generator().manual_seed(6))
    outputs.class_logits_BPC = (20 * outputs.class_logits_BPC).bfloat16()
    by_logits = confident_candidates(outputs, 0.05)
    probs = outputs.class_logits_BPC.float().softmax(-1)
    by_probs = candidates_from_probs(probs, outputs, 0.05)
    assert torch.equal(by_logits.probs_BQF, by_probs.probs_BQF)


def test_looking_at_few_candidates_first_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = head_outputs(torch.Generator().manual_seed(5), priors=1500, classes=12)
    candidates = confident_candidates(outputs, 0.05)
    few = Detector().find(candidates)
    monkeypatch.setattr("yolactpp.inference.detect.FIRST_LOOK", 10**6)
    every = Detector().find(candidates)
    for name in ("boxes_BN4", "scores_BN", "labels_BN", "coefficients_BNK"):
        assert torch.equal(getattr(few, name), getattr(every, name))


def test_cross_class_is_not_cut_to_max_detections() -> None:
    outputs = head_outputs(torch.Generator().manual_seed(2), images=1, priors=2000)
    outputs.priors_P4[:, 2:] *= 0.1
    (detections,) = Detector(mode="cross_class", max_detections=5)(outputs, [(16, 16)])
    assert len(detections) > 5


def test_score_threshold_is_strict_and_keeps_the_order() -> None:
    outputs = head_outputs(torch.Generator().manual_seed(3), images=1)
    (everything,) = Detector()(outputs, [(30, 30)])
    threshold = everything.scores_N[4].item()
    (above,) = Detector(score_threshold=threshold)(outputs, [(30, 30)])
    assert torch.equal(above.scores_N, everything.scores_N[everything.scores_N > threshold])


def test_stopwatch_sees_both_stages() -> None:
    stages = []

    @contextmanager
    def stopwatch(stage: str):
        stages.append(stage)
        yield

    Detector()(head_outputs(torch.Generator(), images=1), [(8, 8)], stopwatch=stopwatch)
    assert stages == ["detection", "masks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "soft"}, "choose one of fast, cross_class, traditional"),
        ({"nms_threshold": 1.5}, "nms_threshold=1.5"),
        ({"top_k": 0}, "top_k=0"),
    ],
)
def test_bad_settings_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detector(**arguments)


def test_as_many_sizes_as_images() -> None:
    with pytest.raises(ValueError, match="1 sizes for 3 images"):
        Detector()(head_outputs(torch.Generator()), [(8, 8)])
