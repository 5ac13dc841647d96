# syntax=docker/dockerfile:1
# One static binary and nothing else: no shell, no package manager, nothing to keep up to date but Sidelight.
#   docker build -t sidelight .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" sidelight train sidelight.toml --out runs/a
#   docker run --rm -p 8080:8080 -v "$PWD/runs:/work/runs:ro" sidelight serve runs/a --addr 0.0.0.0:8080

# On Alpine the system's C library is musl, and Rust links it into the program.
FROM rust:1.95-alpine3.22 AS build
# A C compiler for zstd, ring and mimalloc.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
ARG SIDELIGHT_COMMIT=unknown
# (The image has the toolchain; rust-toolchain.toml would fetch clippy and rustfmt as well.)
ENV RUSTUP_TOOLCHAIN=1.95 SIDELIGHT_COMMIT=$SIDELIGHT_COMMIT
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package sidelight-cli \
    && cp target/release/sidelight /sidelight \
    && mkdir -p /empty/tmp /empty/work

FROM scratch
COPY --from=build /sidelight /sidelight
COPY LICENSE /LICENSE
# Folders that whoever runs it may write to; mount your own at /work.
COPY --from=build --chown=65532:65532 /empty /
USER 65532:65532
WORKDIR /work
ENV HOME=/work
EXPOSE 8080
ENTRYPOINT ["/sidelight"]
CMD ["--help"]
