"""Set-up of every test: shape checks, fixed seeds, and real data where it is available."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

# Check the shapes in signatures of layers and backbones; this must precede their import.
install_import_hook(["ensuite.nn", "ensuite.models"], "beartype.beartype")

pytest.register_assert_rewrite("stress.harness")  # asserts there tell as much as in a test

# On a shared machine, the time of an example is not meaningful. The same commit tries the same
# examples everywhere; `pytest --hypothesis-profile explore` looks for new ones.
hypothesis.settings.register_profile("ensuite", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ensuite")


@pytest.fixture(autouse=True)
def seed() -> None:
    """Seed torch, so that no test depends on the random numbers of another."""
    torch.manual_seed(0)


@pytest.fixture(scope="module", params=["eager", "fused"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run recurrent layers with the kernels in torch, then with the compiled ones."""
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
