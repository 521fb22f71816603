"""Many small networks run side by side, one a picture: a GPU needs that to be busy."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.optim import Optimizer


class Stack:
    """One network a picture, of one architecture, run and trained together.

    Parameters
    ----------
    make : callable
        Builds one network, drawing from torch's global generator.
    seeds : sequence of int
        One a network.
    like : Tensor
        The networks take its device and dtype.
    optimizer : callable, optional
        Given the parameters, an optimiser that treats each number on its own, as SGD and Adam do; what `descend` and
        `take` need.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        seeds: Sequence[int],
        like: Tensor,
        optimizer: Callable[..., Optimizer] | None = None,
    ) -> None:
        networks = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                networks.append(make())
        parameters, _ = stack_module_state(networks)
        self._skeleton = copy.deepcopy(networks[0]).to("meta")
        self._make_optimizer = optimizer
        self._own({name: p.detach().to(like) for name, p in parameters.items()})

    def _own(self, parameters: dict[str, Tensor]) -> None:
        self.parameters = {name: p.requires_grad_() for name, p in parameters.items()}
        self.optimizer = self._make_optimizer and self._make_optimizer(self.parameters.values())

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

    def descend(self, losses: Tensor) -> None:
        """One step of the optimiser for each network on its own loss ``(B,)``.

        The networks share nothing, so the gradient of the sum is each one's own gradient.
        """
        self.optimizer.zero_grad()
        losses.sum().backward()
        self.optimizer.step()

    def take(self, at: Tensor) -> "Stack":
        """The networks at ``at``, each with its optimiser's state."""
        part = copy.copy(self)
        part._own({name: p.detach()[at] for name, p in self.parameters.items()})
        for name, p in self.parameters.items():
            state = self.optimizer.state[p].items()
            part.optimizer.state[part.parameters[name]] = {
                key: value[at] if value.shape == p.shape else value for key, value in state
            }
        return part

    def renew(self, prefix: str, other: "Stack") -> None:
        """Take the values of the parameters under ``prefix`` from another stack, and forget their optimiser's state."""
        for name, p in self.parameters.items():
            if name.startswith(prefix):
                with torch.no_grad():
                    p.copy_(other.parameters[name])
                self.optimizer.state.pop(p, None)
