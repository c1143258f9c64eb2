/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the fuzzer share: the model of what a worker has, and a call under way.
 *
 *   main.c   the workers, one after the other or at the same time, and the results
 *   step.c   one call: chosen, predicted, made, compared; and the report if it differs
 *   calls.c  the list of calls; about.c, batch.c, buffers.c, change.c, compact.c, memory.c,
 *            sharing.c and translate.c have for each how it is chosen, predicted and applied to the
 *            model, choose.c what they have in common
 *   model.c  what follows from what: who is charged, when memory goes back, where there is room
 *   strangers.c  others, who guess what the workers have
 *   administrator.c  one who makes and destroys other regions
 *
 * A worker is a process that makes random calls on clients of its own. What it may be answered
 * follows from what it did before: only that there is room depends on others. So workers either
 * run side by side and ask for so little that there is always room, or alone, and then the model
 * knows each block of the region and each figure of STATS.
 */
#ifndef FUZZ_H
#define FUZZ_H

/* The harness can only be in a program of one file: we do without, with what it includes. */
#define __KSELFTEST_HARNESS_H
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "argument.h"
#include "dmaheap.h"
#include "drivers.h"
#include "masks.h"

#define WORKERS		4
#define CLIENTS		4
#define HANDLES		24	/* of a client */
#define BUFFERS		48	/* of a worker */
#define DMABUFS		12
#define MAPPINGS	12
#define BATCH		8	/* entries of one */
#define LOG		20	/* calls that are shown if one differs */
#define ERRNOS		134
#define TYPES_MAX	64

/*
 * Of a buffer. If each of WORKERS has BUFFERS of SHARED_PAGES, there is a hole in a region of
 * 64 MiB that has room for one more of these, at an alignment of as many.
 */
#define SHARED_PAGES	16
#define ALONE_PAGES	64

#define STRANGERS_MAX	8
#define STRANGERS_ACTS	10	/* kinds of what they do */

/* What is left of the region to a worker that is alone. */
#define ALONE_ROOM	(2 * MIB)

/* The limits while we run; they don't hold for root. */
#define USER_BYTES	MIB
#define USER_BUFFERS	36
#define CLIENT_BYTES	(640 * KIB)
#define CLIENT_BUFFERS	16

struct amount {
	__u64 bytes;
	__u64 buffers;
};

struct user {
	uid_t uid;
	struct amount charged;
};

struct buffer {
	unsigned int users;	/* handles, dma-bufs, mappings */
	bool retained;	/* once there are none, it waits for RELEASE */
	__u64 length;		/* 0: there is no such buffer */
	__u64 pages;
	__u64 mmap_offset;
	__u64 physical;		/* 0: it is not known */
	bool told;		/* once, to whomever */
	__u8 name[MEMALLOC_NAME_LEN];
	struct memalloc_alloc asked;	/* its constraints */
	__u64 first_pages;	/* that ALLOC gave it */
	__s64 place;		/* its offset in the region; -1: unknown */
	struct client *payer;
	unsigned int payer_life;	/* of payer->life */
	struct user *user;
	__u32 written[ALONE_PAGES];	/* into each page: a pattern of this seed; 0: nothing */
};

struct handle {
	__u32 id;		/* 0: there is no such handle */
	bool writable;
	bool told;		/* the address, through this one */
	struct buffer *buffer;
};

/* An open file, of the device or the dma-heap; several in the course of time. */
struct client {
	int fds[2];		/* of the same open file; -1: closed */
	unsigned int life;
	__u64 number;		/* that INFO tells; 0: not known yet */
	bool writable;
	struct user *user;
	struct amount charged;
	struct amount limit;	/* its own */
	struct handle handles[HANDLES];
	__u32 gone[8];		/* handles that it had */
	unsigned int freed;	/* how many */
};

struct dmabuf {
	int fd;
	int access;		/* as it was opened: O_RDONLY ... */
	__u64 first;		/* the buffer's pages that it has, */
	__u64 pages;		/* so many */
	struct buffer *buffer;	/* NULL: there is none */
};

struct mapping {
	char *address;
	struct buffer *buffer;	/* NULL: there is none */
	__u64 first;		/* of the buffer's pages, the first that is mapped */
	__u64 pages;
	bool writable;
	bool may_write;		/* mprotect() can make it so */
	bool given;		/* not made through the client that pays for the buffer */
};

/* Where the argument of a call lies. */
enum where {
	ORDINARY,		/* up to the very end of what can be read */
	IN_MAPPING,		/* of a buffer, not yet faulted in */
	READ_ONLY,
	HALF,			/* its end can't be read */
	NOWHERE,
	PLACES
};

/* What a process can run out of when it asks for a descriptor. */
enum scarce { NOTHING, DESCRIPTORS, FILES };

