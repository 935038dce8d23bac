"""`python -m sweeps VERB`: arguments in any order, unknown verbs."""

import argparse
import sys
import types

import pytest

from sweeps import __main__ as command_line


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What the verb `retry` is handed; the real one's arguments, its work left out."""
    from sweeps import retry

    arguments: list[argparse.Namespace] = []
    fake = types.ModuleType("sweeps_retry_example")
    vars(fake).update(
        add_arguments=retry.add_arguments, run=lambda args: arguments.append(args) or 0
    )
    monkeypatch.setitem(sys.modules, "sweeps_retry_example", fake)
    monkeypatch.setitem(command_line.VERBS, "retry", "sweeps_retry_example")
    return arguments


def test_overrides_stand_on_both_sides_of_a_flag(seen: list[argparse.Namespace]) -> None:
    words = ["retry", "outputs/table3", "seed=1", "--only", "timeout", "timeout_min=2880"]
    assert command_line.main(words) == 0
    assert seen[0].only == "timeout"
    assert ["seed=1", "timeout_min=2880"] in vars(seen[0]).values()


@pytest.mark.parametrize("words", [["tabels", "outputs/runs"], []])
def test_an_unknown_verb_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(words)
    assert stopped.value.code == 2
    assert "VERB" in capsys.readouterr().err


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(verb in printed for verb in command_line.VERBS)
