"""Readers of tables that users and other tools bring."""
