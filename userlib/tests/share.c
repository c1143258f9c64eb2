// SPDX-License-Identifier: MIT
/*
 * Usage: share [PATH]
 *
 * What a device shares: exports and imports, within a process and between two, and what stays when
 * a device is closed. Memory of the process shares otherwise: process.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "calls.h"

static void test_export(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer = make(MIB), stale = buffer, read_only;
	int fd, read_only_fd;

	fd = memalloc_buffer_export(mem, &buffer, 0);
	ok(fd >= 0, "export");
	is(fcntl(fd, F_GETFD), FD_CLOEXEC, "export: closed on exec");
	is(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR, "export: open to read and write");
	is(lseek(fd, 0, SEEK_END), MIB, "export: as long as the buffer");
	read_only_fd = memalloc_buffer_export(mem, &buffer, MEMALLOC_READ_ONLY);
	ok(read_only_fd >= 0, "export: read only");
	is(fcntl(read_only_fd, F_GETFL) & O_ACCMODE, O_RDONLY, "export: read only is open to read");

	is(memalloc_buffer_export(mem, &buffer, UNKNOWN_FLAG), -EINVAL,
	   "export: EINVAL, an unknown flag");
	need(memalloc_buffer_import(mem, fd, MEMALLOC_READ_ONLY, &read_only), "import");
	is(memalloc_buffer_export(mem, &read_only, 0), -EACCES,
	   "export: EACCES, a read-only handle");
	need(memalloc_buffer_free(mem, &read_only), "free");
	test_export_without_descriptors(&buffer);

	need(memalloc_buffer_free(mem, &buffer), "free");
	is(memalloc_buffer_export(mem, &buffer, 0), -ENOENT, "export: ENOENT, freed");
	is(memalloc_buffer_export(mem, &stale, 0), -ENOENT, "export: ENOENT, a copy was freed");
	is(used(), before + MIB, "export: a descriptor keeps the memory");
	close(fd);
	close(read_only_fd);
	ok(used_becomes(before), "export: the memory comes back with the last descriptor");
}

static void test_import(void)
{
	struct memalloc_buffer buffer = make(5), imported, again, read_only;
	struct memalloc *other = open_another();
	unsigned char *bytes, *theirs;
	int fd = memalloc_buffer_export(mem, &buffer, 0);

	need(fd, "export");
	is(memalloc_buffer_import(other, fd, 0, &imported), 0, "import");
	is(imported.length, 5, "import: length is what was asked for");
	is(imported.real_length, buffer.real_length, "import: real_length is the buffer's");
	is(imported.access, READ_WRITE, "import: access is the descriptor's");
	is(memalloc_buffer_import(other, fd, 0, &again), 0, "import: again");
	is(again.handle, imported.handle, "import: again is the same handle");
	is(memalloc_buffer_import(mem, fd, 0, &again), 0, "import: one's own");
	is(again.handle, buffer.handle, "import: one's own is the same handle");

	bytes = map(mem, &buffer);
	theirs = map(other, &imported);
	bytes[0] = 'm';
	theirs[1] = 't';
	ok(theirs[0] == 'm' && bytes[1] == 't', "import: the same memory");

	is(memalloc_buffer_import(other, fd, MEMALLOC_READ_ONLY, &read_only), 0,
	   "import: read only");
	ok(read_only.handle != imported.handle, "import: read only is another handle");
	is(read_only.access, MEMALLOC_ACCESS_READ, "import: read only may read");
	need(memalloc_buffer_free(other, &imported), "free");
	is(memalloc_buffer_free(other, &imported), -ENOENT, "import: one free gives the handle up");
	is(theirs[0], 'm', "import: a mapping outlives the handle");
	need(memalloc_buffer_unmap(&imported, theirs), "unmap");

	need(memalloc_buffer_free(mem, &buffer), "free");
	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	close(fd);
	memalloc_close(other);
}

static void test_import_of_read_only(void)
{
	struct memalloc_buffer buffer = make(1), imported;
	struct memalloc *other = open_another();
	int fd = memalloc_buffer_export(mem, &buffer, MEMALLOC_READ_ONLY);
	void *address = NULL;

	need(fd, "export");
	is(memalloc_buffer_import(other, fd, 0, &imported), 0, "import: of a read-only descriptor");
	is(imported.access, MEMALLOC_ACCESS_READ, "import: of a read-only descriptor may read");
	is(memalloc_buffer_map(other, &imported, 0, &address), -EACCES,
	   "map: EACCES, a read-only handle");
	is(memalloc_buffer_map(other, &imported, MEMALLOC_READ_ONLY, &address), 0,
	   "map: a read-only handle, read only");
	ok(!can_write(address), "map: a read-only handle can't be written");
	need(memalloc_buffer_unmap(&imported, address), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	close(fd);
	memalloc_close(other);
}

static void send_descriptor(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec byte = { .iov_base = "d", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	need(sendmsg(socket, &message, 0) == 1 ? 0 : -errno, "sendmsg");
}

static int receive_descriptor(int socket)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = 0 } };
	char byte_sent;
	struct iovec byte = { .iov_base = &byte_sent, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && control.header.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* A program that has nothing of its parent's but a socket; returns its exit status. */
