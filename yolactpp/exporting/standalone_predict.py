"""Instance segmentation with an exported YOLACT++ network: `python predict.py photo.jpg`.

Needs numpy and onnxruntime. Reads images with Pillow or OpenCV where one is installed; without
them it reads .npy arrays (uint8 [H, W, 3], RGB) and binary .ppm files. Beside this file lie
network.onnx and, for networks that rate their masks, mask_iou.onnx.

From Python: `detections = Network("network.onnx")(image_rgb)`.

Exit status: 0 every image was predicted, 1 some failed, 2 none could be used.

Shape letters: P priors, C classes with background, F foreground classes, K prototypes,
Q candidates, T candidates of one class, N detections, h and w prototype pixels, S the side of the
network's input.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[Any]
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
CROP_PADDING = 1
COLOURS = ((255, 179, 0), (0, 125, 52), (193, 0, 32), (0, 83, 138), (128, 62, 117), (0, 189, 205))
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".npy")


class Detection(NamedTuple):
    """One object. `window` is the part of its mask (bool) that begins at row top, column left."""

    name: str
    label: int
    score: float
    mask_score: float
    box_xyxy: tuple[float, float, float, float]
    top: int
    left: int
    window: Array

    def mask(self, height: int, width: int) -> Array:
        """The whole mask, bool [height, width]."""
        full = np.zeros((height, width), bool)
        rows, columns = self.window.shape
        full[self.top : self.top + rows, self.left : self.left + columns] = self.window
        return full


class Network:
    """An exported network as a function from an RGB image to detections.

    Args:
        path: of network.onnx.
        score_threshold: least class score.
        providers: of onnxruntime; None takes all that are there.
    """

    def __init__(
        self, path: str | Path, score_threshold: float = 0.15, providers: list[str] | None = None
    ) -> None:
        providers = providers or onnxruntime.get_available_providers()
        self.session = onnxruntime.InferenceSession(str(path), providers=providers)
        held = self.session.get_modelmeta().custom_metadata_map
        self.settings: dict[str, Any] = json.loads(held["yolactpp"])
        self.score_threshold = score_threshold
        rating = self.settings["mask_iou"]
        self.mask_iou = (
            onnxruntime.InferenceSession(str(Path(path).parent / rating), providers=providers)
            if rating
            else None
        )

    def __call__(self, image_rgb: Array) -> list[Detection]:
        """Detections of one image, uint8 [H, W, 3], best first."""
        outputs = self.session.run(None, {"images": self.prepare(image_rgb)[None]})
        named = dict(zip((each.name for each in self.session.get_outputs()), outputs, strict=True))
        return self.detect(
            named["loc"][0],
            named["class_logits"][0],
            named["coefficients"][0],
            named["prototypes"][0],
            named["priors"],
            image_rgb.shape[:2],
        )

    def prepare(self, image_rgb: Array) -> Array:
        """Resized to the network's square and normalised: float32 [3, S, S]."""
        side = self.settings["image_size"]
        square = resize(image_rgb.astype(np.float32), side, side)
        mean = np.array(self.settings["mean_rgb"], np.float32)
        std = np.array(self.settings["std_rgb"], np.float32)
        return np.ascontiguousarray(((square - mean) / std).transpose(2, 0, 1))

    def detect(
        self,
        loc_P4: Array,
        logits_PC: Array,
        coefs_PK: Array,
        protos_hwK: Array,
        priors_P4: Array,
        size: tuple[int, int],
    ) -> list[Detection]:
        """Raw outputs of one image to detections at its size (height, width)."""
        settings = self.settings
        probs_PC = softmax(logits_PC)
        sure = probs_PC[:, 1:].max(axis=1) > settings["confidence_threshold"]
        boxes_Q4 = decode(loc_P4[sure], priors_P4[sure])
        index, labels, scores = suppress(boxes_Q4, probs_PC[sure, 1:], settings)
        kept = scores > max(self.score_threshold, settings["score_threshold"])
        kept &= labels < len(settings["class_names"])
        index, labels, scores = index[kept], labels[kept], scores[kept]
        boxes_N4 = boxes_Q4[index]
        soft_Nhw = assemble(protos_hwK, coefs_PK[sure][index], boxes_N4)
        mask_scores = scores * self.rate(soft_Nhw, labels)
        pixels_N4 = to_pixels(boxes_N4, size, settings["integer_boxes"])
        return [
            Detection(
                settings["class_names"][label],
                int(label),
                float(score),
                float(mask_score),
                tuple(box.tolist()),
                *enlarge(soft, size),
            )
            for label, score, mask_score, box, soft in zip(
                labels, scores, mask_scores, pixels_N4, soft_Nhw, strict=True
            )
        ]

    def rate(self, soft_Nhw: Array, labels: Array) -> Array:
        """Predicted mask IoU of each detection; 1 for networks that do not rate masks."""
        if self.mask_iou is None or len(labels) == 0:
            return np.ones(len(labels), np.float32)
        (iou_NF,) = self.mask_iou.run(None, {"masks": soft_Nhw[:, None]})
        return iou_NF[np.arange(len(labels)), labels]


