"""The patch discriminator: one score for every neighbourhood of a volume."""

from typing import Final

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

CHANNELS: Final = (8, 16, 32)


class PatchDiscriminator(nn.Module):
    """Scores how much each patch looks like the images of one site.

    References
    ----------
    Isola et al. 2017, doi:10.1109/CVPR.2017.632 (patches); Miyato et al. 2018,
    arXiv:1802.05957 (spectral normalisation).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for n_out in CHANNELS:
            layers.append(
                spectral_norm(nn.Conv3d(n_in, n_out, kernel_size=4, stride=2, padding=1))
            )
            layers.append(nn.LeakyReLU(0.2))
            n_in = n_out
        self.layers = nn.Sequential(*layers, nn.Conv3d(n_in, 1, kernel_size=3, padding=1))

    def forward(self, volume: Tensor) -> Tensor:
        """Patch scores.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, 0 outside the head; at least 8
            voxels a side.

        Returns
        -------
        Tensor
            Shape (B, 1, I/8, J/8, K/8); near 1 for images of the site, near 0 for others.
        """
        scores: Tensor = self.layers(volume)
        return scores
