"""Settings checked before anything is built: known keys, numbers that are numbers.

Hydra refuses a misspelt key on the command line; this also refuses one inside an option's file,
which composes without a word.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from yolactpp.engine.failures import BadInputError
from yolactpp.engine.schedule import Schedule, rescale

# The option whose keys, with those of the options it extends, are the good ones of its section.
SECTION_OPTIONS = {
    "batch_size": "8",
    "schedule": "survey",
    "protocol": "sound",
    "runtime": "auto",
    "evaluation": "coco",
    "logger": "jsonl",
}
PRECISIONS = ("fp32", "bf16", "fp16")
AUGMENT_ON = ("workers", "device")
WHOLE_NUMBERS = (
    "seed",
    "image_size",
    "batch_size.total",
    "batch_size.accumulate",
    "schedule.iterations",
    "schedule.base_batch",
    "schedule.warmup_iterations",
    "schedule.checkpoint_every",
    "schedule.validate_every",
    "schedule.log_every",
)
NUMBERS = (
    "schedule.lr",
    "schedule.warmup_lr",
    "schedule.lr_gamma",
    "schedule.momentum",
    "schedule.weight_decay",
)
NUMBERS_OR_NULL = ("schedule.gradient_clip", "schedule.ema_decay")


def check_settings(config: dict[str, Any]) -> None:
    """Refuse unknown keys and values of the wrong kind.

    Args:
        config: plain resolved settings of a run.

    Raises:
        BadInputError: the message names key, value and what would be good.
    """
    for section, option in SECTION_OPTIONS.items():
        for key in config[section]:
            good = _keys_of(section, option)
            if key not in good:
                raise BadInputError(
                    unknown_key(f"{section}.{key}", [f"{section}.{g}" for g in good])
                )
    for key in WHOLE_NUMBERS:
        _check_number(config, key, int, "a whole number")
    for key in NUMBERS:
        _check_number(config, key, (int, float), "a number")
    for key in NUMBERS_OR_NULL:
        if _value(config, key) is not None:
            _check_number(config, key, (int, float), "a number, or null")
    for key, low in (("image_size", 32), ("schedule.base_batch", 1), ("schedule.lr_gamma", 0)):
        if _value(config, key) < low:
            raise BadInputError(f"{key}={_value(config, key)}: at least {low} is needed")
    for key in ("schedule.momentum", "schedule.weight_decay"):
        if not 0 <= _value(config, key) < 1:
            raise BadInputError(f"{key}={_value(config, key)}: must lie in [0, 1)")
    if config["precision"] not in PRECISIONS:
        raise BadInputError(
            f"precision={config['precision']}: choose one of {', '.join(PRECISIONS)}"
        )
    augment_on = config["runtime"].get("augment_on", "workers")
    if augment_on not in AUGMENT_ON:
        raise BadInputError(
            f"runtime.augment_on={augment_on}: choose one of {', '.join(AUGMENT_ON)}"
        )
    try:
        schedule_of(config)
    except ValueError as error:
        raise BadInputError(str(error)) from error


def schedule_of(config: dict[str, Any]) -> Schedule:
    """The schedule as it will be run: rescaled to the batch size where the settings say so.

    Raises:
        ValueError: a value is out of its range.
    """
    settings = config["schedule"]
    schedule = Schedule(
        iterations=settings["iterations"],
        lr=settings["lr"],
        warmup_iterations=settings["warmup_iterations"],
        warmup_lr=settings["warmup_lr"],
        lr_steps=tuple(settings["lr_steps"]),
        lr_gamma=settings["lr_gamma"],
    )
    if not settings["rescale_with_batch"]:
        return schedule
    return rescale(
        schedule,
        config["batch_size"]["total"],
        settings["base_batch"],
        rescale_lr=settings["rescale_lr"],
    )


def unknown_key(key: str, good: list[str]) -> str:
    """A message for a key that is none of the good ones, the nearest first."""
    ends = {name.rpartition(".")[2]: name for name in good}
    nearest = difflib.get_close_matches(key.rpartition(".")[2], ends, n=1)
    close = [ends[name] for name in nearest]
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"there is no setting {key}.{hint} There are: {', '.join(sorted(good))}"


@lru_cache(maxsize=16)
def _keys_of(section: str, option: str) -> tuple[str, ...]:
    text = resources.files("conf").joinpath(section, f"{option}.yaml").read_text(encoding="utf-8")
    return tuple(key for key in yaml.safe_load(text) if key != "defaults")


def _check_number(
    config: dict[str, Any], key: str, kind: type | tuple[type, ...], wanted: str
) -> None:
    value = _value(config, key)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise BadInputError(f"{key}={value}: {wanted} is needed")


def _value(config: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config
