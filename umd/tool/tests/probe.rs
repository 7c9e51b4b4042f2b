// SPDX-License-Identifier: MIT OR Apache-2.0
//! `probe` on the running kernel. With bpftool it is compared by tests/probe.sh.

use std::process::Command;

/// Runs a script with `$tool`, and a directory `$dir` that is gone afterwards: its output.
fn succeeds(script: &str) -> String {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "exec 2>&1; set -eu; dir=$(mktemp -d); trap 'rm -rf $dir' EXIT; chmod 755 $dir; \
             cp \"$tool\" $dir/tool; tool=$dir/tool; {script}"
        ))
        .env("tool", env!("CARGO_BIN_EXE_bpf-preload"))
        .output()
        .expect("sh cannot be run");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn no_has_no_reason() {
    let said = succeeds("$tool probe");
    for line in said.lines() {
        let settings = ["k", "n", "l", "t", "helpers"];
        let verdict = line.ends_with(": yes")
            || (line.contains(": no (") || line.contains(": unknown (")) && line.ends_with(')');
        assert!(
            verdict || settings.iter().any(|name| line.starts_with(name)),
            "{line}"
        );
    }
    assert!(said.contains("program type xdp: yes\n"), "{said}");
    assert!(said.contains("btf: enum64: yes\n"), "{said}");
}

#[test]
fn json_says_less_than_the_text() {
    succeeds(
        r#"$tool probe >$dir/text
        $tool -j probe >$dir/json
        jq -e '.program_types.xdp == null and (.program_types | has("xdp"))' $dir/json
        jq -e '.settings.kernel | test("^[0-9]+[.]")' $dir/json
        # What is there, by type; and the others with their reasons.
        jq -r '.helpers.xdp | to_entries[] | select(.value == null).key' $dir/json >$dir/helpers
        test "$(paste -sd' ' $dir/helpers)" = "$(sed -n 's/^helpers of xdp: //p' $dir/text)"
        jq -e '.helpers.xdp.bpf_seq_write | test("not for programs of this type")' $dir/json
        jq -e '.helpers.xdp.bpf_trace_printk.unknown' $dir/json
        jq -e '.helpers.ext | type == "string"' $dir/json"#,
    );
}

#[test]
fn missing_capability_is_not_named() {
    let said = succeeds(
        r#"setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all $tool -j probe >$dir/out
        jq -r '.program_types.kprobe, .capabilities.CAP_BPF, .helpers.kprobe' $dir/out
        # With some of them it is the other one.
        setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,+bpf --inh-caps=-all,+bpf --ambient-caps=-all,+bpf $tool -j probe >$dir/out
        jq -r '.program_types.kprobe, .program_types.xdp, .map_types.devmap' $dir/out
        jq -e '.program_types.socket_filter == null and .map_types.hash == null' $dir/out >/dev/null
        jq -r '.helpers.socket_filter.bpf_probe_read_kernel' $dir/out"#,
    );
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(
        said,
        [
            "EPERM (1): this process has no CAP_BPF",
            "this process has it not",
            "no program of the type can be loaded",
            "EPERM (1): this process has no CAP_PERFMON",
            "EPERM (1): this process has no CAP_NET_ADMIN",
            "EPERM (1): this process has no CAP_NET_ADMIN",
            "not for programs of this type by a process without CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN",
        ]
    );
}
