"""The list of merge methods is sd-mecha's registry, read by introspection, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lib_optim.merging.mecha import merge_registry, sd_mecha
from lib_optim.merging.methods import excluded_methods, merge_method, merge_methods, method_rows
from lib_optim.plan.errors import PlanError
from lib_optim.plan.methods import MergeMethod


def test_rows_and_exclusions_are_the_whole_registry() -> None:
    rows = {row.source for row in method_rows()}
    excluded = excluded_methods()
    assert rows | set(excluded) == set(merge_registry())
    assert not rows & set(excluded)
    assert len(merge_registry()) >= 77
    for name, reason in excluded.items():
        assert reason.endswith("."), name
        assert len(reason) > 20, name


def test_the_top_level_wrappers_are_covered() -> None:
    """What `sd_mecha.<name>` builds from several methods is a row too (copy_region is tensor_sum)."""
    ids = {row.id for row in merge_methods()}
    assert {
        "add_difference", "add_perpendicular", "add_difference_ties", "add_difference_ties_extended", "tensor_sum",
        "rotate", "dropout", "add_ties_with_dare", "n_model_stock",
    } <= ids  # fmt: skip


def test_the_two_classics_come_first_and_ids_are_unique() -> None:
    ids = [row.id for row in merge_methods()]
    assert ids[:2] == ["weighted_sum", "add_difference"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("row", merge_methods(), ids=lambda row: row.id)
def test_every_row_can_be_shown_and_searched(row: MergeMethod) -> None:
    assert row.title
    assert "A" in row.formula
    assert row.takes(1) or row.takes(2) or row.takes(3)
    assert any(parameter.searched for parameter in row.parameters)
    assert MergeMethod.from_json(row.to_json()) == row
    for parameter in row.parameters:
        assert parameter.bound.problem() is None
        assert parameter.default is not None
        assert parameter.bound.contains(parameter.default), parameter
        assert "seed" not in parameter.name
        assert parameter.name not in ("device", "dtype", "cache")


def test_names_types_and_defaults_come_from_the_signatures() -> None:
    for row in method_rows():
        names = merge_registry()[row.source].get_param_names().as_dict()
        offered = {parameter.name for parameter in row.method.parameters}
        assert offered - {"alpha", "beta"} <= set(names.values()), row.method.id
    dare = merge_method("add_ties_with_dare")
    kinds = {p.name: (p.kind, p.default) for p in dare.parameters}
    assert kinds["probability"] == ("float", 0.9)
    assert kinds["rescale"] == ("bool", True)
    assert kinds["maxiter"] == ("int", 100)
    assert dare.stochastic
    assert not merge_method("weighted_sum").stochastic


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"no merge method 'weighted-sum'. Did you mean 'weighted_sum'\?"):
        merge_method("weighted-sum")
    with pytest.raises(PlanError, match=r"'cast' cannot be searched: It is a building block"):
        merge_method("cast")


@pytest.fixture
def foreign_methods() -> Iterator[None]:
    """Three methods as another extension would register them."""
    import torch

    mecha = sd_mecha()

    def fade(a: torch.Tensor, b: torch.Tensor, alpha: float = 0.5, mode: str = "x") -> torch.Tensor:
        return a * (1 - alpha) + b * alpha

    def of_four(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        return a + b + c + d

    def needs_text(a: torch.Tensor, b: torch.Tensor, word: str) -> torch.Tensor:
        return a

    made = (fade, of_four, needs_text)
    for function in made:
        function.__annotations__ = {k: {"torch.Tensor": torch.Tensor, "float": float, "str": str}[v]
                                    for k, v in function.__annotations__.items()}  # fmt: skip
        mecha.merge_method(function, identifier=f"optim_test_{function.__name__}")
    yield
    registry = mecha.extensions.merge_methods._module_state.merge_methods_registry
    for function in made:
        registry.pop(f"optim_test_{function.__name__}")


@pytest.mark.usefixtures("foreign_methods")
def test_a_method_that_somebody_else_registers_is_listed_or_excluded_with_a_reason() -> None:
    row = merge_method("optim_test_fade")
    assert (row.min_models, row.max_models) == (2, 2)
    assert [(p.name, p.kind, p.searched) for p in row.parameters] == [("alpha", "float", True), ("mode", "str", False)]
    excluded = excluded_methods()
    assert excluded["optim_test_of_four"] == "It takes 4 models by name; write *models instead."
    assert excluded["optim_test_needs_text"] == "It needs 'word', which is no model."
