//! The Services of one sync, for as long as it lasts.

use super::ServiceObjects;
use crate::model::ObjectName;
use crate::nft::ruleset::{Element, Elements, Key, SetId};
use std::collections::HashSet;

/// What the Services of one sync need. The elements of a large cluster are made
/// one after the other when somebody asks for them, and never are all there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::nft) struct PlannedServices {
    /// `None` for those that are gone.
    pub(in crate::nft) services: Vec<(ObjectName, Option<ServiceObjects>)>,
    /// The elements that several of them have.
    pub(in crate::nft) repeated: HashSet<(SetId, Key)>,
    /// How many elements there are in all sets.
    pub(in crate::nft) element_count: usize,
}

impl Elements for PlannedServices {
    fn element_count(&self) -> usize {
        self.element_count
    }

    /// Each once, whoever shares it.
    fn for_each_element(&self, each: &mut dyn FnMut(SetId, &Element)) {
        let mut seen = HashSet::new();
        let mut once = |set: SetId, element: Element| {
            // Nearly all elements are of sets where nothing can repeat.
            let shared = set.is_shared().then_some((set, element.key));
            if shared.is_none_or(|own| !self.repeated.contains(&own) || seen.insert(own)) {
                each(set, &element);
            }
        };
        for (name, plan) in &self.services {
            if let Some(plan) = plan {
                plan.for_each_element(name, &mut once);
            }
        }
    }
}
