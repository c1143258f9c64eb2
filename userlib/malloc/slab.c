// SPDX-License-Identifier: MIT
/* Slabs and heaps, all but the short paths. See slab.h. */
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "message.h"
#include "slab.h"
#include "source.h"

/* Objects up to this size are in slabs of one slice, the others in larger ones. */
#define ONE_SLICE_MAX	4096
#define LARGE_SLICES	4

/* Empty slabs that a heap keeps. */
#define EMPTY_MAX	4

/* Nothing to count down. */
#define NEVER		UINT32_MAX

/* Memory for heaps is taken so much at a time. */
#define HEAPS_BYTES	((size_t)64 << 10)

static uint64_t no_word;
static struct slab no_slab;
static struct heap nobody = {
	.bins[0 ... BINS - 1] = { .word = &no_word, .current = &no_slab },
};

__thread struct heap *self = &nobody;

/* How often the thread's destructor has run: PTHREAD_DESTRUCTOR_ITERATIONS times at most. */
static __thread unsigned int exits __attribute__((tls_model("initial-exec")));

/* Under the range's lock: */
static bool ready;
static struct heap *abandoned;		/* heaps without a thread */
static char *new_heaps;			/* memory for more */
static size_t new_heaps_bytes;

static pthread_key_t exit_key;

/* Eight classes from @class on, each larger by @each units of 16 bytes than the one before. */
#define EIGHT(units, each, class)				\
	[(units) ... (units) + (each) - 1] = (class),		\
	[(units) + (each) ... (units) + 2 * (each) - 1] = (class) + 1,	\
	[(units) + 2 * (each) ... (units) + 3 * (each) - 1] = (class) + 2,	\
	[(units) + 3 * (each) ... (units) + 4 * (each) - 1] = (class) + 3,	\
	[(units) + 4 * (each) ... (units) + 5 * (each) - 1] = (class) + 4,	\
	[(units) + 5 * (each) ... (units) + 6 * (each) - 1] = (class) + 5,	\
	[(units) + 6 * (each) ... (units) + 7 * (each) - 1] = (class) + 6,	\
	[(units) + 7 * (each) ... (units) + 8 * (each) - 1] = (class) + 7

/* By size in units of 16 bytes; 0 is as 1. */
const uint8_t class_table[TABLE_MAX / 16 + 1] = {
	EIGHT(1, 1, 0),
	EIGHT(9, 1, 8),
	EIGHT(17, 2, 16),
	EIGHT(33, 4, 24),
};

size_t class_size(unsigned int class)
{
	if (class < CLASS_STEPS)
		return 16 * (class + 1);
	return (size_t)(CLASS_STEPS + class % CLASS_STEPS + 1) << (class / CLASS_STEPS + 3);
}

static unsigned int slab_words(const struct slab *slab)
{
	return (slab->count + 63) / 64;
}

static char *slab_object(const struct slab *slab, unsigned int index)
{
	return range_address(slab - range.slabs) + index * slab->size;
}

/* --- lists of partial slabs ------------------------------------------------------ */

/* At the end, so that objects gather in it until its turn comes. */
static void link_partial(struct heap *heap, struct slab *slab)
{
	struct bin *bin = &heap->bins[slab->bin];

	slab->state = SLAB_PARTIAL;
	slab->next = NULL;
	slab->prev = bin->last;
	if (bin->last)
		bin->last->next = slab;
	else
		bin->partial = slab;
	bin->last = slab;
}

static void unlink_partial(struct heap *heap, struct slab *slab)
{
	struct bin *bin = &heap->bins[slab->bin];

	if (slab->prev)
		slab->prev->next = slab->next;
	else
		bin->partial = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
	else
		bin->last = slab->prev;
}

/* --- slabs come and go ------------------------------------------------------------ */

static void begin_slab(struct slab *slab, unsigned int bin, unsigned int slices, bool zero)
{
	size_t size = class_size(bin % CLASSES);
	unsigned int i, words;

	/* @in_inbox and @inbox_next stay: the slab may still be in the inbox of a former owner. */
	slab->size = size;
	slab->reciprocal = ((1ull << 32) + size - 1) / size;
	slab->count = slices * SLICE_BYTES / size;
	slab->bin = bin;
	slab->slices = slices;
	slab->zero = zero;
	words = slab_words(slab);
	for (i = 0; i < words; i++)
		__atomic_store_n(&slab->free[i], ~0ull, __ATOMIC_RELAXED);
	if (slab->count % 64)
		__atomic_store_n(&slab->free[words - 1], (1ull << slab->count % 64) - 1,
				 __ATOMIC_RELAXED);
	for (i = 1; i < slices; i++)
		slab[i].back = i;
}

