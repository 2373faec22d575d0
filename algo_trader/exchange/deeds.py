"""What the world does that no client asked for: the venue, the broker, somebody with its app."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from uuid import uuid4

from algo_trader.core.types import Symbol
from algo_trader.exchange.asking import Answer
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.fault_book import NOBODY, Rule, Subject
from algo_trader.exchange.floor import Floor
from algo_trader.exchange.options import Hold
from algo_trader.exchange.orders import FINAL

HALTED = {"sc": "H", "sm": "Trading Halt", "rm": "Volatility Trading Pause"}
RESUMED = {"sc": "T", "sm": "Trading Resumption", "rc": "", "rm": ""}
ORDERS_MOST = 10_000


class _Execution(NamedTuple):
    id: str
    qty: str


class Deeds:
    """Does them on one desk. `tell_status` publishes a halt or a resumption on the data stream."""

    def __init__(
        self,
        desk: Desk,
        floor: Floor,
        now: Callable[[], float],
        tell_status: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._desk = desk
        self._floor = floor
        self._now = now
        self._tell_status = tell_status
        self._executions: dict[str, _Execution] = {}
        self.is_silent = False
        """Whether what the desk does at the moment is told to nobody."""

    def note_execution(self, order_id: str, execution_id: str, qty: str) -> None:
        """Remember the last execution of an order."""
        self._executions[order_id] = _Execution(execution_id, qty)

    def do(self, rule: Rule, subject: Subject = NOBODY) -> None:
        """Do what the rule says. Raises ApiFault for what the desk refuses."""
        args = rule.args
        match rule.do:
            case "halt_symbol":
                self._halt(args["of"], True, {**HALTED, "rc": args["reason"]})
            case "resume_symbol":
                self._halt(args["of"], False, RESUMED)
            case "block_account":
                self._desk.block(args["reason"])
            case "unblock_account":
                self._desk.block(None)
            case "wipe_account":
                self._wipe(args)
            case "foreign_order":
                self._foreign_order(args["body"])
            case "release":
                self.release(is_refused=args["refused"])
            case "manual_trade":
                self._trade(args)
            case _:
                self._to_orders(rule, subject)

    def _to_orders(self, rule: Rule, subject: Subject) -> None:
        args, now = rule.args, self._now()
        for order_id in self._chosen(rule, subject):
            match rule.do:
                case "manual_cancel":
                    self._desk.cancel(order_id, now)
                case "manual_replace":
                    self._desk.replace(order_id, args["set"], now)
                case "silent_cancel":
                    self.is_silent = True
                    try:
                        self._desk.cancel(order_id, now)
                    finally:
                        self.is_silent = False
                case "reject":
                    self.reject(order_id, args["reason"])
                case "expire":
                    self._desk.expire(order_id, now)
                case "partial_fill":
                    self.fill_part(order_id, args["qty"], args["price"])
                case "bust":
                    self._desk.bust(self._executions[order_id].id, now)
                case "correct":
                    execution = self._executions[order_id]
                    self._desk.correct(execution.id, execution.qty, args["price"], now)

    def _chosen(self, rule: Rule, subject: Subject) -> list[str]:
        """The orders named by `order` (a glob) and `of`; else the one the occurrence is about."""
        pattern, symbol = rule.args["order"], rule.args["of"]
        if pattern is None and symbol is None and subject.order_id is not None:
            return [subject.order_id]
        fitting = [
            row
            for row in self._desk.orders(status="all", limit=ORDERS_MOST)
            if (symbol is None or row["symbol"] == symbol)
            and (pattern is None or fnmatchcase(row["client_order_id"], pattern))
        ]
        if rule.do in ("bust", "correct"):
            chosen = [row["id"] for row in fitting if row["id"] in self._executions]
        else:
            chosen = [row["id"] for row in fitting if row["status"] not in FINAL]
        if rule.do == "partial_fill" and not chosen:
            chosen = [row["id"] for row in fitting[:1]]  # It comes late: the order has ended.
        if not chosen:
            raise ApiFault(404, 40410000, f"no order for {rule.do} at {rule.place}")
        return chosen

    def _foreign_order(self, body: Mapping[str, Any]) -> None:
        """An order under a name of the broker's making, or under the one that is given."""
        if body.get("client_order_id"):
            self._desk.submit(body, self._now())
        else:
            self._desk.foreign_order(body, self._now())

    def _halt(self, symbol: Symbol, is_halted: bool, words: Mapping[str, str]) -> None:
        self._floor.halt(symbol, is_halted)
        message = {"T": "s", "S": symbol, "rc": "", **words, "t": int(self._now()), "z": "C"}
        self._tell_status(message)

    def _wipe(self, args: Mapping[str, Any]) -> None:
        account = args["account"] or f"PA{uuid4().hex[:10].upper()}"
        self._desk.wipe(account, Decimal(args["cash"] or self._desk.account()["last_equity"]))

    def _trade(self, args: Mapping[str, Any]) -> None:
        """Somebody buys or sells in the broker's app, filled at once."""
        body = {
            "symbol": args["of"],
            "side": args["action"],
            "qty": args["qty"],
            "type": "market",
            "time_in_force": "day",
        }
        order = self._desk.foreign_order(body, self._now())
        if order["status"] != "filled":
            self.fill(order["id"], None, args["price"])

    # -- to one order --

    def reject(self, order_id: str, reason: str) -> None:
        """The venue refuses an order that the broker has accepted."""
        self._desk.reject(order_id, self._now(), reason)

    def fill(self, order_id: str, qty: str | None, price: str | None) -> None:
        """An execution of what is open, or of `qty`; at `price` or what the order itself says."""
        order = self._desk.order(order_id)
        whole = str(int(order["qty"]) - int(order["filled_qty"]))
        self._desk.fill(order_id, qty or whole, price or self._price(order), self._now())

    def fill_part(self, order_id: str, qty: str | None, price: str | None) -> None:
        """An execution of `qty`, or of half of what is open."""
        order = self._desk.order(order_id)
        half = max((int(order["qty"]) - int(order["filled_qty"])) // 2, 1)
        self.fill(order_id, qty or str(half), price)

    def _price(self, order: Mapping[str, Any]) -> str:
        given = order["limit_price"] or order["stop_price"]
        if given:
            return str(given)
        bars = self._floor.history([order["symbol"]], 0, int(self._now()))
        rows = bars.get(order["symbol"])
        if not rows:
            raise ApiFault(422, 42210000, f"no price of {order['symbol']} is known yet")
        return format(rows[-1].close, "f")

    def keep_back(self, what: Hold, request: Callable[[], Answer]) -> Answer:
        """Carry out a request whose effect the market is not told of until `release`."""
        self._desk.hold(what)
        try:
            return request()
        finally:
            self._desk.hold_no_more(what)

    def release(self, *, is_refused: bool = False) -> None:
        """Let what was kept back go to the market, or let the market refuse it."""
        self._desk.release(self._now(), is_refused=is_refused)
