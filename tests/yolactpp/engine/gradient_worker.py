"""One rank's gradients of the first batch: `python gradient_worker.py CONFIG OUTPUT`.

Ranks come from torchrun's variables; without them it is one process with the whole batch.
"""

import sys
from pathlib import Path

import torch
import yaml

from yolactpp import build
from yolactpp.engine.distributed import joined_world
from yolactpp.engine.seed import make_deterministic, seed_everything
from yolactpp.run_dir import RunDir
from yolactpp.training import Place, build_trainer


def main(config_file: Path, output: Path) -> None:
    config = build.provide_dataset(yaml.safe_load(config_file.read_text()))
    device = torch.device("cpu")
    with joined_world("cpu") as world:
        seed_everything(0)
        make_deterministic(device)
        place = Place(RunDir(output.parent), world, device, None)
        trainer = build_trainer(place, config)
        model = trainer.state.model.train()
        batch = next(iter(trainer.loader_from(0)))
        before = {name: value.clone() for name, value in model.named_parameters()}
        result = trainer.step(batch, 0, 0.0)
        gradients = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        moved = [name for name, value in model.named_parameters() if (value != before[name]).any()]
        if world.is_main:
            losses = {**result.losses, "grad_norm": result.grad_norm}
            torch.save({"gradients": gradients, "losses": losses, "moved": moved}, output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
