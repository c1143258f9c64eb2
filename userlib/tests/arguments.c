// SPDX-License-Identifier: MIT
/*
 * What the library does with its arguments before and after the kernel, checked
 * without the module: each call runs on a descriptor that is no memalloc device.
 * A call that refuses an argument by itself answers so; any other must hand on
 * what the kernel said, and leave errno alone. calls.c tests the real thing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "device.h"
#include "probe.h"
#include "tap.h"

static void test_open(void)
{
	char directory[] = "/tmp/memalloc-test-XXXXXX";
	struct memalloc *mem = NULL;

	errno = UNTOUCHED;
	is(memalloc_open("/dev/no-such-device", &mem), -ENOENT, "open: ENOENT, no such file");
	is(memalloc_open("/dev/null", &mem), -ENOTTY, "open: ENOTTY, another device");
	is(memalloc_open("/dev/zero", &mem), -ENOTTY, "open: ENOTTY, yet another device");
	is(memalloc_open("/dev/null/x", &mem), -ENOTDIR, "open: ENOTDIR from open(2)");
	is(errno, UNTOUCHED, "open: errno is left alone");
	ok(!mem, "open: a failure leaves the pointer alone");

	if (!mkdtemp(directory))
		exit(1);
	is(memalloc_open(directory, &mem), -EISDIR, "open: EISDIR, a directory");
	rmdir(directory);

	errno = UNTOUCHED;
	memalloc_close(NULL);
	is(errno, UNTOUCHED, "close: NULL is allowed");
}

/* The length of the region that this opens, or the error. */
static int64_t length_of(const char *path)
{
	struct memalloc *mem;
	struct memalloc_info info;
	int err = memalloc_open(path, &mem);

	if (err)
		return err;
	if (memalloc_backend(mem) != MEMALLOC_BACKEND_PROCESS ||
	    memalloc_get_info(mem, &info, sizeof(info)))
		exit(1);
	memalloc_close(mem);
	return info.region_length;
}

static bool has_name(const char *path, const char *name)
{
	struct memalloc_info info;
	struct memalloc *mem;

	if (memalloc_open(path, &mem))
		return false;
	if (memalloc_get_info(mem, &info, sizeof(info)))
		exit(1);
	memalloc_close(mem);
	return !strcmp((char *)info.name, name);
}

static void test_process(void)
{
	const int64_t page = sysconf(_SC_PAGESIZE);
	static const char *const malformed[] = {
		"process:", "process:0", "process:1", "process:4097", "process:x", "process:-4096",
		"process: 4096", "process:+4096", "process:64MB", "process:64MM", "process:64P",
		"process:64mb", "process:64i", "process:64p", "process:1E", "process:1T1",
		"process:0x1000", "process::64M", "process:64M,", "process:64M:", "process:64M:a/b",
		"process:64M:a:b", "process:64M:a b", "process::video", "process:video",
		"process:64M:a-name-of-32-characters-exactly-",
		"process:18446744073709551616", "process:18446744073709551615T",
		"process:16777216T", "process:16777217T", "process:4097T",
		NULL
	}, *const *bad;
	char name[64];

	errno = UNTOUCHED;
	is(length_of("process"), 64 << 20, "open: process, 64 MiB");
	snprintf(name, sizeof(name), "process:%lld", (long long)(3 * page));
	is(length_of(name), 3 * page, "open: process, a number of bytes");
	is(length_of("process:64K"), 64 << 10, "open: process, K");
	is(length_of("process:3M"), 3 << 20, "open: process, M");
	is(length_of("process:2G"), 2LL << 30, "open: process, G");
	is(length_of("process:1T"), 1LL << 40, "open: process, T");
	is(length_of("process:64k"), 64 << 10, "open: process, k");
	is(length_of("process:256m"), 256 << 20, "open: process, m");
	is(length_of("process:2g"), 2LL << 30, "open: process, g");
	is(length_of("process:1t"), 1LL << 40, "open: process, t");
	is(length_of("process:3M:video"), 3 << 20, "open: process, with a name");
	ok(has_name("process:3M:video", "video"), "open: process, it has that name");
	ok(has_name("process", "process"), "open: process, its name by default");
	is(length_of("./process"), -ENOENT, "open: ENOENT, a file of that name");
	is(length_of("no-such-region"), -ENOENT, "open: ENOENT, a region");
	is(length_of("no.such.file"), -ENOENT, "open: ENOENT, a file in the current folder");
	is(length_of("processes"), -ENOENT, "open: ENOENT, a file that begins with that name");
	for (bad = malformed; *bad; bad++) {
		snprintf(name, sizeof(name), "open: EINVAL, %s", *bad);
		is(length_of(*bad), -EINVAL, name);
	}
	is(errno, UNTOUCHED, "open: errno is left alone");
}