static int reader_and_writer(int socket)
{
	struct memalloc_buffer buffer;
	struct memalloc *own;
	unsigned char *bytes;
	void *address;
	int fd = receive_descriptor(socket);

	if (fd < 0)
		return 2;
	if (memalloc_open(path, &own) || memalloc_buffer_import(own, fd, 0, &buffer))
		return 3;
	close(fd);
	if (memalloc_buffer_map(own, &buffer, 0, &address))
		return 4;
	bytes = address;
	if (!all_bytes(bytes, buffer.real_length, 'p'))
		return 5;
	memset(bytes, 'c', buffer.real_length);
	return 0;	/* and leaves handle and mapping to the kernel to clean up */
}

static void test_another_process(void)
{
	const uint64_t before = used();
	struct memalloc_buffer buffer;
	unsigned char *bytes;
	int ends[2], fd, status = -1;
	pid_t child;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? -errno : 0, "socketpair");
	fflush(stdout);
	child = fork();
	need(child < 0 ? -errno : 0, "fork");
	if (!child) {
		memalloc_close(mem);
		close(ends[0]);
		_exit(reader_and_writer(ends[1]));
	}
	close(ends[1]);

	buffer = make(MIB);
	bytes = map(mem, &buffer);
	memset(bytes, 'p', buffer.real_length);
	fd = memalloc_buffer_export(mem, &buffer, 0);
	need(fd, "export");
	send_descriptor(ends[0], fd);
	close(fd);
	waitpid(child, &status, 0);
	is(status, 0, "another process: imports a descriptor from a socket and reads the bytes");
	ok(all_bytes(bytes, buffer.real_length, 'c'), "another process: its bytes arrive here");

	need(memalloc_buffer_unmap(&buffer, bytes), "unmap");
	need(memalloc_buffer_free(mem, &buffer), "free");
	ok(used_becomes(before), "another process: its exit gives everything back");
	close(ends[0]);
}

static void test_close(void)
{
	const uint64_t before = used();
	struct memalloc_buffer lost, exported, imported;
	struct memalloc *other = open_another();
	unsigned char *bytes;
	int fd;

	need(memalloc_buffer_alloc(other, MIB, 0, &lost), "alloc");
	need(memalloc_buffer_alloc(other, MIB, 0, &exported), "alloc");
	bytes = map(other, &exported);
	bytes[0] = 'x';
	need(memalloc_buffer_unmap(&exported, bytes), "unmap");
	fd = memalloc_buffer_export(other, &exported, 0);
	need(fd, "export");
	errno = UNTOUCHED;
	memalloc_close(other);
	is(errno, UNTOUCHED, "close: errno is left alone");

	ok(used_becomes(before + MIB), "close: gives up the handles");
	is(memalloc_buffer_import(mem, fd, 0, &imported), 0, "close: descriptors stay");
	close(fd);
	bytes = map(mem, &imported);
	is(bytes[0], 'x', "close: descriptors keep the bytes");
	need(memalloc_buffer_unmap(&imported, bytes), "unmap");
	need(memalloc_buffer_free(mem, &imported), "free");
	ok(used_becomes(before), "close: then nothing is left");
}

/* A mapping must not keep the handles of other buffers. */
static void test_close_while_mapped(void)
{
	const uint64_t before = used();
	struct memalloc_buffer lost, mapped;
	struct memalloc *other = open_another();
	unsigned char *bytes;

	need(memalloc_buffer_alloc(other, MIB, 0, &lost), "alloc");
	need(memalloc_buffer_alloc(other, MIB, 0, &mapped), "alloc");
	bytes = map(other, &mapped);
	bytes[0] = 'x';
	memalloc_close(other);

	ok(used_becomes(before + MIB), "close: gives up the handles though a mapping stays");
	is(bytes[0], 'x', "close: mappings stay");
	need(memalloc_buffer_unmap(&mapped, bytes), "unmap");
	ok(used_becomes(before), "close: then no memory is left to the mapping");
}

int main(int argc, char **argv)
{
	open_device(argc, argv);
	test_export();
	test_import();
	test_import_of_read_only();
	test_two_handles();
	test_another_process();
	test_close();
	test_close_while_mapped();
	memalloc_close(mem);
	return tap_done();
}
