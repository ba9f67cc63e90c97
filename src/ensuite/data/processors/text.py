"""Texts to ids: words, characters or byte-pair pieces, by the tokenizers library."""

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Tokens
from ensuite.core.errors import RunError
from ensuite.core.presentation import Finding, Ledger
from ensuite.data.processors.processor import Processor, Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RawText = str | tuple[str, str]

SPECIAL = ("[PAD]", "[UNK]", "[SEP]")
UNKNOWN, SEPARATOR = 1, 2

CHARACTER = "(?m)."  # in the words of Oniguruma: the end of a line too
"""What a text is cut into where an id stands for a character."""

FEW_WORDS = 4
"""Texts of fewer words (median) are read by characters: names, codes, single words."""


@dataclass(frozen=True, kw_only=True)
class Text(Processor):
    """Read texts, or pairs of texts, as ids.

    Args:
        unit: What an id stands for; auto takes characters where texts have fewer than four words.
        vocabulary_size: Most ids that are learned; rarer words become one, "unknown". None: 25,000
            words or characters, 4,000 pieces.
        min_frequency: Words seen fewer times than this in training are unknown.
        lowercase: Whether upper and lower case are the same; auto: yes for words alone.
        window: Longest stretch that is read at once.
        overlap: How much two windows of one text share.
        truncation: How texts longer than the window are read: windows reads everything in several
            windows and merges the answers; head and tail keep one window and report what is cut.
        tokenizer: The learned tokenizer, as its library writes it.
    """

    unit: Literal["auto", "words", "characters", "pieces"] = "auto"
    vocabulary_size: int | None = None
    min_frequency: int = 2
    lowercase: bool | None = None
    window: int = 512
    overlap: int = 64
    truncation: Literal["windows", "head", "tail"] = "windows"
    tokenizer: str = field(default="", metadata={"learned": True, "file": "tokenizer.json"})

    kind: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.window:
            raise ValueError("window must be 1 or more, and overlap from 0 to less than window")
        if self.vocabulary_size is not None and self.vocabulary_size <= len(SPECIAL):
            raise ValueError(f"vocabulary_size must be more than {len(SPECIAL)}")

    def prepare(self, raws: Sequence[RawText], pretrained: Pretrained | None = None) -> Self:
        if pretrained and (kept := kept_tokenizer(pretrained, "tokenizer.json")):
            return replace(self, **kept._asdict())
        unit = self.unit if self.unit != "auto" else choose_unit(raws)
        lowercase = unit == "words" if self.lowercase is None else self.lowercase
        most = self.vocabulary_size or (4_000 if unit == "pieces" else 25_000)
        prepared = replace(self, unit=unit, lowercase=lowercase, vocabulary_size=most)
        return replace(prepared, tokenizer=learn_tokenizer(prepared, raws).to_str())

    @property
    def inputs(self) -> Inputs:
        return {"tokens": Tokens(load_tokenizer(self.tokenizer).get_vocab_size())}

    def encode(self, raws: Sequence[RawText]) -> list[Window]:
        """Return the ids of each whole text; an empty one is a single unknown."""
        tokenizer = load_tokenizer(self.tokenizer)
        encoded = tokenizer.encode_batch_fast(list(raws), add_special_tokens=True)
        return [np.array(each.ids or [UNKNOWN], dtype=np.int32) for each in encoded]

    def windows(self, raws: Sequence[RawText]) -> list[list[Window]]:
        return [self._cut(ids) for ids in self.encode(raws)]

    def _cut(self, ids: Window) -> list[Window]:
        if len(ids) <= self.window:
            return [ids]
        if self.truncation == "head":
            return [ids[: self.window]]
        if self.truncation == "tail":
            return [ids[-self.window :]]
        stride = self.window - self.overlap
        starts = range(0, len(ids) - self.overlap, stride)
        return [ids[start : start + self.window] for start in starts]

    def collate(self, windows: Sequence[Window]) -> Batch:
        lengths = np.array([len(ids) for ids in windows])
        tokens = np.zeros((len(windows), lengths.max()), dtype=np.int64)
        mask = np.arange(lengths.max()) < lengths[:, None]
        tokens[mask] = np.concatenate(windows)
        return Batch(inputs={"tokens": torch.from_numpy(tokens)}, mask=torch.from_numpy(mask))

    def key(self, raw: RawText) -> Hashable:
        return raw

    def show(self, raw: RawText) -> str:
        return raw if isinstance(raw, str) else " | ".join(raw)

    def tell(self, window: Window) -> tuple[str, ...]:
        return each_token(self.tokenizer, window)

    def check(self, raws: Sequence[RawText]) -> list[Finding]:
        lengths = np.array([len(ids) for ids in self.encode(raws)])
        unit = "pieces" if self.unit == "pieces" else self.unit
        middle, most = np.quantile(lengths, [0.5, 0.95], method="higher")
        sentence = (
            f"median {middle:,} {unit}, 95 % within {most:,}, longest {lengths.max():,}; "
            f"{self._fate(lengths)}"
        )
        findings = [Finding("text", sentence)]
        if empty := sum(not "".join(raw).strip() for raw in raws):
            findings.append(Finding("empty", f"{empty:,} texts are empty or blank"))
        return findings

    def _fate(self, lengths: Window) -> str:
        long = int((lengths > self.window).sum())
        if not long:
            return "nothing will be cut"
        share = f"{long:,} ({long / len(lengths):.1%})".replace("%", " %")
        if self.truncation == "windows":
            return f"{share} are read in windows of {self.window}, nothing is cut"
        lost = int((lengths - self.window).clip(0).sum()) / int(lengths.sum())
        cut = f"{self.truncation} {self.window}"
        return f"{share} are cut to the {cut}: {lost * 100:.1f} % of all text"

    def ledger(self, raws: Sequence[RawText]) -> Ledger:
        lengths = np.array([len(ids) for ids in self.encode(raws)])
        if self.truncation == "windows":
            return Ledger(0, 0, int(lengths.sum()))
        over = (lengths - self.window).clip(0)
        return Ledger(int((over > 0).sum()), int(over.sum()), int(lengths.sum()))


