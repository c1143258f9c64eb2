// SPDX-License-Identifier: MIT
/*
 * That memory of the drop-in malloc goes back, and what the calls answer where there is no memory,
 * or no address.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "drop_in.h"

/* Bytes of addresses, and of memory, that the process has. Allocates nothing. */
static void measure(size_t *mapped, size_t *resident)
{
	char line[100] = "", *end;
	int statm = open("/proc/self/statm", O_RDONLY);

	if (statm < 0 || read(statm, line, sizeof(line) - 1) < 0)
		exit(1);
	close(statm);
	*mapped = strtoul(line, &end, 10) * getpagesize();
	*resident = strtoul(end, NULL, 10) * getpagesize();
}

static size_t resident(void)
{
	size_t mapped, resident;

	measure(&mapped, &resident);
	return resident;
}

static size_t mapped(void)
{
	size_t mapped, resident;

	measure(&mapped, &resident);
	return mapped;
}

static void test_goes_back(void)
{
	enum { COUNT = 1600 };
	static const size_t sizes[] = { 64, 4000, 30000, 100000, 3 * MIB };
	static void *blocks[5][COUNT * 1000 / 64];
	size_t before = resident(), i, j, count;
	char name[100];

	for (i = 0; i < 5; i++) {
		count = 100 * MIB / sizes[i];
		if (count > COUNT * 1000 / 64)
			count = COUNT * 1000 / 64;
		for (j = 0; j < count; j++) {
			blocks[i][j] = malloc(sizes[i]);
			memset(blocks[i][j], 1, sizes[i]);
		}
		for (j = 0; j < count; j++)
			free(blocks[i][j]);
		snprintf(name, sizeof(name), "what was freed goes back: objects of %zu", sizes[i]);
		ok(resident() < before + 50 * MIB, name);
		/* But for chunks of 4 MiB, on the device, of which a part is in use. */
		malloc_trim(0);
		snprintf(name, sizeof(name), "malloc_trim: nearly all of it: objects of %zu",
			 sizes[i]);
		if (!ok(resident() < before + 13 * MIB, name))
			printf("# %zu KiB more\n", (resident() - before) / 1024);
	}
}

enum { LEFT = 30000 };

static void *leave(void *p)
{
	void **blocks = p;
	int i;

	for (i = 0; i < LEFT; i++) {
		blocks[i] = malloc(2000);
		memset(blocks[i], 1, 2000);
	}
	return NULL;
}

static void test_left_goes_back(void)
{
	static void *blocks[LEFT];
	size_t before = resident();
	pthread_t thread;
	int i;

	if (pthread_create(&thread, NULL, leave, blocks) || pthread_join(thread, NULL))
		exit(1);
	for (i = 0; i < LEFT; i++)
		free(blocks[i]);
	malloc_trim(0);
	if (!ok(resident() < before + 13 * MIB, "malloc_trim: what a thread left that has ended"))
		printf("# %zu KiB more\n", (resident() - before) / 1024);
}

/* Allocate until there is no more, and free everything; how many bytes that were. */
static size_t use_up(size_t size)
{
	void **list = NULL, **p;
	size_t got = 0;
	bool good;

	errno = 0;
	while ((p = malloc(size))) {
		*p = list;
		list = p;
		got += size;
	}
	good = errno == ENOMEM && !calloc(1, 300 * MIB);
	if (list) {
		p = *list;
		errno = 0;
		good &= refused(realloc(list, 300 * MIB)) && *list == p;
	}
	for (; list; list = p) {
		p = *list;
		free(list);
	}
	return good ? got : 0;
}

static int exhausted(void)
{
	static const size_t sizes[] = { 48, 2000, 20000, 100000, 10 * MIB };
	size_t first, second, i;

	for (i = 0; i < 5; i++) {
		first = use_up(sizes[i]);
		second = use_up(sizes[i]);
		if (first < 100 * MIB || second < first - first / 8)
			return 1;
	}
	return 0;
}

