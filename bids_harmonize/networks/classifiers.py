"""The convolutional part of the site classifiers, each by name.

A trunk takes the tent channels of a volume and returns feature maps; everything around it (tent
channels before, global mean, standardisation and linear layer after) is the same for all, see
``site_classifier``. All trunks normalise by groups of channels within one scan, so that a batch
of two scans trains, and a scan gets the same features alone as among others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name

from torch import nn

__all__ = ["CLASSIFIERS", "ClassifierRow", "make_trunk"]

GROUPS = 8

# The lean trunk: 0.29 million weights in all.
_LEAN_CHANNELS = (16, 32, 64, 64, 64)
# Pooling right after the first convolution saves half of the time, for no loss on phantoms.
_LEAN_POOLED_BEFORE = (1, 3, 4)

# Peng et al. 2021, figure 1: five pooled 3x3x3 blocks, then one of 1x1x1.
_SFCN_POOLED = (32, 64, 128, 256, 256)
_SFCN_LAST = 64


@dataclass(frozen=True)
class ClassifierRow:
    """One trunk.

    Attributes
    ----------
    name
        Its name in the settings.
    target
        Function that makes it from the number of input channels.
    n_features
        Number of feature maps that it returns.
    least_voxels
        Voxels that each axis of a volume must have, so that something is left after all poolings.
    description
        What it is, for messages and model cards.
    """

    name: str
    target: str
    n_features: int
    least_voxels: int
    description: str


CLASSIFIERS: dict[str, ClassifierRow] = {
    row.name: row
    for row in (
        ClassifierRow(
            "lean",
            "bids_harmonize.networks.classifiers:lean",
            64,
            16,
            "five convolutions, 0.3 million weights",
        ),
        ClassifierRow(
            "sfcn",
            "bids_harmonize.networks.classifiers:sfcn",
            64,
            32,
            "SFCN of Peng et al. 2021 with group normalisation, 3 million weights",
        ),
        ClassifierRow(
            "densenet121",
            "bids_harmonize.networks.monai_trunks:densenet121",
            1024,
            32,
            "MONAI's DenseNet121 with group normalisation, 11 million weights",
        ),
        ClassifierRow(
            "resnet18",
            "bids_harmonize.networks.monai_trunks:resnet18",
            512,
            32,
            "MONAI's ResNet18 with group normalisation, 33 million weights",
        ),
    )
}


def make_trunk(name: str, *, n_channels: int) -> nn.Module:
    """A trunk with fresh weights.

    Parameters
    ----------
    name
        A name of :data:`CLASSIFIERS`.
    n_channels
        Number of input channels.

    Returns
    -------
    nn.Module
        Takes (B, n_channels, I, J, K), returns (B, n_features, i, j, k).

    Raises
    ------
    KeyError
        If there is no such trunk; the message lists those there are.
    """
    if name not in CLASSIFIERS:
        message = f"unknown site classifier {name!r}. Available: {', '.join(CLASSIFIERS)}"
        raise KeyError(message)
    make: Callable[[int], nn.Module] = resolve_name(CLASSIFIERS[name].target)
    return make(n_channels)


def lean(n_channels: int) -> nn.Sequential:
    """Five 3x3x3 convolutions, each with GroupNorm and ReLU; the first with stride 2.

    Parameters
    ----------
    n_channels
        Number of input channels.

    Returns
    -------
    nn.Sequential
        64 maps of a sixteenth of each axis.
    """
    layers: list[nn.Module] = []
    for index, outputs in enumerate(_LEAN_CHANNELS):
        if index in _LEAN_POOLED_BEFORE:
            layers.append(nn.MaxPool3d(2))
        stride = 2 if index == 0 else 1
        convolution = nn.Conv3d(n_channels, outputs, 3, stride=stride, padding=1)
        layers += [convolution, nn.GroupNorm(GROUPS, outputs), nn.ReLU()]
        n_channels = outputs
    return nn.Sequential(*layers)


def sfcn(n_channels: int) -> nn.Sequential:
    """The simple fully convolutional network, with GroupNorm instead of BatchNorm.

    Parameters
    ----------
    n_channels
        Number of input channels.

    Returns
    -------
    nn.Sequential
        64 maps of a thirty-second of each axis.

    References
    ----------
    Peng et al. 2021, doi:10.1016/j.media.2020.101871
    """
    layers: list[nn.Module] = []
    for outputs in _SFCN_POOLED:
        convolution = nn.Conv3d(n_channels, outputs, 3, padding=1)
        layers += [convolution, nn.GroupNorm(GROUPS, outputs), nn.MaxPool3d(2), nn.ReLU()]
        n_channels = outputs
    last = nn.Conv3d(n_channels, _SFCN_LAST, 1)
    return nn.Sequential(*layers, last, nn.GroupNorm(GROUPS, _SFCN_LAST), nn.ReLU())
