"""Imports and exports that, together, are worth a word: combinations, since each name alone is in many plain programs.

How often each group is met on clean servers stands beside it; what follows from it is for detection to say.
"""

import re
from collections.abc import Iterator

import msgspec

from volforensic.inventory.elf_dynamic import Symbols
from volforensic.record import text

_MOST_NAMES = 32
_FEW, _SOME = 60, 150  # imports of a program that does one thing; a plain network server has hundreds

EXECUTION = frozenset(
    b"execl execle execlp execv execve execveat execvp execvpe fexecve popen posix_spawn posix_spawnp system".split()
)
_IDENTITY = frozenset(b"setuid setgid setreuid setregid setresuid setresgid seteuid setegid setgroups".split())
_LOOKUP = frozenset(b"dlsym dlvsym __libc_dlsym _dl_sym".split())
_FILES = frozenset(
    b"readdir readdir64 readdir_r readdir64_r getdents getdents64 opendir fdopendir scandir scandir64 open open64 "
    b"openat openat64 fopen fopen64 freopen stat stat64 lstat lstat64 fstat fstat64 fstatat fstatat64 "
    b"__xstat __xstat64 __lxstat __lxstat64 __fxstat __fxstat64 __fxstatat statx access faccessat unlink unlinkat "
    b"rename renameat rmdir link symlink readlink realpath chdir".split()
)
_NETWORK = frozenset(
    b"accept accept4 connect bind listen recv recvfrom recvmsg send sendto pcap_loop pcap_next".split()
)
_ACCOUNTS = frozenset(
    b"getpwnam getpwnam_r getpwuid getpwuid_r getspnam getspnam_r crypt crypt_r getlogin getutent getutxent pututline "
    b"pututxline login updwtmp updwtmpx pam_authenticate pam_acct_mgmt pam_open_session pam_get_item pam_get_authtok "
    b"pam_get_password pam_set_item pam_vprompt pam_prompt".split()
)
_PROCESSES = frozenset(b"execve execv execvp execvpe kill ptrace syslog".split())
_PAM = frozenset(b"pam_sm_authenticate pam_sm_setcred pam_sm_acct_mgmt pam_sm_open_session pam_sm_chauthtok".split())
_TELLING = frozenset(b"readdir readdir64 execve pam_authenticate accept fopen fopen64".split())
_SYSTEM_LIBRARY = 1000
_MODULE_LOADING = frozenset(b"init_module finit_module delete_module kexec_load kexec_file_load".split())

_KERNEL_GROUPS = {
    "kernel symbol lookup": b"kallsyms_lookup_name kallsyms_on_each_symbol kallsyms_lookup_size_offset",
    "kernel function hooks": b"register_kprobe register_kprobes register_kretprobe register_kretprobes "
    b"register_ftrace_function ftrace_set_filter ftrace_set_filter_ip tracepoint_probe_register klp_enable_patch",
    "kernel page rights": b"set_memory_rw set_memory_x set_memory_ro set_pages_rw lookup_address native_write_cr0 "
    b"text_poke text_poke_smp update_mapping_prot",
    "credentials": b"commit_creds prepare_kernel_cred prepare_creds",
    "programs started by the kernel": b"call_usermodehelper call_usermodehelper_exec call_usermodehelper_setup",
    "packet hooks": b"nf_register_net_hook nf_register_net_hooks nf_register_hook nf_register_hooks dev_add_pack",
    "process lookup": b"find_task_by_vpid find_vpid pid_task find_get_pid get_pid_task send_sig send_sig_info",
    "module list": b"find_module module_mutex kobject_del mod_tree kset_find_obj",
}
_PLAIN = ("credentials", "programs started by the kernel", "packet hooks", "process lookup", "module list")
_KERNEL = {group: frozenset(names.split()) for group, names in _KERNEL_GROUPS.items()}
_HOOKED_CALLS = re.compile(
    rb"(?:hook|hooks|hooked|hacked|fake|evil|hijack|hijacked|orig|original)_{0,2}"
    rb"(?:sys_|__x64_sys_|x64_|ksys_|asmlinkage_)?"
    rb"(?:getdents(?:64)?|kill|openat|read|write|execve|tcp[46]_seq_show|udp[46]_seq_show|filldir(?:64)?|iterate_shared|"
    rb"iterate_dir|vfs_read|vfs_statx|audit_alloc|find_task_by_vpid|load_elf_binary|tpacket_rcv|packet_rcv|sysinfo)",
)


