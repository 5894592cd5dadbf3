"""Attention between tokens, feed-forward layers, and the small building blocks of the decoders.

Shapes: B batch, Q queries, K keys, D width, H heads. Every layer is post-norm: attention or feed-forward,
residual, norm (method: BEVFormer and VAD).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with a residual connection, `query + output(attention)`.

    Positions are added to queries and keys, never to values.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        query_BQD: Tensor,
        query_position_BQD: Tensor,
        key_BKD: Tensor | None = None,
        key_position_BKD: Tensor | None = None,
    ) -> Tensor:
        """Attends to `key` (to the queries themselves when None). Returns [B, Q, D], residual included."""
        width = query_BQD.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        positioned = query_BQD + query_position_BQD
        if key_BKD is None:
            q, k = F.linear(positioned, weight[: 2 * width], bias[: 2 * width]).chunk(2, dim=-1)
            v = F.linear(query_BQD, weight[2 * width :], bias[2 * width :])
        else:
            keys = key_BKD if key_position_BKD is None else key_BKD + key_position_BKD
            q = F.linear(positioned, weight[:width], bias[:width])
            k = F.linear(keys, weight[width : 2 * width], bias[width : 2 * width])
            v = F.linear(key_BKD, weight[2 * width :], bias[2 * width :])
        q, k, v = self.split_heads(q), self.split_heads(k), self.split_heads(v)
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.merge(attended, query_BQD)

    def split_heads(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] to [B, H, T, D / H]."""
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def merge(self, attended_BHQd: Tensor, query_BQD: Tensor) -> Tensor:
        """Joins the heads, projects, and adds the residual."""
        projected = self.output(attended_BHQd.transpose(1, 2).flatten(2))
        return query_BQD + F.dropout(projected, self.dropout, self.training)


class FeedForward(nn.Module):
    """`x + contract(relu(expand(x)))`."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        for layer in (self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.dropout(F.relu_(self.expand(x)), self.dropout, self.training)
        return x + F.dropout(self.contract(hidden), self.dropout, self.training)


class InteractionLayer(nn.Module):
    """Cross-attention, norm, feed-forward, norm: how motion and planner read other tokens."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)

    def forward(
        self,
        query_BQD: Tensor,
        query_position_BQD: Tensor,
        key_BKD: Tensor | None = None,
        key_position_BKD: Tensor | None = None,
    ) -> Tensor:
        return self.after_attention(self.attention(query_BQD, query_position_BQD, key_BKD, key_position_BKD))

    def after_attention(self, x_BQD: Tensor) -> Tensor:
        """Everything behind the attention's residual."""
        return self.feed_forward_norm(self.feed_forward(self.attention_norm(x_BQD)))


def relu_mlp(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Linear, ReLU, Linear, ReLU, Linear: the regression heads."""
    return nn.Sequential(
        nn.Linear(width_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width_out)
    )


def norm_mlp(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Twice (Linear, LayerNorm, ReLU), then Linear: the classification heads."""
    return nn.Sequential(
        nn.Linear(width_in, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, width_out),
    )


def exact(layer: nn.Module, x: Tensor) -> Tensor:
    """Runs a layer in float32, under autocast too: for whatever carries coordinates."""
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def run_head(head: nn.Module, x: Tensor) -> Tensor:
    """Runs a head (a chain) in its own types: hidden layers as cast, the last layer and its result in float32."""
    *hidden, last = head.children()
    x = x.to(next(head.parameters()).dtype)
    for layer in hidden:
        x = layer(x)
    return exact(last, x)


def set_prior_probability(head: nn.Sequential, probability: float = 0.01) -> nn.Sequential:
    """Biases a classification head so that everything starts out improbable (focal loss paper, section 4.1)."""
    last = head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, -math.log((1 - probability) / probability))
    return head


def inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Logit of x, with both x and 1 - x kept above `eps` (the released code's form)."""
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))
