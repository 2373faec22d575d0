"""The tables and triggers of version 1."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEDGER_ID = 0x414C474F

# Frozen: the program's schema may move on, this stays what version 1 was.
STATEMENTS = (
    """
CREATE TABLE backtest_run (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    strategy TEXT NOT NULL,
    symbols TEXT NOT NULL,
    start_date TEXT NOT NULL,
    end_date TEXT NOT NULL,
    initial_capital TEXT NOT NULL CONSTRAINT ck_initial_capital_number CHECK (initial_capital
        GLOB '[0-9-]*' AND initial_capital NOT GLOB '*[^0-9.-]*' AND initial_capital NOT GLOB
        '*.*0' AND initial_capital NOT GLOB '*.'),
    params TEXT NOT NULL,
    total_return TEXT CONSTRAINT ck_total_return_number CHECK (total_return IS NULL OR
        total_return GLOB '[0-9-]*' AND total_return NOT GLOB '*[^0-9.-]*' AND total_return NOT
        GLOB '*.*0' AND total_return NOT GLOB '*.'),
    win_rate TEXT CONSTRAINT ck_win_rate_number CHECK (win_rate IS NULL OR win_rate GLOB
        '[0-9-]*' AND win_rate NOT GLOB '*[^0-9.-]*' AND win_rate NOT GLOB '*.*0' AND win_rate
        NOT GLOB '*.'),
    profit_factor TEXT CONSTRAINT ck_profit_factor_number CHECK (profit_factor IS NULL OR
        profit_factor GLOB '[0-9-]*' AND profit_factor NOT GLOB '*[^0-9.-]*' AND profit_factor
        NOT GLOB '*.*0' AND profit_factor NOT GLOB '*.'),
    sharpe_ratio TEXT CONSTRAINT ck_sharpe_ratio_number CHECK (sharpe_ratio IS NULL OR
        sharpe_ratio GLOB '[0-9-]*' AND sharpe_ratio NOT GLOB '*[^0-9.-]*' AND sharpe_ratio NOT
        GLOB '*.*0' AND sharpe_ratio NOT GLOB '*.'),
    max_drawdown TEXT CONSTRAINT ck_max_drawdown_number CHECK (max_drawdown IS NULL OR
        max_drawdown GLOB '[0-9-]*' AND max_drawdown NOT GLOB '*[^0-9.-]*' AND max_drawdown NOT
        GLOB '*.*0' AND max_drawdown NOT GLOB '*.'),
    total_trades INTEGER,
    equity_curve TEXT,
    created_at TEXT NOT NULL
) STRICT
    """,
    """
CREATE TABLE order_event (
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    session TEXT,
    kind TEXT NOT NULL CONSTRAINT ck_kind CHECK (length(kind) > 0),
    payload TEXT NOT NULL CONSTRAINT ck_payload CHECK (payload GLOB '{*}'),
    order_local_id TEXT,
    client_order_id TEXT GENERATED ALWAYS AS (order_local_id),
    event_type TEXT,
    old_state TEXT CONSTRAINT ck_old_state_word CHECK (old_state = 'pending_submit' OR old_state
        = 'submitted' OR old_state = 'accepted' OR old_state = 'partially_filled' OR old_state =
        'filled' OR old_state = 'canceled' OR old_state = 'expired' OR old_state = 'rejected' OR
        old_state = 'submit_failed'),
    new_state TEXT CONSTRAINT ck_new_state_word CHECK (new_state = 'pending_submit' OR new_state
        = 'submitted' OR new_state = 'accepted' OR new_state = 'partially_filled' OR new_state =
        'filled' OR new_state = 'canceled' OR new_state = 'expired' OR new_state = 'rejected' OR
        new_state = 'submit_failed'),
    qty_filled TEXT CONSTRAINT ck_qty_filled_number CHECK (qty_filled IS NULL OR qty_filled GLOB
        '[0-9-]*' AND qty_filled NOT GLOB '*[^0-9.-]*' AND qty_filled NOT GLOB '*.*0' AND
        qty_filled NOT GLOB '*.'),
    cum_qty TEXT CONSTRAINT ck_cum_qty_number CHECK (cum_qty IS NULL OR cum_qty GLOB '[0-9-]*'
        AND cum_qty NOT GLOB '*[^0-9.-]*' AND cum_qty NOT GLOB '*.*0' AND cum_qty NOT GLOB
        '*.'),
    fill_price TEXT CONSTRAINT ck_fill_price_number CHECK (fill_price IS NULL OR fill_price GLOB
        '[0-9-]*' AND fill_price NOT GLOB '*[^0-9.-]*' AND fill_price NOT GLOB '*.*0' AND
        fill_price NOT GLOB '*.'),
    broker_id TEXT,
    detail TEXT,
    PRIMARY KEY (seq),
    CONSTRAINT ck_seq CHECK (seq > 0),
    CONSTRAINT ck_order_columns CHECK ((order_local_id IS NULL) = (event_type IS NULL)),
    CONSTRAINT ck_fill_columns CHECK ((kind = 'OrderFilled') = (cum_qty IS NOT NULL) AND
        (cum_qty IS NULL) = (qty_filled IS NULL) AND (cum_qty IS NULL) = (fill_price IS NULL))
) STRICT
    """,
    """
