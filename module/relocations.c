/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "relocations.h"

#include <link.h>
#include <sys/mman.h>

/* The start of the module in memory, defined by the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/*
 * The pages are the file's first segment: the symbols and, for loaders before
 * glibc 2.36, 350 KiB of Go's relocations, one by one. They are never changed,
 * so that dlsym(3), for example, gets them again from the file.
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
