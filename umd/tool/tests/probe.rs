// SPDX-License-Identifier: MIT OR Apache-2.0
//! `probe` on the running kernel, against bpftool's `feature probe`, that is libbpf.

use std::process::Command;

/// Runs a script with `$tool`, and a directory `$dir` that is gone afterwards: its output.
fn succeeds(script: &str) -> String {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "exec 2>&1; set -eu; dir=$(mktemp -d); trap 'rm -rf $dir' EXIT; {script}"
        ))
        .env("tool", env!("CARGO_BIN_EXE_bpf-preload"))
        .output()
        .expect("sh cannot be run");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn type_is_judged_otherwise_than_by_libbpf() {
    let said = succeeds(
        r#"bpftool -j feature probe >$dir/theirs
        $tool -j probe >$dir/ours
        for kind in program map; do
            suffix=_prog_type
            [ $kind = program ] || suffix=_map_type
            # Theirs are fewer: they know no newer ones.
            jq -r ".${kind}_types | to_entries[] | (.key | ltrimstr(\"have_\") | rtrimstr(\"$suffix\")) + \" \" + (.value | tostring)" $dir/theirs | sort >$dir/a
            jq -r ".${kind}_types | to_entries[] | .key + \" \" + (.value == null | tostring)" $dir/ours | sort >$dir/b
            test $(wc -l <$dir/a) -gt 25
            comm -23 $dir/a $dir/b
        done"#,
    );
    assert_eq!(said, "", "what bpftool says and we do not");
}

#[test]
fn no_is_not_explained() {
    let said = succeeds(
        r#"$tool probe
        # Without capabilities it is these that are missing.
        setpriv --bounding-set=-all --inh-caps=-all $tool -j probe >$dir/out
        jq -e '.program_types.kprobe | test("EPERM")' $dir/out >/dev/null"#,
    );
    for line in said.lines().filter(|line| !line.ends_with(": yes")) {
        assert!(line.contains(": no (") && line.ends_with(')'), "{line}");
    }
    assert!(said.contains("program type xdp: yes\n"), "{said}");
}
