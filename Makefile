# `make run` and `make test` need no more than Go, make and, for the tests, a Debian machine with apt.
COFFER_TEST_DIR ?= $(HOME)/.cache/coffer-test
export COFFER_TEST_DIR

.PHONY: build run test test-long bench generate lint setup
build:
	go build -o coffer ./cmd/coffer
run: build
	COFFER_GREET=1 ./coffer serve
test: setup
	go test -race -timeout 15m ./...
test-long: setup
	COFFER_TEST_LONG=1 go test -race -timeout 45m ./...
bench: build
	go run ./test/bench -coffer ./coffer -out docs/performance.md
generate:
	go generate ./...
lint:
	test/lint
setup:
	test/setup
