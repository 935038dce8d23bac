import json
from pathlib import Path

from yolactpp.engine.history import History
from yolactpp.run_dir import read_jsonl


class Collecting:
    def __init__(self) -> None:
        self.records: list[dict] = []
        self.closed = False

    def write(self, record: dict) -> None:
        self.records.append(record)

    def conclude(self, document: dict) -> None:
        self.records.append(document)

    def close(self) -> None:
        self.closed = True


def test_records_go_to_the_file_and_the_writers(tmp_path: Path) -> None:
    writer = Collecting()
    history = History(tmp_path / "metrics.jsonl", [writer])
    history.write({"iteration": 1, "total": 2.0})
    history.write({"iteration": 2, "total": float("nan")})
    history.close()
    assert read_jsonl(tmp_path / "metrics.jsonl")[1] == {"iteration": 2, "total": None}
    assert [record["iteration"] for record in writer.records] == [1, 2]
    assert writer.closed


def test_truncation_forgets_later_steps_and_unknown_validations(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    history = History(path)
    for iteration in (1, 2, 3, 4):
        history.write({"iteration": iteration, "total": 1.0})
        if iteration in (2, 3):
            history.write({"iteration": iteration, "val/segm_AP": 0.5})
    with path.open("a") as file:
        file.write('{"iteration": 5, "tot')
    history.truncate(3, validated_at=2)
    kept = [(record["iteration"], "total" in record) for record in read_jsonl(path)]
    assert kept == [(1, True), (2, True), (2, False), (3, True)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_truncating_nothing_makes_an_empty_file(tmp_path: Path) -> None:
    History(tmp_path / "metrics.jsonl").truncate(0, -1)
    assert read_jsonl(tmp_path / "metrics.jsonl") == []
