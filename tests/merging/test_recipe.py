"""Recipes: pure, complete, and independent of where the files lie."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from lib_optim.merging.mecha import sd_mecha
from lib_optim.merging.methods import method_row
from lib_optim.merging.recipe import build_recipe, key_values, model_names
from lib_optim.plan.errors import MergeError, PlanError
from tests.merging.conftest import guide, open_merger, random_values, same_value


def test_equal_values_give_equal_text_and_other_values_other_text(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    values = random_values(merger.space, 1)
    recipe = merger.recipe(values)
    assert recipe == open_merger("weighted_sum", checkpoints["sd1"][:2]).recipe(values)
    assert len(recipe.digest) == 12
    assert recipe.text.startswith("version 0.1.0\n")
    other = dict(values)
    other["IN05_alpha"] = 1.0 - float(other["IN05_alpha"])
    assert merger.recipe(other).digest != recipe.digest
    letters = recipe.text.replace("sd1 A.safetensors", "A").replace("sd1 B.safetensors", "B")
    assert recipe.digest == hashlib.sha256(letters.encode()).hexdigest()[:12]


def test_models_stand_by_file_name_and_a_renamed_file_keeps_the_digest(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    a, b = checkpoints["sd1"][:2]
    renamed = shutil.copy(b, tmp_path / "another name.safetensors")
    first = open_merger("weighted_sum", [a, b], plan=guide("text_encoder"))
    second = open_merger("weighted_sum", [a, renamed], plan=guide("text_encoder"))
    one, two = first.recipe({"BASE_alpha": 0.3}), second.recipe({"BASE_alpha": 0.3})
    assert 'model "sd1 A.safetensors"' in one.text
    assert str(tmp_path) not in two.text
    assert one.digest == two.digest
    assert one.text != two.text


def test_files_of_the_same_name_keep_as_much_of_the_path_as_tells_them_apart() -> None:
    names = model_names([Path("/m/x/a.safetensors"), Path("/m/y/a.safetensors")])
    assert names == ["x/a.safetensors", "y/a.safetensors"]


def test_the_seed_is_part_of_a_random_method_s_recipe(checkpoints: Mapping[str, list[Path]]) -> None:
    digests = set()
    for seed in (1, 2):
        merger = open_merger("dropout", checkpoints["sd1"][:2], seed=seed)
        digests.add(merger.recipe(random_values(merger.space, 1)).digest)
    assert len(digests) == 2


def test_one_value_for_all_is_written_once_but_the_merged_keys_are_always_named() -> None:
    row = method_row("crossover")
    blocks = {"k1": "IN00", "k2": "IN01"}
    same = {"IN00": 0.5, "IN01": 0.5}
    assert key_values(row, {"alpha": same, "tilt": same}, blocks) == {"alpha": {"k1": 0.5, "k2": 0.5}, "tilt": 0.5}
    varied = key_values(row, {"alpha": same, "tilt": {"IN00": 0, "IN01": 1}}, blocks)
    assert varied["tilt"] == {"k1": 0.0, "k2": 1.0}
    assert isinstance(varied["tilt"]["k1"], float)


def test_wrong_values_are_named(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = open_merger("weighted_sum", checkpoints["sd1"][:2])
    with pytest.raises(PlanError, match="The value of 'IN05_alpha' is missing"):
        merger.recipe({k: v for k, v in same_value(merger.space, 0.5).items() if k != "IN05_alpha"})
    with pytest.raises(PlanError, match="lies outside"):
        merger.recipe(same_value(merger.space, 1.5))


def test_the_wrong_number_of_models_and_a_missing_parameter_are_refused() -> None:
    row = method_row("weighted_sum")
    models = [sd_mecha().model(Path(name), "sd1-ldm") for name in "abc"]
    with pytest.raises(MergeError, match="Weighted sum does not take 3 models"):
        build_recipe(row, models, {"alpha": 0.5}, 0)
    with pytest.raises(MergeError, match="needs a value for alpha"):
        build_recipe(row, models[:2], {}, 0)
