/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * A filter of system calls, seccomp(2). A call that is not listed fails with
 * ENOSYS, as on a kernel without it, so that libc and the Go runtime use their
 * fallbacks for older kernels.
 */

#define _GNU_SOURCE
#include "sandbox.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__ && !defined __ILP32__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __i386__
#define ARCHITECTURE AUDIT_ARCH_I386
#elif defined __aarch64__ && __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __ARM_EABI__ && __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCHITECTURE AUDIT_ARCH_ARM
#elif defined __powerpc64__ && __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCHITECTURE AUDIT_ARCH_PPC64LE
#elif defined __s390x__
#define ARCHITECTURE AUDIT_ARCH_S390X
#elif defined __riscv && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#ifdef ARCHITECTURE

#ifndef PR_SET_VMA /* Linux 5.17 */
#define PR_SET_VMA 0x53564d41
#endif

/* Calls that are harmless with any argument, the frequent ones first. */
static const int allowed[] = {
    /* open descriptors */
    SYS_read, SYS_write, SYS_pread64, SYS_close, SYS_getdents64, SYS_readlinkat, SYS_fstat, SYS_lseek,
#ifdef SYS_newfstatat
    SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
    SYS_fstatat64,
#endif
#ifdef SYS_fstat64
    SYS_fstat64,
#endif
#ifdef SYS__llseek
    SYS__llseek,
#endif
#ifdef SYS_statx
    SYS_statx,
#endif
    /* waiting */
    SYS_futex, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_create1, SYS_eventfd2, SYS_pipe2, SYS_ppoll, SYS_nanosleep,
    SYS_clock_nanosleep, SYS_sched_yield, SYS_restart_syscall,
#ifdef SYS_futex_time64
    SYS_futex_time64,
#endif
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_ppoll_time64
    SYS_ppoll_time64,
#endif
#ifdef SYS_clock_nanosleep_time64
    SYS_clock_nanosleep_time64,
#endif
    /* memory */
#ifdef SYS_mmap
    SYS_mmap,
#endif
    SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_mincore, SYS_brk,
#ifdef SYS_mmap2
    SYS_mmap2,
#endif
    /* this process and its threads */
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_set_robust_list, SYS_set_tid_address,
    SYS_sched_getaffinity, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname,
    SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_exit, SYS_exit_group,
#ifdef SYS_sigreturn
    SYS_sigreturn,
#endif
#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef SYS_clock_gettime64
    SYS_clock_gettime64,
#endif
#ifdef SYS_getuid32
    SYS_getuid32, SYS_geteuid32, SYS_getgid32, SYS_getegid32,
#endif
#ifdef SYS_getrlimit
    SYS_getrlimit,
#endif
#ifdef SYS_ugetrlimit
    SYS_ugetrlimit,
#endif
#ifdef SYS_riscv_flush_icache
    SYS_riscv_flush_icache,
#endif
#ifdef SYS_riscv_hwprobe
    SYS_riscv_hwprobe,
#endif
#ifdef SYS_set_thread_area
    SYS_set_thread_area,
#endif
#ifdef __ARM_NR_cacheflush
    __ARM_NR_cacheflush, __ARM_NR_set_tls,
#endif
    /* an existing socket; which kinds may be made is below */
    SYS_connect, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_sendto, SYS_recvfrom, SYS_sendmsg,
    SYS_recvmsg, SYS_shutdown,
#if defined __i386__ || defined __s390x__
    SYS_socketcall, /* Go has no other call; its arguments are in memory, which a filter cannot read */
#endif
};

#define CODE_MAX (2 * sizeof allowed / sizeof *allowed + 90)

struct filter {
    struct sock_filter code[CODE_MAX];
    unsigned short size;
};

static void add(struct filter *f, struct sock_filter instruction) { f->code[f->size++] = instruction; }

static void load(struct filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct filter *f, uint32_t action) { add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action)); }