/* With the range's lock. From here on, to free an object of the slab is misuse that is noticed. */
static void give_back_slab(struct slab *slab)
{
	unsigned int i;

	__atomic_store_n(&slab->owner, NULL, __ATOMIC_RELAXED);
	for (i = 1; i < slab->slices; i++)
		slab[i].back = 0;
	range_free(slab - range.slabs);
}

/* Keep a slab that is empty and in no list. Its bits stay set, so that a double free shows. */
static void keep_empty_slab(struct heap *heap, struct slab *slab)
{
	slab->next = heap->empty;
	heap->empty = slab;
	heap->empties++;
}

/* One of the heap's empty slabs, of which there is one at least. */
static struct slab *take_empty_slab(struct heap *heap)
{
	struct slab *slab = heap->empty;

	heap->empty = slab->next;
	heap->empties--;
	return slab;
}

/* With the range's lock. */
static void give_back_empties(struct heap *heap)
{
	while (heap->empty)
		give_back_slab(take_empty_slab(heap));
}

static void release_slab(struct heap *heap, struct slab *slab)
{
	if (slab->slices == 1 && slab->bin < CLASSES && heap->empties < EMPTY_MAX) {
		keep_empty_slab(heap, slab);
		return;
	}
	range_lock();
	give_back_slab(slab);
	range_unlock();
}

static struct slab *new_slab(struct heap *heap, unsigned int bin)
{
	unsigned int slices = class_size(bin % CLASSES) <= ONE_SLICE_MAX ? 1 : LARGE_SLICES;
	bool ordinary = bin >= CLASSES;
	bool zero = false;
	struct slab *slab;
	uint32_t slice;

	if (slices == 1 && !ordinary && heap->empty) {
		slab = take_empty_slab(heap);
	} else {
		range_lock();
		slice = range_alloc(slices, 1, ordinary, &zero);
		range_unlock();
		if (slice == NO_SLICE)
			return NULL;
		slab = &range.slabs[slice];
	}
	begin_slab(slab, bin, slices, zero);
	__atomic_store_n(&slab->owner, heap, __ATOMIC_RELAXED);
	return slab;
}

/* --- objects that others have freed ---------------------------------------------- */

/* Take over what other threads have freed; returns how many objects that is. */
static unsigned int collect_freed(struct slab *slab)
{
	unsigned int words = slab_words(slab);
	unsigned int count = 0, i;
	uint64_t remote, twice;

	for (i = 0; i < words; i++) {
		if (!__atomic_load_n(&slab->remote[i], __ATOMIC_SEQ_CST))
			continue;
		remote = __atomic_exchange_n(&slab->remote[i], 0, __ATOMIC_SEQ_CST);
		twice = remote & slab->free[i];
		if (twice)
			die("free", slab_object(slab, i * 64 + __builtin_ctzll(twice)),
			    "freed twice");
		__atomic_store_n(&slab->free[i], slab->free[i] | remote, __ATOMIC_RELAXED);
		count += __builtin_popcountll(remote);
	}
	return count;
}

/*
 * @count objects of @heap's slab have become free. True: the slab is empty now, and in no list.
 */
static bool settle_slab(struct heap *heap, struct slab *slab, unsigned int count)
{
	if (!count)
		return false;
	slab->zero = false;
	switch (slab->state) {
	case SLAB_CURRENT:
		slab->countdown = NEVER;
		return false;
	case SLAB_FULL:
		slab->countdown = slab->count - count;
		if (!slab->countdown)
			return true;
		link_partial(heap, slab);
		return false;
	default:
		slab->countdown -= count;
		if (slab->countdown)
			return false;
		unlink_partial(heap, slab);
		return true;
	}
}

void slab_event(struct slab *slab)
{
	struct heap *heap = slab->owner;

	if (slab->state == SLAB_PARTIAL) {
		unlink_partial(heap, slab);
		release_slab(heap, slab);
	} else {
		settle_slab(heap, slab, 1);
	}
}

