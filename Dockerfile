# The command line in a small image. Data and settings stay outside: mount a volume on /data.
#   docker build -t algo-trader .
#   docker run --rm algo-trader backtest SYNA SYNB SYNC --bars /app/data/sample
FROM python:3.11-slim

ENV UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    PYTHONUNBUFFERED=1 \
    ALGO_DATA_DIR=/data

RUN pip install --no-cache-dir uv

WORKDIR /app
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project
COPY algo_trader ./algo_trader
COPY alembic ./alembic
COPY data/sample ./data/sample
RUN uv sync --locked --no-dev --no-editable

RUN useradd --create-home --uid 1000 trader && mkdir /data && chown trader /data
USER trader
VOLUME /data

ENTRYPOINT ["/app/.venv/bin/algo-trader"]
CMD ["--help"]
