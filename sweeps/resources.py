"""What a run asks of its machine, from a `hydra/launcher` option in the plugin's own keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

# Launcher keys that submitit's SLURM executor takes as they are.
SLURM_KEYS = (
    "partition",
    "qos",
    "comment",
    "constraint",
    "exclude",
    "gres",
    "cpus_per_gpu",
    "gpus_per_task",
    "mem_per_gpu",
    "mem_per_cpu",
    "account",
    "nodelist",
    "exclusive",
)
# The plugin's own bookkeeping, which means nothing here.
IGNORED = ("_target_", "submitit_folder", "name", "stderr_to_stdout")


@dataclass(frozen=True)
class Resources:
    """One run's resources and how many runs may have them at once.

    Args:
        executor: "slurm" or "local".
        nodes, tasks_per_node: processes of a run; more than one trains with DDP.
        gpus_per_node: GPUs of a run on each node; None or 0 for none.
        cpus_per_task, mem_gb: as sbatch has them; None leaves it to the cluster.
        timeout_min: a run is signalled `signal_delay_s` before, and requeued.
        max_num_timeout: how often a run may be requeued after a timeout.
        array_parallelism: runs of a submission at the same time.
        setup: lines of shell before the job, such as `module load cuda`.
        slurm: further keys for sbatch.
        additional_parameters: anything else for sbatch, as written there.
        runs_per_gpu, cpu_slots: of the local pool; cpu_slots null takes half the cores.
    """

    executor: str = "local"
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    mem_gb: float | None = None
    timeout_min: int = 60
    signal_delay_s: int = 120
    max_num_timeout: int = 20
    array_parallelism: int = 256
    setup: tuple[str, ...] = ()
    slurm: dict[str, Any] = field(default_factory=dict)
    additional_parameters: dict[str, Any] = field(default_factory=dict)
    runs_per_gpu: int = 1
    cpu_slots: int | None = None

    def __post_init__(self) -> None:
        for name in ("nodes", "tasks_per_node", "timeout_min", "array_parallelism", "runs_per_gpu"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: at least 1 is needed")
        if self.executor == "local" and self.nodes > 1:
            raise ValueError(f"nodes={self.nodes}: the local pool has one; use a SLURM launcher")

    @property
    def gpus(self) -> int:
        """GPUs of one run over all its nodes."""
        return self.nodes * (self.gpus_per_node or 0)

    def as_json(self) -> dict[str, Any]:
        """All values as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Resources:
        """What `as_json` gave."""
        return cls(**{**content, "setup": tuple(content.get("setup", ()))})

    @classmethod
    def from_launcher(cls, launcher: Mapping[str, Any]) -> Resources:
        """Read a composed `hydra.launcher`; Hydra's own launcher stands for the local pool.

        Raises:
            ValueError: another plugin's launcher, or a key that is not known.
        """
        target = str(launcher.get("_target_", ""))
        kind = target.rsplit(".", 1)[-1]
        if kind not in ("SlurmLauncher", "LocalLauncher", "BasicLauncher"):
            raise ValueError(
                f"hydra/launcher with _target_={target} runs by -m only; "
                "sweeps submit takes slurm_1gpu, slurm_4gpu, slurm_cpu, local or one like them"
            )
        known = {each.name for each in fields(cls)} - {"executor", "slurm"}
        values = {k: v for k, v in launcher.items() if k in known and v is not None}
        slurm = {k: v for k, v in launcher.items() if k in SLURM_KEYS and v is not None}
        unknown = sorted(set(launcher) - known - set(SLURM_KEYS) - set(IGNORED))
        if unknown:
            raise ValueError(
                f"hydra.launcher.{unknown[0]} is not known here; put what only sbatch knows into "
                "hydra.launcher.additional_parameters"
            )
        executor = "slurm" if kind == "SlurmLauncher" else "local"
        return cls(
            **{**values, "setup": tuple(values.get("setup", ()))}, executor=executor, slurm=slurm
        )

    def changed(self, keys: Collection[str], to: Resources) -> Resources:
        """These resources with some of a launcher's keys as in others.

        What sbatch alone knows is added to: `additional_parameters` of both are kept.
        """
        own = {key: getattr(to, key) for key in keys if key in {each.name for each in fields(self)}}
        if "additional_parameters" in own:
            own["additional_parameters"] = self.additional_parameters | to.additional_parameters
        slurm = {key: value for key, value in self.slurm.items() if key not in keys}
        slurm |= {key: to.slurm[key] for key in keys if key in to.slurm}
        return replace(self, **own, slurm=slurm)


def spelled_out(overrides: list[str]) -> list[str]:
    """Overrides as Hydra wants them: `nodes=2` is short for `hydra.launcher.nodes=2`."""
    names = {each.name for each in fields(Resources)} - {"executor", "slurm"} | set(SLURM_KEYS)
    return [f"hydra.launcher.{each}" if each.split("=")[0] in names else each for each in overrides]
