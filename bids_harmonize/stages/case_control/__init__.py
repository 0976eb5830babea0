"""The rooms of the comparison of cases and controls: the ComBat of a table of features."""
