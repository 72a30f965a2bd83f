/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <iovageom/status.h>

#define LOWEST IOVAGEOM_ERR_HOST

/* The header promises the sentence beside each value: hold the library to the text of the header.
 */
static void sentences_are_those_of_the_header(void **state)
{
    FILE *header = fopen(TEST_HEADERS "/status.h", "r");
    char line[256], sentence[128];
    int expected = 0;

    (void)state;
    assert_non_null(header);
    while (fgets(line, sizeof(line), header) != NULL) {
        const char *value = strchr(line, '=');
        const char *comment = strstr(line, "/**< \"");
        int status;

        if (value == NULL || comment == NULL)
            continue;
        assert_int_equal(sscanf(value, "= %d", &status), 1);
        assert_int_equal(sscanf(comment, "/**< \"%127[^\"]\"", sentence), 1);
        assert_int_equal(status, expected);
        assert_string_equal(iovageom_status_string(status), sentence);
        expected--;
    }
    fclose(header);
    assert_int_equal(expected, LOWEST - 1);
}

static void each_failure_has_its_own_sentence_and_an_errno(void **state)
{
    (void)state;
    assert_int_equal(iovageom_status_errno(IOVAGEOM_OK), 0);
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_OK), IOVAGEOM_VIRTIO_S_OK);
    for (int status = -1; status >= LOWEST; status--) {
        assert_true(iovageom_status_errno(status) > 0);
        assert_int_not_equal(iovageom_status_virtio(status), IOVAGEOM_VIRTIO_S_OK);
        assert_true(iovageom_status_virtio(status) <= IOVAGEOM_VIRTIO_S_NOMEM);
        for (int other = 0; other > status; other--)
            assert_string_not_equal(iovageom_status_string(status), iovageom_status_string(other));
    }
}

static void what_is_no_status_says_so(void **state)
{
    const int strange[] = {1, INT_MAX, LOWEST - 1, INT_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_string_equal(iovageom_status_string(strange[i]), "unknown status");
        assert_int_equal(iovageom_status_errno(strange[i]), 22);
        assert_int_equal(iovageom_status_virtio(strange[i]), IOVAGEOM_VIRTIO_S_DEVERR);
    }
}

static void well_known_equivalents(void **state)
{
    (void)state;
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_ERR_NO_MEMORY), IOVAGEOM_VIRTIO_S_NOMEM);
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_ERR_NOT_FOUND), IOVAGEOM_VIRTIO_S_NOENT);
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_ERR_SPLIT), IOVAGEOM_VIRTIO_S_RANGE);
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_ERR_OVERLAP), IOVAGEOM_VIRTIO_S_INVAL);
    assert_int_equal(iovageom_status_virtio(IOVAGEOM_ERR_BUFFER_TOO_SMALL),
                     IOVAGEOM_VIRTIO_S_INVAL);
#if defined(__linux__) && (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__))
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_INVALID), EINVAL);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_NO_MEMORY), ENOMEM);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_OVERFLOW), EOVERFLOW);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_OVERLAP), EADDRINUSE);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_NOT_FOUND), ENOENT);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_UNKNOWN), ENODATA);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_NOTHING_USABLE), ENOSPC);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_BUFFER_TOO_SMALL), EMSGSIZE);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_MALFORMED), EBADMSG);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_CYCLE), ELOOP);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_OUT_OF_APERTURE), ERANGE);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_RESERVED), EADDRNOTAVAIL);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_CONFLICT), EBUSY);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_EXISTS), EEXIST);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_UNSUPPORTED), EOPNOTSUPP);
    assert_int_equal(iovageom_status_errno(IOVAGEOM_ERR_VERSION), EPROTO);
#endif
}

static void version_is_that_of_the_headers(void **state)
{
    char expected[32];

    (void)state;
    snprintf(expected, sizeof(expected), "%d.%d.%d", IOVAGEOM_VERSION_MAJOR, IOVAGEOM_VERSION_MINOR,
             IOVAGEOM_VERSION_PATCH);
    assert_string_equal(iovageom_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_are_those_of_the_header),
        cmocka_unit_test(each_failure_has_its_own_sentence_and_an_errno),
        cmocka_unit_test(what_is_no_status_says_so),
        cmocka_unit_test(well_known_equivalents),
        cmocka_unit_test(version_is_that_of_the_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
