"""One strategy on one symbol: its candles, indicators, holding and the events of its next line.

A lane owns no rule; it keeps together what the engine needs when a bar or a candle arrives. It is
also where a user's code is asked: what that raises, an answer that is none, and a decimal context
that it leaves changed are each a StrategyError that names strategy, method and candle.

A strategy of this package is asked as it is. Of a user's, only what is rare is checked: an answer
to every candle costs as much as asking for it. The context is the exception where the user's file
names it: then it is looked at after every answer.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from algo_trader.core.candles import CandleBuilder
from algo_trader.core.errors import StrategyError
from algo_trader.core.holding import Holding
from algo_trader.core.types import MINUTE, Candle, Instant, Session, Symbol, iso, record
from algo_trader.indicators import IndicatorSource, SmaPair
from algo_trader.strategies.base import (
    CandleLabel,
    HeldPosition,
    Management,
    Position,
    Signal,
    Strategy,
    Stray,
)
from algo_trader.strategies.mistakes import (
    CHANGED_CONTEXT,
    OURS,
    ContextWatch,
    is_stop,
    is_whole,
    own_frames,
    own_traceback,
    said,
    shown,
)


@record
class Questions:
    """What is asked of a strategy, each with what it takes to tell a user's mistake as theirs."""

    signal: Callable[[Candle, Any], Signal | str]
    manage: Callable[[Candle, Position, Any], Management]
    label: Callable[[Candle], CandleLabel]
    required_history: Callable[[], int]
    candle_interval_minutes: int


class Source:
    """A user's source of indicators, guarded."""

    __slots__ = ("update",)

    def __init__(self, update: Callable[[Candle], Any]) -> None:
        self.update = update


class Told(StrategyError):
    """A user's mistake in its final words: whoever catches it hands it on."""


