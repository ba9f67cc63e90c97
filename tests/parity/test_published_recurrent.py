"""Recurrent weights that others have trained, in our layers: they answer as their own programs do.

g2p_en 2.1.0 (Park & Kim, Apache-2.0, https://github.com/Kyubyong/g2p) writes English words as
phonemes: one GRU reads the letters, another, from its last state, writes one phoneme after the
other. textgenrnn (Woolf, MIT, https://github.com/minimaxir/textgenrnn) writes text character by
character: two LSTMs, and an average over embeddings and states that attention weighs.
"""

import json
import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ensuite.nn import GRU, LSTM

INVENTORY = (
    "<pad> <unk> <s> </s> AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 "
    "B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG "
    "OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW UW0 UW1 UW2 V W Y Z ZH"
)
PHONEMES = INVENTORY.split()
START, END = PHONEMES.index("<s>"), PHONEMES.index("</s>")
LETTERS = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
UNKNOWN_LETTER, END_OF_WORD = 1, 2

# What `G2p().predict(word)` of the package g2p_en 2.1.0 returned.
PRONOUNCED = {
    "activationist": "AE2 K T IH0 V EY1 SH AH0 N IH0 S T",
    "backpropagation": "B AE2 K P R AH0 G P EY1 SH AH0 N",
    "bravura": "B R AA0 V W AA1 R AH0",
    "callahan": "K AE1 L AH0 HH AE0 N",
    "encoder": "EH0 N K OW1 D ER0",
    "ensuite": "IH0 N S W AY1 T",
    "gradient": "G R EY1 D IY0 AH0 N T",
    "lstm": "S T L AH1 M",
    "macalpine": "M AH0 K AE1 L P IY0 N",
    "microchips": "M AY1 K R OW2 P IH2 CH IH0 Z",
    "naïve": "N EY1 V",
    "nitzsche": "N IH1 T S CH",
    "phoneme": "F OW1 N IY0 M",
    "prurient": "P R UH1 R IY0 AH0 N T",
    "recurrent": "R IH0 K ER1 AH0 N T",
    "rhythm": "R IH1 DH AH0 M",
    "sequence": "S IY1 K W AH0 N S",
    "transformer": "T R AE0 N S F AO1 R M ER0",
    "unethically": "Y UW2 N IH0 TH EH1 K L AH0",
    "vanishing": "V AE1 N IH0 SH IH0 NG",
    "virazole": "V IH1 R AH0 Z OW2 L",
    "x": "EH1 K S",
}


