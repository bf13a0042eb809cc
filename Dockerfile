# syntax=docker/dockerfile:1

# One image with the three programs; the command chooses which one runs:
#   docker run … grantor api-server | token-server | grantor migrate | grantor bootstrap

FROM rust:1-bookworm AS builder
WORKDIR /src
COPY . .
# The target folder is a cache mount and is not in the layer, so the programs are copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bins -p grantor -p grantor-api-server -p grantor-token-server \
    && install -D --target-directory=/out \
        target/release/grantor target/release/api-server target/release/token-server

FROM debian:bookworm-slim
# The bundled OpenSSL looks for certificates elsewhere, so it is told: `sslrootcert=system` in a database URL works.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
COPY --from=builder /out/ /usr/local/bin/
# Nothing is written to disk, and no file belongs to this user.
USER 10001:10001
# API, token service. The operations ports (9080, 9081) stay on the container's own 127.0.0.1.
EXPOSE 8080 8081
CMD ["grantor", "--help"]
