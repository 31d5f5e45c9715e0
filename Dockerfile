# docker build -t streammon .
#
# Arguments (docs/containers.md says what was tried):
#   BASE         an image with Python 3.11 or newer, its venv module and pip
#   TORCH        cuda or cpu: the build of torch that the image is to have; with another one the build ends
#   TORCH_INDEX  an index that has it; pip's own if empty, which for Linux on x86-64 has the CUDA build
#   EXTRAS       optional dependencies: `simulate` is the simulated service; empty for a smaller image
#   PIP_INDEX_URL, PIP_CERT   as pip knows them, for everything else; the image does not keep them
#   VERSION      for the label
ARG BASE=python:3.11-slim-bookworm

# --- the wheel, and what it requires ----------------------------------------------------------------------------------
FROM ${BASE} AS wheel
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG EXTRAS=simulate
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY LICENSE README.md pyproject.toml streammon.example.yaml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    extras = [each for name in '${EXTRAS}'.split() for each in project['optional-dependencies'][name]]; \
    print(*project['dependencies'], *extras, sep='\n')" > /requirements.txt
COPY examples/digits.yaml examples/
COPY schemas schemas
COPY streammon streammon
RUN python -m pip wheel --no-deps --wheel-dir /wheel .

# --- the environment: torch, its companions, the rest; a change of code leaves it alone ---------------------------------
FROM ${BASE} AS environment
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_CONSTRAINT=/src/constraints.txt PIP_PYTHON=/opt/streammon/bin/python
RUN python -m venv --without-pip /opt/streammon
WORKDIR /src
COPY constraints.txt ./

# Alone, since its index need not have the rest, and so that the wrong build ends here and not some gigabytes later.
ARG TORCH=cuda
ARG TORCH_INDEX
RUN python -m pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
RUN /opt/streammon/bin/python -c "import runpy, sys, sysconfig; \
    found = 'cuda' if runpy.run_path(sysconfig.get_path('platlib') + '/torch/version.py')['cuda'] else 'cpu'; \
    sys.exit(None if found == '${TORCH}' else f'TORCH=${TORCH} was asked for, but the index has the build for {found}: ' \
    'name another with --build-arg TORCH_INDEX=...')"

COPY --from=wheel /requirements.txt ./
RUN python -m pip install -r requirements.txt

# --- streammon, and every kernel, compiled where it will lie by what a user would do -----------------------------------
FROM environment AS application
COPY --from=wheel /wheel /wheel
RUN python -m pip install --no-deps --prefix /application /wheel/*.whl \
    && python -m pip install "$(echo /wheel/*.whl)[simulate]"
COPY docker docker
COPY examples/digits.yaml ./
RUN install -m 755 docker/entrypoint /application/bin/streammon-entrypoint \
    && install -m 755 docker/health.py /application/bin/streammon-health \
    && sh docker/compile-kernels digits.yaml /application/kernels

# --- the image --------------------------------------------------------------------------------------------------------
FROM ${BASE}
ARG VERSION
LABEL org.opencontainers.image.title="streammon" \
    org.opencontainers.image.description="Monitoring of deep-learning inference on Kafka" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}"
# A fixed id, as a number below, so that volumes and Kubernetes' runAsNonRoot know it. /data is for a volume.
RUN groupadd --gid 10001 streammon \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin streammon \
    && install -d -o 10001 -g 10001 /data
# Two layers: another streammon leaves the gigabytes of the first alone.
COPY --from=environment /opt/streammon /opt/streammon
COPY --from=application /application /opt/streammon
ENV PATH=/opt/streammon/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/tmp/numba STREAMMON_TELEMETRY__PORT=9464
USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGTERM
# Of `run`; other commands have no endpoint: switch it off for them (--no-healthcheck).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["streammon-health"]
ENTRYPOINT ["streammon-entrypoint"]
CMD ["--help"]
