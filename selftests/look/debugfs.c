// SPDX-License-Identifier: GPL-2.0-only
/*
 * What root finds of the region in debugfs: each block with who pays for its buffer, each
 * client, and what the module says when it checks itself.
 */
#include "drivers.h"
#include "pins.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define FILE_OF(name)	node_path("/sys/kernel/debug", name)
#define LAYOUT_HEAD	"offset length state requested references flags pid uid comm name\n"
#define CLIENTS_HEAD	"access handles buffers bytes pid uid comm\n"

FIXTURE(debugfs) {
	int fd;
};

FIXTURE_SETUP(debugfs)
{
	ASSERT_EQ(0, prctl(PR_SET_NAME, "holder"));
	self->fd = open_idle_device();
	ASSERT_LE(0, self->fd);
	/* Buffers lie where the fit puts them, also when they are told. */
	ASSERT_EQ(0, move_on_demand(false));
}

FIXTURE_TEARDOWN(debugfs)
{
	release_all(self->fd);
	EXPECT_EQ(0, move_on_demand(true));
}

/* The file, read in pieces of @piece, as a string that the next call overwrites. */
static char *text_in(const char *name, size_t piece)
{
	static char text[1 << 20];
	size_t length = 0;
	ssize_t n;
	int fd;

	fd = open(FILE_OF(name), O_RDONLY);
	while (length + piece < sizeof(text) && (n = read(fd, text + length, piece)) > 0)
		length += n;
	close(fd);
	text[length] = 0;
	return text;
}

static char *text_of(const char *name)
{
	return text_in(name, 65536);
}

/* Does the file have that line, also as its first one? */
static bool has_line(const char *name, const char *format, ...)
{
	char line[256] = "\n";
	const char *text = text_of(name);
	va_list args;

	va_start(args, format);
	vsnprintf(line + 1, sizeof(line) - 1, format, args);
	va_end(args);
	return strstr(text, line) || !strncmp(text, line + 1, strlen(line + 1));
}

/* Does "layout" say so of the region's first buffer, which was asked to have PAGE + 1 bytes? */
static bool two_pages_are_used(int references, const char *flags, const char *name)
{
	return has_line("layout", "0 %lu used %lu %d %s %d 0 holder%s\n", 2 * PAGE, PAGE + 1,
			references, flags, getpid(), name);
}

TEST_F(debugfs, is_for_root)
{
	static const char *const names[] = { "layout", "table", "clients", "check" };
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, stat(FILE_OF(names[i]), &st));
		EXPECT_EQ(0400, st.st_mode & 07777);
		EXPECT_EQ(0, st.st_uid);
	}
}

TEST_F(debugfs, layout_tells_what_a_buffer_is)
{
	struct memalloc_info info;
	struct memalloc_alloc buffer;
	struct memalloc_query query;
	int dmabuf, card = open_vgem();
	__s64 object;
	char *map;

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_LE(0, card);
	ASSERT_EQ(0, get_info(self->fd, &info));
	EXPECT_TRUE(has_line("layout", "0 %llu free\n", info.region_length));
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &buffer));
	EXPECT_TRUE(two_pages_are_used(1, "---", ""));
	EXPECT_TRUE(has_line("layout", "%lu %llu free\n", 2 * PAGE, info.region_length - 2 * PAGE));

	ASSERT_EQ(0, name_buffer(self->fd, buffer.handle, "a \\"));
	EXPECT_TRUE(two_pages_are_used(1, "---", " a\\040\\134"));
	ASSERT_EQ(0, name_buffer(self->fd, buffer.handle, ""));

	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_TRUE(two_pages_are_used(2, "t--", ""));
	dmabuf = export_buffer(self->fd, buffer.handle, O_RDWR);
	ASSERT_LE(0, dmabuf);
	EXPECT_TRUE(two_pages_are_used(3, "t--", ""));
	object = prime_import(card, dmabuf);
	ASSERT_LT(0, object);
	EXPECT_TRUE(two_pages_are_used(3, "t-a", ""));
	ASSERT_EQ(0, gem_close(card, object));
	ASSERT_EQ(0, query_physical(self->fd, buffer.handle, &query));
	EXPECT_TRUE(two_pages_are_used(3, "td-", ""));
	munmap(map, 2 * PAGE);
	close(dmabuf);
	EXPECT_TRUE(two_pages_are_used(1, "td-", ""));
	/* Or it would wait for its release. */
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
}

