import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.yolactpp.engine.toys import BATCH, ToySegmenter, toy_batch, toy_batches, toy_trainer
from yolactpp.engine.failures import CheckpointError, NonFiniteError, RunStopped
from yolactpp.engine.nonfinite import replay
from yolactpp.engine.trainer import Cadence, Trainer
from yolactpp.run_dir import read_jsonl


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainer.state.evaluated_model.state_dict().items()}


def finished(folder: Path, **settings: Any) -> Trainer:
    trainer = toy_trainer(folder, **settings)
    trainer.resume()
    trainer.run()
    return trainer


def assert_same(first: Trainer, second: Trainer) -> None:
    for name, value in weights(first).items():
        assert torch.equal(value, weights(second)[name]), name


def without_speed(path: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in record.items() if k != "images_per_second"} for record in read_jsonl(path)
    ]


@pytest.mark.parametrize("ema_decay", [None, 0.9])
@pytest.mark.parametrize("stop_at", [1, 4, 6, 11, 12, 19])
def test_a_stopped_run_ends_with_the_same_bits(
    tmp_path: Path, stop_at: int, ema_decay: float | None
) -> None:
    whole = finished(tmp_path / "whole", ema_decay=ema_decay)
    first = toy_trainer(tmp_path / "cut", ema_decay=ema_decay)

    def batches_then_stop(start: int) -> Any:
        for iteration, batch in enumerate(toy_batches(start, 20), start):
            if iteration + 1 == stop_at:
                first.request_stop("preempted")
            yield batch

    first.loader_from = batches_then_stop
    with pytest.raises(RunStopped) as stopped:
        first.run()
    assert stopped.value.reason == "preempted"
    assert stopped.value.iteration == stop_at
    second = finished(tmp_path / "cut", ema_decay=ema_decay)
    assert_same(whole, second)
    assert without_speed(tmp_path / "whole/metrics.jsonl") == without_speed(
        tmp_path / "cut/metrics.jsonl"
    )


@pytest.mark.parametrize("dies_at", [1, 5, 9, 17])
def test_a_run_that_dies_goes_on_from_its_checkpoint(tmp_path: Path, dies_at: int) -> None:
    whole = finished(tmp_path / "whole")
    first = toy_trainer(tmp_path / "cut")

    def batches_then_death(start: int) -> Any:
        yield from toy_batches(start, dies_at)
        raise ConnectionError("power cut")

    first.loader_from = batches_then_death
    with pytest.raises(ConnectionError):
        first.run()
    assert_same(whole, finished(tmp_path / "cut"))
    records = without_speed(tmp_path / "cut/metrics.jsonl")
    assert records == without_speed(tmp_path / "whole/metrics.jsonl")


def test_a_stop_within_a_validation_is_caught_up(tmp_path: Path) -> None:
    whole = finished(tmp_path / "whole")
    first = toy_trainer(tmp_path / "cut")
    first.evaluator.on_call = lambda: first.request_stop("interrupted")  # type: ignore[attr-defined]
    with pytest.raises(RunStopped, match="interrupted after 6"):
        first.run()
    second = finished(tmp_path / "cut")
    assert_same(whole, second)
    assert without_speed(tmp_path / "whole/metrics.jsonl") == without_speed(
        tmp_path / "cut/metrics.jsonl"
    )


def test_a_finished_state_is_only_evaluated(tmp_path: Path) -> None:
    """As after a kill between the final validation and the writing of its result."""
    finished(tmp_path)
    records = without_speed(tmp_path / "metrics.jsonl")
    again = toy_trainer(tmp_path, loader_from=lambda _start: iter(()))
    assert again.resume() == 20
    again.run()
    assert again.evaluator.calls == 1  # type: ignore[attr-defined]
    assert without_speed(tmp_path / "metrics.jsonl") == records


def test_metrics_hold_rate_losses_and_norm(tmp_path: Path) -> None:
    trainer = finished(tmp_path)
    records = read_jsonl(tmp_path / "metrics.jsonl")
    steps = [record for record in records if "lr" in record]
    validations = [record for record in records if "val/segm_AP" in record]
    assert [record["iteration"] for record in steps] == list(range(1, 21))
    assert [record["iteration"] for record in validations] == [6, 12, 18, 20]
    assert steps[0]["lr"] == pytest.approx(0.01)
    assert steps[-1]["lr"] == pytest.approx(0.005)
    assert steps[3].keys() >= {"box", "mask", "mask/mse", "total", "grad_norm"}
    assert steps[3]["total"] == pytest.approx(steps[3]["box"] + steps[3]["mask"])
    scores = {record["iteration"]: record["val/segm_AP"] for record in validations}
    best = trainer.state.best
    assert best is not None
    assert best["segm_AP"] == max(scores.values()) == scores[int(best["iteration"])]
    content = torch.load(tmp_path / "checkpoints/best.pt", weights_only=True)
    assert content["iteration"] == best["iteration"]


def test_checkpoints_hold_what_the_house_promises(tmp_path: Path) -> None:
    finished(tmp_path, ema_decay=0.5)
    content = torch.load(tmp_path / "checkpoints/last.pt", weights_only=True)
    assert content.keys() >= {
        *("model", "ema", "optimizer", "scaler", "rng", "iteration", "best", "model_config"),
        *("class_names", "category_ids", "image_size", "protocol", "run_id"),
    }
    assert content["iteration"] == 20
    assert content["category_ids"] == [7]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    finished(tmp_path)
    path = tmp_path / "checkpoints/last.pt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "run_id": "00000000"}, path)
    with pytest.raises(CheckpointError, match=r"run 00000000.*cafe0123"):
        toy_trainer(tmp_path).resume()


def test_a_loss_that_is_not_finite_stops_and_can_be_replayed(tmp_path: Path) -> None:
    def broken_at_7(start: int) -> Any:
        for iteration in range(start, 20):
            images, targets = toy_batch(iteration)
            yield (images * math.nan if iteration == 7 else images), targets

    trainer = toy_trainer(tmp_path, loader_from=broken_at_7)
    with pytest.raises(NonFiniteError, match="mask is not finite at iteration 7") as error:
        trainer.run()
    assert (error.value.term, error.value.iteration) == ("mask", 7)
    saved = torch.load(tmp_path / "nonfinite_batch.pt", weights_only=True)
    assert (saved["term"], saved["iteration"]) == ("mask", 7)
    assert saved["images"].shape[0] == BATCH
    losses = replay(tmp_path / "nonfinite_batch.pt", ToySegmenter())
    assert losses["mask"].isnan()
    assert losses["box"].isfinite()


def test_on_validation_may_end_the_run(tmp_path: Path) -> None:
    seen = []

    def prune(iteration: int, metrics: dict[str, Any]) -> None:
        seen.append((iteration, metrics["segm"]["AP"]))
        if iteration == 12:
            raise StopIteration("pruned")

    trainer = toy_trainer(tmp_path)
    object.__setattr__(trainer.around, "on_validation", prune)
    with pytest.raises(StopIteration):
        trainer.run()
    assert [iteration for iteration, _ in seen] == [6, 12]


@pytest.mark.parametrize("name", ["checkpoint_every", "validate_every", "log_every"])
def test_a_cadence_below_one_is_named(name: str) -> None:
    values = {"checkpoint_every": 1, "validate_every": 1, "log_every": 1, name: 0}
    with pytest.raises(ValueError, match=f"schedule.{name}=0"):
        Cadence(**values)
