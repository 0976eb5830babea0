"""Networks: shapes are documented, values are plain; no files, no settings."""
