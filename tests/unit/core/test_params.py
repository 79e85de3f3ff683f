"""Every mistake in params.yaml is one message that names the key and the file."""

from typing import Annotated

import pytest
from pydantic import Field

from stages.core.errors import StageError
from stages.core.params import LowHigh, Names, Section, Seed, Share, load_params, lookup, section


class Inner(Section):
    size: int = Field(gt=0)


class Trainer(Section):
    """A section as a stage declares it."""

    epochs: int
    rate: float
    inner: Inner


GOOD = {"epochs": 3, "rate": 0.1, "inner": {"size": 2}}


def message(value):
    with pytest.raises(StageError) as caught:
        section(Trainer, "trainer", {"trainer": value})
    return str(caught.value)


def test_section_is_typed_and_frozen():
    params = section(Trainer, "trainer", {"trainer": GOOD})
    assert (params.epochs, params.rate, params.inner.size) == (3, 0.1, 2)
    with pytest.raises(ValueError, match="frozen"):
        params.epochs = 4


def test_missing_key_is_named():
    text = message({"rate": 0.1, "inner": {"size": 2}})
    assert text == "params.yaml: `trainer.epochs` is missing"


def test_unknown_key_is_named_with_the_key_that_was_meant():
    text = message(GOOD | {"epoch": 3})
    assert "`trainer.epoch` is not a known key" in text
    assert "did you mean `epochs`?" in text


def test_unknown_key_unlike_any_other_lists_what_there_is():
    assert "expected one of: epochs, inner, rate" in message(GOOD | {"zzz": 3})


def test_wrong_type_is_named_with_the_value_found():
    text = message(GOOD | {"epochs": "many"})
    assert "`trainer.epochs` is 'many'" in text
    assert "integer" in text


def test_value_out_of_range_is_named_with_its_whole_path():
    text = message(GOOD | {"inner": {"size": 0}})
    assert "`trainer.inner.size` is 0" in text
    assert "greater than 0" in text


def test_all_mistakes_are_in_one_message():
    text = message({"epochs": "many", "inner": {"size": 2}, "rat": 1})
    assert all(key in text for key in ("`trainer.epochs`", "`trainer.rate`", "`trainer.rat`"))


def test_missing_section_names_what_is_there_instead():
    with pytest.raises(StageError, match=r"`detector.shoe` is missing; detector has: headwear, shoes"):
        lookup({"detector": {"shoes": {}, "headwear": {}}}, "detector.shoe")


def test_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(StageError, match="params.yaml: no such file.*make use"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "said"), [("a: [1", "not valid YAML"), ("- 1\n- 2\n", "found list"), ("", "NoneType")]
)
def test_file_that_is_no_mapping_is_refused(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(StageError, match=said):
        load_params(path)


class Drawn(Section):
    probability: Share
    between: Annotated[tuple[float, float], LowHigh]
    seed: Seed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": 1.5}, "`draw.probability` is 1.5: Input should be less than or equal to 1"),
        ({"between": [2, 1]}, "`draw.between` is .*: Value error, expected the lower bound first, found 2.0 and 1.0"),
        ({"seed": -1}, "`draw.seed` is -1: Input should be greater than or equal to 0"),
        ({"seed": 2**32}, "`draw.seed` is 4294967296: Input should be less than"),
    ],
)
def test_shares_ranges_and_seeds_that_cannot_be_are_named(changes, message):
    values = {"probability": 1, "between": [1, 1], "seed": 2**32 - 1}
    section(Drawn, "draw", {"draw": values})
    with pytest.raises(StageError, match=message):
        section(Drawn, "draw", {"draw": values | changes})


def test_list_of_names_is_checked_like_a_section(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("encoders: [simclr, 3]\n", encoding="utf-8")
    with pytest.raises(StageError, match=r"`encoders.1` is 3"):
        section(Names, "encoders", path=path)
    path.write_text("encoders: [simclr, imagenet]\n", encoding="utf-8")
    assert section(Names, "encoders", path=path) == ["simclr", "imagenet"]
