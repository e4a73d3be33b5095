# ruff: noqa: SIM118 - live weights are no mapping
"""The table from checkpoint keys to diffusers' tensors at full size, and small models of both architectures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_optim.hosts.originals import same_bits
from lib_optim.hosts.standalone import StandaloneHost, demo
from lib_optim.hosts.standalone.model import live_table, load_model, skeleton
from lib_optim.hosts.standalone.parts import PARTS
from lib_optim.hosts.standalone.samplers import build_scheduler, sampler_row
from lib_optim.plan.architectures import ARCHITECTURES, Architecture
from lib_optim.plan.errors import HostError
from tests.checkpoints import checkpoint_shapes, make_checkpoint
from tests.hosts.standalone.conftest import job_of, pixels

# Millions of parameters of the published models: CLIP ViT-L and ViT-bigG text towers, UNets, VAE.
PARAMETERS = {
    "sd1": {"text_encoder": 123.1, "unet": 859.5, "vae": 83.7},
    "sdxl": {"text_encoder": 123.1, "text_encoder_2": 694.7, "unet": 2567.5, "vae": 83.7},
}
UNMAPPED = {"sd1": set(), "sdxl": {"conditioner.embedders.1.model.logit_scale"}}


def architecture(name: str) -> Architecture:
    return next(row for row in ARCHITECTURES if row.id == name)


def full_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The floating keys of the components, with their real shapes, from sd-mecha's list."""
    from sd_mecha.extensions import model_configs

    keys = model_configs.resolve({"sd1": "sd1-ldm", "sdxl": "sdxl-sgm"}[name]).keys()
    row = architecture(name)
    return {
        key: tuple(info.shape)
        for key, info in keys.items()
        if row.component_of(key) is not None and info.dtype.is_floating_point
    }


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_every_key_of_the_real_files_has_its_place(name: str) -> None:
    shapes = full_shapes(name)
    modules = skeleton(shapes, name)
    sizes = {part: round(sum(p.numel() for p in module.parameters()) / 1e6, 1) for part, module in modules.items()}
    assert sizes == PARAMETERS[name]
    table = live_table(shapes, architecture(name), modules)
    assert set(table.unmapped) == UNMAPPED[name]
    assert table.unfed == ()
    assert set(table.sources) | UNMAPPED[name] == set(shapes)
    live = {f"{part}.{n}": t.shape for part, module in modules.items() for n, t in module.named_parameters()}
    fed = [target.name for _, target in table.targets()]
    assert sorted(fed) == sorted(live), "every parameter is fed exactly once"
    for key, target in table.targets():
        assert target.transform.source == shapes[key]
        assert target.transform.shape == tuple(live[target.name])


def test_the_hard_places_of_sdxl() -> None:
    shapes = full_shapes("sdxl")
    table = live_table(shapes, architecture("sdxl"), skeleton(shapes, "sdxl"))
    big = "conditioner.embedders.1.model."
    fused = table.sources[f"{big}transformer.resblocks.31.attn.in_proj_weight"].targets
    layer = "text_encoder_2.text_model.encoder.layers.31.self_attn"
    assert [(t.name, t.transform.begin, t.transform.end) for t in fused] == [
        (f"{layer}.q_proj.weight", 0, 1280),
        (f"{layer}.k_proj.weight", 1280, 2560),
        (f"{layer}.v_proj.weight", 2560, 3840),
    ]
    (projection,) = table.sources[f"{big}text_projection"].targets
    assert projection.name == "text_encoder_2.text_projection.weight"
    assert projection.transform.transposed
    (attention,) = table.sources["first_stage_model.decoder.mid.attn_1.proj_out.weight"].targets
    assert attention.name == "vae.decoder.mid_block.attentions.0.to_out.0.weight"
    assert (attention.transform.source, attention.transform.shape) == ((512, 512, 1, 1), (512, 512))