class ImportGroup(msgspec.Struct, frozen=True):
    """A combination that was found and the names that make it."""

    group: str
    symbols: list[str]


def suspicious_imports(symbols: Symbols, *, is_library: bool) -> list[ImportGroup]:
    """Return the combinations in the dynamic symbols of a program, or of what a loader takes as a library."""
    groups = [*_connections(symbols.imports), *_elsewhere(symbols.imports)]
    groups += _library_groups(symbols) if is_library else []
    return [ImportGroup(group, _texts(names)) for group, names in groups if names]


def kernel_imports(symbols: Symbols) -> list[ImportGroup]:
    """Return the groups of a kernel module's imports, and functions of its own that are named after what they replace.

    Groups that plain modules have as well are given where a rare one is beside them, or two more of their kind.
    """
    found = {group: names & symbols.imports for group, names in _KERNEL.items()}
    found["replaced functions"] = frozenset(
        name for name in symbols.own | symbols.exports if _HOOKED_CALLS.fullmatch(name)
    )
    groups = [ImportGroup(group, _texts(names)) for group, names in found.items() if names]
    return groups if len(groups) > 2 or any(one.group not in _PLAIN for one in groups) else []


def _elsewhere(imports: frozenset[bytes]) -> Iterator[tuple[str, frozenset[bytes]]]:
    yield "kernel module loading", imports & _MODULE_LOADING
    if len(imports) > _SOME:
        return
    if b"fexecve" in imports or (b"memfd_create" in imports and imports & EXECUTION):
        yield "program in memory", imports & {b"memfd_create", b"fexecve", b"execveat", b"execve", b"execv"}
    if b"ptrace" in imports:
        yield "process tracing", imports & {b"ptrace", b"process_vm_readv", b"process_vm_writev"}


def _connections(imports: frozenset[bytes]) -> Iterator[tuple[str, frozenset[bytes]]]:
    if len(imports) > _FEW:
        return
    starts = imports & EXECUTION
    copies = imports & {b"dup2", b"dup3", b"dup"}
    if starts and copies and b"socket" in imports:
        if b"connect" in imports:
            yield "shell over a connection", starts | copies | {b"socket", b"connect"}
        elif {b"bind", b"listen"} <= imports:
            yield "shell behind a port", starts | copies | {b"socket", b"bind", b"listen"}
    if starts and imports & _IDENTITY and len(imports) <= _FEW // 3:
        yield "program under another identity", starts | (imports & _IDENTITY)


def _library_groups(symbols: Symbols) -> Iterator[tuple[str, frozenset[bytes]]]:
    """Yield what a library offers in the place of others; the C library itself offers far more."""
    exports = symbols.exports
    yield "PAM module", exports & _PAM
    if b"__libc_start_main" in exports and len(exports) > _SYSTEM_LIBRARY:
        return
    yield "name service module", frozenset(name for name in exports if name.startswith(b"_nss_"))
    accounts = frozenset() if {b"pam_start", b"pam_end"} <= exports else exports & _ACCOUNTS
    replaced = (exports & (_FILES | _NETWORK | _PROCESSES)) | accounts
    lookup = symbols.imports & _LOOKUP
    if replaced and lookup:
        yield "replaced library functions", replaced | lookup
    elif replaced & _TELLING and b"pthread_create" not in exports:
        yield "replaced library functions", replaced


def _texts(names: frozenset[bytes]) -> list[str]:
    return [text(name) for name in sorted(names)[:_MOST_NAMES]]
