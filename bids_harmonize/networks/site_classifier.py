"""A small 3D network that names the site of a volume."""

import torch
from torch import nn

# Channels of the five convolutions: 0.29 million weights in all.
_CHANNELS = (16, 32, 64, 64, 64)
_GROUPS = 8


class SiteClassifier(nn.Module):
    """Logits of the sites from one rescaled volume.

    Five 3x3x3 convolutions (the first with stride 2, pooling between the later ones), each with
    GroupNorm and ReLU, then the global mean, dropout and one linear layer. GroupNorm because a
    batch is small: with BatchNorm the validation accuracy jumped between 20 and 80 percent.

    Parameters
    ----------
    n_sites
        Number of sites, at least 2.
    dropout
        Share of features dropped in training, 0..1.

    Examples
    --------
    >>> SiteClassifier(3)(torch.zeros(2, 1, 48, 56, 48)).shape
    torch.Size([2, 3])
    """

    def __init__(self, n_sites: int, *, dropout: float = 0.3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for index, outputs in enumerate(_CHANNELS):
            if index > 1:
                layers.append(nn.MaxPool3d(2))
            stride = 2 if index == 0 else 1
            convolution = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            layers += [convolution, nn.GroupNorm(_GROUPS, outputs), nn.ReLU()]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inputs, n_sites)

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        """Logits of the sites.

        Parameters
        ----------
        volumes
            Float32, shape (B, 1, I, J, K), rescaled units, 0 outside the head; each of I, J, K at
            least 16.

        Returns
        -------
        torch.Tensor
            Float32, shape (B, n_sites); higher speaks for the site.
        """
        features = self.features(volumes)  # (B, 64, I/16, J/16, K/16)
        pooled = features.mean(dim=(2, 3, 4))  # (B, 64)
        logits: torch.Tensor = self.head(self.dropout(pooled))  # (B, n_sites)
        return logits
