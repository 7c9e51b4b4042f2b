// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects made of C, and scripts that run the tool on them, each in a mount
//! namespace of its own.
#![allow(dead_code, reason = "each test binary uses a part")]

#[path = "../../../lower/tests/common/clang.rs"]
mod clang;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What every source may use.
const HEADER: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define noinline __attribute__((noinline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define tag(t) __attribute__((btf_decl_tag(t)))
typedef unsigned int u32;
typedef unsigned long long u64;
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;
char LICENSE[] SEC("license") = "GPL";
"#;

/// Compiles `HEADER` and `source` as `name.bpf.c`.
pub(crate) fn compile(name: &str, source: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
    clang::compile_in(&dir, "bpf", name, &format!("{HEADER}{source}"))
}

/// Runs a script with `$tool`, `$object`, and a bpffs at `$dir`: its status and output.
pub(crate) fn script(object: &Path, script: &str) -> (bool, String) {
    let script = format!(
        "dir=$(mktemp -d /tmp/tool_XXXXXX); trap 'umount $dir; rm -rf $dir $dir.*' EXIT; \
         mount -t bpf bpf $dir; {script}"
    );
    unshared(&script, Some(object))
}

/// Runs a script with `$tool`, and maybe `$object`: its status and output.
/// `fails COMMAND...` is for what `set -e` does not see: a `! COMMAND` that fails.
pub(crate) fn unshared(script: &str, object: Option<&Path>) -> (bool, String) {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(format!(
            "exec 2>&1; set -eu; \
             fails() {{ ! \"$@\" || {{ echo \"succeeds: $*\"; exit 1; }}; }}; {script}"
        ))
        .env("tool", env!("CARGO_BIN_EXE_bpf-preload"))
        .envs(object.map(|object| ("object", object)))
        .output()
        .expect("unshare cannot be run");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.success(), said)
}

pub(crate) fn succeeds(object: &Path, text: &str) -> String {
    let (ok, said) = script(object, text);
    assert!(ok, "{said}");
    said
}
