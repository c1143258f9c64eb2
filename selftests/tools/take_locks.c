// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: for bench-held/run.sh, has the module take its spinlocks at each place, with few
 * blocks and with many, and by each fit. Prints what the parameter "held" then says, and before
 * each line the fit and the number of blocks.
 *
 * The first SPINE pages of the region are used blocks, with one free page between each two. So the
 * blocks are few or many, and lie alike. All else happens mostly in the rest of the region.
 */
#include "count.h"
#include "dmaheap.h"
#include "pins.h"

#define SPINE		1000000UL	/* pages */
#define FEW		1000		/* blocks */
#define MANY		1000000
#define SLOTS		200		/* buffers that come and go */
#define ROUNDS		6000
#define USER		61020

/* What can't fail here ends the program. */
#define MUST(condition)								\
do {										\
	if (!(condition)) {							\
		fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
		exit(1);							\
	}									\
} while (0)

struct work {
	int fd;
	unsigned int blocks;
	__u64 region_length;
	__u64 start;		/* the region's physical address */
	__u64 step;		/* of the spine: bytes of a used block and its free page */
	int spine;		/* the client whose blocks these are */
	__u32 middle;		/* its handle for the block in the middle */
	__u64 random;
};

static unsigned int below(struct work *work, unsigned int n)
{
	return random_below(&work->random, n);
}

/* Pages of which each power of two is as likely as the next: 1 to 1024. */
static __u64 any_length(struct work *work)
{
	return (1 + below(work, 1U << below(work, 11))) * PAGE;
}

static void print_held(const struct work *work, const char *fit)
{
	FILE *file = fopen(PARAMETERS "held", "r");
	char line[256];

	MUST(file);
	while (fgets(line, sizeof(line), file))
		printf("%s %u %s", fit, work->blocks, line);
	fclose(file);
	MUST(!write_file(PARAMETERS "held", "0"));
}

static void make_spine(struct work *work, unsigned int blocks)
{
	static struct memalloc_alloc buffers[MEMALLOC_BATCH_MAX];
	const unsigned int used = blocks / 2;
	unsigned int i, made, count;
	__u32 last = 0;

	MUST(!switch_to("first"));
	work->blocks = blocks;
	work->step = SPINE / used * PAGE;
	work->spine = open_device();
	MUST(work->spine >= 0);
	for (made = 0; made < used; made += count) {
		count = used - made < MEMALLOC_BATCH_MAX ? used - made : MEMALLOC_BATCH_MAX;
		MUST(!alloc_batch(work->spine, buffers, count, work->step));
		for (i = 0; i < count; i++) {
			/* Only now, lest the buffer behind it begins where it ends. */
			MUST(!last || !resize_buffer(work->spine, last, work->step - PAGE));
			last = buffers[i].handle;
			if (made + i == used / 2)
				work->middle = last;
		}
	}
	MUST(!resize_buffer(work->spine, last, work->step - PAGE));
	print_held(work, "first");
}

/* A request for a place between two offsets in the region. */
static int alloc_between(struct work *work, int fd, __u64 from, __u64 to, __u64 length,
			 struct memalloc_alloc *buffer)
{
	*buffer = (struct memalloc_alloc){
		.size = sizeof(*buffer), .length = length,
		.window_start = work->start + from, .window_end = work->start + to - 1,
	};
	return call(fd, MEMALLOC_IOC_ALLOC, buffer);
}

static void alloc_somehow(struct work *work, struct memalloc_alloc *buffer)
{
	const __u64 length = any_length(work);

	*buffer = (struct memalloc_alloc){ .size = sizeof(*buffer), .length = length };
	switch (below(work, 8)) {
	case 0:
		buffer->alignment = PAGE << below(work, 11);
		break;
	case 1:
		buffer->boundary = PAGE << (10 + below(work, 4));
		break;
	case 2:
		buffer->dma_mask_bits = 32 + below(work, 4);
		break;
	case 3:
		buffer->window_start = work->start + below(work, SPINE) * PAGE;
		buffer->window_end = buffer->window_start + (1 << 16) * PAGE;
		break;
	}
	if (call(work->fd, MEMALLOC_IOC_ALLOC, buffer))
		buffer->handle = 0;
}

