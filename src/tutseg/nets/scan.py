"""The selective scan of Mamba (Gu and Dao 2023) in plain PyTorch, and what VMamba (Liu et al. 2024) builds on it.

A state ``h`` of `N` numbers a channel runs along a sequence and decides by what it sees how much to keep (the
discretisation of Mamba's Eq. 4, with Euler's rule for B as in its code)::

    h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t u_t        y_t = C_t h_t

The published code needs a CUDA kernel. Here time is a loop, and all else (pictures, directions, channels, states) one
vector; on a CPU that beats a parallel scan. Time goes in chunks: only the state at the start of each is kept, and the
way back computes the chunk again, so that nothing of the size time x channels x states is ever stored. Always float32
or float64: products of many factors do not bear half precision.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK = 32  # steps


def _run(factors: Sequence[Tensor], terms: Sequence[Tensor], state: Tensor) -> Tensor:
    """``h = factor h + term``, step by step, each written over its term; returns the last one."""
    for factor, term in zip(factors, terms, strict=True):
        state = term.addcmul_(factor, state)
    return state


def _apply(states: Tensor, weights: Tensor) -> Tensor:
    """Sum over states: ``(..., D, N)`` and ``(..., N)`` to ``(..., D)``."""
    return (states @ weights[..., None])[..., 0]


class _Scan(torch.autograd.Function):
    """`selective_scan` with its reverse and its forward derivative."""

    @staticmethod
    def forward(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        state, starts, y = u.new_zeros(*u.shape[1:], a.shape[-1]), [], []
        for u_t, delta_t, b_t, c_t in zip(*(x.split(CHUNK) for x in (u, delta, b, c)), strict=True):
            starts.append(state)
            factor = (delta_t[..., None] * a).exp_()
            states = (delta_t * u_t)[..., None] * b_t[..., None, :]
            state = _run(factor.unbind(), states.unbind(), state).clone()
            y.append(_apply(states, c_t))
        return torch.cat(y), torch.stack(starts)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])
        ctx.save_for_forward(*inputs, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        u, delta, a, b, c, starts = ctx.saved_tensors
        parts = zip(*(x.split(CHUNK) for x in (u, delta, b, c, grad_y)), starts, strict=True)
        grads, grad_a = [], torch.zeros_like(a)
        later = torch.zeros_like(starts[0])  # what the chunks behind say of this one's last state
        for u_t, delta_t, b_t, c_t, grad_t, start in reversed(list(parts)):
            factor = (delta_t[..., None] * a).exp_()
            states = (delta_t * u_t)[..., None] * b_t[..., None, :]
            _run(factor.unbind(), states.unbind(), start)
            grad_c = (grad_t[..., None, :] @ states)[..., 0, :]
            # the adjoint g_t = C_t dy_t + factor_{t+1} g_{t+1} runs from the end
            g = grad_t[..., None] * c_t[..., None, :]
            g[-1] += later
            first = _run(factor.unbind()[:0:-1], g.unbind()[-2::-1], g[-1])
            later = factor[0] * first
            of_term = _apply(g, b_t)
            grad_b = ((delta_t * u_t)[..., None, :] @ g)[..., 0, :]
            # what factor says: its step's adjoint times the state before
            g[1:] *= states[:-1]
            g[0] *= start
            g *= factor
            grad_a += (g * delta_t[..., None]).sum((0, 1))
            grads.append((delta_t * of_term, u_t * of_term + (g * a).sum(-1), grad_b, grad_c))
        grad_u, grad_delta, grad_b, grad_c = (torch.cat(parts[::-1]) for parts in zip(*grads, strict=True))
        return grad_u, grad_delta, grad_a, grad_b, grad_c

    @staticmethod
    def jvp(ctx, du: Tensor, ddelta: Tensor, da: Tensor, db: Tensor, dc: Tensor) -> tuple[Tensor, None]:
        u, delta, a, b, c, starts = ctx.saved_tensors
        parts = zip(*(x.split(CHUNK) for x in (u, delta, b, c, du, ddelta, db, dc)), starts, strict=True)
        dstate, dy = torch.zeros_like(starts[0]), []
        for u_t, delta_t, b_t, c_t, du_t, ddelta_t, db_t, dc_t, start in parts:
            factor = (delta_t[..., None] * a).exp_()
            states = (delta_t * u_t)[..., None] * b_t[..., None, :]
            _run(factor.unbind(), states.unbind(), start)
            dstates = (ddelta_t[..., None] * a + delta_t[..., None] * da) * factor
            dstates[1:] *= states[:-1]
            dstates[0] *= start
            dstates += (ddelta_t * u_t + delta_t * du_t)[..., None] * b_t[..., None, :]
            dstates += (delta_t * u_t)[..., None] * db_t[..., None, :]
            dstate = _run(factor.unbind(), dstates.unbind(), dstate).clone()
            dy.append(_apply(dstates, c_t) + _apply(states, dc_t))
        return torch.cat(dy), None


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run the state along the first axis.

    Exact, as a loop is; it has a gradient and a forward derivative, but no second one.

    Parameters
    ----------
    u, delta : Tensor
        Input and its step ``Δ > 0``, ``(L, B, K, D)``: time, pictures, directions, channels.
    a : Tensor
        ``A < 0``, ``(K, D, N)``.
    b, c : Tensor
        What a time step writes and what it reads, ``(L, B, K, N)``.

    Returns
    -------
    Tensor
        `y`, ``(L, B, K, D)``; float32, or float64 where `u` is.
    """
    with torch.autocast(u.device.type, enabled=False):
        kind = torch.promote_types(u.dtype, torch.float32)
        return _Scan.apply(*(x.to(kind) for x in (u, delta, a, b, c)))[0]


