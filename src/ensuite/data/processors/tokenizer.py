"""Tokenizers of the tokenizers library: learned from texts, or loaded from the JSON of one."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import RunError
from ensuite.core.special import Special
from ensuite.data import cache

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Unit = Literal["words", "characters", "pieces"]

NAMES = ("[PAD]", "[UNK]", "[SEP]")
"""The special tokens of a learned tokenizer, in the order of their ids."""

LEARNED = Special(pad=0, unknown=1, start=2, end=2, separator=2)
"""What they are for: a separator also stands before and after a text that is written."""

FRAMED_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens of a learned tokenizer that frames texts as BERT does."""

FRAMED = Special(pad=0, unknown=1, cls=2, separator=3, mask=4)
"""What they are for."""

CHARACTER = "(?m)."
"""Pattern of one character in Oniguruma's syntax, in which ``.`` matches a line end too."""

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""How the tokenizers library calls the tokens that stand for single bytes."""

FEW_WORDS = 4
"""Texts of fewer words (median) are read by characters: names, codes, single words."""

ASKED = 1000
"""Texts, evenly spread, whose words are counted to choose between words and characters."""

LEARNED_FROM = 64_000_000
"""Characters that a vocabulary is learned from; of more text, stretches evenly spread over it."""

VERSION = "2"
"""Part of every cache key: raise it when the same options learn another tokenizer."""

T = TypeVar("T")


class Recipe(NamedTuple):
    """How a tokenizer is learned.

    Attributes:
        unit: What a token stands for.
        vocabulary_size: Most tokens that are learned.
        min_frequency: Words seen fewer times than this are unknown.
        lowercase: Whether upper and lower case are the same.
        spaced: Whether ids give the text back to the letter: a word includes the space before it.
        byte_fallback: Whether a character that was not learned is spelled in the bytes of its
            UTF-8, where a token is a character.
        framed: Whether texts are framed as BERT does, [CLS] A [SEP] and [CLS] A [SEP] B [SEP], and
            a token can be masked.
    """

    unit: Unit
    vocabulary_size: int
    min_frequency: int = 1
    lowercase: bool = False
    spaced: bool = False
    byte_fallback: bool = False
    framed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The special tokens, in the order of their ids."""
        return FRAMED_NAMES if self.framed else NAMES


def choose_unit(raws: Sequence[str | tuple[str, ...]]) -> Literal["words", "characters"]:
    """Take words where texts have some, characters where they are names or codes."""
    spread = raws[:: max(1, len(raws) // ASKED)]
    words = np.median([count_words(raw) for raw in spread]) if len(spread) else 0
    return "words" if words >= FEW_WORDS else "characters"


def count_words(raw: Any) -> int:
    """Return how many words a text, or a pair of texts, has."""
    return len(("".join(raw) if isinstance(raw, tuple) else str(raw)).split())


def learn_tokenizer(recipe: Recipe, texts: Sequence[Any]) -> str:
    """Learn a vocabulary from texts and return the tokenizer as JSON.

    [PAD] is 0, [UNK] is 1, and [SEP], 2, stands between two texts, unless the recipe says that
    texts are framed. What was learned from the same
    texts before, in this process or in one whose cache is still there, is not learned again.
    """
    key = cache.digest((VERSION, *map(str, recipe)), texts)
    return cache.remembered_text(key, lambda: _learn(recipe, texts), cache.size_of(texts))


def _learn(recipe: Recipe, texts: Sequence[Any]) -> str:
    from tokenizers import processors as frame

    tokenizer = _learn_pieces(recipe, texts) if recipe.unit == "pieces" else _learn_whole(
        recipe, texts
    )  # fmt: skip
    single, pair = "$A", "$A [SEP] $B"
    if recipe.framed:
        single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    ids = [(name, recipe.names.index(name)) for name in ("[CLS]", "[SEP]") if name in pair]
    tokenizer.post_processor = frame.TemplateProcessing(
        single=single, pair=pair, special_tokens=ids
    )
    return str(tokenizer.to_str())


def _learn_pieces(recipe: Recipe, texts: Sequence[Any]) -> "Tokenizer":
    """Learn byte-pair pieces; every byte is one of them, so that every text can be read."""
    from tokenizers import Tokenizer, decoders, models, trainers
    from tokenizers import pre_tokenizers as cut

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _normalizer(recipe)
    tokenizer.pre_tokenizer = cut.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary_size,
        initial_alphabet=cut.ByteLevel.alphabet(),
        special_tokens=_special_tokens(recipe),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts), trainer)
    return tokenizer


