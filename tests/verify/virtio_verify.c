/* SPDX-License-Identifier: BSD-3-Clause */
/* sources virtio/virtio.c guest/wire.c geometry/region.c base/range.c */
/*
 * The wire: bytes.h, and encode and decode of virtio.h and guest.h. Numbers are any numbers; lists
 * have up to two regions, because what is done to a list is done to neighbours; buffers have any
 * length up to a little more than those need.
 */
#include "../support/test_config.h"
#include "../support/test_wire.h"
#include "virtio/request.h"
#include "verify.h"

#include <iovageom/guest.h>
#include <iovageom/status.h>
#include <iovageom/virtio.h>

#include "base/bytes.h"

enum { REGIONS = 2, BYTES = 24 * REGIONS + 2 };

static bool in(uint64_t address, struct iovageom_range range)
{
    return range.start <= address && address <= range.last;
}

/* unwind 9 */
void verify_bytes(void)
{
    uint8_t bytes[8];
    uint64_t value = any_u64();

    iovageom_store_le64(bytes, value);
    for (unsigned i = 0; i < 8; i++)
        assert(bytes[i] == (uint8_t)(value >> (8 * i)));
    assert(iovageom_load_le64(bytes) == value);
    iovageom_store_le32(bytes, (uint32_t)value);
    for (unsigned i = 0; i < 4; i++)
        assert(bytes[i] == (uint8_t)(value >> (8 * i)));
    assert(iovageom_load_le32(bytes) == (uint32_t)value);
    iovageom_store_le16(bytes, (uint16_t)value);
    assert(bytes[0] == (uint8_t)value && bytes[1] == (uint8_t)(value >> 8));
    assert(iovageom_load_le16(bytes) == (uint16_t)value);
}

static void any_regions(struct iovageom_region list[REGIONS])
{
    for (unsigned i = 0; i < REGIONS; i++) {
        list[i].range.start = any_u64();
        list[i].range.last = any_u64();
        list[i].type = any_u32();
        list[i].owner = any_u32();
    }
}

/* An address of the lowest or the highest 8, or around 4 GiB. */
static uint64_t any_edge(void)
{
    uint64_t near = any_u8() & 7;

    return any_bool() ? near : any_bool() ? UINT64_MAX - near : UINT32_MAX - UINT64_C(3) + near;
}

/* What the guest must not map stays so, nothing else becomes so, and it is a wire list. The code
 * compares addresses with each other, with 2^64-1 and with 2^32-1, and so edges stand for all. */
