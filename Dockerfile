# bids-harmonize as a BIDS App:
#   docker run --rm -v DATA:/data:ro -v OUT:/out bids-harmonize /data /out participant group
# CPU by default; for CUDA build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
# docs/containers.md tells the rest.

FROM debian:bookworm-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Where pip finds wheels: the extra index is given to the torch step alone, empty skips it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG PIP_FIND_LINKS=
ARG PIP_CERT=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/torch.txt requirements/core.txt requirements/build.txt requirements/
# pip and what builds the app lie in a folder of their own, which stays behind.
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/bids-harmonize
# A CUDA build of torch needs NVIDIA's packages of exactly its own version, the CPU build none.
# hadolint ignore=SC2086
RUN case "${TORCH_INDEX}" in */cu*) all="--constraint requirements/core.txt" ;; *) all=--no-deps ;; esac \
    && /opt/build/bin/pip --python /opt/bids-harmonize/bin/python install ${all} \
       ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} -r requirements/torch.txt
# hadolint ignore=DL3059
RUN /opt/build/bin/pip --python /opt/bids-harmonize/bin/python install --no-deps \
    -r requirements/core.txt
COPY pyproject.toml README.md LICENSE ./
COPY bids_harmonize bids_harmonize
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /src/wheels . \
    && /opt/build/bin/pip --python /opt/bids-harmonize/bin/python install --no-deps \
       /src/wheels/*.whl \
    && /opt/build/bin/pip --python /opt/bids-harmonize/bin/python uninstall --yes setuptools
# Tests, headers and test programs of the packages: a sixth of the image, and nobody runs them here.
WORKDIR /opt/bids-harmonize/lib/python3.11/site-packages
RUN rm -rf torch/test torch/include torch/share \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find . -type d -name tests -prune -exec rm -rf {} +

FROM debian:bookworm-slim
# tini passes signals on, so that `docker stop` does not wait, and reaps workers that were killed;
# cli/watch.py says so when the system kills the app for its memory.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 tini \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
       /var/cache/debconf/*-old
COPY --from=build /opt/bids-harmonize /opt/bids-harmonize
# The version is that of bids_harmonize/_version.py, which a test compares.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="bids-harmonize" \
      org.opencontainers.image.description="BIDS App: harmonize multi-site T1w MRI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
# Nothing is written outside the output, the work and the temporary folder; nothing is downloaded.
ENV PATH=/opt/bids-harmonize/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    TORCH_HOME=/tmp/torch \
    PYTHONNOUSERSITE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8 \
    NO_ET=1 \
    OMP_NUM_THREADS=1 \
    TINI_SUBREAPER=1 \
    BIDS_HARMONIZE_TAG="bids-harmonize:${VERSION}"
USER 1000:1000
ENTRYPOINT ["tini", "--", "/opt/bids-harmonize/bin/python", "-m", "bids_harmonize.cli.watch"]
CMD ["--help"]
