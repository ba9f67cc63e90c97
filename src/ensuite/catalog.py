"""The catalog: backbones and tasks that can be chosen by name, a row each, without imports."""

from typing import Any

from ensuite.core.errors import UsageError
from ensuite.core.registry import Registry, Row

_CAUSAL = ("sequence", "causal", "steps", "carries")
_POSITIONS = ("tokens", "characters", "values", "image")
_DECODER = ("sequence", "causal", "steps")

_GPT2 = {
    "positions": "learned", "norm": "layer", "qk_norm": False, "activation": "gelu",
    "bias": "all", "tied": True,
}  # fmt: skip


def _gpt(caption: str, paper: str, year: int, **preset: Any) -> Row:
    """Return the row of a published size of GPT; a comparison takes it only where it is named."""
    return Row(
        target="ensuite.models.gpt:GPTOptions",
        preset={**_GPT2, **preset},
        caption=caption,
        traits=_DECODER,
        reads=("tokens",),
        paper=paper,
        year=year,
        default=False,
    )


def _gpt2(parameters: str, width: int, layers: int, heads: int) -> Row:
    """Return the row of a size of GPT-2: Radford et al. (2019), table 2, as it was released."""
    caption = f"GPT-2, {parameters} parameters"
    sizes = {"width": width, "layers": layers, "heads": heads, "context": 1024}
    return _gpt(caption, "Radford et al., OpenAI", 2019, **sizes)


def _gpt3(parameters: str, width: int, layers: int, heads: int, head_size: int) -> Row:
    """Return the row of a size of GPT-3: Brown et al. (2020), table 2.1.

    Every second layer of GPT-3 is banded and sparse; here all are dense.
    """
    caption = f"GPT-3, {parameters} parameters"
    sizes = {"width": width, "layers": layers, "heads": heads, "context": 2048}
    own = {} if heads * head_size == width else {"head_size": head_size}
    return _gpt(caption, "Brown et al., NeurIPS", 2020, **sizes, **own)


BACKBONES: dict[str, Row] = {
    "mlp": Row(
        target="ensuite.models.mlp:MLPOptions",
        caption="multilayer perceptron: a row of numbers, an image or a series as one long vector",
        reads=("row", "image", "values"),
        paper="Rumelhart, Hinton & Williams, Nature 323",
        year=1986,
    ),
    "conv": Row(
        target="ensuite.models.conv:ConvOptions",
        caption="convolutions: the same filters everywhere over time, or over a picture",
        traits=("sequence", "two-sided"),
        reads=_POSITIONS,
        paper="LeCun et al., Neural Computation 1",
        year=1989,
    ),
    "rnn": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "rnn"},
        caption="plain recurrent network: one state, updated at each step",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Elman, Cognitive Science 14",
        year=1990,
    ),
    "lstm": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "lstm"},
        caption="long short-term memory: a cell that three gates guard",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Hochreiter & Schmidhuber, Neural Computation 9",
        year=1997,
    ),
    "gru": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "gru"},
        caption="gated recurrent unit: two gates, no cell of its own",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Cho et al., EMNLP",
        year=2014,
    ),
    "seq2seq": Row(
        target="ensuite.models.seq2seq:Seq2SeqOptions",
        caption="recurrent encoder and decoder, with or without attention",
        traits=("decodes", "steps"),
        reads=("tokens", "image"),
        paper="Sutskever, Vinyals & Le, NeurIPS; Bahdanau, Cho & Bengio, ICLR",
        year=2014,
    ),
    "transformer": Row(
        target="ensuite.models.transformer:TransformerOptions",
        caption="self-attention encoder, with a decoder where the task generates text",
        traits=("sequence", "two-sided", "decodes", "steps"),
        reads=("tokens", "values"),
        paper="Vaswani et al., NeurIPS",
        year=2017,
    ),
    "gpt-nano": _gpt(
        "GPT-2 at the size that nanoGPT trains on a CPU", "Karpathy, nanoGPT", 2022,
        width=128, layers=4, heads=4, context=64, bias="none",
    ),
    "gpt2": _gpt2("124 million", 768, 12, 12),
    "gpt2-medium": _gpt2("355 million", 1024, 24, 16),
    "gpt2-large": _gpt2("774 million", 1280, 36, 20),
    "gpt2-xl": _gpt2("1.6 billion", 1600, 48, 25),
    "gpt3-125m": _gpt3("125 million", 768, 12, 12, 64),
    "gpt3-350m": _gpt3("350 million", 1024, 24, 16, 64),
    "gpt3-760m": _gpt3("760 million", 1536, 24, 16, 96),
    # The paper prints 24 heads of 128 here, which would be 1.5 billion parameters.
    "gpt3-1.3b": _gpt3("1.3 billion", 2048, 24, 16, 128),
    "gpt3-2.7b": _gpt3("2.7 billion", 2560, 32, 32, 80),
    "gpt3-6.7b": _gpt3("6.7 billion", 4096, 32, 32, 128),
    "gpt3-13b": _gpt3("13 billion", 5140, 40, 40, 128),
    "gpt3-175b": _gpt3("175 billion", 12288, 96, 96, 128),
    "transformer-xl": Row(
        target="ensuite.models.gpt:GPTOptions",
        preset={"window": 128, "memory": True},
        caption="a GPT that hands its last keys and values from chunk to chunk",
        traits=_CAUSAL,
        reads=("tokens",),
        paper="Dai et al., ACL",
        year=2019,
        default=False,
    ),
    # After its sizes: a saved run is called by the first row whose preset it has.
    "gpt": Row(
        target="ensuite.models.gpt:GPTOptions",
        caption="causal decoder: self-attention to the left, with the refinements since GPT-2",
        traits=_DECODER,
        reads=("tokens",),
        paper="Radford et al., OpenAI",
        year=2018,
        model_types=("gpt2", "llama", "mistral", "qwen2", "qwen3"),
    ),
}  # fmt: skip