def _learn_whole(recipe: Recipe, texts: Sequence[Any]) -> "Tokenizer":
    """Learn whole words, or single characters."""
    from tokenizers import Regex, Tokenizer, decoders, models, trainers
    from tokenizers import pre_tokenizers as cut

    words = recipe.unit == "words"
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = _normalizer(recipe)
    if words and not recipe.spaced:
        tokenizer.pre_tokenizer = cut.Whitespace()
    else:
        one = r" ?\w+| ?[^\w\s]+|\s" if words else CHARACTER
        tokenizer.pre_tokenizer = cut.Split(Regex(one), "isolated")
        tokenizer.decoder = decoders.Fuse()
    trainer: Any = trainers.WordLevelTrainer(
        vocab_size=recipe.vocabulary_size,
        min_frequency=recipe.min_frequency if words else 1,
        special_tokens=_special_tokens(recipe),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts), trainer)
    return tokenizer if words or not recipe.byte_fallback else _with_bytes(tokenizer, recipe)


def _special_tokens(recipe: Recipe) -> list[Any]:
    """Return the special tokens as their library describes them.

    The mask stands for the blank before it too, as a token in its place would, unless a blank is a
    token of its own.
    """
    from tokenizers import AddedToken

    glued = recipe.unit != "characters"
    return [
        AddedToken(name, lstrip=glued and name == "[MASK]", normalized=False, special=True)
        for name in recipe.names
    ]


def _normalizer(recipe: Recipe) -> Any:
    """Compose accents, so that é is one character however it was typed."""
    from tokenizers import normalizers

    steps: list[Any] = [normalizers.NFC(), *([normalizers.Lowercase()] if recipe.lowercase else [])]
    return normalizers.Sequence(steps)


def _with_bytes(characters: "Tokenizer", recipe: Recipe) -> "Tokenizer":
    """Add the 256 bytes, which spell every character that was not learned; other ids stay."""
    from tokenizers import Tokenizer, decoders, models

    vocabulary: dict[str, int] = characters.get_vocab()
    vocabulary |= {name: number for number, name in enumerate(BYTES, len(vocabulary))}
    model = models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = characters.normalizer
    tokenizer.pre_tokenizer = characters.pre_tokenizer
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(list(recipe.names))
    return tokenizer


