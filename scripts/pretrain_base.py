"""Pretrain the base model ``tinker-lite/english-bytes`` and write its quantised weights.

    python -m scripts.pretrain_base --work-dir DIR [--minutes 40] [--forbid FILE]

Needs torch and a Debian machine (the corpus is taken from Debian packages; ``pretrain_corpus.py``
names them). Only the weights ship. The learning rate follows the share of the time that has
passed, so the run ends when it says; the weights file is replaced every few minutes and is
usable from the first time on.
"""

from __future__ import annotations

import argparse
import io
import math
import time
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from scripts.pretrain_corpus import build_corpus, fetch_packages
from tinker_lite.local.base_models import ENGLISH_BYTES_SHAPE as SHAPE
from tinker_lite.local.base_models import WEIGHTS_PATH
from tinker_lite.local.layers import head_slopes
from tinker_lite.local.transformer import UNEMBEDDING, weight_sizes

Parameters = dict[str, torch.Tensor]

N_TOKENS = 256  # per training window; the position bias carries further than it was trained
N_WINDOWS = 16  # per step
WARMUP_SHARE = 0.01
WEIGHT_DECAY = 0.1
EXPORT_EVERY_S = 180.0
STEP = 0.3  # between the levels of a stored weight, of the root mean square of its row


def new_parameters(generator: torch.Generator) -> Parameters:
    """Draw the initial weights; embedding and unembedding are one matrix."""
    parameters: Parameters = {}
    for name, size in weight_sizes(SHAPE).items():
        if name == UNEMBEDDING:
            continue
        std = 0.02 if name == "embedding" else size[-1] ** -0.5
        if name.endswith(("output", "down")):
            std /= math.sqrt(2 * SHAPE.n_blocks)
        drawn = torch.randn(size, generator=generator) * std
        parameters[name] = torch.ones(size) if name.endswith("norm") else drawn
        parameters[name].requires_grad_()
    return parameters