def softmax(logits_PC: Array) -> Array:
    powers = np.exp(logits_PC - logits_PC.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def decode(loc_Q4: Array, priors_Q4: Array) -> Array:
    """Box offsets and centre-form priors to corners relative to the image."""
    sides = priors_Q4[:, 2:]
    centre = priors_Q4[:, :2] + loc_Q4[:, :2] * CENTRE_VARIANCE * sides
    half = sides * np.exp(loc_Q4[:, 2:] * SIZE_VARIANCE) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def suppress(
    boxes_Q4: Array, probs_QF: Array, settings: dict[str, Any]
) -> tuple[Array, Array, Array]:
    """Fast NMS within each class, or across classes: indices, labels and scores, best first."""
    across = settings["mode"] == "cross_class"
    probs_FQ = probs_QF.max(axis=1)[None] if across else probs_QF.T
    best_FT = np.argsort(-probs_FQ, axis=1, kind="stable")[:, : settings["top_k"]]
    scores_FT = np.take_along_axis(probs_FQ, best_FT, axis=1)
    if scores_FT.size == 0:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32)
    overlap_FTT = np.triu(overlaps(boxes_Q4[best_FT]), k=1)
    class_F, rank_F = np.nonzero(overlap_FTT.max(axis=1) <= settings["nms_threshold"])
    index, scores = best_FT[class_F, rank_F], scores_FT[class_F, rank_F]
    labels = probs_QF[index].argmax(axis=1) if across else class_F
    order = np.argsort(-scores, kind="stable")[: None if across else settings["max_detections"]]
    return index[order], labels[order], scores[order]


def overlaps(boxes_FT4: Array) -> Array:
    """Intersection over union of all pairs within a class: [F, T, T]."""
    low = np.maximum(boxes_FT4[:, :, None, :2], boxes_FT4[:, None, :, :2])
    high = np.minimum(boxes_FT4[:, :, None, 2:], boxes_FT4[:, None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(boxes_FT4[..., 2:] - boxes_FT4[..., :2], axis=-1)
    with np.errstate(invalid="ignore"):
        return shared / (area[:, :, None] + area[:, None, :] - shared)


def assemble(protos_hwK: Array, coefs_NK: Array, boxes_N4: Array) -> Array:
    """Soft masks at prototype size, 0 outside their boxes: float32 [N, h, w]."""
    height, width, _ = protos_hwK.shape
    logits_Nhw = (coefs_NK @ protos_hwK.reshape(height * width, -1).T).reshape(-1, height, width)
    soft_Nhw = 1 / (1 + np.exp(-np.clip(logits_Nhw, -80, 80)))
    rows = _inside(boxes_N4[:, 1], boxes_N4[:, 3], height)
    columns = _inside(boxes_N4[:, 0], boxes_N4[:, 2], width)
    return (soft_Nhw * rows[:, :, None] * columns[:, None, :]).astype(np.float32)


def _inside(a_N: Array, b_N: Array, size: int) -> Array:
    low = np.maximum(np.minimum(a_N, b_N) * size - CROP_PADDING, 0)
    high = np.minimum(np.maximum(a_N, b_N) * size + CROP_PADDING, size)
    pixel = np.arange(size, dtype=np.float32)
    return (pixel >= low[:, None]) & (pixel < high[:, None])


def to_pixels(boxes_N4: Array, size: tuple[int, int], integer: bool) -> Array:
    height, width = size
    scaled = boxes_N4 * np.array([width, height, width, height], np.float32)
    low = np.maximum(np.minimum(scaled[:, :2], scaled[:, 2:]), 0)
    high = np.minimum(np.maximum(scaled[:, :2], scaled[:, 2:]), [width, height])
    pixels = np.concatenate([low, high], axis=1)
    return np.trunc(pixels) if integer else pixels


def taps(source: int, target: int) -> tuple[Array, Array, Array]:
    """Per target pixel its two source pixels and the second's weight; half-pixel centres."""
    scale = np.float32(source) / np.float32(target)
    position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    position = np.clip(position, np.float32(0), np.float32(source - 1))
    low = position.astype(np.int64)
    return low, np.minimum(low + 1, source - 1), position - low.astype(np.float32)


def resize(image: Array, height: int, width: int) -> Array:
    """Bilinear without antialiasing: float32 [H, W, channels] to another size."""
    low, high, weight = taps(image.shape[1], width)
    wide = image[:, low] * (1 - weight)[:, None] + image[:, high] * weight[:, None]
    low, high, weight = taps(image.shape[0], height)
    return wide[low] * (1 - weight)[:, None, None] + wide[high] * weight[:, None, None]


def enlarge(soft_hw: Array, size: tuple[int, int]) -> tuple[int, int, Array]:
    """A soft mask at image size and cut at 0.5, inside the window where it can be on."""
    on = soft_hw > 0.5
    if not on.any():
        return 0, 0, np.zeros((0, 0), bool)
    row, column = (
        _reach(np.any(on, axis=1 - axis), *taps(soft_hw.shape[axis], size[axis])) for axis in (0, 1)
    )
    top, low, high, weight = row
    left, low_x, high_x, weight_x = column
    wide = soft_hw[:, low_x] * (1 - weight_x) + soft_hw[:, high_x] * weight_x
    tall = wide[low] * (1 - weight)[:, None] + wide[high] * weight[:, None]
    return top, left, tall > 0.5


def _reach(on: Array, low: Array, high: Array, weight: Array) -> tuple[int, Array, Array, Array]:
    """The taps of the target pixels that see a source pixel from the first that is on."""
    indices = np.flatnonzero(on)
    first = int(np.searchsorted(high, indices[0], side="left"))
    last = int(np.searchsorted(low, indices[-1], side="right"))
    return first, low[first:last], high[first:last], weight[first:last]


def read_image(path: Path) -> Array:
    """RGB uint8 [H, W, 3], upright; by Pillow, else OpenCV, else numpy alone."""
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".ppm":
        return _read_ppm(path.read_bytes())
    try:
        from PIL import Image, ImageOps
    except ImportError:
        return _read_by_opencv(path)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            grey = (np.asarray(upright) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.asarray(upright.convert("RGB"))


def _read_by_opencv(path: Path) -> Array:
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            f"{path}: install pillow to read {path.suffix} files, or give .npy or .ppm"
        ) from error
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not an image that OpenCV reads")
    return image[:, :, ::-1]


def _read_ppm(content: bytes) -> Array:
    fields = content.split(maxsplit=4)
    if len(fields) < 5 or fields[0] != b"P6" or fields[3] != b"255":
        raise ValueError("only binary .ppm files (P6) of 8 bits and without comments are read")
    width, height = int(fields[1]), int(fields[2])
    return np.frombuffer(content, np.uint8)[-height * width * 3 :].reshape(height, width, 3)


def draw(image_rgb: Array, detections: list[Detection]) -> Array:
    """Masks and boxes over a copy of the image."""
    drawn = image_rgb.copy()
    for number, each in reversed(list(enumerate(detections))):
        colour = np.array(COLOURS[number % len(COLOURS)])
        rows, columns = each.window.shape
        part = drawn[each.top : each.top + rows, each.left : each.left + columns]
        part[each.window] = (0.5 * part[each.window] + 0.5 * colour).astype(np.uint8)
        x1, y1, x2, y2 = (int(value) for value in each.box_xyxy)
        for edge in (
            np.s_[y1, x1:x2],
            np.s_[max(y2 - 1, 0), x1:x2],
            np.s_[y1:y2, x1],
            np.s_[y1:y2, max(x2 - 1, 0)],
        ):
            if x2 > x1 and y2 > y1:
                drawn[edge] = colour
    return drawn


def write_png(path: Path, image_rgb: Array) -> None:
    """A PNG file with the standard library alone."""
    height, width, _ = image_rgb.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = image_rgb.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 3))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b""))


