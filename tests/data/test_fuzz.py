"""Damaged files of every kind, a few of each; ``benchmarks.fuzz`` tries as many as asked."""

from pathlib import Path
from random import Random

import pytest
from benchmarks import fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

SAMPLES = fuzz.samples()
CONTENTS = [sample.content for sample in SAMPLES.values()]

few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_whole_file_is_read(name: str, tmp_path: Path) -> None:
    path = fuzz.write(tmp_path, name, SAMPLES[name].content)
    if name not in ("a.npy", "b.json"):  # of no kind that is read, of too few rows
        fuzz.open_file(path, SAMPLES[name].tasks[0])


@pytest.mark.parametrize("name", SAMPLES)
@few
@given(seed=some.integers(0, 2**32 - 1))
def test_a_damaged_file_is_read_or_refused_with_a_sentence(
    name: str, seed: int, tmp_path: Path
) -> None:
    random = Random(seed)
    content = fuzz.damage(SAMPLES[name].content, CONTENTS, random)
    path = fuzz.write(tmp_path, name, content)
    assert fuzz.attempt(path, random.choice(SAMPLES[name].tasks), len(content)) is None


def test_what_goes_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, peaks = fuzz.write(tmp_path, "a.csv", b""), [0]
    monkeypatch.setattr(fuzz, "peak", lambda: peaks[-1])

    def fails(*_: object) -> None:
        raise KeyError("x")

    def floods(*_: object) -> None:
        peaks.append(fuzz.MEMORY + 1)

    def hangs(*_: object) -> None:
        while True:
            pass

    assert fuzz.attempt(path, "classify", 0) is None  # refused with a sentence
    monkeypatch.setattr(fuzz, "HANG", 1)
    for wrong, word in ((fails, "KeyError"), (hangs, "Hang"), (floods, "MB for 0 bytes")):
        monkeypatch.setattr(fuzz, "open_file", wrong)
        found = fuzz.attempt(path, "classify", 0)
        assert found is not None
        assert word in found[0]
