import pytest
import torch

from ensuite.core.errors import UsageError
from ensuite.training.device import choose_device, deterministic, machine, precision, versions


@pytest.fixture
def has(monkeypatch):
    """Return a function that says which accelerators are there."""

    def choose(*names):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)

    return choose


@pytest.mark.parametrize(
    ("there", "chosen"),
    [([], "cpu"), (["mps"], "mps"), (["cuda"], "cuda"), (["cuda", "mps"], "cuda")],
)
def test_auto_takes_what_is_there(has, there, chosen):
    has(*there)
    assert choose_device().type == chosen
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps", "tpu", ""])
def test_an_absent_device_is_refused(has, name):
    has()
    with pytest.raises(UsageError, match=f"--device {name}: there is none here; there is: cpu"):
        choose_device(name)


def test_a_forward_pass_computes_in_the_precision_named():
    layer, cpu = torch.nn.Linear(2, 2), torch.device("cpu")
    for name in ("float32", "bfloat16"):
        with precision(name, cpu):
            assert layer(torch.ones(1, 2)).dtype == getattr(torch, name)


def settings():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def fail():
    with deterministic(torch.device("cpu")):
        assert settings() == (True, True, False)
        raise ZeroDivisionError


@pytest.mark.parametrize("mine", [False, True])
def test_the_callers_settings_come_back_even_after_an_error(mine):
    before = settings()
    torch.use_deterministic_algorithms(mine, warn_only=mine)
    torch.utils.deterministic.fill_uninitialized_memory = mine
    try:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert settings() == (mine, mine, mine)
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]


def test_a_result_says_where_it_was_measured():
    assert {"system", "processor", "cores", "threads"} <= machine().keys()
    assert versions()["torch"] == torch.__version__
