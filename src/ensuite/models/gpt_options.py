"""The options of a GPT: sizes, parts, recipe, and published checkpoints."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor

from ensuite.core.backbone import BackboneOptions, Pretrained, Trait
from ensuite.core.batch import Inputs
from ensuite.core.errors import RunError
from ensuite.core.published import PublishedHead, PublishedTask
from ensuite.core.recipe import Recipe
from ensuite.models.weights import gpt as published

if TYPE_CHECKING:
    from ensuite.models.gpt import GPT

Activation = Literal["gelu", "squared-relu", "swiglu"]


@dataclass(frozen=True, kw_only=True)
class GPTOptions(BackboneOptions):
    """A decoder-only Transformer: each position attends to itself and to earlier ones.

    The defaults are those that learn most from a small budget. The presets ``gpt2``,
    ``gpt2-medium`` and so on are the published models, and the folder of a published checkpoint
    sets every option as its ``config.json`` says.

    Args:
        width: Size of the vector of each position.
        layers: Number of blocks.
        heads: Number of attention heads of each block.
        key_heads: Number of heads of keys and values, each shared by several query heads
            (grouped-query attention); it must divide heads. None: as many as heads.
        head_size: Size of the queries and keys of a head. None: width / heads.
        inner: Units of the hidden layer of each feed-forward network. None: 4 times width; 8/3
            times with swiglu, which has three matrices instead of two.
        context: Most positions that are read at once, which is also the length of the chunks that
            a language model is trained on.
        positions: learned: a learned vector for each position, added to the input; rotary: queries
            and keys are rotated by an angle that grows with the position.
        rotary_base: Base of the rotary wavelengths.
        rotary_scaling: How a checkpoint stretches them, as :func:`ensuite.nn.position.stretched`
            reads it: by a factor, or by a factor, two limits and the context of Llama 3.
        norm: layer: layer norm; rms: root mean square norm, which subtracts no mean.
        epsilon: Added to the variance in norms.
        qk_norm: Whether queries and keys are normalised, which bounds the attention scores.
        activation: gelu; squared-relu; or swiglu, a gated layer.
        bias: Which linear layers have biases: all, those of queries, keys and values (qkv), none.
            Layer norms have one with all.
        tied: Whether the token embedding is also the output projection (weight tying).
        attention: softmax; or linear, whose state is a sum over all earlier positions and has the
            same size at any length.
        window: How many positions, its own included, a position attends to in each layer (sliding
            window attention). None: all earlier ones.
        memory: Whether the last keys and values of a chunk are handed to the next one, as in
            Transformer-XL; needs a window and rotary positions.
        dropout: Dropout rate of the inputs, of each sublayer's output and of the attention weights,
            which linear attention does not compute.
        token_rows: Rows of the token embedding, where a checkpoint has more than its tokenizer has
            tokens. None: one for each.
        folder: The published checkpoint that the options were read from.

    Sources:
        Radford et al. (2018, 2019), "Improving Language Understanding by Generative Pre-Training",
        "Language Models are Unsupervised Multitask Learners"
        Brown et al. (2020), https://arxiv.org/abs/2005.14165, section 2.1
        Llama: Touvron et al. (2023), https://arxiv.org/abs/2302.13971, section 2.2
        Grouped queries: Ainslie et al. (2023), https://arxiv.org/abs/2305.13245
        Normalised queries and keys: Henry et al. (2020), https://arxiv.org/abs/2010.04245
        Squared ReLU: So et al. (2021), https://arxiv.org/abs/2109.08668
        SwiGLU: Shazeer (2020), https://arxiv.org/abs/2002.05202
        Linear attention: Katharopoulos et al. (2020), https://arxiv.org/abs/2006.16236
        Sliding window: Beltagy et al. (2020), https://arxiv.org/abs/2004.05150
        Memory: Dai et al. (2019), https://arxiv.org/abs/1901.02860, section 3.2
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    key_heads: int | None = None
    head_size: int | None = None
    inner: int | None = None
    context: int = 128
    positions: Literal["rotary", "learned"] = "rotary"
    rotary_base: float = 10_000.0
    norm: Literal["rms", "layer"] = "rms"
    epsilon: float = 1e-5
    qk_norm: bool = True
    activation: Activation = "squared-relu"
    bias: Literal["none", "qkv", "all"] = "none"
    tied: bool = False
    attention: Literal["softmax", "linear"] = "softmax"
    window: int | None = None
    memory: bool = False
    dropout: float = 0.0
    rotary_scaling: tuple[float, ...] = field(default=(), metadata={"learned": True})
    token_rows: int | None = field(default=None, metadata={"learned": True})
    folder: Path | None = field(default=None, metadata={"learned": True, "saved": False})

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})

    def __post_init__(self) -> None:
        sizes = (self.key_heads, self.head_size, self.inner, self.window)
        counts = [self.width, self.layers, self.heads, self.context]
        if min([*counts, *(size for size in sizes if size is not None)]) < 1:
            raise ValueError("sizes, heads, layers, context and window must be 1 or more")
        if self.head_size is None and self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.heads % (self.key_heads or self.heads):
            raise ValueError(f"key_heads ({self.key_heads}) must divide heads ({self.heads})")
        if not 0 <= self.dropout < 1 or min(self.epsilon, self.rotary_base) <= 0:
            raise ValueError(
                "dropout must be from 0 to less than 1, epsilon and rotary_base more than 0"
            )
        if self.attention == "linear" and self.window is not None:
            raise ValueError(
                "attention=linear has no window: its state holds all earlier positions"
            )
        if self.memory and (self.window is None or self.positions != "rotary"):
            raise ValueError("memory needs a window, and positions=rotary")

    @property
    def size(self) -> int:
        """Size of the queries and keys of a head."""
        return self.head_size or self.width // self.heads

    @property
    def groups(self) -> int:
        """Number of heads of keys and values."""
        return self.key_heads or self.heads

    @property
    def hidden(self) -> int:
        """Units of the hidden layer of each feed-forward network."""
        if self.inner is not None:
            return self.inner
        return 8 * math.ceil(self.width / 3) if self.activation == "swiglu" else 4 * self.width

    @property
    def endless(self) -> bool:
        """Whether a network reads on past its context: nothing that it computes is new to it."""
        bounded = self.window is not None or self.attention == "linear"
        return bounded and self.positions == "rotary"

    @property
    def traits(self) -> frozenset[Trait]:
        carries = {Trait.CARRIES} if self.memory else set()
        return frozenset({Trait.SEQUENCE, Trait.CAUSAL, Trait.STEPS, *carries})

    def build(self, inputs: Inputs) -> "GPT":
        # Only here: the networks are built from these options, and import them.
        from ensuite.models.gpt import GPT
        from ensuite.models.gpt_linear import LinearGPT

        return (LinearGPT if self.attention == "linear" else GPT)(self, inputs)

    def tiny(self) -> "GPTOptions":
        return replace(
            self, width=12, layers=1, heads=6, context=64, dropout=0.0,
            key_heads=None if self.key_heads is None else 2,
            head_size=None if self.head_size is None else 4,
            inner=None if self.inner is None else 16,
            window=None if self.window is None else 4,
        )  # fmt: skip

    def recipe(self) -> Recipe:
        """Return Muon's for new weights, nanoGPT's with layer norm, AdamW's for a checkpoint.

        An update of Muon has the same spectral norm at any width if the learning rate falls with
        the root of the width.
        """
        if self.folder is not None:
            return Recipe(learning_rate=5e-5, warmup=0.1, batch_size=16, weight_decay=0.01)
        if self.norm == "layer":
            return Recipe(
                learning_rate=1e-3, schedule="cosine", warmup=0.05, batch_size=12,
                weight_decay=0.1, betas=(0.9, 0.99),
            )  # fmt: skip
        rate = float(f"{0.09 / math.sqrt(self.width):.1g}")
        return Recipe(optimizer="muon", learning_rate=rate, batch_size=32)

    # Published checkpoints

    @classmethod
    def from_checkpoint(cls, folder: Path) -> "GPTOptions":
        """Return the options of a checkpoint of GPT-2, Llama, Mistral, Qwen2 or Qwen3."""
        options = published.read_options(folder)
        try:
            return cls(folder=folder, **options)
        except ValueError as error:
            raise RunError(f"{folder / published.CONFIG} describes no model: {error}.") from None

    def pretrained(self) -> Pretrained | None:
        return None if self.folder is None else Pretrained(self.folder, self.context)

    def weights(self) -> Mapping[str, Tensor] | None:
        return None if self.folder is None else published.read_tensors(self, self.folder)

    def adopt(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return published.adopt(self, tensors)

    def publish(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return published.publish(self, tensors)

    def published_config(self) -> Mapping[str, Any]:
        return published.write_config(self)

    def published_head(self, task: PublishedTask) -> PublishedHead:
        return published.head_of(self, task)
