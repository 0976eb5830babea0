"""The rooms of the stage ``classify`` on images: models, controls, saliency, tables, applying."""
