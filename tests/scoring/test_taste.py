"""A learned taste: what the model makes of ratings, what is on the disk, and what the scorer refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.base import ImageContext
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.clip.sources import OPENAI_L14
from lib_optim.scoring.embeddings import Identity, best_way, embedder
from lib_optim.scoring.registry import scorer_row
from lib_optim.scoring.taste_file import Taste, read_taste, saved_tastes, spearman, taste_path, write_taste
from lib_optim.scoring.taste_model import TasteModel, cross_validated, fit_taste
from lib_optim.scoring.taste_rule import ENOUGH, bar_of, certain, worth_asking
from lib_optim.scoring.worker import ScoringWorker
from tests.scoring.pictures import scene
from tests.scoring.small_models import save_transformers_clip


def sample(count: int, noise: float, seed: int = 0, width: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings whose variance falls from number to number, ratings by a linear taste, and that taste."""
    draws = np.random.default_rng(seed)
    x = draws.standard_normal((count, width)) / np.arange(1, width + 1)
    taste = x @ draws.standard_normal(width)
    taste = 5 + 2 * taste / taste.std()
    return x, taste + 2 * noise * draws.standard_normal(count), taste


def pictures(count: int) -> list[object]:
    return [scene(64 + 8 * (i % 3), 64, seed=i) for i in range(count)]


def taste_of(folder: Path, way: str = "packaged", name: str = "mine", count: int = 24) -> Path:
    """Save a taste learned from pictures that are rated by their number, with the network at hand in `folder`."""
    eyes = embedder(way, folder)
    eyes.load("cpu")
    seen = eyes.look(pictures(count), [""] * count)  # type: ignore[arg-type]
    ratings = np.arange(count) % 11.0
    path = taste_path(name, folder)
    write_taste(Taste(fit_taste(seen, ratings), eyes.identity, 0.5, 1_700_000_000.0, ("a run",)), path)
    eyes.unload()
    return path


def taste_on_clip(folder: Path) -> str:
    """For the conformance tests: a tiny CLIP in `folder`, and the name of a taste learned with it."""
    (folder / "clip").mkdir()
    save_transformers_clip(folder / "clip" / OPENAI_L14.file.name)
    taste_of(folder, "clip")
    return "mine"


# --- the model ------------------------------------------------------------------------------------------------


def test_it_is_bayesian_ridge_regression_where_the_kernel_is_linear() -> None:
    x, y, _ = sample(50, 0.5)
    model = fit_taste(x, y)
    linear = TasteModel(model.mean, model.components, model.scale, model.seen, y, 0.0, 2.0, 0.3)
    z, new = model.seen, (x[:5] + 0.01 - model.mean) @ model.components.T / model.scale
    inverse = np.linalg.inv(z.T @ z + 0.3 * np.eye(z.shape[1]))  # of the weights' posterior, times a² r
    expected, doubt = linear.predict(x[:5] + 0.01)
    assert expected == pytest.approx(y.mean() + new @ inverse @ z.T @ (y - y.mean()))
    outside = (((x[:5] + 0.01 - model.mean) / model.scale) ** 2).sum(axis=1) - (new**2).sum(axis=1)
    assert doubt**2 == pytest.approx(2.0 * (0.3 * np.einsum("ij,jk,ik->i", new, inverse, new) + outside), abs=1e-9)


def test_it_finds_the_taste_and_how_noisy_the_ratings_are() -> None:
    x, y, taste = sample(300, 0.5)
    model = fit_taste(x[:100], y[:100])
    expected, doubt = model.predict(x[100:])
    assert spearman(expected, taste[100:]) > 0.9
    assert 0.6 < model.noise < 1.5, "the noise is 1"
    within = np.abs(expected - taste[100:]) <= 2 * doubt
    assert 0.85 < within.mean() <= 1.0


