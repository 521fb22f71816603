"""The optimiser steps that a method takes: real ones, and virtual ones that leave the network as it is."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutseg.nets import Output


def apart(net: nn.Module) -> dict[str, Tensor]:
    """State for ``torch.func.functional_call``: the net's own parameters, and copies of its buffers.

    What runs on the copies cannot move the net's batch statistics. Inside ``torch.func.jvp`` call it within the
    function that is differentiated.
    """
    return dict(net.named_parameters()) | {name: buffer.clone() for name, buffer in net.named_buffers()}


def influence(
    net: nn.Module,
    rate: float,
    weight: Tensor,
    inner: Callable[[Callable[..., Output]], Tensor],
    outer: Callable[[Callable[..., Output]], Tensor],
    start: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """How the weight of each sample in a virtual step changes a second loss after it, for all samples at once.

    With ``theta' = theta - rate grad mean_k(w_k l_k(theta))`` the chain rule gives
    ``dL(theta') / dw_k = -(rate / n) <grad L(theta'), grad l_k(theta)>``. The products are the derivative of the map of
    all `l_k` along one direction, which forward mode takes in one pass, exactly and without a graph of second order.

    Parameters
    ----------
    net : nn.Module
        Left as it is: parameters, gradients and batch statistics.
    rate : float
        Learning rate of the virtual step.
    weight : Tensor
        `w`, of the shape of the inner losses.
    inner, outer : callable
        Get a stand-in for `net`; return the losses `l` of the samples, any shape, and the scalar `L`.
    start : mapping, optional
        Parameters to step from; the net's own without it.

    Returns
    -------
    slope : Tensor
        ``dL / dw``, of the shape of `weight`, without graph.
    moved : dict
        The parameters ``theta'``.
    """
    theta = {
        name: value.detach().clone().requires_grad_()
        for name, value in (start or {n: p for n, p in net.named_parameters() if p.requires_grad}).items()
    }

    def stand_in(parameters: Mapping[str, Tensor]) -> Callable[..., Output]:
        state = apart(net) | parameters
        return lambda *images, **options: functional_call(net, state, images, options)

    def gradient(loss: Tensor, parameters: dict[str, Tensor]) -> list[Tensor]:
        return torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)

    # forward mode goes neither with autocast's cache of casts nor with fused attention, which has no derivative for it
    with torch.autocast(weight.device.type, enabled=False), sdpa_kernel(SDPBackend.MATH):
        step = gradient((weight.detach() * inner(stand_in(theta))).mean(), theta)
        moved = {name: (theta[name] - rate * g).detach().requires_grad_() for name, g in zip(theta, step, strict=True)}
        along = dict(zip(moved, gradient(outer(stand_in(moved)), moved), strict=True))
        here = {name: value.detach() for name, value in theta.items()}
        _, products = torch.func.jvp(lambda parameters: inner(stand_in(parameters)), (here,), (along,))
    return -rate / weight.numel() * products.detach(), {name: value.detach() for name, value in moved.items()}


class Stepper:
    """What `Method.update` takes its steps with.

    Parameters
    ----------
    optimizers : mapping of str to torch.optim.Optimizer
        One for each of the method's parameter groups, by its name.
    backward : callable
        Fabric's, so that precision and devices are its affair.
    """

    def __init__(
        self,
        optimizers: Mapping[str, torch.optim.Optimizer],
        backward: Callable[[Tensor], None] = Tensor.backward,
    ) -> None:
        self.optimizers, self.backward = optimizers, backward

    def __call__(self, terms: Mapping[str, Tensor], *groups: str) -> dict[str, Tensor]:
        """One step down the sum of `terms`, by the named parameter groups (by all if none is named).

        Returns
        -------
        dict
            The terms, detached, for the log.
        """
        chosen = [self.optimizers[name] for name in groups or self.optimizers]
        for optimizer in chosen:
            optimizer.zero_grad(set_to_none=True)
        self.backward(sum(terms.values()))
        for optimizer in chosen:
            optimizer.step()
        return {name: term.detach() for name, term in terms.items()}

    def rate(self, group: str = "all") -> float:
        """The learning rate of a parameter group at this step."""
        return self.optimizers[group].param_groups[0]["lr"]

    def virtual(
        self, net: nn.Module, loss_of: Callable[[Callable[..., Output]], Tensor], group: str = "all"
    ) -> dict[str, Tensor]:
        """What `net` would be after one step of gradient descent, which is not taken (MW-Net, DALE Eq. 8).

        Parameters
        ----------
        net : nn.Module
            Left as it is: parameters, gradients and batch statistics.
        loss_of : callable
            Gets a stand-in for `net` and returns the loss, a scalar that may depend on tensors to be learned, such as
            the weight of each sample.
        group : str
            The parameter group whose learning rate the step has; a factor on the loss changes it.

        Returns
        -------
        dict
            Parameters and buffers for ``torch.func.functional_call(net, state, images)``. The parameters carry the
            graph of the step: ``torch.autograd.grad`` of what is computed with them reaches those tensors.
        """
        state = apart(net)
        loss = loss_of(lambda *images, **options: functional_call(net, state, images, options))
        names = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, [state[name] for name in names], create_graph=True, allow_unused=True)
        rate = self.rate(group)
        moved = zip(names, gradients, strict=True)
        return state | {name: state[name] - rate * g for name, g in moved if g is not None}
