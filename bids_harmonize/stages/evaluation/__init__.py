"""The rooms of the stage ``evaluate``: travelling subjects, site probes, comparisons, verdict."""