/* unwind 4 */
void verify_wire_list(void)
{
    struct iovageom_region given[REGIONS], out[REGIONS + 1];
    struct iovageom_range window = {0, any_edge()};
    size_t count = any_size(), out_count = 77;
    uint64_t x = any_edge();
    bool reserved = false, told = false, is_msi = false, told_msi = false;
    int status;

    any_regions(given);
    for (unsigned i = 0; i < REGIONS; i++)
        given[i].range = (struct iovageom_range){any_edge(), any_edge()};
    assume(count == REGIONS);
    status = iovageom_virtio_wire_list(given, count, NULL, window, out, REGIONS + 1, &out_count);
    assert(status != IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    if (status < 0) {
        assert(out_count == 77);
        return;
    }
    assert(out_count <= count + 1);
    for (unsigned i = 0; i < REGIONS; i++)
        if (i < count && in(x, given[i].range) && in(x, window) &&
            given[i].type != IOVAGEOM_RESV_DIRECT_RELAXABLE) {
            reserved = true;
            is_msi = given[i].type == IOVAGEOM_RESV_MSI;
        }
    for (unsigned i = 0; i <= REGIONS; i++)
        if (i < out_count && in(x, out[i].range)) {
            told = true;
            told_msi = out[i].type == IOVAGEOM_RESV_MSI;
        }
    assert(told == reserved);
    assert(!told_msi || is_msi);
    assert(iovageom_wire_check(out, out_count) == 0);
}

/* Decode of encode is the list, whatever the list; and the rest is zeros. */
/* unwind 9 */
void verify_probe_round_trip(void)
{
    struct iovageom_region list[REGIONS], back[REGIONS];
    uint8_t bytes[BYTES];
    size_t count = any_size(), needed = 77;

    any_regions(list);
    assume(count <= REGIONS);
    if (test_encode_probe(list, count, bytes, BYTES, &needed) < 0)
        return;
    assert(needed == 24 * count);
    assert(bytes[BYTES - 1] == 0 && (count > 1 || bytes[24] == 0) && (count > 0 || bytes[0] == 0));
    for (unsigned i = 0; i < REGIONS; i++)
        if (i < count) {
            assert(bytes[24 * i] == 1 && bytes[24 * i + 1] == 0);
            assert(bytes[24 * i + 2] == 20 && bytes[24 * i + 3] == 0);
            assert(iovageom_guest_decode_resv_mem(bytes + 24 * i + 4, 20, &back[i], NULL) == 0);
            assert(back[i].range.start == list[i].range.start);
            assert(back[i].range.last == list[i].range.last);
            assert(back[i].type == list[i].type);
        }
}

/* Too small writes nothing. */
/* unwind 5 */
void verify_probe_too_small(void)
{
    struct iovageom_region list[REGIONS];
    uint8_t bytes[BYTES];
    size_t count = any_size(), size = any_size(), needed = 77, at = any_size();
    uint8_t before;
    int status;

    any_regions(list);
    assume(count <= REGIONS && size < 24 * count && at < BYTES);
    before = bytes[at];
    status = test_encode_probe(list, count, bytes, size, &needed);
    assert(status < 0 && bytes[at] == before);
    assert(needed == (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL ? 24 * count : 77));
}

/* One step from anywhere over any bytes: no read beyond, and onward by 4 or more. So a walk from 0
 * ends after size / 4 steps at most. */
/* unwind 5 */
void verify_property_step_is_total(void)
{
    uint8_t bytes[64];
    size_t size = any_size(), offset = any_size(), before = offset;
    struct iovageom_guest_property property;
    int status;

    assume(size <= sizeof(bytes));
    status = iovageom_guest_property_next(bytes, size, &offset, &property);
    if (status < 0) {
        assert(offset == before);
        return;
    }
    assert(offset >= before + 4 && offset <= size);
    assert(property.offset == before + 4 && property.offset + property.length == offset);
    assert(property.type >= 1 && property.type <= 0xfff && property.reserved <= 0xf);
}

void verify_resv_mem_is_total(void)
{
    uint8_t bytes[24];
    size_t size = any_size();
    struct iovageom_region out = {{9, 8}, 7, 7};
    uint32_t subtype = 777;
    int status;

    assume(size <= sizeof(bytes));
    status = iovageom_guest_decode_resv_mem(bytes, size, &out, &subtype);
    assert((status == IOVAGEOM_ERR_MALFORMED) == (size < 20));
    if (status < 0)
        assert(out.type == 7 && subtype == 777);
    else
        assert(out.range.start <= out.range.last && subtype == bytes[0] &&
               (out.type == IOVAGEOM_RESV_MSI) == (subtype == 1));
}

/* unwind 41 */
void verify_config_round_trip(void)
{
    struct iovageom_virtio_config config = {
        any_u64(), {any_u64(), any_u64()}, any_u32(), any_u32(), any_u32(), any_u32()};
    struct iovageom_virtio_config back;
    uint8_t bytes[40], again[40];
    size_t size = any_size();

    if (iovageom_virtio_encode_config(&config, bytes) == 0) {
        assert(config.page_size_mask != 0 && config.bypass <= 1);
        assert(test_decode_config(bytes, 40, &back) == 0);
        assert(back.page_size_mask == config.page_size_mask);
        assert(back.input_range.start == config.input_range.start);
        assert(back.input_range.last == config.input_range.last);
        assert(back.domain_start == config.domain_start && back.domain_last == config.domain_last);
        assert(back.probe_size == config.probe_size && back.bypass == config.bypass);
    }
    /* What can be decoded is legal. */
    assume(size <= sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = any_u8();
    if (test_decode_config(bytes, size, &back) == 0)
        assert(size >= 36 && iovageom_virtio_encode_config(&back, again) == 0);
}

/* Any bytes of any length from a guest. */
/* unwind 73 */
void verify_request_is_total(void)
{
    uint8_t bytes[73], again[72];
    size_t size = any_size(), writable = any_size(), needed = 0, at = any_size();
    uint32_t probe_size = any_u32();
    struct iovageom_virtio_request request;
    int status;

    assume(size <= sizeof(bytes) && at < sizeof(again));
    status = iovageom_virtio_decode_request(bytes, size, writable, probe_size, &request);
    assert(request.has_tail ? request.tail_offset <= writable - 4 && writable >= 4 &&
                                  request.used_length == request.tail_offset + 4
                            : request.used_length == 0);
    assert(!request.has_tail || (request.type >= 1 && request.type <= 5));
    assert(request.properties_size == request.tail_offset);
    assert(request.properties_size <= probe_size);
    if (status < 0)
        return;
    assert(size >= 4 && request.type == bytes[0]);
    assert(iovageom_guest_encode_request(&request, again, sizeof(again), &needed) == 0);
    assert(needed <= size);
    if (!request.head_reserved && !request.body_reserved && at < needed)
        assert(again[at] == bytes[at]);
}
