"""The rooms of the stage ``harmonize``: which models, their halves, images and sidecars."""
