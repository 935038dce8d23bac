"""Exported files answer as the network does, from raw outputs to masks."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import DictConfig
from pycocotools import mask as coco_mask

import yolactpp
from tests.yolactpp.exporting.parity import best_ious, load_script
from tests.yolactpp.prediction.made_model import CATEGORY_IDS, CLASS_NAMES, IMAGE_SIZE, scene
from yolactpp.engine.failures import BadInputError
from yolactpp.export import export, output_folder
from yolactpp.exporting import export_network as exporting
from yolactpp.exporting.check import UnsupportedError, largest_difference, run_onnx
from yolactpp.exporting.graphs import HeadGraph
from yolactpp.inference.detect import Detector
from yolactpp.prediction.predictor import Predictor

SCORE = 0.6


def settings(checkpoint: Path, folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        arguments = [f"run={checkpoint}", f"output={folder}", "repeats=1", *overrides]
        return compose("export", arguments)


def exported(checkpoint: Path, folder: Path, *overrides: str) -> Path:
    export(settings(checkpoint, folder, *overrides))
    return folder


@pytest.fixture(scope="session")
def onnx_folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(checkpoint, tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="session")
def reference(checkpoint: Path) -> Predictor:
    return yolactpp.load(checkpoint, "cpu", score_threshold=SCORE)


def worst_agreement(folder: Path, reference: Predictor, images: int) -> tuple[float, float, int]:
    """Least and mean mask IoU over all detections of synthetic photographs, and their number."""
    network = load_script(folder / "predict.py").Network(folder / "network.onnx", SCORE)
    # Whoever scores near the threshold may fall on either side of it: one side looks lower.
    network.score_threshold = SCORE - 0.05
    ious = []
    for number in range(images):
        image = cv2.resize(scene(number), (200, 150) if number % 2 else (128, 128))
        image_rgb = np.ascontiguousarray(image[:, :, ::-1])
        ious.append(best_ious(reference(image_rgb)[0], network(image_rgb)))
    every = np.concatenate(ious)
    return float(every.min()), float(every.mean()), len(every)


def test_masks_agree_on_a_few_images(onnx_folder: Path, reference: Predictor) -> None:
    least, _, count = worst_agreement(onnx_folder, reference, images=3)
    assert count > 20
    assert least >= 0.99


@pytest.mark.slow
def test_masks_agree_on_fifty_images(onnx_folder: Path, reference: Predictor) -> None:
    least, _, count = worst_agreement(onnx_folder, reference, images=50)
    assert count > 300
    assert least >= 0.99


@pytest.mark.slow
def test_masks_agree_with_grid_sample(
    checkpoint: Path, reference: Predictor, tmp_path: Path
) -> None:
    folder = exported(checkpoint, tmp_path / "g", "deform_conv=grid_sample")
    operators = node_types(folder / "network.onnx")
    assert "GridSample" in operators
    assert "DeformConv" not in operators
    least, _, _ = worst_agreement(folder, reference, images=3)
    assert least >= 0.99


@pytest.mark.slow
def test_half_precision_agrees_but_for_rounding(
    checkpoint: Path, onnx_folder: Path, tmp_path: Path
) -> None:
    folder = exported(checkpoint, tmp_path / "h", "format=onnx_fp16")
    size = (folder / "network.onnx").stat().st_size
    assert size < 0.65 * (onnx_folder / "network.onnx").stat().st_size
    reference = yolactpp.load(checkpoint, "cpu", score_threshold=0.7)
    _, mean, count = worst_agreement(folder, reference, images=5)
    assert count > 20
    assert mean >= 0.95


def node_types(path: Path) -> set[str]:
    import onnx

    return {node.op_type for node in onnx.load(path).graph.node}


def test_any_batch_and_the_documented_names(onnx_folder: Path, reference: Predictor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(onnx_folder / "network.onnx"), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    assert names == ["loc", "class_logits", "coefficients", "prototypes", "priors"]
    graph = HeadGraph(reference.segmenter.network, "auto")  # type: ignore[attr-defined]
    for batch in (1, 3):
        images = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE)
        found = session.run(None, {"images": images.numpy()})
        for value, wanted in zip(found, graph(images), strict=True):
            np.testing.assert_allclose(value, wanted, atol=1e-3, rtol=1e-3)


def test_metadata_and_operators(onnx_folder: Path) -> None:
    script = load_script(onnx_folder / "predict.py")
    held = script.Network(onnx_folder / "network.onnx").settings
    assert held["class_names"] == CLASS_NAMES
    assert held["category_ids"] == CATEGORY_IDS
    assert held["image_size"] == IMAGE_SIZE
    assert held["mean_rgb"] == [123.68, 116.78, 103.94]
    assert held["mask_iou"] == "mask_iou.onnx"
    assert "DeformConv" in node_types(onnx_folder / "network.onnx")
    assert "BatchNormalization" not in node_types(onnx_folder / "network.onnx")


def test_the_script_alone(onnx_folder: Path, tmp_path: Path) -> None:
    """In a process without the project's folder, from a .ppm, a .npy and a file it cannot read."""
    image = scene(0)
    cv2.imwrite(str(tmp_path / "a.ppm"), image)
    np.save(tmp_path / "b.npy", image[:60, :, ::-1])
    (tmp_path / "c.ppm").write_bytes(b"P3 no")
    code = (
        "import runpy, sys\n"
        "for name in ('PIL', 'cv2', 'torch', 'yolactpp'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = ['predict.py', 'a.ppm', 'b.npy', 'c.ppm', '--score-threshold', '{SCORE}']\n"
        f"runpy.run_path({str(onnx_folder / 'predict.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "2 images predicted, 1 failed" in done.stdout
    assert "c.ppm: only binary .ppm files" in done.stderr
    drawn = cv2.imread(str(tmp_path / "predictions" / "a.png"))
    assert drawn.shape == image.shape
    assert (drawn == image).all(axis=2).any()
    assert not (drawn == image).all()
    records = json.loads((tmp_path / "predictions" / "detections.json").read_text())
    assert {record["file_name"] for record in records} == {"a.ppm", "b.npy"}
    for record in records:
        rle = coco_mask.frPyObjects(record["segmentation"], *record["segmentation"]["size"])
        assert coco_mask.decode(rle).shape == tuple(record["segmentation"]["size"])
        assert record["category_id"] in CATEGORY_IDS


def test_script_resizes_and_enlarges_as_the_project_does(onnx_folder: Path) -> None:
    from yolactpp.data.resize import EvalTransform
    from yolactpp.ops.mask_crops import enlarge_windows

    script = load_script(onnx_folder / "predict.py")
    network = script.Network(onnx_folder / "network.onnx")
    for size in ((1, 1), (37, 211), (128, 128), (300, 40)):
        image = np.random.RandomState(0).randint(0, 256, (*size, 3), np.uint8)
        ours = EvalTransform(IMAGE_SIZE)(image).numpy()
        np.testing.assert_allclose(
            network.prepare(image[:, :, ::-1]), ours, atol=2e-4, err_msg=str(size)
        )
        soft = torch.rand(4, 9, 11, generator=torch.Generator().manual_seed(1))
        soft[3] = 0
        for mask, window in zip(soft, enlarge_windows(soft, size).windows, strict=True):
            top, left, pixels = script.enlarge(mask.numpy(), size)
            full = np.zeros(size, bool)
            full[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
            ours_full = np.zeros(size, bool)
            rows, columns = window.pixels_HW.shape
            inside = np.s_[window.top : window.top + rows, window.left : window.left + columns]
            ours_full[inside] = window.pixels_HW
            assert (full != ours_full).mean() < 1e-3


@pytest.mark.parametrize("mode", ["fast", "cross_class"])
def test_script_suppresses_as_the_detector_does(onnx_folder: Path, mode: str) -> None:
    from yolactpp.inference.candidates import Candidates

    script = load_script(onnx_folder / "predict.py")
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=generator)
    boxes = torch.cat([corners, corners + 0.4 * torch.rand(60, 2, generator=generator)], dim=1)
    probs = torch.rand(60, 3, generator=generator)
    detector = Detector(mode=mode, top_k=40, max_detections=25)  # type: ignore[arg-type]
    ours = detector.find(Candidates(boxes[None], probs[None], torch.zeros(1, 60, 1)))
    present = ours.is_present_BN[0]
    held = {"mode": mode, "top_k": 40, "max_detections": 25, "nms_threshold": 0.5}
    index, labels, scores = script.suppress(boxes.numpy(), probs.numpy(), held)
    np.testing.assert_array_equal(scores, ours.scores_BN[0][present])
    np.testing.assert_array_equal(labels, ours.labels_BN[0][present])
    np.testing.assert_array_equal(boxes.numpy()[index], ours.boxes_BN4[0][present])


def test_nothing_confident_gives_nothing(onnx_folder: Path) -> None:
    script = load_script(onnx_folder / "predict.py")
    network = script.Network(onnx_folder / "network.onnx", score_threshold=1.0)
    assert network(scene(0)) == []
    held = {"mode": "fast", "top_k": 4, "max_detections": 2, "nms_threshold": 0.5}
    index, _, _ = script.suppress(np.zeros((0, 4)), np.zeros((0, 3)), held)
    assert len(index) == 0


@pytest.mark.slow
def test_torch_program(checkpoint: Path, reference: Predictor, tmp_path: Path) -> None:
    logging.getLogger("yolactpp").propagate = True
    folder = exported(checkpoint, tmp_path / "t", "format=torch_export")
    extra = {"yolactpp.json": ""}
    program = torch.export.load(folder / "network.pt2", extra_files=extra).module()
    assert json.loads(extra["yolactpp.json"])["class_names"] == CLASS_NAMES
    images = torch.randn(5, 3, IMAGE_SIZE, IMAGE_SIZE)
    graph = HeadGraph(reference.segmenter.network, "auto")  # type: ignore[attr-defined]
    for value, wanted in zip(program(images), graph(images), strict=True):
        torch.testing.assert_close(value, wanted, atol=1e-3, rtol=1e-3)
    rate = torch.export.load(folder / "mask_iou.pt2").module()
    side = reference.segmenter.network.prototype_size(IMAGE_SIZE)  # type: ignore[attr-defined]
    assert rate(torch.rand(7, 1, side, side)).shape == (7, len(CLASS_NAMES))


def test_without_native_deform_conv_grid_sample_is_taken(
    reference: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def write(graph: HeadGraph, *_: object) -> tuple[list[Path], object]:
        tried.append(graph.network.backbone.layers[3][0].conv2.backend)
        if tried[-1] == "torchvision":
            raise UnsupportedError("no DeformConv here")
        return [], lambda images: [output.numpy() for output in graph(images)]

    monkeypatch.setattr(exporting, "_write_onnx", write)
    network = reference.segmenter.network  # type: ignore[attr-defined]
    report = exporting.export_network(network, tmp_path, "onnx", settings={}, repeats=1)
    assert tried == ["torchvision", "grid_sample"]
    assert report.deform_conv == "grid_sample"
    with pytest.raises(UnsupportedError, match="no DeformConv here"):
        exporting.export_network(network, tmp_path, "onnx", deform_conv="native", settings={})


def test_faulty_export_is_refused(
    reference: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(graph: HeadGraph, *_: object) -> tuple[list[Path], object]:
        return [tmp_path / "n.onnx"], lambda images: [1.1 * each.numpy() for each in graph(images)]

    monkeypatch.setattr(exporting, "_write_onnx", write)
    network = reference.segmenter.network  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match=r"n\.onnx: an output differs"):
        exporting.export_network(network, tmp_path, "onnx", settings={})


def test_difference_counts_what_is_not_finite() -> None:
    def run(value: float):
        return lambda _: [np.array([1.0, value], np.float32)]

    images = torch.zeros(1)
    assert largest_difference(run(2.0), run(4.0), images) == pytest.approx(0.5)
    assert largest_difference(run(np.nan), run(4.0), images) == np.inf
    assert largest_difference(run(np.inf), run(4.0), images) == np.inf


def test_file_that_onnxruntime_does_not_run(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1])
    node = helper.make_node("NoSuchOperator", ["images"], ["out"], domain="nowhere")
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [out])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("nowhere", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "a.onnx")
    with pytest.raises(UnsupportedError, match="NoSuchOperator"):
        run_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("format=tensorrt", "format=tensorrt: choose one of onnx, onnx_fp16, torch_export"),
        ("deform_conv=dcn", "deform_conv=dcn: choose one of auto, native, grid_sample"),
        ("repeats=0", "repeats=0"),
        ("run=nowhere", "run=nowhere: there is no such folder or file"),
    ],
)
def test_settings_out_of_range(
    checkpoint: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        export(settings(checkpoint, tmp_path, override))


def test_greedy_suppression_is_not_exported() -> None:
    with pytest.raises(ValueError, match=r"model\.detector\.mode=traditional"):
        exporting.describe(
            Detector(mode="traditional"),
            class_names=("a",),
            category_ids=(1,),
            image_size=64,
            run_id="r",
        )


def test_missing_packages(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "onnx" else real(name))
    with pytest.raises(BadInputError, match=r"needs onnx: pip install 'yolactpp-losses\[export\]'"):
        export(settings(checkpoint, tmp_path))


def test_where_files_go(tmp_path: Path) -> None:
    assert output_folder(None, tmp_path, "onnx") == Path("exported/onnx")
    (tmp_path / "config.yaml").write_text("")
    assert output_folder(None, tmp_path, "onnx") == tmp_path / "exported" / "onnx"
    assert output_folder("there", tmp_path, "onnx") == Path("there")
