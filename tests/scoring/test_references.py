from __future__ import annotations

from pathlib import Path

import pytest

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.references import reference_for, reference_names, reference_problems
from tests.scoring.pictures import scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat-7.png", "cat.webp", "3.jpg", "a_b-1.png"):
        scene(16).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    ("context", "name"),
    [
        (ImageContext("cat", 7, 3), "cat-7.png"),
        (ImageContext("cat", 8, 3), "cat.webp"),
        (ImageContext("dog", 8, 3), "3.jpg"),
        (ImageContext("a/b", 1, 0), "a_b-1.png"),
    ],
)
def test_most_specific_name_wins(folder: Path, context: ImageContext, name: str) -> None:
    assert reference_for(folder, context) == folder / name


def test_a_file_or_a_single_image_serves_all(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert reference_for(folder / "cat-7.png", ImageContext("dog", 1, 9)) == folder / "cat-7.png"
    single = tmp_path_factory.mktemp("single")
    scene(16).save(single / "anything.png")
    assert reference_for(single, ImageContext("dog", 1, 9)) == single / "anything.png"


def test_missing_reference_names_the_files_looked_for(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match=r"image 10 of payload 'dog' with seed 1; put dog-1.png or dog.png or 9.png"):
        reference_for(folder, ImageContext("dog", 1, 9))
    with pytest.raises(ScorerError, match="does not exist"):
        reference_for(tmp_path / "absent", ImageContext())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScorerError, match="has no images"):
        reference_for(tmp_path / "empty", ImageContext("dog", 1, 9))


def test_names_without_context() -> None:
    assert reference_names(ImageContext()) == ()
    assert reference_names(ImageContext("x", 0, 0)) == ("x-0", "x", "0")


def test_problems_of_a_whole_trial(folder: Path) -> None:
    good = Payload("cat", seed=7, batch_size=2)
    assert reference_problems(folder, jobs_of((good,))) == []
    assert reference_problems(folder, ()) == []
    bad = Payload("dog", seed=1, n_iter=3)
    found = reference_problems(folder, jobs_of((good, bad)))
    assert len(found) == 2  # the second dog has 3.jpg
    assert "dog-1.png" in found[0]
    assert reference_problems(folder, jobs_of((good, Payload("dog", seed=1, score_weight=0.0)))) == []


def test_a_file_that_is_no_image(folder: Path) -> None:
    (folder / "dog.png").write_text("not a picture")
    found = reference_problems(folder, jobs_of((Payload("dog", seed=1),)))
    assert len(found) == 1
    assert "no image that can be read" in found[0]
