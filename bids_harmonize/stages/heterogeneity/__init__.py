"""Rooms of the stage ``subtypes``: clusters of cases, what speaks for them, what they mean."""
