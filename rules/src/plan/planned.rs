//! The Services of one sync, for as long as it lasts.

use super::ServicePlan;
use crate::model::ObjectName;
use crate::ruleset::{Element, Key, SetId};
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

    /// Calls `each` with the elements of one set, each once.
    pub fn for_each_element(&self, set: SetId, each: &mut impl FnMut(Element)) {
        // Few sets have any, and the largest never do.
        let repeated = self.repeated.iter().filter(|(own, _)| *own == set);
        let repeated: HashSet<Key> = repeated.map(|(_, key)| *key).collect();
        let mut seen = HashSet::new();
        let mut once = |_, element: Element| {
            if repeated.is_empty() || !repeated.contains(&element.key) || seen.insert(element.key) {
                each(element);
            }
        };
        for (name, plan) in &self.services {
            if let Some(plan) = plan {
                plan.for_each_element(name, &|own| own == set, &mut once);
            }
        }
    }
}
