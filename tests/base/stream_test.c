/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <iovageom/status.h>

#include "base/stream.h"
#include "support/test_stream.h"

/* A head without sizes, and one with. */
static const struct iovageom_form plain = {
    .magic = {'P', 'L', 'A', 'I', 'N', '1', '2', '3'}, .version = 7, .head = 24, .least = 26};
static const struct iovageom_form sized = {.magic = {'S', 'I', 'Z', 'E', 'D', '1', '2', '3'},
                                           .version = 0x01020304,
                                           .head = 32,
                                           .sized = true,
                                           .least = 32};

enum { BODY = 4 + 8 + 16 + 3, ROOM = 80 };

static size_t fill(uint8_t *bytes, size_t size, const struct iovageom_form *form, int *status)
{
    struct iovageom_writer writer = {bytes, size, form->head};
    size_t needed = 0;

    iovageom_write(&writer, 0xa1b2c3d4, 4);
    iovageom_write(&writer, UINT64_C(0x1122334455667788), 8);
    iovageom_write_range(&writer, (struct iovageom_range){1, UINT64_MAX});
    iovageom_write_bytes(&writer, "xyz", 3);
    *status = iovageom_write_end(&writer, form, &needed);
    return needed;
}

/* Makes the checksum anew. */
static void seal(uint8_t *bytes, size_t length, const struct iovageom_form *form)
{
    uint64_t sum = TEST_FNV;

    if (form->sized)
        sum = test_fnv(sum, bytes, 0, form->head - 8);
    test_put(bytes + form->head - 8, test_fnv(sum, bytes, form->head, length), 8);
}

static int begin(const uint8_t *bytes, size_t length, const struct iovageom_form *form)
{
    struct iovageom_reader reader;

    return iovageom_read_begin(&reader, bytes, length, form);
}

static void bytes_are_written_as_the_form_says(void **state)
{
    static const uint8_t body[BODY] = {
        0xd4, 0xc3, 0xb2, 0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1,   0,   0,  0,
        0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x', 'y', 'z'};
    const struct iovageom_form *const forms[] = {&plain, &sized};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct iovageom_form *form = forms[i];
        uint8_t bytes[ROOM], wanted[ROOM] = {0};
        size_t length = form->head + BODY;
        int status;

        memset(bytes, 0xee, sizeof(bytes));
        assert_int_equal(fill(bytes, sizeof(bytes), form, &status), length);
        assert_int_equal(status, 0);
        memcpy(wanted, form->magic, 8);
        test_put(wanted + 8, form->version, 4);
        if (form->sized) {
            test_put(wanted + 12, 32, 4);
            test_put(wanted + 16, length, 8);
        }
        memcpy(wanted + form->head, body, BODY);
        seal(wanted, length, form);
        assert_memory_equal(bytes, wanted, length);
        for (size_t at = length; at < sizeof(bytes); at++)
            assert_int_equal(bytes[at], 0xee);
    }
}

static void nothing_is_written_past_a_small_buffer(void **state)
{
    int status;

    (void)state;
    assert_int_equal(fill(NULL, 0, &sized, &status), 32 + BODY);
    assert_int_equal(status, IOVAGEOM_ERR_BUFFER_TOO_SMALL);
    for (size_t size = 0; size <= 32 + BODY; size++) {
        uint8_t bytes[ROOM];

        memset(bytes, 0xee, sizeof(bytes));
        assert_int_equal(fill(bytes, size, &sized, &status), 32 + BODY);
        assert_int_equal(status, size < 32 + BODY ? IOVAGEOM_ERR_BUFFER_TOO_SMALL : 0);
        for (size_t at = size; at < sizeof(bytes); at++)
            assert_int_equal(bytes[at], 0xee);
    }
}

