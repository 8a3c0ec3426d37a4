//! loadBalancerSourceRanges as elements: which frontends are checked, and by which chain.

use super::comment;
use super::counts::Counts;
use crate::model::{Frontend, ObjectName};
use crate::nft::ruleset::{ChainId, Element, Key, SetId, SourceSet, Value, Verdict};
use crate::plan;
use std::sync::Arc;

/// The checked frontends of a Service, and the sources that they let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// Each with its port's name.
    frontends: Box<[(Frontend, Arc<str>)]>,
    allowed: SourceSet,
}

impl Sources {
    pub(super) fn new(planned: plan::Sources) -> Self {
        Self {
            frontends: planned.frontends,
            allowed: SourceSet::new(&planned.allowed),
        }
    }

    /// Adds how many elements there are.
    pub(super) fn count(&self, counts: &mut Counts) {
        counts.add(SetId::SourceChecked, self.frontends.len());
    }

    /// The chain that the frontends go to, once for each.
    pub(super) fn chains(&self) -> impl Iterator<Item = ChainId> {
        self.frontends.iter().map(|_| self.chain())
    }

    fn chain(&self) -> ChainId {
        ChainId::Sources(self.allowed.clone())
    }

    /// Calls `each` with the elements.
    pub(super) fn for_each_element(
        &self,
        name: &ObjectName,
        each: &mut impl FnMut(SetId, Element),
    ) {
        for (frontend, port) in &self.frontends {
            let element = Element {
                key: Key::Frontend(*frontend),
                value: Some(Value::Verdict(Verdict::Goto(self.chain()))),
                comment: Some(comment(name, port)),
            };
            each(SetId::SourceChecked, element);
        }
    }
}
