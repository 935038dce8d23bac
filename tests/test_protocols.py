"""The protocol files: complete, explained, and as the documentation shows them."""

from pathlib import Path

import pytest
import yaml

from yolactpp.protocols import NAMES, PAGE, entries, load_protocol, main, with_keys

ROOT = Path(__file__).parent.parent


def test_the_committed_page_is_fresh():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert with_keys(page) == page, "run: python -m yolactpp.protocols"


def test_the_command_writes_the_page(tmp_path, capsys):
    path = tmp_path / "page.md"
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    path.write_text(page.replace("mask_crop", "stale"), encoding="utf-8")
    main([str(path)])
    assert "### mask_crop\n" in path.read_text(encoding="utf-8")
    assert str(path) in capsys.readouterr().out


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="marks"):
        with_keys("# Protocols")


def test_all_protocols_have_sounds_keys():
    sound = load_protocol("sound")
    for name in NAMES:
        protocol = load_protocol(name)
        assert protocol.pop("name") == name
        assert protocol.keys() == sound.keys() - {"name"}
        for key, value in protocol.items():
            assert type(value) is type(sound[key]), key


def test_every_key_is_explained_and_differs_somewhere():
    explained = entries()
    protocols = [load_protocol(name) for name in NAMES]
    assert [entry.key for entry in explained] == [key for key in protocols[0] if key != "name"]
    for entry in explained:
        values = [protocol[entry.key] for protocol in protocols]
        assert values[1] != values[0] or values[2] != values[0], entry.key


def test_a_file_holds_only_what_differs():
    for name, parent in (("yolact", "sound"), ("survey_code", "yolact")):
        own = yaml.safe_load((ROOT / "conf" / "protocol" / f"{name}.yaml").read_text())
        assert own.pop("defaults") == [parent, "_self_"]
        inherited = load_protocol(parent)
        assert [key for key, value in own.items() if inherited[key] == value] == []


def test_an_unknown_protocol_names_the_good_ones():
    with pytest.raises(ValueError, match=r"'yolatc'.*sound, yolact, survey_code"):
        load_protocol("yolatc")
