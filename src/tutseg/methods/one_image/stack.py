"""Many small networks run side by side, one a picture: a GPU needs that to be busy."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state


class Stack:
    """One network a picture, of one architecture, run together.

    Parameters
    ----------
    make : callable
        Builds one network, drawing from torch's global generator.
    seeds : sequence of int
        One a network.
    like : Tensor
        The networks take its device and dtype.
    """

    def __init__(self, make: Callable[[], nn.Module], seeds: Sequence[int], like: Tensor) -> None:
        networks = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                networks.append(make())
        parameters, _ = stack_module_state(networks)
        self.parameters = {name: p.detach().to(like).requires_grad_() for name, p in parameters.items()}
        self._velocity: dict[str, Tensor] = {}
        self._skeleton = copy.deepcopy(networks[0]).to("meta")

    def __call__(self, images: Tensor, **options: Any) -> Any:
        """Each network's output for its own picture; tensors ``(B, ...)`` as if one network had made them."""

        def one(parameters: dict[str, Tensor], image: Tensor) -> Any:
            return functional_call(self._skeleton, parameters, (image[None],), options)

        if len(images) == 1:
            # The same sums without vmap's detours, in the memory format in which a CPU convolves twice as fast.
            own = {name: p[0] for name, p in self.parameters.items()}
            nhwc = images.contiguous(memory_format=torch.channels_last)
            return functional_call(self._skeleton, own, (nhwc,), options)
        out = torch.vmap(one)(self.parameters, images)
        return out.squeeze(1) if isinstance(out, Tensor) else tuple(part.squeeze(1) for part in out)

    def descend(self, losses: Tensor, lr: float, momentum: float = 0.9, decay: float = 0.0) -> None:
        """One step of SGD with momentum for each network on its own loss ``(B,)``.

        The networks share nothing, so the gradient of the sum is each one's own gradient.
        """
        gradients = torch.autograd.grad(losses.sum(), list(self.parameters.values()), materialize_grads=True)
        with torch.no_grad():
            for (name, p), gradient in zip(self.parameters.items(), gradients, strict=True):
                if decay:
                    gradient = gradient + decay * p
                if name in self._velocity:
                    gradient = self._velocity[name].mul_(momentum).add_(gradient)
                self._velocity[name] = gradient
                p -= lr * gradient

    def take(self, at: Tensor) -> "Stack":
        """The networks at ``at``, with their momentum."""
        part = copy.copy(self)
        part.parameters = {name: p.detach()[at].requires_grad_() for name, p in self.parameters.items()}
        part._velocity = {name: v[at] for name, v in self._velocity.items()}
        return part

    def renew(self, prefix: str, other: "Stack") -> None:
        """Take the parameters under ``prefix`` from another stack and forget their momentum."""
        for name in self.parameters:
            if name.startswith(prefix):
                self.parameters[name] = other.parameters[name]
                self._velocity.pop(name, None)
