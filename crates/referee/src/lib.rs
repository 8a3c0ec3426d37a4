//! libnftnl, which `nft` is made of, as the referee of messages that are written without it: what
//! it reads in a message and writes again, and what it writes of the same objects by itself.
//!
//! Only tests have it. It is under the GPL, and what ships neither links nor needs it.
#![expect(
    unsafe_code,
    reason = "a C library: each function owns what it allocates until it ends, and each pointer \
              that is passed on is into a buffer or text that outlives the call"
)]

mod attributes;
mod build;

pub use attributes::{Attribute, Contents, attributes};

use libc::nlmsghdr;
use nft_wire::nf_tables::{Chain, Data, Element, HEADER, Object, Rule, Set, Table, nfta};
use nft_wire::{Message, messages};
use nftnl_sys as sys;

/// What the library makes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot read it.
    Refused,
    /// It is not about objects: the mark of a batch.
    Mark,
    /// The attributes of what it wrote.
    Written(Vec<Attribute>),
}

/// Which object a message is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Chain,
    Rule,
    Set,
    Elements,
    Object,
}

fn kind_of(message: Message<'_>) -> Option<Kind> {
    let (kind, _) = nft_wire::nf_tables::kind_of(message)?;
    match kind {
        libc::NFT_MSG_NEWTABLE | libc::NFT_MSG_DELTABLE => Some(Kind::Table),
        libc::NFT_MSG_NEWCHAIN | libc::NFT_MSG_DELCHAIN => Some(Kind::Chain),
        libc::NFT_MSG_NEWRULE | libc::NFT_MSG_DELRULE => Some(Kind::Rule),
        libc::NFT_MSG_NEWSET | libc::NFT_MSG_DELSET => Some(Kind::Set),
        libc::NFT_MSG_NEWSETELEM | libc::NFT_MSG_DELSETELEM => Some(Kind::Elements),
        libc::NFT_MSG_NEWOBJ => Some(Kind::Object),
        _ => None,
    }
}

/// A message as the library writes it, whose attributes `write` adds.
fn written(like: &[u8], write: impl FnOnce(*mut nlmsghdr)) -> Vec<Attribute> {
    // It writes without asking how much room there is, but nothing that it was not given.
    let mut buffer = vec![0u64; like.len() / 4 + 512];
    // SAFETY: the buffer is aligned and has room for the headers and twice the attributes.
    let header = unsafe { sys::nftnl_nlmsg_build_hdr(buffer.as_mut_ptr().cast(), 0, 0, 0, 0) };
    write(header);
    // SAFETY: the header is in the buffer, and the library has written its length.
    let length = unsafe { (*header).nlmsg_len } as usize;
    let words = buffer.iter().take(length.div_ceil(8));
    let bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
    let whole = bytes.get(..length).unwrap_or_default();
    let body = messages(whole).next().map(|message| message.body(HEADER));
    let mut all = attributes(body.unwrap_or_default());
    if messages(like).next().and_then(kind_of) == Some(Kind::Elements) {
        all.iter_mut().for_each(name_elements);
    }
    all
}

/// Elements of a list are `NFTA_LIST_ELEM`, and the library numbers them instead. The kernel does
/// not look at it.
fn name_elements(list: &mut Attribute) {
    if let (nfta::SET_ELEM_LIST_ELEMENTS, Contents::Attributes(elements)) =
        (list.kind, &mut list.contents)
    {
        for element in elements {
            element.kind = nfta::LIST_ELEM;
        }
    }
}

