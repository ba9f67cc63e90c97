"""Draw a comparison by accuracy as SVG: python docs/picture.py FOLDER OUT.svg COMMAND TEST_ROWS."""

import json
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ensuite.core.display import Display
from ensuite.report.table import terminal_table
from ensuite.report.values import Leaderboard, Row
from ensuite.report.verdict import verdict

# The only accent colour is the blue of Okabe and Ito's palette; the rest is grey on white.
THEME = TerminalTheme((255, 255, 255), (40, 40, 40), [(40, 40, 40)] * 6 + [(0, 114, 178)] * 2)


def draw(run: Path, command: str, examples: int) -> str:
    """Return an SVG of the command, its table and the sentences below it."""
    saved = json.loads((run / "leaderboard.json").read_text(encoding="utf-8"))
    rows = tuple(Row(**row) for row in saved.pop("rows"))
    beats = tuple((better, worse) for better, worse in saved.pop("beats"))
    accuracy = {saved["metric"]: Display(points=100)}
    board = Leaderboard(**saved, rows=rows, beats=beats, displays=accuracy)
    console = Console(record=True, width=106, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}\n", style="bold"))
    console.print(terminal_table(board, "text", 84), soft_wrap=True)
    console.print()
    for sentence in verdict(board, examples, "text"):
        console.print(sentence, highlight=False)
    console.print()  # Rich clips the feet of the last line's letters.
    svg = console.export_svg(title="ensuite", theme=THEME)
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    rest = svg[end:]
    return svg[:start] + rest[rest.index("}") + 1 :].replace("Fira Code", "ui-monospace")


if __name__ == "__main__":
    folder, out, command, examples = sys.argv[1:]
    Path(out).write_text(draw(Path(folder), command, int(examples)), encoding="utf-8")