def four_ways(x: Tensor) -> Tensor:
    """A map as four sequences: by rows, by columns, and both from the end.

    Parameters
    ----------
    x : Tensor
        ``(B, h, w, D)``.

    Returns
    -------
    Tensor
        ``(h w, B, 4, D)``.
    """
    rows, columns = (x.permute(*axes, 0, 3).flatten(0, 1) for axes in ((1, 2), (2, 1)))
    return torch.stack([rows, columns, rows.flip(0), columns.flip(0)], dim=2)


def gathered(y: Tensor, h: int, w: int) -> Tensor:
    """The sum of four sequences, each put back to its places: ``(h w, B, 4, D)`` to ``(B, h, w, D)``."""
    rows, columns, rows_back, columns_back = y.unbind(2)
    by_row, by_column = rows + rows_back.flip(0), columns + columns_back.flip(0)
    return by_row.unflatten(0, (h, w)).permute(2, 0, 1, 3) + by_column.unflatten(0, (w, h)).permute(2, 1, 0, 3)


class SS2D(nn.Module):
    """VMamba's 2D selective scan: every place hears all others along four ways through the map.

    Parameters
    ----------
    channels : int
        Of the input; the scan runs over twice as many.
    states : int
        `N`, numbers a channel remembers.
    """

    def __init__(self, channels: int, states: int = 16) -> None:
        super().__init__()
        inner, self.rank, self.states = 2 * channels, math.ceil(channels / 16), states
        self.enter = nn.Linear(channels, 2 * inner, bias=False)
        self.local = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        select = torch.stack([nn.Linear(inner, self.rank + 2 * states, bias=False).weight for _ in range(4)])
        self.select = nn.Parameter(select.detach())  # Δ (of low rank), B and C of each way
        self.step = nn.Parameter(torch.empty(4, inner, self.rank).uniform_(-1, 1) / self.rank**0.5)
        least = torch.empty(4, inner).uniform_(math.log(1e-3), math.log(1e-1)).exp().clamp(min=1e-4)
        self.step_bias = nn.Parameter(least + torch.log(-torch.expm1(-least)))  # the inverse of softplus
        self.a_log = nn.Parameter(torch.arange(1.0, states + 1).log().expand(4, inner, states).clone())
        self.d = nn.Parameter(torch.ones(4, inner))
        self.norm = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, channels, bias=False)

    def scan(self, x: Tensor) -> Tensor:
        """``(B, h, w, 2 C)`` to the same shape: what the four ways say, with their direct paths ``D u``."""
        u = four_ways(x)
        selected = torch.einsum("lbkd,kcd->lbkc", u, self.select)
        delta, b, c = selected.split([self.rank, self.states, self.states], dim=-1)
        delta = F.softplus((torch.einsum("lbkr,kdr->lbkd", delta, self.step) + self.step_bias).float())
        y = selective_scan(u, delta, -self.a_log.float().exp(), b, c)
        return gathered(y + self.d * u, *x.shape[1:3])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, h, w, C)`` to ``(B, h, w, C)``."""
        x, gate = self.enter(x).chunk(2, dim=-1)
        x = F.silu(self.local(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.leave(self.norm(self.scan(x)) * F.silu(gate))


class VSSBlock(nn.Module):
    """Visual state space block: layer norm, `SS2D`, and the input added; there is no MLP."""

    def __init__(self, channels: int, states: int = 16, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm, self.scan, self.drop_path = nn.LayerNorm(channels), SS2D(channels, states), DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, h, w, C)`` to ``(B, h, w, C)``."""
        return x + self.drop_path(self.scan(self.norm(x)))
