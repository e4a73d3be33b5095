"""Payload files: what they may hold, and what each mistake is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_optim.plan.errors import PlanError
from lib_optim.plan.payload import FORBIDDEN_OVERRIDES, MAX_SEED, OWN_FIELDS, Payload, jobs_of
from lib_optim.plan.payload_file import load_payload

SHIPPED = sorted((Path(__file__).parents[2] / "payloads").glob("*.json"))


def file(tmp_path: Path, content: Any, name: str = "cat.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(PlanError) as caught:
        load_payload(path)
    return [str(problem) for problem in caught.value.problems]


def test_an_object_takes_its_name_from_the_file(tmp_path: Path) -> None:
    [payload] = load_payload(file(tmp_path, {"prompt": "a cat", "steps": 12}))
    assert payload == Payload("cat", "a cat", steps=12)


def test_a_list_takes_numbered_names(tmp_path: Path) -> None:
    names = [p.name for p in load_payload(file(tmp_path, [{"prompt": "a"}, {"name": "mine"}, {"prompt": "c"}]))]
    assert names == ["cat 1", "mine", "cat 3"]


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "cat.json"
    path.write_bytes(b"\xef\xbb\xbf" + '{"prompt": "Käse"}'.encode())
    assert load_payload(path)[0].prompt == "Käse"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{\n  "prompt": "a"\n  "steps": 5\n}', "cat.json, line 3: not valid JSON (Expecting ',' delimiter)."),
        ('{\n  "prompt": "a",\n}', "cat.json, line "),
        ("", "cat.json, line 1: not valid JSON (Expecting value)."),
        ("{'prompt': 'a'}", "cat.json, line 1: not valid JSON"),
        ('{"cfg_scale": NaN}', "cat.json cannot be read: NaN is no number."),
        ('{"cfg_scale": -Infinity}', "cat.json cannot be read: -Infinity is no number."),
        ('{"seed": ' + "1" * 5000 + "}", "cat.json cannot be read: "),
        ("[" * 100_000, "cat.json cannot be read: "),
        ("[]", "cat.json holds no payload; write an object, or a list of objects."),
        ("5", "cat.json must be an object, not 5."),
        ("[5]", "cat.json, line 1: cat.json[0] must be an object, not 5."),
        ('[{},\n "x"]', "cat.json, line 2: cat.json[1] must be an object, not 'x'."),
        ('{"steps": 5, "steps": 6}', "cat.json: 'steps' stands in one object twice; remove one."),
        ("null", "cat.json must be an object, not nothing."),
    ],
)
def test_broken_files(tmp_path: Path, content: str, words: str) -> None:
    [sentence] = refused(file(tmp_path, content))
    assert sentence.startswith(words)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "cat.json"
    path.write_bytes(b"\x80\x81")
    assert refused(path)[0].startswith("cat.json cannot be read: ")


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json") == ["none.json cannot be read: No such file or directory."]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("cfg_scal", "cfg_scale"),
        ("sampler", "sampler_name"),
        ("step", "steps"),
        ("Prompt", "prompt"),
        ("negativ_prompt", "negative_prompt"),
        ("hight", "height"),
    ],
)
def test_unknown_keys_name_the_nearest(tmp_path: Path, key: str, nearest: str) -> None:
    [sentence] = refused(file(tmp_path, {"prompt": "a", key: 1}))
    assert sentence == f"cat.json, line 1: '{key}' is not a field of cat.json. Did you mean '{nearest}'?"


def test_every_mistake_of_every_entry_is_told(tmp_path: Path) -> None:
    entries = ['{"steps": 0}', '{"steps": "x"}', '{"width": 100,\n "height": 8}', '{"stpes": 5}']
    found = refused(file(tmp_path, "[" + ",\n".join(entries) + "]"))
    assert found == [
        "cat.json, line 1: Payload 'cat 1': steps must lie between 1 and 150.",
        "cat.json, line 2: 'cat.json[1].steps' must be a whole number, not 'x'.",
        "cat.json, line 4: Payload 'cat 3': height must lie between 16 and 4096.",
        "cat.json, line 3: Payload 'cat 3': width must be a multiple of 8.",
        "cat.json, line 5: 'stpes' is not a field of cat.json[3]. Did you mean 'steps'?",
    ]


LIMITS = {
    "steps": (1, 150), "cfg_scale": (0, 30), "width": (16, 4096), "height": (16, 4096), "batch_size": (1, 64),
    "n_iter": (1, 64), "seed": (-1, MAX_SEED), "subseed": (-1, MAX_SEED), "subseed_strength": (0, 1),
    "clip_skip": (1, 12), "hr_scale": (1, 8), "hr_second_pass_steps": (0, 150), "denoising_strength": (0, 1),
    "hr_resize_x": (0, 8192), "hr_resize_y": (0, 8192), "hr_cfg": (0, 30), "resize_mode": (0, 3),
    "eta": (0, 1), "s_churn": (0, 100), "s_tmin": (0, 10), "s_noise": (0, 2),
}  # fmt: skip


@pytest.mark.parametrize(("name", "limits"), LIMITS.items())
def test_ranges(name: str, limits: tuple[int, int]) -> None:
    step = 8 if name in ("width", "height") else 1
    for value, good in ((limits[0], True), (limits[1], True), (limits[0] - step, False), (limits[1] + step, False)):
        problems = Payload.from_json({"name": "x", name: value}).problems("payloads[0]")
        assert [problem.where for problem in problems] == ([] if good else [f"payloads[0].{name}"]), value


def test_the_defaults_are_the_webuis() -> None:
    given = {"steps": 20, "cfg_scale": 7, "width": 512, "height": 512, "seed": -1, "subseed": -1, "batch_size": 1}
    given |= {"n_iter": 1, "s_noise": 1, "hr_scale": 2, "denoising_strength": 0.7, "score_weight": 1, "clip_skip": 1}
    zero = ("subseed_strength", "s_churn", "s_tmin", "hr_second_pass_steps")
    payload = Payload("x")
    assert {name: getattr(payload, name) for name in (*given, *zero)} == {**given, **dict.fromkeys(zero, 0)}
    assert payload.eta is None


def test_every_number_of_a_payload_has_a_range_here() -> None:
    numeric = {f.name for f in dataclasses.fields(Payload) if f.type in ("int", "float", "float | None")}
    assert numeric == {*LIMITS, "score_weight"}


@pytest.mark.parametrize("weight", [-1, 1e7])
def test_score_weights_out_of_range(weight: float) -> None:
    [problem] = Payload("x", score_weight=weight).problems("p")
    assert "score_weight must lie between" in str(problem)


@pytest.mark.parametrize("name", FORBIDDEN_OVERRIDES)
def test_settings_that_swap_models_are_refused(tmp_path: Path, name: str) -> None:
    [sentence] = refused(file(tmp_path, {"override_settings": {name: "x", "CLIP_stop_at_last_layers": 2}}))
    assert sentence == f"cat.json, line 1: Payload 'cat' sets {name}, which would replace the merged model; remove it."


def test_the_documented_swappers_are_among_them() -> None:
    assert {"sd_model_checkpoint", "sd_vae", "forge_additional_modules"} <= set(FORBIDDEN_OVERRIDES)


def test_a_name_of_blanks() -> None:
    assert [str(p) for p in Payload(" ").problems("p")] == ["A payload has no name; give it one."]


def test_used_fields_are_those_a_host_must_honour() -> None:
    assert Payload("x", "a", score_weight=2, caption="b", batch_size=3, n_iter=2).used_fields() == ("prompt",)
    assert Payload("x", tiling=True, styles=("a",), eta=0.0).used_fields() == ("styles", "tiling", "eta")
    assert Payload("x", override_settings={"a": 1}).used_fields() == ("override_settings",)


def test_a_variation_seed_counts_only_with_a_strength() -> None:
    assert Payload("x", subseed=5).used_fields() == ()
    assert Payload("x", subseed=5, subseed_strength=0.5).used_fields() == ("subseed", "subseed_strength")


def test_jobs_count_seeds_up_in_every_payload() -> None:
    jobs = jobs_of((Payload("a", seed=5, batch_size=2, n_iter=2), Payload("b", seed=MAX_SEED, batch_size=2, subseed=7)))
    assert [(job.index, job.payload.name, job.seed, job.subseed) for job in jobs] == [
        (0, "a", 5, 0),
        (1, "a", 6, 0),
        (2, "a", 7, 0),
        (3, "a", 8, 0),
        (4, "b", MAX_SEED, 7),
        (5, "b", 0, 7),
    ]


@given(st.builds(Payload, st.text(min_size=1), st.text(), st.text(), seed=st.integers(-1, MAX_SEED),
                 styles=st.lists(st.text(), max_size=2).map(tuple), eta=st.none() | st.floats(0, 1)))  # fmt: skip
def test_round_trip(payload: Payload) -> None:
    assert Payload.from_json(json.loads(json.dumps(payload.to_json()))) == payload


def test_payloads_ship() -> None:
    names = {path.stem for path in SHIPPED}
    assert {"portrait", "landscape", "object", "illustration"} <= names
    assert sum(name.startswith("demo-") for name in names) == 4


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_payload_is_sound(path: Path) -> None:
    [payload] = load_payload(path)
    assert payload.name == path.stem
    assert payload.prompt
    assert payload.seed >= 0, "a shipped payload gives the same images everywhere"
    if path.stem.startswith("demo-"):
        assert (payload.width, payload.height, payload.steps) == (64, 64, 8)
    else:
        assert (payload.width, payload.height) == (512, 512)
    # nothing that one of the hosts may lack
    common = {"prompt", "negative_prompt", "seed", "steps", "cfg_scale", "width", "height", "sampler_name"}
    assert set(payload.used_fields()) <= common
    assert payload.sampler_name == "Euler"


def test_own_fields_are_fields() -> None:
    assert {f.name for f in dataclasses.fields(Payload)} >= OWN_FIELDS
