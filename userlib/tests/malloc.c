// SPDX-License-Identifier: MIT
/*
 * The drop-in malloc, as this program's own: what each call answers, that contents are kept, and
 * that threads which end may still call it. Misuse is in malloc_misuse.c, memory that goes back in
 * malloc_memory.c, fork() in malloc_fork.c, what threads wait for in malloc_wait.c, and threads
 * that allocate at the same time in malloc_threads.c.
 */
#include <pthread.h>
#include <stdint.h>

#include "drop_in.h"
#include "random.h"

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

/* The compiler, which warns of sizes that are 0, does not know. */
static size_t none(void)
{
	return (size_t)hidden(NULL);
}

static void test_sizes(void)
{
	bool exact = true, at16 = true, writable = true;
	size_t size;
	char *p, *q;

	/* A sanitizer that knows the size counts the bytes behind it as outside. */
	for (size = 0; size <= 140000; size += size < 3000 ? 1 : 97) {
		p = hidden(malloc(size));
		exact &= malloc_usable_size(p) == rounded(size);
		at16 &= is_aligned(p, 16);
		memset(p, 0x5a, malloc_usable_size(p));
		writable &= all_bytes(p, malloc_usable_size(p), 0x5a);
		free(p);
	}
	ok(exact, "sizes: usable size is the size rounded up as documented");
	ok(at16, "sizes: all are aligned to 16");
	ok(writable, "sizes: all usable bytes can be written");

	p = malloc(none());
	q = malloc(none());
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
	const size_t page = getpagesize();
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
	ok(is_aligned(p, page), "valloc: at a page");
	free(p);
	p = pvalloc(page + 1);
	ok(is_aligned(p, page) && malloc_usable_size(p) >= 2 * page, "pvalloc: whole pages");
	free(p);
	p = pvalloc(0);
	ok(is_aligned(p, page), "pvalloc(0): a pointer");
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
			p = hidden(calloc(size, 1));
			zero &= all_bytes(p, size, 0);
			memset(p, 0xff, malloc_usable_size(p));
			free(p);
			p = hidden(malloc(size));
			memset(p, 0xff, malloc_usable_size(p));
			free(p);
		}
	}
	ok(zero, "calloc: zeros, in new memory and in used one");
	p = calloc(none(), 8);
	ok(p, "calloc(0, 8): a pointer");
	free(p);
	p = calloc(8, none());
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
			/* Sometimes the addresses behind the block are taken. */
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

/* --- threads that end ------------------------------------------------------------------ */

static pthread_key_t late_key;
static int late;
static bool late_good = true;

/* Runs after the allocator's own destructor, and again as long as the C library allows. */
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

int main(void)
{
	test_sizes();
	test_refused();
	test_alignment();
	test_calloc();
	test_realloc();
	test_realloc_moves();
	test_errno();
	test_random();
	test_late();
	return tap_done();
}
