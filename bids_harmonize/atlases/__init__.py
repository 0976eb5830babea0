"""Templates that ship inside the nilearn wheel; nothing is ever downloaded."""

from bids_harmonize.atlases.templates import load_template, load_template_image

__all__ = ["load_template", "load_template_image"]
