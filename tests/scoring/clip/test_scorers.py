"""Each scorer through its row, on small random weights in the published layout, against a computation of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.clip import sources
from lib_optim.scoring.clip.layouts import from_transformers
from lib_optim.scoring.openclip import build_network, load_open_clip
from lib_optim.scoring.registry import scorer_row
from tests.scoring.clip.head_files import HEADS, relu, relu_shapes
from tests.scoring.pictures import scene
from tests.scoring.small_models import random_head, save_transformers_clip, shrink_clips

PROMPTS = ("a cat on a mat", "", "cat " * 500, "Ünïcödé 東京 😀")
CLIP_FILES = {"ViT-L-14": sources.OPENAI_L14, "ViT-L-14-336": sources.OPENAI_L14_336, "ViT-B-32": sources.OPENAI_B32,
              "ViT-B-16": sources.OPENAI_B16}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_clips(monkeypatch)


def images() -> list[Image.Image]:
    return [scene(64, seed=0), scene(80, 64, seed=1), scene(33, 90, seed=2), scene(200, 120, seed=3)]


def prepared(image: Image.Image, size: int = 64) -> torch.Tensor:
    """What transformers' processor of CLIP models makes of a picture."""
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    return processor(images=image, return_tensors="pt")["pixel_values"]


def loaded(name: str, folder: Path, **options: Any) -> Any:
    scorer = scorer_row(name).build(options, folder)
    scorer.load("cpu")
    return scorer


def put_clip(folder: Path, model: str, seed: int = 0) -> Any:
    """Write the CLIP below a head into the models folder, under its published name."""
    (folder / "clip").mkdir(exist_ok=True)
    return save_transformers_clip(folder / "clip" / CLIP_FILES[model].file.name, seed=seed)


def put_head(folder: Path, name: str, shapes: Any = None, option: dict[str, Any] | None = None) -> dict[str, Any]:
    row = scorer_row(name)
    tensors = random_head((shapes or HEADS[name][1])(32))
    (folder / name).mkdir(exist_ok=True)
    file = row.build(option or {}, folder)._weights.file.name
    if file.endswith(".safetensors"):
        save_file(tensors, folder / name / file)
    else:
        torch.save(tensors, folder / name / file)
    return {key: tensor.numpy().astype(np.float64) for key, tensor in tensors.items()}


def test_pickscore_is_the_formula_of_its_readme(tmp_path: Path) -> None:
    """Their README, with transformers' own model and processor."""
    (tmp_path / "pickscore").mkdir()
    theirs = save_transformers_clip(tmp_path / "pickscore" / "PickScore_v1.safetensors", "gelu")
    scores = loaded("pickscore", tmp_path).score(images(), PROMPTS)
    read = load_open_clip().get_tokenizer("ViT-H-14")
    for image, prompt, score in zip(images(), PROMPTS, scores, strict=True):
        with torch.no_grad():
            image_embs = theirs.get_image_features(prepared(image))
            image_embs = image_embs / torch.norm(image_embs, dim=-1, keepdim=True)
            text_embs = theirs.get_text_features(read([prompt]))
            text_embs = text_embs / torch.norm(text_embs, dim=-1, keepdim=True)
            wanted = theirs.logit_scale.exp() * (text_embs @ image_embs.T)[0]
        assert score == pytest.approx(wanted.item(), abs=1e-3)
    assert len({round(score, 4) for score in scores}) == 4


