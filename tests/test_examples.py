"""Every example runs and prints what its docstring promises."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from ensuite.nn import LSTM, RNN
from ensuite.nn.initial import chrono_

FOLDER = Path(__file__).parents[1] / "examples"

SHOWN = {
    "one_to_one": ("20steps", [r"mlp +\d", r"\[5.0, 3.4, 1.5, 0.2\] is \w+, \d+% sure"]),
    "many_to_one": (
        "5steps",
        [r"Fransızca: \w+ \(\d+%\)", r"10 steps, .* 64", "last hidden state: True"],
    ),
    "one_to_many": ("2steps", [r"it shows: eight three", r"\d% of 1,000 captions", r" \(end\)"]),
    "emoji_captions": ("pictures", [r"400 images and captions\.csv are in pictures"]),
    "many_to_many_aligned": ("5steps", [r"lstm bidirectional +\d", r"Paris/\S+ is/\S+ asleep/"]),
    "listing_1_simple_rnn": ("1", [r"train: accuracy 0\.\d{3}", r"in a loop: accuracy 0\.\d{3}"]),
    "listing_2_lstm": ("1", [r"train: accuracy 0\.\d{3}", r"in a loop: accuracy 0\.\d{3}"]),
    "forgetting": ("2steps", [r"steps back: +0 +10", r"rnn +\S+e\+00 .* ", r"lstm +\d"]),
    "language_model": ("3steps", [r"greedy  ", r"temperature 1\.0 ", r"\d bits per byte: mat"]),
    "translation": ("3steps", [r"seq2seq:attention=none\n", r"1 mars 2024 -> ", r"chrF +\d"]),
    "summaries": ("2steps", [r"lead sentence +0\.\d", r"copy +0\.\d"]),
    "correction": ("2steps", [r"F0\.5 of \d+ sentences: +0\.\d{3}", r"as they are: +0\.000"]),
    "listing_3_autoencoder": ("1", [r"codes \(297, 64\)", r"error of the test images: 0\.\d{4}"]),
    "listing_4_bert": ("2steps", [r"last hidden state  \(1, \d+, 768\)", r"tokens \(1, 768\)"]),
    "listing_5_gpt2": ("3steps", [r"^Il était une fois", r"un vieux forgeron qui.*"]),
    "autoencoder_and_pca": ("3steps", [r"PCA 2 +MSE 0\.\d", r"PCA 1 +MSE 0\.\d"]),
    "sparse_autoencoder": ("3steps", [r"10 largest alone +near zero +\d+\.\d% +MSE 0\."]),
    "convolutional_autoencoder": ("2steps", [r"conv-autoencoder upsampling=nearest +\d"]),
    "variational_autoencoder": ("3steps", [r"ELBO +-?\d+\.\d nats = ", r"\d of 8 units active"]),
    "encoder_first": ("2steps", [r"50 labels, new weights +accuracy 0\.", r"437 labels, from the"]),
    "vae_gan": ("2steps", [r"vae:code=8: MSE 0\.", r"vae-gan:code=8: MSE 0\.\d+; three drawn"]),
    "eiffel": ("2steps", [r"hauteur de la tour Eiffel \? +\S.* \(\d+%\)"]),
    "denoising_autoencoder": ("3steps", [r"trained without +PSNR \d+\.\d+ dB", r"\ncleaned\n"]),
    "machine_sensors": ("20steps", [r"threshold \d+\.\d+: 0\.\d+%", r"alarms in the 20 broken"]),
    "phonemes": ("2steps", [r"seq2seq +\d", r"nearest pair +\d"]),
}


@pytest.mark.parametrize("name", SHOWN)
def test_example(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    budget, patterns = SHOWN[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENSUITE_DATA", raising=False)
    monkeypatch.setattr("sys.argv", [f"{name}.py", budget])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for pattern in patterns:
        assert re.search(pattern, printed), f"{pattern!r} is not in\n{printed}"


def test_every_example_is_run_and_listed() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")}
    assert files == set(SHOWN)
    listed = re.findall(r"\]\((\w+)\.py\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert set(listed) == files


def test_the_gradient_of_a_plain_network_vanishes() -> None:
    """Check what `forgetting.py` prints, with the same layers."""
    open_gates = LSTM(8, 64)
    chrono_(open_gates, span=100)
    reach = {}
    for name, layer in {"rnn": RNN(8, 64), "lstm": open_gates}.items():
        series = torch.randn(16, 60, 8, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(series)[1].hidden.sum(), series)
        sizes = gradient.norm(dim=-1).mean(0).flip(0)
        reach[name] = float(sizes[40] / sizes[0])
    assert reach["rnn"] < 1e-6
    assert reach["lstm"] > 1e-2
