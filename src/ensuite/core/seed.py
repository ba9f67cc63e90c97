"""The seeds that every generator of random numbers takes."""

from ensuite.core.errors import UsageError

LARGEST_SEED = 2**32 - 1
"""NumPy and scikit-learn take no larger one."""


def require_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UsageError: If it is out of range.
    """
    if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"The seed {seed} is out of range; give one from 0 to {LARGEST_SEED}.")
    return seed
