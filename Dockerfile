# The command worker, in an image of its own: docker build -t spillway-worker .
# Handlers that are programs (exec) need an image that has them: build one FROM this one's
# /worker, or FROM a base that has your programs.
#
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty) .
#   docker run -v ./worker.yaml:/etc/spillway/worker.yaml:ro spillway-worker
FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
RUN apk add --no-cache ca-certificates
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev REVISION=
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION" -o /out/ ./cmd/worker ./examples/downstream

# What the demo's handlers call: docker build --target downstream .
FROM scratch AS downstream
COPY --from=build /out/downstream /downstream
USER 65532:65532
EXPOSE 9000
ENTRYPOINT ["/downstream"]
CMD ["--listen", "0.0.0.0:9000"]

# The last stage is what is built without --target.
FROM scratch AS worker
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/worker /worker
COPY LICENSE /
USER 65532:65532
ENV SPILLWAY_CONFIG=/etc/spillway/worker.yaml
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/worker", "healthcheck"]
ENTRYPOINT ["/worker"]
CMD ["run"]
