"""Orders that belong together: bracket, OTO and OCO, and what one member means to the others.

Rules (Alpaca's documentation of advanced orders): an entry comes first, its exit legs are held and
become active when it is completely filled. A filled take-profit ends the stop-loss; filled in part,
it leaves the stop the remainder. A triggered stop ends the take-profit. An end of any member by
other means ends every other one, and nothing is liquidated.

Owns who belongs to whom and what is held. It does not know the books: the venue asks what follows
and does it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.events import OrderRequest
from algo_trader.core.prices import CENT
from algo_trader.core.types import Action, ClientOrderId, OrderType, TimeInForce, Word
from algo_trader.venue.checks import BAD_REQUEST, UNPROCESSABLE, Refusal


class GroupKind(Word):
    """What a group consists of."""

    BRACKET = "bracket"
    """An entry, its take-profit and its stop-loss."""
    OTO = "oto"
    """An entry and one exit."""
    OCO = "oco"
    """A take-profit and a stop-loss of a position that is there."""


class OrderGroup(NamedTuple):
    """A group as it is asked for: every member with its own id, all of one symbol and quantity."""

    kind: GroupKind
    entry: OrderRequest | None = None
    take_profit: OrderRequest | None = None
    stop_loss: OrderRequest | None = None

    @property
    def legs(self) -> tuple[OrderRequest, ...]:
        """The exits, the take-profit first."""
        return tuple(leg for leg in (self.take_profit, self.stop_loss) if leg is not None)

    @property
    def members(self) -> tuple[OrderRequest, ...]:
        """The entry, if there is one, and the exits."""
        return self.legs if self.entry is None else (self.entry, *self.legs)


def misfit(group: OrderGroup, *, allow_stop_entry: bool) -> Refusal | None:
    """Why these orders make no group by their terms; None if they do.

    ValueError if the members are not of one symbol, quantity and lifetime, entry against exits.
    """
    kind = group.kind
    missing = _missing(group)
    if missing is not None:
        return missing
    _require_one_whole(group)
    if group.members[0].time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        return Refusal(UNPROCESSABLE, f"{kind} orders must be DAY or GTC orders")
    entry = group.entry
    if entry is not None:
        types = {OrderType.MARKET, OrderType.LIMIT}
        if allow_stop_entry:
            types |= {OrderType.STOP, OrderType.STOP_LIMIT}
        if entry.type not in types:
            return Refusal(BAD_REQUEST, f"{kind} orders must be market or limit orders")
    return None


def _missing(group: OrderGroup) -> Refusal | None:
    legs, kind = len(group.legs), group.kind
    if kind is GroupKind.OTO:
        if legs == 1:
            return None
        return Refusal(
            BAD_REQUEST,
            "oto orders require either take_profit.limit_price or stop_loss.stop_price",
        )
    if group.take_profit is None:
        return Refusal(BAD_REQUEST, f"{kind} orders require take_profit.limit_price")
    if group.stop_loss is None:
        return Refusal(BAD_REQUEST, f"{kind} orders require stop_loss.stop_price")
    return None


def _require_one_whole(group: OrderGroup) -> None:
    if (group.entry is None) != (group.kind is GroupKind.OCO):
        raise ValueError(f"an {group.kind} group with entry {group.entry}")
    first = group.members[0]
    for leg in group.members[1:]:
        is_same_way = leg.action is first.action
        if is_same_way != (group.entry is None) or (leg.symbol, leg.qty, leg.time_in_force) != (
            first.symbol,
            first.qty,
            first.time_in_force,
        ):
            raise ValueError(f"{leg} does not belong to {first}")


def misplaced(group: OrderGroup, market: Decimal | None) -> Refusal | None:
    """Why the exits lie wrong: the take-profit must be a cent beyond the base price, the stop a
    cent before it and before the market. The base is the entry's price, or an OCO's take-profit.
    """
    profit, loss, entry = group.take_profit, group.stop_loss, group.entry
    base = entry.limit_price or entry.stop_price if entry is not None else None
    if base is None:
        base = profit.limit_price if entry is None and profit is not None else market
    if base is None:
        return None
    is_long = group.legs[0].action is Action.SELL
    figures = {"base_price": str(base)}
    target = None if entry is None or profit is None else profit.limit_price
    if target is not None and (target < base + CENT if is_long else target > base - CENT):
        rule = ">= base_price + 0.01" if is_long else "<= base_price - 0.01"
        return Refusal(UNPROCESSABLE, f"take_profit.limit_price must be {rule}", figures)
    if loss is not None and loss.stop_price is not None:
        prices = [base] if market is None else [base, market]
        nearest = min(prices) if is_long else max(prices)
        if loss.stop_price > nearest - CENT if is_long else loss.stop_price < nearest + CENT:
            rule = "<= base_price - 0.01" if is_long else ">= base_price + 0.01"
            figures = {"base_price": str(nearest)}
            return Refusal(UNPROCESSABLE, f"stop_loss.stop_price must be {rule}", figures)
    return None


class Group:
    """A group that lives: the ids of its open members, and the terms of those that are held."""

    __slots__ = ("entry_id", "held", "kind", "profit_id", "stop_id")

    def __init__(self, group: OrderGroup) -> None:
        self.kind = group.kind
        self.entry_id = group.entry.order_id if group.entry else None
        self.profit_id = group.take_profit.order_id if group.take_profit else None
        self.stop_id = group.stop_loss.order_id if group.stop_loss else None
        self.held: dict[ClientOrderId, OrderRequest] = (
            {} if group.entry is None else {leg.order_id: leg for leg in group.legs}
        )

    @property
    def open_ids(self) -> list[ClientOrderId]:
        """The members that have not ended: entry, take-profit, stop-loss."""
        ids = (self.entry_id, self.profit_id, self.stop_id)
        return [order_id for order_id in ids if order_id is not None]


class Groups:
    """Every group with an open member, by the ids of its members."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[ClientOrderId, Group] = {}

    def add(self, group: OrderGroup) -> Group:
        """Take a group in; its legs are held if it has an entry."""
        made = Group(group)
        for member in group.members:
            self.members[member.order_id] = made
        return made

    def restore(self, profit_id: ClientOrderId | None, stop_id: ClientOrderId | None) -> None:
        """An OCO group of which these members are open, as another venue had it."""
        group = Group(OrderGroup(GroupKind.OCO))
        group.profit_id, group.stop_id = profit_id, stop_id
        for order_id in group.open_ids:
            self.members[order_id] = group

    def of(self, order_id: ClientOrderId) -> Group | None:
        """The group the order is an open member of."""
        return self.members.get(order_id)

    def is_exit(self, order_id: ClientOrderId) -> bool:
        """Whether the order is an exit of a group."""
        group = self.members.get(order_id)
        return group is not None and order_id != group.entry_id

    def held(self, order_id: ClientOrderId) -> OrderRequest | None:
        """The order of that id while it is held."""
        group = self.members.get(order_id)
        return None if group is None else group.held.get(order_id)

    def all_held(self) -> list[OrderRequest]:
        """Every held order."""
        groups = dict.fromkeys(self.members.values())
        return [request for group in groups for request in group.held.values()]

    def end(self, order_id: ClientOrderId) -> None:
        """The order has ended; it is a member no more."""
        group = self.members.pop(order_id, None)
        if group is None:
            return
        group.held.pop(order_id, None)
        for name in ("entry_id", "profit_id", "stop_id"):
            if getattr(group, name) == order_id:
                setattr(group, name, None)

    def swap(self, order_id: ClientOrderId, request: OrderRequest) -> None:
        """`request` takes the place of the member `order_id`, held if that was."""
        group = self.members.pop(order_id, None)
        if group is None:
            return
        self.members[request.order_id] = group
        if group.held.pop(order_id, None) is not None:
            group.held[request.order_id] = request
        for name in ("entry_id", "profit_id", "stop_id"):
            if getattr(group, name) == order_id:
                setattr(group, name, request.order_id)