/// Lets the library read a message, and write what it has read.
pub fn rewrite(message: &[u8]) -> Verdict {
    let Some(kind) = messages(message).next().and_then(kind_of) else {
        return Verdict::Mark;
    };
    let mut aligned = vec![0u64; message.len().div_ceil(8)];
    for (word, bytes) in aligned.iter_mut().zip(message.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    let header: *const nlmsghdr = aligned.as_ptr().cast();
    let answer = |read: libc::c_int, write: &dyn Fn(*mut nlmsghdr)| match read {
        0.. => Verdict::Written(written(message, write)),
        _ => Verdict::Refused,
    };
    // SAFETY: the header is that of a whole message in an aligned buffer, and each object is
    // freed once, after its last use.
    unsafe {
        match kind {
            Kind::Table => {
                let table = sys::nftnl_table_alloc();
                let answer = answer(sys::nftnl_table_nlmsg_parse(header, table), &|out| {
                    sys::nftnl_table_nlmsg_build_payload(out, table);
                });
                sys::nftnl_table_free(table);
                answer
            }
            Kind::Chain => {
                let chain = sys::nftnl_chain_alloc();
                let answer = answer(sys::nftnl_chain_nlmsg_parse(header, chain), &|out| {
                    sys::nftnl_chain_nlmsg_build_payload(out, chain);
                });
                sys::nftnl_chain_free(chain);
                answer
            }
            Kind::Rule => {
                let rule = sys::nftnl_rule_alloc();
                let answer = answer(sys::nftnl_rule_nlmsg_parse(header, rule), &|out| {
                    sys::nftnl_rule_nlmsg_build_payload(out, rule);
                });
                sys::nftnl_rule_free(rule);
                answer
            }
            Kind::Set => {
                let set = sys::nftnl_set_alloc();
                let answer = answer(sys::nftnl_set_nlmsg_parse(header, set), &|out| {
                    sys::nftnl_set_nlmsg_build_payload(out, set);
                });
                sys::nftnl_set_free(set);
                answer
            }
            Kind::Object => {
                let object = sys::nftnl_obj_alloc();
                let answer = answer(sys::nftnl_obj_nlmsg_parse(header, object), &|out| {
                    sys::nftnl_obj_nlmsg_build_payload(out, object);
                });
                sys::nftnl_obj_free(object);
                answer
            }
            Kind::Elements => {
                let set = sys::nftnl_set_alloc();
                let answer = answer(sys::nftnl_set_elems_nlmsg_parse(header, set), &|out| {
                    sys::nftnl_set_elems_nlmsg_build_payload(out, set);
                });
                sys::nftnl_set_free(set);
                answer
            }
        }
    }
}

/// Lets the library write the objects that a message is about, as [`nft_wire`] reads them, by the
/// library's own names for what they have.
pub fn write_by_name(message: &[u8]) -> Verdict {
    let Some(sent) = messages(message).next() else {
        return Verdict::Refused;
    };
    let Some(kind) = kind_of(sent) else {
        return Verdict::Mark;
    };
    let body = sent.body(HEADER);
    let write: Option<Box<dyn FnOnce(*mut nlmsghdr)>> = match kind {
        Kind::Table => {
            Table::read(body).map(|table| Box::new(move |out| build::table(out, &table)) as _)
        }
        Kind::Chain => {
            Chain::read(body).map(|chain| Box::new(move |out| build::chain(out, &chain)) as _)
        }
        Kind::Rule => {
            Rule::read(body).map(|rule| Box::new(move |out| build::rule(out, &rule)) as _)
        }
        Kind::Set => match Set::read(body) {
            Some(set) => Some(Box::new(move |out| build::set(out, &set)) as _),
            // One that is to be deleted has nothing but its name.
            None => Some(Box::new(|out| build::named_set(out, body)) as _),
        },
        Kind::Object => {
            Object::read(body).map(|object| Box::new(move |out| build::object(out, &object)) as _)
        }
        Kind::Elements => Some(Box::new(|out| build::elements(out, body))),
    };
    match write {
        Some(write) => Verdict::Written(written(message, write)),
        None => Verdict::Refused,
    }
}

/// Whether a data is a verdict, which the library keeps apart from values.
pub(crate) fn verdict_of(data: &Data) -> Option<(i32, Option<&str>)> {
    match data {
        Data::Verdict { code, chain } => Some((*code, chain.as_deref())),
        Data::Value(_) => None,
    }
}

/// The elements of a message with a list of them.
pub(crate) fn elements_of(body: &[u8]) -> impl Iterator<Item = Element<'_>> {
    Element::list(body)
}