CREATE INDEX ix_order_event_local_id ON order_event (order_local_id)
    """,
    """
CREATE INDEX ix_order_event_recorded ON order_event (recorded_at)
    """,
    """
CREATE UNIQUE INDEX ux_order_event_fill ON order_event (order_local_id, cum_qty) WHERE cum_qty
        IS NOT NULL
    """,
    """
CREATE UNIQUE INDEX ux_order_event_intended ON order_event (order_local_id) WHERE kind =
        'OrderIntended'
    """,
    """
CREATE TABLE settings_override (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    previous_value TEXT,
    PRIMARY KEY ("key")
) STRICT
    """,
    """
CREATE TABLE backtest_trade (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CONSTRAINT ck_side_word CHECK (side = 'long' OR side = 'short'),
    qty TEXT NOT NULL CONSTRAINT ck_qty_number CHECK (qty GLOB '[0-9-]*' AND qty NOT GLOB
        '*[^0-9.-]*' AND qty NOT GLOB '*.*0' AND qty NOT GLOB '*.'),
    entry_price TEXT NOT NULL CONSTRAINT ck_entry_price_number CHECK (entry_price GLOB '[0-9-]*'
        AND entry_price NOT GLOB '*[^0-9.-]*' AND entry_price NOT GLOB '*.*0' AND entry_price
        NOT GLOB '*.'),
    exit_price TEXT NOT NULL CONSTRAINT ck_exit_price_number CHECK (exit_price GLOB '[0-9-]*'
        AND exit_price NOT GLOB '*[^0-9.-]*' AND exit_price NOT GLOB '*.*0' AND exit_price NOT
        GLOB '*.'),
    entry_at TEXT NOT NULL,
    exit_at TEXT NOT NULL,
    exit_reason TEXT NOT NULL CONSTRAINT ck_exit_reason_word CHECK (exit_reason = 'stop_loss' OR
        exit_reason = 'max_run' OR exit_reason = 'end_of_day' OR exit_reason = 'strategy' OR
        exit_reason = 'operator' OR exit_reason = 'end_of_data'),
    pnl TEXT NOT NULL CONSTRAINT ck_pnl_number CHECK (pnl GLOB '[0-9-]*' AND pnl NOT GLOB
        '*[^0-9.-]*' AND pnl NOT GLOB '*.*0' AND pnl NOT GLOB '*.'),
    pnl_pct TEXT NOT NULL CONSTRAINT ck_pnl_pct_number CHECK (pnl_pct GLOB '[0-9-]*' AND pnl_pct
        NOT GLOB '*[^0-9.-]*' AND pnl_pct NOT GLOB '*.*0' AND pnl_pct NOT GLOB '*.'),
    commission TEXT DEFAULT '0' NOT NULL CONSTRAINT ck_commission_number CHECK (commission GLOB
        '[0-9-]*' AND commission NOT GLOB '*[^0-9.-]*' AND commission NOT GLOB '*.*0' AND
        commission NOT GLOB '*.'),
    duration_seconds INTEGER NOT NULL,
    FOREIGN KEY(run_id) REFERENCES backtest_run (id) ON DELETE RESTRICT
) STRICT
    """,
    """
CREATE INDEX ix_backtest_trade_run ON backtest_trade (run_id)
    """,
    """
