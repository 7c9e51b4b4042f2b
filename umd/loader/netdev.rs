// SPDX-License-Identifier: MIT OR Apache-2.0
//! Network devices of this namespace, and classic tc's programs at them, by rtnetlink.
//!
//! Of a message no more is looked at than is needed: a filter of a kind that nobody here
//! knows is one like another.

use std::num::NonZeroU32;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::failure::Failure;
use crate::tcx::Direction;

/// Messages, of the uapi `linux/rtnetlink.h`.
const RTM_GETLINK: u16 = 18;
const RTM_GETQDISC: u16 = 38;
const RTM_GETTFILTER: u16 = 46;

/// Attributes, of `linux/if_link.h`, `linux/rtnetlink.h` and `linux/pkt_cls.h`.
const IFLA_IFNAME: u16 = 3;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;

/// Bytes of `struct ifinfomsg` and of `struct tcmsg`, of `linux/rtnetlink.h`.
const IFINFOMSG: usize = 16;
const TCMSG: usize = 20;

/// Where classic programs are attached, of `linux/pkt_sched.h`.
const TC_H_CLSACT: u32 = 0xffff_fff1;
const TC_H_MIN_INGRESS: u32 = 0xffff_fff2;
const TC_H_MIN_EGRESS: u32 = 0xffff_fff3;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number in this namespace.
    pub ifindex: NonZeroU32,
    /// Its name.
    pub name: String,
}

/// A classic filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of which kind: `bpf`, `matchall`, ...
    pub kind: String,
    /// Lower is asked earlier.
    pub pref: u32,
    /// Its number among those.
    pub handle: u32,
    /// Of which chain; the first is 0.
    pub chain: u32,
    /// Of a `bpf` filter: id of its program.
    pub prog_id: Option<u32>,
    /// Is what the program returns the verdict?
    pub direct_action: bool,
}

/// What classic tc has behind a list of tcx.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classic {
    /// Kind of the qdisc: `clsact` or `ingress`. Without one there are no filters.
    pub qdisc: Option<String>,
    /// Its filters, in the order in which they are asked.
    pub filters: Vec<Filter>,
}

/// A message as it is: its type and what follows the header.
#[derive(Debug)]
struct Message(u16, Vec<u8>);

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.0
    }
    fn buffer_len(&self) -> usize {
        self.1.len()
    }
    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.1);
    }
}

impl NetlinkDeserializable for Message {
    type Error = std::convert::Infallible;
    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Message(header.message_type, payload.to_vec()))
    }
}

impl Message {
    fn word(&self, at: usize) -> u32 {
        word(self.1.get(at..).unwrap_or_default()).unwrap_or(0)
    }

    /// The first attribute of this type, behind a fixed part of so many bytes.
    fn attribute(&self, fixed: usize, wanted: u16) -> Option<&[u8]> {
        attribute(self.1.get(fixed..)?, wanted)
    }

    fn text(&self, fixed: usize, wanted: u16) -> Option<String> {
        let bytes = self.attribute(fixed, wanted)?;
        let text = bytes.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut at = 0;
    for attribute in NlasIterator::new(bytes) {
        // What follows one that is damaged cannot be told.
        let attribute = attribute.ok()?;
        let len = usize::from(attribute.length());
        if attribute.kind() == wanted {
            return bytes.get(at..at + len)?.get(4..);
        }
        at += len.next_multiple_of(4);
    }
    None
}

/// All answers to a request for a dump.
fn dump(step: &str, request: Message) -> Result<Vec<Message>, Failure> {
    let wrong = |error: &std::io::Error| Failure::io(step, "rtnetlink".as_ref(), error);
    let damaged = || Failure::new(format!("{step} rtnetlink: a message is damaged"));
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(|error| wrong(&error))?;
    socket.bind_auto().map_err(|error| wrong(&error))?;
    let kernel = SocketAddr::new(0, 0);
    socket.connect(&kernel).map_err(|error| wrong(&error))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0).map_err(|error| wrong(&error))?;

    let mut answers = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full().map_err(|error| wrong(&error))?;
        let mut rest = &bytes[..];
        if rest.is_empty() {
            return Err(damaged());
        }
        while !rest.is_empty() {
            let message = NetlinkMessage::<Message>::deserialize(rest).map_err(|_| damaged())?;
            let len = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) => return Err(wrong(&error.to_io())),
                _ => {}
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// All devices, in the kernel's order.
///
/// # Errors
/// As the kernel reports it.
pub fn devices() -> Result<Vec<Device>, Failure> {
    let request = Message(RTM_GETLINK, vec![0; IFINFOMSG]);
    let mut devices: Vec<Device> = dump("list devices by", request)?
        .iter()
        .filter_map(|message| {
            Some(Device {
                ifindex: NonZeroU32::new(message.word(4))?,
                name: message.text(IFINFOMSG, IFLA_IFNAME)?,
            })
        })
        .collect();
    devices.sort_by_key(|device| device.ifindex);
    Ok(devices)
}

/// The device of this name.
///
/// # Errors
/// There is none.
pub fn device(name: &str) -> Result<Device, Failure> {
    let found = devices()?.into_iter().find(|device| device.name == name);
    found.ok_or_else(|| {
        let what = "no such device in this network namespace";
        Failure::new(format!("find device {name}: {what}"))
    })
}

/// What classic tc has at a device.
///
/// # Errors
/// As the kernel reports it.
pub fn classic(ifindex: NonZeroU32, direction: Direction) -> Result<Classic, Failure> {
    let about = |command, parent: u32| {
        let words = [0, ifindex.get(), 0, parent, 0];
        Message(
            command,
            words.iter().flat_map(|word| word.to_ne_bytes()).collect(),
        )
    };
    let at = |message: &Message| message.word(4) == ifindex.get();
    // Not all kernels leave out the qdiscs of other devices.
    let qdiscs = dump("list qdiscs by", about(RTM_GETQDISC, 0))?;
    let mut qdiscs = qdiscs.iter().filter(|m| at(m) && m.word(12) == TC_H_CLSACT);
    let Some(kind) = qdiscs.find_map(|message| message.text(TCMSG, TCA_KIND)) else {
        return Ok(Classic::default());
    };
    // An ingress qdisc would show its filters by any number.
    let parent = match direction {
        Direction::Ingress => TC_H_MIN_INGRESS,
        Direction::Egress if kind == "ingress" => return Ok(Classic::default()),
        Direction::Egress => TC_H_MIN_EGRESS,
    };
    let filters = dump("list filters by", about(RTM_GETTFILTER, parent))?;
    // One with a handle of 0 stands for a priority, not for a filter.
    let filters = filters.iter().filter(|m| m.word(8) != 0);
    Ok(Classic {
        qdisc: Some(kind),
        filters: filters.map(filter).collect(),
    })
}

fn filter(message: &Message) -> Filter {
    let kind = message.text(TCMSG, TCA_KIND).unwrap_or_default();
    let option = |wanted| match kind.as_str() {
        "bpf" => word(attribute(message.attribute(TCMSG, TCA_OPTIONS)?, wanted)?),
        _ => None,
    };
    Filter {
        pref: message.word(16) >> 16,
        handle: message.word(8),
        chain: message
            .attribute(TCMSG, TCA_CHAIN)
            .and_then(word)
            .unwrap_or(0),
        prog_id: option(TCA_BPF_ID),
        direct_action: option(TCA_BPF_FLAGS).unwrap_or(0) & TCA_BPF_FLAG_ACT_DIRECT != 0,
        kind,
    }
}