def test_more_ratings_are_surer_and_an_image_unlike_all_others_is_not() -> None:
    x, y, _ = sample(400, 0.5)
    few, many = fit_taste(x[:30], y[:30]), fit_taste(x[:200], y[:200])
    assert many.predict(x[300:])[1].mean() < few.predict(x[300:])[1].mean()
    strange = x[300:301] * 8
    assert many.predict(strange)[1] > 2 * many.predict(x[300:])[1].mean()


def test_ratings_without_a_taste_agree_with_nothing() -> None:
    shown = []
    for seed in range(8):
        x, _, _ = sample(60, 0.5, seed)
        y = np.random.default_rng(100 + seed).integers(0, 11, 60)
        shown.append(spearman(cross_validated(x, y), y))
    assert abs(float(np.median(shown))) < 0.25


def test_agreement_is_of_images_that_the_model_did_not_see() -> None:
    x, y, _ = sample(60, 3.0)  # noise three times the taste
    assert spearman(cross_validated(x, y), y) < 0.6 < spearman(fit_taste(x, y).predict(x)[0], y) + 0.6
    groups = [i // 6 for i in range(60)]
    twins = np.repeat(x[::6], 6, axis=0) + 1e-6 * x  # six images of a trial, all but equal
    told = np.repeat(np.random.default_rng(3).integers(0, 11, 10), 6).astype(float)
    assert spearman(cross_validated(twins, told), told) > 0.9, "an image's twin gives it away"
    assert spearman(cross_validated(twins, told, groups), told) < 0.6, "unless the whole trial is left out"


def test_the_same_ratings_make_the_same_model() -> None:
    x, y, _ = sample(50, 0.5)
    one, other = fit_taste(x, y), fit_taste(x.copy(), list(y))
    assert (one.signal, one.ratio, one.length) == (other.signal, other.ratio, other.length)
    assert np.array_equal(one.predict(x)[0], other.predict(x)[0])


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.eye(4), [5, 5, 5, 5], "All ratings are equal"),
        (np.ones((4, 3)), [1, 2, 3, 4], "look the same"),
        (np.eye(4), [1, 2, math.nan, 4], "at least three"),
        (np.eye(2), [1, 2], "at least three"),
    ],
)
def test_what_nothing_can_be_learned_from(x: np.ndarray, y: list[float], reason: str) -> None:
    with pytest.raises(ScorerError, match=reason):
        fit_taste(x, y)


# --- which images are asked about ---------------------------------------------------------------------------------


def test_uncertain_and_promising_images_are_asked_about() -> None:
    ratings = [3.0, 4.0, 5.0, 6.0, 7.0]  # spread 1.41, upper quartile 6
    assert worth_asking(2.0, 0.8, [], ratings), "uncertain: doubt above half the spread"
    assert not worth_asking(2.0, 0.7, [], ratings), "certain and poor"
    assert worth_asking(5.5, 0.5, [], ratings), "it may reach the upper quartile"
    assert not worth_asking(5.4, 0.5, [], ratings)


def test_promising_is_measured_by_the_payloads_own_images_once_there_are_enough() -> None:
    ratings, before = [0.0, 10.0] * 10, [1.0] * (ENOUGH - 1)
    assert bar_of(before, ratings) == 10.0
    assert bar_of([*before, 1.0], ratings) == 1.0
    assert not worth_asking(1.5, 0.1, before, ratings)
    assert worth_asking(1.5, 0.1, [*before, 1.0], ratings)
    assert certain(0.1, 5.0)


# --- the file -------------------------------------------------------------------------------------------------------


def test_a_saved_taste_comes_back_as_it_was(tmp_path: Path) -> None:
    path = taste_of(tmp_path)
    taste = read_taste(path)
    assert (taste.count, taste.agreement, taste.created, taste.runs) == (24, 0.5, 1_700_000_000.0, ("a run",))
    assert taste.identity == embedder("packaged", tmp_path).identity
    assert len(taste.identity.sha256) == 64
    again = tmp_path / "again.safetensors"
    write_taste(taste, again)
    assert again.read_bytes() == path.read_bytes()
    assert [name for name, _ in saved_tastes(tmp_path)] == ["mine"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 61, "end."])
