"""`-m +sweep=search_alpha_beta`: this process becomes one worker of the search."""

import logging
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

log = logging.getLogger(__name__)


@dataclass
class SearchSweeperConf:
    """Sweep files with a search section choose it: `override /hydra/sweeper: search`."""

    _target_: str = "hydra_plugins.yolactpp_grids.search_sweeper.SearchSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="search", node=SearchSweeperConf, provider="yolactpp_grids"
)


class SearchSweeper(Sweeper):
    """Runs trials in this process, one after the other; start several for several at a time."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        """Work until the study has its trials."""
        from sweeps.search import describe, work

        GlobalHydra.instance().clear()  # the trials compose their own settings
        log.info(describe(work(arguments)))