def resize_max_size(image: Image.Image, size: int) -> torch.Tensor:
    """hpsv2 1.2.0's transform as numbers: fit the longer side, black bars left/right or above/below, normalise."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255
    scale = size / max(pixels.shape[1:])
    height, width = (round(n * scale) for n in pixels.shape[1:])
    if scale != 1:
        pixels = torch.nn.functional.interpolate(pixels[None], (height, width), mode="bicubic", antialias=True)[0]
    canvas = torch.zeros(3, size, size)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[:, top : top + height, left : left + width] = pixels
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.48145466, 0.4578275, 0.40821073],
                                                          [0.26862954, 0.26130258, 0.27577711]))  # fmt: skip
    return ((canvas - mean) / std)[None]


def test_hpsv2_is_the_cosine_of_the_whole_picture_with_bars(tmp_path: Path) -> None:
    theirs = build_network("ViT-H-14").eval()
    (tmp_path / "hpsv2").mkdir()
    file = {"state_dict": theirs.state_dict(), "epoch": 1}
    torch.save(file, tmp_path / "hpsv2" / "HPS_v2.1_compressed.pt")
    scorer = loaded("hpsv2", tmp_path)
    read = load_open_clip().get_tokenizer("ViT-H-14")
    for image, prompt, score in zip(images(), PROMPTS, scorer.score(images(), PROMPTS), strict=True):
        with torch.no_grad():
            seen = theirs.encode_image(resize_max_size(image, 64), normalize=True)
            said = theirs.encode_text(read([prompt]), normalize=True)
        assert score == pytest.approx((seen @ said.T).item(), abs=1e-6)
    # The bars are seen: a crop would make a wide picture and its middle the same.
    wide = scene(192, 64, seed=5)
    one, other = scorer.score([wide, wide.crop((64, 0, 128, 64))], ["a cat", "a cat"])
    assert one != other


@pytest.mark.parametrize("name", HEADS)
def test_a_head_computes_what_its_author_wrote(name: str, tmp_path: Path) -> None:
    """Embeddings of transformers' own model and processor, the head in numpy, against the scorer."""
    model, _, formula = HEADS[name]
    theirs = put_clip(tmp_path, model)
    tensors = put_head(tmp_path, name)
    scores = loaded(name, tmp_path).score(images(), [""] * 4)
    for image, score in zip(images(), scores, strict=True):
        with torch.no_grad():
            embedding = theirs.get_image_features(prepared(image))[0].numpy().astype(np.float64)
        assert score == pytest.approx(formula(tensors, embedding), abs=1e-4)
    assert len({round(score, 4) for score in scores}) > 1


def test_length_counts_for_cityaesthetics_only(tmp_path: Path) -> None:
    """Embeddings twice as long (a projection doubled) change the one head that takes them as they are."""
    for name, (model, _, _) in HEADS.items():
        put_head(tmp_path, name)
        before = put_clip(tmp_path, model).state_dict()
        one = loaded(name, tmp_path)
        longer = {**before, "visual_projection.weight": 2 * before["visual_projection.weight"]}
        save_file({k: v.contiguous() for k, v in longer.items()}, tmp_path / "longer.safetensors")
        other = loaded(name, tmp_path, backbone=str(tmp_path / "longer.safetensors"))
        same = one.score(images(), [""] * 4) == pytest.approx(other.score(images(), [""] * 4), abs=1e-5)
        assert same == (name != "cityaesthetics")


def test_options_choose_the_published_head_and_clip(tmp_path: Path) -> None:
    theirs = put_clip(tmp_path, "ViT-L-14")
    tensors = put_head(tmp_path, "laion2", relu_shapes, {"head": "ava+logos-reluMSE"})
    (score,) = loaded("laion2", tmp_path, head="ava+logos-reluMSE").score(images()[:1], [""])
    with torch.no_grad():
        embedding = theirs.get_image_features(prepared(images()[0]))[0].numpy().astype(np.float64)
    assert score == pytest.approx(relu(tensors, embedding), abs=1e-4)
    put_clip(tmp_path, "ViT-B-16", seed=3)
    put_head(tmp_path, "laion1", option={"clip": "ViT-B-16"})
    assert len(loaded("laion1", tmp_path, clip="ViT-B-16").score(images(), [""] * 4)) == 4
    put_head(tmp_path, "laion1", option={"clip": "ViT-B-32"})
    with pytest.raises(ScorerError, match="needs the file clip-vit-base-patch32"):
        loaded("laion1", tmp_path, clip="ViT-B-32")


