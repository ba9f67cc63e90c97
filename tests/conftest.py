"""What every test finds set up: checked shapes, fixed seeds, real files where there are any."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

# Shapes in the signatures of layers and backbones are checked; it must come before their import.
install_import_hook(["ensuite.nn", "ensuite.models"], "beartype.beartype")

pytest.register_assert_rewrite("stress.harness")  # asserts there tell as much as in a test

# The time an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("ensuite", deadline=None)
hypothesis.settings.load_profile("ensuite")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Let no test depend on the random numbers that another has drawn."""
    torch.manual_seed(0)


@pytest.fixture(scope="module", params=["eager", "fused"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Compute recurrent layers by the kernels in torch, then by the compiled ones."""
    if request.param == "fused":
        pytest.importorskip("numba")
    module = importlib.import_module(f"ensuite.nn.kernels.{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ensuite.nn.kernels.hoisted.functions", lambda: module)
        patch.setattr("torch.cpu._is_avx512_supported", lambda: False)  # where oneDNN is slower
        patch.setattr("ensuite.nn.kernels.hoisted.is_compiled", lambda: request.param == "fused")
        yield request.param


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real files, named by ENSUITE_DATA."""
    folder = os.environ.get("ENSUITE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real files of the folder ENSUITE_DATA")
    return Path(folder)
