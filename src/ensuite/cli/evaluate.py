"""ensuite evaluate: every metric of a run on labelled data."""

from ensuite.cli import options as words


def command(
    run: words.Run, data: words.Data, column: words.Column = None, json: words.Json = False
) -> None:
    """Judge a trained run on labelled data."""
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    given = words.pairs(column, "--column")
    examples = predictor.read(data, given, asking=False)
    scores = predictor.task.score(predictor.answer(examples), examples)
    values = {name: score.value for name, score in scores.items()}
    if json:
        words.print_json({"task": predictor.task_name, "data": data, "metrics": values})
        return
    ledger = predictor.task.ledger(examples)
    cut = f"{ledger.rows:,} truncated" if ledger.rows else "0 truncated"
    print(f"{predictor.name} on {len(examples):,} rows, {cut}")
    for name, value in values.items():
        print(f"{name:18s} {value:.4f}")
