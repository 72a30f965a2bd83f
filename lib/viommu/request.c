/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "../base/hints.h"
#include "../virtio/request.h"
#include "internal.h"

/* Requests as bytes: decode, decide, do. A decision points into the model, so it is void after any
 * change. request_end() comes after the VMM's own work: it does what was decided if the object is
 * as it was, and else decides anew. */

static IOVAGEOM_COLD int refuse(struct iovageom_report *report, int error, const char *detail)
{
    return iovageom_refuse_saying(report, error, detail, IOVAGEOM_ID_NONE, IOVAGEOM_ID_NONE);
}

/* Every refusal has a finding, except lack of memory: add one. If the last finding refuses,
 * somebody has reported already; notes of an earlier step do not refuse. */
static IOVAGEOM_COLD int explained(int status, struct iovageom_report *report)
{
    const size_t count = report != NULL ? iovageom_report_count(report) : 0;

    if (status == IOVAGEOM_ERR_NO_MEMORY &&
        (count == 0 || !iovageom_report_at(report, count - 1)->fatal))
        (void)refuse(report, status, "there is no memory for the request");
    return status;
}

/**
 * What was decided, by the type of request. A PROBE needs nothing: its endpoint is looked up again.
 * It is kept in the transaction.
 */
union IOVAGEOM_ITREE_ALIAS iovageom_decision {
    struct iovageom_move move;     /**< of ATTACH and DETACH */
    struct iovageom_change change; /**< of MAP and UNMAP */
};

_Static_assert(sizeof(union iovageom_decision) <=
                   sizeof(((struct iovageom_viommu_transaction *)NULL)->decision),
               "storage");

static union iovageom_decision *decision_of(struct iovageom_viommu_transaction *transaction)
{
    return (union iovageom_decision *)transaction->decision;
}

/* A MAP or an UNMAP. What the decoder has just stored is copied word by word, here, in map_place()
 * and in translate_any(): one load of two words that come from two stores has to wait until both
 * are in the cache, and a search would wait for it. */
static ALWAYS_INLINE int decide_change(struct iovageom_viommu *viommu,
                                       struct iovageom_viommu_transaction *transaction,
                                       uint32_t type, struct iovageom_report *report)
{
    const struct iovageom_virtio_request *request = &transaction->request;
    struct iovageom_change *change = &decision_of(transaction)->change;

    if (request->body_reserved)
        return refuse(report, IOVAGEOM_ERR_INVALID, "a reserved field of UNMAP is not 0 (N51)");
    change->mapping.range.start = request->virt.start;
    change->mapping.range.last = request->virt.last;
    if (type == IOVAGEOM_VIRTIO_T_UNMAP)
        return iovageom_unmap_decide(viommu, request->domain, report, change);
    change->mapping.phys = request->phys;
    change->mapping.flags = request->flags;
    return iovageom_map_decide(viommu, request->domain, report, change);
}

/* Answers the request. Changes nothing but caches: it refreshes the domain of a MAP. */
static IOVAGEOM_COLD int decide(struct iovageom_viommu *viommu,
                                struct iovageom_viommu_transaction *transaction,
                                struct iovageom_report *report)
{
    const struct iovageom_virtio_request *request = &transaction->request;
    struct iovageom_move *move = &decision_of(transaction)->move;

    switch (request->type) {
    case IOVAGEOM_VIRTIO_T_ATTACH:
        if (request->body_reserved)
            return refuse(report, IOVAGEOM_ERR_INVALID,
                          "a reserved field of ATTACH is not 0 (N24)");
        return iovageom_attach_decide(viommu, request->domain, request->endpoint, request->flags,
                                      report, move);
    case IOVAGEOM_VIRTIO_T_DETACH:
        return iovageom_detach_decide(viommu, request->domain, request->endpoint, report, move);
    case IOVAGEOM_VIRTIO_T_MAP:
    case IOVAGEOM_VIRTIO_T_UNMAP:
        return decide_change(viommu, transaction, request->type, report);
    default:
        return iovageom_probe_decide(viommu, request->endpoint, request->properties_size, report);
    }
}

/*
 * Any request, decoded and decided. The first one freezes the config space. The notes on that go
 * behind the findings on the request, so that the first finding of a report is the one that
 * refuses. Whether there was memory to freeze counts only after decoding: bytes that are no request
 * get the answer of their kind.
 */
