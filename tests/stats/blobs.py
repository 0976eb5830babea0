"""Patients and controls of known kinds, in values that are correlated as regions are."""

import numpy as np

N_VALUES = 12


def people(
    severity: np.ndarray, n_controls: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Deviations (n, 12) with controls first, and who is a patient.

    ``severity``, (n_cases, 2), is how many SD of the controls each patient is moved along two
    unrelated directions of the controls' own space.
    """
    n = n_controls + len(severity)
    whitened = rng.standard_normal((n, N_VALUES))
    whitened[n_controls:, :2] += severity
    mixing = np.eye(N_VALUES) + 0.3 * np.sin(np.arange(N_VALUES**2)).reshape(N_VALUES, -1)
    return whitened @ mixing, np.arange(n) >= n_controls


def two_kinds(n: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Severity of n patients of two kinds, by turns, and the kind of each."""
    kind = np.arange(n) % 2
    severity = np.zeros((n, 2))
    severity[np.arange(n), kind] = distance / np.sqrt(2)
    return severity, kind
