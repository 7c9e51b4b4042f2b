# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What cargo cannot say: packages, modules, virtual machines. One command for
# each activity; `make help` lists them.

KVER ?= 6.1
MAKEFLAGS += --no-print-directory
blob := target/bpf_preload_umd
kernels = $(shell awk '!/^\#/ && NF { print $$1 }' tests/vm/kernels)

.PHONY: help setup run test soak fuzz bench bench-read bench-objects bench-mount conformance check blob vendor tool module dkms intree test-intree test-sanitized vm script kver clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## */make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## install what this machine lacks
	@tests/setup

run: module ## two bpffs in a stock kernel's VM, read as an operator would
	@tests/vm/boot $(KVER) tests/vm/demo.sh

test: kver blob tool ## all tests, on this machine and in VMs [KVER=6.1] [CASE=name]
	@tests/run $(if $(filter command environment,$(origin KVER)),--kver $(KVER)) $(if $(CASE),--case '$(CASE)')

soak: kver blob ## thousands of mounts, nothing left of them [KVER=6.1]
	@tests/vm/soak $(if $(filter command environment,$(origin KVER)),$(KVER))

fuzz: setup ## hostile input for each reader, with a nightly toolchain and cargo-fuzz [TIME=seconds] [TARGET=name]
	@tests/fuzz/run $(or $(TIME),60) $(TARGET)

bench: blob tool ## the benchmark's tables
	@status=0; tests/bench/run || status=1; echo; tests/bench/read || status=1; echo; \
		tests/bench/objects || status=1; exit $$status

bench-mount: kver blob ## the latency of a mount, with and without the shim, per kernel [KVER=6.1]
	@tests/bench/mount $(if $(filter command environment,$(origin KVER)),$(KVER))

bench-read: blob ## of these, the one about reading the files
	@tests/bench/read

bench-objects: blob tool ## of these, the one about loading objects of others
	@tests/bench/objects

SETS ?= selftests packages
PLACES ?= here 6.12
conformance: tool ## CO-RE, requests and verdicts against libbpf and bpftool [SETS="selftests-7.3 linked"] [PLACES="here 7.3"]
	@tests/conformance/prepare
	@tests/conformance/core
	@status=0; for set in $(SETS); do tests/conformance/requests $$set here || status=1; for where in $(PLACES); do \
		tests/conformance/verdict $$set $$where || status=1; done; done; exit $$status

check: setup ## formatting, lints, checkpatch, sparse, the blob's properties
	@tests/check/run

# It is linked to one address, and as code for that 80 bytes shorter.
blob: setup ## the static driver: target/bpf_preload_umd
	@cargo rustc --quiet --release --bin bpf_preload_umd -- -C relocation-model=static
	@mkdir -p target
	@umd/strip $${CARGO_TARGET_DIR:-target}/release/bpf_preload_umd $(blob)

vendor: ## the crates into vendor/: from then on cargo needs no network
	@mkdir -p .cargo
	@cargo vendor --locked >.cargo/config.toml

# Static: finding its libraries would take it as long as a small object takes to load; at one
# address, since each page with an address in it would be written to at the start. load.ld, in
# terms of v0 names, puts side by side what a load needs; 64 KiB of the file are then 64 KiB of
# addresses, which the kernel maps together. It maps folios of the page cache as a whole: those of
# a file that is installed are smaller than those of one that strip(1) writes.
tool: setup ## the host tool: target/bpf-preload
	@RUSTFLAGS="$$RUSTFLAGS -C symbol-mangling-version=v0" \
	cargo rustc --quiet --profile tool --package bpf-preload --bin bpf-preload -- \
		-C target-feature=+crt-static -C relocation-model=static \
		-C link-arg=-Wl,-T,$(CURDIR)/umd/tool/load.ld,-z,max-page-size=0x10000
	@mkdir -p target
	@strip --strip-all -R .comment -o target/bpf-preload.new $${CARGO_TARGET_DIR:-target}/tool/bpf-preload
	@install target/bpf-preload.new target/bpf-preload
	@rm target/bpf-preload.new

module: $(if $(KDIR),,kver) blob ## target/kmod/<KVER>/bpf_preload.ko [KVER=...|KDIR=/path]
	@tests/vm/module $(if $(KDIR),$(abspath $(KDIR)),$(KVER))

intree: ## the shim into a kernel's source: KSRC=/path [BLOB=prebuilt driver]
	@kmod-shim/intree/apply $(if $(KSRC),$(abspath $(KSRC)))

test-intree: blob tool ## small 6.12 and 7.3 kernels with it in their trees: built, and all cases [CASE=name]
	@tests/intree/run $(if $(CASE),--case '$(CASE)') 6.12-m 6.12-y 7.3-m apply_test dkms_test offline_test

test-sanitized: blob tool ## the same with all sanitizers of the kernel [CASE=name]
	@tests/intree/run $(if $(CASE),--case '$(CASE)') 6.12-sanitized

dkms: blob ## target/dkms/bpf_preload-<version>, for `dkms add`
	@rm -rf target/dkms
	@dir=target/dkms/bpf_preload-$$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kmod-shim/dkms.conf) && \
		mkdir -p $$dir && cp kmod-shim/Kbuild kmod-shim/dkms.conf kmod-shim/*.[chS] $(blob) $$dir

vm: script module tool ## run SCRIPT in KVER's kernel: SCRIPT=file [KVER=...] [FILES="a b"]
	@tests/vm/boot $(KVER) $(SCRIPT) $(FILES)

# Before anything is fetched or built for them.
kver:
	@:$(if $(filter $(kernels),$(KVER)),,$(error no kernel $(KVER) in tests/vm/kernels, there are: $(kernels)))

script:
	@$(if $(SCRIPT),,$(error make vm wants SCRIPT=file))test -f $(SCRIPT) || \
		{ echo "make vm: no script $(SCRIPT)" >&2; exit 1; }

clean: ## remove what was built (fetched kernels stay in the cache)
	@rm -rf target
