"""The catalog: backbones and tasks that can be chosen by name, a row each, without imports."""

from typing import Any

from ensuite.core.errors import UsageError, nearest
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
        target="ensuite.models.gpt_options:GPTOptions",
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


_BERT_SIZES = {
    "bert-tiny": (128, 2),
    "bert-mini": (256, 4),
    "bert-small": (512, 4),
    "bert-medium": (512, 8),
    "bert-base": (768, 12),
    "bert-large": (1024, 24),
}
"""Widths and layers; a head has 64 numbers."""

_MODERN_SIZES = {
    "modernbert-base": {"width": 768, "layers": 22, "heads": 12, "inner": 1152},
    "modernbert-large": {"width": 1024, "layers": 28, "heads": 16, "inner": 2624},
}

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
    "autoencoder": Row(
        target="ensuite.models.autoencoder:AutoencoderOptions",
        caption="dense layers to a short code and back",
        traits=("codes",),
        reads=("row", "image", "values"),
        default_for=("codes",),
        paper="Bourlard & Kamp, Biological Cybernetics 59",
        year=1988,
    ),
    "conv-autoencoder": Row(
        target="ensuite.models.conv_autoencoder:ConvAutoencoderOptions",
        caption="convolutions to a short code, and transposed convolutions back",
        traits=("codes",),
        reads=("image",),
        default_for=("codes",),
        paper="Masci, Meier, Cireşan & Schmidhuber, ICANN",
        year=2011,
    ),
    "recurrent-autoencoder": Row(
        target="ensuite.models.recurrent_autoencoder:RecurrentAutoencoderOptions",
        caption="a series of any length to a short code by an LSTM or GRU, and back",
        traits=("codes",),
        reads=("values",),
        default_for=("codes",),
        paper="Srivastava, Mansimov & Salakhutdinov, ICML",
        year=2015,
    ),
    "vae": Row(
        target="ensuite.models.vae:VAEOptions",
        caption="variational autoencoder: each code is a distribution, new data can be drawn",
        traits=("codes", "samples"),
        reads=("row", "image", "values"),
        default_for=("codes",),
        paper="Kingma & Welling, ICLR",
        year=2014,
    ),
    "vae-gan": Row(
        target="ensuite.models.vae_gan:VAEGANOptions",
        caption="variational autoencoder whose errors a discriminator learns to measure",
        traits=("codes", "samples"),
        reads=("row", "image", "values"),
        default=False,
        paper="Larsen, Sønderby, Larochelle & Winther, ICML",
        year=2016,
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
        target="ensuite.models.gpt_options:GPTOptions",
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
        target="ensuite.models.gpt_options:GPTOptions",
        caption="causal decoder: self-attention to the left, with the refinements since GPT-2",
        traits=_DECODER,
        reads=("tokens",),
        paper="Radford et al., OpenAI",
        year=2018,
        model_types=("gpt2", "llama", "mistral", "qwen2", "qwen3"),
    ),
    "bert": Row(
        target="ensuite.models.bert:BertOptions",
        caption="encoder that reads both sides; opens checkpoints of BERT, RoBERTa and the like",
        traits=("sequence", "two-sided"),
        reads=("tokens",),
        paper="Devlin et al., NAACL; Liu et al.; Sanh et al.; Clark et al., ICLR",
        year=2019,
        default=False,
        model_types=("bert", "roberta", "distilbert", "camembert", "xlm-roberta", "electra"),
    ),
    **{
        name: Row(
            target="ensuite.models.bert:BertOptions",
            preset={"width": width, "layers": layers, "heads": width // 64},
            caption=f"BERT with {layers} layers of width {width}, from new weights",
            traits=("sequence", "two-sided"),
            reads=("tokens",),
            paper="Devlin et al., NAACL; Turc et al.",
            year=2019,
            default=False,
        )
        for name, (width, layers) in _BERT_SIZES.items()
    },
    "modernbert": Row(
        target="ensuite.models.modern_bert:ModernBertOptions",
        caption="encoder for long texts: rotary positions, attention mostly to neighbours",
        traits=("sequence", "two-sided"),
        reads=("tokens",),
        paper="Warner et al., ACL",
        year=2025,
        default=False,
        model_types=("modernbert",),
    ),
    **{
        name: Row(
            target="ensuite.models.modern_bert:ModernBertOptions",
            preset=preset,
            caption=f"ModernBERT with {preset['layers']} layers, from new weights",
            traits=("sequence", "two-sided"),
            reads=("tokens",),
            paper="Warner et al., ACL",
            year=2025,
            default=False,
        )
        for name, preset in _MODERN_SIZES.items()
    },
}  # fmt: skip

