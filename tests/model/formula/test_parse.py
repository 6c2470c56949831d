"""lme4's formulas taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merextras.exceptions import InvalidArgumentError
from merextras.model.formula.parse import Bar, parse


def bars(text):
    return [(b.effects, b.factors, b.independent) for b in parse(text).bars]


@pytest.mark.parametrize(
    ("text", "response", "fixed"),
    [
        ("y ~ x + (1 | g)", "y", "x"),
        ("y ~ (1 | g)", "y", "1"),
        ("y~(1|g)+x+z", "y", "x + z"),
        ("y ~ 0 + x + (1 | g)", "y", "0 + x"),
        ("y ~ x - 1 + (1 | g)", "y", "x - 1"),
        ("y ~ - 1 + x + (1 | g)", "y", "- 1 + x"),
        ("y ~ a*b - a:b + (1|g)", "y", "a*b - a:b"),
        ("np.log(y + 1) ~ I(x + (z | w)) + (1 | g)", "np.log(y + 1)", "I(x + (z | w))"),
        ("Q('a ~ b') ~ Q(\"x + (1 | h)\") + (1 | g)", "Q('a ~ b')", 'Q("x + (1 | h)")'),
        ("`my y` ~ `x + z` + (1 | g)", "`my y`", "`x + z`"),
        ("~ x + (1 | g)", "", "x"),
        ("x + (1 | g)", "", "x"),
        ("y ~ (x + z) + (1 | g)", "y", "(x + z)"),
        ("y ~ x +\n    z + (1 | g)", "y", "x + z"),
    ],
)
def test_response_and_fixed_part(text, response, fixed):
    parsed = parse(text)
    assert (parsed.response, parsed.fixed) == (response, fixed)
    assert len(parsed.bars) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1 | g)", [("1", ("g",), False)]),
        ("(1 + x || g)", [("1 + x", ("g",), True)]),
        ("( x|g )", [("x", ("g",), False)]),
        ("(1 | a:b)", [("1", ("a", "b"), False)]),
        ("(1 | a/b)", [("1", ("b", "a"), False), ("1", ("a",), False)]),
        (
            "(x | a/b/c)",
            [("x", ("c", "b", "a"), False), ("x", ("b", "a"), False), ("x", ("a",), False)],
        ),
        ("(1 | a + b)", [("1", ("a",), False), ("1", ("b",), False)]),
        ("(1 | `my g`)", [("1", ("my g",), False)]),
        ("(1 | `a/b`:c)", [("1", ("a/b", "c"), False)]),
        ("(1 | class)", [("1", ("class",), False)]),
        ("(I(x + 1) + f(a, b) | g)", [("I(x + 1) + f(a, b)", ("g",), False)]),
        ("(1 | g) + (0 + x | g)", [("1", ("g",), False), ("0 + x", ("g",), False)]),
    ],
)
def test_bars(text, expected):
    assert bars(f"y ~ {text}") == expected
    assert bars(f"y ~ z + {text} + w") == expected


@pytest.mark.parametrize(
    ("text", "message", "mark"),
    [
        ("y ~ x ~ z", "a second '~'", "~"),
        ("y ~ (1 | g", "'(' is never closed", "("),
        ("y ~ 1 | g)", "')' closes nothing", ")"),
        ("y ~ (1 | g]", "']' closes nothing", "]"),
        ("y ~ Q('a + (1 | g)", "this quote is never closed", "'"),
        ("y ~ x + 1 | g", "a bar must stand in parentheses", "|"),
        ("y ~ ( | g)", "nothing stands left of the bar", "|"),
        ("y ~ (1 | )", "a grouping factor is missing here", None),
        ("y ~ (1 | a:)", "a grouping factor is missing here", None),
        ("y ~ (1 | a/)", "a grouping factor is missing here", None),
        ("y ~ (1 | a | b)", "more than one bar in a term", "|"),
        ("y ~ (1 ||| b)", "more than one bar in a term", "|"),
        ("y ~ x - (1 | g)", "a random-effects term can't be subtracted", "("),
    ],
)
def test_errors_mark_the_place(text, message, mark):
    with pytest.raises(InvalidArgumentError) as caught:
        parse(text)
    first, shown, pointer = str(caught.value).split("\n")
    assert first.startswith(f"formula: {message}")
    assert shown.strip() == text
    if mark is not None:
        assert shown[pointer.index("^")] == mark


def test_what_is_subtracted_if_that_is_allowed():
    parsed = parse("y ~ x - (1 | g) + (z | g)", subtract=True)
    assert parsed.bars == (Bar("z", ("g",), False),)
    assert parsed.dropped == (Bar("1", ("g",), False),)
    assert parsed.fixed == "x"


@pytest.mark.parametrize("text", [None, 3, ["y ~ x"], b"y ~ x"])
def test_what_is_not_text(text):
    with pytest.raises(InvalidArgumentError, match="formula: expected a formula as a string, got"):
        parse(text)


def test_the_name_of_the_argument():
    with pytest.raises(InvalidArgumentError, match=r"^re_form: '\(' is never closed"):
        parse("~ (1 | g", name="re_form")


@given(st.text(alphabet="yxg~+-|()[]{}:/*1 '`\"", max_size=25))
def test_any_text_is_parsed_or_refused(text):
    try:
        parsed = parse(text)
    except InvalidArgumentError:
        return
    assert parsed.fixed
    assert all(b.effects and b.factors for b in parsed.bars)
