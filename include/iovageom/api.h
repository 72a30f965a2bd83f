/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAGEOM_API_H
#define IOVAGEOM_API_H

/**
 * @file
 * Conventions that hold for every call of libiovageom.
 *
 * Ranges. An address range is closed, [start, last], in bytes: see range.h. No call takes a start
 * and a length, so [0, 2^64-1] has a name and `last + 1` is never computed.
 *
 * Status. A call that can fail returns an int: 0 (IOVAGEOM_OK), or a negative enum iovageom_status.
 * Out parameters are written only on success, unless the call says otherwise. An object that a
 * failed call was to change is as it was.
 *
 * Sizes. Where a caller gives room for a result, `needed` (in some headers `count`) receives how
 * much the result takes, on success and on IOVAGEOM_ERR_BUFFER_TOO_SMALL. A decoder of a host's
 * answer writes it on IOVAGEOM_ERR_BUFFER_TOO_SMALL only: there it is the size to ask the host
 * with.
 *
 * NULL. Pointers must not be NULL unless the call says that they may be. `free` and `deinit` calls
 * accept NULL, and so does every `report` (report.h). So does every `needed`, but for those of
 * plan_cover.h: there it is the length of the list that was written, as a `count` is, which must
 * not be NULL either.
 *
 * What never happens. No call aborts, prints, sleeps, does I/O, makes a system call, keeps a
 * pointer that it was passed (unless it says so), or touches a global. There are no globals.
 *
 * Threads. Distinct objects are independent. Calls that take an object by pointer to const may run
 * at the same time on one object; a call that takes it by plain pointer needs it alone. A few calls
 * on a const object need scratch memory, and list IOVAGEOM_ERR_NO_MEMORY, or say what they do
 * without: when they run at the same time, the allocator is called from several threads.
 *
 * Memory. Objects that allocate take a struct iovageom_allocator (allocator.h); NULL means
 * malloc and free. A call that removes, shrinks or frees never fails for lack of memory.
 *
 * Where rules come from. "The specification" is the virtio specification 1.4, whose
 * device-types/iommu has not changed since 1.2. A letter and a number give a rule's reason (N41,
 * Q7, E23): docs/numbers.md says what each of them is. A kernel is Linux, and where versions of it
 * differ, the rule says which is meant (kernel.h).
 */

#if defined(_WIN32)
#define IOVAGEOM_API
#elif defined(__GNUC__)
#define IOVAGEOM_API __attribute__((visibility("default")))
#else
#define IOVAGEOM_API
#endif

/** Version of the headers. See iovageom_version() for that of the library in use. */
#define IOVAGEOM_VERSION_MAJOR 0
#define IOVAGEOM_VERSION_MINOR 1
#define IOVAGEOM_VERSION_PATCH 0

#endif
