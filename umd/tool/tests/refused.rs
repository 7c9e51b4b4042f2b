// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `load` says of objects that are refused: `tests/bpf/refused/check` knows what it
//! must be, on this kernel as in the VMs.

mod common;

use std::path::Path;
use std::process::Command;

use common::{compile, script};

#[test]
fn refusal_is_not_told_where_and_why() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bpf");
    let objects = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused_objects");
    let run = |program: &str, args: &[&Path]| {
        let output = Command::new(here.join(program)).args(args).output();
        let output = output.expect("the script can be run");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{program}: {said}");
    };
    let source = here.join("refused/refused.bpf.c");
    run("variants", &[&source, "REFUSED".as_ref(), &objects]);
    let tool = Path::new(env!("CARGO_BIN_EXE_bpf-preload"));
    run("refused/check", &[&objects, tool]);
}

#[test]
fn missing_capability_is_not_named() {
    let object = compile(
        "capable",
        r#"
struct { __uint(type, 1); __type(key, u32); __type(value, u32); __uint(max_entries, 1); } numbers SEC(".maps");
SEC("kprobe/vfs_read") int prog(void *ctx) { u32 k = 0; return !!bpf_map_lookup_elem(&numbers, &k); }"#,
    );
    for (dropped, line) in [
        (
            "-bpf,-sys_admin",
            "create map numbers: EPERM (1): this process has no CAP_BPF\n",
        ),
        (
            "-perfmon,-sys_admin",
            "load prog prog: EPERM (1): this process has no CAP_PERFMON\n",
        ),
    ] {
        let command = format!("setpriv --bounding-set {dropped} $tool load $object");
        let (ok, said) = script(&object, &command);
        assert!(!ok && said.contains(line), "{said}");
    }
    let (ok, said) = script(&object, "unshare --user --map-root-user $tool load $object");
    let line = "EPERM (1): this process is in a user namespace of its own, and has no BPF token\n";
    assert!(!ok && said.contains(line), "{said}");
}

/// A plain load is read without the parser (`Cli::read`): it is the command that the parser
/// would have read, in another order, to what cannot be loaded, and to the environment.
#[test]
fn plain_load_is_another_command() {
    let source = "int count; SEC(\"tc\") int prog(void *ctx) { return count++; }";
    let object = common::compile("plain", source);
    let said = common::succeeds(
        &object,
        r#"said() { "$@" 2>&1 | sed -E 's/id [0-9]+/id N/'; }
        same() { test "$1" = "$2" || { echo "$1"; echo "$2"; exit 1; }; }
        same "$(said $tool load $object)" "$(said $tool load -- $object)"
        mkdir $dir/x
        plain=$(said $tool load $object --pin $dir/x)
        rm -r $dir/x
        same "$plain" "$(said $tool load --pin $dir/x $object)"
        ls $dir/x/prog
        same "$(said $tool load $object --pin $dir/x)" "$(said $tool load --pin $dir/x $object)"
        same "$(said $tool load /no/such)" "$(said $tool load -- /no/such)"
        export LIBBPF_BPF_TOKEN_PATH=/no/such
        same "$(said $tool load $object)" "$(said $tool load -- $object)"
        said $tool load $object"#,
    );
    assert!(said.contains("/no/such"), "{said}");
}
