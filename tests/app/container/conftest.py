"""One engine and one image for all tests of this folder."""

import os
import time
from dataclasses import dataclass

import pytest

from tests.app.container.engine import ROOT, Engine, build_words, find_engine


@dataclass(frozen=True)
class Image:
    """An image that was built here, or, where ``build_s`` is ``None``, was there before."""

    name: str
    build_s: float | None


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = find_engine()
    if found is None:
        named = os.environ.get("BIDS_HARMONIZE_ENGINE", "docker or podman")
        pytest.skip(f"no container engine answers to {named}")
    return found


@pytest.fixture(scope="session")
def image(engine: Engine) -> Image:
    name = os.environ.get("BIDS_HARMONIZE_IMAGE")
    if name is not None:
        return Image(name, None)
    started = time.monotonic()
    engine("build", *build_words(), "-t", "bids-harmonize:test", ROOT, check=True)
    return Image("bids-harmonize:test", time.monotonic() - started)
