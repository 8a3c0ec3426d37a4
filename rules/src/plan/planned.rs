//! The Services of one sync, for as long as it lasts.

use super::ServicePlan;
use crate::model::ObjectName;
use crate::ruleset::{Element, Key, SetId};
use std::collections::HashSet;

/// What the Services of one sync need. The elements of a large cluster are made
/// one after the other when somebody asks for them, and never are all there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedServices {
    /// In the order of their names; `None` for those that are gone.
    pub(crate) services: Vec<(ObjectName, Option<ServicePlan>)>,
    /// The elements that several of them have.
    pub(crate) repeated: HashSet<(SetId, Key)>,
}

impl PlannedServices {
    /// About how many elements there are in all sets, and no fewer.
    pub fn element_estimate(&self) -> usize {
        let plans = self.services.iter().filter_map(|(_, plan)| plan.as_ref());
        plans.map(ServicePlan::element_estimate).sum()
    }

    /// The elements of one set, each once.
    pub fn elements(&self, set: SetId) -> impl Iterator<Item = Element> {
        let all = self.services.iter().flat_map(move |(name, plan)| {
            let plan = plan.as_ref();
            let own = plan.map(|plan| plan.elements(name, |own| own == set));
            own.unwrap_or_default()
                .into_iter()
                .map(|(_, element)| element)
        });
        // Few sets have any, and the largest never do.
        let repeated = self.repeated.iter().filter(|(own, _)| *own == set);
        let repeated: HashSet<Key> = repeated.map(|(_, key)| *key).collect();
        let mut seen = HashSet::new();
        all.filter(move |element| !repeated.contains(&element.key) || seen.insert(element.key))
    }
}
