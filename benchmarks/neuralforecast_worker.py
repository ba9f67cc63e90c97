"""Worker process that runs neuralforecast: updates of its GRU, and forecasts of many series."""

import logging
import os
import sys
import warnings
from time import perf_counter
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # all contenders run on the CPU

from worker import Run, serve  # keeps what libraries print out of the answers

# isort: split

import neuralforecast
import numpy as np
import pandas as pd
import torch
from neuralforecast.losses.pytorch import MAE
from neuralforecast.models import GRU
from pytorch_lightning.callbacks import Callback

WARM = 10
"""Updates before those that are timed."""


class Clock(Callback):
    """Notes when each update ends. The class holds the times, since models are copied."""

    times: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        Clock.times.append(perf_counter())


def forecaster(how: dict[str, Any], steps: int) -> neuralforecast.NeuralForecast:
    """Return a GRU of one layer with a linear layer on it, to be trained for some updates."""
    model = GRU(
        h=how["horizon"], input_size=how["look_back"], encoder_n_layers=1,
        encoder_hidden_size=how["width"], decoder_layers=1, decoder_hidden_size=how["width"],
        loss=MAE(), learning_rate=how["rate"], max_steps=steps, batch_size=how["series"],
        windows_batch_size=how["batch"], scaler_type="identity", gradient_clip_val=1.0,
        callbacks=[Clock()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    return neuralforecast.NeuralForecast(models=[model], freq=1)


def frame(values: np.ndarray) -> pd.DataFrame:
    """Return (series, steps) as a long table."""
    count, steps = values.shape
    names = np.repeat([f"s{number}" for number in range(count)], steps)
    return pd.DataFrame(
        {"unique_id": names, "ds": np.tile(np.arange(steps), count), "y": values.ravel()}
    )


def update(data: str, **how: Any) -> Run:
    """Time updates alone, without the preparation of the data and the trainer."""
    table = frame(np.load(data)["train"])

    def run(calls: int) -> float:
        Clock.times.clear()
        forecaster(how, WARM + calls).fit(table)
        return Clock.times[-1] - Clock.times[WARM - 1]

    return run


def predict(data: str, **how: Any) -> Run:
    """Time forecasts of many series, from one table to another."""
    arrays = np.load(data)
    fitted = forecaster(how, WARM)
    fitted.fit(frame(arrays["train"]))
    asked = frame(arrays["asked"])

    def run(calls: int) -> float:
        began = perf_counter()
        for _ in range(calls):
            fitted.predict(df=asked)
        return perf_counter() - began

    return run


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.set_num_threads(int(sys.argv[1]))
    serve(
        {"update": update, "predict": predict},
        {"neuralforecast": neuralforecast.__version__},
    )
