"""`python -m sweeps search SWEEP [overrides]`: one worker of a search for the best settings.

The sweep file names parameters, their ranges and the metric. The study is a journal file in the
sweep's folder; workers on any machine that sees the folder share it. Each trial is a run like any
other: frozen, resumable, in the tables. A worker that dies leaves its trial to the next one.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweeps.grid import override_text
from sweeps.plan import PlannedRun, base_settings, plan_run
from sweeps.processes import ProcessMark
from yolactpp.run_dir import RunDir, State, update_status

if TYPE_CHECKING:
    import optuna

STUDY = "study.journal"


class Pruned(Exception):
    """A trial whose validations fall behind those of the others."""


@dataclass(frozen=True)
class Search:
    """A sweep file's `search` section.

    Args:
        metric: of eval.json's metrics, such as "segm.AP".
        direction: "maximize" or "minimize".
        trials: of the whole study.
        prune_after: trials that end before any is pruned; None never prunes.
        parameters: key -> {low, high, log, step} or {choices}.
    """

    metric: str
    direction: Literal["maximize", "minimize"]
    trials: int
    prune_after: int | None
    parameters: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise ValueError(f"sweep.search.direction={self.direction}: maximize or minimize")
        for key, spec in self.parameters.items():
            if "choices" not in spec and not {"low", "high"} <= spec.keys():
                raise ValueError(f"sweep.search.parameters.{key}={spec}: low and high, or choices")

    def value_of(self, metrics: Mapping[str, Any]) -> float | None:
        """The searched metric; None where it has no value."""
        task, _, name = self.metric.partition(".")
        return metrics[task][name]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's command line."""
    parser.description = __doc__
    parser.add_argument("sweep", help="an option of conf/sweep with a search section")
    parser.add_argument("overrides", nargs="*", help="as for yolactpp.train; shared by all trials")


def run(args: argparse.Namespace) -> int:
    """Work until the study has its trials; say what was best."""
    study = work([f"+sweep={args.sweep}", *args.overrides])
    print(describe(study))
    return 0


def work(overrides: Sequence[str]) -> optuna.Study:
    """One worker: trials of the study until it has enough, from any number of workers.

    Raises:
        ValueError: the sweep has no search section, or a wrong one.
    """
    settings = base_settings(overrides)
    if "search" not in settings["sweep"]:
        raise ValueError(
            f"sweep {settings['sweep']['name']} has no search section; submit is for its grids"
        )
    search = Search(**settings["sweep"]["search"])
    folder = Path(settings["outputs"]).expanduser().absolute() / settings["sweep"]["name"]
    study = open_study(folder, search)
    adopt_orphans(study)
    while len(_counting(study)) < search.trials:
        trial = study.ask()
        trial.set_user_attr("worker", ProcessMark.of(os.getpid()).as_json())
        planned = plan_run([*overrides, *_choices(trial, search)])
        _settle(study, trial, lambda p=planned, t=trial: run_trial(p, t, search))
    return study


def open_study(folder: Path, search: Search) -> optuna.Study:
    """The sweep's study, made if it is new."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if search.prune_after is not None:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=search.prune_after)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar, which keeps workers apart, is marked new
        sampler = optuna.samplers.TPESampler(constant_liar=True)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / STUDY))),
        study_name=folder.name,
        direction=search.direction,
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )


def adopt_orphans(study: optuna.Study) -> None:
    """Trials of workers that died on this machine are tried again; their runs go on."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        worker = trial.user_attrs.get("worker")
        mark = ProcessMark.from_json(worker) if worker else None
        if mark is not None and mark.is_here and not mark.is_alive():
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"continues": trial.number})


def run_trial(planned: PlannedRun, trial: optuna.Trial, search: Search) -> float | None:
    """Train a trial's run, or read its stored result.

    Raises:
        Pruned: an intermediate validation fell behind.
    """
    from yolactpp.train import train_run

    folder = planned.freeze()
    trial.set_user_attr("run", folder.path.name)

    def on_validation(iteration: int, metrics: dict[str, Any]) -> None:
        value = search.value_of(metrics)
        if value is not None:
            trial.report(value, iteration)
            if trial.should_prune():
                raise Pruned(f"pruned at iteration {iteration}: {search.metric} {value:.4f}")

    try:
        train_run(folder.path, on_validation=on_validation)
    except Pruned as pruned:
        update_status(folder, state=str(State.FAILED), reason="pruned", message=str(pruned))
        raise
    return stored_value(folder, search)


def stored_value(run_dir: RunDir, search: Search) -> float | None:
    """The searched metric of a finished run."""
    evaluation = run_dir.read_evaluation()
    return None if evaluation is None else search.value_of(evaluation["metrics"])


def describe(study: optuna.Study) -> str:
    """One line: how many trials ended how, and the best one."""
    import optuna

    counts = {
        state.name.lower(): len(study.get_trials(deepcopy=False, states=(state,)))
        for state in optuna.trial.TrialState
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if not counts["complete"]:
        return f"{told}; none has a value yet"
    best = study.best_trial
    settings = " ".join(f"{key}={value:g}" for key, value in best.params.items())
    return f"{told}; best {best.value:.4f} with {settings} in {best.user_attrs['run']}"


def _settle(study: optuna.Study, trial: optuna.Trial, train: Any) -> None:
    import optuna

    try:
        value = train()
    except Pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        raise
    else:
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, value)


def _choices(trial: optuna.Trial, search: Search) -> list[str]:
    """The trial's parameters as overrides."""
    found = []
    for key, spec in search.parameters.items():
        if "choices" in spec:
            value = trial.suggest_categorical(key, spec["choices"])
        else:
            value = trial.suggest_float(
                key, spec["low"], spec["high"], log=spec.get("log", False), step=spec.get("step")
            )
        found.append(f"{key}={override_text(value)}")
    return found


def _counting(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that have ended with an answer, or that a living worker is busy with."""
    import optuna

    states = optuna.trial.TrialState
    wanted = (states.COMPLETE, states.PRUNED, states.RUNNING)
    return study.get_trials(deepcopy=False, states=wanted)
