SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

PREFIX ?= /usr/local
DESTDIR ?=
FUZZTIME ?= 20s
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
RELEASE ?=

# The commit goes in by hand: what Go would note by itself depends on whether
# git is there and on files that have nothing to do with the build.
GOBUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.commit=$(COMMIT) -X main.release=$(RELEASE)"

.PHONY: build repro-build deps servers test quick lint architectures fuzz bench man completions install clean

build: ## the static binary ./samebits
	$(GOBUILD) -o samebits ./cmd/samebits

repro-build: ## build twice in two places, compare
	.ci/repro-build

deps: ## install the Debian packages that the tests need
	.ci/deps

# Go programs of others that tests run against or use, pinned in a module of
# their own and built where they are not there yet or another version is wanted.
SERVERS = dist/servers/ipfs dist/servers/oras dist/servers/versitygw

servers: $(SERVERS) ## build the programs that the tests need into dist/servers

$(SERVERS) &: .ci/servers/go.mod .ci/servers/go.sum
	GOWORK=off go -C .ci/servers build -trimpath -buildvcs=false -o "$(CURDIR)/dist/servers/" tool
	touch $(SERVERS)

test: deps servers ## all tests, with the race detector
	go test -race -timeout 30m -json ./... ./.ci/report | go run ./.ci/report .ci/allowed-skips

quick: ## the tests that take no more than seconds
	go test -short ./...

lint: ## gofmt, vet, staticcheck, links in the documents
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0r ls -d 2>/dev/null | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	go vet ./... ./.ci/report
	go -C .ci/tools build -o "$(CURDIR)/dist/staticcheck" honnef.co/go/tools/cmd/staticcheck
	dist/staticcheck ./... ./.ci/report
	.ci/links

# Packages in which the kernel's structures count, whose types differ.
KERNEL = ./imagebuild/dir ./imagebuild/filetime ./imagebuild/sandbox ./imagebuild/target

architectures: ## that it builds for others, and works on 32-bit machines
	CGO_ENABLED=0 GOARCH=386 go build -o /dev/null ./cmd/samebits
	for arch in arm s390x; do CGO_ENABLED=0 GOARCH=$$arch go build $(KERNEL); done
	if [ "$$(go env GOHOSTARCH)" = amd64 ]; then \
	  CGO_ENABLED=0 GOARCH=386 go test -vet=off ./lockfile ./imagebuild/filetime ./imagebuild/grub ./imagebuild/gpt; \
	fi

fuzz: ## every fuzz target for FUZZTIME
	for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "== $$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

bench: build servers ## the table of docs/benchmarks.md
	go run ./bench -samebits ./samebits

man: build ## the manual page
	mkdir -p dist
	./samebits man >dist/samebits.1

completions: build ## completion scripts for bash, zsh and fish
	mkdir -p dist
	for shell in bash zsh fish; do ./samebits completion $$shell >dist/samebits.$$shell; done

install: man completions ## put all that into PREFIX, below DESTDIR
	install -D -m 755 samebits "$(DESTDIR)$(PREFIX)/bin/samebits"
	install -D -m 644 dist/samebits.1 "$(DESTDIR)$(PREFIX)/share/man/man1/samebits.1"
	install -D -m 644 dist/samebits.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/samebits"
	install -D -m 644 dist/samebits.zsh "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_samebits"
	install -D -m 644 dist/samebits.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/samebits.fish"

clean: ## remove what was built
	rm -rf samebits dist