TEST_F(debugfs, layout_tells_of_the_quarantine)
{
	struct memalloc_alloc buffer, told;
	struct memalloc_query query;
	struct iovec page;
	int pipes[2], other = open_device();

	if (!memory_can(MEMALLOC_MEMORY_PAGES))
		SKIP(return, "this memory has no pages");
	ASSERT_LE(0, other);
	ASSERT_EQ(0, alloc_buffer(self->fd, 3 * PAGE, &buffer));
	ASSERT_EQ(0, alloc_buffer(other, PAGE, &told));
	ASSERT_EQ(0, query_physical(other, told.handle, &query));
	close(other);
	page = (struct iovec){ map_buffer(self->fd, &buffer), PAGE };
	ASSERT_NE(MAP_FAILED, page.iov_base);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(PAGE, (size_t)vmsplice(pipes[1], &page, 1, 0));
	munmap(page.iov_base, 3 * PAGE);
	ASSERT_EQ(0, free_buffer(self->fd, buffer.handle));
	EXPECT_TRUE(has_line("layout", "0 %lu quarantined %lu 0 t-- %d 0 holder\n", PAGE,
			     3 * PAGE, getpid()));
	EXPECT_TRUE(has_line("layout", "%lu %lu free\n", PAGE, 2 * PAGE));
	EXPECT_TRUE(has_line("layout", "%lu %lu retained %lu 0 td- %d 0 holder\n", 3 * PAGE,
			     PAGE, PAGE, getpid()));
	EXPECT_TRUE(has_line("check", "sums: ok\n"));
	EXPECT_TRUE(has_line("check", "quarantine: ok\n"));
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_TRUE(WAIT_UNTIL(quarantined_bytes(self->fd) == PAGE));
}

/* It is told who that was also when he is dead. A name is no way to forge lines. */
TEST_F(debugfs, layout_tells_who_pays)
{
	struct memalloc_alloc buffer;
	int sockets[2], dmabuf;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	child = fork_child();
	if (!child) {
		int fd;

		prctl(PR_SET_NAME, "a b\n0 1\\");
		fd = drop_privileges() ? -1 : open_device();
		_exit(fd < 0 || alloc_buffer(fd, 1, &buffer) ||
		      send_fd(sockets[1], export_buffer(fd, buffer.handle, O_RDWR)));
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(0, chmod(DEVICE, 0660));
	dmabuf = receive_fd(sockets[0]);
	ASSERT_LE(0, dmabuf);
	EXPECT_TRUE(WAIT_UNTIL(has_line("layout", "0 %lu used 1 1 --- %d 65534 %s\n", PAGE, child,
					"a\\040b\\0120\\0401\\134")));
}

/* A line is "OFFSET LENGTH STATE..."; where it ends, or NULL. */
static const char *parse_line(const char *line, struct memalloc_block *block)
{
	static const char *const states[] = {
		"free", "used", "quarantined", "retained", "retired",
	};
	char state[16];

	if (sscanf(line, "%llu %llu %15[a-z]", &block->offset, &block->length, state) != 3)
		return NULL;
	for (block->state = 0; block->state < ARRAY_SIZE(states); block->state++)
		if (!strcmp(states[block->state], state))
			break;
	line = strchr(line, '\n');
	return line ? line + 1 : NULL;
}

TEST_F(debugfs, layout_is_the_layout)
{
	static struct memalloc_block blocks[4096];
	struct memalloc_alloc buffers[3000];
	const size_t pieces[] = { 65536, 4096, 100 };
	struct memalloc_block block;
	const char *line;
	size_t piece;
	int i, n;

	for (i = 0; i < 3000; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE * (1 + i % 3), &buffers[i]));
	for (i = 0; i < 3000; i += 2)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	n = read_layout(self->fd, blocks, ARRAY_SIZE(blocks), ARRAY_SIZE(blocks));
	ASSERT_EQ(3001, n);
	for (piece = 0; piece < ARRAY_SIZE(pieces); piece++) {
		line = text_in("layout", pieces[piece]);
		ASSERT_EQ(0, strncmp(line, LAYOUT_HEAD, strlen(LAYOUT_HEAD)));
		line += strlen(LAYOUT_HEAD);
		for (i = 0; i < n; i++) {
			line = parse_line(line, &block);
			ASSERT_NE(NULL, line);
			ASSERT_EQ(blocks[i].offset, block.offset);
			ASSERT_EQ(blocks[i].length, block.length);
			ASSERT_EQ(blocks[i].state, block.state);
		}
		EXPECT_STREQ("", line);
	}
}

