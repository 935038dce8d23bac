"""Every fault of a data set is found, in one list that names file and entry."""

import re

import pytest
from PIL import Image

from tests.yolactpp.data import coco_folder
from yolactpp.data.checks import check_dataset

SPLITS = {"train": ("images", "annotations.json")}


def findings(root, **options):
    return [str(each) for each in check_dataset(root, SPLITS, **options)]


def test_a_sound_set_with_crowds_and_empty_images_has_none(tmp_path):
    assert findings(coco_folder.write(tmp_path, coco_folder.content())) == []


def edit_string_id(content):
    content["images"][0]["id"] = "70"


def edit_duplicate_image(content):
    content["images"].append(dict(content["images"][0]))


def edit_duplicate_annotation(content):
    content["annotations"][1]["id"] = 5


def edit_unknown_image(content):
    content["annotations"][1]["image_id"] = 99


def edit_unknown_category(content):
    content["annotations"][1]["category_id"] = 91


def edit_zero_area(content):
    content["annotations"][1]["bbox"] = [2, 3, 0, 10]


def edit_outside(content):
    content["annotations"][1]["bbox"] = [25, 3, 10, 10]


def edit_bbox_text(content):
    content["annotations"][1]["bbox"] = [2, 3, "4", 10]


def edit_no_bbox(content):
    del content["annotations"][1]["bbox"]


def edit_polygon(content):
    content["annotations"][1]["segmentation"] = [[1, 2, 3]]


def edit_run_lengths(content):
    content["annotations"][0]["segmentation"]["counts"] = [0, 599]


def edit_size(content):
    content["images"][1]["height"] = 21


def edit_missing(content):
    content["images"][1]["file_name"] = "nowhere.png"


def edit_escape(content):
    content["images"][1]["file_name"] = "../images/b.png"


def edit_absolute(content):
    content["images"][1]["file_name"] = "/etc/passwd"


def edit_no_size(content):
    del content["images"][1]["width"]


def edit_string_category(content):
    content["categories"][0]["id"] = "90"


def edit_nameless_category(content):
    del content["categories"][0]["name"]


def edit_stray_entry(content):
    content["annotations"].append(7)


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (edit_string_id, r"annotations\.json: image at place 0: id '70' is not an integer"),
        (edit_duplicate_image, r"image 70: this id is used 2 times"),
        (edit_duplicate_annotation, r"annotation 5: this id is used 2 times"),
        (edit_unknown_image, r"annotation 2: unknown image_id 99"),
        (edit_unknown_category, r"annotation 2: unknown category_id 91"),
        (edit_zero_area, r"annotation 2: zero-area box"),
        (edit_outside, r"annotation 2: box \[25, 3, 10, 10\] leaves the 30 x 20 image"),
        (edit_bbox_text, r"annotation 2: bbox .* is not a list of 4 finite numbers"),
        (edit_no_bbox, r"annotation 2: bbox None"),
        (edit_polygon, r"annotation 2: broken polygon"),
        (edit_run_lengths, r"annotation 1: broken RLE: counts add up to 599"),
        (edit_size, r"image 3: .*b\.png has 30 x 20 pixels .* says 30 x 21"),
        (edit_missing, r"image 3: .*nowhere\.png: no such file"),
        (edit_escape, r"image 3: file_name '\.\./images/b\.png' leaves the folder"),
        (edit_absolute, r"image 3: file_name '/etc/passwd' leaves the folder"),
        (edit_no_size, r"image 3: height, width \(20, None\) are not positive"),
        (edit_string_category, r"category at place 0: id '90' is not an integer"),
        (edit_nameless_category, r"category 90: name None"),
        (edit_stray_entry, r"annotation at place 3: not an object: 7"),
    ],
)
def test_each_fault_is_found(tmp_path, edit, finding):
    content = coco_folder.content()
    edit(content)
    found = findings(coco_folder.write(tmp_path, content))
    assert any(re.search(finding, each) for each in found), found


def test_all_faults_come_in_one_list(tmp_path):
    content = coco_folder.content()
    for edit in (edit_zero_area, edit_missing, edit_string_category, edit_duplicate_image):
        edit(content)
    found = findings(coco_folder.write(tmp_path, content))
    assert len(found) >= 4


def test_faulty_boxes_that_will_be_dropped_are_none(tmp_path):
    content = coco_folder.content()
    edit_zero_area(content)
    edit_polygon(content)
    assert findings(coco_folder.write(tmp_path, content), drop_invalid=True) == []


def test_missing_folder_says_where_to_get_it(tmp_path):
    (found,) = findings(tmp_path / "nothing", source="the moon")
    assert "nothing: not there. Where to get it: the moon. Set dataset.root" in found


def test_missing_annotation_file(tmp_path):
    (found,) = findings(tmp_path)
    assert "annotations.json: not there. Set dataset.root" in found


def test_unknown_class(tmp_path):
    root = coco_folder.write(tmp_path, coco_folder.content())
    (found,) = findings(root, classes=["dog"])
    assert "no category dog; it holds: cat, ant, bee" in found


def test_unreadable_image(tmp_path):
    root = coco_folder.write(tmp_path, coco_folder.content())
    (root / "images" / "a.png").write_bytes(b"")
    (found,) = findings(root)
    assert re.search(r"image 70: .*a\.png: the file is empty", found)


def test_decoding_finds_a_file_cut_off(tmp_path):
    root = coco_folder.write(tmp_path, coco_folder.content())
    path = root / "images" / "a.png"
    path.write_bytes(path.read_bytes()[:-8])
    assert findings(root) == []
    (found,) = findings(root, decode_images=True)
    assert "cut off" in found


def test_sizes_are_those_after_exif_orientation(tmp_path):
    root = coco_folder.write(tmp_path, coco_folder.content())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(root / "images" / "a.png", exif=exif)
    (found,) = findings(root)
    assert "20 x 30 pixels (upright)" in found


def test_splits_with_different_categories(tmp_path):
    coco_folder.write(tmp_path, coco_folder.content())
    content = coco_folder.content()
    content["categories"][0]["name"] = "dog"
    coco_folder.write(tmp_path, content, "val.json")
    splits = SPLITS | {"val": ("images", "val.json")}
    (found,) = map(str, check_dataset(tmp_path, splits))
    assert "val.json: categories" in found
    assert "differ from those of train" in found
