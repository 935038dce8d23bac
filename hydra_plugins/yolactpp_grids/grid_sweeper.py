"""A Hydra sweeper for sweep files: `-m +sweep=NAME` runs the cells of its lists of grids."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)


@dataclass
class GridSweeperConf:
    """Sweep files choose it themselves: `override /hydra/sweeper: grids`."""

    _target_: str = "hydra_plugins.yolactpp_grids.grid_sweeper.GridSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="grids", node=GridSweeperConf, provider="yolactpp_grids"
)


class GridSweeper(Sweeper):
    """Runs `sweep.grids`; overrides on the command line replace or extend the grids' values."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context = hydra_context  # these two are read by the base class
        self.config = config
        self.loader = hydra_context.config_loader
        self.cfg = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[list[JobReturn]]:
        """Launch all cells in one batch, so that one run's failure keeps no other from starting.

        Raises:
            Exception: what the first failing run raised, once all have ended.
        """
        batch = self._batch(arguments)
        folder = Path(self.cfg.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.cfg, folder / "multirun.yaml")
        self.validate_batch_is_legal(batch)
        log.info("%d runs", len(batch))
        results = list(self.launcher.launch(batch, initial_job_idx=0))
        for result in results:
            _ = result.return_value  # raises what the run raised
        return [results]

    def _batch(self, arguments: list[str]) -> list[list[str]]:
        from sweeps.grid import overrides_of, parse_grids
        from sweeps.overrides import expand

        sweep: Any = OmegaConf.to_container(self.cfg.sweep, resolve=True)
        grids = parse_grids(sweep.get("grids") or [{}], sweep.get("exclude") or [])
        cells = expand(grids, arguments, self.loader)
        return [[*cells.shared, *overrides_of(cell)] for cell in cells.cells]
