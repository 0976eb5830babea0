"""A 3D network that names the site of a volume.

Choice: the intensities enter as eight tent channels (a soft histogram in every voxel), and the
pooled features are standardised by BatchNorm before the linear layer. Reason: two toy sites of
12 heads whose grey matter differs by 10 % of the white matter stay at chance after 60 iterations
from one intensity channel, and with 80 epochs the network learns the heads by heart (validation
.50-.75); with tent channels and standardised features 60 iterations reach 24 of 24. Differences
between scans are 3 % of the pooled features, so the linear layer alone moves too slowly. Rejected:
BatchNorm inside the convolutions (jumps between 20 and 80 % with small batches). Revisit when a
study trains on hundreds of scans a site.
"""

import torch
from torch import nn
from torch.nn import functional as F

from bids_harmonize.networks.classifiers import CLASSIFIERS, make_trunk

_N_BINS = 8
_BIN_RANGE = 1.5  # rescaled units; the white matter lies at about 1


class SiteClassifier(nn.Module):
    """Logits of the sites from one rescaled volume.

    Tent channels of the intensity; the trunk; the global mean, BatchNorm, dropout and one linear
    layer. Under autocast the trunk alone runs in half precision: the features of two sites differ
    by less than bfloat16 can tell.

    Parameters
    ----------
    n_sites
        Number of sites, at least 2.
    architecture
        The trunk, a name of ``CLASSIFIERS``.
    dropout
        Share of features dropped in training, 0..1.

    Raises
    ------
    KeyError
        If there is no such trunk.

    Examples
    --------
    >>> SiteClassifier(3).eval()(torch.zeros(2, 1, 48, 56, 48)).shape
    torch.Size([2, 3])
    """

    def __init__(self, n_sites: int, *, architecture: str = "lean", dropout: float = 0.3) -> None:
        super().__init__()
        self.features = make_trunk(architecture, n_channels=_N_BINS)
        n_features = CLASSIFIERS[architecture].n_features
        self.standardise = nn.BatchNorm1d(n_features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_sites)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        """Logits of the sites.

        Parameters
        ----------
        volumes
            Float32, shape (B, 1, I, J, K), rescaled units, 0 outside the head; each of I, J, K at
            least ``least_voxels`` of the trunk. In training mode B is at least 2.

        Returns
        -------
        torch.Tensor
            Float32, shape (B, n_sites); higher speaks for the site.
        """
        embedded = self.embed(volumes)  # (B, F)
        with torch.autocast(volumes.device.type, enabled=False):
            logits: torch.Tensor = self.head(self.dropout(embedded))  # (B, n_sites)
        return logits

    def embed(self, volumes: torch.Tensor) -> torch.Tensor:
        """What the linear layer sees: standardised global means of the features.

        Parameters
        ----------
        volumes
            As :meth:`forward` takes them.

        Returns
        -------
        torch.Tensor
            Float32, shape (B, F); mean 0 and variance 1 over the training scans.
        """
        standardised: torch.Tensor = self.standardise(self.pool(volumes))  # (B, F)
        return standardised

    def pool(self, volumes: torch.Tensor) -> torch.Tensor:
        """Global means of the features, float32 (B, F), of volumes of shape (B, 1, I, J, K)."""
        features: torch.Tensor = self.features(intensity_bins(volumes))  # (B, F, i, j, k)
        return features.float().mean(dim=(2, 3, 4))  # (B, F)

    def settle(self, pooled: torch.Tensor) -> None:
        """Standardise by these features from now on (in evaluation mode).

        Parameters
        ----------
        pooled
            What :meth:`pool` returned for all training scans, shape (n_scans, F), n_scans >= 2.
        """
        mean, variance = pooled.mean(dim=0), pooled.var(dim=0)
        self.standardise.load_state_dict(
            self.standardise.state_dict() | {"running_mean": mean, "running_var": variance}
        )


def intensity_bins(volumes: torch.Tensor) -> torch.Tensor:
    """How much each voxel belongs to each of eight intensity bins.

    Parameters
    ----------
    volumes
        Shape (B, 1, I, J, K), rescaled units.

    Returns
    -------
    torch.Tensor
        Shape (B, 8, I, J, K), 0..1. Bins are centred on 1/8 to 8/8 of 1.5, so that a voxel of 0
        is 0 in all of them; above 1.5 the last bin stays 1.
    """
    places = volumes.clamp(0, _BIN_RANGE) * (_N_BINS / _BIN_RANGE)  # (B, 1, I, J, K)
    centres = torch.arange(1, _N_BINS + 1, dtype=volumes.dtype, device=volumes.device)
    return F.relu(1 - (places - centres.view(1, -1, 1, 1, 1)).abs())  # (B, 8, I, J, K)
