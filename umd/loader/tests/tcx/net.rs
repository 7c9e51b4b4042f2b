// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network namespaces, pairs of devices, and packets.
#![allow(unsafe_code, reason = "unshare(2)")]

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bpf_preload_umd::sys::bpf;
use bpf_preload_umd::sys::linux::Linux;
use preload_loader::tcx::{Cause, Direction, Hook};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};
use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};

/// The test's port, as in `tests/bpf/tcx.bpf.c`.
const PORT: u16 = 4711;
pub(crate) const LO: NonZeroU32 = NonZeroU32::MIN;

fn unshare_net() {
    // SAFETY: no table of file descriptors is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace (root)");
}

/// Puts this test into a network namespace of its own; false, and a word, if the kernel
/// has no tcx.
pub(crate) fn enter() -> bool {
    unshare_net();
    let hook = Hook {
        ifindex: LO,
        direction: Direction::Ingress,
    };
    match hook.query(&Linux) {
        Err(error) if error.cause == Cause::NoTcx => {
            assert!(std::env::var_os("TCX_MUST").is_none(), "{error}");
            eprintln!("skipped: {error}");
            false
        }
        result => {
            result.unwrap();
            ip("link set lo up");
            true
        }
    }
}

/// Both lists of the loopback device.
pub(crate) fn hooks() -> [Hook; 2] {
    Direction::BOTH.map(|direction| Hook {
        ifindex: LO,
        direction,
    })
}

pub(crate) fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split(' ')).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {said}");
}

pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

pub(crate) fn ifindex(name: &str) -> NonZeroU32 {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    NonZeroU32::new(netdevice::name_to_index(&fd, name).unwrap()).unwrap()
}

/// Waits until a list has that revision, since a link was dropped: what other tests have
/// forked meanwhile holds its fd, too, until it executes something.
pub(crate) fn dropped(hook: Hook, revision: u64) {
    eventually("the link is gone", || {
        hook.query(&Linux).unwrap().revision.get() == revision
    });
}

/// What a list is to be: revision, and program and link of each entry.
pub(crate) fn expect(hook: Hook, revision: u64, entries: &[(u32, u32)]) {
    let chain = hook.query(&Linux).unwrap();
    let seen: Vec<(u32, u32)> = chain
        .entries
        .iter()
        .map(|entry| (entry.prog_id, entry.link_id.map_or(0, NonZeroU32::get)))
        .collect();
    assert_eq!((chain.revision.get(), &seen[..]), (revision, entries));
    for entry in &chain.entries {
        assert_eq!((entry.prog_flags, entry.link_flags), (0, 0));
    }
}

/// A receiver of the test's packets.
pub(crate) struct Receiver(UdpSocket);

impl Receiver {
    pub(crate) fn at(address: &str) -> Self {
        let socket = UdpSocket::bind((address, PORT)).unwrap();
        Receiver(socket)
    }

    /// Has a packet come? One that is to come gets a while; one that is not to come has,
    /// on its way through one machine, been delivered when it is sent, or nearly so.
    fn got(&self, wanted: bool) -> bool {
        let limit = Duration::from_millis(if wanted { 5000 } else { 100 });
        self.0.set_read_timeout(Some(limit)).unwrap();
        match self.0.recv(&mut [0; 16]) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.got(wanted),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(error) => panic!("recv: {error}"),
        }
    }

    /// Sends one of the test's packets, which is to come.
    #[track_caller]
    pub(crate) fn gets(&self, to: &str) {
        send(to);
        assert!(self.got(true), "no packet at {to}");
    }

    /// Sends one of the test's packets, which is not to come.
    #[track_caller]
    pub(crate) fn misses(&self, to: &str) {
        send(to);
        assert!(!self.got(false), "a packet at {to}");
    }

    /// Waits until packets come at all: a device that is up has no carrier at once.
    pub(crate) fn wait(&self, to: &str) {
        eventually("packets come", || {
            send(to);
            self.got(false)
        });
        while self.got(false) {}
    }
}

/// That it is dropped on its way out may be told.
fn send(to: &str) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let _ = socket.send_to(b"packet", (to, PORT));
}

/// Waits for what the kernel does later.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// A second network namespace, and a thread in it. It goes when this is dropped.
pub(crate) struct Peer {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    tid: i32,
}

impl Peer {
    pub(crate) fn new() -> Self {
        let (work, todo) = channel::<Work>();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            unshare_net();
            tell.send(gettid().as_raw_nonzero().get()).unwrap();
            todo.into_iter().for_each(|work| work());
        });
        Peer {
            work: Some(work),
            thread: Some(thread),
            tid: told.recv().unwrap(),
        }
    }

    /// Does something there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let work = Box::new(move || tell.send(work()).unwrap());
        self.work.as_ref().unwrap().send(work).unwrap();
        told.recv().expect("the work in the other namespace failed")
    }

    /// `ve0` here and `ve1` there, up, as 10.1.0.1 and 10.1.0.2.
    pub(crate) fn pair(&self) {
        ip("link add ve0 type veth peer name ve1");
        ip(&format!("link set ve1 netns {}", self.tid));
        let up = |name: &str, address: &str| {
            // No packets but the test's and what finds the peer.
            let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
            ip(&format!("addr add {address}/24 dev {name}"));
            ip(&format!("link set {name} up"));
        };
        up("ve0", "10.1.0.1");
        self.run(move || {
            ip("link set lo up");
            up("ve1", "10.1.0.2");
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts a program into a classic filter of a device that has a qdisc for it. `tc` takes it
/// from a pin.
pub(crate) fn filter(device: &str, direction: Direction, fd: i32) {
    let bpffs = Bpffs::mount();
    let pin = bpffs.pin("prog", fd);
    let (direction, pin) = (direction.name(), pin.display());
    run(
        "tc",
        &format!("filter add dev {device} {direction} bpf direct-action object-pinned {pin}"),
    );
}

/// A bpffs of a test: threads share the mount namespace, so it has a directory of its own.
pub(crate) struct Bpffs(pub(crate) PathBuf);

impl Bpffs {
    pub(crate) fn mount() -> Self {
        let dir = std::env::temp_dir().join(format!("tcx_bpffs_{}", gettid()));
        fs::create_dir_all(&dir).unwrap();
        run("mount", &format!("-t bpf bpf {}", dir.display()));
        Bpffs(dir)
    }

    pub(crate) fn pin(&self, name: &str, fd: i32) -> PathBuf {
        let path = self.0.join(name);
        let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
        bpf::obj_pin(&Linux, fd, &c_path).unwrap();
        path
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        run("umount", &self.0.display().to_string());
        let _ = fs::remove_dir(&self.0);
    }
}
