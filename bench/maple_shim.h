/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BENCH_MAPLE_SHIM_H
#define BENCH_MAPLE_SHIM_H

/*
 * The little that the kernel's maple tree wants of the rest of the kernel, so that it compiles in
 * user space: included before lib/maple_tree.c, whose own includes are empty files. No locks and no
 * RCU, since the benchmark has one thread; memory comes from malloc, as for the other peers.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_64BIT  1
#define BITS_PER_LONG 64
#define PAGE_SIZE     4096UL
#define MAX_ERRNO     4095
#ifndef ULONG_MAX
#define ULONG_MAX (~0UL)
#endif

#define __rcu
#define __must_hold(x)
#define __acquires(x)
#define __releases(x)
#define __init
#define __must_check
#define __pure               __attribute__((pure))

#define fallthrough          __attribute__((fallthrough))
#define likely(x)            __builtin_expect(!!(x), 1)
#define unlikely(x)          __builtin_expect(!!(x), 0)
#define EXPORT_SYMBOL(x)     _Static_assert(1, "")
#define EXPORT_SYMBOL_GPL(x) _Static_assert(1, "")
#define BUG_ON(x)            ((void)(x))
#define WARN_ON(x)           (!!(x))
#define WARN_ON_ONCE(x)      (!!(x))
#define BUILD_BUG_ON(x)      ((void)0)
#define READ_ONCE(x)         (x)
#define WRITE_ONCE(x, v)     ((x) = (v))
#define IS_ENABLED(x)        0
#define DIV_ROUND_UP(n, d)   (((n) + (d)-1) / (d))
#define ARRAY_SIZE(x)        (sizeof(x) / sizeof((x)[0]))
#define min(a, b)            ((a) < (b) ? (a) : (b))
#define max(a, b)            ((a) > (b) ? (a) : (b))
#define min_t(type, a, b)    ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b)    ((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#define swap(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) swap_ = (a);                                                                 \
        (a) = (b);                                                                                 \
        (b) = swap_;                                                                               \
    } while (0)
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define pr_err(...)                         ((void)0)
#define pr_cont(...)                        ((void)0)
#define pr_info(...)                        ((void)0)
#define smp_rmb()                           ((void)0)
#define smp_wmb()                           ((void)0)
#define trace_ma_op(...)                    ((void)0)
#define trace_ma_read(...)                  ((void)0)
#define trace_ma_write(...)                 ((void)0)

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned int gfp_t;

#define GFP_KERNEL   1U
#define GFP_NOWAIT   2U
#define __GFP_NOWARN 4U
#define __GFP_ZERO   8U

static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
    return gfp & GFP_KERNEL;
}

typedef struct {
    int unused;
} spinlock_t;

#define __SPIN_LOCK_UNLOCKED(name)                                                                 \
    {                                                                                              \
        0                                                                                          \
    }
#define spin_lock_init(lock)  ((void)(lock))
#define spin_lock(lock)       ((void)(lock))
#define spin_unlock(lock)     ((void)(lock))
#define lockdep_is_held(lock) 1

struct rcu_head {
    struct rcu_head *next;
    void (*function)(struct rcu_head *head);
};

#define rcu_read_lock()                         ((void)0)
#define rcu_read_unlock()                       ((void)0)
#define rcu_dereference(p)                      (p)
#define rcu_dereference_check(p, condition)     (p)
#define rcu_dereference_protected(p, condition) (p)
#define rcu_assign_pointer(p, v)                ((p) = (v))
#define RCU_INIT_POINTER(p, v)                  ((p) = (v))
#define call_rcu(head, function)                ((function)(head))

#define SLAB_PANIC                              0
#define SLAB_CHUNK                              ((size_t)65536)

/* As a slab does: objects are cut from large pieces, and freed ones are kept for the next. */
struct kmem_cache {
    size_t size;
    void *freed;
    char *fresh;
    size_t fresh_size;
};

static inline struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
                                                   unsigned flags, void (*make)(void *))
{
    struct kmem_cache *cache = calloc(1, sizeof(*cache));

    (void)name;
    (void)align;
    (void)flags;
    (void)make;
    if (cache)
        cache->size = size;
    return cache;
}

/* Nodes are aligned to their size: the tree keeps flags in the low bits of their addresses. */
static inline void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
    void *memory = cache->freed;

    if (memory) {
        memcpy(&cache->freed, memory, sizeof(cache->freed));
    } else {
        if (cache->fresh_size == 0) {
            cache->fresh = aligned_alloc(cache->size, SLAB_CHUNK);
            if (!cache->fresh)
                return NULL;
            cache->fresh_size = SLAB_CHUNK;
        }
        memory = cache->fresh;
        cache->fresh += cache->size;
        cache->fresh_size -= cache->size;
    }
    if (gfp & __GFP_ZERO)
        memset(memory, 0, cache->size);
    return memory;
}

static inline void kmem_cache_free(struct kmem_cache *cache, void *memory)
{
    memcpy(memory, &cache->freed, sizeof(cache->freed));
    cache->freed = memory;
}

static inline int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count,
                                        void **out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = kmem_cache_alloc(cache, gfp);
        if (!out[i])
            return (int)i;
    }
    return (int)count;
}

static inline void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **memory)
{
    for (size_t i = 0; i < count; i++)
        kmem_cache_free(cache, memory[i]);
}

/* Entries whose low bits tell what they are: 01 a value, 10 internal. */
#define BITS_PER_XA_VALUE 63

static inline void *xa_mk_value(unsigned long v)
{
    return (void *)((v << 1) | 1);
}

static inline unsigned long xa_to_value(const void *entry)
{
    return (unsigned long)entry >> 1;
}

static inline bool xa_is_value(const void *entry)
{
    return (unsigned long)entry & 1;
}

static inline void *xa_mk_internal(unsigned long v)
{
    return (void *)((v << 2) | 2);
}

static inline unsigned long xa_to_internal(const void *entry)
{
    return (unsigned long)entry >> 2;
}

static inline bool xa_is_internal(const void *entry)
{
    return ((unsigned long)entry & 3) == 2;
}

#define XA_RETRY_ENTRY xa_mk_internal(256)
#define XA_ZERO_ENTRY  xa_mk_internal(257)

static inline bool xa_is_node(const void *entry)
{
    return xa_is_internal(entry) && (unsigned long)entry > 4096;
}

static inline bool xa_is_zero(const void *entry)
{
    return entry == XA_ZERO_ENTRY;
}

static inline bool xa_is_advanced(const void *entry)
{
    return xa_is_internal(entry) && entry <= XA_RETRY_ENTRY;
}

static inline bool xa_is_err(const void *entry)
{
    return xa_is_internal(entry) && entry >= xa_mk_internal((unsigned long)-MAX_ERRNO);
}

static inline int xa_err(void *entry)
{
    return xa_is_err(entry) ? (int)((long)entry >> 2) : 0;
}

#endif
