"""Every figure from made runs: what is drawn, in which colour, what is said when it cannot be."""

from __future__ import annotations

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sweeps.__main__ import main
from sweeps.colours import COLOURS, loss_colour
from sweeps.evidence import validation_set
from sweeps.figures import (
    alpha_beta,
    ap_by_iou,
    calibration,
    confusion,
    precision_recall,
    seed_strip,
    speed,
    training_curves,
)
from sweeps.figures.gallery import PLATES, chosen_labels, rivals
from sweeps.figures.style import NothingToDraw, save, theme
from sweeps.pictures import disputed_images, typical_images
from sweeps.study import load_study, median_run
from tests.sweeps.made_runs import make_run, make_study, single


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    noise = {"bce": 0.2, "dice": 0.6, "mse_bce@0.5": 0.2, "mse_bce@2": 0.3}
    make_study(folder, noise, seeds=2, images=12, classes=("butt", "can"))
    return folder


@pytest.fixture(scope="module")
def study(folder):
    return load_study([folder / "sweep"], replicates=20)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("plate", PLATES, ids=lambda plate: plate.name)
def test_every_plate_draws(study, plate, tmp_path):
    with theme():
        figure = plate.draw(study)
        save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_every_seed_is_on_the_strip(study):
    ax = seed_strip.plot(study.runs, published=True)
    points = np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() in "os^"])
    np.testing.assert_allclose(np.sort(points), np.sort(100 * study.runs["segm.AP"]))
    assert "n = 2 seeds" in ax.get_title()
    assert "published" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("module", [ap_by_iou, training_curves, speed])
def test_a_loss_has_its_colour_and_its_arms_differ(study, module):
    ax = module.plot(study.runs)
    handles = {line.get_label(): line for line in ax.get_legend().legend_handles}
    assert to_hex(handles["bce"].get_color()) == COLOURS["bce"]
    one, other = handles["mse_bce α=0.5"], handles["mse_bce α=2"]
    assert one.get_color() == other.get_color()
    assert (one.get_linestyle(), one.get_marker()) != (other.get_linestyle(), other.get_marker())


def test_given_axes_are_used(study):
    _, ax = plt.subplots()
    assert speed.plot(study.runs, ax) is ax


def test_published_curves_are_marked_published(study):
    ax = ap_by_iou.plot(study.runs, published=True)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "bce (published)" in labels
    line = next(line for line in ax.lines if line.get_label() == "bce (published)")
    assert line.get_ydata()[-1] == pytest.approx(1.82)


def test_the_area_under_the_mean_curve_is_ap(study):
    curves = [study.evidence.precision[folder] for folder in study.runs["folder"]]
    runs = study.runs.assign(precision=pd.Series(curves, index=study.runs.index, dtype=object))
    ax = precision_recall.plot(runs)
    line = next(line for line in ax.lines if line.get_label() == "bce")
    expected = runs[runs["label"] == "bce"]["segm.AP"].mean()
    assert line.get_ydata().mean() == pytest.approx(expected, abs=1e-9)


def test_heat_map_cells_state_mean_and_seeds(study):
    pair = study.runs[study.runs["loss"] == "mse_bce"]
    ax = alpha_beta.plot(pair)
    texts = [text.get_text() for text in ax.texts]
    expected = 100 * pair[pair["alpha"] == 0.5]["segm.AP"].mean()
    assert texts[0].startswith(f"{expected:.2f} ± ")
    assert all("n = 2" in text for text in texts)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "2"]


def test_smoothing_keeps_a_constant_and_calms_noise():
    assert training_curves.smooth(np.full(40, 3.0)) == pytest.approx(np.full(40, 3.0))
    noise = np.random.default_rng(0).normal(size=400)
    assert training_curves.smooth(noise).std() < 0.4
    ramp = np.linspace(0, 1, 100)
    assert training_curves.smooth(ramp)[20:80] == pytest.approx(ramp[20:80])


def test_calibration_pools_detections():
    one = [{"count": 1, "claimed": 0.2, "true": 0.0}, {"count": 0, "claimed": None, "true": None}]
    other = [{"count": 3, "claimed": 0.4, "true": 1.0}, {"count": 0, "claimed": None, "true": None}]
    frame = pd.DataFrame({"label": "bce", "loss": "bce", "bins": [one, other]})
    ax = calibration.plot(frame)
    line = next(line for line in ax.lines if line.get_label() == "bce")
    np.testing.assert_allclose(line.get_xydata(), [[0.35, 0.75]])
    with pytest.raises(NothingToDraw, match="calibration"):
        calibration.plot(frame.assign(bins=None))


def test_a_single_class_cannot_be_confused():
    with pytest.raises(NothingToDraw, match="single class"):
        confusion.plot(pd.DataFrame(np.zeros((2, 2))))


def test_typical_images_have_objects_and_disputed_ones_differ(study):
    first = median_run(study.runs, "bce").to_dict()
    second = median_run(study.runs, "dice").to_dict()
    truth = validation_set(first)
    chosen = typical_images(truth, 5)
    assert len(chosen) == 5
    assert all(truth.coco.getAnnIds(imgIds=[image]) for image in chosen)
    found = disputed_images(first, second, 4)
    gaps = [abs(a - b) for _, a, b in found]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0


def test_too_many_arms_keep_best_baseline_and_worst(study):
    labels = study.labels
    kept = chosen_labels(study, 3)
    assert len(kept) == 3
    assert {"bce", labels[-1]} <= set(kept)
    assert chosen_labels(study, 10) == labels
    assert rivals(study)[0] == labels[0]


def test_unlisted_losses_have_a_colour_of_their_own():
    assert re.fullmatch("#[0-9a-f]{6}", loss_colour("new_loss"))
    assert loss_colour("new_loss") == loss_colour("new_loss") != loss_colour("newer_loss")
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_the_verb_writes_and_says_what_it_leaves_out(folder, tmp_path, capsys):
    sweep = str(folder / "sweep")
    arguments = ["figures", sweep, "--output", str(tmp_path), "--only", "seeds,speed"]
    arguments += ["--resamples", "20"]
    assert main([*arguments, "--dark"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "seeds.png",
        "seeds.svg",
        "speed.png",
        "speed.svg",
    ]
    first = (tmp_path / "seeds.svg").read_bytes()
    assert main([*arguments, "--dark"]) == 0
    assert (tmp_path / "seeds.svg").read_bytes() == first
    assert main(["figures", sweep, "--only", "pie"]) == 2
    assert "no such figure; there are seeds, curves_mask" in capsys.readouterr().err


def test_a_study_without_predictions_still_has_figures(folder, tmp_path, capsys, study):
    made_settings = study.runs.iloc[0]["dataset.root"]
    assert made_settings == str(folder / "data")
    made, _ = make_study(tmp_path / "other", {"bce": 0.2}, seeds=1, images=6)
    run = make_run(tmp_path / "sweep", made, single("bce"), 0, 0.2)
    run.segm_predictions.unlink()
    arguments = ["--format", "png", "--only", "seeds,pr_50,alpha_beta", "--resamples", "20"]
    assert main(["figures", str(tmp_path / "sweep"), *arguments]) == 1
    said = capsys.readouterr().err
    assert "pr_50: left out, no run kept its predictions" in said
    assert "alpha_beta: left out, no hybrid losses" in said
    assert "segm.json is missing" in said
