/* auth/cage.c: limits and the filter of a worker. */
#include "auth/cage.h"

#include <cap-ng.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 }; /* their run time needs calls that nobody else should have, and much address space */
#else
enum { SANITIZED = 0 };
#endif

enum { MEMORY_MAX = 512 << 20, CPU_S = 120 };

/* Everything that is not here is refused (EPERM). */
static const int allowed[] = {
	SCMP_SYS(read),         SCMP_SYS(write),          SCMP_SYS(close),        SCMP_SYS(munmap),
	SCMP_SYS(mremap),       SCMP_SYS(madvise),        SCMP_SYS(brk),          SCMP_SYS(futex),
	SCMP_SYS(exit),         SCMP_SYS(exit_group),     SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),   SCMP_SYS(time),         SCMP_SYS(getpid),
	SCMP_SYS(gettid),       SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),  SCMP_SYS(tgkill), /* abort() of a library; of its own threads only */
	SCMP_SYS(rt_sigaction), SCMP_SYS(uname),  /* libspf2 wants to know where it is */
};

/* Nothing of ours ever comes near these. */
static const int deadly[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(creat),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(ptrace),
	SCMP_SYS(kill),
	SCMP_SYS(tkill),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(unlink),
	SCMP_SYS(rename),
	SCMP_SYS(mkdir),
	SCMP_SYS(chmod),
	SCMP_SYS(chown),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(mount),
	SCMP_SYS(bpf),
	SCMP_SYS(keyctl),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open),
};

static int load_filter(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(1));
	int rc = f == NULL ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; rc == 0 && i < sizeof deadly / sizeof deadly[0]; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc;
}

static void limit(int what, rlim_t most)
{
	const struct rlimit r = { most, most };

	setrlimit((__rlimit_resource_t)what, &r);
}

bool cage_worker(int keep)
{
	close_range(3, (unsigned)keep - 1, 0);
	close_range((unsigned)keep + 1, ~0U, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* nobody of our own user looks into it either */
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	if (!SANITIZED)
		limit(RLIMIT_AS, MEMORY_MAX);
	limit(RLIMIT_CPU, CPU_S);
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	return SANITIZED || load_filter() == 0;
}
