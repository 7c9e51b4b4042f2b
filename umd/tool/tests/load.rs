// SPDX-License-Identifier: MIT OR Apache-2.0
//! `load FILE.o` on the running kernel, as root: what it loads is what bpftool,
//! that is libbpf, makes of the same object. Each test has a mount namespace of its own.

mod common;

use std::path::Path;

use common::{compile, script, succeeds};

/// Shows all that is pinned in `$1` without what differs from load to load: ids,
/// addresses, times. Programs with their instructions and source lines.
const SHOW: &str = r#"
show() {
    for pin in "$1"/*; do
        name=$(basename $pin | tr . _)
        if bpftool -j prog show pinned $pin >$dir.json 2>/dev/null && jq -e .tag $dir.json >/dev/null; then
            echo "prog $name $(jq -cS '{name, type, tag, gpl_compatible, bytes_xlated, maps: (.map_ids | length)}' $dir.json)"
            bpftool prog dump xlated pinned $pin linum | sed -E 's/(id:|0x)[0-9a-f]+/\1N/g; s/#-?[0-9]+$/#N/'
        else
            bpftool -j map show pinned $pin | jq -cS '{name, type, flags, bytes_key, bytes_value, max_entries, frozen, extra: .map_extra}' | sed "s/^/map $name /"
            bpftool -j map dump pinned $pin 2>&1 | jq -cS 'if type == "array" then map(select(.value | type != "array" or length != 4)) else . end' || :
        fi
    done
}
"#;

/// Both load it, and then it looks the same.
fn same_as_bpftool(name: &str, source: &str) {
    let object = compile(name, source);
    let said = succeeds(
        &object,
        &format!(
            r#"{SHOW}
            $tool load $object --pin $dir/ours >/dev/null
            mkdir $dir/maps $dir/progs
            bpftool prog loadall $object $dir/progs pinmaps $dir/maps 2>$dir.log || {{ cat $dir.log; exit 1; }}
            show $dir/ours | sort >$dir.ours
            {{ show $dir/progs; show $dir/maps; }} | sort >$dir.theirs
            test -s $dir.ours
            diff $dir.ours $dir.theirs"#
        ),
    );
    assert_eq!(said, "");
}

#[test]
fn program_or_map_differs_from_libbpfs() {
    same_as_bpftool(
        "kinds",
        r#"
struct { __uint(type, 1); __type(key, u32); __type(value, u64); __uint(max_entries, 10); } hash SEC(".maps");
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 5000); } ring SEC(".maps");
struct { __uint(type, 30); __type(value, u32); __uint(max_entries, 10); } bloom SEC(".maps");
struct { __uint(type, 11); __uint(key_size, 8); __type(value, u32); __uint(max_entries, 10); __uint(map_flags, 1); }
	trie SEC(".maps");
struct { __uint(type, 29); __type(key, int); __type(value, u64); __uint(map_flags, 1); } storage SEC(".maps");
SEC("xdp") int on_packet(void *ctx) { u32 k = 1; return !!bpf_map_lookup_elem(&hash, &k); }
SEC("kprobe/do_nanosleep") int on_sleep(void *ctx) { return 0; }
SEC("tp/sched/sched_switch") int on_switch(void *ctx) { return 0; }
SEC("raw_tp/sched_switch") int on_raw(void *ctx) { return 0; }
SEC("cgroup/connect4") int on_connect(void *ctx) { return 1; }
SEC("cgroup_skb/egress") int on_egress(void *ctx) { return 1; }
SEC("sockops") int on_ops(void *ctx) { return 1; }
SEC("sk_lookup") int on_lookup(void *ctx) { return 1; }
SEC("tc") int on_tc(void *ctx) { return 0; }
SEC("iter/task") int on_task(void *ctx) { return 0; }
SEC("syscall") int on_syscall(void *ctx) { return 0; }"#,
    );
}

#[test]
fn variable_has_another_value_than_in_libbpf() {
    same_as_bpftool(
        "variables",
        r#"
volatile int data = 0x11223344, bss;
volatile const int rodata = 7;
static volatile u64 hidden = 5;
volatile int custom SEC(".data.custom") = 3;
volatile const char text[] = "text";
static noinline int sub(int x) { return x + data + rodata + hidden; }
static noinline int callback(u32 i, void *ctx) { return sub(i) > 1000; }
SEC("tc") int one(void *ctx) { bss = sub(custom + text[1]); return 0; }
SEC("tc") int two(void *ctx) { bpf_loop(3, callback, 0, 0); return sub(1); }"#,
    );
}

/// The kernel's struct has more members, and has these in other places.
const CONGESTION_OPS: &str = r#"
struct tcp_congestion_ops___local {
	char name[16];
	u32 (*undo_cwnd)(void *sk);
	u32 (*ssthresh)(void *sk);
	void (*cong_avoid)(void *sk, u32 ack, u32 acked);
	u32 (*MEMBER)(void *sk);
};
SEC("struct_ops") u32 ssthresh(u64 *ctx) { return 2; }
SEC("?struct_ops/undo_cwnd") u32 undo_cwnd(u64 *ctx) { return 3; }
SEC("struct_ops/cong_avoid") void cong_avoid(u64 *ctx) {}
SEC("struct_ops/unwanted") u32 in_a_map_left_alone(u64 *ctx) { return 0; }
SEC("?struct_ops/unused") void in_no_map(u64 *ctx) {}
SEC(".struct_ops.link") struct tcp_congestion_ops___local ops = {
	.name = "bpf_preload_t", .undo_cwnd = (void *)undo_cwnd, .ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid, .MEMBER = VALUE,
};
SEC("?.struct_ops") struct tcp_congestion_ops___local not_wanted = { .ssthresh = (void *)in_a_map_left_alone };"#;

#[test]
fn struct_ops_differs_from_libbpfs() {
    let source = |value: &str| {
        CONGESTION_OPS
            .replace("MEMBER", "no_such_member")
            .replace("VALUE", value)
    };
    // libbpf 1.1, which bpftool has, knows no links, optional maps, flavors and spare members of them.
    let old = source("0")
        .replace("___local", "")
        .replace("u32 (*no_such_member)(void *sk);", "")
        .replace(".no_such_member = 0,", "")
        .replace(".struct_ops.link", ".struct_ops")
        .replace("?struct_ops", "struct_ops");
    let (old, _) = old
        .split_once("SEC(\"?.struct_ops\")")
        .expect("the last map");
    let in_maps: Vec<_> = old.lines().filter(|line| !line.contains(" in_")).collect();
    same_as_bpftool("struct_ops_old", &in_maps.join("\n"));

    let object = compile("struct_ops", &source("0"));
    succeeds(
        &object,
        r#"set -x
        $tool load $object --pin $dir/x
        test "$(ls $dir/x | sort | xargs)" = "cong_avoid ops ssthresh undo_cwnd"
        # BPF_F_LINK
        bpftool -j map show pinned $dir/x/ops | jq -e '.type == "struct_ops" and .flags == 8192'"#,
    );
    // As in libbpf since 1.5: left out is a member that has no program.
    let object = compile("struct_ops_missing", &source("(void *)ssthresh"));
    let (ok, said) = script(
        &object,
        "$tool load $object --pin $dir/x; s=$?; ls $dir; exit $s",
    );
    let line = "create map ops: member no_such_member is set, which this kernel's tcp_congestion_ops has not\n";
    assert!(
        !ok && said.ends_with(line) && said.lines().count() == 1,
        "{said}"
    );
}

#[test]
fn data_of_struct_ops_goes_elsewhere() {
    for (member, value, words) in [
        (
            "u64 flags",
            "1",
            "member flags has 8 bytes, 4 in this kernel's tcp_congestion_ops",
        ),
        (
            "char name[8]",
            "\"x\"",
            "member name has 8 bytes, 16 in this kernel's tcp_congestion_ops",
        ),
        (
            "u32 key[1]",
            "{ 1 }",
            "member key is of another kind in this kernel's tcp_congestion_ops",
        ),
        (
            "u32 flags:4",
            "1",
            "member flags is a bit-field, which is not supported",
        ),
        (
            "void *owner",
            "(void *)8",
            "member owner is a pointer that is set, but to no program",
        ),
        (
            "void (*owner)(void)",
            "(void *)ssthresh",
            "member owner is no function in this kernel's tcp_congestion_ops",
        ),
        (
            "u32 later",
            "1",
            "member later is set, which this kernel's tcp_congestion_ops has not",
        ),
        (
            "struct { u64 a, b; } later",
            "{ 0, 1 }",
            "member later is set, which this kernel's tcp_congestion_ops has not",
        ),
        ("u32 later", "0", ""),
        ("u32 flags", "1", ""),
    ] {
        let (name, _) = member.split_once(['[', ':']).unwrap_or((member, ""));
        let name = match name {
            "void (*owner)(void)" => "owner",
            name => name
                .rsplit(' ')
                .next()
                .unwrap_or_default()
                .trim_start_matches('*'),
        };
        let source = format!(
            r#"
struct tcp_congestion_ops {{ u32 (*ssthresh)(void *sk); {member}; }};
SEC("struct_ops") u32 ssthresh(u64 *ctx) {{ return 2; }}
SEC(".struct_ops") struct tcp_congestion_ops ops = {{ .ssthresh = (void *)ssthresh, .{name} = {value} }};"#
        );
        let object = compile("struct_ops_data", &source);
        let (ok, said) = script(&object, "$tool load $object");
        if words.is_empty() {
            assert!(ok, "{member}: {said}");
        } else {
            assert!(
                !ok && said.ends_with(&format!(": create map ops: {words}\n"))
                    && said.lines().count() == 1,
                "{member}: {said}"
            );
        }
    }
}

#[test]
fn slot_is_empty_after_load() {
    let object = compile(
        "slots",
        r#"
struct inner { __uint(type, 2); __type(key, u32); __type(value, u32); __uint(max_entries, 5); };
struct inner one SEC(".maps"), two SEC(".maps");
struct { __uint(type, 12); __uint(key_size, 4); __uint(max_entries, 4); __array(values, struct inner); }
	outer SEC(".maps") = { .values = { [3] = &one, [1] = &two } };
int target(void *);
struct { __uint(type, 3); __uint(key_size, 4); __uint(max_entries, 3); __array(values, int (void *)); }
	calls SEC(".maps") = { .values = { [2] = (void *)&target } };
SEC("xdp") int target(void *ctx) { return 2; }
SEC("xdp") int caller(void *ctx) { bpf_tail_call(ctx, &calls, 2); return 1; }"#,
    );
    succeeds(
        &object,
        r#"set -x
        $tool load $object --pin $dir/x
        id() { bpftool -j map show pinned $dir/x/$1 | jq .id; }
        slot() { bpftool -j map lookup pinned $dir/x/$1 key $2 0 0 0 | jq -r '.value | if type == "array" then map(ltrimstr("0x")) | reverse | join("") else . end'; }
        test $((0x$(slot outer 3))) = $(id one)
        test $((0x$(slot outer 1))) = $(id two)
        test $((0x$(slot calls 2))) = $(bpftool -j prog show pinned $dir/x/target | jq .id)
        dd if=/dev/zero of=$dir.packet bs=64 count=1
        bpftool -j prog run pinned $dir/x/caller data_in $dir.packet repeat 1 | jq -e '.retval == 2'"#,
    );
}

#[test]
fn value_of_the_machine_is_wrong() {
    let object = compile(
        "machine",
        r#"
enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
extern int CONFIG_HZ SEC(".kconfig");
extern _Bool CONFIG_BPF SEC(".kconfig");
extern _Bool CONFIG_NO_SUCH_OPTION __attribute__((weak)) SEC(".kconfig");
extern char CONFIG_DEFAULT_HOSTNAME[32] SEC(".kconfig");
extern u32 LINUX_KERNEL_VERSION SEC(".kconfig");
extern _Bool LINUX_HAS_BPF_COOKIE __attribute__((weak)) SEC(".kconfig");
extern const void bpf_prog_put SEC(".ksyms");
extern const void no_such_symbol __attribute__((weak)) SEC(".ksyms");
u64 prog_put, no_such;
int hz, version, nothing = 1, cookie;
SEC("socket") int prog(void *ctx)
{
	prog_put = (u64)&bpf_prog_put;
	no_such = (u64)&no_such_symbol;
	hz = CONFIG_HZ;
	version = LINUX_KERNEL_VERSION;
	nothing = CONFIG_NO_SUCH_OPTION;
	cookie = LINUX_HAS_BPF_COOKIE + CONFIG_BPF + CONFIG_DEFAULT_HOSTNAME[0];
	return 0;
}"#,
    );
    // The same map of values, and the same addresses in the instructions.
    succeeds(
        &object,
        r#"set -x
        $tool load $object --pin $dir/ours
        mkdir $dir/maps
        bpftool prog loadall $object $dir/progs pinmaps $dir/maps
        for pin in ours maps; do
            bpftool -j map dump pinned $dir/$pin/machine_kconfig | jq -S . >$dir.$pin.values
        done
        grep CONFIG_HZ $dir.ours.values
        diff $dir.ours.values $dir.maps.values
        for pin in ours progs; do
            bpftool prog dump xlated pinned $dir/$pin/prog | sed -E 's/id:[0-9]+/id:N/' >$dir.$pin.insns
        done
        grep -i "0x$(sed -n 's/^\([0-9a-f]*\) . bpf_prog_put$/\1/p' /proc/kallsyms)" $dir.ours.insns
        diff $dir.ours.insns $dir.progs.insns"#,
    );
}

#[test]
fn map_pinned_by_name_is_another_one_each_time() {
    let source = |entries: u32| {
        format!(
            r#"
struct {{ __uint(type, 2); __type(key, u32); __type(value, u32); __uint(max_entries, {entries}); __uint(pinning, 1); }}
	shared SEC(".maps");
SEC("socket") int prog(void *ctx) {{ u32 k = 0; return !!bpf_map_lookup_elem(&shared, &k); }}"#
        )
    };
    let object = compile("by_name", &source(3));
    let other = compile("by_name_of_another_size", &source(4));
    let said = succeeds(
        &object,
        &format!(
            r#"set -x
        mount -t bpf bpf /sys/fs/bpf
        $tool load $object
        id=$(bpftool -j map show pinned /sys/fs/bpf/shared | jq .id)
        $tool -j load $object --pin $dir/x | jq -e ".maps[0].id == $id"
        bpftool -j prog show pinned $dir/x/prog | jq -e ".map_ids == [$id]"
        # What libbpf has pinned serves, too.
        rm /sys/fs/bpf/shared
        bpftool prog load $object $dir/prog 2>/dev/null
        id=$(bpftool -j map show pinned /sys/fs/bpf/shared | jq .id)
        $tool -j load $object | jq -e ".maps[0].id == $id"
        fails $tool load {}
        test "$(bpftool -j map show pinned /sys/fs/bpf/shared | jq .id)" = $id
        rm /sys/fs/bpf/shared
        bpftool map create /sys/fs/bpf/shared type array key 4 value 4 entries 3 name another
        $tool load $object
        umount /sys/fs/bpf
        mkdir $dir.empty
        mount --bind $dir.empty /sys/fs/bpf
        fails $tool load $object
        umount /sys/fs/bpf"#,
            other.display()
        ),
    );
    for words in [
        "reuse map shared pinned at /sys/fs/bpf/shared: its max_entries is 3, not 4\n",
        "pin map shared at /sys/fs/bpf/shared: EPERM (1)\n",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn flag_that_the_kernel_adds_makes_another_map() {
    let object = compile(
        "devmap",
        r#"
struct { __uint(type, 14); __type(key, u32); __type(value, u32); __uint(max_entries, 1); __uint(pinning, 1); }
	ports SEC(".maps");
struct { __uint(type, 25); __type(key, u32); __type(value, u32); __uint(max_entries, 1); __uint(pinning, 1); }
	hashed SEC(".maps");
SEC("socket") int prog(void *ctx) { return 0; }"#,
    );
    succeeds(
        &object,
        r#"mount -t bpf bpf /sys/fs/bpf
        id=$($tool -j load $object | jq -c '[.maps[].id]')
        test "$($tool -j load $object | jq -c '[.maps[].id]')" = "$id"
        umount /sys/fs/bpf"#,
    );
}

#[test]
fn failed_load_leaves_a_pin() {
    let object = compile(
        "pins",
        r#"
struct { __uint(type, 2); __type(key, u32); __type(value, u32); __uint(max_entries, 1); } numbers SEC(".maps");
SEC("socket") int prog(void *ctx) { u32 k = 0; return !!bpf_map_lookup_elem(&numbers, &k); }"#,
    );
    let said = succeeds(
        &object,
        r#"set -x
        $tool load $object --pin $dir/a
        rm $dir/a/prog
        fails $tool load $object --pin $dir/a
        test "$(ls $dir/a)" = numbers
        fails $tool load $object --pin $dir/b/c
        fails $tool load $object --pin $dir.file
        test ! -e $dir.file
        fails $tool load $object --pin $dir/full >/dev/full
        test ! -e $dir/full
        $tool -j load $object --pin $dir/c | jq -e '.programs[0].pinned == "'$dir'/c/prog"'
        $tool -j load $object | jq -e '.programs[0].name == "prog" and .maps[0].name == "numbers"'"#,
    );
    for line in [
        "pin map numbers at ",
        "a/numbers: EEXIST (17)\n",
        "b/c: ENOENT (2)\n",
        ".file: not in a bpffs\n",
        "write standard output: ENOSPC (28)\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn refused_object_is_not_explained() {
    let pieces = [
        (
            "fails",
            "SEC(\"socket\") int prog(void *ctx) { return *(int *)(long)bpf_get_current_task(); }",
            vec!["load prog prog: EACCES (13): R0 invalid mem access 'scalar'"],
        ),
        (
            "missing",
            "extern int no_such_kfunc(void) SEC(\".ksyms\");\nSEC(\"tc\") int prog(void *ctx) { return no_such_kfunc(); }",
            vec!["resolve ksym no_such_kfunc: not in kernel BTF"],
        ),
        (
            "missing_target",
            "SEC(\"fentry/no_such_function\") int prog(void *ctx) { return 0; }",
            vec!["load prog prog: no_such_function is not in kernel BTF"],
        ),
        (
            "missing_config",
            "extern int CONFIG_NO_SUCH_OPTION SEC(\".kconfig\");\nSEC(\"tc\") int prog(void *ctx) { return CONFIG_NO_SUCH_OPTION; }",
            vec!["resolve kconfig CONFIG_NO_SUCH_OPTION: not in the kernel's configuration"],
        ),
        (
            "missing_symbol",
            "extern const void no_such_symbol SEC(\".ksyms\");\nSEC(\"tc\") int prog(void *ctx) { return (long)&no_such_symbol; }",
            vec!["resolve ksym no_such_symbol: not in /proc/kallsyms"],
        ),
        (
            "legacy",
            "struct { u32 type; } old SEC(\"maps\") = { 1 };\nSEC(\"tc\") int prog(void *ctx) { return 0; }",
            vec!["section maps", "legacy"],
        ),
    ];
    for (name, source, words) in &pieces {
        let object = compile(name, source);
        let (ok, said) = script(&object, "$tool load $object");
        assert!(!ok, "{name} was loaded");
        // What else is known stands below, indented.
        let lines = said.lines().filter(|line| !line.starts_with("  "));
        assert_eq!(lines.count(), 1, "{said}");
        assert!(
            said.starts_with(&format!("bpf-preload: {}: ", object.display())),
            "{said}"
        );
        for word in words {
            assert!(said.contains(word), "{name}: {said}");
        }
    }
    // The log, and then the same line.
    let object = compile("fails", pieces[0].1);
    let (ok, said) = script(&object, "$tool load $object");
    let (again, log) = script(&object, "$tool load $object -d");
    let line = said.lines().next().unwrap_or_default();
    assert!(
        !ok && !again && log.contains(&format!("\n{line}\n")),
        "{log}"
    );
    assert!(
        log.contains("R0 invalid mem access")
            && log.contains("\n; SEC(")
            && log.contains("\nprocessed "),
        "{log}"
    );
    for (file, line) in [
        ("/nonexistent.o", "read /nonexistent.o: ENOENT (2)\n"),
        ("/etc/passwd", "/etc/passwd: not an ELF file\n"),
        ("/dev/null", "/dev/null: not an ELF file\n"),
        ("/bin/sh", "not a relocatable ELF object"),
        ("/", "read /: EISDIR (21)\n"),
    ] {
        let (ok, said) = script(Path::new(file), "$tool load $object");
        assert!(
            !ok && said.contains(line) && said.lines().count() == 1,
            "{said}"
        );
    }
}
