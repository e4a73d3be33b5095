from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.scoring import openclip
from lib_optim.scoring.clip.scorer import PairScorer
from lib_optim.scoring.clip.sources import OPENAI_L14
from lib_optim.scoring.clip.tags import _HUB, MODEL, TAG, tagged
from lib_optim.scoring.clip.views import CROPPED, HALF, View
from lib_optim.scoring.clipscore import ROW, build
from lib_optim.scoring.openclip import load_open_clip, model_problem
from lib_optim.scoring.pixels import CLIP_MEAN, clip_pixels
from tests.scoring.pictures import scene
from tests.scoring.small_models import CLIP_MODEL, tiny_clip

OPENAI = ("ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16", "ViT-L-14", "ViT-L-14-336")
PROMPTS = ("a cat on a mat", "", "cat " * 500, "Ünïcödé 東京 😀", "a dog")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return tiny_clip()


@pytest.fixture
def file(network: torch.nn.Module, tmp_path: Path) -> Path:
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def loaded(**options: object) -> PairScorer:
    scorer = build({"model": CLIP_MODEL, **options}, Path("/no/such"))
    scorer.load("cpu")
    return scorer


def test_score_is_that_of_open_clip(network: torch.nn.Module, file: Path) -> None:
    open_clip = load_open_clip()
    images = [scene(80, 64 + 8 * i, seed=i) for i in range(len(PROMPTS))]
    scores = loaded(weights=str(file)).score(images, PROMPTS)
    read = open_clip.get_tokenizer(CLIP_MODEL)
    for image, prompt, score in zip(images, PROMPTS, scores, strict=True):
        pixels = torch.from_numpy(clip_pixels(image, 64, "image"))[None]
        with torch.no_grad():
            seen = network.encode_image(pixels, normalize=True)
            said = network.encode_text(read([prompt]), normalize=True)
        assert score == pytest.approx(2.5 * float((seen * said).sum()), abs=1e-6)
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize("kind", ["pt", "wrapped", "ddp", "half"])
def test_other_formats_of_the_same_weights(network: torch.nn.Module, file: Path, tmp_path: Path, kind: str) -> None:
    tensors = dict(network.state_dict())
    content = {
        "pt": tensors,
        "wrapped": {"state_dict": tensors, "epoch": 1},
        "ddp": {f"module.{k}": v for k, v in tensors.items()},
        "half": {k: v.half() for k, v in tensors.items()},
    }[kind]
    torch.save(content, tmp_path / "w.pt")
    image = scene(64)
    wanted = loaded(weights=str(file)).score([image], ["a cat"])
    got = loaded(weights=str(tmp_path / "w.pt")).score([image], ["a cat"])
    assert got == (pytest.approx(wanted, abs=0.02) if kind == "half" else wanted)


def test_weights_with_the_text_tower_under_another_name(network: torch.nn.Module, file: Path, tmp_path: Path) -> None:
    towers = ("visual.", "logit_scale")
    moved = {k if k.startswith(towers) else f"text.{k}": v for k, v in network.state_dict().items()}
    torch.save(moved, tmp_path / "custom.pt")
    wanted = loaded(weights=str(file)).score([scene(64)], ["a cat"])
    assert loaded(weights=str(tmp_path / "custom.pt")).score([scene(64)], ["a cat"]) == wanted
    split = torch.nn.Module()  # a network that keeps the text tower apart, as CustomTextCLIP does
    assert openclip.own_layout(network.state_dict(), split).keys() == moved.keys()


def test_normalisation_is_an_option_with_effect(file: Path) -> None:
    clip, half = loaded(weights=str(file)), loaded(weights=str(file), normalise="half")
    assert clip.score([scene(64)], ["a cat"]) != half.score([scene(64)], ["a cat"])


