"""Small models of every supported kind, some with the twin's program written out by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.reference.regions import Program


def warmed(model: nn.Module, seed: int = 7) -> nn.Module:
    """Batch norms get uneven running statistics, scales and shifts, so that folding them wrongly is seen."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            size = module.running_mean.shape
            module.running_mean.copy_(0.3 * torch.randn(size, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(size, generator=generator))
            if module.affine:
                with torch.no_grad():
                    module.weight.copy_(0.5 + torch.rand(size, generator=generator))
                    module.bias.copy_(0.3 * torch.randn(size, generator=generator))
    return model.double().eval()


def _per_channel_prelu(channels: int) -> nn.PReLU:
    module = nn.PReLU(channels)
    with torch.no_grad():
        module.weight.copy_(torch.linspace(-0.4, 0.6, channels))
    return module


class Scale(nn.Sequential):
    """A factor, as a linear layer without weights to learn: spreads values over all pieces of an activation."""

    def __init__(self, factor: float) -> None:
        super().__init__(nn.BatchNorm1d(10, affine=False))
        self[0].running_var.fill_(factor**-2)


# name: (constructor, shape of one input). All are nn.Sequential, which the twin reads by itself.
SEQUENTIAL = {
    "linear relu": (
        lambda: nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2)),
        (3,),
    ),
    "no bias": (
        lambda: nn.Sequential(
            nn.Linear(4, 12, bias=False),
            nn.ReLU(),
            nn.Linear(12, 10, bias=False),
            nn.ReLU(),
            nn.Linear(10, 1, bias=False),
        ),
        (4,),
    ),
    "two linears in a row": (
        lambda: nn.Sequential(
            nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 10), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 1)
        ),
        (2,),
    ),
    "ends with an activation": (lambda: nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU()), (2,)),
    "begins with an activation": (
        lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 1)),
        (2,),
    ),
    "leaky relu": (
        lambda: nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(0.1), nn.Linear(12, 12), nn.LeakyReLU(), nn.Linear(12, 1)),
        (2,),
    ),
    "leaky relu with negative slope below 0": (
        lambda: nn.Sequential(
            nn.Linear(2, 10), nn.LeakyReLU(-0.7), nn.Linear(10, 8), nn.LeakyReLU(-0.2), nn.Linear(8, 1)
        ),
        (2,),
    ),
    "prelu": (
        lambda: nn.Sequential(nn.Linear(2, 12), nn.PReLU(), nn.Linear(12, 12), nn.PReLU(init=-0.3), nn.Linear(12, 1)),
        (2,),
    ),
    "prelu per channel": (
        lambda: nn.Sequential(nn.Linear(2, 12), _per_channel_prelu(12), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1)),
        (2,),
    ),
    "rrelu": (
        lambda: nn.Sequential(nn.Linear(2, 12), nn.RReLU(), nn.Linear(12, 8), nn.RReLU(0.1, 0.6), nn.Linear(8, 1)),
        (2,),
    ),
    "relu6": (
        lambda: nn.Sequential(
            nn.Linear(2, 10), Scale(4.0), nn.ReLU6(), nn.Linear(10, 8), nn.ReLU6(inplace=True), nn.Linear(8, 1)
        ),
        (2,),
    ),
    "hardtanh": (
        lambda: nn.Sequential(
            nn.Linear(2, 10), nn.Hardtanh(), nn.Linear(10, 8), nn.Hardtanh(-0.2, 0.3), nn.Linear(8, 2)
        ),
        (2,),
    ),
    "softshrink": (
        lambda: nn.Sequential(nn.Linear(2, 10), nn.Softshrink(), nn.Linear(10, 8), nn.Softshrink(0.1), nn.Linear(8, 1)),
        (2,),
    ),
    "threshold": (
        lambda: nn.Sequential(nn.Linear(2, 10), nn.Threshold(0.4, 0.4), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1)),
        (2,),
    ),
    "max pool after relu": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2, 3, 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(3, 2),
        ),
        (1, 6, 6),
    ),
    "max pool overlapping, padded, ceil": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 2),
            nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
            nn.LeakyReLU(0.3),
            nn.Flatten(),
            nn.Linear(18, 2),
        ),
        (2, 6, 6),
    ),
    "max pool dilated": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.MaxPool2d((2, 1), stride=1, dilation=(2, 1)), nn.Flatten(), nn.Linear(12, 1)
        ),
        (1, 5, 4),
    ),
    "max pool 1d and adaptive": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 2),
            nn.MaxPool1d(2, stride=1),
            nn.Conv1d(3, 2, 1),
            nn.AdaptiveMaxPool1d(3),
            nn.Flatten(),
            nn.Linear(6, 2),
        ),
        (2, 6),
    ),
    "max pool 3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(2, 2)),
        (1, 3, 3, 3),
    ),
    "adaptive max pool 2d": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.AdaptiveMaxPool2d((None, 2)), nn.Flatten(), nn.Linear(12, 2)),
        (1, 4, 4),
    ),
    "in-place activations": (
        lambda: nn.Sequential(
            nn.Linear(2, 12), nn.ReLU(inplace=True), nn.Linear(12, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 1)
        ),
        (2,),
    ),
    "dropout and identity": (
        lambda: nn.Sequential(
            nn.Identity(),
            nn.Linear(2, 12),
            nn.Dropout(0.5),
            nn.ReLU(),
            nn.Dropout(0.9),
            nn.Linear(12, 1),
            nn.Identity(),
        ),
        (2,),
    ),
    "batch norm before the activation": (
        lambda: nn.Sequential(
            nn.Linear(2, 10),
            nn.BatchNorm1d(10),
            nn.ReLU(),
            nn.Linear(10, 10),
            nn.BatchNorm1d(10),
            nn.ReLU(),
            nn.Linear(10, 1),
        ),
        (2,),
    ),
    "batch norm after the activation": (
        lambda: nn.Sequential(
            nn.Linear(2, 10),
            nn.ReLU(),
            nn.BatchNorm1d(10),
            nn.Linear(10, 10),
            nn.ReLU(),
            nn.BatchNorm1d(10),
            nn.Linear(10, 1),
        ),
        (2,),
    ),
    "batch norm without affine": (
        lambda: nn.Sequential(nn.Linear(2, 10), nn.BatchNorm1d(10, affine=False), nn.ReLU(), nn.Linear(10, 1)),
        (2,),
    ),
    "nested sequential": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Linear(2, 10), nn.Sequential(nn.ReLU(), nn.Linear(10, 10))),
            nn.Sequential(nn.ReLU()),
            nn.Linear(10, 1),
        ),
        (2,),
    ),
    "linear on the last of two axes": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)),
        (3, 4),
    ),
    "conv2d": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(3, 4, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (2, 5, 5),
    ),
    "conv2d grouped, dilated, batch norm, average pool": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2, bias=False),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.2),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 3, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 2),
        ),
        (2, 6, 6),
    ),
    "conv transpose": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.ReLU(),
            nn.ConvTranspose2d(2, 2, 3, stride=2, output_padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72, 1),
        ),
        (1, 4, 4),
    ),
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3, padding=1),
            nn.PReLU(4),
            nn.AvgPool1d(2),
            nn.Conv1d(4, 3, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(2),
            nn.Flatten(),
            nn.Linear(6, 2),
        ),
        (2, 8),
    ),
}


