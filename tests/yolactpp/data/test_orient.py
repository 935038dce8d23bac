"""Orientations of pixels, and the same told by axes."""

from itertools import product

import numpy as np
import pytest

from yolactpp.data.orient import orient, source_axes


@pytest.mark.parametrize(
    ("mirrored", "flipped", "turns"), list(product((False, True), (False, True), range(4)))
)
def test_axes_say_what_becomes_of_rows_and_columns(mirrored, flipped, turns):
    pixels = np.arange(6).reshape(2, 3)
    (rows, rows_backwards), (columns, columns_backwards) = source_axes(mirrored, flipped, turns)
    told = pixels.transpose(rows, columns)
    told = told[::-1] if rows_backwards else told
    told = told[:, ::-1] if columns_backwards else told
    np.testing.assert_array_equal(told, orient(pixels, mirrored, flipped, turns))


def test_a_quarter_turn_worked_by_hand():
    assert orient(np.array([[1, 2, 3], [4, 5, 6]]), False, False, 1).tolist() == [
        [3, 6],
        [2, 5],
        [1, 4],
    ]
    assert source_axes(False, False, 1) == ((1, True), (0, False))
