"""Paste what the program says of itself into the README: `uv run python docs/paste.py`.

Owns the generated sections, those between `<!-- begin: NAME -->` and `<!-- end: NAME -->`. A test
compares them with the program, so that neither can change without the other.
"""

from __future__ import annotations

import re
from pathlib import Path

from algo_trader.config import SETTINGS, as_text

README = Path(__file__).parents[1] / "README.md"


def settings_table() -> str:
    """All settings as a Markdown table."""
    rows = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{setting.key}` | {as_text(setting.default)} | {setting.allowed} | {setting.meaning} |"
        for setting in SETTINGS.values()
    ]
    return "\n".join(rows)


def section(text: str, name: str) -> str:
    """What stands between the markers of a section."""
    found = re.search(_pattern(name), text, re.DOTALL)
    if found is None:
        raise LookupError(f"no section {name!r}")
    return found.group(2)


def paste(text: str, name: str, content: str) -> str:
    """The text with a section's content replaced."""
    return re.sub(
        _pattern(name), lambda found: f"{found[1]}{content}\n{found[3]}", text, flags=re.DOTALL
    )


def _pattern(name: str) -> str:
    return rf"(<!-- begin: {name} -->\n)(.*?)(<!-- end: {name} -->)"


def main() -> None:
    """Rewrite the README's generated sections."""
    README.write_text(paste(README.read_text(), "settings", settings_table()))


if __name__ == "__main__":
    main()