/* The kernel would end the program. */
static void test_file_limit(void)
{
	struct rlimit normal, limit;

	if (getrlimit(RLIMIT_FSIZE, &normal))
		exit(1);
	limit = normal;
	limit.rlim_cur = 1 << 20;
	if (setrlimit(RLIMIT_FSIZE, &limit))
		exit(1);
	is(length_of("process:1M"), 1 << 20, "open: process, as long as a file may be");
	is(length_of("process:2M"), -EFBIG, "open: EFBIG, longer than a file may be");
	setrlimit(RLIMIT_FSIZE, &normal);
}

static void test_default(void)
{
	static const char *const variable = "MEMALLOC_DEVICE";
	struct memalloc *mem = NULL;
	int err;

	unsetenv(variable);
	err = memalloc_open(NULL, &mem);
	if (access(MEMALLOC_DEFAULT_DEVICE, F_OK))
		ok(!err && memalloc_backend(mem) == MEMALLOC_BACKEND_PROCESS,
		   "open: NULL is the process where there is no device");
	else
		ok(err || memalloc_backend(mem) == MEMALLOC_BACKEND_DEVICE,
		   "open: NULL is the device where there is one");
	if (!err)
		memalloc_close(mem);

	setenv(variable, "process:1M", 1);
	is(length_of(NULL), 1 << 20, "open: NULL is what the environment says");
	is(length_of("process:2M"), 2 << 20, "open: what the program says comes first");
	setenv(variable, "process:", 1);
	is(length_of(NULL), -EINVAL, "open: EINVAL, the environment says something malformed");
	setenv(variable, "/dev/no-such-device", 1);
	is(length_of(NULL), -ENOENT, "open: ENOENT, the environment names no file");
	setenv(variable, "/dev/null", 1);
	is(length_of(NULL), -ENOTTY, "open: ENOTTY, the environment names another device");
	setenv(variable, "", 1);
	is(memalloc_open(NULL, &mem), err, "open: an empty variable says nothing");
	if (!err)
		memalloc_close(mem);
	unsetenv(variable);
}

static void test_no_descriptor_is_lost(void)
{
	struct memalloc *mem;
	int before = open("/dev/null", O_RDONLY);
	int after, i;

	close(before);
	for (i = 0; i < 10; i++)
		memalloc_open("/dev/null", &mem);
	length_of("process");
	after = open("/dev/null", O_RDONLY);
	close(after);
	is(after, before, "open: a failure leaves no descriptor behind, nor does close");
}

static int must_not_be_called(const struct memalloc_block *block, void *data)
{
	(void)block;
	*(bool *)data = true;
	return 0;
}

static void test_get(struct memalloc *other)
{
	struct memalloc_stats stats;
	struct memalloc_info info;
	uint32_t word = 0x55555555;

	is(memalloc_get_info(other, (void *)&word, sizeof(word)), -EINVAL,
	   "get_info: EINVAL, no room for a size");
	is(word, 0x55555555, "get_info: and nothing is written there");
	is(memalloc_get_info(other, &info, 0), -EINVAL, "get_info: EINVAL, size 0");
	is(memalloc_get_info(other, &info, SIZE_MAX), -E2BIG,
	   "get_info: E2BIG, a size of no struct");
	is(memalloc_get_info(other, &info, sizeof(info)), -ENOTTY,
	   "get_info: ENOTTY from the kernel");
	is(info.size, sizeof(info), "get_info: the kernel was told the size");
	is(memalloc_get_stats(other, &stats, 4), -EINVAL, "get_stats: EINVAL, no room for a size");
	is(memalloc_get_stats(other, &stats, sizeof(stats)), -ENOTTY,
	   "get_stats: ENOTTY from the kernel");
	is(stats.size, sizeof(stats), "get_stats: the kernel was told the size");
}

static void test_blocks(struct memalloc *other)
{
	bool called = false;

	is(memalloc_visit_blocks(other, must_not_be_called, &called), -ENOTTY,
	   "visit_blocks: ENOTTY from the kernel");
	ok(!called, "visit_blocks: a failure visits nothing");
}

