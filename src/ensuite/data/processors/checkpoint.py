"""The tokenizer of a published checkpoint or of another run, and how it frames a text."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import RunError, reason
from ensuite.core.special import Special
from ensuite.data.processors.tokenizer import Unit, load_tokenizer, unit_of, vocabulary_size

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONFIG = "tokenizer_config.json"
"""Where transformers writes the options of a tokenizer."""

ROLES: Mapping[str, tuple[str, Sequence[str]]] = {
    "pad": ("pad_token", ("[PAD]", "<pad>")),
    "unknown": ("unk_token", ("[UNK]", "<unk>", "<|endoftext|>")),
    "start": ("bos_token", ("<s>", "<|endoftext|>")),
    "end": ("eos_token", ("</s>", "<|endoftext|>")),
    "separator": ("sep_token", ("[SEP]", "</s>")),
    "cls": ("cls_token", ("[CLS]", "<s>")),
    "mask": ("mask_token", ("[MASK]", "<mask>")),
}
"""What each special token is called in the configuration, and what tokens usually serve for it."""


class Kept(NamedTuple):
    """A tokenizer that was learned elsewhere, and what it says of itself."""

    tokenizer: str
    unit: Unit
    vocabulary_size: int
    special: Special


def kept_tokenizer(pretrained: Pretrained, name: str) -> Kept | None:
    """Return the tokenizer of a checkpoint or of another run; None where it has none.

    The folder has ``tokenizer.json``, or ``vocab.txt`` (WordPiece), or ``vocab.json`` and
    ``merges.txt`` (byte-level BPE), and may have ``tokenizer_config.json`` beside them.

    Args:
        pretrained: Names its folder.
        name: Of the JSON file that is taken where there are several.

    Raises:
        RunError: If a file is damaged; names it.
    """
    folder = pretrained.tokenizer
    if folder is None:
        return None
    config = read_config(folder)
    found = sorted(folder.glob("*tokenizer.json"), key=lambda path: path.name != name)
    if found:
        text = read_text(found[0])
    elif (folder / "vocab.txt").is_file():
        text = from_word_pieces(folder / "vocab.txt", config).to_str()
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        text = from_merges(folder / "vocab.json", folder / "merges.txt", config).to_str()
    else:
        return None
    try:
        vocabulary = load_tokenizer(text).get_vocab()
    except RunError as error:
        raise RunError(
            f"The tokenizer in {folder} cannot be read ({error.__cause__}); fetch it again."
        ) from error
    special = find_special(vocabulary, config)
    return Kept(text, unit_of(text), vocabulary_size(text), special)


def read_config(folder: Path) -> dict[str, Any]:
    """Return the options of a tokenizer; none where the folder has no file of them."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    return read_object(path)


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RunError: If there is none.
    """
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise unreadable(path, error) from None
    if not isinstance(found, dict):
        raise RunError(f"{path} holds no JSON object; fetch the checkpoint again.")
    return found


def read_text(path: Path) -> str:
    """Return the content of a text file.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> RunError:
    """Return the error that a file of a checkpoint cannot be read."""
    return RunError(f"{path} cannot be read ({reason(error)}); fetch the checkpoint again.")


def find_special(vocabulary: Mapping[str, int], config: Mapping[str, Any]) -> Special:
    """Return the special tokens that a configuration names, else those of the usual names.

    Where texts only have a separator between them, as those of a tokenizer that was learned here,
    it also starts and ends a text that is written.
    """
    found: dict[str, int | None] = {}
    for role, (key, usual) in ROLES.items():
        named = config.get(key)
        named = named.get("content") if isinstance(named, Mapping) else named
        names = [named] if isinstance(named, str) else usual
        found[role] = next((vocabulary[name] for name in names if name in vocabulary), None)
    special = Special(**found)
    if special.start is None and special.end is None and special.cls is None:
        return special._replace(start=special.separator, end=special.separator)
    return special


def published_tokenizer(
    tokenizer: str, special: Special, longest: int, *, segments: bool = False
) -> dict[str, Any]:
    """Return the ``tokenizer_config.json`` by which transformers opens a ``tokenizer.json``.

    Args:
        tokenizer: As JSON.
        special: Its special tokens.
        longest: Most tokens that are read at once.
        segments: Whether the model is given the segment of each token.
    """
    loaded = load_tokenizer(tokenizer)
    numbers = special._asdict()
    tokens = {key: numbers[role] for role, (key, _) in ROLES.items() if numbers[role] is not None}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "model_input_names": [
            "input_ids",
            *(["token_type_ids"] if segments else []),
            "attention_mask",
        ],
        **{key: loaded.id_to_token(number) for key, number in tokens.items()},
    }


