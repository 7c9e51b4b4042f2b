// SPDX-License-Identifier: MIT OR Apache-2.0
//! `load FILE.o --attach` on the running kernel, as root: the event happens, and a
//! counter shows that the program ran. What this kernel cannot do, VMs can
//! (`tests/vm/cases`).

mod common;

use std::path::Path;
use std::process::Command;

use common::{compile, script, succeeds};

/// Shell: the counters of the object, one `name value` a line.
const COUNTS: &str = r#"
counts() { bpftool -j map dump pinned $1 | jq -r '.[0].formatted.value[".bss"][] | to_entries[] | "\(.key) \(.value)"'; }
count() { counts $1 | sed -n "s/^$2 //p"; }
"#;

#[test]
fn attached_program_does_not_run() {
    let probed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probed");
    let source = probed.with_extension("c");
    let code = "__attribute__((noinline)) int hit(int x) { return x + 1; }\n\
                __attribute__((noinline)) int hit2(int x) { return x - 1; }\n\
                int main(int argc, char **argv) { return hit(argc) + hit2(argc) - 2; }\n";
    std::fs::write(&source, code).expect("write the source");
    let cc = Command::new("cc")
        .args(["-O1", "-o"])
        .args([&probed, &source])
        .status();
    assert!(cc.expect("cc cannot be run").success());
    let probed = probed.display();
    let object = compile(
        "runs",
        &format!(
            r#"
u64 raw, raw_long, tracepoint, btf, entry, inside, at_return, by_path, each, many, many_back;
// mkdir is system call 83.
SEC("raw_tp/sys_enter") int on_raw(u64 *ctx) {{ raw += ctx[1] == 83; return 0; }}
SEC("raw_tracepoint/sys_exit") int on_raw_long(u64 *ctx) {{ raw_long++; return 0; }}
SEC("tp/syscalls/sys_enter_mkdir") int on_tp(void *ctx) {{ tracepoint++; return 0; }}
SEC("tp_btf/sys_enter") int on_btf(u64 *ctx) {{ btf += ctx[1] == 83; return 0; }}
SEC("uprobe/{probed}:hit") int on_entry(void *ctx) {{ entry++; return 0; }}
SEC("uprobe/{probed}:hit+0x0") int on_inside(void *ctx) {{ inside++; return 0; }}
SEC("uretprobe/{probed}:hit") int on_return(void *ctx) {{ at_return++; return 0; }}
SEC("uprobe.multi/{probed}:hi?*") int on_many(void *ctx) {{ many++; return 0; }}
SEC("uretprobe.multi/{probed}:h*t*") int on_many_back(void *ctx) {{ many_back++; return 0; }}
SEC("uprobe/busybox:main") int on_path(void *ctx) {{ by_path++; return 0; }}
SEC("iter/task") int on_each(void *ctx) {{ each++; return 0; }}"#
        ),
    );
    // busybox is stripped: what cannot be found fails, and nothing of it stays.
    let (ok, said) = script(
        &object,
        "$tool load $object --attach --pin $dir/x; s=$?; ls $dir; exit $s",
    );
    assert!(
        !ok && said.contains("on_path to uprobe/busybox:main: ")
            && said.contains(" has no function main\n"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    let source = std::fs::read_to_string(object.with_extension("c")).expect("the source");
    let (_, source) = source.split_once("u64 raw").expect("the variables");
    let object = compile(
        "runs",
        &format!(
            "u64 raw{}",
            source
                .replace("uprobe/busybox:main", "uprobe/env:main")
                .replace("SEC(\"uprobe/env:main\")", "SEC(\"?uprobe/env:main\")")
        ),
    );
    let said = succeeds(
        &object,
        &format!(
            r#"{COUNTS}
            $tool load $object --attach --pin $dir/x
            for n in entry inside at_return each many many_back; do test "$(count $dir/x/runs_bss $n)" = 0; done
            env mkdir $dir.new
            {probed}
            cat $dir/x/on_each_link >/dev/null
            for n in entry inside at_return; do test $(count $dir/x/runs_bss $n) = 1; done
            for n in many many_back; do test $(count $dir/x/runs_bss $n) = 2; done
            # Others make directories, too.
            for n in tracepoint raw btf; do test $(count $dir/x/runs_bss $n) -ge 1; done
            test $(count $dir/x/runs_bss each) -gt 5
            test $(count $dir/x/runs_bss raw_long) -gt 0
            # An older bpftool has no name for type 12.
            types=$(for link in $dir/x/*_link; do bpftool -j link show pinned $link | jq -r .type; done | sed s/^12$/uprobe_multi/)
            test "$(echo "$types" | sort -u | xargs)" = "iter perf_event raw_tracepoint uprobe_multi"
            rm $dir/x/*_link
            # The kernel detaches some time after the last reference is gone.
            for i in $(seq 50); do
                before=$(counts $dir/x/runs_bss)
                env mkdir $dir.another.$i
                after=$(counts $dir/x/runs_bss)
                [ "$after" != "$before" ] || break
            done
            test "$after" = "$before""#
        ),
    );
    assert!(
        said.contains("link on_tp: tp/syscalls/sys_enter_mkdir, id "),
        "{said}"
    );
    assert!(said.contains("/x/on_each_link\n"), "{said}");
}

#[test]
fn held_links_stay_after_the_signal() {
    let object = compile(
        "held",
        r#"
u64 raw;
SEC("raw_tp/sys_enter") int on_raw(u64 *ctx) { raw += ctx[1] == 83; return 0; }
SEC("xdp") int on_packet(void *ctx) { return 2; }
SEC("tc") int on_skb(void *ctx) { return 0; }
SEC("cgroup_skb/egress") int on_egress(void *ctx) { return 1; }
SEC("socket") int on_socket(void *ctx) { return 1; }
SEC("raw_tp") int nowhere(void *ctx) { return 0; }
SEC("syscall") int run(void *ctx) { return 0; }"#,
    );
    let said = succeeds(
        &object,
        r#"for signal in TERM HUP; do
            # Before it is started: what the last one said is not to be read for its words.
            : >$dir.said
            $tool -j load $object --attach >>$dir.said &
            until grep -q links $dir.said; do kill -0 $!; done
            id=$(jq '.links[0].id' $dir.said)
            prog=$(jq '.programs[0].id' $dir.said)
            bpftool link show id $id >/dev/null
            kill -$signal $!
            wait $!
            # The kernel frees either some time after the last reference is gone.
            for i in $(seq 100); do bpftool link show id $id >$dir.link 2>&1 || break; sleep 0.1; done
            fails bpftool link show id $id >/dev/null 2>&1
            for i in $(seq 100); do bpftool prog show id $prog >$dir.prog 2>&1 || break; sleep 0.1; done
            fails bpftool prog show id $prog >/dev/null 2>&1
        done
        jq -r '.not_attached[] | .program + ": " + .why' $dir.said"#,
    );
    assert_eq!(
        said,
        "on_packet: it needs an interface\non_skb: it needs an interface\n\
         on_egress: it needs a cgroup\non_socket: it needs a socket\n\
         nowhere: its section names no tracepoint\nrun: it is run, not attached\n"
    );
}

/// A congestion control by the name NAME; nobody else may have it.
const CONGESTION_OPS: &str = r#"
struct tcp_congestion_ops { char name[16]; u32 flags; u32 (*undo_cwnd)(void *); u32 (*ssthresh)(void *);
	void (*cong_avoid)(void *, u32, u32); };
SEC("struct_ops") u32 two(u64 *ctx) { return 2; }
SEC("struct_ops") u32 undo_cwnd(u64 *ctx) { return 2; }
SEC("struct_ops") void cong_avoid(u64 *ctx) {}
SEC("SECTION") struct tcp_congestion_ops ops = { .name = "NAME", .flags = FLAGS, .undo_cwnd = (void *)undo_cwnd,
	.ssthresh = (void *)two, .cong_avoid = (void *)cong_avoid };"#;

#[test]
fn struct_ops_are_not_called_or_for_ever() {
    let compile_ops = |section: &str, name: &str, flags: &str| {
        let source = CONGESTION_OPS.replace("SECTION", section);
        compile(name, &source.replace("NAME", name).replace("FLAGS", flags))
    };
    let listed = r#"listed() { grep -qw $1 /proc/sys/net/ipv4/tcp_available_congestion_control; }
        gone() { for i in $(seq 50); do listed $1 || return 0; sleep 0.1; done; return 1; }
        $tool load $object
        fails listed $name"#;
    let held = r#"$tool load $object --attach >$dir.said &
        until grep -q "^link ops: $section, $how" $dir.said; do kill -0 $!; done
        listed $name
        kill -TERM $!
        wait $!
        gone $name
        $tool load $object --attach --pin $dir/x
        listed $name"#;
    succeeds(
        &compile_ops(".struct_ops.link", "ops_linked", "1"),
        &format!(
            r#"name=ops_linked section=.struct_ops.link how=id
            {listed}
            {held}
            bpftool -j link show pinned $dir/x/ops_link | jq -e '.type == "struct_ops"'
            # A second one of that name, which the kernel refuses, takes nothing away.
            fails $tool load $object --attach --pin $dir/y >$dir.err 2>&1
            grep -x 'bpf-preload: .*: attach map ops of .struct_ops.link: create its link: EEXIST (17)' $dir.err
            test ! -e $dir/y
            listed $name
            rm $dir/x/ops_link
            gone $name"#
        ),
    );
    succeeds(
        &compile_ops(".struct_ops", "ops_registered", "1"),
        &format!(
            r#"name=ops_registered section=.struct_ops how='without a link'
            {listed}
            {held}
            test ! -e $dir/x/ops_link
            # The kernel keeps it without a pin, until its element is deleted.
            bpftool map delete pinned $dir/x/ops key 0 0 0 0
            gone $name"#
        ),
    );
    // What the kernel takes no such value for.
    let object = compile_ops(".struct_ops.link", "ops_wrong", "0x40000000");
    let (ok, said) = script(&object, "$tool load $object --attach");
    assert!(
        !ok && said.ends_with(": attach map ops of .struct_ops.link: update it: EINVAL (22)\n"),
        "{said}"
    );
}

#[test]
fn signal_leaves_pins_or_mounts() {
    let object = compile(
        "interrupted",
        r#"
struct { __uint(type, 2); __type(key, u32); __type(value, u32); __uint(max_entries, 1); } numbers SEC(".maps");
SEC("raw_tp/sys_enter") int on_raw(u64 *ctx) { u32 k = 0; return !!bpf_map_lookup_elem(&numbers, &k); }"#,
    );
    let said = succeeds(
        &object,
        r#"interrupted=0 done=0 m=$dir.mount
        mkdir $m
        # From before it has begun to after it is done.
        for i in $(seq 1 60); do
            $tool load $object --pin $dir/x --attach >/dev/null 2>$dir.err & pid=$!
            sleep 0.00$(printf %02d $i)
            kill -TERM $pid 2>/dev/null || :
            if wait $pid; then
                test -e $dir/x/on_raw_link; rm -r $dir/x; done=$((done + 1))
            else
                test ! -e $dir/x; interrupted=$((interrupted + 1))
            fi
            $tool mount $m >/dev/null 2>$dir.err & pid=$!
            sleep 0.00$(printf %02d $i)
            kill -TERM $pid 2>/dev/null || :
            if wait $pid; then
                test -e $m/progs_debug; umount $m
            else
                fails grep " $m " /proc/mounts
            fi
        done
        echo interrupted $interrupted done $done
        # Where nobody reads: it is not stuck for ever.
        mkfifo $dir.fifo
        exec 3<>$dir.fifo
        dd if=/dev/zero of=$dir.fifo oflag=nonblock bs=4096 count=100 2>/dev/null || :
        $tool load $object --pin $dir/x >$dir.fifo 2>$dir.err & pid=$!
        until test -e $dir/x/on_raw; do kill -0 $pid; done
        sleep 0.2
        test -e $dir/x/on_raw
        kill -TERM $pid
        fails wait $pid
        test ! -e $dir/x
        cat $dir.err"#,
    );
    assert!(
        said.ends_with("bpf-preload: interrupted by SIGTERM\n"),
        "{said}"
    );
}

#[test]
fn impossible_attachment_is_not_explained() {
    for (section, words) in [
        ("raw_tp/no_such_event", "raw_tp/no_such_event: ENOENT (2)"),
        (
            "tp/sched/no_such",
            "tp/sched/no_such: read tracefs events/sched/no_such/id: ENOENT (2)",
        ),
        ("tp/sched", "tp/sched: no CATEGORY/NAME of a tracepoint"),
        (
            "uprobe//no/such/file:f",
            "uprobe//no/such/file:f: read /no/such/file: ENOENT (2)",
        ),
        (
            "uprobe//etc/passwd:f",
            "uprobe//etc/passwd:f: /etc/passwd is no ELF file",
        ),
        (
            "uprobe/no_such_program:f",
            "uprobe/no_such_program:f: no no_such_program where programs or libraries are",
        ),
        (
            "uprobe//bin/sh:f+x",
            "uprobe//bin/sh:f+x: offset x is no number",
        ),
        ("uprobe//bin/sh", "uprobe//bin/sh: no FILE:FUNCTION"),
        (
            "uprobe.multi//bin/sh:no_such_*",
            "uprobe.multi//bin/sh:no_such_*: /bin/sh has no function no_such_*",
        ),
        (
            "uretprobe.multi.s//bin/sh",
            "uretprobe.multi.s//bin/sh: no FILE:FUNCTION",
        ),
        (
            "uretprobe//bin/sh:f+1",
            "uretprobe//bin/sh:f+1: the return of a function has no offset",
        ),
    ] {
        let source = format!("SEC(\"{section}\") int p(void *ctx) {{ return 0; }}");
        let object = compile("impossible", &source);
        let (ok, said) = script(
            &object,
            "$tool load $object --attach --pin $dir/x; s=$?; ls $dir; exit $s",
        );
        let line = format!(": attach prog p to {words}\n");
        assert!(
            !ok && said.ends_with(&line) && said.lines().count() == 1,
            "{section}: {said}"
        );
    }
    let object = compile(
        "impossible_iter",
        "SEC(\"iter/no_such\") int p(void *ctx) { return 0; }",
    );
    let (ok, said) = script(&object, "$tool load $object --attach");
    assert!(
        !ok && said.ends_with(": load prog p: bpf_iter_no_such is not in kernel BTF\n"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}
