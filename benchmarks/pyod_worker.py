"""Worker process that runs PyOD: ``fit`` of its autoencoder with the defaults.

The time is measured here, around the work alone.
"""

import os
import sys
from time import perf_counter

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # all contenders run on the CPU
from worker import Run, serve  # keeps what libraries print out of the answers

# isort: split

import numpy as np
import pyod
import torch
from pyod.models.auto_encoder import AutoEncoder


def fit(data: str, epochs: int) -> Run:
    """Return what fits on the training rows; all but the number of epochs is a default."""
    rows = np.load(data)["train"]

    def run(calls: int) -> float:
        began = perf_counter()
        for _ in range(calls):
            AutoEncoder(epoch_num=epochs, verbose=0).fit(rows)
        return perf_counter() - began

    return run


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve({"fit": fit}, {"pyod": pyod.__version__})
