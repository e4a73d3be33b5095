"""BLIP-ITM against transformers' BlipForImageTextRetrieval, on small random weights saved as its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lib_optim.plan.errors import ScorerError
from lib_optim.plan.scorers import ScorerSpec
from lib_optim.scoring.blipitm import BlipScorer, _original_names, sizes_of
from lib_optim.scoring.check import scorer_problems
from lib_optim.scoring.wordpiece import WordPiece
from tests.scoring.pictures import scene
from tests.scoring.test_vit import shaken
from tests.scoring.test_wordpiece import vocabulary

PROMPTS = ["a cat", "", "a painting of an ocean, " * 30, "a dog on the hill"]
IMAGES = [scene(50, 40, seed=s) for s in range(4)]


def itm(folder: Path, seed: int = 0, **more: Any) -> Any:
    """Write model.safetensors and vocab.txt of a small network into `folder`; return transformers' own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    vision = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"hidden_size": 64, "encoder_hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 2}
    words = {"num_attention_heads": 1, "vocab_size": len(vocabulary()) + 2, "max_position_embeddings": 64}
    config = transformers.BlipConfig(
        text_config={**text, **words}, image_text_hidden_size=16,
        vision_config={**vision, "image_size": 64, "layer_norm_eps": 1e-6, **more},
    )  # fmt: skip
    model = shaken(transformers.BlipForImageTextRetrieval(config), seed)
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "model.safetensors")
    return model


def loaded(folder: Path) -> BlipScorer:
    scorer = BlipScorer(folder)
    scorer.load("cpu")
    return scorer


def test_it_is_transformers_own(tmp_path: Path) -> None:
    original = itm(tmp_path)
    scores = loaded(tmp_path).score(IMAGES, PROMPTS)
    processor = transformers.BlipImageProcessor(size={"height": 64, "width": 64})
    tokenizer = WordPiece.from_file(tmp_path / "vocab.txt", ("[DEC]", "[ENC]"))
    for image, prompt, score in zip(IMAGES, PROMPTS, scores, strict=True):
        ids, mask = (torch.tensor([row]) for row in tokenizer.encode(prompt, 35))
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            answer = original(ids, pixels, attention_mask=mask).itm_score
        assert score == pytest.approx(float(answer.softmax(-1)[0, 1]), abs=1e-5)
    assert np.ptp(scores) > 1e-3


def test_the_original_names_serve_too(tmp_path: Path) -> None:
    itm(tmp_path / "a")
    scores = loaded(tmp_path / "a").score(IMAGES, PROMPTS)
    tensors = _original_names(load_file(tmp_path / "a" / "model.safetensors"))
    assert "visual_encoder.blocks.0.attn.qkv.weight" in tensors
    (tmp_path / "b").mkdir()
    torch.save({"model": tensors}, tmp_path / "b" / "pytorch_model.bin")
    (tmp_path / "b" / "vocab.txt").write_bytes((tmp_path / "a" / "vocab.txt").read_bytes())
    assert loaded(tmp_path / "b").score(IMAGES, PROMPTS) == scores


@pytest.mark.parametrize(("width", "depth", "heads"), [(768, 12, 12), (1024, 24, 16)])
def test_the_published_shapes(width: int, depth: int, heads: int) -> None:
    with torch.device("meta"):
        layers = {"num_hidden_layers": depth, "num_attention_heads": heads}
        vision = {"hidden_size": width, "intermediate_size": 4 * width, **layers}
        config = transformers.BlipConfig(vision_config=vision, text_config={"encoder_hidden_size": width})
        tensors = _original_names(transformers.BlipForImageTextRetrieval(config).state_dict())
        sizes = sizes_of(tensors, Path("x"))
        from lib_optim.scoring.blip import Towers

        ours = Towers(sizes).state_dict()
    assert (sizes.image, sizes.vision_heads, sizes.text_heads, sizes.vocabulary) == (384, heads, 12, 30524)
    theirs = {name: t.shape for name, t in tensors.items() if name.startswith(("visual_encoder", "text_encoder"))}
    assert theirs == {name: t.shape for name, t in ours.items()}


def test_bad_files_have_their_sentence(tmp_path: Path) -> None:
    itm(tmp_path)
    path = tmp_path / "model.safetensors"
    good = load_file(path)
    some = "vision_model.encoder.layers.1.mlp.fc1.weight"
    for change, words in (
        ({some: None}, r"model\.safetensors lacks 'visual_encoder\.blocks\.1\.mlp\.fc1\.weight'"),
        ({"extra": torch.zeros(1)}, r"has the unknown 'extra'"),
        ({some: torch.zeros(2, 2)}, r"has another shape for 'visual_encoder\.blocks\.1\.mlp\.fc1\.weight'"),
        ({"itm_head.bias": torch.tensor([0.0, float("inf")])}, "is not finite; the file is damaged"),
        ({"vision_model.embeddings.position_embedding": None}, "lacks BLIP's tensors"),
    ):
        save_file({n: t for n, t in {**good, **change}.items() if t is not None}, path)
        with pytest.raises(ScorerError, match=words):
            loaded(tmp_path)
    save_file(good, path)
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary()[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(ScorerError, match=r"it must be the vocab\.txt of bert-base-uncased"):
        loaded(tmp_path)


def test_missing_files_are_told_before_the_run_unless_they_may_be_downloaded(tmp_path: Path) -> None:
    told = [problem.sentence for problem in scorer_problems(ScorerSpec("blip-itm"), tmp_path)]
    assert [text.split("the file ")[1].split()[0] for text in told] == ["model.safetensors", "vocab.txt,"]
    assert scorer_problems(ScorerSpec("blip-itm", options={"download": True}), tmp_path) == []
