/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "internal.h"

static IOVAGEOM_COLD int refuse(struct iovageom_report *report, int error, const char *detail)
{
    return iovageom_refuse_saying(report, error, detail, IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE);
}

/* Lack of memory alone leaves no finding: say so. */
static IOVAGEOM_COLD void say_no_memory(struct iovageom_report *report)
{
    const size_t count = report != NULL ? iovageom_report_count(report) : 0;

    /* Notes of an earlier step do not count. */
    if (report != NULL && (count == 0 || !iovageom_report_at(report, count - 1)->fatal))
        (void)refuse(report, IOVAGEOM_ERR_NO_MEMORY, "the books have no memory for the request");
}

static int told(int status, struct iovageom_report *report)
{
    if (status == IOVAGEOM_ERR_NO_MEMORY)
        say_no_memory(report);
    return status;
}

/* What the oracle says to a request that was read. */
static int decide(struct iovageom_viommu *viommu, const struct iovageom_virtio_request *request,
                  struct iovageom_report *report)
{
    const struct iovageom_mapping mapping = {request->virt, request->phys, request->flags};

    switch (request->type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        if (request->body_reserved)
            return refuse(report, IOVAGEOM_ERR_INVALID,
                          "a reserved field of ATTACH is not 0 (N24)");
        return iovageom_attach_decide(viommu, request->domain, request->endpoint, request->flags,
                                      report);
    case IOVAGEOM_VIRTIO_T_DETACH:
        return iovageom_viommu_detach_check(viommu, request->domain, request->endpoint, report);
    case IOVAGEOM_VIRTIO_T_MAP:
        return iovageom_map_decide(viommu, request->domain, &mapping, report);
    case IOVAGEOM_VIRTIO_T_UNMAP:
        if (request->body_reserved)
            return refuse(report, IOVAGEOM_ERR_INVALID, "a reserved field of UNMAP is not 0 (N51)");
        return iovageom_viommu_unmap_check(viommu, request->domain, request->virt, report);
    default:
        return iovageom_probe_decide(viommu, request->endpoint, request->properties_size, report);
    }
}

/* Read it and decide, with `frozen` the outcome of freezing. */
static void begin(struct iovageom_viommu *viommu, int frozen, const void *readable,
                  size_t readable_size, size_t writable_size,
                  struct iovageom_viommu_transaction *transaction, struct iovageom_report *report)
{
    struct iovageom_virtio_request *request = &transaction->request;
    int error;

    iovageom_report_clear(report);
    memset(transaction, 0, sizeof(*transaction));
    error = iovageom_virtio_decode_request(readable, readable_size, writable_size,
                                           viommu->space.probe_size, request);
    transaction->answered = request->has_tail;
    if (error == IOVAGEOM_OK && frozen != IOVAGEOM_OK)
        transaction->status = told(frozen, report);
    else if (error == IOVAGEOM_ERR_UNSUPPORTED)
        transaction->status =
            refuse(report, error, "an unknown request type is left unanswered (N18)");
    else if (error != IOVAGEOM_OK)
        transaction->status = refuse(report, error, "the buffer is too small for its request (I6)");
    else if ((viommu->config.features & IOVAGEOM_VIRTIO_F_MAP_UNMAP) == 0 &&
             (request->type == IOVAGEOM_VIRTIO_T_MAP || request->type == IOVAGEOM_VIRTIO_T_UNMAP))
        transaction->status = refuse(report, IOVAGEOM_ERR_UNSUPPORTED, "MAP_UNMAP is not offered");
    else
        transaction->status = told(decide(viommu, request, report), report);
}

void iovageom_viommu_request_begin(struct iovageom_viommu *viommu, const void *readable,
                                   size_t readable_size, size_t writable_size,
                                   struct iovageom_viommu_transaction *transaction,
                                   struct iovageom_report *report)
{
    struct iovageom_report notes;
    int frozen;

