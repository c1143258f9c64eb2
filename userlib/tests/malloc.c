// SPDX-License-Identifier: MIT
/*
 * The drop-in malloc, as this program's own: what each call answers, what misuse ends in, that
 * contents are kept, that memory goes back, and fork(). Threads are in malloc_threads.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"
#include "random.h"
#include "tap.h"

#define KIB	((size_t)1024)
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)

/* The compiler does not know what comes of it. */
static void *hidden(void *p)
{
	asm volatile("" : "+r"(p) : : "memory");
	return p;
}

/* So many bytes the allocator has for a request of @size. */
static size_t rounded(size_t size)
{
	size_t step = 16;

	if (size > 32768)
		return (size + 65535) / 65536 * 65536;
	while (size > 16 * step)
		step *= 2;
	return size ? (size + step - 1) / step * step : 16;
}

static bool is_aligned(const void *p, size_t align)
{
	return p && (uintptr_t)p % align == 0;
}

/* Answered as when there is no memory. */
static bool refused(void *p)
{
	bool good = !p && errno == ENOMEM;

	errno = 0;
	return good;
}

static void test_sizes(void)
{
	bool exact = true, at16 = true, writable = true;
	size_t size;
	char *p, *q;

	for (size = 0; size <= 140000; size += size < 3000 ? 1 : 97) {
		p = malloc(size);
		exact &= malloc_usable_size(p) == rounded(size);
		at16 &= is_aligned(p, 16);
		memset(p, 0x5a, malloc_usable_size(p));
		writable &= all_bytes(p, malloc_usable_size(p), 0x5a);
		free(p);
	}
	ok(exact, "sizes: usable size is the size rounded up as documented");
	ok(at16, "sizes: all are aligned to 16");
	ok(writable, "sizes: all usable bytes can be written");

	p = malloc(0);
	q = malloc(0);
	ok(p && q && p != q, "malloc(0): a pointer of its own");
	free(p);
	free(q);
	is(malloc_usable_size(NULL), 0, "malloc_usable_size(NULL): 0");
}

static void test_refused(void)
{
	size_t most = (size_t)hidden((void *)PTRDIFF_MAX), max = (size_t)hidden((void *)SIZE_MAX);
	char *p;

	errno = 0;
	ok(refused(malloc(most + 1)), "malloc of more than PTRDIFF_MAX: ENOMEM");
	ok(refused(malloc(max)), "malloc(SIZE_MAX): ENOMEM");
	ok(refused(malloc(most)), "malloc(PTRDIFF_MAX): ENOMEM");
	ok(refused(calloc(max, 2)), "calloc that overflows: ENOMEM");
	ok(refused(calloc(max / 16 + 1, 16)), "calloc that overflows to 0: ENOMEM");
	ok(refused(calloc(1, max)), "calloc of SIZE_MAX: ENOMEM");
	ok(refused(reallocarray(NULL, max / 16 + 1, 16)), "reallocarray that overflows: ENOMEM");
	ok(refused(memalign(64, max)), "memalign of SIZE_MAX: ENOMEM");
	ok(refused(memalign(most / 2 + 1, 1)), "memalign at 2^62: ENOMEM");
	ok(refused(pvalloc(max)), "pvalloc(SIZE_MAX): ENOMEM");
	ok(refused(valloc(max)), "valloc(SIZE_MAX): ENOMEM");

	p = malloc(1000);
	memset(p, 7, 1000);
	ok(refused(realloc(p, max)), "realloc to SIZE_MAX: ENOMEM");
	ok(refused(realloc(p, most)), "realloc to PTRDIFF_MAX: ENOMEM");
	ok(refused(reallocarray(hidden(p), max, max)),
	   "reallocarray of a block that overflows: ENOMEM");
	ok(all_bytes(p, 1000, 7), "a failed realloc keeps the block");
	free(p);
	p = malloc(MIB);
	memset(p, 8, MIB);
	ok(refused(realloc(p, most)), "realloc of a large block: ENOMEM");
	ok(all_bytes(p, MIB, 8), "a failed realloc keeps the large block");
	free(p);
}

