"""Entry points with Hydra, and with one clear message where something is wrong.

Exit status: 0 all is well, 1 failed, 2 bad input, 130 interrupted, 143 preempted. A traceback is
shown where HYDRA_FULL_ERROR=1 or runtime.debug=true asks for it.
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from yolactpp.engine.failures import BadInputError, CheckpointError, NonFiniteError, RunStopped
from yolactpp.engine.run_log import log_to_stderr
from yolactpp.option_names import quote_numbers
from yolactpp.settings import unknown_key

Task = Callable[[DictConfig], Any]

FAILED, BAD_INPUT, INTERRUPTED, PREEMPTED = 1, 2, 130, 143
FULL_ERROR = "HYDRA_FULL_ERROR"
MULTIRUN = ("-m", "--multirun")
EXPECTED = (BadInputError, CheckpointError, NonFiniteError, OSError, MemoryError)


def run(task: Task, config_name: str) -> NoReturn:
    """Compose the settings that the command line asks for, run the task, exit.

    Args:
        task: called with the settings, once for each job of a multirun.
        config_name: root config in conf/.
    """
    show_trace = os.environ.get(FULL_ERROR) == "1" or "runtime.debug=true" in sys.argv
    log_to_stderr()
    sys.argv[1:] = multirun_first(quote_numbers(sys.argv[1:]))
    # Hydra then hands exceptions on instead of printing them itself.
    os.environ[FULL_ERROR] = "1"
    try:
        reported = _report_errors(task, config_name, show_trace)
        hydra.main(version_base="1.3", config_path="pkg://conf", config_name=config_name)(
            reported
        )()
    except KeyboardInterrupt:
        _exit(INTERRUPTED, "interrupted")
    except Exception as error:
        if show_trace:
            raise
        _exit(exit_status(error), None if _was_told(error) else describe(error, config_name))
    sys.exit(0)


def multirun_first(arguments: list[str]) -> list[str]:
    """`-m` wherever it was typed: Hydra takes overrides on one side of it only."""
    flags = [each for each in arguments if each in MULTIRUN]
    return flags[:1] + [each for each in arguments if each not in MULTIRUN]


def describe(error: BaseException, config_name: str) -> str:
    """One message: what was wrong, its value, the mend."""
    if isinstance(error, MissingConfigException):
        return _describe_option(error)
    if isinstance(error, ConfigCompositionException | OmegaConfBaseException | HydraException):
        return _describe_composition(error, config_name)
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        fault = f"{error.filename or 'a file'}: {error.strerror or error}."
        if config_name != "train":
            return f"{fault} Once mended, type the same command again"
        return (
            f"{fault} What the last checkpoint holds is kept; once mended, the same command goes "
            "on from there"
        )
    if isinstance(error, (*EXPECTED, RunStopped)):
        return str(error)
    return f"{type(error).__name__}: {error}. {FULL_ERROR}=1 shows where"


def exit_status(error: BaseException) -> int:
    """The process' exit status for an error."""
    if isinstance(error, RunStopped):
        return INTERRUPTED if error.reason == "interrupted" else PREEMPTED
    if isinstance(error, BadInputError | HydraException | OmegaConfBaseException):
        return BAD_INPUT
    return FAILED


def _report_errors(task: Task, config_name: str, show_trace: bool) -> Task:
    """The task; a failing job is told of at once, and the other jobs of a multirun still run."""

    @functools.wraps(task)
    def job(cfg: DictConfig) -> Any:
        log_to_stderr()  # once more: a launcher may have brought the job into a new process
        try:
            return task(cfg)
        except RunStopped as stop:
            _exit(exit_status(stop), str(stop))
        except Exception as error:
            if show_trace:
                raise
            _tell(describe(error, config_name))
            if HydraConfig.get().mode == RunMode.RUN:
                sys.exit(exit_status(error))
            error.add_note(_told_here())
            raise

    return job


def _was_told(error: BaseException) -> bool:
    """Whether this process has printed it: a job in another one has only its own log."""
    return _told_here() in getattr(error, "__notes__", ())


def _told_here() -> str:
    return f"told by process {os.getpid()}"


def _describe_option(error: MissingConfigException) -> str:
    """A group without the option that was asked for."""
    options = sorted(error.options or [])
    missing = error.missing_cfg_file or ""
    group, _, option = missing.rpartition("/")
    if not options:
        return str(error).splitlines()[0]
    close = difflib.get_close_matches(option, options, n=1)
    hint = f" Did you mean {group}={close[0]}?" if close else ""
    return f"{group}={option}: there is no such option.{hint} There are: {', '.join(options)}"


def _describe_composition(error: BaseException, config_name: str) -> str:
    message = " ".join(str(error).split())
    if message.startswith(("Could not override '", "Key '")):
        key = message.split("'")[1]
        good = _good_keys(config_name, key)
        if good and key not in good:
            return unknown_key(key, good)
    if isinstance(error, MissingMandatoryValue):
        key = str(getattr(error, "full_key", "") or "a setting")
        return f"{key} must be given: {key}=VALUE"
    cause = " ".join(str(error.__cause__ or "").split())
    return f"{message} {cause}".strip()


def _good_keys(config_name: str, key: str) -> list[str]:
    """Keys and groups beside a misspelt key, in the config that the other overrides compose."""
    others = [each for each in sys.argv[1:] if "=" in each and each.split("=")[0] != key]
    GlobalHydra.instance().clear()
    cfg: DictConfig | None = None
    with hydra.initialize_config_module("conf", version_base="1.3"):
        for overrides in (others, []):
            try:
                cfg = hydra.compose(config_name, overrides)
                break
            except (HydraException, OmegaConfBaseException):
                continue
        groups = GlobalHydra.instance().config_loader().list_groups("")
    if cfg is None:
        return []
    parent = key.rpartition(".")[0]
    node = OmegaConf.select(cfg, parent) if parent else cfg
    while node is None or not OmegaConf.is_dict(node):
        parent = parent.rpartition(".")[0]
        node = OmegaConf.select(cfg, parent) if parent else cfg
    names = [f"{parent}.{name}" if parent else name for name in map(str, node)]
    return names + ([group for group in groups if group not in names] if not parent else [])


def _tell(message: str) -> None:
    sys.stderr.write(f"error: {message}\n")


def _exit(status: int, message: str | None) -> NoReturn:
    if message is not None:
        _tell(message)
    sys.exit(status)