/* Put @slab into the inbox of its owner, if it is in none. */
static void put_in_inbox(struct slab *slab, struct heap *owner)
{
	struct slab *first;

	/* SEQ_CST pairs with drain_inbox(), which first clears this, and with collect_freed(). */
	if (__atomic_load_n(&slab->in_inbox, __ATOMIC_SEQ_CST) ||
	    __atomic_exchange_n(&slab->in_inbox, 1, __ATOMIC_SEQ_CST))
		return;
	first = __atomic_load_n(&owner->inbox, __ATOMIC_RELAXED);
	do
		slab->inbox_next = first;
	while (!__atomic_compare_exchange_n(&owner->inbox, &first, slab, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
}

void slab_free_remote(struct slab *slab, struct heap *owner, uint32_t index)
{
	unsigned int word = index / 64;
	uint64_t bit = 1ull << index % 64;

	if (__atomic_load_n(&slab->free[word], __ATOMIC_RELAXED) & bit ||
	    __atomic_fetch_or(&slab->remote[word], bit, __ATOMIC_SEQ_CST) & bit)
		die("free", slab_object(slab, index), "freed twice");
	/* From here on the slab may be another one, or none: drain_inbox() expects that. */
	put_in_inbox(slab, owner);
}

/* Take over what is free in the slabs of the inbox. @keep: the caller gives back the empty ones. */
static void drain_inbox(struct heap *heap, bool keep)
{
	struct slab *slab, *next;
	struct heap *owner;

	if (!__atomic_load_n(&heap->inbox, __ATOMIC_RELAXED))
		return;
	slab = __atomic_exchange_n(&heap->inbox, NULL, __ATOMIC_ACQUIRE);
	for (; slab; slab = next) {
		next = slab->inbox_next;
		__atomic_exchange_n(&slab->in_inbox, 0, __ATOMIC_SEQ_CST);
		owner = __atomic_load_n(&slab->owner, __ATOMIC_SEQ_CST);
		if (owner != heap) {
			if (owner)
				put_in_inbox(slab, owner);
			continue;
		}
		if (!settle_slab(heap, slab, collect_freed(slab)))
			continue;
		if (keep)
			keep_empty_slab(heap, slab);
		else
			release_slab(heap, slab);
	}
}

/* --- heaps come and go -------------------------------------------------------------- */

static struct heap *new_heap(void)
{
	struct heap *heap;
	unsigned int i;
	void *more;

	if (new_heaps_bytes < sizeof(*heap)) {
		more = mmap(NULL, HEAPS_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (more == MAP_FAILED)
			return NULL;
		new_heaps = more;
		new_heaps_bytes = HEAPS_BYTES;
	}
	heap = (struct heap *)new_heaps;
	new_heaps += sizeof(*heap);
	new_heaps_bytes -= sizeof(*heap);
	for (i = 0; i < BINS; i++) {
		heap->bins[i].word = &no_word;
		heap->bins[i].size = class_size(i % CLASSES);
	}
	return heap;
}

/* The current slab of a bin is current no more. True: the slab is empty. */
static bool retire_bin(struct heap *heap, struct bin *bin)
{
	struct slab *slab = bin->current;
	unsigned int words = slab_words(slab);
	unsigned int count = 0, i;

	bin->word = &no_word;
	bin->current = NULL;
	for (i = 0; i < words; i++)
		count += __builtin_popcountll(slab->free[i]);
	slab->state = SLAB_FULL;
	slab->countdown = 1;
	return settle_slab(heap, slab, count);
}

/* Put all slabs in which nothing is allocated into the list of empty ones. */
static void gather_empties(struct heap *heap)
{
	struct slab *slab;
	unsigned int i;

	drain_inbox(heap, true);
	for (i = 0; i < BINS; i++) {
		slab = heap->bins[i].current;
		if (!slab)
			continue;
		collect_freed(slab);
		if (retire_bin(heap, &heap->bins[i]))
			keep_empty_slab(heap, slab);
	}
}

void slab_trim(void)
{
	struct heap *heap;

	if (self != &nobody) {
		gather_empties(self);
		give_back_empties(self);
	}
	for (heap = abandoned; heap; heap = heap->next) {
		drain_inbox(heap, true);
		give_back_empties(heap);
	}
}

/* A thread ends. Its other destructors may still free and allocate; then it comes here again. */
static void abandon_heap(void *data)
{
	struct heap *heap = data;

	self = &nobody;
	exits++;
	gather_empties(heap);
	range_lock();
	give_back_empties(heap);
	heap->next = abandoned;
	__atomic_store_n(&abandoned, heap, __ATOMIC_RELAXED);
	range_unlock();
}

bool slab_attach(void)
{
	struct heap *heap = NULL;
	bool first;

	range_lock();
	first = !ready;
	if (first)
		ready = (range.base || range_init(sizeof(struct slab))) &&
			!pthread_key_create(&exit_key, abandon_heap);
	if (first)
		source_settle();
	if (ready && abandoned) {
		heap = abandoned;
		__atomic_store_n(&abandoned, heap->next, __ATOMIC_RELAXED);
	} else if (ready) {
		heap = new_heap();
	}
	range_unlock();
	if (!heap)
		return false;
	self = heap;
	/* These may allocate. */
	if (first)
		range_watch_forks();
	pthread_setspecific(exit_key, heap);
	return true;
}

/* A slab for a bin from a heap that has no thread, or NULL. */
static struct slab *adopt_slab(struct heap *heap, unsigned int bin)
{
	struct slab *slab = NULL;
	struct heap *from;

	if (!__atomic_load_n(&abandoned, __ATOMIC_RELAXED))
		return NULL;
	range_lock();
	for (from = abandoned; from; from = from->next) {
		drain_inbox(from, true);
		give_back_empties(from);
		if (!slab && from->bins[bin].partial) {
			slab = from->bins[bin].partial;
			unlink_partial(from, slab);
			__atomic_store_n(&slab->owner, heap, __ATOMIC_SEQ_CST);
		}
	}
	range_unlock();
	return slab;
}

/* Go to the next word of the bin's slab that has a free object; the present one comes last. */
static bool advance_bin(struct bin *bin)
{
	struct slab *slab = bin->current;
	unsigned int words = slab_words(slab);
	unsigned int at = bin->word - slab->free;
	unsigned int i;

	for (i = 0; i < words; i++) {
		at = at + 1 < words ? at + 1 : 0;
		if (slab->free[at]) {
			bin->word = &slab->free[at];
			bin->base = slab_object(slab, at * 64);
			return true;
		}
	}
	return false;
}

/* For a thread whose destructor runs no more, and which must have no heap: a block of the range. */
static void *alloc_late(void)
{
	uint32_t slice;
	bool zero;

	range_lock();
	slice = range_alloc(1, 1, false, &zero);
	range_unlock();
	return slice == NO_SLICE ? no_memory() : range_address(slice);
}

void *slab_alloc_slow(unsigned int number)
{
	struct heap *heap = self;
	struct bin *bin = &heap->bins[number];
	bool is_first = !range.base;
	struct slab *slab;

	/* Mostly another word of the slab has a free object. @no_slab has no words. */
	if (bin->current && advance_bin(bin))
		return slab_alloc(number);
	if (exits >= PTHREAD_DESTRUCTOR_ITERATIONS && heap == &nobody)
		return alloc_late();
	if (heap == &nobody && !slab_attach())
		return no_memory();
	/*
	 * Before the first call, nobody knew the C library's code: the caller may have been that.
	 */
	if (is_first && libc_code.length)
		number = number % CLASSES + CLASSES;
	heap = self;
	bin = &heap->bins[number];
	if (bin->current) {
		settle_slab(heap, bin->current, collect_freed(bin->current));
		if (advance_bin(bin))
			return slab_alloc(number);
		retire_bin(heap, bin);
	}
	drain_inbox(heap, false);
	slab = bin->partial;
	if (slab)
		unlink_partial(heap, slab);
	else
		slab = adopt_slab(heap, number);
	if (!slab)
		slab = new_slab(heap, number);
	if (!slab)
		return no_memory();
	slab->state = SLAB_CURRENT;
	slab->countdown = slab->zero ? 1 : NEVER;
	bin->current = slab;
	bin->word = &slab->free[slab_words(slab) - 1];
	advance_bin(bin);
	return slab_alloc(number);
}