static void test_alignment(void)
{
	static const size_t sizes[] = { 0, 1, 17, 100, 5000, 40000, 200000 };
	bool good = true, apart = true;
	void *p, *blocks[7];
	size_t align, i;

	for (align = 1; align <= GIB; align *= 2) {
		for (i = 0; i < 7; i++) {
			blocks[i] = memalign(align, sizes[i]);
			good &= is_aligned(blocks[i], align) && is_aligned(blocks[i], 16) &&
				malloc_usable_size(blocks[i]) >= sizes[i];
			memset(blocks[i], i, sizes[i]);
		}
		for (i = 0; i < 7; i++) {
			apart &= all_bytes(blocks[i], sizes[i], i);
			free(blocks[i]);
		}
	}
	ok(good, "memalign: 1 to 1 GiB, small and large");
	ok(apart, "memalign: blocks don't overlap");

	good = true;
	for (align = 0; align < 200; align++) {
		size_t power = 16;

		while (power < align)
			power *= 2;
		p = memalign(align, 10);
		good &= is_aligned(p, power);
		free(p);
		p = aligned_alloc(align, 10);
		good &= is_aligned(p, power);
		free(p);
	}
	ok(good, "memalign, aligned_alloc: odd ones are those of the next power of two");
	errno = 0;
	ok(!memalign(SIZE_MAX / 2 + 2, 1) && errno == EINVAL, "memalign above 2^63: EINVAL");
	errno = 0;
	ok(!aligned_alloc(SIZE_MAX / 2 + 2, 1) && errno == EINVAL, "aligned_alloc above 2^63, too");

	p = blocks;
	errno = 77;
	is(posix_memalign(&p, 0, 1), EINVAL, "posix_memalign at 0: EINVAL");
	is(posix_memalign(&p, 4, 1), EINVAL, "posix_memalign at 4: EINVAL");
	is(posix_memalign(&p, 24, 1), EINVAL, "posix_memalign at 24: EINVAL");
	is(posix_memalign(&p, 64, SIZE_MAX), ENOMEM, "posix_memalign of SIZE_MAX: ENOMEM");
	is(posix_memalign(&p, SIZE_MAX / 2 + 1, 1), ENOMEM, "posix_memalign at 2^63: ENOMEM");
	ok(p == blocks && errno == 77, "posix_memalign that fails leaves pointer and errno alone");
	is(posix_memalign(&p, 8, 0), 0, "posix_memalign of 0");
	ok(is_aligned(p, 16), "posix_memalign of 0: a pointer");
	free(p);
	is(posix_memalign(&p, 4 * MIB, 3), 0, "posix_memalign at 4 MiB");
	ok(is_aligned(p, 4 * MIB), "posix_memalign at 4 MiB: it is");
	free(p);

	p = valloc(1);
	ok(is_aligned(p, 4096), "valloc: at a page");
	free(p);
	p = pvalloc(4097);
	ok(is_aligned(p, 4096) && malloc_usable_size(p) >= 8192, "pvalloc: whole pages");
	free(p);
	p = pvalloc(0);
	ok(is_aligned(p, 4096), "pvalloc(0): a pointer");
	free(p);
}

static void test_calloc(void)
{
	bool zero = true;
	size_t size;
	int round;
	char *p;

	for (size = 1; size < 10 * MIB; size = size * 5 / 3 + 1) {
		for (round = 0; round < 3; round++) {
			p = calloc(size, 1);
			zero &= all_bytes(p, size, 0);
			memset(p, 0xff, malloc_usable_size(p));
			free(p);
			p = malloc(size);
			memset(p, 0xff, malloc_usable_size(p));
			free(p);
		}
	}
	ok(zero, "calloc: zeros, in new memory and in used one");
	p = calloc(0, 8);
	ok(p, "calloc(0, 8): a pointer");
	free(p);
	p = calloc(8, 0);
	ok(p, "calloc(8, 0): a pointer");
	free(p);
}

