"""Raw input to tensors: texts, series, pictures, rows."""

from ensuite.data.processors.image import Image
from ensuite.data.processors.numbers import Columns, Series
from ensuite.data.processors.processor import Processor, Window
from ensuite.data.processors.text import Text
from ensuite.data.processors.words import Words

BY_KIND: dict[str, type[Processor]] = {each.kind: each for each in (Text, Series, Image, Columns)}

__all__ = ["BY_KIND", "Columns", "Image", "Processor", "Series", "Text", "Window", "Words"]