def test_files_of_ones_own(tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-L-14")
    put_head(tmp_path, "waifu")
    wanted = loaded("waifu", tmp_path).score(images(), [""] * 4)
    (tmp_path / "waifu" / "waifu-scorer-v3.safetensors").rename(tmp_path / "mine.safetensors")
    (tmp_path / "clip" / "clip-vit-large-patch14.safetensors").rename(tmp_path / "clip.safetensors")
    own = {"weights": str(tmp_path / "mine.safetensors"), "backbone": str(tmp_path / "clip.safetensors")}
    assert loaded("waifu", tmp_path, **own).score(images(), [""] * 4) == wanted
    assert scorer_problems(ScorerSpec("waifu", options=own), tmp_path) == []
    told = [p.sentence for p in scorer_problems(ScorerSpec("waifu"), tmp_path)]
    assert [s.split(" needs the file ")[1].split(" ")[0] for s in told] == [
        "waifu-scorer-v3.safetensors",
        "clip-vit-large-patch14.safetensors",
    ]


def test_a_clip_in_open_clips_layout_serves_too(tmp_path: Path) -> None:
    theirs = put_clip(tmp_path, "ViT-L-14")
    put_head(tmp_path, "chad")
    wanted = loaded("chad", tmp_path).score(images(), [""] * 4)
    tensors = {**from_transformers(theirs.state_dict()), "input_resolution": torch.tensor(64)}
    torch.save(tensors, tmp_path / "converted.pt")
    assert loaded("chad", tmp_path, backbone=str(tmp_path / "converted.pt")).score(images(), [""] * 4) == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers.0.weight": None}, r"chadscorer.pth lacks the matrix 'layers.0.weight'"),
        ({"layers.4.bias": None}, r"chadscorer.pth lacks 'layers.4.bias'"),
        ({"layers.9.weight": torch.zeros(1)}, r"has the unknown 'layers.9.weight'"),
        ({"layers.6.weight": torch.zeros(2, 2)}, r"has another shape for 'layers.6.weight'"),
        ({"layers.6.bias": torch.full((16,), float("nan"))}, r"'layers.6.bias' in chadscorer.pth is not finite"),
        ({"layers.0.weight": torch.zeros(1024, 48)}, r"its head reads 48 numbers per image, but ViT-L-14-quickgelu "),
    ],
)
def test_the_file_of_another_head_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-L-14")
    put_head(tmp_path, "chad")
    tensors = {**random_head(HEADS["chad"][1](32)), **change}
    torch.save({k: v for k, v in tensors.items() if v is not None}, tmp_path / "chad" / "chadscorer.pth")
    with pytest.raises(ScorerError, match=words) as caught:
        loaded("chad", tmp_path).score(images(), [""] * 4)
    assert "\n" not in str(caught.value)


def test_a_head_is_no_clip_and_a_clip_no_head(tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-B-32")
    put_head(tmp_path, "wdaes")
    head, clip = tmp_path / "wdaes" / "aes-B32-v0.pth", tmp_path / "clip" / "clip-vit-base-patch32.bin"
    with pytest.raises(ScorerError, match=r"lacks the matrix 'fc1\.weight'"):
        loaded("wdaes", tmp_path, weights=str(clip))
    with pytest.raises(ScorerError, match=r"aes-B32-v0\.pth lacks '"):
        loaded("wdaes", tmp_path, backbone=str(head))


def test_a_pickled_head_names_the_file_to_take_instead(tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-L-14")
    (tmp_path / "waifu.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(ScorerError, match=r"take model\.safetensors of huggingface\.co/Eugeoter/waifu-scorer-v3"):
        loaded("waifu", tmp_path, weights=str(tmp_path / "waifu.pkl"))


def test_scores_that_are_no_numbers_name_the_image(tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-L-14")
    put_head(tmp_path, "laion1")
    scorer = loaded("laion1", tmp_path)
    with torch.no_grad():
        scorer._network.visual.proj.fill_(float("inf"))
    with pytest.raises(ScorerError, match="LAION aesthetic v1 gave nan for image 1, which is no score"):
        scorer.score(images()[:1], [""])
    with pytest.raises(ScorerError, match="was given 4 images and 1 prompts"):
        scorer.score(images(), [""])


def test_waifu_scores_are_cut_as_its_author_cuts_them(tmp_path: Path) -> None:
    put_clip(tmp_path, "ViT-L-14")
    for bias, wanted in ((100.0, 10.0), (-100.0, 0.0)):
        tensors = random_head(HEADS["waifu"][1](32))
        tensors = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}  # some files lack them
        tensors["layers.18.bias"] = torch.tensor([bias])
        save_file(tensors, tmp_path / "w.safetensors")
        assert loaded("waifu", tmp_path, weights=str(tmp_path / "w.safetensors")).score(images()[:1], [""]) == [wanted]