static IOVAGEOM_COLD void begin_any(struct iovageom_viommu *viommu, const void *readable,
                                    size_t readable_size, size_t writable_size,
                                    struct iovageom_viommu_transaction *transaction,
                                    struct iovageom_report *report)
{
    struct iovageom_virtio_request *request = &transaction->request;
    struct iovageom_report notes;
    int frozen, status;

    iovageom_report_clear(report);
    iovageom_report_init(&notes, &viommu->allocator);
    frozen = iovageom_viommu_freeze(viommu, &notes);
    status = iovageom_virtio_decode_request(readable, readable_size, writable_size,
                                            viommu->shown.probe_size, request);
    transaction->changes = viommu->changes;
    transaction->answered = request->has_tail;
    if (status == IOVAGEOM_ERR_UNSUPPORTED)
        (void)refuse(report, status, "an unknown request type is left unanswered (N18)");
    else if (status != IOVAGEOM_OK)
        (void)refuse(report, status, "the buffer is too small for its request (I6)");
    else if (frozen != IOVAGEOM_OK)
        status = frozen;
    else if ((viommu->config.features & IOVAGEOM_VIRTIO_F_MAP_UNMAP) == 0 &&
             (request->type == IOVAGEOM_VIRTIO_T_MAP || request->type == IOVAGEOM_VIRTIO_T_UNMAP))
        status = refuse(report, IOVAGEOM_ERR_UNSUPPORTED, "MAP_UNMAP is not offered");
    else
        status = decide(viommu, transaction, report);
    transaction->status = explained(status, report);
    iovageom_report_take(report, &notes);
}

/* What a report says of a MAP or an UNMAP that was decided without: nothing, if it was agreed to;
 * else it is looked at once more, for the reason. */
static IOVAGEOM_COLD void report_change(struct iovageom_viommu *viommu,
                                        struct iovageom_viommu_transaction *transaction,
                                        struct iovageom_report *report)
{
    iovageom_report_clear(report);
    if (transaction->status != IOVAGEOM_OK && transaction->status != IOVAGEOM_ERR_NO_MEMORY)
        transaction->status = decide(viommu, transaction, report);
    (void)explained(transaction->status, report);
}

/* Nearly all requests are a complete MAP or UNMAP of a guest that has read the config space: for
 * those the decoder knows the type and all lengths beforehand. */
void iovageom_viommu_request_begin(struct iovageom_viommu *viommu, const void *readable,
                                   size_t readable_size, size_t writable_size,
                                   struct iovageom_viommu_transaction *transaction,
                                   struct iovageom_report *report)
{
    struct iovageom_virtio_request *request = &transaction->request;
    const uint8_t *at = readable;
    const bool complete = viommu->frozen && readable_size >= REQUEST_UNMAP_SIZE &&
                          writable_size >= IOVAGEOM_VIRTIO_TAIL_SIZE &&
                          (viommu->config.features & IOVAGEOM_VIRTIO_F_MAP_UNMAP) != 0;

    if (complete && at[0] == IOVAGEOM_VIRTIO_T_UNMAP) {
        (void)decode_request(at, IOVAGEOM_VIRTIO_T_UNMAP, REQUEST_UNMAP_SIZE,
                             IOVAGEOM_VIRTIO_TAIL_SIZE, 0, request);
        transaction->status = decide_change(viommu, transaction, IOVAGEOM_VIRTIO_T_UNMAP, NULL);
    } else if (complete && at[0] == IOVAGEOM_VIRTIO_T_MAP && readable_size >= REQUEST_MAP_SIZE) {
        (void)decode_request(at, IOVAGEOM_VIRTIO_T_MAP, REQUEST_MAP_SIZE, IOVAGEOM_VIRTIO_TAIL_SIZE,
                             0, request);
        transaction->status = decide_change(viommu, transaction, IOVAGEOM_VIRTIO_T_MAP, NULL);
    } else {
        begin_any(viommu, readable, readable_size, writable_size, transaction, report);
        return;
    }
    transaction->changes = viommu->changes;
    transaction->answered = true;
    if (report != NULL)
        report_change(viommu, transaction, report);
}

/*
 * The end of any request: do what was decided, unless there is a veto, or less room than begin()
 * was told of. Only lack of memory can be in the way. If anything has changed since begin(), it is
 * decided anew, so that what is done is what is agreed to now. The object may have been thawed in
 * between; a promise and a domain need a frozen config space, for the guest goes by what it has
 * read there.
 *
 * Everything before the tail is properties of a PROBE: a request that is refused leaves them 0, and
 * they count in the used length all the same.
 */
