"""The whole Alpaca daemon in a simulated world: nothing is broken, and a seed is a run.

Method: the campaign of `algo-trader simulate` over a fixed range of seeds, runs held against each
other by their fingerprints, and lies planted in the ledger, at the exchange and at its door, which
the oracle and the witness must tell of. Long campaigns run with `-m slow`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

import pytest
from whole_system import elsewhere, setup

from algo_trader.core import events as ev
from algo_trader.core.types import (
    MINUTE,
    Action,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.simulation.campaign import Report, campaign
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.loop import run_virtually
from algo_trader.simulation.market import Market
from algo_trader.simulation.oracle import PREFIX, compare
from algo_trader.simulation.plan import Appointment, Deed, Level, Plan
from algo_trader.simulation.run import Outcome
from algo_trader.simulation.witness import Witness
from algo_trader.simulation.world import World

Lie: TypeAlias = Callable[[Outcome], None]
Watch: TypeAlias = Callable[[Witness, SimulatedExchange, int], None]
MANY = {Level.HEAVY: 16, Level.LIGHT: 4, Level.NONE: 2}
OFTEN = 9
"""A seed whose process dies often."""


def played(level: Level, seeds: range) -> Report:
    """The campaign over the seeds; fails with all that is needed to see a failure again."""
    report = Report(setup=setup(level))
    campaign(report, seeds, os.cpu_count() or 1, lambda report: None)
    assert not report.failures, "\n".join(
        f"seed {one.seed}, lives ended at {one.crash_at}: {one.complaints[:5]}"
        for one in report.failures
    )
    assert report.runs == report.wanted == len(seeds)
    return report


# -- campaigns --


@pytest.mark.parametrize("level", list(Level))
def test_a_small_campaign(level: Level) -> None:
    """Goal: no invariant breaks, whatever goes wrong. Method: a range of seeds at each level."""
    report = played(level, range(1, 1 + MANY[level]))
    assert report.tally["check: every share has its stop"] > 100 * report.runs
    assert report.tally["check: sent only what was on record"] > 10 * report.runs
    if level is Level.NONE:
        assert report.faults == {}
        assert report.lives == 2 * report.runs  # The one, and the one more at the end.
        return
    assert report.lives > 2 * report.runs
    for what in ("death", "deed: ", "fault: POST", "fault: GET", "fault: trade", "fault: bar"):
        assert any(name.startswith(what) for name in report.faults), what


@pytest.mark.slow
def test_a_long_campaign() -> None:
    """Goal: the same over many seeds. Method: seeds that no other test plays."""
    played(Level.HEAVY, range(20_000, 20_400))


# -- a seed is a run --


def test_a_seed_is_a_run_in_this_process_and_in_others() -> None:
    """Goal: a failure is seen again wherever its seed is run.

    Method: the fingerprints of some seeds here, then backwards, and in a process whose strings
    hash otherwise.
    """
    seeds = [OFTEN, 4]
    here = [setup().play(seed).fingerprint for seed in seeds]
    assert len(set(here)) == len(seeds)
    assert [setup().play(seed).fingerprint for seed in reversed(seeds)] == here[::-1]
    assert elsewhere(seeds[::-1], hash_seed=4711) == here[::-1]


def test_a_run_is_seen_again_by_where_its_lives_ended() -> None:
    """Goal: `--crash-at` with the boundaries of a failure is that failure.

    Method: the ends of a run's lives, given to a plan that has no deaths of its own.
    """
    run = setup().play(OFTEN)
    assert run.tally["death"] >= 3
    ends = tuple(map(len, run.boundaries))
    again = setup().play(OFTEN, ends)
    assert again.plan.crash_every == 0
    assert again.boundaries == run.boundaries
    assert again.fingerprint == run.fingerprint
    other = setup().play(OFTEN, (ends[0] + 5, *ends[1:]))
    assert other.fingerprint != run.fingerprint


# -- lies that the oracle must tell of --


def sql(statement: str) -> Lie:
    """A lie in the ledger's file."""

    def tell(outcome: Outcome) -> None:
        assert outcome.file.driver.execute(statement).rowcount == 1

    return tell


