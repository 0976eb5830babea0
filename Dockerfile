# bids-harmonize as a BIDS App:
#   docker run --rm -v DATA:/data:ro -v OUT:/out bids-harmonize /data /out participant group
# CPU by default; for CUDA build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 --build-arg TORCH_PIP_ARGS=

FROM debian:bookworm-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
# Where pip finds wheels: the extra index is given to the torch step alone, empty skips it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_PIP_ARGS=--no-deps
ARG PIP_FIND_LINKS=
ARG PIP_CERT=
WORKDIR /src
COPY requirements/torch.txt requirements/core.txt requirements/
# hadolint ignore=SC2086
RUN python3 -m venv /opt/bids-harmonize \
    && /opt/bids-harmonize/bin/pip install --no-cache-dir --quiet ${TORCH_PIP_ARGS} \
       ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} -r requirements/torch.txt
RUN /opt/bids-harmonize/bin/pip install --no-cache-dir --quiet --no-deps -r requirements/core.txt
COPY pyproject.toml README.md LICENSE ./
COPY bids_harmonize bids_harmonize
RUN /opt/bids-harmonize/bin/pip install --no-cache-dir --quiet --no-deps .

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/bids-harmonize /opt/bids-harmonize
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bids-harmonize" \
      org.opencontainers.image.description="BIDS App: harmonize multi-site T1w MRI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Nothing is written outside the output, the work and the temporary folder; nothing is downloaded.
ENV PATH=/opt/bids-harmonize/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    TORCH_HOME=/tmp/torch \
    PYTHONNOUSERSITE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8 \
    NO_ET=1 \
    OMP_NUM_THREADS=1
USER 1000:1000
ENTRYPOINT ["bids-harmonize"]
CMD ["--help"]
