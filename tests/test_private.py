"""Private functions of torch that are called: each is named here, and is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import ensuite

PRIVATE = {
    "torch._C._are_functorch_transforms_active",
    "torch._C._get_tracing_state",
    "torch._foreach_add_",
    "torch._foreach_mul_",
    "torch._foreach_norm",
    "torch._fused_adamw_",
    "torch._fused_sgd_",
    "torch.autograd.forward_ad._current_level",
    "torch.cpu._is_avx512_supported",
}
"""A version of torch without one of them fails here first, and says which."""

SOURCE = Path(ensuite.__file__).parent


def test_no_other_private_function_is_called() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    text = text.replace(" forward_ad._current", " torch.autograd.forward_ad._current")
    found = set(re.findall(r"\btorch(?:\.\w+)*?\._\w+(?:\._\w+)*", text))
    assert found == PRIVATE


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_each_is_there(name: str) -> None:
    parts = name.split(".")
    module = import_module("torch.autograd.forward_ad" if "forward_ad" in name else "torch")
    for part in parts[3 if "forward_ad" in name else 1 :]:
        module = getattr(module, part)
    assert module is not None
