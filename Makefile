# `make run` and `make test` need no more than Go, make and, for the tests, a Debian machine with apt.
# `make fips` makes the program that computes by Go's FIPS 140-3 module, and `make test-fips` tests it: docs/fips.md.
COFFER_TEST_DIR ?= $(HOME)/.cache/coffer-test
export COFFER_TEST_DIR

.PHONY: build fips image image-fips run test test-postgresql test-fips test-long test-pkcs11 bench bench-scale generate lint setup
build:
	go build -o coffer ./cmd/coffer
fips:
	GOFIPS140=certified go build -o coffer ./cmd/coffer
	./coffer version
# The image is made of the source alone, without a network or a container engine: the same commit and the same Go make the
# same digest. ARCH=arm64 makes it for another machine. Load it by: docker load -i coffer-image.tar
ARCH ?= $(shell go env GOARCH)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
IMAGE ?= $(IMAGE_NAME)-image.tar
IMAGE_BUILD ?= build/$(IMAGE_NAME)
image image-fips: export SOURCE_DATE_EPOCH := $(SOURCE_DATE_EPOCH)
image: IMAGE_NAME = coffer
image-fips: IMAGE_NAME = coffer-fips
image-fips: export GOFIPS140 = certified
image image-fips:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -buildvcs=auto -ldflags='-s -w' -o $(IMAGE_BUILD)/coffer ./cmd/coffer
	GOFIPS140= go run ./deploy/image -binary $(IMAGE_BUILD)/coffer -revision "$$(git rev-parse HEAD 2>/dev/null)" -name $(IMAGE_NAME) -out $(IMAGE)
run: build
	COFFER_GREET=1 ./coffer serve
# The race detector looks at Coffer and what it imports, but for SQLite itself: that is C made into Go, with locks of its own, and takes five
# times as long under it.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false
test: setup
	go test $(RACE) -timeout 15m ./...
# What runs on both engines, on PostgreSQL with every transaction run twice, and what decides on images also as it is.
ON_POSTGRESQL = ./internal/registry ./internal/iam ./internal/organization ./internal/kms ./internal/access ./internal/identity \
	./internal/ociserver ./internal/service/...
test-postgresql: setup
	COFFER_TEST_ENGINE=postgresql go test -timeout 15m ./internal/registry ./internal/ociserver
	COFFER_TEST_ENGINE=postgresql COFFER_TEST_RERUN=1 go test -timeout 15m $(ON_POSTGRESQL)
test-fips: setup
	GOFIPS140=certified GODEBUG=fips140=only go test -timeout 15m ./internal/... ./cmd/...
	GOFIPS140=certified GODEBUG=fips140=only go test -timeout 15m -run '^Test(FIPS|AWS|Docker|Skopeo)$$' ./test/clients
# Roots of trust in a PKCS#11 token need a C compiler; the tests use SoftHSM: apt-get install softhsm2.
test-pkcs11:
	CGO_ENABLED=1 go test -tags pkcs11 -run PKCS11 ./internal/rootkey
test-long: setup
	COFFER_TEST_LONG=1 go test $(RACE) -timeout 45m ./...
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
