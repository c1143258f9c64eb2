# SPDX-License-Identifier: GPL-2.0-only
# Builds everything into build/, never into the source folders. `make help` lists the targets.
#
#   KDIR=PATH       build the module for the kernel with this build folder. The default is the
#                   running kernel, or Debian's stock kernel if the running one has no headers here
#   KERNEL=NAME     in VMs, that kernel of selftests/kernels/table instead of the stock one: 6.12,
#                   6.12-rt, 7.x, arm64, arm64-16k; or debug, debug-rt, kcsan, minimal, which it takes
#                   a quarter of an hour to build once.
#                   make test KERNEL=all: the stock kernel's tests, then all that need no building,
#                   then test-install
#   ARCH, CROSS_COMPILE  as for the kernel's own make: module and library for another machine, see
#                   scripts/system/boards.md
#   V=1             show the commands instead of a short line per file
#   W=1 C=1         more warnings, and sparse: passed on to kbuild
#   PREFIX, DESTDIR where `make install` puts the library (/usr/local); DESTDIR: also where
#                   `make modules_install` puts the module and the system's files for it (/)

MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

BUILD := $(CURDIR)/build
PREFIX := /usr/local
MINUTES := 10
MOVES := 1000000
setup := $(CURDIR)/scripts/setup

# Expanded when a recipe uses it, because scripts/setup may have installed the headers just before.
KDIR = $(if $(KERNEL),$(tested),$(or $(dir $(wildcard /lib/modules/$(shell uname -r)/build/Makefile)),$(stock)))
stock = $(shell $(setup) --print stock_headers)

# The kernels that boots run on, and of these the ones that are fetched.
ifneq ($(KERNEL),)
bootable := $(shell scripts/kernel --bootable)
fetched := $(shell scripts/kernel --bootable debian)
ifneq ($(KERNEL),$(filter $(bootable) $(if $(filter test,$(MAKECMDGOALS)),all),$(firstword $(KERNEL))))
$(error KERNEL=$(KERNEL) is none of $(bootable))
endif
endif

# What runs in the VM, for another architecture than this machine's. It is compiled against the root
# folder that the VM has then.
ifeq ($(if $(KERNEL),$(shell scripts/kernel --architecture $(firstword $(KERNEL)))),arm64)
cross := aarch64-linux-gnu-
kernel_cross := ARCH=arm64 CROSS_COMPILE=$(cross)
sysroot = $(or $(shell scripts/sysroot arm64),$(error no root folder of arm64))
VM_BUILD := $(BUILD)/arm64
vm_cross = CC='$(cross)$(shell $(setup) --print gcc) --sysroot=$(sysroot)' AR=$(cross)ar OBJCOPY=$(cross)objcopy \
	PKG_CONFIG_SYSROOT_DIR=$(sysroot) \
	PKG_CONFIG_LIBDIR=$(sysroot)/usr/lib/aarch64-linux-gnu/pkgconfig
else
VM_BUILD := $(BUILD)
endif

# The build folder of the kernel that the VM boots, and how scripts are told that kernel.
other = $(filter-out stock,$(KERNEL))
tested = $(if $(other),$(addsuffix /build,$(shell scripts/kernel $(other))),$(stock))
vm_kernel = $(if $(other),--kernel $(other))

.PHONY: all module drivers lib examples tests demo test test-faults test-moves vm setup clean help
.PHONY: install modules_install system_install deb test-install
.PHONY: coverage-core coverage-module mutate-core fuzz fuzz-core
.PHONY: bench-core bench-kernel bench-calls bench-held bench-claim bench-malloc
.PHONY: setup-build vm-module build-all

all: module lib			## module and library (the default)

# kbuild puts objects beside the sources. So it builds in the folder $$tree, which gets symlinks to
# what $(1) names.
symlinks = mkdir -p "$$tree" && cp -rsn $(1) "$$tree" && \
	find "$$tree" -type l ! -name '*.[ch]' ! -name Kbuild -delete -o -xtype l -delete

# Finds out the release of the kernel of KDIR.
kernel = kdir='$(KDIR)' && [ -n "$$kdir" ] && \
	{ [ -f "$$kdir/include/generated/utsrelease.h" ] || \
		{ echo >&2 "KDIR=$$kdir is no build folder of a kernel"; exit 1; }; } && \
	release=$$(sed 's/.*"\(.*\)"/\1/' "$$kdir/include/generated/utsrelease.h")

