"""`-m hydra/launcher=local`: submitit's local launcher, as many runs at a time as there are slots.

The light path: it waits for all runs, and shares GPUs out by count only. The pool of
`python -m sweeps submit` does the same durably.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher import submitit_launcher


class LocalLauncher(submitit_launcher.LocalLauncher):
    """Submitit starts all jobs at once; this hands them over in batches.

    Args:
        runs_per_gpu, cpu_slots: see conf/hydra/launcher/local.yaml.
        params: submitit's own.
    """

    def __init__(self, runs_per_gpu: int = 1, cpu_slots: int | None = None, **params: Any) -> None:
        super().__init__(**params)
        self.runs_per_gpu = runs_per_gpu
        self.cpu_slots = cpu_slots

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch all jobs, a batch after the other."""
        from sweeps.resources import Resources
        from sweeps.slots import count_cpu_slots, find_gpus

        gpus = len(find_gpus())
        at_once = gpus * self.runs_per_gpu // (self.params.get("gpus_per_node") or 1)
        if not gpus:
            self.params["gpus_per_node"] = None
            at_once = count_cpu_slots(Resources(cpu_slots=self.cpu_slots))
        results: list[JobReturn] = []
        for start in range(0, len(job_overrides), max(1, at_once)):
            batch = job_overrides[start : start + max(1, at_once)]
            results.extend(super().launch(batch, initial_job_idx + start))
        return results