class Skip(nn.Module):
    """Two residual blocks and a last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.a, self.b = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.out, self.relu = nn.Linear(8, 1), nn.ReLU()

    def forward(self, x):
        x = self.relu(self.first(x))
        x = x + self.relu(self.a(x))
        return self.out(F.relu(x + self.b(x)))

    def program(self) -> Program:
        p = Program(2)
        p.affine(*_linear(self.first))
        x = p.hinge()
        p.affine(*_linear(self.a), source=x)
        x = p.add(x, p.hinge())
        p.hinge(source=p.add(x, p.affine(*_linear(self.b), source=x)))
        p.affine(*_linear(self.out))
        return p


class Concat(nn.Module):
    """The input and both layers concatenated, one of them taken as it was before its activation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(2, 7), nn.Linear(9, 6), nn.Linear(15, 2)

    def forward(self, x):
        z = self.a(x)
        h = torch.cat([F.leaky_relu(z, 0.2), x], dim=1)
        h = torch.cat((torch.relu(self.b(h)), h), 1)
        return self.out(h)

    def program(self) -> Program:
        p = Program(2)
        p.affine(*_linear(self.a))
        h = p.cat(p.hinge(0.2), 0)
        p.affine(*_linear(self.b), source=h)
        p.affine(*_linear(self.out), source=p.cat(p.hinge(), h))
        return p


