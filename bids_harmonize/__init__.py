"""A BIDS App that takes the imaging site out of multi-site T1w MRI."""

from bids_harmonize._version import __version__

__all__ = ["__version__"]
