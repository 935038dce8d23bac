"""Speed: `python -m yolactpp.benchmark run=FOLDER`, or `model=NAME`; see conf/benchmark.yaml.

Prints one row for each batch size and precision: images a second with and without masks, the
median and 95th percentile of a batch, and the milliseconds of its stages.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from yolactpp import cli
from yolactpp.engine.failures import BadInputError
from yolactpp.path_arguments import quote_paths
from yolactpp.train import resolve

STAGES = ("decode", "preprocess", "forward", "detection", "masks")
PLACES = ("run", "source", "output")


def benchmark(cfg: DictConfig) -> list[dict[str, Any]]:
    """Time a model; one `speed` of eval.json, with the stage `decode`, for each row.

    Args:
        cfg: composed from conf/benchmark.yaml.

    Raises:
        BadInputError: settings out of range, no images or no run there.
        CheckpointError: the run's weights cannot be read.
    """
    from yolactpp.timed_images import draw_images, find_images

    settings = resolve(cfg)
    for key in ("batch", "image_height", "image_width"):
        _check_at_least_one(key, settings[key])
    with tempfile.TemporaryDirectory() as folder:
        if settings["source"] is not None:
            paths = find_images(str(settings["source"]))
        else:
            paths = draw_images(Path(folder), 8, settings["image_height"], settings["image_width"])
        rows = list(_rows(settings, paths))
    if settings["output"] is not None:
        Path(settings["output"]).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return rows


def table_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The figures as a table, its heading first; times in milliseconds a batch."""
    heading = ("batch", "dtype", "FPS", "no masks", "p50", "p95", *STAGES)
    lines = ["".join(f"{title:>11}" for title in heading)]
    for row in rows:
        figures = [row["fps"], row["fps_without_masks"], row["p50_ms"], row["p95_ms"]]
        figures += [row["stages_ms"].get(stage, 0.0) for stage in STAGES]
        numbers = "".join(f"{figure:>11.1f}" for figure in figures)
        lines.append(f"{row['batch_size']:>11}{row['dtype']:>11}{numbers}")
    return lines


def _rows(settings: dict[str, Any], paths: list[Path]) -> Iterable[dict[str, Any]]:
    from yolactpp.engine.evaluator import REPEATS, WARM_UP
    from yolactpp.engine.precision import Precision
    from yolactpp.evaluation.speed import device_name, measure_speed
    from yolactpp.timed_images import TimedImages
    from yolactpp.timed_model import timed_model

    segmenter, image_size, device = timed_model(settings)
    print(f"{settings['run'] or settings['model']['name']}, {image_size} px, {device_name(device)}")
    for dtype in settings["precision"]:
        try:
            precision = Precision(dtype, device)
        except ValueError as error:
            raise BadInputError(str(error)) from error
        for batch_size in settings["batch"]:
            images = TimedImages(
                paths,
                batch_size,
                image_size,
                device,
                channels_last=settings["runtime"]["channels_last"],
            )
            yield measure_speed(
                segmenter,
                images.preprocess,
                decode=images.decode,
                device=device,
                dtype=dtype,
                warm_up=_chosen(settings, "warm_up", WARM_UP[device.type]),
                repeats=_chosen(settings, "repeats", REPEATS[device.type]),
                autocast=precision.autocast,
            )


def _chosen(settings: dict[str, Any], key: str, default: int) -> int:
    value = default if settings[key] is None else settings[key]
    least = 1 if key == "repeats" else 0
    if not isinstance(value, int) or value < least:
        raise BadInputError(f"{key}={value}: give a whole number from {least} on, or null")
    return value


def _check_at_least_one(key: str, value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, int) or isinstance(each, bool) or each < 1:
            raise BadInputError(f"{key}={value}: give whole numbers from 1 on")


def _print_table(cfg: DictConfig) -> None:
    for line in table_lines(benchmark(cfg)):
        print(line)


def main() -> None:
    sys.argv[1:] = quote_paths(sys.argv[1:], PLACES)
    cli.run(_print_table, config_name="benchmark")


if __name__ == "__main__":
    main()
