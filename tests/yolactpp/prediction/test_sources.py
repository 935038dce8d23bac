"""What source= can be, and what becomes of inputs that cannot be used."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolactpp.engine.failures import BadInputError
from yolactpp.prediction.frames import Failure, Frame, Source, safe_name, unique_names
from yolactpp.prediction.sources import open_source

GREY = np.full((6, 8, 3), 90, np.uint8)


def write(path: Path, image: np.ndarray = GREY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def write_video(path: Path, frames: int, codec: str = "MJPG") -> Path:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 12.0, (64, 48))
    rng = np.random.RandomState(0)
    for _ in range(frames):
        video.write(rng.randint(0, 256, (48, 64, 3), np.uint8))
    video.release()
    return path


def frames_of(source: Source) -> list[Frame]:
    return [item for item in source.frames if isinstance(item, Frame)]


def test_one_image(tmp_path: Path) -> None:
    source = open_source(str(write(tmp_path / "photo.png")))
    (frame,) = frames_of(source)
    assert (source.name, source.total, source.fps) == ("photo", 1, None)
    assert (frame.name, frame.file_name, frame.image_id) == ("photo", "photo.png", 1)
    np.testing.assert_array_equal(frame.image_bgr, GREY)


def test_folder_with_folders_below(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "below/c.PNG", ".hidden/d.png", ".e.png"):
        write(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("none")
    source = open_source(str(tmp_path / "in"))
    frames = frames_of(source)
    assert source.name == "in"
    assert [frame.file_name for frame in frames] == ["a.jpg", "b.png", "below/c.PNG"]
    assert [frame.image_id for frame in frames] == [1, 2, 3]


def test_bad_files_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "c.png").write_bytes(b"not a picture at all")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "d.png").write_bytes(content[: len(content) // 2])
    write(tmp_path / "e.png", np.zeros((1, 1, 3), np.uint8))
    items = list(open_source(str(tmp_path)).frames)
    assert [type(item) for item in items] == [Frame, Failure, Failure, Failure, Frame]
    messages = [item.message for item in items if isinstance(item, Failure)]
    assert "b.jpg: the file is empty (0 bytes)" in messages[0]
    assert "c.png: not an image" in messages[1]
    assert "d.png: cut off" in messages[2]


def test_pattern(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/b.png", "two/b.txt"):
        write(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("")
    frames = frames_of(open_source(f"{tmp_path}/**/*"))
    assert [frame.file_name for frame in frames] == ["one/a.png", "two/b.png"]
    with pytest.raises(BadInputError, match="matches 1 files and no image among them"):
        open_source(f"{tmp_path}/two/*.txt")


def test_folder_whose_name_holds_brackets(tmp_path: Path) -> None:
    write(tmp_path / "shot [1]" / "a.png")
    assert len(frames_of(open_source(str(tmp_path / "shot [1]")))) == 1


def test_coco_file(tmp_path: Path) -> None:
    write(tmp_path / "val" / "images" / "x.png")
    listed = [{"id": 40, "file_name": "x.png"}, {"id": 41, "file_name": "../gone.png"}]
    annotations = tmp_path / "val" / "coco.json"
    annotations.write_text(json.dumps({"images": listed}))
    frame, failure = open_source(str(annotations)).frames
    assert isinstance(frame, Frame)
    assert (frame.image_id, frame.file_name) == (40, "x.png")
    assert isinstance(failure, Failure)
    assert "gone.png" in failure.message
    write(tmp_path / "elsewhere" / "x.png")
    frame, _ = open_source(str(annotations), images=tmp_path / "elsewhere").frames
    assert isinstance(frame, Frame)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": [{"id": 1}]}'])
def test_json_that_is_no_coco_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(BadInputError, match="is no COCO file"):
        open_source(str(tmp_path / "a.json"))


def test_coco_file_without_images(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(BadInputError, match="lists no image"):
        open_source(str(tmp_path / "a.json"))


def test_video(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "clip.avi", 5)))
    assert (source.name, source.total, source.fps) == ("clip", 5, 12.0)
    items = list(source.frames)
    assert all(isinstance(item, Frame) for item in items)
    last = items[-1]
    assert isinstance(last, Frame)
    assert (last.name, last.file_name, last.image_id) == ("clip/000005", "clip.avi#000005", 5)
    assert last.image_bgr.shape == (48, 64, 3)


def test_first_frames_of_a_video(tmp_path: Path) -> None:
    source = open_source(str(write_video(tmp_path / "clip.avi", 5)), frames=2)
    assert source.total == 2
    assert len(list(source.frames)) == 2


def test_video_that_is_cut_off(tmp_path: Path) -> None:
    content = write_video(tmp_path / "clip.avi", 20).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    items = list(open_source(str(tmp_path / "cut.avi")).frames)
    assert 5 <= len(items) - 1 <= 15
    assert isinstance(items[-1], Failure)
    assert f"{len(items) - 1} of 20 frames can be read" in items[-1].message


def test_video_without_its_index(tmp_path: Path) -> None:
    content = write_video(tmp_path / "clip.mp4", 5, "mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    (tmp_path / "none.mp4").write_bytes(b"")
    with pytest.raises(BadInputError, match="cannot open it as a video"):
        open_source(str(tmp_path / "cut.mp4"))
    with pytest.raises(BadInputError, match="empty"):
        open_source(str(tmp_path / "none.mp4"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.jpg", "no such file or folder"),
        ("9731", "no camera of that number"),
        ("empty", "holds no image: it is empty"),
        ("texts", "none of its 1 files is one"),
    ],
)
def test_sources_that_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    with pytest.raises(BadInputError, match=message):
        open_source(source)


def test_names_stay_inside_the_output_folder() -> None:
    assert safe_name("../../etc/a.png") == "etc/a.png"
    assert safe_name("/abs/b.png") == "abs/b.png"
    assert safe_name("..\\c.png") == "c.png"
    assert safe_name("..") == "unnamed"


def test_names_are_unique() -> None:
    assert unique_names(["a.png", "a.jpg", "b/a.png", "../a.jpg"]) == ["a", "a_jpg", "b/a", "a_2"]
