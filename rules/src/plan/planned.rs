//! The Services of one sync, for as long as it lasts.

use super::ServicePlan;
use crate::model::ObjectName;
use crate::nft::ruleset::{Element, Key, SetId};
use std::collections::HashSet;

/// What the Services of one sync need. The elements of a large cluster are made
/// one after the other when somebody asks for them, and never are all there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedServices {
    /// `None` for those that are gone.
    pub(crate) services: Vec<(ObjectName, Option<ServicePlan>)>,
    /// The elements that several of them have.
    pub(crate) repeated: HashSet<(SetId, Key)>,
    /// How many elements there are in all sets.
    pub(crate) element_count: usize,
}

impl PlannedServices {
    /// How many elements a first sync has in all sets.
    pub fn element_count(&self) -> usize {
        self.element_count
    }

    /// Calls `each` with the elements of all sets, each once.
    pub(crate) fn for_each_element(&self, each: &mut impl FnMut(SetId, &Element)) {
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
