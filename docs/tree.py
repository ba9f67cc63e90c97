"""Print the README's tree: every part of the package with the first line of its docstring."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "ensuite"


def caption(path: Path) -> str:
    """Return the first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def tree() -> str:
    """Return the tree as a Markdown code block, one line per module and package."""
    parts = sorted(SOURCE.glob("*/__init__.py")) + sorted(SOURCE.glob("[a-z]*.py"))
    lines = ["```"]
    for part in parts:
        package = part.name == "__init__.py"
        name = f"{part.parent.name}/" if package else part.name
        lines.append(f"{name:15s} {caption(part)}".rstrip())
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    print(tree())
