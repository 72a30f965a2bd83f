/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hot-plug that can't go well is refused before anything has changed, and the report says which
 * promise to the guest and which of its mappings stand against it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <iovageom/viommu.h>

enum { FIRST = 0x100, SECOND = 0x108, GROUP = 1, DOMAIN = 7 };

/* A program of its own may end here; a VMM would hand the status up. */
static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "%s\n", iovageom_status_string(status));
        exit(1);
    }
}

static void print(const char *what, int status, const struct iovageom_report *report)
{
    char text[512];

    printf("%s: %s\n", what, status < 0 ? "refused" : "plugged");
    for (size_t i = 0; i < iovageom_report_count(report); i++) {
        const struct iovageom_finding *finding = iovageom_report_at(report, i);

        if (finding->fatal) { /* others are notes, such as that the host did not give page sizes */
            iovageom_finding_text(finding, text, sizeof(text));
            printf("- %s\n", text);
        }
    }
}

int main(void)
{
    const struct iovageom_range page = {0xdf900000, 0xdf900fff}, hole = {0xdf800000, 0xdfffffff};
    struct iovageom_geometry *first, *second;
    struct iovageom_viommu *viommu;
    struct iovageom_plug_options options;
    struct iovageom_report report;
    uint8_t properties[512];
    int rc;

    /* A device that is there from the start, and one of which the host reserves a window. */
    must(iovageom_geometry_new(NULL, "0000:3b:00.0", &first));
    must(iovageom_geometry_add_gaw(first, 48, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_new(NULL, "0000:5e:00.0", &second));
    must(iovageom_geometry_add_gaw(second, 48, IOVAGEOM_SOURCE_VFIO));
    must(iovageom_geometry_add_reserved(second, hole, IOVAGEOM_RESV_RESERVED,
                                        IOVAGEOM_SOURCE_SYSFS));

    must(iovageom_viommu_new(NULL, NULL, &viommu));
    iovageom_plug_options_init(&options);
    options.guest_group = GROUP;
    must(iovageom_viommu_plug(viommu, FIRST, &options, first, NULL));

    /* The guest asks what it may map, attaches the device to a domain, and maps a page. */
    must(iovageom_viommu_probe(viommu, FIRST, properties, sizeof(properties), NULL, NULL));
    must(iovageom_viommu_attach(viommu, DOMAIN, FIRST, 0, NULL));
    must(iovageom_viommu_map(viommu, DOMAIN, page, 0x1000, IOVAGEOM_VIRTIO_MAP_F_READ, NULL));

    iovageom_report_init(&report, NULL);
    rc = iovageom_viommu_plug(viommu, SECOND, &options, second, &report);
    print("into the same guest group", rc, &report);
    options.guest_group = IOVAGEOM_VIOMMU_OWN;
    rc = iovageom_viommu_plug(viommu, SECOND, &options, second, &report);
    print("into a guest group of its own", rc, &report);

    iovageom_report_deinit(&report);
    iovageom_viommu_free(viommu);
    iovageom_geometry_free(second);
    iovageom_geometry_free(first);
    return 0;
}
