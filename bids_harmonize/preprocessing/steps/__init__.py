"""What is done with one scan, step by step; arrays go from step to step through small files.

Each function reads files, calls the ground floor, and writes one file, so that it runs in any
process and gives the same bytes there.
"""

from bids_harmonize.preprocessing.steps.bias import correct_bias_field, load_field
from bids_harmonize.preprocessing.steps.brain import load_brain, mask_brain
from bids_harmonize.preprocessing.steps.conform import Conformed, conform
from bids_harmonize.preprocessing.steps.quality import measure
from bids_harmonize.preprocessing.steps.tissue import Tissue, find_tissue_maps

__all__ = [
    "Conformed",
    "Tissue",
    "conform",
    "correct_bias_field",
    "find_tissue_maps",
    "load_brain",
    "load_field",
    "mask_brain",
    "measure",
]