static void test_realloc(void)
{
	static const size_t sizes[] = { 1, 15, 16, 17, 100, 128, 129, 1000, 4096, 5000, 32768,
					32769, 65536, 65537, 300000, MIB, 5 * MIB, 9 * MIB + 1 };
	const size_t count = sizeof(sizes) / sizeof(*sizes);
	bool kept = true, usable = true;
	char *p, *other;
	size_t i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < count; j++) {
			p = malloc(sizes[i]);
			memset(p, i + 1, sizes[i]);
			/* Sometimes the place behind is taken. */
			other = malloc(j % 2 ? sizes[i] : 1);
			memset(other, 0xee, j % 2 ? sizes[i] : 1);
			p = realloc(p, sizes[j]);
			kept &= all_bytes(p, sizes[i < j ? i : j], i + 1);
			usable &= malloc_usable_size(p) >= sizes[j];
			memset(p, 0xdd, sizes[j]);
			kept &= all_bytes(other, j % 2 ? sizes[i] : 1, 0xee);
			free(p);
			free(other);
		}
	}
	ok(kept, "realloc: contents are kept, from each size to each");
	ok(usable, "realloc: and there is as much as asked for");

	p = realloc(NULL, 100);
	ok(p, "realloc(NULL, 100): as malloc");
	errno = 0;
	ok(!realloc(p, 0) && !errno, "realloc(p, 0): NULL, no error");
	other = malloc(100);
	ok(other == p, "realloc(p, 0): it is free");
	free(other);

	p = malloc(MIB);
	other = realloc(p, 2 * MIB);
	ok(other == p, "realloc: grows where it is");
	other = realloc(p, MIB);
	ok(other == p, "realloc: shrinks where it is");
	free(other);
}

/* Into memory that nobody has touched: this is where pages are moved. */
static void test_realloc_moves(void)
{
	enum { NUMBERS = 8 * MIB / sizeof(uint32_t) };
	bool kept = true, zero = true;
	uint32_t *p, *q, *behind;
	uint32_t i;

	malloc_trim(0);
	p = malloc(8 * MIB);
	behind = malloc(8 * MIB);
	for (i = 0; i < NUMBERS; i++)
		p[i] = i;
	q = realloc(p, 40 * MIB);
	for (i = 0; i < NUMBERS; i++)
		kept &= q[i] == i;
	ok(q != p && kept, "realloc: contents are kept where pages are moved");
	for (; i < 5 * NUMBERS; i++)
		zero &= !q[i];
	p = calloc(1, 8 * MIB);
	ok(zero && all_bytes(p, 8 * MIB, 0), "realloc: and nothing is left where they were");
	free(p);
	free(q);
	free(behind);
}

static void test_errno(void)
{
	size_t size;

	errno = 77;
	for (size = 1; size < 200 * MIB; size *= 3)
		free(hidden(malloc(size)));
	free(NULL);
	is(errno, 77, "malloc and free leave errno alone");
}

/* --- misuse --------------------------------------------------------------------- */

/* Does @misuse end in abort(), and is @what said? */
static void dies(void (*misuse)(void), const char *what, const char *name)
{
	struct rlimit no_core = { 0 };
	char said[500] = "";
	ssize_t got, length = 0;
	int ends[2], status;
	pid_t child;
	bool good;

	if (pipe(ends))
		exit(1);
	child = fork();
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], 2);
		misuse();
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
		length += got;
	close(ends[0]);
	waitpid(child, &status, 0);
	good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	       !strncmp(said, "memalloc: ", 10) && strstr(said, what);
	if (!good)
		printf("# status %d, said: %s\n", status, said);
	ok(good, name);
}

static void twice(size_t size)
{
	char *p = malloc(size);

	malloc(size);
	free(p);
	free(hidden(p));
}

static void twice_small(void)
{
	twice(100);
}

static void twice_large(void)
{
	twice(MIB);
}

/* Nothing else of its slab is in use: that goes back. */
static void twice_after_many(void)
{
	char *p = malloc(3000), *others[2000];
	int i;

	for (i = 0; i < 2000; i++)
		others[i] = malloc(3000);
	for (i = 0; i < 2000; i++)
		free(others[i]);
	free(p);
	free(p);
}

static void inside_small(void)
{
	free((char *)malloc(100) + 16);
}

static void inside_large(void)
{
	free((char *)malloc(MIB) + 65536);
}

static void inside_large_odd(void)
{
	free((char *)malloc(MIB) + 24);
}

static void foreign_stack(void)
{
	char byte[64];

	free(hidden(byte));
}