/* A mapping of the program's own. */
static void *map_anywhere(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* There are 100 MiB of addresses. */
static int few_addresses(void)
{
	char *p = malloc(100), *q = malloc(50 * MIB);
	bool good = p && q;

	memset(q, 1, 50 * MIB);
	good &= !malloc(60 * MIB) && map_anywhere(8 * MIB);
	free(p);
	free(q);
	errno = 0;
	return !(good && refused(malloc(100 * MIB)) && malloc(50 * MIB));
}

/* There is a GiB of addresses. All but a few can be had by malloc(), and then by mmap(). */
static int limited_addresses(void)
{
	char *p = malloc(950 * MIB), *q = memalign(32 * MIB, 5 * MIB);
	bool good = p && is_aligned(q, 32 * MIB);

	errno = 0;
	good &= refused(malloc(100 * MIB)) && refused(memalign(32 * MIB, 100 * MIB));
	free(p);
	malloc_trim(0);
	p = map_anywhere(950 * MIB);
	good &= p && !munmap(p, 950 * MIB);
	return !(good && malloc(950 * MIB));
}

/* A refused call takes no addresses. */
static int refused_addresses(void)
{
	void *p = malloc(40 * MIB);
	size_t before = mapped();
	bool good = p;

	errno = 0;
	good &= refused(malloc(20 * GIB)) && refused(memalign(GIB, 10 * GIB)) &&
		refused(realloc(p, 20 * GIB));
	if (mapped() > before + MIB)
		printf("# %zu KiB more\n", (mapped() - before) / 1024);
	return !(good && mapped() <= before + MIB);
}

/* The limit comes when the process already runs. */
static int limited_later(void)
{
	struct rlimit limit = { 4 * GIB, 4 * GIB };
	pthread_t thread;
	char *p;

	free(hidden(malloc(1)));
	if (setrlimit(RLIMIT_AS, &limit) || !map_anywhere(GIB) ||
	    pthread_create(&thread, NULL, free_it, malloc(100)) || pthread_join(thread, NULL))
		return 1;
	p = malloc(100 * MIB);
	memset(p, 1, 100 * MIB);
	free(p);
	return 0;
}

/* The program has mappings where the allocator's next addresses would be. */
static int taken_addresses(void)
{
	enum { COUNT = 50, BLOCKS = 400 };
	char *p = memalign(4 * MIB, 4 * MIB), *others[COUNT], *blocks[BLOCKS], *q;
	bool good = true;
	int i, j, taken = 0;

	for (i = 0; i < COUNT; i++) {
		others[i] = mmap(p + (i + 1) * 11 * MIB, 64 * KIB, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		taken += others[i] == p + (i + 1) * 11 * MIB;
		if (others[i] != MAP_FAILED)
			memset(others[i], 0xaa, 64 * KIB);
	}
	for (i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(i % 20 ? i * 10 * KIB : 20 * MIB);
		memset(blocks[i], i, i * 10 * KIB);
	}
	/* This one grows into them, too. */
	p = realloc(p, 30 * MIB);
	memset(p, 0xbb, 30 * MIB);
	for (i = 0; i < COUNT; i++) {
		good &= others[i] == MAP_FAILED || all_bytes(others[i], 64 * KIB, 0xaa);
		for (j = 0; j < BLOCKS; j++)
			good &= !(others[i] >= blocks[j] && others[i] < blocks[j] + j * 10 * KIB);
	}
	for (i = 0; i < BLOCKS; i++) {
		good &= all_bytes(blocks[i], i * 10 * KIB, i);
		free(blocks[i]);
	}
	malloc_trim(0);
	for (i = 0; i < COUNT; i++)
		good &= others[i] == MAP_FAILED || all_bytes(others[i], 64 * KIB, 0xaa);
	q = malloc(300 * MIB);
	good &= q && all_bytes(p, 30 * MIB, 0xbb);
	return !(good && taken > COUNT / 2);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{ "exhausted", exhausted },
		{ "few addresses", few_addresses },
		{ "limited addresses", limited_addresses },
		{ "refused addresses", refused_addresses },
		{ "limited later", limited_later },
		{ "taken addresses", taken_addresses },
		{ NULL, NULL }
	};

	if (argc > 1)
		return run_part(parts, argv[1]);
	test_goes_back();
	test_left_goes_back();
	is(with_limit(RLIMIT_DATA, 200 * MIB, "exhausted"), 0,
	   "exhausted memory: ENOMEM, and all can be had again after it is freed");
	is(with_limit(RLIMIT_AS, 100 * MIB, "few addresses"), 0,
	   "few addresses: the program works");
	is(with_limit(RLIMIT_AS, GIB, "limited addresses"), 0,
	   "limited addresses: nearly all can be had, and come back");
	is(with_limit(RLIMIT_AS, GIB, "refused addresses"), 0,
	   "limited addresses: what is refused takes none");
	is(with_limit(RLIMIT_DATA, GIB, "refused addresses"), 0,
	   "limited data: what is refused takes no addresses");
	is(with_limit(RLIMIT_CORE, 0, "limited later"), 0,
	   "addresses limited later: threads, mappings and blocks can be had");
	is(with_limit(RLIMIT_CORE, 0, "taken addresses"), 0,
	   "addresses that others have taken: they keep them");
	return tap_done();
}
