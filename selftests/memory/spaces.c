// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mappings are in one address space, and so wait for one another. RESIZE visits all
 * mappings in the space of its buffer, with a lock that mmap(), munmap(), fork() and exit of
 * each of them need. Probes in the kernel tell which spaces mappings come into, and which one
 * RESIZE walks: those of one buffer are in one, through the device, dma-bufs and other clients,
 * and nobody else's are.
 */
#include "tracefs.h"

#define ATTACKER	61010
#define VICTIM		61012
#define PAGES		64U
#define INSERTS_MAX	8192
#define WALKS_MAX	64

/* What came into a space, or left it; a space is named by what the probes tell of it. */
struct event {
	int pid;
	__u64 root;
	bool left;
};

struct events {
	struct event list[INSERTS_MAX];
	unsigned int count;
	__u64 walked[WALKS_MAX];	/* spaces that RESIZE unmapped in: the spaces themselves */
	unsigned int walks;
};

FIXTURE(spaces) {
	int fd;
	struct memalloc_alloc buffer;
	struct events *events;
};

static int remove_probes(void)
{
	write_file(TRACEFS "/events/memalloc_spaces/enable", "0");
	return write_file(TRACEFS "/kprobe_events", "\n");
}

static int add_probe(const char *probe)
{
	int fd = open(TRACEFS "/kprobe_events", O_WRONLY | O_APPEND);
	int err = fd < 0 || write(fd, probe, strlen(probe)) < 0 ? -errno : 0;

	close(fd);
	return err;
}

FIXTURE_SETUP(spaces)
{
	/*
	 * The tree's functions have its root as an argument; in newer kernels, with other names
	 * (the second), the space. RESIZE calls the last function, with the space.
	 */
	static const char *const probes[][2] = {
		{ "p:memalloc_spaces/insert vma_interval_tree_insert root=$arg2:x64",
		  "p:memalloc_spaces/insert mapping_rmap_tree_insert root=$arg2:x64" },
		{ "p:memalloc_spaces/insert_after vma_interval_tree_insert_after root=$arg3:x64",
		  "p:memalloc_spaces/insert_after mapping_rmap_tree_insert_after root=$arg3:x64" },
		{ "p:memalloc_spaces/remove vma_interval_tree_remove root=$arg2:x64",
		  "p:memalloc_spaces/remove mapping_rmap_tree_remove root=$arg2:x64" },
		{ "p:memalloc_spaces/walk unmap_mapping_pages space=$arg1:x64" },
	};
	size_t i;

	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, no_limits());
	ASSERT_EQ(0, mount_tracefs());
	self->events = malloc(sizeof(*self->events));
	ASSERT_NE(NULL, self->events);
	remove_probes();
	for (i = 0; i < ARRAY_SIZE(probes); i++)
		ASSERT_TRUE(!add_probe(probes[i][0]) ||
			    (probes[i][1] && !add_probe(probes[i][1])))
			TH_LOG("%s", probes[i][0]);
	ASSERT_EQ(0, write_file(TRACEFS "/trace", "\n"));
	ASSERT_EQ(0, write_file(TRACEFS "/events/memalloc_spaces/enable", "1"));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGES * PAGE, &self->buffer));
}

FIXTURE_TEARDOWN(spaces)
{
	EXPECT_EQ(0, remove_probes());
}

/* "  name-123  [000] d..1.  12.345678: insert: (vma_interval_tree_insert+0x0/0x90) root=0xff" */
static void take_line(struct events *events, const char *line)
{
	const char *cpu = strstr(line, " ["), *at = cpu, *value;
	int pid;

	if (!cpu)
		return;
	while (at > line && at[-1] == ' ')
		at--;
	while (at > line && at[-1] != '-')
		at--;
	pid = atoi(at);
	value = strstr(line, "=0x");
	if (!value)
		return;
	if (strstr(line, " walk: ")) {
		if (events->walks < WALKS_MAX)
			events->walked[events->walks++] = strtoull(value + 1, NULL, 16);
	} else if (events->count < INSERTS_MAX) {
		events->list[events->count++] = (struct event){
			.pid = pid, .root = strtoull(value + 1, NULL, 16),
			.left = strstr(line, " remove: "),
		};
	}
}

/* What happened since the last time. To empty the file is a walk, too, in newer kernels. */
static int read_events(struct events *events)
{
	FILE *trace = fopen(TRACEFS "/trace", "r");
	char line[512];

	events->count = 0;
	events->walks = 0;
	if (!trace)
		return -errno;
	while (fgets(line, sizeof(line), trace))
		if (*line != '#')
			take_line(events, line);
	fclose(trace);
	return write_file(TRACEFS "/tracing_on", "0") ?: write_file(TRACEFS "/trace", "\n") ?:
	       write_file(TRACEFS "/tracing_on", "1");
}

/* The space that the last mapping of @pid came into; 0: none. */
static __u64 space_of_last(const struct events *events, int pid)
{
	unsigned int i = events->count;

	while (i--)
		if (events->list[i].pid == pid && !events->list[i].left)
			return events->list[i].root;
	return 0;
}

/* How many mappings are in that space, of @pid, or (0) of anybody. */
static int mappings_in(const struct events *events, __u64 root, int pid)
{
	unsigned int i;
	int count = 0;

	for (i = 0; i < events->count; i++)
		if (events->list[i].root == root && (!pid || events->list[i].pid == pid))
			count += events->list[i].left ? -1 : 1;
	return count;
}