def an_order_of_ours(outcome: Outcome) -> None:
    """An order at the exchange with a name of ours that the ledger does not know."""
    exchange = outcome.exchange
    body = {"symbol": "AA", "side": "buy", "type": "limit", "qty": "1", "limit_price": "31.00"}
    body |= {"client_order_id": f"{PREFIX}restless-AA-1-entry-1", "time_in_force": "gtc"}
    exchange.listen(lambda data: None)
    closes_at = exchange.market.period[-1].session.closes_at
    exchange.desk.foreign_order(body, float(closes_at + MINUTE))


def shares_from_nowhere(outcome: Outcome) -> None:
    """Shares that no execution has brought."""
    outcome.exchange.desk.venue.account.positions["AA"] = Decimal(3)


def money_that_is_gone(outcome: Outcome) -> None:
    """Cash that no execution has cost."""
    outcome.exchange.desk.venue.account.cash -= 500


def an_execution_that_was_heard_of_only_there(outcome: Outcome) -> None:
    """An execution that the exchange knows and the ledger does not."""
    executions = outcome.exchange.desk.blotter.executions
    executions.append(executions[-1])


LAST = "WHERE id = (SELECT max(id) FROM order_state WHERE state = 'filled')"
LIES: dict[str, tuple[Lie, str]] = {
    "a row is gone": (sql(f"DELETE FROM order_state {LAST}"), "the ledger has never heard of it"),
    "a state is another": (
        sql(f"UPDATE order_state SET state = 'accepted' {LAST}"),
        "is accepted in the ledger, filled there",
    ),
    "a name is another": (
        sql(f"UPDATE order_state SET broker_id = 'other' {LAST}"),
        "is other in the ledger",
    ),
    "a figure is another": (sql(f"UPDATE order_state SET qty_filled = '1' {LAST}"), "qty_filled"),
    "an order too many": (an_order_of_ours, "the ledger has never heard of it"),
    "shares from nowhere": (shares_from_nowhere, "positions: the ledger has"),
    "money that is gone": (money_that_is_gone, "cash: the ledger has"),
    "an execution unheard of": (
        an_execution_that_was_heard_of_only_there,
        "shares are filled in the ledger",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_the_oracle_tells_a_lie(name: str) -> None:
    """Goal: what the oracle passes is so. Method: plant one lie in what a sound day has left."""
    outcome = setup(Level.NONE, days=1).play(2)
    assert outcome.complaints == []
    assert list(compare(outcome.file.driver, outcome.exchange, outcome.plan)) == []
    lie, expected = LIES[name]
    lie(outcome)
    found = list(compare(outcome.file.driver, outcome.exchange, outcome.plan))
    assert any(expected in each for each in found), found


# -- lies that the witness must tell of --

ENTRY = ClientOrderId(f"{PREFIX}restless-AA-1-entry-1")
ASKED = ev.OrderRequest(
    ENTRY, "AA", Action.BUY, OrderType.STOP, TimeInForce.DAY, Decimal(5), None, Decimal(101)
)
INTENDED = ev.OrderIntended(
    at=1, decision=DecisionId("d"), strategy="restless", side=Side.LONG, role=Role.ENTRY,
    request=ASKED,
)  # fmt: skip
SUBMITTING = ev.OrderSubmitting(at=1, order_id=ENTRY)
SENT = {
    "client_order_id": ENTRY, "symbol": "AA", "side": "buy", "type": "stop", "qty": "5",
    "stop_price": "101", "time_in_force": "day",
}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "requests", "expected"),
    [
        ([], [SENT], "was sent before it was on record as intended"),
        ([INTENDED], [SENT], "was sent before it was on record that it leaves"),
        ([INTENDED, SUBMITTING], [{**SENT, "qty": "6"}], "6 shares were sent, 5 are on record"),
        ([INTENDED, SUBMITTING], [SENT, SENT], "was sent twice"),
        (
            [ev.Halted(at=1, reason="news"), INTENDED, SUBMITTING],
            [SENT],
            "was sent although trading is halted",
        ),
    ],
)
def test_the_witness_sees_what_leaves(
    facts: list[ev.Fact], requests: list[dict[str, str]], expected: str
) -> None:
    """Goal: no request passes that is not on record, or that leaves again. Method: hand it some."""

    async def send() -> list[str]:
        world = World(Plan())
        witness = Witness(world)
        witness.note_durable(facts)
        for terms in requests:
            witness.note_leaving("POST", terms, may_be_taken=True)
        return world.complaints

    found = run_virtually(send())
    assert any(expected in each for each in found), found


