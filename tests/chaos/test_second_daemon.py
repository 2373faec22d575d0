"""One daemon a data directory, by whatever name the second one calls it."""

from __future__ import annotations

from living import Daemon, Home


def test_a_second_daemon_is_refused(idle: tuple[Home, Daemon]) -> None:
    """Goal: exit 4, and the message says who has the directory; the first one goes on."""
    home, daemon = idle
    anew = ("--reset-exchange", "--force")
    home.ask("start", *anew).refused(4, f"a daemon (pid {daemon.pid}) is already running in")
    assert home.answer("status")["pid"] == daemon.pid
    assert [path.name for path in home.data.glob("embedded-*")] == ["embedded-local1"]
    assert home.answer("verify")["ok"] is True


def test_through_a_symbolic_link(idle: tuple[Home, Daemon]) -> None:
    """Goal: another name is the same directory, for `start` and for those who ask."""
    home, daemon = idle
    link = home.data.parent / "link"
    link.symlink_to(home.data)
    home.ask("start", data=link).refused(4, f"(pid {daemon.pid})", str(link))
    assert f"pid {daemon.pid}," in home.ask("status", data=link).out
