"""The rooms of the stage ``features``: whom it asks, one scan's tissue, processes, the table."""