static void foreign_map(void)
{
	free(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void foreign_number(void)
{
	free(hidden((void *)4096));
}

static void past_the_last(void)
{
	char *p = malloc(32768), *highest = p;
	int i;

	for (i = 0; i < 1000; i++) {
		p = malloc(32768);
		if (p > highest)
			highest = p;
	}
	free(highest + 16 * MIB);
}

static void realloc_freed(void)
{
	char *p = malloc(100);

	free(p);
	hidden(realloc(hidden(p), 200));
}

static void realloc_freed_large(void)
{
	char *p = malloc(MIB);

	free(p);
	hidden(realloc(hidden(p), 2 * MIB));
}

static void realloc_freed_to_nothing(void)
{
	char *p = malloc(100);

	free(p);
	hidden(realloc(hidden(p), 0));
}

static void realloc_foreign(void)
{
	char byte[64];

	hidden(realloc(hidden(byte), 100));
}

static void realloc_inside(void)
{
	hidden(realloc((char *)hidden(malloc(100)) + 16, 200));
}

static void realloc_inside_large(void)
{
	hidden(realloc((char *)hidden(malloc(MIB)) + 65536, 2 * MIB));
}

static void usable_of_foreign(void)
{
	char byte[64];

	malloc_usable_size(hidden(byte));
}

static void usable_of_freed(void)
{
	char *p = malloc(100);

	free(p);
	malloc_usable_size(p);
}

static void *free_it(void *p)
{
	free(p);
	return NULL;
}

static void free_elsewhere(void *p)
{
	pthread_t thread;

	pthread_create(&thread, NULL, free_it, p);
	pthread_join(thread, NULL);
}

static void twice_elsewhere(void)
{
	char *p = malloc(100);

	free_elsewhere(p);
	free_elsewhere(p);
}

static void here_then_elsewhere(void)
{
	char *p = malloc(100);

	free(p);
	free_elsewhere(p);
}

static void elsewhere_then_here(void)
{
	char *p = malloc(100);

	free_elsewhere(p);
	free(p);
}

static pthread_barrier_t both;

static void *free_at_once(void *p)
{
	pthread_barrier_wait(&both);
	free(p);
	return NULL;
}

/* Whoever comes second. */
static void twice_at_once(void)
{
	char *p = malloc(100);
	pthread_t threads[2];
	int i;

	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, free_at_once, p);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void inside_elsewhere(void)
{
	free_elsewhere((char *)malloc(100) + 1);
}

static void test_misuse(void)
{
	dies(twice_small, "freed twice", "double free: small");
	dies(twice_large, "freed twice", "double free: large");
	dies(twice_after_many, "freed twice", "double free: of memory that went back");
	dies(inside_small, "points into an object", "free inside a small object");
	dies(inside_large, "not a pointer that malloc gave", "free inside a large block");
	dies(inside_large_odd, "not a pointer that malloc gave", "free inside a large block, odd");
	dies(foreign_stack, "not a pointer that malloc gave", "free of the stack");
	dies(foreign_map, "not a pointer that malloc gave", "free of a mapping");
	dies(foreign_number, "not a pointer that malloc gave", "free of a small number");
	dies(past_the_last, "not a pointer that malloc gave", "free of addresses without memory");
	dies(realloc_freed, "freed twice", "realloc of what is free");
	dies(realloc_freed_large, "freed twice", "realloc of what is free, large");
	dies(realloc_freed_to_nothing, "freed twice", "realloc of what is free, to 0");
	dies(realloc_foreign, "not a pointer that malloc gave", "realloc of the stack");
	dies(realloc_inside, "points into an object", "realloc inside a small object");
	dies(realloc_inside_large, "not a pointer that malloc gave", "realloc inside a block");
	dies(usable_of_foreign, "not a pointer that malloc gave", "usable size of the stack");
	dies(usable_of_freed, "malloc_usable_size(0x", "malloc_usable_size of what is free");
	dies(twice_elsewhere, "freed twice", "double free: both by another thread");
	dies(twice_at_once, "freed twice", "double free: by two threads at once");
	dies(here_then_elsewhere, "freed twice", "double free: the second by another thread");
	dies(elsewhere_then_here, "freed twice", "double free: the first by another thread");
	dies(inside_elsewhere, "points into an object", "free inside an object by another thread");
}

/* --- a random run ----------------------------------------------------------------- */

static uint64_t random_state = 1;

/* Most are small. */
static size_t random_size(void)
{
	size_t size = random_u32(&random_state) % 64;
	unsigned int power = random_u32(&random_state) % 16;

	return power < 15 ? size << power % 8 : size << 13;
}

static void test_random(void)
{
	enum { SLOTS = 2000, ROUNDS = 100000 };
	static struct {
		unsigned char *p;
		size_t size;
		unsigned char byte;
	} slots[SLOTS], *slot;
	size_t align, kept;
	bool good = true;
	int i;

	for (i = 0; i < ROUNDS && good; i++) {
		slot = &slots[random_u32(&random_state) % SLOTS];
		good &= !slot->p || !slot->size ||
			(slot->p[0] == slot->byte && slot->p[slot->size - 1] == slot->byte);
		if (random_u32(&random_state) % 16 == 0)
			good &= !slot->p || all_bytes(slot->p, slot->size, slot->byte);
		if (slot->p && random_u32(&random_state) % 4 == 0) {
			kept = slot->size;
			slot->size = random_size() + 1;
			slot->p = realloc(slot->p, slot->size);
			good &= all_bytes(slot->p, kept < slot->size ? kept : slot->size,
					  slot->byte);
		} else {
			free(slot->p);
			slot->size = random_size();
			align = (size_t)1 << random_u32(&random_state) % 14;
			if (random_u32(&random_state) % 8 == 0)
				slot->p = memalign(align, slot->size);
			else if (random_u32(&random_state) % 4 == 0)
				slot->p = calloc(1, slot->size);
			else
				slot->p = malloc(slot->size);
		}
		slot->byte = i;
		memset(slot->p, slot->byte, slot->size);
	}
	for (i = 0; i < SLOTS; i++) {
		good &= all_bytes(slots[i].p, slots[i].p ? slots[i].size : 0, slots[i].byte);
		free(slots[i].p);
	}
	ok(good, "random run: contents are what was written");
}

/* --- memory that goes back, and that there is not ------------------------------------ */

/* Bytes of addresses, and of memory, that the process has. Allocates nothing. */
static void measure(size_t *mapped, size_t *resident)
{
	char line[100] = "", *end;
	int statm = open("/proc/self/statm", O_RDONLY);

	if (statm < 0 || read(statm, line, sizeof(line) - 1) < 0)
		exit(1);
	close(statm);
	*mapped = strtoul(line, &end, 10) * 4096;
	*resident = strtoul(end, NULL, 10) * 4096;
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

/* This program again, with a limit: 0 if it could do @what. */
static int with_limit(int resource, size_t bytes, const char *what)
{
	struct rlimit limit = { bytes, bytes };
	pid_t child = fork();
	int status;

	if (!child) {
		setrlimit(resource, &limit);
		execl("/proc/self/exe", "malloc", what, NULL);
		_exit(100);
	}
	waitpid(child, &status, 0);
	return status;
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

/* Of 100 MiB. */
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

/* Of a GiB: all but a few go to whoever asks first, and to another after that. */
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

/* What is refused costs nothing. */
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

/* In a process that has begun. */
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

/* Somebody else is where our next addresses would be. */
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
	/* It grows into them, too. */
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

/* Nor is it ours when it is freed. */
static void foreign_among_ours(void)
{
	char *p = memalign(4 * MIB, 4 * MIB), *other;
	int i;

	other = mmap(p + 8 * MIB, 4 * MIB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	for (i = 0; i < 50; i++)
		malloc(MIB);
	free(other);
}

/* --- fork ------------------------------------------------------------------------------ */

static atomic_bool stop;

static void *churn(void *unused)
{
	void *slots[64] = { 0 };
	unsigned int i = 0;

	while (!stop) {
		i = i * 1103515245 + 12345;
		free(slots[i >> 16 & 63]);
		slots[i >> 16 & 63] = malloc((i >> 22 & 15) == 0 ? 100000 : i >> 24);
	}
	for (i = 0; i < 64; i++)
		free(slots[i]);
	return unused;
}

/* What the parent had is there, and neither's changes are seen by the other. */
static int in_child(unsigned char **blocks, int count)
{
	pthread_t thread;
	int i;

	for (i = 0; i < count; i++)
		if (!all_bytes(blocks[i], 1000 + i, i))
			return 1;
	for (i = 0; i < count; i++) {
		memset(blocks[i], 0xcc, 1000 + i);
		if (i % 2)
			free(blocks[i]);
	}
	for (i = 0; i < 1000; i++)
		memset(malloc(i * 50), 0xcc, i * 50);
	stop = true;
	if (pthread_create(&thread, NULL, churn, NULL) || pthread_join(thread, NULL))
		return 2;
	return 0;
}

static void test_fork(void)
{
	enum { COUNT = 200, FORKS = 30 };
	unsigned char *blocks[COUNT];
	bool children = true, kept = true;
	pthread_t threads[3];
	int i, status;
	pid_t child;

	for (i = 0; i < COUNT; i++) {
		blocks[i] = malloc(1000 + i);
		memset(blocks[i], i, 1000 + i);
	}
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	for (i = 0; i < FORKS; i++) {
		child = fork();
		if (!child)
			_exit(in_child(blocks, COUNT));
		children &= waitpid(child, &status, 0) == child && status == 0;
	}
	for (i = 0; i < COUNT; i++) {
		kept &= all_bytes(blocks[i], 1000 + i, i);
		free(blocks[i]);
	}
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ok(children, "fork while threads allocate: the child can do everything");
	ok(kept, "fork while threads allocate: the parent has its own memory");
}

/* The C library's fork() resets locks and values of other threads, in the child. */
static FILE *locked_file;
static pthread_key_t keys[40];
static pthread_barrier_t barrier;

/* Even if it is the first call of all. */
__attribute__((constructor(101))) static void open_first(void)
{
	locked_file = fopen("/dev/null", "w");
}

static void *lock_and_remember(void *data)
{
	flockfile(locked_file);
	pthread_setspecific(keys[39], data);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	data = pthread_getspecific(keys[39]);
	funlockfile(locked_file);
	return data;
}

static void test_fork_and_libc(void)
{
	pthread_t thread;
	bool locked, parent;
	void *value;
	pid_t child;
	int i;

	for (i = 0; i < 40; i++)
		pthread_key_create(&keys[i], NULL);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, lock_and_remember, keys);
	pthread_barrier_wait(&barrier);
	child = fork();
	if (!child)
		_exit(0);
	parent = waitpid(child, NULL, 0) == child;
	locked = ftrylockfile(locked_file);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, &value);
	ok(parent && locked, "fork while a thread has a FILE's lock: it keeps it");
	ok(value == keys, "fork while a thread has values of keys: it keeps them");
	for (i = 0; i < 40; i++)
		pthread_key_delete(keys[i]);
	fclose(locked_file);
}

static atomic_int forks;
static atomic_bool forks_good = true;

/* Soon, but not before what was interrupted has got on, however long a fork takes. */
static void send_signal_soon(void)
{
	const struct itimerval soon = { .it_value.tv_usec = 1000 };

	setitimer(ITIMER_PROF, &soon, NULL);
}

/* In the middle of anything. Every other child goes on with what was interrupted. */
static void fork_in_handler(int signal)
{
	pid_t child = fork();
	int status;

	if (!child && forks % 2)
		_exit(0);
	if (!child) {
		alarm(100);
		forks = INT_MAX;
		return;
	}
	forks_good &= waitpid(child, &status, 0) == child && status == 0;
	forks++;
	send_signal_soon();
	(void)signal;
}

/* Ends after a while, if it waits for ever. */
static int fork_by_signals(void)
{
	size_t size;

	signal(SIGPROF, fork_in_handler);
	alarm(100);
	send_signal_soon();
	while (forks < 200)
		for (size = 10; size < MIB; size *= 2)
			free(hidden(malloc(size)));
	return !forks_good;
}

/* fork() waits for the C library's list of files, that for a file, and its user for memory. */
static void *flush_all(void *unused)
{
	while (!stop)
		fflush(NULL);
	return unused;
}

static void *allocate_with_a_file(void *unused)
{
	FILE *file = fopen("/dev/null", "w");

	while (!stop) {
		flockfile(file);
		free(hidden(malloc(100000)));
		funlockfile(file);
	}
	fclose(file);
	return unused;
}

static int fork_and_files(void)
{
	pthread_t threads[2];
	bool good = true;
	int status, i;
	pid_t child;

	alarm(100);
	pthread_create(&threads[0], NULL, flush_all, NULL);
	pthread_create(&threads[1], NULL, allocate_with_a_file, NULL);
	for (i = 0; i < 300; i++) {
		child = fork();
		if (!child)
			_exit(0);
		good &= waitpid(child, &status, 0) == child && status == 0;
	}
	stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return !good;
}

static _Atomic pid_t *who_was_told;

static void tell_who(int signal)
{
	*who_was_told = getpid();
	(void)signal;
}

/* Until it is killed, or its parent. */
static void signal_all(pid_t parent)
{
	signal(SIGUSR1, SIG_IGN);
	while (getppid() == parent) {
		kill(0, SIGUSR1);
		usleep(20);
	}
	_exit(0);
}

/* A child gets signals as soon as it is there. What its handlers write is its own. */
static int fork_and_signals(void)
{
	pid_t child, sender;
	bool good = true;
	int i;

	alarm(100);
	setpgid(0, 0);
	signal(SIGUSR1, tell_who);
	who_was_told = malloc(sizeof(*who_was_told));
	*who_was_told = getpid();
	sender = fork();
	if (!sender)
		signal_all(*who_was_told);
	for (i = 0; i < 500; i++) {
		child = fork();
		if (!child)
			_exit(0);
		while (waitpid(child, NULL, 0) < 0)
			;
		good &= *who_was_told == getpid();
	}
	kill(sender, SIGKILL);
	return !good;
}

/* --- what threads wait for --------------------------------------------------------------- */

/* For all of these, the kernel has to know memory of the allocator as if processes shared it. */
static atomic_int step;

static void await_step(int wanted)
{
	while (step != wanted)
		sched_yield();
}

/* A moment that comes while a thread waits for it. */
static struct timespec soon(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += 10000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* It is locked, the first time until we give up. */
static void *lock_twice(void *mutex)
{
	struct timespec time = soon();
	bool good = pthread_mutex_timedlock(mutex, &time) == ETIMEDOUT;

	step++;
	good &= !pthread_mutex_lock(mutex) && !pthread_mutex_unlock(mutex);
	return good ? mutex : NULL;
}

static void *lock_and_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

static int wait_for_mutex(int shared, int robust)
{
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	pthread_mutexattr_t attributes;
	pthread_t thread;
	void *answer;

	alarm(100);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, shared);
	pthread_mutexattr_setrobust(&attributes, robust);
	if (pthread_mutex_init(mutex, &attributes) || pthread_mutex_lock(mutex) ||
	    pthread_create(&thread, NULL, lock_twice, mutex))
		return 1;
	await_step(1);
	if (pthread_mutex_unlock(mutex) || pthread_join(thread, &answer) || answer != mutex)
		return 2;
	if (robust != PTHREAD_MUTEX_ROBUST)
		return 0;
	if (pthread_create(&thread, NULL, lock_and_end, mutex) || pthread_join(thread, NULL))
		return 3;
	return pthread_mutex_lock(mutex) != EOWNERDEAD;
}

static int wait_for_shared_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_STALLED);
}

static int wait_for_robust_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_ROBUST);
}