def from_word_pieces(path: Path, config: Mapping[str, Any]) -> "Tokenizer":
    """Return the WordPiece tokenizer of BERT that a list of pieces, one a line, stands for.

    It is lower case if ``do_lower_case`` says so, or, without it, if no whole word of the list has
    a capital.

    Source:
        Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3; Wu et al. (2016),
        https://arxiv.org/abs/1609.08144, section 4.1
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers import processors as frame

    pieces = read_text(path).split("\n")
    pieces = [piece.removesuffix("\r") for piece in (pieces if pieces[-1] else pieces[:-1])]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    if missing := [name for name in ("[UNK]", "[CLS]", "[SEP]") if name not in vocabulary]:
        raise RunError(f"{path} has no {', '.join(missing)}: it is no vocabulary of WordPiece.")
    capital = any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=bool(config.get("do_lower_case", not capital)),
        strip_accents=config.get("strip_accents"),
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer.add_special_tokens([name for name in names if name in vocabulary])
    tokenizer.post_processor = frame.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    return tokenizer


def from_merges(vocabulary: Path, merges: Path, config: Mapping[str, Any]) -> "Tokenizer":
    """Return the byte-level BPE tokenizer of GPT-2 or RoBERTa that two files stand for.

    Source:
        Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.2
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers import processors as frame

    ids = read_object(vocabulary)
    lines = read_text(merges).split("\n")
    merged = [line for line in lines if line and not line.startswith("#version")]
    pairs = [(first, second) for first, _, second in (line.partition(" ") for line in merged)]
    prefix = bool(config.get("add_prefix_space", False))
    try:
        tokenizer = Tokenizer(models.BPE(vocab=ids, merges=pairs))
    except Exception as error:  # the library raises nothing more precise
        raise RunError(
            f"{merges} does not go with {vocabulary} ({error}); fetch the checkpoint again."
        ) from None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    names = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>")
    added = [AddedToken(name, lstrip=name == "<mask>") for name in names if name in ids]
    tokenizer.add_special_tokens(added)  # the mask stands for the blank before it too
    tokenizer.post_processor = frame.ByteLevel(trim_offsets=False)
    if "<s>" in ids and "</s>" in ids:
        tokenizer.post_processor = frame.RobertaProcessing(
            ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=False, add_prefix_space=prefix
        )
    return tokenizer


class Token(NamedTuple):
    """A special token of a frame, and the segment it counts to."""

    id: int
    segment: int = 0


class Frame(NamedTuple):
    """The special tokens around one text, or around and between two.

    Attributes:
        before: What stands before the first text.
        between: What stands between the two.
        after: What stands after the last text.
        segments: Those of the first and of the second text.
    """

    before: tuple[Token, ...] = ()
    between: tuple[Token, ...] = ()
    after: tuple[Token, ...] = ()
    segments: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """How many tokens a window has besides its text."""
        return len(self.before) + len(self.after)

    @property
    def tells_segments(self) -> bool:
        """Whether two texts are of different segments."""
        return self.segments[0] != self.segments[1]


class Frames(NamedTuple):
    """How one text is framed, and how two are."""

    single: Frame = Frame()
    pair: Frame = Frame()

    @property
    def alike(self) -> bool:
        """Whether the same tokens stand at both ends of one text and of two."""
        ends = [[[t.id for t in side] for side in (f.before, f.after)] for f in self]
        return ends[0] == ends[1]


@lru_cache(maxsize=8)
def read_frames(tokenizer: str) -> Frames:
    """Return the frames that the post-processor of a tokenizer (as JSON) puts around texts."""
    steps = [json.loads(tokenizer).get("post_processor") or {}]
    frames = Frames()
    while steps:
        step = steps.pop(0)
        match step.get("type"):
            case "Sequence":
                steps = [*step["processors"], *steps]
            case "TemplateProcessing":
                ids = {name: each["ids"] for name, each in step["special_tokens"].items()}
                frames = Frames(*(from_template(step[kind], ids) for kind in ("single", "pair")))
            case "BertProcessing":
                frames = bert_frames(step["cls"][1], step["sep"][1])
            case "RobertaProcessing":
                frames = roberta_frames(step["cls"][1], step["sep"][1])
    return frames


def from_template(template: Sequence[Any], ids: Mapping[str, Sequence[int]]) -> Frame:
    """Return the frame that a template of special tokens and texts describes."""
    parts: list[list[Token]] = [[]]
    segments = []
    for item in template:
        if "Sequence" in item:
            segments.append(item["Sequence"]["type_id"])
            parts.append([])
        else:
            token = item["SpecialToken"]
            parts[-1] += [Token(number, token["type_id"]) for number in ids[token["id"]]]
    between = parts[1] if len(parts) == 3 else []
    first, second, *_ = [*segments, 0, 0]
    return Frame(tuple(parts[0]), tuple(between), tuple(parts[-1]), (first, second))


def bert_frames(cls: int, separator: int) -> Frames:
    """Return BERT's frames: [CLS] A [SEP], and [CLS] A [SEP] B [SEP], B in segment 1."""
    before, first = (Token(cls),), (Token(separator),)
    return Frames(Frame(before, (), first), Frame(before, first, (Token(separator, 1),), (0, 1)))


def roberta_frames(cls: int, separator: int) -> Frames:
    """Return RoBERTa's frames: <s> A </s>, and <s> A </s> </s> B </s>, all of one segment."""
    before, after = (Token(cls),), (Token(separator),)
    return Frames(Frame(before, (), after), Frame(before, after * 2, after))