static IOVAGEOM_COLD size_t end_any(struct iovageom_viommu *viommu,
                                    struct iovageom_viommu_transaction *transaction, int32_t veto,
                                    void *writable, size_t writable_size,
                                    struct iovageom_report *report)
{
    const struct iovageom_virtio_request *request = &transaction->request;
    const bool room = request->tail_offset <= writable_size &&
                      writable_size - request->tail_offset >= IOVAGEOM_VIRTIO_TAIL_SIZE;
    int status = transaction->status;

    if (!transaction->answered)
        return 0;
    if (status == IOVAGEOM_OK && (!room || veto != IOVAGEOM_OK)) {
        status = room ? veto : IOVAGEOM_ERR_INVALID;
    } else if (status == IOVAGEOM_OK && transaction->changes != viommu->changes) {
        status = iovageom_viommu_freeze(viommu, NULL);
        if (status == IOVAGEOM_OK)
            status = decide(viommu, transaction, report);
        transaction->status = explained(status, report);
        transaction->changes = viommu->changes;
        return iovageom_viommu_request_end(viommu, transaction, IOVAGEOM_OK, writable,
                                           writable_size, report);
    } else if (status == IOVAGEOM_OK) {
        status = request->type == IOVAGEOM_VIRTIO_T_PROBE
                     ? iovageom_probe_do(viommu, request->endpoint, writable,
                                         request->properties_size, NULL, report)
                     : iovageom_move_do(viommu, &decision_of(transaction)->move);
        (void)explained(status, report);
    }
    transaction->status = status;
    if (!room)
        return 0;
    if (status != IOVAGEOM_OK)
        memset(writable, 0, request->tail_offset);
    iovageom_virtio_encode_tail(iovageom_status_virtio(status),
                                (uint8_t *)writable + request->tail_offset);
    return request->used_length;
}

/* As in begin(): nearly all are a MAP or an UNMAP that was agreed to, and nothing has changed. */
size_t iovageom_viommu_request_end(struct iovageom_viommu *viommu,
                                   struct iovageom_viommu_transaction *transaction, int32_t veto,
                                   void *writable, size_t writable_size,
                                   struct iovageom_report *report)
{
    const uint32_t type = transaction->request.type;
    struct iovageom_change *change = &decision_of(transaction)->change;

    if (transaction->status != IOVAGEOM_OK || veto != IOVAGEOM_OK ||
        transaction->changes != viommu->changes || writable_size < IOVAGEOM_VIRTIO_TAIL_SIZE ||
        (type != IOVAGEOM_VIRTIO_T_MAP && type != IOVAGEOM_VIRTIO_T_UNMAP))
        return end_any(viommu, transaction, veto, writable, writable_size, report);
    iovageom_virtio_encode_tail(IOVAGEOM_VIRTIO_S_OK, writable);
    if (type == IOVAGEOM_VIRTIO_T_UNMAP) {
        (void)iovageom_unmap_do(viommu, change);
        return IOVAGEOM_VIRTIO_TAIL_SIZE;
    }
    transaction->status = iovageom_map_do(viommu, change);
    if (transaction->status == IOVAGEOM_OK)
        return IOVAGEOM_VIRTIO_TAIL_SIZE;
    (void)explained(transaction->status, report);
    return end_any(viommu, transaction, IOVAGEOM_OK, writable, IOVAGEOM_VIRTIO_TAIL_SIZE, report);
}

size_t iovageom_viommu_request(struct iovageom_viommu *viommu, const void *readable,
                               size_t readable_size, void *writable, size_t writable_size,
                               struct iovageom_report *report)
{
    struct iovageom_viommu_transaction transaction;

    iovageom_viommu_request_begin(viommu, readable, readable_size, writable_size, &transaction,
                                  report);
    return iovageom_viommu_request_end(viommu, &transaction, IOVAGEOM_OK, writable, writable_size,
                                       report);
}

int iovageom_viommu_probe(struct iovageom_viommu *viommu, uint32_t endpoint, void *properties,
                          size_t size, size_t *needed, struct iovageom_report *report)
{
    int status = iovageom_viommu_freeze(viommu, report);

    if (status == IOVAGEOM_OK)
        status = iovageom_probe_decide(viommu, endpoint, size, report);
    if (status == IOVAGEOM_ERR_BUFFER_TOO_SMALL && needed != NULL)
        *needed = viommu->shown.probe_size;
    return status != IOVAGEOM_OK
               ? status
               : iovageom_probe_do(viommu, endpoint, properties, size, needed, report);
}
