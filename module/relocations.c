/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "relocations.h"

#include <link.h>
#include <sys/mman.h>

/* The start of this file in memory, by the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/*
 * They are the file's first segment: symbols, and where loaders before glibc
 * 2.36 have to read them one by one, 350 KiB of relocations for Go. The pages
 * are the file's own; whoever looks at them again, such as dlsym(3), has them
 * back from its cache.
 */
void relocations_forget(void)
{
    const ElfW(Ehdr) *file = (const void *)__ehdr_start;
    const ElfW(Phdr) *segment = (const void *)(__ehdr_start + file->e_phoff);

    for (int i = 0; i < file->e_phnum; i++)
        if (segment[i].p_type == PT_LOAD && segment[i].p_offset == 0 && (segment[i].p_flags & PF_W) == 0) {
            (void)madvise((void *)file, segment[i].p_filesz, MADV_DONTNEED);
            return; /* the table is among them */
        }
}