# Compiles what $(1) names in build/kernel-RELEASE/$(2), for that kernel.
kbuild = $(kernel) && \
	tree='$(BUILD)'/kernel-$$release/$(2) && \
	$(call symlinks,$(1)) && \
	scripts/with-compiler "$$kdir" $(MAKE) -C "$$kdir" M="$$tree" modules

module: setup-build		## memalloc.ko, in build/kernel-RELEASE/
	+@$(call kbuild,$(CURDIR)/Kbuild $(CURDIR)/module $(CURDIR)/uapi)

drivers: module			## test drivers, in a folder beside memalloc.ko
	+@$(call kbuild,$(CURDIR)/selftests/edu/.,edu)
	+@$(call kbuild,$(CURDIR)/selftests/copier/.,copier) KBUILD_EXTRA_SYMBOLS="$${tree%/*}/Module.symvers"
	+@$(call kbuild,$(CURDIR)/selftests/video/.,video) KBUILD_EXTRA_SYMBOLS="$${tree%/*}/Module.symvers"

lib: setup-build		## libmemalloc
	@$(MAKE) -C userlib lib BUILD='$(BUILD)'

examples: setup		## example programs of the library
	@$(MAKE) -C userlib lib examples BUILD='$(VM_BUILD)' $(vm_cross)

tests: setup examples		## test programs, for the VM and for this machine
	@$(MAKE) -C userlib $(if $(cross),vm-tests,tests) BUILD='$(VM_BUILD)' $(vm_cross)
	@$(MAKE) -C selftests $(if $(cross),vm) BUILD='$(VM_BUILD)' $(vm_cross) \
		KSELFTEST="$$($(setup) --print kselftest)"

vm-module: setup
	@$(MAKE) drivers KERNEL=$(or $(KERNEL),stock) $(kernel_cross)

demo: vm-module examples		## a camera, a disk and a program share buffers, in a VM
	@scripts/demo $(vm_kernel)

ifeq ($(KERNEL),all)
test:
	+@failed=; for kernel in stock $(fetched); do \
		$(MAKE) test KERNEL=$$kernel || failed="$$failed $$kernel"; \
	done; \
	$(MAKE) test-install KERNEL= || failed="$$failed install"; \
	[ -z "$$failed" ] || { echo "tests failed on:$$failed"; exit 1; }
else
test: vm-module tests		## all tests, natively and in VMs; with KERNEL, only those in VMs
	@scripts/test $(vm_kernel)
endif

test-install: setup		## installs the packages in VMs with Debian 12 and 13 (RELEASE=trixie: there)
	@$(setup) test-install
	@scripts/test-install $(RELEASE)

build-all: setup		## compiles the module for each kernel of Debian, with all warnings
	@scripts/build-all

test-faults: vm-module tests	## whether the tests notice faults that are put in on purpose
	@scripts/faults

coverage-core: setup		## lines and branches of the core that its tests reach
	@scripts/coverage-core

coverage-module: tests		## lines and branches of the module that the tests in VMs reach
	@$(MAKE) vm-module KERNEL=debug GCOV_PROFILE=y KASAN_SANITIZE=n UBSAN_SANITIZE=n
	@scripts/coverage-module

mutate-core: setup		## whether the tests notice each small change to the core (slow)
	@scripts/mutate-core

test-moves: vm-module tests	## moves of buffers that are in use, in a VM (MOVES=1000000)
	@scripts/vm $(vm_kernel) --name moves --timeout 14400 selftests/boots/one.sh hostile/moves \
		MOVES=$(MOVES)

fuzz: vm-module tests		## random calls, compared with a model, in a VM (MINUTES=10, SEED=n)
	@scripts/vm $(vm_kernel) --timeout $$(($(MINUTES) * 60 + 300)) selftests/boots/fuzz.sh \
		MINUTES=$(MINUTES) SEED=$(or $(SEED),$(shell date +%s))

fuzz-core: setup		## fuzzes the core for a minute
	@scripts/fuzz-core

bench-core: setup		## compares fits on traces of real programs (TRACES=DIR: on those)
	@$(MAKE) -C selftests/bench BUILD='$(BUILD)'
	@scripts/bench-core

bench-kernel: KDIR = $(stock)
bench-kernel: setup		## compares allocators in the kernel by instructions, in a VM
	+@for unit in instructions steps; do \
		export UNIT=$$unit && \
		$(call kbuild,$(CURDIR)/selftests/bench-kernel/. $(CURDIR)/module/core,bench-$$unit) || \
			exit; \
	done
	@scripts/bench-kernel

