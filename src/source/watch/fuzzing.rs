//! For fuzz targets: what an API server's answers come to, without a connection.

use super::event::{self, Lines, WatchEvent};
use super::failure::Failure;
use super::list::List;
use super::{gone, upsert};
use crate::source::convert;
use crate::source::intern::Interner;
use crate::source::objects::{EndpointSlice, Service};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::Resource;
use rules::{Change, ObjectKind};
use serde::de::DeserializeOwned;

/// What came of an answer.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// What happened to objects.
    pub events: Vec<Change>,
    /// What is wrong with them, a line each.
    pub problems: Vec<String>,
    /// Objects of a list, as they were cut out.
    pub objects: Vec<Vec<u8>>,
    /// Why the answer is of no use, or of none any more.
    pub failure: Option<String>,
    /// The version that a list is of.
    pub version: Option<String>,
}

/// Reads a list, or else a watch's events, that comes in these pieces.
pub fn answer<'a>(
    kind: ObjectKind,
    is_list: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Answer {
    let mut interner = Interner::default();
    match kind {
        ObjectKind::Service => read(kind, is_list, pieces, |own: &Service| {
            upsert(convert::service(own), Change::Service)
        }),
        ObjectKind::EndpointSlice => read(kind, is_list, pieces, |own: &EndpointSlice| {
            upsert(convert::endpoint_slice(own, &mut interner), Change::Slice)
        }),
        ObjectKind::Node => read(kind, is_list, pieces, |own: &Node| {
            upsert(convert::node(own), Change::Node)
        }),
        ObjectKind::ServiceCidr => read(kind, is_list, pieces, |own: &ServiceCIDR| {
            upsert(convert::service_cidr(own), Change::ServiceCidr)
        }),
    }
}

fn read<'a, K: Resource + DeserializeOwned>(
    kind: ObjectKind,
    is_list: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
    mut convert: impl FnMut(&K) -> (Option<Change>, Vec<String>),
) -> Answer {
    let mut answer = Answer::default();
    let mut applied = |object: &K, answer: &mut Answer| {
        let (event, problems) = convert(object);
        answer.problems.extend(problems);
        answer
            .events
            .push(event.unwrap_or_else(|| gone(kind, object.meta())));
    };
    let result = if is_list {
        list(pieces, &mut answer, &mut applied)
    } else {
        watch(kind, pieces, &mut answer, &mut applied)
    };
    answer.failure = result.err().map(|failure| failure.to_string());
    answer
}

fn list<'a, K: Resource + DeserializeOwned>(
    pieces: impl Iterator<Item = &'a [u8]>,
    answer: &mut Answer,
    applied: &mut impl FnMut(&K, &mut Answer),
) -> Result<(), Failure> {
    let mut list = List::default();
    for piece in pieces {
        let mut objects = Vec::new();
        list.push(piece, |object| objects.push(object.to_vec()))?;
        for object in objects {
            match event::object_of(&object) {
                Ok(own) => applied(&own, answer),
                Err(undecodable) => answer.problems.push(undecodable.reason),
            }
            answer.objects.push(object);
        }
    }
    answer.version = Some(list.end()?.version);
    Ok(())
}

fn watch<'a, K: Resource + DeserializeOwned>(
    kind: ObjectKind,
    pieces: impl Iterator<Item = &'a [u8]>,
    answer: &mut Answer,
    applied: &mut impl FnMut(&K, &mut Answer),
) -> Result<(), Failure> {
    let mut lines = Lines::default();
    let mut one = |line: &[u8]| -> Result<(), Failure> {
        match event::read(line)? {
            Some(WatchEvent::Applied { object, .. }) => applied(&object, answer),
            Some(WatchEvent::Deleted { metadata }) => answer.events.push(gone(kind, &metadata)),
            Some(WatchEvent::Undecodable(own)) => answer.problems.push(own.reason),
            Some(WatchEvent::Unknown(what)) => answer.problems.push(what),
            Some(WatchEvent::Bookmark { .. }) | None => {}
        }
        Ok(())
    };
    for piece in pieces {
        lines.push(piece);
        while let Some(line) = lines.next()? {
            one(&line)?;
        }
    }
    one(&lines.rest())
}
