"""The result of a comparison in Python: the table, what it recommends, and the winner."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self, overload

import polars

from ensuite.comparison.experiment import Comparison
from ensuite.core.errors import RunError, UsageError
from ensuite.predictor import Predictor
from ensuite.report import values
from ensuite.report.page import leaderboard_html
from ensuite.report.table import lines


@dataclass(frozen=True, kw_only=True, repr=False)
class Leaderboard(values.Leaderboard):
    """All candidates of a comparison, the best first, and what to take.

    It prints as the table, and a notebook shows it as the table of the report.

    Args:
        folder: The folder of the comparison, with the report and the run of each candidate.
        verdict: What to take, why, and how sure that is: the sentences below the table.
        unit: What one input is called: text, row, ...
    """

    folder: Path
    verdict: str
    unit: str

    @classmethod
    def of(cls, comparison: Comparison, unit: str) -> Self:
        """Return the result of a comparison whose inputs are called ``unit``."""
        board = comparison.leaderboard
        table = {each.name: getattr(board, each.name) for each in fields(board)}
        verdict = " ".join(comparison.verdict)
        return cls(**table, folder=comparison.folder, verdict=verdict, unit=unit)

    @cached_property
    def best(self) -> Predictor:
        """The row to take, ready to predict; it is loaded when it is first asked for.

        Raises:
            RunError: If no row could be recommended, or the folder is not there any more.
        """
        if self.winner is None:
            raise RunError(
                f"No row of {self.folder} is recommended; open the run of one: "
                f'ensuite.load("{self.folder}/trials/NAME/0").'
            )
        return Predictor.load(self.folder)

    @overload
    def to_frame(self, library: Literal["polars"] = "polars") -> polars.DataFrame: ...
    @overload
    def to_frame(self, library: Literal["pandas"]) -> Any: ...
    def to_frame(self, library: Literal["polars", "pandas"] = "polars") -> Any:
        """Return the table as a DataFrame, a row for each candidate and a column for each figure.

        Args:
            library: Whose DataFrame: polars, or pandas where that is installed.

        Raises:
            UsageError: If the library is unknown or not installed.
        """
        records = [_flat(row) for row in self.rows]
        if library == "polars":
            return polars.DataFrame(records, infer_schema_length=None)
        if library != "pandas":
            raise UsageError(f'There is no DataFrame of "{library}"; give polars or pandas.')
        try:
            return import_module("pandas").DataFrame(records)
        except ImportError:
            raise UsageError("pandas is not installed here: pip install pandas") from None

    def __str__(self) -> str:
        return "\n".join(lines(self, self.unit))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the table of the report for a notebook, and the sentences about it."""
        return leaderboard_html(self, self.unit, self.verdict)


def _flat(row: values.Row) -> Mapping[str, Any]:
    """Return a row as a mapping of plain values; each metric is a column of its own."""
    columns = row.to_json()
    metrics = columns.pop("metrics")
    return columns | {name: value for name, value in metrics.items() if name not in columns}