struct call {
	const struct call_type *type;
	unsigned int which;	/* of call_types */
	unsigned long step;
	struct client *client;
	unsigned int request;
	union argument arg;	/* what is passed; what is beyond arg.header.size is 0, */
	union argument answer;	/* what came of it, */
	union argument expected;
	__u32 size;		/* the bytes that are passed */
	__u32 tail;		/* a byte there, beyond what the kernel knows, is not 0; 0: none */
	enum where where;
	__u32 cut;		/* if HALF: bytes that can be read */
	enum scarce scarce;
	union {
		struct memalloc_alloc allocs[BATCH];
		struct memalloc_free frees[BATCH];
	} entries;		/* of a batch, */
	unsigned int n;		/* so many, */
	enum where entries_where;	/* which lie there */
	bool bad_blocks;	/* LAYOUT: the room for them can't be written */
	bool fenced;		/* SYNC: a device works on the buffer, and signals come */
	bool as_is;		/* nothing is to be varied in how it is passed */
	bool moves;		/* buffers may be moved for it */
	struct dmabuf *dmabuf;
	struct mapping *mapping;
	bool may[ERRNOS];	/* fail with that */
	bool fails;		/* it must: may has something */
	int got;		/* 0 or the errno */
};

struct worker {
	/* Set by main.c */
	unsigned int number;
	pid_t pid;		/* 0: it has not begun */
	bool root;		/* has all capabilities, else none */
	bool alone;
	int compact;		/* the setting of the region, if alone */
	int card;		/* vgem; only root may open it */
	__u64 random;
	unsigned long steps;
	struct memalloc_info info;
	__u64 base;		/* physical address of the region */
	__u64 memory_end;	/* where the machine's memory ends */
	char file_max[32];	/* as it is without us */
	struct memalloc_stats before;	/* if alone: the figures when it began, */
	struct memalloc_block others[64];	/* and the blocks that were used then */
	unsigned int other_blocks;

	/* The model */
	struct user users[2];	/* only root has two */
	struct client clients[CLIENTS];
	struct client heap;
	struct buffer buffers[BUFFERS];
	struct dmabuf dmabufs[DMABUFS];
	struct mapping mappings[MAPPINGS];
	__u32 stamp;		/* what was written last */
	__u64 allocs[2];	/* at least, at most: one whose answer met EFAULT may count */
	__u64 failures;

	/* Memory to pass arguments in; what follows each piece can't be read */
	char *ordinary;		/* two pages */
	char *in_mapping;	/* a page of a buffer of ours */
	char *writable;		/* a page that is, */
	char *read_only;	/* somewhere else, not */
	char *entries;		/* a page for LAYOUT */

	/* What happened */
	unsigned long moves;	/* calls for which buffers were moved */
	unsigned long step;
	struct call log[LOG];
	char wrong[200];	/* "": nothing */
	bool finished;
	unsigned int cpu;
	unsigned long count[TYPES_MAX][ERRNOS];
};

/* A process that guesses; see strangers.c. */
struct stranger {
	/* Set by main.c */
	unsigned int number;
	uid_t uid;
	bool quiet;		/* it changes no figure of STATS, and no block */
	bool stop;
	/* What happened */
	bool ready;
	unsigned long acts[STRANGERS_ACTS];
	char wrong[200];	/* "": nothing */
};

#define ADMINISTRATORS_ACTS	7

/* The process of administrator.c. */
struct administrator {
	bool stop;
	unsigned long acts[ADMINISTRATORS_ACTS];
	char wrong[200];	/* "": nothing */
};

/* How a call is made up and judged; a new one is one more of these, and a line in calls.c. */
struct call_type {
	const char *name;
	unsigned int share;	/* how often it is made, in proportion to the others */
	const char *fields[4];	/* of the argument, for the report; with a ':' those of 64 bits */
	int errors[12];		/* all that can be provoked here */

	/* An ioctl; otherwise 0, */
	unsigned int request;
	__u32 size;		/* of its argument, */
	__u32 min_size;		/* and of the first version; 0: it has no size in it */
	__u32 flags;		/* the known ones */
	bool no_answer;		/* it writes nothing */
	bool frees;		/* memory may be free when it returns; the charge has to be, too */

	/* Choose arguments, right or wrong. False: there is nothing to do it with. */
	bool (*choose)(struct worker *w, struct call *c);
	/* Say which errors may come of these; if there are none, it must succeed. */
	void (*predict)(struct worker *w, struct call *c);
	/* How it is made, if it is more than an ioctl: 0 or -1, and errno. */
	int (*make)(struct worker *w, struct call *c, void *arg);
	/*
	 * It succeeded: what follows for the model, and for c->expected, which begins as
	 * c->arg. What is wrong with what else can be seen; or NULL.
	 */
	const char *(*apply)(struct worker *w, struct call *c);
	/* It failed after all was done, as the answer could not be given: what is left of that. */
	void (*undo)(struct worker *w, struct call *c);
};

#define OTHER_FIELDS { "size: what: offset: length: prot: flags: fd:" }

/* An ioctl, and the last field of the first version of its argument. */
#define CALL(number, type, last)					\
	.name = #number, .request = MEMALLOC_IOC_ ## number,		\
	.size = sizeof(struct type),					\
	.min_size = offsetof(struct type, last) + sizeof(((struct type *)0)->last)

