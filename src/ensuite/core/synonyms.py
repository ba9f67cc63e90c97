"""The words of other packages for our options, metrics and roles, so that hints know them."""

from collections.abc import Collection

SYNONYMS: dict[str, tuple[str, ...]] = {
    # Recipe
    "lr": ("learning_rate",),
    "learning-rate": ("learning_rate",),
    "step_size": ("learning_rate",),
    "batch": ("batch_size",),
    "batchsize": ("batch_size",),
    "bs": ("batch_size",),
    "per_device_train_batch_size": ("batch_size",),
    "gradient_accumulation_steps": ("accumulate",),
    "max_grad_norm": ("clip",),
    "clipnorm": ("clip",),
    "clipvalue": ("clip_value",),
    "grad_clip": ("clip",),
    "wd": ("weight_decay",),
    "l2": ("weight_decay",),
    "optim": ("optimizer",),
    "lr_scheduler_type": ("schedule",),
    "lr_scheduler": ("schedule",),
    "scheduler": ("schedule",),
    "warmup_ratio": ("warmup",),
    "warmup_steps": ("warmup",),
    "adam_epsilon": ("epsilon",),
    "eps": ("epsilon",),
    "dtype": ("precision",),
    "bf16": ("precision",),
    # Models
    "hidden_size": ("width",),
    "hidden_dim": ("width",),
    "hidden": ("width",),
    "units": ("width",),
    "n_units": ("width",),
    "d_model": ("width",),
    "n_embd": ("width",),
    "dim": ("width",),
    "channels": ("width",),
    "filters": ("width",),
    "num_layers": ("layers",),
    "n_layers": ("layers",),
    "n_layer": ("layers",),
    "depth": ("layers",),
    "num_hidden_layers": ("layers",),
    "nhead": ("heads",),
    "num_heads": ("heads",),
    "n_head": ("heads",),
    "n_heads": ("heads",),
    "num_attention_heads": ("heads",),
    "embedding_dim": ("embedding",),
    "embed_dim": ("embedding",),
    "embedding_size": ("embedding",),
    "emb": ("embedding",),
    "drop": ("dropout",),
    "dropout_rate": ("dropout",),
    "p_dropout": ("dropout",),
    "kernel_size": ("kernel",),
    "bidir": ("bidirectional",),
    "dim_feedforward": ("inner",),
    "ffn_dim": ("inner",),
    "rnn_type": ("cell",),
    # Tasks
    "max_length": ("window", "chunk"),
    "max_len": ("window", "chunk"),
    "max_seq_length": ("window", "chunk"),
    "block_size": ("chunk", "window"),
    "stride": ("overlap",),
    "truncate": ("truncation",),
    "max_features": ("vocabulary_size",),
    "vocab_size": ("vocabulary_size",),
    "vocab": ("vocabulary_size",),
    "min_df": ("min_frequency",),
    "tokenizer": ("unit",),
    "image_size": ("size",),
    "lookback": ("look_back",),
    "input_size": ("look_back",),
    "context_length": ("look_back", "chunk"),
    "prediction_length": ("horizon",),
    "h": ("horizon",),
    "loss": ("criterion",),
    # Metrics
    "acc": ("accuracy",),
    "f1": ("macro_f1", "entity_f1"),
    "f1_macro": ("macro_f1",),
    "f1_micro": ("micro_f1",),
    "f1_score": ("macro_f1", "entity_f1"),
    "f1-score": ("macro_f1", "entity_f1"),
    "balanced_acc": ("balanced_accuracy",),
    "cross_entropy": ("log_loss",),
    "nll": ("log_loss",),
    "ece": ("calibration_error",),
    "precision": ("entity_precision",),
    "recall": ("entity_recall",),
    "mean_absolute_error": ("mae",),
    "l1": ("mae",),
    "mse": ("rmse",),
    "mean_squared_error": ("rmse",),
    "r2_score": ("r2",),
    "r_squared": ("r2",),
    "bpc": ("bits_per_byte",),
    "bpb": ("bits_per_byte",),
    "ppl": ("perplexity",),
    "sacrebleu": ("bleu",),
    "rouge": ("rouge_l",),
    "rougel": ("rouge_l",),
    "em": ("exact_match",),
    "wer": ("word_error_rate",),
    # Roles of columns
    "sentence": ("text", "source"),
    "review": ("text",),
    "input": ("text", "source"),
    "y": ("label", "target"),
    "class": ("label",),
    "ner_tags": ("tags",),
    "words": ("tokens",),
    "src": ("source",),
    "tgt": ("target",),
    "date": ("time",),
    "ds": ("time",),
    "timestamp": ("time",),
    "unique_id": ("series",),
    "item_id": ("series",),
}
"""Our words for another package's; the first that is known where it is looked for is meant."""


LENGTHS = {
    "epochs": "epochs",
    "epoch": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "num_train_epochs": "epochs",
    "max_epochs": "epochs",
    "steps": "steps",
    "max_steps": "steps",
    "iterations": "steps",
    "max_iter": "steps",
}
"""Options of other packages for the length of training, and its unit here."""


def length_hint(option: str, value: object) -> str:
    """Return what is typed for an option that is the length of training; empty for any other.

    >>> length_hint("num_train_epochs", 5)
    'the length of training is the budget: --budget 5epochs'
    """
    unit = LENGTHS.get(option.lower().replace("-", "_"))
    return f"the length of training is the budget: --budget {value}{unit}" if unit else ""


def synonym(word: str, known: Collection[str]) -> str | None:
    """Return the known word that another one stands for elsewhere; None where there is none.

    >>> synonym("lr", ["learning_rate", "clip"]), synonym("F1", ["accuracy", "entity_f1"])
    ('learning_rate', 'entity_f1')
    """
    return next((each for each in SYNONYMS.get(word.lower(), ()) if each in known), None)
