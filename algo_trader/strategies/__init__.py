"""Strategies, one a file. REGISTRY names those that can be asked for by name."""

from algo_trader.strategies.base import Strategy
from algo_trader.strategies.velez import Velez, VelezParams

REGISTRY: dict[str, type[Strategy]] = {"velez": Velez}

__all__ = ["REGISTRY", "Strategy", "Velez", "VelezParams"]