@pytest.fixture(scope="module")
def spoken(data_folder) -> dict[str, Tensor]:
    with np.load(data_folder / "recurrent_weights" / "g2p_en_checkpoint20.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def read_gru(weights: dict[str, Tensor], part: str) -> GRU:
    """Return the encoder ("enc") or the decoder ("dec"); the file has torch's layout."""
    theirs = nn.GRU(*weights[f"{part}_w_hh"].shape[1:], weights[f"{part}_w_ih"].shape[1])
    names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
    theirs.load_state_dict({f"{n}_l0": weights[f"{part}_{m}"] for n, m in names.items()})
    return GRU.from_torch(theirs)


@torch.inference_mode()
def pronounce(words: list[str], weights: dict[str, Tensor]) -> list[str]:
    """Decode all words in one batch, greedily, at most 20 phonemes each."""
    encoder, decoder = read_gru(weights, "enc"), read_gru(weights, "dec")
    rows = [
        torch.tensor([*(LETTERS.get(letter, UNKNOWN_LETTER) for letter in word), END_OF_WORD])
        for word in words
    ]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.arange(ids.shape[1]) < torch.tensor([[len(row)] for row in rows])
    _, state = encoder(weights["enc_emb"][ids], mask)
    phonemes, written = torch.full((len(words),), START), []
    for _ in range(20):
        state = decoder.step(decoder.from_input(weights["dec_emb"][phonemes]), state)
        phonemes = (state.hidden @ weights["fc_w"].T + weights["fc_b"]).argmax(-1)
        written.append(phonemes)
    return [" ".join(until_end(row)) for row in torch.stack(written, dim=1).tolist()]


def until_end(phonemes: list[int]) -> Iterator[str]:
    for number in phonemes:
        if number == END:
            return
        yield PHONEMES[number]


def test_phonemes_are_those_of_their_program(spoken):
    assert dict(zip(PRONOUNCED, pronounce(list(PRONOUNCED), spoken), strict=True)) == PRONOUNCED


def test_a_word_is_read_alike_among_others_and_alone(spoken):
    for word in ("x", "naïve", "backpropagation"):
        assert pronounce([word], spoken) == [PRONOUNCED[word]]


def test_states_are_those_of_their_equations(spoken):
    """Compute the encoder of the published program in NumPy, in float64."""
    weights = {name: tensor.double().numpy() for name, tensor in spoken.items()}
    ids = [LETTERS[letter] for letter in "unethically"] + [END_OF_WORD]
    hidden, expected = np.zeros(256), []
    for vector in weights["enc_emb"][ids]:
        from_input = np.split(weights["enc_w_ih"] @ vector + weights["enc_b_ih"], 3)
        from_hidden = np.split(weights["enc_w_hh"] @ hidden + weights["enc_b_hh"], 3)
        reset, update = (
            1 / (1 + np.exp(-(a + b))) for a, b in zip(from_input[:2], from_hidden[:2], strict=True)
        )
        candidate = np.tanh(from_input[2] + reset * from_hidden[2])
        hidden = (1 - update) * candidate + update * hidden
        expected.append(hidden)
    states, _ = read_gru(spoken, "enc")(spoken["enc_emb"][ids][None])
    np.testing.assert_allclose(states[0].detach(), np.stack(expected), rtol=0, atol=1e-5)


CONTEXT = 40
PARTS = ("kernel", "recurrent_kernel", "bias")
TEXTS = ("<s>", "What is the best way to learn ", "My dog ", "été ☃ 猫", "[Serious] " * 9)


@pytest.fixture(scope="module")
def characters(data_folder) -> dict[str, int]:
    path = data_folder / "recurrent_weights" / "textgenrnn_vocab.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(data_folder) -> dict[str, np.ndarray]:
    """Return the arrays of textgenrnn by layer and name: "rnn_1/kernel"."""
    h5py = pytest.importorskip("h5py")
    arrays = {}
    with h5py.File(data_folder / "recurrent_weights" / "textgenrnn_weights.hdf5") as file:
        for layer in file:
            for path in file[layer].attrs["weight_names"]:
                arrays[path.decode().removesuffix(":0")] = file[layer][path.decode()][()]
    return arrays


def read_lstm(arrays: dict[str, np.ndarray], name: str) -> LSTM:
    """Return a layer that Keras 2 has written for cuDNN, whose layout is torch's and ours.

    The four matrices, in the order of our gates, are flat parts of ``kernel``; there are two
    biases, of which only the sum counts.
    """
    kernel, recurrent, bias = (torch.from_numpy(arrays[f"{name}/{part}"]) for part in PARTS)
    width = len(recurrent)
    lstm = LSTM(len(kernel), width)
    lstm.load_state_dict(
        {
            "from_input.weight": torch.cat([g.reshape(width, -1) for g in kernel.chunk(4, dim=1)]),
            "from_hidden.weight": torch.cat(recurrent.chunk(4, dim=1)),
            "from_input.bias": sum(bias.chunk(2)),
        }
    )
    return lstm


def encode(texts: list[list[str]], characters: dict[str, int]) -> Tensor:
    """Encode the last 40 characters of each text, padded on the left; 0 is padding or unknown."""
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        numbers = [characters.get(character, 0) for character in text[-CONTEXT:]]
        row[CONTEXT - len(numbers) :] = torch.tensor(numbers)
    return ids


class TextGenRNN(nn.Module):
    """The published network, built from our layers; it predicts the character after 40."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.first, self.second = read_lstm(arrays, "rnn_1"), read_lstm(arrays, "rnn_2")
        names = ("embedding/embeddings", "attention/attention_W", "output/kernel", "output/bias")
        found = (torch.from_numpy(arrays[name]) for name in names)
        self.embedding, self.attention, self.kernel, self.bias = found

    @torch.inference_mode()
    def forward(self, ids: Tensor) -> Tensor:
        """Return the probability of each character."""
        embedded = self.embedding[ids]
        first, _ = self.first(embedded)
        second, _ = self.second(first)
        joined = torch.cat([embedded, first, second], dim=-1)
        shares = (joined @ self.attention).softmax(1)
        return ((shares * joined).sum(1) @ self.kernel + self.bias).softmax(-1)


def in_keras(arrays: dict[str, np.ndarray]):
    """Build the same network from Keras's layers."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    ids = keras.Input((CONTEXT,), dtype="int32")
    embedded = layers.Embedding(465, 100, name="embedding")(ids)
    first = layers.LSTM(128, return_sequences=True, name="rnn_1")(embedded)
    second = layers.LSTM(128, return_sequences=True, name="rnn_2")(first)
    joined = layers.Concatenate()([embedded, first, second])
    scores = layers.Dense(1, use_bias=False, name="attention")(joined)
    average = layers.Flatten()(layers.Dot(1)([layers.Softmax(1)(scores), joined]))
    model = keras.Model(ids, layers.Dense(465, activation="softmax", name="output")(average))
    model.get_layer("embedding").set_weights([arrays["embedding/embeddings"]])
    model.get_layer("attention").set_weights([arrays["attention/attention_W"]])
    model.get_layer("output").set_weights([arrays["output/kernel"], arrays["output/bias"]])
    for name in ("rnn_1", "rnn_2"):
        # As Keras 2 reads a cuDNN layer into a plain one (_convert_rnn_weights, saving.py).
        kernel, recurrent, bias = (arrays[f"{name}/{part}"] for part in PARTS)
        kernel = np.hstack([k.T.reshape(k.shape, order="F") for k in np.hsplit(kernel, 4)])
        recurrent = np.hstack([k.T for k in np.hsplit(recurrent, 4)])
        model.get_layer(name).set_weights([kernel, recurrent, sum(np.split(bias, 2))])
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_next_characters_are_those_of_keras(written, characters):
    ids = encode([["<s>"], *(["<s>", *text] for text in TEXTS[1:])], characters)
    expected = in_keras(written).predict_on_batch(ids.numpy())
    found = TextGenRNN(written)(ids)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert found.max() > 0.5  # it knows something: chance is 1 in 465


def test_it_writes_english(written, characters):
    """Decode greedily; id 0, the padding, is never chosen."""
    network, names = TextGenRNN(written), {n: c for c, n in characters.items()}
    text = ["<s>"]
    for _ in range(48):
        text.append(names[int(network(encode([text], characters))[0, 1:].argmax()) + 1])
    assert "".join(text[1:]) == "[Specific] Can someone please remove the state o"