static int wait_for_shared_robust_mutex(void)
{
	return wait_for_mutex(PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST);
}

enum { TURNS = 1000 };

static void *answer_turns(void *data)
{
	sem_t *turns = data;
	int i;

	for (i = 0; i < TURNS; i++)
		if (sem_wait(&turns[0]) || sem_post(&turns[1]))
			return NULL;
	return data;
}

static int wait_for_semaphore(void)
{
	sem_t *turns = malloc(2 * sizeof(*turns));
	pthread_t thread;
	void *answer;
	int i;

	alarm(100);
	if (sem_init(&turns[0], 1, 0) || sem_init(&turns[1], 1, 0) ||
	    pthread_create(&thread, NULL, answer_turns, turns))
		return 1;
	for (i = 0; i < TURNS; i++)
		if (sem_post(&turns[0]) || sem_wait(&turns[1]))
			return 2;
	return pthread_join(thread, &answer) || answer != turns;
}

static void *until_step(void *data)
{
	await_step(1);
	return data;
}

/* What pthread_join() waits for lies in the stack. */
static int wait_for_stack(void)
{
	const size_t size = 256 * KIB;
	pthread_attr_t attributes;
	struct timespec time;
	pthread_t thread;
	void *stack;

	alarm(100);
	pthread_attr_init(&attributes);
	if (posix_memalign(&stack, 4096, size) ||
	    pthread_attr_setstack(&attributes, stack, size) ||
	    pthread_create(&thread, &attributes, until_step, NULL))
		return 1;
	time = soon();
	if (pthread_timedjoin_np(thread, NULL, &time) != ETIMEDOUT)
		return 2;
	step = 1;
	return pthread_join(thread, NULL);
}

