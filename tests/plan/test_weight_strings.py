"""Block weights in every form that the field pastes, and bad strings, a sentence each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.blocks import BlockMap, block_map, parse_block_map
from lib_optim.plan.errors import PlanError
from lib_optim.plan.presets import preset
from lib_optim.plan.weight_export import write_weights
from lib_optim.plan.weight_layouts import LAYOUTS
from lib_optim.plan.weight_names import main_blocks
from lib_optim.plan.weight_strings import OrderNeeded, parse_weights

SD1, SDXL = block_map("sd1"), block_map("sdxl")
LONG = [*(f"IN{i:02d}" for i in range(12)), "M00", *(f"OUT{i:02d}" for i in range(12))]
SHORT = [*(f"IN{i:02d}" for i in range(9)), "M00", *(f"OUT{i:02d}" for i in range(9))]


def numbers(count: int) -> tuple[str, list[float]]:
    values = [round(i / 100, 2) for i in range(1, count + 1)]
    return ",".join(map(str, values)), values


@pytest.mark.parametrize(
    ("blocks", "count", "names"),
    [
        (SD1, 26, ["BASE", *LONG]),
        (SD1, 25, LONG),
        (SDXL, 20, ["BASE", *SHORT]),
        (SDXL, 21, ["BASE", *SHORT, "VAE"]),
        (SDXL, 19, SHORT),
    ],
)
def test_numbers_whose_count_says_it_all(blocks: BlockMap, count: int, names: list[str]) -> None:
    text, values = numbers(count)
    found = parse_weights(text, blocks)
    assert found.weights == dict(zip(names, values, strict=True))
    assert str(count) in found.form
    assert any("text encoder" in note for note in found.notes) == ("BASE" not in names)


@pytest.mark.parametrize("count", [26, 25])
def test_on_sdxl_the_long_forms_lose_the_blocks_that_it_lacks(count: int) -> None:
    """supermerger's rule: 26 become 20."""
    text, values = numbers(count)
    given_names = (["BASE"] if count == 26 else []) + LONG
    expected = {n: v for n, v in zip(given_names, values, strict=True) if n not in ("IN09", "IN10", "IN11")}
    expected = {n: v for n, v in expected.items() if n not in ("OUT09", "OUT10", "OUT11")}
    found = parse_weights(text, SDXL)
    assert found.weights == expected
    assert "IN09-IN11 and OUT09-OUT11" in found.notes[-1]


ORDERS = {
    "sliders": [*LONG[:13], "FINAL", *LONG[13:], "TIME"],
    "ends-last": [*LONG, "FINAL", "TIME"],
    "time-before-out": [*LONG, "TIME", "FINAL"],
}


def test_27_numbers_are_never_guessed() -> None:
    text, values = numbers(27)
    with pytest.raises(OrderNeeded, match="27 numbers are written in 3 orders") as caught:
        parse_weights(text, SD1)
    assert {row.id for row in caught.value.orders} == set(ORDERS)
    for order, names in ORDERS.items():
        assert dict(parse_weights(text, SD1, order).weights) == dict(zip(names, values, strict=True))
    with pytest.raises(OrderNeeded):
        parse_weights(text, SD1, "base-first")
    dropped = parse_weights(text, SDXL, "ends-last").weights
    assert len(dropped) == 21
    assert dropped["TIME"] == 0.27


def test_named_weights() -> None:
    found = parse_weights("base:.5,in00:1, OUT09 : .8 ,time_embed:0", SD1)
    assert found.weights == {"BASE": 0.5, "IN00": 1.0, "OUT09": 0.8, "TIME": 0.0}
    assert "write 'all' if you mean that" in found.notes[0]


def test_all_is_the_ground_wherever_it_stands_and_later_entries_win() -> None:
    found = parse_weights("in03:.1,all:.5,in03:.2", SD1).weights
    assert found == {**dict.fromkeys(LONG, 0.5), "IN03": 0.2}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("IN00-IN02:1", LONG[:3]),
        ("in_3:1", ["IN03"]),
        ("IN*:1", LONG[:12]),
        ("INP*:1", LONG[:12]),
        ("OUT*:1", LONG[13:]),
        ("out:1", ["FINAL"]),
        ("MID:1\nM00:1", ["M00"]),
        ("*:1", ["BASE", *LONG]),
        ("NOT IN00-OUT10:1", ["BASE", "OUT11"]),
        ("UNET_IN01:1;UNET_MID00:1;UNET_OUT_FINAL:1", ["IN01", "M00", "FINAL"]),
        ("block_0:1,block_12:1,block_24_alpha:1,base_alpha:1", ["BASE", "IN00", "M00", "OUT11"]),
    ],
)
def test_the_names_and_groups_of_other_programs(text: str, names: list[str]) -> None:
    assert parse_weights(text, SD1).weights == dict.fromkeys(names, 1.0)


@pytest.mark.parametrize("blocks", [SD1, SDXL])
def test_presets_by_name(blocks: BlockMap) -> None:
    table = ",".join(["0"] * 26)
    for text in ("grad_v", "GRAD_V", f"GRAD_V\t{table}"):
        found = parse_weights(text, blocks)
        assert list(found.weights) == list(main_blocks(blocks))
        assert found.weights["BASE"] == 0
        assert found.weights["M00"] == preset("GRAD_V").curve(0.5)


def test_one_number_and_numbers_with_the_base_apart() -> None:
    assert parse_weights("0.4", SD1).weights == dict.fromkeys(["BASE", *LONG], 0.4)
    text, values = numbers(25)
    found = parse_weights(f"base_alpha=0.7\n{text}", SD1)
    assert found.weights == {"BASE": 0.7, **dict(zip(LONG, values, strict=True))}
    assert found.notes == ()