/* Adds a jump over so many instructions, unless the loaded word is the value. */
static void unless(struct filter *f, uint32_t value, uint8_t skip)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

/* Loads the lower half of an argument, which is all of an int. */
static void load_argument(struct filter *f, unsigned n)
{
    load(f, offsetof(struct seccomp_data, args[n]) + (__BYTE_ORDER == __BIG_ENDIAN ? 4 : 0));
}

/* Allows a call if an argument, masked, is one of the values. */
static void allow_if(struct filter *f, int call, unsigned argument, uint32_t mask, const uint32_t *values, uint8_t count)
{
    unless(f, (uint32_t)call, (uint8_t)(2 * count + 3));
    load_argument(f, argument);
    add(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
    for (uint8_t i = 0; i < count; i++) {
        unless(f, values[i], 1);
        answer(f, SECCOMP_RET_ALLOW);
    }
    answer(f, SECCOMP_RET_ERRNO | EPERM);
}

#define ALLOW_IF(f, call, argument, mask, ...) \
    allow_if(f, call, argument, mask, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void build(struct filter *f)
{
    const uint32_t whole = ~0u, thread = CLONE_VM | CLONE_THREAD, self = (uint32_t)getpid();
#ifdef __s390__
    const unsigned clone_flags = 1;
#else
    const unsigned clone_flags = 0;
#endif

    /* Rejects calls of another architecture, which have other numbers. */
    load(f, offsetof(struct seccomp_data, arch));
    unless(f, ARCHITECTURE, 1);
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    answer(f, SECCOMP_RET_ERRNO | ENOSYS);
    load(f, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        unless(f, (uint32_t)allowed[i], 1);
        answer(f, SECCOMP_RET_ALLOW);
    }
    /* Opens for reading only, also a FIFO. O_TMPFILE is covered: it requires O_WRONLY or O_RDWR. */
    ALLOW_IF(f, SYS_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
    ALLOW_IF(f, SYS_socket, 0, whole, AF_UNIX);
    /* Threads, not processes. clone3(2) has its flags in memory and is not listed: libc falls back to clone(2). */
    ALLOW_IF(f, SYS_clone, clone_flags, thread, thread);
    /* Neither F_SETOWN nor F_SETSIG, which make the kernel send a signal to another process. */
#ifdef SYS_fcntl
    ALLOW_IF(f, SYS_fcntl, 1, whole, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC);
#endif
#ifdef SYS_fcntl64
    ALLOW_IF(f, SYS_fcntl64, 1, whole, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC);
#endif
    /* Only to name threads and memory. */
    ALLOW_IF(f, SYS_prctl, 0, whole, PR_SET_NAME, PR_SET_VMA);
    /* Only the worker's own limits, and its own threads, which Go interrupts by signals. */
    ALLOW_IF(f, SYS_prlimit64, 0, whole, 0);
    ALLOW_IF(f, SYS_tgkill, 0, whole, self);
    /* kill(2) of itself, or with signal 0, which only asks whether a process exists. */
    unless(f, SYS_kill, 7);
    load_argument(f, 0);
    unless(f, self, 1);
    answer(f, SECCOMP_RET_ALLOW);
    load_argument(f, 1);
    unless(f, 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, SECCOMP_RET_ERRNO | EPERM);

    answer(f, SECCOMP_RET_ERRNO | ENOSYS);
}

int sandbox_seal(void)
{
    struct filter f = {.size = 0};
    struct sock_fprog program = {.filter = f.code};

    build(&f);
    program.len = f.size;
    /* SPEC_ALLOW: some kernels otherwise also turn off speculation, which makes the process slower. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1u << 2 /* SECCOMP_FILTER_FLAG_SPEC_ALLOW */, &program) == 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return 0;
    /* Not in this kernel, not in an emulator, or rejected by the host's filter. */
    return errno == EINVAL || errno == ENOSYS || errno == EPERM ? 0 : -1;
}

#else

int sandbox_seal(void) { return 0; }

#endif
