"""The catalog: backbones and tasks that can be chosen by name, a row each, without imports."""

from ensuite.core.errors import UsageError
from ensuite.core.registry import Registry, Row

_CAUSAL = ("sequence", "causal", "steps", "carries")
_POSITIONS = ("tokens", "characters", "values", "image")

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
}

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
    ),
    "tag": Row(
        target="ensuite.tasks.tag:Tag",
        caption="token classification: a tag for every word (names, parts of speech)",
        traits=("sequence",),
        reads=("tokens",),
        architectures=("ForTokenClassification",),
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
        baselines=("ensuite.baselines.generate:NGram",),
    ),
    "fill": Row(
        target="ensuite.tasks.fill:Fill",
        caption="masked language modelling: tell the words that are hidden in a text",
        traits=("sequence", "two-sided"),
        reads=("tokens",),
        baselines=("ensuite.baselines.fill:Unigram",),
        architectures=("ForMaskedLM", "ForPreTraining"),
    ),
    "answer": Row(
        target="ensuite.tasks.answer:Answer",
        caption="extractive question answering: the part of a text that answers a question",
        traits=("sequence",),
        reads=("tokens",),
        baselines=("ensuite.baselines.answer:BestOverlap",),
        architectures=("ForQuestionAnswering",),
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
