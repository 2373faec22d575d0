"""`python -m algo_trader`: the same as the console script."""

from algo_trader.cli.main import main

main()
