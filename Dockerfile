# Three images from one file:
#   --target api       without torch: API, migration, dispatcher
#   --target worker    with torch; the one of PyPI brings CUDA with it, for one without add
#                      --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   --target trainer   the same with transformers and PEFT
ARG PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON_IMAGE} AS base
# The image's standard library comes without bytecode, and a read-only container could never keep any.
RUN python -m compileall -q "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && groupadd --gid 10001 tailora \
    && useradd --uid 10001 --gid tailora --create-home --shell /usr/sbin/nologin tailora \
    && install -d -o tailora -g tailora -m 750 /data /cache \
    && install -d /models /datasets
ENV HF_HOME=/cache/huggingface \
    MPLCONFIGDIR=/tmp/matplotlib \
    PIP_CACHE_DIR=/var/cache/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TAILORA_DATA=/data \
    TAILORA_LOG_FORMAT=json \
    XDG_CACHE_HOME=/cache
WORKDIR /home/tailora

# Requirements as files of their own: a change elsewhere in pyproject.toml installs nothing again.
FROM base AS requirements
COPY pyproject.toml scripts/list_requirements.py /source/
RUN python /source/list_requirements.py server plots >/api.txt \
    && python /source/list_requirements.py server analyze >/worker.txt \
    && python /source/list_requirements.py server train >/trainer.txt

FROM base AS code
COPY . /source
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --no-deps --prefix /install /source

FROM base AS api-packages
COPY --from=requirements /api.txt /requirements/
COPY constraints.txt /requirements/
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --constraint /requirements/constraints.txt --requirement /requirements/api.txt

FROM api-packages AS worker-packages
ARG TORCH_INDEX=
COPY --from=requirements /worker.txt /requirements/
RUN --mount=type=cache,target=/var/cache/pip \
    pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        --constraint /requirements/constraints.txt --requirement /requirements/worker.txt

FROM worker-packages AS trainer-packages
ARG TORCH_INDEX=
COPY --from=requirements /trainer.txt /requirements/
RUN --mount=type=cache,target=/var/cache/pip \
    pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        --constraint /requirements/constraints.txt --requirement /requirements/trainer.txt

FROM trainer-packages AS trainer
COPY --from=code /install /usr/local
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["tailora", "worker", "--queue", "train", "--check"]
CMD ["tailora", "worker", "--queue", "train"]

FROM worker-packages AS worker
COPY --from=code /install /usr/local
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["tailora", "worker", "--check"]
CMD ["tailora", "worker"]

FROM api-packages AS api
COPY --from=code /install /usr/local
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["tailora", "api"]
