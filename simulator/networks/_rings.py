"""Closed rings in a clearing: agents who pay what they get to one another and to nobody else.

Money that goes round such a ring never leaves it. Any level at which it goes round is a fixed point of the clearing map, and the system of the
linear step (`_waterfall.py`) is singular there, or with rounding all but singular, its solution anything. The greatest vector keeps the level to
which the rounds from full payment downwards came (Eisenberg and Noe 2001, Theorem 2, for when a clearing vector is the only one).
"""

from __future__ import annotations

import numpy as np

from simulator.networks._checks import BoolArray, IntArray


def keep_their_level(payer: IntArray, payee: IntArray, is_marginal: BoolArray, is_lossy: BoolArray, is_moving: BoolArray) -> BoolArray:
    """Agents of closed rings at rest, of the shape ``(n,)`` of the masks: no path of payments leads from them to a leak, none to them from a change.

    ``payer`` and ``payee (k,)``: who pays whom in the class that is paid in part. ``is_marginal``: who pays a class in part; to pay anybody else is a
    leak, as it is where ``is_lossy``, a part of what is received is lost. ``is_moving``: whose payment still changes from round to round.
    """
    leaks = is_marginal & is_lossy
    leaks[payer[~is_marginal[payee]]] = True
    at_rest: BoolArray = is_marginal & ~_reached(payee, payer, leaks, is_marginal) & ~_reached(payer, payee, is_moving, is_marginal)
    return at_rest


def _reached(source: IntArray, target: IntArray, start: BoolArray, within: BoolArray) -> BoolArray:
    """Agents ``within`` to whom a path of steps from ``source (k,)`` to ``target (k,)`` leads from those in ``start``, themselves included."""
    reached = start & within
    while True:
        more = np.zeros_like(reached)
        more[target[reached[source]]] = True
        more &= within & ~reached
        if not more.any():
            return reached
        reached |= more
