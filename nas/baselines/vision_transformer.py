"""The vision transformer (Dosovitskiy 2021, https://arxiv.org/abs/2010.11929): images as sequences of patches.

Patches become vectors, a class token goes before them, learnt positions are added, and what twelve encoder blocks
make of the token is classified. Weights start as in torchvision, after the paper's code: patches truncated normal
with variance 1 / fan-in, attention and hidden layers Xavier, positions normal with deviation 0.02, classifier zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.baselines.baseline import Baseline
from nas.baselines.sizes import Sizes

PATCH = 16  # this and what follows: ViT-B/16
HEAD_CHANNELS = 64  # a head's; their number follows from the channels
CHANNELS = 768
BLOCKS = 12
EXPANSION = 4
EPS = 1e-6


class VisionTransformer(nn.Module):
    """Images (batch, channels, height, width) -> logits (batch, classes).

    A patch is as large as the stem's stride, which small images make smaller. Images that are no multiple of it are
    padded with zeros all round, so that no pixel is lost.
    """

    def __init__(self, sizes: Sizes) -> None:
        """Make ViT-B/16, deeper or wider where the sizes say so, and draw its weights."""
        super().__init__()
        (patch,) = sizes.strides((PATCH,), canonical=224)
        channels = sizes.filters(CHANNELS, HEAD_CHANNELS)
        grid = -(-sizes.resolution // patch)
        padding = (grid * patch - sizes.resolution + 1) // 2
        self.class_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.patches = nn.Conv2d(sizes.channels, channels, patch, patch, padding)
        self.encoder = Encoder(channels, positions=grid**2 + 1, blocks=sizes.repeats(BLOCKS))
        self.classifier = nn.Linear(channels, sizes.classes)
        nn.init.trunc_normal_(self.patches.weight, std=(sizes.channels * patch**2) ** -0.5)
        for zeros in (self.patches.bias, self.classifier.weight, self.classifier.bias):
            assert zeros is not None
            nn.init.zeros_(zeros)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        x = self.patches(images).flatten(2).transpose(1, 2)  # (batch, patches, channels)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        logits: Tensor = self.classifier(self.encoder(tokens)[:, 0])
        return logits


class Encoder(nn.Module):
    """(batch, tokens, channels) -> the same shape: positions, blocks, and a last normalisation."""

    def __init__(self, channels: int, *, positions: int, blocks: int) -> None:
        """Make the blocks."""
        super().__init__()
        self.positions = nn.Parameter(torch.empty(1, positions, channels).normal_(std=0.02))
        self.blocks = nn.Sequential(*(EncoderBlock(channels) for _ in range(blocks)))
        self.norm = nn.LayerNorm(channels, eps=EPS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode the tokens."""
        encoded: Tensor = self.norm(self.blocks(tokens + self.positions))
        return encoded


class EncoderBlock(nn.Module):
    """(batch, tokens, channels) -> the same shape: attention and a hidden layer, each normalised and added."""

    def __init__(self, channels: int) -> None:
        """Make the layers."""
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels, eps=EPS)
        self.attention = Attention(channels)
        self.hidden_norm = nn.LayerNorm(channels, eps=EPS)
        expand, project = nn.Linear(channels, EXPANSION * channels), nn.Linear(EXPANSION * channels, channels)
        self.hidden = nn.Sequential(expand, nn.GELU(), project)
        for linear in (expand, project):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Add what attention, then what the hidden layer gives."""
        x = x + self.attention(self.attention_norm(x))
        result: Tensor = x + self.hidden(self.hidden_norm(x))
        return result


class Attention(nn.Module):
    """(batch, tokens, channels) -> the same shape: scaled dot-product attention of every token to all (Appendix A)."""

    def __init__(self, channels: int) -> None:
        """Make the projections; queries, keys and values are one of them."""
        super().__init__()
        self.num_heads = channels // HEAD_CHANNELS
        self.inputs = nn.Linear(channels, 3 * channels)
        self.outputs = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.inputs.weight)
        nn.init.zeros_(self.inputs.bias)
        nn.init.zeros_(self.outputs.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the heads' attention, projected."""
        heads = self.inputs(x).unflatten(2, (3, self.num_heads, HEAD_CHANNELS))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, HEAD_CHANNELS)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        result: Tensor = self.outputs(mixed.transpose(1, 2).flatten(2))
        return result


BASELINES: tuple[Baseline, ...] = (
    Baseline(
        "vit-b-16",
        "ViT-B/16",
        "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        2021,
        VisionTransformer,
        aliases=("vit_b_16", "vit-b/16"),
        torchvision="vit_b_16",
        top1_error=22.09,
        note="the paper prints 86 M parameters, as without classifier (85.8 M), the error of 384 pixels and no MACs; "
        "attention's products are 0.72 G of 17.56 G at 224 pixels",
    ),
)
