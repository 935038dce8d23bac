"""Grid expansion: products, lists of grids, zips, exclusions, the command line's say."""

import pytest

from sweeps.grid import GridError, Grids, override_text, parse_grids, with_overrides
from sweeps.overrides import expand, split_overrides


def cells(grids: Grids) -> list[dict[str, str]]:
    return grids.cells()


def test_a_grid_is_the_product_in_file_order() -> None:
    grids = parse_grids([{"loss": ["bce", "mse"], "batch_size": [2, 8]}])
    assert cells(grids) == [
        {"loss": "bce", "batch_size": "2"},
        {"loss": "bce", "batch_size": "8"},
        {"loss": "mse", "batch_size": "2"},
        {"loss": "mse", "batch_size": "8"},
    ]


def test_lists_of_grids_join_and_a_cell_met_twice_counts_once() -> None:
    grids = parse_grids([{"loss": ["bce"], "seed": [0]}, {"seed": [0, 1], "loss": "bce"}])
    assert cells(grids) == [{"loss": "bce", "seed": "0"}, {"seed": "1", "loss": "bce"}]


def test_zipped_keys_move_together() -> None:
    grids = parse_grids([{"loss.alpha, loss.beta": [[0.5, 1], [2, 3]], "seed": [0]}])
    assert cells(grids) == [
        {"loss.alpha": "0.5", "loss.beta": "1", "seed": "0"},
        {"loss.alpha": "2", "loss.beta": "3", "seed": "0"},
    ]


def test_excluded_cells_are_left_out() -> None:
    grids = parse_grids(
        [{"loss": ["a", "b"], "loss.alpha": [1, 2]}], [{"loss": "b", "loss.alpha": 2}]
    )
    assert {"loss": "b", "loss.alpha": "2"} not in cells(grids)
    assert len(cells(grids)) == 3


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([["loss"]], "a mapping of keys to values is meant"),
        ([{"loss": []}], r"sweep.grids\[0\].loss has no values"),
        ([{"a,b": [[1, 2], [3]]}], "should be a list of 2 values"),
        ([{"a": [object()]}], "has no form as an override"),
    ],
)
def test_wrong_grids_are_refused_with_their_place(grids: list, message: str) -> None:
    with pytest.raises(GridError, match=message):
        parse_grids(grids)


def test_the_command_line_replaces_and_extends() -> None:
    grids = parse_grids([{"loss": ["bce", "mse"]}])
    changed = with_overrides(grids, {"loss": ["huber"], "seed": ["0", "1"]})
    assert cells(changed) == [{"loss": "huber", "seed": "0"}, {"loss": "huber", "seed": "1"}]


def test_a_replaced_key_leaves_its_zip() -> None:
    grids = parse_grids([{"loss.alpha,loss.beta": [[0.5, 1], [2, 1], [3, 4]]}])
    changed = with_overrides(grids, {"loss.alpha": ["7"]})
    assert cells(changed) == [
        {"loss.beta": "1", "loss.alpha": "7"},
        {"loss.beta": "4", "loss.alpha": "7"},
    ]


def test_a_parameter_of_a_swept_group_changes_only_the_grids_that_move_it() -> None:
    grids = parse_grids([{"loss": ["bce"]}, {"loss": ["mse_bce"], "loss.alpha": [1, 2]}])
    changed = with_overrides(grids, {"loss.alpha": ["3"], "batch_size": ["4"]})
    assert cells(changed) == [
        {"loss": "bce", "batch_size": "4"},
        {"loss": "mse_bce", "loss.alpha": "3", "batch_size": "4"},
    ]


def test_overrides_are_sorted_into_shared_ones_and_axes() -> None:
    split = split_overrides(
        ["experiment=paper", "seed=0,1", "loss=huber", "x=range(1,4)"], swept_keys={"loss"}
    )
    assert split.shared == ("experiment=paper",)
    assert split.axes == {"seed": ("0", "1"), "loss": ("huber",), "x": ("1", "2", "3")}


def test_an_interval_is_no_grid() -> None:
    with pytest.raises(GridError, match="not an interval"):
        split_overrides(["loss.alpha=interval(0,1)"], set())


def test_expand_keeps_shared_overrides_beside_the_cells() -> None:
    grids = parse_grids([{"loss": ["bce"]}])
    expanded = expand(grids, ["+sweep=table1", "seed=3,4"])
    assert expanded.shared == ("+sweep=table1",)
    assert [cell["seed"] for cell in expanded.cells] == ["3", "4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        ("mse_bce", "mse_bce"),
        ("a b", "'a b'"),
        ("it's", r"'it\'s'"),
        ([1, "x"], "[1,x]"),
        ({"a": 1}, "{a:1}"),
        ("1", "'1'"),
        ("true", "'true'"),
    ],
)
def test_values_are_written_in_hydras_grammar(value: object, text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert override_text(value) == text
    parsed = OverridesParser.create().parse_override(f"key={text}").value()
    assert getattr(parsed, "text", parsed) == value or parsed == value
