"""Each benchmark runs on a tiny size and makes its table; the times are not tested."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from benchmarks import (
    autoencoder,
    decode,
    dense,
    encoder,
    few_shot,
    forecast,
    gpu,
    language_model,
    layers,
    masked,
    opening,
    peers,
    positions,
    pretrain,
    protocol,
    scaling,
    stream,
    train,
    translate,
)
from benchmarks.layers import Size, Sizes
from benchmarks.protocol import Contender, Effort, Found, Missing
from hypothesis import given
from hypothesis import strategies as some

import ensuite
from ensuite.problem import open_problem
from ensuite.training.budget import Budget

QUICK = Effort(repeats=2, seconds=0.0)

WORKER = """
import json, sys
print(json.dumps({"fake": "1.0", "threads": sys.argv[1]}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["job"] == "fail":
        sys.exit(3)
    print(asked["calls"] * asked["how"]["seconds"], flush=True)
"""


@pytest.fixture(autouse=True)
def without_keras(monkeypatch):
    """TensorFlow takes seconds to import, as neuralforecast and PyOD do."""
    monkeypatch.setattr(peers, "keras_python", lambda: None)
    monkeypatch.setattr(peers, "pyod_python", lambda: None)
    monkeypatch.setattr(peers, "neuralforecast_python", lambda: None)
    monkeypatch.setattr(train, "keras_python", lambda: None)


class Clock:
    """A clock that advances only when work is done."""

    def __init__(self):
        self.now = 0.0
        self.done = []

    def __call__(self):
        return self.now

    def contender(self, name, *seconds):
        """Return a contender whose calls take these times in turn, then always the last one."""
        left = list(seconds)

        def work():
            self.done.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return protocol.timed(name, work, self)


def test_a_contender_is_timed_by_all_its_calls():
    clock = Clock()
    assert clock.contender("ours", 1.0, 2.0, 4.0).run(3) == 7.0


def test_rounds_are_interleaved_after_a_first_call_and_a_warm_up():
    clock = Clock()
    ours, peer = clock.contender("a", 9.0, 1.0), clock.contender("b", 8.0, 3.0)
    (row,) = protocol.compare({"job": ours}, [peer], Effort(repeats=3, seconds=0.5), amount=10)
    assert "".join(clock.done) == "aa" + "bb" + "ababab"
    assert (row.job, row.peer, row.ours, row.theirs) == ("job", "b", 1.0, 3.0)
    assert (row.ratio, row.low, row.high) == (3.0, 3.0, 3.0)
    assert (row.first_ours, row.first_theirs) == (9.0, 8.0)


def test_short_work_is_done_often_enough():
    clock = Clock()
    ours, peer = clock.contender("a", 0.25), clock.contender("b", 0.5)
    (row,) = protocol.compare({"job": ours}, [peer], Effort(repeats=2, seconds=1.0))
    assert "".join(clock.done) == "aa" + "aaaa" + "bb" + "bb" + 2 * ("aaaa" + "bb")
    assert (row.ours, row.theirs) == (0.25, 0.5)


def test_a_ratio_is_taken_within_a_round():
    clock = Clock()  # the machine is ten times slower in the second round
    ours = clock.contender("a", 1.0, 1.0, 1.0, 10.0, 1.0)
    peer = clock.contender("b", 2.0, 2.0, 2.0, 20.0, 2.0)
    (row,) = protocol.compare({"job": ours}, [peer], Effort(repeats=3, seconds=0.0))
    assert (row.ratio, row.low, row.high) == (2.0, 2.0, 2.0)


def test_several_of_ours_stand_beside_the_same_rounds_of_the_peers():
    clock = Clock()
    ours = {"whole": clock.contender("w", 2.0), "part": clock.contender("p", 1.0)}
    peers_ = [clock.contender("k", 4.0), Missing("absent", "not installed")]
    rows = protocol.compare(ours, peers_, Effort(repeats=1, seconds=0.0))
    assert [(row.job, row.peer, row.ratio) for row in rows] == [
        ("whole", "k", 2.0),
        ("whole", "absent", None),
        ("part", "k", 4.0),
        ("part", "absent", None),
    ]
    assert clock.done.count("k") == 3


@given(some.lists(some.floats(0.1, 100), min_size=1, max_size=12))
def test_an_interval_holds_the_median_and_repeats(values):
    low, high = protocol.interval(values)
    assert min(values) <= low <= np.median(values) <= high <= max(values)
    assert (low, high) == protocol.interval(values)


def test_ceilings_are_rates():
    found = protocol.ceilings(largest=16, megabytes=1, repeats=1)
    assert found.keys() == {"fp32 GEMM GFLOP/s", "bf16 GEMM GFLOP/s", "read GB/s"}
    assert min(found.values()) > 0


def test_publishing_replaces_the_table_alone_and_keeps_the_numbers(tmp_path):
    clock = Clock()
    ours, pair = clock.contender("a", 9.0, 2.0), [clock.contender("b", 6.0), Missing("c", "is not")]
    rows = protocol.compare({"the job": ours}, pair, QUICK, amount=50, flops=4e9)
    readme = tmp_path / "README.md"
    readme.write_text("before <!-- x -->old<!-- /x --> after", encoding="utf-8")
    for _ in range(2):
        protocol.publish("x", Found(rows, {"b": "7.1"}), {"fp32 GEMM GFLOP/s": 20.0}, tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before <!-- x -->\n")
    assert text.endswith("<!-- /x --> after")
    assert "old" not in text
    line = "| the job | b | 2.0 s | 6.0 s | **3.00** (3.00 to 3.00) | 25 | 10.0% | 9.0 s | 6.0 s |"
    assert line in text
    assert "skipped: is not" in text
    assert "b 7.1" in text
    kept = json.loads((tmp_path / "results" / "x.json").read_text(encoding="utf-8"))
    assert kept["rows"][0]["ratio"] == pytest.approx(3)
    assert {"command", "date", "machine", "versions", "ceilings"} <= kept.keys()


def test_a_readme_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="needs <!-- x --> and <!-- /x -->, once"):
        protocol.between("nothing", "x", "table")


def test_the_readme_has_a_place_for_every_benchmark():
    text = protocol.README.read_text(encoding="utf-8")
    for name in (
        "autoencoder",
        "dense",
        "encoder",
        "forecast",
        "language_model",
        "layers",
        "opening",
        "opening_memory",
        "pretrain",
        "train",
    ):
        assert protocol.between(text, name, "table").count("table") >= 1


def check(rows, jobs):
    """Assert that there is a row for each job and peer, and that the table has them all."""
    assert {row.job for row in rows} == jobs
    for row in rows:
        assert row.ours > 0
        assert bool(row.skipped) == (row.peer in ("Keras", "neuralforecast", "PyOD"))
        if not row.skipped:
            assert row.low <= row.ratio <= row.high
    assert len(protocol.table(rows, {}).splitlines()) == len(rows) + 2


def test_layers_are_measured():
    size = Size(4, 3, 2)
    found = layers.measure(Sizes((size._replace(features=1),), (size,), (size,), (4,)), QUICK)
    cells = ("rnn", "lstm", "gru")
    dense, ragged = "width 4, T=3, batch 2", "lengths 1 to 3, width 4, batch 2"
    jobs = {f"{cell}, {job}" for cell in cells for job in (dense, ragged)}
    jobs |= {f"{cell}, one position at a time, width 4" for cell in cells}
    check(found.rows, jobs | {f"lstm with peepholes, {dense}"})
    assert len(found.rows) == 3 * 2 + 3 + 1 + 3
    assert found.versions == {}


def test_the_eager_loop_computes_what_the_layer_does():
    import torch

    ours, loop = layers.LSTM(3, 4, peepholes="diagonal"), layers.EagerPeepholes(3, 4)
    with torch.no_grad():
        for one, other in zip(ours.parameters(), loop.parameters(), strict=True):
            other.copy_(one.normal_())
    inputs = torch.randn(2, 5, 3)
    torch.testing.assert_close(loop(inputs), ours(inputs)[0])


def test_training_is_measured(tmp_path, monkeypatch):
    parts = train.make_parts(60)
    assert [len(parts[name][1]) for name in ("train", "valid", "test")] == [48, 6, 6]
    with peers.Keras() as keras:
        rows = train.training("rnn", parts, keras, tmp_path / "parts.npz", QUICK)
    job = "rnn of 50 units, 5 epochs"
    check(rows, {f"`train`, {job}", f"`fit`, {job}"})
    assert {row.amount for row in rows} == {5 * 48}
    monkeypatch.setattr(train, "ONE_EPOCH", "pass")
    (row,) = train.first_epoch("rnn", tmp_path / "parts.npz", QUICK)
    check([row], {"first epoch of rnn, imports included"})


def test_autoencoders_are_measured():
    found = autoencoder.measure(autoencoder.Size(rows=20, epochs=1), QUICK)
    jobs = {
        f"`{what}`, {job.name}, batches of {job.batch}, 1 epochs"
        for what in ("train", "fit")
        for job in (autoencoder.COURSE, autoencoder.VARIATIONAL, autoencoder.PYOD)
    }
    check(found.rows, jobs)
    assert {row.amount for row in found.rows} == {20}


@pytest.mark.parametrize(
    "job", [autoencoder.COURSE, autoencoder.VARIATIONAL, autoencoder.PYOD], ids=lambda job: job.name
)
def test_the_loop_trains_the_model_that_ours_is(job):
    """The same weights have the same loss of a batch, without noise."""
    size = autoencoder.Size(rows=20, epochs=1)
    problem, candidate = autoencoder.opened(job, autoencoder.invent(size))
    training = candidate.begin(problem, Budget(1, "epochs", patience=None), seed=0)
    plain = autoencoder.Plain(job).eval()
    model = training.model.eval()
    mine, theirs = (list(each.parameters()) for each in (model.backbone, plain))
    assert [each.shape for each in mine] == [each.shape for each in theirs]
    with torch.no_grad():
        for one, other in zip(theirs, mine, strict=True):
            one.copy_(other)
        examples = problem.parts["valid"]
        batch = training.task.collate(training.task.items(examples))
        outputs = model(batch)
        loss = training.task.loss(outputs, batch).with_penalties(outputs.states.penalties)
        rows = torch.stack([torch.as_tensor(each.input) for each in examples])
        total = float(loss.value)
        assert total / len(rows) == pytest.approx(float(plain(rows)), rel=1e-4)


def test_the_first_epoch_is_one_a_user_could_run(tmp_path, monkeypatch):
    data = train.save_parts(train.make_parts(60), tmp_path)
    monkeypatch.setattr(sys, "argv", ["-c", str(data), train.model_name("rnn")])
    scope = {}
    exec(train.ONE_EPOCH, scope)
    assert scope["trained"].evaluate(scope["given"]["test"])["accuracy"] >= 0


def test_a_stream_carries_no_more_at_its_end_than_at_its_start():
    marks = stream.read(40, marks=4, width=4)
    assert [mark.steps for mark in marks] == [10, 20, 30, 40]
    assert {mark.carried for mark in marks} == {2 * 4 * 4}  # two states of four float32
    assert min(min(mark.rate, mark.megabytes) for mark in marks) > 0


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "keras_worker.py").write_text(WORKER, encoding="utf-8")
    monkeypatch.setattr(peers, "HERE", tmp_path)
    monkeypatch.setattr(peers, "keras_python", lambda: sys.executable)


@pytest.mark.usefixtures("worker")
def test_a_peer_in_another_process_reads_the_clock_itself():
    with peers.Keras() as keras:
        assert keras.versions["fake"] == "1.0"
        contender = keras.contender("work", seconds=0.5)
        assert isinstance(contender, Contender)
        assert (contender.run(1), contender.run(4)) == (0.5, 2.0)
        process = keras.process
    assert process.poll() == 0


@pytest.mark.usefixtures("worker")
def test_a_peer_that_dies_is_told():
    with peers.Keras() as keras, pytest.raises(RuntimeError, match="Keras ended with 3"):
        keras.contender("fail").run(1)


def test_language_models_are_measured():
    size = language_model.Size(16, 4, 8)
    found = language_model.measure((size,), QUICK)
    check(found.rows, {"lstm of 8 units, 16 characters, an update"})
    assert size.flops == 6 * (4 * 8 * 12 + 8 * 16) * 32 * 64


def test_what_an_update_keeps_does_not_grow_with_the_text():
    short, long = language_model.kept((300, 3000), language_model.Size(16, 4, 8))
    assert short.lanes == long.lanes
    assert long.at_once > 9 * short.at_once > 9 * short.lanes


def test_a_gpt_is_measured():
    found = pretrain.measure(QUICK)
    check(found.rows, {"GPT of nanoGPT's shape for a CPU, an update"})


def test_the_race_tests_every_contender_on_the_same_characters():
    text = pretrain.invent(2000)
    ran = pretrain.race(text, text[:200], updates=2, ours=1)
    assert [each.updates for each in ran] == [2, 2, 1]
    assert all(3 < each.nats < 8 for each in ran)


def test_the_plain_loss_is_of_every_character_but_the_first():
    class Even(torch.nn.Module):
        def forward(self, tokens):
            return torch.zeros(*tokens.shape, 8)

    for length in (2, 64, 65, 66, 200, 64 * 64 + 2):
        stream = torch.zeros(length, dtype=torch.long)
        assert pretrain.plain_loss(Even(), stream) == pytest.approx(np.log(8))


def test_the_learning_rate_of_nanogpt_rises_and_falls():
    rates = [pretrain.plain_rate(update) for update in (0, 99, 100, 1050, 1999)]
    assert rates == pytest.approx([1e-3 / 101, 1e-3 * 100 / 101, 1e-3, 5.5e-4, 1e-4], rel=1e-2)


def test_the_law_of_scaling_is_found_again():
    law = scaling.Law(floor=1.2, a=20.0, alpha=0.4, b=100.0, beta=0.5)
    points = [
        scaling.Point(0, size, length, law.loss(size, length))
        for size in (10_000, 40_000, 160_000, 640_000)
        for length in (60_000, 250_000, 1_000_000)
    ]
    assert scaling.fit_law(points) == pytest.approx(law, rel=0.05)
    picture = scaling.draw(points, law)
    assert picture.count("<circle") == 12
    assert picture.count("<polyline") == 3


def test_a_size_is_trained_for_the_law():
    text = pretrain.invent(1500)
    (point,) = scaling.measure(text, text[:200], widths=(16,), shares=(1.0,))
    assert (point.width, point.characters) == (16, 1500)
    assert point.parameters > 0
    assert 3 < point.nats < 8


def test_a_prompted_model_is_measured_by_what_it_finds_likely_and_by_what_it_writes(tmp_path):
    words = {"fine": "positive", "bad": "negative"}
    told = [f"{n} so {word} : {label}" for n in range(9) for word, label in words.items()]
    rows = [
        {"text": f"{n} so {word}", "label": label}
        for n in range(20)
        for word, label in words.items()
    ]
    data = {"text": told}
    language = ensuite.train(
        "generate",
        data,
        model="n-gram",
        settings={"unit": "words"},
        test=data,
        out=tmp_path / "run",
    )
    problem = open_problem("classify", rows)
    templates, shots = {"good": "{text} :", "bad": "{text} so"}, {"good": (0, 2), "bad": (0,)}
    found = few_shot.measure(language, problem, templates, shots)
    assert found[0] == ("good", 0, 1.0, 1.0, 1.0)
    assert found[1][:2] == ("good", 2)
    assert (found[2].written, found[2].formed) == (0.0, 0.0)


def test_the_loss_is_measured_up_to_where_a_model_reads():
    text = pretrain.invent(1500)
    models = {"learned": "positions=learned", "window": "window=16"}
    found = positions.measure(text, text[:600], 1, models)
    assert [loss is None for loss in found["learned"]] == [False] * 3 + [True] * 2
    assert all(3 < loss < 6 for loss in found["window"])


def test_the_same_characters_are_hidden_from_all(monkeypatch):
    chosen = [each for each in masked.CONTENDERS if each[0] in ("GPT, Muon", "BERT, Muon")]
    monkeypatch.setattr(masked, "CONTENDERS", chosen)
    text = "the cat sat on the mat and went on to the dog " * 60
    found = masked.measure(text, text[:700], "1steps")
    assert [each.name for each in found] == ["GPT, Muon", "BERT, Muon"]
    assert all(0 <= each.accuracy <= 1 for each in found)
    assert not masked.hide(masked.cut(text))[:, 0].any()


TINY_ROWS = dense.Size(features=6, width=4, batch=2, rows=8)


def test_a_perceptron_is_measured():
    found = dense.measure(TINY_ROWS, QUICK)
    check(found.rows, {"6-4-6, batch 2, an update"})
    assert [row.amount for row in found.rows] == [2, 2]


def test_the_plain_perceptron_computes_what_ours_does():
    import torch

    data = dense.invent(TINY_ROWS)
    training, peer = dense.begin(TINY_ROWS, data), dense.perceptron(TINY_ROWS)
    with torch.no_grad():
        pairs = zip(training.model.parameters(), peer.parameters(), strict=True)
        for one, other in pairs:
            other.copy_(one)
    batch = training.next_batches()[0]
    torch.testing.assert_close(peer(batch.inputs["row"]), training.model(batch).values)
    assert batch.counts == {"target": 2 * 6}


TINY_ENCODER = encoder.Size(width=8, layers=1, heads=2, words=20, texts=8, batch=4)


@pytest.mark.filterwarnings("ignore")  # of transformers
def test_an_encoder_is_measured(tmp_path):
    encoder.transformers() if encoder.find_spec("transformers") else pytest.skip("no transformers")
    found = encoder.measure(TINY_ENCODER, QUICK)
    assert {row.job for row in found.rows} == {"8 answers", "8 vectors", "an update of 4 texts"}
    peers = {row.peer: row for row in found.rows}
    assert peers["pipeline"].ratio > 0
    assert peers["padded by length"].amount == 4
    assert "encoder" in protocol.README.read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # of transformers, and of autocast without a GPU
def test_the_benchmark_of_a_gpu_runs_on_a_cpu_too(monkeypatch):
    encoder.transformers() if encoder.find_spec("transformers") else pytest.skip("no transformers")
    if not torch.cuda.is_available():
        monkeypatch.setattr(gpu, "GPU", torch.device("cpu"))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    found = gpu.measure(TINY_ENCODER._replace(batch=8), QUICK)
    assert [row.amount for row in found.rows] == [1, 1, 1, 1, 8, 8]
    assert all(row.ratio > 0 for row in found.rows)


@pytest.mark.filterwarnings("ignore")  # of transformers
def test_the_encoder_of_transformers_computes_what_ours_does(tmp_path):
    encoder.transformers() if encoder.find_spec("transformers") else pytest.skip("no transformers")
    run, texts = encoder.make_run(TINY_ENCODER, tmp_path), encoder.invent(TINY_ENCODER)
    expected = [answer.probabilities for answer in run.predict(texts)]
    theirs = encoder.Theirs(tmp_path)
    for by_length in (False, True):
        found = theirs.answer(texts, 3, by_length=by_length).softmax(-1).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


TINY_PAIRS = translate.Size(8, 6, words=20, pairs=60, asked=10, batch=8, updates=2, learned=3)


def test_translating_is_measured():
    found = translate.measure(TINY_PAIRS, QUICK)
    check(found.rows, {"2 updates of 8 pairs", "10 greedy answers"})
    assert [row.amount for row in found.rows] == [16, 16, 10, 10]


def test_the_plain_translator_computes_what_ours_does():
    import torch

    training = translate.begin(TINY_PAIRS)
    items, model, peer = training.items[:5], training.model.eval(), translate.plain(training)
    source, words, targets = translate.pad(items)
    batch = training.task.collate(items)
    assert torch.equal(targets, batch.targets["token"])
    expected = model(batch).values
    torch.testing.assert_close(peer(source, words), expected)
    torch.testing.assert_close(peer.stepwise(source, words), expected)


def test_opening_is_measured(tmp_path):
    for part, rows in (("train", 40), ("test", 12)):
        texts = [
            f"{n % 2}\tthis film is number {n} and is {('good', 'bad')[n % 2]}" for n in range(rows)
        ]
        (tmp_path / f"{part}.tsv").write_text("label\ttext\n" + "\n".join(texts) + "\n")
    found, lines = opening.open_files(tmp_path / "train.tsv", tmp_path / "test.tsv", Effort(1, 0.0))
    check(found.rows, {"open, no cache yet", "open again"})
    assert {row.amount for row in found.rows} == {52}
    assert len(lines) == 3
    assert not any("failed" in line for line in lines)


def test_a_long_text_is_trained_on_in_limited_memory():
    line = opening.train_long_text(0.05, 2000)
    assert line.startswith("| 20 updates on a little text, at most 2,000 MB of its own |")
    assert "failed" not in line


def test_many_pictures_are_trained_on_in_limited_memory():
    line = opening.train_many_pictures(0.05, 2000)
    assert line.startswith("| 20 updates on a few pictures, at most 2,000 MB of its own |")
    assert "failed" not in line


def test_a_process_that_fails_is_told():
    process = opening.Process("train", ["no such file.txt"])
    assert process.once().failed.endswith("There is no file no such file.txt.")
    assert "failed: " in opening.say("train", process)


TINY_SERIES = forecast.Size(width=4, look_back=6, horizon=3, batch=8, series=3, steps=60, asked=12)


def test_forecasting_is_measured():
    found = forecast.measure(TINY_SERIES, QUICK)
    jobs = {"gru of 4 units, 6 steps read, 3 forecast, an update", "12 series in one call"}
    check(found.rows, jobs)
    assert [row.amount for row in found.rows] == [8] * 3 + [12] * 3


def test_the_plain_forecaster_computes_what_ours_does():
    import torch

    training = forecast.begin(TINY_SERIES)
    batch, peer = training.next_batches()[0], forecast.plain(training)
    expected = training.model.eval()(batch).values[..., 0, 0]
    torch.testing.assert_close(peer(batch.inputs["values"][..., 0]), expected)


def test_the_plain_loops_see_the_windows_that_ours_does():
    training = forecast.begin(TINY_SERIES)
    data = forecast.scaled(training.task, training.items)
    cut = data[:, : int(training.items.windows.origins.max()) + TINY_SERIES.horizon]
    batches = [batch for _ in training.order for batch in training.next_batches()]
    ours = np.concatenate([batch.inputs["values"][..., 0].numpy() for batch in batches])
    cuts = forecast.Cuts(cut, TINY_SERIES)
    theirs = np.stack([cuts[number][0].numpy() for number in range(len(cuts))])
    apart = np.abs(ours[:, None] - theirs).max(2)
    assert len(ours) == len(theirs)
    assert max(apart.min(0).max(), apart.min(1).max()) < 1e-4
    read, ahead = next(forecast.viewed(cut, TINY_SERIES))
    assert (read.shape, ahead.shape) == ((8, 6), (8, 3))
    assert np.abs(theirs - read[0].numpy()).max(1).min() < 1e-4


def test_windows_are_held_as_numbers():
    few, many = forecast.held((50, 500), TINY_SERIES)
    assert (few.windows, few.numbers, few.copies) == (50, 50 * 32, 50 * 4 * 9)
    assert many.numbers == 500 * 32
    assert many.batch < 1.2 * few.batch


DECODED = decode.Size(
    replace(decode.GPT2, width=24, layers=1, heads=2, context=32),
    40,
    written=3,
    read=9,
    rows=(1, 2),
)


@pytest.mark.skipif(not find_spec("numba"), reason="int8 weights need numba")
def test_decoding_makes_a_row_for_each_job_and_tells_the_bandwidth():
    found = decode.measure(DECODED, QUICK)
    jobs = [f"write 3 tokens, batch {n}, {kind}" for n in (1, 2) for kind in ("float32", "int8")]
    assert [row.job for row in found.rows] == [
        *jobs, "read 9 tokens, float32", "read 9 tokens, int8"
    ]  # fmt: skip
    lines = decode.bandwidth(found, {"read GB/s": 10.0}, DECODED).splitlines()
    assert len(lines) == 4
    assert "MB" in lines[2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not find_spec("transformers"), reason="transformers is not installed")
def test_both_decoders_write_the_same():
    theirs = decode.Theirs(DECODED)
    model = decode.build(DECODED)
    assert decode.write(model, DECODED, 2) == theirs.write(2)
    np.testing.assert_allclose(decode.read(model, DECODED), theirs.read(), atol=1e-5)
