# The commands of the house. CONTRIBUTING.md says when to use which.

LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: test race lint fmt bench demo ci

test: ## all tests, most of them in virtual time
	go test ./...

race: ## the same under the race detector
	go test -race ./...

lint: ## the linters of .golangci.yml; the first run builds them, in about two minutes
	$(LINT) run ./...

fmt: ## format, tidy and modernise in place
	$(LINT) fmt ./...
	go mod tidy
	go fix ./...

bench: ## the micro-benchmarks; bench/ measures whole pipelines beside the peers
	go test -run '^$$' -bench . -benchmem ./...

demo: ## an embedded NATS, tenants with traffic, numbers on the terminal
	go run ./cmd/worker demo

ci: ## exactly what CI runs
	bash .ci/run