/* --- threads that end ------------------------------------------------------------------ */

static pthread_key_t late_key;
static int late;
static bool late_good = true;

/* Comes again and again, as long as the C library lets it, after the allocator's own. */
static void late_destructor(void *p)
{
	free(p);
	free(malloc(100000));
	p = calloc(1, 333);
	late_good &= all_bytes(p, 333, 0);
	memset(p, 1, 333);
	late++;
	pthread_setspecific(late_key, p);
	if (late % 4 == 0)
		free(p);
}

static void *late_thread(void *unused)
{
	pthread_setspecific(late_key, malloc(333));
	return unused;
}

static void test_late(void)
{
	pthread_t thread;
	int i;

	pthread_key_create(&late_key, late_destructor);
	for (i = 0; i < 1000; i++)
		if (pthread_create(&thread, NULL, late_thread, NULL) || pthread_join(thread, NULL))
			exit(1);
	is(late, 4000, "destructors of threads allocate and free, to the last");
	ok(late_good, "and get what they should");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} parts[] = {
		{ "exhausted", exhausted },
		{ "few addresses", few_addresses },
		{ "limited addresses", limited_addresses },
		{ "refused addresses", refused_addresses },
		{ "limited later", limited_later },
		{ "taken addresses", taken_addresses },
		{ "shared mutex", wait_for_shared_mutex },
		{ "robust mutex", wait_for_robust_mutex },
		{ "shared robust mutex", wait_for_shared_robust_mutex },
		{ "semaphore", wait_for_semaphore },
		{ "stack", wait_for_stack },
		{ "fork by signals", fork_by_signals },
		{ "fork and files", fork_and_files },
		{ "fork and signals", fork_and_signals },
	};
	int i;

	if (argc > 1) {
		for (i = 0; i < (int)(sizeof(parts) / sizeof(*parts)); i++)
			if (!strcmp(argv[1], parts[i].name))
				return parts[i].run();
		return 1;
	}
	test_sizes();
	test_refused();
	test_alignment();
	test_calloc();
	test_realloc();
	test_realloc_moves();
	test_errno();
	test_misuse();
	test_random();
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
	dies(foreign_among_ours, "not a pointer that malloc gave", "free of others' addresses");
	is(with_limit(RLIMIT_CORE, 0, "shared mutex"), 0, "threads wait for a shared mutex");
	is(with_limit(RLIMIT_CORE, 0, "robust mutex"), 0, "threads wait for a robust mutex");
	is(with_limit(RLIMIT_CORE, 0, "shared robust mutex"), 0,
	   "threads wait for a mutex that is shared and robust");
	is(with_limit(RLIMIT_CORE, 0, "semaphore"), 0, "threads wait for shared semaphores");
	is(with_limit(RLIMIT_CORE, 0, "stack"), 0,
	   "threads wait for one whose stack is the allocator's");
	test_late();
	test_fork();
	test_fork_and_libc();
	is(with_limit(RLIMIT_CORE, 0, "fork by signals"), 0,
	   "fork in signal handlers, whatever they interrupt");
	is(with_limit(RLIMIT_CORE, 0, "fork and files"), 0,
	   "fork while threads allocate with a file's lock, and flush all files");
	is(with_limit(RLIMIT_CORE, 0, "fork and signals"), 0,
	   "fork while signals arrive: handlers in the child write to its own memory");
	return tap_done();
}
