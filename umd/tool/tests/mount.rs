// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mount DIR` on the running kernel, as root, each test in a mount namespace of its own.

mod common;

/// Runs a script with `$tool` and an empty directory `$dir`: its status and output.
fn script(script: &str) -> (bool, String) {
    common::unshared(&format!("set -x; dir=$(mktemp -d); {script}"), None)
}

fn succeeds(text: &str) -> String {
    let (ok, said) = script(text);
    assert!(ok, "{said}");
    said
}

#[test]
fn mounted_listing_lacks_a_live_object() {
    // Who else loads and unloads meanwhile does not matter: these are held by the pins.
    succeeds(
        r#"$tool mount $dir
        for file in maps progs; do
            prog=$(bpftool -j link show pinned $dir/${file}_debug | jq .prog_id)
            grep -E "^ *$prog +dump_bpf_${file%s} +bpf_iter_bpf_${file%s}" $dir/progs_debug
            map=$(bpftool -j prog show id $prog | jq '.map_ids[0]')
            grep -E "^ *$map +iterator.rodata +1 " $dir/maps_debug
        done"#,
    );
}

#[test]
fn mounted_twice_or_over_another_mount() {
    succeeds(
        r#"mount -t bpf bpf $dir
        mkdir $dir/sub
        test "$($tool -j mount $dir/sub | jq .mounted)" = false
        test -f $dir/sub/maps_debug
        test "$(grep -c " $dir" /proc/mounts)" = 1
        $tool mount $dir
        test -f $dir/progs_debug
        test "$(grep -c " $dir" /proc/mounts)" = 1
        other=$(mktemp -d)
        ln -s $other $other.link
        test "$($tool -j mount $other.link | jq -c '[.mounted, .dir]')" = "[true,\"$other\"]""#,
    );
}

#[test]
fn failed_mount_leaves_a_pin() {
    let said = succeeds(
        r#"$tool mount $dir
        rm $dir/maps_debug
        ls -i $dir >$dir.before
        fails $tool mount $dir
        ls -i $dir | diff $dir.before -"#,
    );
    let line = "bpf-preload: pin link progs.debug at ";
    assert!(
        said.contains(line) && said.contains("EEXIST (17)\n"),
        "{said}"
    );
}

#[test]
fn failed_mount_stays_mounted() {
    // Descriptors for the mount and for some of the objects, not for all.
    let said = succeeds(
        r#"for n in 4 5 6 7 8; do
            fails prlimit --nofile=$n $tool mount $dir
            fails grep " $dir " /proc/mounts
        done"#,
    );
    assert!(said.contains("bpf-preload: load prog "), "{said}");
    // Nor one that nobody could be told of.
    succeeds(
        r#"fails $tool mount $dir >/dev/full
        fails grep " $dir " /proc/mounts"#,
    );
    assert!(said.contains("EMFILE (24)\n"), "{said}");
}

#[test]
fn signal_leaves_a_mount_in_a_container_unsaid() {
    // From before it has begun to after it is done.
    succeeds(
        r#"unshare --map-root-user --mount sleep 100 & container=$!
        trap "kill $container" EXIT
        until grep -q 0 /proc/$container/uid_map; do kill -0 $container; done
        until test "$(readlink /proc/$container/ns/mnt)" != "$(readlink /proc/self/ns/mnt)"; do kill -0 $container; done
        said=0 done=0
        for i in $(seq 1 40); do
            $tool mount $dir --userns $container --delegate-cmds any >$dir.out 2>$dir.err & pid=$!
            sleep 0.00$(printf %02d $((i / 2)))
            kill -TERM $pid 2>/dev/null || :
            if wait $pid; then
                done=$((done + 1))
            elif grep "interrupted by SIGTERM: the bpffs is mounted all the same" $dir.err; then
                said=$((said + 1))
            else
                fails grep " $dir bpf " /proc/$container/mounts
                continue
            fi
            grep " $dir bpf " /proc/$container/mounts
            nsenter -t $container -U -m umount $dir
        done
        echo said $said done $done"#,
    );
}

#[test]
fn bad_directory_is_not_explained() {
    for (argument, line, errno) in [
        (
            "/nonexistent/dir",
            "look at /nonexistent/dir: ENOENT (2)",
            2,
        ),
        (
            "/etc/passwd",
            "mount a bpffs on /etc/passwd: ENOTDIR (20)",
            20,
        ),
    ] {
        let (ok, said) = script(&format!("$tool -j mount {argument}"));
        assert!(!ok, "{said}");
        let wanted = format!("{{\"error\":\"{line}\",\"errno\":{errno}}}\nbpf-preload: {line}\n");
        assert!(said.ends_with(&wanted), "{said}");
    }
}

#[test]
fn usage_error_looks_like_a_failure() {
    for (arguments, status) in [
        ("", 2),
        ("mount", 2),
        ("nonsense", 2),
        ("--help", 0),
        ("mount /nonexistent", 1),
    ] {
        let (ok, said) = script(&format!(
            "$tool {arguments} && status=0 || status=$?; test $status = {status}"
        ));
        assert!(ok, "{arguments}: {said}");
    }
}

#[test]
fn manual_or_completion_lacks_a_command() {
    succeeds(
        r#"$tool man >$dir/page
        for command in load dump relo mount probe tcx completion man; do
            grep "bpf\\\\-preload\\\\-$command(1)" $dir/page
            $tool completion bash | grep -w $command
        done
        for command in attach show replace detach verify; do
            grep "bpf\\\\-preload\\\\-tcx\\\\-$command(1)" $dir/page
        done"#,
    );
}
