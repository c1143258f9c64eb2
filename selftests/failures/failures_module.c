// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading the module when the kernel runs out of memory at any place of
 * it: it is there as a whole, or nothing of it is; unloading always works. See also
 * failures.c. The environment's MEMALLOC_KO names the module's file.
 *
 * How many places come before a certain one varies a little from one load to the next, with
 * what lies in the range that is claimed: a single place may be left out of a walk.
 */
#include "inject.h"

#include <sys/syscall.h>
#include <sys/sysinfo.h>

#define REGION		(8 * MIB)

/*
 * The device of the dma-heap. Not its node: the kernel leaves that out, or behind, if it has no
 * memory for a name with a folder in it, and tells nobody.
 */
#define DMAHEAP_DEVICE	"/sys/class/misc/memalloc.dma_heap"

FIXTURE(module) {
	struct injector injector;
	int file;
	char parameters[64];	/* that it was loaded with */
};

static int load(int file, const char *parameters)
{
	return syscall(SYS_finit_module, file, parameters, 0) ? -errno : 0;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "memalloc", O_NONBLOCK) ? -errno : 0;
}

static int load_small(int file)
{
	char parameters[32];

	snprintf(parameters, sizeof(parameters), "size=%lu", REGION);
	return load(file, parameters);
}

FIXTURE_SETUP(module)
{
	const char *name = getenv("MEMALLOC_KO");
	int fd;

	if (!can_inject())
		return;
	ASSERT_EQ(0, injector_open(&self->injector));
	ASSERT_NE(NULL, name);
	self->file = open(name, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->file);
	strcpy(self->parameters, "size=");
	fd = open(PARAMETERS "size", O_RDONLY);
	ASSERT_LT(0, read(fd, self->parameters + 5, sizeof(self->parameters) - 6));
	close(fd);
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	ASSERT_TRUE(WAIT_UNTIL(!unload()));
}

FIXTURE_TEARDOWN(module)
{
	if (can_inject())
		EXPECT_EQ(0, load(self->file, self->parameters));
}

/*
 * The first place that is the module's. The loader has asked it about its parameters
 * by then, and has all the memory for it: for want of that the kernel logs a stack trace.
 */
static unsigned int first_place(FIXTURE_DATA(module) * self)
{
	const unsigned int far = 1000000;
	unsigned int i, most = 0;

	/* Some take a new page for small pieces now and then. */
	for (i = 0; i < 5; i++) {
		unsigned int places;

		inject(&self->injector, far, false);
		load(self->file, "fit=nosuch");
		places = far - inject_end(&self->injector);
		most = places > most ? places : most;
	}
	return most;
}

static bool is_loaded(void)
{
	return !access(DEVICE, F_OK) || !access(DMAHEAP_DEVICE, F_OK) ||
	       !access("/sys/module/memalloc", F_OK) || !access(DEBUGFS "memalloc", F_OK);
}

/* There, of the right size, and useful. */
static bool works(void)
{
	struct memalloc_alloc buffer;
	struct memalloc_info info;
	int fd = open_device();
	bool good = fd >= 0 && !get_info(fd, &info) && info.region_length == REGION &&
		    !alloc_buffer(fd, REGION, &buffer) && !access(DMAHEAP_DEVICE, F_OK);

	close(fd);
	return good;
}

static __u64 free_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (__u64)info.freeram * info.mem_unit;
}

static const char *fail_load(FIXTURE_DATA(module) * self, unsigned int n, bool burst, int *ret,
			     bool *failed)
{
	__u64 before = free_memory();

	inject(&self->injector, n, burst);
	*ret = load_small(self->file);
	*failed = !inject_end(&self->injector);

	if (!*ret) {
		if (!works())
			return "the module is not whole";
		if (!WAIT_UNTIL(!unload()))
			return "it can't be unloaded";
	} else if (!*failed) {
		return "there was no failure";
	} else if (*ret != -ENOMEM && *ret != -EFAULT) {
		/* EFAULT: the loader can't read the parameters. */
		return "it may not answer that";
	}
	if (is_loaded())
		return "something of the module is left";
	if (before > free_memory() + REGION / 2)
		return "the region is lost";
	return "";
}

TEST_F_TIMEOUT(module, loads_or_does_not, 1200)
{
	unsigned int mode;

	if (!can_inject())
		SKIP(return, CAN_NOT_INJECT);
	/* Once without failures, so that the file is in memory. */
	ASSERT_EQ(0, load_small(self->file));
	ASSERT_EQ(0, unload());
	for (mode = 0; mode < 2; mode++) {
		unsigned int first = first_place(self), n, refused = 0;
		bool failed = true;

		for (n = first; failed; n++) {
			int ret;
			const char *wrong = fail_load(self, n, mode, &ret, &failed);

			ASSERT_STREQ("", wrong)
				TH_LOG("place %u%s, answer %s", n, mode ? ", burst" : "",
				       strerrorname_np(-ret));
			refused += !!ret;
		}
		TH_LOG("%u failures from place %u on, %u absorbed", n - first - 1, first,
		       n - first - 1 - refused);
		EXPECT_LT(0, refused);
	}
}

/* Only its name can fail to be read: it is done, or nothing is. */
TEST_F_TIMEOUT(module, unloads_whatever_fails, 600)
{
	unsigned int mode, n;

	if (!can_inject())
		SKIP(return, CAN_NOT_INJECT);
	for (mode = 0; mode < 2; mode++) {
		bool failed = true;

		for (n = 1; failed; n++) {
			int ret;

			ASSERT_EQ(0, load_small(self->file));
			inject(&self->injector, n, mode);
			ret = unload();
			failed = !inject_end(&self->injector);
			if (ret) {
				EXPECT_EQ(-EFAULT, ret);
				EXPECT_TRUE(works());
				ASSERT_EQ(0, unload());
			}
			ASSERT_FALSE(is_loaded());
		}
		TH_LOG("%u failures", n - 2);
		EXPECT_LT(2, n);
	}
}

TEST_HARNESS_MAIN