    if (iovageom_viommu_frozen(viommu)) {
        begin(viommu, IOVAGEOM_OK, readable, readable_size, writable_size, transaction, report);
        return;
    }
    /* The first request: what freezing has to say comes after what is said of the request. */
    iovageom_report_init(&notes, &viommu->allocator);
    frozen = iovageom_viommu_freeze(viommu, &notes);
    begin(viommu, frozen, readable, readable_size, writable_size, transaction, report);
    iovageom_report_take(report, &notes);
}

/* Decided anew: whatever was changed since begin, the books stay sound. */
static int end_attach(struct iovageom_viommu *viommu, const struct iovageom_virtio_request *request,
                      struct iovageom_report *report)
{
    const int status =
        iovageom_attach_decide(viommu, request->domain, request->endpoint, request->flags, report);

    return status != IOVAGEOM_OK
               ? status
               : iovageom_attach_do(viommu, request->domain, request->endpoint, request->flags);
}

static int perform(struct iovageom_viommu *viommu, const struct iovageom_virtio_request *request,
                   int veto, void *writable, struct iovageom_report *report)
{
    const struct iovageom_mapping mapping = {request->virt, request->phys, request->flags};
    int error;

    if (veto != IOVAGEOM_OK)
        return veto;
    /* Thawed in between: what is promised or attached now, is by a config space that was read. */
    error = iovageom_viommu_frozen(viommu) ? IOVAGEOM_OK : iovageom_viommu_freeze(viommu, NULL);
    if (error != IOVAGEOM_OK)
        return error;
    switch (request->type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        return end_attach(viommu, request, report);
    case IOVAGEOM_VIRTIO_T_DETACH:
        return iovageom_viommu_detach(viommu, request->domain, request->endpoint, report);
    case IOVAGEOM_VIRTIO_T_MAP:
        return iovageom_map_do(viommu, request->domain, &mapping, report);
    case IOVAGEOM_VIRTIO_T_UNMAP:
        return iovageom_viommu_unmap(viommu, request->domain, request->virt, NULL, report);
    default:
        return iovageom_probe_do(viommu, request->endpoint, writable, request->properties_size,
                                 NULL, report);
    }
}

size_t iovageom_viommu_request_end(struct iovageom_viommu *viommu,
                                   struct iovageom_viommu_transaction *transaction, int32_t veto,
                                   void *writable, size_t writable_size,
                                   struct iovageom_report *report)
{
    const struct iovageom_virtio_request *request = &transaction->request;
    uint8_t tail[IOVAGEOM_VIRTIO_TAIL_SIZE];
    const bool room = request->tail_offset <= writable_size &&
                      writable_size - request->tail_offset >= sizeof(tail);

    if (!transaction->answered)
        return 0;
    if (transaction->status == IOVAGEOM_OK)
        transaction->status = told(
            perform(viommu, request, room ? veto : IOVAGEOM_ERR_HOST, writable, report), report);
    if (!room)
        return 0;
    /* The used length covers the properties of a PROBE also when there are none to tell. */
    if (transaction->status != IOVAGEOM_OK)
        memset(writable, 0, request->tail_offset);
    iovageom_virtio_encode_tail(iovageom_status_virtio(transaction->status), tail);
    memcpy((uint8_t *)writable + request->tail_offset, tail, sizeof(tail));
    return request->used_length;
}

size_t iovageom_viommu_request(struct iovageom_viommu *viommu, const void *readable,
                               size_t readable_size, void *writable, size_t writable_size,
                               struct iovageom_report *report)
{
    struct iovageom_viommu_transaction transaction;

    iovageom_viommu_request_begin(viommu, readable, readable_size, writable_size, &transaction,
                                  report);
    /* A refusal keeps its reasons: end() has nothing to say then. */
    return iovageom_viommu_request_end(viommu, &transaction, IOVAGEOM_OK, writable, writable_size,
                                       report);
}
