"""The optimiser steps that a method takes: real ones, and virtual ones that leave the network as it is."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tutseg.nets import Output


def apart(net: nn.Module) -> dict[str, Tensor]:
    """State for ``torch.func.functional_call``: the net's own parameters, and copies of its buffers.

    What runs on the copies cannot move the net's batch statistics. Inside ``torch.func.jvp`` call it within the
    function that is differentiated.
    """
    return dict(net.named_parameters()) | {name: buffer.clone() for name, buffer in net.named_buffers()}


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
        rate = self.optimizers[group].param_groups[0]["lr"]
        moved = zip(names, gradients, strict=True)
        return state | {name: state[name] - rate * g for name, g in moved if g is not None}
