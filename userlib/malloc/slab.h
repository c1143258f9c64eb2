/* SPDX-License-Identifier: MIT */
/*
 * Small objects: slabs of objects of one size, and each thread's heap of slabs.
 *
 * A bit for each object of a slab says whether the object is free. Only the slab's owner, a thread,
 * takes objects from the slab, the lowest free one first, and so needs no lock. The owner sets the
 * bit of an object that it frees. Another thread sets the bit in a second bitmap, atomically, and
 * the first one that does so puts the slab into the owner's inbox. The owner looks there when it
 * has no free object. A double free shows in the bits; nothing is ever read from objects.
 *
 * Heaps outlive their threads: a new thread takes over a heap that has none, and a thread that
 * needs a slab first looks for one in such heaps.
 */
#ifndef SLAB_H
#define SLAB_H

#include "range.h"

/* Sizes: a multiple of 16 to 128, then eight for each doubling. */
#define CLASS_STEPS	8
#define CLASSES		(CLASS_STEPS + 8 * CLASS_STEPS)
#define SMALL_MAX	((size_t)32768)

/* The bins of a heap: one of each class for the program, then one of each for the C library. */
#define BINS		(2 * CLASSES)

/* For sizes up to this, class_of() has a table. */
#define TABLE_MAX	((size_t)1024)

/* Words with a bit for each object of a slab: a slice of objects of the smallest size. */
#define SLAB_WORDS	(SLICE_BYTES / 16 / 64)

enum slab_state {
	SLAB_CURRENT,		/* where its heap takes objects of this size from */
	SLAB_PARTIAL,		/* in its heap's list for this size */
	SLAB_FULL,		/* no object is free; in no list */
};

/*
 * What is known of a slab, in the entry of its first slice. The entries of its other slices have
 * only @back.
 */
struct slab {
	struct heap *owner;	/* NULL: the slice is not in a slab */
	uint32_t countdown;	/* the owner frees so many until slab_event() */
	uint32_t size;		/* of an object */
	uint32_t reciprocal;	/* 2^32 / @size, rounded up */
	uint16_t count;		/* objects */
	uint8_t bin;		/* of its heap */
	uint8_t back;		/* slices from here to the slab's first */
	struct slab *next;	/* in its heap's list */
	struct slab *prev;
	struct slab *inbox_next;
	uint8_t in_inbox;	/* it is in an inbox, or about to be */
	uint8_t state;
	uint8_t slices;
	uint8_t zero;		/* no object has been freed, and all began as zeros */

	/* A bit for each object: free, for the owner to take, and written by nobody else; */
	uint64_t free[SLAB_WORDS] __attribute__((aligned(64)));
	/* freed by other threads, and not seen by the owner yet. */
	uint64_t remote[SLAB_WORDS];
};

/* The slab that a heap takes objects of a size from. */
struct bin {
	uint64_t *word;		/* in @free there; 0, if there is no slab */
	char *base;		/* the object of that word's lowest bit */
	size_t size;
	struct slab *current;
	struct slab *partial;	/* other slabs with free objects: the first, */
	struct slab *last;	/* and the last, which joined the list last */
};

struct heap {
	struct bin bins[BINS];
	struct slab *inbox;	/* slabs in which others have freed something */
	struct slab *empty;	/* slabs of one slice, kept for the next bin that needs one */
	unsigned int empties;
	struct heap *next;	/* in the list of heaps that have no thread */
};

/* The calling thread's heap; before the thread has one, a heap that is always empty. */
extern __thread struct heap *self __attribute__((tls_model("initial-exec")));

extern const uint8_t class_table[TABLE_MAX / 16 + 1] HIDDEN;

/* The class of @size, which is up to SMALL_MAX. */
static inline unsigned int class_of(size_t size)
{
	unsigned int power;

	if (likely(size <= TABLE_MAX))
		return class_table[(size + 15) / 16];
	size--;
	power = 63 - __builtin_clzll(size);
	return (power - 6) * CLASS_STEPS + (size >> (power - 3) & (CLASS_STEPS - 1));
}

/* The size of the objects of a class. */
size_t class_size(unsigned int class);

/* The bin for objects of @size, up to SMALL_MAX, that a call which returns to @caller wants. */
static inline unsigned int bin_of(size_t size, const void *caller)
{
	return class_of(size) + (unlikely(is_libc(caller)) ? CLASSES : 0);
}

/* Give back the empty slabs of the thread, and of heaps without one. With the range's lock. */
void slab_trim(void);

/* Give the thread, which has none, a heap. False: there is no memory. */
bool slab_attach(void);

/* An object of that bin, whose current word has none; NULL and ENOMEM: there is no memory. */
void *slab_alloc_slow(unsigned int number);

/* An object of that bin; NULL and ENOMEM: there is no memory. */
static inline void *slab_alloc(unsigned int number)
{
	struct bin *bin = &self->bins[number];
	uint64_t free = *bin->word;

	if (unlikely(!free))
		return slab_alloc_slow(number);
	__atomic_store_n(bin->word, free & (free - 1), __ATOMIC_RELAXED);
	return bin->base + __builtin_ctzll(free) * bin->size;
}

/*
 * The slab that has the byte at @offset of the range, with no owner if none has it. @inside:
 * out: where in the slab that is.
 */
static inline struct slab *slab_at(size_t offset, uint32_t *inside)
{
	struct slab *slab = &range.slabs[offset >> SLICE_SHIFT];

	*inside = offset & (SLICE_BYTES - 1);
	if (unlikely(slab->back)) {
		*inside += (uint32_t)slab->back << SLICE_SHIFT;
		slab -= slab->back;
	}
	return slab;
}

static inline struct heap *slab_owner(const struct slab *slab)
{
	return __atomic_load_n(&slab->owner, __ATOMIC_RELAXED);
}

/* The object that begins at @inside; if none does, another number. */
static inline uint32_t slab_index(const struct slab *slab, uint32_t inside)
{
	return (uint64_t)inside * slab->reciprocal >> 32;
}

/* Does object @index, which is what slab_index() answered, begin at @inside? */
static inline bool slab_begins(const struct slab *slab, uint32_t inside, uint32_t index)
{
	return index * slab->size == inside && index < slab->count;
}

/* What has to be done when the owner has freed as many objects as @countdown said. */
void slab_event(struct slab *slab);

/* Another thread than the owner frees object @index. If it is free already, abort(). */
void slab_free_remote(struct slab *slab, struct heap *owner, uint32_t index);

/* Have others freed object @index? */
static inline bool slab_is_remote(const struct slab *slab, uint32_t index)
{
	return __atomic_load_n(&slab->in_inbox, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&slab->remote[index / 64], __ATOMIC_RELAXED) >> index % 64 & 1;
}

/* The owner frees object @index. False: it is free already. */
static inline bool slab_free_own(struct slab *slab, uint32_t index)
{
	uint64_t *word = &slab->free[index / 64];
	uint64_t bit = 1ull << index % 64;

	if (unlikely(*word & bit || slab_is_remote(slab, index)))
		return false;
	__atomic_store_n(word, *word | bit, __ATOMIC_RELAXED);
	if (unlikely(!--slab->countdown))
		slab_event(slab);
	return true;
}

/* Is object @index allocated? To be asked by whoever has it. */
static inline bool slab_is_used(const struct slab *slab, uint32_t index)
{
	return !slab_is_remote(slab, index) &&
	       !(__atomic_load_n(&slab->free[index / 64], __ATOMIC_RELAXED) >> index % 64 & 1);
}

#endif /* SLAB_H */
