"""The only place where a random generator is made. Philox throughout: counter based, the same on every machine.

The luck of a run has a stream for each (seed, replication, purpose), drawn from in `simulator.engine.randomness`. What is drawn once from a
number of its own (a random economy, a random network, the resampling of a bootstrap) has the stream of that seed.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, replication: int, purpose: str) -> np.random.Generator:
    """The named stream; its key is a hash of seed and purpose, and the replication."""
    return np.random.Generator(np.random.Philox(key=np.array([hashed(seed, purpose), replication], dtype=np.uint64)))


def hashed(seed: int, purpose: str) -> int:
    """The part of a stream's key that seed and purpose make."""
    return int.from_bytes(hashlib.blake2b(f"capital-loop/{seed}/{purpose}".encode(), digest_size=8).digest(), "little")


def stream_of_seed(seed: int) -> np.random.Generator:
    """The stream of a seed alone, a whole number of at least 0."""
    return np.random.Generator(np.random.Philox(seed))
