/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold_file.h"

#include "viommu_internal.h"

/*
 * Who is in which host group. All of a host group is in one container, so as long as one of its
 * devices is there, it says where the next one goes. Devices that share an endpoint may be of
 * several host groups. Which of them is unplugged there can't be told: so their groups are known
 * until the last one has left, for a group that is taken for gone too early is one in two containers.
 */

/* A device that was plugged at this very endpoint, and named its host group. */
struct iovageom_seat {
    struct iovageom_seat *next; /* that of the device before */
    uint64_t host_group;
};

static int host_group_join(struct iovageom_viommu *viommu, struct iovageom_unit *unit,
                           uint64_t number)
{
    struct iovageom_host_group *host = iovageom_table_at(&viommu->host_groups, number);
    int error;

    if (host == NULL) {
        host = iovageom_books_allocate(viommu, sizeof(*host));
        if (host == NULL)
            return IOVAGEOM_ERR_NO_MEMORY;
        error = iovageom_table_put(&viommu->host_groups, number, host);
        if (error != IOVAGEOM_OK) {
            iovageom_books_release(viommu, host, sizeof(*host));
            return error;
        }
        *host = (struct iovageom_host_group){unit, 0};
    }
    host->count++;
    return IOVAGEOM_OK;
}

static void host_group_leave(struct iovageom_viommu *viommu, uint64_t number)
{
    struct iovageom_host_group *host = iovageom_table_at(&viommu->host_groups, number);

    if (--host->count > 0)
        return;
    iovageom_table_drop(&viommu->host_groups, number);
    iovageom_books_release(viommu, host, sizeof(*host));
}

/* For a device that is being prepared at an endpoint on its host page tables. */
int iovageom_seat_take(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                       uint64_t host_group)
{
    struct iovageom_seat *seat;
    int error;

    if (host_group == IOVAGEOM_VIOMMU_OWN)
        return IOVAGEOM_OK;
    seat = iovageom_books_allocate(viommu, sizeof(*seat));
    if (seat == NULL)
        return IOVAGEOM_ERR_NO_MEMORY;
    error = host_group_join(viommu, endpoint->unit, host_group);
    if (error != IOVAGEOM_OK) {
        iovageom_books_release(viommu, seat, sizeof(*seat));
        return error;
    }
    *seat = (struct iovageom_seat){endpoint->seats, host_group};
    endpoint->seats = endpoint->seat_prepared = seat;
    return IOVAGEOM_OK;
}

/* The last one that was taken. */
void iovageom_seat_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint)
{
    struct iovageom_seat *seat = endpoint->seats;

    endpoint->seats = seat->next;
    if (endpoint->seat_prepared == seat)
        endpoint->seat_prepared = NULL;
    host_group_leave(viommu, seat->host_group);
    iovageom_books_release(viommu, seat, sizeof(*seat));
}

/* All but `kept`, the last one that was taken, or NULL. */
void iovageom_seats_leave(struct iovageom_viommu *viommu, struct iovageom_endpoint *endpoint,
                          struct iovageom_seat *kept)
{
    if (kept != NULL)
        endpoint->seats = kept->next;
    while (endpoint->seats != NULL)
        iovageom_seat_leave(viommu, endpoint);
    if (kept != NULL) {
        kept->next = NULL;
        endpoint->seats = kept;
    }
}

/* For a listing: that of the first device, or of one that has the endpoint for an alias. */
uint64_t iovageom_endpoint_host_group(const struct iovageom_endpoint *endpoint)
{
    const struct iovageom_seat *seat = endpoint->seats;

    if (seat == NULL)
        return endpoint->as_alias > 0 || endpoint->prepared == IOVAGEOM_PREPARED_ALIAS
                   ? endpoint->alias_host_group
                   : IOVAGEOM_VIOMMU_OWN;
    while (seat->next != NULL)
        seat = seat->next;
    return seat->host_group;
}
