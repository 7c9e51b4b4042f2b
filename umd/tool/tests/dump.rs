// SPDX-License-Identifier: MIT OR Apache-2.0
//! `dump IMAGE|FILE.o`, and any bytes as either.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = r#"
#define SEC(name) __attribute__((section(name), used))
struct { int (*type)[1]; int *key; long *value; int (*max_entries)[9]; int (*pinning)[1]; } hash SEC(".maps");
extern int CONFIG_HZ SEC(".kconfig");
extern void some_kfunc(void) __attribute__((weak)) SEC(".ksyms");
SEC("fentry/some_function") int prog(void *ctx) { some_kfunc(); return CONFIG_HZ + (long)&hash; }
char LICENSE[] SEC("license") = "GPL";
"#;

/// Status and output, stdout and then stderr.
fn tool(arguments: &[&str], file: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bpf-preload"))
        .args(arguments)
        .arg(file)
        .output()
        .expect("run");
    let mut said = output.stdout;
    said.extend(output.stderr);
    (
        output.status.code(),
        String::from_utf8(said).expect("UTF-8"),
    )
}

#[test]
fn image_is_not_what_the_object_says() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dump");
    std::fs::create_dir_all(&dir).expect("create a directory");
    let [c, o, img] = ["c", "o", "img"].map(|end| dir.join(format!("dumped.bpf.{end}")));
    std::fs::write(&c, SOURCE).expect("write the source");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let compiled = Command::new(clang)
        .args(["-target", "bpf", "-O2", "-g", "-c", "-o"])
        .args([&o, &c])
        .status();
    assert!(compiled.expect("clang cannot be run").success());
    let (status, said) = tool(&["dump"], &o);
    assert_eq!(status, Some(0), "{said}");
    for line in [
        "object dumped: license \"GPL\"",
        "prog prog: type 26, attach type 24, flags 0x0, ",
        ", attach to some_function\n",
        "map hash: type 1, key 4, value 8, max_entries 9, flags 0x0, pinned by name\n",
        "map dumped.kconfig: type 2, key 4, value 4, max_entries 1, flags 0x480, 4 bytes of data, frozen\n",
        "ksym some_kfunc, weak\n",
        "kconfig CONFIG_HZ\n",
        "target some_function\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // An image looks like the object that it came from.
    let object = std::fs::read(&o).expect("read");
    let image = preload_lower::lower(&object, "dumped").expect("lower");
    std::fs::write(&img, &image).expect("write");
    assert_eq!(tool(&["dump"], &img).1, said);
    assert_eq!(tool(&["-j", "dump"], &img).1, tool(&["-j", "dump"], &o).1);
    // Cut or changed anywhere: a line, and no panic.
    let broken = dir.join("broken.img");
    let (mut good, mut bad) = (0, 0);
    for at in (4..image.len()).step_by(29) {
        let mut changed = image.clone();
        *changed.get_mut(at).expect("byte") ^= 0xff;
        for bytes in [image.get(..at).expect("prefix"), &changed] {
            std::fs::write(&broken, bytes).expect("write");
            let (status, said) = tool(&["dump"], &broken);
            if status == Some(0) {
                good += 1;
            } else {
                bad += 1;
                assert_eq!((status, said.lines().count()), (Some(1), 1), "{at}: {said}");
            }
        }
    }
    assert!(
        good > 10 && bad > image.len() / 29,
        "{good} good, {bad} bad"
    );
}
