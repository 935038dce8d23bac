"""Batches depend on seed and iteration: not on workers, ranks or where training was resumed."""

import numpy as np
import pytest
import torch

from tests.yolactpp.data import coco_folder
from yolactpp.data.augment import TrainTransform
from yolactpp.data.coco import CocoDataset
from yolactpp.data.loader import TrainSampler, collate, eval_loader, random_state, train_loader
from yolactpp.data.resize import EvalTransform
from yolactpp.structures import PADDING


@pytest.fixture
def dataset(tmp_path):
    return CocoDataset(
        coco_folder.write(tmp_path, coco_folder.content()), "images", "annotations.json"
    )


def batches(dataset, start=0, iterations=5, transform=None, **options):
    options = {"batch_size": 4, "seed": 7} | options
    loader = train_loader(
        dataset,
        transform or TrainTransform(32),
        start_iteration=start,
        iterations=iterations,
        **options,
    )
    assert len(loader) == iterations - start
    return list(loader)


def assert_equal(first, second):
    assert len(first) == len(second)
    for (images_a, targets_a), (images_b, targets_b) in zip(first, second, strict=True):
        assert torch.equal(images_a, images_b)
        assert torch.equal(targets_a.boxes_BM4, targets_b.boxes_BM4)
        assert torch.equal(targets_a.labels_BM, targets_b.labels_BM)
        assert torch.equal(targets_a.masks_GHW, targets_b.masks_GHW)


def test_same_seed_same_batches_other_seed_others(dataset):
    assert_equal(batches(dataset), batches(dataset))
    assert not torch.equal(batches(dataset)[0][0], batches(dataset, seed=8)[0][0])


def test_resumed_anywhere(dataset):
    whole = batches(dataset, iterations=6)
    for start in range(6):
        assert_equal(batches(dataset, start=start, iterations=6), whole[start:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_change_nothing(dataset):
    assert_equal(batches(dataset), batches(dataset, workers=2))


def test_global_random_state_is_neither_used_nor_moved(dataset):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state()
    first = batches(dataset)
    assert torch.equal(before, torch.get_rng_state())
    assert np.random.uniform() == np.random.RandomState(5).uniform()
    assert_equal(first, batches(dataset))


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_share_the_batch_of_one_process(dataset, world_size):
    whole = batches(dataset)
    shares = [batches(dataset, rank=rank, world_size=world_size) for rank in range(world_size)]
    for iteration, (images, targets) in enumerate(whole):
        parts = [share[iteration] for share in shares]
        assert torch.equal(torch.cat([part[0] for part in parts]), images)
        masks = torch.cat([part[1].masks_GHW for part in parts])
        assert torch.equal(masks, targets.masks_GHW)


def test_fewer_images_than_ranks_is_refused(dataset):
    with pytest.raises(ValueError, match="batch_size=1 is less than the 2 processes"):
        batches(dataset, batch_size=1, world_size=2)


def test_epochs_are_permutations_and_drop_the_last_partial_batch():
    draws = [draw for batch in TrainSampler(10, 4, 0, range(4)) for draw in batch]
    first, second = draws[:8], draws[8:]
    assert {draw.epoch for draw in first} == {0}
    assert {draw.epoch for draw in second} == {1}
    assert len({draw.index for draw in first}) == len({draw.index for draw in second}) == 8
    assert [draw.index for draw in first] != [draw.index for draw in second]


def test_small_data_set_fills_the_batch_with_different_epochs():
    (batch,) = TrainSampler(3, 8, 0, range(1))
    assert len(set(batch)) == 8
    assert sorted(draw.epoch for draw in batch) == [0, 0, 0, 1, 1, 1, 2, 2]


def test_without_shuffling_the_order_is_the_files():
    draws = [
        draw.index for batch in TrainSampler(6, 2, 0, range(4), shuffle=False) for draw in batch
    ]
    assert draws == [0, 1, 2, 3, 4, 5, 0, 1]


def test_random_state_is_the_same_everywhere():
    assert random_state(1, 2, 3).randint(0, 2**31, 3).tolist() == [622520215, 803135129, 253079078]
    assert random_state(1, 23).uniform() != random_state(12, 3).uniform()


def test_empty_images_are_redrawn_where_asked(dataset):
    kept = batches(dataset, batch_size=3, shuffle=False)
    assert any((targets.labels_BM[2] == PADDING).all() for _, targets in kept)
    redrawn = batches(
        dataset, batch_size=3, shuffle=False, transform=TrainTransform(32, redraw_empty_images=True)
    )
    for _, targets in redrawn:
        assert (targets.labels_BM != PADDING).any(dim=1).all()


def test_collation_of_nothing_but_empty_images():
    item = (torch.zeros(3, 8, 8), torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0, 8, 8))
    images, targets = collate([item, item])
    assert images.shape == (2, 3, 8, 8)
    assert targets.masks_GHW.shape == (0, 8, 8)
    assert (targets.labels_BM == PADDING).all()


def test_evaluation_visits_every_image_once_over_ranks(dataset):
    seen = []
    for rank in range(2):
        loader = eval_loader(dataset, EvalTransform(16), batch_size=2, rank=rank, world_size=2)
        for images, infos in loader:
            assert images.shape[1:] == (3, 16, 16)
            assert all((info.height, info.width) == (20, 30) for info in infos)
            seen += [info.image_id for info in infos]
    assert sorted(seen) == [3, 12, 70]