extern const struct call_type *const call_types[];
extern const unsigned int call_types_count;

/* about.c, batch.c, buffers.c, change.c, compact.c, memory.c, sharing.c, translate.c */
extern const struct call_type call_info, call_nocall, call_alloc, call_free, call_query,
	call_stats, call_layout, call_export, call_import, call_limits, call_release, call_sync,
	call_heap, call_mmap, call_munmap, call_mprotect, call_access, call_close_dmabuf, call_turn,
	call_fdinfo, call_fit,
	call_resize, call_name, call_alloc_batch, call_free_batch, call_compact, call_translate;

static inline unsigned int below(struct worker *w, unsigned int n)
{
	return random_below(&w->random, n);
}

static inline bool one_in(struct worker *w, unsigned int n)
{
	return !below(w, n);
}

static inline void may_fail(struct call *c, int error, bool condition)
{
	if (condition) {
		c->may[error] = true;
		c->fails = true;
	}
}

#define PICK(w, array)	((array)[below(w, ARRAY_SIZE(array))])

static inline __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static inline bool is_power_of_2(__u64 n)
{
	return n && !(n & (n - 1));
}

static inline __u64 pages_of(__u64 length)
{
	return length ? (length - 1) / PAGE + 1 : 0;
}

static inline bool is_open(const struct client *client)
{
	return client->fds[0] >= 0 || client->fds[1] >= 0;
}

/* Was it this open file that the buffer was made through? */
static inline bool is_payer(const struct client *client, const struct buffer *buffer)
{
	return buffer->payer == client && buffer->payer_life == client->life;
}

/* One of its descriptors, whichever. */
static inline int fd_of(const struct client *client)
{
	return client->fds[0] >= 0 ? client->fds[0] : client->fds[1];
}

/* model.c */
struct buffer *add_buffer(struct worker *w, struct client *payer, __u64 length);
void undo_alloc(struct worker *w, struct call *c);
void put_buffer(struct buffer *buffer);
void release_buffer(struct buffer *buffer);
struct buffer *find_room_for_buffer(struct worker *w);
bool is_new_offset(const struct worker *w, __u64 offset, __u64 pages);
struct handle *find_handle(struct client *client, __u32 id);
struct handle *find_handle_of(struct client *client, const struct buffer *buffer, bool writable);
struct handle *find_room_for_handle(struct client *client);
const char *add_handle(struct client *client, __u32 id, struct buffer *buffer, bool writable);
void remove_handle(struct client *client, struct handle *handle);
void open_client(struct client *client, int fd, struct user *user, bool writable);
void close_client(struct client *client);
void charge_buffer(struct buffer *buffer, __u64 bytes, __u64 buffers);
void predict_charge(struct worker *w, struct call *c, struct client *payer, __u64 pages,
		    __u64 buffers);
const char *charge_wrong(struct worker *w);
void predict_place(struct worker *w, struct call *c, const struct memalloc_alloc *alloc);
const char *place_wrong(const struct worker *w, const struct memalloc_alloc *alloc, __u64 place);
const char *layout_wrong(struct worker *w, struct client *client);

/* May buffers be moved for the next call? Then it is made so, and where they are is learned. */
bool choose_to_move(struct worker *w, const struct memalloc_alloc *allocs, unsigned int n);
const char *call_that_moves(struct worker *w, struct call *c, char *at, int *ret);
const char *learn_place(struct worker *w, struct client *client, struct buffer *buffer,
			__u32 handle);
unsigned int expected_layout(struct worker *w, struct client *client,
			     struct memalloc_block *blocks);
void expected_stats(struct worker *w, struct memalloc_stats *stats);

/* The most blocks that a worker which is alone can see. */
#define BLOCKS_MAX	(2 * (BUFFERS + 64) + 1)

/* choose.c */
struct client *some_client(struct worker *w);
struct handle *own_handle(struct worker *w, struct client *client);
__u32 some_handle(struct worker *w, struct client *client);
struct dmabuf *some_dmabuf(struct worker *w);
struct dmabuf *find_room_for_dmabuf(struct worker *w);
struct mapping *some_mapping(struct worker *w);
__u32 access_bits(bool writable);
bool choose_client_only(struct worker *w, struct call *c);
void predict_handle(struct worker *w, struct call *c, __u32 handle);
__u64 some_length(struct worker *w);
void predict_scarce(struct call *c);

/* buffers.c */
void choose_wrong_alloc(struct worker *w, struct memalloc_alloc *alloc);
const char *apply_new_buffer(struct worker *w, struct client *client,
			     struct memalloc_alloc *expected, const struct memalloc_alloc *answer);

/* strangers.c */
void be_strange(struct stranger *s, const struct worker *workers);
const char *stranger_act(unsigned int act);

/* administrator.c */
void administrate(struct administrator *a, __u64 seed);
const char *administrators_act(unsigned int act);

/* step.c */
bool prepare(struct worker *w);
void run_steps(struct worker *w);
void report(const struct worker *w);

#endif /* FUZZ_H */
