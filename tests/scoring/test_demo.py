"""The demo scorer on the weights that ship: it knows a right picture from a wrong one."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.payload import Payload, jobs_of
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.demo import DemoScorer, build
from lib_optim.scoring.demo_words import VOCABULARY, words_of
from tools.demo_pair.scenes import all_scenes, caption, draw

JUDGE = Path(__file__).parents[2] / "tools" / "demo_pair" / "judge.safetensors"
SCENES = all_scenes()[::19]
PICTURES = [draw(scene, random.Random(i)) for i, scene in enumerate(SCENES)]


@pytest.fixture(scope="module", params=["scorer", "judge"])
def scorer(request: pytest.FixtureRequest) -> DemoScorer:
    made = build({}, None) if request.param == "scorer" else DemoScorer(JUDGE)
    made.load("cpu")
    return made


def test_a_right_picture_scores_well(scorer: DemoScorer) -> None:
    scores = scorer.score(PICTURES, [caption(scene) for scene in SCENES])
    assert all(0 <= score <= 1 for score in scores)
    assert statistics.mean(scores) > 0.85
    assert min(scores) > 0.5


@pytest.mark.parametrize("name", ["thing", "colour", "time"])
def test_and_above_a_wrong_one(scorer: DemoScorer, name: str) -> None:
    """One word of the caption is wrong: the score falls for nearly every picture."""
    words = VOCABULARY[name]
    wrong = [replace(s, **{name: words[(words.index(getattr(s, name)) + 1) % len(words)]}) for s in SCENES]
    right = scorer.score(PICTURES, [caption(scene) for scene in SCENES])
    less = scorer.score(PICTURES, [caption(scene) for scene in wrong])
    assert sum(one > other + 0.1 for one, other in zip(right, less, strict=True)) > 0.9 * len(SCENES)


def test_any_size_is_seen_alike(scorer: DemoScorer) -> None:
    prompts = [caption(scene) for scene in SCENES[:8]]
    large = [picture.resize((256, 256)) for picture in PICTURES[:8]]
    small, big = (statistics.mean(scorer.score(pictures, prompts)) for pictures in (PICTURES[:8], large))
    assert abs(small - big) < 0.05


def test_words_of_a_prompt() -> None:
    assert words_of("A RED house, (ink:1.2)") == {"colour": 0, "thing": 0, "style": 1}
    assert words_of("a red or a blue house") == {"colour": 0, "thing": 0}
    assert words_of("a photo of a cat") == {}
    assert words_of("a boathouse") == {}


def test_the_plan_check_names_what_it_cannot_judge() -> None:
    jobs = jobs_of((Payload("cat", "a photo of a cat"), Payload("house", "a red house")))
    (problem,) = scorer_problems(ScorerSpec("demo"), Path(), "scorers[0]", jobs)
    assert problem.where == "scorers[0].options.prompt"
    assert "payload 'cat'" in str(problem)
    assert "choose another scorer" in str(problem)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="has no option 'x'"):
        build({"x": 1}, None)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    for path in (broken, tmp_path / "missing.safetensors"):
        with pytest.raises(ScorerError, match="can't be read"):
            DemoScorer(path).load("cpu")
