"""Random designs whose factors cross locally, and the sparse tail in small pieces."""

from __future__ import annotations

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st
from properties.designs import Design, factors_of

from merextras.engine.elimination import tail_sparse
from merextras.engine.fronts import eliminate, elimination_tree, layout
from merextras.engine.products.term_rows import TermRows


@contextmanager
def in_pieces(pieces):
    """Fronts as small as they can be, a few a batch, so that small designs have many of them."""
    if not pieces:
        yield
        return
    with (
        patch.object(elimination_tree, "_ZEROS", ((1 << 62, -1.0),)),
        patch.object(layout, "_BATCH", 60),
        patch.object(eliminate, "_LOOP_LIMIT", 1),
        patch.object(tail_sparse, "_CHUNK", 10),
    ):
        yield


@st.composite
def local_designs(draw, max_k=2, special_theta=True):
    """Pupils of several teachers of their school, movers between schools, rooms of a school.

    The second factor has some levels without rows; there may be a third one, a second term on the
    second, and a coarse factor in which the pupils are nested.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_schools, each = draw(st.integers(2, 6)), draw(st.integers(1, 3))
    pupil_school = rng.integers(0, n_schools, 40)
    pupil = rng.integers(0, 40, draw(st.integers(30, 90)))
    school = pupil_school[pupil]
    moved = rng.uniform(size=len(pupil)) < draw(st.sampled_from([0.0, 0.1]))
    school = np.where(moved, rng.integers(0, n_schools, len(pupil)), school)
    teacher = school * each + rng.integers(0, each, len(pupil))
    teacher = rng.permutation(n_schools * each + 2)[teacher]
    factors = [(pupil, 40), (teacher, n_schools * each + 2)]
    if draw(st.booleans()):
        room = (school + rng.integers(0, 2, len(pupil))) % (n_schools + 1)
        factors.append((room, n_schools + 1))
    if draw(st.booleans()):
        factors.append(factors[1])
    if draw(st.booleans()):
        factors.append((pupil_school[pupil] // 3, 2))
    terms = []
    for codes, n_levels in factors:
        k = draw(st.integers(1, max_k))
        columns = [np.ones(len(pupil)), rng.normal(size=len(pupil))]
        terms.append(TermRows(codes, np.column_stack(columns[:k]), n_levels))
    x = np.column_stack([np.ones(len(pupil)), rng.normal(size=len(pupil))])
    y = rng.normal(size=len(pupil)) + x @ [3.0, 0.5]
    y += sum(rng.normal(size=n_levels)[codes] for codes, n_levels in factors)
    weights = rng.uniform(0.25, 4.0, len(y)) if draw(st.booleans()) else None
    lams = tuple(draw(factors_of(term.k, special=special_theta)) for term in terms)
    return Design(x, y, tuple(terms), weights, lams)
