"""scripts/prepare_nuclei on a made folder in stage1_train's layout."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from yolactpp.data.checks import check_dataset
from yolactpp.data.coco import CocoDataset

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_nuclei"
SPLITS = {
    split: (f"{split}/images", f"{split}/coco_annotations.json") for split in ("train", "val")
}


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[1])


def make_image(folder: Path, objects: int) -> np.ndarray:
    """RGBA image and one mask file an object, each a row of its own."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    masks = np.zeros((objects, 24, 32), np.uint8)
    for row, mask in enumerate(masks):
        mask[2 + 3 * row : 4 + 3 * row, 5:15] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{row:03d}.png")
    rgba = np.full((24, 32, 4), 255, np.uint8)
    rgba[:, :, :3] = 40
    Image.fromarray(rgba).save(folder / "images" / f"{folder.name}.png")
    return masks // 255


def test_builds_a_sound_data_set(tmp_path):
    expected = {}
    for number in range(20):
        name = f"{number:02d}" + "f" * 62
        expected[name[:12] + ".png"] = make_image(tmp_path / "stage1_train" / name, 1 + number % 4)
    done = run(tmp_path / "stage1_train", tmp_path / "nuclei", "--val-share", 0.3)
    assert done.returncode == 0, done.stderr
    assert check_dataset(tmp_path / "nuclei", SPLITS) == []
    seen = 0
    for split in SPLITS:
        dataset = CocoDataset(tmp_path / "nuclei", *SPLITS[split])
        assert dataset.class_names == ["nucleus"]
        seen += len(dataset)
        names = sorted(path.name for path in (tmp_path / "nuclei" / split / "images").iterdir())
        for index, name in enumerate(names):
            np.testing.assert_array_equal(dataset[index].masks, expected[name])
            assert (dataset[index].image_bgr == 40).all()
    assert seen == 20


def test_a_folder_of_another_layout_is_named(tmp_path):
    done = run(tmp_path, tmp_path / "nuclei")
    assert done.returncode == 2
    assert "no ID/images folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_folder_is_named(tmp_path):
    done = run(tmp_path / "nowhere", tmp_path / "nuclei")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