def at_the_exchange(plan: Plan, watch: Watch) -> World:
    """The notes on a session in which somebody buys and nobody places a stop: `watch` is given the
    witness when the shares are there, and goes on for a minute and a half.
    """

    async def play() -> World:
        world = World(plan)
        witness = Witness(world)
        market = Market(plan.seed, plan.symbols, plan.paths, plan.minutes)
        exchange = witness.exchange = SimulatedExchange(plan, market)
        exchange.floor.begin()
        playing = asyncio.ensure_future(exchange.play())
        await exchange.until(market.period[0].session.opens_at + MINUTE)
        witness.born()
        await asyncio.sleep(40)
        body = {"symbol": "AA", "side": "buy", "type": "market", "qty": "7"}
        exchange.desk.foreign_order({**body, "time_in_force": "day"}, exchange.time_now)
        while not exchange.held("AA"):
            await asyncio.sleep(0.1)
        for second in range(90):
            witness.look()
            watch(witness, exchange, second)
            await asyncio.sleep(1)
        playing.cancel()
        return world

    return run_virtually(play())


def nothing(witness: Witness, exchange: SimulatedExchange, second: int) -> None:
    """Nobody does anything."""


def tell_at(event: str, told_at: int) -> Watch:
    """The daemon tells of it after so many seconds."""

    def watch(witness: Witness, exchange: SimulatedExchange, second: int) -> None:
        if second == told_at:
            witness.hear(event, {"cause": "x"})

    return watch


def tell_each_minute_from(event: str, told_at: int) -> Watch:
    """The daemon tells of it after so many seconds, and again as long as it lasts."""

    def watch(witness: Witness, exchange: SimulatedExchange, second: int) -> None:
        if second >= told_at and (second - told_at) % MINUTE == 0:
            witness.hear(event, {"cause": "x"})

    return watch


def cover_at(placed_at: int) -> Watch:
    """A stop is placed after so many seconds."""

    def watch(witness: Witness, exchange: SimulatedExchange, second: int) -> None:
        if second == placed_at:
            body = {"symbol": "AA", "side": "sell", "type": "stop", "qty": "7"}
            body |= {"stop_price": "31.00", "time_in_force": "gtc"}
            exchange.desk.foreign_order(body, exchange.time_now)

    return watch


HANDS = (Appointment(0, 3, Deed.BUYS, "AA"),)


@pytest.mark.parametrize(
    ("watch", "deeds", "is_told_of"),
    [
        (nothing, (), True),
        (cover_at(4), (), False),
        (cover_at(20), (), True),
        (tell_each_minute_from("uncovered", 4), (), False),
        (tell_at("uncovered", 4), (), True),
        (tell_at("entries_closed", 4), (), True),
        (tell_at("uncovered", 20), (), True),
        (tell_at("filled", 4), (), True),
        (nothing, HANDS, True),
        (cover_at(60), HANDS, False),
    ],
)
def test_the_witness_sees_shares_without_a_stop(
    watch: Watch, deeds: tuple[Appointment, ...], is_told_of: bool
) -> None:
    """Goal: shares are covered in time, or an operator is told in time; later where somebody else
    has bought them. Method: shares at a simulated exchange, and a stop or a word sooner or later.
    """
    # Something may have gone wrong, or no alert would excuse anything.
    found = at_the_exchange(Plan(speed=20, minutes=60, deeds=deeds, disk_pct=0.1), watch)
    assert any("7 AA without a working stop for" in each for each in found.complaints) is is_told_of
