# `make run` and `make test` need no more than Go, make and, for the tests, a Debian machine with apt.
# `make fips` makes the program that computes by Go's FIPS 140-3 module, and `make test-fips` tests it: docs/fips.md.
COFFER_TEST_DIR ?= $(HOME)/.cache/coffer-test
export COFFER_TEST_DIR

.PHONY: build fips run test test-fips test-long test-pkcs11 bench bench-scale generate lint setup
build:
	go build -o coffer ./cmd/coffer
fips:
	GOFIPS140=certified go build -o coffer ./cmd/coffer
	./coffer version
run: build
	COFFER_GREET=1 ./coffer serve
test: setup
	go test -race -timeout 15m ./...
test-fips: setup
	GOFIPS140=certified GODEBUG=fips140=only go test -timeout 15m ./internal/... ./cmd/...
	GOFIPS140=certified GODEBUG=fips140=only go test -timeout 15m -run '^Test(FIPS|AWS|Docker|Skopeo)$$' ./test/clients
# Roots of trust in a PKCS#11 token need a C compiler; the tests use SoftHSM: apt-get install softhsm2.
test-pkcs11:
	CGO_ENABLED=1 go test -tags pkcs11 -run PKCS11 ./internal/rootkey
test-long: setup
	COFFER_TEST_LONG=1 go test -race -timeout 45m ./...
bench: build
	go run ./test/bench -coffer ./coffer -out docs/performance.md
# Replicas on PostgreSQL and S3 against the embedded default; it writes a section of the same document.
bench-scale: build setup
	COFFER_BENCH_SCALE=$(CURDIR)/coffer COFFER_BENCH_OUT=$(CURDIR)/docs/performance.md go test -timeout 60m -run '^TestScale$$' -v ./test/bench
generate:
	go generate ./...
lint:
	test/lint
setup:
	test/setup