static void churn(struct work *work)
{
	static struct memalloc_alloc slots[SLOTS];
	unsigned int i;

	memset(slots, 0, sizeof(slots));
	for (i = 0; i < ROUNDS; i++) {
		struct memalloc_alloc *slot = &slots[below(work, SLOTS)];

		if (!slot->handle) {
			alloc_somehow(work, slot);
		} else if (!below(work, 4)) {
			resize_buffer(work->fd, slot->handle, any_length(work));
		} else {
			if (slot->length <= 4 * PAGE)
				touch_buffer(work->fd, slot);
			MUST(!free_buffer(work->fd, slot->handle));
			slot->handle = 0;
		}
	}
	for (i = 0; i < SLOTS; i++)
		MUST(!slots[i].handle || !free_buffer(work->fd, slots[i].handle));
}

/* The pages of the spine are one after the other, then each second comes back. */
static void batches(struct work *work)
{
	static struct memalloc_alloc buffers[MEMALLOC_BATCH_MAX], half[MEMALLOC_BATCH_MAX / 2];
	unsigned int i, side;

	MUST(!alloc_batch(work->fd, buffers, MEMALLOC_BATCH_MAX, PAGE));
	for (side = 0; side < 2; side++) {
		for (i = 0; i < MEMALLOC_BATCH_MAX / 2; i++)
			half[i] = buffers[2 * i + side];
		MUST(!free_batch(work->fd, half, MEMALLOC_BATCH_MAX / 2));
	}
}

/* What CPUs keep ready comes back to the heap, of all sizes, and from between others. */
static void drain(struct work *work)
{
	static struct memalloc_alloc buffers[MEMALLOC_BATCH_MAX], some[MEMALLOC_BATCH_MAX];
	struct memalloc_stats stats;
	unsigned int i, n, part;
	__u64 pages;

	for (pages = 1; pages <= 16; pages++) {
		n = 48 / pages * 4;
		MUST(!alloc_batch(work->fd, buffers, n, pages * PAGE));
		for (part = 0; part < 4; part++) {
			for (i = 0; i < n / 4; i++)
				some[i] = buffers[4 * i + part];
			MUST(!free_batch(work->fd, some, n / 4));
			MUST(!get_stats(work->fd, &stats));
		}
	}
}

/* What a client keeps comes back: all that is in a magazine; and a large one of another size. */
static void keep(struct work *work)
{
	struct memalloc_alloc buffers[16];
	struct memalloc_stats stats;
	int i;

	for (i = 0; i < 16; i++)
		MUST(!alloc_buffer(work->fd, (i + 1) * PAGE, &buffers[i]));
	for (i = 0; i < 16; i++)
		MUST(!free_buffer(work->fd, buffers[i].handle));
	for (i = 0; i < 16; i++)
		MUST(!alloc_buffer(work->fd, (i + 1) * PAGE - 1, &buffers[i]));
	for (i = 0; i < 16; i++)
		MUST(!free_buffer(work->fd, buffers[i].handle));
	MUST(!alloc_buffer(work->fd, 20 * PAGE, &buffers[0]));
	MUST(!free_buffer(work->fd, buffers[0].handle));
	MUST(!get_stats(work->fd, &stats));
}

static void resize(struct work *work)
{
	struct memalloc_alloc buffer;

	MUST(!alloc_buffer(work->fd, 512 * PAGE, &buffer));
	MUST(!resize_buffer(work->fd, buffer.handle, 300 * PAGE));
	MUST(!resize_buffer(work->fd, buffer.handle, 300 * PAGE - 1));
	MUST(!resize_buffer(work->fd, buffer.handle, 400 * PAGE));
	MUST(!free_buffer(work->fd, buffer.handle));
}

