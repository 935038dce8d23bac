"""`python -m yolactpp.data.preflight dataset=...`: check a data set without training on it.

Prints every finding, one a line. `+decode_images=true` also decodes every image. Exit status 0 if
there is none, 2 otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from yolactpp.build import provide_dataset
from yolactpp.cli import run
from yolactpp.data.checks import check_dataset
from yolactpp.data.coco import CocoDataset
from yolactpp.engine.failures import BadInputError

SPLITS = ("train", "val")


def preflight(cfg: DictConfig) -> None:
    """Check the data set of the settings and say what it holds.

    Raises:
        BadInputError: there are findings.
    """
    decode_images = bool(cfg.get("decode_images", False))
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    dataset = provide_dataset(resolved)["dataset"]
    findings = check_dataset(
        dataset["root"],
        {split: (dataset[split]["images"], dataset[split]["annotations"]) for split in SPLITS},
        classes=dataset["classes"],
        drop_invalid=dataset["drop_invalid"],
        source=dataset["source"],
        decode_images=decode_images,
    )
    for finding in findings:
        print(finding)
    if findings:
        raise BadInputError(f"dataset={dataset['name']}: {len(findings)} findings")
    for split in SPLITS:
        print(_summary(dataset, split))


def _summary(dataset: dict[str, Any], split: str) -> str:
    content = CocoDataset(
        dataset["root"],
        dataset[split]["images"],
        dataset[split]["annotations"],
        classes=dataset["classes"],
        drop_invalid=dataset["drop_invalid"],
    )
    file = Path(dataset["root"]) / dataset[split]["annotations"]
    classes, objects = ", ".join(content.class_names), len(content.relative_boxes())
    dropped = f", {content.dropped} unusable annotations left out" if content.dropped else ""
    return f"{file}: {len(content)} images, {objects} objects of {classes}{dropped}; no finding"


if __name__ == "__main__":
    run(preflight, "train")
