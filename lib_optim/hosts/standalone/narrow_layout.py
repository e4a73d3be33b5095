"""The tensors of a narrow Stable Diffusion 1: its key names and its 12/1/12 blocks, in widths of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CLIP", "LATENT", "POSITIONS", "UNET", "VAE", "NarrowLayout", "Shape"]

UNET, CLIP, VAE = "model.diffusion_model.", "cond_stage_model.transformer.text_model.", "first_stage_model."
CLIP_LAYERS, VOCABULARY, POSITIONS = 12, 49408, 77
LATENT = 4

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NarrowLayout:
    """Widths of a checkpoint. Group norms have 32 groups, so that widths are multiples of 32.

    Attributes:
        unet: Of the UNet's four levels.
        vae: Of the VAE's four levels.
        context: Of the text encoder.
    """

    unet: tuple[int, int, int, int]
    vae: tuple[int, int, int, int]
    context: int

    @property
    def time(self) -> int:
        """Width of the time embedding: four times the first level's, as everywhere."""
        return 4 * self.unet[0]

    def shapes(self) -> dict[str, Shape]:
        """Return key to shape, in LDM names."""
        return {**dict(self._clip()), **dict(self._vae()), **dict(self._unet())}

    def _clip(self) -> Iterator[tuple[str, Shape]]:
        width = self.context
        yield f"{CLIP}embeddings.token_embedding.weight", (VOCABULARY, width)
        yield f"{CLIP}embeddings.position_embedding.weight", (POSITIONS, width)
        for i in range(CLIP_LAYERS):
            layer = f"{CLIP}encoder.layers.{i}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                yield from _both(f"{layer}.self_attn.{name}", width, width)
            yield from _both(f"{layer}.layer_norm1", width)
            yield from _both(f"{layer}.layer_norm2", width)
            yield from _both(f"{layer}.mlp.fc1", 4 * width, width)
            yield from _both(f"{layer}.mlp.fc2", width, 4 * width)
        yield from _both(f"{CLIP}final_layer_norm", width)

    def _vae(self) -> Iterator[tuple[str, Shape]]:
        top, bottom = self.vae[0], self.vae[-1]
        yield from _both(f"{VAE}encoder.conv_in", top, 3, 3, 3)
        width = top
        for i, out in enumerate(self.vae):
            for j in range(2):
                yield from self._vae_resnet(f"{VAE}encoder.down.{i}.block.{j}", width, out)
                width = out
            if i < len(self.vae) - 1:
                yield from _both(f"{VAE}encoder.down.{i}.downsample.conv", width, width, 3, 3)
        yield from self._vae_middle(f"{VAE}encoder.mid", bottom)
        yield from _both(f"{VAE}encoder.norm_out", bottom)
        yield from _both(f"{VAE}encoder.conv_out", 2 * LATENT, bottom, 3, 3)
        yield from _both(f"{VAE}quant_conv", 2 * LATENT, 2 * LATENT, 1, 1)
        yield from _both(f"{VAE}post_quant_conv", LATENT, LATENT, 1, 1)
        yield from _both(f"{VAE}decoder.conv_in", bottom, LATENT, 3, 3)
        yield from self._vae_middle(f"{VAE}decoder.mid", bottom)
        for i, out in reversed(list(enumerate(self.vae))):
            for j in range(3):
                yield from self._vae_resnet(f"{VAE}decoder.up.{i}.block.{j}", width, out)
                width = out
            if i > 0:
                yield from _both(f"{VAE}decoder.up.{i}.upsample.conv", width, width, 3, 3)
        yield from _both(f"{VAE}decoder.norm_out", top)
        yield from _both(f"{VAE}decoder.conv_out", 3, top, 3, 3)

    def _vae_middle(self, key: str, width: int) -> Iterator[tuple[str, Shape]]:
        yield from self._vae_resnet(f"{key}.block_1", width, width)
        yield from _both(f"{key}.attn_1.norm", width)
        for name in ("q", "k", "v", "proj_out"):
            yield from _both(f"{key}.attn_1.{name}", width, width, 1, 1)
        yield from self._vae_resnet(f"{key}.block_2", width, width)

    def _vae_resnet(self, key: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
        yield from _both(f"{key}.norm1", width)
        yield from _both(f"{key}.conv1", out, width, 3, 3)
        yield from _both(f"{key}.norm2", out)
        yield from _both(f"{key}.conv2", out, out, 3, 3)
        if width != out:
            yield from _both(f"{key}.nin_shortcut", out, width, 1, 1)

    def _unet(self) -> Iterator[tuple[str, Shape]]:
        top, bottom = self.unet[0], self.unet[-1]
        yield from _both(f"{UNET}time_embed.0", self.time, top)
        yield from _both(f"{UNET}time_embed.2", self.time, self.time)
        yield from _both(f"{UNET}input_blocks.0.0", top, LATENT, 3, 3)
        block, width = 1, top
        for i, out in enumerate(self.unet):
            attention = i < len(self.unet) - 1
            for _ in range(2):
                yield from self._unet_block(f"{UNET}input_blocks.{block}", width, out, attention)
                width, block = out, block + 1
            if attention:
                yield from _both(f"{UNET}input_blocks.{block}.0.op", width, width, 3, 3)
                block += 1
        yield from self._unet_resnet(f"{UNET}middle_block.0", bottom, bottom)
        yield from self._unet_attention(f"{UNET}middle_block.1", bottom)
        yield from self._unet_resnet(f"{UNET}middle_block.2", bottom, bottom)
        skips = list(self.skip_widths())
        block = 0
        for i, out in reversed(list(enumerate(self.unet))):
            attention = i < len(self.unet) - 1
            for j in range(3):
                yield from self._unet_block(f"{UNET}output_blocks.{block}", width + skips.pop(), out, attention)
                width = out
                if i > 0 and j == 2:
                    yield from _both(f"{UNET}output_blocks.{block}.{1 + attention}.conv", width, width, 3, 3)
                block += 1
        yield from _both(f"{UNET}out.0", top)
        yield from _both(f"{UNET}out.2", LATENT, top, 3, 3)

    def skip_widths(self) -> Iterator[int]:
        """Channels of each input block's output, which the output blocks take in reverse order."""
        yield self.unet[0]
        for i, width in enumerate(self.unet):
            yield from (width, width)
            if i < len(self.unet) - 1:
                yield width

    def _unet_block(self, key: str, width: int, out: int, attention: bool) -> Iterator[tuple[str, Shape]]:
        yield from self._unet_resnet(f"{key}.0", width, out)
        if attention:
            yield from self._unet_attention(f"{key}.1", out)

    def _unet_resnet(self, key: str, width: int, out: int) -> Iterator[tuple[str, Shape]]:
        yield from _both(f"{key}.in_layers.0", width)
        yield from _both(f"{key}.in_layers.2", out, width, 3, 3)
        yield from _both(f"{key}.emb_layers.1", out, self.time)
        yield from _both(f"{key}.out_layers.0", out)
        yield from _both(f"{key}.out_layers.3", out, out, 3, 3)
        if width != out:
            yield from _both(f"{key}.skip_connection", out, width, 1, 1)

    def _unet_attention(self, key: str, width: int) -> Iterator[tuple[str, Shape]]:
        yield from _both(f"{key}.norm", width)
        yield from _both(f"{key}.proj_in", width, width, 1, 1)
        inner = f"{key}.transformer_blocks.0"
        for name, context in (("attn1", width), ("attn2", self.context)):
            yield f"{inner}.{name}.to_q.weight", (width, width)
            yield f"{inner}.{name}.to_k.weight", (width, context)
            yield f"{inner}.{name}.to_v.weight", (width, context)
            yield from _both(f"{inner}.{name}.to_out.0", width, width)
        yield from _both(f"{inner}.ff.net.0.proj", 8 * width, width)
        yield from _both(f"{inner}.ff.net.2", width, 4 * width)
        for name in ("norm1", "norm2", "norm3"):
            yield from _both(f"{inner}.{name}", width)
        yield from _both(f"{key}.proj_out", width, width, 1, 1)


def _both(key: str, *weight: int) -> Iterator[tuple[str, Shape]]:
    yield f"{key}.weight", weight
    yield f"{key}.bias", weight[:1]
