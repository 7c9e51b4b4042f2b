// SPDX-License-Identifier: MIT OR Apache-2.0
//! `SEC()` names, against the installed libbpf.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{lower, parse, prog, refusal};

/// Every name that libbpf 1.8 knows, with `/x` where something may follow.
const NAMES: &str = "socket sk_reuseport/migrate sk_reuseport kprobe/x uprobe/x uprobe.s/x kretprobe/x uretprobe/x \
uretprobe.s/x kprobe.multi/x kretprobe.multi/x kprobe.session/x uprobe.multi/x uretprobe.multi/x uprobe.session/x \
uprobe.multi.s/x uretprobe.multi.s/x uprobe.session.s/x ksyscall/x kretsyscall/x usdt/x usdt.s/x tc/ingress tc/egress \
tcx/ingress tcx/egress tc classifier action netkit/primary netkit/peer tracepoint/x tp/x tracepoint.s/x tp.s/x \
raw_tracepoint/x raw_tp/x raw_tracepoint.s/x raw_tp.s/x raw_tracepoint.w/x raw_tp.w/x tp_btf/x tp_btf.s/x fentry/x \
fmod_ret/x fexit/x fentry.s/x fmod_ret.s/x fexit.s/x fsession/x fsession.s/x fsession.multi/x fsession.multi.s/x \
fentry.multi/x fexit.multi/x fentry.multi.s/x fexit.multi.s/x freplace/x lsm/x lsm.s/x lsm_cgroup/x iter/x iter.s/x syscall \
xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp perf_event lwt_in lwt_out lwt_xmit lwt_seg6local \
sockops sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb sk_msg lirc_mode2 flow_dissector \
cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock_create cgroup/sock_release cgroup/sock cgroup/post_bind4 \
cgroup/post_bind6 cgroup/bind4 cgroup/bind6 cgroup/connect4 cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4 \
cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix cgroup/getpeername4 \
cgroup/getpeername6 cgroup/getpeername_unix cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix \
cgroup/sysctl cgroup/getsockopt cgroup/setsockopt cgroup/dev sk_lookup netfilter";

/// Program type and attach type of each name, -1 for those that the installed libbpf does not know.
fn libbpfs(names: &[&str]) -> Vec<(i64, i64)> {
    const SOURCE: &str = r#"
#include <stdio.h>
#include <bpf/libbpf.h>
static int quiet(enum libbpf_print_level level, const char *format, va_list args) { return 0; }
int main(int argc, char **argv)
{
	libbpf_set_print(quiet);
	for (int i = 1; i < argc; i++) {
		enum bpf_prog_type type;
		enum bpf_attach_type attach = 0;
		int unknown = libbpf_prog_type_by_name(argv[i], &type, &attach);
		printf("%d %d\n", unknown ? -1 : (int)type, (int)attach);
	}
	return 0;
}"#;
    let exe = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sec_of_libbpf");
    let mut cc = Command::new("cc")
        .args(["-w", "-x", "c", "-", "-lbpf", "-o"])
        .arg(&exe)
        .stdin(Stdio::piped())
        .spawn()
        .expect("cc cannot be run");
    let mut input = cc.stdin.take().expect("pipe");
    input
        .write_all(SOURCE.as_bytes())
        .expect("write the source");
    drop(input);
    assert!(cc.wait().expect("cc").success(), "is libbpf-dev installed?");
    let output = Command::new(exe).args(names).output().expect("run");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let pair = |line: &str| {
        let (a, b) = line.split_once(' ').expect("two numbers");
        (a.parse().expect("number"), b.parse().expect("number"))
    };
    said.lines().map(pair).collect()
}

#[test]
fn section_is_for_another_program_type_than_libbpfs() {
    let names: Vec<&str> = NAMES.split_whitespace().collect();
    let functions = names
        .iter()
        .enumerate()
        .map(|(i, name)| format!("SEC(\"{name}\") int f{i}(void *ctx) {{ return 0; }}\n"));
    let image = lower("sections", &functions.collect::<String>());
    let image = parse(&image);
    let mut known = 0;
    for ((i, name), theirs) in names.iter().enumerate().zip(libbpfs(&names)) {
        let ours = prog(&image, &format!("f{i}"));
        assert_ne!(ours.prog_type, 0, "{name}");
        if theirs.0 >= 0 {
            known += 1;
            assert_eq!(
                (i64::from(ours.prog_type), i64::from(ours.attach_type)),
                theirs,
                "{name}"
            );
        }
        // "x.s" and "x" differ in that alone.
        let stem = name.strip_suffix(".s/x").map(|stem| format!("{stem}/x"));
        if let Some(twin) = stem.and_then(|stem| names.iter().position(|n| *n == stem)) {
            let twin = prog(&image, &format!("f{twin}"));
            assert_eq!(
                (twin.prog_type, twin.attach_type),
                (ours.prog_type, ours.attach_type),
                "{name}"
            );
            assert_eq!((twin.prog_flags, ours.prog_flags), (0, 1 << 4), "{name}");
        }
        assert_eq!(
            name.contains("frags"),
            ours.prog_flags & 1 << 5 != 0,
            "{name}"
        );
    }
    // libbpf 1.1 of Debian 12 knows these; the others came later.
    assert!(known >= 79, "only {known} names known to libbpf");
}

#[test]
fn target_is_sought_under_another_name() {
    let target = |section: &str| {
        let image = lower(
            "target",
            &format!("SEC(\"{section}\") int f(void *ctx) {{ return 0; }}"),
        );
        let image = parse(&image);
        let target = prog(&image, "f").attach_target;
        let target = target
            .checked_sub(1)
            .and_then(|index| image.targets().get(index));
        target.map(|t| {
            (
                String::from_utf8(image.str(t.name).to_vec()).expect("UTF-8"),
                t.kind & 0xff,
            )
        })
    };
    const TYPEDEF: u32 = 8;
    const FUNC: u32 = 12;
    assert_eq!(
        target("tp_btf/sched_switch"),
        Some(("btf_trace_sched_switch".into(), TYPEDEF))
    );
    assert_eq!(target("lsm.s/bpf"), Some(("bpf_lsm_bpf".into(), FUNC)));
    assert_eq!(target("iter/task"), Some(("bpf_iter_task".into(), FUNC)));
    assert_eq!(
        target("fentry/vmlinux:tcp_connect"),
        Some(("tcp_connect".into(), FUNC))
    );
    assert_eq!(target("kprobe/tcp_connect"), None);
}

#[test]
fn optional_program_is_loaded() {
    let image = lower(
        "optional",
        "SEC(\"?nonsense\") int f(void *ctx) { return 0; }\nSEC(\"xdp\") int g(void *ctx) { return 0; }",
    );
    let image = parse(&image);
    assert_eq!(image.progs().len(), 1);
    prog(&image, "g");
}

#[test]
fn bad_section_name_is_not_explained() {
    for (section, what) in [
        ("nonsense", "unsupported program section"),
        ("xdpx", "unsupported program section"),
        ("xdp/x", "unsupported program section"),
        ("kprobex", "unsupported program section"),
        ("fentry", "lacks the attach target"),
        ("iter/", "lacks the attach target"),
    ] {
        let message = refusal(
            "bad_section",
            &format!("SEC(\"{section}\") int f(void *ctx) {{ return 0; }}"),
        );
        assert!(
            message.contains(what) && message.contains(section),
            "{message}"
        );
    }
}
