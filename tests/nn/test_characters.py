import pytest
import torch
import torch.nn.functional as F

from ensuite.core.errors import UsageError
from ensuite.nn import characters as characters_module
from ensuite.nn.characters import CharacterEncoder

METHODS = pytest.mark.parametrize("method", ["convolution", "lstm"])
WORDS = torch.tensor(
    [
        [[3, 1, 4, 0, 0], [1, 0, 0, 0, 0], [3, 1, 4, 0, 0]],
        [[5, 9, 2, 6, 5], [3, 5, 0, 0, 0], [0, 0, 0, 0, 0]],
    ]
)


def dense(layer: CharacterEncoder, characters: torch.Tensor) -> torch.Tensor:
    """Convolve over all there is, padding too, as the definition has it."""
    spelled = characters.flatten(0, 1)
    convolve = layer.reader.convolve
    columns = F.conv1d(
        layer.embed(spelled).transpose(1, 2), convolve.weight, convolve.bias, padding="same"
    )
    largest = F.relu(columns).masked_fill((spelled == 0)[:, None], 0.0).amax(2)
    return largest.view(*characters.shape[:2], -1)


@pytest.mark.parametrize("reach", [1, 3, 5])
def test_a_convolution_where_it_is_defined(reach):
    layer = CharacterEncoder(10, 6, reach=reach).double()
    expected, found = dense(layer, WORDS), layer(WORDS)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    gradients = [
        torch.autograd.grad((each * weights).sum(), list(layer.parameters()))
        for each in (found, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_an_lstm_from_either_end():
    layer = CharacterEncoder(10, 6, "lstm").double()
    ahead, back = layer.reader.recurrent.cells
    found = layer(WORDS)
    for word, vector in zip(WORDS.flatten(0, 1), found.flatten(0, 1), strict=True):
        inputs = layer.embed(word[word != 0][None])
        expected = torch.zeros(6, dtype=torch.float64)
        if inputs.shape[1]:
            _, (last, _) = ahead(inputs)
            _, (first, _) = back(inputs.flip(1))
            expected = torch.cat([last[0], first[0]])
        torch.testing.assert_close(vector, expected)


@METHODS
def test_a_word_without_characters_is_zeros(method):
    layer = CharacterEncoder(10, 6, method)
    assert not layer(WORDS)[1, 2].any()
    nothing = layer(torch.zeros(2, 3, 4, dtype=torch.long))
    assert nothing.shape == (2, 3, 6) and not nothing.any()
    nothing.sum().backward()  # and there is nothing to learn from


@METHODS
def test_more_padding_changes_nothing(method):
    layer = CharacterEncoder(10, 6, method).double()
    found = layer(WORDS)
    # sums come in another order: a few roundings
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(layer(F.pad(WORDS, (0, 4))), found, **close)
    torch.testing.assert_close(layer(F.pad(WORDS, (0, 0, 0, 2)))[:, :3], found, **close)
    torch.testing.assert_close(layer(WORDS[:, 1:2]), found[:, 1:2], **close)


@METHODS
def test_equal_words_get_equal_vectors_while_training_too(method):
    found = CharacterEncoder(10, 6, method, dropout=0.5)(WORDS)
    assert torch.equal(found[0, 0], found[0, 2])


@METHODS
def test_dropout_is_for_training(method):
    layer = CharacterEncoder(10, 6, method, dropout=0.5)
    assert not torch.equal(layer(WORDS), layer(WORDS))
    layer.eval()
    assert torch.equal(layer(WORDS), layer(WORDS))


@pytest.mark.parametrize(
    "wrong", [{"reach": 2}, {"method": "lstm", "width": 5}], ids=["reach", "width"]
)
def test_what_it_cannot_be(wrong):
    with pytest.raises(UsageError, match="odd reach, or by an lstm with an"):
        CharacterEncoder(**{"size": 10, "width": 6, **wrong})


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_rows_without_repetitions(kind):
    rows = WORDS.flatten(0, 1).to(kind)
    found, places = characters_module.distinct(rows)
    assert len(found) == 5
    assert torch.equal(found[places], rows)


def test_two_rows_with_one_hash_stay_two():
    factor = 6364136223846793005
    rows = torch.tensor([[factor, 0], [0, 1], [factor, 0]])
    found, places = characters_module.distinct(rows)
    assert len(found) == 2
    assert torch.equal(found[places], rows)
