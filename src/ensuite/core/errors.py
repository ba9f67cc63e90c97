"""What can go wrong, as one sentence a person can act on."""

from collections.abc import Iterable
from difflib import get_close_matches

from ensuite.core.printable import one_line
from ensuite.core.synonyms import synonym


class EnsuiteError(Exception):
    """A failure whose message names the file, row or option, what was expected and what to do."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))  # whatever a file holds that is quoted in it


class UsageError(EnsuiteError):
    """The words of a command or call are wrong: a name, an option or a value."""

    exit_code = 2


class DataError(EnsuiteError):
    """A file, a column or a row is not what the task needs."""


class UnknownLabelError(DataError):
    """A label that the model has not learned."""


class RunError(EnsuiteError):
    """A run folder is missing, incomplete, foreign, or in use."""


class TrainingError(EnsuiteError):
    """Training cannot go on."""


class NonFiniteGradientError(TrainingError):
    """Several updates in a row had gradients that are not finite."""


class OutOfMemoryError(TrainingError):
    """Not even a batch of one row fits into memory."""


class PaddingLeakError(EnsuiteError):
    """A backbone gives other answers when padding is added."""


class RowLeakError(EnsuiteError):
    """A backbone gives other answers to a row when other rows are in its batch."""


def reason(error: Exception) -> str:
    """Return why something failed; the system would name the file once more, with a number.

    >>> reason(FileNotFoundError(2, "No such file or directory", "a.txt")), reason(ValueError("x"))
    ('No such file or directory', 'x')
    """
    return str(getattr(error, "strerror", None) or error)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean X?' for the closest known word, or nothing where none is close.

    Capitals make no difference, and a word of another package stands for ours.

    >>> nearest("lstmm", ["rnn", "lstm", "gru"]), nearest("LSTM", ["lstm"])
    ('; did you mean lstm?', '; did you mean lstm?')
    >>> nearest("hidden_size", ["width", "layers"])
    '; did you mean width?'
    """
    words = list(known)
    if (same := synonym(word, words)) is not None:
        return f"; did you mean {same}?"
    lower = {each.lower(): each for each in reversed(words)}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"; did you mean {lower[close[0]]}?" if close else ""
