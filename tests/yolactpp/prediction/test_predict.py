"""python -m yolactpp.predict: what it writes, what it says and its exit status."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from tests.yolactpp.prediction.made_model import CLASS_NAMES, scene
from yolactpp.engine.failures import BadInputError
from yolactpp.option_names import quote_numbers
from yolactpp.path_arguments import quote_paths
from yolactpp.predict import PLACES, output_folder, predict

ROOT = Path(__file__).parents[3]


def settings(checkpoint: Path, *overrides: str) -> DictConfig:
    arguments = [f"run={checkpoint}", "runtime.device=cpu", *overrides]
    with initialize_config_module("conf", version_base="1.3"):
        return compose("predict", quote_numbers(quote_paths(arguments, PLACES)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    image = scene(0)
    cv2.imwrite(str(folder / "IMG (1), a=b.png"), image)
    cv2.imwrite(str(folder / "grey.png"), image[:, :, 0])
    cv2.imwrite(str(folder / "deep.png"), image.astype(np.uint16) << 8)
    cv2.imwrite(str(folder / "rgba.png"), np.dstack([image, image[:, :, 0]]))
    cv2.imwrite(str(folder / "one.png"), image[:1, :1])
    return folder


def test_a_folder(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    predict(
        settings(
            checkpoint,
            f"source={photos}",
            f"output={output}",
            "write=[overlay,coco,polygons]",
            "batch=2",
            "max_detections=4",
        )
    )
    images = json.loads((output / "coco" / "images.json").read_text())
    assert [each["file_name"] for each in images["images"]] == sorted(
        path.name for path in photos.iterdir()
    )
    assert [each["name"] for each in images["categories"]] == CLASS_NAMES
    records = json.loads((output / "coco" / "segm.json").read_text())
    assert {record["image_id"] for record in records} <= {1, 2, 3, 4, 5}
    assert len(records) > 4
    assert (output / "overlay" / "IMG (1), a=b.jpg").exists()
    assert len(list((output / "polygons").iterdir())) == 5


def test_some_inputs_fail(
    checkpoint: Path, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "zero.jpg").write_bytes(b"")
    logging.getLogger("yolactpp").propagate = True
    with pytest.raises(SystemExit) as stop, caplog.at_level(logging.INFO, "yolactpp"):
        predict(settings(checkpoint, f"source={photos}", f"output={tmp_path}/out", "write=coco"))
    assert stop.value.code == 1
    assert "zero.jpg: the file is empty" in caplog.text
    assert "5 images" in caplog.text
    assert "1 inputs failed" in caplog.text
    assert len(json.loads((tmp_path / "out/coco/images.json").read_text())["images"]) == 5


def test_nothing_can_be_used(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "zero.jpg").write_bytes(b"")
    with pytest.raises(BadInputError, match="nothing of it can be used"):
        predict(settings(checkpoint, f"source={tmp_path}/zero.jpg", f"output={tmp_path}/out"))


def test_video_in_and_out(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (128, 128))
    for number in range(3):
        video.write(scene(number))
    video.release()
    predict(settings(checkpoint, f"source={path}", f"output={tmp_path}/out", "max_detections=3"))
    written = cv2.VideoCapture(str(tmp_path / "out" / "overlay" / "clip.mp4"))
    assert written.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert written.get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch=0", "batch=0: give a whole number from 1 on"),
        ("batch=many", "batch=many: give a whole number"),
        ("frames=-1", "frames=-1"),
        ("score_threshold=high", "score_threshold=high: give a number"),
        ("score_threshold=2", "score_threshold=2"),
        ("max_detections=0", "max_detections=0"),
        ("write=[overlay,movies]", "choose one or more of overlay"),
        ("checkpoint=first", None),
    ],
)
def test_settings_out_of_range(
    checkpoint: Path, tmp_path: Path, override: str, message: str | None
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene(0))
    run = checkpoint
    if message is None:
        (tmp_path / "config.yaml").write_text("")
        run, message = tmp_path, "choose last or best"
    with pytest.raises(BadInputError, match=message.replace("[", r"\[")):
        predict(settings(run, f"source={tmp_path}/a.png", f"output={tmp_path}/out", override))


def test_output_that_cannot_be_made(checkpoint: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene(0))
    with pytest.raises(BadInputError, match="cannot be made"):
        predict(settings(checkpoint, f"source={tmp_path}/a.png", f"output={tmp_path}/a.png/out"))


def test_where_results_go(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    assert output_folder(None, tmp_path, "photos") == tmp_path / "predicted" / "photos"
    assert output_folder(None, tmp_path / "w.pt", "photos") == Path("predictions/photos")
    assert output_folder("there", tmp_path, "photos") == Path("there")


@pytest.mark.parametrize(
    "name", ["plain.jpg", "a b (2), c=d [x] {y}.jpg", "it's.jpg", "back\\", "q\\'q", "0", 'say "x"']
)
def test_any_path_survives_the_command_line(name: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        cfg = compose("predict", quote_paths([f"source={name}", "run=r", "output=null"], PLACES))
    assert str(cfg.source) == name
    assert cfg.output is None


def test_quoted_by_the_person() -> None:
    arguments = ["source='a b.jpg'", "write=[coco]", "batch=2", "--help", "source="]
    assert quote_paths(arguments, PLACES) == arguments


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("photos", 0, "written to predictions/photos"),
        ("mixed", 1, "1 inputs failed"),
        ("empty", 2, "error: source=empty holds no image"),
        ("photos batch.size=1", 2, "error:"),
    ],
)
def test_exit_status(
    checkpoint: Path, photos: Path, tmp_path: Path, source: str, status: int, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.png").write_bytes((photos / "grey.png").read_bytes())
    (tmp_path / "mixed" / "b.png").write_bytes(b"")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "yolactpp.predict",
            f"run={checkpoint}",
            *f"source={source}".split(),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DISPLAY": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_twenty_megapixels_cmyk_and_exif(checkpoint: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "big.jpg"), cv2.resize(scene(0), (5472, 3648)))
    rgb = np.ascontiguousarray(scene(1)[:, :, ::-1])
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb[:60]).save(folder / "turned.jpg", exif=exif)
    predict(
        settings(
            checkpoint, f"source={folder}", f"output={tmp_path}/out", "score_threshold=0.5",
            "write=[overlay,coco,png,polygons]", "max_detections=10", "batch=2",
        )
    )  # fmt: skip
    images = json.loads((tmp_path / "out/coco/images.json").read_text())["images"]
    assert [(each["width"], each["height"]) for each in images] == [
        (5472, 3648),
        (128, 128),
        (60, 128),
    ]
    assert cv2.imread(str(tmp_path / "out/overlay/big.jpg")).shape == (3648, 5472, 3)
