import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.yolactpp.tiny_run import tiny_config
from yolactpp.engine.failures import BadInputError
from yolactpp.frozen_run import freeze_run, read_config
from yolactpp.run_dir import RunDir, read_json, read_jsonl
from yolactpp.train import freeze, train_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run trained to its end; tests only look at it."""
    run = freeze_run(tiny_config(tmp_path_factory.mktemp("finished")), ["loss=bce"])
    assert train_run(run.path) is not None
    return run


def test_a_run_leaves_the_files_of_the_house(finished: RunDir) -> None:
    evaluation = read_json(finished.evaluation)
    assert evaluation["schema_version"] == 1
    assert evaluation["iteration"] == 12
    assert finished.path.name == f"bce-b2-s0-{evaluation['run_id']}"
    assert evaluation["dataset"]["images"] == 4
    assert {"fps", "batch_size", "device", "dtype", "stages_ms"} <= evaluation["speed"].keys()
    status = read_json(finished.status)
    assert (status["state"], status["iteration"], status["total"]) == ("finished", 12, 12)
    assert status["effective"] == {
        "batch_size": 2,
        "lr": read_config(finished)["schedule"]["lr"],
        "iterations": 12,
        "images_seen": 24,
    }
    provenance = read_json(finished.run)
    assert provenance["overrides"] == ["loss=bce"]
    assert [attempt["number"] for attempt in provenance["attempts"]] == [1]
    assert "attempt 1" in finished.log.read_text()
    steps = [record["iteration"] for record in read_jsonl(finished.metrics) if "lr" in record]
    assert steps == list(range(1, 13))


def test_eval_json_agrees_with_pycocotools_by_hand(finished: RunDir) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    root = Path(read_config(finished)["dataset"]["root"])
    assert root.parent == finished.path.parents[2] / "data"
    metrics = read_json(finished.evaluation)["metrics"]
    for kind, path in (("bbox", finished.bbox_predictions), ("segm", finished.segm_predictions)):
        truth = COCO(root / "val" / "coco_annotations.json")
        by_hand = COCOeval(truth, truth.loadRes(str(path)), kind)
        by_hand.evaluate()
        by_hand.accumulate()
        by_hand.summarize()
        assert metrics[kind]["AP"] == pytest.approx(by_hand.stats[0], abs=1e-9)
        assert metrics[kind]["AP50"] == pytest.approx(by_hand.stats[1], abs=1e-9)
        assert metrics[kind]["AR100"] == pytest.approx(by_hand.stats[8], abs=1e-9)


def test_a_finished_run_answers_without_torch(finished: RunDir) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from yolactpp.train import train_run\n"
        "print(train_run(Path(sys.argv[1])))\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", code, str(finished.path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    stored = read_json(finished.evaluation)["metrics"]["segm"]["AP"]
    assert float(result.stdout) == stored


def test_a_run_killed_before_its_last_status_is_finished(finished: RunDir, tmp_path: Path) -> None:
    copy = RunDir(tmp_path / finished.path.name)
    shutil.copytree(finished.path, copy.path)
    copy.status.write_text(json.dumps({"state": "running"}))
    train_run(copy.path)
    assert read_json(copy.status)["state"] == "finished"


def test_a_run_goes_on_with_a_damaged_checkpoint(
    finished: RunDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = RunDir(tmp_path / finished.path.name)
    shutil.copytree(finished.path, copy.path)
    copy.evaluation.unlink()
    whole = copy.last_checkpoint.read_bytes()
    copy.last_checkpoint.write_bytes(whole[: len(whole) // 2])
    train_run(copy.path)
    assert "last.previous.pt" in caplog.text
    expected = torch.load(finished.last_checkpoint, weights_only=True)
    found = torch.load(copy.last_checkpoint, weights_only=True)
    assert found["iteration"] == 12
    for name, value in expected["model"].items():
        assert torch.equal(value, found["model"][name]), name
    assert read_json(copy.run)["attempts"][-1]["number"] == 2


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"is no run: it holds no config.yaml"):
        train_run(tmp_path)


def test_a_missing_data_set_says_where_it_can_be_had(tmp_path: Path) -> None:
    config: dict[str, Any] = tiny_config(tmp_path)
    config["dataset"] |= {"generator": None, "source": "a website", "name": "butts"}
    with pytest.raises(BadInputError, match=r"dataset butts: .*missing.*a website.*dataset.root"):
        freeze(config, [])


def test_a_faulty_data_set_is_refused_and_the_state_says_so(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = freeze_run(config)
    from yolactpp.build import provide_dataset

    root = Path(provide_dataset(config)["dataset"]["root"])
    next((root / "train" / "images").iterdir()).unlink()
    with pytest.raises(BadInputError, match="1 findings"):
        train_run(run.path)
    status = read_json(run.status)
    assert (status["state"], status["reason"]) == ("failed", "error")
    assert "findings" in status["message"]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_unreadable_in_the_middle_of_a_run_is_bad_input(
    tmp_path: Path, workers: int
) -> None:
    from yolactpp.build import provide_dataset

    config = provide_dataset(tiny_config(tmp_path, f"runtime.workers={workers}"))
    images = Path(config["dataset"]["root"]) / "train" / "images"
    for image in images.iterdir():  # the check of the data set decodes none
        image.write_bytes(image.read_bytes()[:-200])
    run = freeze_run(config)
    with pytest.raises(BadInputError, match=r"^/\S+: cut off after \d+ bytes; copy the file again"):
        train_run(run.path)
    status = read_json(run.status)
    assert (status["state"], status["reason"]) == ("failed", "error")
    assert "cut off" in status["message"]
    assert "Traceback" not in status["message"]
