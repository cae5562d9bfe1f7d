# Pumice on the CPU: `docker build -t pumice .`, then `docker run --rm -v "$PWD:/work" pumice demo`.
# The image holds the command and a C compiler. It reads and writes the folder that is mounted at /work.
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY . .
RUN python -m pip install --no-cache-dir build && python -m build --wheel --outdir /wheel

FROM python:3.11-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc libc6-dev \
  && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheel /tmp/wheel
# Lava forbids this Python in its metadata alone, so it is installed without asking it.
RUN python -m pip install --no-cache-dir --constraint /tmp/constraints.txt \
      --extra-index-url https://download.pytorch.org/whl/cpu "$(ls /tmp/wheel/*.whl)[sweep]" \
  && python -m pip install --no-cache-dir --no-deps --ignore-requires-python lava-nc==0.10.0 \
  && rm -rf /tmp/wheel /tmp/constraints.txt
RUN useradd --create-home pumice && mkdir /work && chown pumice /work
USER pumice
WORKDIR /work
ENTRYPOINT ["pumice"]
CMD ["--help"]