def _sample(texts: Sequence[Any]) -> Iterator[str]:
    """Yield the texts; of very many, stretches that are evenly spread over them."""
    every = -(-cache.size_of(texts) // LEARNED_FROM) or 1
    for raw in texts[::every]:
        yield from map(str, raw if cache.is_pair(raw) else (raw,))


def unit_of(tokenizer: str) -> Unit:
    """Return what an id of a tokenizer stands for."""
    described = json.loads(tokenizer)
    cut = described["pre_tokenizer"] or {}
    if cut.get("pattern") == {"Regex": CHARACTER}:
        return "characters"
    return "words" if described["model"]["type"] == "WordLevel" else "pieces"


@lru_cache(maxsize=8)
def leaves_out(tokenizer: str) -> bool:
    """Say whether a tokenizer, given as JSON, has no id for some texts but that of "unknown"."""
    model = json.loads(tokenizer)["model"]
    if model.get("byte_fallback"):
        return False
    return model["type"] != "BPE" or model.get("unk_token") is not None


@lru_cache(maxsize=8)
def byte_ids(tokenizer: str) -> tuple[int, ...]:
    """Return the ids of the tokens that spell characters in bytes; none where there are none."""
    if not json.loads(tokenizer)["model"].get("byte_fallback"):
        return ()
    vocabulary = load_tokenizer(tokenizer).get_vocab()
    return tuple(vocabulary[name] for name in BYTES if name in vocabulary)


@lru_cache(maxsize=8)
def load_tokenizer(text: str, *, special: bool = False) -> "Tokenizer":
    """Return the tokenizer that ``text`` describes, as JSON.

    It never cuts or pads a text, even where its file says so: windows and batches do that, and
    count it.

    Args:
        text: The JSON.
        special: Whether the names of special tokens within a text are these tokens, as chat
            templates write them; otherwise they are text.

    Raises:
        RunError: If it describes none.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more precise
        raise RunError(f"tokenizer.json is missing or damaged: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = not special
    return tokenizer


@lru_cache(maxsize=8)
def fingerprint(tokenizer: str) -> str:
    """Return the SHA-256 of a tokenizer's JSON, which takes a while for large vocabularies."""
    return sha256(tokenizer.encode(errors="surrogatepass")).hexdigest()


@lru_cache(maxsize=8)
def token_bytes(tokenizer: str) -> tuple[bytes, ...]:
    """Return the bytes that each token stands for, by id; none for special tokens and gaps."""
    loaded, described = load_tokenizer(tokenizer), json.loads(tokenizer)
    found = [b""] * vocabulary_size(tokenizer)
    spell = _speller(json.dumps(described.get("decoder"), ensure_ascii=False))
    added = loaded.get_added_tokens_decoder()
    for name, token in loaded.get_vocab().items():
        if token not in added:
            found[token] = spell(name)
        elif not added[token].special:
            found[token] = added[token].content.encode()  # as it stands in texts
    return tuple(found)


def _speller(decoder: str) -> Callable[[str], bytes]:
    """Return what turns the name of a token into bytes, as a decoder (its JSON) would."""
    if '"ByteLevel"' in decoder:
        byte = {letter: number for number, letter in enumerate(byte_letters())}
        return lambda name: bytes(byte[letter] for letter in name)
    number = {name: bytes([byte]) for byte, name in enumerate(BYTES)}
    space = "▁" if "▁" in decoder else " "  # of SentencePiece
    return lambda name: number.get(name) or name.replace(space, " ").encode()


def byte_letters() -> list[str]:
    """Return the letter that byte-level BPE writes for each byte.

    Source:
        Radford et al. (2019): what prints stands for itself, any other byte for the next letter
        from 256 on.
    """
    itself = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in itself else next(others)) for byte in range(256)]


@lru_cache(maxsize=8)
def joinable(tokenizer: str) -> str:
    """Return a tokenizer whose texts of two parts join to the text of the whole.

    Decoders of SentencePiece's kind drop the space before the first word of each part.
    """
    described = json.loads(tokenizer)
    decoder = described.get("decoder") or {}
    steps = decoder.get("decoders", [])
    if decoder.get("type") == "Metaspace":
        decoder["prepend_scheme"] = "never"
    elif any(step["type"] == "Strip" for step in steps):
        decoder["decoders"] = [step for step in steps if step["type"] != "Strip"]
    else:
        return tokenizer
    return json.dumps(described)


@lru_cache(maxsize=8)
def vocabulary_size(tokenizer: str) -> int:
    """Return how many rows an embedding of these tokens needs: the largest id and one."""
    return 1 + max(load_tokenizer(tokenizer).get_vocab().values(), default=-1)


def each_token(tokenizer: str, ids: Iterable[int] | NDArray[Any]) -> tuple[str, ...]:
    """Return each id as the text it stands for; half a character is shown as unknown."""
    singly = [[int(token)] for token in ids]
    return tuple(load_tokenizer(tokenizer).decode_batch(singly, skip_special_tokens=False))
