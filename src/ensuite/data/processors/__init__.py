"""Raw input to tensors: texts, series, rows."""

from ensuite.data.processors.numbers import Columns, Series
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.text import Text

BY_KIND: dict[str, type[Processor]] = {each.kind: each for each in (Text, Series, Columns)}

__all__ = ["BY_KIND", "Columns", "Processor", "Series", "Text", "Window"]
