"""What a merger keeps in a GPU's memory, and how it lets go: the bookkeeping, which no GPU is needed for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from lib_optim.merging.merger import Merger
from lib_optim.merging.residents import Residents
from tests.merging.conftest import open_merger, random_values
from tests.merging.test_direct import Placed

META = torch.device("meta")
"""A device with no memory at all: tensors go there and nothing is stored."""


def tensor(elements: int) -> torch.Tensor:
    return torch.ones(elements, dtype=torch.float16)


def test_on_the_cpu_nothing_is_copied() -> None:
    residents, stored = Residents(torch.device("cpu")), tensor(8)
    residents.budget = 1000
    assert residents.get(0, "k", stored) is stored
    assert residents.bytes == 0


def test_another_device_keeps_the_first_that_fit() -> None:
    residents = Residents(META)
    residents.budget = 50
    first, second, third = (residents.get(model, "k", tensor(10)) for model in range(3))
    assert all(t.device.type == "meta" for t in (first, second, third))
    assert residents.bytes == 40
    assert residents.get(0, "k", tensor(10)) is first
    assert residents.get(1, "k", tensor(10)) is second
    assert residents.get(2, "k", tensor(10)) is not third
    assert residents.get(2, "small", tensor(5)).numel() == 5
    assert residents.bytes == 50


def test_nothing_is_kept_before_memory_is_given_and_after_it_is_dropped() -> None:
    residents = Residents(META)
    residents.get(0, "k", tensor(1))
    assert residents.bytes == 0
    residents.budget = 10
    residents.get(0, "k", tensor(1))
    assert residents.bytes == 2
    residents.drop()
    residents.get(0, "k", tensor(1))
    assert residents.bytes == 0


def test_others_count_within_the_budget() -> None:
    residents = Residents(META, lambda: 8)
    residents.budget = 10
    residents.get(0, "large", tensor(2))
    assert residents.bytes == 0
    residents.get(0, "small", tensor(1))
    assert residents.bytes == 2


def test_a_copy_that_fails_takes_no_room() -> None:
    class Full(torch.Tensor):
        def to(self, *arguments: object, **keywords: object) -> torch.Tensor:
            raise RuntimeError("out of memory")

    residents = Residents(META)
    residents.budget = 100
    with pytest.raises(RuntimeError, match="out of memory"):
        residents.get(0, "k", tensor(4).as_subclass(Full))
    assert residents.bytes == 0


def away(merger: Merger) -> Merger:
    """Make it treat the CPU as a device with a memory of its own."""
    merger.device = "somewhere"
    engine = merger._engine
    engine.residents.away = True
    engine.constants.budget = 0
    return merger


@pytest.mark.parametrize("method", ["weighted_sum", "add_difference", "add_difference_ties", "slerp"])
@pytest.mark.parametrize("share", [0.0, 0.4, 10.0])
def test_what_lies_where_changes_no_bit(method: str, share: float, checkpoints: Mapping[str, list[Path]]) -> None:
    models = checkpoints["sd1"][: 2 if method in ("weighted_sum", "slerp") else 3]
    here, there = open_merger(method, models), away(open_merger(method, models))
    budget = int(share * sum(info.nbytes for info in here.base_header.tensors.values()))
    there.give_memory(budget)
    for seed in range(2):
        values = random_values(here.space, seed)
        expected, got = Placed(here, torch.float16), Placed(there, torch.float16)
        here.write(values, expected)
        there.write(values, got)
        assert got.places.keys() == expected.places.keys()
        assert all(torch.equal(got.places[key], expected.places[key]) for key in expected.places)
    assert there.resident_bytes <= budget
    if share == 0.4:
        assert there.resident_bytes > 0.9 * budget
    assert (there.resident_bytes > 0) == (budget > 0)
    assert here.resident_bytes == 0


def maps(path: Path) -> bool:
    return str(path.resolve()) in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc/self/maps, which only Linux has")
def test_resting_lets_go_of_files_and_memory_and_the_next_merge_takes_them_up(
    checkpoints: Mapping[str, list[Path]], tmp_path: Path
) -> None:
    merger = open_merger("add_difference", [Path(shutil.copy(path, tmp_path)) for path in checkpoints["sd1"]])
    values = random_values(merger.space, 0)
    first, second = Placed(merger, torch.float16), Placed(merger, torch.float16)
    merger.write(values, first)
    assert all(map(maps, merger.models))
    assert merger.constants.bytes > 0
    merger.rest()
    assert not any(map(maps, merger.models))
    assert merger.constants.bytes == 0
    assert merger.recipe(values).text
    merger.write(values, second)
    assert all(torch.equal(first.places[key], second.places[key]) for key in first.places)
    merger.close()


def test_resting_gives_a_devices_memory_back_until_it_is_given_again(checkpoints: Mapping[str, list[Path]]) -> None:
    merger = away(open_merger("add_difference", checkpoints["sd1"]))
    values = random_values(merger.space, 0)
    merger.give_memory(10**9)
    merger.write(values, Placed(merger, torch.float16))
    assert merger.resident_bytes > 0
    merger.rest()
    merger.write(values, Placed(merger, torch.float16))
    assert merger.resident_bytes == 0
    merger.give_memory(10**9)
    merger.write(values, Placed(merger, torch.float16))
    assert merger.resident_bytes > 0
    merger.close()