def test_a_recipe_file_of_auto_mbw() -> None:
    text, _ = numbers(27)
    recipe = f"modelA=a.safetensors\nmodelB=b.safetensors\nmodelO=o\nposition_id_fix=Keep Original\n{text}\n"
    assert parse_weights(recipe, SD1, "ends-last") == parse_weights(text, SD1, "ends-last")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Nothing is pasted: write block weights"),
        ("  ,, ", "Nothing is pasted"),
        ("x" * 6000, "The text has 6000 characters"),
        ("GRAD_W", r"'GRAD_W' is neither block weights nor a preset\. Did you mean 'GRAD_V'\?"),
        (",".join("R" * 26), r"Number 1 is 'R', a random number from 0 to 1 in supermerger; write a number"),
        ("ALLR", "Number 1 is 'ALLR', random numbers everywhere"),
        ("0,1,zwei", "Number 3, 'zwei', is no number"),
        ("0,,1", "Number 2 is missing: two commas follow each other"),
        ("0,1,1e9", "Number 3, 1e9, is no sensible weight"),
        ("0,1,nan", "Number 3, 'nan', is no number"),
        (numbers(24)[0], "24 numbers cannot be used for SD1: some are missing or too many; it takes 27, 26 or 25"),
        (numbers(17)[0], "17 numbers cannot be used for SD1: they are weights for a LoRA"),
        (numbers(58)[0], r"58 numbers cannot be used for SD1: they are for models of another kind \(Flux\)"),
        (numbers(110)[0], "110 numbers cannot be used for SD1: they are supermerger's long SDXL form"),
        ("in00:1,0.5", r"'0\.5' names no block; write block:weight"),
        ("in42:1", "'IN42' matches no block of sd1"),
        ("in00:y", "The weight of in00, 'y', is no number"),
        ("in00:", "The weight of in00 is missing"),
        ("OUT03-OUT06:attn1:.3", "weighs single elements of a block .* which Optim cannot take over"),
        (f"base_alpha=1\n{numbers(26)[0]}", "The text has base_alpha and 26 numbers with BASE among them"),
    ],
)
def test_bad_strings_get_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence) as caught:
        parse_weights(text, SD1)
    for problem in caught.value.problems:
        assert problem.sentence.endswith((".", "?"))
        assert "\n" not in problem.sentence


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        parse_weights("in00:x,in99:1,.5", SD1)
    assert len(caught.value.problems) == 3


def test_a_map_of_the_users_own_takes_its_own_order() -> None:
    own = parse_block_map(
        "id: own\nblocks:\n- {name: TE, component: text_encoder, keys: [a]}\n"
        "- {name: 'D{n}', component: unet, from: 0, to: 2, keys: ['b{n}']}\n",
        "own",
    )
    assert parse_weights("1,2,3,4", own).weights == {"TE": 1, "D00": 2, "D01": 3, "D02": 4}
    assert parse_weights("2,3,4", own).weights == {"D00": 2, "D01": 3, "D02": 4}
    with pytest.raises(PlanError, match="it takes 4 or 3"):
        parse_weights("1,2", own)


WEIGHT = st.floats(-100, 100, allow_nan=False)


@given(data=st.data(), name=st.sampled_from(["sd1", "sdxl"]))
def test_what_is_written_is_read_back(data: st.DataObject, name: str) -> None:
    blocks = block_map(name)
    weights = {block: data.draw(WEIGHT) for block in main_blocks(blocks)}
    for block in data.draw(st.sets(st.sampled_from([b.name for b in blocks.blocks if b.name not in weights]))):
        weights[block] = data.draw(WEIGHT)
    main = {block: weights[block] for block in main_blocks(blocks)}
    texts = write_weights(weights, blocks, digits=None)
    assert parse_weights(texts["classic"], blocks).weights == main
    assert parse_weights(texts["unet"], blocks).weights == main
    named = parse_weights(texts["named"], blocks).weights
    followed = {b.name: weights[b.follows] for b in blocks.blocks if b.follows and b.name in weights}
    assert {**followed, **named} == weights
    rounded = parse_weights(write_weights(weights, blocks)["classic"], blocks).weights
    assert all(abs(rounded[block] - main[block]) <= 0.5001e-4 for block in main)


@given(st.sampled_from(LAYOUTS), st.data())
def test_every_layout_is_read_in_its_own_order(layout: object, data: st.DataObject) -> None:
    row = next(row for row in LAYOUTS if row is layout)
    blocks = block_map(data.draw(st.sampled_from(row.maps)))
    values = data.draw(st.lists(WEIGHT, min_size=len(row.names), max_size=len(row.names)))
    separator = data.draw(st.sampled_from([",", ", ", "; ", " ", "\n", "\t"]))
    found = parse_weights(separator.join(map(repr, values)), blocks, row.id).weights
    known = {block.name for block in blocks.blocks}
    assert found == {n: v for n, v in zip(row.names, values, strict=True) if n in known}


@given(st.text(max_size=60))
def test_any_text_is_weights_or_a_sentence(text: str) -> None:
    try:
        understood = bool(parse_weights(text, SD1).weights)
    except PlanError as error:
        understood = all(problem.sentence for problem in error.problems)
    assert understood


def test_missing_blocks_are_written_as_in_a() -> None:
    assert write_weights({"IN00": 0.12345678, "OUT11": -0.0}, SD1)["classic"].startswith("0,0.1235,0,")
    assert write_weights({"IN00": 1, "TIME": 1, "FINAL": 0.5}, SD1)["named"].endswith("out11:0,out:0.5")
