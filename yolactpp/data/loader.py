"""Loaders whose content depends on seed and iteration alone, not on workers or on resuming."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from yolactpp.data.augment import TrainItem, TrainTransform, UnrenderedItem
from yolactpp.data.coco import CocoDataset, Sample
from yolactpp.data.unrendered import UnrenderedImages
from yolactpp.structures import Targets

REDRAWS = 100


@dataclass(frozen=True)
class ImageInfo:
    """Which image an evaluation input came from, and its size in pixels."""

    image_id: int
    height: int
    width: int


@dataclass(frozen=True)
class Draw:
    """One sample of training: an image, and the epoch that gives its randomness."""

    epoch: int
    index: int


def train_loader(
    dataset: CocoDataset,
    transform: Callable[[Sample, np.random.RandomState], TrainItem],
    *,
    batch_size: int,
    seed: int,
    start_iteration: int,
    iterations: int,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    shuffle: bool = True,
    pin_memory: bool = False,
    unrendered: bool = False,
) -> DataLoader:
    """One batch `(images_B3SS, Targets)` for each iteration start_iteration..iterations-1.

    Args:
        dataset: the training split.
        transform: augments each sample; for `unrendered` a TrainTransform.
        batch_size: images of the global batch; each rank yields its share, in order of rank.
        seed: with the epoch it gives the order, with epoch and image each sample's randomness.
        start_iteration: first iteration, 0 or where a checkpoint stands.
        iterations: iterations of the whole training.
        rank: this process.
        world_size: number of processes.
        workers: processes that load; never changes what is loaded.
        shuffle: whether each epoch has its own order.
        pin_memory: whether batches come in page-locked memory.
        unrendered: whether `UnrenderedImages` take the place of the images, for
            `yolactpp.data.rendering.RenderedBatches`.

    Raises:
        ValueError: fewer images in the batch than processes.
        TypeError: another transform than TrainTransform, and `unrendered`.
    """
    item_of: Callable[[Sample, np.random.RandomState], TrainItem | UnrenderedItem] = transform
    if unrendered:
        if type(transform) is not TrainTransform:
            raise TypeError(f"{type(transform).__name__} renders its own pixels")
        item_of = transform.unrendered
    if batch_size < world_size:
        raise ValueError(
            f"batch_size={batch_size} is less than the {world_size} processes that share it; "
            f"set batch_size.total={world_size} or more"
        )
    sampler = TrainSampler(
        len(dataset),
        batch_size,
        seed,
        range(start_iteration, iterations),
        rank,
        world_size,
        shuffle,
    )
    return DataLoader(
        _TrainItems(
            dataset,
            item_of,
            seed,
            redraw=bool(getattr(transform, "redraw_empty_images", False)),
        ),
        batch_sampler=sampler,
        collate_fn=collate_unrendered if unrendered else collate,
        generator=torch.Generator().manual_seed(seed),
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
    )


def eval_loader(
    dataset: CocoDataset,
    transform: Callable[[np.ndarray], Tensor],
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    pin_memory: bool = False,
) -> DataLoader:
    """Batches `(images_B3SS, list[ImageInfo])` over this rank's share of the images, in order."""
    return DataLoader(
        _EvalItems(dataset, transform, range(rank, len(dataset), world_size)),
        batch_size=batch_size,
        collate_fn=_collate_images,
        generator=torch.Generator().manual_seed(0),
        num_workers=workers,
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
    )


class TrainSampler(Sampler[list[Draw]]):
    """The draws of each batch. An epoch drops its last, partial batch, as the original does; a data
    set smaller than a batch is repeated to fill it.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        seed: int,
        iterations: range,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.iterations = iterations
        self.share = np.array_split(np.arange(batch_size), world_size)[rank]
        self.shuffle = shuffle
        self.epoch_length = images // batch_size * batch_size or images

    def __len__(self) -> int:
        return len(self.iterations)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, order = -1, np.arange(self.images)
        for iteration in self.iterations:
            draws = []
            for place in iteration * self.batch_size + self.share:
                if place // self.epoch_length != epoch:
                    epoch = int(place // self.epoch_length)
                    order = self._order(epoch)
                draws.append(Draw(epoch, int(order[place % self.epoch_length])))
            yield draws

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.images)
        return random_state(self.seed, epoch).permutation(self.images)


def random_state(*key: int) -> np.random.RandomState:
    """A generator from integers by SHA-256: equal on every machine, unrelated for near keys."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.RandomState(np.frombuffer(digest, dtype="<u4"))


def collate(items: list[TrainItem]) -> tuple[Tensor, Targets]:
    """Stack images and collate the ground truth."""
    images, boxes, labels, masks = (list(each) for each in zip(*items, strict=True))
    return torch.stack(images), Targets.from_images(boxes, labels, masks)


def collate_unrendered(items: list[UnrenderedItem]) -> tuple[UnrenderedImages, Targets]:
    """The same for images whose pixels are still to be computed."""
    images, boxes, labels, masks = (list(each) for each in zip(*items, strict=True))
    return UnrenderedImages.together(images), Targets.from_images(boxes, labels, masks)


class _TrainItems(Dataset[TrainItem | UnrenderedItem]):
    def __init__(
        self,
        dataset: CocoDataset,
        transform: Callable[[Sample, np.random.RandomState], TrainItem | UnrenderedItem],
        seed: int,
        *,
        redraw: bool,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.seed = seed
        self.redraw = redraw

    def __getitem__(self, draw: Draw) -> TrainItem | UnrenderedItem:
        """An image that lost all its boxes is replaced where the protocol says so."""
        rng = random_state(self.seed, draw.epoch, draw.index)
        item = self.transform(self.dataset[draw.index], rng)
        for _ in range(REDRAWS if self.redraw else 0):
            if len(item[2]):
                break
            item = self.transform(self.dataset[rng.randint(len(self.dataset))], rng)
        return item


class _EvalItems(Dataset[tuple[Tensor, ImageInfo]]):
    def __init__(
        self, dataset: CocoDataset, transform: Callable[[np.ndarray], Tensor], indices: range
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[Tensor, ImageInfo]:
        index = self.indices[place]
        image = self.dataset.read_image(index)
        info = ImageInfo(self.dataset.image_ids[index], *image.shape[:2])
        return self.transform(image), info


def _collate_images(items: list[tuple[Tensor, ImageInfo]]) -> tuple[Tensor, list[ImageInfo]]:
    images, infos = zip(*items, strict=True)
    return torch.stack(images), list(infos)


def _start_worker(_worker: int) -> None:
    """One thread a worker (OpenCV's pool does not survive a fork); Ctrl-C is the parent's."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