TEST_F(debugfs, clients_are_listed)
{
	struct memalloc_alloc a, b;
	struct memalloc_import import;
	char expected[512];
	int other, dmabuf;

	/* The name that counts is the one when the device was opened. */
	ASSERT_EQ(0, prctl(PR_SET_NAME, "reader"));
	other = open(DEVICE, O_RDONLY);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, alloc_buffer(self->fd, PAGE + 1, &a));
	ASSERT_EQ(0, alloc_buffer(self->fd, 1, &b));
	dmabuf = export_buffer(self->fd, a.handle, O_RDWR);
	ASSERT_EQ(0, import_buffer(other, dmabuf, 0, &import));
	ASSERT_EQ(0, import_buffer(self->fd, dmabuf, MEMALLOC_IMPORT_READ_ONLY, &import));
	snprintf(expected, sizeof(expected), CLIENTS_HEAD
		 "read-write 3 2 %lu %d 0 holder\nread-only 1 1 %lu %d 0 reader\n",
		 3 * PAGE, getpid(), 2 * PAGE, getpid());
	EXPECT_STREQ(expected, text_of("clients"));
	close(other);
	*strstr(expected, "read-only") = 0;
	EXPECT_STREQ(expected, text_of("clients"));
}

TEST_F(debugfs, many_clients_are_listed)
{
	int i, count = 0, fds[200];
	const char *line;

	for (i = 0; i < 200; i++) {
		fds[i] = open_device();
		ASSERT_LE(0, fds[i]);
	}
	for (line = text_in("clients", 100); (line = strstr(line, "\nread-write ")); line++)
		count++;
	EXPECT_EQ(201, count);
	for (i = 0; i < 200; i++)
		close(fds[i]);
}

TEST_F(debugfs, check_finds_all_in_order)
{
	static const char wanted[] =
		"blocks: ok\nsums: ok\nquarantine: ok\nclean: not checked: there are buffers\n";
	struct memalloc_alloc buffers[100];
	int i;

	ASSERT_TRUE(WAIT_UNTIL(has_line("check", "clean: ok\n")));
	EXPECT_STREQ("blocks: ok\nsums: ok\nquarantine: ok\nclean: ok\n", text_of("check"));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, i * 999 + 1, &buffers[i]));
	for (i = 0; i < 100; i += 3)
		ASSERT_EQ(0, free_buffer(self->fd, buffers[i].handle));
	EXPECT_STREQ(wanted, text_of("check"));
}

/* What is dirty is counted: it is no less true that all is in order then. */
TEST_F(debugfs, check_knows_what_is_dirty)
{
	__u64 end = now_ms() + DEADLINE_MS;
	const __u64 length = 128 * MIB;
	unsigned int rounds = 10;
	bool told = false;
	__u64 dirty;

	/* What is dirty is counted before the background begins, and until it has ended. */
	while ((rounds || !told) && now_ms() < end) {
		ASSERT_EQ(0, make_dirty(self->fd, length));
		do {
			const char *text = text_of("check");

			ASSERT_EQ(NULL, strstr(text, "wrong"))
				TH_LOG("%s", text);
			dirty = dirty_bytes(self->fd);
			told |= strstr(text, "clean: ok\n") && dirty == length;
		} while (dirty && now_ms() < end);
		if (rounds)
			rounds--;
	}
	EXPECT_TRUE(told);
}

static void take_and_give(int fd)
{
	struct memalloc_alloc buffers[64];
	__u64 state = getpid();

	memset(buffers, 0, sizeof(buffers));
	for (;;) {
		struct memalloc_alloc *buffer = &buffers[random_below(&state, 64)];

		if (buffer->handle) {
			free_buffer(fd, buffer->handle);
			buffer->handle = 0;
		} else if (alloc_buffer(fd, 1 + random_below(&state, 20 * PAGE), buffer)) {
			_exit(1);
		} else if (!random_below(&state, 8)) {
			map_errno(fd, buffer->mmap_offset, PAGE, PROT_READ);
		}
	}
}