static void test_handles(struct memalloc *other)
{
	const struct memalloc_buffer untouched = { .length = 1, .handle = 7 };
	struct memalloc_buffer buffer = untouched;

	is(memalloc_buffer_alloc(other, 4096, 0, &buffer), -ENOTTY,
	   "alloc: ENOTTY from the kernel");
	is(memalloc_buffer_free(other, &buffer), -ENOTTY, "free: ENOTTY from the kernel");
	is(memalloc_buffer_query(other, 7, &buffer), -ENOTTY, "query: ENOTTY from the kernel");
	is(memalloc_buffer_import(other, 0, 0, &buffer), -ENOTTY, "import: ENOTTY from the kernel");
	is(memalloc_buffer_import(other, 0, MEMALLOC_READ_ONLY << 1, &buffer), -EINVAL,
	   "import: EINVAL, an unknown flag");
	ok(!memcmp(&buffer, &untouched, sizeof(buffer)),
	   "alloc, free, query, import: a failure leaves the buffer alone");
	is(memalloc_buffer_export(other, &buffer, 0), -ENOTTY, "export: ENOTTY from the kernel");
	is(memalloc_buffer_export(other, &buffer, MEMALLOC_READ_ONLY << 1), -EINVAL,
	   "export: EINVAL, an unknown flag");
}

/* A shared mapping of any file shows what map and unmap ask for. */
static void test_mappings(void)
{
	const long page = sysconf(_SC_PAGESIZE);
	struct memalloc file = {
		.operations = &memalloc_device,
		.fd = memfd_create("buffer", 0),
	};
	struct memalloc_buffer buffer = {
		.length = 1, .real_length = 2 * page, .mmap_offset = page, .handle = 1,
	};
	struct memalloc_buffer freed = buffer;
	char *address = NULL;
	void *mapped = NULL;
	char byte = 0;

	freed.handle = 0;
	if (file.fd < 0 || ftruncate(file.fd, 4 * page))
		exit(1);

	is(memalloc_buffer_map(&file, &buffer, MEMALLOC_READ_ONLY << 1, &mapped), -EINVAL,
	   "map: EINVAL, an unknown flag");
	is(memalloc_buffer_map(&file, &freed, 0, &mapped), -ENOENT, "map: ENOENT, freed");
	ok(!mapped, "map: a failure leaves the pointer alone");

	is(memalloc_buffer_map(&file, &buffer, 0, &mapped), 0, "map: read and write");
	address = mapped;
	address[2 * page - 1] = 'x';
	ok(pread(file.fd, &byte, 1, 3 * page - 1) == 1 && byte == 'x',
	   "map: shared, at mmap_offset, real_length long");
	is(memalloc_buffer_unmap(&buffer, address + 1), -EINVAL,
	   "unmap: EINVAL, not a page's address");
	is(memalloc_buffer_unmap(&buffer, address), 0, "unmap");
	is(msync(address + page, page, MS_ASYNC), -1, "unmap: the last page is gone too");

	is(memalloc_buffer_map(&file, &buffer, MEMALLOC_READ_ONLY, &mapped), 0, "map: read only");
	is(((char *)mapped)[2 * page - 1], 'x', "map: read only shows the same bytes");
	ok(!can_write(mapped), "map: read only can't be written");
	memalloc_buffer_unmap(&buffer, mapped);
	close(file.fd);

	file.fd = open("/dev/null", O_RDONLY);
	errno = UNTOUCHED;
	is(memalloc_buffer_map(&file, &buffer, 0, &mapped), -EACCES, "map: EACCES from mmap(2)");
	is(errno, UNTOUCHED, "map: errno is left alone");
	close(file.fd);
}

int main(void)
{
	struct memalloc other = {
		.operations = &memalloc_device,
		.fd = open("/dev/null", O_RDWR),
		.region_length = 4096,
	};

	if (other.fd < 0)
		return 1;
	test_open();
	test_process();
	test_file_limit();
	test_default();
	test_no_descriptor_is_lost();
	errno = UNTOUCHED;
	test_get(&other);
	test_blocks(&other);
	test_handles(&other);
	is(errno, UNTOUCHED, "failing calls leave errno alone");
	is(memalloc_fd(&other), other.fd, "fd: the descriptor behind the device");
	close(other.fd);
	test_mappings();
	return tap_done();
}