def forward(p: Parameters, tokens: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return logits (B, T, V) for tokens (B, T); the torch twin of ``local.transformer``."""
    n_windows, n_tokens = tokens.shape

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.view(n_windows, n_tokens, SHAPE.n_heads, -1).transpose(1, 2)

    x = F.embedding(tokens, p["embedding"])
    for i in range(SHAPE.n_blocks):
        prefix = f"blocks.{i}."
        w = {name.removeprefix(prefix): p[name] for name in p if name.startswith(prefix)}
        y = F.layer_norm(x, (SHAPE.d_model,), w["attention_norm"])
        q, k, v = (heads(F.linear(y, w[name])) for name in ("query", "key", "value"))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), w["output"])
        y = F.linear(F.layer_norm(x, (SHAPE.d_model,), w["mlp_norm"]), w["up"])
        x = x + F.linear(y * torch.sigmoid(1.702 * y), w["down"])
    return F.linear(F.layer_norm(x, (SHAPE.d_model,), p["final_norm"]), p["embedding"])


def bias_tensor(n_tokens: int) -> torch.Tensor:
    """Return the attention bias (1, H, T, T) of the model under training."""
    slopes = torch.tensor(head_slopes(SHAPE.n_heads).tolist())[:, None, None]
    places = torch.arange(n_tokens)
    back = places[:, None] - places[None, :]
    return (-slopes * back).masked_fill(back < 0, -torch.inf)[None]


def windows(text: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut ``N_WINDOWS`` windows of one byte more than ``N_TOKENS`` at random places."""
    starts = torch.randint(0, len(text) - N_TOKENS - 1, (N_WINDOWS, 1), generator=generator)
    return text[starts + torch.arange(N_TOKENS + 1)]


def loss_of(p: Parameters, batch: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return the mean loss of next-byte prediction, in nats per byte."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(p, batch[:, :-1], bias)
    return F.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(p: Parameters, text: torch.Tensor, n_tokens: int) -> float:
    """Return the loss over the held-out text in windows of ``n_tokens``, in nats per byte."""
    n_windows = (len(text) - 1) // n_tokens
    starts = torch.arange(n_windows)[:, None] * n_tokens
    batch = text[starts + torch.arange(n_tokens + 1)]
    bias = bias_tensor(n_tokens)
    total = sum(
        loss_of(p, batch[i : i + N_WINDOWS], bias).item() * len(batch[i : i + N_WINDOWS])
        for i in range(0, n_windows, N_WINDOWS)
    )
    return total / n_windows


def learning_rate(peak: float, progress: float) -> float:
    """Return the rate at a share of the run: linear warm-up, then a cosine to zero."""
    warm = min(1.0, (progress + 1e-4) / WARMUP_SHARE)
    return peak * warm * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def quantised(p: Parameters) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of the weights file: matrices as int8 with a float16 scale per row.

    Some twenty levels of the 255 are in use, most weights in a few of them, which is what packs.
    With ten times as fine a step the file has twice the size, and the model's loss on a text it
    has not seen is lower by 0.012 nats per byte.
    """
    levels: dict[str, npt.NDArray[np.generic]] = {}
    floats: dict[str, npt.NDArray[np.generic]] = {}
    for name, tensor in p.items():
        value = tensor.detach().numpy()
        if value.ndim == 1:
            floats[name] = value
            continue
        scale = (STEP * np.sqrt(np.square(value).mean(axis=1, keepdims=True))).astype(np.float16)
        floats[f"{name}.scale"] = scale
        level = np.rint(value / scale.astype(np.float32))
        levels[f"{name}.int8"] = np.clip(level, -127, 127).astype(np.int8)
    return levels | floats  # alike next to alike packs better


def export(p: Parameters, path: Path) -> None:
    """Write the weights file, whole or not at all: an uncompressed .npz inside gzip.

    Weights hardly repeat each other; a matcher of strings told so (Z_FILTERED) packs them better
    by a tenth than the one that ``savez_compressed`` has.
    """
    plain = io.BytesIO()
    np.savez(plain, allow_pickle=False, **quantised(p))
    gzip = zlib.compressobj(9, wbits=31, memLevel=9, strategy=zlib.Z_FILTERED)
    part = path.with_suffix(".part")
    part.write_bytes(gzip.compress(plain.getvalue()) + gzip.flush())
    part.replace(path)
    print(f"wrote {path} ({path.stat().st_size:,} bytes)", flush=True)


def train(
    text: torch.Tensor, held_out: torch.Tensor, peak: float, minutes: float, path: Path
) -> None:
    """Train for the given time, writing the weights file on the way."""
    generator = torch.Generator().manual_seed(0)
    p = new_parameters(generator)
    matrices = [t for t in p.values() if t.ndim > 1]
    gains = [t for t in p.values() if t.ndim == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY},
              {"params": gains, "weight_decay": 0.0}]  # fmt: skip
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(
        groups, lr=0.0, betas=(0.9, 0.95), fused=True
    )
    bias = bias_tensor(N_TOKENS)
    started_s, next_export_s, step, progress = time.monotonic(), EXPORT_EVERY_S, 0, 0.0
    while progress < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(peak, progress)
        loss = loss_of(p, windows(text, generator), bias)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_([*matrices, *gains], 1.0)
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]  # torch types it in part
        optimizer.zero_grad()
        step += 1
        elapsed_s = time.monotonic() - started_s
        progress = elapsed_s / (60 * minutes)
        if elapsed_s >= next_export_s or progress >= 1.0:
            next_export_s += EXPORT_EVERY_S
            print(f"step {step}, {elapsed_s:.0f} s, {step * N_TOKENS * N_WINDOWS / elapsed_s:.0f} "
                  f"bytes/s, loss {loss.item():.3f}, held out {held_out_loss(p, held_out, 256):.4f}"
                  f", in windows of 1024 {held_out_loss(p, held_out, 1024):.4f}")  # fmt: skip
            export(p, path)


def main() -> None:
    """Fetch the corpus, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, required=True, help="for the unpacked packages")
    parser.add_argument("--minutes", type=float, default=40.0, help="length of the training")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="at its peak")
    parser.add_argument("--forbid", type=Path, help="a text the corpus must not contain")
    parser.add_argument("--output", type=Path, default=WEIGHTS_PATH)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    fetch_packages(args.work_dir)
    forbidden = args.forbid.read_text("utf-8") if args.forbid else ""
    corpus, held_out, n_dropped = build_corpus(args.work_dir, forbidden)
    print(f"{len(corpus):,} bytes, {len(held_out):,} held out, {n_dropped} paragraphs forbidden")
    tensors = [torch.frombuffer(bytearray(t), dtype=torch.uint8).long() for t in (corpus, held_out)]
    train(tensors[0], tensors[1], args.learning_rate, args.minutes, args.output)


if __name__ == "__main__":
    main()