TASKS: dict[str, Row] = {
    "classify": Row(
        target="ensuite.tasks.classify:Classify",
        caption="sequence, image or table classification, one label or several",
        reads=("tokens", "values", "image", "row"),
        architectures=("ForSequenceClassification",),
        baselines=(
            "ensuite.baselines.classify:MostFrequent",
            "ensuite.baselines.classify:TfidfLogistic",
            "ensuite.baselines.classify:NumberLogistic",
        ),
        metrics=(
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "micro_f1",
            "log_loss",
            "calibration_error",
        ),
    ),
    "regress": Row(
        target="ensuite.tasks.regress:Regress",
        caption="regression: a number, or several, for a text, series, image or row",
        reads=("tokens", "values", "image", "row"),
        architectures=("ForSequenceClassification",),
        baselines=(
            "ensuite.baselines.regress:Mean",
            "ensuite.baselines.regress:TfidfRidge",
            "ensuite.baselines.regress:NumberRidge",
        ),
        metrics=("mae", "rmse", "r2", "mae_*"),
    ),
    "tag": Row(
        target="ensuite.tasks.tag:Tag",
        caption="token classification: a tag for every word (names, parts of speech)",
        traits=("sequence",),
        reads=("tokens",),
        architectures=("ForTokenClassification",),
        baselines=("ensuite.baselines.tag:MostFrequentTag",),
        metrics=("entity_f1", "entity_precision", "entity_recall", "accuracy"),
    ),
    "forecast": Row(
        target="ensuite.tasks.forecast:Forecast",
        caption="probabilistic time series forecasting: the next steps, with intervals",
        reads=("values",),
        baselines=(
            "ensuite.baselines.forecast:LastValue",
            "ensuite.baselines.forecast:SeasonalNaive",
            "ensuite.baselines.forecast:Drift",
            "ensuite.baselines.theta:Theta",
            "ensuite.baselines.forecast:LinearLayer",
        ),
        metrics=(
            "mase",
            "smape",
            "coverage_95",
            "mae",
            "rmse",
            "wql",
            "coverage_80",
            "width_95",
            "scaled_mse",
            "scaled_mae",
            "mae_h*",
            "coverage_95_h*",
        ),
    ),
    "generate": Row(
        target="ensuite.tasks.generate:Generate",
        caption="causal language modelling: continue a text, and compute how likely a text is",
        traits=("sequence", "causal", "steps"),
        reads=("tokens",),
        architectures=("LMHeadModel", "ForCausalLM"),
        baselines=("ensuite.baselines.generate:NGram",),
        metrics=("bits_per_byte", "perplexity"),
    ),
    "fill": Row(
        target="ensuite.tasks.fill:Fill",
        caption="masked language modelling: predict the words that are hidden in a text",
        traits=("sequence", "two-sided"),
        reads=("tokens",),
        baselines=("ensuite.baselines.fill:Unigram",),
        architectures=("ForMaskedLM", "ForPreTraining"),
        metrics=(
            "bits_per_byte",
            "accuracy",
            "next_sentence_accuracy",
        ),
    ),
    "answer": Row(
        target="ensuite.tasks.answer:Answer",
        caption="extractive question answering: the part of a text that answers a question",
        traits=("sequence",),
        reads=("tokens",),
        baselines=("ensuite.baselines.answer:BestOverlap",),
        architectures=("ForQuestionAnswering",),
        metrics=(
            "f1",
            "exact_match",
            "has_answer_f1",
            "no_answer_accuracy",
        ),
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
        metrics=(
            "chrf",
            "bleu",
            "bleu_all_references",
            "rouge_l",
            "exact_match",
            "word_error_rate",
        ),
    ),
    "caption": Row(
        target="ensuite.tasks.caption:Caption",
        caption="image to sequence: describe an image in words",
        traits=("decodes", "steps"),
        reads=("image",),
        baselines=("ensuite.baselines.caption:MostFrequentCaption",),
        metrics=("bleu", "exact_match"),
    ),
    "reduce": Row(
        target="ensuite.tasks.reduce:Reduce",
        caption="autoencoding: a short code for a row, image or series, and its reconstruction",
        traits=("codes",),
        reads=("row", "image", "values"),
        baselines=("ensuite.baselines.principal:Principal",),
        metrics=(
            "mse",
            "knn_accuracy",
            "elbo",
            "log_likelihood",
            "reconstruction",
            "kl",
            "active_units",
            "near_zero",
        ),
    ),
    "denoise": Row(
        target="ensuite.tasks.denoise:Denoise",
        caption="denoising autoencoder: a row, image or series without its noise",
        traits=("codes",),
        reads=("row", "image", "values"),
        baselines=(
            "ensuite.baselines.denoise:Identity",
            "ensuite.baselines.denoise:MedianFilter",
            "ensuite.baselines.total_variation:TotalVariation",
            "ensuite.baselines.denoise:Projection",
        ),
        metrics=(
            "mse",
            "psnr",
            "ssim",
            "code_shift",
        ),
    ),
    "detect": Row(
        # From the module that has both kinds, so that a run of either can be opened.
        target="ensuite.tasks.detect_steps:Detect",
        caption="anomaly detection: rows, series or steps unlike the normal ones",
        traits=("codes",),
        reads=("row", "image", "values"),
        baselines=(
            "ensuite.baselines.detect:Residual",
            "ensuite.baselines.detect:IsolationForest",
            "ensuite.baselines.detect:Position",
            "ensuite.baselines.detect:Random",
            "ensuite.baselines.detect:Constant",
        ),
        metrics=(
            "auroc",
            "average_precision",
            "false_alarm_rate",
            "recall",
            "event_f1",
            "alarm_rate",
            "cost",
        ),
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
    "question-answering": "answer",
    "extractive-question-answering": "answer",
    "qa": "answer",
    "squad": "answer",
    "fill-mask": "fill",
    "masked-lm": "fill",
    "masked-language-modeling": "fill",
    "masked-language-modelling": "fill",
    "mlm": "fill",
    "image-captioning": "caption",
    "image-to-text": "caption",
    "captioning": "caption",
    "dimensionality-reduction": "reduce",
    "dimension-reduction": "reduce",
    "autoencoding": "reduce",
    "denoising": "denoise",
    "anomaly-detection": "detect",
    "outlier-detection": "detect",
    "novelty-detection": "detect",
    "translation": "translate",
    "summarization": "translate",
    "text2text-generation": "translate",
    "ae": "autoencoder",
    "variational-autoencoder": "vae",
    "beta-vae": "vae",
    "vaegan": "vae-gan",
    "cnn": "conv",
    "convnet": "conv",
    "textcnn": "conv",
    "tcn": "conv",
    "simplernn": "rnn",
    "perceptron": "mlp",
    "dense": "mlp",
    "feedforward": "mlp",
    "encoder-decoder": "seq2seq",
    "self-attention": "transformer",
    "lm": "generate",
    "sentiment": "classify",
    "tabular-classification": "classify",
    "seq2seq-lm": "translate",
    "summarize": "translate",
    "time-series": "forecast",
    "tagging": "tag",
    "elman": "rnn",
}
"""Names of other packages for what has another name here."""

backbones = Registry("model", "ensuite.backbones")
tasks = Registry("task", "ensuite.tasks")


PUBLISHED = ("bert", "roberta", "distilbert", "camembert", "albert", "gpt", "llama", "t5", "bart")
"""Families whose published checkpoints people name."""


def require_task(name: str) -> Row:
    """Return the row of a task.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in tasks and (ours := _ours(name, tasks)):
        raise UsageError(f'"{name}" is `{ours}` here.')
    return tasks.find(name, f"There is: {', '.join(sorted(tasks))}.")


def require_order(task: str, data: object) -> None:
    """Refuse a task and data that are given in the other order.

    Raises:
        UsageError: Gives the order.
    """
    if task not in tasks and isinstance(data, str) and (data in tasks or _ours(data, tasks)):
        ours = data if data in tasks else _ours(data, tasks)
        raise UsageError(f"The task comes first, then the data: {ours} {task}.")


def require_metric(name: str, task: str) -> None:
    """Refuse a metric that a task never has.

    Raises:
        UsageError: Names the nearest.
    """
    row = require_task(task)
    if not row.measures(name):
        known = [each for each in row.metrics if "*" not in each]
        raise UsageError(
            f'There is no metric "{name}" of {task}{nearest(name, known) or "."} '
            f"There is: {', '.join(known)}."
        )


def require_model(name: str, task: str = "") -> Row:
    """Return the row of a backbone.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in backbones and (ours := _ours(name, backbones)):
        raise UsageError(f'"{name}" is `{ours}` here.')
    listing = f"`ensuite models{f' --task {task}' if task else ''}` lists them"
    if "," in name:
        raise UsageError(
            f'"{name}" is several models, and one is trained at a time; `ensuite compare '
            f"{task or 'TASK'} DATA --models {name}` compares them."
        )
    if name not in backbones and ("/" in name or name.lower().startswith(PUBLISHED)):
        raise UsageError(
            f'There is no model "{name}"{nearest(name, backbones) or "."} {listing}. A published '
            "checkpoint is named by the folder that it was downloaded to."
        )
    return backbones.find(name, f"{listing}.")


def is_meant(name: str) -> bool:
    """Return whether a name that is no model looks like one."""
    lower = name.lower()
    close = _ours(name, backbones) or nearest(name, backbones)
    return bool(close) or lower.rpartition("/")[2].startswith(PUBLISHED)


def _ours(name: str, known: Registry) -> str:
    """Return our name for one that is known elsewhere, or in capitals; empty if there is none."""
    lower = name.lower()
    ours = lower if lower in known else ELSEWHERE.get(lower, "")
    return ours if ours in known else ""
