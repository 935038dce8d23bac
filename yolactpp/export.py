"""Export: `python -m yolactpp.export run=FOLDER format=onnx`; see conf/export.yaml."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from yolactpp import cli
from yolactpp.engine.failures import BadInputError
from yolactpp.path_arguments import quote_paths
from yolactpp.run_dir import RunDir

log = logging.getLogger("yolactpp.export")

PLACES = ("run", "output")
FORMATS = ("onnx", "onnx_fp16", "torch_export")
DEFORM_CONVS = ("auto", "native", "grid_sample")
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export(cfg: DictConfig) -> None:
    """Write the network that the settings name; log sizes, differences and latency.

    Args:
        cfg: composed from conf/export.yaml.

    Raises:
        BadInputError: settings out of range, a package is missing, or the model cannot be exported.
    """
    kind, deform_conv, repeats = check(cfg)
    from yolactpp.exporting.check import UnsupportedError
    from yolactpp.exporting.export_network import describe, export_network
    from yolactpp.inference.detect import Detector
    from yolactpp.loading import load
    from yolactpp.model.yolactpp import YolactPP

    checkpoint = str(cfg.checkpoint)
    predictor = load(str(cfg.run), "cpu", checkpoint=checkpoint, score_threshold=0.0, fast=False)
    segmenter = predictor.segmenter
    if not isinstance(segmenter, YolactPP) or not isinstance(segmenter.detector, Detector):
        raise BadInputError(
            f"run={cfg.run} holds a {type(segmenter).__name__}: only YOLACT and YOLACT++ are "
            "exported"
        )
    folder = output_folder(cfg.output, Path(str(cfg.run)), kind)
    try:
        settings = describe(
            segmenter.detector,
            class_names=predictor.class_names,
            category_ids=predictor.category_ids,
            image_size=predictor.image_size,
            run_id=predictor.run_id,
        )
        exported = export_network(
            segmenter.network,
            folder,
            kind,
            deform_conv=deform_conv,
            settings=settings,
            repeats=repeats,
        )
    except (UnsupportedError, ValueError) as error:
        raise BadInputError(str(error)) from error
    log.info("%s", exported)


def check(cfg: DictConfig) -> tuple[Any, Any, int]:
    """Format, way of the deformable convolutions and repeats, where they are possible.

    Raises:
        BadInputError: they are not, or a package that the format needs is missing.
    """
    for key, good in (("format", FORMATS), ("deform_conv", DEFORM_CONVS)):
        if cfg[key] not in good:
            raise BadInputError(f"{key}={cfg[key]}: choose one of {', '.join(good)}")
    if not isinstance(cfg.repeats, int) or cfg.repeats < 1:
        raise BadInputError(f"repeats={cfg.repeats}: give a whole number from 1 on")
    if cfg.format != "torch_export":
        missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise BadInputError(
                f"format={cfg.format} needs {', '.join(missing)}: pip install "
                "'yolactpp-losses[export]'"
            )
    return cfg.format, cfg.deform_conv, cfg.repeats


def output_folder(output: Any, run: Path, kind: str) -> Path:
    """Where the files go: as asked, else below the run's folder, else below ./exported."""
    if output is not None:
        return Path(str(output)).expanduser()
    if RunDir(run).config.exists():
        return run / "exported" / kind
    return Path("exported") / kind


def main() -> None:
    sys.argv[1:] = quote_paths(sys.argv[1:], PLACES)
    cli.run(export, config_name="export")


if __name__ == "__main__":
    main()
