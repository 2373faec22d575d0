"""The ledger: facts appended durably, projections written beside them, and the proof that they
agree.

Owns the SQLite files. Knows no broker and decides nothing: it stores what the engine recorded and
hands it back exactly. Import from the modules; nothing heavy is imported here.
"""

LEDGER_NAME = "trading.db"
"""The file of an account's ledger, in its folder."""
