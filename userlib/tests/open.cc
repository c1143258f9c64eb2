// SPDX-License-Identifier: MIT
/* As open.c; and names every call, so that the C++ linker must find each one. */
#include <memalloc.h>
#include <memalloc_heap.h>
#include <memalloc_pool.h>
#include <cstdio>
#include <cstring>

static int count(const memalloc_block *, void *data)
{
	++*static_cast<int *>(data);
	return 0;
}

static int count_heap(const memalloc_heap_block *, void *data)
{
	++*static_cast<int *>(data);
	return 0;
}

static void use_every_call_of_heaps(struct memalloc *mem)
{
	memalloc_heap_config config = {};
	memalloc_heap_stats stats;
	memalloc_heap *heap;
	void *block = nullptr;
	size_t size = 0;
	int blocks = 0;

	config.size = sizeof(config);
	config.length = 4096;
	if (memalloc_heap_create(mem, &config, &heap))
		return;
	memalloc_heap_alloc(heap, 1, &block);
	memalloc_heap_usable_size(heap, block, &size);
	memalloc_heap_realloc(heap, block, size, &block);
	memalloc_heap_free(heap, block);
	memalloc_heap_aligned_alloc(heap, 512, 1, &block);
	memalloc_heap_free_sized(heap, block, 1);
	memalloc_heap_calloc(heap, 1, 1, &block);
	memalloc_heap_visit(heap, count_heap, &blocks);
	memalloc_heap_get_stats(heap, &stats, sizeof(stats));
	std::printf("owns %d, %d blocks", memalloc_heap_owns(heap, block), blocks);
	memalloc_heap_destroy(heap, nullptr, nullptr);
}

static void use_every_call_of_pools(struct memalloc *mem)
{
	memalloc_pool_stats stats;
	memalloc_pool *pool;
	void *object;

	if (memalloc_pool_create(mem, 24, 0, 10, &pool))
		return;
	if (!memalloc_pool_alloc(pool, &object))
		memalloc_pool_free(pool, object);
	memalloc_pool_get_stats(pool, &stats, sizeof(stats));
	memalloc_pool_destroy(pool);
}

static void use_every_call(struct memalloc *mem)
{
	memalloc_buffer buffer = {};
	struct memalloc_info info;
	struct memalloc_stats stats;
	void *address;
	int blocks = 0;

	memalloc_get_info(mem, &info, sizeof(info));
	memalloc_get_stats(mem, &stats, sizeof(stats));
	memalloc_visit_blocks(mem, count, &blocks);
	memalloc_buffer_alloc(mem, 1, 0, &buffer);
	memalloc_buffer_query(mem, buffer.handle, &buffer);
	if (!memalloc_buffer_map(mem, &buffer, MEMALLOC_READ_ONLY, &address))
		memalloc_buffer_unmap(&buffer, address);
	memalloc_buffer_import(mem, memalloc_buffer_export(mem, &buffer, 0), 0, &buffer);
	memalloc_buffer_free(mem, &buffer);
	std::printf("backend %d, descriptor %d, %d blocks\n", memalloc_backend(mem),
		    memalloc_fd(mem), blocks);
}

int main(int argc, char **argv)
{
	struct memalloc *mem;
	int err = memalloc_open(argv[argc - 1], &mem);

	if (err) {
		std::fprintf(stderr, "%s: %s\n", argv[argc - 1], std::strerror(-err));
		return 1;
	}
	use_every_call(mem);
	use_every_call_of_heaps(mem);
	use_every_call_of_pools(mem);
	memalloc_close(mem);
	return 0;
}
