"""Summarisation: from a text to a shorter one (the course, line 475).

The data is news articles with summaries (xsum_test1000/xsum_test1000.jsonl.gz) if the environment
variable ENSUITE_DATA names a folder with them; otherwise, it is the docstrings of Python's modules,
where the first line summarises the rest. A thousand examples teach a small network almost nothing
about a language, so the first sentence of the text (the baseline "lead sentence") is hard to beat.

    python examples/summaries.py [BUDGET]
"""

import ast
import gzip
import json
import os
import sys
from pathlib import Path

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "60s"
news = Path(os.environ.get("ENSUITE_DATA", "")) / "xsum_test1000" / "xsum_test1000.jsonl.gz"


def documented(modules: int = 60) -> list[dict[str, str]]:
    """Return the docstrings of functions in Python's modules, first line apart from the rest."""
    rows = []
    for path in sorted(Path(os.__file__).parent.glob("*.py"))[:modules]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node)):
                summary, _, rest = text.partition("\n\n")
                if rest.strip() and summary.strip():
                    row = {"document": " ".join(rest.split()), "summary": " ".join(summary.split())}
                    rows.append(row)
    return rows


if news.is_file():
    with gzip.open(news, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    data = [row for row in rows if row["document"]]  # one of the thousand is empty
else:
    data = documented()
given = {"source": "document", "target": "summary"}
found = ensuite.compare(
    "translate", data, models=["seq2seq"], budget=budget, seeds=1, metric="rouge_l", given=given
)
print(found)
