"""The stages on tables of features (``--features``): the study they make, models, controls."""
