"""What the loggers hold, read back with their own packages; nothing leaves the machine."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sweeps.hand_made import metrics
from yolactpp.engine.writers import MlflowWriter, TensorBoardWriter, WandbWriter, records
from yolactpp.run_dir import RunDir, find_runs

# Of W&B's transaction log.
LOG_HEADER = b":W&B\0\0\0"
BLOCK, FULL, LAST = 32768, 1, 4

SETTINGS = {"loss": {"name": "bce", "alpha": None}, "seed": 3, "schedule": {"lr_steps": [1, 2]}}
DOCUMENT: dict[str, Any] = {
    "iteration": 2,
    "metrics": {"bbox": metrics(0.4), "segm": metrics(0.3)},
    "speed": {"fps": 12.5},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunDir(tmp_path / "sweep" / "bce-b2-s0-0a1b2c3d")
    run.path.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump(SETTINGS))
    return run.path


def log_two_steps(writer: Any) -> None:
    for iteration in (1, 2):
        losses = {"total": 10.0 / iteration, "mask": 4.0, "mask/bce": 5.0}
        writer.write({"iteration": iteration, **losses, "note": "text"})
    writer.conclude(DOCUMENT)
    writer.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_curves_settings_and_results(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log_two_steps(TensorBoardWriter(folder))
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("total")] == [(1, 10.0), (2, 5.0)]
    assert [e.value for e in events.Scalars("final/segm_AP")] == [pytest.approx(0.3)]
    assert [e.value for e in events.Scalars("final/fps")] == [12.5]
    texts = {
        tag: events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("settings", "results")
    }
    assert yaml.safe_load(texts["settings"]) == SETTINGS
    assert "| AP | 0.4 | 0.3 |" in texts["results"]


@pytest.mark.slow
def test_mlflow_holds_curves_settings_and_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    log_two_steps(MlflowWriter(folder, "losses"))
    client = mlflow.MlflowClient(tracking_uri=(folder.parent / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("losses")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == folder.name
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "total")
    assert [(point.step, point.value) for point in history] == [(1, 10.0), (2, 5.0)]
    assert run.data.metrics["final.segm_AP"] == 0.3
    assert (run.data.metrics["mask"], run.data.metrics["mask.bce"]) == (4.0, 5.0)
    assert run.data.params == {
        "loss.name": "bce",
        "loss.alpha": "None",
        "seed": "3",
        "schedule.lr_steps": "[1, 2]",
    }
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert json.loads((artifacts / "eval.json").read_text()) == DOCUMENT
    assert "| AP | 0.4 | 0.3 |" in (artifacts / "results.md").read_text()
    assert yaml.safe_load((artifacts / "settings.yaml").read_text()) == SETTINGS


@pytest.mark.slow
def test_mlflow_goes_on_with_the_run_of_an_earlier_attempt(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "store").as_uri()
    for iteration in (1, 2):
        writer = MlflowWriter(folder, "losses", tracking_uri=store)
        writer.write({"iteration": iteration, "total": float(iteration)})
        writer.close()
    client = mlflow.MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("losses")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "total")
    assert [point.step for point in history] == [1, 2]


@pytest.mark.slow
def test_a_store_of_mlflow_holds_no_run_folder_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    log_two_steps(MlflowWriter(folder, "losses"))
    assert [run.path for run in find_runs(folder.parent)] == [folder]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_wandb_holds_curves_settings_and_results_offline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    log_two_steps(WandbWriter(folder, "losses"))
    wandb.teardown()  # its service writes the log's end after the run is closed
    history, summary, config = read_wandb(folder)
    assert [(row["_step"], row["total"]) for row in history if "total" in row] == [
        (1, 10.0),
        (2, 5.0),
    ]
    assert summary["final/segm_AP"] == 0.3
    assert config["loss"] == SETTINGS["loss"]
    assert config["seed"] == 3
    (table,) = folder.rglob("*.table.json")
    content = json.loads(table.read_text())
    assert content["columns"] == ["metric", "bbox", "segm"]
    assert ["AP", 0.4, 0.3] in content["data"]


def read_wandb(folder: Path) -> tuple[list[dict], dict, dict]:
    """History, summary and settings of an offline run's transaction log."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    history, summary, config = [], {}, {}
    for data in records_of_log(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        history.append({name_of(item): json.loads(item.value_json) for item in record.history.item})
        summary |= {name_of(item): json.loads(item.value_json) for item in record.summary.update}
        for part in (record.run.config, record.config):
            config |= {name_of(item): json.loads(item.value_json) for item in part.update}
    return history, summary, config


def records_of_log(content: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format: blocks of pieces of 7 + length bytes."""
    place, whole = len(LOG_HEADER), b""
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield whole
            whole = b""


def name_of(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


@pytest.mark.parametrize("writer", [WandbWriter, MlflowWriter])
def test_a_missing_package_is_named_with_its_mend(
    writer: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(records.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"yolactpp-losses\[loggers\].*logger=jsonl"):
        writer(tmp_path, "project").write({"iteration": 1, "total": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_building_writers_makes_nothing(folder: Path) -> None:
    for writer in (TensorBoardWriter(folder), WandbWriter(folder, "p"), MlflowWriter(folder, "e")):
        writer.close()
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]