class Absolute(nn.Module):
    """torch.abs, the builtin, and the method; -x and scalar multiples."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.out = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(8, 6), nn.Linear(6, 1)

    def forward(self, x):
        x = torch.abs(self.a(x))
        y = abs(self.b(x)) - 2 * x
        return self.out(-self.c(y).abs() / 4)

    def program(self) -> Program:
        p = Program(2)
        p.affine(*_linear(self.a))
        x = p.hinge(-1.0)
        p.affine(*_linear(self.b))
        y = p.add(p.hinge(-1.0), x, scale=(1.0, -2.0))
        p.affine(*_linear(self.c), source=y)
        p.add(p.hinge(-1.0), scale=(-0.25,))
        p.affine(*_linear(self.out))
        return p


def _linear(module: nn.Linear):
    return module.weight.detach().double().numpy(), module.bias.detach().double().numpy()


class Functional(nn.Module):
    """Parameters and functional forms only."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(9, 2))
        self.b = nn.Parameter(torch.randn(9))
        self.v = nn.Parameter(torch.randn(9, 9) / 3)
        self.register_buffer("shift", torch.randn(9))

    def forward(self, x):
        x = F.relu(F.linear(x, self.w, self.b))
        x = F.leaky_relu(F.linear(x, self.v) + self.shift, negative_slope=0.3)
        x = torch.relu(x @ self.v.t() - 0.5)
        x = F.dropout(x, 0.5, training=self.training)
        return x.sum(dim=1, keepdim=True) + x.mean(1, keepdim=True) - 1


class Views(nn.Module):
    """Views whose arguments are read off the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b, self.out = nn.Conv2d(1, 3, 2), nn.Linear(27, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x.view(x.size(0), -1)
        x = self.a(x)
        x = F.relu(x).reshape(x.shape[0], 3, 2)
        x = x.permute(0, 2, 1).contiguous().flatten(1)
        n = x.size(0)
        x = F.relu(self.b(x))
        return self.out(x.view(n, 6))


class Modules(nn.Module):
    """A container of blocks walked in a loop, one activation shared by all, a skip over the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(2 if k == 0 else 8, 8) for k in range(3))
        self.act, self.out = nn.LeakyReLU(0.05), nn.Linear(8, 1)

    def forward(self, x):
        start = None
        for block in self.blocks:
            x = self.act(block(x))
            start = x if start is None else start
        return self.out(torch.add(x, start))


class Residual2d(nn.Module):
    """A tiny ResNet: batch norm, two blocks, adaptive pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.a, self.b, self.c = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.pool, self.head = nn.AdaptiveAvgPool2d((2, 1)), nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.b(F.relu(self.a(x))) + self.c(x))
        return self.head(torch.flatten(self.pool(x), 1))


class TwoHeads(nn.Module):
    """Values used again much later, an unused branch, chunks of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.out = nn.Linear(2, 8), nn.Linear(8, 8), nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        early = self.a(x)
        h = torch.relu(early)
        g = torch.relu(self.b(h))
        left, right = g[:, :4], g[:, 4:]
        late = F.relu(self.c(left - right))
        return self.out(late + early)