static __u64 map_and_see(struct events *events, int fd, __u64 offset)
{
	if (map_at(fd, offset, PAGE, PROT_READ | PROT_WRITE) == MAP_FAILED || read_events(events))
		return 0;
	return space_of_last(events, getpid());
}

/* Through the device, twice; through a dma-buf; as another client. */
TEST_F(spaces, one_buffer_has_one)
{
	int dmabuf = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	int again = export_buffer(self->fd, self->buffer.handle, O_RDWR | O_CLOEXEC);
	int other = open_device();
	struct memalloc_import import;
	__u64 space;

	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	space = map_and_see(self->events, self->fd, self->buffer.mmap_offset);
	ASSERT_NE(0, space);
	EXPECT_EQ(space, map_and_see(self->events, self->fd, self->buffer.mmap_offset + PAGE));
	EXPECT_EQ(space, map_and_see(self->events, dmabuf, 0));
	EXPECT_EQ(space, map_and_see(self->events, again, 3 * PAGE));
	EXPECT_EQ(space, map_and_see(self->events, other, import.mmap_offset));
}

TEST_F(spaces, each_buffer_has_another)
{
	struct memalloc_alloc other;
	int dmabuf;
	__u64 space = map_and_see(self->events, self->fd, self->buffer.mmap_offset);
	__u64 others, by_dmabuf;

	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &other));
	others = map_and_see(self->events, self->fd, other.mmap_offset);
	dmabuf = export_buffer(self->fd, other.handle, O_RDWR | O_CLOEXEC);
	by_dmabuf = map_and_see(self->events, dmabuf, 0);
	ASSERT_NE(0, space);
	ASSERT_NE(0, others);
	EXPECT_NE(space, others);
	EXPECT_EQ(others, by_dmabuf);
}

/* Map a new buffer, and give it up: the space of the mapping. */
static __u64 map_new_and_see(struct events *events, int fd)
{
	struct memalloc_alloc buffer;
	__u64 space;
	char *map;

	if (alloc_buffer(fd, PAGE, &buffer))
		return 0;
	map = map_at(fd, buffer.mmap_offset, PAGE, PROT_READ);
	space = map == MAP_FAILED || read_events(events) ? 0 : space_of_last(events, getpid());
	return munmap(map, PAGE) || free_buffer(fd, buffer.handle) ? 0 : space;
}

/* Who maps one buffer after the other takes one file. But the file stays with its client. */
TEST_F(spaces, next_buffer_of_a_client_has_the_same)
{
	const __u64 space = map_new_and_see(self->events, self->fd);
	int other = open_device();
	int i;

	ASSERT_NE(0, space);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(space, map_new_and_see(self->events, self->fd));
	for (i = 0; i < 8; i++)
		EXPECT_NE(space, map_new_and_see(self->events, other));
	EXPECT_EQ(space, map_new_and_see(self->events, self->fd));
}

/* A process with a mapping of his own buffer; it stays. */
static pid_t begin_victim(int *ready)
{
	struct memalloc_alloc buffer;
	pid_t child;
	int fd;

	if (pipe(ready))
		return -1;
	child = fork_child();
	if (child)
		return child;
	fd = as_user(VICTIM) ?: open_device();
	if (alloc_buffer(fd, PAGE, &buffer) || map_buffer(fd, &buffer) == MAP_FAILED)
		_exit(1);
	if (write(ready[1], "x", 1) == 1)
		pause();
	_exit(1);
}

/*
 * The attacker has @n mappings of his buffer, each of which mprotect() splits in many, and
 * RESIZE cuts something off: that visits what he has, which grows as @n does, and nothing of
 * the victim's, whose lock is another one.
 */
TEST_F(spaces, resize_walks_its_own)
{
	static const unsigned int sizes[] = { 1, 4, 16 };
	__u64 space, victims, distance = 0;
	unsigned int size, n = 0, i;
	int ready[2], own, all;
	pid_t victim;
	char byte, *map;

	/* What is mapped before that is not counted. */
	ASSERT_EQ(0, read_events(self->events));
	victim = begin_victim(ready);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, read_events(self->events));
	victims = space_of_last(self->events, victim);
	ASSERT_NE(0, victims);

	for (size = 0, own = 0, all = 0; size < ARRAY_SIZE(sizes); size++) {
		for (; n < sizes[size]; n++) {
			map = map_buffer(self->fd, &self->buffer);
			ASSERT_NE(MAP_FAILED, (void *)map);
			for (i = 0; i < PAGES; i += 2)
				ASSERT_EQ(0, mprotect(map + i * PAGE, PAGE, PROT_READ));
		}
		ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, PAGES / 2 * PAGE));
		ASSERT_EQ(0, read_events(self->events));
		ASSERT_GT(INSERTS_MAX, self->events->count);
		ASSERT_EQ(1, self->events->walks);
		space = space_of_last(self->events, getpid());
		/* The tree is at the same place of each space. */
		if (!distance)
			distance = space - self->events->walked[0];
		EXPECT_GT(256, distance);
		EXPECT_EQ(space, self->events->walked[0] + distance);
		EXPECT_NE(space, victims);
		own += mappings_in(self->events, space, getpid());
		all += mappings_in(self->events, space, 0);
		TH_LOG("%u times: RESIZE walks %d mappings, of which %d are its own", n, all, own);
		EXPECT_LE(n * PAGES, own);
		EXPECT_EQ(own, all);
		EXPECT_EQ(0, mappings_in(self->events, victims, getpid()));
		ASSERT_EQ(0, resize_buffer(self->fd, self->buffer.handle, PAGES * PAGE));
	}
	kill(victim, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(victim));
}

TEST_HARNESS_MAIN