/* No fit finds these; a search of all blocks does, or does not either. */
static void sweep(struct work *work)
{
	const __u64 middle = work->blocks / 4 * work->step;
	struct memalloc_alloc buffer;

	MUST(alloc_between(work, work->fd, 0, SPINE * PAGE, 2 * PAGE, &buffer) == -ENOMEM);
	MUST(!free_buffer(work->spine, work->middle));
	MUST(!alloc_between(work, work->fd, middle - 50 * work->step, middle + 50 * work->step,
			    2 * PAGE, &buffer));
	MUST(!free_buffer(work->fd, buffer.handle));
	MUST(!alloc_between(work, work->spine, middle, middle + work->step, work->step - PAGE,
			    &buffer));
	work->middle = buffer.handle;
}

static void no_room(struct work *work)
{
	struct memalloc_alloc buffer;

	MUST(alloc_buffer(work->fd, work->region_length, &buffer) == -ENOMEM);
}

static void ask(struct work *work)
{
	static struct memalloc_block blocks[4096];
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	struct memalloc_stats stats;
	struct memalloc_info info;
	__u64 offset = 0;

	MUST(!alloc_buffer(work->fd, PAGE, &buffer) &&
	     !name_buffer(work->fd, buffer.handle, "a name") &&
	     !query_buffer(work->fd, buffer.handle, &query) &&
	     !free_buffer(work->fd, buffer.handle));
	MUST(!get_stats(work->fd, &stats) && !get_info(work->fd, &info));
	while (offset < work->region_length) {
		__u32 count = ARRAY_SIZE(blocks);

		MUST(!get_layout(work->spine, &offset, blocks, &count));
	}
}

/* Reads up to @most bytes of a file in debugfs. */
static void read_debugfs(const char *name, size_t most)
{
	static char text[1 << 16];
	ssize_t n = 1;
	int fd;

	fd = open(node_path("/sys/kernel/debug", name), O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0);
	for (; most && n > 0; most -= n) {
		n = read(fd, text, most < sizeof(text) ? most : sizeof(text));
		MUST(n >= 0);
	}
	close(fd);
}

static void share(struct work *work)
{
	int other = open_device(), heap = open_dmaheap(), dmabuf;
	struct memalloc_import import;
	struct memalloc_alloc buffer;

	MUST(!alloc_buffer(work->fd, 8 * PAGE, &buffer));
	dmabuf = export_buffer(work->fd, buffer.handle, O_RDWR | O_CLOEXEC);
	MUST(dmabuf >= 0 && !import_buffer(other, dmabuf, 0, &import));
	close(dmabuf);
	MUST(!free_buffer(work->fd, buffer.handle));
	close(other);
	dmabuf = dmaheap_alloc(heap, 8 * PAGE, O_RDWR | O_CLOEXEC);
	MUST(dmabuf >= 0);
	close(dmabuf);
	close(heap);
}

/* A user who may have no more. */
static void refuse(struct work *work)
{
	struct memalloc_limits limits;
	struct memalloc_alloc buffer;
	int fd = open_as(USER);

	MUST(fd >= 0 && !get_limits(fd, &limits));
	MUST(!set_limits(fd, MEMALLOC_LIMITS_SET_BYTES | MEMALLOC_LIMITS_SET_BUFFERS, PAGE, 1));
	MUST(!as_user(USER));
	MUST(!alloc_buffer(fd, PAGE, &buffer) && alloc_buffer(fd, PAGE, &buffer) == -EDQUOT);
	MUST(!as_root());
	close(fd);
	(void)work;
}

/* Clients of one user have given something back, and somebody looks at what the user has. */
static void look_at_limits(struct work *work)
{
	struct memalloc_limits limits;
	struct memalloc_alloc buffer;
	int clients[40];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = open_device();
		MUST(!alloc_buffer(clients[i], PAGE, &buffer) &&
		     !free_buffer(clients[i], buffer.handle));
	}
	MUST(!get_limits(work->fd, &limits));
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

/* A client knew addresses, and is gone. */
static void release(struct work *work)
{
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	int i, fd = open_device();

	for (i = 0; i < 20; i++)
		MUST(!alloc_buffer(fd, any_length(work), &buffer) &&
		     !query_physical(fd, buffer.handle, &query));
	close(fd);
	MUST(!release_all(work->fd));
}