def test_the_demo_has_the_real_key_list() -> None:
    shapes = demo.demo_shapes()
    real = checkpoint_shapes("sd1")
    row = architecture("sd1")
    expected = {key for key, (_, kind) in real.items() if row.component_of(key) and kind == "float32"}
    differ = set(shapes) ^ expected
    # A block has a shortcut where its width changes, and the demo's widths change elsewhere.
    assert all(".nin_shortcut." in key or ".0.skip_connection." in key for key in differ)
    assert len(differ) == 16
    assert all(len(shapes[key]) == len(real[key][0]) for key in set(shapes) & expected)


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of small SDXL files that generate: whole vocabulary, and a size embedding that the pooled prompt fits."""
    folder = tmp_path_factory.mktemp("xl")
    for name, seed in (("a", 1), ("b", 2)):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int, generator: torch.Generator = generator) -> torch.Tensor:
            return (torch.randn(shape, generator=generator) * 0.1).half()

        make_checkpoint(
            folder / f"{name}.safetensors", "sdxl", seed, width=32,
            replace={
                "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": random(49408, 64),
                "conditioner.embedders.1.model.token_embedding.weight": random(49408, 128),
                "model.diffusion_model.label_emb.0.0.weight": random(128, 128 + 6 * 16),
            },
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def xl_host(xl_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> StandaloneHost:
    host = StandaloneHost(tmp_path_factory.mktemp("data"), xl_folder, device="cpu")
    with host.exclusive():
        host.load(host.checkpoints()[0])
    return host


def test_sdxl_swaps_every_part_and_comes_back(xl_host: StandaloneHost, xl_folder: Path) -> None:
    a, b = (load_file(xl_folder / f"{name}.safetensors") for name in "ab")
    parts = {
        "unet": "model.diffusion_model.", "clip": "conditioner.embedders.0.", "bigg": "conditioner.embedders.1.",
        "vae": "first_stage_model.", "projection": "conditioner.embedders.1.model.text_projection",
    }  # fmt: skip
    base, other = xl_host.checkpoints()
    with xl_host.exclusive():
        image = pixels(xl_host, steps=1)
        session = xl_host.open_session(base, frozenset({"unet", "text_encoder", "vae"}))
        assert "conditioner.embedders.1.model.logit_scale" in session.unmapped()
        assert any(key.endswith("position_ids") for key in session.unmapped())
        for part, prefix in parts.items():
            with session.live_weights() as live:
                for key in live.keys():
                    assert same_bits(live.read(key), a[key].to(live.dtype_of(key)))
                    if key.startswith(prefix):
                        live.write(key, b[key])
                        assert same_bits(live.read(key), b[key].to(live.dtype_of(key)))
                assert pixels(xl_host, steps=1) != image, part
            assert pixels(xl_host, steps=1) == image, part
        with session.live_weights() as live:
            for key in live.keys():
                live.write(key, b[key])
            swapped = pixels(xl_host, steps=1)
        session.close()
        xl_host.load(other)
        assert pixels(xl_host, steps=1) == swapped
        xl_host.load(base)


def test_sdxl_reads_size_and_skips_layers(xl_host: StandaloneHost) -> None:
    with xl_host.exclusive():
        image = pixels(xl_host)
        assert pixels(xl_host, clip_skip=2) == image, "the last but one layer is SDXL's default"
        assert pixels(xl_host, clip_skip=3) != image
        assert pixels(xl_host, prompt="another") != image
        wide = pixels(xl_host, width=96)
        assert len(wide) == 96 * 64 * 3


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_the_loop_agrees_with_diffusers_own_pipeline(name: str, demo_folder: Path, xl_folder: Path) -> None:
    """Same embeddings, noise and scheduler: guidance, scaling, size conditioning and decoding are diffusers' own."""
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    from lib_optim.hosts.base import Checkpoint
    from lib_optim.hosts.standalone.encode import encode
    from lib_optim.hosts.standalone.pipeline import generate_image

    path = {"sd1": demo_folder / "demo-a.safetensors", "sdxl": xl_folder / "a.safetensors"}[name]
    single = torch.float32
    model = load_model(
        Checkpoint(path.name, path), torch.device("cpu"), {"unet": single, "text_encoder": single, "vae": single}
    )
    job = job_of(prompt="a (red:1.3) fox", negative_prompt="blur", sampler_name="Euler", steps=4)
    ours = generate_image(model, job, lambda *_: None)
    scheduler = build_scheduler(sampler_row("Euler"), "", model.prediction, model.zero_terminal_snr)
    with torch.no_grad():
        positive = encode(model, job.payload.prompt, 1)
        negative = encode(model, job.payload.negative_prompt, 1, negative=True)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(job.seed))
    given = {
        "prompt_embeds": positive.context, "negative_prompt_embeds": negative.context, "latents": noise, "width": 64,
        "height": 64, "num_inference_steps": 4, "guidance_scale": job.payload.cfg_scale,
    }  # fmt: skip
    common = {"tokenizer": None, "scheduler": scheduler, "feature_extractor": None, **model.modules}
    if name == "sd1":
        pipe = StableDiffusionPipeline(**common, safety_checker=None, requires_safety_checker=False)
    else:
        pipe = StableDiffusionXLPipeline(**common, tokenizer_2=None, add_watermarker=False)
        given |= {"pooled_prompt_embeds": positive.pooled, "negative_pooled_prompt_embeds": negative.pooled}
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(**given).images[0]
    one, two = (torch.tensor(list(image.convert("RGB").tobytes())).float() for image in (ours, theirs))
    assert (one - two).abs().max() <= 1


def test_v_prediction_only_if_the_file_says_so(demo_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_file(demo_folder / "demo-a.safetensors")
    save_file(tensors, tmp_path / "eps.safetensors")
    save_file({**tensors, "v_pred": torch.zeros(1)}, tmp_path / "v.safetensors")
    save_file({**tensors, "v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, tmp_path / "zero.safetensors")
    host = StandaloneHost(tmp_path / "data", tmp_path, device="cpu")
    images = {}
    with host.exclusive():
        for checkpoint in host.checkpoints():
            host.load(checkpoint)
            images[checkpoint.title] = pixels(host, steps=3)
        assert host.model().zero_terminal_snr
        with pytest.raises(HostError, match="zero terminal SNR"):
            pixels(host, sampler_name="LMS")
    assert len(set(images.values())) == 3


def test_every_architecture_of_the_host_is_known() -> None:
    assert set(PARTS) <= {row.id for row in ARCHITECTURES if row.block_map}
