"""A COCO data set as it is: any ids, crowds, images without annotations, subsets of classes."""

import pickle

import numpy as np
import pytest

from tests.yolactpp.data import coco_folder
from yolactpp.data.annotation_file import DatasetError
from yolactpp.data.coco import CocoDataset


def load(root, **options):
    return CocoDataset(root, "images", "annotations.json", **options)


@pytest.fixture
def root(tmp_path):
    return coco_folder.write(tmp_path, coco_folder.content())


def test_classes_are_the_files_in_order_of_id(root):
    dataset = load(root)
    assert dataset.class_names == ["bee", "ant", "cat"]
    assert dataset.category_ids == [0, 7, 90]
    assert dataset.annotations_file == root / "annotations.json"


def test_sample_with_its_crowd_last(root):
    dataset = load(root)
    assert dataset.image_ids == [70, 3, 12]
    sample = dataset[1]
    assert sample.image_id == 3
    assert sample.image_bgr.shape == (20, 30, 3)
    assert sample.image_bgr.dtype == np.uint8
    assert (sample.image_bgr == 20).all()
    np.testing.assert_array_equal(sample.labels, [2, -1])
    np.testing.assert_array_equal(sample.boxes_xyxy, [[2, 3, 12, 13], [0, 0, 30, 20]])
    np.testing.assert_array_equal(sample.masks.sum(axis=(1, 2)), [100, 600])
    assert sample.masks[0, 3:13, 2:12].all()


def test_image_without_annotations_is_a_sample(root):
    sample = load(root)[2]
    assert sample.boxes_xyxy.shape == (0, 4)
    assert sample.labels.shape == (0,)
    assert sample.masks.shape == (0, 20, 30)


def test_dropping_empty_images_takes_the_annotations_order(root):
    assert load(root, keep_empty_images=False).image_ids == [3, 70]


def test_subset_of_classes(root):
    dataset = load(root, classes=["cat", "bee"])
    assert dataset.class_names == ["bee", "cat"]
    np.testing.assert_array_equal(dataset[1].labels, [1])
    assert len(dataset.relative_boxes()) == 2


def test_unknown_class_lists_the_good_ones(root):
    with pytest.raises(DatasetError, match="no category dog; it holds: cat, ant, bee"):
        load(root, classes=["dog"])


def test_equal_names_are_told_apart(tmp_path):
    content = coco_folder.content()
    content["categories"][1]["name"] = "cat"
    assert load(coco_folder.write(tmp_path, content)).class_names == ["bee", "cat (7)", "cat (90)"]


def test_relative_boxes_leave_crowds_out(root):
    expected = [[20 / 30, 5 / 20, 25 / 30, 10 / 20], [2 / 30, 3 / 20, 12 / 30, 13 / 20]]
    np.testing.assert_allclose(load(root).relative_boxes(), expected)


def test_invalid_annotations_can_be_dropped(tmp_path):
    content = coco_folder.content()
    content["annotations"][1]["bbox"] = [2, 3, 10, 0]
    dataset = load(coco_folder.write(tmp_path, content), drop_invalid=True)
    assert dataset.dropped == 1
    np.testing.assert_array_equal(dataset[1].labels, [-1])


def test_image_of_another_size_is_named(tmp_path):
    content = coco_folder.content()
    content["images"][0]["width"] = 31
    with pytest.raises(DatasetError, match=r"a\.png: 30 x 20 pixels, but .* says 31 x 20"):
        load(coco_folder.write(tmp_path, content))[0]


def test_cached_images_are_the_files(root):
    cached, plain = load(root, cache_images=True), load(root)
    for index in range(len(plain)):
        np.testing.assert_array_equal(cached.read_image(index), plain.read_image(index))
    (root / "images" / "a.png").unlink()
    assert (cached[0].image_bgr == 10).all()


def test_2014_names_find_2017_files(tmp_path):
    content = coco_folder.content()
    content["images"][0]["file_name"] = "COCO_val2014_a.png"
    assert (load(coco_folder.write(tmp_path, content))[0].image_bgr == 10).all()


def test_survives_pickling(root):
    dataset = pickle.loads(pickle.dumps(load(root)))
    np.testing.assert_array_equal(dataset[1].labels, [2, -1])


def test_index_out_of_range_ends_iteration(root):
    assert len(list(load(root))) == 3


def test_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(DatasetError, match=r"Where to get it: the moon.*dataset\.root"):
        load(tmp_path, source="the moon")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not JSON"), ("[]", "no list images"), ("{}", "no list images")]
)
def test_unusable_annotation_file(tmp_path, text, message):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        load(tmp_path)


def test_no_image_left(tmp_path):
    content = coco_folder.content()
    content["annotations"] = []
    with pytest.raises(DatasetError, match="no image to use"):
        load(coco_folder.write(tmp_path, content), keep_empty_images=False)
