""".env.example documents every setting truly.

Goal: nobody reads a default or a bound there that the program does not have. Method: parse the
file's blocks (comment, then a commented-out line), compare with the table of settings, and load the
file with every such line uncommented.
"""

from __future__ import annotations

import re
from pathlib import Path

from algo_trader.config import SETTINGS, Origin, Settings, as_text, load_settings

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
BLOCK = re.compile(r"((?:^# .*\n)+)^#([A-Za-z_]+)=(.*)\n", re.MULTILINE)


def blocks() -> dict[str, tuple[str, str]]:
    """Name to (comment on one line, default)."""
    return {
        name: (" ".join(comment.replace("# ", "").splitlines()), default)
        for comment, name, default in BLOCK.findall(EXAMPLE.read_text(encoding="utf-8"))
    }


def test_every_setting_stands_there_once_and_nothing_else() -> None:
    names = re.findall(r"^#(\w+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == [setting.env_name for setting in SETTINGS.values()]


def test_meaning_bounds_and_default_are_the_true_ones() -> None:
    expected = {
        setting.env_name: (
            f"{setting.meaning} Allowed: {setting.allowed}.",
            as_text(setting.default),
        )
        for setting in SETTINGS.values()
    }
    assert blocks() == expected


def test_everything_uncommented_loads_and_is_the_default(tmp_path: Path) -> None:
    uncommented = re.sub(r"^#(ALGO_)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.M)
    path = tmp_path / ".env"
    path.write_text(uncommented, encoding="utf-8")
    loaded = load_settings(env_file=path, environ={})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {Origin.ENV_FILE}


def test_as_it_stands_it_sets_nothing() -> None:
    loaded = load_settings(env_file=EXAMPLE, environ={})
    assert set(loaded.origins.values()) == {Origin.DEFAULT}