static void what_was_written_is_read(void **state)
{
    struct iovageom_reader reader, part;
    struct iovageom_range range;
    uint8_t bytes[ROOM];
    int status;

    (void)state;
    (void)fill(bytes, sizeof(bytes), &plain, &status);
    assert_int_equal(iovageom_read_begin(&reader, bytes, 24 + BODY, &plain), 0);
    assert_int_equal(reader.left, BODY);
    assert_int_equal(iovageom_read32(&reader), 0xa1b2c3d4);
    assert_int_equal(iovageom_read64(&reader), UINT64_C(0x1122334455667788));
    part = iovageom_read_part(&reader, 16);
    assert_int_equal(iovageom_read_end(&part), IOVAGEOM_ERR_MALFORMED); /* not yet */
    range = iovageom_read_range(&part);
    assert_true(range.start == 1 && range.last == UINT64_MAX);
    assert_int_equal(iovageom_read_end(&part), 0);
    assert_int_equal(iovageom_read64(&part), 0); /* the parent has 3 more bytes, the part none */
    assert_int_equal(part.status, IOVAGEOM_ERR_TRUNCATED);
    assert_int_equal(iovageom_read_end(&part), IOVAGEOM_ERR_MALFORMED);
    assert_int_equal(reader.left, 3);
    assert_memory_equal(reader.at, "xyz", 3);
    assert_int_equal(reader.status, 0);
}

static void an_error_stays(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7};
    struct iovageom_reader reader = {bytes, sizeof(bytes), 0};
    struct iovageom_reader part;

    (void)state;
    assert_int_equal(iovageom_read64(&reader), 0);
    assert_int_equal(reader.status, IOVAGEOM_ERR_TRUNCATED);
    assert_int_equal(reader.left, 0);
    assert_int_equal(iovageom_read32(&reader), 0); /* would have had room before */
    part = iovageom_read_part(&reader, 0);
    assert_int_equal(part.status, IOVAGEOM_ERR_TRUNCATED);
    reader = (struct iovageom_reader){bytes, sizeof(bytes), 0};
    part = iovageom_read_part(&reader, UINT64_MAX);
    assert_int_equal(part.left, 0);
    assert_int_equal(reader.status, IOVAGEOM_ERR_TRUNCATED);
}

static void heads_are_checked(void **state)
{
    const struct iovageom_form *const forms[] = {&plain, &sized};
    uint8_t bytes[ROOM], broken[ROOM];
    struct iovageom_reader reader;
    int status;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct iovageom_form *form = forms[i];
        const size_t length = fill(bytes, sizeof(bytes), form, &status);

        for (size_t at = 0; at < form->least; at++)
            assert_int_equal(begin(bytes, at, form), IOVAGEOM_ERR_TRUNCATED);
        for (size_t at = form->least; at < length; at++)
            assert_int_equal(begin(bytes, at, form),
                             form->sized ? IOVAGEOM_ERR_TRUNCATED : IOVAGEOM_ERR_MALFORMED);
        /* Each byte counts but those that the plain form leaves unread. */
        for (size_t at = 0; at < length; at++) {
            memcpy(broken, bytes, length);
            broken[at] ^= 0x10;
            status = begin(broken, length, form);
            if (!form->sized && at >= 12 && at < 16)
                assert_int_equal(status, 0);
            else if (at >= 8 && at < 12)
                assert_int_equal(status, IOVAGEOM_ERR_VERSION);
            else
                assert_true(status == IOVAGEOM_ERR_MALFORMED || status == IOVAGEOM_ERR_TRUNCATED);
        }
    }
    /* A longer head is passed; one that is too short or longer than all is refused. */
    for (uint32_t head = 30; head < 32 + BODY + 2; head++) {
        const size_t length = fill(bytes, sizeof(bytes), &sized, &status);

        test_put(bytes + 12, head, 4);
        seal(bytes, length, &sized);
        status = iovageom_read_begin(&reader, bytes, length, &sized);
        assert_int_equal(status, head < 32 || head > length ? IOVAGEOM_ERR_MALFORMED : 0);
        if (status == 0)
            assert_ptr_equal(reader.at, bytes + head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_written_as_the_form_says),
        cmocka_unit_test(nothing_is_written_past_a_small_buffer),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(heads_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
