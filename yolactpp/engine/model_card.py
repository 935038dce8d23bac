"""model_card.md: what a finished run's model is, what it was trained on, how good it is.

Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yolactpp.run_dir import RunDir, read_json, write_bytes

Config = dict[str, Any]
CODE_LICENCE = "Apache-2.0"
METRICS = ("AP", "AP50", "AP75", "AP95", "AP_small", "AP_medium", "AP_large", "AR100")
SCHEDULE_KEYS = (
    "iterations",
    "lr",
    "warmup_iterations",
    "lr_steps",
    "momentum",
    "weight_decay",
    "rescale_with_batch",
)


def write_model_card(run: RunDir, config: Config, document: dict[str, Any]) -> None:
    """Write model_card.md into the run's folder.

    Args:
        run: the run's files; run.json is read where it stands.
        config: the run's settings.
        document: the content of eval.json.
    """
    provenance = read_json(run.run) if run.run.exists() else {}
    card = model_card(run, config, document, provenance)
    write_bytes(run.model_card, card.encode())


def model_card(
    run: RunDir, config: Config, document: dict[str, Any], provenance: dict[str, Any]
) -> str:
    """The card as Markdown; paths of the machine are left out.

    Args:
        run: the run's files.
        config: the run's settings.
        document: the content of eval.json.
        provenance: the content of run.json.
    """
    sections = [
        _title(run, config, document),
        _section("Data", _data(config["dataset"], document["dataset"])),
        _section("Settings", _settings(config, provenance)),
        _section("Results", _results(document)),
        _section("Licence", _licence(config)),
        _section("Use", _use(run)),
    ]
    return "\n".join(sections)


def _title(run: RunDir, config: Config, document: dict[str, Any]) -> str:
    model, loss = config["model"]["name"], config["loss"]["name"]
    return (
        f"# {run.path.name}\n\n"
        f"Instance segmentation: {model} trained with the mask loss {loss} on "
        f"{config['dataset']['name']}; run {document['run_id']}.\n"
    )


def _data(dataset: Config, evaluated: dict[str, Any]) -> str:
    generator = dataset.get("generator")
    made = "rendered by this project's generator" if generator else dataset.get("source")
    return _bullets(
        [
            ("Data set", f"{dataset['name']}, {made}" if made else dataset["name"]),
            ("Fingerprint of its annotations", dataset.get("fingerprint")),
            ("Trained on", dataset["train"]["annotations"]),
            (
                "Evaluated on",
                f"{dataset[evaluated['split']]['annotations']}: {evaluated['images']} images, "
                f"{evaluated['annotations']} annotations",
            ),
        ]
    )


def _settings(config: Config, provenance: dict[str, Any]) -> str:
    loss, schedule = config["loss"], config["schedule"]
    weights = [f"{key}={loss[key]}" for key in ("alpha", "beta", "gamma") if key in loss]
    commit = provenance.get("commit")
    versions = provenance.get("versions", {})
    return (
        _bullets(
            [
                ("Model", config["model"]["name"]),
                ("Weights at the start", _start(config["model"])),
                ("Input", f"{config['image_size']} x {config['image_size']} px"),
                ("Mask loss", " ".join([loss["name"], *weights])),
                ("Class loss", config["class_loss"]["name"]),
                ("Box loss", config["box_loss"]["name"]),
                ("Protocol", config["protocol"]["name"]),
                ("Batch size", config["batch_size"]["total"]),
                ("Schedule", ", ".join(f"{key} {schedule[key]}" for key in SCHEDULE_KEYS)),
                ("Precision", config["precision"]),
                ("Seed", config["seed"]),
                ("Code", f"commit {commit}{' with changes' if provenance.get('dirty') else ''}"),
                (
                    "Packages",
                    ", ".join(f"{name} {each}" for name, each in versions.items() if each),
                ),
            ]
        )
        + "\nconfig.yaml beside this file holds every setting.\n"
    )


def _start(model: Config) -> str:
    weights = model["backbone"]["weights"]
    if weights is None:
        return "random"
    return f"backbone pre-trained, {Path(weights).name}; all else random"


def _results(document: dict[str, Any]) -> str:
    bbox, segm = document["metrics"]["bbox"], document["metrics"]["segm"]
    rows = [(name, _percent(bbox.get(name)), _percent(segm.get(name))) for name in METRICS]
    speed = document.get("speed") or {}
    lines = [
        f"In percent, iteration {document['iteration']}, by the evaluator "
        f"{document.get('evaluator', 'coco')}. One run of one seed: differences of a few points to "
        "another run may be chance.",
        "",
        _table(["metric", "box", "mask"], rows),
    ]
    per_class = segm.get("per_class") or {}
    if len(per_class) > 1:
        classes = [
            (name, _percent(bbox["per_class"].get(name, {}).get("AP")), _percent(each["AP"]))
            for name, each in per_class.items()
        ]
        lines += [_table(["AP of class", "box", "mask"], classes)]
    if speed.get("fps"):
        lines += [
            f"{speed['fps']:.1f} images a second on {speed.get('device')} in "
            f"{speed.get('dtype')}, one image at a time.\n"
        ]
    return "\n".join(lines)


def _licence(config: Config) -> str:
    dataset = config["dataset"]
    # The smaller of the two files; COCO's training annotations take seconds to read.
    named = _licences_of(Path(dataset["root"]) / dataset["val"]["annotations"])
    if dataset.get("generator"):
        data = "rendered by this project's code, no rights of others"
    elif named:
        data = f"its annotation file names {', '.join(named)}"
    else:
        data = "its annotation file names none; its owner's terms apply"
    items = [("Code", CODE_LICENCE), ("Data", data)]
    if config["model"]["backbone"]["weights"] is not None:
        items.append(("Backbone", "the terms of its pre-trained weights and of ImageNet apply"))
    return _bullets(items) + "\nWhoever passes the weights on answers for all of these.\n"


def _licences_of(annotations: Path) -> list[str]:
    """Names of a COCO file's licences; none where the file is gone or has none."""
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    licences = content.get("licenses") or [] if isinstance(content, dict) else []
    return [str(each["name"]) for each in licences if isinstance(each, dict) and each.get("name")]


def _use(run: RunDir) -> str:
    place = f"{run.path.parent.name}/{run.path.name}"
    return (
        "```python\n"
        "import yolactpp\n\n"
        f'predict = yolactpp.load("outputs/{place}")\n'
        'detections = predict(["photo.jpg"])[0]\n'
        "```\n\n"
        "```sh\n"
        f"python -m yolactpp.predict run=outputs/{place} source=photo.jpg\n"
        f"python -m yolactpp.evaluate run=outputs/{place}\n"
        "```\n"
    )


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _bullets(items: Iterable[tuple[str, object]]) -> str:
    return "".join(f"- {name}: {value}\n" for name, value in items if value is not None)


def _table(header: list[str], rows: Iterable[tuple[str, ...]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
