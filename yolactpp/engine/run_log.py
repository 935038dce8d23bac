"""Where messages go: standard error always, and train.log while a run is trained."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

# The package's own messages and the warnings of Python and its libraries.
LOGGERS = ("yolactpp", "py.warnings")
CHATTY = ("faster_coco_eval",)
FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class _CurrentStderr(logging.StreamHandler):
    """Looks standard error up at each message: a progress bar replaces it while it is drawn."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the project's messages on standard error, from now on and once."""
    logger = logging.getLogger("yolactpp")
    if any(isinstance(handler, _CurrentStderr) for handler in logger.handlers):
        return
    handler = _CurrentStderr()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(level)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # Hydra gives the root logger a handler of its own, which would say everything twice.
    logger.propagate = False
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Append messages to a run's log, those of earlier attempts before them."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    loggers[0].setLevel(logging.INFO)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
