"""A trained network as files that run without this project."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch

from yolactpp.data.resize import MEAN_BGR, STD_BGR
from yolactpp.exporting.check import (
    Run,
    UnsupportedError,
    largest_difference,
    latency_ms,
    run_onnx,
    run_torch,
)
from yolactpp.exporting.graphs import (
    OUTPUTS,
    DeformConv,
    HeadGraph,
    MaskIouGraph,
    example_images,
    example_masks,
)
from yolactpp.exporting.onnx_file import write_onnx
from yolactpp.exporting.torch_program import write_program
from yolactpp.inference.detect import Detector
from yolactpp.model.network import YolactppNetwork

log = logging.getLogger(__name__)

Format = Literal["onnx", "onnx_fp16", "torch_export"]
# Outputs may differ by so much of an output's largest value; more means a faulty export.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.1}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: all of them, the network first.
        deform_conv: how the deformable convolutions are written.
        difference: largest one of the outputs from PyTorch's in float32, relative to the output's
            largest value.
        latency_ms: of one image on the CPU.
        torch_ms: of the same by PyTorch in this process.
    """

    files: list[Path]
    deform_conv: DeformConv
    difference: float
    latency_ms: float
    torch_ms: float

    def __str__(self) -> str:
        sizes = "\n".join(f"{path}: {path.stat().st_size / 1e6:.2f} MB" for path in self.files)
        return (
            f"{sizes}\ndeformable convolutions: {self.deform_conv}; outputs differ from PyTorch's "
            f"by {self.difference:.1e} at most\none image on this CPU: {self.latency_ms:.1f} ms, "
            f"PyTorch {self.torch_ms:.1f} ms (network without detection)"
        )


def export_network(
    network: YolactppNetwork,
    folder: Path,
    kind: Format,
    *,
    deform_conv: DeformConv | Literal["auto"] = "auto",
    settings: dict[str, Any],
    repeats: int = 10,
) -> Exported:
    """Write a network and its mask-IoU net, and for ONNX the script that predicts with them.

    Args:
        network: trained, in evaluation mode.
        folder: to write to.
        kind: of file.
        deform_conv: `auto` is native where the installed onnxruntime runs it, else grid_sample.
        settings: see `describe`; kept in the file.
        repeats: calls whose median time is reported.

    Raises:
        UnsupportedError: onnxruntime does not run what was asked for.
        RuntimeError: the file's outputs are not the network's.
    """
    dtype = torch.float16 if kind == "onnx_fp16" else torch.float32
    choices = _choices(deform_conv, kind)
    write = _write_torch if kind == "torch_export" else _write_onnx
    for choice in choices:
        graph = HeadGraph(network, choice, dtype)
        try:
            files, run = write(graph, network, folder, settings)
            return _measured(network, graph, files, run, choice, repeats)
        except UnsupportedError as error:
            if choice == choices[-1]:
                raise
            log.warning("%s; going on with grid_sample", error)
    raise AssertionError("there is always a choice")


def describe(
    detector: Detector,
    *,
    class_names: tuple[str, ...],
    category_ids: tuple[int, ...],
    image_size: int,
    run_id: str,
) -> dict[str, Any]:
    """What a user of the raw outputs must know, as JSON values.

    Raises:
        ValueError: the detector works in mode traditional, which the script does not know.
    """
    if detector.mode == "traditional":
        raise ValueError(
            "model.detector.mode=traditional: greedy NMS is not exported; the exported script "
            "knows fast and cross_class"
        )
    return {
        "class_names": list(class_names),
        "category_ids": list(category_ids),
        "image_size": image_size,
        "mean_rgb": list(reversed(MEAN_BGR)),
        "std_rgb": list(reversed(STD_BGR)),
        "mode": detector.mode,
        "confidence_threshold": detector.confidence_threshold,
        "nms_threshold": detector.nms_threshold,
        "top_k": detector.top_k,
        "max_detections": detector.max_detections,
        "score_threshold": detector.score_threshold,
        "integer_boxes": detector.postprocessor.integer_boxes,
        "run_id": run_id,
    }


def _choices(deform_conv: DeformConv | Literal["auto"], kind: Format) -> list[DeformConv]:
    """Ways to write deformable convolutions, in the order in which they are tried."""
    if deform_conv != "auto":
        return [deform_conv]
    return ["grid_sample"] if kind == "torch_export" else ["native", "grid_sample"]


def _write_onnx(
    graph: HeadGraph, network: YolactppNetwork, folder: Path, settings: dict[str, Any]
) -> tuple[list[Path], Run]:
    path, rating, script = (folder / n for n in ("network.onnx", "mask_iou.onnx", "predict.py"))
    rates = network.mask_iou is not None
    write_onnx(
        graph,
        example_images(graph),
        path,
        input_name="images",
        output_names=OUTPUTS,
        metadata={**settings, "mask_iou": rating.name if rates else None},
    )
    run = run_onnx(path)
    if network.mask_iou is not None:
        write_onnx(
            MaskIouGraph(network.mask_iou, graph.dtype),
            example_masks(graph),
            rating,
            input_name="masks",
            output_names=["mask_iou"],
        )
    source = resources.files("yolactpp.exporting") / "standalone_predict.py"
    with resources.as_file(source) as template:
        shutil.copyfile(template, script)
    return [path, *([rating] if rates else []), script], run


def _write_torch(
    graph: HeadGraph,
    network: YolactppNetwork,
    folder: Path,
    settings: dict[str, Any],
) -> tuple[list[Path], Run]:
    path, rating = folder / "network.pt2", folder / "mask_iou.pt2"
    write_program(graph, example_images(graph), path, settings)
    run = run_torch(torch.export.load(path).module())
    if network.mask_iou is None:
        return [path], run
    write_program(MaskIouGraph(network.mask_iou), example_masks(graph), rating)
    return [path, rating], run


def _measured(
    network: YolactppNetwork,
    graph: HeadGraph,
    files: list[Path],
    run: Run,
    choice: DeformConv,
    repeats: int,
) -> Exported:
    truth = run_torch(HeadGraph(network, "auto"))
    images_B3SS = example_images(graph)
    difference = largest_difference(run, truth, images_B3SS)
    if difference > TOLERANCE[graph.dtype]:
        raise RuntimeError(
            f"{files[0]}: an output differs from PyTorch's by {difference:.1e} of its largest "
            f"value, more than {TOLERANCE[graph.dtype]:g}: do not use the file"
        )
    one_13SS = images_B3SS[:1]
    return Exported(
        files,
        choice,
        difference,
        latency_ms(run, one_13SS, repeats),
        latency_ms(truth, one_13SS, repeats),
    )
