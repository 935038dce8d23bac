"""Pictures of losses: value and gradient against the probability, or against the overlap."""

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from losses.catalogue import Entry
from losses.terms import MaskLoss

_SIDE = 32
_MISTAKE_LOGIT = 4.0


def plot_file(drawn: list[tuple[Entry, MaskLoss]], file: Path) -> None:
    """Draw these mask losses into a picture, one row each."""
    figure = Figure(figsize=(9, 3.2 * len(drawn)), layout="constrained")
    axes = figure.subplots(len(drawn), 2, squeeze=False)
    for row, (entry, loss) in zip(axes, drawn, strict=True):
        if entry.kind == "pixel":
            plot_against_probability(loss, entry.name, *row)
        else:
            plot_against_overlap(loss, entry.name, *row)
    figure.savefig(file, dpi=120)


def plot_against_probability(loss: MaskLoss, name: str, values: Axes, slopes: Axes) -> None:
    """One pixel of a mask: its loss, and its slope in the logit, as p goes from 0 to 1."""
    probs = torch.linspace(0.001, 0.999, 200)
    logits = torch.logit(probs)
    for truth, label in ((1.0, "mask pixel (t = 1)"), (0.0, "background (t = 0)")):
        scores_NHW = logits[:, None, None].clone().requires_grad_()
        value_N = _value(loss, scores_NHW, torch.full_like(scores_NHW, truth))
        value_N.sum().backward()
        values.plot(probs, value_N.detach(), label=label)
        slopes.plot(probs, _gradient(scores_NHW)[:, 0, 0], label=label)
    _finish(values, name, "p", "loss of the pixel")
    _finish(slopes, name, "p", "slope in the logit")


def plot_against_overlap(loss: MaskLoss, name: str, values: Axes, slopes: Axes) -> None:
    """A square found shifted sideways: its loss and mean slopes against intersection over union."""
    target_HW = torch.zeros(_SIDE, _SIDE)
    low, side = _SIDE // 4, _SIDE // 3
    target_HW[low : low + side, low : low + side] = 1
    found_NHW = torch.stack([target_HW.roll(shift, dims=1) for shift in range(side + 1)])
    target_NHW = target_HW.expand_as(found_NHW)
    overlap_N = (found_NHW * target_HW).sum(dim=(1, 2))
    iou_N = overlap_N / (found_NHW.sum(dim=(1, 2)) + target_HW.sum() - overlap_N)
    scores_NHW = ((2 * found_NHW - 1) * _MISTAKE_LOGIT).requires_grad_()
    value_N = _value(loss, scores_NHW, target_NHW)
    value_N.sum().backward()
    values.plot(iou_N, value_N.detach(), marker=".")
    for truth, label in ((1.0, "mask pixels missed"), (0.0, "background found")):
        wrong_NHW = (target_NHW == truth) & (found_NHW != truth)
        count_N = wrong_NHW.sum(dim=(1, 2))
        mean_N = (_gradient(scores_NHW) * wrong_NHW).sum(dim=(1, 2)) / count_N.clamp(min=1)
        slopes.plot(iou_N[count_N > 0], mean_N[count_N > 0], marker=".", label=label)
    _finish(values, name, "intersection over union of a shifted square", "loss")
    _finish(slopes, name, "intersection over union of a shifted square", "mean slope in the logit")


def _value(loss: MaskLoss, logits_NHW: Tensor, target_NHW: Tensor) -> Tensor:
    # The whole map is the box, so that region and normaliser are the same for every loss.
    boxes_N4 = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(len(logits_NHW), 4)
    terms = loss(logits_NHW, target_NHW, boxes_N4)
    return torch.stack([term.weight * term.raw_N for term in terms]).sum(dim=0)


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def _finish(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()
