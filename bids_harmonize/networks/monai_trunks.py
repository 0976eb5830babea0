"""Trunks of the site classifier that come from MONAI; the table ``CLASSIFIERS`` loads them."""

from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.resnet import resnet18 as make_resnet18
from torch import nn

from bids_harmonize.networks.classifiers import GROUPS

_GROUP_NORM = ("group", {"num_groups": GROUPS})


def densenet121(n_channels: int) -> nn.Sequential:
    """The dense blocks of MONAI's DenseNet121.

    Parameters
    ----------
    n_channels
        Number of input channels.

    Returns
    -------
    nn.Sequential
        1024 maps of a thirty-second of each axis.

    References
    ----------
    Huang et al. 2017, doi:10.1109/CVPR.2017.243
    """
    whole = DenseNet121(spatial_dims=3, in_channels=n_channels, out_channels=2, norm=_GROUP_NORM)
    return nn.Sequential(whole.features, nn.ReLU())


def resnet18(n_channels: int) -> nn.Sequential:
    """The residual blocks of MONAI's ResNet18; the first convolution has stride 2.

    Parameters
    ----------
    n_channels
        Number of input channels.

    Returns
    -------
    nn.Sequential
        512 maps of a thirty-second of each axis.

    References
    ----------
    He et al. 2016, doi:10.1109/CVPR.2016.90
    """
    whole = make_resnet18(
        spatial_dims=3,
        n_input_channels=n_channels,
        num_classes=2,
        conv1_t_stride=2,
    )
    # MONAI's argument ``norm`` reaches the first layer alone; its blocks keep BatchNorm.
    _group_norm_everywhere(whole)
    blocks = (whole.layer1, whole.layer2, whole.layer3, whole.layer4)
    return nn.Sequential(whole.conv1, whole.bn1, whole.act, whole.maxpool, *blocks)


def _group_norm_everywhere(module: nn.Module) -> None:
    """Replace each BatchNorm by a GroupNorm of as many channels, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm3d):
            setattr(module, name, nn.GroupNorm(GROUPS, child.num_features))
        else:
            _group_norm_everywhere(child)