class Maxout(nn.Module):
    """Maxout units: the method, amax, and the minimum of an axis in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.out = nn.Linear(2, 12), nn.Linear(4, 9), nn.Linear(3, 8), nn.Linear(4, 2)

    def forward(self, x):
        x = self.a(x).view(-1, 4, 3).max(2)[0]
        x = torch.amax(self.b(x).view(x.shape[0], 3, 3), dim=2)
        return self.out(self.c(x).view(x.size(0), 2, 4).min(dim=1).values)

    def program(self) -> Program:
        p = Program(2)
        p.affine(*_linear(self.a))
        p.maximum([3 * k + np.arange(3) for k in range(4)])
        p.affine(*_linear(self.b))
        p.maximum([3 * k + np.arange(3) for k in range(3)])
        p.affine(*_linear(self.c))
        p.maximum([k + np.arange(2) * 4 for k in range(4)], sign=-1)
        p.affine(*_linear(self.out))
        return p


class Pairs(nn.Module):
    """The larger and the smaller of two tensors, one of them constant, and a clamp between tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.out = nn.Linear(2, 6), nn.Linear(2, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.register_buffer("floor", torch.linspace(-0.6, 0.2, 6))

    def forward(self, x):
        h = torch.maximum(self.a(x), self.b(x))
        h = torch.min(h, self.c(h))
        return self.out(torch.maximum(self.floor, h).clamp(max=self.floor + 0.7))

    def program(self) -> Program:
        pairs = [[k, k + 6] for k in range(6)]
        floor = self.floor.double().numpy()
        p = Program(2)
        p.maximum(pairs, source=p.cat(p.affine(*_linear(self.a)), p.affine(*_linear(self.b), source=0)))
        h = p.last
        p.maximum(pairs, sign=-1, source=p.cat(h, p.affine(*_linear(self.c))))
        h = p.last
        p.maximum(pairs, source=p.cat(p.affine(np.zeros((6, 6)), floor), h))
        h = p.last
        p.maximum(pairs, sign=-1, source=p.cat(h, p.affine(np.zeros((6, 6)), floor + 0.7)))
        p.affine(*_linear(self.out))
        return p


class Clamps(nn.Module):
    """Functions and methods with several breakpoints, one-sided and two-sided."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2 if k == 0 else 5, 5) for k in range(6))
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        a, b, c, d, e, f = self.layers
        x = a(x).clamp(-0.5, 0.5)
        x = torch.clip(b(x), max=0.3) + F.softshrink(c(x), 0.2)
        x = F.hardtanh(d(x), -0.1, 0.6) - F.relu6(3 * x).clamp_min(0.5)
        x = F.threshold(e(x), -0.25, -0.25)
        return self.out(torch.clamp(f(x), min=-1).clamp_(max=0.4))

    def program(self) -> Program:
        a, b, c, d, e, f = (_linear(layer) for layer in self.layers)
        p = Program(2)
        p.affine(*a)
        x = p.pieces((-0.5, 0.5), (0, 1, 0), (-0.5, 0.5))
        p.affine(*b)
        high = p.pieces((0.3,), (1, 0), (0.3,))
        p.affine(*c, source=x)
        x = p.add(high, p.pieces((-0.2, 0.2), (1, 0, 1), (0, 0)))
        p.affine(*d)
        tanh = p.pieces((-0.1, 0.6), (0, 1, 0), (-0.1, 0.6))
        p.pieces((0, 6), (0, 1, 0), (0, 6), source=p.add(x, scale=(3.0,)))
        x = p.add(tanh, p.pieces((0.5,), (0, 1), (0.5,)), scale=(1.0, -1.0))
        p.affine(*e)
        p.pieces((-0.25,), (0, 1), (-0.25,))
        p.affine(*f)
        p.pieces((-1.0,), (0, 1), (-1.0,))
        p.pieces((0.4,), (1, 0), (0.4,))
        p.affine(*_linear(self.out))
        return p


class Pools(nn.Module):
    """Functional pooling, with a skip over it that is still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1), nn.Linear(34, 2)

    def forward(self, x):
        h = F.relu(self.a(x))
        p = F.max_pool2d(h, 2, stride=1)
        q = F.adaptive_max_pool2d(self.b(h), 2)
        return self.out(torch.cat([p[:, :, :2, :2].flatten(1), q.flatten(1), h.flatten(1)[:, :18]], 1))


# Models with their own forward; those with a `program` are compared with the twin too.
MODULES = {
    "skip": (Skip, (2,)),
    "concat": (Concat, (2,)),
    "abs": (Absolute, (2,)),
    "functional": (Functional, (2,)),
    "views": (Views, (1, 4, 4)),
    "module list": (Modules, (2,)),
    "residual conv": (Residual2d, (1, 4, 4)),
    "early value used late": (TwoHeads, (2,)),
    "maxout": (Maxout, (2,)),
    "maximum and minimum of pairs": (Pairs, (2,)),
    "clamps": (Clamps, (2,)),
    "functional pools": (Pools, (1, 3, 3)),
}