class Kept(NamedTuple):
    """A tokenizer that was learned elsewhere, and what it says of itself."""

    tokenizer: str
    unit: Literal["words", "characters", "pieces"]
    vocabulary_size: int


def kept_tokenizer(pretrained: Pretrained, name: str) -> Kept | None:
    """Return the tokenizer of a checkpoint or of another run; None where it has none.

    Args:
        pretrained: Names its folder.
        name: Of the file that is taken where there are several.
    """
    if pretrained.tokenizer is None:
        return None
    found = sorted(pretrained.tokenizer.glob("*tokenizer.json"), key=lambda path: path.name != name)
    if not found:
        return None
    text = found[0].read_text(encoding="utf-8")
    return Kept(text, unit_of(text), load_tokenizer(text).get_vocab_size())


def unit_of(tokenizer: str) -> Literal["words", "characters", "pieces"]:
    """Return what an id of a tokenizer stands for."""
    described = json.loads(tokenizer)
    if described["model"]["type"] != "WordLevel":
        return "pieces"
    cut = described["pre_tokenizer"] or {}
    return "characters" if cut.get("pattern") == {"Regex": CHARACTER} else "words"


def choose_unit(raws: Sequence[RawText]) -> Literal["words", "characters"]:
    """Take words where texts have some, characters where they are names or codes."""
    words = np.median([len("".join(raw).split()) for raw in raws]) if raws else 0
    return "words" if words >= FEW_WORDS else "characters"


def learn_tokenizer(options: Text, raws: Sequence[RawText], *, spaced: bool = False) -> "Tokenizer":
    """Learn a vocabulary from texts: [PAD] is 0, [UNK] is 1, [SEP] stands between two texts.

    Args:
        options: Unit, size of the vocabulary and the like.
        raws: What to learn from.
        spaced: Whether a word brings the space before it along, so that ids give the text back.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, trainers
    from tokenizers import pre_tokenizers as cut
    from tokenizers import processors as frame

    words, pieces = options.unit == "words", options.unit == "pieces"
    assert options.vocabulary_size is not None, "prepare settles it"
    tokenizer = Tokenizer(models.BPE() if pieces else models.WordLevel(unk_token="[UNK]"))
    # Composed accents, so that é is one character however it was typed.
    steps = [normalizers.NFC(), *([normalizers.Lowercase()] if options.lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    trainer: Any
    if pieces:
        tokenizer.pre_tokenizer = cut.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=options.vocabulary_size,
            initial_alphabet=cut.ByteLevel.alphabet(),
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
    else:
        if words and not spaced:
            tokenizer.pre_tokenizer = cut.Whitespace()
        else:
            one = r" ?\w+| ?[^\w\s]+|\s" if words else CHARACTER
            tokenizer.pre_tokenizer = cut.Split(Regex(one), "isolated")
            tokenizer.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(
            vocab_size=options.vocabulary_size,
            min_frequency=options.min_frequency if words else 1,
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
    tokenizer.train_from_iterator(_each_text(raws), trainer, length=len(raws))
    tokenizer.post_processor = frame.TemplateProcessing(
        single="$A", pair="$A [SEP] $B", special_tokens=[("[SEP]", SEPARATOR)]
    )
    return tokenizer


def _each_text(raws: Sequence[RawText]) -> Iterator[str]:
    for raw in raws:
        yield from (raw,) if isinstance(raw, str) else raw


@lru_cache(maxsize=8)
def load_tokenizer(text: str) -> "Tokenizer":
    """Return the tokenizer that ``text`` describes.

    Raises:
        RunError: If it describes none.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more precise
        raise RunError(f"tokenizer.json is missing or damaged: {error}") from error


def each_token(tokenizer: str, ids: Sequence[int] | Window) -> tuple[str, ...]:
    """Return each id as the text it stands for; half a character is shown as unknown."""
    singly = [[int(token)] for token in ids]
    return tuple(load_tokenizer(tokenizer).decode_batch(singly, skip_special_tokens=False))
