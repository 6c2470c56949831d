import pytest

from merextras.app.controls import Choice, Control, Number, Pick, Switch, Text, needed_by, read_all
from merextras.exceptions import InvalidArgumentError

NUMBER = Number("level", "Level", default=0.95, low=0.5, high=0.999)
WHOLE = Number("n", "Draws", default=100, low=10, high=200, whole=True)


def test_numbers_are_read():
    assert NUMBER.read(0.9, {}) == 0.9
    assert WHOLE.read(50.0, {}) == 50
    assert isinstance(WHOLE.read(50.0, {}), int)


@pytest.mark.parametrize("given", [None, "0.9", True, 95, float("nan"), float("inf"), [0.9]])
def test_what_is_no_number_is_refused(given):
    with pytest.raises(InvalidArgumentError, match=r"Level: give a number from 0\.5 to 0\.999"):
        NUMBER.read(given, {})
    with pytest.raises(InvalidArgumentError, match="Draws: give a whole number from 10 to 200"):
        WHOLE.read(20.5, {})


def test_a_choice_is_one_of_the_words():
    choice = Choice("c", "Better", options={"higher": "higher is better"}, default="higher")
    assert choice.read("higher", {}) == "higher"
    for given in ("lower", None, "__import__('os')"):
        with pytest.raises(InvalidArgumentError, match="is not among the choices"):
            choice.read(given, {})


def test_labels_are_picked_by_place_and_keep_their_kind():
    pools = {"a": [3, "3", 3.5], "b": ["x"]}
    pick = Pick("p", "Levels", pool=lambda values: pools[values["of"]], follows="of")
    options = list(pick.options({"of": "a"}))
    assert pick.options({"of": "a"})[options[2]] == "3.5"
    assert pick.read(options[:2], {"of": "a"}) == [3, "3"]
    # What was picked from another pool is not picked from this one.
    assert pick.read(options, {"of": "b"}) == []
    assert pick.read(["9|a", "x|a", "-1|a", ""], {"of": "a"}) == []
    assert pick.read(None, {"of": "a"}) == []


def test_what_is_not_shown_is_not_read():
    controls = (
        Choice("kind", "Kind", options={"one": "one", "two": "two"}, default="one"),
        Number("n", "Number", ("kind", ("two",)), default=1, low=0, high=9),
        Switch("flag", "Flag"),
        Text("search", "Search"),
    )
    page = {"kind": "one", "n": None, "flag": True, "search": None}
    assert read_all(controls, page.get) == {"kind": "one", "flag": True, "search": ""}
    with pytest.raises(InvalidArgumentError, match="Number: give a number"):
        read_all(controls, {**page, "kind": "two"}.get)
    assert Control("x", "X").read(7, {}) == 7


def test_what_decides_what_is_offered():
    kind = Choice("kind", "Kind", options={"one": "one"}, default="one")
    column = Choice("column", "Column", ("kind", ("one",)), options={"a": "a"}, default="a")
    seed = Number("seed", "Seed", default=1)
    values = Pick("values", "Values", ("column", ("a",)), follows="column", pool=lambda v: [v])
    controls = (kind, seed, column, values)
    assert needed_by(values, controls) == [kind, column]
    assert needed_by(seed, controls) == []
    read = read_all(needed_by(values, controls), {"kind": "one", "column": "a"}.get)
    assert read == {"kind": "one", "column": "a"}
