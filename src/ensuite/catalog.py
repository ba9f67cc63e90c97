"""Everything that can be chosen by name, one row each; imports none of it."""

from ensuite.core.registry import Registry, Row

_CAUSAL = ("sequence", "causal", "steps", "carries")
_POSITIONS = ("tokens", "characters", "values", "image")

BACKBONES: dict[str, Row] = {
    "mlp": Row(
        target="ensuite.models.mlp:MLPOptions",
        caption="multilayer perceptron: a row of numbers, no memory",
        reads=("row",),
        paper="Rumelhart, Hinton & Williams, Nature 323",
        year=1986,
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
}

TASKS: dict[str, Row] = {
    "classify": Row(
        target="ensuite.tasks.classify:Classify",
        caption="sequence, image or table classification, one label or several",
        baselines=(
            "ensuite.baselines.classify:MostFrequent",
            "ensuite.baselines.classify:TfidfLogistic",
            "ensuite.baselines.classify:NumberLogistic",
        ),
    ),
}

ELSEWHERE: dict[str, str] = {
    "text-classification": "classify",
    "sentiment-analysis": "classify",
    "sequence-classification": "classify",
    "image-classification": "classify",
    "classification": "classify",
    "simplernn": "rnn",
    "elman": "rnn",
}
"""Words that other packages use for what has another name here."""

backbones = Registry("model", "ensuite.backbones")
tasks = Registry("task", "ensuite.tasks")
