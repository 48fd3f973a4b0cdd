"""Shell completion: the arguments of the commands, as bash and zsh want to be told of them.

Invariant: made from the parsers that the commands run with, so that it cannot fall behind them.
"""