# PROFILE=1: also where they go, with TOP functions, and calls within each other down to DEPTH, if they
# have LEAST percent. CPUS=N: instead, what N CPUs share that do so at the same time, each with HELD
# buffers, and LARGE of them with larger ones; and TOP lines of memory that two of them use LEAST times in
# a thousand pairs.
bench-calls: vm-module tests	## instructions of allocating and freeing a buffer, in a VM (PROFILE=1: where they go; CPUS=8: what CPUs share instead)
	@$(if $(CPUS),,scripts/vm $(vm_kernel) --name bench-calls selftests/bench-calls/run.sh)
	@$(if $(CPUS),TOP=$(TOP) LEAST=$(LEAST) HELD=$(HELD) LARGE=$(LARGE) scripts/count-shared $(vm_kernel) --cpus $(CPUS))
	@$(if $(PROFILE),TOP=$(TOP) DEPTH=$(DEPTH) LEAST=$(LEAST) scripts/profile-calls $(vm_kernel))

bench-held: KDIR = $(tested)
bench-held: vm-module tests	## instructions for which the module holds its spinlocks, in a VM
	+@$(call kbuild,$(CURDIR)/selftests/bench-held/. $(CURDIR)/module $(CURDIR)/uapi,bench-held)
	@scripts/vm $(vm_kernel) --name bench-held selftests/bench-held/run.sh

# CMA=1: the page of 1 GiB is out of CMA, on kernels that have it, as 7.x.
claim_vm = $(if $(CMA),--append hugetlb_cma=1G)
bench-claim: vm-module tests	## what can be claimed on a busy machine, in VMs (LOADS='none cache files')
	@for load in $(or $(LOADS),none cache files); do \
		scripts/vm $(vm_kernel) --name bench-claim $(claim_vm) \
			selftests/bench-claim/run.sh $$load || exit; \
	done

bench-malloc: examples		## compares the drop-in malloc with others (ROUNDS=7)
	@$(MAKE) -C selftests/bench BUILD='$(BUILD)'
	@ROUNDS=$(ROUNDS) scripts/bench-malloc

vm: vm-module tests		## a shell in a VM with the module loaded
	@scripts/vm $(vm_kernel) --shell

setup:				## installs and fetches what demo and tests need (Debian)
	@$(setup)

# What needs more than a compiler sets up the machine first.
building := all module drivers lib install modules_install system_install clean help
ifneq ($(filter-out $(building),$(or $(MAKECMDGOALS),all)),)
setup-build: setup
endif
setup-build:
	@$(setup) build

install: lib			## the library, its headers and manual pages, to PREFIX
	@$(MAKE) -C userlib install BUILD='$(BUILD)' PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)'

# The kernel's own target wants the key that the kernel was built with.
modules_install: module system_install	## the module, and what has it loaded, to DESTDIR
	@$(kernel) && \
	echo "  INSTALL $(DESTDIR)/lib/modules/$$release/updates/memalloc.ko" && \
	install -D -m 644 '$(BUILD)'/kernel-$$release/memalloc.ko \
		'$(DESTDIR)'/lib/modules/$$release/updates/memalloc.ko && \
	{ [ -n '$(DESTDIR)' ] || PATH=$$PATH:/sbin:/usr/sbin depmod "$$release"; }

# Nothing in /etc: that is the administrator's.
system := scripts/system
system_install:
	@install -D -m 644 $(system)/modprobe.conf '$(DESTDIR)/usr/lib/modprobe.d/memalloc.conf'
	@install -D -m 644 $(system)/60-memalloc.rules '$(DESTDIR)/usr/lib/udev/rules.d/60-memalloc.rules'
	@install -D $(system)/initramfs-hook '$(DESTDIR)/usr/share/initramfs-tools/hooks/memalloc'

deb:				## packages for Debian, in build/deb/
	@$(setup) deb
	@scripts/deb

clean:				## removes build/
	rm -rf '$(BUILD)'

help:				## this list
	@sed -n 's/^\([a-z_-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 16
	@sed -n '/^#   /s/^# //p' Makefile
	@echo
	@echo 'To begin: make demo, then make test. One part of the tests: scripts/test static, or a boot'
	@echo 'of selftests/boots/, as scripts/test stock. One program, in half a minute:'
	@echo '  make vm-module tests && scripts/vm selftests/boots/one.sh limits'