class Lane:
    """The engine's working set for one strategy and symbol.

    `events` gather for the next decision line while somebody wants lines (`tells`); `is_told` says
    that the strategy has heard of the position it holds.
    """

    __slots__ = (
        "_context",
        "_flatten_s",
        "_needs_bar_count",
        "_own",
        "builder",
        "candles",
        "entry_life_s",
        "events",
        "flatten_at",
        "holding",
        "indicators",
        "interval_s",
        "is_told",
        "last_indicators",
        "name",
        "needed_candles",
        "strategy",
        "symbol",
        "tells",
    )

    def __init__(self, name: str, strategy: Strategy, holding: Holding) -> None:
        self.name = name
        self.symbol: Symbol = strategy.symbol
        self.holding = holding
        self.builder = CandleBuilder(strategy.symbol, strategy.candle_interval_minutes)
        self.candles = 0
        self.interval_s = strategy.candle_interval_minutes * MINUTE
        self.entry_life_s = strategy.entry_expiry_candles * self.interval_s
        self.flatten_at: Instant = 0
        self.tells = False
        self.is_told = False
        self.events: list[dict[str, Any]] = []
        self._flatten_s = strategy.flatten_minutes_before_close * MINUTE
        self._own = strategy
        is_ours = type(strategy).__module__.startswith(OURS)
        self._context = None if is_ours else ContextWatch()
        self._needs_bar_count = type(strategy).signal is Strategy.signal
        self.indicators = self._make_indicators()
        self.strategy = self._questions()
        self.needed_candles = self.strategy.required_history()
        self.last_indicators: Any = None

    @property
    def key(self) -> tuple[Symbol, str]:
        """Order of processing: by symbol, then by strategy."""
        return (self.symbol, self.name)

    @property
    def is_warm(self) -> bool:
        """Whether the strategy has seen the candles it asks for."""
        return self.candles >= self.needed_candles

    def open_session(self, session: Session) -> None:
        """Align the candles and the time by which everything is flat."""
        self.check_context("its code", None)
        self.builder.open_session(session)
        self.flatten_at = session.closes_at - self._flatten_s

    def position(self) -> HeldPosition:
        """What the strategy may see of its position: a copy, so that it can change nothing."""
        held = self.holding
        return HeldPosition(
            held.symbol,
            held.side,
            held.qty,
            held.avg_entry_price,
            held.stop_price,
            held.opened_at,
        )

    def tell_opened(self) -> None:
        """The strategy's position has its first share."""
        self.is_told = True
        position = self.position()
        hook = self._own.on_position_opened
        self._ask("on_position_opened", position.opened_at, hook, position)

    def tell_closed(self, at: Instant) -> None:
        """The strategy's position has lost its last share."""
        self.is_told = False
        self._ask("on_position_closed", at, self._own.on_position_closed)

    def blame(self, at: Instant | None, error: BaseException) -> StrategyError:
        """What the strategy raised, as an error that carries the strategy's own traceback.

        A request to stop the process is no mistake: it is raised again.
        """
        if is_stop(error):
            raise error
        if isinstance(error, Told):
            return error
        if isinstance(error, Stray) and error.__cause__ is not None:
            error = error.__cause__
        frames = own_frames(error)
        method = f" in {frames[0].name}" if frames else ""
        return Told(
            f"strategy {self.name} raised {type(error).__name__} {self._when(at)}{method}: "
            f"{said(error)}",
            own_traceback(error),
        )

    def refuse(
        self, method: str, answer: object, at: Instant | None, remedy: str
    ) -> StrategyError:
        """An answer that is none, in words that say what would be one."""
        return Told(
            f"strategy {self.name}: {method} returned {shown(answer)} {self._when(at)}; {remedy}"
        )

    def check_context(self, method: str, at: Instant | None) -> None:
        """Raise if a user's strategy has left a decimal context that is not the program's."""
        if self._context is not None and self._context.has_changed():
            raise Told(f"strategy {self.name}: {method} {self._when(at)} {CHANGED_CONTEXT}")

    # -- inside --

    def _when(self, at: Instant | None) -> str:
        """Where in the run, for a message; `at` None is no single candle."""
        if at is None:
            place = f"by candle {self.candles}" if self.candles else "before the first candle"
            return f"{place} of {self.symbol}"
        # A candle that only warms up is counted after it was shown: then it still waits there.
        number = self.candles + any(waiting.start == at for waiting in self.builder.ready)
        return f"at candle {number} of {self.symbol} ({iso(at)})"

    def _ask(self, method: str, at: Instant | None, ask: Callable[..., Any], *given: Any) -> Any:
        """The answer of a user's code, which may raise anything."""
        try:
            answer = ask(*given)
        except BaseException as error:
            raise self.blame(at, error) from error
        self.check_context(method, at)
        return answer

    def _make_indicators(self) -> IndicatorSource:
        source: IndicatorSource = self._ask("indicators", None, self._own.indicators)
        if type(source) is SmaPair:
            return source
        ask = getattr(source, "update", None)
        if not callable(ask):
            remedy = "it must return an object with a method update(candle)"
            raise self.refuse("indicators", source, None, remedy)
        watches = self._own.may_change_context

        def update(candle: Candle) -> Any:
            try:
                return ask(candle)
            except BaseException as error:
                raise self.blame(candle.start, error) from error

        def checked(candle: Candle) -> Any:
            try:
                values = ask(candle)
                self._check_values(values, candle)
            except BaseException as error:
                raise self.blame(candle.start, error) from error
            if watches:
                self.check_context("update", candle.start)
            elif not self.tells:
                guarded.update = update  # Its first answer has shown what it is.
            return values

        guarded = Source(checked)
        return guarded

    def _check_values(self, values: Any, candle: Candle) -> None:
        """What a decision line shows, and what the default `signal` asks for, can be had."""
        if self._needs_bar_count and not is_whole(getattr(values, "bar_count", None)):
            remedy = "it needs a bar_count, the number of candles so far, unless signal is yours"
            raise self.refuse("update", values, candle.start, remedy)
        for name in ("sma_fast", "sma_slow"):
            value = getattr(values, name, None)
            if not (value is None or is_whole(value) or isinstance(value, Decimal)):
                remedy = f"its {name} must be Decimal or None"
                raise self.refuse("update", values, candle.start, remedy)

    def _questions(self) -> Strategy | Questions:
        """A strategy of ours as it is, a user's guarded as far as the engine is not."""
        own = self._own
        if self._context is None:
            return own
        signal: Callable[[Candle, Any], Signal | str] = own.signal
        manage: Callable[[Candle, Position, Any], Management] = own.manage
        if own.may_change_context or not self._needs_bar_count:
            signal = self._guarded_signal(own)
        if own.may_change_context:
            manage = self._guarded_manage(own)
        interval = own.candle_interval_minutes
        return Questions(signal, manage, self._label, self._required_history, interval)

    def _guarded_signal(self, own: Strategy) -> Callable[[Candle, Any], Signal | str]:
        ask, watches = own.signal, own.may_change_context
        method = "should_long or what is asked with it" if self._needs_bar_count else "signal"

        def signal(candle: Candle, indicators: Any) -> Signal | str:
            try:
                answer = ask(candle, indicators)
            except BaseException as error:
                raise self.blame(candle.start, error) from error
            if watches:
                self.check_context(method, candle.start)
            return answer

        return signal

    def _guarded_manage(self, own: Strategy) -> Callable[[Candle, Position, Any], Management]:
        is_default = type(own).manage is Strategy.manage
        method = "should_update_stop or should_exit" if is_default else "manage"

        def manage(candle: Candle, position: Position, indicators: Any) -> Management:
            answer: Management = self._ask(
                method, candle.start, own.manage, candle, position, indicators
            )
            return answer

        return manage

    def _label(self, candle: Candle) -> CandleLabel:
        label = self._ask("label", candle.start, self._own.label, candle)
        if (
            isinstance(label, CandleLabel)
            and isinstance(label.colour, str)
            and isinstance(label.strong, bool | None)
        ):
            return label
        remedy = "it must return CandleLabel(colour, strong): a text, and True, False or None"
        raise self.refuse("label", label, candle.start, remedy)

    def _required_history(self) -> int:
        needed = self._ask("required_history", None, self._own.required_history)
        if is_whole(needed):
            return int(needed)
        raise self.refuse(
            "required_history", needed, None, "it must return a whole number of candles"
        )