/* A call that finds no room looks at the quarantine, where each buffer is in two pieces. */
static void quarantine(struct work *work)
{
	struct pins pins = {};
	unsigned int i;

	for (i = 0; i < 40; i++)
		MUST(!leave_pinned(work->fd, &pins, (3 + below(work, 300)) * PAGE, true));
	for (i = 0; i < 3; i++)
		no_room(work);
	unpin(&pins, 0, 1);
	no_room(work);
	free(pins.pipes);
	MUST(!quarantined_bytes(work->fd));
}

/* As if the page had failed: the kernel marks it, and says that it can do no more (EBUSY). */
static void poison(__u64 physical)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", physical / PAGE);
	MUST(write_file("/sys/kernel/debug/hwpoison/corrupt-pfn", text) == -EBUSY);
}

/* A page fails while it is in use; and another one while it is free, and not zeroed yet. */
static void retire(struct work *work)
{
	struct memalloc_alloc buffer;
	__u64 at;

	MUST(!alloc_buffer(work->fd, 8 * PAGE, &buffer) && !touch_buffer(work->fd, &buffer));
	poison(physical(work->fd, &buffer, 3 * PAGE));
	MUST(!free_buffer(work->fd, buffer.handle));

	/* So long that the background does not begin just then. */
	MUST(WAIT_UNTIL(!dirty_bytes(work->fd)));
	sleep_ms(500);
	MUST(!alloc_buffer(work->fd, 8 * PAGE, &buffer) && !touch_buffer(work->fd, &buffer));
	at = physical(work->fd, &buffer, 0) - work->start;
	MUST(!free_buffer(work->fd, buffer.handle));
	poison(work->start + at + 3 * PAGE);
	MUST(alloc_between(work, work->fd, at, at + 8 * PAGE, 8 * PAGE, &buffer) == -ENOMEM);
}

/* A buffer that was written to moves away from the beginning of the largest free block. */
static void make_longer_block(struct work *work)
{
	struct memalloc_alloc hole, buffer;
	struct memalloc_compact answer;
	struct memalloc_stats stats;

	MUST(!alloc_buffer(work->fd, 8 * PAGE, &hole));
	MUST(!alloc_buffer(work->fd, 8 * PAGE, &buffer));
	MUST(!touch_buffer(work->fd, &buffer) && !free_buffer(work->fd, hole.handle));
	MUST(!get_stats(work->fd, &stats));
	MUST(!compact(work->fd, stats.largest_free + 5 * PAGE, &answer));
	MUST(answer.moves && answer.largest_free > stats.largest_free);
	MUST(!free_buffer(work->fd, buffer.handle));
	/* All that is free; but nothing may be copied. */
	answer.length = 0;
	answer.budget = 0;
	MUST(!call(work->fd, MEMALLOC_IOC_COMPACT, &answer));
}

static void all_calls(struct work *work)
{
	static const char *const fits[] = { "good", "first", "best", "worst", "next" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		MUST(!switch_to(fits[i]));
		churn(work);
		batches(work);
		drain(work);
		keep(work);
		resize(work);
		sweep(work);
		no_room(work);
		ask(work);
		read_debugfs("check", 1 << 16);
		read_debugfs("layout", 1 << 18);
		share(work);
		refuse(work);
		look_at_limits(work);
		release(work);
		quarantine(work);
		make_longer_block(work);
		retire(work);
		print_held(work, fits[i]);
	}
}

int main(void)
{
	struct work work = { .random = 1 };
	struct memalloc_alloc buffer;
	struct memalloc_stats stats;

	MUST(clock_counts_instructions());
	work.fd = open_idle_device();
	MUST(work.fd >= 0 && !get_stats(work.fd, &stats));
	work.region_length = stats.region_length;
	MUST(!alloc_buffer(work.fd, PAGE, &buffer));
	work.start = physical(work.fd, &buffer, 0);
	MUST(work.start && !free_buffer(work.fd, buffer.handle));
	MUST(!write_file(PARAMETERS "held", "0"));

	make_spine(&work, FEW);
	all_calls(&work);
	close(work.spine);
	make_spine(&work, MANY);
	all_calls(&work);
	return 0;
}