def test_published_weights_are_found_in_the_models_folder(file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(_HUB, (CLIP_MODEL, "test"), ("nobody/nothing", 1))
    folder = tmp_path / "models" / "clipscore"
    folder.mkdir(parents=True)
    scorer = build({"model": CLIP_MODEL, "tag": "test"}, tmp_path / "models")
    with pytest.raises(ScorerError, match=r"needs the file optim-test-tiny-test\.bin"):
        scorer.load("cpu")
    file.rename(folder / f"{CLIP_MODEL}-test.safetensors")
    scorer.load("cpu")
    assert len(scorer.score([scene(64)], ["a cat"])) == 1


def test_the_file_of_another_model_is_refused(network: torch.nn.Module, tmp_path: Path) -> None:
    tensors = dict(network.state_dict())
    for change, words in (
        ({"logit_scale": None}, "lacks 'logit_scale'"),
        ({"extra": torch.zeros(1)}, "has the unknown 'extra'"),
        ({"visual.proj": torch.zeros(3, 3)}, "has another shape for 'visual.proj'"),
    ):
        changed = {k: v for k, v in {**tensors, **change}.items() if v is not None}
        torch.save(changed, tmp_path / "w.pt")
        with pytest.raises(ScorerError, match=words):
            loaded(weights=str(tmp_path / "w.pt"))


def test_missing_file_and_unknown_model(network: torch.nn.Module, file: Path) -> None:
    with pytest.raises(ScorerError, match="does not exist"):
        loaded(weights="/no/such.pt")
    with pytest.raises(ScorerError, match="'ViT-B-33' is not a model of the installed open_clip"):
        loaded(model="ViT-B-33", weights=str(file))
    with pytest.raises(ScorerError, match="knows no download 'x' for ViT-B-32"):
        build({"tag": "x"}, Path())


def test_downloads_are_those_that_open_clip_knows() -> None:
    pretrained = load_open_clip().pretrained
    assert ROW.weights == (tagged(*next(iter(_HUB)), "x").file,)
    assert (MODEL, TAG) in _HUB
    for (model, tag), (repository, _) in _HUB.items():
        assert model_problem(model) == ""
        known = pretrained.get_pretrained_cfg(model, tag)
        assert known["hf_hub"].rstrip("/") == repository
        assert known.get("mean") in (None, CLIP_MEAN)
        file = tagged(model, tag, "x").file
        assert file.url == f"https://huggingface.co/{repository}/resolve/main/open_clip_pytorch_model.bin"


def test_every_tag_of_open_clip_is_known() -> None:
    """OpenAI's own, those of its list at Hugging Face, and a sentence for the rest."""
    assert tagged("ViT-L-14", "openai", "x").file == tagged("ViT-L-14-quickgelu", "openai", "x").file == OPENAI_L14.file
    assert tagged("ViT-L-14", "openai", "x").model == "ViT-L-14-quickgelu"
    half = tagged("ViT-L-14", "laion2b_s32b_b82k", "x")
    assert half.view == View(mean=HALF, std=HALF)
    assert half.file.name == "ViT-L-14-laion2b_s32b_b82k.bin"
    assert half.file.url == (
        "https://huggingface.co/laion/CLIP-ViT-L-14-laion2B-s32B-b82K/resolve/main/open_clip_pytorch_model.bin"
    )
    lists = load_open_clip().pretrained._PRETRAINED
    there = away = 0
    for model, tags in lists.items():
        if model_problem(model):
            continue
        for tag in tags:
            if tags[tag]["hf_hub"] or (tag == "openai" and model in OPENAI):
                found = tagged(model, tag, "x")
                assert found.file.url.startswith("https://huggingface.co/")
                assert load_open_clip().get_model_config(openclip.architecture(found.model)[0])
                there += 1
            else:
                with pytest.raises(ScorerError, match=r"get https://\S+ yourself"):
                    tagged(model, tag, "x")
                away += 1
    assert there > 30
    assert away > 10 or there > 80  # open_clip 3.x has all of them at Hugging Face
    with pytest.raises(ScorerError, match=r"knows no download 'x' for ViT-B-32 \(it knows .*laion2b_s34b_b79k"):
        tagged("ViT-B-32", "x", "CLIPScore")


def test_pictures_that_a_tag_wants_otherwise_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"hf_hub": "a/b/", "interpolation": "bilinear", "resize_mode": "squash"}  # as later open_clips have some
    monkeypatch.setitem(load_open_clip().pretrained._PRETRAINED["ViT-B-32"], "odd", entry)
    with pytest.raises(ScorerError, match=r"resized another way \(bilinear, squash\)"):
        tagged("ViT-B-32", "odd", "CLIPScore")


def test_a_tag_that_squashes_pictures_sees_all_of_them(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"hf_hub": "a/b/", "interpolation": "bicubic", "resize_mode": "squash"}
    monkeypatch.setitem(load_open_clip().pretrained._PRETRAINED["ViT-B-32"], "odd", entry)
    view = tagged("ViT-B-32", "odd", "x").view
    wide = scene(160, 64, seed=3)
    squashed = torch.from_numpy(clip_pixels(wide.resize((64, 64), Image.Resampling.BICUBIC), 64, "x"))
    assert torch.equal(view.pixels(wide, 64, "x"), squashed)
    assert not torch.equal(CROPPED.pixels(wide, 64, "x"), squashed)


def test_a_tag_brings_its_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": "ViT-L-14", "tag": "laion2b_s32b_b82k"}
    assert build(options, Path())._view == View(mean=HALF, std=HALF)
    assert build({**options, "normalise": "clip"}, Path())._view == CROPPED
    assert build({}, Path())._view == CROPPED
    assert build({"normalise": "half"}, Path())._view == View(mean=HALF, std=HALF)


@pytest.mark.slow
def test_default_architecture_takes_a_file_of_its_layout(tmp_path: Path) -> None:
    """The real ViT-B-32, 151 million parameters, with the weights that open_clip draws."""
    open_clip = load_open_clip()
    torch.manual_seed(0)
    theirs = open_clip.create_model(MODEL, pretrained=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pt")
    scorer = loaded(model=MODEL, weights=str(tmp_path / "w.pt"))
    image = scene(300, 200)
    with torch.no_grad():
        seen = theirs.encode_image(torch.from_numpy(clip_pixels(image, 224, "image"))[None], normalize=True)
        said = theirs.encode_text(open_clip.get_tokenizer(MODEL)(["a cat"]), normalize=True)
    assert scorer.score([image], ["a cat"])[0] == pytest.approx(2.5 * float((seen * said).sum()), abs=1e-6)


def test_open_clip_leaves_no_stand_ins_behind() -> None:
    load_open_clip()
    if openclip.importlib.util.find_spec("torchvision") is None:
        assert not [name for name in sys.modules if name.split(".")[0] == "torchvision"]


def test_missing_open_clip_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ScorerError, match="needs the package open_clip"):
        load_open_clip()


def test_models_whose_parts_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "plain CLIP" in model_problem("xlm-roberta-base-ViT-B-32")
    assert "plain CLIP" in model_problem("coca_ViT-B-32")
    real = openclip.importlib.util.find_spec
    monkeypatch.setattr(openclip.importlib.util, "find_spec", lambda name: None if name == "timm" else real(name))
    assert "needs the package timm" in model_problem("convnext_base")
    monkeypatch.delitem(sys.modules, "open_clip")  # not imported: read from the package's files
    assert model_problem("ViT-L-14") == ""
    assert "Did you mean 'ViT-L-14'" in model_problem("ViT-L14")
    assert "open_clip" not in sys.modules
