"""A choice of classes: what was not chosen neither counts nor weighs on the mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.bootstrap import precision_curves
from sweeps.evidence import validation_set
from sweeps.matches import match
from tests.evaluation_data import CATEGORY_IDS, made_up
from yolactpp.evaluation.coco import coco_metrics, load_annotations
from yolactpp.evaluation.eval_json import build_evaluation
from yolactpp.evaluation.inhouse import inhouse_metrics
from yolactpp.evaluation.protocols import evaluate_stored

DROPPED = CATEGORY_IDS[0]
CHOSEN = [f"class {each}" for each in CATEGORY_IDS if each != DROPPED]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[dict], list[dict]]:
    """A file of all classes and predictions of all but one, as a run on the others leaves them."""
    path, *records = made_up(tmp_path)
    bbox, segm = ([r for r in each if r["category_id"] != DROPPED] for each in records)
    return path, bbox, segm


@pytest.fixture
def narrow(files: tuple[Path, list[dict], list[dict]]) -> Path:
    """The same annotations in a file that never held the class."""
    content = json.loads(files[0].read_text())
    for name, key in (("categories", "id"), ("annotations", "category_id")):
        content[name] = [each for each in content[name] if each[key] != DROPPED]
    path = files[0].with_name("narrow.json")
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("backend", ["pycocotools", "faster_coco_eval"])
def test_coco_counts_the_chosen_classes_alone(
    files: tuple[Path, list[dict], list[dict]], narrow: Path, backend: Any
) -> None:
    chosen = coco_metrics(*files, backend, classes=CHOSEN)
    assert chosen == coco_metrics(narrow, *files[1:], backend)
    assert list(chosen["segm"]["per_class"]) == CHOSEN
    assert chosen["segm"]["AP"] > coco_metrics(*files, backend)["segm"]["AP"]


def test_the_originals_metrics_count_the_chosen_classes_alone(
    files: tuple[Path, list[dict], list[dict]], narrow: Path
) -> None:
    chosen = inhouse_metrics(*files, classes=CHOSEN)
    assert chosen == inhouse_metrics(narrow, *files[1:])
    assert list(chosen["segm"]["per_class"]) == CHOSEN


@pytest.mark.parametrize("evaluator", ["coco", "inhouse"])
def test_stored_predictions_are_read_so(
    files: tuple[Path, list[dict], list[dict]], narrow: Path, evaluator: str
) -> None:
    protocol = {"table_evaluator": evaluator}
    chosen = evaluate_stored(*files, protocol, classes=CHOSEN)
    assert chosen == evaluate_stored(narrow, *files[1:], protocol)


def test_eval_json_is_that_of_the_chosen_classes(
    files: tuple[Path, list[dict], list[dict]], narrow: Path
) -> None:
    def document(path: Path, classes: list[str] | None) -> dict[str, Any]:
        return build_evaluation(
            run_id="0" * 8,
            iteration=1,
            dataset_name="made",
            split="val",
            fingerprint=None,
            annotations_file=path,
            bbox_records=files[1],
            segm_records=files[2],
            protocol={},
            classes=classes,
            evaluators=["coco", "inhouse"],
            backend="faster_coco_eval",
        )

    chosen = document(files[0], CHOSEN)
    assert chosen == document(narrow, None)
    whole = document(files[0], None)
    for part in ("boundary", "tide", "calibration"):
        assert chosen[part] != whole[part]
    assert chosen["dataset"]["annotations"] < whole["dataset"]["annotations"]


def test_resampling_agrees_with_eval_json(files: tuple[Path, list[dict], list[dict]]) -> None:
    row = {
        "folder": str(files[0].parent),
        "dataset.root": str(files[0].parent),
        "dataset.val.annotations": files[0].name,
        "dataset.classes": json.dumps(CHOSEN),
    }
    matches = match(validation_set(row), files[2], "segm")
    assert [each.name for each in matches.classes] == CHOSEN
    expected = coco_metrics(*files, "faster_coco_eval", classes=CHOSEN)["segm"]["AP"]
    assert float(precision_curves(matches).mean()) == pytest.approx(expected, abs=1e-9)
    everything = validation_set({**row, "dataset.classes": float("nan")})
    assert len(everything.categories) == len(CATEGORY_IDS)


def test_an_unknown_class_is_named(files: tuple[Path, list[dict], list[dict]]) -> None:
    with pytest.raises(ValueError, match=r"classes cow are not in .*which holds class"):
        load_annotations(files[0], ["cow"])