/* A length comes and goes, and no figure shows that it was there. */
static void change_length(int fd)
{
	struct memalloc_alloc buffer;
	__u64 length;

	if (alloc_buffer(fd, 1, &buffer))
		_exit(1);
	for (length = PAGE; !resize_buffer(fd, buffer.handle, length); length = PAGE + 1 - length)
		;
	_exit(1);
}

TEST_F(debugfs, sums_are_right_while_a_length_changes)
{
	const __u64 end = now_ms() + 2000;
	struct memalloc_alloc buffer;
	pid_t child;
	int i;

	/* So many blocks that they are looked at in several slices. */
	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, alloc_buffer(self->fd, PAGE, &buffer));
	child = fork_child();
	if (!child)
		change_length(open_device());
	while (now_ms() < end)
		ASSERT_EQ(NULL, strstr(text_of("check"), "wrong"));
	kill(child, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(child));
}

/* While others take and give back, nothing is ever wrong, and nothing is out of order. */
TEST_F(debugfs, all_can_be_read_at_any_time)
{
	unsigned int round = 0;
	pid_t children[2];
	__u64 end;
	int i;

	for (i = 0; i < 2; i++) {
		children[i] = fork_child();
		if (!children[i])
			take_and_give(open_device());
	}
	for (end = now_ms() + 3000; now_ms() < end;) {
		struct memalloc_block block;
		const char *text;
		__u64 offset = 0;

		text = text_of("check");
		ASSERT_EQ(text, strstr(text, "blocks: ok\n"))
			TH_LOG("%s", text);
		ASSERT_TRUE(strstr(text, "sums: ok\n") || strstr(text, "sums: not checked: "))
			TH_LOG("%s", text);
		ASSERT_TRUE(strstr(text, "quarantine: ok\n") ||
			    strstr(text, "quarantine: not checked: "))
			TH_LOG("%s", text);
		ASSERT_EQ(NULL, strstr(text, "wrong"));

		for (text = text_of("layout") + strlen(LAYOUT_HEAD); *text;) {
			text = parse_line(text, &block);
			ASSERT_NE(NULL, text);
			ASSERT_LT(offset, block.offset + block.length);
			ASSERT_LT(block.state, MEMALLOC_BLOCK_RETIRED);
			offset = block.offset + block.length;
		}
		text_of("clients");
		switch_to(round++ / 8 % 2 ? "first" : "good");
	}
	for (i = 0; i < 2; i++) {
		kill(children[i], SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(children[i]));
	}
	EXPECT_TRUE(has_line("check", "quarantine: ok\n"));
	switch_to("good");
}

/* A figure of the file moves; -1: it is not there. */
static long long moves_figure(const char *name)
{
	const char *line = strstr(text_of("moves"), name);

	return line && line[strlen(name)] == ' ' ? atoll(line + strlen(name)) : -1;
}

TEST_F(debugfs, moves_tells_how_often_and_why_not)
{
	const long long moves = moves_figure("moves"), bytes = moves_figure("bytes");
	const long long held = moves_figure("held");
	const bool can = memory_moves();
	struct memalloc_alloc hole, buffer;
	struct memalloc_compact answer;
	struct pins pins = {};
	char *map;

	EXPECT_TRUE(moves >= 0 && bytes >= 0 && held >= 0);
	EXPECT_LE(0, moves_figure("no-memory"));
	ASSERT_EQ(0, alloc_buffer(self->fd, MIB, &hole));
	ASSERT_EQ(0, alloc_buffer(self->fd, MIB, &buffer));
	map = map_buffer(self->fd, &buffer);
	ASSERT_NE(MAP_FAILED, map);
	*map = 1;
	ASSERT_EQ(0, free_buffer(self->fd, hole.handle));
	if (can) {
		ASSERT_EQ(0, pin_page(&pins, map));
		ASSERT_EQ(0, compact(self->fd, 0, &answer));
		EXPECT_LT(held, moves_figure("held"));
		EXPECT_EQ(moves, moves_figure("moves"));
		unpin(&pins, 0, 1);
	}
	ASSERT_EQ(0, compact(self->fd, 0, &answer));
	EXPECT_EQ(moves + can, moves_figure("moves"));
	EXPECT_EQ(bytes + can * (long long)MIB, moves_figure("bytes"));
}

TEST_HARNESS_MAIN