CREATE TABLE order_state (
    id INTEGER NOT NULL,
    local_id TEXT NOT NULL,
    client_order_id TEXT GENERATED ALWAYS AS (local_id),
    broker_id TEXT,
    correlation_id TEXT NOT NULL,
    strategy TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CONSTRAINT ck_side_word CHECK (side = 'long' OR side = 'short'),
    role TEXT NOT NULL CONSTRAINT ck_role_word CHECK (role = 'entry' OR role = 'stop' OR role =
        'exit'),
    action TEXT NOT NULL CONSTRAINT ck_action_word CHECK (action = 'buy' OR action = 'sell'),
    order_type TEXT NOT NULL CONSTRAINT ck_order_type_word CHECK (order_type = 'market' OR
        order_type = 'limit' OR order_type = 'stop'),
    time_in_force TEXT NOT NULL CONSTRAINT ck_time_in_force_word CHECK (time_in_force = 'day' OR
        time_in_force = 'gtc'),
    qty_requested TEXT NOT NULL CONSTRAINT ck_qty_requested_number CHECK (qty_requested GLOB
        '[0-9-]*' AND qty_requested NOT GLOB '*[^0-9.-]*' AND qty_requested NOT GLOB '*.*0' AND
        qty_requested NOT GLOB '*.'),
    limit_price TEXT CONSTRAINT ck_limit_price_number CHECK (limit_price IS NULL OR limit_price
        GLOB '[0-9-]*' AND limit_price NOT GLOB '*[^0-9.-]*' AND limit_price NOT GLOB '*.*0' AND
        limit_price NOT GLOB '*.'),
    stop_price TEXT CONSTRAINT ck_stop_price_number CHECK (stop_price IS NULL OR stop_price GLOB
        '[0-9-]*' AND stop_price NOT GLOB '*[^0-9.-]*' AND stop_price NOT GLOB '*.*0' AND
        stop_price NOT GLOB '*.'),
    stop_loss TEXT CONSTRAINT ck_stop_loss_number CHECK (stop_loss IS NULL OR stop_loss GLOB
        '[0-9-]*' AND stop_loss NOT GLOB '*[^0-9.-]*' AND stop_loss NOT GLOB '*.*0' AND
        stop_loss NOT GLOB '*.'),
    expires_at TEXT,
    qty_filled TEXT DEFAULT '0' NOT NULL CONSTRAINT ck_qty_filled_number CHECK (qty_filled GLOB
        '[0-9-]*' AND qty_filled NOT GLOB '*[^0-9.-]*' AND qty_filled NOT GLOB '*.*0' AND
        qty_filled NOT GLOB '*.'),
    avg_fill_price TEXT CONSTRAINT ck_avg_fill_price_number CHECK (avg_fill_price IS NULL OR
        avg_fill_price GLOB '[0-9-]*' AND avg_fill_price NOT GLOB '*[^0-9.-]*' AND
        avg_fill_price NOT GLOB '*.*0' AND avg_fill_price NOT GLOB '*.'),
    state TEXT NOT NULL CONSTRAINT ck_state_word CHECK (state = 'pending_submit' OR state =
        'submitted' OR state = 'accepted' OR state = 'partially_filled' OR state = 'filled' OR
        state = 'canceled' OR state = 'expired' OR state = 'rejected' OR state =
        'submit_failed'),
    version INTEGER DEFAULT 0 NOT NULL,
    parent_id TEXT,
    replaces TEXT,
    replaced_by TEXT,
    cancel_reason TEXT,
    submit_attempts INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ck_counts CHECK (version >= 0 AND submit_attempts >= 0),
    CONSTRAINT ck_local_id CHECK (length(local_id) > 0),
    FOREIGN KEY(id) REFERENCES order_event (seq) ON DELETE RESTRICT
) STRICT
    """,
    """
CREATE INDEX ix_order_state_broker_id ON order_state (broker_id)
    """,
    """
CREATE INDEX ix_order_state_correlation_id ON order_state (correlation_id)
    """,
    """
CREATE UNIQUE INDEX ix_order_state_local_id ON order_state (local_id)
    """,
    """
CREATE INDEX ix_order_state_state ON order_state (state)
    """,
    """
CREATE INDEX ix_order_state_symbol_created ON order_state (symbol, created_at)
    """,
    """