TASKS: dict[str, Row] = {
    "classify": Row(
        target="ensuite.tasks.classify:Classify",
        caption="sequence, image or table classification, one label or several",
        reads=("tokens", "values", "image", "row"),
        baselines=(
            "ensuite.baselines.classify:MostFrequent",
            "ensuite.baselines.classify:TfidfLogistic",
            "ensuite.baselines.classify:NumberLogistic",
        ),
    ),
    "regress": Row(
        target="ensuite.tasks.regress:Regress",
        caption="regression: a number, or several, for a text, series, image or row",
        reads=("tokens", "values", "image", "row"),
        baselines=(
            "ensuite.baselines.regress:Mean",
            "ensuite.baselines.regress:TfidfRidge",
            "ensuite.baselines.regress:NumberRidge",
        ),
    ),
    "tag": Row(
        target="ensuite.tasks.tag:Tag",
        caption="token classification: a tag for every word (names, parts of speech)",
        traits=("sequence",),
        reads=("tokens",),
        baselines=("ensuite.baselines.tag:MostFrequentTag",),
    ),
    "forecast": Row(
        target="ensuite.tasks.forecast:Forecast",
        caption="probabilistic time series forecasting: the next steps, with intervals",
        reads=("values",),
        baselines=(
            "ensuite.baselines.forecast:LastValue",
            "ensuite.baselines.forecast:SeasonalNaive",
            "ensuite.baselines.forecast:Drift",
            "ensuite.baselines.forecast:LinearLayer",
        ),
    ),
    "generate": Row(
        target="ensuite.tasks.generate:Generate",
        caption="causal language modelling: go on with a text, tell how likely one is",
        traits=("sequence", "causal", "steps"),
        reads=("tokens",),
        architectures=("LMHeadModel", "ForCausalLM"),
        baselines=("ensuite.baselines.generate:NGram",),
    ),
    "translate": Row(
        target="ensuite.tasks.translate:Translate",
        caption="sequence to sequence: any text to text",
        traits=("decodes", "steps"),
        reads=("tokens",),
        baselines=(
            "ensuite.baselines.translate:Copy",
            "ensuite.baselines.translate:LeadSentence",
            "ensuite.baselines.translate:NearestPair",
        ),
    ),
    "caption": Row(
        target="ensuite.tasks.caption:Caption",
        caption="image to sequence: say in words what a picture shows",
        traits=("decodes", "steps"),
        reads=("image",),
        baselines=("ensuite.baselines.caption:MostFrequentCaption",),
    ),
}

ELSEWHERE: dict[str, str] = {
    "text-classification": "classify",
    "sentiment-analysis": "classify",
    "sequence-classification": "classify",
    "image-classification": "classify",
    "classification": "classify",
    "regression": "regress",
    "text-regression": "regress",
    "image-regression": "regress",
    "tabular-regression": "regress",
    "forecasting": "forecast",
    "time-series-forecasting": "forecast",
    "token-classification": "tag",
    "sequence-labeling": "tag",
    "sequence-labelling": "tag",
    "ner": "tag",
    "named-entity-recognition": "tag",
    "pos": "tag",
    "pos-tagging": "tag",
    "causal-lm": "generate",
    "language-modeling": "generate",
    "language-modelling": "generate",
    "text-generation": "generate",
    "image-captioning": "caption",
    "image-to-text": "caption",
    "captioning": "caption",
    "translation": "translate",
    "summarization": "translate",
    "text2text-generation": "translate",
    "cnn": "conv",
    "convnet": "conv",
    "textcnn": "conv",
    "tcn": "conv",
    "simplernn": "rnn",
    "elman": "rnn",
}
"""Names of other packages for what has another name here."""

backbones = Registry("model", "ensuite.backbones")
tasks = Registry("task", "ensuite.tasks")


def require_task(name: str) -> Row:
    """Return the row of a task.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in tasks and name in ELSEWHERE:
        raise UsageError(f'"{name}" is `{ELSEWHERE[name]}` here.')
    return tasks.find(name, f"There is: {', '.join(sorted(tasks))}.")


def require_model(name: str, task: str = "") -> Row:
    """Return the row of a backbone.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in backbones and name.lower() in ELSEWHERE:
        raise UsageError(f'"{name}" is `{ELSEWHERE[name.lower()]}` here.')
    listing = f"`ensuite models{f' --task {task}' if task else ''}` lists them"
    return backbones.find(name, f"{listing}.")
