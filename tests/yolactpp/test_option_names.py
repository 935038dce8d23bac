"""Numbers that name options."""

import pytest

from yolactpp.option_names import quote_numbers


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("batch_size=16", "batch_size='16'"),
        ("batch_size=2,8", "batch_size='2','8'"),
        ("batch_size.total=12", "batch_size.total=12"),
        ("batch_size='4'", "batch_size='4'"),
        ("seed=0,1", "seed=0,1"),
        ("loss=bce", "loss=bce"),
        ("-m", "-m"),
    ],
)
def test_only_numbers_that_name_options_are_quoted(typed: str, meant: str) -> None:
    assert quote_numbers([typed]) == [meant]