CREATE TABLE trade (
    id INTEGER NOT NULL,
    trade_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CONSTRAINT ck_side_word CHECK (side = 'long' OR side = 'short'),
    qty TEXT NOT NULL CONSTRAINT ck_qty_number CHECK (qty GLOB '[0-9-]*' AND qty NOT GLOB
        '*[^0-9.-]*' AND qty NOT GLOB '*.*0' AND qty NOT GLOB '*.'),
    entry_price TEXT NOT NULL CONSTRAINT ck_entry_price_number CHECK (entry_price GLOB '[0-9-]*'
        AND entry_price NOT GLOB '*[^0-9.-]*' AND entry_price NOT GLOB '*.*0' AND entry_price
        NOT GLOB '*.'),
    exit_price TEXT NOT NULL CONSTRAINT ck_exit_price_number CHECK (exit_price GLOB '[0-9-]*'
        AND exit_price NOT GLOB '*[^0-9.-]*' AND exit_price NOT GLOB '*.*0' AND exit_price NOT
        GLOB '*.'),
    entry_at TEXT NOT NULL,
    exit_at TEXT NOT NULL,
    exit_reason TEXT NOT NULL CONSTRAINT ck_exit_reason_word CHECK (exit_reason = 'stop_loss' OR
        exit_reason = 'max_run' OR exit_reason = 'end_of_day' OR exit_reason = 'strategy' OR
        exit_reason = 'operator' OR exit_reason = 'end_of_data'),
    pnl TEXT NOT NULL CONSTRAINT ck_pnl_number CHECK (pnl GLOB '[0-9-]*' AND pnl NOT GLOB
        '*[^0-9.-]*' AND pnl NOT GLOB '*.*0' AND pnl NOT GLOB '*.'),
    pnl_pct TEXT NOT NULL CONSTRAINT ck_pnl_pct_number CHECK (pnl_pct GLOB '[0-9-]*' AND pnl_pct
        NOT GLOB '*[^0-9.-]*' AND pnl_pct NOT GLOB '*.*0' AND pnl_pct NOT GLOB '*.'),
    strategy TEXT NOT NULL,
    duration_seconds INTEGER NOT NULL,
    commission TEXT DEFAULT '0' NOT NULL CONSTRAINT ck_commission_number CHECK (commission GLOB
        '[0-9-]*' AND commission NOT GLOB '*[^0-9.-]*' AND commission NOT GLOB '*.*0' AND
        commission NOT GLOB '*.'),
    PRIMARY KEY (id),
    FOREIGN KEY(id) REFERENCES order_event (seq) ON DELETE RESTRICT,
    UNIQUE (trade_id)
) STRICT
    """,
    """
CREATE INDEX ix_trade_correlation ON trade (correlation_id)
    """,
    """
CREATE INDEX ix_trade_strategy_exit ON trade (strategy, exit_at)
    """,
    """
CREATE INDEX ix_trade_symbol_exit ON trade (symbol, exit_at)
    """,
    """
CREATE TABLE trade_note (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    trade_id TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    FOREIGN KEY(trade_id) REFERENCES trade (trade_id) ON DELETE RESTRICT
) STRICT
    """,
    """
CREATE INDEX ix_trade_note_trade ON trade_note (trade_id)
    """,
    """
CREATE TRIGGER no_update_order_event BEFORE UPDATE ON order_event
BEGIN SELECT RAISE(ABORT, 'order_event is immutable'); END
    """,
    """
CREATE TRIGGER no_delete_order_event BEFORE DELETE ON order_event
BEGIN SELECT RAISE(ABORT, 'order_event is immutable'); END
    """,
    """
CREATE TRIGGER order_event_in_sequence BEFORE INSERT ON order_event
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM order_event)
BEGIN SELECT RAISE(ABORT, 'order_event: seq must be the next'); END
    """,
    """
CREATE TRIGGER order_event_intended_once BEFORE INSERT ON order_event
WHEN NEW.kind = 'OrderIntended' AND EXISTS (SELECT 1 FROM order_event WHERE kind =
        'OrderIntended' AND order_local_id = NEW.order_local_id)
BEGIN SELECT RAISE(ABORT, 'order_event: this client_order_id was intended before'); END
    """,
    """
CREATE TRIGGER order_event_filled_once BEFORE INSERT ON order_event
WHEN NEW.cum_qty IS NOT NULL AND EXISTS (SELECT 1 FROM order_event WHERE cum_qty IS NOT NULL AND
        order_local_id = NEW.order_local_id AND cum_qty = NEW.cum_qty)
BEGIN SELECT RAISE(ABORT, 'order_event: this fill was counted before'); END
    """,
    """
CREATE TRIGGER no_update_trade BEFORE UPDATE ON trade
BEGIN SELECT RAISE(ABORT, 'trade is immutable'); END
    """,
    """
CREATE TRIGGER no_delete_trade BEFORE DELETE ON trade
BEGIN SELECT RAISE(ABORT, 'trade is immutable'); END
    """,
    """
CREATE TRIGGER trade_once BEFORE INSERT ON trade
WHEN EXISTS (SELECT 1 FROM trade WHERE id = NEW.id OR trade_id = NEW.trade_id)
BEGIN SELECT RAISE(ABORT, 'trade is immutable'); END
    """,
)


def upgrade() -> None:
    """Make everything, in the transaction Alembic was handed."""
    for statement in STATEMENTS:
        op.execute(statement.strip())
    op.execute(f"PRAGMA application_id = {LEDGER_ID}")
    op.execute("PRAGMA user_version = 1")


def downgrade() -> None:
    """A ledger is not taken back: restore a backup."""
    raise NotImplementedError("restore a backup")