def test_a_name_that_is_no_file_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="cannot name a taste"):
        taste_path(name, tmp_path)


def _problem(folder: Path, which: str) -> str:
    problems = scorer_problems(ScorerSpec("taste", options={"taste": which}), folder)
    return " ".join(problem.sentence for problem in problems)


def test_bad_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = taste_of(tmp_path)
    assert _problem(tmp_path, "mine") == ""
    assert _problem(tmp_path, str(path)) == ""
    assert "there are mine. Did you mean 'mine'?" in _problem(tmp_path, "mina")
    (tmp_path / "taste" / "text.safetensors").write_text("no")
    assert "text.safetensors can't be read" in _problem(tmp_path, "text")
    save_file({"a": np.zeros(3)}, tmp_path / "taste" / "other.safetensors")
    assert "is no saved taste" in _problem(tmp_path, "other")
    tensors = load_file(path)
    head = {"format": "optim taste", "version": 1, "identity": {"way": "packaged", "sha256": "0" * 64}, "created": 0.0,
            "agreement": None, "runs": [], "scale": 1.0, "length": 0.0, "signal": 1.0, "ratio": 0.5}  # fmt: skip
    other = tmp_path / "taste" / "strange.safetensors"
    save_file(tensors, other, metadata={"optim": json.dumps(head)})
    sentence = _problem(tmp_path, "strange")
    assert "was learned from what ships with Optim (0000000000) and can't judge by what ships with Optim (" in sentence
    with pytest.raises(ScorerError, match="was learned from"):
        scorer_row("taste").build({"taste": "strange"}, tmp_path).load("cpu")
    save_file({**tensors, "seen": tensors["seen"][:, :2]}, other, metadata={"optim": json.dumps(head)})
    assert "is damaged" in _problem(tmp_path, "strange")
    save_file(tensors, other, metadata={"optim": json.dumps({**head, "version": 2})})
    assert "newer Optim" in _problem(tmp_path, "strange")


def test_a_taste_of_clip_needs_the_same_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.scoring.small_models import shrink_clips

    shrink_clips(monkeypatch)
    assert best_way(tmp_path) == "packaged"
    taste_on_clip(tmp_path)
    assert best_way(tmp_path) == "clip"
    clip = tmp_path / "clip" / OPENAI_L14.file.name
    assert _problem(tmp_path, "mine") == ""
    clip.unlink()
    assert "needs the file" in _problem(tmp_path, "mine")
    save_transformers_clip(clip, seed=1)
    assert "was learned from CLIP ViT-L/14" in _problem(tmp_path, "mine")


# --- the scorer -----------------------------------------------------------------------------------------------------


def test_it_expects_about_what_was_rated_and_its_doubt_is_recorded_before_its_score(tmp_path: Path) -> None:
    taste_of(tmp_path)
    got: list[tuple[int, int, str, float]] = []
    spec = ScorerSpec("taste", options={"taste": "mine"}, device="cpu")
    worker = ScoringWorker([spec, ScorerSpec("technical")], tmp_path, lambda *s: got.append(s), lambda *e: None)
    worker.submit(3, 0, pictures(1)[0], "a cat", ImageContext("p", 1, 0))  # type: ignore[arg-type]
    assert worker.drain(60)
    worker.close()
    assert [key for _, _, key, _ in got] == ["taste: doubt", "taste", "technical"]
    doubt, expected = got[0][3], got[1][3]
    assert doubt > 0
    assert 0 < expected < 10


def test_another_width_is_refused() -> None:
    x, y, _ = sample(20, 0.5)
    with pytest.raises(ScorerError, match="embeddings of 40 numbers, not 3"):
        fit_taste(x, y).predict(np.zeros((1, 3)))


def test_an_identity_names_network_and_weights() -> None:
    assert str(Identity("clip", "abcdef0123456789")) == "CLIP ViT-L/14 (abcdef0123)"
