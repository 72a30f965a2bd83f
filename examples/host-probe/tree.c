/* SPDX-License-Identifier: BSD-3-Clause */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#define MOST_LINKS 20

struct file {
    const char *name; /* without a slash at its ends */
    const uint8_t *bytes;
    size_t length;
    const char *target; /* of a symbolic link */
    size_t number;      /* in the order in which they were added */
};

struct tree {
    const char *path;
    struct file *files; /* in the order of their names, when it is finished */
    size_t count;
};

static struct tree *mounted;

const struct tree *tree_of(const char *path)
{
    size_t length = mounted != NULL ? strlen(mounted->path) : 0;

    if (mounted == NULL || strncmp(path, mounted->path, length) != 0 ||
        (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return mounted;
}

struct tree *tree_mount(const char *path)
{
    mounted = keep(sizeof(*mounted));
    mounted->path = text("%s", path);
    return mounted;
}

void tree_unmount(void)
{
    mounted = NULL;
}

/* "a/b" of "./a//b/"; NULL where it leads up, and for nothing. */
static char *plain_name(const char *name)
{
    char *plain = keep(strlen(name) + 1);
    size_t length = 0;

    while (*name != '\0') {
        size_t part = strcspn(name, "/");

        if (part == 2 && name[0] == '.' && name[1] == '.')
            return NULL;
        if (part != 0 && (part != 1 || *name != '.')) {
            if (length != 0)
                plain[length++] = '/';
            memcpy(plain + length, name, part);
            length += part;
        }
        name += part;
        name += *name == '/' ? 1 : 0;
    }
    return length != 0 ? plain : NULL;
}

bool tree_add(struct tree *tree, const char *name, const void *bytes, size_t length,
              const char *target)
{
    char *plain = plain_name(name);
    uint8_t *copy = keep(length + 1);

    if (plain == NULL)
        return false;
    if (length != 0)
        memcpy(copy, bytes, length);
    tree->files = keep_grown(tree->files, tree->count, sizeof(*tree->files));
    tree->files[tree->count] =
        (struct file){plain, copy, length, target != NULL ? text("%s", target) : NULL, tree->count};
    tree->count++;
    return true;
}

static int compare_files(const void *a, const void *b)
{
    const struct file *one = a, *other = b;
    int order = strcmp(one->name, other->name);

    return order != 0 ? order : (one->number > other->number) - (one->number < other->number);
}

void tree_finish(struct tree *tree)
{
    size_t kept = 0;

    if (tree->count != 0)
        qsort(tree->files, tree->count, sizeof(*tree->files), compare_files);
    for (size_t i = 0; i < tree->count; i++) {
        if (i + 1 == tree->count || strcmp(tree->files[i].name, tree->files[i + 1].name) != 0)
            tree->files[kept++] = tree->files[i];
    }
    tree->count = kept;
}

const char *tree_prefix(const struct tree *tree, const char *marker, const char *but)
{
    for (size_t i = 0; i < tree->count; i++) {
        const char *name = tree->files[i].name, *at = strstr(name, marker);
        size_t length = at != NULL ? (size_t)(at - name) : 0;

        if (at == NULL || (length != 0 && at[-1] != '/') ||
            (but != NULL && strlen(but) == length && memcmp(name, but, length) == 0))
            continue;
        return text("%.*s", (int)length, name);
    }
    return NULL;
}

/* The number of the first file whose name is not below `name`. */
static size_t first_from(const struct tree *tree, const char *name)
{
    size_t low = 0;
    size_t high = tree->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(tree->files[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct file *file_named(const struct tree *tree, const char *name)
{
    size_t at = first_from(tree, name);

    return at < tree->count && strcmp(tree->files[at].name, name) == 0 ? &tree->files[at] : NULL;
}

/* A name with the target of a link in place of its last part; NULL where that leads out. */
static char *followed(const char *name, size_t length, const char *target, const char *rest)
{
    const char *joined = *target == '/' ? text("%s%s", target, rest)
                                        : text("%.*s/../%s%s", (int)length, name, target, rest);
    char *plain = keep(strlen(joined) + 1);
    size_t end = 0;

    while (*joined != '\0') {
        size_t part = strcspn(joined, "/");

        if (part == 2 && joined[0] == '.' && joined[1] == '.') {
            if (end == 0)
                return NULL;
            while (end > 0 && plain[end - 1] != '/')
                end--;
            end -= end > 0 ? 1 : 0;
        } else if (part != 0 && (part != 1 || *joined != '.')) {
            if (end != 0)
                plain[end++] = '/';
            memcpy(plain + end, joined, part);
            end += part;
        }
        joined += part;
        joined += *joined == '/' ? 1 : 0;
    }
    plain[end] = '\0';
    return plain;
}

/*
 * The name in the tree of a path, with the links on its way followed; the last part only if
 * `whole`. NULL when it leads out, or round in a circle.
 */
static char *resolved(const struct tree *tree, const char *path, bool whole)
{
    char *name = plain_name(path + strlen(tree->path));

    for (int links = 0; name != NULL && links <= MOST_LINKS; links++) {
        const struct file *link = NULL;
        size_t length = 0;

        while (link == NULL && name[length] != '\0') {
            const struct file *file;

            length += strcspn(name + length + 1, "/") + 1;
            if (name[length] == '\0' && !whole)
                break;
            file = file_named(tree, text("%.*s", (int)length, name));
            link = file != NULL && file->target != NULL ? file : NULL;
        }
        if (link == NULL)
            return name;
        name = followed(name, length, link->target, name + length);
    }
    return NULL;
}

struct blob tree_read(const struct tree *tree, const char *path, struct faults *faults)
{
    struct blob blob = {.path = text("%s", path)};
    const char *name = resolved(tree, path, true);
    const struct file *file = name != NULL ? file_named(tree, name) : NULL;
    size_t length;

    (void)faults;
    if (file == NULL)
        return blob;
    length = file->length;
    /* tar pads what sysfs says is a page long with zeros; answers of ioctls are no text. */
    if (strlen(path) < 4 || strcmp(path + strlen(path) - 4, ".bin") != 0) {
        while (length > 0 && file->bytes[length - 1] == 0)
            length--;
    }
    blob.there = true;
    blob.bytes = keep(length + 1);
    if (length != 0)
        memcpy(blob.bytes, file->bytes, length);
    blob.length = length;
    return blob;
}

char **tree_list(const struct tree *tree, const char *path)
{
    const char *name = resolved(tree, path, true);
    const char *below;
    size_t length;
    char **names = keep(sizeof(*names));
    size_t count = 0;
    bool there = false;

    if (name == NULL && strcmp(path, tree->path) != 0)
        return NULL;
    below = name != NULL ? text("%s/", name) : "";
    length = strlen(below);
    for (size_t i = first_from(tree, below);
         i < tree->count && strncmp(tree->files[i].name, below, length) == 0; i++) {
        const char *part = tree->files[i].name + length;
        size_t end = strcspn(part, "/");

        there = true;
        if (*part == '.' || end == 0)
            continue;
        if (count != 0 && strlen(names[count - 1]) == end &&
            memcmp(names[count - 1], part, end) == 0)
            continue;
        names = keep_grown(names, count + 1, sizeof(*names));
        names[count++] = text("%.*s", (int)end, part);
        names[count] = NULL;
    }
    if (!there)
        return NULL;
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i + 1 < count;) {
        if (strcmp(names[i], names[i + 1]) != 0) {
            i++;
            continue;
        }
        memmove(names + i, names + i + 1, (count - i) * sizeof(*names));
        count--;
    }
    return names;
}

char *tree_link_name(const struct tree *tree, const char *path)
{
    const char *name = resolved(tree, path, false);
    const struct file *file = name != NULL ? file_named(tree, name) : NULL;
    const char *slash;

    if (file == NULL || file->target == NULL)
        return text("%s", "");
    slash = strrchr(file->target, '/');
    return text("%s", slash != NULL ? slash + 1 : file->target);
}
