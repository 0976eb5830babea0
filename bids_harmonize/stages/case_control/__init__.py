"""Rooms of the stage ``disorder``: people, arms of adjustment, effects, prediction."""
