"""One hash of the answers to all questions, in a module that spawned processes can import."""

from __future__ import annotations

import hashlib

import numpy as np

import flushpoint as fp


def inputs(n: int = 2_000) -> tuple[fp.Book, fp.Market]:
    rng = np.random.default_rng(5)
    side = rng.choice(np.array([1, -1], np.int8), n)
    trigger = 100 * (1 - side * rng.uniform(0.001, 0.4, n))
    book = fp.Book(side, rng.exponential(1.0, n), trigger, trigger * (1 - side * 0.01), trigger * (1 + side * 0.05))
    return book, fp.Market(100.0, fp.SquareRootImpact(0.03, 1e5, core=10.0), half_life=600.0)


def answers(book: fp.Book, market: fp.Market, threads: int) -> str:
    """Return one hash of all questions."""
    random_book = fp.RandomBook(density=500.0, quantity=fp.LogNormal(1.0, 1.0))
    shocks = np.linspace(-0.3, 0.3, 101)
    found = hashlib.sha256()
    for one in (
        fp.cascade(book, market, -0.1),
        fp.cascade(book, market, -0.1, venue=fp.Venue(adl="queue", fund=10.0)),
        fp.response(book, market, threads=threads)(shocks),
        fp.stress(random_book, market, shocks, seed=3, threads=threads),
        fp.simulate(book, market, fp.GBM(1.5), 3600.0, 60, 40, seed=3, threads=threads),
    ):
        for name in one:
            found.update(np.ascontiguousarray(one[name]).tobytes())
    return found.hexdigest()


def answers_of_fresh_inputs(threads: int) -> str:
    return answers(*inputs(), threads)