def to_record(file_name: str, each: Detection, size: tuple[int, int], category: int) -> dict:
    """A detection for detections.json; the mask as COCO's uncompressed run lengths."""
    flat = each.mask(*size).T.ravel()
    changes = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    x1, y1, x2, y2 = each.box_xyxy
    return {
        "file_name": file_name,
        "category_id": category,
        "class": each.name,
        "score": each.score,
        "mask_score": each.mask_score,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "segmentation": {"size": list(size), "counts": counts},
    }


def find_images(sources: list[Path]) -> list[Path]:
    """The files given, and those with an image's ending in the folders given."""
    found: list[Path] = []
    for source in sources:
        below = sorted(source.iterdir()) if source.is_dir() else [source]
        found += [p for p in below if p == source or p.suffix.lower() in ENDINGS]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Find and outline objects in images.")
    parser.add_argument("source", type=Path, nargs="+", help="image files or folders")
    here = Path(__file__).parent
    parser.add_argument("--model", type=Path, default=here / "network.onnx")
    parser.add_argument("--output", type=Path, default=Path("predictions"))
    parser.add_argument("--score-threshold", type=float, default=0.15)
    parser.add_argument("--provider", action="append", help="of onnxruntime, e.g. CUDA...")
    chosen = parser.parse_args()
    network = Network(chosen.model, chosen.score_threshold, chosen.provider)
    chosen.output.mkdir(parents=True, exist_ok=True)
    records, done, failed = [], 0, 0
    for path in find_images(chosen.source):
        try:
            image = read_image(path)
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise ValueError(f"{path}: uint8 [H, W, 3] is needed, not {image.shape}")
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        found = network(image)
        ids = network.settings["category_ids"]
        records += [to_record(path.name, d, image.shape[:2], ids[d.label]) for d in found]
        write_png(chosen.output / f"{path.stem}.png", draw(image, found))
        print(f"{path}: " + ", ".join(f"{d.name} {d.score:.2f}" for d in found))
        done += 1
    (chosen.output / "detections.json").write_text(json.dumps(records))
    print(f"{done} images predicted, {failed} failed; written to {chosen.output}")
    return 0 if done and not failed else 1 if done else 2


if __name__ == "__main__":
    sys.exit(main())
