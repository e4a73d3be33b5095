"""Whatever is wrong with a plan is said in one clear sentence each, before anything is made or changed."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from lib_optim.plan.bounds import Bound
from lib_optim.plan.design import StartDesign
from lib_optim.plan.errors import OptimError, PlanError, StoreError
from lib_optim.plan.guide import ComponentGuide, Guide, Strategy
from lib_optim.plan.payload import Payload
from lib_optim.plan.payload_file import load_payload
from lib_optim.plan.run_plan import Budget, ModelRef, RunPlan, SamplerSpec, SaveSpec
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.plan.starts import StartPoint
from tests.checkpoints import make_checkpoint
from tests.rig import TEXT, UNET, Rig, payload


@pytest.fixture(scope="module")
def shared(make_module_rig: Callable[[], Rig]) -> Rig:
    return make_module_rig()


@pytest.fixture(scope="module")
def make_module_rig(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Rig]:
    return lambda: Rig(tmp_path_factory.mktemp("bad"), demo_models)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(rig: Rig, plan: RunPlan) -> list[str]:
    """Start `plan`, which must be refused; return the sentences. Nothing is made, loaded or changed."""
    before, state = tree(rig.folder), rig.host.state()
    try:
        with pytest.raises(PlanError) as caught:
            rig.manager.start(plan)
    finally:
        rig.manager.close()
    assert tree(rig.folder) == before
    assert list(rig.host.paths().outputs.iterdir()) == []
    assert rig.host.state() == state
    assert not rig.manager.active
    assert rig.snapshot()["state"] == "idle"
    assert rig.snapshot()["run"] is None
    sentences = [problem.sentence for problem in caught.value.problems]
    assert sentences == [p.sentence for p in rig.manager.check(plan).problems]
    for problem in caught.value.problems:
        assert problem.where, problem
        assert "\n" not in problem.sentence
        assert problem.sentence.rstrip("?").endswith(".") or problem.sentence.endswith("?"), problem.sentence
        assert "Error" not in problem.sentence
        assert "Traceback" not in problem.sentence
    return sentences


def models(*paths: Path | str) -> dict[str, Any]:
    return {"models": tuple(ModelRef(str(path)) for path in paths)}


CASES: dict[str, tuple[Callable[[Rig], dict[str, Any]], str]] = {
    "zero trials": (lambda rig: {"budget": Budget(0)}, "number of trials must lie between 1 and"),
    "negative trials": (lambda rig: {"budget": Budget(-3)}, "number of trials must lie between 1 and"),
    "images below 0": (lambda rig: {"budget": Budget(images=-1)}, "number of images must not be below 0, as -1 is"),
    "too few images": (lambda rig: {"budget": Budget(images=1)}, "One trial makes 2 images, and the budget allows 1"),
    "minutes below 0": (lambda rig: {"budget": Budget(minutes=-0.5)}, "number of minutes must not be below 0"),
    "patience below 0": (lambda rig: {"budget": Budget(patience=-1)}, "patience must not be below 0"),
    "minutes that are no number": (
        lambda rig: {"budget": Budget(minutes=math.nan)}, "The number of minutes must be a number, not nan"
    ),
    "gain that is no number": (lambda rig: {"budget": Budget(min_delta=math.nan)}, "must be a number, not nan"),
    "endless target": (lambda rig: {"budget": Budget(target=math.inf)}, "The target score must be a number, not inf"),
    "target that is no number": (lambda rig: {"budget": Budget(target=math.nan)}, "must be a number, not nan"),
    "bounds without room": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"in_alpha": Bound("float", 0.5, 0.5)})}, "0.5 is not below the upper"
    ),
    "log from zero": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"in_alpha": Bound("float", 0.0, 1.0, log=True)})},
        "a logarithmic range must begin above 0",
    ),
    "step that does not fit": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"in_alpha": Bound("float", 0.0, 1.0, step=2.0)})},
        "the step 2 does not fit",
    ),
    "bound that is no number": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"in_alpha": Bound("float", 0.0, math.nan)})}, "cannot be used"
    ),
    "choice of nothing": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"in_alpha": Bound("choice")})}, "a choice needs at least one value"
    ),
    "negative gain": (lambda rig: {"budget": Budget(min_delta=-1.0)}, "What counts as better must not be below 0"),
    "too many trials": (lambda rig: {"budget": Budget(10**9)}, "number of trials must lie between 1 and"),
    "no name": (lambda rig: {"name": " "}, "no name"),
    "seed": (lambda rig: {"seed": -1}, "seed must lie between"),
    "no payload": (lambda rig: {"payloads": ()}, "No payload is chosen"),
    "no weight": (lambda rig: {"payloads": (payload(score_weight=0.0),)}, "score weight 0"),
    "same name": (lambda rig: {"payloads": (payload("a"), payload("a"))}, "Two payloads are called 'a'"),
    "steps": (lambda rig: {"payloads": (payload(steps=0),)}, "steps must lie between 1 and 150"),
    "size": (lambda rig: {"payloads": (payload(width=65),)}, "width must be a multiple of 8"),
    "batch": (lambda rig: {"payloads": (payload(batch_size=10**9),)}, "batch_size must lie between 1 and 64"),
    "field": (lambda rig: {"payloads": (payload(tiling=True),)}, "sets tiling, which Optim standalone cannot honour"),
    "hires": (lambda rig: {"payloads": (payload(enable_hr=True),)}, "sets enable_hr, which Optim standalone cannot"),
    "sampler name": (lambda rig: {"payloads": (payload(sampler_name="Eule"),)}, "has no sampler 'Eule'; it has Euler"),
    "scheduler": (lambda rig: {"payloads": (payload(scheduler="Kar"),)}, "has no scheduler 'Kar'; it has "),
    "lora": (lambda rig: {"payloads": (payload(prompt="a <lora:x:1>"),)}, "uses a LoRA"),
    "no scorer": (lambda rig: {"scorers": ()}, "No scorer was chosen"),
    "unknown scorer": (lambda rig: {"scorers": (ScorerSpec("tecnical"),)}, "Did you mean 'technical'?"),
    "scorer twice": (lambda rig: {"scorers": (ScorerSpec("technical"),) * 2}, "listed 2 times"),
    "only watched": (lambda rig: {"scorers": (ScorerSpec("technical", weight=0.0),)}, "so none decides"),
    "scorer weight": (lambda rig: {"scorers": (ScorerSpec("technical", weight=-1.0),)}, "is -1; it must be"),
    "scorer option": (
        lambda rig: {"scorers": (ScorerSpec("technical", options={"x": 1}),)}, "has no option 'x'"
    ),
    "no reference": (lambda rig: {"scorers": (ScorerSpec("similarity"),)}, "'reference' of the scorer similarity"),
    "reference of another payload": (
        lambda rig: {"scorers": (ScorerSpec("similarity", options={"reference": str(rig.models)}),)},
        "has no images",
    ),
    "method": (lambda rig: {"method": "wieghted_sum"}, "Did you mean 'weighted_sum'?"),
    "too few models": (lambda rig: {"method": "train_difference_mask"}, "takes 3 models, but 2 are chosen"),
    "preset": (lambda rig: {"sampler": SamplerSpec(presets=("GRAD_X",))}, "There is no preset 'GRAD_X'"),
    "sampler": (lambda rig: {"sampler": SamplerSpec("tpee")}, "There is no sampler 'tpee'"),
    "start design": (
        lambda rig: {"sampler": SamplerSpec(design=StartDesign(latin=-1))}, "start design's latin must lie between"
    ),
    "sampler and space": (
        lambda rig: {"sampler": SamplerSpec("nsgaii", {"population_size": 1000})}, "A population of 1000 needs more"
    ),
    "earlier trials": (
        lambda rig: {"sampler": SamplerSpec("tpe", earlier=(StartPoint("x", {"IN00": 0.5}, score=1.0),) * 3)},
        "Only CMA-ES that begins with a warm start",
    ),
    "sampler option": (lambda rig: {"sampler": SamplerSpec("tpe", {"n_start": 1})}, "has no option 'n_start'"),
    "sampler option's type": (
        lambda rig: {"sampler": SamplerSpec("tpe", {"n_startup_trials": 1.5})}, "must be of type int, not 1.5"
    ),
    "sampler option's range": (
        lambda rig: {"sampler": SamplerSpec("gp", {"n_startup_trials": 0})}, "must lie between 1 and 1000, not 0"
    ),
    "bounds of nothing": (
        lambda rig: {"guide": Guide((TEXT, UNET), {"alfa": Bound("float", 0.1, 0.9)})}, "alfa"
    ),
    "empty guide": (lambda rig: {"guide": Guide(())}, "Nothing is merged"),
    "block": (
        lambda rig: {"guide": Guide((ComponentGuide("unet", (Strategy("select", ("IN99",)),)),))}, "IN99"
    ),
    "component": (lambda rig: {"guide": Guide((ComponentGuide("unett", (Strategy("all"),)),))}, "unett"),
    "no models": (lambda rig: models(), "needs at least two models"),
    "one model": (lambda rig: models(rig.models / "demo-a.safetensors"), "needs at least two models"),
    "same model twice": (
        lambda rig: models(rig.models / "demo-a.safetensors", rig.models / "." / "demo-a.safetensors"), "chosen twice"
    ),
    "missing": (
        lambda rig: models(rig.models / "demo-a.safetensors", rig.models / "demo-x.safetensors"),
        "demo-x.safetensors does not exist",
    ),
    "base missing": (
        lambda rig: models(rig.models / "demo-x.safetensors", rig.models / "demo-b.safetensors"),
        "demo-x.safetensors does not exist",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_plan_that_cannot_run_is_refused(shared: Rig, case: str) -> None:
    changes, sentence = CASES[case]
    sentences = refused(shared, shared.plan(**changes(shared)))
    assert len(sentences) == 1, sentences
    assert sentence in sentences[0]


def test_all_problems_come_at_once(shared: Rig) -> None:
    plan = shared.plan(
        budget=Budget(0), payloads=(payload(steps=0, tiling=True),), scorers=(), method="x", sampler=SamplerSpec("y")
    )
    sentences = refused(shared, plan)
    assert len(sentences) == 6, sentences


def test_a_start_design_that_leaves_no_trial_is_a_warning(shared: Rig) -> None:
    plan = shared.plan(budget=Budget(5), sampler=SamplerSpec(design=StartDesign(latin=3, random=2)))
    check = shared.manager.check(plan)
    assert not check.problems
    assert any(warning.startswith("The start design alone fills all 5 trials") for warning in check.warnings)


def test_files_that_are_no_checkpoints(make_module_rig: Callable[[], Rig]) -> None:
    rig = make_module_rig()
    a = rig.models / "demo-a.safetensors"
    content = a.read_bytes()
    made = {
        "cut": content[:-1000],
        "cut-header": content[:1000],
        "empty": b"",
        "picture": b"\x89PNG\r\n" + bytes(10_000),
    }
    for name, data in made.items():
        (rig.models / f"{name}.safetensors").write_bytes(data)
        (sentence,) = refused(rig, rig.plan(**models(a, rig.models / f"{name}.safetensors")))
        assert f"{name}.safetensors" in sentence
    save_file({"lora_up": load_file(a)["model.diffusion_model.out.0.bias"]}, rig.models / "lora.safetensors")
    (sentence,) = refused(rig, rig.plan(**models(a, rig.models / "lora.safetensors")))
    assert "lora.safetensors" in sentence
    (rig.models / "a.ckpt").write_bytes(b"PK\x03\x04" + bytes(10_000))
    (sentence,) = refused(rig, rig.plan(**models(a, rig.models / "a.ckpt")))
    assert "a.ckpt" in sentence


def test_two_architectures_mixed(make_module_rig: Callable[[], Rig]) -> None:
    rig = make_module_rig()
    xl = make_checkpoint(rig.models / "xl.safetensors", "sdxl", 0)
    (sentence,) = refused(rig, rig.plan(**models(rig.models / "demo-a.safetensors", xl)))
    assert "different architectures" in sentence
    assert "demo-a.safetensors is" in sentence
    assert "xl.safetensors is" in sentence


def test_model_a_outside_the_hosts_folders(make_module_rig: Callable[[], Rig], tmp_path: Path) -> None:
    rig = make_module_rig()
    outside = tmp_path / "outside.safetensors"
    shutil.copy(rig.models / "demo-a.safetensors", outside)
    (sentence,) = refused(rig, rig.plan(**models(outside, rig.models / "demo-b.safetensors")))
    assert "does not list outside.safetensors" in sentence
    # as model B it is fine: that one is only read
    assert not rig.manager.check(rig.plan(**models(rig.models / "demo-a.safetensors", outside))).problems


def test_a_base_without_the_component(make_module_rig: Callable[[], Rig]) -> None:
    rig = make_module_rig()
    tensors = load_file(rig.models / "demo-a.safetensors")
    bare = rig.models / "bare.safetensors"
    save_file({key: t for key, t in tensors.items() if not key.startswith("first_stage_model")}, bare)
    guide = Guide((UNET, ComponentGuide("vae", (Strategy("all"),))))
    (sentence,) = refused(rig, rig.plan(guide=guide, **models(bare, rig.models / "demo-b.safetensors")))
    assert "bare.safetensors holds no vae" in sentence


def test_reversed_bounds(shared: Rig) -> None:
    sentences = refused(shared, shared.plan(guide=Guide((TEXT, UNET), {"alpha": Bound("float", 0.9, 0.1)})))
    assert all("the lower end 0.9 is not below the upper end 0.1" in sentence for sentence in sentences)


@pytest.mark.parametrize("save", [True, False])
def test_a_full_disk(shared: Rig, monkeypatch: pytest.MonkeyPatch, save: bool) -> None:
    usage = namedtuple("usage", "total used free")
    plan = shared.plan(save=SaveSpec(checkpoint=save))
    # room for the images, not for the checkpoint of 35 MB
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 120 * 10**6))
    assert bool(shared.manager.check(plan).problems) is save
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    (sentence,) = refused(shared, plan)
    assert "GB free" in sentence


def test_a_disk_that_fills_up_while_the_folder_is_made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("os.fsync", "pathlib.Path.mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(name, full)
            with pytest.raises(StoreError, match="No space left"):
                rig.manager.start(rig.plan())
        assert list(rig.host.paths().outputs.iterdir()) == []
        assert rig.snapshot()["state"] == "idle"
    rig.run()  # and then there is room again


def test_a_scorer_that_cannot_be_built_leaves_no_folder(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OptimError("The scorer cannot be built.")

    monkeypatch.setattr("lib_optim.run.automatic.ScoringWorker", broken)
    with pytest.raises(OptimError, match="cannot be built"):
        rig.manager.start(rig.plan())
    assert list(rig.host.paths().outputs.iterdir()) == []
    assert rig.snapshot()["state"] == "idle"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"prompt": "x",\n "steps": }', "line 2: not valid JSON"),
        ('{"promt": "x"}', "Did you mean 'prompt'"),
        ('{"prompt": "x", "steps": "many"}', "steps"),
        ('{"prompt": "x", "steps": NaN}', "NaN is no number"),
        ("[]", "holds no payload"),
        ("3", "must be an object"),
        ('{"prompt": "x", "cfg_scale": 99}', "cfg_scale must lie between"),
    ],
)
def test_payload_files(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(PlanError, match=r"mine") as caught:
        load_payload(path)
    assert sentence in str(caught.value)


def test_a_plan_with_unknown_or_wrong_fields(shared: Rig) -> None:
    plan = shared.plan().to_json()
    assert RunPlan.from_json(plan) == shared.plan()
    for change, sentence in (
        ({"modles": []}, "Did you mean 'models'"),
        ({"budget": {"trials": "ten"}}, "trials"),
        ({"method": None}, "method"),
        ({"version": 99}, "version"),
    ):
        with pytest.raises(PlanError, match=sentence):
            RunPlan.from_json({**plan, **change})


def test_seeds_left_open_are_drawn_once_and_kept(shared: Rig) -> None:
    plan = shared.plan(payloads=(Payload("a", "x", width=64, height=64, steps=2, sampler_name="Euler"),))
    first, second = (shared.manager.check(plan).resolved for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.jobs == second.jobs
    assert first.jobs[0].seed >= 0
    other = shared.manager.check(dataclasses.replace(plan, seed=6)).resolved
    assert other is not None
    assert other.jobs[0].seed != first.jobs[0].seed


def test_a_model_that_lacks_tensors_is_a_warning(make_module_rig: Callable[[], Rig]) -> None:
    rig = make_module_rig()
    tensors = load_file(rig.models / "demo-b.safetensors")
    del tensors["model.diffusion_model.input_blocks.1.0.in_layers.0.weight"]
    save_file(tensors, rig.models / "lacking.safetensors")
    check = rig.manager.check(rig.plan(**models(rig.models / "demo-a.safetensors", rig.models / "lacking.safetensors")))
    assert not check.problems
    assert "lacks 1 of the merged tensors" in check.warnings[0]
